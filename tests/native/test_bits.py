"""The same bits: for any number of threads, any slices, every instruction set, again, alone and in a crowd."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native.cases import Array, bits, descend, digest, features, part, python, rules, targets, thinned, weights

import deltarule as dr
from deltarule import Callback, Conv, Dense, Dropout, MaxPool, Network, Subsample, _native
from deltarule.activations import ACTIVATIONS, Softmax
from deltarule.engines import Settings, Slice, native
from deltarule.layers import Layer
from deltarule.optimizers import optimizer

DTYPES = ["float32", "float64"]
THREADS = (1, 2, 3, 5)
VARIANTS = ["dense", "dropout", "clipping", "maps", "zeros"]
STEPS = 50


def problem(variant: str, dtype: str) -> tuple[Network, Array, Array, dict[str, Any]]:
    """A network of odd sizes, its data, and the settings of a variant."""
    layers: list[Layer] = [Dense(21, "relu"), Dense(11, "tanh"), Dense(3, "softmax")]
    if variant == "dropout":
        layers[1:1] = [Dropout(0.4)]
        layers[:0] = [Dropout(0.1)]
    if variant == "maps":
        links = ((1, 0, 1), (0, 1, 0), (1, 1, 1), (0, 0, 1))
        layers[:1] = [
            Conv(3, 3, "relu", pad=1, border=-0.1), MaxPool(3, 2), Dropout(0.2),
            Conv(4, (2, 3), "tanh", stride=2, links=links), Subsample((1, 2), "tanh"),
        ]  # fmt: skip
    shape = {"maps": (1, 9, 11), "zeros": (150,)}.get(variant, (37,))
    net = Network(layers, input_shape=shape, dtype=dtype, seed=3)
    clips: dict[str, Any] = (
        {"clip_norm": 0.2, "clip_value": 0.03, "weight_decay": 0.01} if variant == "clipping" else {}
    )
    X = features(net, 90)
    return net, thinned(X) if variant == "zeros" else X, targets(net, 90, labels=True), clips


def sizes(steps: int = STEPS) -> list[int]:
    """Batches of 1 to 67 rows, few and many, odd ones and multiples of 16."""
    return list(itertools.islice(itertools.cycle([1, 33, 4, 67, 16, 5, 2, 32, 3, 17]), steps))


def trained(variant: str, rule: str, dtype: str, threads: int) -> str:
    net, X, t, clips = problem(variant, dtype)
    return bits(descend(native, net, part(sizes(), optimizer(rule), m=90), X, t, threads=threads, **clips))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rule", rules())
def test_threads_and_repetition(rule: str, variant: str, dtype: str) -> None:
    """θ, state and costs after fifty steps."""
    expected = trained(variant, rule, dtype, 1)
    assert [trained(variant, rule, dtype, threads) for threads in (*THREADS, 1)] == [expected] * 5


def wide(dtype: str, threads: int, **clips: Any) -> str:
    """Layers shared by rows, in the middle and first, with few samples, many, and more than go at once."""
    layers: list[Layer] = [Dense(190, "relu"), Dense(183, "swish"), Dropout(0.3), Dense(5, "softmax")]
    net = Network(layers, input_shape=23, dtype=dtype)
    X, t, w = features(net, 1300), targets(net, 1300), weights(net, 1300)
    todo = part([40, 3, 17, 1, 33, 1100], optimizer("momentum"), 0.1, m=1300)
    return bits(descend(native, net, todo, X, t, w, threads=threads, **clips))


def verbs(dtype: str, threads: int) -> str:
    """Outputs, cost and gradient of every activation, over uint8 and float64 inputs as well."""
    found = []
    for f in sorted({kind.name for kind in ACTIVATIONS.values() if kind is not Softmax}):
        net = Network([Dense(35, f), Dense(7, f)], input_shape=130, cost="huber", dtype=dtype)
        for m in (1, 3, 70):
            X, t, w = features(net, m), targets(net, m), weights(net, m)
            for inputs in (X, X.astype(np.float64), np.abs(X * 60).astype(np.uint8)):
                found += native.outputs(net, net.theta, inputs, threads=threads)
                found += native.cost_and_gradient(
                    net, net.theta, inputs, t, sample_weight=w, weight_decay=0.1, threads=threads
                )
    return digest(*found)


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_on_wide_layers_and_every_verb(dtype: str) -> None:
    for clips in ({}, {"clip_norm": 0.05}, {"weight_decay": 0.1, "clip_value": 0.01}):
        assert len({wide(dtype, threads, **clips) for threads in THREADS}) == 1
    assert len({verbs(dtype, threads) for threads in THREADS}) == 1


def everything() -> str:
    """What each instruction set computes, in a line."""
    found = [
        trained(variant, rule, dtype, 1 + k % 2)
        for k, (rule, variant, dtype) in enumerate(itertools.product(rules(), VARIANTS, DTYPES))
    ]
    return digest(np.array([*found, *(f(dtype, 2) for f in (wide, verbs) for dtype in DTYPES)]))


def test_every_instruction_set() -> None:
    """NumPy's own kernels are held to a plain processor's as well: none of its functions that differ is in use."""
    expected = everything()
    plain = {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"} if "avx512" in _native.isas() else {}
    for isa, numpy in itertools.product(_native.isas(), ({}, plain)):
        code = "from native import test_bits as t; print(t._native.isa(), t.everything())"
        done = python(code, DELTARULE_ISA=isa, **numpy)
        assert done.stdout == f"{isa} {expected}\n", done.stderr


# Slices


def cut(todo: Slice, places: list[int]) -> list[Slice]:
    """The same updates in several slices, cut before the batches at these places."""
    pieces, starts = [], np.concatenate([[0], todo.ends])
    for begin, end in itertools.pairwise([0, *places, len(todo.ends)]):
        rows = todo.order[starts[begin] : starts[end]]
        pieces.append(Slice(
            rows, todo.ends[begin:end] - starts[begin], todo.rates[begin:end], todo.optimizers[begin:end],
            todo.first_step + begin, None if todo.begins is None else todo.begins[begin:end],
        ))  # fmt: skip
    return pieces


@settings(max_examples=60)
@given(
    rule=st.sampled_from(rules()), variant=st.sampled_from(VARIANTS), dtype=st.sampled_from(DTYPES),
    places=st.sets(st.integers(1, 19)), threads=st.sampled_from(THREADS),
)  # fmt: skip
def test_slices(rule: str, variant: str, dtype: str, places: set[int], threads: int) -> None:
    net, X, t, clips = problem(variant, dtype)
    todo = part(sizes(20), optimizer(rule), m=90)
    keeps = np.array(sorted(places), np.int64)
    whole = descend(native, net, todo._replace(keeps=keeps), X, t, **clips)
    theta, state, costs, kept = net.theta, todo.optimizers[0].begin(net.theta), [], []
    for piece in cut(todo, sorted(places)):
        outcome = native.train(net, theta, state, X, t, None, piece, Settings(7, threads=threads, **clips))
        theta, state = outcome.theta, outcome.state
        costs.append(outcome.costs)
        kept.append(theta)
    assert bits(outcome._replace(costs=np.concatenate(costs))) == bits(whole)
    np.testing.assert_array_equal(np.reshape(kept[:-1], (-1, net.size)), whole.kept)


class EveryStep(Callback):
    """Makes slices of one."""

    def __init__(self) -> None:
        self.seen = 0

    def on_step(self, run: dr.Run) -> None:
        self.seen += 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", rules())
def test_a_callback_at_every_step(rule: str, dtype: str) -> None:
    """`dr.train` with slices of one and with long ones, on other numbers of threads: history and θ alike."""
    found = []
    for callback, threads in ((Callback(), 1), (EveryStep(), 2), (Callback(), None)):
        net, X, t, _ = problem("dropout", dtype)
        history = dr.train(
            net, X, t, optimizer=rule, epochs=4, batch_size=13, threads=threads, callbacks=[callback], verbose=False,
            record_steps=True, schedule="step_decay(0.5, every_steps=3)", engine="native",
        )  # fmt: skip
        found.append((digest(net.theta), history.step_cost, history.cost))
        assert getattr(callback, "seen", 28) == 28
    assert found[0] == found[1] == found[2]


# Rows


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spec", ["7/5/3", "16/16/16", "113/70/33/4", "12/190/190/3"])
@pytest.mark.parametrize("zeros", [False, True])
def test_a_row_alone_and_in_any_batch(zeros: bool, spec: str, dtype: str) -> None:
    """z and ŷ of a row depend on nothing but the row, though its neighbours decide which zeros are passed over."""
    net = Network(spec, activation="gelu", dtype=dtype, seed=5)
    X = features(net, 101)
    X[::2] = thinned(X)[::2] if zeros else X[::2]
    z, y = native.outputs(net, net.theta, X, threads=1)
    for m in (*range(1, 38), 64, 65, 96):
        for threads in (1, 2, 3):
            for found, expected in zip(native.outputs(net, net.theta, X[101 - m :], threads=threads), (z, y)):
                assert digest(found) == digest(expected[101 - m :])
    for k in range(101):
        assert digest(net.forward(X[k])) == digest(y[k])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("f", ["identity", "tanh", "leaky relu"])
def test_a_zero_has_no_sign_that_neighbours_give(f: str, dtype: str) -> None:
    """b = −0, a row of zeros: alone nothing is added to b, beside another row the products are."""
    net = Network([Dense(5, f)], input_shape=8, dtype=dtype)
    net.parameters()["1.b"][...] = -0.0
    X = features(net, 40)
    X[::2] = 0
    _, y = native.outputs(net, net.theta, X)
    assert not np.signbit(y[::2]).any()
    for k in (0, 2, 38):
        assert digest(net.forward(X[k])) == digest(y[k])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spec", ["7/9/3", "40/190/190/3"])
def test_predictions_are_those_of_training(spec: str, dtype: str) -> None:
    """The cost of every row by itself, from training's kernels, is that of its prediction: one forward pass."""
    net = Network(spec, activation="tanh", output="identity", cost="absolute", dtype=dtype)
    X, zeros = features(net, 40), np.zeros((40, 3), dtype)
    y = native.outputs(net, net.theta, X)[1]
    for m in (1, 3, 6, 40):
        for row, w in enumerate(np.eye(m, dtype=dtype)):
            C = native.cost_and_gradient(net, net.theta, X[:m], zeros[:m], sample_weight=w)[0]
            assert np.abs(y[row, 0]) + np.abs(y[row, 1]) + np.abs(y[row, 2]) == C
        C, g = native.cost_and_gradient(net, net.theta, X[:m], y[:m].copy())
        assert C == 0
        assert (g == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [1, 3, 16, 40, 1100])
def test_gradient_and_training_share_their_kernels(m: int, dtype: str) -> None:
    """A step of SGD is θ − ηg by the bits of `cost_and_gradient`, decay and weights included."""
    net = Network("19/190/190/4", activation="tanh", dtype=dtype)
    X, t, w = features(net, m), targets(net, m), weights(net, m)
    todo = part([m], optimizer("sgd"), 0.5)
    todo.order[:] = np.arange(m)
    stepped = native.train(net, net.theta, {}, X, t, w, todo, Settings(0, 0.125))
    C, g = native.cost_and_gradient(net, net.theta, X, t, weight_decay=0.125, sample_weight=w)
    assert stepped.costs.tolist() == [C]
    exact = net.theta.astype(np.longdouble) - 0.5 * g.astype(np.longdouble)
    np.testing.assert_array_equal(stepped.theta, exact.astype(dtype), strict=True)
