"""The recurrent layer: the document's equations written out, gradients by the complex step and by PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deltarule import Dense, Dropout, HyperparameterError, Network, ShapeError
from deltarule.arrays import COMPLEX_STEP
from deltarule.engines import textbook
from deltarule.inputs import NO_STEP
from deltarule.layers import RNN, Context

Numbers = NDArray[Any]
ACTIVATIONS = ["tanh", "sigmoid", "relu"]


def parameters(layer: RNN, n: int, random: np.random.Generator) -> dict[str, Numbers]:
    """Weights that let a gradient live for some steps."""
    shapes = layer.parameter_shapes((None, n))
    return {name: random.normal(0, 1 / np.sqrt(shape[-1]), shape) for name, shape in shapes.items()}


def lengths_mask(m: int, T: int, random: np.random.Generator) -> Numbers:
    """Which steps count: prefixes, and here and there a gap; at least one step a row."""
    mask = np.arange(T) < random.integers(1, T + 1, m)[:, None]
    gaps = random.uniform(size=(m, T)) < 0.2
    gaps[np.arange(m), np.argmax(mask & ~gaps, axis=1)] = False
    mask &= ~gaps
    mask[~mask.any(axis=1), 0] = True
    return mask


def written_out(
    layer: RNN, p: dict[str, Numbers], x: Numbers, mask: Numbers, da: Numbers, h: Numbers
) -> tuple[Numbers, Numbers]:
    """h₁ … h_T and δ₁ … δ_T of one sequence, as the document writes them, step by step."""
    f = {"tanh": np.tanh, "sigmoid": lambda z: 1 / (1 + np.exp(-z)), "relu": lambda z: np.maximum(z, 0)}[layer.f.name]
    slope = {"tanh": lambda h: 1 - h**2, "sigmoid": lambda h: h * (1 - h), "relu": lambda h: 1.0 * (h > 0)}[
        layer.f.name
    ]
    states = [h]
    for x_t, counts in zip(x, mask):
        states.append(f(p["U"] @ states[-1] + p["W"] @ x_t + p["b"]) if counts else states[-1])
    deltas, later = [], np.zeros_like(h)
    for t in reversed(range(len(x))):
        dh = da[t] + later
        deltas.insert(0, slope(states[t + 1]) * dh if mask[t] else 0 * dh)
        later = p["U"].T @ deltas[0] if mask[t] else dh
    return np.array(states[1:]), np.array(deltas)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 5), hidden=st.integers(1, 6), T=st.integers(1, 7), m=st.integers(1, 4),
    f=st.sampled_from(ACTIVATIONS), learned=st.booleans(), masked=st.booleans(), last=st.booleans(),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_it_is_the_document_s_recursion(
    n: int, hidden: int, T: int, m: int, f: str, learned: bool, masked: bool, last: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    layer = RNN(hidden, f, last=last, initial_state="learned" if learned else "zero")
    p, X = parameters(layer, n, random), random.normal(size=(m, T, n))
    mask = lengths_mask(m, T, random) if masked else np.ones((m, T), bool)
    cache = layer.forward(p, X, Context(time=mask if masked else None))
    da = random.normal(size=cache.a.shape)
    delta = layer.delta(p, da, cache)
    da_prev, g = layer.backward(p, delta, cache)
    h0 = p.get("h0", np.zeros(hidden))
    expected_g = {name: np.zeros_like(value) for name, value in p.items()}
    for i in range(m):
        every = np.zeros((T, hidden))
        every[-1 if last else slice(None)] = da[i]
        if not last:
            every[~mask[i]] = da[i][~mask[i]]
        states, deltas = written_out(layer, p, X[i], mask[i], every, h0)
        np.testing.assert_allclose(cache.a[i], states[-1] if last else states, atol=1e-12)
        np.testing.assert_allclose(cache.state[i], states[-1], atol=1e-12)
        np.testing.assert_allclose(delta[i], deltas, atol=1e-11)
        before = np.vstack([h0, states[:-1]])
        expected_g["W"] += deltas.T @ X[i]
        expected_g["U"] += deltas.T @ before
        expected_g["b"] += deltas.sum(axis=0)
        np.testing.assert_allclose(da_prev[i], deltas @ p["W"], atol=1e-11)
    for name in ("W", "U", "b"):
        np.testing.assert_allclose(g[name], expected_g[name], atol=1e-10)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("f", ACTIVATIONS)
def test_the_triangle_sums_to_delta(f: str, last: bool) -> None:
    """δ_k = Σ_{t ≥ k} δ_{t,k}, the document's double sum, and nothing comes from earlier steps."""
    random = np.random.default_rng(3)
    layer = RNN(5, f, last=last)
    p, X, mask = parameters(layer, 3, random), random.normal(size=(4, 9, 3)), lengths_mask(4, 9, random)
    for time in (None, mask):
        cache = layer.forward(p, X, Context(time=time))
        da = random.normal(size=cache.a.shape)
        triangle = layer.triangle(p, da, cache)
        assert triangle.shape == (4, 9, 9, 5)
        np.testing.assert_allclose(triangle.sum(axis=1), layer.delta(p, da, cache), atol=1e-12)
        assert not triangle[:, *np.triu_indices(9, 1)].any()


