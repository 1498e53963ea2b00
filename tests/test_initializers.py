"""Initial weights: the variance each rule promises for its fans, bounds, orthogonality, purity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deltarule.errors import HyperparameterError, UnknownNameError
from deltarule.initializers import (
    INITIALIZERS,
    FanInUniform,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LeCunNormal,
    LeCunUniform,
    Normal,
    Orthogonal,
    Uniform,
    Zeros,
    initializer,
)
from deltarule.randomness import generator

FAN_IN, FAN_OUT = 50, 14  # apart, and apart from the shape: the fans count, not the shape
SHAPE = (400, 500)
N = math.prod(SHAPE)


def draw(rule: Initializer, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> NDArray[np.float64]:
    return rule.draw(generator(seed, "init", 1), shape, FAN_IN, FAN_OUT)


@pytest.mark.parametrize(
    ("rule", "bound"),
    [
        (Uniform(), 0.12),
        (Uniform(0.5), 0.5),
        (LeCunUniform(), math.sqrt(3 / 50)),
        (GlorotUniform(), math.sqrt(6 / 64)),
        (HeUniform(), math.sqrt(6 / 50)),
        (FanInUniform(), 2.4 / 50),
        (FanInUniform(1.5), 1.5 / 50),
    ],
    ids=str,
)
def test_uniform_rules_fill_their_bounds(rule: Initializer, bound: float) -> None:
    w = draw(rule) / bound
    assert 0.9999 < w.max() <= 1
    assert -1 <= w.min() < -0.9999
    assert abs(w.mean()) < 4 * math.sqrt(1 / 3 / N)
    assert abs(w.var() - 1 / 3) < 4 * math.sqrt(4 / 45 / N)
    counts = np.histogram(w, bins=20, range=(-1, 1))[0]
    assert np.sum((counts - N / 20) ** 2) / (N / 20) < 19 + 4 * math.sqrt(38)


@pytest.mark.parametrize(
    ("rule", "variance"),
    [(LeCunNormal(), 1 / 50), (GlorotNormal(), 2 / 64), (HeNormal(), 2 / 50), (Normal(), 0.01), (Normal(3.0), 9)],
    ids=str,
)  # fmt: skip
def test_normal_rules_have_their_variance(rule: Initializer, variance: float) -> None:
    w = draw(rule) / math.sqrt(variance)
    assert abs(w.mean()) < 4 / math.sqrt(N)
    assert abs(w.var() - 1) < 4 * math.sqrt(2 / N)
    assert abs((w**4).mean() - 3) < 4 * math.sqrt(96 / N)  # a normal distribution's, and no uniform one's


@pytest.mark.parametrize(
    ("uniform", "normal"),
    [(LeCunUniform(), LeCunNormal()), (GlorotUniform(), GlorotNormal()), (HeUniform(), HeNormal())],
)
def test_both_forms_of_a_rule_have_one_variance(uniform: Initializer, normal: Initializer) -> None:
    assert draw(uniform).var() == pytest.approx(draw(normal).var(), rel=0.02)


def test_zeros_are_zero() -> None:
    np.testing.assert_array_equal(draw(Zeros()), np.zeros(SHAPE), strict=True)


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1.0, 0.5, -2.0]), st.integers(0, 99))
def test_orthogonal_both_ways_round(rows: int, columns: int, gain: float, seed: int) -> None:
    w = draw(Orthogonal(gain), (rows, columns), seed)
    assert w.shape == (rows, columns)
    gram = w @ w.T if rows <= columns else w.T @ w
    np.testing.assert_allclose(gram, gain**2 * np.eye(min(rows, columns)), atol=1e-13)


def test_orthogonal_is_uniform_over_the_group() -> None:
    drawn = np.array([draw(Orthogonal(), (3, 3), seed) for seed in range(2000)])
    assert np.abs(drawn.mean(axis=0)).max() < 4.5 / math.sqrt(3 * 2000)  # without the sign rule a diagonal stands out
    assert abs((np.linalg.det(drawn) > 0).mean() - 0.5) < 4 * 0.5 / math.sqrt(2000)
    kernel = draw(Orthogonal(), (4, 2, 3, 3)).reshape(4, 18)  # maps of a convolution, flattened
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(4), atol=1e-13)


@pytest.mark.parametrize("rule", [made() for made in INITIALIZERS.values()], ids=str)
@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (5,), (1, 1), (2, 3, 5, 5)])
def test_every_rule_is_pure_and_keeps_the_shape(rule: Initializer, shape: tuple[int, ...]) -> None:
    w = draw(rule, shape)
    assert w.shape == shape
    assert w.dtype == np.float64
    np.testing.assert_array_equal(draw(rule, shape), w)
    assert isinstance(rule, Zeros) or (draw(rule, shape, seed=1) != w).any() or w.size == 1
    w[...] = 7.0  # what was drawn is the caller's own
    assert (draw(rule, shape) != 7).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, "x", None, True, 10**5000], ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("made", [Uniform, Orthogonal])
def test_parameters_must_be_finite_numbers(made: Any, bad: Any) -> None:
    with pytest.raises(
        HyperparameterError, match=r"^(uniform: epsilon|orthogonal: gain) must be a finite number(, at least 0)?, not "
    ):
        made(bad)


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(HyperparameterError, match=r"uniform: epsilon must be a finite number, at least 0, not -0\.1"):
        Uniform(-0.1)
    assert not draw(Uniform(0), (2, 2)).any()


def test_the_table_is_complete() -> None:
    names = ["zeros", "uniform", "normal", "fan in uniform", "orthogonal"]
    by_fans = [f"{who} {how}" for who in ("lecun", "glorot", "he") for how in ("uniform", "normal")]
    assert sorted(INITIALIZERS) == sorted(names + by_fans)
    assert initializer("Glorot-Uniform") == GlorotUniform()
    with pytest.raises(UnknownNameError, match="there is no initialiser 'glorot'"):
        initializer("glorot")
