"""IDX files, gzip or not, and folders of them under MNIST's names.

    magic (0, 0, type, number of dimensions) | each dimension, uint32 big-endian | the numbers, row by row, big-endian

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "File formats".
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from deltarule.data.checks import reading, rows, targets
from deltarule.data.dataset import Dataset
from deltarule.errors import DataError

__all__ = [
    "DEFLATE_RATIO", "exactly", "is_idx_name", "looks_like_idx", "read_idx", "read_idx_file", "read_idx_folder",
]  # fmt: skip

DEFLATE_RATIO = 1032
"""Deflate packs at most this many bytes into one: what bounds a header's claim in a packed file."""

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 8
_NAME = re.compile(r"(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(\.gz)?", re.IGNORECASE)


def is_idx_name(name: str) -> bool:
    """Whether a file has one of MNIST's names, as in an IDX folder."""
    return _NAME.fullmatch(name) is not None


def looks_like_idx(path: Path) -> bool:
    """Whether the name or the first bytes of a file say IDX."""
    if re.search(r"[-.]idx\d?(-ubyte)?(\.gz)?$|-ubyte(\.gz)?$", path.name, re.IGNORECASE):
        return True
    with reading(path), path.open("rb") as file:
        first = file.read(4)
    return len(first) == 4 and first[:2] == b"\0\0" and first[2] in _TYPES and 0 < first[3] <= _MOST_DIMENSIONS


def read_idx(path: Path) -> NDArray[Any]:
    """The array of one IDX file, in the file's type, native byte order.

    Raises:
        DataError: no IDX magic, an unknown type, a truncated file, more bytes than the header says, a broken gzip.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "labels-idx1-ubyte"
    ...     _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(file)
    array([7, 2, 1], dtype=uint8)
    """
    with reading(path):
        size = path.stat().st_size
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        try:
            with gzip.open(path, "rb") if packed else path.open("rb") as stream:
                return _read(stream, path, size * DEFLATE_RATIO if packed else size)  # type: ignore[arg-type]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: the gzip stream is truncated or corrupt ({error}); fetch it again") from None


def _read(stream: IO[bytes], path: Path, room: int) -> NDArray[Any]:
    magic = stream.read(4)
    if len(magic) < 4:
        raise DataError(f"{path}: is {'empty' if not magic else 'shorter than the 4 bytes of an IDX magic'}")
    if magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        known = ", ".join(f"{code:02x}" for code in _TYPES)
        raise DataError(f"{path}: begins with {magic.hex(' ')}, an IDX file with 00 00, a type ({known}), dimensions")
    if not 0 < magic[3] <= _MOST_DIMENSIONS:
        raise DataError(f"{path}: the header says {magic[3]} dimensions; 1 to {_MOST_DIMENSIONS} are expected")
    header = exactly(stream, 4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise DataError(f"{path}: is truncated within its header of {4 + 4 * magic[3]} bytes")
    shape = tuple(int(n) for n in np.frombuffer(header, ">u4"))
    dtype = np.dtype(_TYPES[magic[2]])
    need = math.prod(shape) * dtype.itemsize
    if need == 0:
        raise DataError(f"{path}: is an empty set, shape {shape}")
    content = exactly(stream, need) if need <= room else b""  # a false header must not ask for memory
    said = f"the header says {' x '.join(map(str, shape))} numbers, {need} bytes"
    if len(content) < need:
        raise DataError(f"{path}: is truncated: {said}, and fewer follow; fetch it again")
    if stream.read(1):
        raise DataError(f"{path}: {said}, and more follow; the file or its header is wrong")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def exactly(stream: IO[bytes], need: int) -> bytes | bytearray:
    """`need` bytes, or fewer where the stream ends: memory grows with what is there, not with what was announced."""
    found = bytearray()
    while len(found) < need:
        part = stream.read(min(need - len(found), 1 << 20))
        if not part:
            break
        found += part
    return found


def read_idx_file(path: Path, *, target: str | None = None, with_targets: bool = True) -> Dataset:
    """One IDX file of rows to predict; with targets, `target` is the IDX file of the labels."""
    if with_targets and target is None:
        raise DataError(
            f"{path}: one IDX file holds no targets; name the folder, or the labels' IDX file as the target"
        )
    labels = Path(target) if with_targets and target is not None else None
    source = {"kind": "idx", "path": str(path.absolute())} | ({"target": str(labels.absolute())} if labels else {})
    name = path.name.removesuffix(".gz")
    X, t = _pair(path, labels)
    return Dataset(name, X, t, source=source)


def read_idx_folder(folder: Path, *, target: str | None = None, with_targets: bool = True) -> Dataset:
    """A folder of IDX files under MNIST's names: `train-*` is X `(m, …)` and t `(m,)`, `t10k-*` the test split."""
    if target is not None and with_targets:
        raise DataError(f"{folder}: an IDX folder has its own labels; leave out the target '{target}'")
    with reading(folder):
        entries = sorted(p for p in folder.iterdir() if p.is_file())
    found: dict[tuple[str, str], Path] = {}
    for entry in entries:
        if match := _NAME.fullmatch(entry.name):
            split, what = match[1].lower(), match[2].lower()
            found.setdefault(("train" if split == "train" else "t10k", what), entry)  # the unpacked sorts first
    if not found:
        seen = ", ".join(p.name for p in entries[:5]) or "nothing"
        raise DataError(
            f"{folder}: has no IDX files (train-images-idx3-ubyte, train-labels-idx1-ubyte, .gz or not) and no images "
            f"(a folder a class); it holds {seen}{' …' if len(entries) > 5 else ''}; name a file in it, or another "
            "folder"
        )
    test = None
    if any(split == "t10k" for split, _ in found):
        test = _split(folder, found, "t10k", with_targets)
    X, t = _split(folder, found, "train", with_targets)
    if test is not None and test[0].shape[1:] != X.shape[1:]:
        raise DataError(f"{folder}: training images are {X.shape[1:]}, test images {test[0].shape[1:]}")
    path = folder.resolve()
    return Dataset(path.name or "data", X, t, test, {"kind": "idx-folder", "path": str(path)})


def _split(
    folder: Path, found: dict[tuple[str, str], Path], split: str, with_targets: bool
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    for what, dimensions in (("images", 3), ("labels", 1)) if with_targets else (("images", 3),):
        if (split, what) not in found:
            have = ", ".join(sorted(p.name for p in found.values()))
            raise DataError(f"{folder}: {split}-{what}-idx{dimensions}-ubyte (or .gz) is missing; it has {have}")
    return _pair(found[split, "images"], found[split, "labels"] if with_targets else None)


def _pair(images: Path, labels: Path | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
    X = rows(read_idx(images), str(images))
    if labels is None:
        return X, None
    t = targets(read_idx(labels), str(labels))
    if t.ndim != 1:
        raise DataError(f"{labels}: has shape {t.shape}; labels are one number a row")
    if len(X) != len(t):
        raise DataError(f"{images} holds {len(X)} images, {labels} {len(t)} labels; they do not belong together")
    return X, t
