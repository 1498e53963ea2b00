"""The network: θ and its forms, parts and copies, what it answers, how it is scored, and what it refuses."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

import deltarule as dr
from deltarule import Dense, Dropout, Network
from deltarule.costs import COSTS
from deltarule.data.preprocessing import Preprocessing
from deltarule.errors import DataError, DeltaruleError, HyperparameterError, ShapeError
from deltarule.initializers import Initializer

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(7, 4))


def by_hand(net: Network, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """z⁽ᴸ⁾ of a network of dense tanh layers, one sample at a time, in float64."""
    p, dense = net.parameters(), sorted({int(k.split(".")[0]) for k in net.parameters()})
    found = []
    for a in rows:
        for stage in dense:
            z = p[f"{stage}.W"].astype(float) @ a + p[f"{stage}.b"]
            a = np.tanh(z)
        found.append(z)
    return np.array(found)


# θ


def test_theta_is_one_vector_and_parameters_are_views_of_it() -> None:
    net = Network("4/3/dropout(0.5)/2")
    p = net.parameters()
    assert list(p) == ["1.W", "1.b", "3.W", "3.b"]
    np.testing.assert_array_equal(net.theta, np.concatenate([a.ravel() for a in p.values()]))
    p["3.W"][1, 2] = 7
    assert net.theta[15 + 5] == 7
    net.theta[12] = -3
    assert p["1.b"][0] == -3
    before = net.theta
    net.theta = np.arange(23)
    assert net.theta is before
    np.testing.assert_array_equal(p["1.W"], np.arange(12).reshape(3, 4))
    net.theta += 1
    assert (net.theta[0], p["3.b"][1]) == (1, 23)


def test_writing_into_theta_changes_the_answers() -> None:
    net = Network("4/3/2", output="identity")
    net.theta[:] = 0
    net.parameters()["2.b"][:] = [1, 2]
    np.testing.assert_array_equal(net.forward(X), [[1, 2]] * 7)


def test_unroll_copies_and_roll_copies() -> None:
    net = Network("2/2")
    vector = net.unroll()
    vector += 1
    assert not np.shares_memory(vector, net.theta)
    assert net.roll(vector) is net
    np.testing.assert_array_equal(net.theta, vector)
    assert not np.shares_memory(vector, net.theta)
    np.testing.assert_array_equal(net.roll(vector[:, None].astype(int)).theta, vector.astype(int))


def test_octave_form_of_document_002() -> None:
    """Three Theta, 10×11, 10×11 and 1×11, of ones, twos and threes; thetaVec = [Theta1(:); Theta2(:); Theta3(:)]."""
    net = Network("10/10/10/1", dtype="float64")
    thetas = [np.full((10, 11), 1.0), np.full((10, 11), 2.0), np.full((1, 11), 3.0)]
    vector = np.concatenate([t.ravel(order="F") for t in thetas])
    assert net.size == len(vector) == 231
    p = net.roll(vector, form="octave").parameters()
    for stage, theta in enumerate(thetas, 1):
        np.testing.assert_array_equal(np.column_stack([p[f"{stage}.b"], p[f"{stage}.W"]]), theta)
    np.testing.assert_array_equal(net.unroll("octave"), vector)
    np.testing.assert_array_equal(net.unroll("octave")[110:220].reshape(10, 11, order="F"), thetas[1])


def test_octave_form_is_column_major_with_the_biases_first() -> None:
    net = Network("3/2/dropout(0.5)/1", dtype="float64")
    p = net.roll(range(1, 12), form="octave").parameters()
    np.testing.assert_array_equal(p["1.b"], [1, 2])
    np.testing.assert_array_equal(p["1.W"], [[3, 5, 7], [4, 6, 8]])
    np.testing.assert_array_equal(p["3.b"], [9])
    np.testing.assert_array_equal(p["3.W"], [[10, 11]])
    np.testing.assert_array_equal(net.unroll("octave"), range(1, 12))
    np.testing.assert_array_equal(net.unroll(), [3, 5, 7, 4, 6, 8, 1, 2, 10, 11, 9])
    assert Network("3/dropout(0.5)").unroll("octave").shape == (0,)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=5), st.integers(0, 9))
def test_both_forms_go_there_and_back(sizes: list[int], seed: int) -> None:
    net = Network("/".join(map(str, sizes)), output="identity", dtype="float64", seed=seed)
    theta = np.random.default_rng(seed).normal(size=net.size)
    for form in ("theta", "octave"):
        np.testing.assert_array_equal(net.roll(theta, form).unroll(form), theta)
    octave = net.roll(theta).unroll("octave")
    np.testing.assert_array_equal(net.roll(octave, "octave").theta, theta)
    np.testing.assert_array_equal(np.sort(octave), np.sort(theta))


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.zeros(5), "θ has 6 entries, the vector has the shape (5,)"),
        (np.zeros(7), "(7,)"),
        (np.zeros((1, 6)), "(1, 6)"),
        (np.zeros((2, 3)), "(2, 3)"),
        (0.0, "()"),
        ([0, 0, np.nan, 0, 0, 0], "the vector: row 2 is nan"),
        ([0, 0, 0, 0, 0, -np.inf], "the vector: row 5 is -inf"),
        ([1e300, 0, 0, 0, 0, 0], "the vector as float32: row 0 is inf"),
        (["a"] * 6, "real numbers are expected"),
        ([1j] * 6, "real numbers are expected"),
        ([[1], [1, 2]], "not an array of numbers"),
    ],
)
@pytest.mark.parametrize("form", ["theta", "octave"])
def test_vectors_that_are_no_theta(vector: Any, message: str, form: str) -> None:
    net = Network("2/2")
    before = net.unroll()
    with pytest.raises(DeltaruleError) as caught:
        net.roll(vector, form)
    assert message in str(caught.value)
    np.testing.assert_array_equal(net.theta, before)


def test_forms_by_name() -> None:
    for form in ("Octave", "matlab", None):
        with pytest.raises(HyperparameterError, match="form is 'theta' or 'octave'"):
            Network("2/2").unroll(form)  # type: ignore[arg-type]


def test_seeds() -> None:
    nets = [Network("4/5/3", seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(nets[0].theta, nets[1].theta)
    assert not np.array_equal(nets[0].theta, nets[2].theta)
    np.testing.assert_array_equal(Network("4/5/3", dtype="float64").theta.astype(np.float32), nets[0].theta)
    drawn = Network("4/5/3", seed=None)
    np.testing.assert_array_equal(Network("4/5/3", seed=drawn.seed).theta, drawn.theta)
    assert Network("4/5/3", seed=np.int64(5)).seed == 5
    for seed in (-1, 1.5, True, "0", 2**63):
        with pytest.raises(HyperparameterError, match="seed must be"):
            Network("4/3", seed=seed)  # type: ignore[arg-type]


def test_layers_draw_from_seeds_of_their_own() -> None:
    """A stage's first weights do not depend on the layers before it but for their shapes."""
    a, b = (Network(f"4/5/{n}/3", activation="tanh").parameters() for n in (5, 6))
    np.testing.assert_array_equal(a["1.W"], b["1.W"])
    same = Network("4/4/4", activation="tanh").parameters()
    assert not np.array_equal(same["1.W"], same["2.W"])


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.float64, float, np.dtype("f8")], ids=str)
def test_dtypes(dtype: Any) -> None:
    net = Network("4/3", dtype=dtype)
    assert net.dtype == net.theta.dtype == net.forward(X).dtype == net.predict_proba(X).dtype == np.dtype(dtype)
    assert all(a.dtype == net.dtype for a in net.parameters().values())


