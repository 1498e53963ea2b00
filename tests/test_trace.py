"""Traces: the numbers of the textbook engine's training, bit for bit, by name, in tables and JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import deltarule as dr
from deltarule.engines import Settings, Slice, textbook
from deltarule.errors import HyperparameterError
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
    for stage in (0, 4, -1, True, "1", slice(1)):
        with pytest.raises(HyperparameterError, match="count from 1 to 3"):
            tr[stage]  # type: ignore[index]
    with pytest.raises(AttributeError, match=r"layer 1 \(dense\(6,tanh\)\) has no 'dU'; its gradients are dW, db"):
        _ = tr[1].dU
    with pytest.raises(dr.ShapeError):
        dr.trace(network("dense"), np.ones(5), 1)


def test_a_line_a_layer() -> None:
    lines = str(dr.trace(network("maps"), np.ones((2, 2, 8, 8)), [0, 1])).splitlines()
    assert lines[0].startswith("2x8x8/conv(3,3,stride=2,pad=1)/maxpool(2)/subsample(2)/3: C = ")
    assert len(lines) == 6
    assert "2x3x4x4" in lines[2]
    assert "domega" in lines[4]