def test_the_gradient_vanishes_with_the_distance() -> None:
    """‖δ_{t,k}‖ ≤ (σ_max(U) max f′)^{t−k} ‖δ_{t,t}‖: with σ_max = ½ each step back halves it at least."""
    random = np.random.default_rng(4)
    layer = RNN(8, "tanh")
    p, X = parameters(layer, 2, random), random.normal(size=(3, 12, 2))
    p["U"] *= 0.5 / np.linalg.norm(p["U"], 2)
    cache = layer.forward(p, X, Context())
    size = np.linalg.norm(layer.triangle(p, random.normal(size=cache.a.shape), cache), axis=-1)
    for t in range(12):
        for k in range(t):
            assert (size[:, t, k] <= 0.5 * size[:, t, k + 1] + 1e-15).all()
    assert (size[:, 11, 0] < 1e-3 * size[:, 11, 11]).all()


# In a network: masks, states, tokens, both weightings of time

SPECS = [
    "seq(3)/rnn(4)/2", "seq(3)/rnn(4,last=True)/2", "seq(3)/rnn(3)/rnn(4,sigmoid)/5:tanh/2", "seq(3)/4:tanh/rnn(2)/2",
    "seq(3)/rnn(4,initial_state=learned)/2:identity", "seq(3)/rnn(3,initial_state=learned)/rnn(2,relu,last=True)/3",
    "seq(3)/rnn(2)",
]  # fmt: skip


def case(spec: str, time: str, tokens: bool, m: int = 3, T: int = 5) -> tuple[Network, Numbers, Numbers, Numbers]:
    """A network, a batch with a mask, and targets."""
    random = np.random.default_rng(7)
    net = Network(spec, dtype="float64", time=time)
    net.theta[...] = random.normal(0, 0.6, net.size)
    X = random.integers(0, 3, (m, T)) if tokens else random.normal(size=(m, T, 3))
    steps = () if net.shapes[-1][0] is not None else (T,)
    t = random.uniform(0.1, 0.9, (m, *steps, net.n_outputs))
    return net, X, t / t.sum(axis=-1, keepdims=True), lengths_mask(m, T, random)


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("time", ["mean", "sum"])
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("given", ["plain", "masked", "masked and carried"])
def test_gradients_by_the_complex_step(given: str, spec: str, time: str, tokens: bool) -> None:
    """∂C/∂θ, and ∂C/∂x, with masks, sample weights, decay, and a state that comes in."""
    net, X, t, mask = case(spec, time, tokens)
    random = np.random.default_rng(8)
    options: dict[str, Any] = {"weight_decay": 0.1, "sample_weight": np.array([0.5, 2.0, 1.0])}
    if "masked" in given:
        options["sample_weight"] = np.where(mask, options["sample_weight"][:, None], NO_STEP)
    if "carried" in given:
        options["state"] = random.normal(size=(3, net.n_state))
    done = textbook.backpropagate(net, net.theta, X, t, **options)
    found = net.join(done.gradients, net.theta)

    def at(theta: Numbers, X: Numbers) -> complex:
        return complex(textbook.evaluate(net, theta, X, t, **options).cost)

    for k in range(net.size):
        step = net.theta.astype(complex)
        step[k] += 1j * COMPLEX_STEP
        assert abs(at(step, X).imag / COMPLEX_STEP - found[k]) < 1e-12, net.name_of(k)
    for place in () if tokens else np.ndindex(X.shape):
        moved = X.astype(complex)
        moved[place] += 1j * COMPLEX_STEP
        gradient = at(net.theta.astype(complex), moved).imag / COMPLEX_STEP
        assert abs(gradient - done.input_gradient[place]) < 1e-12