@pytest.mark.parametrize(
    "dtype", ["float16", "int32", "complex128", "f4,", ",", "a", "", None, 5, int, object(), ["f4"]]
)
def test_other_dtypes_are_refused(dtype: Any) -> None:
    with pytest.raises(HyperparameterError, match="dtype is 'float32' or 'float64'"):
        Network("4/3", dtype=dtype)


# Parts and copies


def test_a_part_shares_the_weights() -> None:
    net = Network("4/3:tanh/dropout(0.5)/5:tanh/2", dtype="float64")
    for k in range(1, 5):
        part = net[:k]
        assert part.layers == net.layers[:k]
        assert part.shapes == net.shapes[: k + 1]
        assert np.shares_memory(part.theta, net.theta)
        np.testing.assert_array_equal(part.theta, net.theta[: part.size])
    part = net[:1]
    np.testing.assert_allclose(part.forward(X), np.tanh(X @ net.parameters()["1.W"].T + net.parameters()["1.b"]))
    part.theta[:] = 0
    assert not net.theta[:15].any()
    assert net.theta[15:].any()
    assert net[:-1].layers == net[:3].layers
    assert net[:4].output == net[:].output == net[:99].output == net.output
    assert (part.dtype, part.seed) == (net.dtype, net.seed)


@pytest.mark.parametrize(
    "stages", [0, -1, slice(1, None), slice(1, 2), slice(None, 0), slice(None, None, 2), "1"], ids=str
)
def test_parts_begin_at_the_input(stages: Any) -> None:
    with pytest.raises(HyperparameterError, match=r"net\[:k\]"):
        Network("4/3/2")[stages]


