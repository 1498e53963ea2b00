"""The architecture: shapes, parameter counts, where each array lies in θ, defaults, and pairs that are refused."""

from __future__ import annotations

from typing import Any

import array_api_strict
import numpy as np
import pytest

from deltarule import Dense, Dropout
from deltarule.activations import GELU, ReLU, Sigmoid, Softmax, Tanh
from deltarule.architecture import Architecture
from deltarule.costs import BinaryCrossEntropy, CrossEntropy, Huber, Poisson, SquaredError
from deltarule.errors import DeltaruleError, HyperparameterError, ShapeError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("784/100/10", 79_510),  # document 004's count
        ("400/25/10", 10_285),
        ("28x28/100/dropout(0.5)/10", 79_510),
        ("3x4x5/7", 7 * 61),
        ("seq(65)/128/65", 128 * 66 + 65 * 129),
        ("1/1", 2),
        ("5/dropout(0.5)", 0),
        ("1000000000/1000000000", 10**18 + 10**9),
    ],
)
def test_parameters_are_counted(text: str, size: int) -> None:
    assert Architecture(text).size == size


def test_theta_holds_layer_by_layer_w_first() -> None:
    net = Architecture("4/3/dropout(0.5)/2")
    assert [(s.key, s.start, s.stop, s.shape) for s in net.slots] == [
        ("1.W", 0, 12, (3, 4)),
        ("1.b", 12, 15, (3,)),
        ("3.W", 15, 21, (2, 3)),
        ("3.b", 21, 23, (2,)),
    ]
    assert net.size == 23
    names = [net.name_of(i) for i in range(23)]
    assert (names[0], names[5], names[14], names[20], names[22]) == (
        "1.W[0, 0]",
        "1.W[1, 1]",
        "1.b[2]",
        "3.W[1, 2]",
        "3.b[1]",
    )


def test_split_and_join_are_inverse_in_every_library() -> None:
    net = Architecture("4/3/dropout(0.5)/2")
    theta = np.arange(23.0)
    parts = net.split(theta)
    np.testing.assert_array_equal(parts[0]["W"], theta[:12].reshape(3, 4))
    assert parts[1] == {}
    assert all(np.shares_memory(part, theta) for p in parts for part in p.values())
    np.testing.assert_array_equal(net.join(parts, theta), theta)
    strict = array_api_strict.asarray(theta)
    again = net.join(net.split(strict), strict)
    assert type(again) is type(strict)
    assert bool(array_api_strict.all(again == strict))
    none = Architecture("4/dropout(0)")
    assert none.join(none.split(np.zeros(0)), np.zeros(0)).shape == (0,)


def test_decay_reaches_weights_and_frozen_layers_are_marked() -> None:
    net = Architecture([Dense(3, trainable=False), Dropout(0.1), Dense(2)], input_shape=4)
    np.testing.assert_array_equal(np.flatnonzero(~net.decayed), [12, 13, 14, 21, 22])
    np.testing.assert_array_equal(np.flatnonzero(~net.trainable), range(15))


def test_shapes_between_layers() -> None:
    assert Architecture("28x28/100/dropout(0.5)/10").shapes == ((1, 28, 28), (100,), (100,), (10,))
    assert Architecture("28x28/dropout(0.5)/10").shapes == ((1, 28, 28), (1, 28, 28), (10,))
    assert Architecture("seq(65)/dropout(0.5)/10").shapes == ((None, 65), (None, 65), (None, 10))
    assert Architecture("seq(65)/10").n_outputs == 10
    assert Architecture("2x3x4/dropout(0.5)").n_outputs == 24


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (784, (784,)),
        (np.int64(784), (784,)),
        ((784,), (784,)),
        ([784], (784,)),
        ((28, 28), (1, 28, 28)),
        (np.zeros((5, 3, 8, 8)).shape[1:], (3, 8, 8)),
        ((None, 65), (None, 65)),
    ],
)
def test_input_shapes(given: Any, shape: Any) -> None:
    net = Architecture([Dense(2)], input_shape=given)
    assert net.input_shape == shape
    assert Architecture(net.spec).input_shape == shape


