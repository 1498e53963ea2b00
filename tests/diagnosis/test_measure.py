"""What a diagnosis measures: the numbers of NumPy, of hand computation, over odd shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import deltarule as dr
from deltarule.diagnosis import diagnose, measure
from deltarule.diagnosis.measure import chosen

Array = NDArray[Any]
RANDOM = np.random.default_rng(0)


def numbers(net: dr.Network, X: Array, t: Array, **named: Any) -> list[Any]:
    return list(diagnose(net, X, t, **named).layers)


def test_by_hand() -> None:
    """One unit a layer: z = 2 · 1 = 2, ŷ = 3 z = 6, δ² = 6 − 1 = 5, δ¹ = 3 · 5 = 15."""
    net = dr.Network("1/1/1", activation="identity", output="identity", dtype="float64")
    net.theta = [2.0, 0.0, 3.0, 0.0]
    one, two = numbers(net, np.array([1.0]), np.array([1.0]), learning_rate=0.01)
    assert (one.mean_delta, one.norm_delta, one.ratio) == (15.0, 15.0, 3.0)
    assert (two.mean_delta, two.norm_delta, two.ratio) == (5.0, 5.0, None)
    assert one.update_ratio == pytest.approx(0.01 * 15 / 2, rel=1e-12)  # ∂C/∂W¹ = 15 · 1
    assert two.update_ratio == pytest.approx(0.01 * 10 / 3, rel=1e-12)  # ∂C/∂W² = 5 · 2
    assert (one.dead, one.saturated, one.through_time) == (None, None, None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_means_and_lengths_are_those_of_the_trace(dtype: str) -> None:
    net = dr.Network("4/7:tanh/5:relu/3", dtype=dtype)
    X, t, w = RANDOM.normal(size=(9, 4)), RANDOM.integers(0, 3, 9), RANDOM.random(9) + 0.1
    tr = dr.trace(net, X, t, sample_weight=w)
    layers = numbers(net, X, t, sample_weight=w)
    total = w.astype(dtype).sum(dtype=np.float64)
    lengths = [np.linalg.norm(k.delta.astype(float), axis=1).sum() / total for k in tr]
    for own, k, length in zip(layers, tr, lengths):
        assert own.mean_delta == pytest.approx(np.abs(k.delta.astype(float)).sum() / total / k.delta.shape[1], rel=1e-6)
        assert own.norm_delta == pytest.approx(length, rel=1e-6)
    assert [own.ratio for own in layers] == [
        pytest.approx(lengths[0] / lengths[1], rel=1e-6), pytest.approx(lengths[1] / lengths[2], rel=1e-6), None
    ]  # fmt: skip


def test_a_weight_of_two_is_a_row_twice() -> None:
    net, X, t = dr.Network("3/4/2", dtype="float64"), RANDOM.normal(size=(5, 3)), np.array([0, 1, 0, 1, 1])
    weighed = numbers(net, X, t, sample_weight=[1, 2, 1, 1, 0])
    twice = numbers(net, X[[0, 1, 1, 2, 3]], t[[0, 1, 1, 2, 3]])
    for a, b in zip(weighed, twice):
        assert (a.mean_delta, a.norm_delta) == pytest.approx((b.mean_delta, b.norm_delta), rel=1e-12)
        assert a.update_ratio == pytest.approx(b.update_ratio, rel=1e-12)


def test_maps_are_one_vector_a_row() -> None:
    net = dr.Network("1x6x6/conv(2,3)/meanpool(2)/3", dtype="float64")
    X, t = RANDOM.normal(size=(4, 1, 6, 6)), np.array([0, 1, 2, 0])
    tr = dr.trace(net, X, t)
    for own, k in zip(numbers(net, X, t), tr):
        assert own.mean_delta == pytest.approx(np.abs(k.delta).mean(), rel=1e-12)
        assert own.norm_delta == pytest.approx(np.linalg.norm(k.delta.reshape(4, -1), axis=1).mean(), rel=1e-12)


def test_steps_are_samples_and_those_left_out_are_none() -> None:
    net = dr.Network("seq(3)/rnn(4)/2", dtype="float64")
    X, t, n = RANDOM.normal(size=(3, 6, 3)), RANDOM.integers(0, 2, (3, 6)), [6, 2, 4]
    tr = dr.trace(net, X, t, lengths=n)
    for own, k in zip(numbers(net, X, t, lengths=n), tr):
        assert own.mean_delta == pytest.approx(np.abs(k.delta).sum() / (12 * k.delta.shape[-1]), rel=1e-12)
        assert own.norm_delta == pytest.approx(np.linalg.norm(k.delta.reshape(3, -1), axis=1).mean(), rel=1e-12)


def test_a_weight_of_a_sequence_is_that_of_its_steps() -> None:
    net, w = dr.Network("seq(3)/rnn(4)/2", dtype="float64"), np.array([1.0, 0.5, 2.0])
    X, t = RANDOM.normal(size=(3, 6, 3)), RANDOM.integers(0, 2, (3, 6))
    a, b = numbers(net, X, t, sample_weight=w), numbers(net, X, t, sample_weight=np.repeat(w[:, None], 6, axis=1))
    assert a == b
    delta = dr.trace(net, X, t, sample_weight=w)[1].delta
    assert a[0].mean_delta == pytest.approx(np.abs(delta).sum() / (4 * 6 * 3.5), rel=1e-12)


def test_momentum_may_be_a_schedule() -> None:
    net, X, t = dr.Network("3/4/2"), RANDOM.normal(size=(5, 3)), np.array([0, 1, 0, 1, 1])
    rule = "momentum(piecewise((0.5,0.95),at_steps=19))"
    assert numbers(net, X, t, optimizer=rule) == numbers(net, X, t, optimizer="momentum(0.5)")


@pytest.mark.parametrize("rule", ["sgd", "momentum(0.9)", "adam", "adamw(weight_decay=0.5)", "rmsprop", "rprop"])
def test_the_update_is_the_first_of_training(rule: str) -> None:
    net = dr.Network("4/6/3", dtype="float64")
    X, t = RANDOM.normal(size=(8, 4)), RANDOM.integers(0, 3, 8)
    decay = 0.0 if rule.startswith("adamw") else 0.1
    layers = numbers(net, X, t, optimizer=rule, learning_rate=0.02, weight_decay=decay)
    before = {k: v.copy() for k, v in net.parameters().items()}
    named: dict[str, Any] = {"batch_size": 8, "epochs": 1, "verbose": False, "weight_decay": decay}
    dr.train(net, X, t, optimizer=rule, learning_rate=0.02, engine="textbook", **named)
    for own in layers:
        W, moved = before[f"{own.stage}.W"], net.parameters()[f"{own.stage}.W"] - before[f"{own.stage}.W"]
        assert own.update_ratio == pytest.approx(np.linalg.norm(moved) / np.linalg.norm(W), rel=1e-9)


def test_the_optimisers_own_rate_and_none() -> None:
    net, X, t = dr.Network("3/4/2"), RANDOM.normal(size=(5, 3)), np.array([0, 1, 0, 1, 1])
    given = [own.update_ratio for own in numbers(net, X, t, optimizer="rmsprop", learning_rate=0.01)]
    assert [own.update_ratio for own in numbers(net, X, t, optimizer="rmsprop")] == given
    assert [own.update_ratio for own in numbers(net, X, t, optimizer=None)] == [None, None]


def test_both_weights_of_a_recurrent_layer_move() -> None:
    net = dr.Network("seq(2)/rnn(3)/2", dtype="float64")
    X, t = RANDOM.normal(size=(4, 5, 2)), RANDOM.integers(0, 2, (4, 5))
    tr, own = dr.trace(net, X, t), numbers(net, X, t, learning_rate=0.5)[0]
    dW, W = [tr[1].dW, tr[1].dU], [tr[1].W, tr[1].U]
    expected = 0.5 * np.sqrt(sum((g**2).sum() for g in dW) / sum((p**2).sum() for p in W))
    assert own.update_ratio == pytest.approx(expected, rel=1e-12)


def test_a_layer_without_decay_moves_as_a_whole_and_weights_of_zero_give_no_ratio() -> None:
    net = dr.Network("1x4x4/subsample(2)/3", dtype="float64")
    X, t = RANDOM.normal(size=(4, 1, 4, 4)), np.array([0, 1, 2, 0])
    tr, own = dr.trace(net, X, t), numbers(net, X, t, learning_rate=1.0)[0]
    g, p = [np.concatenate([a.ravel() for a in part.values()]) for part in (tr[1].gradients, tr[1].parameters)]
    assert own.update_ratio == pytest.approx(np.linalg.norm(g) / np.linalg.norm(p), rel=1e-12)
    plain, decayed = (numbers(net, X, t, optimizer=f"adamw(weight_decay={k})")[0].update_ratio for k in (0, 0.5))
    assert plain == decayed  # nothing of this layer is decayed
    net.parameters()["2.W"][...] = 0
    assert numbers(net, X, t)[1].update_ratio is None


def test_dead_units_are_counted() -> None:
    net = dr.Network("2/4/2", dtype="float64")
    net.parameters()["1.W"][...] = [[1, 0], [-1, 0], [0, 0], [0, 0]]
    net.parameters()["1.b"][...] = [0, 0, -1, 1]
    X = np.concatenate([np.full((99, 2), -1.0), [[1.0, 0.0]]])  # the first unit is active in the last row alone
    assert numbers(net, X, np.arange(100) % 2)[0].dead == 0.25
    assert numbers(net, X[:-1], np.arange(99) % 2)[0].dead is None  # too few to tell


def test_a_map_is_dead_when_it_is_at_every_place() -> None:
    net = dr.Network("1x4x4/conv(2,1)/2", dtype="float64")
    net.parameters()["1.W"][...], net.parameters()["1.b"][...] = 1, 0
    X = -np.ones((100, 1, 4, 4))
    X[7, 0, 2, 3] = 1
    assert numbers(net, X, np.arange(100) % 2)[0].dead == 0
    net.parameters()["1.W"][1] = -1e-9  # and the other one where the input is negative
    X[7, 0, 2, 3] = -1
    assert numbers(net, X, np.arange(100) % 2)[0].dead == 0.5


@pytest.mark.parametrize(("name", "edge"), [("sigmoid", 5.98), ("tanh", 2.993), ("scaled tanh", 4.489)])
def test_saturated_entries_are_counted(name: str, edge: float) -> None:
    """f′ falls below a hundredth of its maximum between z = edge − 0.01 and z = edge + 0.01."""
    net = dr.Network("1/1/2", activation=name, dtype="float64")
    net.theta = [1.0, 0.0, 1.0, -1.0, 0.0, 0.0]
    X = np.array([[0.0], [edge - 0.01], [edge + 0.01], [-edge - 0.01]])
    assert numbers(net, X, np.array([0, 1, 0, 1]))[0].saturated == 0.5


def test_outputs_are_saturated_where_they_are_wrong_besides() -> None:
    X, t = np.array([[9.0], [9.0], [0.0], [-9.0]]), np.array([1, 0, 1, 0])
    net = dr.Network("1/1", cost="squared error", dtype="float64")
    net.theta = [1.0, 0.0]
    assert numbers(net, X, t)[0].saturated == 0.25
    net = dr.Network("1/2", cost="squared error", dtype="float64")
    net.theta = [-1.0, 1.0, 0.0, 0.0]
    assert numbers(net, X, t)[0].saturated == 0.25
    assert numbers(dr.Network("1/1"), X, t)[0].saturated is None  # f′ is no factor of ŷ − t


def test_outputs_that_are_maps_are_compared_place_by_place() -> None:
    net = dr.Network([dr.Conv(2, 1, "sigmoid")], input_shape=(1, 2, 3), cost="squared error", dtype="float64")
    net.theta = [9.0, -9.0, 0.0, 0.0]
    X = np.array([[[[1, -1, 0], [1, 1, 0]]]])
    t = dr.trace(net, X, np.zeros((1, 12))).y.reshape(1, 12)
    assert numbers(net, X, t)[0].saturated == 0
    t[0, [1, 6, 2]] = 1 - t[0, [1, 6, 2]]  # two that are sure, and one that is not
    assert numbers(net, X, t)[0].saturated == pytest.approx(2 / 12)


def test_one_image_is_one_look() -> None:
    net = dr.Network("1x20x20/conv(2,1,relu)/3")
    net.parameters()["1.b"][...] = -9
    own = numbers(net, np.ones((1, 1, 20, 20)), np.array([0]))[0]
    assert (own.dead, own.verdict) == (None, "vanishing")


def test_through_time_is_the_last_row_of_the_triangle() -> None:
    net = dr.Network("seq(3)/rnn(4)/2", dtype="float64")
    X, t = RANDOM.normal(size=(5, 7, 3)), RANDOM.integers(0, 2, (5, 7))
    lengths = np.linalg.norm(dr.trace(net, X, t).triangle(1)[:, -1], axis=-1).sum(axis=0)[::-1]
    assert numbers(net, X, t)[0].through_time == pytest.approx(tuple(lengths / lengths[0]), rel=1e-12)


def test_through_time_of_lengths_and_of_holes() -> None:
    net = dr.Network("seq(3)/rnn(4)/2", dtype="float64")
    X, t = RANDOM.normal(size=(2, 6, 3)), RANDOM.integers(0, 2, (2, 6))
    mask = np.array([[1, 1, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]], bool)
    triangle = np.linalg.norm(dr.trace(net, X, t, mask=mask).triangle(1), axis=-1)
    a, b = triangle[0, 5, [5, 4, 3, 1, 0]], triangle[1, 2, [2, 1, 0]]  # by the steps that there are
    expected = [*((a[:3] + b) / (a[0] + b[0])), *(a[3:] / a[0])]
    assert numbers(net, X, t, mask=mask)[0].through_time == pytest.approx(tuple(expected), rel=1e-12)


def test_through_time_of_one_answer_a_sequence_and_of_one_step() -> None:
    net = dr.Network("seq(3)/rnn(4,last=True)/2", dtype="float64")
    X, t = RANDOM.normal(size=(5, 7, 3)), RANDOM.integers(0, 2, 5)
    lengths = np.linalg.norm(dr.trace(net, X, t)[1].delta, axis=-1).sum(axis=0)[::-1]
    assert numbers(net, X, t)[0].through_time == pytest.approx(tuple(lengths / lengths[0]), rel=1e-12)
    assert numbers(net, X[:, :1], t)[0].through_time is None


def test_rows_are_spread_evenly_and_weigh_something(monkeypatch: pytest.MonkeyPatch) -> None:
    net, X, t = dr.Network("1/2"), np.arange(5000.0)[:, None], np.arange(5000) % 2
    rows = chosen(net, X, t)
    assert len(rows.X) == 1024
    assert rows.given == 5000
    assert set(np.diff(rows.X[:, 0])) <= {4, 5}
    w = np.zeros(5000)
    w[[3, 10]] = 1
    assert chosen(net, X, t, w).X[:, 0].tolist() == [3, 10]
    monkeypatch.setattr(measure, "MOST_NUMBERS", 30)  # of a net that holds 3 a row
    assert chosen(net, X, t).X[:, 0].tolist() == [k * 500 for k in range(10)]


SPECS = [
    "3/2", "3/4/1", "2x7x5/conv(3,2,stride=2)/maxpool(2)/3", "1x9x9/subsample(2)/conv(2,3)/meanpool(2)/5/2",
    "seq(3)/rnn(5)/rnn(2)/3", "seq(4)/rnn(3,last=True)/2", "3/dropout(0.5)/6:gelu/4:softplus/2", "seq(2)/3/2",
    "seq(2)/rnn(3,last=True)", "seq(2)/rnn(3)", "1x5x4/conv(2,2,sigmoid)",
]  # fmt: skip


@given(
    st.sampled_from(SPECS), st.integers(1, 6), st.integers(1, 6), st.sampled_from(["float32", "float64"]),
    st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=60)
def test_any_network_any_shape(spec: str, m: int, T: int, dtype: str, seed: int) -> None:
    random, net = np.random.default_rng(seed), dr.Network(spec, dtype=dtype, seed=seed)
    X = random.normal(size=(m, *(T if n is None else n for n in net.input_shape)))
    t = random.integers(0, max(2, net.n_outputs), (m, T) if net.shapes[-1][0] is None else (m,))
    if not isinstance(net.layers[-1], dr.Dense):
        t = random.random((m, *([T] if net.shapes[-1][0] is None else []), net.n_outputs))
    theta = net.theta.copy()
    found = diagnose(net, X, t, optimizer="adam")
    assert np.array_equal(net.theta, theta)
    assert [own.stage for own in found.layers] == list(range(1, len(net.layers) + 1))
    for own, k in zip(found.layers, dr.trace(net, X, t)):
        assert own.mean_delta == pytest.approx(np.abs(k.delta.astype(float)).mean(), rel=1e-5, abs=1e-30)
        assert all(math.isfinite(x) for x in vars(own).values() if isinstance(x, float))
        assert own.reason
        assert bool(own.remedy) is not own.ok
    assert diagnose(net, X[0], t[0]).rows == 1
