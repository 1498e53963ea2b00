"""The gradient checker: right gradients pass, wrong ones are caught, kinks and rounding excuse nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import deltarule as dr
from deltarule import activations, costs, differences, gradcheck
from deltarule.activations import ACTIVATIONS, Softmax
from deltarule.costs import COSTS
from deltarule.engines import textbook
from deltarule.outputs import Output

HIDDEN = [f() for f in ACTIVATIONS.values() if f is not Softmax]
ONLY_WITH = {
    costs.CrossEntropy: activations.Softmax,
    costs.BinaryCrossEntropy: activations.Sigmoid,
    costs.Poisson: activations.Exp,
}
PAIRS = [(f(), C()) for f in ACTIVATIONS.values() for C in COSTS.values() if ONLY_WITH.get(C, f) is f]


def targets(output: Any, cost: Any, shape: tuple[int, int], random: np.random.Generator) -> NDArray[Any]:
    """Targets the pair is made for, away from 0 and 1, and far enough from ŷ to meet every branch of a cost."""
    if isinstance(output, Softmax):
        return random.dirichlet(np.ones(shape[1]), shape[0])
    if isinstance(cost, costs.BinaryCrossEntropy):
        return random.uniform(0.1, 0.9, shape)
    if isinstance(cost, costs.Poisson):
        return random.poisson(3.0, shape).astype(float)
    return random.normal(scale=2, size=shape)


# Right gradients


def test_the_course_s_network_3_5_3() -> None:
    net = dr.Network("3/5/3", activation="sigmoid", output="sigmoid", dtype="float64")
    X = np.sin(np.arange(1, 16)).reshape(5, 3) / 10
    found = dr.check_gradient(net, X, [1, 2, 0, 1, 2], weight_decay=3 / 5)
    assert found.ok
    assert found
    assert found.error("complex") <= 1e-12
    assert found.error("central") <= 1e-9
    assert [row.array for row in found.rows[::2]] == ["1.W", "1.b", "2.W", "2.b", "x"]
    assert [row.entries for row in found.rows[::2]] == [15, 5, 15, 3, 15]
    assert found.kinks == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("output", "cost"), PAIRS, ids=str)
def test_every_activation_output_and_cost(output: Any, cost: Any, dtype: str) -> None:
    random = np.random.default_rng(0)
    X, t = random.normal(size=(2, 2)), targets(output, cost, (2, 2), random)
    for seed, hidden in enumerate(HIDDEN):
        layers = [dr.Dense(2, hidden, bias_initializer="uniform(0.5)"), dr.Dense(2, output)]
        net = dr.Network(layers, input_shape=(2,), cost=cost, dtype=dtype, seed=seed)
        found = dr.check_gradient(net, X, t, weight_decay=0.1)
        assert found.ok, (str(hidden), str(found))
        assert found.error("complex") < 1e-13
        assert found.kinks == 0, str(hidden)


@pytest.mark.parametrize("method", ["complex", "central"])
def test_one_method_alone(method: str) -> None:
    net = dr.Network("3/4/2", activation="tanh")
    found = dr.check_gradient(net, np.eye(3), [0, 1, 1], method=method)
    assert found.ok
    assert {row.method for row in found.rows} == {method}
    assert np.isnan(found.error("central" if method == "complex" else "complex"))


def test_large_networks_are_sampled() -> None:
    net = dr.Network("784/20/10", activation="sigmoid")
    X, t = np.random.default_rng(0).random((3, 784)), [1, 2, 9]
    X[0, 501] = 1e3  # its weights have by far the largest gradient
    found = dr.check_gradient(net, X, t)
    assert found.ok
    assert [(row.array, row.entries) for row in found.rows[::2]] == [
        ("1.W", 60), ("1.b", 20), ("2.W", 60), ("2.b", 10), ("x", 60), ("directions", 10)
    ]  # fmt: skip
    g = net.cost_and_gradient(X, t)[1]
    largest = np.abs(g[: 784 * 20]).max()
    assert found.rows[0].analytic >= largest * (1 - 1e-6)  # the largest entry of an array is always in the sample
    assert str(dr.check_gradient(net, X, t, seed=0)) == str(found)
    assert str(dr.check_gradient(net, X, t, seed=1)) != str(found)


def test_dropout_is_checked_at_one_mask_and_off_otherwise() -> None:
    layers = [dr.Dense(6, "tanh"), dr.Dropout(0.5), dr.Dense(2)]
    net = dr.Network(layers, input_shape=(3,), seed=1)
    X, t = np.random.default_rng(0).normal(size=(4, 3)), [0, 1, 1, 0]
    on, off = dr.check_gradient(net, X, t, dropout=True), dr.check_gradient(net, X, t)
    assert on.ok
    assert off.ok
    assert on.cost != off.cost
    assert on.cost == dr.check_gradient(net, X, t, dropout=True).cost
    assert on.cost != dr.check_gradient(net, X, t, dropout=True, seed=3).cost
    assert off.cost == pytest.approx(net.evaluate(X, t)["cost"], rel=1e-6)


def test_decay_and_sample_weights_are_in_the_cost() -> None:
    net = dr.Network("3/4/2", activation="tanh", dtype="float64")
    X, t, w = np.random.default_rng(0).normal(size=(4, 3)), [0, 1, 1, 0], [0.5, 0, 3, 1]
    found = dr.check_gradient(net, X, t, weight_decay=0.3, sample_weight=w)
    assert found.ok
    assert found.cost == pytest.approx(net.cost_and_gradient(X, t, weight_decay=0.3, sample_weight=w)[0], rel=1e-14)


def test_frozen_layers_are_not_listed_but_the_gradient_passes_through_them() -> None:
    layers = [dr.Dense(4, "tanh"), dr.Dense(4, "tanh", trainable=False), dr.Dense(2)]
    found = dr.check_gradient(dr.Network(layers, input_shape=(3,)), np.eye(3), [0, 1, 1])
    assert found.ok
    assert [row.array for row in found.rows[::2]] == ["1.W", "1.b", "3.W", "3.b", "x"]


def test_the_smallest_epsilon_still_finds_a_wrong_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dr.Dense, "delta", lambda self, p, da, cache: 1.01 * self.f.delta(da, cache.z, cache.a))
    net = dr.Network("3/5/3", activation="tanh")
    assert not dr.check_gradient(net, np.eye(3), [0, 1, 2], method="central", epsilon=1e-8).ok


def test_what_is_asked_for_must_make_sense() -> None:
    net = dr.Network("2/2")
    with pytest.raises(dr.HyperparameterError, match="method is 'complex', 'central' or 'both', not 'forward'"):
        dr.check_gradient(net, np.eye(2), [0, 1], method="forward")
    for epsilon in (0, 1, -1e-4, 1e-9, 1e-300, float("nan")):
        with pytest.raises(dr.HyperparameterError, match="epsilon must be a finite number, at least 1e-08 and below 1"):
            dr.check_gradient(net, np.eye(2), [0, 1], epsilon=epsilon)
    with pytest.raises(dr.DivergenceError, match=r"the cost is (inf|nan) at these weights"):
        dr.check_gradient(dr.Network("2/3/2", activation="exp"), [[1e6, 1e6], [-1e6, -1e6]], [0, 1])


# The report


def test_the_report_names_the_worst_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    original = dr.Dense.backward

    def one_wrong_entry(self: Any, p: Any, delta: Any, cache: Any) -> Any:
        da, g = original(self, p, delta, cache)
        if self.units == 4:
            g["W"] = g["W"] + 0.25 * (np.arange(12).reshape(4, 3) == 7)
        return da, g

    net = dr.Network("3/4/2", activation="tanh", dtype="float64")
    assert "right" in dr.check_gradient(net, np.eye(3), [0, 1, 1]).verdict
    monkeypatch.setattr(dr.Dense, "backward", one_wrong_entry)
    found = dr.check_gradient(net, np.eye(3), [0, 1, 1])
    assert not found.ok
    assert not found
    assert [row.ok for row in found.rows] == [False] * 2 + [True] * 8
    worst = found.worst
    assert (worst.array, worst.worst, worst.entries) == ("1.W", "1.W[2, 1]", 12)
    assert worst.worst_analytic - worst.worst_numeric == pytest.approx(0.25 / 3, rel=1e-5)
    assert found.verdict.startswith("the gradient is WRONG at 1.W[2, 1] by ")
    lines = str(found).splitlines()
    assert lines[0].split("  ")[0] == "array"
    assert len(lines) == 1 + 10 + 1
    assert lines[1].endswith("WRONG")
    assert "1.W[2, 1]" in lines[1]
    assert lines[3].endswith("ok")
    assert lines[-1] == found.verdict
    assert repr(found) == f"GradientCheck(cost={found.cost!r}, epsilon=0.0001)"


def test_the_error_is_the_course_s_measure() -> None:
    net = dr.Network("3/4/2", activation="tanh", dtype="float64")
    X, t = np.random.default_rng(0).normal(size=(3, 3)), [0, 1, 1]
    found = dr.check_gradient(net, X, t, method="central")
    g, numeric = net.cost_and_gradient(X, t)[1], np.empty(net.size)
    for k in range(net.size):
        e = 1e-4 * (np.arange(net.size) == k)
        up, down = (net.cost_and_gradient(X, t, theta=net.theta + sign * e)[0] for sign in (1, -1))
        numeric[k] = (up - down) / 2e-4
    for row, slot in zip(found.rows, net.slots):
        a, n = g[slot.start : slot.stop], numeric[slot.start : slot.stop]
        assert row.error == pytest.approx(np.linalg.norm(n - a) / np.linalg.norm(n + a), rel=1e-2)
        assert row.analytic == pytest.approx(np.linalg.norm(a), rel=1e-12)
        assert row.numeric == pytest.approx(np.linalg.norm(n), rel=1e-12)


# Wrong gradients. Each mutant replaces one verb; it is given the original.

Mutation = Callable[[Any], Any]


def scaled(factor: Any) -> Mutation:
    return lambda original: lambda *args: factor * original(*args)


def instead(wrong: Callable[..., Any]) -> Mutation:
    return lambda original: wrong


def backward(**wrong: Callable[..., Any]) -> Mutation:
    """Dense.backward with W, b or da computed from (p, delta, cache) in another way."""

    def mutation(original: Any) -> Any:
        def mutant(self: Any, p: Any, delta: Any, cache: Any) -> Any:
            da, g = original(self, p, delta, cache)
            found = {"da": da, **g}
            found |= {name: rule(found[name], p, delta, cache) for name, rule in wrong.items()}
            return found.pop("da"), found

        return mutant

    return mutation


def only(units: int, mutation: Mutation) -> Mutation:
    """The mutation in the layers of so many units alone."""

    def restricted(original: Any) -> Any:
        mutant = mutation(original)
        return lambda self, *args: (mutant if self.units == units else original)(self, *args)

    return restricted


def engine(wrong: Callable[..., Any]) -> Mutation:
    """textbook.backpropagate with its Pass changed by (pass, net, p, settings, the engine under other settings)."""

    def mutation(original: Any) -> Any:
        def mutant(net: Any, theta: Any, X: Any, t: Any, **settings: Any) -> Any:
            done = original(net, theta, X, t, **settings)
            return wrong(done, net, net.split(theta), settings, lambda **k: original(net, theta, X, t, **settings | k))

        return mutant

    return mutation


def with_gradients(rule: Callable[..., Any]) -> Mutation:
    """Every array of the gradient changed by (g, p, name, stage, settings)."""

    def wrong(done: Any, net: Any, p: Any, settings: Any, again: Any) -> Any:
        changed = [
            {name: rule(g, p[k][name], name, k + 1, settings) for name, g in gradients.items()}
            for k, gradients in enumerate(done.gradients)
        ]
        return done._replace(gradients=changed)

    return engine(wrong)


def as_gradients_of(**settings: Any) -> Mutation:
    return engine(lambda done, net, p, given, again: again(**settings)._replace(cost=done.cost))


def total(settings: Any) -> float:
    return float(settings["sample_weight"].sum())


def layers(hidden: str = "tanh", output: str = "sigmoid", cost: str | None = None, dropout: bool = False) -> Any:
    middle = [dr.Dropout(0.4)] if dropout else []
    return [dr.Dense(4, hidden), *middle, dr.Dense(4, hidden), *middle, dr.Dense(3, output)], cost


USUAL = layers()
JACOBIAN = layers(output="softmax", cost="squared error")
HUBER = layers(output="identity", cost="huber")
D, T = dr.Dense, textbook
A, S = activations, costs

MUTANTS: dict[str, tuple[Any, str, Mutation, Any]] = {
    "dense: W without δ's sign": (D, "backward", backward(W=lambda W, *_: -W), USUAL),
    "dense: W twice": (D, "backward", backward(W=lambda W, *_: 2 * W), USUAL),
    "dense: W transposed": (D, "backward", only(4, backward(W=lambda W, *_: W.T)), USUAL),
    "dense: W averaged twice": (D, "backward", backward(W=lambda W, p, delta, c: W / len(delta)), USUAL),
    "dense: W from a instead of a_prev": (D, "backward", only(4, backward(W=lambda W, p, d, c: d.T @ c.a)), USUAL),
    "dense: W from z_prev's row order": (D, "backward", backward(W=lambda W, p, d, c: d[::-1].T @ c.a_prev), USUAL),
    "dense: W without the last sample": (D, "backward", backward(W=lambda W, p, d, c: d[:-1].T @ c.a_prev[:-1]), USUAL),
    "dense: W without δ": (D, "backward", backward(W=lambda W, p, d, c: np.sign(d).T @ c.a_prev), USUAL),
    "dense: W of one unit forgotten": (D, "backward", backward(W=lambda W, *_: W - np.eye(len(W))[:, :1] * W), USUAL),
    "dense: W along the wrong axis": (D, "backward", only(4, backward(W=lambda W, p, d, c: d @ c.a_prev)), USUAL),
    "dense: b averaged": (D, "backward", backward(b=lambda b, p, d, c: d.mean(axis=0)), USUAL),
    "dense: b along the wrong axis": (D, "backward", only(4, backward(b=lambda b, p, d, c: d.sum(axis=1))), USUAL),
    "dense: b forgotten": (D, "backward", backward(b=lambda b, *_: 0 * b), USUAL),
    "dense: b's sign": (D, "backward", backward(b=lambda b, *_: -b), USUAL),
    "dense: b of the first sample": (D, "backward", backward(b=lambda b, p, d, c: d[0]), USUAL),
    "dense: da with Wᵀ for W": (D, "backward", only(4, backward(da=lambda da, p, d, c: d @ p["W"].T)), USUAL),
    "dense: da's sign": (D, "backward", backward(da=lambda da, *_: -da), USUAL),
    "dense: da with |W|": (D, "backward", backward(da=lambda da, p, d, c: d @ np.abs(p["W"])), USUAL),
    "dense: da half": (D, "backward", backward(da=lambda da, *_: da / 2), USUAL),
    "dense: da with b added": (D, "backward", backward(da=lambda da, p, d, c: da + p["W"].sum(axis=0)), USUAL),
    "dense: da averaged": (D, "backward", backward(da=lambda da, p, d, c: 0 * da + da.mean(axis=0)), USUAL),
    "delta: no f′": (D, "delta", instead(lambda self, p, da, cache: da), USUAL),
    "delta: f′ of a instead of z": (
        D, "delta", instead(lambda self, p, da, c: self.f.delta(da, c.a, self.f.f(c.a))), USUAL
    ),
    "delta: f instead of f′": (D, "delta", instead(lambda self, p, da, cache: cache.a * da), USUAL),
    "delta: f′ twice": (D, "delta", lambda right: lambda s, p, da, c: right(s, p, right(s, p, da, c), c), USUAL),
    "delta: sign": (D, "delta", scaled(-1), USUAL),
    "dropout: no mask": (dr.Dropout, "backward", instead(lambda self, p, delta, c: (delta, {})), layers(dropout=True)),
    "dropout: mask not scaled": (
        dr.Dropout, "backward", instead(lambda self, p, delta, c: ((c.mask > 0) * delta, {})), layers(dropout=True)
    ),
    "dropout: mask twice": (
        dr.Dropout, "backward", instead(lambda self, p, delta, c: (c.mask * c.mask * delta, {})), layers(dropout=True)
    ),
    "dropout: what dropped stays": (
        dr.Dropout, "backward", instead(lambda self, p, delta, c: ((c.mask == 0) * delta, {})), layers(dropout=True)
    ),
    "identity: 2": (A.Identity, "derivative", scaled(2), layers("identity")),
    "sigmoid: a (1 + a)": (A.Sigmoid, "derivative", instead(lambda f, z, a: a * (1 + a)), layers("sigmoid")),
    "sigmoid: z (1 − z)": (A.Sigmoid, "derivative", instead(lambda f, z, a: z * (1 - z)), layers("sigmoid")),
    "tanh: 1 − a": (A.Tanh, "derivative", instead(lambda f, z, a: 1 - a), USUAL),
    "tanh: 1 − z²": (A.Tanh, "derivative", instead(lambda f, z, a: 1 - z * z), USUAL),
    "scaled tanh: no slope": (A.ScaledTanh, "derivative", scaled(1.5), layers("scaled tanh")),
    "relu: 1": (A.ReLU, "derivative", instead(lambda f, z, a: np.ones_like(z)), layers("relu")),
    "relu: other side": (A.ReLU, "derivative", instead(lambda f, z, a: 1.0 * (z.real < 0)), layers("relu")),
    "leaky relu: relu's": (A.LeakyReLU, "derivative", instead(A.ReLU.derivative), layers("leaky relu(0.1)")),
    "elu: without α": (A.ELU, "derivative", instead(lambda f, z, a: np.where(z.real > 0, 1 + 0 * z, a)), layers("elu")),
    "softplus: 1 − σ": (A.Softplus, "derivative", instead(lambda f, z, a: A.sigmoid(-z)), layers("softplus")),
    "swish: σ alone": (A.Swish, "derivative", instead(lambda f, z, a: A.sigmoid(z)), layers("swish")),
    "gelu: without u's cubic term": (
        A.GELU,
        "derivative",
        lambda right: lambda f, z, a: right(f, z, a)
        - 2 * a * (1 - A.sigmoid(2 * f.root * (z + f.cubic * z**3))) * f.root * 3 * f.cubic * z * z,
        layers("gelu"),
    ),
    "exp: z": (A.Exp, "derivative", instead(lambda f, z, a: z), layers("exp")),
    "softmax: its diagonal": (
        A.Softmax, "delta", instead(lambda f, da, z, a: a * (1 - a) * da), JACOBIAN
    ),
    "softmax: no sum": (
        A.Softmax, "delta", instead(lambda f, da, z, a: a * da), JACOBIAN
    ),
    "softmax: sum over the samples": (
        A.Softmax,
        "delta",
        instead(lambda f, da, z, a: a * (da - (a * da).sum(axis=0))),
        JACOBIAN,
    ),
    "squared error: factor 2": (S.SquaredError, "derivative", scaled(2), layers(cost="squared error")),
    "squared error: t − ŷ": (S.SquaredError, "derivative", scaled(-1), layers(cost="squared error")),
    "absolute: the sign forgotten": (
        S.Absolute, "derivative", instead(lambda C, y, t: np.ones_like(y)), layers(output="identity", cost="absolute")
    ),
    "huber: not clipped": (S.Huber, "derivative", instead(lambda C, y, t: y - t), HUBER),
    "huber: always clipped": (
        S.Huber, "derivative", instead(lambda C, y, t: np.sign((y - t).real) + 0 * y), HUBER
    ),
    "quantile: sides exchanged": (
        S.Quantile,
        "derivative",
        instead(lambda C, y, t: np.where((y - t).real > 0, 0.9, -0.1) + 0 * y),
        layers(output="identity", cost="quantile(0.9)"),
    ),
    "canonical δ: t − ŷ": (Output, "delta", scaled(-1), USUAL),
    "canonical δ: without t": (Output, "delta", instead(lambda out, z, y, t: y), USUAL),
    "canonical δ: times f′": (Output, "delta", instead(lambda out, z, y, t: (y - t) * y * (1 - y)), USUAL),
    "canonical δ of softmax: times f′": (
        Output, "delta", instead(lambda out, z, y, t: (y - t) * y * (1 - y)), layers(output="softmax")
    ),
    "canonical δ: averaged over the outputs": (Output, "delta", scaled(1 / 3), USUAL),
    "engine: not divided by Σw": (T, "backpropagate", with_gradients(lambda g, p, n, k, s: g * total(s)), USUAL),
    "engine: divided by m": (T, "backpropagate", with_gradients(lambda g, p, n, k, s: g * total(s) / 4), USUAL),
    "engine: divided twice": (T, "backpropagate", with_gradients(lambda g, p, n, k, s: g / total(s)), USUAL),
    "engine: input gradient not divided": (
        T,
        "backpropagate",
        engine(lambda done, net, p, s, again: done._replace(input_gradient=done.input_gradient * total(s))),
        USUAL,
    ),
    "engine: sample weights forgotten": (T, "backpropagate", as_gradients_of(sample_weight=None), USUAL),
    "engine: sample weights squared": (
        T,
        "backpropagate",
        engine(lambda done, net, p, s, again: again(sample_weight=s["sample_weight"] ** 2)._replace(cost=done.cost)),
        USUAL,
    ),
    "engine: decay forgotten": (T, "backpropagate", as_gradients_of(weight_decay=0.0), USUAL),
    "engine: decay twice": (T, "backpropagate", as_gradients_of(weight_decay=0.02), USUAL),
    "engine: decay of the biases": (
        T, "backpropagate", with_gradients(lambda g, p, n, k, s: g + 0.01 * p * (n == "b")), USUAL
    ),
    "engine: decay's sign": (T, "backpropagate", as_gradients_of(weight_decay=-0.01), USUAL),
    "engine: decay divided by Σw": (
        T, "backpropagate", with_gradients(lambda g, p, n, k, s: g + 0.01 * p * (n == "W") * (1 / total(s) - 1)), USUAL
    ),
    "engine: the chain ends early": (T, "backpropagate", with_gradients(lambda g, p, n, k, s: g * (k > 1)), USUAL),
    "engine: one layer's gradient in another's place": (
        T,
        "backpropagate",
        engine(lambda done, net, p, s, again: done._replace(gradients=[done.gradients[i] for i in (1, 1, 2)])),
        USUAL,
    ),
    "engine: masks forgotten on the way back": (T, "backpropagate", as_gradients_of(masks=None), layers(dropout=True)),
}  # fmt: skip


def example(made: Any, seed: int) -> tuple[dr.Network, dict[str, Any]]:
    """A 4/4/4/3 network on four samples, with random biases, decay and sample weights: shapes hide no transposition."""
    random = np.random.default_rng(seed)
    stages, cost = made
    net = dr.Network(stages, input_shape=(4,), cost=cost, dtype="float64", seed=seed)
    for s in net.slots:
        if s.name == "b":
            net.theta[s.start : s.stop] = random.normal(scale=0.3, size=s.shape)
    t = targets(net.output.activation, net.output.cost, (4, 3), random)
    dropout = any(isinstance(stage, dr.Dropout) for stage in stages)
    w = random.uniform(0.5, 2, 4)
    return net, {"X": random.normal(size=(4, 4)), "t": t, "weight_decay": 0.01, "sample_weight": w, "dropout": dropout}


def sample_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sampled mode on small networks, with few samples and few directions."""
    monkeypatch.setattr(gradcheck, "EVERY_ENTRY", 50)
    monkeypatch.setattr(differences, "SAMPLE", 6)
    monkeypatch.setattr(differences, "DIRECTIONS", 2)


