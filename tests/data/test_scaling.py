import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deltarule.data.scaling import standardise, statistics
from deltarule.errors import DataError


@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64]),
        st.tuples(st.integers(2, 12), st.integers(1, 4)),
        elements=st.floats(-1e6, 1e6, width=32),
    )
)
def test_the_training_part_gets_mean_0_and_sigma_1(X):
    X = X.astype(np.float64)
    mean, scale = statistics(X)
    Z = standardise(X, mean, scale)
    constant = np.ptp(X, axis=0) == 0
    np.testing.assert_allclose(Z[:, constant], 0, atol=1e-9)
    clear = ~constant & (X.std(axis=0) > 1e-9 * np.abs(X).max(axis=0))
    np.testing.assert_allclose(Z[:, clear].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(Z[:, clear].std(axis=0), 1, rtol=1e-5)


def test_it_equals_the_textbook_formula_chunk_by_chunk(monkeypatch):
    X = np.random.default_rng(0).normal(3, 5, size=(1000, 7))
    monkeypatch.setattr("deltarule.data.checks.CHUNK", 64)
    mean, scale = statistics(X)
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(scale, X.std(axis=0), rtol=1e-13)
    np.testing.assert_allclose(standardise(X, mean, scale), (X - X.mean(axis=0)) / X.std(axis=0), rtol=1e-11)


def test_a_constant_feature_has_scale_1_even_where_the_mean_is_rounded():
    X = np.full((1001, 1), 0.1)
    mean, scale = statistics(X)
    assert scale.tolist() == [1.0]
    np.testing.assert_allclose(mean, 0.1, rtol=1e-15)
    mean, scale = statistics(np.full((300_000, 2), 0.1))  # summed row by row, the mean is wrong by 5e-12 at first
    assert scale.tolist() == [1.0, 1.0]
    np.testing.assert_allclose(mean, 0.1, rtol=1e-15)
    assert statistics(np.array([[0.1], [np.nextafter(0.1, 1)]]))[1].tolist() == [1.0]
    assert statistics(np.zeros((3, 2)))[1].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("factor", [1e300, 1e-300, 1e-160, 1e160])
def test_squares_neither_overflow_nor_vanish(factor):
    mean, scale = statistics(np.array([[1.0], [3.0]]) * factor)
    np.testing.assert_allclose([mean[0], scale[0]], [2 * factor, factor], rtol=1e-12)


def test_a_large_offset_costs_no_digits():
    X = 1e9 + np.array([[0.0], [1.0], [2.0]])
    np.testing.assert_allclose(standardise(X, *statistics(X)).std(), 1, rtol=1e-12)


def test_types_and_values_out_of_reach():
    assert standardise(np.ones((1, 1), np.float32), 0.0, 1.0).dtype == np.float32
    assert standardise(np.ones((1, 1), np.uint8), 0.0, 1.0).dtype == np.float32
    with pytest.raises(DataError, match=r"row 1, column 0 .* is too far from the training data"):
        standardise(np.array([[1.0], [1e300]]), np.zeros(1), np.full(1, 1e-300))
