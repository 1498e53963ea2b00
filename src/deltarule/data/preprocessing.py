"""What is done to raw rows before the network and to its outputs after it; fitted on the training part only.

It is stored with the model, so that prediction takes raw rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltarule.data import checks, stored
from deltarule.data.columns import Column, column_numbers, encode, fit_columns
from deltarule.data.images import ImageForm
from deltarule.data.scaling import standardise, statistics
from deltarule.data.table import Table
from deltarule.data.targets import Label, Task, class_indices, find_classes, find_task
from deltarule.errors import DataError, ShapeError

__all__ = ["Preprocessing"]


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """Raw rows → inputs (x − mean) / scale; raw targets → class indices or (t − mean) / scale; and back.

    Args:
        task: "classification" or "regression".
        input_shape: of one sample as the network sees it: `(n,)`, or an image's shape.
        pixels: the inputs are uint8, which mean x/255, or floats x in 0…1.
        columns: the raw columns of a table; None where the raw inputs are an array.
        classes: the labels, ascending (classification only).
        mean, scale: of every input, in the shape of a sample; None where inputs are not standardised.
        target_mean, target_scale: of every output, `(K,)` (regression only).
        images: how image files become raw rows, so that `data.read(…, images=…)` reads others alike; None: as they are.

    >>> pre = Preprocessing.fit({"age": [20, 40], "town": ["Graz", "Linz"]}, ["no", "yes"])
    >>> pre.inputs({"age": [30], "town": ["Linz"]}), pre.targets(["yes"]), pre.labels([0])
    (array([[0., 0., 1.]]), array([1]), array(['no'], dtype='<U3'))
    """

    task: Task
    input_shape: tuple[int, ...]
    pixels: bool = False
    columns: tuple[Column, ...] | None = None
    classes: tuple[Label, ...] | None = None
    mean: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None
    target_mean: NDArray[np.float64] | None = None
    target_scale: NDArray[np.float64] | None = None
    images: ImageForm | None = None

    @classmethod
    def fit(
        cls,
        X: Any,
        t: Any,
        *,
        task: Task | None = None,
        standardize: bool | None = None,
        impute: bool = False,
        rows: ArrayLike | None = None,
        images: ImageForm | None = None,
    ) -> Preprocessing:
        """Fit on the training part.

        Args:
            X: rows `(m, …)` of numbers, a `Table`, a mapping of columns or a DataFrame. Columns of a table whose cells
                are all numbers are numeric; the others are categories and become one-hot inputs.
            t: targets `(m,)` or `(m, K)`.
            task: None tells it from t. Words, truth values, one-hot rows and uint8 are classes; so are whole numbers of
                at most 20 different values; everything else is a regression.
            standardize: to mean 0 and σ 1 by input (σ = 0: scale 1). None: floats `(m, n)` and the numeric columns of a
                table are, uint8 and images are not. One-hot inputs never are.
            impute: fill missing cells of a table (numbers: the median; words: the most frequent) and not refuse them.
            rows: the numbers of the rows that are the training part; all, unless said. An array is not copied for it.
            images: the form in which X was read from image files, to be kept.

        Raises:
            DataError: an empty set, NaN or infinity, missing cells, a single class, counts that differ.

        >>> Preprocessing.fit([[1.0], [3.0]], [0.5, 2.5]).predictions([0.0])
        array([1.5])
        """
        t = checks.targets(t, "the targets")
        rows = None if rows is None else checks.row_numbers(rows, len(t))
        columns: tuple[Column, ...] | None = None
        if _is_table(X):
            table = Table.of(X)
            _same_length(len(table), len(t))
            table = table if rows is None else table[rows]
            columns = fit_columns(table, impute=impute)
            raw: NDArray[Any] = encode(columns, table)
            which = None
        else:
            raw, which = checks.rows(X, "X"), rows
            _same_length(len(raw), len(t))
        t = t if rows is None else t[rows]
        if standardize is None:
            standardize = raw.ndim == 2 and raw.dtype != np.uint8
        mean, scale = statistics(raw, which) if standardize else (None, None)
        if columns is not None and mean is not None and scale is not None:
            words = np.repeat([bool(c.levels) for c in columns], [c.width for c in columns])
            mean, scale = np.where(words, 0.0, mean), np.where(words, 1.0, scale)
        task = find_task(t, task)
        classes = find_classes(t) if task == "classification" else None
        target_mean, target_scale = (None, None) if classes else statistics(t.astype(np.float64).reshape(len(t), -1))
        pixels = raw.dtype == np.uint8 and not standardize
        return cls(task, raw.shape[1:], pixels, columns, classes, mean, scale, target_mean, target_scale, images)

    @property
    def n_inputs(self) -> int:
        """How many numbers the network reads of one sample."""
        return math.prod(self.input_shape)

    @property
    def n_outputs(self) -> int:
        """K: the number of classes, or of target values."""
        return len(self.classes) if self.classes is not None else len(self.target_mean)  # type: ignore[arg-type]

    def inputs(self, X: Any) -> NDArray[Any]:
        """Raw rows → what the network reads, `(m, …)`; one raw sample `(…)` → one sample.

        Args:
            X: as in `fit`. A model of a table also takes an array of its raw columns where all are numeric; a model of
                an array also takes a table of numbers, column for column, and images as flat rows.

        Raises:
            DataError: NaN or infinity, missing cells, unknown levels, columns missing or too many, pixels beyond 0…255.
            ShapeError: samples of another shape.
        """
        if _is_table(X):
            X = Table.of(X)
            raw = encode(self.columns, X) if self.columns is not None else self._table_as_array(X)
            return self._scaled(self._shaped(raw)[0])
        array = np.asarray(X) if not isinstance(X, np.memmap) else X
        whole = array.dtype.kind in "iu"
        array = checks.numeric(array, "X")
        if self.columns is not None:
            rows, single = self._columns_of_array(array)
        else:
            rows, single = self._shaped(self._as_pixels(array, whole) if self.pixels else array)
        rows = self._scaled(checks.rows(rows, "X"))
        return rows[0] if single else rows

    def targets(self, t: Any) -> NDArray[Any]:
        """Raw targets → int64 class indices `(m,)` (one-hot rows pass through), or standardised values.

        Raises:
            DataError: a label unseen at training, named with its row; NaN or infinity; words where numbers belong.
            ShapeError: another number of target values than at training.

        >>> Preprocessing.fit([[1.0], [2.0]], ["b", "a"]).targets(["a", "b", "b"])
        array([0, 1, 1])
        """
        found = checks.targets(t, "the targets")
        if self.classes is not None:
            return class_indices(found, self.classes)
        if found.dtype.kind == "U":
            raise DataError(f"the model predicts numbers, and the targets are words such as '{found.flat[0]}'")
        k = self.n_outputs
        if found.shape[1:] != (() if k == 1 else (k,)):
            raise ShapeError(
                f"the targets have shape {found.shape}, the model was trained on {'(m,)' if k == 1 else (k,)}"
            )
        values: NDArray[Any] = standardise(found.reshape(-1, k).astype(np.float64), self.target_mean, self.target_scale)
        return values.reshape(found.shape)

    def labels(self, indices: Any) -> NDArray[Any]:
        """Class indices `(m,)` → the classes' labels `(m,)`: whole numbers or words, as at training."""
        if self.classes is None:
            raise DataError("this model predicts numbers, not classes; its outputs go through predictions()")
        found = np.asarray(indices)
        if found.dtype.kind not in "iu" or (found.size and not 0 <= found.min() <= found.max() < len(self.classes)):
            raise DataError(f"class indices are whole numbers from 0 to {len(self.classes) - 1}")
        labels: NDArray[Any] = np.array(self.classes)[found]
        return labels

    def predictions(self, values: Any) -> NDArray[Any]:
        """Outputs of the network `(m,)` or `(m, K)` → the target's units, in the same shape (regression)."""
        if self.target_mean is None or self.target_scale is None:
            raise DataError("this model predicts classes, not numbers; its outputs go through labels()")
        found, k = np.asarray(values), self.n_outputs
        if k > 1 and found.shape[-1:] != (k,):
            raise ShapeError(f"outputs have shape {found.shape}, the model has {k} of them")
        mean, scale = (self.target_mean, self.target_scale) if k > 1 else (self.target_mean[0], self.target_scale[0])
        units: NDArray[Any] = found.astype(np.float64) * scale + mean
        return units

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays, as JSON can hold it."""
        columns = None if self.columns is None else [stored.column_to_json(c) for c in self.columns]
        classes = None if self.classes is None else list(self.classes)
        shape = list(self.input_shape)
        found = {"task": self.task, "input_shape": shape, "pixels": self.pixels, "columns": columns, "classes": classes}
        return found if self.images is None else found | {"images": self.images.to_json()}

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """The arrays there are, of mean, scale, target_mean and target_scale: float64, C-contiguous."""
        found = {name: getattr(self, name) for name in stored.ARRAYS}
        return {name: np.ascontiguousarray(a, dtype=np.float64) for name, a in found.items() if a is not None}

    @classmethod
    def from_json(cls, document: Any, arrays: Mapping[str, NDArray[Any]]) -> Preprocessing:
        """What `to_json` and `arrays` gave, checked piece by piece: the file may come from anywhere.

        Raises:
            FileFormatError: keys missing or unknown, wrong types, lengths or shapes, numbers that are not finite.

        >>> pre = Preprocessing.fit([[1.0], [2.0]], ["b", "a"])
        >>> Preprocessing.from_json(pre.to_json(), pre.arrays()).classes
        ('a', 'b')
        """
        return cls(**stored.checked(document, arrays))

    def _table_as_array(self, table: Table) -> NDArray[Any]:
        """A table of numbers for a model that was trained on an array: column for column, in order."""
        if len(table.names) != self.n_inputs:
            raise ShapeError(
                f"{table.origin} has {len(table.names)} columns, the model was trained on {self.n_inputs} numbers a row"
            )
        values = np.stack([column_numbers(table, name, missing=False) for name in table.names], axis=1)
        if not self.pixels:
            return values
        if (values != np.floor(values)).any():
            row, j = (int(i) for i in np.argwhere(values != np.floor(values))[0])
            raise DataError(
                f"{table.origin}, {table.place(row)}, column '{table.names[j]}': {values[row, j]:g} is no pixel; "
                "the model was trained on whole numbers 0…255"
            )
        return self._as_pixels(values, whole=True)

    def _columns_of_array(self, array: NDArray[Any]) -> tuple[NDArray[Any], bool]:
        """Raw columns given as numbers `(m, n)` or `(n,)`, which only a table of numbers allows."""
        columns = self.columns or ()
        if words := [c.name for c in columns if c.levels]:
            raise DataError(
                f"X is an array of numbers, but column '{words[0]}' holds words; give a table or a DataFrame"
            )
        if array.ndim not in (1, 2) or array.shape[-1] != len(columns):
            names = ", ".join(c.name for c in columns[:8]) + (" …" if len(columns) > 8 else "")
            raise ShapeError(f"X has shape {array.shape}, the model was trained on {len(columns)} columns: {names}")
        rows = array.reshape(-1, len(columns)).astype(np.float64)
        for j, column in enumerate(columns):
            if column.fill is not None:
                rows[np.isnan(rows[:, j]), j] = column.fill
        return rows, array.ndim == 1

    def _shaped(self, array: NDArray[Any]) -> tuple[NDArray[Any], bool]:
        """`array` as rows `(m, *input_shape)`, and whether it was one sample."""
        shape = self.input_shape
        if array.shape in (shape, (self.n_inputs,)):
            return array.reshape(1, *shape), True
        if array.ndim and (array.shape[1:] in (shape, (self.n_inputs,)) or _same_image(array.shape[1:], shape)):
            return array.reshape(len(array), *shape), False
        if _same_image(array.shape, shape):
            return array.reshape(1, *shape), True
        raise ShapeError(
            f"X has shape {array.shape}, the model was trained on samples of shape {shape}; "
            f"X is (m, {', '.join(map(str, shape))})"
        )

    def _as_pixels(self, array: NDArray[Any], whole: bool) -> NDArray[Any]:
        """Whole numbers 0…255 as uint8; floats are taken as x/255 already, and must be 0…1.

        What a row means must not depend on its neighbours, so nothing is guessed from the largest value.
        """
        if array.dtype == np.uint8 or not array.size:
            return array
        checks.check_finite(array, "X")
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > (255 if whole else 1):
            raise DataError(
                f"X runs from {low:g} to {high:g}, but the model was trained on pixels; "
                "give whole numbers 0…255 (uint8), or floats 0…1"
            )
        return array.astype(np.uint8) if whole else array

    def _scaled(self, rows: NDArray[Any]) -> NDArray[Any]:
        if self.mean is None or self.scale is None:
            return rows
        whole = 255 if self.pixels and rows.dtype == np.uint8 else 1
        return standardise(rows, self.mean * whole, self.scale * whole)


def _is_table(X: Any) -> bool:
    return isinstance(X, Table | Mapping) or hasattr(X, "columns")


def _same_image(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether two shapes differ only in a channel dimension of 1 that one of them writes: 28x28 and 1x28x28."""
    return len(wanted) > 1 and [n for n in found if n != 1] == [n for n in wanted if n != 1]


def _same_length(rows: int, targets: int) -> None:
    if rows != targets:
        raise DataError(f"X has {rows} rows, t has {targets} targets; make them equal")
