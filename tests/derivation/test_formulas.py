"""Derivations: every formula of every kind of network is right, and a wrong one is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.activations import ACTIVATIONS, Activation, Tanh
from deltarule.arrays import namespace
from deltarule.costs import Cost
from deltarule.derivation import derive, plainly
from deltarule.derivation.document import Formula, Heading, Paragraph, Table, Words
from deltarule.derivation.draft import equations_of
from deltarule.derivation.numbers import Numbers
from deltarule.derivation.symbols import Place, at_layer
from deltarule.errors import HyperparameterError
from deltarule.layers import Conv, Dense, Layer, MaxPool, MeanPool, Subsample
from deltarule.optimizers import OPTIMIZERS, SGD
from deltarule.outputs import Output

NETWORKS: dict[str, Any] = {
    "softmax": "3/4:tanh/2", "one unit": "3/4/1", "three hidden": "3/5/4:gelu/3:sigmoid/2",
    "maps": "2x8x8/conv(3,3,pad=1,stride=2)/maxpool(2)/subsample(2)/3", "mean": "1x6x6/conv(2,3)/meanpool(2)/3",
    "border": "1x5x5/conv(2,3,pad=same,border=-0.1)/3", "uneven": "2x9x7/conv(2,(3,2),stride=(2,1),pad=(2,1))/3",
    "overlapping": "2x7x8/meanpool(3,2)/maxpool(2,1)/3", "left over": "2x7x8/meanpool(2)/subsample(2)/3",
    "sequences": "seq(3)/rnn(4)/rnn(2,initial_state=learned)/3", "last": "seq(3)/rnn(4)/rnn(5,last=True)/3",
    "recurrent output": "seq(2)/rnn(2)", "recurrent answer": "seq(2)/rnn(2,last=True)",
    "dropout": "3/4/dropout(0.5)/2", "dropout in time": "seq(3)/rnn(4)/dropout(0.5)/2",
    "ends in maps": "1x4x4/conv(2,3)",     "ends in pooling": "1x4x4/conv(2,3)/meanpool(2)",
    "ends in dropout": "3/4/dropout(0.3)", "no weights": "3/dropout(0.3)",
}  # fmt: skip
COSTS = [
    ("softmax", "squared error"), ("softmax", "cross-entropy"), ("tanh", "huber"), ("identity", "quantile(0.3)"),
    ("exp", "poisson"), ("sigmoid", "squared error"), ("softplus", "absolute"), ("sigmoid", "binary cross-entropy"),
    ("identity", "squared error"), ("exp", "huber(0.5)"),
]  # fmt: skip


def network(name: str, **given: Any) -> dr.Network:
    if name == "ends in maps":
        given |= {"output": "tanh"}
    return dr.Network(NETWORKS[name], **given)


def linked() -> dr.Network:
    links = dr.Conv(2, 2, "tanh", links=[[1, 0, 1], [0, 1, 1]])
    return dr.Network([links, dr.Dense(3)], input_shape=(3, 5, 5))


def said(words: Words) -> str:
    return "".join(part if isinstance(part, str) else part.latex for part in words)


def paragraphs(d: dr.Derivation) -> list[str]:
    return [said(b.words) for b in d.blocks if isinstance(b, Paragraph)]


def wrong(d: dr.Derivation) -> list[str]:
    return [f.latex for f in d.formulas if not f.ok]


@pytest.mark.parametrize("name", [*NETWORKS, "links"])
def test_every_formula_is_right(name: str) -> None:
    d = derive(linked() if name == "links" else network(name))
    assert d.ok, [(f.latex, f.error) for f in d.formulas if not f.ok]
    assert [f.number for f in d.formulas] == list(range(1, len(d.formulas) + 1))
    unchecked = [f.latex for f in d.formulas if f.error is None]
    names = ("h^{(1)}_{0} = 0", "h^{(2)}_{0} = 0", r"\operatorname{pad}(a^{(0)})", "m^{(")  # what symbols stand for
    assert not [latex for latex in unchecked if not any(name in latex for name in names)]


@pytest.mark.parametrize("name", [*NETWORKS, "links"])
def test_every_check_can_fail(name: str) -> None:
    """Each right-hand side, moved a little, is found out: no check says yes to everything."""
    net = linked() if name == "links" else network(name)
    numbers, tried = Numbers(net), 0
    for stage, (layer, shape) in enumerate(zip(numbers.net.layers, numbers.net.shapes), 1):
        for e in equations_of(layer, shape):
            if e.value is None or (stage == len(net.layers) and e.gives == "delta" and numbers.at(stage).da is None):
                continue
            right = e.value
            moved = e._replace(value=lambda q, right=right: np.asarray(right(q)) + 1e-3)  # type: ignore[misc]
            found = numbers.check(stage, moved).error
            assert found is not None
            assert found > 1e-6, (stage, e.name)
            tried += 1
    for e in numbers.net.output.equations():
        if e.value is not None and not (e.gives == "delta" and layer.state_size):
            moved = e._replace(value=lambda q, right=e.value: right(q) * 1.001)  # type: ignore[misc]
            assert (numbers.check_output(moved).error or 0) > 1e-6, e.name
    assert tried


@pytest.mark.parametrize(("output", "cost"), COSTS)
def test_outputs(output: str, cost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = dr.Network("3/4:tanh/2", output=output, cost=cost)
    assert derive(net).ok
    name = net.output.cost.name
    for table in (plainly.COST, plainly.COST_SLOPE):
        right = table[name]
        with monkeypatch.context() as patch:
            patch.setitem(table, name, lambda C, y, t, right=right: right(C, y, t) * 1.001)
            assert not derive(net).ok
    if net.output.canonical:
        right = plainly.COST_FROM_LOGITS[output]
        monkeypatch.setitem(plainly.COST_FROM_LOGITS, output, lambda z, t: right(z, t) * 1.001)
        assert output == "identity" or not derive(net).ok  # C = ½ ‖z − t‖² is its own


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"softmax"}))
def test_activations(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = dr.Network(f"3/4:{name.replace(' ', '_')}/2")
    assert derive(net).ok
    f, slope = plainly.F[name], plainly.SLOPE[name]
    with monkeypatch.context() as patch:
        patch.setitem(plainly.F, name, lambda a, z: f(a, z) * 1.001)
        assert len(wrong(derive(net))) == 1
    monkeypatch.setitem(plainly.SLOPE, name, lambda a, z, y: slope(a, z, y) * 1.001)
    assert len(wrong(derive(net))) >= 2


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"softmax"}))
def test_constants_of_activations_are_told(name: str) -> None:
    text = derive(dr.Network(f"3/4:{name.replace(' ', '_')}/2")).to_text()
    told = {"leaky relu": "s = 0.01", "elu": "α = 1", "scaled tanh": "A = 1.7159, S = 0.666667"}
    assert told.get(name, "z") in text


@pytest.mark.parametrize("time", ["mean", "sum"])
def test_steps_of_sequences(time: str) -> None:
    d = derive(network("sequences", time=time))
    assert d.ok
    total = r"\sum_{i,t} w_{it}" if time == "mean" else r"\sum_i w_i"
    assert any(f.latex.startswith(rf"C = \frac{{1}}{{{total}}} \sum_{{i,t}} w_{{it}} C^{{(i)}}_t") for f in d.formulas)


def test_a_layer_above_a_recurrent_one_sums_over_time() -> None:
    formulas = [f.latex for f in derive(network("sequences")).formulas]
    assert r"\frac{\partial C}{\partial W^{(3)}} = \sum_t \delta^{(3)}_{t} \, {h^{(2)}_{t}}^T" in formulas
    assert r"z^{(2)}_{t} = U^{(2)} h^{(2)}_{t-1} + W^{(2)} h^{(1)}_{t} + b^{(2)}" in formulas
    assert r"f'(z^{(1)}_{t}) = 1 - {h^{(1)}_{t}}^2" in formulas


def test_what_holds_only_somewhere_is_said_only_there() -> None:
    """rot180 at stride 1, kron where windows tile, margins where there are some."""

    def latex(layer: Layer, shape: tuple[int, ...]) -> str:
        return " ".join(e.latex for e in layer.resolved(Tanh()).equations(shape))

    assert "rot180" in latex(Conv(2, 3), (1, 6, 6))
    assert "rot180" not in latex(Conv(2, 3, stride=2), (1, 6, 6))
    assert "pad(a" not in latex(Conv(2, 3), (1, 6, 6)).replace("_{", "")
    assert r"\tilde a" in latex(Conv(2, 3, pad="same"), (1, 6, 6))
    assert r"[i + 1 - 2 y, j + 2 - x]" in latex(Conv(2, 3, stride=(2, 1), pad=(1, 2)), (1, 6, 6))
    assert "T_{oc} = 1" in latex(Conv(2, 2, links=((1, 0, 1), (0, 1, 1))), (3, 5, 5))
    for kind in (MeanPool, Subsample):
        assert r"\otimes" in latex(kind(2), (1, 6, 6))
        assert r"\otimes" not in latex(kind(2), (1, 7, 6))
    assert r"\otimes" not in latex(MeanPool(2, 1), (1, 6, 6))
    assert r"\max_{u, v} a_{\mathrm{prev},c}[3y + u, x + v]" in latex(MaxPool(2, (3, 1)), (1, 6, 6))


@pytest.mark.parametrize("rule", [*OPTIMIZERS, "momentum(piecewise((0.5,0.95),at_steps=19))", "adam(epsilon_hat=True)"])
def test_updates(rule: str) -> None:
    d = derive(network("softmax"), optimizer=rule)
    assert d.formulas[-1].error is not None
    assert d.ok


def test_the_documents_systems() -> None:
    for name in ("lenet5", "ufldl_cnn", "ufldl_dnn"):
        d = derive(getattr(dr.nets, name)(), optimizer="momentum(0.9)")
        assert d.ok, d.worst


# A user's own


class Wrong(Tanh):
    """f′ = 1 − a, not 1 − a²."""

    def derivative(self, z: Any, a: Any) -> Any:
        return 1 - a


class WrongWeights(Dense):
    """A gradient that forgets the sign."""

    def backward(self, p: Any, delta: Any, cache: Any) -> Any:
        da, g = super().backward(p, delta, cache)
        return da, g | {"W": -g["W"]}


class WrongForward(Dense):
    """A net value without its bias."""

    def forward(self, p: Any, a_prev: Any, ctx: Any) -> Any:
        return super().forward(p | {"b": 0 * p["b"]}, a_prev, ctx)


class WrongInput(Dense):
    """∂C/∂a_prev of other weights."""

    def backward(self, p: Any, delta: Any, cache: Any) -> Any:
        da, g = super().backward(p, delta, cache)
        return 1.001 * da, g


@pytest.mark.parametrize(("layer", "found"), [
    (Dense(4, Wrong()), "f'(z^{(2)}) = "), (WrongWeights(4, "tanh"), r"\partial W^{(2)}"),
    (WrongForward(4, "tanh"), "z^{(2)} = W"), (WrongInput(4, "tanh"), r"\frac{\partial C}{\partial a^{(1)}}"),
])  # fmt: skip
def test_a_wrong_layer_is_found(layer: Any, found: str) -> None:
    d = derive(dr.Network([Dense(4, "tanh"), layer, Dense(2, "softmax")], input_shape=3))
    assert not d.ok
    assert any(found in latex for latex in wrong(d)), wrong(d)
    assert "WRONG" in d.worst.note


@dataclass(frozen=True)
class Scale(Layer):
    """a = g_in ⊙ a_prev, without a word about it."""

    name = "scale"
    right: bool = True

    def output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def parameter_shapes(self, input_shape: Any) -> Any:
        return {"g_in": input_shape}

    def initial(self, input_shape: Any, random: Any) -> Any:
        return {"g_in": random.normal(size=input_shape)}

    def forward(self, p: Any, a_prev: Any, ctx: Any) -> Any:
        from deltarule.layers import Cache

        a = p["g_in"] * a_prev
        return Cache(a_prev, a, a)

    def backward(self, p: Any, delta: Any, cache: Any) -> Any:
        g = namespace(delta).sum(delta * cache.a_prev, axis=0)
        return delta * p["g_in"], {"g_in": g if self.right else -g}


@pytest.mark.parametrize("right", [True, False])
def test_a_users_layer_without_equations_is_checked_too(right: bool) -> None:
    d = derive(dr.Network([Scale(right), Dense(2, "softmax")], input_shape=3))
    assert d.ok is right
    assert right or any(r"\mathrm{g\_in}" in latex for latex in wrong(d))


@dataclass(frozen=True)
class Hat(Activation):
    """a = z |z|: its modulus has no complex derivative."""

    name = "hat"
    equation, derivative_equation = r"z \lvert z \rvert", r"2 \lvert z \rvert"

    def f(self, z: Any) -> Any:
        return z * abs(z)

    def derivative(self, z: Any, a: Any) -> Any:
        return 2 * abs(z)


class Real(Hat):
    """It takes no complex numbers at all."""

    def f(self, z: Any) -> Any:
        if np.iscomplexobj(z):
            raise TypeError("real numbers only")
        return super().f(z)


class WrongHat(Hat):
    """Off by a third."""

    def derivative(self, z: Any, a: Any) -> Any:
        return 3 * abs(z)


@pytest.mark.parametrize(("f", "ok"), [(Hat(), True), (Real(), True), (WrongHat(), False)])
def test_what_is_not_analytic_is_held_against_differences(f: Activation, ok: bool) -> None:
    d = derive(dr.Network([Dense(4, f), Dense(2, "softmax")], input_shape=3))
    assert d.ok is ok, d.worst
    assert "a difference of order 4" in d.to_text()


class UsersCost(Cost):
    """A cost of a user's."""

    name = "users"
    equation = r"\frac{1}{4} \lVert \hat y - t \rVert^2"

    def value(self, y: Any, t: Any) -> Any:
        return namespace(y).sum((y - t) * (y - t), axis=-1) / 4

    def derivative(self, y: Any, t: Any) -> Any:
        return (y - t) / 2


