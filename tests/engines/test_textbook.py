"""The textbook engine against the documents' equations written out, in every array library, and against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import LIBRARIES
from numpy.typing import NDArray

import deltarule as dr
from deltarule.activations import ACTIVATIONS, Activation, Exp, Sigmoid, Softmax
from deltarule.costs import COSTS, BinaryCrossEntropy, Cost, CrossEntropy, Poisson
from deltarule.engines import Settings, Slice, textbook
from deltarule.optimizers import OPTIMIZERS, SGD

Numbers = NDArray[Any]
HIDDEN = [f() for f in ACTIVATIONS.values() if f is not Softmax]
ONLY_WITH = {CrossEntropy: Softmax, BinaryCrossEntropy: Sigmoid, Poisson: Exp}
PAIRS = [(f(), C()) for f in ACTIVATIONS.values() for C in COSTS.values() if ONLY_WITH.get(C, f) is f]
DEPTHS = ["3/2", "4/3/2", "3/5/4/2", "2/3/1/3/2", "5/4/4/4/4/3"]


def network(spec: Any, **settings: Any) -> dr.Network:
    """A float64 network with biases that are not 0."""
    net = dr.Network(spec, **{"dtype": "float64", "activation": "tanh", "seed": 1} | settings)
    for s in net.slots:
        if s.name == "b":
            net.theta[s.start : s.stop] = np.random.default_rng(s.start).normal(scale=0.3, size=s.shape)
    return net


def targets(output: Activation, cost: Cost, shape: tuple[int, int], random: np.random.Generator) -> Numbers:
    """Targets the pair is made for."""
    if isinstance(output, Softmax):
        return random.dirichlet(np.ones(shape[1]), shape[0])
    if isinstance(cost, BinaryCrossEntropy):
        return random.uniform(0, 1, shape)
    if isinstance(cost, Poisson):
        return random.poisson(3.0, shape).astype(float)
    return random.normal(scale=2, size=shape)


# The documents' equations, one sample and one unit at a time


def sigma(z: float) -> float:
    return 1 / (1 + np.exp(-z))


HIDDEN_EQUATIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "sigmoid": (sigma, lambda z: sigma(z) * (1 - sigma(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: max(z, 0.0), lambda z: float(z > 0)),
}


def outputs_of(kind: str, z: list[float]) -> list[float]:
    if kind == "softmax":
        return [np.exp(v) / sum(np.exp(u) for u in z) for v in z]
    return [sigma(v) if kind == "sigmoid" else v for v in z]


def cost_of(kind: str, y: list[float], t: Numbers) -> float:
    if kind == "softmax":
        return -sum(t[k] * np.log(y[k]) for k in range(len(y)))
    if kind == "sigmoid":
        return -sum(t[k] * np.log(y[k]) + (1 - t[k]) * np.log(1 - y[k]) for k in range(len(y)))
    return sum((y[k] - t[k]) ** 2 for k in range(len(y))) / 2


def written_out(
    net: dr.Network, X: Numbers, t: Numbers, hidden: str, output: str, w: Any = None, decay: float = 0.0
) -> tuple[float, Numbers]:
    """Document 002's loop: for every sample, forward, δ backward, Δ := Δ + δ aᵀ; then D = Δ / Σw + λ W."""
    f, df = HIDDEN_EQUATIONS[hidden]
    W = [net.parameters()[f"{n}.W"] for n in range(1, len(net.layers) + 1)]
    b = [net.parameters()[f"{n}.b"] for n in range(1, len(net.layers) + 1)]
    L, m = len(W), len(X)
    w = np.ones(m) if w is None else np.asarray(w)
    big_delta = [(np.zeros_like(W[n]), np.zeros_like(b[n])) for n in range(L)]
    C = 0.0
    for i in range(m):
        a, z = [list(X[i])], []
        for n in range(L):
            z.append([sum(W[n][j, k] * a[n][k] for k in range(len(a[n]))) + b[n][j] for j in range(len(b[n]))])
            a.append(outputs_of(output, z[n]) if n == L - 1 else [f(v) for v in z[n]])
        C += w[i] * cost_of(output, a[L], t[i])
        delta = [a[L][j] - t[i][j] for j in range(len(a[L]))]  # δ⁽ᴸ⁾ = ŷ − t
        for n in reversed(range(L)):
            for j in range(len(delta)):
                for k in range(len(a[n])):
                    big_delta[n][0][j, k] += w[i] * delta[j] * a[n][k]
                big_delta[n][1][j] += w[i] * delta[j]
            if n > 0:
                delta = [
                    df(z[n - 1][k]) * sum(W[n][j, k] * delta[j] for j in range(len(delta))) for k in range(len(a[n]))
                ]
    C = C / w.sum() + decay / 2 * sum(float(np.sum(v * v)) for v in W)
    parts = [(dW / w.sum() + decay * v, db / w.sum()) for (dW, db), v in zip(big_delta, W)]
    return C, np.concatenate([np.concatenate([dW.ravel(), db]) for dW, db in parts])


