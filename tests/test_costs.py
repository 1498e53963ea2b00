"""Costs: ∂C/∂ŷ proved by complex step and central differences, limits, minimisers, every array library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from libraries import LIBRARIES, run
from numpy.typing import NDArray

from deltarule.activations import Sigmoid
from deltarule.costs import (
    COSTS,
    Absolute,
    BinaryCrossEntropy,
    Cost,
    CrossEntropy,
    Huber,
    Poisson,
    Quantile,
    SquaredError,
    cost,
)
from deltarule.errors import HyperparameterError, UnknownNameError

H = 1e-30
EVERY: list[Cost] = [made() for made in COSTS.values()] + [Huber(0.3), Quantile(0.9)]
PROBABILITIES = (BinaryCrossEntropy, CrossEntropy)


def example(C: Cost, shape: tuple[int, ...] = (40, 3), seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Outputs and targets from where the cost is defined, off its breakpoints."""
    random = np.random.default_rng(seed)
    if isinstance(C, PROBABILITIES):
        return random.uniform(0.001, 0.999, shape), random.uniform(0, 1, shape)
    if isinstance(C, Poisson):
        return random.uniform(0.01, 20, shape), random.poisson(4, shape).astype(float)
    return random.normal(scale=3, size=shape), random.normal(scale=3, size=shape)


@pytest.mark.parametrize("C", EVERY, ids=str)
def test_derivative_is_that_of_the_complex_step(C: Cost) -> None:
    y, t = example(C)
    for k in range(y.shape[1]):
        step = H * 1j * np.eye(y.shape[1])[k]
        np.testing.assert_allclose(C.derivative(y, t)[:, k], C.value(y + step, t).imag / H, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("C", EVERY, ids=str)
def test_derivative_is_that_of_central_differences(C: Cost) -> None:
    h = 1e-6
    y, t = example(C, (200, 1))
    away = np.all([np.abs(y - t - b) > 2 * h for b in C.breakpoints or (np.inf,)], axis=0)[:, 0]
    numeric = (C.value(y + h, t) - C.value(y - h, t)) / (2 * h)
    analytic = C.derivative(y, t)[:, 0]
    assert away.sum() > 190
    assert np.max((np.abs(analytic - numeric) / (1 + analytic**2))[away]) < 1e-7


@pytest.mark.parametrize("C", EVERY, ids=str)
@pytest.mark.parametrize("shape", [(4, 3), (4, 2, 3), (1, 1), (0, 3)])
def test_value_sums_over_the_outputs_only(C: Cost, shape: tuple[int, ...]) -> None:
    y, t = example(C, shape)
    assert C.value(y, t).shape == shape[:-1]
    assert C.derivative(y, t).shape == shape
    one_by_one = sum(C.value(y[..., k : k + 1], t[..., k : k + 1]) for k in range(shape[-1]))
    np.testing.assert_allclose(C.value(y, t), one_by_one, rtol=1e-14, atol=1e-14)


def test_values_by_hand() -> None:
    y, t = np.array([[0.25, 3.0]]), np.array([[1.0, 1.0]])
    half = np.array([[0.25, 0.5]])
    assert SquaredError().value(y, t) == 0.5 * (0.75**2 + 4)
    assert Absolute().value(y, t) == 2.75
    assert Huber().value(y, t) == 0.5 * 0.75**2 + 1.5
    assert Huber(2).value(y, t) == 0.5 * 0.75**2 + 2
    assert Quantile(0.9).value(y, t) == pytest.approx([0.9 * 0.75 + 0.1 * 2])
    assert CrossEntropy().value(half, t) == pytest.approx([np.log(8)])
    assert BinaryCrossEntropy().value(half, np.array([[1.0, 0.25]])) == pytest.approx([np.log(8)])
    assert Poisson().value(y, np.array([[2.0, 0.0]])) == pytest.approx([3.25 + 2 * np.log(4)])


@pytest.mark.parametrize("C", [Absolute(), Huber(), Huber(0.3), Quantile(), Quantile(0.9)], ids=str)
def test_at_a_kink_the_convention_is_the_complex_step(C: Cost) -> None:
    t = np.zeros((len(C.breakpoints), 1))
    y = np.reshape(C.breakpoints, t.shape)
    np.testing.assert_allclose(C.derivative(y, t)[:, 0], C.value(y + H * 1j, t).imag / H, rtol=1e-15)


def test_breakpoints_are_where_a_derivative_jumps() -> None:
    e = 1e-7
    for C, jump in ((Absolute(), 2), (Quantile(0.3), 1)):
        slopes = C.derivative(np.array([[-e, e]]), np.zeros((1, 2)))
        assert C.breakpoints == (0,)
        np.testing.assert_allclose(np.diff(slopes), jump)
    huber = Huber(0.7)  # here it is the second derivative: from 1 to 0
    for b in huber.breakpoints:
        d = huber.derivative(np.array([[b * (1 - e), b, b * (1 + e)]]), np.zeros((1, 3)))[0]
        assert abs(d[1] - d[0]) == pytest.approx(0.7 * e)
        assert d[2] == d[1]
    assert SquaredError().breakpoints == CrossEntropy().breakpoints == Poisson().breakpoints == ()


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(-100, 100)),
    st.floats(0.01, 0.99),
)
def test_the_quantile_cost_is_least_at_the_quantile(sample: NDArray[Any], q: float) -> None:
    C, t = Quantile(q), sample[:, None]

    def total(y: float) -> float:
        return float(np.sum(C.value(np.full_like(t, y), t)))

    best = float(np.quantile(sample, q, method="inverted_cdf"))
    assert total(best) <= min(total(y) for y in sample) * (1 + 1e-12) + 1e-12
    slope = C.derivative(np.full_like(t, best), t).sum()
    ties = np.sum(sample == best)
    assert -ties - 1e-9 <= slope <= ties + 1e-9  # 0 lies within the subdifferential


