"""Native recurrence against its textbook twin, and the same bits on any threads, instruction set and slices."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native.cases import Array, bits, calm, close, digest, python, rules
from native.test_bits import cut

from deltarule import Dense, Dropout, Network, _native
from deltarule.engines import Outcome, Settings, Slice, native, textbook
from deltarule.inputs import NO_STEP
from deltarule.layers import RNN, Layer
from deltarule.optimizers import optimizer

DTYPES = ["float32", "float64"]


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Stacks of recurrent layers with dense and dropout below, between and above; one answer a sequence, or a step."""
    layers: list[Layer] = [Dense(draw(st.integers(1, 20)), "tanh")] if draw(st.booleans()) else []
    count = draw(st.integers(1, 2))
    for k in range(count):
        layers.append(RNN(
            draw(st.integers(1, 35)), draw(st.sampled_from(["tanh", "sigmoid", "relu"])),
            last=k == count - 1 and draw(st.booleans()), initial_state=draw(st.sampled_from(["zero", "learned"])),
        ))  # fmt: skip
    if draw(st.booleans()):
        layers.append(Dense(draw(st.integers(1, 20)), "swish"))
    top, cost = draw(st.sampled_from([("softmax", None), ("identity", "huber"), ("sigmoid", None), ("rnn", None)]))
    if top != "rnn" or isinstance(layers[-1], Dense):
        layers.append(Dense(draw(st.integers(2, 20)), "tanh" if top == "rnn" else top))
    net = Network(
        layers, input_shape=(None, draw(st.sampled_from([2, 3, 17, 113]))), cost=cost, dtype="float64",
        time=draw(st.sampled_from(["mean", "sum"])),
    )  # fmt: skip
    random = np.random.default_rng(draw(st.integers(0, 99)))
    net.theta[...] = random.normal(0, 0.4, net.size)
    return net


def data(net: Network, m: int, T: int, tokens: bool, masked: bool, seed: int = 0) -> tuple[Array, Array, Array | None]:
    """Sequences, targets that any cost allows, and weights of steps."""
    random, n = np.random.default_rng([seed, 1]), net.input_shape[1] or 0
    X = random.integers(0, n, (m, T)) if tokens else random.normal(size=(m, T, n)).astype(net.dtype)
    steps = (T,) if net.shapes[-1][0] is None else ()
    t = random.uniform(0.1, 0.9, (m, *steps, net.n_outputs))
    mask = random.choice([NO_STEP, 0, 1, 1], (m, T)) * random.uniform(0.5, 2, (m, 1))
    mask[np.arange(m), random.integers(0, T, m)] = 1
    return X, (t / t.sum(axis=-1, keepdims=True)).astype(net.dtype), mask.astype(net.dtype) if masked else None


@settings(max_examples=150, deadline=None)
@given(
    net=networks(), m=st.integers(1, 40), T=st.integers(1, 9), tokens=st.booleans(), masked=st.booleans(),
    carried=st.booleans(), threads=st.sampled_from([1, 2, 5]),
)  # fmt: skip
def test_verbs(net: Network, m: int, T: int, tokens: bool, masked: bool, carried: bool, threads: int) -> None:
    X, t, w = data(net, m, T, tokens, masked)
    h = np.random.default_rng(2).normal(size=(m, net.n_state)) if carried else None
    named: dict[str, Any] = {"sample_weight": w, "weight_decay": 0.1, "state": h}
    for found, expected in zip(
        native.cost_and_gradient(net, net.theta, X, t, threads=threads, **named),
        textbook.cost_and_gradient(net, net.theta, X, t, **named),
    ):
        close(found, expected)
    time = None if w is None else w >= 0
    twins = (
        native.outputs_of_sequences(net, net.theta, X, time, h, threads=threads),
        textbook.outputs_of_sequences(net, net.theta, X, time, h),
    )
    for found, expected in list(zip(*twins))[isinstance(net.layers[-1], RNN) :]:  # of such a top no z is kept
        close(found, expected)


