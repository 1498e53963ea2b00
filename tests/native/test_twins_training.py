"""Native against textbook: descents to 1e-10 in θ, state and costs; in float32 within bounds from the sums' lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from native.cases import Array, calm, close, descend, features, part, rules, same_descent, targets, thinned, weights
from native.test_twins import networks

from deltarule import Dense, Dropout, Network
from deltarule.costs import Absolute, Quantile
from deltarule.engines import native, textbook
from deltarule.optimizers import Optimizer, RProp, optimizer

U32 = 2.0**-24  # the unit roundoff of float32
SMOOTH = ["tanh", "sigmoid", "softplus", "scaled_tanh", "swish", "gelu", "elu", "relu", "leaky_relu", "identity"]
CANONICAL = [("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy"), ("identity", "squared_error")]


@settings(max_examples=150)
@given(
    net=networks(SMOOTH, [*CANONICAL, ("tanh", "huber"), ("softmax", "squared_error")]),
    rule=st.sampled_from([name for name in rules() if name != "rprop"]), data=st.data(),
    sizes=st.lists(st.integers(1, 70), min_size=1, max_size=6), weighted=st.booleans(),
    first_step=st.sampled_from([1, 1, 9, 2**32 + 1]),
)  # fmt: skip
def test_descents(
    net: Network, rule: str, sizes: list[int], weighted: bool, first_step: int, data: st.DataObject
) -> None:
    """Every optimiser with dropout, weights (a batch of weight 0 among them), decay and both ways of clipping."""
    assume(net.trainable.any())
    m = max(sizes)
    given = {
        "weight_decay": data.draw(st.sampled_from([0.0, 0.1])) if rule != "adamw" else 0.0,
        "clip_norm": data.draw(st.sampled_from([None, 0.05, 1e3])),
        "clip_value": data.draw(st.sampled_from([None, 0.01])), "threads": data.draw(st.sampled_from([1, 2, 5])),
    }  # fmt: skip
    w = weights(net, m) if weighted else None
    todo = part(sizes, calm(rule), first_step=first_step)
    if data.draw(st.booleans()):
        updates = st.sets(st.integers(1, len(sizes)))
        todo = todo._replace(keeps=np.array(sorted(data.draw(updates)), np.int64))
        if rule != "adamw":
            decay = st.sampled_from([0.0, 0.1, 0.3])
            decays = data.draw(st.lists(decay, min_size=len(sizes), max_size=len(sizes)))
            todo = todo._replace(decays=np.array(decays))
    if w is not None and len(sizes) > 1:
        todo.order[: sizes[0]] = np.flatnonzero(w == 0)[0] if (w == 0).any() else 0
    same_descent(net, todo, features(net, m), targets(net, m), w, **given)


@pytest.mark.parametrize("rule", rules())
@pytest.mark.parametrize("text", ["dense", "dropout", "clipping"])
def test_thirty_steps(rule: str, text: str) -> None:
    """Whole batches, so that no sign of RProp's hangs on rounding; the other optimisers too."""
    layers = [Dense(13, "tanh"), *[Dropout(0.3)] * (text == "dropout"), Dense(3, "softmax")]
    net = Network(layers, input_shape=6, dtype="float64")
    clips: dict[str, Any] = {"clip_norm": 0.1, "clip_value": 0.05} if text == "clipping" else {}
    todo = part([40] * 30, calm(rule))
    todo.order[:] = np.tile(np.arange(40), 30)
    outcome = same_descent(net, todo, features(net, 40), targets(net, 40, labels=True), **clips)
    assert outcome.costs[-1] != outcome.costs[0]


@pytest.mark.parametrize("rule", [
    "momentum(0.5)", "nesterov(0)", "adadelta(0.5, 0.01)", "rmsprop(0.7, 0.001)", "adam(0.5, 0.9, 0.001)",
    "adamw(0.3, 0.8, 0.95, 0.01)", "amsgrad(0.7, 0.6, 0.1)", "nadam(0.8, 0.9, 0.001, 0.1)", "adagrad(0.1)",
    "rprop(0.3, 1.5, 0.001, 0.02)", "adamw(0)",
])  # fmt: skip
def test_constants_reach_the_kernels(rule: str) -> None:
    net = Network("5/7/2", activation="sigmoid", dtype="float64")
    todo = part([30] * 8, optimizer(rule), 0.01)
    todo.order[:] = np.tile(np.arange(30), 8)
    same_descent(net, todo, features(net, 30), targets(net, 30, labels=True))


