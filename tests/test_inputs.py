"""What comes in: the forms of X and t that are taken, weights as scikit-learn has them, and every refusal by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from deltarule import Network
from deltarule.architecture import Architecture
from deltarule.errors import DataError, DeltaruleError, ShapeError
from deltarule.inputs import class_weights, is_one_sample, sample_rows, sample_weights
from deltarule.inputs import target_rows as targets_of

FLAT, IMAGE, SEQUENCE = Architecture("12/3"), Architecture("1x3x4/3"), Architecture("seq(4)/3")
COLOUR, ONE = Architecture("2x3x4/3"), Architecture("1/3")
ROWS = np.arange(60.0).reshape(5, 12)


def target_rows(net: Architecture, t: Any, m: int, dtype: str) -> Any:
    """The targets of m rows; sequences have 6 steps."""
    return targets_of(net, t, np.empty((m, 6) if net.input_shape[0] is None else (m, 1)), dtype)


def refused(error: type[DeltaruleError], message: str, f: Callable[..., Any], *args: Any) -> None:
    with pytest.raises(error) as caught:
        f(*args)
    assert message in str(caught.value)


# X


@pytest.mark.parametrize("net", [FLAT, IMAGE])
@pytest.mark.parametrize("shape", [(5, 12), (5, 3, 4), (5, 1, 3, 4)])
def test_flat_rows_and_images_stand_for_each_other(net: Architecture, shape: tuple[int, ...]) -> None:
    found = sample_rows(net, ROWS.reshape(shape), "float64")
    np.testing.assert_array_equal(found, ROWS.reshape(5, *net.input_shape))  # type: ignore[arg-type]
    assert not is_one_sample(net, ROWS.reshape(shape))


@pytest.mark.parametrize(
    ("net", "shape"),
    [(FLAT, (12,)), (IMAGE, (1, 3, 4)), (IMAGE, (3, 4)), (IMAGE, (12,)), (SEQUENCE, (3, 4)), (COLOUR, (2, 3, 4)),
     (COLOUR, (24,)), (ONE, (1,))],
)  # fmt: skip
def test_one_sample_is_a_batch_of_one(net: Architecture, shape: tuple[int, ...]) -> None:
    x = np.arange(float(np.prod(shape))).reshape(shape)
    assert is_one_sample(net, x)
    found = sample_rows(net, x, "float32")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.ravel(), x.ravel())
    assert found.shape[0] == 1


def test_what_could_be_a_batch_is_one() -> None:
    assert not is_one_sample(Architecture("1x1x4/3"), np.zeros((1, 4)))
    assert sample_rows(Architecture("1x1x4/3"), np.zeros((1, 4)), "float32").shape == (1, 1, 1, 4)
    assert sample_rows(ONE, np.zeros(5), "float32").shape == (5, 1)
    assert sample_rows(SEQUENCE, np.zeros((5, 7, 4)), "float32").shape == (5, 7, 4)


@pytest.mark.parametrize(
    "kind", [bool, np.int8, np.uint16, np.int64, np.float16, np.float32, np.float64, np.longdouble]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_real_number_is_taken(kind: type, dtype: str) -> None:
    rows = (np.arange(24).reshape(2, 12) % 2).astype(kind)
    found = sample_rows(FLAT, rows, dtype)
    assert (found.dtype, found.flags.c_contiguous) == (np.dtype(dtype), True)
    np.testing.assert_array_equal(found, rows)


def test_uint8_means_parts_of_255() -> None:
    pixels = np.arange(240, 252, dtype=np.uint8)[None]
    np.testing.assert_array_equal(sample_rows(FLAT, pixels, "float32"), pixels.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(sample_rows(FLAT, pixels, "float64"), pixels / 255)
    np.testing.assert_array_equal(sample_rows(FLAT, pixels.astype(int), "float64"), pixels)
    net = Network("12/3", dtype="float64")
    np.testing.assert_array_equal(net.forward(pixels), net.forward(pixels / 255))


def test_lists_frames_and_strides_are_taken() -> None:
    frame = pd.DataFrame(ROWS)
    for given_ in (ROWS.tolist(), frame, ROWS[::-1][::-1], np.asfortranarray(ROWS), np.repeat(ROWS, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(sample_rows(FLAT, given_, "float64"), ROWS)


@given(st.data())
def test_nan_and_infinity_are_named_by_row_and_column(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from([(5, 12), (5, 1, 3, 4)]))
    rows = ROWS.copy()
    i, j = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 11))
    rows[i, j] = bad = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    place = f"column {j}" if len(shape) == 2 else f"position {tuple(map(int, np.unravel_index(j, (1, 3, 4))))}"
    net = FLAT if len(shape) == 2 else IMAGE
    refused(
        DataError, f"X: row {i}, {place} is {bad} (counted from 0)", sample_rows, net, rows.reshape(shape), "float32"
    )


@pytest.mark.parametrize(
    ("net", "X", "error", "message"),
    [
        (FLAT, [], DataError, "X is empty: there is no row in it"),
        (FLAT, np.zeros((0, 12)), DataError, "X is empty"),
        (FLAT, np.zeros((5, 11)), ShapeError, "12 (12 numbers each), X has rows of 11; give X the shape (m, 12)"),
        (FLAT, np.zeros(11), ShapeError, "X has rows of one number"),
        (FLAT, 3.0, ShapeError, "X has rows of one number"),
        (FLAT, np.zeros((5, 0)), ShapeError, "X has rows of 0"),
        (IMAGE, np.zeros((5, 4, 3)), ShapeError, "(12 numbers each), X has rows of 4×3; give X the shape (m, 1, 3, 4)"),
        (COLOUR, np.zeros((5, 3, 4, 2)), ShapeError, "X has rows of 3×4×2"),
        (COLOUR, np.zeros((3, 4, 2)), ShapeError, "X has rows of 4×2"),
        (SEQUENCE, np.zeros((5, 7, 5)), ShapeError, "(4 numbers each), X has rows of 7×5; give X the shape (m, T, 4)"),
        (FLAT, [["a"] * 12], DataError, "X: real numbers are expected, not <U1; encode text and categories first"),
        (FLAT, [[None] * 12], DataError, "X: real numbers are expected, not object"),
        (FLAT, [[1j] * 12], DataError, "not complex128"),
        (FLAT, [[1, 2], [1]], DataError, "X: not an array of numbers"),
        (FLAT, {"a": 1}, DataError, "X: real numbers are expected"),
        (FLAT, [[1e300] + [0] * 11], DataError, "X as float32: row 0, column 0 is inf"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit(net: Architecture, X: Any, error: type[DeltaruleError], message: str) -> None:
    refused(error, message, sample_rows, net, X, "float32")


# Targets


def test_targets_are_labels_or_rows() -> None:
    for given_ in (
        [0, 1, 2],
        [0.0, 1.0, 2.0],
        np.array([0, 1, 2], np.uint8),
        np.array([0, 1, 2], np.uint64),
        (0, 1, 2),
    ):
        found = target_rows(FLAT, given_, 3, "float32")
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, [0, 1, 2])
    np.testing.assert_array_equal(target_rows(Architecture("4/2"), [True, False], 2, "float32"), [1, 0])
    rows = target_rows(FLAT, np.eye(3, dtype=int), 3, "float32")
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, np.eye(3))
    for single in (1, np.int64(1), [1], 1.0):
        np.testing.assert_array_equal(target_rows(FLAT, single, 1, "float32"), [1])
    np.testing.assert_array_equal(target_rows(FLAT, [0, 1, 0], 1, "float32"), [[0, 1, 0]])


@pytest.mark.parametrize("output", ["sigmoid", "identity"])
def test_targets_of_one_output_are_columns(output: str) -> None:
    net = Architecture("4/1", output=output)
    for given_ in ([0, 1, 1], [[0], [1], [1]], [False, True, True], np.array([0, 1, 1], np.uint8), [0.0, 1, 1]):
        np.testing.assert_array_equal(target_rows(net, given_, 3, "float64"), [[0], [1], [1]])
    np.testing.assert_array_equal(target_rows(net, 1, 1, "float64"), [[1]])
    np.testing.assert_array_equal(target_rows(net, [0.25, 0.5], 2, "float64"), [[0.25], [0.5]])


@given(arrays(np.float64, (4, 3), elements=st.floats(0.01, 1)))
def test_soft_rows_sum_to_one_to_the_last_bits(raw: Any) -> None:
    rows = raw / raw.sum(axis=1, keepdims=True)
    for dtype, tolerance in (("float32", 2e-7), ("float64", 4e-16)):
        found = target_rows(FLAT, rows.astype(np.float16), 4, dtype)  # sums 1 to 1e-3
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=tolerance)
        np.testing.assert_allclose(found, rows, atol=2e-3)


YES, EXP, REAL = Architecture("4/1"), Architecture("4/2", output="exp"), Architecture("4/2", output="identity")


@pytest.mark.parametrize(
    ("net", "t", "m", "error", "message"),
    [
        (FLAT, [0, 1, 3], 3, DataError, "row 2 is 3; a network with 3 outputs takes classes 0 … 2 or rows of"),
        (FLAT, [0, -1, 1], 3, DataError, "the target at row 1 is -1"),
        (FLAT, [0, 1.5, 1], 3, DataError, "the target at row 1 is 1.5"),
        (FLAT, [0, 1e300, 1], 3, DataError, "the target at row 1 is 1e+300"),
        (FLAT, np.array([0, 2**64 - 1], np.uint64), 2, DataError, "row 1 is 18446744073709551615"),
        (FLAT, 3, 1, DataError, "the target at row 0 is 3"),
        (FLAT, [0, np.nan, 1], 3, DataError, "the targets: row 1 is nan"),
        (FLAT, [[0, 1, np.inf]], 1, DataError, "the targets: row 0, column 2 is inf"),
        (FLAT, [0, 1], 3, ShapeError, "X has 3 rows, the targets 2"),
        (FLAT, [], 3, ShapeError, "X has 3 rows, the targets 0"),
        (FLAT, 1, 3, ShapeError, "X has 3 rows, the targets 1"),
        (FLAT, [[0], [1], [2]], 3, ShapeError, "3 outputs have the shape (3, 3), or (3,) for classes, not (3, 1)"),
        (FLAT, np.zeros((3, 3, 1)), 3, ShapeError, "not (3, 3, 1)"),
        (YES, np.zeros((3, 2)), 3, ShapeError, "targets of 1 output have the shape (3,) or (3, 1), not (3, 2)"),
        (FLAT, ["a", "b", "c"], 3, DataError, "the targets: real numbers are expected, not <U1"),
        (FLAT, [[1], [1, 2]], 2, DataError, "the targets: not an array of numbers"),
        (FLAT, [[0.5, 0.4, 0.0]], 1, DataError, "takes a row of probabilities: none negative, their sum 1"),
        (FLAT, [[1, 1, -1]], 1, DataError, "the target at row 0 is [ 1.  1. -1.]"),
        (YES, [0, 2], 2, DataError, "the target at row 1 is [2.]; cost 'binary cross entropy' takes between 0 and 1"),
        (YES, [0, -0.1], 2, DataError, "row 1"),
        (EXP, [[0, 1], [1, -2]], 2, DataError, "cost 'poisson' takes a count, not negative"),
        (REAL, [[0, 1e300]], 1, DataError, "the targets as float32: row 0, column 1 is inf"),
        (SEQUENCE, np.zeros((2, 5), int), 2, ShapeError, "each of the 6 steps of X; the targets have the shape (2, 5)"),
        (SEQUENCE, np.zeros((3, 6), int), 2, ShapeError, "X has 2 sequences, the targets 3"),
        (SEQUENCE, np.zeros((2, 6, 2)), 2, ShapeError, "the shape (2, 6, 3), or (2, 6) for classes, not (2, 6, 2)"),
        (SEQUENCE, [[0, 1, 2, 0, 1, 3]], 1, DataError, "the target at row 0, step 5 is 3"),
    ],
)  # fmt: skip
def test_targets_that_do_not_fit(net: Architecture, t: Any, m: int, error: type[DeltaruleError], message: str) -> None:
    refused(error, message, target_rows, net, t, m, "float32")


def test_other_costs_take_any_number() -> None:
    t = [[-5.0, 1e6], [0, 0.5]]
    np.testing.assert_array_equal(target_rows(REAL, t, 2, "float64"), t)
    net = Architecture("4/2", output="softmax", cost="squared error")
    np.testing.assert_array_equal(target_rows(net, t, 2, "float64"), t)


# Weights


def test_sample_weights() -> None:
    assert sample_weights(None, 3, "float32") is None
    found = sample_weights([1, 0, 2], 3, "float32")
    np.testing.assert_array_equal(found, [1, 0, 2])  # type: ignore[arg-type]
    assert found is not None
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("w", "error", "message"),
    [
        ([1, 2], ShapeError, "sample_weight has the shape (2,); 3 rows take (3,)"),
        ([[1], [2], [3]], ShapeError, "(3, 1)"),
        (1.0, ShapeError, "()"),
        ([1, -1, 1], DataError, "must not be negative, and some must be positive"),
        ([0, 0, 0], DataError, "some must be positive"),
        ([1e-300, 0, 0], DataError, "some must be positive"),
        ([1, np.nan, 1], DataError, "sample_weight: row 1 is nan"),
        ([1, 1e300, 1], DataError, "sample_weight as float32: row 1 is inf"),
        (["a", "b", "c"], DataError, "sample_weight: real numbers are expected"),
        ([[1], [1, 2], 3], DataError, "sample_weight: not an array"),
    ],
)
def test_sample_weights_that_do_not_fit(w: Any, error: type[DeltaruleError], message: str) -> None:
    refused(error, message, sample_weights, w, 3, "float32")


@given(st.lists(st.integers(0, 2), min_size=1, max_size=40))
def test_balanced_is_scikit_learns(labels: list[int]) -> None:
    t = np.array(labels)
    classes = np.unique(t)
    by_class = dict(zip(classes, compute_class_weight("balanced", classes=classes, y=t)))
    found = class_weights(FLAT, t, "balanced", np.float64)
    np.testing.assert_allclose(found, [by_class[c] for c in labels], rtol=1e-15)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, compute_sample_weight("balanced", t), rtol=1e-15)  # type: ignore[arg-type]


def test_class_weights_by_name() -> None:
    t, chosen = np.array([0, 1, 2, 1]), {0: 2, np.int64(2): 0.5}
    np.testing.assert_array_equal(class_weights(FLAT, t, chosen, "float64"), [2, 1, 0.5, 1])  # type: ignore[arg-type]
    np.testing.assert_array_equal(class_weights(FLAT, t, {}, "float64"), [1, 1, 1, 1])  # type: ignore[arg-type]
    assert class_weights(FLAT, t, None, "float64") is None
    column = np.array([[0.0], [1.0], [1.0], [1.0]])
    np.testing.assert_array_equal(class_weights(YES, column, {1: 3.0}, "float64"), [1, 3, 3, 3])  # type: ignore[arg-type]
    np.testing.assert_array_equal(class_weights(YES, column, "balanced", "float64"), np.array([2, 2 / 3, 2 / 3, 2 / 3]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("net", "t", "given_", "message"),
    [
        (FLAT, [0, 1], "balance", "class_weight is a mapping class → weight or 'balanced', not 'balance'"),
        (FLAT, [0, 1], [1, 2, 3], "is a mapping"),
        (FLAT, [0, 1], np.ones(3), "is a mapping"),
        (FLAT, [0, 1], 2.0, "is a mapping"),
        (FLAT, [0, 1], {3: 1.0}, "class_weight names class 3; the classes are 0 … 2"),
        (FLAT, [0, 1], {-1: 1.0}, "names class -1"),
        (FLAT, [0, 1], {"a": 1.0}, "names class 'a'"),
        (YES, [0, 1], {2: 1.0}, "the classes are 0 … 1"),
        (FLAT, [0, 1], {0: -1.0}, "class_weight of class 0 is -1.0; weights are finite numbers, not negative"),
        (FLAT, [0, 1], {0: np.nan}, "class_weight of class 0 is nan"),
        (FLAT, [0, 1], {0: "a"}, "class_weight of class 0 is 'a'"),
        (FLAT, [0, 1], {0: 0, 1: 0}, "some must be positive"),
        (FLAT, np.full((2, 3), 1 / 3), "balanced", "targets that are classes"),
        (REAL, np.zeros((2, 2)), "balanced", "needs a classifier"),
        (Architecture("4/1", output="identity"), [[0.0], [1.0]], "balanced", "needs a classifier"),
        (YES, [[0.0], [0.5]], "balanced", "targets that are classes"),
    ],
)
def test_class_weights_that_do_not_fit(net: Architecture, t: Any, given_: Any, message: str) -> None:
    refused(DataError, message, class_weights, net, np.array(t), given_, "float32")


def test_weights_act_as_repeated_rows_do() -> None:
    net = Network("3/4/2", dtype="float64")
    X, t, w = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, 1, 1]), np.array([2, 1, 0, 3])
    many = np.repeat(np.arange(4), w)
    C, grad = net.cost_and_gradient(X, t, sample_weight=w)
    C_many, grad_many = net.cost_and_gradient(X[many], t[many])
    assert pytest.approx(C_many) == C
    np.testing.assert_allclose(grad, grad_many)
    assert net.evaluate(X, t, w) == pytest.approx(net.evaluate(X[many], t[many]))
    both = net.prepare(X, t, sample_weight=w, class_weight={1: 2.0})[2]
    np.testing.assert_array_equal(both, [2, 2, 0, 6])  # type: ignore[arg-type]
    refused(DataError, "some must be positive", net.prepare, X, t, [0, 1, 1, 1], {1: 0})


def test_what_comes_in_is_never_changed() -> None:
    X, t, w = (
        np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32),
        np.eye(2)[[0, 1, 1, 0]] * 1.0005,
        np.ones(4),
    )
    kept = X.copy(), t.copy(), w.copy()
    Network("3/2").cost_and_gradient(X, t, sample_weight=w)
    for now, before in zip((X, t, w), kept):
        np.testing.assert_array_equal(now, before)