def stretch(net: Network, rule: str, sizes: list[int], begins: list[bool], m: int) -> Slice:
    """Updates over mini-batches of these sizes; one that goes on takes the rows behind those before."""
    n, o = len(sizes), calm(rule)
    order = np.random.default_rng(3).integers(0, m, sum(sizes))
    return Slice(order, np.cumsum(sizes), np.full(n, o.own_rate), [o] * n, 1, np.array(begins))


def descend(
    engine: Any, net: Network, todo: Slice, *arrays: Any, carried: Array | None = None, **named: Any
) -> Outcome:
    state = todo.optimizers[0].begin(net.theta)
    outcome: Outcome = engine.train(net, net.theta, state, *arrays, todo, Settings(7, **named), carried)
    return outcome


@settings(max_examples=60, deadline=None)
@given(
    net=networks(), rule=st.sampled_from([name for name in rules() if name != "rprop"]), tokens=st.booleans(),
    masked=st.booleans(), size=st.integers(1, 35), begins=st.lists(st.booleans(), min_size=1, max_size=4),
    threads=st.sampled_from([1, 3]), rate=st.sampled_from([None, 0.3]),
    given=st.sampled_from([{}, {"weight_decay": 0.1}, {"clip_norm": 0.05}, {"clip_value": 0.01}]),
)  # fmt: skip
def test_descents(
    net: Network, rule: str, tokens: bool, masked: bool, size: int, begins: list[bool], threads: int,
    rate: float | None, given: dict[str, Any],
) -> None:  # fmt: skip
    """Every optimiser, with dropout, over batches that begin anew and batches that go on."""
    if rate is not None:
        net = Network([Dropout(rate), *net.layers], input_shape=net.input_shape, dtype="float64", time=net.time)
    given = {} if rule == "adamw" else given
    todo = stretch(net, rule, [size] * len(begins), begins, 9)
    arrays = data(net, 9, 5, tokens, masked)
    h = np.random.default_rng(4).normal(size=(size, net.n_state))
    found = descend(native, net, todo, *arrays, carried=h, threads=threads, **given)
    expected = descend(textbook, net, todo, *arrays, carried=h, **given)
    assert found.diverged is expected.diverged is None
    for name in ("theta", "costs", "carried"):
        close(getattr(found, name), getattr(expected, name), 1e-9)


def trained(rule: str, dtype: str, threads: int, pieces: int = 1) -> str:
    """Two recurrent layers, tokens, masks, dropout, clipping, windows that go on; θ, state, costs and carried state."""
    layers: list[Layer] = [RNN(37, "tanh", initial_state="learned"), Dropout(0.3), RNN(11, "relu"), Dense(9, "softmax")]
    net = Network(layers, input_shape=(None, 9), dtype=dtype, seed=4)
    X, t, w = data(net, 60, 7, True, True)
    begins = [True, False, True, False, False, True, True, False, True, False]
    todo = stretch(net, rule, [33, 33, 16, 16, 16, 1, 47, 47, 40, 40], begins, 60)
    state, theta, carried, costs = todo.optimizers[0].begin(net.theta), net.theta, None, []
    for part in cut(todo, list(range(1, len(begins)))) if pieces > 1 else [todo]:
        outcome = native.train(net, theta, state, X, t, w, part, Settings(7, clip_norm=0.3, threads=threads), carried)
        theta, state, carried = outcome.theta, outcome.state, outcome.carried
        costs.append(outcome.costs)
    return bits(outcome._replace(costs=np.concatenate(costs))) + digest(carried)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", rules())
def test_threads_and_slices(rule: str, dtype: str) -> None:
    expected = trained(rule, dtype, 1)
    assert [trained(rule, dtype, threads) for threads in (1, 2, 3, 5)] == [expected] * 4
    assert trained(rule, dtype, 2, pieces=10) == expected