def test_every_step_has_its_own_rate_and_momentum() -> None:
    net = Network("5/7/2", activation="sigmoid", dtype="float64")
    todo = part([9] * 6, optimizer("momentum"))
    changing = todo._replace(
        rates=np.geomspace(1e-3, 1, 6),
        optimizers=[optimizer(f"momentum({mu})") for mu in (0, 0.5, 0.9, 0.1, 0.99, 0.3)],
    )
    found = same_descent(net, changing, features(net, 9), targets(net, 9, labels=True))
    assert (found.theta != descend(native, net, todo, features(net, 9), targets(net, 9, labels=True)).theta).any()


@pytest.mark.parametrize("rule", ["sgd", "adam", "adamw", "rprop"])
@pytest.mark.parametrize("frozen", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2)])
def test_frozen_layers_keep_their_weights(rule: str, frozen: tuple[int, ...]) -> None:
    layers = [Dense(n, "tanh" if n > 3 else "softmax", trainable=k not in frozen) for k, n in enumerate([8, 6, 3])]
    net = Network(layers, input_shape=5, dtype="float64")
    todo = part([25, 25, 25, 25], calm(rule))
    todo.order[:] = np.tile(np.arange(25), 4)
    outcome = same_descent(
        net, todo, features(net, 25), targets(net, 25), weight_decay=0.1 * (rule == "sgd"), clip_norm=0.2
    )
    assert ((outcome.theta == net.theta) == ~net.trainable).all()


@pytest.mark.parametrize("sizes", [[1500, 3, 1024, 1025, 40], [2, 2100]])
@pytest.mark.parametrize("given", [{}, {"clip_norm": 0.01}, {"clip_value": 0.001, "weight_decay": 0.2}])
def test_batches_that_go_in_pieces(sizes: list[int], given: dict[str, Any]) -> None:
    """Beyond 1024 rows the gradient is whole before the update; small batches between them are not."""
    net = Network([Dense(9, "tanh"), Dropout(0.5), Dense(3, "softmax")], input_shape=5, dtype="float64")
    X, t, w = features(net, 2100), targets(net, 2100, labels=True), weights(net, 2100)
    same_descent(net, part(sizes, calm("adam"), m=2100), X, t, w, threads=2, **given)


@pytest.mark.parametrize("given", [{}, {"clip_norm": 0.01}])
def test_wide_layers(given: dict[str, Any]) -> None:
    net = Network(
        [Dense(190, "tanh"), Dense(190, "relu"), Dropout(0.2), Dense(4, "softmax")], input_shape=12, dtype="float64"
    )
    X, t = features(net, 40), targets(net, 40)
    for threads in (1, 2):
        same_descent(
            net, part([40, 3, 17, 1, 33], calm("momentum"), 0.1), X, t, threads=threads, weight_decay=0.01, **given
        )


def test_a_norm_at_the_edge_is_not_clipped() -> None:
    """A bound far above ‖g‖ changes no bit; squares that would overflow do not, nor those that would vanish."""
    net = Network("3/2", output="identity", dtype="float64")
    X, t, todo = features(net, 6), targets(net, 6), part([6], calm("sgd"), 1.0)
    np.testing.assert_array_equal(
        descend(native, net, todo, X, t, clip_norm=1e300).theta, descend(native, net, todo, X, t).theta
    )
    steep = Network("3/2", output="identity", cost="absolute", dtype="float64")
    steep.theta[...] = 0
    for size, norm in ((1e160, 1.0), (1e-160, 1e-165)):
        steps = [descend(e, steep, todo, X * size, t, clip_norm=norm).theta for e in (native, textbook)]
        np.testing.assert_allclose(*steps, rtol=1e-12)
        np.testing.assert_allclose(np.sqrt(((steps[0] / norm) ** 2).sum()), 1, rtol=1e-12)


# float32: every number's error is bounded by a running sum over the network, from the unit roundoff and sum lengths


def gamma(n: int) -> float:
    """The relative error of a chain of n roundings, n u / (1 − n u): Higham, Accuracy and Stability, lemma 3.1."""
    return n * U32 / (1 - n * U32)


