"""Model and checkpoint files: safetensors with a metadata key that holds JSON. Reading executes nothing.

    model       {"deltarule": JSON text: format, network, cost, dtype, …}
                arrays "1.W", "1.b", …  and "preprocessing.mean", … where the model has them
    checkpoint  {"deltarule checkpoint": JSON text, "sha256": of that text and of every array}
    estimator   {"deltarule estimator": JSON text, "sha256": likewise}

What the JSON must hold is said by whoever writes it (network.py, checkpoint.py); here stand the container, how it comes
to disk whole or not at all, and its faults. What a reader takes is bounded by the file's own size.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import FileFormatError, NewerFormatError

__all__ = [
    "CHECKPOINT", "ESTIMATOR", "MODEL", "Kind", "as_text", "check_arrays", "fields", "leftovers", "read", "sweep",
    "write", "write_bytes",
]  # fmt: skip


class Kind(NamedTuple):
    """A kind of file: its metadata key, what it is called, the newest format, and whether it holds a checksum."""

    key: str
    name: str
    format: int
    checksum: bool


MODEL = Kind("deltarule", "model", 1, False)
CHECKPOINT = Kind("deltarule checkpoint", "checkpoint", 1, True)
ESTIMATOR = Kind("deltarule estimator", "estimator", 1, True)
READ_BY = {MODEL: "load", CHECKPOINT: "train(resume=True)", ESTIMATOR: "MLPClassifier.load or MLPRegressor.load"}

CHECKSUM = "sha256"
LONGEST_HEADER = 1 << 22  # bytes of the container's header, metadata included
MOST_VALUES = 300_000  # in the JSON: a list in it takes thirty times its text
MOST_ARRAYS = 10_000


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all: a temporary neighbour, flushed, then renamed, and the name flushed too."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
        _flush_names(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise type(error)(error.errno, error.strerror, str(path)) from None  # not the temporary's name
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _flush_names(folder: Path) -> None:
    """A renamed file survives a power cut once its folder is flushed, where folders can be."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows
        return
    try:
        with suppress(OSError):  # not every file system can
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def leftovers(folder: Path, name: str) -> list[Path]:
    """Temporary neighbours of files of that name (a pattern) that a killed writer left."""
    return [path for path in folder.glob(f".{name}.????????") if path.is_file()]


def sweep(folder: Path, name: str) -> None:
    """Remove those leftovers."""
    for path in leftovers(folder, name):
        path.unlink(missing_ok=True)


def write(
    path: str | Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any], kind: Kind = MODEL
) -> None:
    """Write arrays and metadata; the format version is added."""
    from safetensors.numpy import save

    contiguous = {name: np.require(a, requirements="C") for name, a in arrays.items()}  # strided ones are scrambled
    text = as_text(path, metadata, kind)
    header = {kind.key: text} | ({CHECKSUM: _digest(text, contiguous)} if kind.checksum else {})
    write_bytes(path, save(contiguous, header))


def as_text(path: str | Path, metadata: Mapping[str, Any], kind: Kind = MODEL) -> str:
    """The metadata as a file holds them; a FileFormatError where no file could."""
    text = json.dumps({"format": kind.format, **metadata}, ensure_ascii=False, allow_nan=False)
    _check_size(path, text)
    return text