@pytest.mark.parametrize("spec", DEPTHS)
@pytest.mark.parametrize("hidden", list(HIDDEN_EQUATIONS))
@pytest.mark.parametrize("output", ["softmax", "sigmoid", "identity"])
def test_it_is_the_documents_loop_over_samples(spec: str, hidden: str, output: str) -> None:
    net = network(spec, activation=hidden, output=output)
    random = np.random.default_rng(0)
    X = random.normal(size=(6, net.input_shape[0]))
    t = targets(net.output.activation, net.output.cost, (6, net.n_outputs), random)
    for w, decay in [(None, 0.0), (random.uniform(0, 3, 6), 0.3)]:
        C, g = textbook.cost_and_gradient(net, net.theta, X, t, sample_weight=w, weight_decay=decay)
        expected_C, expected = written_out(net, X, t, hidden, output, w, decay)
        assert pytest.approx(expected_C, rel=1e-13) == C
        np.testing.assert_allclose(g, expected, rtol=1e-11, atol=1e-14)
    assert isinstance(g, np.ndarray)
    assert np.abs(g).max() > 1e-3


def test_accumulating_over_samples_is_the_batch_gradient() -> None:
    net = network("4/5/3", activation="sigmoid")
    random = np.random.default_rng(0)
    X, t = random.normal(size=(7, 4)), random.integers(0, 3, 7)
    accumulated = sum(textbook.cost_and_gradient(net, net.theta, X[i : i + 1], t[i : i + 1])[1] for i in range(7))
    C = np.mean([textbook.cost_and_gradient(net, net.theta, X[i : i + 1], t[i : i + 1])[0] for i in range(7)])
    batch_C, batch = textbook.cost_and_gradient(net, net.theta, X, t)
    np.testing.assert_allclose(accumulated / 7, batch, rtol=1e-12, atol=1e-15)
    assert batch_C == pytest.approx(C, rel=1e-13)


def one_step(net: dr.Network, x: Numbers, t: Numbers, rate: float) -> None:
    dr.train(net, x[None], t[None], optimizer="sgd", learning_rate=rate, epochs=1, batch_size=1, verbose=False)


@pytest.mark.parametrize("g", ["sigmoid", "tanh", "identity"])
def test_one_step_is_the_perceptron_s_rule(g: str) -> None:
    """Document 001: W_j ← W_j + α Err g′(in) x_j, with Err = y − h(x) and x_0 = 1 for the bias."""
    net = network("4/1", output=g, cost="squared error")
    x, y, alpha = np.array([0.5, -1.0, 2.0, 0.25]), np.array([0.8]), 0.3
    W, b = net.parameters()["1.W"][0].copy(), net.parameters()["1.b"][0]
    z = float(W @ x + b)
    h, dg = {"sigmoid": (sigma(z), sigma(z) * (1 - sigma(z))), "tanh": (np.tanh(z), 1 - np.tanh(z) ** 2),
             "identity": (z, 1.0)}[g]  # fmt: skip
    err = y[0] - h
    one_step(net, x, y, alpha)
    for j in range(4):
        assert net.parameters()["1.W"][0, j] == pytest.approx(W[j] + alpha * err * dg * x[j], rel=1e-14)
    assert net.parameters()["1.b"][0] == pytest.approx(b + alpha * err * dg, rel=1e-14)


def test_one_step_is_the_multilayer_delta_rule() -> None:
    """Document 001: Δ_i = Err_i g′(in_i), Δ_j = g′(in_j) Σ_i W_ji Δ_i; W_ji ← W_ji + α a_j Δ_i, and so before."""
    net = network("3/4/2", activation="sigmoid", output="sigmoid", cost="squared error")
    old = {key: value.copy() for key, value in net.parameters().items()}
    x, y, alpha = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.2]), 0.7
    in_j = old["1.W"] @ x + old["1.b"]
    a_j = sigma(in_j)
    in_i = old["2.W"] @ a_j + old["2.b"]
    big_i = [(y[i] - sigma(in_i[i])) * sigma(in_i[i]) * (1 - sigma(in_i[i])) for i in range(2)]
    big_j = [a_j[j] * (1 - a_j[j]) * sum(old["2.W"][i, j] * big_i[i] for i in range(2)) for j in range(4)]
    one_step(net, x, y, alpha)
    new = net.parameters()
    np.testing.assert_allclose(new["2.W"], old["2.W"] + alpha * np.outer(big_i, a_j), rtol=1e-13)
    np.testing.assert_allclose(new["2.b"], old["2.b"] + alpha * np.array(big_i), rtol=1e-13)
    np.testing.assert_allclose(new["1.W"], old["1.W"] + alpha * np.outer(big_j, x), rtol=1e-13)
    np.testing.assert_allclose(new["1.b"], old["1.b"] + alpha * np.array(big_j), rtol=1e-13)