def test_a_network_is_no_list() -> None:
    with pytest.raises(TypeError):
        list(Network("4/3/2"))  # type: ignore[call-overload]


def test_multilabel_takes_no_labels() -> None:
    with pytest.raises(ShapeError, match="multilabel targets are rows"):
        Network("4/3:sigmoid", multilabel=True).evaluate(np.zeros((2, 4)), [0, 1])


def test_copies_do_not_share() -> None:
    net = Network("4/3/2:sigmoid", multilabel=True, dtype="float64", seed=3)
    for made in (net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert (str(made), made.dtype, made.seed, made.multilabel) == (str(net), net.dtype, 3, True)
        np.testing.assert_array_equal(made.theta, net.theta)
        made.theta[:] = 0
        made.parameters()["1.W"][:] = 1
        assert made.theta.any()
    assert net.theta.any()
    assert not net[:1].multilabel
    assert net[:2].multilabel


def test_frozen() -> None:
    net = Network("4/3/2", cost="squared error")
    frozen = net.frozen()
    assert np.shares_memory(frozen.theta, net.theta)
    assert not frozen.trainable.any()
    assert net.trainable.all()
    assert frozen.output == net.output
    C, grad = frozen.cost_and_gradient(X, [0, 1, 0, 1, 0, 1, 1])
    assert not grad.any()
    assert net.cost_and_gradient(X, [0, 1, 0, 1, 0, 1, 1])[0] == C
    assert "(frozen)" in str(frozen)
    assert Network(str(frozen)).layers == frozen.layers


def test_networks_among_layers_bring_their_weights() -> None:
    before = Network("4/3:tanh/2", dtype="float64", seed=1)
    net = Network([before[:1].frozen(), Dropout(0.1), Dense(5), Dense(3)], seed=2)
    assert net.spec == "4/dense(3,tanh,trainable=False)/dropout(0.1)/5/3"
    np.testing.assert_array_equal(net.parameters()["1.W"], before.parameters()["1.W"].astype(np.float32))
    np.testing.assert_array_equal(net.theta[15:], Network(net.spec, seed=2).theta[15:])
    dr.train(net, X, [0, 1, 2, 0, 1, 2, 0], epochs=2, verbose=False)
    np.testing.assert_array_equal(net.theta[:15], before.theta[:15].astype(np.float32))
    assert not np.shares_memory(net.theta, before.theta)


def test_networks_in_the_middle_and_twice() -> None:
    coder = Network("3/3:tanh", seed=5)
    net = Network([Dense(3), coder, coder.frozen(), Dense(2)], input_shape=4)
    for stage in (2, 3):
        np.testing.assert_array_equal(net.parameters()[f"{stage}.W"], coder.parameters()["1.W"])
    np.testing.assert_array_equal(Network([coder], seed=9).theta, coder.theta)
    with pytest.raises(ShapeError, match=r"stage 2 takes \(3, 5\), the network built before has \(3, 3\)"):
        Network([Dense(5), coder], input_shape=4)
    with pytest.raises(HyperparameterError, match="softmax belongs in the last layer"):
        Network([Network("4/3"), Dense(2)])


# Text


def test_the_table() -> None:
    assert str(Network("28x28/100/dropout(0.5)/dense(50,tanh,trainable=False)/10")) == "\n".join(
        [
            "1x28x28/100/dropout(0.5)/dense(50,tanh,trainable=False)/10",
            "   layer                           output   parameters",
            "0  input                           1x28x28",
            "1  dense(100,relu)                 100      78,500",
            "2  dropout(0.5)                    100      –",
            "3  dense(50,tanh,trainable=False)  50       5,050 (frozen)",
            "4  dense(10,softmax)               10       510",
            "   cost: cross_entropy             total    84,060",
        ]
    )
    assert repr(Network("4/1")) == "Network('4/1', cost='binary_cross_entropy', dtype='float32')"


# Forward


def test_forward_is_the_equations() -> None:
    net = Network("4/5/dropout(0.5)/6/3", activation="tanh", output="identity", dtype="float64")
    np.testing.assert_allclose(net.forward(X), by_hand(net, X), rtol=1e-12)
    np.testing.assert_allclose(net.forward(X[2]), by_hand(net, X[2:3])[0], rtol=1e-12)


@pytest.mark.parametrize("output", ["identity", "sigmoid", "softmax", "tanh", "exp", "relu"])
@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("multilabel", [False, True])
def test_one_sample_answers_as_its_row_does(output: str, units: int, multilabel: bool) -> None:
    if (output == "softmax" and units == 1) or (multilabel and (output, units) != ("sigmoid", 3)):
        with pytest.raises(HyperparameterError):
            Network(f"4/{units}", output=output, multilabel=multilabel)
        return
    net = Network(f"4/5/{units}", activation="tanh", output=output, dtype="float64", multilabel=multilabel)
    z, y = by_hand(net, X), net.forward(X)
    assert y.shape == (7, units)
    assert net.forward(X[0]).shape == (units,)
    f = {"identity": lambda v: v, "tanh": np.tanh, "exp": np.exp, "relu": lambda v: np.maximum(v, 0),
         "sigmoid": scipy.special.expit, "softmax": lambda v: scipy.special.softmax(v, axis=1)}[output]  # fmt: skip
    np.testing.assert_allclose(y, f(z), rtol=1e-12, atol=1e-15)
    predicted = net.predict(X)
    if multilabel:
        expected: Any = (z >= 0).astype(int)
    elif output in ("sigmoid", "softmax"):
        expected = (z[:, 0] >= 0).astype(int) if units == 1 else z.argmax(axis=1)
    else:
        expected = y[:, 0] if units == 1 else y
    np.testing.assert_array_equal(predicted, expected)
    for k in range(7):
        np.testing.assert_allclose(net.forward(X[k]), y[k], rtol=1e-14)
        np.testing.assert_allclose(net.predict(X[k]), predicted[k], rtol=1e-14)
    if output in ("sigmoid", "softmax"):
        proba = net.predict_proba(X)
        assert predicted.dtype == np.int64
        np.testing.assert_allclose(proba, np.hstack([1 - y, y]) if units == 1 else y)
        np.testing.assert_allclose(net.predict_proba(X[0]), proba[0], rtol=1e-14)
    else:
        with pytest.raises(HyperparameterError, match=f"output '{output}' gives no probabilities"):
            net.predict_proba(X)


def test_many_rows_are_taken_in_stretches() -> None:
    net = Network("4/5/3", dtype="float64")
    many = np.random.default_rng(3).normal(size=(2500, 4))
    np.testing.assert_allclose(net.forward(many), np.concatenate([net.forward(part) for part in np.split(many, 5)]))
    assert net.evaluate(many, np.zeros(2500, int))["cost"] == pytest.approx(-np.log(net.forward(many)[:, 0]).mean())


def test_dropout_is_off_outside_training() -> None:
    net, plain = Network("4/5/dropout(0.9)/3", dtype="float64"), Network("4/5/3", dtype="float64")
    plain.theta = net.theta
    np.testing.assert_array_equal(net.forward(X), plain.forward(X))
    t = [0, 1, 2, 0, 1, 2, 0]
    assert net.evaluate(X, t) == plain.evaluate(X, t)
    np.testing.assert_array_equal(net.cost_and_gradient(X, t)[1], plain.cost_and_gradient(X, t)[1])


@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity", "tanh", "softplus"])
def test_logits_of_ten_thousand_stay_finite(output: str) -> None:
    net = Network("1/2", output=output)
    net.theta = [1e4, -1e4, 0, 0]
    rows = [[1.0], [-1.0], [0.0]]
    for t in ([0, 1, 1], [1, 0, 0]):
        scores = net.evaluate(rows, t)
        assert np.isfinite(list(scores.values())).all()
        C, grad = net.cost_and_gradient(rows, t)
        assert np.isfinite(C)
        assert np.isfinite(grad).all()
    assert np.isfinite(net.forward(rows)).all()
    net.predict(rows)


def test_what_overflows_is_returned_without_a_warning() -> None:
    net = Network("1/1", output="exp")
    net.theta = [1e3, 0]
    assert net.forward([[1.0], [-1.0]]).tolist() == [[np.inf], [0]]
    assert net.evaluate([[1.0]], [1.0])["cost"] == np.inf
    net = Network("2/1", output="identity")
    net.theta = [3e38, -3e38, 0]
    assert not np.isfinite(net.forward([[1e3, 1e3]])).any()
    assert not np.isfinite(net.evaluate([[1e3, 0]], [1.0])["cost"])


# Scores


def test_evaluate_a_classifier() -> None:
    net = Network("4/5/3", dtype="float64")
    t, y = np.array([0, 1, 2, 0, 1, 2, 0]), net.forward(X)
    costs, hits = -np.log(y[np.arange(7), t]), y.argmax(axis=1) == t
    assert net.evaluate(X, t) == pytest.approx({"cost": costs.mean(), "accuracy": hits.mean()})
    w = RANDOM.uniform(size=7)
    weighted = {"cost": np.average(costs, weights=w), "accuracy": np.average(hits, weights=w)}
    assert net.evaluate(X, t, w) == pytest.approx(weighted)
    assert net.evaluate(X, np.eye(3)[t], sample_weight=w) == pytest.approx(weighted)
    soft = np.full((7, 3), 1 / 3)
    assert net.evaluate(X, soft) == pytest.approx({"cost": -(soft * np.log(y)).sum(axis=1).mean()})
    assert net.evaluate(X[0], 0) == pytest.approx({"cost": costs[0], "accuracy": float(hits[0])})


def test_evaluate_yes_and_no() -> None:
    net = Network("4/1", dtype="float64")
    t, y = np.array([0, 1, 1, 0, 1, 0, 0]), net.forward(X)[:, 0]
    costs = -np.log(np.where(t, y, 1 - y))
    expected = pytest.approx({"cost": costs.mean(), "accuracy": ((y >= 0.5) == t).mean()})
    for given_ in (t, t[:, None], t.astype(bool), t.astype(float), t.tolist()):
        assert net.evaluate(X, given_) == expected
    several = Network("4/3", output="sigmoid", dtype="float64", multilabel=True)
    T = (several.forward(X) >= 0.5).astype(int)
    T[[1, 2, 4], [0, 1, 2]] ^= 1
    assert several.evaluate(X, T)["accuracy"] == pytest.approx(4 / 7)


def test_evaluate_a_regression() -> None:
    net = Network("4/2", output="identity", dtype="float64")
    t, y = RANDOM.normal(size=(7, 2)), net.forward(X)
    w = RANDOM.uniform(size=7)
    rmse = np.sqrt(np.average(((y - t) ** 2).mean(axis=1), weights=w))
    found = net.evaluate(X, t, w)
    assert found["cost"] == pytest.approx(np.average(0.5 * ((y - t) ** 2).sum(axis=1), weights=w))
    assert found["rmse"] == pytest.approx(rmse)
    assert set(found) == {"cost", "rmse", "r2"}
    absolute = Network("4/2", output="identity", dtype="float64", cost="absolute")
    assert absolute.evaluate(X, t)["cost"] == pytest.approx(np.abs(absolute.forward(X) - t).sum(axis=1).mean())


def test_evaluate_leaves_decay_out_and_cost_and_gradient_takes_it() -> None:
    net = Network("4/3/2", dtype="float64")
    t = [0, 1, 0, 1, 0, 1, 0]
    C, grad = net.cost_and_gradient(X, t, weight_decay=0.1)
    C0, grad0 = net.cost_and_gradient(X, t)
    W = np.where(net.decayed, net.theta, 0)
    assert pytest.approx(net.evaluate(X, t)["cost"]) == C0
    assert pytest.approx(C0 + 0.05 * (W @ W)) == C
    np.testing.assert_allclose(grad, grad0 + 0.1 * W)


@pytest.mark.parametrize("cost", ["squared error", "absolute", "huber(0.3)", "quantile(0.2)", None])
def test_the_gradient_is_that_of_the_cost(cost: str | None) -> None:
    net = Network("4/3/2", activation="tanh", output="softmax", dtype="float64", cost=cost)
    t, w = np.array([0, 1, 0, 1, 0, 1, 0]), RANDOM.uniform(size=7)
    J = net.cost_function(X, t, weight_decay=0.1, sample_weight=w)
    C, grad = net.cost_and_gradient(X, t, weight_decay=0.1, sample_weight=w)
    assert (C, grad.dtype) == (J(net.theta)[0], np.float64)
    for k in range(net.size):
        step = 1e-6 * np.eye(net.size)[k]
        assert grad[k] == pytest.approx((J(net.theta + step)[0] - J(net.theta - step)[0]) / 2e-6, rel=1e-5, abs=1e-8)
    elsewhere = net.theta + 0.5
    assert net.cost_and_gradient(X, t, weight_decay=0.1, sample_weight=w, theta=elsewhere)[0] == J(elsewhere)[0]


def test_cost_functions_check_what_they_are_given() -> None:
    net = Network("4/2")
    t = [0, 1, 0, 1, 0, 1, 0]
    for decay in (-1, np.nan, np.inf, "0.1", None):
        with pytest.raises(HyperparameterError, match="weight_decay must be a finite number"):
            net.cost_and_gradient(X, t, weight_decay=decay)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="θ has 10 entries"):
        net.cost_and_gradient(X, t, theta=np.zeros(9))


