"""Outputs: the pairs, δ⁽ᴸ⁾ against the complex step and against the generic way, and logits of ±1e4."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from libraries import LIBRARIES, run
from numpy.typing import NDArray

from deltarule.activations import ACTIVATIONS, Activation, Exp, Identity, Sigmoid, Softmax
from deltarule.costs import COSTS, BinaryCrossEntropy, Cost, CrossEntropy, Huber, Poisson, Quantile, SquaredError
from deltarule.errors import HyperparameterError
from deltarule.outputs import Output, canonical_cost, output

H = 1e-30
CANONICAL = [
    (Identity(), SquaredError()),
    (Sigmoid(), BinaryCrossEntropy()),
    (Softmax(), CrossEntropy()),
    (Exp(), Poisson()),
]
ONLY_WITH = {CrossEntropy: Softmax, BinaryCrossEntropy: Sigmoid, Poisson: Exp}
PAIRS = [
    (f(), C())
    for f in ACTIVATIONS.values()
    for C in COSTS.values()
    if ONLY_WITH.get(C, f) is f
]  # fmt: skip
PAIRS += [(Softmax(), Huber(0.2)), (Sigmoid(), Quantile(0.9)), (Identity(), Huber(3))]


def targets(f: Activation, C: Cost, shape: tuple[int, int], seed: int = 0) -> NDArray[Any]:
    """Targets the pair is made for; those of softmax sum to 1."""
    random = np.random.default_rng(seed)
    if isinstance(f, Softmax):
        return random.dirichlet(np.ones(shape[1]), shape[0])
    if isinstance(C, BinaryCrossEntropy):
        return random.uniform(0, 1, shape)
    return random.poisson(3, shape) + (0.5 if C.breakpoints else 0.0)


def generic(pair: Output, z: NDArray[Any], t: NDArray[Any]) -> NDArray[Any]:
    """δ⁽ᴸ⁾ as in a hidden layer: ∂C/∂ŷ through the activation."""
    y = pair.activation.f(z)
    return pair.activation.delta(pair.cost.derivative(y, t), z, y)


def test_51_pairs_are_allowed() -> None:
    assert len({(str(f), str(C)) for f, C in PAIRS}) == 12 * 4 + 3 + 3


@pytest.mark.parametrize(("f", "C"), PAIRS, ids=str)
def test_delta_is_that_of_the_complex_step(f: Activation, C: Cost) -> None:
    z = np.random.default_rng(1).normal(scale=2, size=(30, 4))
    t, pair = targets(f, C, z.shape), output(f, C)
    delta = pair.delta(z, f.f(z), t)
    assert delta.shape == z.shape
    for k in range(z.shape[1]):
        step = z + H * 1j * np.eye(z.shape[1])[k]
        np.testing.assert_allclose(delta[:, k], pair.value(step, f.f(step), t).imag / H, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("f", "C"), CANONICAL, ids=str)
@given(data=st.data())
def test_canonical_and_generic_agree(f: Activation, C: Cost, data: st.DataObject) -> None:
    z = data.draw(arrays(np.float64, (3, 4), elements=st.floats(-6, 6)))
    t, pair = targets(f, C, z.shape, data.draw(st.integers(0, 99))), output(f, C)
    y = f.f(z)
    assert pair.canonical
    np.testing.assert_array_equal(pair.delta(z, y, t), y - t)
    np.testing.assert_allclose(pair.delta(z, y, t), generic(pair, z, t), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(pair.value(z, y, t), C.value(y, t), rtol=1e-12, atol=1e-12)


def test_only_the_four_are_canonical() -> None:
    assert [(p.activation, p.cost) for p in (output(f, C) for f, C in PAIRS) if p.canonical] == sorted(
        CANONICAL, key=lambda pair: list(ACTIVATIONS).index(pair[0].name)
    )


def test_each_activation_comes_with_a_cost() -> None:
    own = {Softmax: CrossEntropy, Sigmoid: BinaryCrossEntropy, Exp: Poisson}
    for f in ACTIVATIONS.values():
        assert canonical_cost(f()) == own.get(f, SquaredError)()


def test_other_pairs_are_refused_by_name() -> None:
    refused = [(f, C) for f in ACTIVATIONS.values() for C in ONLY_WITH if ONLY_WITH[C] is not f]
    assert len(refused) == 33
    for f, C in refused:
        message = f"^cost '{C.name}' goes with output '{ONLY_WITH[C].name}' only, not with '{f.name}'$"
        with pytest.raises(HyperparameterError, match=message):
            output(f(), C())


def hard_rows(f: Activation, C: Cost, dtype: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Every mixture of huge, ordinary and zero net values, against every corner of the targets."""
    values = [-1e4, -90.0, 0.0, 1.0, 1e4]
    z = np.stack(np.meshgrid(values, values, values, indexing="ij"), -1).reshape(-1, 3)
    corners = np.eye(3) if isinstance(f, Softmax) else np.array([[0, 0, 0], [1, 1, 1], [0, 1, 0]])
    return np.repeat(z, 3, axis=0).astype(dtype), np.tile(corners, (len(z), 1)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("f", "C"), [p for p in PAIRS if not isinstance(p[0], Exp)], ids=str)
def test_logits_of_1e4_stay_finite(f: Activation, C: Cost, dtype: Any) -> None:
    z, t = hard_rows(f, C, dtype)
    pair = output(f, C)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = f.f(z)
        value, delta = pair.value(z, y, t), pair.delta(z, y, t)
    assert value.dtype == delta.dtype == z.dtype
    assert np.isfinite(value).all()
    assert (value >= 0).all()
    assert np.isfinite(delta).all()


