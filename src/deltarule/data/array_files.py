"""NumPy's files: `.npz` (several arrays, zipped) and `.npy` (one, memory-mapped). No pickle is ever opened.

The headers are read by NumPy's own functions, which evaluate nothing; the content is taken as plain numbers here, so
that no code path leads to pickle, and a header that claims more than the file holds asks for no memory.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.data.checks import reading, rows, targets
from deltarule.data.dataset import Dataset
from deltarule.data.idx import DEFLATE_RATIO, exactly
from deltarule.data.sequences import lengths_of, sequences, targets_of_sequences
from deltarule.errors import DataError

__all__ = ["read_npy", "read_npz"]

_LONGEST_HEADER = 10_000  # NumPy's own limit
_X_NAMES, _T_NAMES = ("X", "x", "data", "X_train", "x_train"), ("t", "y", "labels", "target", "t_train", "y_train")
_X_TEST, _T_TEST = ("X_test", "x_test"), ("t_test", "y_test")
_LENGTHS, _LENGTHS_TEST = "lengths", "lengths_test"


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    offset: int  # of the first number

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _header(stream: IO[bytes], what: str) -> _Header:
    head = io.BytesIO(stream.read(_LONGEST_HEADER + 12))
    if not head.getbuffer().nbytes:
        raise DataError(f"{what}: is empty")
    try:
        version = np.lib.format.read_magic(head)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = read(head)
    except (ValueError, TypeError, KeyError, SyntaxError, OverflowError, RecursionError, struct.error) as error:
        raise DataError(f"{what}: has no header of a NumPy array ({str(error).partition(':')[0]})") from None
    if dtype.hasobject:
        raise DataError(
            f"{what}: holds Python objects, which only pickle reads, and no pickle is opened; save numbers or words"
        )
    if any(n < 0 for n in shape):
        raise DataError(f"{what}: the header says shape {shape}")
    if dtype.itemsize == 0 or 0 in shape:
        raise DataError(f"{what}: is empty, shape {shape}")
    return _Header(shape, fortran, dtype, head.tell())


def _map_npy(path: Path) -> NDArray[Any]:
    """The array of an `.npy` file, memory-mapped, read only."""
    with reading(path), path.open("rb") as file:
        header = _header(file, str(path))
        size = path.stat().st_size
        if size - header.offset < header.nbytes:
            raise DataError(
                f"{path}: is truncated: the header says shape {header.shape}, {header.nbytes} bytes, "
                f"and {size - header.offset} follow"
            )
        order: Any = "F" if header.fortran else "C"
        return np.memmap(file, header.dtype, "r", header.offset, header.shape, order)


def read_npy(path: Path, *, target: str | None = None, with_targets: bool = True) -> Dataset:
    """Rows `(m, …)` of an `.npy` file, memory-mapped; `target` is the number of a column, or another `.npy` file."""
    X, t, source = _map_npy(path), None, {"kind": "npy", "path": str(path.absolute())}
    if with_targets and target is None:
        raise DataError(
            f"{path}: holds rows and no targets; name a column (0, 1, …, -1) or another .npy file as target"
        )
    if with_targets and target is not None:
        source["target"] = target
        try:
            column = int(target)
        except ValueError:
            source["target"] = str(Path(target).absolute())
            t = targets(_map_npy(Path(target)), target)
        else:
            X, t = _take_column(X, column, str(path))
    return Dataset(path.stem, rows(X, str(path)), t, source=source)


def _take_column(X: NDArray[Any], column: int, what: str) -> tuple[NDArray[Any], NDArray[Any]]:
    if X.ndim != 2 or X.shape[1] < 2:
        raise DataError(f"{what}: has shape {X.shape}; a column can be the target where there are two or more")
    n = X.shape[1]
    if not -n <= column < n:
        raise DataError(f"{what}: there is no column {column}; the {n} columns are 0 … {n - 1} (-1 is the last)")
    column %= n
    t = targets(np.array(X[:, column]), f"{what}, column {column}")
    if column in (0, n - 1):  # the rest is a view and stays mapped
        return (X[:, 1:] if column == 0 else X[:, :-1]), t
    return np.delete(X, column, axis=1), t


def read_npz(
    path: Path, *, target: str | None = None, with_targets: bool = True, of_sequences: bool = False
) -> Dataset:
    """The arrays of an `.npz` file: X (x, data), t (y, labels, target), and X_test, t_test where they are there.

    `target` names the array of the targets where it is called otherwise. Of sequences (see data/sequences.py) lengths
    and lengths_test may stand beside them.
    """
    names = _T_NAMES if target is None else (target,)
    with _Archive(path) as archive:
        if not of_sequences and _LENGTHS in archive.members:
            warnings.warn(
                f"{path} holds lengths, as of sequences, and is read as rows; a network over seq takes sequences",
                UserWarning, stacklevel=2,
            )  # fmt: skip
        X, t, lengths = archive.part(_X_NAMES, names, _LENGTHS, "", with_targets, of_sequences)
        test, test_lengths = None, None
        if set(archive.members) & {*_X_TEST, *_T_TEST}:
            own = " of the test split"
            rest, test_t, test_lengths = archive.part(_X_TEST, _T_TEST, _LENGTHS_TEST, own, with_targets, of_sequences)
            if rest.shape[1 + of_sequences :] != X.shape[1 + of_sequences :]:
                raise DataError(f"{path}: rows of training are {X.shape[1:]}, of the test split {rest.shape[1:]}")
            test = (rest, test_t)
    source = {"kind": "npz", "path": str(path.absolute())} | ({"target": target} if target is not None else {})
    return Dataset(path.stem, X, t, test, source, lengths=lengths, test_lengths=test_lengths)


def _one_of(found: Iterable[str], wanted: tuple[str, ...], path: Path, what: str) -> str:
    names = [name for name in wanted if name in found]
    if len(names) == 1:
        return names[0]
    if names:
        raise DataError(f"{path}: {' and '.join(names)} could both be {what}; keep or name one")
    held = ", ".join(found) or "no arrays"
    raise DataError(f"{path}: has no array {' or '.join(wanted)} for {what}; it holds {held}")


class _Archive:
    """A zip of `.npy` members, each read in full on demand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path):
            if not path.stat().st_size:
                raise DataError(f"{path}: is empty")
            try:
                self.zip = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
                raise DataError(f"{path}: is no .npz file, or a truncated one ({error})") from None
        infos = self.zip.infolist()
        self.members: Mapping[str, zipfile.ZipInfo] = {
            info.filename.removesuffix(".npy"): info for info in infos if info.filename.endswith(".npy")
        }

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.zip.close()

    def part(
        self, x_names: tuple[str, ...], t_names: tuple[str, ...], lengths: str, which: str, with_targets: bool,
        of_sequences: bool,
    ) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]:  # fmt: skip
        """(X, t, lengths) under these names; t and lengths where they are wanted and there."""
        x_name, t = _one_of(self.members, x_names, self.path, f"the rows{which}"), None
        what = f"{self.path}, {x_name}"
        X = sequences(self.read(x_name), what) if of_sequences else rows(self.read(x_name), what)
        if with_targets:
            t_name = _one_of(self.members, t_names, self.path, f"the targets{which}")
            what = f"{self.path}, {t_name}"
            t = targets_of_sequences(self.read(t_name), X, what) if of_sequences else targets(self.read(t_name), what)
        if not of_sequences or lengths not in self.members:
            return X, t, None
        return X, t, lengths_of(self.read(lengths), len(X), X.shape[1], f"{self.path}, {lengths}")

    def read(self, name: str) -> NDArray[Any]:
        info, what = self.members[name], f"{self.path}, {name}"
        try:
            with reading(self.path), self.zip.open(info) as stream:
                header = _header(stream, what)
            if header.nbytes > info.compress_size * DEFLATE_RATIO:
                content: bytes | bytearray = b""  # a false header must not ask for memory
            else:
                with reading(self.path), self.zip.open(info) as stream:
                    exactly(stream, header.offset)
                    content = exactly(stream, header.nbytes)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error) as error:
            raise DataError(f"{what}: is corrupt or truncated ({error})") from None
        if len(content) < header.nbytes:
            raise DataError(f"{what}: is truncated: the header says shape {header.shape}, {header.nbytes} bytes")
        return np.frombuffer(content, header.dtype).reshape(header.shape, order="F" if header.fortran else "C")
