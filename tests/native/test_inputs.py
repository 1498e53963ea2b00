"""What X, targets, weights and θ may be: each is read as NumPy would read it, or copied; none is taken for another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native.cases import Array, digest, features, targets, weights

import deltarule as dr
from deltarule import Callback, Conv, Dense, Dropout, Network
from deltarule.engines import native
from deltarule.errors import DataError

DTYPES = ["float32", "float64"]


def mirror(n: int, dtype: str) -> Network:
    """A network whose output is its input: W = 1."""
    net = Network([Dense(n, "identity")], input_shape=n, dtype=dtype)
    net.theta[...] = np.concatenate([np.eye(n).ravel(), np.zeros(n)])
    return net


def fit(net: Network, X: Any, t: Any, **named: Any) -> str:
    """The bits of θ and of the history after three epochs on the native engine."""
    history = dr.train(net, X, t, **({"epochs": 3, "batch_size": 7, "engine": "native", "verbose": False} | named))
    return digest(net.theta, np.array(history.cost))


def problem(dtype: str = "float32", m: int = 41, maps: bool = False) -> tuple[Network, Array, Array, Array]:
    layers = [Conv(3, 2, "tanh", pad=1) if maps else Dropout(0.2), Dense(9, "tanh"), Dense(3, "softmax")]
    net = Network(layers, input_shape=(3, 11, 5) if maps else 19, dtype=dtype)
    return net, features(net, m), targets(net, m, labels=True), weights(net, m)


# Number types


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 15, 16, 17, 112, 113, 256])
def test_uint8_is_divided_by_255_as_numpy_does(n: int, dtype: str) -> None:
    """All 256 numbers, at every place of a row, in every path: forward, few and many, and as the gradient's operand."""
    net = mirror(n, dtype)
    X = ((np.arange(256)[:, None] + np.arange(n)) % 256).astype(np.uint8)
    expected = X.astype(dtype) / np.dtype(dtype).type(255)
    for m in (1, 4, 5, 33, 256):
        for at in range(0, 256 - m + 1, m):
            y = native.outputs(net, net.theta, X[at : at + m])[1]
            np.testing.assert_array_equal(y, expected[at : at + m], strict=True)
    flat = Network([Dense(1, "identity")], input_shape=n, dtype=dtype)
    flat.theta[...] = 0
    for m in (1, 4, 16, 32):
        for row in range(0, 256, 1 if m == 32 else 16):
            one = np.zeros((m, n), np.uint8)
            one[-1] = X[row]
            g = native.cost_and_gradient(flat, flat.theta, one, np.full((m, 1), -m, dtype))[1]
            np.testing.assert_array_equal(g[:n], expected[row], strict=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("other", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("maps", [False, True])
def test_other_number_types_are_those_numbers(other: str, dtype: str, maps: bool) -> None:
    """Rows are converted one by one, as `astype` would convert them together: the same bits everywhere."""
    net, X, t, w = problem(dtype, maps=maps)
    given = np.abs(X * 90).astype(other) if other == "uint8" else X.astype(np.float64).astype(other)
    plain = given.astype(dtype) / np.dtype(dtype).type(255) if other == "uint8" else given.astype(dtype)
    kept = net.prepare(given, t)[0]
    assert kept.dtype == other
    assert np.shares_memory(kept, given)
    np.testing.assert_array_equal(net.forward(given), net.forward(plain), strict=True)
    assert digest(*net.cost_and_gradient(given, t, sample_weight=w)) == digest(
        *net.cost_and_gradient(plain, t, sample_weight=w)
    )
    assert net.evaluate(given, t) == net.evaluate(plain, t)
    assert fit(net.copy(), given, t, sample_weight=w) == fit(net.copy(), plain, t, sample_weight=w)


def test_float64_beyond_float32_is_refused_by_place() -> None:
    net, X, t, _ = problem()
    wide = X.astype(np.float64)
    wide[17, 3] = 1e39
    for use in (net.forward, lambda X: net.cost_and_gradient(X, t), lambda X: fit(net, X, t)):
        with pytest.raises(DataError, match="row 17, column 3"):
            use(wide)
    wide[17, 3] = np.nan
    with pytest.raises(DataError, match="row 17"):
        net.forward(wide)


@pytest.mark.parametrize("value", [1e-42, -1e-42, 1e30, -3e38])
def test_small_and_large_numbers_raise_no_warning(value: float) -> None:
    """Denormals count as 0 (the processor's own flag, which is given back); squares may overflow in a look at X."""
    net = mirror(3, "float32")
    y = net.forward(np.full((2, 3), value, np.float32))
    assert (y == (np.float32(value) if abs(value) > 1 else 0)).all()
    assert np.float32(1e-42) * np.float32(1) != 0


# Where the numbers lie


@pytest.mark.parametrize("other", ["float32", "float64", "uint8"])
def test_memory_mapped_files_are_read_in_place(other: str, tmp_path: Path) -> None:
    net, X, t, _ = problem("float32")
    X = np.abs(X * 90).astype(other)
    path = tmp_path / "X.npy"
    np.save(path, X)
    before = path.read_bytes()
    mapped = np.load(path, mmap_mode="r")
    kept = net.prepare(mapped, t)[0]
    assert np.shares_memory(kept, mapped)
    np.testing.assert_array_equal(net.forward(mapped), net.forward(X), strict=True)
    for given in ({}, {"validation": (mapped, t)}, {"validation": 0.3}):
        assert fit(net.copy(), mapped, t, **given) == fit(net.copy(), X, t, **given)
    assert path.read_bytes() == before


def test_images_are_read_in_place() -> None:
    net = Network([Dense(6, "relu"), Dense(3, "softmax")], input_shape=(1, 5, 5))
    X, t = features(net, 30), targets(net, 30, labels=True)
    expected = fit(net.copy(), X, t)
    for form in (X[:, 0], X.reshape(30, 25)):
        assert np.shares_memory(net.prepare(form, t)[0], X)
        assert fit(net.copy(), form, t) == expected


def unaligned(a: Array) -> Array:
    raw = np.empty(a.nbytes + 1, np.uint8)
    found = raw[1:].view(a.dtype).reshape(a.shape)
    found[...] = a
    assert not found.flags.aligned
    return found


def strided(a: Array) -> Array:
    """Every other number of every third row of something larger, full of other numbers."""
    big = np.full([3 * a.shape[0], *(2 * n for n in a.shape[1:])], 77, a.dtype)
    found = big[(slice(None, None, 3), *[slice(1, None, 2)] * (a.ndim - 1))]
    found[...] = a
    return found


def read_only(a: Array) -> Array:
    found = a.copy()
    found.flags.writeable = False
    return found


FORMS: dict[str, Callable[[Array], Any]] = {
    "Fortran": np.asfortranarray,
    "strided": strided,
    "backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "inside out": lambda a: np.ascontiguousarray(a.T).T,
    "read-only": read_only,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "unaligned": unaligned,
    "list": lambda a: a.tolist(),
    "subclass": lambda a: a.view(np.memmap),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_as_the_plain_array(form: str, dtype: str) -> None:
    """X, rows of targets, labels, weights and θ: predictions, gradients and training have the same bits."""
    net, X, labels, w = problem(dtype)
    as_form, rows = FORMS[form], targets(net, 41)
    np.testing.assert_array_equal(net.forward(as_form(X)), net.forward(X), strict=True)
    np.testing.assert_array_equal(net.forward(as_form(X[:1])), net.forward(X[:1]), strict=True)
    for t in (labels, rows):
        C, g = net.cost_and_gradient(X, t, sample_weight=w, theta=net.theta)
        found = net.cost_and_gradient(as_form(X), as_form(t), sample_weight=as_form(w), theta=as_form(net.theta))
        assert found[0] == C
        np.testing.assert_array_equal(found[1], g, strict=True)
        J = net.cost_function(as_form(X), as_form(t), sample_weight=as_form(w))
        np.testing.assert_array_equal(J(as_form(net.theta))[1], g.astype(np.float64), strict=True)
        expected = fit(net.copy(), X, t, sample_weight=w)
        assert fit(net.copy(), as_form(X), as_form(t), sample_weight=as_form(w)) == expected


@pytest.mark.parametrize("kind", ["float16", ">f4", "int8", "int64", "bool", "longdouble"])
def test_other_number_types_are_converted(kind: str) -> None:
    net, X, t, _ = problem()
    given = np.rint(X * 3).astype(kind)
    np.testing.assert_array_equal(net.forward(given), net.forward(given.astype(np.float32)), strict=True)
    assert fit(net.copy(), given, t) == fit(net.copy(), given.astype(np.float32), t)


@pytest.mark.parametrize(
    "bad", [np.array([[1 + 2j] * 19]), np.array([["1"] * 19]), np.ones((2, 18)), np.ones((2, 2, 19))]
)
def test_what_is_no_batch_is_refused(bad: Any) -> None:
    net, _, t, _ = problem()
    for use in (net.forward, lambda X: net.cost_and_gradient(X, t[: len(X)]), lambda X: fit(net, X, t[: len(X)])):
        with pytest.raises((DataError, dr.ShapeError)):
            use(bad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_labels_are_one_hot_rows(dtype: str) -> None:
    """Without making any: the same bits as for the rows, from every type of integer and from whole floats."""
    net, X, t, w = problem(dtype)
    rows = (t[:, None] == np.arange(3)).astype(dtype)
    expected = fit(net.copy(), X, rows, sample_weight=w)
    for kind in (np.int64, np.int32, np.uint8, np.float32, np.uint64):
        assert net.prepare(X, t.astype(kind))[1].dtype == np.int64
        assert fit(net.copy(), X, t.astype(kind), sample_weight=w) == expected


# The network's own memory


@pytest.mark.parametrize("callbacks", [[], ["on_step"]], ids=["long slices", "slices of one"])
@pytest.mark.parametrize("what", ["X", "t"])
@pytest.mark.parametrize("engine", ["native", "textbook"])
def test_data_that_are_the_weights_are_those_of_the_beginning(what: str, callbacks: list[str], engine: str) -> None:
    """X or t in θ's own memory: training changes θ, and must not change its data, however it is sliced."""
    found = []
    told = [type("Told", (Callback,), {name: lambda self, run: None for name in callbacks})()]
    for own in (True, False):
        net = Network("5/9/5", output="identity", dtype="float64", seed=1)
        data = {name: np.random.default_rng(k).normal(size=(9, 5)) for k, name in enumerate(("X", "t"))}
        data[what] = net.theta[:45].reshape(9, 5) if own else net.theta[:45].reshape(9, 5).copy()
        fit(net, **data, optimizer="sgd", learning_rate=0.3, epochs=5, batch_size=2, callbacks=told, engine=engine)
        found.append(net.theta)
    np.testing.assert_array_equal(*found)


def test_nothing_given_is_written() -> None:
    net, X, t, w = problem()
    kept = [a.copy() for a in (X, t, w)]
    fit(net, X, t, sample_weight=w, validation=(X, t))
    net.evaluate(X, t)
    for before, after in zip(kept, (X, t, w)):
        np.testing.assert_array_equal(before, after, strict=True)


def test_outputs_are_arrays_of_their_own() -> None:
    """Two answers share no memory with each other, with X, or with θ, and may be written."""
    net = mirror(4, "float64")
    X = features(net, 5)
    first, second = net.forward(X), net.forward(X)
    g = net.cost_and_gradient(X, X)[1]
    for a, b in ((first, second), (first, X), (g, net.theta)):
        assert not np.shares_memory(a, b)
    first[...] = 0
    np.testing.assert_array_equal(net.forward(X), second)