def bounded_gradient(net: Network, X: Array, t: Array) -> tuple[Array, Array]:
    """∂C/∂θ in float64 and a bound for float32's error; |f′|, |f″| ≤ 1, δ⁽ᴸ⁾ = ŷ − t, f errs by 8u (1 + |a|)."""
    caches, p = textbook.forward(net, net.theta.astype(np.float64), X), net.split(net.theta.astype(np.float64))
    a, e, errors = X, np.zeros_like(X), []
    for layer, cache in zip(p, caches):
        W, b = np.abs(layer["W"]), np.abs(layer["b"])
        z = gamma(W.shape[1] + 1) * (np.abs(a) @ W.T + b) + e @ W.T * (1 + gamma(W.shape[1] + 1))
        errors.append((a, e))
        a, e = cache.a, z + 8 * U32 * (1 + np.abs(cache.a))
    if net.output.activation.name == "softmax":
        e = 2 * z.max(axis=1, keepdims=True) + gamma(a.shape[1] + 20) * a
    delta, error = a - t, e + 2 * U32 * np.abs(a - t)
    g, bound = [], []
    for k in reversed(range(len(p))):
        a, e = errors[k]
        m, W = len(a), p[k]["W"]
        size, grown = np.abs(delta), np.abs(delta) + error
        dW = gamma(m + 3) * (grown.T @ (np.abs(a) + e)) + error.T @ (np.abs(a) + e) + size.T @ e
        db = gamma(m + 3) * grown.sum(axis=0) + error.sum(axis=0)
        g[:0] = [(delta.T @ a / m).ravel(), delta.mean(axis=0)]
        bound[:0] = [dW.ravel() / m, db / m]
        if k:
            da, lost = delta @ W, error @ np.abs(W) + gamma(len(W)) * (grown @ np.abs(W))
            slope = net.layers[k - 1].f.derivative(caches[k - 1].z, caches[k - 1].a)
            off = e + 8 * U32
            delta, error = slope * da, (np.abs(slope) + off) * lost + np.abs(da) * off + U32 * np.abs(da)
    return np.concatenate(g), np.concatenate(bound)


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 150), min_size=1, max_size=4), st.sampled_from(["tanh", "sigmoid", "softplus", "identity"]),
    st.sampled_from(["softmax", "sigmoid", "identity"]), st.integers(1, 70), st.integers(1, 3),
)  # fmt: skip
def test_float32_stays_within_its_bounds(sizes: list[int], f: str, last: str, m: int, threads: int) -> None:
    layers = [*(Dense(n, f) for n in sizes[1:]), Dense(4, last)]
    net = Network(layers, input_shape=sizes[0], seed=m)
    X, t = features(net, m), targets(net, m)
    g, bound = bounded_gradient(net, X.astype(np.float64), t.astype(np.float64))
    found = native.cost_and_gradient(net, net.theta, X, t, threads=threads)[1]
    assert found.dtype == np.float32
    assert (np.abs(found - g) <= bound + 1e-37).all()
    if last == "identity":
        y = textbook.outputs(net, net.theta.astype(np.float64), X.astype(np.float64))[1]
        close(native.outputs(net, net.theta, X)[1].astype(np.float64), y, 2 * gamma(sum(sizes) + 20))


def test_the_bounds_of_float32_mean_something() -> None:
    """They are a few hundredths of the gradient, and one number of 6400 that is lost on the way is outside of them."""
    net = Network("100/50/4", activation="tanh")
    X, t = features(net, 64), targets(net, 64)
    g, bound = bounded_gradient(net, X.astype(np.float64), t.astype(np.float64))
    assert np.linalg.norm(bound) < 0.05 * np.linalg.norm(g)
    X[10, 20] = 0
    assert (np.abs(native.cost_and_gradient(net, net.theta, X, t)[1] - g) > bound).any()


@pytest.mark.parametrize("rule", rules())
def test_updates_in_float32(rule: str) -> None:
    """Steps by the gradient that the same kernels give: within 16 roundings of the rule in float64, state too."""
    net, chosen = Network("20/30/5", activation="tanh"), optimizer(rule)
    X, t = features(net, 33), targets(net, 33, labels=True)
    theta, state = net.theta, chosen.begin(net.theta)
    for step in range(1, 6):
        todo = part([33], chosen, first_step=step)
        todo.order[:] = np.arange(33)
        g = native.cost_and_gradient(net, theta, X, t)[1]
        wide = {name: value.astype(np.float64) for name, value in state.items()}
        expected, after = chosen.update(
            theta.astype(np.float64), g.astype(np.float64), wide, chosen.own_rate, step, net.decayed
        )
        outcome = native.train(net, theta, state, X, t, None, todo, native.Settings(0))
        moved = 16 * U32 * (np.abs(expected) + np.abs(expected - theta)) + slack(chosen, wide, g)
        assert (np.abs(outcome.theta - expected) <= moved).all()
        for name, value in after.items():
            larger = np.maximum(np.abs(value), np.abs(wide[name]))
            assert (np.abs(outcome.state[name] - value) <= 16 * U32 * larger + 1e-37 + slack(chosen, wide, g)).all(), (
                name
            )
        theta, state = outcome.theta, outcome.state


