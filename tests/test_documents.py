"""The documents' own numbers: the course's exercise 4, the lecture's counts and generator, and its pre-processing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import io
from sklearn.datasets import load_digits

import deltarule as dr
from deltarule.activations import Sigmoid

M = 5000  # the exercise's samples; its λ/2m ΣΘ² is our (λ/2) ΣW² with weight_decay = λ/m


class Exercise(NamedTuple):
    """Document 002's data: 20×20 images of digits, labels 0 … 9 where its y is 1 … 10, and its trained weights."""

    net: dr.Network
    X: NDArray[Any]
    labels: NDArray[Any]


@pytest.fixture(scope="module")
def exercise(data_folder: Path) -> Exercise:
    data, weights = np.load(data_folder / "ng_ex4/ex4data1.npz"), io.loadmat(data_folder / "ng_ex4/ex4weights.mat")
    net = dr.Network("400/25/10", activation="sigmoid", output="sigmoid", dtype="float64")
    net.roll(np.concatenate([weights[name].ravel(order="F") for name in ("Theta1", "Theta2")]), form="octave")
    np.testing.assert_array_equal(net.parameters()["1.W"], weights["Theta1"][:, 1:])
    np.testing.assert_array_equal(net.parameters()["2.b"], weights["Theta2"][:, 0])
    return Exercise(net, data["X"], data["y"] - 1)


@pytest.mark.parametrize(
    ("lam", "cost", "gradient_sum"),
    [
        (0, 0.2876291651613189, 0.026047433852894011),
        (1, 0.38376985909092365, 0.0099559365856808548),
        (3, 0.576051, None),
    ],
)
def test_costs_and_gradients_of_the_course_s_weights(
    exercise: Exercise, lam: int, cost: float, gradient_sum: float | None
) -> None:
    net, X, labels = exercise
    C, g = net.cost_and_gradient(X, labels, weight_decay=lam / M)
    assert pytest.approx(cost, abs=1e-9 if gradient_sum else 5e-7) == C  # λ = 3 is published to six digits
    if gradient_sum:
        assert g.sum() == pytest.approx(gradient_sum, abs=1e-9)
    unrolled = net.copy().roll(g).unroll("octave")
    if lam == 0:
        np.testing.assert_allclose(unrolled[:4], [6.1871e-5, 9.388e-5, -1.92594e-4, -1.68495e-4], rtol=1e-5)
    np.testing.assert_allclose(net.copy().roll(unrolled, form="octave").theta, g, rtol=0)
    rows = net.cost_and_gradient(X, np.eye(10)[labels], weight_decay=lam / M)  # K one-vs-all outputs, written out
    assert rows[0] == C
    np.testing.assert_array_equal(rows[1], g)


def test_accuracy_of_the_course_s_weights(exercise: Exercise) -> None:
    net, X, labels = exercise
    assert np.mean(net.predict(X) == labels) == 0.9752
    assert net.evaluate(X, labels)["accuracy"] == pytest.approx(0.9752, abs=1e-12)


def test_gradient_checking_of_the_course_s_weights(exercise: Exercise) -> None:
    net, X, labels = exercise
    found = dr.check_gradient(net, X[::500], labels[::500], weight_decay=1 / M)
    assert found.ok
    assert found.error("complex") <= 1e-12
    assert found.error("central") <= 1e-7


def test_the_minimiser_reaches_the_course_s_accuracy(exercise: Exercise) -> None:
    """50 iterations from uniform ±0.12, λ = 1: 95.3 % ± 1 in the course, by conjugate gradients; L-BFGS goes on."""
    _, X, labels = exercise
    start = {"initializer": "uniform(0.12)", "bias_initializer": "uniform(0.12)"}
    layers = [dr.Dense(25, "sigmoid", **start), dr.Dense(10, "sigmoid", **start)]
    for method, least, most in [("CG", 0.943, 0.963), ("L-BFGS-B", 0.953, 0.98)]:
        net = dr.Network(layers, input_shape=400, seed=0)
        assert 0.11 < np.abs(net.theta).max() <= np.float32(0.12)
        found = dr.minimize(net, X, labels, method=method, weight_decay=1 / M, max_iterations=50)
        assert found.iterations == 50
        assert found.cost < 0.5
        assert least <= np.mean(net.predict(X) == labels) <= most