class Mute(Activation):
    """It says no equations."""

    name = "mute"

    def f(self, z: Any) -> Any:
        return z * z

    def derivative(self, z: Any, a: Any) -> Any:
        return 2 * z


class MuteCost(UsersCost):
    """Nor does it."""

    name = "mute cost"
    equation = derivative_equation = ""


def test_who_says_no_equations_gets_no_empty_ones() -> None:
    d = derive(dr.Network([Dense(4, Mute()), Dense(2, "identity")], input_shape=3, cost=MuteCost()))
    assert d.ok
    assert "a^{(1)} = f(z^{(1)})" in [f.latex for f in d.formulas]
    assert not [f.latex for f in d.formulas if f.latex.rstrip().endswith("=")]
    assert "The cost mute_cost is a user's own, and says no equation." in paragraphs(d)
    notes = [f.note for f in derive(dr.Network([Scale(), Dense(2)], input_shape=3)).formulas]
    assert any("the engine's numbers; the formula's are not known" in note for note in notes)


@dataclass(frozen=True)
class Shadow(Scale):
    """Parameters with the names of arrays."""

    name = "shadow"

    def parameter_shapes(self, input_shape: Any) -> Any:
        return {"z": input_shape, "slope": input_shape}

    def initial(self, input_shape: Any, random: Any) -> Any:
        return {name: random.normal(size=input_shape) for name in ("z", "slope")}

    def forward(self, p: Any, a_prev: Any, ctx: Any) -> Any:
        return super().forward({"g_in": p["z"] * p["slope"]}, a_prev, ctx)

    def backward(self, p: Any, delta: Any, cache: Any) -> Any:
        da, g = super().backward({"g_in": p["z"] * p["slope"]}, delta, cache)
        return da, {"z": g["g_in"] * p["slope"], "slope": g["g_in"] * p["z"]}


