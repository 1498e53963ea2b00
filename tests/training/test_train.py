"""Training: the loop against one written by hand, what is watched, the same bits, divergence, and every refusal."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule import Callback, Dense, Dropout, EarlyStopping, Network, Run
from deltarule.data.split import holdout
from deltarule.errors import DataError, DeltaruleError, DivergenceError, HyperparameterError, ShapeError
from deltarule.optimizers import OPTIMIZERS, Optimizer
from deltarule.randomness import dropout_mask
from deltarule.schedules import Progress

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(23, 4))
T = (X @ RANDOM.normal(size=(4, 3))).argmax(axis=1)
Xv, Tv = RANDOM.normal(size=(9, 4)), RANDOM.integers(0, 3, 9)


def small(seed: int = 0, dtype: str = "float64") -> Network:
    return Network("4/5/3", activation="tanh", dtype=dtype, seed=seed)


def fit(net: Network, **named: Any) -> dr.History:
    return dr.train(net, X, T, **({"epochs": 3, "batch_size": 5, "verbose": False} | named))


def steps(net: Network) -> list[np.ndarray[Any, Any]]:
    """A list that gathers θ after every update, and the callback that fills it, at its end."""
    seen: list[Any] = []

    class Gather(Callback):
        def on_step(self, run: Run) -> None:
            seen.append(run.net.unroll())

    seen.append(Gather())
    return seen


def told(net: Network, **named: Any) -> tuple[dr.History, list[np.ndarray[Any, Any]]]:
    """(the history, θ after every update)."""
    seen = steps(net)
    history = fit(net, callbacks=[seen[0]], **named)
    return history, seen[1:]


# The loop


class Plain:
    """A 4/5/3 network trained by hand: plain loops over samples, one formula a line."""

    def __init__(self, net: Network) -> None:
        self.p = {k: v.copy() for k, v in net.parameters().items()}

    def gradient(self, rows: Any, w: Any, decay: float) -> tuple[float, dict[str, Any]]:
        p, C, total = self.p, 0.0, 0.0
        g = {k: np.zeros_like(v) for k, v in p.items()}
        for i in rows:
            a1 = np.tanh(p["1.W"] @ X[i] + p["1.b"])
            z = p["2.W"] @ a1 + p["2.b"]
            y = np.exp(z) / np.exp(z).sum()
            delta2 = w[i] * (y - np.eye(3)[T[i]])
            delta1 = (1 - a1**2) * (p["2.W"].T @ delta2)
            C, total = C - w[i] * np.log(y[T[i]]), total + w[i]
            for key, part in {
                "1.W": np.outer(delta1, X[i]),
                "1.b": delta1,
                "2.W": np.outer(delta2, a1),
                "2.b": delta2,
            }.items():
                g[key] += part
        g = {k: v / total + (decay * p[k] if k.endswith("W") else 0) for k, v in g.items()}
        return C / total + decay / 2 * sum((p[k] ** 2).sum() for k in ("1.W", "2.W")), g

    def theta(self) -> np.ndarray[Any, Any]:
        return np.concatenate([v.ravel() for v in self.p.values()])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(
    "clipped", [{}, {"clip_norm": 0.05}, {"clip_value": 0.01}, {"clip_norm": 0.05, "clip_value": 0.02}]
)
def test_the_steps_are_those_by_hand(weighted: bool, decay: float, clipped: dict[str, float]) -> None:
    net, w = small(), RANDOM.uniform(0.5, 2, 23) if weighted else np.ones(23)
    plain = Plain(net)
    schedule = dr.InverseTimeDecay(0.5, every_steps=3)
    history, thetas = told(
        net, optimizer=dr.Momentum(0.9), learning_rate=0.3, schedule=schedule, weight_decay=decay, record_steps=True,
        seed=4, sample_weight=w if weighted else None, **clipped,
    )  # fmt: skip
    velocity: dict[str, Any] = dict.fromkeys(plain.p, 0.0)
    step, costs, weights = 0, [], []
    for epoch in range(3):
        for rows in dr.batches(23, 5, seed=4, epoch=epoch):
            C, g = plain.gradient(rows, w, decay)
            if "clip_value" in clipped:
                g = {k: np.clip(v, -clipped["clip_value"], clipped["clip_value"]) for k, v in g.items()}
            norm = np.sqrt(sum((v**2).sum() for v in g.values()))
            scale = min(1, clipped.get("clip_norm", np.inf) / norm)
            eta = 0.3 * schedule.factor(Progress(step, 5, 15))
            for k in plain.p:
                velocity[k] = 0.9 * velocity[k] + eta * scale * g[k]
                plain.p[k] = plain.p[k] - velocity[k]
            np.testing.assert_allclose(thetas[step], plain.theta(), rtol=1e-9, atol=1e-12)
            costs.append(C)
            weights.append(w[rows].sum())
            step += 1
        mean = np.average(costs[-5:], weights=weights[-5:])
        assert history.cost[epoch] == pytest.approx(mean, rel=1e-12)
        assert history.learning_rate[epoch] == pytest.approx(eta)
    np.testing.assert_allclose(history.step_cost, costs, rtol=1e-10)
    np.testing.assert_array_equal(net.theta, thetas[-1])
    assert history.epoch == [1, 2, 3]
    assert history.seconds == sorted(history.seconds)


ALL = [kind() for kind in OPTIMIZERS.values()] + [
    dr.Momentum(dr.OneCycleMomentum()), dr.Nesterov("piecewise((0.5,0.9),at=1)"), dr.AdamW(0.1),
]  # fmt: skip


@pytest.mark.parametrize("optimizer", ALL, ids=str)
def test_every_optimiser_is_stepped_as_it_says(optimizer: Optimizer) -> None:
    net = small()
    theta, before = net.unroll(), copy.deepcopy(optimizer)
    history, thetas = told(net, optimizer=str(optimizer), schedule=dr.Cosine(), weight_decay=0.0)
    assert optimizer == before
    state, step = optimizer.begin(theta), 0
    for epoch in range(3):
        for rows in dr.batches(23, 5, epoch=epoch):
            progress = Progress(step, 5, 15)
            step += 1
            _, g = small().cost_and_gradient(X[rows], T[rows], theta=theta)
            eta = optimizer.own_rate * dr.Cosine().factor(progress)
            theta, state = optimizer.at(progress).update(theta, g, state, eta, step, net.decayed)
            np.testing.assert_allclose(thetas[step - 1], theta, rtol=1e-12, atol=1e-15)
    assert len(history) == 3


@pytest.mark.parametrize(
    "schedule",
    [
        "constant", dr.Constant(0.5), dr.StepDecay(0.5, every=1), dr.ExponentialDecay(0.9), dr.InverseTimeDecay(0.5),
        "polynomial_decay", dr.Cosine(), dr.WarmUp(2), dr.OneCycle(), dr.Piecewise((1, 0.1), at=2),
        dr.ReduceOnPlateau(),
    ],
    ids=str,
)  # fmt: skip
def test_every_schedule_sets_the_rate(schedule: Any) -> None:
    history = fit(small(), schedule=schedule, learning_rate=0.25)
    chosen = dr.schedules.schedule(schedule)
    last = [chosen.factor(Progress(step, 5, 15), chosen.begin()) for step in (4, 9, 14)]
    assert history.learning_rate == pytest.approx([0.25 * f for f in last])


def test_the_rate_is_the_optimisers_own_unless_said() -> None:
    for name, kind in OPTIMIZERS.items():
        assert fit(small(), optimizer=name, epochs=1).learning_rate == [kind.own_rate]
    assert fit(small(), epochs=1).learning_rate == [1e-3]  # Adam's
    assert fit(small(), learning_rate=np.float32(0.5), epochs=1).learning_rate == [0.5]


def test_reduce_on_plateau_acts() -> None:
    net = small().copy()
    schedule = dr.ReduceOnPlateau(0.5, patience=2)
    history = fit(net, optimizer="sgd", learning_rate=1e-30, schedule=schedule, epochs=8, validation=(Xv, Tv))
    assert len(set(history.validation_cost)) == 1
    rates = np.array(history.learning_rate) / 1e-30
    assert rates[0] == 1
    assert rates[-1] <= 0.25
    assert sorted(set(rates), reverse=True) == list(dict.fromkeys(rates))


def test_frozen_layers_stay() -> None:
    for optimizer in ("adam", "adamw(0.5)", "momentum(0.9)"):
        net = Network([Dense(5, trainable=False), Dropout(0.2), Dense(3)], input_shape=4)
        before = net.unroll()
        fit(net, optimizer=optimizer, learning_rate=0.1)
        np.testing.assert_array_equal(net.theta[:25], before[:25])
        assert (net.theta[25:] != before[25:]).all()


# Batches and orders


def test_the_short_last_batch_counts_unless_dropped() -> None:
    assert len(fit(small(), record_steps=True).step_cost) == 3 * 5
    assert len(fit(small(), record_steps=True, drop_last=True).step_cost) == 3 * 4
    assert len(fit(small(), record_steps=True, batch_size=100).step_cost) == 3
    assert fit(small()).step_cost == []
    assert len(told(small(), drop_last=True, epochs=1)[1]) == 4


def test_orders_not_shuffled_and_from_outside() -> None:
    in_order, reversed_, mixed = small(), small(), small()
    fit(in_order, shuffle=False)
    fit(reversed_, shuffle=lambda k: range(23)[::-1])
    fit(mixed)
    again = small()
    fit(again, shuffle=lambda k: np.arange(23))
    np.testing.assert_array_equal(again.theta, in_order.theta)
    replayed = small()
    fit(replayed, shuffle=lambda k: np.concatenate(list(dr.batches(23, 5, epoch=k))))
    np.testing.assert_array_equal(replayed.theta, mixed.theta)
    assert len({net.theta.tobytes() for net in (in_order, reversed_, mixed)}) == 3


def test_an_order_is_asked_for_once_an_epoch() -> None:
    """So that one drawn from a generator is replayed as it came."""
    random, asked = np.random.default_rng(1), []

    def shuffle(k: int) -> Any:
        asked.append(k)
        return random.permutation(23)

    net, again = small(), small()
    fit(net, shuffle=shuffle)
    assert asked == [0, 1, 2]
    orders = [np.random.default_rng(1).permutation(23)]
    random = np.random.default_rng(1)
    orders = [random.permutation(23) for _ in range(3)]
    fit(again, shuffle=lambda k: orders[k])
    np.testing.assert_array_equal(net.theta, again.theta)


def test_an_order_may_choose_among_the_rows() -> None:
    net = small()
    history, thetas = told(net, shuffle=lambda k: [3, 3, 1], batch_size=2, record_steps=True, optimizer="sgd")
    assert len(thetas) == len(history.step_cost) == 6
    first = small().cost_and_gradient(X[[3, 3]], T[[3, 3]])[0]
    assert history.step_cost[0] == pytest.approx(first)


# The same bits


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("schedule", [dr.ReduceOnPlateau(patience=1), dr.Cosine()], ids=str)
def test_slices_never_change_bits(dtype: str, weighted: bool, schedule: Any) -> None:
    """A callback with on_step makes slices of one; 45 batches without one make slices of three."""
    optimizer = dr.Momentum(dr.OneCycleMomentum())
    many, t = np.random.default_rng(5).normal(size=(223, 4)), np.random.default_rng(6).integers(0, 3, 223)
    nets = [Network("4/6/dropout(0.3)/3", dtype=dtype) for _ in range(2)]
    w = np.random.default_rng(7).random(223) if weighted else None
    seen = steps(nets[1])
    histories = [
        dr.train(net, many, t, optimizer=optimizer, schedule=schedule, learning_rate=0.01, epochs=4, batch_size=5,
                 callbacks=callbacks, verbose=False, sample_weight=w)
        for net, callbacks in zip(nets, ([], seen[:1]))
    ]  # fmt: skip
    assert len(seen) == 1 + 4 * 45
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()
    assert histories[0].cost == histories[1].cost
    assert histories[0].learning_rate == histories[1].learning_rate
    assert histories[0].best_epoch == histories[1].best_epoch


def test_seeds() -> None:
    def run(seed: int | None) -> tuple[bytes, dr.History]:
        net = Network("4/6/dropout(0.3)/3")
        history = fit(net, seed=seed)
        return net.theta.tobytes(), history

    first, history = run(0)
    assert run(0)[0] == first == run(np.int64(0))[0]  # type: ignore[arg-type]
    assert run(1)[0] != first
    assert history.seed == 0
    theta, drawn = run(None)
    assert run(drawn.seed)[0] == theta
    assert drawn.seed != run(None)[1].seed


def test_the_global_generator_has_no_say() -> None:
    np.random.seed(0)  # noqa: NPY002
    a, b = small(), small()
    fit(a)
    np.random.seed(1)  # noqa: NPY002
    fit(b)
    np.testing.assert_array_equal(a.theta, b.theta)


def test_dropout_masks_belong_to_rows_of_the_data() -> None:
    """The first step of two batches that share rows: each row's mask is that of (seed, step, layer, row, unit)."""
    net = Network("4/6:identity/dropout(0.5)/1:identity", dtype="float64", seed=3)
    for rows in ([3, 7, 11], [11, 3], [7]):
        trained = net.copy()
        dr.train(trained, X, X[:, 0], epochs=1, batch_size=9, shuffle=lambda k, rows=rows: rows, optimizer="sgd",
                 learning_rate=1.0, seed=5, verbose=False)  # fmt: skip
        mask = dropout_mask(5, 1, 2, np.array(rows), 6, 0.5) / 0.5
        p = net.parameters()
        a = (X[rows] @ p["1.W"].T + p["1.b"]) * mask
        delta = a @ p["3.W"].T + p["3.b"] - X[rows][:, :1]
        np.testing.assert_allclose(
            trained.parameters()["3.W"], p["3.W"] - delta.T @ a / len(rows), rtol=1e-10, atol=1e-13
        )


