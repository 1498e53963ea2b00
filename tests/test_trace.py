"""Traces: the numbers of the textbook engine's training, bit for bit, by name, in tables and JSON."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import deltarule as dr
from deltarule.engines import Settings, Slice, textbook
from deltarule.errors import DataError, HyperparameterError, MissingExtraError, ShapeError
from deltarule.layers import Layer
from deltarule.layers.base import Cache
from deltarule.optimizers import SGD

Array = NDArray[Any]
RANDOM = np.random.default_rng(0)
NETWORKS = {
    "dense": "4/6:tanh/5:relu/3", "generic output": "4/5/3", "one unit": "4/5/1", "dropout": "4/8/dropout(0.5)/3",
    "maps": "2x8x8/conv(3,3,pad=1,stride=2)/maxpool(2)/subsample(2)/3", "mean": "1x6x6/conv(2,3)/meanpool(2)/3",
    "links": "3x5x5/conv(2,2,links=[[1,0,1],[0,1,1]])/3", "sequences": "seq(3)/rnn(4)/rnn(2,initial_state=learned)/3",
    "last": "seq(3)/rnn(4)/rnn(5,last=True)/3", "recurrent output": "seq(2)/rnn(2)",
}  # fmt: skip


def network(name: str, dtype: str = "float64") -> dr.Network:
    try:
        given = {"cost": "squared error", "output": "softmax"} if name == "generic output" else {}
        return dr.Network(NETWORKS[name], dtype=dtype, **given)
    except dr.GrammarError:
        links = [[1, 0, 1], [0, 1, 1]]
        return dr.Network([dr.Conv(2, 2, links=links), dr.Dense(3)], input_shape=(3, 5, 5), dtype=dtype)


def data(net: dr.Network, m: int = 4, T: int = 5) -> tuple[Array, Array]:
    shape = tuple(T if n is None else n for n in net.input_shape)
    X = RANDOM.normal(size=(m, *shape)).astype(net.dtype)
    out = (m, T) if net.shapes[-1][0] is None else (m,)
    if net.layers[-1].state_size:
        return X, RANDOM.normal(size=(*out, net.n_outputs)).astype(net.dtype)
    return X, RANDOM.integers(0, max(2, net.n_outputs), out)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_numbers_of_training(name: str, dtype: str) -> None:
    """One update of SGD with η = 1 moves θ by the traced gradient, bit for bit; with decay, weights and dropout."""
    net = network(name, dtype)
    X, t = data(net)
    w = np.array([1.0, 0.5, 2.0, 1.0])
    tr = dr.trace(net, X, t, weight_decay=0.1, sample_weight=w, dropout=True, seed=3, step=7)
    rows, targets, weights = net.prepare(X, t, w)
    part = Slice(np.arange(4), np.array([4]), np.array([1.0]), [SGD()], 7)
    done = textbook.train(net, net.theta, {}, rows, targets, weights, part, Settings(3, weight_decay=0.1))
    flat = np.concatenate([g.ravel() for layer in tr for g in layer.gradients.values()])
    np.testing.assert_array_equal(done.theta, net.theta - flat)
    assert done.costs[0] == tr.C


@pytest.mark.parametrize("name", NETWORKS)
def test_what_belongs_together(name: str) -> None:
    """δ and gradients against each other, layer by layer, and against central differences of the cost."""
    net = network(name)
    X, t = data(net)
    tr = dr.trace(net, X, t)
    C, g = net.cost_and_gradient(X, t)
    assert pytest.approx(C, rel=1e-12) == tr.C
    assert len(tr) == len(net.layers)
    np.testing.assert_allclose(np.concatenate([a.ravel() for k in tr for a in k.gradients.values()]), g, atol=1e-12)
    for layer in tr:
        if isinstance(layer.layer, dr.Dense) and layer.z.ndim == 2:
            m = len(X)
            np.testing.assert_allclose(layer.dW, layer.delta.T @ layer.a_prev.reshape(m, -1) / m, atol=1e-14)
            np.testing.assert_allclose(layer.db, layer.delta.mean(axis=0), atol=1e-14)
            np.testing.assert_allclose(layer.da_prev.reshape(m, -1), layer.delta @ layer.parameters["W"], atol=1e-14)
    place = tuple(np.unravel_index(5, X.shape))
    up, down = X.copy(), X.copy()
    up[place] += 1e-5
    down[place] -= 1e-5
    numeric = (net.cost_and_gradient(up, t)[0] - net.cost_and_gradient(down, t)[0]) / 2e-5
    assert tr.dx[place] == pytest.approx(numeric, abs=1e-8)


def test_a_sample_alone() -> None:
    """Without m in front, and the same numbers as in a batch, where the gradient is a mean."""
    net = network("dense")
    X, t = data(net)
    one, whole = dr.trace(net, X[1], t[1]), dr.trace(net, X, t)
    assert one.one
    assert not whole.one
    assert one[2].z.shape == (5,)
    assert pytest.approx(whole.costs[1]) == one.C
    for a, b in zip(one, whole):
        np.testing.assert_allclose(a.z, b.z[1], rtol=1e-12)
        np.testing.assert_allclose(a.delta, b.delta[1], rtol=1e-9)
    mean = sum(dr.trace(net, x, k)[1].dW for x, k in zip(X, t)) / 4
    np.testing.assert_allclose(whole[1].dW, mean, rtol=1e-10)
    image = dr.trace(network("maps"), np.ones((2, 8, 8)), 2)
    assert image[1].z.shape == (3, 4, 4)


@pytest.mark.parametrize("name", ["sequences", "last", "recurrent output"])
def test_the_triangle(name: str) -> None:
    """Its columns sum to δ; what is above the diagonal is 0; the recurrent layers show every step."""
    net = network(name)
    X, t = data(net)
    tr = dr.trace(net, X, t, mask=np.arange(5) < np.array([5, 3, 5, 1])[:, None])
    for layer in tr:
        if not isinstance(layer.layer, dr.RNN):
            continue
        triangle = tr.triangle(layer.stage)
        assert triangle.shape == (4, 5, 5, layer.layer.hidden)
        np.testing.assert_allclose(triangle.sum(axis=1), layer.delta, atol=1e-15)
        assert (triangle[:, *np.triu_indices(5, 1)] == 0).all()
        assert layer.z.shape == layer.a.shape == layer.state.shape == (4, 5, layer.layer.hidden)
        np.testing.assert_array_equal(layer.state[:, 1:], layer.a[:, :-1])
    alone = dr.trace(net, X[0], t[0])
    assert alone.triangle(1).shape == (5, 5, net.layers[0].hidden)
    with pytest.raises(HyperparameterError, match="is not recurrent"):
        dr.trace(network("dense"), np.ones(4), 1).triangle(2)


def test_tokens_and_states() -> None:
    net = dr.Network("seq(3)/rnn(4)/3", dtype="float64", vocabulary="abc")
    tr = dr.trace(net, "abcab", [1, 2, 0, 1, 2], state=np.full((1, 4), 0.5))
    assert tr.x.tolist() == [0, 1, 2, 0, 1]
    np.testing.assert_array_equal(tr[1].state[0], np.full(4, 0.5))
    assert tr.dx.shape == (5, 3)


def test_dropout_shows_its_mask() -> None:
    net = network("dropout")
    X, t = data(net)
    assert dr.trace(net, X, t)[2].mask is None
    tr = dr.trace(net, X, t, dropout=True)
    assert set(np.unique(tr[2].mask)) == {0.0, 2.0}
    np.testing.assert_array_equal(tr[2].a, tr[2].mask * tr[1].a)
    assert not np.array_equal(tr[2].mask, dr.trace(net, X, t, dropout=True, step=2)[2].mask)


def test_a_table_and_json() -> None:
    net = network("dense")
    X, t = data(net)
    tr = dr.trace(net, X[0], t[0])
    table = tr.to_dataframe()
    assert len(table) == sum(a.size for a in tr.arrays().values())
    row = table[(table.array == "dW") & (table.layer == 2) & (table.place == (3, 1))]
    assert row.value.item() == tr[2].dW[3, 1]
    found = json.loads(tr.to_json())
    assert found["network"] == net.spec
    assert found["C"] == tr.C
    for name, a in tr.arrays().items():
        np.testing.assert_array_equal(found["arrays"][name], a)
    np.testing.assert_array_equal(found["parameters"]["1.W"], net.parameters()["1.W"])


def test_the_trace_stays() -> None:
    """It is of θ as it was."""
    net = network("sequences")
    X, t = data(net)
    tr = dr.trace(net, X, t)
    before = tr[1].parameters["W"].copy(), tr.triangle(1)
    net.theta[:] = 0
    np.testing.assert_array_equal(tr[1].parameters["W"], before[0])
    np.testing.assert_array_equal(tr.triangle(1), before[1])


def test_what_is_not_finite_is_shown_and_located() -> None:
    net = network("dense")
    net.parameters()["1.W"][3, 1] = np.nan
    tr = dr.trace(net, np.ones(4), 1)
    assert tr.not_finite()[:3] == ["1.W[3, 1] is nan", "1.z[3] is nan", "1.a[3] is nan"]
    assert tr.not_finite()[-1].startswith("dx")
    assert "not finite, first: 1.W[3, 1] is nan" in str(tr)
    assert json.loads(tr.to_json())["arrays"]["1.z"][3] == "nan"
    net.parameters()["1.W"][3, 1] = np.inf
    assert dr.trace(net, np.ones(4), 1).not_finite()[1] in ("1.z[3] is inf", "1.z[3] is -inf")
    batch = dr.trace(net, np.ones((9, 4)), np.ones(9, int)).not_finite()
    assert "1.z has 4 more" in batch


def test_wrong_questions() -> None:
    tr = dr.trace(network("dense"), np.ones(4), 1)
    for stage in (0, 4, -1, True, np.True_, 1.0, np.float64(1), "1", None, slice(1), (1, 1)):
        with pytest.raises(HyperparameterError, match="count from 1 to 3"):
            tr[stage]  # type: ignore[index]
    with pytest.raises(AttributeError, match=r"layer 1 \(dense\(6,tanh\)\) has no 'dU'; it has .* W, b, dW, db"):
        _ = tr[1].dU
    with pytest.raises(dr.ShapeError):
        dr.trace(network("dense"), np.ones(5), 1)


def test_a_line_a_layer() -> None:
    lines = str(dr.trace(network("maps"), np.ones((2, 2, 8, 8)), [0, 1])).splitlines()
    assert lines[0].startswith("2x8x8/conv(3,3,stride=2,pad=1)/maxpool(2)/subsample(2)/3: C = ")
    assert len(lines) == 6
    assert "2x3x4x4" in lines[2]
    assert "domega" in lines[4]


def test_layers_are_counted_by_any_whole_number() -> None:
    tr = dr.trace(network("sequences"), np.ones((5, 3)), [0] * 5)
    for one in (np.int64(1), np.uint8(1), np.array(1)):
        assert tr[one] is tr[1]
    np.testing.assert_array_equal(tr.triangle(np.int64(2)), tr.triangle(2))


@pytest.mark.parametrize("name", NETWORKS)
def test_copies_and_pickles(name: str) -> None:
    X, t = data(network(name))
    tr = dr.trace(network(name), X, t, dropout=True)
    for same in (copy.copy(tr), copy.deepcopy(tr), pickle.loads(pickle.dumps(tr))):
        assert same.to_json() == tr.to_json()
        np.testing.assert_array_equal(same.theta, tr.theta)
    for same in (copy.copy(tr[1]), copy.deepcopy(tr[1]), pickle.loads(pickle.dumps(tr[1]))):
        np.testing.assert_array_equal(same.z, tr[1].z)
        np.testing.assert_array_equal(same.da_prev, tr[1].da_prev)
    if tr[1].gradients:
        assert copy.copy(tr[1]).dW is tr[1].dW
        assert copy.deepcopy(tr[1]).dW is not tr[1].dW


def test_traces_are_compared_by_identity() -> None:
    first, second = (dr.trace(network("dense"), np.ones((2, 4)), [0, 1]) for _ in range(2))
    assert first == first
    assert first != second
    assert first[1] != second[1]
    assert first[2] in first
    assert second[2] not in first
    assert len({first, second, first[1], second[1], first[1]}) == 4


def test_a_glance_is_short() -> None:
    tr = dr.trace(network("dense"), np.ones((2, 4)), [0, 1])
    assert repr(tr).startswith("<trace of 4/6:tanh/5/3: C = ")
    assert repr(tr[1]) == "<layer 1 of a trace, dense(6,tanh): z of shape (2, 6)>"


def test_parameters_by_name() -> None:
    net = network("dense")
    tr = dr.trace(net, np.ones(4), 1)
    np.testing.assert_array_equal(tr[1].W, net.parameters()["1.W"])
    np.testing.assert_array_equal(tr[3].b, net.parameters()["3.b"])
    assert {"W", "b", "dW", "db", "z", "delta", "arrays", "gradients"} <= set(dir(tr[1]))
    learned = dr.trace(network("sequences"), np.ones((5, 3)), [0] * 5)[2]
    assert learned.h0.shape == learned.dh0.shape == (2,)
    for name in ("__deepcopy__", "__array__", "_repr_html_", "dz"):
        assert not hasattr(tr[1], name)


@dataclass(frozen=True)
class Scaled(Layer):
    """z = W2 ⊙ a_prev + z, a parameter of that name; z = a."""

    name = "scaled"

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        return {"W2": input_shape, "z": input_shape}

    def initial(self, input_shape: tuple[int, ...], random: np.random.Generator) -> dict[str, Any]:
        return {"W2": random.normal(size=input_shape), "z": random.normal(size=input_shape)}

    def forward(self, p: dict[str, Any], a_prev: Array, ctx: Any) -> Cache:
        z = p["W2"] * a_prev + p["z"]
        return Cache(a_prev, z, z)

    def backward(self, p: dict[str, Any], delta: Array, cache: Cache) -> tuple[Array, dict[str, Array]]:
        return delta * p["W2"], {"W2": (delta * cache.a_prev).sum(axis=0), "z": delta.sum(axis=0)}


def test_a_layer_of_ones_own() -> None:
    """Its parameters are attributes, unless the name is taken."""
    net = dr.Network([dr.Dense(6), Scaled(), dr.Dense(3)], input_shape=4, dtype="float64")
    tr = dr.trace(net, np.ones((2, 4)), [0, 1])
    np.testing.assert_array_equal(tr[2].W2, net.parameters()["2.W2"])
    np.testing.assert_allclose(tr[2].dW2, (tr[2].delta * tr[2].a_prev).mean(axis=0), atol=1e-15)
    assert tr[2].z.shape == (2, 6)
    assert tr[2].parameters["z"].shape == tr[2].gradients["z"].shape == tr[2].dz.shape == (6,)
    net.parameters()["2.z"][4] = np.nan
    found = dr.trace(net, np.ones((2, 4)), [0, 1]).not_finite()
    assert found[:3] == ["2.z[4] is nan", "2.z[0, 4] is nan", "2.z[1, 4] is nan"]  # the parameter, then the array


def test_one_sequence_of_tokens() -> None:
    """It is one, though tokens have no axis of units."""
    net, tokens, t = network("sequences"), np.array([0, 1, 2, 1]), [0, 1, 2, 0]
    one, batch = dr.trace(net, tokens, t), dr.trace(net, tokens[None], [t])
    assert one.one
    assert not batch.one
    assert one.triangle(1).shape == (4, 4, 4)
    np.testing.assert_array_equal(one.triangle(2), batch.triangle(2)[0])
    for name, a in batch.arrays().items():
        if name.rpartition(".")[2] not in ("dW", "dU", "db", "dh0"):
            np.testing.assert_array_equal(one.arrays()[name], a[0], name)
    value = one.to_dataframe().query("array == 'x'").value
    assert value.tolist() == [0, 1, 2, 1]
    assert json.loads(one.to_json())["arrays"]["x"] == [0, 1, 2, 1]
    assert one.not_finite() == []
    tokens[:] = 0  # the trace keeps its own
    assert one.x.tolist() == [0, 1, 2, 1]


@pytest.mark.parametrize(("one", "m"), [(True, ()), (False, (4,))], ids=["alone", "batch"])
def test_the_shapes_that_the_docstring_tells(one: bool, m: tuple[int, ...]) -> None:
    def of(name: str, **options: Any) -> dr.Trace:
        X, t = data(network(name))
        return dr.trace(network(name), *((X[0], t[0]) if one else (X, t)), **options)

    dense, maps, steps, last = of("dense"), of("maps"), of("sequences"), of("last")
    assert dense.x.shape == dense.dx.shape == dense[1].a_prev.shape == dense[1].da_prev.shape == (*m, 4)
    assert dense[1].z.shape == dense[1].a.shape == dense[1].delta.shape == dense[2].a_prev.shape == (*m, 6)
    assert dense[1].W.shape == dense[1].dW.shape == (6, 4)
    assert dense.y.shape == dense.t.shape == (*m, 3)
    assert dense.costs.shape == last.costs.shape == m
    assert isinstance(dense.costs, np.ndarray)
    assert maps[1].delta.shape == maps[2].da_prev.shape == (*m, 3, 4, 4)
    assert steps.x.shape == steps.dx.shape == (*m, 5, 3)
    assert steps[1].z.shape == steps[1].delta.shape == steps[1].state.shape == (*m, 5, 4)
    assert steps.y.shape == steps.t.shape == (*m, 5, 3)
    assert steps.costs.shape == (*m, 5)
    assert steps.triangle(1).shape == (*m, 5, 5, 4)
    assert last.y.shape == last.t.shape == (*m, 3)
    assert {dense.one, maps.one, steps.one, last.one} == {one}


def test_the_state_of_one_sequence() -> None:
    net = network("sequences")
    state = np.arange(6) / 6
    alone, batch = (dr.trace(net, np.ones((5, 3)), [0] * 5, state=h) for h in (state, state[None]))
    np.testing.assert_array_equal(alone[1].state[0], state[:4])
    assert alone.to_json() == batch.to_json()


def test_a_table_of_much_of_little_and_of_nothing() -> None:
    tr = dr.trace(dr.Network("100/200/10"), np.ones((50, 100)), np.zeros(50, int))
    table = tr.to_dataframe()
    assert len(table) == sum(a.size for a in tr.arrays().values()) > 60_000
    assert table.value.dtype == np.float32
    assert table[(table.array == "z") & (table.layer == 1)].place.iloc[-1] == (49, 199)
    np.testing.assert_array_equal(table[table.array == "dx"].value.to_numpy().reshape(50, 100), tr.dx)
    assert set(table[table.layer == 0].array) == {"x", "y", "t", "costs", "dx"}
    nothing = replace(tr[1], gradients={"W": np.empty((0, 3), np.float32)})
    tr = replace(tr, layers=(nothing, tr[2]))
    assert not (tr.to_dataframe().query("layer == 1").array == "dW").any()
    assert json.loads(tr.to_json())["arrays"]["1.dW"] == []
    assert tr.not_finite() == []
    assert "dW –" in str(tr)
    one = dr.trace(dr.Network("1/1"), [2.0], 1).to_dataframe()
    assert one[one.array == "costs"].place.tolist() == [()]


def test_a_table_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"needs pandas: pip install 'deltarule\[dataframe\]'"):
        dr.trace(network("dense"), np.ones(4), 1).to_dataframe()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_where_what_is_not_finite_stands(value: float) -> None:
    """In any array, way up or back, by name and place."""
    X, t = data(network("sequences"))
    tr = dr.trace(network("sequences"), X, t)
    assert tr.not_finite() == []
    assert "not finite" not in str(tr)
    for name, a in tr.arrays().items():
        stage, _, short = name.rpartition(".")
        bad = a.copy()
        bad[(-1,) * a.ndim] = value
        if not stage:
            wrong = replace(tr, **{short: bad})
        else:
            k = int(stage) - 1
            layer = tr.layers[k]
            new = {"gradients": layer.gradients | {short[1:]: bad}} if short[1:] in layer.gradients else {short: bad}
            wrong = replace(tr, layers=(*tr.layers[:k], replace(layer, **new), *tr.layers[k + 1 :]))
        place = f"{name}{[n - 1 for n in a.shape]} is {value}"
        assert wrong.not_finite() == [place]
        assert str(wrong).endswith(f"not finite, first: {place}")
        text = wrong.to_json()
        assert np.ravel(json.loads(text)["arrays"][name]).tolist()[-1] == str(value)
        assert text.count(f'"{value}"') == 1


def test_a_cost_that_only_decay_carries_away() -> None:
    net = network("dense")
    net.parameters()["1.W"][...] = 1e200
    tr = dr.trace(net, np.zeros(4), 1, weight_decay=1.0)
    assert tr.not_finite() == ["C is inf"]
    assert json.loads(tr.to_json())["C"] == "inf"
    assert "dW 1e+200" in str(tr)  # finite, though its square is not


def test_a_gradient_that_explodes_through_time() -> None:
    net = dr.Network("seq(1)/rnn(2,relu)/2", dtype="float64")
    net.theta[:] = 1e-300
    net.parameters()["1.U"][...] = 1e100
    net.parameters()["2.W"][...] = [[1, 1], [0, 0]]
    triangle = dr.trace(net, np.zeros((6, 1)), [1] * 6).triangle(1)
    assert np.isfinite(triangle[2]).all()
    assert not np.isfinite(triangle[5]).all()


def test_places_come_in_the_order_of_the_pass() -> None:
    """The same in every process, whatever the seed of its hashes."""
    code = "import deltarule as dr; net = dr.Network('2/3:tanh/2'); net.theta[:] = float('nan'); print(" \
        "[p.partition('[')[0] for p in dr.trace(net, [1., 2.], 1).not_finite() if ' has ' not in p])"  # fmt: skip
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True,
            check=True, timeout=60,
        ).stdout
        for seed in "123"
    }  # fmt: skip
    assert len(printed) == 1
    names = list(dict.fromkeys(json.loads(printed.pop().replace("'", '"'))))
    assert names == [
        "1.W", "1.b", "2.W", "2.b", "1.z", "1.a", "2.z", "2.a", "y", "costs is nan", "C is nan",
        "2.delta", "2.da_prev", "2.dW", "2.db", "1.delta", "1.da_prev", "1.dW", "1.db", "dx",
    ]  # fmt: skip


DENSE, STEPS = (np.ones((5, 4)), np.zeros(5, int)), (np.ones((2, 5, 3)), np.zeros((2, 5), int))
ONE = STEPS[0][0], STEPS[1][0]


@pytest.mark.parametrize(
    ("name", "given", "options", "error", "message"),
    [
        ("dense", (np.ones((5, 3)), DENSE[1]), {}, ShapeError, "samples of 4 .* rows of 3; give X the shape"),
        ("dense", (np.ones((0, 4)), []), {}, DataError, "X is empty"),
        ("dense", ([1, 2, np.nan, 4], 0), {}, DataError, "row 0, column 2 is nan"),
        ("dense", (DENSE[0], [0, np.inf, 0, 0, 0]), {}, DataError, "the targets: row 1 is inf"),
        ("dense", (DENSE[0], [0, 1]), {}, ShapeError, "X has 5 rows, the targets 2"),
        ("dense", (DENSE[0], [0, 1, 7, 0, 0]), {}, DataError, "row 2 is 7; .* takes classes 0 … 2"),
        ("dense", (DENSE[0][0], [0, 1, 1]), {}, DataError, "a row of probabilities"),
        ("dense", DENSE, {"weight_decay": -1}, HyperparameterError, "weight_decay must be .* at least 0, not -1"),
        ("dense", DENSE, {"weight_decay": np.nan}, HyperparameterError, "weight_decay must be .*, not nan"),
        ("dense", DENSE, {"sample_weight": [1, 2]}, ShapeError, r"sample_weight has the shape \(2,\); 5 rows take"),
        ("dense", DENSE, {"lengths": [1] * 5}, ShapeError, "lengths and mask are for sequences"),
        ("dense", DENSE, {"state": np.zeros((5, 4))}, ShapeError, "no recurrent layer, and so no state"),
        ("dense", DENSE, {"dropout": 0.5}, HyperparameterError, "dropout is True or False, .* not 0.5"),
        ("dropout", DENSE, {"dropout": True, "step": 2**70}, HyperparameterError, "step must be a whole number"),
        ("dropout", DENSE, {"dropout": True, "step": 0}, HyperparameterError, "step must be a whole number"),
        ("dense", DENSE, {"seed": -1}, HyperparameterError, "seed must be a whole number"),
        ("sequences", STEPS, {"lengths": [5, 6]}, DataError, "that of row 1 is 6; X has 5 steps"),
        ("sequences", STEPS, {"mask": np.ones((2, 4))}, ShapeError, r"mask has the shape \(2, 4\)"),
        ("sequences", STEPS, {"state": np.zeros(6)}, ShapeError, r"the state has the shape \(6,\); .* takes \(2, 6\)"),
        ("sequences", ONE, {"state": np.zeros(4)}, ShapeError, r"takes \(1, 6\)"),
        ("sequences", ONE, {"lengths": [3]}, ShapeError, "X is one sequence, .* leave out of X what does not count"),
        ("sequences", ONE, {"mask": [1, 1, 1, 0, 0]}, ShapeError, "X is one sequence"),
        ("sequences", (np.array([0, 3]), [0, 1]), {}, DataError, "the token 3 at row 0, step 1"),
        ("sequences", (np.array([0, 1]), [0, 1]), {"lengths": [2]}, ShapeError, "X is one sequence"),
    ],
)  # fmt: skip
def test_wrong_inputs(name: str, given: tuple[Any, Any], options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        dr.trace(network(name), *given, **options)


def test_what_is_no_network() -> None:
    with pytest.raises(HyperparameterError, match="trace takes a network first, not '4/3'"):
        dr.trace("4/3", np.ones(4), 1)  # type: ignore[arg-type]


def test_which_layers_have_a_triangle() -> None:
    tr = dr.trace(network("sequences"), *STEPS)
    with pytest.raises(HyperparameterError, match=r"layer 3 .* ask for layer 1 \(rnn\(4,tanh\)\) or 2 \(rnn"):
        tr.triangle(3)
    with pytest.raises(HyperparameterError, match="count from 1 to 3, not 4"):
        tr.triangle(4)
