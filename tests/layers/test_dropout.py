"""Dropout: nothing outside training, the mask forward and back, keyed masks, and its formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deltarule import Dropout
from deltarule.architecture import Architecture
from deltarule.arrays import Shape
from deltarule.engines.textbook import cost_and_gradient, dropout_masks, forward
from deltarule.errors import HyperparameterError
from deltarule.layers import Context, Equation


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4), (None, 4)])
def test_shapes(shape: Shape) -> None:
    layer = Dropout(0.5)
    assert layer.output_shape(shape) == shape
    assert layer.parameter_shapes(shape) == layer.initial(shape, np.random.default_rng(0)) == {}
    assert layer.decays == frozenset()
    assert Architecture([layer], input_shape=shape).size == 0


def test_outside_training_it_does_nothing() -> None:
    a_prev, delta = np.random.default_rng(0).normal(size=(2, 3, 4))
    cache = Dropout(0.9).forward({}, a_prev, Context())
    assert cache.a is cache.z is a_prev
    da_prev, g = Dropout(0.9).backward({}, delta, cache)
    assert da_prev is delta
    assert g == {}


def test_in_training_the_mask_multiplies_both_ways() -> None:
    random, layer = np.random.default_rng(0), Dropout(0.5)
    a_prev, da = random.normal(size=(2, 3, 4))
    mask = random.integers(0, 2, (3, 4)) / 0.5
    cache = layer.forward({}, a_prev, Context(mask))
    np.testing.assert_array_equal(cache.a, mask * a_prev)
    np.testing.assert_array_equal(cache.z, cache.a)
    delta = layer.delta({}, da, cache)
    np.testing.assert_array_equal(delta, da)  # z = a
    np.testing.assert_array_equal(layer.backward({}, delta, cache)[0], mask * da)


@pytest.mark.parametrize("rate", [0, 0.2, 0.5, 0.9])
def test_masks_drop_at_the_rate_and_keep_the_mean(rate: float) -> None:
    net = Architecture([Dropout(rate)], input_shape=(100,))
    mask = dropout_masks(net, 0, 1, np.arange(2000), np.float64)[1]
    assert set(np.unique(mask)) <= {0.0, 1 / (1 - rate)}
    assert (mask == 0).mean() == pytest.approx(rate, abs=0.01)
    assert mask.mean() == pytest.approx(1, abs=0.02 / (1 - rate))


def test_a_rows_mask_does_not_know_the_batch() -> None:
    """The mask of (seed, step, layer, row, unit) is the same wherever the row stands."""
    net = Architecture("6/dropout(0.5)/5/dropout(0.5)/2")
    rows = np.random.default_rng(0).permutation(1000)[:64]
    masks = dropout_masks(net, 7, 3, rows, np.float32)
    assert {stage: m.shape for stage, m in masks.items()} == {1: (64, 6), 3: (64, 5)}
    for stage, mask in masks.items():
        assert mask.dtype == np.float32
        for k in (0, 17, 63):
            alone = dropout_masks(net, 7, 3, rows[k : k + 1], np.float32)[stage]
            np.testing.assert_array_equal(alone[0], mask[k])
        np.testing.assert_array_equal(dropout_masks(net, 7, 3, rows[::-1], np.float32)[stage][::-1], mask)
    for seed, step in ((8, 3), (7, 4)):
        assert not np.array_equal(dropout_masks(net, seed, step, rows, np.float32)[1], masks[1])
    assert not np.array_equal(masks[1][:, :5], masks[3])


def test_images_are_dropped_number_by_number() -> None:
    net = Architecture("2x3x4/dropout(0.5)/2", output="identity")
    theta, X = np.ones(net.size), np.random.default_rng(0).normal(size=(5, 2, 3, 4))
    masks = dropout_masks(net, 0, 1, np.arange(5), np.float64)
    a = forward(net, theta, X, masks)[0].a
    np.testing.assert_array_equal(a, X * masks[1].reshape(5, 2, 3, 4))


def test_the_gradient_is_that_of_the_masked_network() -> None:
    net = Architecture("4/6:tanh/dropout(0.5)/2")
    random = np.random.default_rng(0)
    theta, X, t = random.normal(size=net.size), random.normal(size=(5, 4)), np.array([0, 1, 1, 0, 1])
    masks = dropout_masks(net, 0, 1, np.arange(5), np.float64)
    _, grad = cost_and_gradient(net, theta, X, t, masks=masks)
    for k in range(net.size):
        step = 1e-6 * np.eye(net.size)[k]
        up, down = (cost_and_gradient(net, theta + s, X, t, masks=masks)[0] for s in (step, -step))
        assert grad[k] == pytest.approx((up - down) / 2e-6, abs=1e-8)


def test_rates() -> None:
    assert Dropout(np.float32(0.5)) == Dropout(0.5)
    assert str(Dropout(np.float64(0.25))) == "dropout(0.25)"
    assert str(Dropout(0.5, trainable=False)) == "dropout(0.5,trainable=False)"
    bad: list[Any] = [1, 1.5, -0.1, np.nan, np.inf, True, "0.5", None]
    for rate in bad:
        with pytest.raises(HyperparameterError, match="dropout: rate must be a finite number, at least 0 and below 1"):
            Dropout(rate)


def test_the_formulas_are_there() -> None:
    formulas = Dropout(0.5).equations()
    assert len(formulas) == 3
    assert all(isinstance(e, Equation) and e.name and e.latex for e in formulas)