def test_every_instruction_set() -> None:
    expected = [trained(rule, dtype, 2) for rule, dtype in itertools.product(("adam", "momentum"), DTYPES)]
    for isa in _native.isas():
        code = (
            "from native import test_sequences as t\n"
            "print([t.trained(rule, dtype, 2) for rule in ('adam', 'momentum') for dtype in t.DTYPES])"
        )
        done = python(code, DELTARULE_ISA=isa)
        assert done.stdout.strip() == str(expected), done.stderr


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sequence_alone_and_in_any_batch(dtype: str, tokens: bool) -> None:
    net = Network("seq(23)/rnn(150)/rnn(19,relu)/7", dtype=dtype, seed=5)
    X = data(net, 50, 6, tokens, False)[0]
    mask = np.random.default_rng(3).random((50, 6)) < 0.7
    for time in (mask, None):
        together = native.outputs_of_sequences(net, net.theta, X, time, threads=2)
        for k in (0, 1, 17, 49):
            own = None if time is None else time[k : k + 1]
            for found, expected in zip(native.outputs_of_sequences(net, net.theta, X[k : k + 1], own), together):
                assert digest(found) == digest(expected[k : k + 1])
    first = native.outputs_of_sequences(net, net.theta, np.ascontiguousarray(X[:, :2]))
    second = native.outputs_of_sequences(net, net.theta, np.ascontiguousarray(X[:, 2:]), state=first[2])
    assert digest(np.concatenate([first[1], second[1]], axis=1)) == digest(together[1])
    assert digest(second[2]) == digest(together[2])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_tokens_of_any_type(dtype: Any) -> None:
    net = Network("seq(9)/rnn(12)/9", seed=1)
    X, t, _ = data(net, 20, 6, True, False)
    expected = native.cost_and_gradient(net, net.theta, X.astype(np.int64), t)
    found = native.cost_and_gradient(net, net.theta, X.astype(dtype), t)
    assert digest(*found) == digest(*expected)
    with pytest.raises(ValueError, match="vocabulary"):
        native.cost_and_gradient(net, net.theta, np.full((2, 3), 9, dtype), t[:2, :3].copy())


def test_long_sequences() -> None:
    """More steps than the gradient takes at a time."""
    net = Network("seq(3)/rnn(17,initial_state=learned)/2", dtype="float64", time="sum")
    net.theta[...] *= 0.5
    X = data(net, 3, 2 * native.STRETCH + 7, False, False)[0]
    for found, expected in zip(
        native.outputs_of_sequences(net, net.theta, X), textbook.outputs_of_sequences(net, net.theta, X)
    ):
        close(found, expected)
    arrays = data(net, 5, 200, False, True)
    for found, expected in zip(
        native.cost_and_gradient(net, net.theta, *arrays[:2], sample_weight=arrays[2]),
        textbook.cost_and_gradient(net, net.theta, *arrays[:2], sample_weight=arrays[2]),
    ):
        close(found, expected)


@pytest.mark.parametrize("fault", [
    {"time": np.ones((2, 3), np.uint8)}, {"state": np.zeros((2, 5), np.float32)},
    {"state": np.zeros((4, 4), np.float32)},
])  # fmt: skip
def test_what_does_not_fit_is_refused(fault: dict[str, Any]) -> None:
    net = Network("seq(3)/rnn(4)/2")
    program = native._program(net, net.theta.dtype).run
    X, t, _ = data(net, 2, 5, False, False)
    with pytest.raises(ValueError, match="numbers, not"):
        program.gradient(net.theta, X, t, None, 0.0, np.empty_like(net.theta), 1, **fault)
    todo = Slice(
        np.array([0, 1, 0]), np.array([2, 3]), np.full(2, 0.1), [optimizer("sgd")] * 2, 1, np.array([True, False])
    )
    with pytest.raises(ValueError, match="goes on"):
        native.train(net, net.theta, {}, X, t, None, todo, Settings(0))