def test_parameters_may_have_the_names_of_arrays() -> None:
    d = derive(dr.Network([Shadow(), Dense(2, "softmax")], input_shape=3))
    assert d.ok, wrong(d)


class UsersRule(SGD):
    """An optimiser of a user's."""

    name = "users rule"


def test_a_users_cost_and_optimizer() -> None:
    net = dr.Network("3/4:tanh/2", output="identity", cost=UsersCost())
    d = derive(net, optimizer=UsersRule())
    assert d.ok
    assert r"\frac{1}{4}" in d.to_latex()
    assert derive(net).formulas[-1].error is not None
    assert d.formulas[-1].error is None


# Numbers


def test_it_goes_the_way_of_the_assignment() -> None:
    d = derive(network("softmax"))
    titles = [said(b.words) for b in d.blocks if isinstance(b, Heading) and b.level == 2]
    assert titles == [
        "Notation", "Forward", "The cost", "The error of the output layer", "The chain rule", "Backward",
        "A mini-batch", "The update: sgd", "How much it is",
    ]  # fmt: skip


def test_the_users_own_row() -> None:
    """The numbers of the checks may be the user's; wrong ones are refused as anywhere."""
    net = network("softmax")
    assert derive(net, [0.1, 0.2, 0.3], 1).ok
    with pytest.raises(dr.ShapeError):
        derive(net, [0.1, 0.2], 1)
    with pytest.raises(HyperparameterError, match=r"one sample, and a batch of 2 came; give X\[0\], t\[0\]"):
        derive(net, np.zeros((2, 3)), [0, 1])
    with pytest.raises(HyperparameterError, match="x and t, or neither"):
        derive(net, [0.1, 0.2, 0.3])


