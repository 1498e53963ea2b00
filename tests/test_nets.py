"""The documents' systems: sizes, initial weights, scaling, and that they learn; numbers from MNIST stand in RESULTS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import deltarule as dr
from deltarule import nets
from deltarule.engines import native, textbook
from deltarule.errors import DataError, UnknownNameError

MAKERS = [nets.ufldl_dnn, nets.ufldl_cnn, nets.lenet5, nets.lenet5_modern]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_by_name_and_by_function(make: Callable[..., dr.Network]) -> None:
    net = make(7, dtype="float64", seed=3)
    system = nets.find(make.__name__.replace("_", "-").upper())
    assert system is not None
    assert dr.Network(system.spec(7)).layers == net.layers
    assert (net.n_outputs, net.seed, net.dtype) == (7, 3, np.float64)
    assert not native.installed() or native.objection(net) == ""
    again = dr.Network(net.spec, seed=3, dtype="float64")
    np.testing.assert_array_equal(again.theta, net.theta)


def test_other_texts_are_no_system() -> None:
    assert nets.find("784/10") is None
    assert nets.find("*/100/*") is None
    with pytest.raises(UnknownNameError, match="there is no network 'lenet'; did you mean 'lenet5'"):
        nets.find("lenet")


def test_sizes() -> None:
    assert nets.ufldl_dnn().shapes == ((784,), (256,), (10,))
    assert nets.ufldl_cnn().shapes == ((1, 28, 28), (20, 20, 20), (20, 10, 10), (10,))
    shapes = ((1, 28, 28), (6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1), (84,), (10,))
    assert nets.lenet5().shapes == shapes
    assert nets.lenet5_modern().shapes == (*shapes[:5], (120,), (84,), (10,))
    assert nets.lenet5().size == 60_000 + 850


def test_initial_weights() -> None:
    """Document 000's: 0.1 · normal and ±√6/√(10 + 2000 + 1); LeNet-5's: ±2.4/fan_in, map by map."""
    p = nets.ufldl_cnn().parameters()
    assert p["1.W"].std() == pytest.approx(0.1, rel=0.05)
    assert np.abs(p["3.W"]).max() == pytest.approx((6 / 2011) ** 0.5, rel=1e-3)
    p = nets.lenet5().parameters()
    assert np.abs(p["1.W"]).max() == pytest.approx(2.4 / 25, rel=0.05)
    fans = nets.lenet5().layers[2].table(6).fans  # type: ignore[attr-defined]
    assert fans[:7] == (3, 3, 3, 3, 3, 3, 4)
    assert np.abs(p["3.W"][:3]).max() == pytest.approx(2.4 / 75, rel=0.1)
    assert np.abs(p["3.W"][-6:]).max() == pytest.approx(2.4 / 150, rel=0.1)
    assert np.abs(p["2.omega"]).max() <= 2.4


def test_paper_and_ink() -> None:
    """uint8 and floats in 0 … 1 alike; C1 finds paper beyond the edges."""
    net = nets.lenet5()
    assert net.preprocessing is not None
    X = np.array([[0, 255]], np.uint8).repeat(14 * 28, axis=1).reshape(1, 28, 28)
    rows = net.preprocessing.inputs(X[None])
    assert rows.min() == pytest.approx(-0.1)
    assert rows.max() == pytest.approx(1.175)
    np.testing.assert_allclose(net.preprocessing.inputs(X[None] / 255), rows, atol=1e-6)
    np.testing.assert_array_equal(net.predict(X), net.predict(X / 255))
    paper = net[:1].forward(np.zeros((1, 28, 28), np.uint8))
    np.testing.assert_allclose(paper, np.broadcast_to(paper[:, :1, :1], paper.shape), atol=1e-6)


def test_lenet5_refuses_what_is_no_pixel() -> None:
    with pytest.raises(DataError, match="the model was trained on pixels"):
        nets.lenet5().predict(np.full((1, 28, 28), 300))


@pytest.mark.parametrize("make", [nets.ufldl_cnn, nets.lenet5, nets.lenet5_modern], ids=lambda make: make.__name__)
def test_gradients_and_learning(make: Callable[..., dr.Network]) -> None:
    """Both engines agree, the gradient is right, and a few steps fit a few images."""
    random, net = np.random.default_rng(0), make(dtype="float64")
    X, t = random.integers(0, 256, (12, 1, 28, 28)).astype(np.uint8), np.arange(12) % 10
    assert dr.check_gradient(net, X[:2], t[:2], method="complex").ok
    rows, targets, _ = net.prepare(X, t)
    C, g = textbook.cost_and_gradient(net, net.theta, rows, targets)
    if native.installed():
        found, h = native.cost_and_gradient(net, net.theta, rows, targets, threads=2)
        assert found == pytest.approx(float(C), abs=1e-12)
        np.testing.assert_allclose(h, g, atol=1e-12)
    dr.train(net, X, t, epochs=60, learning_rate=0.002, verbose=False)
    assert net.evaluate(X, t)["accuracy"] == 1.0


def test_one_output_means_two_classes(tmp_path: Path) -> None:
    net = nets.lenet5(1)
    net.save(tmp_path / "net.safetensors")
    again = dr.load(tmp_path / "net.safetensors")
    X = np.zeros((2, 1, 28, 28), np.uint8)
    dr.train(again, X, np.array([0, 1]), epochs=1, verbose=False)
    assert again.predict(X).shape == (2,)
