"""Model files: safetensors with one metadata key that holds JSON. Reading executes nothing.

    metadata  {"deltarule": JSON text: format, network, cost, dtype, …}
    arrays    "1.W", "1.b", …  and "preprocessing.mean", … where the model has them

What the JSON must hold is said by whoever writes it (network.py); here stand the container and its faults.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import FileFormatError

__all__ = ["FORMAT", "check_arrays", "fields", "read", "write", "write_bytes"]

FORMAT = 1
KEY = "deltarule"
LONGEST_METADATA = 10_000_000  # characters


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all: a temporary neighbour, flushed, then renamed."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise type(error)(error.errno, error.strerror, str(path)) from None  # not the temporary's name
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write(path: str | Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> None:
    """Write arrays and metadata; the format version is added."""
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(a) for name, a in arrays.items()}  # strided ones are scrambled silently
    text = json.dumps({"format": FORMAT, **metadata}, ensure_ascii=False, allow_nan=False)
    write_bytes(path, save(contiguous, {KEY: text}))


def read(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the metadata of a model file.

    Raises:
        FileFormatError: the file is absent, corrupt, foreign, or of a newer format.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        what = "a folder, not a model file" if path.is_dir() else "there is no such model file"
        raise FileFormatError(f"{path}: {what}")
    try:
        with safe_open(path, framework="numpy") as f:
            text = (f.metadata() or {}).get(KEY)
            metadata = _metadata(path, text)
            arrays = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, OSError, TypeError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{path}: not a readable safetensors file ({error})") from None
    return arrays, metadata


def _metadata(path: Path, text: str | None) -> dict[str, Any]:
    if text is None:
        raise FileFormatError(f"{path}: a safetensors file, but not a deltarule model (no metadata '{KEY}')")
    if len(text) > LONGEST_METADATA:
        raise FileFormatError(f"{path}: the metadata are longer than {LONGEST_METADATA} characters")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise FileFormatError(f"{path}: the metadata are not JSON") from None
    version = found.get("format") if isinstance(found, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FileFormatError(f"{path}: the metadata name no format version")
    if version > FORMAT:
        raise FileFormatError(
            f"{path}: format {version} is newer than this deltarule reads ({FORMAT}); upgrade deltarule"
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