def test_a_row_goes_through_preprocessing_and_vocabulary() -> None:
    from deltarule.data.preprocessing import Preprocessing

    text = dr.Network("seq(3)/rnn(4)/3", vocabulary="abc")
    assert derive(text, "abcab", "bcabc").ok
    assert Numbers(text, dr.trace(text, "abcab", "bcabc")).x.shape == (1, 5, 3)
    net = network("softmax")
    net.preprocessing = Preprocessing.fit(np.arange(12.0).reshape(4, 3), [0, 1, 0, 1])
    assert derive(net, [3.0, 4.0, 5.0], 1).ok
    x = Numbers(net, dr.trace(net, [3.0, 4.0, 5.0], 1)).x
    assert abs(x).max() < 2


def test_hidden_answers_raise_no_alarm() -> None:
    """t = ŷ, ŷ = 1 where t = 1, a unit without weights: small numbers cancel, and nothing is wrong."""
    net = dr.Network("2/3:tanh/2", output="identity", dtype="float64")
    assert derive(net, [0.5, -1.0], net.predict(np.array([[0.5, -1.0]]))[0]).ok
    sure = dr.Network("2/2", dtype="float64")
    sure.theta = [800.0, 0.0, -800.0, 0.0, 1.0, 1.0]
    assert derive(sure, [1.0, 0.5], 0).ok
    still = dr.Network("1x4x4/subsample(2)/2", dtype="float64")
    still.parameters()["1.omega"][:] = 0
    assert derive(still).ok