def test_one_vs_all_logistic_regression(exercise: Exercise) -> None:
    """λ = 0.1: 94.9 % in the course, whose minimiser stops after 50 iterations for each class."""
    _, X, labels = exercise
    layer = dr.Dense(10, "sigmoid", initializer="zeros")
    net = dr.Network([layer], input_shape=400)
    found = dr.minimize(net, X, labels, weight_decay=0.1 / M, max_iterations=100)
    assert np.mean(net.predict(X) == labels) >= 0.949
    assert found.cost < 0.45


def test_sigma_prime() -> None:
    z = np.array([-1, -0.5, 0, 0.5, 1])
    derivative = Sigmoid().derivative(z, Sigmoid().f(z))
    np.testing.assert_allclose(derivative, [0.196612, 0.235004, 0.25, 0.235004, 0.196612], atol=5e-7)


def test_document_004_counts_79510_parameters() -> None:
    net = dr.Network("784/100/10")
    assert net.size == len(net.theta) == 79_510 == 784 * 100 + 100 + 100 * 10 + 10
    assert "79,510" in str(net)


def test_document_004_s_batch_generator() -> None:
    """32 samples in chunks of 12: two of 12 and one of 8, which may come anywhere; every sample once."""
    places, orders = set(), set()
    for epoch in range(40):
        chunks = [rows.tolist() for rows in dr.batches(32, 12, seed=1, epoch=epoch, short="anywhere")]
        sizes = [len(rows) for rows in chunks]
        assert sorted(sizes) == [8, 12, 12]
        order = [row for rows in chunks for row in rows]
        assert sorted(order) == list(range(32))
        places.add(sizes.index(8))
        orders.add(tuple(order))
    assert places == {0, 1, 2}
    assert len(orders) == 40
    assert [len(rows) for rows in dr.batches(36, 12, short="anywhere")] == [12, 12, 12]
    assert [len(rows) for rows in dr.batches(5, 12, short="anywhere")] == [5]


def test_document_004_s_pre_processing_by_a_model_built_before() -> None:
    """An autoencoder 64/16/64 learns to compress digits; its first layer, frozen, feeds a classifier."""
    X, labels = load_digits(return_X_y=True)
    X = X / 16
    autoencoder = dr.Network("64/16/64", activation="tanh", output="identity", seed=0)
    untrained = autoencoder[:1].copy().frozen()
    history = dr.train(autoencoder, X, X, epochs=15, learning_rate=0.005, verbose=False)
    assert history.cost[-1] < history.cost[0] / 4
    assert autoencoder.evaluate(X, X)["r2"] > 0.75
    encoder = autoencoder[:1].frozen()
    accuracy = []
    for before in (encoder, untrained):
        weights = before.theta.tobytes()
        net = dr.Network([before, dr.Dense(10, "softmax")], seed=0)
        assert net.spec == "64/dense(16,tanh,trainable=False)/10"
        np.testing.assert_array_equal(net[:1].forward(X), before.forward(X))
        start = net.theta.copy()
        dr.train(net, X[:1200], labels[:1200], epochs=15, learning_rate=0.01, weight_decay=1e-4, verbose=False)
        n = before.size
        assert net.theta[:n].tobytes() == weights
        assert (net.theta[n:] != start[n:]).all()
        assert before.theta.tobytes() == weights  # the model built before keeps its own, too
        accuracy.append(net.evaluate(X[1200:], labels[1200:])["accuracy"])
    assert accuracy[0] > 0.85
    assert accuracy[0] > accuracy[1] + 0.03
    assert autoencoder.layers[0].trainable  # only the copy is frozen
