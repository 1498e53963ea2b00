"""The columns of a table as a network reads them: numbers as they are, words one-hot; fitted on the training part."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.data.checks import MISSING
from deltarule.data.table import Table
from deltarule.errors import DataError

__all__ = ["Column", "column_numbers", "encode", "fit_columns", "is_whole", "number", "width"]

_MOST_LEVELS = 1000  # of a categorical column; more is an identifier or free text
_FEW_ROWS = 20  # below it, a different word in every row may still be a category


@dataclass(frozen=True)
class Column:
    """One raw column: `levels` empty means numeric, `fill` stands for a missing cell (None: missing is refused)."""

    name: str
    levels: tuple[str, ...] = ()
    fill: float | str | None = None

    @property
    def width(self) -> int:
        """How many inputs of the network the column becomes."""
        return len(self.levels) or 1


class _Parsed(NamedTuple):
    values: NDArray[np.float64]  # NaN where the cell is missing or a word
    missing: NDArray[np.bool_]
    words: NDArray[np.bool_]


def number(cell: str) -> float | None:
    """The number that a cell reads as, or None.

    >>> number("1e-3"), number("1_000"), number("12 cm")
    (0.001, None, None)
    """
    try:
        return float(cell) if "_" not in cell else None  # Python's own 1_000 is no number in a file
    except ValueError:
        return None


def is_whole(cell: str) -> bool:
    """Whether a cell reads as a whole number that int64 holds."""
    return re.fullmatch(r"[+-]?\d{1,18}", cell) is not None


def width(columns: Sequence[Column]) -> int:
    """How many inputs of the network the columns become together."""
    return sum(column.width for column in columns)


def _parse(cells: NDArray[Any]) -> _Parsed:
    values, missing, words = [], [], []
    for cell in cells.tolist():
        value = None if cell in MISSING else number(cell)
        values.append(np.nan if value is None else value)
        missing.append(cell in MISSING or value != value)
        words.append(value is None and cell not in MISSING)
    return _Parsed(np.array(values, dtype=np.float64), np.array(missing, dtype=bool), np.array(words, dtype=bool))


def fit_columns(table: Table, *, impute: bool) -> tuple[Column, ...]:
    """The columns of a training table: numeric where every cell that is not missing is a number, else categorical.

    Raises:
        DataError: missing cells (unless `impute`), an infinite number, a column of numbers with a few words among them,
            a column without any value, one with a different word in every row.
    """
    parsed = {name: _parse(cells) for name, cells in table.columns.items()}
    if not impute:
        _refuse_missing(table, {name: p.missing for name, p in parsed.items()})
    return tuple(_fit_column(table, name, p, impute) for name, p in parsed.items())


def _fit_column(table: Table, name: str, parsed: _Parsed, impute: bool) -> Column:
    there = int((~parsed.missing).sum())
    if not there:
        raise DataError(f"{table.origin}: column '{name}' has no value at all; remove it")
    if not parsed.words.any():
        _refuse_infinite(table, name, parsed.values)
        return Column(name, (), float(np.median(parsed.values[~parsed.missing])) if impute else None)
    first = int(np.flatnonzero(parsed.words)[0])
    cells: list[str] = table.columns[name][~parsed.missing].tolist()
    if (wrong := int(parsed.words.sum())) * 2 < there:
        raise DataError(
            f"{table.origin}, {table.place(first)}, column '{name}': '{_text(table, name, first)}' is not a number, "
            f"while {there - wrong} of {there} cells are; correct it, or write the categories so that none is a number"
        )
    counts = Counter(cells)
    if len(counts) > _MOST_LEVELS or (len(counts) == there > _FEW_ROWS):
        raise DataError(
            f"{table.origin}: column '{name}' has {len(counts)} different words in {there} rows; "
            "this is a name or free text, not a category; remove it"
        )
    levels = tuple(sorted(counts))
    return Column(name, levels, max(levels, key=counts.__getitem__) if impute else None)


def _text(table: Table, name: str, row: int) -> str:
    """A cell for a message, cut where it is long."""
    cell = str(table.columns[name][row])
    return cell if len(cell) <= 40 else cell[:39] + "…"


def encode(columns: Sequence[Column], table: Table) -> NDArray[np.float64]:
    """Raw rows → `(m, width)`: numbers as they are, each categorical column as its levels' 0 and 1.

    Raises:
        DataError: columns missing or too many, missing cells, a word for a number, a level unseen at training.
    """
    cells = _matched(columns, table)
    chosen = Table(cells, table.places, table.origin, table.unit, table.named)
    missing = {c.name: _missing(c, cells[c.name]) for c in columns if c.fill is None}
    _refuse_missing(chosen, missing)
    return np.concatenate([_encode_column(column, chosen) for column in columns], axis=1)


def _missing(column: Column, cells: NDArray[Any]) -> NDArray[np.bool_]:
    return np.array([cell in MISSING and cell not in column.levels for cell in cells.tolist()], dtype=bool)


def _encode_column(column: Column, table: Table) -> NDArray[np.float64]:
    cells = table.columns[column.name]
    if not column.levels:
        values = column_numbers(table, column.name, missing=column.fill is not None)
        return np.where(np.isnan(values), np.nan if column.fill is None else column.fill, values)[:, None]
    index = {level: k for k, level in enumerate(column.levels)}
    encoded = np.zeros((len(cells), len(index)))
    for row, cell in enumerate(cells.tolist()):
        if cell not in index and cell in MISSING:
            cell = column.fill
        if cell not in index:
            near = difflib.get_close_matches(cell[:100], column.levels, n=1)
            known = ", ".join(column.levels[:8]) + (" …" if len(column.levels) > 8 else "")
            raise DataError(
                f"{table.origin}, {table.place(row)}, column '{column.name}': '{_text(table, column.name, row)}' "
                f"was not there at training{f'; did you mean {near[0]!r}?' if near else ''} (known: {known})"
            )
        encoded[row, index[cell]] = 1.0
    return encoded


def column_numbers(table: Table, name: str, *, missing: bool) -> NDArray[np.float64]:
    """The numbers of one column `(m,)`; NaN where a cell is missing, if that is allowed."""
    parsed = _parse(table.columns[name])
    if parsed.words.any():
        row = int(np.flatnonzero(parsed.words)[0])
        cell = _text(table, name, row)
        raise DataError(f"{table.origin}, {table.place(row)}, column '{name}': '{cell}' is not a number; correct it")
    if not missing:
        _refuse_missing(table, {name: parsed.missing})
    _refuse_infinite(table, name, parsed.values)
    return parsed.values


def _refuse_infinite(table: Table, name: str, values: NDArray[np.float64]) -> None:
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise DataError(
            f"{table.origin}, {table.place(row)}, column '{name}': '{_text(table, name, row)}' is infinite; "
            "correct or remove the row"
        )


def _refuse_missing(table: Table, missing: dict[str, NDArray[np.bool_]]) -> None:
    holes = {name: mask for name, mask in missing.items() if mask.any()}
    if not holes:
        return
    said = [
        f"column '{name}' has {mask.sum()} missing cell{'s' if mask.sum() > 1 else ''} "
        f"(first in {table.place(int(np.flatnonzero(mask)[0]))})"
        for name, mask in holes.items()
    ]
    more = f", and {len(said) - 5} columns more" if len(said) > 5 else ""
    raise DataError(
        f"{table.origin}: {', '.join(said[:5])}{more}; fill them, remove the rows, or train with impute (--impute): "
        "the median for numbers, the most frequent word for words"
    )


def _matched(columns: Sequence[Column], table: Table) -> dict[str, NDArray[Any]]:
    """The table's cells under the columns' names: by name, or by position where the file had no header."""
    wanted = [column.name for column in columns]
    if not table.named and len(wanted) == len(table.names):
        return dict(zip(wanted, table.columns.values()))
    lacking = [name for name in wanted if name not in table.names]
    extra = [name for name in table.names if name not in wanted]
    if not lacking and not extra:
        return {name: table.columns[name] for name in wanted}
    said = [f"lacks {_listed(lacking)}"] if lacking else []
    said += [f"has {_listed(extra)}, which the model does not know"] if extra else []
    raise DataError(
        f"{table.origin}: {' and '.join(said)}; the model was trained on {len(wanted)} columns: {_listed(wanted)}"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
