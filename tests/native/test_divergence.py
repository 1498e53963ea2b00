"""Where numbers leave the finite ones: the same step as the textbook's, and θ and state of the step before it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from native.cases import Array, bits, descend, features, part, targets

import deltarule as dr
from deltarule import Callback, Dense, DivergenceError, Dropout, Network
from deltarule.engines import Outcome, Slice, native, textbook
from deltarule.layers import Layer
from deltarule.optimizers import optimizer

DTYPES = ["float32", "float64"]


def first(todo: Slice, count: int) -> Slice:
    """The first updates of a slice."""
    return Slice(todo.order, todo.ends[:count], todo.rates[:count], todo.optimizers[:count], todo.first_step)


def diverging(net: Network, todo: Slice, X: Array, t: Array, **given: Any) -> Outcome:
    """The native outcome, with textbook's step; θ, state and costs are those of the updates before, on any threads."""
    found, expected = descend(native, net, todo, X, t, **given), descend(textbook, net, todo, X, t, **given)
    assert found.diverged == expected.diverged is not None
    done = found.diverged - todo.first_step
    assert len(found.costs) == len(expected.costs) == done
    if done:
        before = descend(native, net, first(todo, done), X, t, **given)
        assert before.diverged is None
        assert bits(found) == bits(before)
    else:
        assert found.theta.tobytes() == net.theta.tobytes()
        assert not any(value.any() for name, value in found.state.items() if name != "product")
    assert found.state.keys() == expected.state.keys()
    for threads in (1, 2, 3, 5):
        assert bits(descend(native, net, todo, X, t, threads=threads, **given)) == bits(found)
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", ["sgd", "momentum", "nesterov"])
@pytest.mark.parametrize("variant", ["dense", "dropout", "clipping", "wide", "pieces"])
def test_a_rate_that_is_too_large(variant: str, rule: str, dtype: str) -> None:
    """After some steps, in the middle of a slice; with few rows, many, and more than go at once."""
    width = 190 if variant == "wide" else 9
    layers: list[Layer] = [Dense(width, "relu"), Dense(width, "identity"), Dense(3, "identity")]
    if variant == "dropout":
        layers[1:1] = [Dropout(0.3)]
    net = Network(layers, input_shape=7, dtype=dtype)
    rows = 1100 if variant == "pieces" else 40
    X, t = features(net, rows), targets(net, rows)
    clips = {"clip_norm": float(np.finfo(dtype).max) ** 0.8} if variant == "clipping" else {}
    todo = part([5, 40, 3, rows, 17, 40, 1, 33, 40, 12, 40, 2, 40, 40], optimizer(rule), 50.0, m=rows, first_step=3)
    found = diverging(net, todo, X, t, **clips)
    assert 3 < found.diverged < 16


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_in_the_last_step_of_a_slice(steps: int, dtype: str) -> None:
    """No step comes after it that could notice; the first may be the last."""
    net = Network([Dense(2, "identity")], input_shape=3, dtype=dtype)
    X, t, todo = features(net, 8), targets(net, 8), part([8] * steps, optimizer("sgd"), 0.1)
    todo.rates[-1] = np.finfo(dtype).max
    X[:, 0], net.theta[...] = 10, 1
    assert diverging(net, todo, X, t).diverged == steps


def linear(cost: str, dtype: str, theta: float = 0.0) -> Network:
    net = Network([Dense(2, "identity")], input_shape=3, cost=cost, dtype=dtype)
    net.theta[...] = theta
    return net


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [3, 8])
def test_a_cost_that_is_not_finite(m: int, dtype: str) -> None:
    """(y − t)² overflows, then e^z: at once, and after a step."""
    large = np.dtype(dtype).type(np.finfo(dtype).max) ** 0.75
    net = linear("squared error", dtype)
    X, t = features(net, m), np.full((m, 2), large, dtype)
    assert diverging(net, part([m, m], optimizer("adam")), X, t).diverged == 1
    net = Network([Dense(2, "exp")], input_shape=3, dtype=dtype)
    X[...], t[...] = 1, 3
    assert diverging(net, part([m, m, m], optimizer("adam"), 1e4), X, t).diverged == 2


@pytest.mark.parametrize("clips", [{}, {"clip_norm": 1.0}])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [4, 8, 1100])
def test_a_gradient_that_is_infinite(m: int, dtype: str, clips: dict[str, float]) -> None:
    """The cost is finite, the sum of δ aᵀ is not."""
    net = linear("absolute", dtype)
    X, t = np.full((m, 3), np.finfo(dtype).max / 2, dtype), np.ones((m, 2), dtype)
    assert diverging(net, part([m, m], optimizer("adam")), X, t, **clips).diverged == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [4, 8, 1100])