# Preprocessing travels with the network


def labelled() -> Network:
    """A classifier of raw rows with the labels "no" and "yes"."""
    rows, t = X * 100 + 50, ["no", "yes", "no", "yes", "no", "yes", "no"]
    return Network("4/3:sigmoid/2", preprocessing=Preprocessing.fit(rows, t), dtype="float64")


def test_preprocessing_is_applied_to_rows_and_labels() -> None:
    net, plain = labelled(), labelled()
    plain.preprocessing = None
    rows, scaled = X * 100 + 50, (X - X.mean(axis=0)) / X.std(axis=0)
    np.testing.assert_allclose(net.forward(rows), plain.forward(scaled))
    np.testing.assert_array_equal(net.predict(rows), np.array(["no", "yes"])[plain.predict(scaled)])
    assert net.predict(rows[0]) == net.predict(rows)[0]
    t = np.array([1, 1, 0, 0, 1, 0, 1])
    assert net.evaluate(rows, np.array(["no", "yes"])[t]) == pytest.approx(plain.evaluate(scaled, t))
    with pytest.raises(DataError, match="'maybe', a label unseen at training"):
        net.evaluate(rows, ["maybe"] * 7)
    w = net.prepare(rows, ["no", "yes"] + ["no"] * 5, class_weight={"yes": 3.0})[2]
    np.testing.assert_array_equal(w, [1, 3, 1, 1, 1, 1, 1])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="unseen at training"):
        net.prepare(rows, ["no"] * 7, class_weight={"maybe": 3.0})