def test_dropout_masks_differ_from_step_to_step() -> None:
    net = Network("4/64:identity/dropout(0.5)/1:identity", dtype="float64")
    history = dr.train(
        net, X[:1], X[:1, 0], epochs=20, optimizer="sgd", learning_rate=1e-12, record_steps=True, verbose=False
    )
    assert len({round(c, 6) for c in history.step_cost}) == 20
    assert net.evaluate(X[:1], X[:1, 0])["cost"] == net.evaluate(X[:1], X[:1, 0])["cost"]


def test_what_is_given_is_never_changed() -> None:
    rows, t, w = X.astype(np.float32), np.eye(3)[T], np.ones(23)
    optimizer, schedule, stopping = dr.Momentum(dr.OneCycleMomentum()), dr.ReduceOnPlateau(patience=1), EarlyStopping(2)
    given = (rows, t, w, optimizer, schedule, stopping)
    kept = copy.deepcopy(given)
    for array in (rows, t, w):
        array.flags.writeable = False
    net = small(dtype="float32")
    dr.train(net, rows, t, optimizer=optimizer, schedule=schedule, sample_weight=w, class_weight=None, epochs=5,
             validation=0.3, early_stopping=stopping, verbose=False)  # fmt: skip
    for now, before in zip(given, kept):
        assert np.array_equal(now, before) if isinstance(now, np.ndarray) else now == before


