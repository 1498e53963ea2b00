"""Verdicts: each fires where it should, says why, and ordinary networks have none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine

import deltarule as dr
from deltarule.diagnosis import Diagnosis, LayerHealth, diagnose, verdicts
from deltarule.errors import HyperparameterError, ShapeError
from deltarule.layers import Layer
from deltarule.layers.base import Cache

Array = NDArray[Any]
RANDOM = np.random.default_rng(0)
X, T = RANDOM.normal(size=(200, 8)), np.arange(200) % 3
SEQUENCES, LABELS = RANDOM.normal(size=(50, 12, 3)), RANDOM.integers(0, 2, (50, 12))


def said(found: Diagnosis) -> list[str]:
    return [own.verdict for own in found.layers]


def test_a_deep_sigmoid_network_vanishes() -> None:
    found = diagnose(dr.Network("8" + "/30:sigmoid" * 20 + "/3"), X, T)
    verdict = said(found)
    assert verdict[:14] == ["vanishing"] * 14
    assert verdict[-4:] == ["healthy"] * 4
    assert "relu" in found.layers[0].remedy
    assert str(found).count("\n") == 23  # titles, 21 layers, one line for all that vanish, the sentence
    assert found.sentence.startswith("the backward pass is NOT healthy: vanishing in layers 1–")


def test_large_weights_explode() -> None:
    net = dr.Network("8/50/50/50/3")
    net.theta = net.theta * 30
    found = diagnose(net, X, T)
    assert found.layers[0].verdict == "exploding"
    assert "times that of the last layer" in found.layers[0].reason


def test_dead_units_block_what_is_below() -> None:
    net = dr.Network("8/20/20/3")
    net.parameters()["2.b"][...] = -10
    found = diagnose(net, X, T)
    assert said(found) == ["vanishing", "dead", "healthy"]
    assert found.layers[1].reason == "100% of its units are active on none of 200 rows"
    assert found.layers[0].remedy == "see layer 2"
    few = diagnose(net, X[:5], T[:5])
    assert said(few) == ["vanishing", "vanishing", "healthy"]
    assert few.layers[1].dead is None
    assert "no unit of layer 2 is active on these rows" in few.layers[0].reason
    assert few.layers[0].remedy == "give 100 rows or more"


def test_a_few_dead_units_are_no_finding() -> None:
    net = dr.Network("8/20/3")
    net.parameters()["1.b"][:5] = -100
    found = diagnose(net, X, T)
    assert found.layers[0].dead == 0.25
    assert found.ok
    net.parameters()["1.b"][:8] = -100
    assert diagnose(net, X, T).layers[0].verdict == "dead"


MAPS = RANDOM.normal(size=(120, 1, 4, 4))


@pytest.mark.parametrize(
    ("spec", "rows", "stage", "words"),
    [
        ("8/20/3", X[:5], 1, "dead units cannot be told from 5 rows: give 100 rows or more"),
        ("8/20/3", X[:1], 1, "dead units cannot be told from 1 row: give 100 rows or more"),
        ("1x4x4/conv(2,3)/3", MAPS[:5], 1, "dead maps cannot be told from 5 rows: give 100 rows or more"),
        ("seq(3)/rnn(4)/5/2", SEQUENCES[:2], 2, "dead units cannot be told from 24 steps: give 100 steps or more"),
        ("seq(3)/rnn(4)/5/2", SEQUENCES[:1, :1], 2, "dead units cannot be told from 1 step: give 100 steps or more"),
        ("seq(3)/rnn(4,last=True)/5/2", SEQUENCES[:2], 2, "dead units cannot be told from 2 rows: give 100 rows or"),
    ],
)
def test_few_rows_say_that_they_are_few(spec: str, rows: Array, stage: int, words: str) -> None:
    net = dr.Network(spec)
    t = np.zeros(rows.shape[:2] if net.shapes[-1][0] is None else len(rows), int)
    assert words in diagnose(net, rows, t).layers[stage - 1].reason


@pytest.mark.parametrize(
    ("spec", "rows", "key", "words"),
    [
        ("1x4x4/conv(2,3)/3", MAPS, "1.b", "100% of its maps are active at no place of 120 rows"),
        ("seq(3)/rnn(4)/5/2", SEQUENCES, "2.b", "100% of its units are active on none of 600 steps"),
    ],
)
def test_dead_is_said_of_what_was_looked_at(spec: str, rows: Array, key: str, words: str) -> None:
    net = dr.Network(spec)
    net.parameters()[key][...] = -100
    t = np.zeros(rows.shape[:2] if net.shapes[-1][0] is None else len(rows), int)
    own = diagnose(net, rows, t).layers[int(key[0]) - 1]
    assert (own.verdict, own.reason) == ("dead", words)


def test_saturated_sigmoids() -> None:
    net = dr.Network("8/20/20/3", activation="sigmoid")
    net.parameters()["2.W"][...] = RANDOM.choice([-50.0, 50.0], (20, 20))
    found = diagnose(net, X, T)
    assert found.layers[1].verdict == "saturated"
    assert found.layers[1].saturated is not None
    assert found.layers[1].saturated > 0.9


def test_what_is_below_saturated_layers_says_so() -> None:
    net = dr.Network("8/20/20/3", activation="tanh", dtype="float64")
    net.parameters()["2.b"][...] = 8
    found = diagnose(net, X, T)
    assert said(found)[:2] == ["vanishing", "saturated"]
    assert "layer 2 is 100% saturated" in found.layers[0].reason


def test_rates() -> None:
    net = dr.Network("8/20/3")
    assert said(diagnose(net, X, T, learning_rate=100)) == ["rate too large"] * 2
    assert said(diagnose(net, X, T, learning_rate=1e-9)) == ["rate too small"] * 2
    assert diagnose(net, X, T, learning_rate=0.1).ok
    assert diagnose(net, X, T, learning_rate=1e-9, optimizer="adagrad").findings  # 1e-9 at every entry


def test_a_small_update_below_a_blocked_layer_is_no_matter_of_the_rate() -> None:
    net, t = dr.Network("8/20:tanh/1", cost="squared error", dtype="float64"), np.full(200, 0.4)
    net.parameters()["2.b"][...] = 20
    found = diagnose(net, X, t)
    assert max(own.update_ratio or 0 for own in found.layers) < verdicts.TOO_SMALL
    assert said(found) == ["healthy", "saturated"]
    assert diagnose(net, X, np.full(200, 0.6)).findings[0].verdict == "rate too small"  # off by less than ½: no block


@pytest.mark.parametrize("K", [2, 10, 1000])
def test_a_softmax_that_is_unsure_is_not_saturated(K: int) -> None:
    net, t = dr.Network(f"8/20/{K}", cost="squared error"), np.arange(200) % K
    assert diagnose(net, X, t).layers[1].saturated == 0
    net.parameters()["2.b"][0] = 100
    wrong = diagnose(net, X, np.full(200, 1))
    assert wrong.layers[1].verdict == "saturated"
    assert wrong.layers[1].saturated == 1
    assert diagnose(net, X, np.zeros(200, int)).layers[1].saturated == 0  # sure and right


def test_a_network_at_its_minimum_needs_no_larger_rate() -> None:
    x = RANDOM.normal(size=(300, 3))
    t = x @ [1.0, -2.0, 0.5] + RANDOM.normal(size=300)
    net = dr.Network("3/1", output="identity", dtype="float64")
    dr.minimize(net, x, t)
    found = diagnose(net, x, t)
    assert found.layers[0].update_ratio is not None
    assert found.layers[0].update_ratio < verdicts.TOO_SMALL
    assert found.ok


def test_no_error_is_left() -> None:
    net = dr.Network("1/1/1", activation="identity", output="identity", dtype="float64")
    net.theta = [1.0, 0.0, 1.0, 0.0]
    found = diagnose(net, [[1.0], [2.0]], [1.0, 2.0])
    assert found.ok
    assert "no error is left" in found.layers[0].reason


@pytest.mark.parametrize(
    ("scale", "verdict", "words"), [(0.1, "vanishing", "4 steps back"), (6, "exploding", "11 steps back")]
)
def test_through_time(scale: float, verdict: str, words: str) -> None:
    net = dr.Network([dr.RNN(16, "relu" if scale > 1 else "tanh"), dr.Dense(2)], input_shape=(None, 3))
    assert diagnose(net, SEQUENCES, LABELS).ok
    net.parameters()["1.U"][...] *= scale
    found = diagnose(net, SEQUENCES, LABELS)
    assert found.layers[0].verdict == verdict
    assert "through time" in found.layers[0].reason
    assert words in found.layers[0].reason


def test_not_finite_names_where_it_began() -> None:
    net = dr.Network("8/20:tanh/20:tanh/3")
    net.parameters()["2.W"][1, 3] = np.nan
    found = diagnose(net, X, T)
    assert said(found) == ["not finite"] * 3
    assert found.layers[1].reason == "2.W[1, 3] is nan"
    assert found.layers[0].reason == "it comes from layer 2: 2.W[1, 3] is nan"
    net = dr.Network("8/20/20/3")
    net.parameters()["2.W"][...] *= 3e38
    assert diagnose(net, X, T).layers[1].reason.startswith("2.z[")
    net = dr.Network("8/20:tanh/20:tanh/1", output="identity")  # a is 0, and only what comes back overflows
    net.parameters()["1.W"][...] = 0
    net.parameters()["3.W"][...] = 3e38
    found = diagnose(net, X, 100.0 * (T + 1.0))
    assert said(found) == ["not finite", "not finite", "healthy"]
    assert found.layers[0].remedy == "see layer 2"
    assert found.layers[1].reason.startswith("2.delta[")


def test_json_holds_what_is_not_finite() -> None:
    net = dr.Network("8/20/3")
    net.parameters()["2.b"][0] = np.inf
    page = diagnose(net, X, T).to_dict()
    assert json.loads(json.dumps(page, allow_nan=False)) == page
    assert list(page) == ["ok", "rows", "given", "sentence", "layers"]
    assert list(page["layers"][0]) == [
        "stage", "layer", "mean_delta", "norm_delta", "ratio", "dead", "saturated", "update_ratio", "through_time",
        "verdict", "reason", "remedy",
    ]  # fmt: skip
    assert page["layers"][0]["mean_delta"] == "nan"
    assert page["ok"] is False
    rnn = diagnose(dr.Network("seq(3)/rnn(4)/2"), SEQUENCES, LABELS).to_dict()
    assert len(rnn["layers"][0]["through_time"]) == 12
    assert rnn["layers"][1]["through_time"] is None


def test_frozen_layers_need_no_error() -> None:
    frozen = [dr.Dense(20, "sigmoid", trainable=False)] * 20
    net = dr.Network([*frozen, dr.Dense(20, "tanh"), dr.Dense(3)], input_shape=(8,))
    found = diagnose(net, X, T)
    assert found.ok
    assert found.layers[0].update_ratio is None
    assert "nothing is trained" in found.layers[0].reason
    above = dr.Network([dr.Dense(20, "tanh"), *frozen, dr.Dense(3)], input_shape=(8,))
    assert diagnose(above, X, T).layers[0].verdict == "vanishing"


@dataclass(frozen=True)
class Scale(Layer):
    """A layer of a user's: a = s a_prev."""

    name = "scale"

    def output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def parameter_shapes(self, input_shape: Any) -> dict[str, tuple[int, ...]]:
        return {"s": (1,)}

    def initial(self, input_shape: Any, random: Any) -> dict[str, Any]:
        return {"s": np.array([2.0])}

    def forward(self, p: Any, a_prev: Any, ctx: Any) -> Cache:
        return Cache(a_prev, p["s"] * a_prev, p["s"] * a_prev)

    def backward(self, p: Any, delta: Any, cache: Any) -> Any:
        return p["s"] * delta, {"s": (delta * cache.a_prev).sum().reshape(1)}


