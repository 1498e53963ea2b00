import numpy as np
import pandas as pd
import pytest

from deltarule.data import checks
from deltarule.data.targets import class_indices, find_classes, find_task
from deltarule.errors import DataError, HyperparameterError, ShapeError

C, R = "classification", "regression"


@pytest.mark.parametrize(
    ("t", "task"),
    [
        (["a", "b"], C),
        ([True, False], C),
        ([0, 1, 2], C),
        ([0.0, 1.0, 2.0], C),
        (np.arange(20), C),
        (np.arange(21), R),
        (np.arange(26, dtype=np.uint8), C),
        ([0.5, 1.0], R),
        ([[0.5, 1.0], [1.0, 2.0]], R),
        ([[1, 0], [0, 1]], C),
        ([[1.0, 0.0], [0.0, 1.0]], C),
        ([[1, 1], [0, 1]], R),
        ([[0, 0], [0, 1]], R),
        ([[2.0], [3.5]], R),
    ],
)
def test_the_task_is_told_from_the_targets(t, task):
    assert find_task(checks.targets(t, "t")) == task


def test_the_task_can_be_forced():
    assert find_task(np.array([0, 1]), R) == R
    assert find_task(np.arange(99), C) == C
    with pytest.raises(DataError, match="regression needs numbers as targets, not words such as 'a'"):
        find_task(np.array(["a", "b"]), R)
    with pytest.raises(HyperparameterError, match="not 'clustering'"):
        find_task(np.array([0, 1]), "clustering")


@pytest.mark.parametrize(
    ("t", "classes"),
    [
        ([3, 1, 3], (1, 3)),
        ([3.0, 1.0], (1, 3)),
        ([0.5, 1.0], (0.5, 1.0)),
        (["b", "a"], ("a", "b")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["1", "01", "+1"], ("+1", "01", "1")),
        ([True, False], (False, True)),
        ([[0, 1, 0], [1, 0, 0]], (0, 1, 2)),
    ],
)
def test_classes_ascend_and_keep_their_type(t, classes):
    found = find_classes(np.array(t))
    assert found == classes
    assert [type(c) for c in found] == [type(c) for c in classes]


@pytest.mark.parametrize("t", [[7, 7], ["a"], [[0, 1], [0, 1]]])
def test_one_class_only(t):
    with pytest.raises(DataError, match="one class"):
        find_classes(np.array(t))


def test_labels_become_indices_and_numbers_are_equal_across_types():
    assert class_indices(np.array([3.0, 1.0, 3.0]), (1, 3)).tolist() == [1, 0, 1]
    assert class_indices(np.array([1, 0]), (False, True)).tolist() == [1, 0]
    assert class_indices(np.array([3, 1], dtype=np.uint8), ("1", "3", "x")).tolist() == [1, 0]  # a file of numbers only
    assert class_indices(np.array(["3", "1"]), (1, 3)).tolist() == [1, 0]
    assert class_indices(np.array(["a"]), ("a", "b")).dtype == np.int64
    rows = np.array([[0, 1], [1, 0]])
    assert class_indices(rows, ("a", "b")) is rows


@pytest.mark.parametrize(
    ("t", "classes", "label"),
    [
        (["a", "z", "z"], ("a", "b"), "'z'"),
        ([1, 4, 5], (1, 3), "4"),
        ([1.0, 3.5], (1, 3), "3.5"),
        (["1", "cat"], (1, 3), "'cat'"),
        ([1, 2], ("1", "x"), "2"),
    ],
)
def test_an_unseen_label_is_named_with_its_row(t, classes, label):
    with pytest.raises(
        DataError, match=f"target of row 1 .* is {label}, a label unseen at training .classes: {classes[0]}"
    ):
        class_indices(np.array(t), classes)


def test_rows_that_are_not_one_hot():
    with pytest.raises(ShapeError, match=r"shape \(1, 3\), the model has 2 classes"):
        class_indices(np.array([[0, 1, 0]]), (0, 1))
    for t in ([[1, 1]], [[0, 0]], [[2, -1]], [[0.5, 0.5]]):
        with pytest.raises(DataError, match="no labels"):
            class_indices(np.array(t), (0, 1))
        with pytest.raises(DataError, match="no labels"):
            find_classes(np.array(t))


@pytest.mark.parametrize(
    ("t", "message"),
    [
        ([1.0, np.nan], "row 1 is nan"),
        ([[1.0, 2.0], [np.inf, 0.0]], "row 1, column 0 is inf"),
        (["a", None], "target of row 1 .* is missing"),
        (pd.Series([1, None], dtype="Int64"), "row 1 (is nan|.* is missing)"),
        (pd.Series(["a", pd.NA]), "target of row 1 .* is missing"),
        (["a", "?"], "target of row 1 .* is missing"),
        ([], "is empty"),
        (["a", 1, [2]], "is not an array"),
        (np.array(["a", 1.5], dtype=object), "of several kinds"),
        (np.array([["a", "b"]]), "one label a row"),
        ([1j, 2], "complex"),
        (np.zeros(2, "M8[s]"), "dates"),
        (3.0, r"shape \(\)"),
    ],
)
def test_wrong_targets(t, message):
    with pytest.raises(DataError, match=message):
        checks.targets(t, "t")


def test_targets_from_pandas_and_lists():
    assert checks.targets(pd.Series(["a", "b"]), "t").dtype.kind == "U"
    assert checks.targets(pd.Series([1, 2], dtype=object), "t").dtype.kind == "i"
    assert checks.targets(np.array([np.float64(1.5), np.int64(2)], dtype=object), "t").tolist() == [1.5, 2.0]
    assert checks.targets(np.array([b"x", b"y"]), "t").tolist() == ["x", "y"]
    assert checks.targets(np.array([1.0, 2.0], dtype=">f8"), "t").dtype.isnative