def sampled(found: dr.GradientCheck) -> bool:
    return any(row.array == "directions" for row in found.rows)


RIGHT: set[tuple[str, str]] = set()  # the networks found right before any mutation, so that each is asked once


@pytest.mark.parametrize("mode", ["full", "sampled"])
@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, verb, mutation, made = MUTANTS[name]
    if mode == "sampled":
        sample_everything(monkeypatch)
    cases = [example(made, seed) for seed in range(3)]
    if (str(made), mode) not in RIGHT:
        right = dr.check_gradient(cases[0][0], **cases[0][1])
        assert right.ok, str(right)  # what is caught below is the mutation
        assert sampled(right) == (mode == "sampled")
        RIGHT.add((str(made), mode))
    monkeypatch.setattr(owner, verb, mutation(getattr(owner, verb)))
    for method, (net, data) in zip(["complex", "central", "complex"], cases):
        found = dr.check_gradient(net, **data, method=method)
        assert not found.ok, str(found)
        assert not found.worst.ok
        assert "WRONG" in found.verdict


def test_there_are_mutants_enough() -> None:
    assert len(MUTANTS) >= 60
    touched = {(getattr(owner, "__name__", ""), verb) for owner, verb, _, _ in MUTANTS.values()}
    for f in HIDDEN:
        assert (type(f).__name__, "derivative") in touched