def test_layers_of_users() -> None:
    net = dr.Network([dr.Dense(5, "tanh"), Scale(), dr.Dense(3)], input_shape=(8,), dtype="float64")
    found = diagnose(net, X, T, learning_rate=0.1)
    assert found.ok
    assert found.layers[1].layer == "scale"
    tr = dr.trace(net, X, T)
    assert found.layers[1].update_ratio == pytest.approx(abs(0.1 * tr[2].ds[0]) / 2, rel=1e-9)


SETS = {"iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer, "digits": load_digits}


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
@pytest.mark.parametrize("name", SETS)
def test_ordinary_networks_are_healthy(name: str, activation: str) -> None:
    rows, t = SETS[name](return_X_y=True)
    rows = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-9)
    net = dr.Network(f"{rows.shape[1]}/30/20/{t.max() + 1 if t.max() > 1 else 1}", activation=activation)
    assert diagnose(net, rows, t, optimizer="adam").ok
    dr.train(net, rows, t, epochs=5, verbose=False)
    found = diagnose(net, rows, t, optimizer="adam")
    assert found.ok, str(found)


def test_what_is_shown() -> None:
    found = diagnose(dr.Network("8/20/3"), X, T)
    lines = str(found).splitlines()
    assert lines[0].split() == ["layer", "mean", "|δ|", "‖δ‖", "of", "next", "dead", "saturated", "‖ΔW‖/‖W‖"]
    assert lines[1].split()[1] == "dense(20,relu)"
    assert lines[-1] == found.sentence == "the backward pass is healthy (on 200 rows)"
    assert bool(found) is found.ok is True
    many = np.repeat(X, 6, axis=0), np.repeat(T, 6)
    assert diagnose(dr.Network("8/20/3"), *many).sentence.endswith("(on 1,024 of 1,200 rows)")
    assert diagnose(dr.Network("8/20/3"), X[0], T[0]).sentence.endswith("(on 1 row)")