def test_ordinary_data_raise_no_alarm() -> None:
    """Pixels of 0 … 255, answers that underflow, weights that saturate."""
    random = np.random.default_rng(0)
    for k in range(5):
        assert derive(dr.Network("784/30/10"), random.integers(256, size=784).astype(float), k).ok
    net = dr.Network("3/4:sigmoid/1", dtype="float64")
    net.theta = 100 * net.theta
    d = derive(net)
    assert d.ok, wrong(d)
    many = dr.Network("3/4:sigmoid/3", dtype="float64")
    many.theta = 2000 * many.theta
    d = derive(many, [1.0, 2.0, 3.0], 0)
    assert d.ok, wrong(d)
    assert "overflows on this sample" in d.to_text()


def test_no_derivative_at_a_kink() -> None:
    net = dr.Network("3/4:tanh/2", output="identity", cost="absolute", dtype="float64")
    net.theta = net.theta + 0.01
    d = derive(net, [0.1, 0.2, 0.3], net.predict(np.array([[0.1, 0.2, 0.3]]))[0])
    assert d.ok
    assert any("stands at a kink" in p and "the cost, absolute" in p for p in paragraphs(d))


def test_small_gradients_are_not_waved_through() -> None:
    """Gradients vanish by 40 sigmoids; one that is twice too large is found all the same."""
    layers = [WrongWeights(7, "sigmoid"), *[Dense(5, "sigmoid")] * 40, Dense(2)]
    d = derive(dr.Network(layers, input_shape=4))
    assert [latex for latex in wrong(d) if r"\partial W^{(1)}" in latex]
    assert derive(dr.Network([Dense(7, "sigmoid"), *layers[1:]], input_shape=4)).ok


