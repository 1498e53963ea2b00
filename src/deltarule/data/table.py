"""A table of cells as they were written: named columns of words, each row knowing where it came from."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deltarule.data.checks import is_missing
from deltarule.errors import DataError

__all__ = ["Inputs", "Table"]


@dataclass(frozen=True, eq=False)
class Table:
    """Columns by name, each `(m,)` of str cells, stripped of outer blanks; "" is missing.

    `places` numbers the rows for messages: lines of a file (from 1), or rows (from 0); a selection keeps them.
    `named` is False when a file had no header, so that its columns can be matched by position only.

    >>> table = Table.of({"age": [31, 4.5], "town": ["Graz", None]})
    >>> len(table), table.names, table[[1]].columns["town"].tolist(), table[[1]].place(0)
    (2, ('age', 'town'), [''], 'row 1 (counted from 0)')
    """

    columns: Mapping[str, NDArray[Any]]
    places: NDArray[np.int64]
    origin: str = "the table"
    unit: str = "row"
    named: bool = field(default=True)

    @staticmethod
    def of(data: Any, origin: str = "the table") -> Table:
        """A table from a mapping of columns, a pandas DataFrame, or a table (itself).

        Args:
            data: name → `(m,)` values (numbers, words, None or NaN where missing); scalars make one row.
            origin: what messages call the data.

        Raises:
            DataError: columns of several lengths, two of one name, none at all, cells that are no number and no word.
        """
        if isinstance(data, Table):
            return data
        names = list(data.columns) if hasattr(data, "columns") else list(data)
        labels = [str(name) for name in names]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise DataError(f"{origin}: two columns are named '{twice[0]}'; rename one")
        columns = {label: _cells(data[name], label, origin) for name, label in zip(names, labels)}
        lengths = {label: len(cells) for label, cells in columns.items()}
        if not columns or not max(lengths.values()):
            raise DataError(f"{origin}: is empty; at least one row and one column are needed")
        if len(set(lengths.values())) > 1:
            first, other = labels[0], next(k for k in labels if lengths[k] != lengths[labels[0]])
            raise DataError(
                f"{origin}: column '{first}' has {lengths[first]} rows, '{other}' has {lengths[other]}; make them equal"
            )
        return Table(columns, np.arange(lengths[labels[0]]), origin)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(self.columns)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: Any) -> Table:
        """The table of the chosen rows: a slice, numbers or a mask; one number gives a table of one row."""
        if not isinstance(rows, slice):
            rows = np.atleast_1d(np.asarray(rows))
            rows = rows.astype(np.int64) if rows.size == 0 else rows
        chosen = {name: cells[rows] for name, cells in self.columns.items()}
        return replace(self, columns=chosen, places=self.places[rows])

    def without(self, name: str) -> Table:
        """The table less one column."""
        return replace(self, columns={k: cells for k, cells in self.columns.items() if k != name})

    def place(self, row: int) -> str:
        """Where a row stands, for a message: 'line 17', 'row 3 (counted from 0)'."""
        return f"{self.unit} {self.places[row]}{' (counted from 0)' if self.unit == 'row' else ''}"


Inputs: TypeAlias = NDArray[Any] | Table
"""The raw inputs of a data set: rows of numbers `(m, …)`, or a table."""


def _cells(values: Any, name: str, origin: str) -> NDArray[Any]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        values = [values]
    column = np.asarray(values, dtype=object) if not isinstance(values, np.ndarray) else values.astype(object)
    if column.ndim != 1:
        raise DataError(f"{origin}: column '{name}' has shape {column.shape}; a column is (m,)")
    cells = np.empty(len(column), dtype=object)
    for i, value in enumerate(column):
        cells[i] = _cell(value, i, name, origin)
    return cells


def _cell(value: Any, row: int, name: str, origin: str) -> str:
    """A value as it would be written in a file; repr of a float loses nothing."""
    if isinstance(value, str):
        return value.strip()
    if is_missing(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        return repr(float(value))
    raise DataError(
        f"{origin}: column '{name}', row {row} (counted from 0) holds a {type(value).__name__}; "
        "cells are numbers or words"
    )
