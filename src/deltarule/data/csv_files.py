"""CSV and TSV files: a header, then one row a line; every complaint names the line (from 1) and the column."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.data.checks import MISSING, reading
from deltarule.data.columns import is_whole, number
from deltarule.data.dataset import Dataset
from deltarule.data.table import Table
from deltarule.errors import DataError

__all__ = ["read_csv", "read_table"]


def read_csv(path: Path, *, target: str | None = None, with_targets: bool = True) -> Dataset:
    """A CSV (.csv) or TSV (.tsv) file as a table; `target` is the name or the number of a column.

    Without targets, a column of the target's name is left out where the file has it.
    """
    table = read_table(path)
    source = {"kind": "csv", "path": str(path.absolute())} | ({"target": target} if target is not None else {})
    t = None
    if with_targets:
        name = _target_column(table, target)
        t = _targets(table, name)
        table = table.without(name)
    elif target in table.names and table.named:
        table = table.without(str(target))
    if not table.names:
        raise DataError(f"{path}: has no column beside the target '{target}'; there is nothing to learn from")
    return Dataset(path.stem, table, t, source=source, feature_names=table.names)


def read_table(path: Path) -> Table:
    r"""The cells of a CSV or TSV file.

    A first line of numbers only is data, and the columns are called "column 0", "column 1", …; any other first line is
    the header. `;` separates where a header has it and no comma.

    Raises:
        DataError: not text, an empty file, ragged rows, broken quotes, columns without a name or with the same one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "towns.csv"
    ...     _ = file.write_text('name,height\n"Graz, Styria",353\n')
    ...     read_table(file).columns["name"][0]
    'Graz, Styria'
    """
    with reading(path):
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                lines = list(_lines(file, path))
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: byte {error.start} is not UTF-8 text; save the file as UTF-8") from None
    if not lines:
        raise DataError(f"{path}: is empty")
    named = not all(number(cell) is not None for cell in lines[0][1])
    header = lines.pop(0)[1] if named else [f"column {i}" for i in range(len(lines[0][1]))]
    if named:
        _check_header(header, path)
    if not lines:
        raise DataError(f"{path}: has a header and no rows; at least one row is needed")
    for place, cells in lines:
        if len(cells) != len(header):
            raise DataError(f"{path}, line {place}: has {len(cells)} cells, the header has {len(header)} columns")
    grid = np.array([row for _, row in lines], dtype=object).reshape(len(lines), len(header))
    columns = {name: grid[:, i] for i, name in enumerate(header)}
    return Table(columns, np.array([place for place, _ in lines]), str(path), "line", named)


def _lines(file: Any, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line at which it begins; blank lines only pass at the beginning and the end."""
    separator = "\t" if path.suffix.lower() == ".tsv" else _separator(file)
    # strict: without it an open quote would swallow the rest of the file into one cell
    reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
    place, width, blank = 1, 0, 0
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not row or (cells == [""] and width != 1):
                blank = blank or place
            elif blank and width:
                raise DataError(f"{path}, line {blank}: is blank between rows; remove it, or write the missing row")
            elif any("\0" in cell for cell in cells):
                raise DataError(f"{path}, line {place}: holds a zero byte; this is no text file")
            else:
                width, blank = width or len(cells), 0
                yield place, cells
            place = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {place}: is not CSV ({error}); check its quotes") from None


def _separator(file: Any) -> str:
    first = file.readline()
    file.seek(0)
    return ";" if ";" in first and "," not in first else ","


def _check_header(header: list[str], path: Path) -> None:
    for i, name in enumerate(header):
        if not name:
            raise DataError(
                f"{path}, line 1: column {i} (counted from 0) has no name; name it, or remove the column "
                "(pandas writes its row numbers so: to_csv(index=False))"
            )
        if number(name) is not None:
            raise DataError(
                f"{path}, line 1: mixes words and numbers ('{name}'), so it is no header; "
                "add a first line that names every column"
            )
        if name in header[:i]:
            raise DataError(f"{path}, line 1: two columns are named '{name}'; rename one")


def _target_column(table: Table, target: str | None) -> str:
    names = table.names
    known = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    if target is None:
        raise DataError(f"{table.origin}: which column is the target? Name it (--target); the columns are {known}")
    if target in names:
        return target
    if re.fullmatch(r"-?\d+", target):
        if not -len(names) <= int(target) < len(names):
            raise DataError(
                f"{table.origin}: there is no column {target}; the {len(names)} columns are 0 … {len(names) - 1} "
                "(-1 is the last)"
            )
        return names[int(target)]
    if not table.named:
        raise DataError(
            f"{table.origin}: has no header, so the target '{target}' cannot be found by name; add a header, or give "
            f"its number, 0 … {len(names) - 1}"
        )
    near = difflib.get_close_matches(target.lower(), [name.lower() for name in names], n=1, cutoff=0.6)
    hint = next((f"; did you mean '{name}'?" for name in names if [name.lower()] == near), "")
    raise DataError(f"{table.origin}: there is no column '{target}' for the target{hint} (columns: {known})")


def _targets(table: Table, name: str) -> NDArray[Any]:
    """The target's cells: whole numbers where all are, floats where all are numbers, else words."""
    cells: list[str] = table.columns[name].tolist()
    for row, cell in enumerate(cells):
        if cell in MISSING:
            raise DataError(
                f"{table.origin}, {table.place(row)}: the target '{name}' is missing; fill it or remove the row"
            )
    if all(map(is_whole, cells)):
        return np.array([int(cell) for cell in cells], dtype=np.int64)
    values = [number(cell) for cell in cells]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        return np.array(cells)
    found = np.array(numbers)
    if len(bad := np.flatnonzero(~np.isfinite(found))):
        raise DataError(
            f"{table.origin}, {table.place(int(bad[0]))}: the target '{name}' is {found[bad[0]]}; "
            "correct or remove the row"
        )
    return found
