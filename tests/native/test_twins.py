"""Native against textbook: outputs, cost and gradient to 1e-10 over shapes, batches, activations, costs and weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from layers.cases import convolutions, pools
from native.cases import close, features, targets, weights

from deltarule import Dense, Dropout, Network
from deltarule.activations import ACTIVATIONS, Softmax
from deltarule.costs import COSTS
from deltarule.engines import native, textbook
from deltarule.errors import HyperparameterError
from deltarule.layers import Layer

HIDDEN = sorted({kind.name for kind in ACTIVATIONS.values() if kind is not Softmax})
OTHERS = ["leaky_relu(0.3)", "elu(0.7)", "huber(0.4)", "quantile(0.8)"]  # whose one number is not the default


def pairs() -> list[tuple[str, str]]:
    """Every output activation with every cost that it may meet."""
    found = []
    for f in [*HIDDEN, "softmax", *OTHERS[:2]]:
        for cost in [*sorted({kind.name for kind in COSTS.values()}), *OTHERS[2:]]:
            try:
                Network([Dense(2, f)], input_shape=1, cost=cost)
            except HyperparameterError:
                continue
            found.append((f, cost))
    return found


PAIRS = pairs()


@st.composite
def networks(
    draw: st.DrawFn, hidden: list[str] = HIDDEN + OTHERS[:2], outputs: list[tuple[str, str]] = PAIRS
) -> Network:
    """Networks in float64: maps of every kind, dropout anywhere, frozen layers, biases that are not 0."""
    shape: tuple[int, ...] = draw(
        st.sampled_from([(1,), (3,), (16,), (33,), (113,), (130,), (1, 5, 5), (2, 7, 6), (3, 3, 11)])
    )
    first, frozen = shape, st.sampled_from([True, True, True, False])

    def dropouts() -> list[Layer]:
        return [Dropout(rate) for rate in draw(st.lists(st.sampled_from([0.0, 0.2, 0.7]), max_size=2))]

    layers: list[Layer] = dropouts()
    for _ in range(draw(st.integers(0, 3)) if len(shape) == 3 else 0):
        f, learns = draw(st.sampled_from([f for f in hidden if f != "exp"])), draw(frozen)
        layers.append(replace(draw(st.one_of(convolutions(shape, f), pools(shape, f))), trainable=learns))
        shape = layers[-1].output_shape(shape)
        layers += dropouts()
    for _ in range(draw(st.integers(0, 3))):
        layers.append(Dense(draw(st.integers(1, 40)), draw(st.sampled_from(hidden)), trainable=draw(frozen)))
        if layers[-1].f.name == "exp":  # once only: exp of exp overflows
            hidden, outputs = [f for f in hidden if f != "exp"], [pair for pair in outputs if pair[0] != "exp"]
        layers += dropouts()
    f, cost = draw(st.sampled_from(outputs))
    units = draw(st.integers(2 if f == "softmax" else 1, 20))
    layers.append(Dense(units, f, trainable=draw(frozen)))
    if f == "identity":
        layers += dropouts()
    net = Network(layers, input_shape=first, cost=cost, dtype="float64", seed=draw(st.integers(0, 99)))
    net.theta[...] *= 0.5  # exp stays within what 1e-10 can mean
    net.theta[...] += np.random.default_rng(0).normal(size=net.size) * 0.1
    return net


def check(
    net: Network, m: int, *, labels: bool = False, weighted: bool = False, decay: float = 0.0, **named: Any
) -> None:
    """Outputs, cost and gradient of m rows agree."""
    X, t, w = features(net, m), targets(net, m, labels=labels), weights(net, m) if weighted else None
    for found, expected in zip(native.outputs(net, net.theta, X, **named), textbook.outputs(net, net.theta, X)):
        close(found, expected)
    C, g = native.cost_and_gradient(net, net.theta, X, t, weight_decay=decay, sample_weight=w, **named)
    expected_C, expected_g = textbook.cost_and_gradient(net, net.theta, X, t, weight_decay=decay, sample_weight=w)
    close(np.float64(C), expected_C)
    close(g, expected_g)
    assert (g[~net.trainable] == 0).all()


@settings(max_examples=150)
@given(
    net=networks(), m=st.integers(1, 70), labels=st.booleans(), weighted=st.booleans(),
    decay=st.sampled_from([0.0, 0.3]), threads=st.sampled_from([1, 1, 2, 5]),
)  # fmt: skip
def test_cost_and_gradient(net: Network, m: int, labels: bool, weighted: bool, decay: float, threads: int) -> None:
    labels = labels and isinstance(net.output.activation, Softmax)
    check(net, m, labels=labels, weighted=weighted, decay=decay, threads=threads)


@pytest.mark.parametrize(("f", "cost"), PAIRS)
def test_every_output_with_every_cost(f: str, cost: str) -> None:
    """Canonical pairs and generic ones, for few samples and many."""
    net = Network([Dense(6, "tanh"), Dense(5, f)], input_shape=4, cost=cost, dtype="float64")
    for m in (1, 3, 17):
        check(net, m, weighted=m > 1)


def test_pairs_are_all_there() -> None:
    """Four costs go with any output, three with one each."""
    names = {(f, cost) for f, cost in PAIRS if f not in OTHERS and cost not in OTHERS}
    assert len(names) == 4 * 12 + 3


@pytest.mark.parametrize("f", [*HIDDEN, *OTHERS[:2]])
def test_every_hidden_activation(f: str) -> None:
    """From far below 0 to far above it, where formulas saturate."""
    net = Network([Dense(9, f), Dense(4, "softmax")], input_shape=3, dtype="float64")
    net.theta[:36] *= 2 if f == "exp" else 12
    for m in (2, 40):
        check(net, m)


@pytest.mark.parametrize("m", range(1, 71))
def test_every_batch_size(m: int) -> None:
    net = Network("17/15/3", activation="tanh", dtype="float64")
    check(net, m, labels=True, weighted=m % 2 == 0, threads=1 + m % 3)


@pytest.mark.parametrize("frozen", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("m", [2, 21])
def test_frozen_layers(frozen: tuple[int, ...], m: int) -> None:
    """The first, a middle one, the last, all: δ passes through, their gradient is 0, decay counts in C all the same."""
    layers = [
        Dense(n, f, trainable=k not in frozen) for k, (n, f) in enumerate([(7, "relu"), (5, "swish"), (3, "softmax")])
    ]
    check(Network(layers, input_shape=6, dtype="float64"), m, decay=0.2)


@pytest.mark.parametrize("layers", [
    [Dense(190, "tanh"), Dense(190, "swish"), Dense(4, "softmax")],
    [Dropout(0.3), Dense(190, "tanh"), Dropout(0.3), Dense(190, "relu"), Dropout(0.3), Dense(2, "tanh")],
    [Dense(3, "gelu"), Dense(11000, "elu"), Dense(3, "identity")],
    [Dense(181, "relu"), Dense(182, "identity")],
], ids=["all", "with dropout", "one row a weight", "the last"])  # fmt: skip
def test_wide_layers(layers: list[Layer]) -> None:
    """2¹⁵ weights and more, first, in the middle and last: shared by rows."""
    net = Network(layers, input_shape=190, dtype="float64")
    assert any(slot.stop - slot.start >= 2**15 for slot in net.slots[1:])
    for m, threads in ((1, 2), (4, 3), (5, 1), (33, 2), (34, 5)):
        check(net, m, decay=0.1, threads=threads)


@pytest.mark.parametrize("m", [1023, 1024, 1025, 2049, 2500])
def test_batches_that_go_in_pieces(m: int) -> None:
    """More than 1024 rows: the sums go on from piece to piece."""
    net = Network([Dense(8, "tanh"), Dropout(0.5), Dense(3, "softmax")], input_shape=5, dtype="float64")
    check(net, m, weighted=m % 2 == 0, decay=0.1, threads=2)


@pytest.mark.parametrize("layers", [[Dense(1, "identity")], [Dense(3, "softmax")], [Dense(3, "tanh"), Dropout(0.4)]])
@pytest.mark.parametrize("n", [1, 15, 16, 17, 112, 113, 300])
def test_small_networks(layers: list[Layer], n: int) -> None:
    """One layer; inputs around the sizes of vectors and of the pieces in which X is gathered."""
    for m in (1, 4, 5, 16, 33):
        check(Network(layers, input_shape=n, dtype="float64"), m, decay=0.5)


def test_dropout_alone_passes_its_input() -> None:
    net = Network([Dropout(0.4)], input_shape=(1, 3, 3), dtype="float64", cost="squared error")
    X = features(net, 19)
    np.testing.assert_array_equal(native.outputs(net, net.theta, X)[1], X.reshape(19, 9))
    before = Network([Dropout(0.4), Dense(2)], input_shape=9, dtype="float64")[:1]
    np.testing.assert_array_equal(before.forward(X.reshape(19, 9)), X.reshape(19, 9))


@given(st.integers(0, 2**32 - 1), st.integers(1, 70))
@example(0, 1)
def test_weights_that_are_all_0_leave_decay_alone(seed: int, m: int) -> None:
    """A batch without weight has cost 0 and no gradient; both are decay's."""
    net = Network("4/6/3", dtype="float64", seed=seed % 2**31)
    X, t, zeros = features(net, m, seed), targets(net, m, seed, labels=True), np.zeros(m)
    for decay in (0.0, 0.5):
        C, g = native.cost_and_gradient(net, net.theta, X, t, weight_decay=decay, sample_weight=zeros)
        squares = sum(float((p["W"] ** 2).sum()) for p in net.split(net.theta))
        close(np.float64(C), np.float64(decay / 2 * squares))
        close(g, decay * net.theta * net.decayed)


@pytest.mark.parametrize("f", ["softmax", "sigmoid", "exp", "identity"])
def test_extreme_logits(f: str) -> None:
    """z up to ±1e4 (exp: 40): cost and δ of canonical pairs stay finite, and agree."""
    net = Network([Dense(4, f)], input_shape=1, dtype="float64")
    net.theta[:4] = np.array([1e4, -1e4, 3e3, 0.0]) if f != "exp" else [40, -40, 1, 0]
    X, t = np.array([[1.0], [-1.0], [0.5], [0.0], [1e-3]]), targets(net, 5)
    C, g = native.cost_and_gradient(net, net.theta, X, t)
    expected_C, expected_g = textbook.cost_and_gradient(net, net.theta, X, t)
    close(np.float64(C), expected_C)
    close(g, expected_g)
    for found, expected in zip(native.outputs(net, net.theta, X), textbook.outputs(net, net.theta, X)):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)