def test_poisson_is_finite_where_e_to_the_z_is() -> None:
    pair = output(Exp(), Poisson())
    z, t = np.array([[-1e4, 0, 88]], np.float32), np.array([[3, 0, 7]], np.float32)
    assert np.isfinite(pair.value(z, np.exp(z), t)).all()
    assert np.isfinite(pair.delta(z, np.exp(z), t)).all()
    with pytest.warns(RuntimeWarning, match="overflow"):  # the cost itself is beyond the floating-point numbers
        assert pair.value(z + 10, np.exp(z), t) == np.inf


@pytest.mark.parametrize(("dtype", "eps"), [("float32", 1.2e-7), ("float64", 2.3e-16)])
def test_binary_cross_entropy_keeps_its_digits_when_it_is_small(dtype: Any, eps: float) -> None:
    z = np.array([[-80.0], [-17.0], [-1.0], [0.0], [1.0], [17.0], [30.0], [80.0]], dtype)
    long = z[:, 0].astype(np.longdouble)
    pair = output(Sigmoid(), BinaryCrossEntropy())
    for t, expected in ((1.0, np.log1p(np.exp(-long))), (0.0, np.log1p(np.exp(long)))):
        got = pair.value(z, Sigmoid().f(z), np.full_like(z, t))
        assert (np.abs(got - expected) <= eps * (4 + np.abs(long)) * expected).all()


def test_cross_entropy_of_huge_logits_is_their_difference() -> None:
    z = np.array([[1e4, -1e4, 0], [1e4, 1e4, -1e4], [3, 3, 3]], np.float32)
    pair = output(Softmax(), CrossEntropy())
    np.testing.assert_allclose(
        pair.value(z, Softmax().f(z), np.eye(3, dtype=np.float32)), [0, np.log(2), np.log(3)], rtol=1e-6
    )
    np.testing.assert_allclose(
        pair.value(z, Softmax().f(z), np.eye(3, dtype=np.float32)[[1, 2, 0]])[:2], [2e4, 2e4], rtol=1e-4
    )


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize(("f", "C"), [*CANONICAL, (Softmax(), SquaredError()), (Sigmoid(), Huber(0.2))], ids=str)
def test_every_library_gives_the_same(library: str, dtype: Any, f: Activation, C: Cost) -> None:
    pair = output(f, C)
    z = np.random.default_rng(2).normal(scale=3, size=(20, 4)).astype(dtype)
    z = z + 1e-30j if dtype == "complex128" else z
    t = targets(f, C, z.shape).astype("float32" if dtype == "float32" else "float64")
    tolerance = {"rtol": 1e-5 if dtype == "float32" else 1e-12, "atol": 1e-6 if dtype == "float32" else 1e-13}
    for verb in (pair.value, pair.delta):
        got = run(library, lambda z, t, verb=verb: verb(z, f.f(z), t), z, t)
        np.testing.assert_allclose(got, verb(z, f.f(z), t), **tolerance, strict=True)


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("f", "C", "name", "arguments"),
    [
        (Softmax(), CrossEntropy(), "cross_entropy", {}),
        (Sigmoid(), BinaryCrossEntropy(), "binary_cross_entropy_with_logits", {}),
        (Exp(), Poisson(), "poisson_nll_loss", {"log_input": True, "full": False}),
        (Identity(), Huber(0.7), "huber_loss", {"delta": 0.7}),
        (Identity(), SquaredError(), "mse_loss", {}),
    ],
)
def test_torch_agrees(f: Activation, C: Cost, name: str, arguments: dict[str, Any], dtype: Any) -> None:
    torch = pytest.importorskip("torch")
    z = np.random.default_rng(3).normal(scale=4, size=(20, 4)).astype(dtype)
    t, pair = targets(f, C, z.shape).astype(dtype), output(f, C)
    if not isinstance(f, Exp):
        z[0] = [1e4, -1e4, 0, 90]
    peer_z = torch.tensor(z, requires_grad=True)
    peer = getattr(torch.nn.functional, name)(peer_z, torch.tensor(t), reduction="none", **arguments)
    peer = (peer if peer.ndim == 1 else peer.sum(-1)) * (0.5 if name == "mse_loss" else 1)
    peer.sum().backward()
    tolerance = {"rtol": 1e-5 if dtype == "float32" else 1e-12, "atol": 1e-5 if dtype == "float32" else 1e-12}
    np.testing.assert_allclose(pair.value(z, f.f(z), t), peer.detach().numpy(), **tolerance, strict=True)
    np.testing.assert_allclose(pair.delta(z, f.f(z), t), peer_z.grad.numpy(), **tolerance, strict=True)


@pytest.mark.peers
@pytest.mark.parametrize(("f", "C"), [p for p in PAIRS if p not in CANONICAL], ids=str)
def test_torch_autograd_agrees_on_generic_pairs(f: Activation, C: Cost) -> None:
    torch = pytest.importorskip("torch")
    z = np.random.default_rng(4).normal(scale=2, size=(20, 4))
    t, pair = targets(f, C, z.shape), output(f, C)
    peer_z = torch.tensor(z, requires_grad=True)
    value = pair.value(peer_z, f.f(peer_z), torch.tensor(t))
    value.sum().backward()  # PyTorch differentiates our value; our δ must be its gradient
    np.testing.assert_allclose(pair.delta(z, f.f(z), t), peer_z.grad.numpy(), rtol=1e-11, atol=1e-12)