def test_an_infinite_sum_that_is_clipped_is_finite(m: int, dtype: str) -> None:
    net = linear("absolute", dtype)
    X, t = np.full((m, 3), np.finfo(dtype).max / 2, dtype), np.ones((m, 2), dtype)
    todo = part([m], optimizer("sgd"), 0.5)
    found, expected = (descend(e, net, todo, X, t, clip_value=0.25) for e in (native, textbook))
    assert found.diverged is expected.diverged is None
    np.testing.assert_array_equal(found.theta, expected.theta)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [4, 8])
def test_an_infinite_delta_that_is_clipped_is_finite(m: int, dtype: str) -> None:
    """δ⁽¹⁾ = f′ Wᵀ δ⁽²⁾ overflows; times inputs that are not 0 it is infinite, and clipped: nothing is NaN."""
    net = Network([Dense(2, "tanh"), Dense(4, "identity")], input_shape=3, cost="absolute", dtype=dtype)
    net.theta[...] = 0
    net.parameters()["2.W"][...] = np.finfo(dtype).max / 2
    X, t = np.abs(features(net, m)) + 1, -np.ones((m, 4), dtype)
    todo = part([m], optimizer("sgd"), 0.5)
    found, expected = (descend(e, net, todo, X, t, clip_value=0.25) for e in (native, textbook))
    assert expected.diverged is None
    assert found.diverged is None
    np.testing.assert_array_equal(found.theta, expected.theta)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [[3], [8], [3, 5]])