# What is watched


def test_validation_by_data() -> None:
    net = small()
    history, thetas = told(net, validation=(Xv, Tv))
    plain = small()
    fit(plain)
    np.testing.assert_array_equal(net.theta, plain.theta)
    for epoch in range(3):
        scores = small().roll(thetas[5 * epoch + 4]).evaluate(Xv, Tv)
        assert history.validation_cost[epoch] == scores["cost"]
        assert history.validation_accuracy[epoch] == scores["accuracy"]
    assert history.best_epoch == 1 + int(np.argmin(history.validation_cost))
    np.testing.assert_array_equal(history.best_theta, thetas[5 * history.best_epoch - 1])  # type: ignore[arg-type]
    real = Network("4/1", output="identity")
    assert "validation_r2" in dr.train(real, X, X[:, 0], epochs=1, validation=(Xv, Xv[:, 0]), verbose=False).columns


@pytest.mark.parametrize("one_hot", [False, True])
def test_validation_by_a_fraction_is_stratified(one_hot: bool) -> None:
    net, plain = small(), small()
    t = np.eye(3)[T] if one_hot else T
    history = dr.train(net, X, t, validation=0.3, epochs=3, batch_size=5, seed=2, verbose=False)
    kept, held = holdout(T, 0.3, 2, stratify=True)
    expected = dr.train(
        plain, X[kept], t[kept], validation=(X[held], t[held]), epochs=3, batch_size=5, seed=2, verbose=False
    )
    np.testing.assert_allclose(net.theta, plain.theta, rtol=1e-12)
    np.testing.assert_allclose(history.validation_cost, expected.validation_cost, rtol=1e-12)


