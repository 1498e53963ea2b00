"""Activations: f′ proved by complex step and central differences, the tails, the kinks, every array library."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from libraries import LIBRARIES, run
from numpy.typing import NDArray

from deltarule.activations import (
    ACTIVATIONS,
    ELU,
    GELU,
    Activation,
    Exp,
    LeakyReLU,
    ReLU,
    ScaledTanh,
    Sigmoid,
    Softmax,
    Softplus,
    Swish,
    Tanh,
    activation,
)
from deltarule.costs import SquaredError
from deltarule.errors import HyperparameterError, UnknownNameError

H = 1e-30
EVERY: list[Activation] = [made() for made in ACTIVATIONS.values()]
ELEMENTWISE = [f for f in EVERY if not isinstance(f, Softmax)] + [LeakyReLU(0.3), LeakyReLU(-0.5), ELU(1.7)]
BOUNDED = [f for f in [*ELEMENTWISE, Softmax()] if not isinstance(f, Exp)]  # e^{1e4} is no float: exp must overflow
Z = np.setdiff1d(np.linspace(-30, 30, 2401), [0.0])

# f′ in terms of a, as the documents write it, is exact to the rounding of a: a (1 − a) has a's error near 1.
IN_TERMS_OF_A = (Sigmoid, Tanh, ScaledTanh, ELU)


def complex_step(f: Activation, z: NDArray[Any]) -> NDArray[Any]:
    return f.f(z + H * 1j).imag / H


@pytest.mark.parametrize("f", ELEMENTWISE, ids=str)
def test_derivative_is_that_of_the_complex_step(f: Activation) -> None:
    numeric, analytic = complex_step(f, Z), f.derivative(Z, f.f(Z))
    rounding = 4e-16 if isinstance(f, IN_TERMS_OF_A) else 1e-260  # below it, h f′ underflows
    np.testing.assert_allclose(analytic, numeric, rtol=1e-13, atol=rounding, strict=True)
    da = np.cos(Z)
    np.testing.assert_array_equal(f.delta(da, Z, f.f(Z)), da * analytic)


@pytest.mark.parametrize("f", ELEMENTWISE, ids=str)
def test_derivative_is_that_of_central_differences(f: Activation) -> None:
    h = 1e-5
    z = Z[np.abs(Z) > h]
    a = f.f(z)
    numeric = (f.f(z + h) - f.f(z - h)) / (2 * h)
    assert np.max(np.abs(f.derivative(z, a) - numeric) / (1 + np.abs(a))) < 1e-9


@pytest.mark.parametrize("f", ELEMENTWISE, ids=str)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_at_zero_the_convention_is_the_complex_step(f: Activation, zero: float) -> None:
    z = np.array([zero])
    expected = {ReLU: 0.0, LeakyReLU: getattr(f, "slope", 0), ELU: getattr(f, "alpha", 0), Sigmoid: 0.25}
    expected |= {Tanh: 1.0, ScaledTanh: 1.7159 * 2 / 3, Softplus: 0.5, Swish: 0.5, GELU: 0.5}
    for got in (complex_step(f, z), f.derivative(z, f.f(z))):
        np.testing.assert_allclose(got, expected.get(type(f), 1.0), rtol=1e-15)


def test_breakpoints_are_where_the_derivative_jumps() -> None:
    for f in ELEMENTWISE:
        z = np.array([-1e-9, 1e-9])
        left, right = f.derivative(z, f.f(z))
        assert (abs(left - right) > 1e-6) == (f.breakpoints == (0.0,) and f != ELU()), f  # elu joins smoothly at α = 1


@given(arrays(np.float64, st.integers(1, 6), elements=st.floats(-30, 30)))
def test_softmax_delta_is_the_full_jacobian(z: NDArray[Any]) -> None:
    f, unit = Softmax(), np.eye(len(z))
    a = f.f(z)
    numeric = f.f(z + H * 1j * unit).imag / H  # row j: ∂a/∂z_j
    np.testing.assert_allclose(f.delta(unit, z, a).T, numeric, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(numeric, np.diag(a) - np.outer(a, a), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(a.sum(), 1, rtol=1e-14)
    np.testing.assert_allclose(f.f(z + 1000), a, rtol=1e-11)  # only differences of z count


def test_softmax_works_on_the_last_axis_and_has_no_elementwise_derivative() -> None:
    z = np.random.default_rng(0).normal(size=(2, 3, 4))
    a, da = Softmax().f(z), np.arange(4.0)
    np.testing.assert_allclose(a[1, 2], Softmax().f(z[1, 2]), rtol=1e-15)
    np.testing.assert_allclose(Softmax().delta(da, z, a)[1, 2], Softmax().delta(da, z[1, 2], a[1, 2]), rtol=1e-15)
    with pytest.raises(HyperparameterError, match="softmax has a Jacobian"):
        Softmax().derivative(z, a)


HUGE = [-1e12, -1e6, -1e4, -3e3, -104.0, -88.8, -17.0, -1e-30, -0.0, 0.0, 1e-40, 1.0, 88.8, 104.0, 1e4, 1e6, 1e12]


@pytest.mark.parametrize("f", BOUNDED, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_overflows(f: Activation, dtype: Any) -> None:
    z = np.array(HUGE, dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        a = f.f(z)
        delta = f.delta(np.ones_like(z), z, a)
    assert a.dtype == delta.dtype == z.dtype
    assert np.isfinite(a).all()
    assert np.isfinite(delta).all()


@given(arrays(np.float32, (3, 5), elements=st.floats(-1e4, 1e4, width=32)))
def test_no_mixture_overflows_in_float32(z: NDArray[Any]) -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for f in BOUNDED:
            a = f.f(z)
            assert np.isfinite(a).all(), f
            assert np.isfinite(f.delta(np.ones_like(z), z, a)).all(), f


def test_complex_steps_survive_saturation_too() -> None:
    for f in BOUNDED:
        assert np.isfinite(f.f(np.array(HUGE[2:-2]) + H * 1j)).all(), f


def test_exp_alone_overflows_and_says_so() -> None:
    with pytest.warns(RuntimeWarning, match="overflow"):
        assert Exp().f(np.array([1e4], np.float32)) == np.inf
    assert np.isfinite(Exp().f(np.array([-1e4, 88], np.float32))).all()


Long = np.longdouble
REFERENCES: list[tuple[Activation, Any]] = [
    (Sigmoid(), lambda z: 1 / (1 + np.exp(-z))),
    (Softplus(), lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))),
    (Swish(), lambda z: z / (1 + np.exp(-z))),
    (ELU(1.7), lambda z: np.where(z > 0, z, Long(1.7) * np.expm1(np.minimum(z, 0)))),
    (GELU(), lambda z: z / (1 + np.exp(-np.sqrt(8 / Long(np.pi)) * (z + Long(0.044715) * z**3)))),
    (ScaledTanh(), lambda z: Long(1.7159) * np.tanh(z * 2 / 3)),
]


@pytest.mark.parametrize(("f", "reference"), REFERENCES, ids=lambda x: str(x) if isinstance(x, Activation) else "")
@pytest.mark.parametrize(("dtype", "eps"), [("float32", 1.2e-7), ("float64", 2.3e-16)])
def test_values_keep_their_digits_in_the_tails(f: Activation, reference: Any, dtype: Any, eps: float) -> None:
    z = np.concatenate([np.linspace(-12, 12, 481), [-80.0, -30.0, -1e-20, 1e-20, 30.0, 80.0]]).astype(dtype)
    z = z[z > -10] if isinstance(f, GELU) else z
    expected = reference(z.astype(Long))
    error = np.abs(f.f(z).astype(Long) - expected) / np.abs(np.where(expected == 0, 1, expected))
    conditioning = np.abs(z) ** 3 if isinstance(f, GELU) else np.abs(z)  # the relative error of e^{u} is u's, times u
    assert (error <= eps * (4 + conditioning)).all()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("f", [*ELEMENTWISE, Softmax()], ids=str)
def test_every_library_gives_the_same(library: str, dtype: Any, f: Activation) -> None:
    z = np.linspace(-9, 9, 36).reshape(6, 6).astype(dtype)  # 0 is not among them
    z = z + 1e-30j if dtype == "complex128" else z
    da = np.cos(z.real).astype(dtype)
    a = f.f(z)
    tolerance = 2e-6 if dtype == "float32" else 1e-13
    close = {"rtol": tolerance, "atol": tolerance / 5, "strict": True}
    got_a = run(library, f.f, z)
    np.testing.assert_allclose(got_a, a, **close)
    got = run(library, lambda z, da: f.delta(da, z, f.f(z)), z, da)
    np.testing.assert_allclose(got, f.delta(da, z, a), **close)
    if dtype == "complex128":
        np.testing.assert_allclose(got_a.imag / H, a.imag / H, rtol=1e-12, atol=1e-15)


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("f", "name", "arguments"),
    [
        (ReLU(), "relu", {}), (LeakyReLU(0.2), "leaky_relu", {"negative_slope": 0.2}),
        (ELU(1.3), "elu", {"alpha": 1.3}), (GELU(), "gelu", {"approximate": "tanh"}),
        (Swish(), "silu", {}), (Softplus(), "softplus", {"threshold": 100}),
        (Sigmoid(), "sigmoid", {}), (Tanh(), "tanh", {}), (Softmax(), "softmax", {"dim": -1}),
    ],
)  # fmt: skip
def test_torch_agrees(f: Activation, name: str, arguments: dict[str, Any], dtype: Any) -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(1)
    z, da = random.normal(scale=4, size=(2, 8, 5)).astype(dtype)
    z[0] = [-1e4, 1e4, 0, -30, 30]
    peer_z = torch.tensor(z, requires_grad=True)
    peer_a = getattr(torch.nn.functional, name)(peer_z, **arguments)
    peer_a.backward(torch.tensor(da))
    tolerance = 3e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(f.f(z), peer_a.detach().numpy(), rtol=tolerance, atol=tolerance, strict=True)
    delta = f.delta(da, z, f.f(z))
    np.testing.assert_allclose(delta, peer_z.grad.numpy(), rtol=tolerance, atol=tolerance, strict=True)


@pytest.mark.parametrize(
    "bad", [np.nan, np.inf, -np.inf, "x", None, True, (1,), 10**400, 10**5000, 1j, np.ones(1)], ids=type
)
@pytest.mark.parametrize("made", [LeakyReLU, ELU])
def test_parameters_must_be_finite_numbers(made: Any, bad: Any) -> None:
    with pytest.raises(HyperparameterError, match=r"(slope|alpha) must be a finite number"):
        made(bad)


@pytest.mark.parametrize("number", [1, np.float64(0.5), np.float32(0.5), np.int64(2)])
def test_parameters_never_widen_the_arrays(number: Any) -> None:
    z = np.array([-1, 1], np.float32)
    for f in (LeakyReLU(number), ELU(number)):
        assert f.f(z).dtype == f.derivative(z, f.f(z)).dtype == np.float32
        assert type(next(iter(vars(f).values()))) in (int, float)
        assert activation(str(f)) == f


def test_the_table_is_complete_and_says_its_equations() -> None:
    expected = "identity,sigmoid,tanh,scaled tanh,relu,leaky relu,elu,softplus,swish,gelu,exp,softmax"
    assert list(ACTIVATIONS) == expected.split(",")
    for f in EVERY:
        assert f.equation, f
        assert f.derivative_equation, f
        assert inspect.getdoc(type(f)), f


def test_custom_activations_pass_and_others_do_not() -> None:
    class Cube(Activation):
        name = "cube"

    cube = Cube()
    assert activation(cube) is cube
    for other in (SquaredError(), ReLU, 3, None):
        with pytest.raises(UnknownNameError, match="activation: expected a name or a value such as Identity"):
            activation(other)  # type: ignore[arg-type]