CANONICAL_COSTS = {
    "binary cross-entropy: sign": (S.BinaryCrossEntropy, scaled(-1), layers(output="sigmoid")),
    "binary cross-entropy: ŷ − t": (S.BinaryCrossEntropy, instead(lambda C, y, t: y - t), layers(output="sigmoid")),
    "cross-entropy: sign": (S.CrossEntropy, scaled(-1), layers(output="softmax")),
    "cross-entropy: 1/ŷ": (S.CrossEntropy, instead(lambda C, y, t: -1 / y), layers(output="softmax")),
    "poisson: without 1": (S.Poisson, instead(lambda C, y, t: -t / y), layers(output="exp")),
    "poisson: t/ŷ²": (S.Poisson, instead(lambda C, y, t: 1 - t / y**2), layers(output="exp")),
}


@pytest.mark.parametrize("name", CANONICAL_COSTS)
def test_costs_that_are_always_canonical_are_right_the_generic_way_too(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, mutation, made = CANONICAL_COSTS[name]
    monkeypatch.setattr(Output, "canonical", False)
    net, data = example(made, 0)
    assert dr.check_gradient(net, **data).ok
    monkeypatch.setattr(owner, "derivative", mutation(owner.derivative))
    assert not dr.check_gradient(net, **data).ok


@pytest.mark.parametrize("name", ["dense: W of one unit forgotten", "delta: no f′", "engine: not divided by Σw",
                                  "dense: b forgotten", "engine: input gradient not divided"])  # fmt: skip
def test_mutants_are_caught_in_a_large_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, verb, mutation, _ = MUTANTS[name]
    random = np.random.default_rng(0)
    net = dr.Network("50/60/5", activation="tanh")
    data = {"X": random.normal(size=(3, 50)), "t": [0, 3, 1], "sample_weight": [1.0, 2.0, 3.0]}
    right = dr.check_gradient(net, **data)
    assert right.ok
    assert sampled(right)
    monkeypatch.setattr(owner, verb, mutation(getattr(owner, verb)))
    assert not dr.check_gradient(net, **data, method="complex").ok
    assert not dr.check_gradient(net, **data, method="central").ok


@pytest.mark.parametrize("mode", ["full", "sampled"])
@pytest.mark.parametrize(("method", "factor"), [("complex", 1 + 1e-9), ("central", 1 + 1e-5)])
@pytest.mark.parametrize("part", ["W", "b", "da"])
def test_small_errors_are_caught(part: str, method: str, factor: float, mode: str, monkeypatch: Any) -> None:
    if mode == "sampled":
        sample_everything(monkeypatch)
    net, data = example(USUAL, 0)
    monkeypatch.setattr(dr.Dense, "backward", backward(**{part: lambda g, *_: factor * g})(dr.Dense.backward))
    assert not dr.check_gradient(net, **data, method=method).ok


def test_a_gradient_that_is_not_a_number_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    net, data = example(USUAL, 0)
    for wrong in (np.nan, np.inf):
        with monkeypatch.context() as patch:
            patch.setattr(dr.Dense, "backward", backward(b=lambda b, *_, wrong=wrong: b * wrong)(dr.Dense.backward))
            found = dr.check_gradient(net, **data)
        assert not found.ok
        assert found.worst.array.endswith("b")


def test_noise_that_overflows_excuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    net, data = example(USUAL, 0)
    monkeypatch.setattr(differences.Rounding, "_within", lambda self, done, start: np.full(len(self.probe.u), np.inf))
    assert dr.check_gradient(net, **data).ok
    monkeypatch.setattr(dr.Dense, "backward", backward(b=lambda b, *_: 2 * b)(dr.Dense.backward))
    assert not dr.check_gradient(net, **data, method="complex").ok


# Kinks


def with_kink(distance: float) -> tuple[dr.Network, dict[str, Any]]:
    """4/20/3, relu; the first sample is 0, so that z of unit 7 there is its bias: `distance` from the kink."""
    random = np.random.default_rng(1)
    net = dr.Network("4/20/3", dtype="float64")
    X = random.normal(size=(3, 4))
    X[0] = 0
    b = net.parameters()["1.b"]
    b[:] = random.choice([-1, 1], 20) * random.uniform(0.1, 0.5, 20)
    b[7] = distance
    return net, {"X": X, "t": [0, 1, 2]}


def excused(found: dr.GradientCheck) -> dict[tuple[str, str], int]:
    return {(row.array, row.method): row.kinks for row in found.rows if row.kinks}


@pytest.mark.parametrize("distance", [0.0, -0.0, 1e-13, -1e-13, 1e-11])
def test_entries_at_a_kink_are_excused_and_no_others(distance: float) -> None:
    net, data = with_kink(distance)
    found = dr.check_gradient(net, **data)
    assert found.ok
    assert excused(found) == {("1.b", "central"): 1, ("x", "central"): 4}  # its bias, and the inputs of that sample
    assert found.error("complex") < 1e-12
    assert "5 entries excused" in found.verdict


@pytest.mark.parametrize("distance", [1e-8, 1e-7, -1e-6, 1e-5, -9e-5])
def test_a_kink_further_off_is_no_excuse(distance: float) -> None:
    net, data = with_kink(distance)
    found = dr.check_gradient(net, **data)
    assert found.ok
    assert found.kinks == 0


def test_a_wrong_entry_beside_a_kink_is_caught_by_central_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    for distance in (1e-7, 1e-5, -9e-5):
        net, data = with_kink(distance)
        with monkeypatch.context() as patch:
            wrong = backward(b=lambda b, *_: b + 0.01 * (np.arange(20) == 7))
            patch.setattr(dr.Dense, "backward", only(20, wrong)(dr.Dense.backward))
            found = dr.check_gradient(net, **data, method="central")
        assert found.worst.worst == "1.b[7]"
        assert not found.ok


@pytest.mark.parametrize("name", ["relu: 1", "relu: other side", "dense: W twice", "dense: b averaged", "delta: sign",
                                  "dense: da half"])  # fmt: skip
@pytest.mark.parametrize("method", ["complex", "central"])
def test_kinks_never_excuse_a_wrong_gradient(name: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, verb, mutation, _ = MUTANTS[name]
    monkeypatch.setattr(owner, verb, mutation(getattr(owner, verb)))
    for distance in (0.0, 1e-6):
        net, data = with_kink(distance)
        found = dr.check_gradient(net, **data, method=method)
        assert not found.ok
        assert not found.worst.ok
        assert "WRONG" in found.verdict


def test_too_many_kinks_void_the_check() -> None:
    net, data = with_kink(0.0)
    net.parameters()["1.b"][:] = 0
    found = dr.check_gradient(net, **data)
    assert all(row.ok for row in found.rows)
    assert not found.ok
    share = found.kinks / sum(row.entries for row in found.rows if row.method == "central")
    assert share > gradcheck.KINKS_ALLOWED
    assert found.verdict == (
        f"the check is void: {found.kinks} entries stand at kinks; take other samples or a smooth activation"
    )
    assert dr.check_gradient(net, **data, method="complex").ok  # a complex step never looks across


def test_where_there_is_nothing_to_check_the_check_is_void() -> None:
    layers = [dr.RNN(3, trainable=False), dr.Dense(2, trainable=False)]
    net = dr.Network(layers, input_shape=(None, 5))
    found = dr.check_gradient(net, np.array([[0, 1, 4]]), np.array([[0, 1, 1]]))
    nothing = "nothing is trained and tokens do not move: there is nothing to check"
    assert found.rows == []
    assert not found.ok
    assert not found
    assert found.kinks == 0
    assert found.verdict == f"the check is void: {nothing}"
    assert str(found).endswith(found.verdict)
    with pytest.raises(dr.DataError, match=nothing):
        _ = found.worst
    assert dr.check_gradient(net, np.eye(5)[[[0, 1, 4]]], np.array([[0, 1, 1]])).ok  # vectors move


@pytest.mark.parametrize("cost", ["absolute", "huber(0.5)", "quantile(0.9)"])
@pytest.mark.parametrize("distance", [1e-7, -1e-6, 1e-5])
def test_a_target_near_the_output_is_no_excuse(cost: str, distance: float) -> None:
    net = dr.Network("3/4/2", activation="tanh", output="identity", cost=cost, dtype="float64", seed=2)
    X = np.random.default_rng(0).normal(size=(3, 3))
    t = net.forward(X) - distance + [[1, -1], [2, 3], [0.2, -2]]
    t[0, 1] = net.forward(X)[0, 1] - distance - (0.5 if cost == "huber(0.5)" else 0)
    found = dr.check_gradient(net, X, t)
    assert found.ok, str(found)
    assert found.kinks == 0


def test_a_target_equal_to_the_output_voids_the_check_where_the_cost_has_a_kink() -> None:
    X = np.random.default_rng(0).normal(size=(3, 3))
    for cost, void in [("quantile(0.9)", True), ("squared error", False), ("huber", False)]:
        net = dr.Network("3/4/2", activation="tanh", output="identity", cost=cost, dtype="float64", seed=2)
        found = dr.check_gradient(net, X, net.forward(X))
        assert found.ok != void
        assert ("void" in found.verdict) == void


# No false alarms


def alarm_cases() -> list[Any]:
    random = np.random.default_rng(3)
    pixels = np.where(random.random((4, 784)) < 0.2, random.integers(0, 256, (4, 784)), 0)
    pixels[:, :60] = 0
    raw, normal, labels = random.uniform(0, 255, (4, 10)), random.normal(size=(4, 10)), random.integers(0, 3, 4)
    cases = []
    for hidden in ["sigmoid", "tanh", "relu", "gelu", "swish", "elu", "softplus", "scaled tanh"]:
        made, t = {"spec": "10/8/3", "activation": hidden}, random.normal(size=(4, 3))
        cases += [
            (f"0…255 {hidden}", made, raw, labels, 1.0),
            (f"0…255 {hidden}, generic", made | {"cost": "squared error"}, raw, labels, 1.0),
            (f"targets of 1e6 {hidden}", made | {"output": "identity"}, normal, 1e6 * t, 1.0),
            (f"tiny {hidden}", made | {"output": "identity"}, 1e-6 * normal, 1e-6 * t, 1.0),
        ]
    for hidden in ["sigmoid", "tanh", "relu"]:
        deep = "10/" + "6/" * 10 + "3"
        cases.append((f"ten layers {hidden}", {"spec": deep, "activation": hidden}, normal, labels, 1.0))
        for scale in (1e-8, 1e-3, 30.0, 1e3):
            cases.append(
                (f"{hidden}, weights × {scale:g}", {"spec": "10/8/3", "activation": hidden}, normal, labels, scale)
            )
    for scale in (30.0, 1e3):
        made = {"spec": "10/8/3", "activation": "tanh", "output": "tanh"}
        cases.append((f"tanh throughout, weights × {scale:g}", made, normal, random.uniform(-1, 1, (4, 3)), scale))
    mnist = random.integers(0, 10, 4)
    cases += [
        ("784/100/10 sparse", {"spec": "784/100/10", "activation": "sigmoid"}, pixels / 255, mnist, 1.0),
        ("784/30/10 sparse, 0…255", {"spec": "784/30/10", "activation": "sigmoid"}, pixels, mnist, 1.0),
        ("784/30/10 relu, uint8", {"spec": "784/30/10"}, pixels.astype(np.uint8), mnist, 1.0),
        ("1e200", {"spec": "10/3", "output": "identity", "cost": "absolute"}, 1e200 * normal, normal[:, :3], 1.0),
        ("batch 1", {"spec": "10/8/3"}, normal[:1], labels[:1], 1.0),
        ("inputs of 1e4", {"spec": "10/8/3", "activation": "tanh"}, 1e4 * normal, labels, 1.0),
        ("inputs of 1e6, linear", {"spec": "10/3", "output": "identity"}, 1e6 * normal, normal[:, :3], 1.0),
        ("counts", {"spec": "10/8/1", "activation": "tanh", "output": "exp"}, normal, random.poisson(1e3, 4), 1.0),
        ("one unit", {"spec": "10/1/1"}, normal, labels > 0, 1.0),
    ]  # fmt: skip
    return [pytest.param(*case[1:], id=case[0]) for case in cases]


@pytest.mark.parametrize(("made", "X", "t", "scale"), alarm_cases())
def test_no_false_alarm(made: dict[str, Any], X: NDArray[Any], t: NDArray[Any], scale: float) -> None:
    net = dr.Network(**made, dtype="float64", seed=1)
    for s in net.slots:
        if s.name == "b":
            net.theta[s.start : s.stop] = np.random.default_rng(s.start).normal(scale=0.1, size=s.shape)
    net.theta *= scale
    found = dr.check_gradient(net, X, t)
    assert found.ok, str(found)


@pytest.mark.parametrize("hidden", HIDDEN, ids=str)
@pytest.mark.parametrize("bias", [-200.0, -37.0, -22.0, 22.0, 37.0])
def test_no_false_alarm_in_the_tails(hidden: Any, bias: float) -> None:
    net = dr.Network("3/4/2", activation=hidden, dtype="float64")
    net.parameters()["1.b"][:] = bias
    net.parameters()["2.W"][:] *= 1e-80 if str(hidden) == "exp" else 1
    found = dr.check_gradient(net, np.eye(3), [0, 1, 1])
    assert found.ok, str(found)


@pytest.mark.parametrize("seed", range(3))
def test_no_false_alarm_where_large_numbers_cancel(seed: int) -> None:
    random = np.random.default_rng(seed)
    net = dr.Network("50/4/2", activation="tanh", dtype="float64", seed=seed)
    X = 1e8 * random.normal(size=(1, 50))
    net.parameters()["1.b"][:] = 0.5 - net.parameters()["1.W"] @ X[0]  # z ≈ ½ is what 50 numbers of 1e7 leave over
    found = dr.check_gradient(net, X, [1], method="complex")
    assert found.ok, str(found)
    assert found.rows[0].analytic > 1


@pytest.mark.parametrize("seed", range(3))
def test_no_false_alarm_where_the_gradient_vanishes(seed: int) -> None:
    random = np.random.default_rng(seed)
    X, labels, t = random.normal(size=(20, 3)), random.integers(0, 3, 20), random.normal(size=20)
    classes = dr.Network("3/3", dtype="float64", seed=seed)
    dr.minimize(classes, X, labels, tolerance=1e-13, max_iterations=200)
    curve = dr.Network("3/3/1", activation="tanh", output="identity", dtype="float64", seed=seed)
    assert dr.check_gradient(curve, X, curve.forward(X)).ok  # an exact fit
    dr.minimize(curve, X, t, tolerance=1e-13, max_iterations=200)
    for net, target in ((classes, labels), (curve, t)):
        found = dr.check_gradient(net, X, target)
        assert found.ok, str(found)


@pytest.mark.parametrize("cost", ["squared error", "huber"])
def test_networks_that_end_in_maps(cost: str) -> None:
    net = dr.Network("1x4x4/conv(2,3,pad=1)/maxpool(2)", activation="tanh", cost=cost)
    random = np.random.default_rng(0)
    assert dr.check_gradient(net, random.normal(size=(2, 1, 4, 4)), random.normal(size=(2, 8)))


@pytest.mark.parametrize("last", [False, True])
def test_networks_that_end_in_a_recurrent_layer(last: bool) -> None:
    net = dr.Network(f"seq(3)/rnn(2,last={last})")
    random = np.random.default_rng(0)
    assert dr.check_gradient(net, random.normal(size=(2, 4, 3)), random.normal(size=(2, 2) if last else (2, 4, 2)))