def test_the_pass_shows_every_quantity() -> None:
    net = network("3/4/2", activation="sigmoid")
    X, t = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])
    done, p = textbook.backpropagate(net, net.theta, X, t), net.parameters()
    first, last = done.caches
    np.testing.assert_allclose(first.z, X @ p["1.W"].T + p["1.b"], rtol=1e-14)
    np.testing.assert_allclose(first.a, sigma(first.z), rtol=1e-13)
    np.testing.assert_array_equal(last.a_prev, first.a)
    np.testing.assert_allclose(done.deltas[1], last.a - np.eye(2)[t], rtol=1e-14)  # per sample, not averaged
    np.testing.assert_allclose(
        done.deltas[0], (done.deltas[1] @ p["2.W"]) * sigma(first.z) * (1 - sigma(first.z)), rtol=1e-13
    )
    np.testing.assert_allclose(done.gradients[0]["W"], done.deltas[0].T @ X / 5, rtol=1e-13)
    np.testing.assert_allclose(done.gradients[1]["b"], done.deltas[1].mean(axis=0), rtol=1e-13, atol=1e-17)
    np.testing.assert_allclose(done.input_gradient, done.deltas[0] @ p["1.W"] / 5, rtol=1e-13)
    np.testing.assert_array_equal(textbook.forward(net, net.theta, X)[-1].a, last.a)


# Zero initialisation


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "rprop"])
@pytest.mark.parametrize("hidden", ["sigmoid", "tanh"])
def test_zero_weights_keep_hidden_units_identical_for_ever(optimizer: str, hidden: str) -> None:
    zeros = [dr.Dense(6, hidden, "zeros"), dr.Dense(5, hidden, "zeros"), dr.Dense(3, "softmax", "zeros")]
    net = dr.Network(zeros, input_shape=(4,))
    random = np.random.default_rng(0)
    X, t = random.normal(size=(40, 4)), random.integers(0, 3, 40)
    dr.train(net, X, t, optimizer=optimizer, epochs=8, batch_size=8, learning_rate=0.05, verbose=False)
    p = net.parameters()
    assert np.abs(p["3.b"]).max() > 0  # it did learn something
    if hidden == "sigmoid":
        assert np.abs(p["3.W"]).max() > 0
    for key in ("1.W", "2.W", "1.b", "2.b"):
        np.testing.assert_array_equal(p[key], np.broadcast_to(p[key][:1], p[key].shape))  # every unit is the first
    np.testing.assert_array_equal(p["3.W"], np.broadcast_to(p["3.W"][:, :1], p["3.W"].shape))
    other = dr.Network("4/6/5/3", activation=hidden)
    dr.train(other, X, t, optimizer=optimizer, epochs=1, learning_rate=0.05, verbose=False)
    assert np.ptp(other.parameters()["1.b"]) > 0  # with random weights they part


def test_zero_weights_leave_the_last_biases_a_gradient() -> None:
    """The documents say that W = 0 makes all gradients 0; the last layer's biases are the exception."""
    for hidden in ("tanh", "relu"):  # f(0) = 0
        net = dr.Network("3/4/2", activation=hidden, dtype="float64")
        net.theta[:] = 0
        g = net.cost_and_gradient(np.eye(3), [0, 0, 1])[1]
        np.testing.assert_allclose(g[-2:], [-1 / 6, 1 / 6], rtol=1e-14)
        np.testing.assert_array_equal(g[:-2], 0)
    net = dr.Network("3/4/2", activation="sigmoid", dtype="float64")  # f(0) = ½: the last weights' too
    net.theta[:] = 0
    g = net.cost_and_gradient(np.eye(3), [0, 0, 1])[1]
    np.testing.assert_allclose(g[-2:], [-1 / 6, 1 / 6], rtol=1e-14)
    np.testing.assert_allclose(np.abs(g[-10:-2]), 1 / 12, rtol=1e-14)
    np.testing.assert_array_equal(g[:-10], 0)


