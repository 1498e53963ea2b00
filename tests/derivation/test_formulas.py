"""Derivations: every formula of every kind of network is right, and a wrong one is found."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.activations import ACTIVATIONS, Tanh
from deltarule.derivation import derive
from deltarule.derivation.document import Formula, Heading, Paragraph
from deltarule.layers import Dense
from deltarule.optimizers import OPTIMIZERS

LINKS = dr.Conv(2, 2, links=[[1, 0, 1], [0, 1, 1]])
NETWORKS: dict[str, Any] = {
    "softmax": "3/4:tanh/2", "one unit": "3/4/1", "three hidden": "3/5/4:gelu/3:sigmoid/2",
    "maps": "2x8x8/conv(3,3,pad=1,stride=2)/maxpool(2)/subsample(2)/3", "mean": "1x6x6/conv(2,3)/meanpool(2)/3",
    "border": "1x5x5/conv(2,3,pad=same,border=-0.1)/3", "sequences": "seq(3)/rnn(4)/rnn(2,initial_state=learned)/3",
    "last": "seq(3)/rnn(4)/rnn(5,last=True)/3", "recurrent output": "seq(2)/rnn(2)", "dropout": "3/4/dropout(0.5)/2",
    "ends in maps": "1x4x4/conv(2,3)",
}  # fmt: skip
COSTS = [
    ("softmax", "squared error"), ("tanh", "huber"), ("identity", "quantile(0.3)"), ("exp", "poisson"),
    ("sigmoid", "squared error"), ("softplus", "absolute"), ("sigmoid", "binary cross-entropy"),
]  # fmt: skip


def network(name: str, **given: Any) -> dr.Network:
    if name == "ends in maps":
        given |= {"output": "tanh"}
    return dr.Network(NETWORKS[name], **given)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_formula_is_right(name: str) -> None:
    d = derive(network(name))
    wrong = [(f.latex, f.error) for f in d.formulas if not f.ok]
    assert not wrong
    checked = [f for f in d.formulas if f.error is not None]
    assert len(checked) >= len(d.formulas) / 3
    assert [f.number for f in d.formulas] == list(range(1, len(d.formulas) + 1))


def test_links() -> None:
    assert derive(dr.Network([LINKS, dr.Dense(3)], input_shape=(3, 5, 5))).ok


@pytest.mark.parametrize(("output", "cost"), COSTS)
def test_outputs(output: str, cost: str) -> None:
    d = derive(dr.Network("3/4:tanh/2", output=output, cost=cost))
    assert d.ok, d.worst


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"softmax"}))
def test_activations(name: str) -> None:
    assert derive(dr.Network(f"3/4:{name.replace(' ', '_')}/2")).ok


@pytest.mark.parametrize("time", ["mean", "sum"])
def test_steps_of_sequences(time: str) -> None:
    assert derive(network("sequences", time=time)).ok


@pytest.mark.parametrize("rule", [*OPTIMIZERS, "momentum(piecewise((0.5,0.95),at_steps=19))", "adam(epsilon_hat=True)"])
def test_updates(rule: str) -> None:
    d = derive(network("softmax"), optimizer=rule)
    assert d.formulas[-1].error is not None
    assert d.ok


def test_the_documents_systems() -> None:
    for name in ("lenet5", "ufldl_cnn", "ufldl_dnn"):
        d = derive(getattr(dr.nets, name)(), optimizer="momentum(0.9)")
        assert d.ok, d.worst


class Wrong(Tanh):
    """f′ = 1 − a, not 1 − a²."""

    def delta(self, da: Any, z: Any, a: Any) -> Any:
        return da * (1 - a)


class WrongWeights(Dense):
    """A gradient that forgets the sign."""

    def backward(self, p: Any, delta: Any, cache: Any) -> Any:
        da, g = super().backward(p, delta, cache)
        return da, g | {"W": -g["W"]}


class WrongForward(Dense):
    """A net value without its bias."""

    def forward(self, p: Any, a_prev: Any, ctx: Any) -> Any:
        return super().forward(p | {"b": 0 * p["b"]}, a_prev, ctx)


@pytest.mark.parametrize(("layer", "found"), [
    (Dense(4, Wrong()), "delta^{(1)} = f'"), (WrongWeights(4, "tanh"), r"\partial W^{(1)}"),
    (WrongForward(4, "tanh", bias_initializer="normal(1)"), "z^{(1)} = W"),
])  # fmt: skip
def test_a_wrong_layer_is_found(layer: Any, found: str) -> None:
    d = derive(dr.Network([layer, Dense(2, "softmax")], input_shape=3))
    assert not d.ok
    assert any(found in f.latex for f in d.formulas if not f.ok), [f.latex for f in d.formulas if not f.ok]
    assert "WRONG" in d.worst.note


def test_it_goes_the_way_of_the_assignment() -> None:
    d = derive(network("softmax"))
    titles = [b.text for b in d.blocks if isinstance(b, Heading) and b.level == 2]
    assert titles == [
        "Notation", "Forward", "The cost", "The error of the output layer", "The chain rule", "Backward",
        "A mini-batch", "The update: sgd", "How much it is",
    ]  # fmt: skip


def test_the_users_own_row() -> None:
    """The numbers of the checks may be the user's; wrong ones are refused as anywhere."""
    assert derive(network("softmax"), [0.1, 0.2, 0.3], 1).ok
    with pytest.raises(dr.ShapeError):
        derive(network("softmax"), [0.1, 0.2], 1)


def test_formulas_are_values() -> None:
    first = derive(network("softmax")).formulas[0]
    assert first.ok
    assert not first._replace(error=1e-3).ok
    assert isinstance(first, Formula)
    assert dataclasses.is_dataclass(derive(network("softmax")))
    assert np.isfinite(derive(network("softmax")).worst.error or 0)


def test_many_layers_are_folded() -> None:
    """It says which, and that they were checked; a wrong one among them is written out."""
    d = derive(dr.Network("4/" + "5:tanh/" * 14 + "3"))
    assert d.ok
    said = [b.text for b in d.blocks if isinstance(b, Paragraph) and "folded" in b.text]
    assert len(said) == 2
    assert said[0].startswith("Layers 5 to 11 are folded here (7 × dense(5,tanh))")
    assert "the largest of" in said[0]
    titles = [b.text for b in d.blocks if isinstance(b, Heading) and b.text.startswith("Layer ")]
    assert sum(title.startswith("Layer 4:") for title in titles) == 2
    assert not any(title.startswith("Layer 7:") for title in titles)
    layers = [Dense(5, "tanh") for _ in range(14)]
    layers[6] = WrongWeights(5, "tanh")
    wrong = derive(dr.Network([*layers, Dense(3)], input_shape=4))
    assert not wrong.ok
    assert any(b.text.startswith("Layer 7:") for b in wrong.blocks if isinstance(b, Heading))


def test_a_large_network_is_derived_in_seconds() -> None:
    assert derive(dr.Network("784/1200/300/10")).ok