def slack(rule: Optimizer, state: dict[str, Array], g: Array) -> Array | float:
    """What cancels between a mean and g: the rounding of either, over what the step divides by."""
    if "mean" not in state:
        return 0.0 if isinstance(rule, RProp) or "velocity" not in state else 16 * U32 * np.abs(state["velocity"])
    m, s = np.abs(state["mean"]) + np.abs(g), np.sqrt(np.maximum(state["square"], 1e-3 * g.astype(np.float64) ** 2))
    return 64 * U32 * rule.own_rate * m / (s + 1e-8) + 4 * U32 * m


def test_costs_with_a_kink_are_left_to_one_step() -> None:
    """Absolute and quantile errors: sign(e) is the same wherever e is not 0, and 0 there in both engines."""
    for cost in (Absolute(), Quantile(0.2)):
        net = Network("3/2", output="identity", cost=cost, dtype="float64")
        net.theta[...] = np.round(net.theta)
        X = np.round(features(net, 9))
        t = textbook.outputs(net, net.theta, X)[1]
        t[::2] += 1
        same_descent(net, part([9, 4], calm("sgd"), 0.25), X, t)
        assert (native.cost_and_gradient(net, net.theta, X[1::2].copy(), t[1::2].copy())[1] == 0).all()


@settings(max_examples=60)
@given(
    rule=st.sampled_from([name for name in rules() if name != "rprop"]), n=st.integers(1, 300),
    sizes=st.lists(st.integers(1, 70), min_size=1, max_size=4), seed=st.integers(0, 99),
    threads=st.sampled_from([1, 3]),
    given=st.sampled_from([{}, {"weight_decay": 0.1}, {"clip_norm": 0.05}]),
)  # fmt: skip
def test_zeros_are_passed_over(
    rule: str, n: int, sizes: list[int], seed: int, threads: int, given: dict[str, Any]
) -> None:
    """Inputs that are zero in every sample at work, in the first layer: its sums and its gradient."""
    net = Network([Dense(17, "tanh"), Dense(3, "softmax")], input_shape=n, dtype="float64", seed=seed)
    X = thinned(features(net, max(sizes), seed), seed)
    given = {} if rule == "adamw" else given
    same_descent(net, part(sizes, calm(rule)), X, targets(net, len(X), seed), threads=threads, **given)


@pytest.mark.parametrize("n", [1, 3, 16, 130, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_passed_over_changes_no_bit(n: int, dtype: str) -> None:
    """Beside a sample without weight whose inputs are not zero nothing is passed over, and no sum is another."""
    net = Network([Dense(19, "tanh"), Dense(3, "softmax")], input_shape=n, dtype=dtype)
    X, t = features(net, 65), targets(net, 65, labels=True)
    X[:64], w = thinned(X[:64]), np.ones(65, dtype)
    w[64] = 0
    for m in (2, 3, 15, 31, 64):
        alone = native.cost_and_gradient(net, net.theta, X[:m], t[:m])
        crowd = [*range(m), 64]
        beside = native.cost_and_gradient(net, net.theta, X[crowd], t[crowd], sample_weight=w[crowd])
        assert alone[0] == beside[0]
        np.testing.assert_array_equal(alone[1], beside[1])


@pytest.mark.parametrize("rule", rules())
@pytest.mark.parametrize("most", [1, 2, 3, 4])
@pytest.mark.parametrize("zeros", [False, True])
def test_few_samples_at_a_time(zeros: bool, rule: str, most: int) -> None:
    """Where all batches are small the first layer lies by inputs: the same numbers, and the same bits as beside a
    large batch, where it does not."""
    net = Network([Dense(21, "tanh"), Dense(35, "swish"), Dense(3, "softmax")], input_shape=37, dtype="float64")
    X, t = features(net, 9), targets(net, 9, labels=True)
    X = thinned(X) if zeros else X
    sizes = [most, 1, most, max(1, most - 1), most]
    few, beside = part(sizes, calm(rule)), part([*sizes, 5], calm(rule))
    beside.order[: sum(sizes)] = few.order
    for clips in ({}, {"clip_value": 0.01}):
        found = same_descent(net, few, X, t, threads=1, **clips)
        for threads in (2, 5):
            np.testing.assert_array_equal(descend(native, net, few, X, t, threads=threads, **clips).theta, found.theta)
        np.testing.assert_array_equal(descend(native, net, beside, X, t, **clips).costs[:5], found.costs)