# Sample weights, decay, frozen layers, dropout


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "identity", "tanh"])
def test_a_weight_is_a_repetition(output: str) -> None:
    net = network("3/4/2", output=output)
    random = np.random.default_rng(0)
    X, w = random.normal(size=(4, 3)), np.array([3, 1, 0, 2])
    t = targets(net.output.activation, net.output.cost, (4, 2), random)
    C, g = net.cost_and_gradient(X, t, sample_weight=w, weight_decay=0.2)
    repeated_C, repeated = net.cost_and_gradient(np.repeat(X, w, axis=0), np.repeat(t, w, axis=0), weight_decay=0.2)
    assert pytest.approx(repeated_C, rel=1e-13) == C
    np.testing.assert_allclose(g, repeated, rtol=1e-11, atol=1e-15)
    scaled = net.cost_and_gradient(X, t, sample_weight=w * 7.5, weight_decay=0.2)[1]
    np.testing.assert_allclose(g, scaled, rtol=1e-12, atol=1e-15)  # only their proportions count


def test_rows_of_weight_0_do_not_matter() -> None:
    net = network("3/4/2")
    X, t, w = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, 1, 0]), np.array([1.0, 0, 2, 0])
    before = net.cost_and_gradient(X, t, sample_weight=w)
    X[[1, 3]] = [[100, -30, 7], [0, 1e3, 5]]
    after = net.cost_and_gradient(X, np.where(w > 0, t, 1 - t), sample_weight=w)
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1], after[1])
    kept = net.cost_and_gradient(X[[0, 2]], t[[0, 2]], sample_weight=[1.0, 2.0])
    assert kept[0] == pytest.approx(before[0], rel=1e-14)


def test_a_batch_without_weight_has_only_decay() -> None:
    """Within a training some batch may hold rows of weight 0 alone; a whole data set of them is refused."""
    net = network("3/4/2")
    X, t, zero = np.ones((3, 3)), np.array([0, 1, 1]), np.zeros(3)
    C, g = textbook.cost_and_gradient(net, net.theta, X, t, sample_weight=zero)
    assert C == 0
    np.testing.assert_array_equal(g, 0)
    C, g = textbook.cost_and_gradient(net, net.theta, X, t, sample_weight=zero, weight_decay=0.5)
    np.testing.assert_allclose(g, 0.5 * net.theta * net.decayed, rtol=1e-15)
    assert pytest.approx(0.25 * np.sum((net.theta * net.decayed) ** 2), rel=1e-14) == C
    with pytest.raises(dr.DataError, match="some must be positive"):
        net.cost_and_gradient(X, t, sample_weight=zero)


def test_decay_reaches_weights_and_not_biases() -> None:
    net = network("3/4/2")
    X, t = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, 1, 0])
    plain_C, plain = net.cost_and_gradient(X, t)
    C, g = net.cost_and_gradient(X, t, weight_decay=0.7)
    is_weight = np.concatenate([np.full(s.stop - s.start, s.name == "W") for s in net.slots])
    np.testing.assert_array_equal(net.decayed, is_weight)
    np.testing.assert_allclose(g - plain, 0.7 * net.theta * is_weight, rtol=1e-12, atol=1e-16)
    assert C - plain_C == pytest.approx(0.35 * np.sum(net.theta[is_weight] ** 2), rel=1e-12)


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, "adamw(weight_decay=0.5)"])
def test_frozen_layers_have_no_gradient_and_stay_bit_for_bit(optimizer: str) -> None:
    layers = [dr.Dense(5, "tanh", trainable=False), dr.Dense(5, "tanh"), dr.Dense(3, trainable=False)]
    net = dr.Network(layers, input_shape=(4,))
    free = dr.Network("4/5/5/3", activation="tanh", seed=0)
    random = np.random.default_rng(0)
    X, t = random.normal(size=(40, 4)), random.integers(0, 3, 40)
    g, free_g = (n.cost_and_gradient(X, t, weight_decay=0.1, theta=free.theta)[1] for n in (net, free))
    np.testing.assert_array_equal(g, np.where(net.trainable, free_g, 0))
    assert (g[net.trainable] != 0).all()
    before = net.theta.copy()
    decay = 0.0 if optimizer.startswith("adamw") else 0.1
    dr.train(net, X, t, optimizer=optimizer, learning_rate=0.05, epochs=4, weight_decay=decay, clip_norm=1.0,
             verbose=False)  # fmt: skip
    assert net.theta[~net.trainable].tobytes() == before[~net.trainable].tobytes()
    assert (net.theta[net.trainable] != before[net.trainable]).all()


