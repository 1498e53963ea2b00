"""What every array of data must be before it is used: numeric, not empty, finite. A complaint names row and column.

Arrays are looked at in chunks of rows, so that a memory-mapped file larger than the memory passes through.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import DataError

__all__ = ["MISSING", "check_finite", "chunks", "is_missing", "numeric", "reading", "row_numbers", "rows", "targets"]

CHUNK = 1 << 20  # numbers looked at in one go: 8 MB of float64

MISSING = frozenset(("", "?", "NA", "N/A", "n/a", "<NA>", "NaN", "nan", "null", "NULL", "None"))
"""The cells that stand for a missing value."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the operating system says about `path` into a `DataError` that names it."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except PermissionError:
        raise DataError(f"{path}: no permission to read it") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def chunks(X: NDArray[Any], which: NDArray[np.int64] | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
    """Rows of `X` (those that are named) a chunk at a time, each with the number of its first row."""
    step = max(1, CHUNK // max(1, X.size // max(1, len(X))))
    for start in range(0, len(X) if which is None else len(which), step):
        part = slice(start, start + step)
        yield start, np.asarray(X[part if which is None else which[part]])


def check_finite(X: NDArray[Any], what: str) -> None:
    """Refuse NaN and infinity in `X`, naming the first; `what` begins the message.

    >>> check_finite(np.array([[1.0, 2.0], [3.0, np.nan]]), "rows.npy")
    Traceback (most recent call last):
    deltarule.errors.DataError: rows.npy: row 1, column 1 is nan (counted from 0); correct or remove the row
    """
    if X.dtype.kind not in "fc":
        return
    for start, part in chunks(X):
        if np.isfinite(part).all():
            continue
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(part))[0])
        place = {1: "", 2: f", column {first[-1]}"}.get(X.ndim, f", position {first[1:]}")
        raise DataError(
            f"{what}: row {start + first[0]}{place} is {part[first]} (counted from 0); correct or remove the row"
        )


def numeric(X: Any, what: str) -> NDArray[Any]:
    """`X` as float32, float64 or uint8: as it is where it is one of these, else as the float that holds its numbers."""
    array = X if isinstance(X, np.memmap) else _array(X, what)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "b":
        raise DataError(f"{what}: holds truth values (bool), not numbers; store them as float32 0 and 1")
    if kind not in "fiu":
        raise DataError(f"{what}: holds {_kind(array)}, not numbers; store it as float32, float64 or uint8")
    if array.dtype == np.uint8:
        return array
    small = size <= 4 if kind == "f" else size <= 2  # these fit into a float32 exactly
    with np.errstate(over="ignore"):  # a long double beyond float64 becomes inf, which is refused by name
        return array.astype(np.float32 if small else np.float64, copy=False)


def rows(X: Any, what: str) -> NDArray[Any]:
    """`X` as rows `(m, …)`: numeric, m ≥ 1, at least one feature, finite.

    >>> rows([[1, 2], [3, 4]], "X").dtype
    dtype('float64')
    """
    array = numeric(X, what)
    if array.ndim < 2:
        raise DataError(
            f"{what}: has shape {array.shape}, but rows (m, n) are expected; "
            "one row is reshape(1, -1), one column reshape(-1, 1)"
        )
    if array.size == 0:
        raise DataError(f"{what}: is empty, shape {array.shape}; at least one row and one column are needed")
    check_finite(array, what)
    return array


def targets(t: Any, what: str) -> NDArray[Any]:
    """`t` as targets `(m,)` or `(m, K)`: whole numbers, floats, truth values or words, none of them missing.

    >>> targets([[3.0], [4.0]], "t")
    array([3., 4.])
    """
    array = _array(t, what)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2):
        raise DataError(f"{what}: has shape {array.shape}; targets are (m,) or (m, K)")
    if array.size == 0:
        raise DataError(f"{what}: is empty, shape {array.shape}; at least one target is needed")
    if array.dtype.kind in "SUO":
        array = _words(array, what)
    if array.dtype.kind not in "biufU":
        raise DataError(f"{what}: holds {_kind(array)}; targets are numbers or words")
    check_finite(array, what)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def row_numbers(which: Any, m: int) -> NDArray[np.int64]:
    """Numbers of some of m rows, each once.

    >>> row_numbers([2, 0], 3)
    array([2, 0])
    """
    found = _array(which, "rows")
    if found.ndim != 1 or found.dtype.kind not in "iu" or not len(found):
        raise DataError("rows are the numbers of the rows meant, a vector of integers that is not empty")
    if found.min() < 0 or found.max() >= m or len(np.unique(found)) < len(found):
        raise DataError(f"rows are numbers from 0 to {m - 1}, each once")
    return found.astype(np.int64)


def is_missing(value: Any) -> bool:
    """Whether a Python value stands for nothing: None, NaN, and pandas' NA and NaT, without importing pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real) and bool(value != value)


def _array(X: Any, what: str) -> NDArray[Any]:
    try:
        return np.asarray(X)
    except (ValueError, TypeError) as error:
        raise DataError(f"{what}: is not an array ({str(error).partition('.')[0]})") from None


def _kind(array: NDArray[Any]) -> str:
    kinds = {"c": "complex numbers", "O": "Python objects", "U": "words", "S": "bytes", "M": "dates", "m": "time spans"}
    return kinds.get(array.dtype.kind, f"records of type {array.dtype}")


def _words(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Targets that came as words, bytes or Python objects (pandas): all words, or all numbers."""
    values = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in array.ravel().tolist()]
    for i, value in enumerate(values):
        if is_missing(value) or (isinstance(value, str) and value.strip() in MISSING):
            row = i // (array.size // len(array))
            raise DataError(f"{what}: the target of row {row} (counted from 0) is missing; fill it or remove the row")
    if not all(isinstance(v, str) for v in values) and not all(isinstance(v, bool | Real) for v in values):
        raise DataError(f"{what}: holds Python objects of several kinds; targets are all numbers or all words")
    found = np.array(values).reshape(array.shape)
    if found.dtype.kind == "U" and found.ndim == 2:
        raise DataError(f"{what}: has shape {array.shape} of words; one label a row is expected, (m,)")
    return found