@pytest.mark.parametrize(
    ("net", "t"),
    [
        (Network("4/1", output="identity"), X[:, 0]),
        (Network("4/1"), np.linspace(0.1, 0.9, 23)),  # soft targets are no classes
        (Network("4/3"), np.full((23, 3), 1 / 3)),
        (
            Network("4/5", output="sigmoid", multilabel=True),
            np.array([[k >> i & 1 for i in range(5)] for k in range(23)]),
        ),
    ],
)
def test_a_fraction_of_what_are_no_classes(net: Network, t: Any) -> None:
    history = dr.train(net, X, t, validation=np.float32(0.25), epochs=1, batch_size=1, record_steps=True, verbose=False)
    assert len(history.step_cost) == 23 - round(0.25 * 23)


def test_weights_are_split_with_their_rows() -> None:
    w = RANDOM.uniform(0.5, 2, 23)
    net, plain = small(), small()
    history = fit(net, validation=0.3, sample_weight=w)
    kept, held = holdout(T, 0.3, 0, stratify=True)
    dr.train(plain, X[kept], T[kept], sample_weight=w[kept], epochs=3, batch_size=5, verbose=False)
    np.testing.assert_allclose(net.theta, plain.theta, rtol=1e-12)
    assert history.validation_cost[-1] == pytest.approx(plain.evaluate(X[held], T[held], w[held])["cost"])