def test_dropout_by_hand() -> None:
    layers = [dr.Dense(4, "tanh"), dr.Dropout(0.5), dr.Dense(2)]
    net = dr.Network(layers, input_shape=(3,), dtype="float64", seed=2)
    X, t, p = np.random.default_rng(0).normal(size=(3, 3)), np.array([0, 1, 1]), net.parameters()
    mask = np.array([[0, 2, 2, 0], [2, 2, 2, 2], [0, 0, 0, 0.0]])  # 1/(1 − rate) where a unit stays
    done = textbook.backpropagate(net, net.theta, X, t, masks={2: mask})
    a1 = np.tanh(X @ p["1.W"].T + p["1.b"])
    z = (mask * a1) @ p["3.W"].T + p["3.b"]
    y = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    delta = y - np.eye(2)[t]
    delta1 = mask * (delta @ p["3.W"]) * (1 - a1**2)
    assert done.cost == pytest.approx(-np.log(y[range(3), t]).mean(), rel=1e-13)
    np.testing.assert_allclose(done.gradients[2]["W"], delta.T @ (mask * a1) / 3, rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(done.gradients[0]["W"], delta1.T @ X / 3, rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(done.input_gradient, delta1 @ p["1.W"] / 3, rtol=1e-12, atol=1e-16)
    assert done.gradients[1] == {}
    np.testing.assert_array_equal(done.deltas[0][2], 0)  # everything dropped


def test_dropout_is_off_outside_training() -> None:
    dropped = dr.Network([dr.Dense(4, "tanh"), dr.Dropout(0.5), dr.Dense(2)], input_shape=(3,), dtype="float64")
    plain = dr.Network("3/4/2", activation="tanh", dtype="float64")
    plain.theta = dropped.theta
    X, t = np.random.default_rng(0).normal(size=(5, 3)), [0, 1, 1, 0, 1]
    np.testing.assert_array_equal(dropped.forward(X), plain.forward(X))
    assert dropped.evaluate(X, t) == plain.evaluate(X, t)
    for a, b in zip(dropped.cost_and_gradient(X, t), plain.cost_and_gradient(X, t)):
        np.testing.assert_array_equal(a, b)


def test_dropout_masks_are_those_of_the_step_row_and_unit() -> None:
    layers = [dr.Dense(50, "tanh"), dr.Dropout(0.25), dr.Dense(50, "tanh"), dr.Dropout(0.0), dr.Dense(2)]
    net = dr.Network(layers, input_shape=(3,))
    rows = np.arange(40)
    masks = textbook.dropout_masks(net, 7, 3, rows, np.float32)
    assert set(masks) == {2, 4}
    assert masks[2].shape == (40, 50)
    assert masks[2].dtype == np.float32
    assert set(np.unique(masks[2])) == {0, np.float32(1) / np.float32(0.75)}
    assert abs((masks[2] > 0).mean() - 0.75) < 0.03
    np.testing.assert_array_equal(masks[4], 1)
    alone = textbook.dropout_masks(net, 7, 3, rows[[31, 4]], np.float32)
    np.testing.assert_array_equal(alone[2], masks[2][[31, 4]])  # whatever batch a row stands in
    assert (textbook.dropout_masks(net, 7, 4, rows, np.float32)[2] != masks[2]).any()
    assert (textbook.dropout_masks(net, 8, 3, rows, np.float32)[2] != masks[2]).any()


def test_training_steps_use_these_masks() -> None:
    layers = [dr.Dense(6, "tanh"), dr.Dropout(0.5), dr.Dense(2)]
    net = dr.Network(layers, input_shape=(3,), dtype="float64")
    X, t = np.random.default_rng(0).normal(size=(8, 3)), np.array([0, 1, 1, 0, 1, 0, 0, 1])
    theta, batches, costs = net.theta.copy(), [np.arange(4), np.arange(4, 8)], []
    thetas = []
    for step, rows in enumerate(batches, 1):
        masks = textbook.dropout_masks(net, 5, step, rows, np.float64)
        C, g = textbook.cost_and_gradient(net, theta, X[rows], t[rows], masks=masks)
        theta, costs = theta - 0.1 * g, [*costs, float(C)]
        thetas.append(theta)
    part = Slice(
        np.arange(8), np.array([4, 8]), np.array([0.1, 0.1]), [SGD(), SGD()], first_step=1, keeps=np.array([1])
    )
    outcome = textbook.train(net, net.theta, SGD().begin(net.theta), X, t, None, part, Settings(seed=5))
    np.testing.assert_allclose(outcome.theta, theta, rtol=1e-14)
    np.testing.assert_allclose(outcome.kept, thetas[:1], rtol=1e-14)
    assert outcome.costs.tolist() == costs
    assert outcome.diverged is None
    dr.train(
        net, X, t, optimizer=SGD(), learning_rate=0.1, epochs=1, batch_size=4, shuffle=False, seed=5, verbose=False
    )
    np.testing.assert_allclose(net.theta, theta, rtol=1e-14)


# Clipping


def test_clipping() -> None:
    g = np.array([3.0, -4.0, 0.0])
    np.testing.assert_array_equal(textbook.clip(g, None, None), g)
    np.testing.assert_allclose(textbook.clip(g, 1.0, None), g / 5, rtol=1e-15)
    np.testing.assert_array_equal(textbook.clip(g, 6.0, None), g)
    np.testing.assert_array_equal(textbook.clip(g, None, 2.0), [2, -2, 0])
    np.testing.assert_allclose(textbook.clip(g, 1.0, 3.0), np.array([1, -1, 0]) / np.sqrt(2), rtol=1e-15)
    np.testing.assert_allclose(textbook.clip(g * 1e300, 1.0, None), g / 5, rtol=1e-15)  # no square overflows
    np.testing.assert_array_equal(textbook.clip(g * 0, 1.0, None), 0)


# One engine, every array library


def in_library(library: str, net: dr.Network, theta: Numbers, X: Numbers, t: Numbers, **arrays: Any) -> tuple[Any, Any]:
    """(C, gradient) computed in `library` (JAX: traced by `jit` with respect to θ), as NumPy."""
    if library == "torch":
        torch = pytest.importorskip("torch")
        make = torch.from_numpy
    elif library == "jax":
        jax = pytest.importorskip("jax")
        jax.config.update("jax_enable_x64", True)
        make = jax.numpy.asarray
    else:
        make = array_api_strict.asarray
    given = {k: make(v) if isinstance(v, np.ndarray) else v for k, v in arrays.items()}

    def f(theta: Any) -> Any:
        return textbook.cost_and_gradient(net, theta, make(X), make(t), **given)

    C, g = (jax.jit(f) if library == "jax" else f)(make(theta))
    assert type(g) is type(make(theta))
    assert type(C) is type(g)
    if library == "array_api_strict":
        return np.from_dlpack(C), np.from_dlpack(g)
    return np.asarray(C), np.asarray(g)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", ["labels", "soft rows", "weights and decay", "one unit", "generic", "dropout"])
def test_every_library_gives_the_same(library: str, dtype: str, form: str) -> None:
    random = np.random.default_rng(0)
    X, t, settings = random.normal(size=(9, 4)).astype(dtype), random.integers(0, 3, 9), {}
    net = network("4/6/5/3", dtype=dtype)
    if form == "soft rows":
        t = random.dirichlet(np.ones(3), 9).astype(dtype)
    if form == "weights and decay":
        settings = {"sample_weight": random.uniform(0, 2, 9).astype(dtype), "weight_decay": 0.1}
    if form == "one unit":
        net, t = network("4/6/1", dtype=dtype, activation="gelu"), (t > 1).astype(dtype)
    if form == "generic":
        net = network("4/6/3", dtype=dtype, activation="relu", output="sigmoid", cost="huber(0.3)")
        t = random.normal(size=(9, 3)).astype(dtype)
    if form == "dropout":
        net = network([dr.Dense(6, "tanh"), dr.Dropout(0.5), dr.Dense(3)], input_shape=(4,), dtype=dtype)
        settings = {"masks": textbook.dropout_masks(net, 0, 1, np.arange(9), dtype)}
    C, g = textbook.cost_and_gradient(net, net.theta, X, t, **settings)
    got_C, got = in_library(library, net, net.theta, X, t, **settings)
    eps = np.finfo(dtype).eps
    assert g.dtype == got.dtype == dtype
    assert got_C.dtype == dtype
    np.testing.assert_allclose(got_C, C, rtol=16 * eps)
    np.testing.assert_allclose(got, g, rtol=64 * eps, atol=16 * eps * np.abs(g).max())


@pytest.mark.parametrize("library", LIBRARIES)
def test_numpy_data_are_taken_with_any_theta(library: str) -> None:
    net = network("4/6/3")
    X, t = np.random.default_rng(0).normal(size=(5, 4)), np.array([0, 1, 2, 1, 0])
    make: Any = array_api_strict.asarray
    if library != "array_api_strict":
        peer = pytest.importorskip(library)
        if library == "jax":
            peer.config.update("jax_enable_x64", True)
        make = peer.numpy.asarray if library == "jax" else peer.from_numpy
    g = textbook.cost_and_gradient(net, make(net.theta), X, t)[1]
    assert type(g) is type(make(net.theta))
    g = np.from_dlpack(g) if library == "array_api_strict" else np.asarray(g)
    np.testing.assert_allclose(g, net.cost_and_gradient(X, t)[1], rtol=1e-12, atol=1e-16)


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_jax_traces_it_and_differentiates_it(dtype: str) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    net = network("4/6/5/3", dtype=dtype, activation="swish")
    X = np.random.default_rng(0).normal(size=(9, 4)).astype(dtype)
    t, traced = np.random.default_rng(1).integers(0, 3, 9), []

    def f(theta: Any) -> Any:
        traced.append(type(theta))
        return textbook.cost_and_gradient(net, theta, X, t, weight_decay=0.1)

    compiled = jax.jit(f)
    for scale in (1.0, 0.5, 2.0):
        C, g = compiled(jax.numpy.asarray(net.theta * scale))
        expected_C, expected = net.cost_and_gradient(X, t, weight_decay=0.1, theta=net.theta * scale)
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(C, expected_C, rtol=16 * eps)
        np.testing.assert_allclose(g, expected, rtol=64 * eps, atol=16 * eps)
    assert len(traced) == 1  # compiled once, run three times
    assert issubclass(traced[0], jax.core.Tracer)
    own = jax.grad(lambda theta: textbook.evaluate(net, theta, X, t, weight_decay=0.1).cost)(
        jax.numpy.asarray(net.theta)
    )
    expected = net.cost_and_gradient(X, t, weight_decay=0.1)[1]
    np.testing.assert_allclose(own, expected, rtol=64 * eps, atol=16 * eps)
    assert own.dtype == dtype


def test_complex_theta_gives_a_complex_cost_and_the_same_real_part() -> None:
    net = network("4/6/3")
    X, t, d = np.random.default_rng(0).normal(size=(5, 4)), np.array([0, 1, 2, 1, 0]), np.arange(net.size) % 5 - 2.0
    C, g = textbook.cost_and_gradient(net, net.theta, X, t, weight_decay=0.1)
    there = textbook.evaluate(net, net.theta + 1e-30j * d, X, t, weight_decay=0.1).cost
    assert there.real == pytest.approx(C, rel=1e-14)
    assert there.imag / 1e-30 == pytest.approx(g @ d, rel=1e-12)


# Odd shapes


@given(
    sizes=st.lists(st.integers(1, 6), min_size=0, max_size=3),
    n=st.integers(1, 5),
    k=st.integers(1, 4),
    m=st.integers(1, 70),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_any_shape(sizes: list[int], n: int, k: int, m: int, data: st.DataObject) -> None:
    """One-unit layers, no hidden layer, any batch: the gradient is that of the complex step along random directions."""
    hidden = data.draw(st.sampled_from([f for f in HIDDEN if len(sizes) < 2 or f != Exp()]))  # no e^e^z
    pair = data.draw(st.sampled_from([(f, C) for f, C in PAIRS if k > 1 or not isinstance(f, Softmax)]))
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    spec = "/".join(map(str, [n, *sizes, k]))
    net = network(spec, activation=hidden, output=pair[0], cost=pair[1], seed=m)
    net.theta /= 2
    X, t, w = random.normal(size=(m, n)), targets(*pair, (m, k), random), random.uniform(0.1, 2, m)
    done = textbook.backpropagate(net, net.theta, X, t, sample_weight=w, weight_decay=0.05)
    C, g = textbook.cost_and_gradient(net, net.theta, X, t, sample_weight=w, weight_decay=0.05)
    assert g.shape == net.theta.shape
    assert done.input_gradient.shape == X.shape
    assert done.cost == C
    direction, x_direction = random.normal(size=net.size), random.normal(size=X.shape)
    there = textbook.evaluate(
        net, net.theta + 1e-30j * direction, X + 1e-30j * x_direction, t, sample_weight=w, weight_decay=0.05
    )
    size = np.linalg.norm(g) * np.linalg.norm(direction) + np.linalg.norm(done.input_gradient) * np.linalg.norm(
        x_direction
    )
    expected = g @ direction + np.sum(done.input_gradient * x_direction)
    assert abs(there.cost.imag / 1e-30 - expected) <= 1e-12 * size
    assert there.cost.real == pytest.approx(float(C), rel=1e-12, abs=1e-12)


@given(m=st.integers(1, 70), split=st.integers(0, 70))
@settings(max_examples=25, deadline=None)
def test_a_batch_is_the_weighted_mean_of_its_parts(m: int, split: int) -> None:
    net, random = network("3/4/2", activation="sigmoid"), np.random.default_rng(m)
    X, t, k = random.normal(size=(m, 3)), random.integers(0, 2, m), min(split, m - 1)
    C, g = net.cost_and_gradient(X, t)
    parts = [(len(part), *net.cost_and_gradient(X[part], t[part])) for part in np.split(np.arange(m), [k]) if len(part)]
    assert pytest.approx(sum(n * c for n, c, _ in parts) / m, rel=1e-12) == C
    np.testing.assert_allclose(g, sum(n * part for n, _, part in parts) / m, rtol=1e-10, atol=1e-14)


# PyTorch's autograd, from PyTorch's own functions


def torch_functions(torch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    F = torch.nn.functional
    f = {
        "identity": lambda z: z, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": F.relu, "elu": F.elu,
        "scaled tanh": lambda z: 1.7159 * torch.tanh(z * (2 / 3)), "leaky relu": F.leaky_relu, "softplus": F.softplus,
        "swish": F.silu, "gelu": lambda z: F.gelu(z, approximate="tanh"), "exp": torch.exp,
        "softmax": lambda z: F.softmax(z, dim=-1),
    }  # fmt: skip

    def quantile(z: Any, y: Any, t: Any) -> Any:
        return torch.maximum(0.5 * (t - y), 0.5 * (y - t))

    C = {
        "squared error": lambda z, y, t: 0.5 * F.mse_loss(y, t, reduction="none"),
        "binary cross entropy": lambda z, y, t: F.binary_cross_entropy_with_logits(z, t, reduction="none"),
        "cross entropy": lambda z, y, t: F.cross_entropy(z, t, reduction="none")[:, None],
        "absolute": lambda z, y, t: F.l1_loss(y, t, reduction="none"),
        "huber": lambda z, y, t: F.huber_loss(y, t, reduction="none", delta=1.0),
        "quantile": quantile,
        "poisson": lambda z, y, t: F.poisson_nll_loss(z, t, log_input=True, full=False, reduction="none"),
    }
    return f, C


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("output", "cost"), PAIRS, ids=str)
def test_autograd_agrees(output: Activation, cost: Cost, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    f, C = torch_functions(torch)
    random = np.random.default_rng(0)
    X, w = random.normal(size=(6, 4)).astype(dtype), random.uniform(0.5, 2, 6).astype(dtype)
    t = targets(output, cost, (6, 3), random).astype(dtype)
    for seed, hidden in enumerate(HIDDEN):
        net = network("4/5/3", activation=hidden, output=output, cost=cost, dtype=dtype, seed=seed)
        p = {key: torch.tensor(value, requires_grad=True) for key, value in net.parameters().items()}
        x = torch.tensor(X, requires_grad=True)
        a = f[hidden.name](torch.nn.functional.linear(x, p["1.W"], p["1.b"]))
        z = torch.nn.functional.linear(a, p["2.W"], p["2.b"])
        costs = C[cost.name](z, f[output.name](z), torch.tensor(t)).sum(dim=-1)
        weights = torch.tensor(w)
        value = (weights * costs).sum() / weights.sum()
        value = value + 0.05 * ((p["1.W"] ** 2).sum() + (p["2.W"] ** 2).sum())
        value.backward()
        done = textbook.backpropagate(net, net.theta, X, t, sample_weight=w, weight_decay=0.1)
        g = net.join(done.gradients, net.theta)
        peer = np.concatenate([p[s.key].grad.numpy().ravel() for s in net.slots])
        eps = np.finfo(dtype).eps
        assert g.dtype == done.input_gradient.dtype == dtype
        np.testing.assert_allclose(done.cost, value.item(), rtol=16 * eps, err_msg=str(hidden))
        for ours, theirs in ((g, peer), (done.input_gradient, x.grad.numpy())):
            np.testing.assert_allclose(
                ours, theirs, rtol=64 * eps, atol=16 * eps * np.abs(peer).max(), err_msg=str(hidden)
            )


@pytest.mark.parametrize("cost", ["cross entropy", "squared error"])
@pytest.mark.parametrize("spec", ["4/5/6/3", "4/3"])
def test_the_way_back_may_end_with_the_first_layer_s_delta(spec: str, cost: str) -> None:
    net = dr.Network(spec, activation="tanh", cost=cost, dtype="float64")
    X, t = np.random.default_rng(0).normal(size=(7, 4)), np.arange(7) % 3
    full = textbook.backpropagate(net, net.theta, X, t, weight_decay=0.1)
    part = textbook.backpropagate(net, net.theta, X, t, weight_decay=0.1, first=False)
    assert len(part.deltas) == len(part.gradients) == len(net.layers) == len(part.das) - 1
    for one, other in zip(part.deltas, full.deltas):
        np.testing.assert_array_equal(one, other)
    assert part.gradients[0] == {}
    for mine, whole in zip(part.gradients[1:], full.gradients[1:]):
        assert mine.keys() == whole.keys()
        for name, g in mine.items():
            np.testing.assert_array_equal(g, whole[name])
    assert part.input_gradient is part.das[0] is None
    assert full.input_gradient is not None
    for one, other in zip(part.das[1:], full.das[1:]):
        np.testing.assert_array_equal(one, other)