def test_a_part_keeps_the_preprocessing_of_its_inputs() -> None:
    net = labelled()
    rows, scaled = X * 100 + 50, (X - X.mean(axis=0)) / X.std(axis=0)
    part, plain = net[:1], Network("4/3:sigmoid", dtype="float64").roll(net.theta[:15])
    np.testing.assert_allclose(part.forward(rows), plain.forward(scaled))
    np.testing.assert_array_equal(part.predict(rows), plain.predict(scaled))
    assert part.evaluate(rows, plain.forward(scaled) / 2) == pytest.approx(
        plain.evaluate(scaled, plain.forward(scaled) / 2)
    )
    assert net.copy().preprocessing is net.frozen().preprocessing is net[:].preprocessing is net.preprocessing


def test_regression_answers_in_the_targets_units() -> None:
    t = np.array([10.5, 20, 30, 40, 50, 60, 70])
    net = Network("4/1", output="identity", preprocessing=Preprocessing.fit(X, t), dtype="float64")
    np.testing.assert_allclose(net.predict(X), net.forward(X)[:, 0] * t.std() + t.mean())
    assert net.predict(X[0]) == pytest.approx(net.predict(X)[0])
    found = net.evaluate(X, t)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((net.predict(X) - t) ** 2)))
    assert found["r2"] == pytest.approx(1 - np.sum((net.predict(X) - t) ** 2) / np.sum((t - t.mean()) ** 2))