class OneWrongEntry(Conv):
    """A kernel whose gradient has a single wrong entry."""

    def backward(self, p: Any, delta: Any, cache: Any) -> Any:
        da, g = super().backward(p, delta, cache)
        W = np.array(g["W"])
        W[3, 0, 2, 1] *= 2
        return da, g | {"W": W}


def test_one_wrong_entry_of_many_is_found() -> None:
    for seed in range(3):
        d = derive(dr.Network([OneWrongEntry(8, 5), Dense(10)], input_shape=(1, 12, 12)), seed=seed)
        assert any(r"\partial W^{(1)}_{ocuv}" in latex for latex in wrong(d))


def test_frozen_layers() -> None:
    d = derive(dr.Network([Dense(4, "tanh", trainable=False), Dense(2, "softmax")], input_shape=3))
    assert d.ok
    assert any(p == "Frozen, and left as they are by every update: the parameters of layer 1." for p in paragraphs(d))


def test_what_is_not_finite_is_located() -> None:
    net = network("softmax")
    net.parameters()["1.W"][0, 2] = np.nan
    d = derive(net)
    assert not d.ok
    assert np.isnan(d.worst.error or 0)
    assert d.worst.note.endswith("not finite: cannot be checked")
    places = "1.W[0, 2] is nan; 1.z[0] is nan; 1.a[0] is nan; 2.z[0] is nan"
    assert any(p.startswith(f"Not finite: {places}") for p in paragraphs(d))
    net.parameters()["1.W"][0, 2] = np.inf
    assert any("1.W[0, 2] is inf" in p for p in paragraphs(derive(net)))


def test_wrong_arguments() -> None:
    with pytest.raises(HyperparameterError, match="derive takes a network, such as"):
        derive("3/4/2")  # type: ignore[arg-type]
    with pytest.raises(HyperparameterError, match="seed must be a whole number"):
        derive(network("softmax"), seed=-1)
    d = derive(network("softmax"))
    assert repr(d).startswith("<Backpropagation for 3/4:tanh/2: ")
    assert len(repr(d)) < 200


def test_zero_biases_are_moved_before_formulas_are_checked() -> None:
    net = network("softmax")
    assert not net.parameters()["1.b"].any()
    assert Numbers(net).p[0]["b"].all()
    assert not net.parameters()["1.b"].any()


def test_formulas_are_values() -> None:
    first = derive(network("softmax")).formulas[0]
    assert first.ok
    assert not first._replace(error=1e-3).ok
    assert not first._replace(error=float("nan")).ok
    assert isinstance(first, Formula)
    assert derive(network("softmax"), seed=3) == derive(network("softmax"), seed=3)


# Many layers


def deep(*layers: Layer) -> dr.Network:
    tanh = [Dense(5, "tanh") for _ in range(14)]
    for k, layer in enumerate(layers):
        tanh[6 + 2 * k] = layer  # type: ignore[call-overload]
    return dr.Network([*tanh, Dense(3)], input_shape=4)


def titles(d: dr.Derivation) -> list[str]:
    return [said(b.words) for b in d.blocks if isinstance(b, Heading) and b.level == 3]


def test_many_layers_are_folded() -> None:
    d = derive(deep())
    assert d.ok
    folded = [p for p in paragraphs(d) if "folded" in p]
    assert len(folded) == 2
    assert folded[0].startswith("Layers 5 to 11 are folded here (7 × dense(5,tanh))")
    assert "the largest error is" in folded[0]
    assert sum(title.startswith("Layer 4:") for title in titles(d)) == 2
    assert not any(title.startswith("Layer 7:") for title in titles(d))
    assert "…" in d.title