def _digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 (hex) over the metadata and every array with its name, type and shape."""
    digest = hashlib.sha256(text.encode())
    for name, a in sorted(arrays.items()):
        digest.update(f"{name} {a.dtype.str} {a.shape};".encode())
        digest.update(a.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def read(path: str | Path, kind: Kind = MODEL) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the metadata of a file of that kind.

    Raises:
        FileFormatError: the file is absent, corrupt, foreign, or of a newer format.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        what = f"a folder, not a {kind.name} file" if path.is_dir() else f"there is no such {kind.name} file"
        raise FileFormatError(f"{path}: {what}")
    try:
        with path.open("rb") as f:
            longest = int.from_bytes(f.read(8), "little")
        if longest > LONGEST_HEADER:
            raise ValueError(f"it claims a header of {longest:,} bytes, and at most {LONGEST_HEADER:,} are read")
        with safe_open(path, framework="numpy") as f:
            header = f.metadata() or {}
            others = [f"{k.name}: {by} reads it" for k, by in READ_BY.items() if k.key in header and k != kind]
            if others:
                raise FileFormatError(f"{path}: not a deltarule {kind.name} file, but a deltarule {others[0]}")
            metadata = _metadata(path, header.get(kind.key), kind)
            names = list(f.keys())
            if len(names) > MOST_ARRAYS:
                raise ValueError(f"it holds {len(names):,} arrays, and at most {MOST_ARRAYS:,} are read")
            arrays = {name: f.get_tensor(name) for name in names}
    except (SafetensorError, OSError, TypeError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{path}: not a readable safetensors file ({error})") from None
    if kind.checksum and header.get(CHECKSUM) != _digest(header[kind.key], arrays):
        raise FileFormatError(f"{path}: damaged, its content does not have the checksum that it names")
    return arrays, metadata


def _check_size(path: str | Path, text: str) -> None:
    values = sum(map(text.count, ",[{"))
    if values > MOST_VALUES and len(text) <= LONGEST_HEADER:  # or there are commas in words
        values = sum(map(re.sub(r'"(?:[^"\\]|\\.)*"', "", text).count, ",[{"))
    if len(text) > LONGEST_HEADER or values > MOST_VALUES:
        raise FileFormatError(
            f"{path}: the metadata have {values:,} values in {len(text):,} characters; at most {MOST_VALUES:,} in "
            f"{LONGEST_HEADER:,} are read and written"
        )


def _metadata(path: Path, text: str | None, kind: Kind) -> dict[str, Any]:
    if text is None:
        raise FileFormatError(f"{path}: a safetensors file, but not a deltarule {kind.name} (no metadata '{kind.key}')")
    _check_size(path, text)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise FileFormatError(f"{path}: the metadata are not JSON") from None
    version = found.get("format") if isinstance(found, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FileFormatError(f"{path}: the metadata name no format version")
    if version > kind.format:
        raise NewerFormatError(
            f"{path}: format {version} is newer than this deltarule reads ({kind.format}); upgrade deltarule"
        )
    return dict(found)


def fields(where: str, found: Any, wanted: Mapping[str, tuple[type, ...]]) -> dict[str, Any]:
    """`found` if it is a JSON object with just the wanted fields, each of one of its types."""
    if not isinstance(found, dict):
        raise FileFormatError(f"{where}: expected an object, found {type(found).__name__}")
    for name in [*wanted, *found]:
        if name not in found or name not in wanted:
            raise FileFormatError(f"{where}: field '{name}' is {'missing' if name in wanted else 'unknown'}")
        if type(found[name]) not in wanted[name]:
            names = " or ".join("null" if t is type(None) else t.__name__ for t in wanted[name])
            raise FileFormatError(f"{where}: field '{name}' must be {names}, not {type(found[name]).__name__}")
    return found


def check_arrays(
    wanted: Mapping[str, tuple[int, ...]], arrays: Mapping[str, NDArray[Any]], dtype: np.dtype[Any]
) -> None:
    """Refuse `arrays` unless they are just the wanted ones, each of its shape, of `dtype`, and finite."""
    for key in [*wanted, *arrays]:
        if key not in arrays or key not in wanted:
            raise FileFormatError(f"array '{key}' is {'missing' if key in wanted else 'unknown'}")
        if arrays[key].shape != wanted[key] or arrays[key].dtype != dtype:
            raise FileFormatError(
                f"array '{key}' should be {dtype} {wanted[key]}, it is {arrays[key].dtype} {arrays[key].shape}"
            )
        if not np.isfinite(arrays[key]).all():
            raise FileFormatError(f"array '{key}' holds a number that is not finite")