def test_class_weights_are_for_training_alone() -> None:
    net, plain = small(), small()
    history = fit(net, validation=0.3, class_weight={0: 10.0})
    kept, held = holdout(T, 0.3, 0, stratify=True)
    dr.train(plain, X[kept], T[kept], class_weight={0: 10.0}, epochs=3, batch_size=5, verbose=False)
    np.testing.assert_allclose(net.theta, plain.theta, rtol=1e-12)
    assert history.validation_cost[-1] == pytest.approx(plain.evaluate(X[held], T[held])["cost"])


def test_a_part_without_weight_is_refused() -> None:
    _, held = holdout(T, 0.3, 0, stratify=True)
    for rows in (held, np.setdiff1d(np.arange(len(T)), held)):
        w = np.ones(len(T))
        w[rows] = 0
        with pytest.raises(dr.DataError, match="all have weight 0"):
            fit(small(), validation=0.3, sample_weight=w)


def test_one_class_only_is_refused() -> None:
    with pytest.raises(dr.DataError, match="all 23 targets are of one class, 1; a classifier needs two or more"):
        dr.train(small(), X, np.ones(23, int), verbose=False)


class Scripted(Callback):
    """Sets the weights after each step so that the validation cost follows a script."""

    def __init__(self, *costs: float) -> None:
        self.costs = costs

    def on_step(self, run: Run) -> None:
        run.net.theta[:] = 0
        run.net.theta[-1] = math.sqrt(2 * self.costs[run.epoch])


def watched(*costs: float, **named: Any) -> tuple[Network, dr.History]:
    net = Network("1/1", output="identity", dtype="float64")
    history = dr.train(net, [[0.0]], [0.0], epochs=len(costs), validation=([[0.0]], [0.0]),
                       callbacks=[Scripted(*costs)], verbose=False, **named)  # fmt: skip
    assert history.validation_cost == pytest.approx(costs[: len(history)])
    return net, history


def test_early_stopping_puts_the_best_weights_back() -> None:
    net, history = watched(5, 3, 4, 3.5, 1, early_stopping=EarlyStopping(patience=2))
    assert (len(history), history.best_epoch) == (4, 2)
    assert net.theta[-1] == pytest.approx(math.sqrt(6))
    assert history.stopped == "the validation cost has not improved for 2 epochs; the weights of epoch 2 are back"
    net, history = watched(5, 3, 4, 3.5, 1, early_stopping=EarlyStopping(patience=3))
    assert (len(history), history.best_epoch, history.stopped) == (5, 5, "all 5 epochs are done")
    net, history = watched(5, 3, 4, early_stopping=EarlyStopping(patience=9))
    assert (len(history), history.best_epoch) == (3, 2)
    assert net.theta[-1] == pytest.approx(math.sqrt(6))


def test_early_stopping_asks_for_min_delta() -> None:
    net, history = watched(5, 4.9, 4.8, 3, early_stopping=EarlyStopping(patience=2, min_delta=0.5))
    assert (len(history), history.best_epoch) == (3, 3)  # patience ran from epoch 1; the best weights are the best
    assert net.theta[-1] == pytest.approx(math.sqrt(2 * 4.8))
    _, history = watched(5, 4.9, 3, 2.9, early_stopping=EarlyStopping(patience=2, min_delta=0.5))
    assert (len(history), history.best_epoch) == (4, 4)


def test_without_early_stopping_the_last_weights_stay() -> None:
    net, history = watched(5, 3, 4)
    assert net.theta[-1] == pytest.approx(math.sqrt(8))
    assert history.best_epoch == 2
    assert history.best_theta is not None
    assert history.best_theta[-1] == pytest.approx(math.sqrt(6))
    history = fit(small())
    assert history.best_epoch == 1 + int(np.argmin(history.cost))  # without validation the training cost is watched


