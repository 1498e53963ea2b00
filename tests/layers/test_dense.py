"""The dense layer: shapes, the equations against plain loops, images and sequences, and its formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule import Dense
from deltarule.activations import ACTIVATIONS, Identity, ReLU, Tanh
from deltarule.arrays import Shape
from deltarule.errors import DeltaruleError, HyperparameterError
from deltarule.initializers import HeUniform, Uniform, Zeros
from deltarule.layers import Context, Equation

SHAPES = [((4,), (5,), 4), ((2, 3, 4), (5,), 24), ((None, 4), (None, 5), 4)]


@pytest.mark.parametrize(("inputs", "outputs", "n_in"), SHAPES)
def test_shapes(inputs: Shape, outputs: Shape, n_in: int) -> None:
    layer = Dense(5, "tanh")
    assert layer.output_shape(inputs) == outputs
    assert layer.parameter_shapes(inputs) == {"W": (5, n_in), "b": (5,)}
    assert list(layer.parameter_shapes(inputs)) == ["W", "b"]
    drawn = layer.initial(inputs, np.random.default_rng(0))
    assert {name: a.shape for name, a in drawn.items()} == layer.parameter_shapes(inputs)
    assert layer.decays == {"W"}


def plain(W: Any, b: Any, x: Any) -> Any:
    """z of one sample, number by number."""
    return np.array([sum(W[j, i] * x[i] for i in range(len(x))) + b[j] for j in range(len(b))])


@pytest.mark.parametrize(("inputs", "outputs", "n_in"), SHAPES)
def test_forward_and_backward_are_the_equations(inputs: Shape, outputs: Shape, n_in: int) -> None:
    random, layer, m, T = np.random.default_rng(1), Dense(5, "tanh"), 3, 6
    p = {"W": random.normal(size=(5, n_in)), "b": random.normal(size=5)}
    a_prev = random.normal(size=(m, *(n or T for n in inputs)))
    cache = layer.forward(p, a_prev, Context())
    assert cache.z.shape == cache.a.shape == (m, *(n or T for n in outputs))
    rows = a_prev.reshape(-1, n_in)  # an image in the order channel, row, column; a time step is a sample
    z = np.array([plain(p["W"], p["b"], x) for x in rows])
    np.testing.assert_allclose(cache.z.reshape(-1, 5), z)
    np.testing.assert_allclose(cache.a.reshape(-1, 5), np.tanh(z))
    assert cache.a_prev is a_prev

    da = random.normal(size=cache.a.shape)
    delta = layer.delta(p, da, cache)
    np.testing.assert_allclose(delta, (1 - np.tanh(cache.z) ** 2) * da)
    da_prev, g = layer.backward(p, delta, cache)
    d = delta.reshape(-1, 5)
    assert da_prev.shape == a_prev.shape
    np.testing.assert_allclose(da_prev.reshape(-1, n_in), [p["W"].T @ row for row in d])
    np.testing.assert_allclose(g["W"], sum(np.outer(row, x) for row, x in zip(d, rows)))
    np.testing.assert_allclose(g["b"], d.sum(axis=0))


def test_an_image_is_read_channel_by_channel_and_row_by_row() -> None:
    image = np.arange(12.0).reshape(1, 2, 2, 3)
    W = np.zeros((1, 12))
    W[0, 7] = 1  # channel 1, row 0, column 1
    cache = Dense(1, "identity").forward({"W": W, "b": np.zeros(1)}, image, Context())
    assert cache.z == image[0, 1, 0, 1] == 7


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 5), st.sampled_from(sorted(ACTIVATIONS)))
def test_rows_do_not_know_each_other(m: int, n_in: int, n_out: int, name: str) -> None:
    random, layer = np.random.default_rng(m), Dense(n_out, name)
    p = {"W": random.normal(size=(n_out, n_in)), "b": random.normal(size=n_out)}
    x, da = random.normal(size=(m, n_in)), random.normal(size=(m, n_out))
    whole = layer.forward(p, x, Context())
    delta = layer.delta(p, da, whole)
    _, g = layer.backward(p, delta, whole)
    alone = [layer.forward(p, x[k : k + 1], Context()) for k in range(m)]
    np.testing.assert_allclose(whole.a, np.concatenate([c.a for c in alone]), rtol=1e-12)
    deltas = [layer.delta(p, da[k : k + 1], alone[k]) for k in range(m)]
    np.testing.assert_allclose(delta, np.concatenate(deltas), rtol=1e-11, atol=1e-14)
    for key in g:
        total = sum(layer.backward(p, deltas[k], alone[k])[1][key] for k in range(m))
        np.testing.assert_allclose(g[key], total, rtol=1e-11, atol=1e-13)


def test_nothing_is_stored_and_nothing_given_is_changed() -> None:
    random, layer = np.random.default_rng(0), Dense(2, "relu")
    p, x, da = {"W": random.normal(size=(2, 3)), "b": np.ones(2)}, random.normal(size=(4, 3)), np.ones((4, 2))
    kept = p["W"].copy(), x.copy(), da.copy()
    before = dict(vars(layer))
    layer.backward(p, layer.delta(p, da, cache := layer.forward(p, x, Context())), cache)
    assert vars(layer) == before
    for now, old in zip((p["W"], x, da), kept):
        np.testing.assert_array_equal(now, old)
    with pytest.raises(AttributeError):
        layer.units = 3  # type: ignore[misc]


def test_the_initialiser_is_he_for_the_relu_family_and_glorot_otherwise() -> None:
    for name in ACTIVATIONS:
        drawn = Dense(300, name).initial((200,), np.random.default_rng(0))
        family = name in ("relu", "leaky relu", "elu", "softplus", "swish", "gelu")
        bound = np.sqrt(6 / 200) if family else np.sqrt(6 / 500)
        assert 0.99 * bound < np.abs(drawn["W"]).max() <= bound
        assert not drawn["b"].any()
    same = Dense(3, "tanh", HeUniform()).initial((4,), np.random.default_rng(0))
    np.testing.assert_array_equal(same["W"], Dense(3, "relu").initial((4,), np.random.default_rng(0))["W"])
    layer = Dense(3, initializer="zeros", bias_initializer="uniform(0.5)")
    assert (layer.initializer, layer.bias_initializer) == (Zeros(), Uniform(0.5))
    drawn = layer.initial((4,), np.random.default_rng(0))
    assert drawn["b"].all()
    assert not drawn["W"].any()


def test_what_is_left_open_is_resolved() -> None:
    assert Dense(3).resolved(Tanh()) == Dense(3, "tanh")
    assert Dense(3, "relu").resolved(Tanh()).f == ReLU()
    assert Dense(3, "identity", trainable=False).resolved(Tanh()) == Dense(3, Identity(), trainable=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dense(0),
        lambda: Dense(2.5),  # type: ignore[arg-type]
        lambda: Dense(3, "relo"),
        lambda: Dense(3, 5),  # type: ignore[arg-type]
        lambda: Dense(3, initializer="he"),
        lambda: Dense(3, initializer=0.1),  # type: ignore[arg-type]
        lambda: Dense(3, bias_initializer=None),  # type: ignore[arg-type]
        lambda: Dense(3, trainable="yes"),  # type: ignore[arg-type]
        lambda: Dense(3, trainable=1),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_dense_layer(make: Any) -> None:
    with pytest.raises(DeltaruleError):
        make()


def test_trainable_is_true_or_false() -> None:
    with pytest.raises(HyperparameterError, match="layer 'dense': trainable is True or False, not 'no'"):
        Dense(3, trainable="no")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_formulas_are_there(name: str) -> None:
    formulas = Dense(3, name).equations()
    assert all(isinstance(e, Equation) and e.name and e.latex and e.gives for e in formulas)
    assert len({e.name for e in formulas}) == len(formulas) == (7 if name == "softmax" else 9)
    text = " ".join(e.latex for e in formulas)
    f = ACTIVATIONS[name]()
    assert f.equation in text
    assert name == "softmax" or f.derivative_equation in text  # its Jacobian is the output's
    assert text.count("{") == text.count("}")