def test_preprocessing_must_fit() -> None:
    pre = labelled().preprocessing
    for spec in ("5/2", "4/3", "seq(4)/2"):
        with pytest.raises(ShapeError, match="the preprocessing gives 4 inputs and takes 2 outputs"):
            Network(spec, preprocessing=pre)
    assert Network("4/1", preprocessing=pre).predict(X * 100).dtype.kind == "U"


# What is refused


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network("1000000000/1000000000"), "1,000,000,001,000,000,000 parameters of float32 take 3,725,"),
        (lambda: Network("1000000000x1000000000x1000000000/1000000000"), "more than there is"),
        (lambda: Network("4/3", multilabel=True), "multilabel=True needs two or more sigmoid outputs"),
        (lambda: Network("4/1", multilabel=True), "multilabel=True needs"),
        (lambda: Network(5), "a list of layers, not 5"),
        (lambda: Network(None), "a list of layers, not None"),
        (lambda: Network([5], input_shape=4), "stage 1 is 5, not a layer"),
        (lambda: Network("4/dense(3,initializer=orthogonal(1e40))"), "the initial weights are beyond float32"),
        (lambda: Network("4/dense(3,initializer=uniform(1e308))"), "the initial weights are beyond float32"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_refused(make: Any, message: str) -> None:
    with pytest.raises(HyperparameterError) as caught:
        make()
    assert message in str(caught.value)


def test_errors_of_a_users_initialiser_are_not_hidden() -> None:
    class Wrong(Initializer):
        name = "wrong"

        def draw(self, *_: Any) -> Any:
            return np.zeros(99)

    with pytest.raises(ValueError, match="broadcast"):
        Network([Dense(3, initializer=Wrong())], input_shape=4)


def test_every_cost_trains_some_network() -> None:
    outputs = {"cross entropy": "softmax", "binary cross entropy": "sigmoid", "poisson": "exp"}
    for name in COSTS:
        net = Network("4/2", output=outputs.get(name, "identity"), cost=name, dtype="float64")
        t = np.eye(2)[[0, 1, 0, 1, 0, 1, 0]]
        before = net.evaluate(X, t)["cost"]
        dr.train(net, X, t, epochs=30, verbose=False)
        assert net.evaluate(X, t)["cost"] < before