def test_huber_lies_between_squared_and_absolute() -> None:
    y, t = example(Huber())
    for wide in (20.0, 1e9):
        np.testing.assert_allclose(Huber(wide).value(y, t), SquaredError().value(y, t), rtol=1e-15)
        np.testing.assert_array_equal(Huber(wide).derivative(y, t), SquaredError().derivative(y, t))
    narrow = 1e-9
    np.testing.assert_allclose(Huber(narrow).value(y, t) / narrow, Absolute().value(y, t), rtol=1e-8)
    np.testing.assert_allclose(Huber(narrow).derivative(y, t) / narrow, Absolute().derivative(y, t), rtol=1e-15)


def test_the_linear_costs_never_overflow_in_float32() -> None:
    y = np.array([[1e30, -1e30, 1e-30]], np.float32)
    t = np.zeros_like(y)
    for C in (Absolute(), Huber(), Quantile(0.9)):
        assert np.isfinite(C.value(y, t)).all(), C
        assert C.value(y, t).dtype == C.derivative(y, t).dtype == np.float32


@pytest.mark.parametrize(
    ("made", "bad"),
    [
        *[(Huber, bad) for bad in (0, -1, np.inf, np.nan, "x", None, True, 10**5000)],
        *[(Quantile, bad) for bad in (0, 1, -0.5, 1.5, np.nan, "x", None, False)],
    ],
    ids=lambda x: getattr(x, "__name__", type(x).__name__),
)
def test_parameters_out_of_range_are_refused(made: Any, bad: Any) -> None:
    with pytest.raises(HyperparameterError, match=r"^(huber|quantile): "):
        made(bad)


def test_numpy_parameters_never_widen_the_arrays() -> None:
    y = np.ones((1, 1), np.float32)
    for C in (Huber(np.float64(0.5)), Quantile(np.float64(0.3))):  # type: ignore[arg-type]
        assert C.value(y, 0 * y).dtype == C.derivative(y, 0 * y).dtype == np.float32
        assert cost(str(C)) == C


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("C", EVERY, ids=str)
def test_every_library_gives_the_same(library: str, dtype: Any, C: Cost) -> None:
    y, t = example(C)
    t = t.astype("float32" if dtype == "float32" else "float64")
    y = y.astype(dtype) + (1e-30j if dtype == "complex128" else 0)
    tolerance = {"rtol": 1e-5 if dtype == "float32" else 1e-13, "atol": 1e-6 if dtype == "float32" else 1e-14}
    value = run(library, C.value, y, t)
    np.testing.assert_allclose(value, C.value(y, t), **tolerance, strict=True)
    np.testing.assert_allclose(run(library, C.derivative, y, t), C.derivative(y, t), **tolerance, strict=True)
    if dtype == "complex128":
        np.testing.assert_allclose(value.imag / H, C.derivative(y, t).real.sum(axis=-1), rtol=1e-12)


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("C", "name", "arguments", "factor"),
    [
        (SquaredError(), "mse_loss", {}, 0.5), (Absolute(), "l1_loss", {}, 1), (Quantile(), "l1_loss", {}, 0.5),
        (BinaryCrossEntropy(), "binary_cross_entropy", {}, 1), (Huber(0.7), "huber_loss", {"delta": 0.7}, 1),
        (Poisson(), "poisson_nll_loss", {"log_input": False, "eps": 0}, 1),
    ],
)  # fmt: skip
def test_torch_agrees(C: Cost, name: str, arguments: dict[str, Any], factor: float, dtype: Any) -> None:
    torch = pytest.importorskip("torch")
    y, t = (x.astype(dtype) for x in example(C))
    if C.breakpoints:
        y[0] = t[0]
    peer_y = torch.tensor(y, requires_grad=True)
    peer = factor * getattr(torch.nn.functional, name)(peer_y, torch.tensor(t), reduction="none", **arguments).sum(-1)
    peer.sum().backward()
    tolerance = {"rtol": 1e-5 if dtype == "float32" else 1e-13, "atol": 1e-6 if dtype == "float32" else 1e-13}
    np.testing.assert_allclose(C.value(y, t), peer.detach().numpy(), **tolerance, strict=True)
    np.testing.assert_allclose(C.derivative(y, t), peer_y.grad.numpy(), **tolerance, strict=True)


def test_the_table_is_complete_and_says_its_equations() -> None:
    expected = "squared error,binary cross entropy,cross entropy,absolute,huber,quantile,poisson"
    assert list(COSTS) == expected.split(",")
    assert all(C.equation and C.derivative_equation for C in EVERY)


def test_custom_costs_pass_and_others_do_not() -> None:
    class Fourth(Cost):
        name = "fourth"

    fourth = Fourth()
    assert cost(fourth) is fourth
    with pytest.raises(UnknownNameError, match="cost: expected a name or a value such as SquaredError"):
        cost(Sigmoid())  # type: ignore[arg-type]