@pytest.mark.parametrize("spec", SPECS)
def test_tokens_are_one_hot_rows(spec: str) -> None:
    net, tokens, t, mask = case(spec, "mean", tokens=True)
    rows = np.eye(3)[tokens]
    for found, expected in zip(
        textbook.cost_and_gradient(net, net.theta, tokens, t, sample_weight=np.where(mask, 1.0, NO_STEP)),
        textbook.cost_and_gradient(net, net.theta, rows, t, sample_weight=np.where(mask, 1.0, NO_STEP)),
    ):
        np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize("spec", [spec for spec in SPECS if "last" not in spec])
def test_windows_carry_the_state(spec: str) -> None:
    """A sequence in two windows, the state carried, answers as in one; where the cut is no gradient passes."""
    net, X, t, _ = case(spec, "sum", tokens=False, T=8)
    whole = textbook.forward(net, net.theta, X)
    first = textbook.forward(net, net.theta, X[:, :3])
    state = textbook.outgoing_state(net, first)
    second = textbook.forward(net, net.theta, X[:, 3:], state=state)
    np.testing.assert_allclose(np.concatenate([first[-1].a, second[-1].a], axis=1), whole[-1].a, atol=1e-14)
    np.testing.assert_allclose(textbook.outgoing_state(net, second), textbook.outgoing_state(net, whole), atol=1e-14)
    (C1, g1), (C2, g2) = (
        textbook.cost_and_gradient(net, net.theta, X[:, part], t[:, part], state=h)
        for part, h in ((slice(3), None), (slice(3, None), state))
    )
    C, g = textbook.cost_and_gradient(net, net.theta, X, t)
    np.testing.assert_allclose(C1 + C2, C, atol=1e-13)
    assert np.abs(g1 + g2 - g).max() > 1e-3  # truncated: what the second window owes to the first is missing


def test_the_weights_of_time() -> None:
    """mean: every step that counts weighs the same; sum: the costs of a sequence's steps add up."""
    net, X, t, mask = case("seq(3)/rnn(4)/2", "mean", tokens=False)
    w = np.array([0.5, 2.0, 1.0])
    z, y = (getattr(textbook.forward(net, net.theta, X, time=mask)[-1], name) for name in ("z", "a"))
    costs = net.output.value(z, y, t) * w[:, None] * mask
    mean = textbook.cost_and_gradient(net, net.theta, X, t, sample_weight=np.where(mask, w[:, None], NO_STEP))[0]
    np.testing.assert_allclose(mean, costs.sum() / (w[:, None] * mask).sum(), atol=1e-14)
    added = Network("seq(3)/rnn(4)/2", dtype="float64", time="sum")
    total = textbook.cost_and_gradient(added, net.theta, X, t, sample_weight=np.where(mask, w[:, None], NO_STEP))[0]
    np.testing.assert_allclose(total, costs.sum() / w.sum(), atol=1e-14)


def test_what_is_masked_has_no_influence() -> None:
    """Inputs and targets of steps that do not count change neither cost nor gradient, whatever they are."""
    for spec in SPECS:
        net, X, t, mask = case(spec, "mean", tokens=False)
        w = np.where(mask, 1.0, NO_STEP)
        expected = textbook.cost_and_gradient(net, net.theta, X, t, sample_weight=w)
        X[~mask] = 1e3
        if t.ndim == 3:
            t[~mask] = 7
        for found, before in zip(textbook.cost_and_gradient(net, net.theta, X, t, sample_weight=w), expected):
            np.testing.assert_array_equal(found, before)


# What it refuses, and how it is written