@pytest.mark.parametrize("x", [10.0, 1.0])  # ∞ − ∞ gives NaN, else infinity
def test_a_validation_cost_that_is_not_finite_is_no_best(x: float) -> None:
    net = Network("2/1", output="identity", dtype="float64")

    class Overflow(Callback):
        def on_step(self, run: Run) -> None:
            run.net.theta[:2] = 1e308 if run.epoch == 0 else 1 / run.epoch

    history = dr.train(net, [[0.0, 0.0]], [0.0], optimizer="sgd", epochs=4, validation=([[x, -10], [1, 0]], [0, 0]),
                       callbacks=[Overflow()], early_stopping=EarlyStopping(2), verbose=False)  # fmt: skip
    assert not np.isfinite(history.validation_cost[0])
    assert history.best_epoch == 4


# Divergence


class Spike(Callback):
    """Keeps θ before the update that fails."""

    def __init__(self) -> None:
        self.theta: Any = None

    def on_begin(self, run: Run) -> None:
        self.theta = run.net.unroll()

    def on_step(self, run: Run) -> None:
        self.theta = run.net.unroll()


@pytest.mark.parametrize("sliced", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum(0.9)"])
def test_the_last_finite_weights_are_kept(sliced: bool, optimizer: str) -> None:
    def diverge(callbacks: list[Callback]) -> tuple[Network, DivergenceError]:
        net = Network("4/5/2", output="identity")
        with pytest.raises(DivergenceError) as caught:
            dr.train(net, X * 100, X[:, :2], optimizer=optimizer, learning_rate=5.0, batch_size=5, verbose=False,
                     callbacks=callbacks)  # fmt: skip
        return net, caught.value

    spike = Spike()
    net, error = diverge([spike])
    assert error.step > 1
    assert error.epoch == (error.step - 1) // 5 + 1
    assert np.isfinite(net.theta).all()
    np.testing.assert_array_equal(net.theta, spike.theta)
    if sliced:
        again, same = diverge([])
        np.testing.assert_array_equal(again.theta, net.theta)
        assert (same.epoch, same.step, same.layer, str(same)) == (error.epoch, error.step, error.layer, str(error))
    assert f"in epoch {error.epoch}, step {error.step}" in str(error)
    assert "last finite weights are kept. Lower the learning rate (it was 5), clip the gradient" in str(error)


@pytest.mark.parametrize(
    ("theta", "x", "named", "layer", "message"),
    [
        ([3e38, 0, 1, 0], 2.0, {}, 1, "layer 1 (dense(1,relu)): its net values or activations are not finite"),
        ([3e19, 0, 3e19, 0], 1.0, {}, 2, "layer 2 (dense(1,identity)): its net values or activations are not finite"),
        ([1, 0, 1e25, 0], 1.0, {}, 0, ": the cost is not finite"),
        ([1e-20, 0, 1e18, 0], 1e25, {"cost": "absolute"}, 1, "layer 1 (dense(1,relu)): its gradient is not finite"),
        ([1, 0, 1, 0], 1.0, {"learning_rate": 3e38, "t": -9.0}, 1, "its update is not finite"),
        ([1, 0, 9, 0], 1.0, {"learning_rate": 3e38, "t": -9.0, "frozen": True}, 2, "layer 2 (dense(1,identity)): its"),
        ([1, 0, 1e25, 0], 1.0, {"weight_decay": 1.0, "cost": "absolute"}, 0, ": the cost is not finite"),
    ],
)  # fmt: skip
def test_where_it_diverged_is_named(theta: Any, x: float, named: dict[str, Any], layer: int, message: str) -> None:
    first = Dense(1, "relu", trainable=not named.pop("frozen", False))
    net = Network([first, Dense(1, "identity")], input_shape=1, cost=named.pop("cost", None))
    net.theta = theta
    t = named.pop("t", 0.0)
    with pytest.raises(DivergenceError) as caught:
        dr.train(net, [[x]], [t], optimizer="sgd", verbose=False, **({"learning_rate": 0.1} | named))
    assert message in str(caught.value)
    assert (caught.value.epoch, caught.value.step, caught.value.layer) == (1, 1, layer)
    np.testing.assert_array_equal(net.theta, np.float32(theta))
    assert isinstance(caught.value, ArithmeticError)


def test_large_finite_numbers_do_not_diverge() -> None:
    net = Network("1/1", output="identity", cost="absolute")
    net.theta = [1e30, 0]
    assert len(dr.train(net, [[1.0]], [0.0], optimizer="sgd", epochs=2, verbose=False)) == 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clipping_bounds_the_step(dtype: str) -> None:
    for named, norm in (({"clip_norm": 0.1}, np.linalg.norm), ({"clip_value": 0.01}, lambda v: 10 * np.abs(v).max())):
        net = small(dtype=dtype)
        before = net.unroll()
        dr.train(net, 1e6 * X, T, optimizer="sgd", learning_rate=1.0, epochs=1, batch_size=23, verbose=False, **named)
        assert norm(net.theta - before) == pytest.approx(0.1, rel=1e-4)


# Refusals


NUMBERS: list[tuple[str, list[Any], str]] = [
    ("learning_rate", [0, -0.1, np.nan, np.inf, "0.1", True, [0.1], 1j], "must be a finite number, above 0"),
    ("weight_decay", [-1e-9, np.nan, np.inf, "0", None], "weight_decay must be a finite number, at least 0"),
    ("clip_norm", [0, -1, np.nan, np.inf, "1"], "clip_norm must be a finite number, above 0"),
    ("clip_value", [0, -1, np.nan, np.inf, [1]], "clip_value must be a finite number, above 0"),
    ("epochs", [0, -1, 1.0, np.nan, "3", True, None], "epochs must be a whole number, at least 1"),
    ("batch_size", [0, -1, 2.5, np.inf, "3", None], "batch_size must be a whole number, at least 1"),
    ("threads", [0, -1, 1.5], "threads must be a whole number, at least 1"),
    ("seed", [-1, 1.5, "0", True, 2**63], "seed must be a whole number from 0"),
    ("validation", [0, 1, -0.5, 1.5, np.nan, True], "validation must be a finite number, above 0 and below 1"),
    ("validation", ["0.1", (Xv,), (Xv, Tv, Tv, Tv), {"X": Xv}], "validation is (X, t), (X, t, weights), the"),
]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        *[({name: value}, message) for name, values, message in NUMBERS for value in values],
        ({"early_stopping": EarlyStopping()}, "early stopping watches the validation cost: give validation="),
        ({"early_stopping": 5, "validation": 0.2}, "early_stopping is EarlyStopping(patience=…), not 5"),
        ({"early_stopping": True, "validation": 0.2}, "early_stopping is EarlyStopping"),
        ({"optimizer": dr.AdamW(0.1), "weight_decay": 0.1}, "goes to train (in C) or to AdamW (decoupled), not to"),
        ({"optimizer": "adamw", "weight_decay": 0.1}, "not to both"),
        ({"drop_last": True, "batch_size": 24}, "drop_last leaves nothing: 23 rows do not fill one batch of 24"),
        ({"shuffle": 1}, "shuffle is True, False or a function"),
        ({"engine": "fast"}, "engine is 'auto', 'native' or 'textbook', not 'fast'"),
        *[({"callbacks": v}, "callbacks is a list of objects") for v in (None, Callback(), [Callback], 5)],
        ({"optimizer": "adm"}, "there is no optimiser 'adm'; did you mean 'adam'?"),
        ({"optimizer": "momentum(1.5)"}, "momentum must be"),
        ({"optimizer": 5}, "optimiser: expected a name or a value such as SGD()"),
        ({"schedule": "cosin"}, "did you mean 'cosine'?"),
        ({"schedule": "step_decay"}, "step decay"),
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_are_none(named: dict[str, Any], message: str) -> None:
    net = small()
    before = net.unroll()
    with pytest.raises(DeltaruleError) as caught:
        fit(net, **named)
    assert message in str(caught.value)
    np.testing.assert_array_equal(net.theta, before)


def test_adamw_without_its_own_decay_takes_trains() -> None:
    assert len(fit(small(), optimizer=dr.AdamW(0.0), weight_decay=0.1)) == 3


@pytest.mark.parametrize("patience", [0, -1, 1.5, np.nan, True, "3"])
def test_patience(patience: Any) -> None:
    with pytest.raises(HyperparameterError, match="patience must be a whole number, at least 1"):
        EarlyStopping(patience)


@pytest.mark.parametrize("min_delta", [-1, np.nan, np.inf, "0"])
def test_min_delta(min_delta: Any) -> None:
    with pytest.raises(HyperparameterError, match="min_delta must be a finite number, at least 0"):
        EarlyStopping(min_delta=min_delta)


def bad_data() -> Iterator[Any]:
    nan = X.copy()
    nan[3, 2] = np.nan
    yield nan, T, {}, DataError, "X: row 3, column 2 is nan"
    yield X[:0], T[:0], {}, DataError, "X is empty"
    yield X, T[:5], {}, ShapeError, "X has 23 rows, the targets 5"
    yield X[:, :3], T, {}, ShapeError, "expects samples of 4"
    yield X, T + 1, {}, DataError, "a network with 3 outputs takes classes 0 … 2"
    yield X, T, {"sample_weight": np.ones(5)}, ShapeError, "sample_weight has the shape (5,)"
    yield X, T, {"class_weight": "even"}, DataError, "class_weight is a mapping"
    yield X, T, {"validation": (Xv[:, :2], Tv)}, ShapeError, "expects samples of 4"
    yield X, T, {"validation": (Xv, Tv + 9)}, DataError, "takes classes 0 … 2"
    yield X[:2], T[:2], {"validation": 0.01}, DataError, "leaves no held-out row"
    yield X, T, {"shuffle": lambda k: [99]}, DataError, "shuffle returned row 99"


@pytest.mark.parametrize(("rows", "t", "named", "error", "message"), list(bad_data()))
def test_data_that_do_not_fit(rows: Any, t: Any, named: dict[str, Any], error: type[Exception], message: str) -> None:
    net = small()
    before = net.unroll()
    with pytest.raises(error) as caught:
        dr.train(net, rows, t, verbose=False, **named)
    assert message in str(caught.value)
    np.testing.assert_array_equal(net.theta, before)


def test_there_must_be_something_to_train() -> None:
    for net in (small().frozen(), Network("4/dropout(0.5)")):
        with pytest.raises(HyperparameterError, match="has nothing to train: no parameters, or every layer is frozen"):
            dr.train(net, X, T, verbose=False)


def test_class_weights_train_as_sample_weights_do() -> None:
    a, b, c = small(), small(), small()
    fit(a, class_weight={0: 3.0, 2: 0.5})
    fit(b, sample_weight=np.array([3.0, 1.0, 0.5])[T])
    np.testing.assert_array_equal(a.theta, b.theta)
    fit(c, class_weight="balanced")
    counts = np.bincount(T)
    fit(b := small(), sample_weight=(23 / (3 * counts))[T])
    np.testing.assert_allclose(c.theta, b.theta, rtol=1e-12)


def test_a_batch_without_weight_changes_nothing_but_momentum() -> None:
    w = np.array([1.0] * 5 + [0.0] * 18)
    net = small()
    history, thetas = told(net, sample_weight=w, shuffle=False, optimizer="sgd", learning_rate=0.1, epochs=1)
    for theta in thetas[1:]:
        np.testing.assert_array_equal(theta, thetas[0])
    assert history.cost[0] == pytest.approx(small().evaluate(X[:5], T[:5])["cost"])


# It learns


def test_networks_of_every_depth_learn() -> None:
    random = np.random.default_rng(2)
    points = random.normal(size=(200, 2))
    inside = (np.hypot(*points.T) < 1).astype(int)
    line = (points @ [1, -2] > 0.3).astype(int)
    for spec, t, least in (
        ("2/2", line, 0.97),
        ("2/1", line, 0.97),
        ("2/16/2", inside, 0.95),
        ("2/16/8/1", inside, 0.95),
    ):
        net = Network(spec)
        dr.train(net, points, t, epochs=60, learning_rate=0.02, batch_size=16, verbose=False)
        assert net.evaluate(points, t)["accuracy"] >= least, spec
    net = Network("2/16/1", activation="tanh", output="identity")
    dr.train(net, points, points.prod(axis=1), epochs=100, learning_rate=0.02, verbose=False)
    assert net.evaluate(points, points.prod(axis=1))["r2"] > 0.95


def test_an_autoencoder_prepares_a_classifier() -> None:
    """Document 004's pre-processing by a model built before: its first half, frozen, under a new classifier."""
    random = np.random.default_rng(3)
    t = random.integers(0, 2, 300)
    rows = np.outer(2 * t - 1, random.normal(size=8)) + 0.3 * random.normal(size=(300, 8))
    coder = Network("8/3/8", activation="tanh", output="identity")
    dr.train(coder, rows, rows, epochs=30, learning_rate=0.01, verbose=False)
    assert coder.evaluate(rows, rows)["r2"] > 0.5
    net = Network([coder[:1].frozen(), Dense(2)])
    dr.train(net, rows, t, epochs=30, learning_rate=0.05, verbose=False)
    np.testing.assert_array_equal(net[:1].theta, coder[:1].theta)
    np.testing.assert_array_equal(net[:1].forward(rows), coder[:1].forward(rows))
    assert net.evaluate(rows, t)["accuracy"] > 0.97