@pytest.mark.parametrize("n", [3, 64])
def test_an_infinite_delta_is_no_number_where_inputs_are_zero(n: int, sizes: list[int], dtype: str) -> None:
    """∞ · 0, however the first layer lies and whatever it passes over."""
    net = Network([Dense(2, "tanh"), Dense(4, "identity")], input_shape=n, cost="absolute", dtype=dtype)
    net.theta[...] = 0
    net.parameters()["2.W"][...] = np.finfo(dtype).max / 2
    X, t = np.abs(features(net, 8)) + 1, -np.ones((8, 4), dtype)
    X[:, 1 : n // 2] = 0
    X[:, 1] = 0
    found = diverging(net, part(sizes, optimizer("sgd"), 1e-9), X, t, clip_value=0.25)
    assert found.diverged == 1
    with np.errstate(all="ignore"):
        for m in (3, 8):
            twins = [e.cost_and_gradient(net, net.theta, X[:m], t[:m])[1] for e in (native, textbook)]
            assert np.isnan(twins[1]).any()
            np.testing.assert_array_equal(np.isnan(twins[0]), np.isnan(twins[1]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("sizes", [[3, 3], [3, 5], [8]])
def test_a_parameter_that_is_not_finite_behind_inputs_that_are_zero(
    sizes: list[int], frozen: bool, value: float, dtype: str
) -> None:
    layers: list[Layer] = [Dense(3, "tanh", trainable=not frozen), Dense(2, "softmax")]
    net = Network(layers, input_shape=64, dtype=dtype)
    net.parameters()["1.W"][0, 5] = value
    X, t = features(net, 8), targets(net, 8, labels=True)
    X[:, :32] = 0
    for threads in (1, 2):
        found = descend(native, net, part(sizes, optimizer("sgd")), X, t, threads=threads)
        assert (found.diverged, len(found.costs)) == (1, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [2, 8])
def test_an_update_that_is_not_finite(m: int, dtype: str) -> None:
    """Cost and gradient are finite, θ − ηg is not; or η itself is beyond float32."""
    net = linear("absolute", dtype, -1.0)
    X, t = np.full((m, 3), 4, dtype), np.ones((m, 2), dtype)
    for rate in (float(np.finfo(dtype).max), 1e300 if dtype == "float32" else 1.7e308):
        assert diverging(net, part([m], optimizer("sgd"), rate), X, t).diverged == 1


def test_a_state_may_be_infinite_where_theta_is_not() -> None:
    """g² overflows in float32: RMSProp stands still, in both engines."""
    net = linear("absolute", "float32")
    X, t = np.full((8, 3), 1e30, np.float32), np.ones((8, 2), np.float32)
    todo = part([8, 8], optimizer("rmsprop"))
    found, expected = (descend(e, net, todo, X, t) for e in (native, textbook))
    assert found.diverged is expected.diverged is None
    np.testing.assert_array_equal(found.state["square"], expected.state["square"])
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-5)


def test_frozen_layers_do_not_diverge() -> None:
    """What a frozen layer's gradient would be is nobody's concern."""
    layers = [Dense(2, "identity", trainable=False), Dense(2, "identity")]
    net = Network(layers, input_shape=3, cost="absolute")
    net.theta[...] = 0
    X, t = np.full((8, 3), 3e38, np.float32), np.ones((8, 2), np.float32)
    found, expected = (descend(e, net, part([8], optimizer("sgd"), 0.5), X, t) for e in (native, textbook))
    assert found.diverged is expected.diverged is None
    np.testing.assert_array_equal(found.theta, expected.theta)


class Steps(Callback):
    """Makes slices of one, and keeps every θ."""

    def __init__(self) -> None:
        self.thetas: list[Array] = []

    def on_step(self, run: dr.Run) -> None:
        self.thetas.append(run.net.unroll())


@pytest.mark.parametrize("dtype", DTYPES)
def test_train_says_the_same_of_either_engine(dtype: str) -> None:
    """Epoch, step, layer, sample and words; θ is the best, or the last finite one, however training is sliced."""
    told, thetas = [], []
    for engine, callbacks in (("native", []), ("native", [Steps()]), ("textbook", [])):
        net = Network("4/6/2", activation="relu", output="identity", dtype=dtype)
        X, t = features(net, 40), targets(net, 40)
        with pytest.raises(DivergenceError) as caught:
            dr.train(
                net, X, t, optimizer="sgd", learning_rate=40, epochs=9, batch_size=11, engine=engine, verbose=False,
                callbacks=callbacks,
            )  # fmt: skip
        error = caught.value
        told.append((str(error), error.epoch, error.step, error.layer, error.sample))
        thetas.append(net.theta)
        assert np.isfinite(net.theta).all()
        for callback in callbacks:
            assert len(callback.thetas) == caught.value.step - 1
            best = error.history.best_epoch
            np.testing.assert_array_equal(callback.thetas[4 * best - 1 if best else -1], net.theta)
    assert told[0] == told[1] == told[2]
    np.testing.assert_array_equal(thetas[0], thetas[1])
    np.testing.assert_allclose(thetas[0], thetas[2], rtol=1e-3 if dtype == "float32" else 1e-9)


class Last(Callback):
    """Keeps the run."""

    def on_begin(self, run: dr.Run) -> None:
        self.run = run


@pytest.mark.parametrize("engine", ["native", "textbook"])
def test_the_record_goes_as_far_as_theta(engine: str) -> None:
    """Whatever the clock made of the slices: every whole step is counted, with its cost."""
    net, last = Network("4/6/2", activation="relu", output="identity"), Last()
    X, t = features(net, 40), targets(net, 40)
    with pytest.raises(DivergenceError) as caught:
        dr.train(
            net, X, t, optimizer="sgd", learning_rate=40, epochs=9, batch_size=1, engine=engine, verbose=False,
            record_steps=True, callbacks=[last],
        )  # fmt: skip
    assert caught.value.step > 2
    assert last.run.step == caught.value.step - 1 == len(last.run.history.step_cost)


@pytest.mark.parametrize("rule", ["adam", "adagrad", "rmsprop", "adadelta", "adamw", "amsgrad", "nadam"])
def test_an_epsilon_too_small_for_float32_trains(rule: str) -> None:
    """It counts as the smallest normal number; 0/0 would be in every row's padding."""
    net = Network("5/4/2", activation="tanh")
    X, t = features(net, 30), targets(net, 30, labels=True)
    todo = part([10, 10, 10], optimizer(f"{rule}(epsilon=1e-42)"), 1e-3)
    found, expected = (descend(e, net, todo, X, t) for e in (native, textbook))
    assert found.diverged is expected.diverged is None
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-3, atol=1e-4)


def test_a_network_without_parameters() -> None:
    net = Network("784/dropout(0.5)/10")[:1]
    X = np.ones((60_000, 784), np.float32)
    assert net.forward(X) is not X
    np.testing.assert_array_equal(net.forward(X), X)


def test_weights_too_small_to_count_are_refused() -> None:
    net = Network("3/2")
    with pytest.raises(dr.DataError, match="too small for float32, the largest is 1e-39"):
        net.cost_and_gradient(features(net, 4), targets(net, 4), sample_weight=np.full(4, 1e-39))