@pytest.mark.parametrize(("spec", "error", "said"), [
    ("784/rnn(3)/10", ShapeError, "layer 1 (rnn(3,tanh)): it takes sequences, such as seq(65), and 784 comes in"),
    ("seq(3)/rnn(3,last=True)/rnn(3)/2", ShapeError, "layer 2"),
    ("seq(3)/rnn(3,gelu)/2", HyperparameterError, "tanh, sigmoid or relu, not 'gelu'"),
    ("seq(3)/rnn(0)/2", HyperparameterError, "hidden"),
    ("seq(3)/rnn(3,initial_state=5)/2", HyperparameterError, "initial_state is zero or learned"),
    ("seq(3)/rnn(3,last=2)/2", HyperparameterError, "last is True or False"),
    ("seq(3)/rnn()/2", HyperparameterError, "hidden"),
])  # fmt: skip
def test_errors(spec: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        Network(spec)
    assert said in str(caught.value)


def test_costs_from_logits_need_an_output_layer() -> None:
    with pytest.raises(HyperparameterError, match="takes an output layer above"):
        Network([RNN(3, "sigmoid")], input_shape=(None, 2), cost="binary cross-entropy")
    with pytest.raises(HyperparameterError, match="time is 'mean' or 'sum'"):
        Network("seq(3)/rnn(2)/2", time="average")


def test_text_and_defaults() -> None:
    net = Network("seq(65)/rnn(128)/65")
    assert str(net.layers[0]) == "rnn(128,tanh)"
    assert str(Network("seq(65)/rnn(128)/65", activation="relu").layers[0]) == "rnn(128,relu)"
    assert str(net).splitlines()[0] == "seq(65)/rnn(128)/65"
    assert net.shapes == ((None, 65), (None, 128), (None, 65))
    assert net.n_state == 128
    again = Network(str(Network([RNN(4, "relu", last=True, initial_state="learned"), Dense(2)], input_shape=(None, 3))))
    assert again.layers[0] == RNN(4, "relu", last=True, initial_state="learned")
    assert set(Network("seq(3)/rnn(4,initial_state=learned)/2").parameters()) == {
        "1.W",
        "1.U",
        "1.b",
        "1.h0",
        "2.W",
        "2.b",
    }
    assert net.decayed.sum() == 128 * 65 + 128 * 128 + 65 * 128  # W, U and the output's W
    assert Network([RNN(3), Dropout(0.5), Dense(2)], input_shape=(None, 2)).n_state == 3


# PyTorch


@pytest.mark.peers
@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 5), hidden=st.integers(1, 6), T=st.integers(1, 7), m=st.integers(1, 4),
    f=st.sampled_from(["tanh", "relu"]), carried=st.booleans(),
)  # fmt: skip
def test_torch(n: int, hidden: int, T: int, m: int, f: str, carried: bool) -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(11)
    layer = RNN(hidden, f)
    p, X = parameters(layer, n, random), random.normal(size=(m, T, n))
    h = random.normal(size=(m, hidden)) if carried else None
    cache = layer.forward(p, X, Context(state=h))
    da = random.normal(size=cache.a.shape)
    da_prev, g = layer.backward(p, layer.delta(p, da, cache), cache)
    theirs = torch.nn.RNN(n, hidden, nonlinearity=f, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for name, value in (("weight_ih_l0", "W"), ("weight_hh_l0", "U"), ("bias_ih_l0", "b")):
            getattr(theirs, name).copy_(torch.tensor(p[value]))
        theirs.bias_hh_l0.zero_()
    x = torch.tensor(X, requires_grad=True)
    y, state = theirs(x, None if h is None else torch.tensor(h)[None])
    np.testing.assert_allclose(cache.a, y.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(cache.state, state[0].detach().numpy(), atol=1e-12)
    y.backward(torch.tensor(da))
    np.testing.assert_allclose(da_prev, x.grad.numpy(), atol=1e-10)
    for name, value in (("weight_ih_l0", "W"), ("weight_hh_l0", "U"), ("bias_ih_l0", "b")):
        np.testing.assert_allclose(g[value], getattr(theirs, name).grad.numpy(), atol=1e-10)
