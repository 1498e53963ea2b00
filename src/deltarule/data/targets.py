"""The side of the targets: which task they set, the classes, labels as indices, values in units of their spread."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deltarule.data.columns import is_whole, number
from deltarule.errors import DataError, HyperparameterError, ShapeError

__all__ = ["Label", "Task", "class_indices", "find_classes", "find_task", "in_order", "is_one_hot"]

Task: TypeAlias = Literal["classification", "regression"]
Label: TypeAlias = int | float | str | bool

_MOST_CLASSES = 20  # of whole numbers that nobody called classes


def find_task(t: NDArray[Any], task: Task | None = None) -> Task:
    """Classification or regression: `task` where it is given, else told from the targets.

    Words, truth values, one-hot rows and uint8 (the labels of an IDX file) set a classification; so do whole numbers
    of at most 20 different values. Floats with a fraction, other whole numbers and other rows `(m, K)`: a regression.

    >>> find_task(np.array([0, 1, 1])), find_task(np.array([0.5, 1.0])), find_task(np.arange(21))
    ('classification', 'regression', 'regression')
    """
    if task is not None:
        if task not in ("classification", "regression"):
            raise HyperparameterError(f"the task is 'classification' or 'regression', not {task!r}")
        if task == "regression" and t.dtype.kind == "U":
            raise DataError(f"regression needs numbers as targets, not words such as '{t.flat[0]}'")
        return task
    if t.ndim == 2:
        return "classification" if is_one_hot(t) else "regression"
    if t.dtype.kind in "Ub" or t.dtype == np.uint8:
        return "classification"
    whole = t.dtype.kind in "iu" or bool((t == np.floor(t)).all())
    return "classification" if whole and len(np.unique(t)) <= _MOST_CLASSES else "regression"


def is_one_hot(t: NDArray[Any]) -> bool:
    """Whether `t` is rows `(m, K)`, K ≥ 2, with a single 1 in each and 0 elsewhere."""
    if t.ndim != 2 or t.shape[1] < 2 or t.dtype.kind not in "biuf":
        return False
    return bool((((t == 0) | (t == 1)).all(axis=1) & ((t == 1).sum(axis=1) == 1)).all())


def in_order(words: Iterable[str]) -> list[str]:
    """Words ascending; where all of them are whole numbers, as numbers.

    >>> in_order(["10", "9", "x"]), in_order(["10", "9", "-1"])
    (['10', '9', 'x'], ['-1', '9', '10'])
    """
    found = sorted(words)
    return sorted(found, key=int) if all(map(is_whole, found)) else found


def find_classes(t: NDArray[Any]) -> tuple[Label, ...]:
    """The classes, ascending: whole numbers as int, words as str (`in_order`); 0 … K − 1 for one-hot rows `(m, K)`.

    >>> find_classes(np.array(["dog", "cat", "dog"])), find_classes(np.array([1.0, 3.0]))
    (('cat', 'dog'), (1, 3))
    """
    if t.ndim == 2:
        if not is_one_hot(t):
            raise DataError(f"targets of shape {t.shape} are no labels: each row of K needs a single 1 and 0 elsewhere")
        if len(used := np.flatnonzero(t.any(axis=0))) < 2:
            raise DataError(f"all {len(t)} targets are of one class, column {used[0]}; a classifier needs two or more")
        return tuple(range(t.shape[1]))
    found = np.unique(t)
    if found.dtype.kind == "f" and (found == np.floor(found)).all() and (np.abs(found) < 2.0**53).all():
        found = found.astype(np.int64)
    if len(found) < 2:
        raise DataError(f"all {len(t)} targets are of one class, {found[0].item()!r}; a classifier needs two or more")
    return tuple(in_order(found.tolist()) if found.dtype.kind == "U" else found.tolist())


def class_indices(t: NDArray[Any], classes: tuple[Label, ...]) -> NDArray[Any]:
    """Labels `(m,)` → int64 indices 0 … K − 1; one-hot rows `(m, K)` pass through.

    Raises:
        DataError: a label that was not there at training, named with its row.
        ShapeError: rows of another width than the number of classes.
    """
    if t.ndim == 2:
        if t.shape[1] != len(classes):
            raise ShapeError(f"targets have shape {t.shape}, the model has {len(classes)} classes; give (m,) labels")
        if not is_one_hot(t):
            raise DataError(f"targets of shape {t.shape} are no labels: each row of K needs a single 1 and 0 elsewhere")
        return t
    index = {label: k for k, label in enumerate(classes)}  # 3, 3.0 and True, 1 are equal keys
    found, inverse = np.unique(t, return_inverse=True)
    known = [_index(label, index) for label in found.tolist()]
    if None in known:
        strange = [label for label, k in zip(found.tolist(), known) if k is None]
        row = int(np.flatnonzero(np.isin(t, np.array(strange, dtype=t.dtype)))[0])
        listed = ", ".join(map(str, classes[:10])) + (" …" if len(classes) > 10 else "")
        raise DataError(
            f"the target of row {row} (counted from 0) is {t[row].item()!r}, a label unseen at training "
            f"(classes: {listed}); correct it, or train with such rows"
        )
    return np.array(known, dtype=np.int64)[inverse.reshape(-1)]


def _index(label: Label, index: dict[Label, int]) -> int | None:
    """Words and numbers meet: a file whose labels all read as numbers gives numbers, whatever the training file had."""
    if label in index or isinstance(label, str) == isinstance(next(iter(index)), str):
        return index.get(label)
    if isinstance(label, str):
        value = number(label)
        return None if value is None else index.get(value)
    return index.get(str(label))