@pytest.mark.parametrize("kinds", [[WrongWeights(5, "tanh")], [WrongWeights(5, "tanh")] * 2])
def test_what_is_wrong_among_the_folded_is_written_out(kinds: list[Layer]) -> None:
    d = derive(deep(*kinds))
    assert not d.ok
    assert sum(title.startswith("Layer 7:") for title in titles(d)) == 1
    assert sum(title.startswith("Layer 9:") for title in titles(d)) == len(kinds) - 1
    folds = [p.split(" folded")[0] for p in paragraphs(d) if " folded here" in p]
    assert folds[0] == "Layers 5 to 11 are"
    assert folds[1:] == (
        ["Layers 8 to 11 are", "Layers 5 to 6 are"] if len(kinds) == 1 else
        ["Layers 10 to 11 are", "Layer 8 is", "Layers 5 to 6 are"]
    )  # fmt: skip


def test_a_large_network_is_derived_in_seconds() -> None:
    assert derive(dr.Network("784/1200/300/10")).ok


# Symbols


GOLDEN = {  # as they are printed: no number can tell whether the text is right
    "3/4:tanh/2": [
        "z^{(1)} = W^{(1)} a^{(0)} + b^{(1)}", r"a^{(1)} = f(z^{(1)}) = \tanh z^{(1)}", "f'(z^{(1)}) = 1 - {a^{(1)}}^2",
        r"\frac{\partial z^{(2)}_{i}}{\partial W^{(2)}_{jk}} = [i = j] \, a^{(1)}_{k}", r"\delta^{(2)} = \hat y - t",
        r"\frac{\partial C}{\partial W^{(2)}} = \delta^{(2)} \, {a^{(1)}}^T",
        r"\frac{\partial C}{\partial a^{(1)}} = {W^{(2)}}^T \delta^{(2)}",
        r"\delta^{(1)} = f'(z^{(1)}) \odot \frac{\partial C}{\partial a^{(1)}}",
        r"\delta^{(1)} = \operatorname{diag}\left(f'(z^{(1)})\right) {W^{(2)}}^T \delta^{(2)}",
    ],
    "2x8x8/conv(3,3,pad=1,stride=2)/maxpool(2)/3": [
        r"z^{(1)}_{o}[y, x] = b^{(1)}_{o} + \sum_{c, u, v} W^{(1)}_{ocuv} \, \tilde a^{(0)}_{c}[2y + u, 2x + v]",
        r"\frac{\partial C}{\partial W^{(1)}_{ocuv}} = \sum_{y, x} \delta^{(1)}_{o}[y, x] \, "
        r"\tilde a^{(0)}_{c}[2y + u, 2x + v]",
        r"\frac{\partial C}{\partial a^{(0)}_{c}}[i, j] = \sum_{o, y, x} \delta^{(1)}_{o}[y, x] \, "
        r"W^{(1)}_{oc}[i + 1 - 2 y, j + 1 - 2 x]",
        r"a^{(2)}_{c}[y, x] = \max_{u, v} a^{(1)}_{c}[2y + u, 2x + v]",
    ],
    "1x6x6/conv(2,3,pad=1)/meanpool(2)/3": [
        r"\frac{\partial C}{\partial a^{(0)}_{c}} = \operatorname{crop}\left(\sum_{o} "
        r"\operatorname{pad}_0(\delta^{(1)}_{o}) \star \operatorname{rot180}(W^{(1)}_{oc})\right)",
        r"\frac{\partial C}{\partial a^{(1)}_{c}} = \frac{1}{4} \, \delta^{(2)}_{c} \otimes 1_{2 \times 2}",
    ],
    "1x7x6/subsample(2)/3": [
        r"z^{(1)}_{c} = \omega^{(1)}_{c} \, \bar a^{(1)}_{c} + b^{(1)}_{c}",
        r"\frac{\partial C}{\partial a^{(0)}_{c}}[i, j] = \frac{\omega^{(1)}_{c}}{4} "
        r"\sum_{y, x \,:\, 0 \le i - 2y < 2, \, 0 \le j - 2x < 2} \delta^{(1)}_{c}[y, x]",
    ],
    "seq(3)/rnn(4)/rnn(2,initial_state=learned)/3": [
        "z^{(1)}_{t} = U^{(1)} h^{(1)}_{t-1} + W^{(1)} x_{t} + b^{(1)}",
        r"C_t = -\sum_k t_{t,k} \ln \hat y_{t,k}", r"\delta^{(3)}_{t} = \hat y_t - t_t",
        r"\delta^{(2)}_{t} = f'(z^{(2)}_{t}) \odot \left(\frac{\partial C}{\partial h^{(2)}_{t}} + {U^{(2)}}^T "
        r"\delta^{(2)}_{t+1}\right), \quad \delta^{(2)}_{T+1} = 0",
        r"\frac{\partial C}{\partial U^{(2)}} = \sum_t \delta^{(2)}_{t} \, {h^{(2)}_{t-1}}^T",
        r"\frac{\partial C}{\partial h^{(2)}_{0}} = {U^{(2)}}^T \delta^{(2)}_{1}",
    ],
    "seq(2)/rnn(2)": [r"\frac{\partial C}{\partial h^{(1)}_{t}} = \hat y_t - t_t"],
    "seq(2)/rnn(2,last=True)": [r"\frac{\partial C}{\partial h^{(1)}_{T}} = \hat{y} - t"],
}  # fmt: skip