def test_stretches_of_layers() -> None:
    def bad(stage: int, verdict: str = "vanishing") -> LayerHealth:
        return LayerHealth(stage, "dense(2)", 0.0, 0.0, None, None, None, None, None, verdict, "why", "do")

    found = Diagnosis((bad(1), bad(2), bad(3), bad(5), bad(6, "dead")), 7, 7)
    assert found.sentence.endswith("NOT healthy: vanishing in layers 1–3, 5, dead in layer 6 (on 7 rows)")
    assert str(found).splitlines()[-3:-1] == ["layers 1–3, 5: vanishing; why. Do", "layer 6: dead; why. Do"]


def test_what_is_refused() -> None:
    net = dr.Network("8/20/3")
    with pytest.raises(HyperparameterError, match="diagnose takes a network first"):
        diagnose("8/20/3", X, T)  # type: ignore[arg-type]
    with pytest.raises(HyperparameterError, match="learning_rate must be"):
        diagnose(net, X, T, learning_rate=0)
    with pytest.raises(HyperparameterError, match="weight_decay must be"):
        diagnose(net, X, T, weight_decay=-1)
    with pytest.raises(HyperparameterError) as refused:
        diagnose(net, X, T, optimizer="adamw(weight_decay=0.1)", weight_decay=0.1)
    with pytest.raises(HyperparameterError) as also:
        dr.train(net, X, T, optimizer="adamw(weight_decay=0.1)", weight_decay=0.1)
    assert str(refused.value) == str(also.value)
    with pytest.raises(ShapeError):
        diagnose(net, X[:, :5], T)
    with pytest.raises(dr.UnknownNameError):
        diagnose(net, X, T, optimizer="sdg")