@pytest.mark.parametrize(
    "given",
    [0, -1, 3.5, (), (0,), (None,), (None, 3, 4), (3, None), (1, 2, 3, 4), "784", ("784",), True, (2.0,), {}, 10**10,
     np.ones((2, 2)), np.nan, ((1, 2), 3)],
    ids=repr,
)  # fmt: skip
def test_input_shapes_that_are_none(given: Any) -> None:
    with pytest.raises(ShapeError, match=r"an input shape is \(n,\), \(height, width\)"):
        Architecture([Dense(2)], input_shape=given)


def test_the_input_shape_must_be_said_once() -> None:
    with pytest.raises(ShapeError, match="needs input_shape="):
        Architecture([Dense(2)])
    with pytest.raises(ShapeError, match="the text has inputs 4, input_shape says 5"):
        Architecture("4/2", input_shape=5)
    assert Architecture("28x28/2", input_shape=(28, 28)).input_shape == (1, 28, 28)


def test_default_activations_and_costs() -> None:
    net = Architecture("4/5/6/3")
    assert [layer.f for layer in net.layers] == [ReLU(), ReLU(), Softmax()]
    assert net.output.cost == CrossEntropy()
    net = Architecture("4/5/6:tanh/1", activation="gelu")
    assert [layer.f for layer in net.layers] == [GELU(), Tanh(), Sigmoid()]
    assert net.output.cost == BinaryCrossEntropy()
    assert Architecture("4/3", output="identity").output.cost == SquaredError()
    assert Architecture("4/3", output="tanh").output.cost == SquaredError()
    assert Architecture("4/3", output="exp").output.cost == Poisson()
    assert Architecture("4/3", output="identity", cost="huber(2)").output.cost == Huber(2.0)
    assert Architecture("4/3:sigmoid", output="sigmoid").output.activation == Sigmoid()
    for twice in ("4/3:sigmoid", "4/3:relu/dropout(0.5)"):
        with pytest.raises(HyperparameterError, match="output is 'tanh', but the last layer"):
            Architecture(twice, output="tanh")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Architecture("4/1:softmax"), "softmax of one unit is always 1; use sigmoid for one unit, or two"),
        (lambda: Architecture("4/1", output="softmax"), "softmax of one unit"),
        (lambda: Architecture([Dense(1, "softmax")], input_shape=4), "softmax of one unit"),
        (lambda: Architecture("4/3:softmax/2"), r"layer 1 \(dense\(3,softmax\)\): softmax belongs in the last layer"),
        (lambda: Architecture("4/3/2", activation="softmax"), "softmax belongs in the last layer"),
        (lambda: Architecture("4/3", output="sigmoid", cost="cross-entropy"), "goes with output .softmax. only, not"),
        (lambda: Architecture("4/3", cost="binary cross-entropy"), "goes with output .sigmoid. only, not"),
        (lambda: Architecture("4/3", output="identity", cost="poisson"), "goes with output 'exp' only"),
        (lambda: Architecture("4/3", cost="crossentropie"), "did you mean 'cross entropy'"),
        (lambda: Architecture("4/3", output="softmx"), "did you mean 'softmax'"),
        (lambda: Architecture([], input_shape=4), "at least one layer"),
        (lambda: Architecture([Dense(3), "10"], input_shape=4), "stage 2 is '10', not a layer such as Dense"),
        (lambda: Architecture([Dense], input_shape=4), "stage 1 is <class"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make: Any, message: str) -> None:
    with pytest.raises(DeltaruleError, match=message) as caught:
        make()
    assert isinstance(caught.value, ValueError)


def test_units_are_whole_numbers() -> None:
    assert Dense(np.int64(3)) == Dense(3)
    for units in (0, -1, 2.0, True, "3", None, 10**9 + 1):
        with pytest.raises(HyperparameterError, match="dense: units must be a whole number, at least 1"):
            Dense(units)  # type: ignore[arg-type]