@pytest.mark.parametrize("spec", GOLDEN)
def test_formulas_read_as_they_should(spec: str) -> None:
    formulas = [f.latex for f in derive(dr.Network(spec)).formulas]
    missing = [latex for latex in GOLDEN[spec] if latex not in formulas]
    assert not missing, formulas


@pytest.mark.parametrize(("spec", "said_of_it"), [
    ("3/4/1", "It occurs where an activation acts entry by entry, in layer 1."),
    ("3/4/1", "Here it does not occur: every unit reaches at most one above."),
    ("2/1", "Here it occurs in the output alone, above, where it cancels."),
    ("1x4x4/conv(1,1)/meanpool(2,1)", "It occurs below layer 2, where a unit reaches several units above."),
    ("seq(3)/rnn(4)/2", "It occurs below layer 2, where a unit reaches several units above, and in layer 1, where a "
     "state reaches the layer above and the next step, and in softmax, where every net value moves every answer."),
])  # fmt: skip
def test_the_chain_rules_cases_are_said_where_they_occur(spec: str, said_of_it: str) -> None:
    assert any(p.startswith(said_of_it) for p in paragraphs(derive(dr.Network(spec))))


def test_counts() -> None:
    d = derive(dr.Network("seq(3)/rnn(4)/2"))
    rows = next(b.rows for b in d.blocks if isinstance(b, Table) and b.caption.startswith("Parameters"))
    cells = [[said(cell) for cell in row] for row in rows]
    assert cells[0][2:] == ["32", "28", "44"]  # W and U; their gradients, and Uᵀδ
    assert cells[1][2:] == ["10", "8", "16"]
    assert cells[2][2:] == ["42", "36", "60"]


def test_what_an_optimiser_needs_to_be_known() -> None:
    net = network("softmax")
    assert r"\varepsilon / \sqrt{1 - \beta_2^t}" in derive(net, optimizer="adam(epsilon_hat=True)").to_latex()
    assert r"Before the first update d = \eta" in derive(net, optimizer="rprop").to_latex().replace("$", "").replace(
        r"g_{\text{prev}} = 0, ", ""
    )
    assert any("p = 1" in p for p in paragraphs(derive(net, optimizer="nadam")))


def test_symbols_keep_their_places() -> None:
    assert at_layer(r"\text{W and a}", 3) == r"\text{W and a}"
    assert at_layer(r"\operatorname{diag}(a)", 2) == r"\operatorname{diag}(a^{(2)})"
    assert at_layer(r"a_{\mathrm{prev}}^T", 1) == "{a^{(0)}}^T"
    assert at_layer(r"\bar a_o", 4) == r"\bar a^{(4)}_{o}"
    steps = Place(2, steps=True, below="h")
    assert at_layer(r"a_k = W_{kj} a_{\mathrm{prev},j}", steps) == r"a^{(2)}_{t,k} = W^{(2)}_{kj} h^{(1)}_{t,j}"
    after_last = Place.of(network("last"), 3)
    assert at_layer(r"W a_{\mathrm{prev}}", after_last) == r"W^{(3)} h^{(2)}_{T}"


def test_outputs_say_every_pair() -> None:
    for output, cost in COSTS:
        pair = dr.Network("3/2", output=output, cost=cost).output
        assert isinstance(pair, Output)
        assert [e.name for e in pair.equations()][-1] == "delta"
