"""Accuracy, rmse and R², against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, r2_score, root_mean_squared_error

from deltarule.scores import accuracy, regression


@given(st.integers(0, 10**6), st.integers(1, 30), st.booleans())
def test_accuracy_is_scikit_learns(seed: int, m: int, weighted: bool) -> None:
    random = np.random.default_rng(seed)
    y, t = random.random((m, 3)), random.integers(0, 3, m)
    w = random.random(m) if weighted else None
    assert accuracy(y, np.eye(3)[t], w) == pytest.approx(accuracy_score(t, y.argmax(axis=1), sample_weight=w))
    yes = random.integers(0, 2, (m, 3))
    expected = accuracy_score(yes, (y >= 0.5).astype(int), sample_weight=w)
    assert accuracy(y, yes, w, every_output=True) == pytest.approx(expected)


def test_a_tie_goes_to_the_first_and_a_half_is_a_yes() -> None:
    assert accuracy(np.array([[0.5, 0.5]]), np.array([[1, 0]])) == 1
    assert accuracy(np.array([[0.5, 0.5]]), np.array([[0, 1]])) == 0
    assert accuracy(np.array([[0.5], [0.4999]]), np.array([[1], [0]]), every_output=True) == 1


@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(1, 3), st.booleans())
def test_regression_is_scikit_learns(seed: int, m: int, k: int, weighted: bool) -> None:
    random = np.random.default_rng(seed)
    y, t = random.normal(size=(m, k)), random.normal(3, 2, size=(m, k))
    w = random.random(m) if weighted else None
    found = regression(y, t, w)
    rows = (np.ones(m) if w is None else w)[:, None] * np.ones(k)
    expected = root_mean_squared_error(t.ravel(), y.ravel(), sample_weight=rows.ravel())
    assert found["rmse"] == pytest.approx(expected)
    assert found["r2"] == pytest.approx(r2_score(t, y, sample_weight=w, multioutput="variance_weighted"))


def test_a_constant_target_has_no_r2() -> None:
    found = regression(np.array([[1.0], [2.0]]), np.array([[3.0], [3.0]]))
    assert found["rmse"] == pytest.approx(np.sqrt(2.5))
    assert np.isnan(found["r2"])
    assert regression(np.ones((2, 1)), np.array([[0.0], [2.0]]))["r2"] == 0


def test_float32_is_summed_in_float64() -> None:
    t = np.full((10**6, 1), 0.1, np.float32)
    assert regression(t + np.float32(1), t)["rmse"] == pytest.approx(1, abs=1e-7)
