"""Preprocessing as model files hold it: a strict reading of JSON and arrays that may come from anywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.data.columns import Column, width
from deltarule.data.images import MOST_PIXELS, ImageForm
from deltarule.data.targets import in_order
from deltarule.errors import FileFormatError

__all__ = ["ARRAYS", "checked", "column_to_json"]

ARRAYS = ("mean", "scale", "target_mean", "target_scale")
_KEYS = ("task", "input_shape", "pixels", "columns", "classes")
_MAYBE = ("images",)  # only in models of image files that were converted
_COLUMN_KEYS = ("name", "kind", "levels", "fill")
_MOST_NUMBERS = 2**31  # of one sample
_MOST_DIMENSIONS = 8


def column_to_json(column: Column) -> dict[str, Any]:
    """One column, as JSON can hold it."""
    kind = "categorical" if column.levels else "numeric"
    return {"name": column.name, "kind": kind, "levels": list(column.levels), "fill": column.fill}


def checked(document: Any, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The members of `Preprocessing`, every one of them checked.

    >>> checked({"task": "regression"}, {})
    Traceback (most recent call last):
    deltarule.errors.FileFormatError: preprocessing: has keys task; must be task, input_shape, pixels, columns, classes
    """
    _keys(document, _KEYS, "preprocessing", _MAYBE)
    task, shape, pixels = document["task"], document["input_shape"], document["pixels"]
    _need(task in ("classification", "regression") and isinstance(task, str), f"task cannot be {task!r:.60}")
    _need(
        isinstance(shape, list) and 0 < len(shape) <= _MOST_DIMENSIONS and all(_whole(n) and n > 0 for n in shape),
        f"input_shape cannot be {shape!r:.60}",
    )
    _need(math.prod(shape) <= _MOST_NUMBERS, f"input_shape cannot be {shape!r:.60}")
    _need(isinstance(pixels, bool), f"pixels cannot be {pixels!r:.60}")
    columns = None if document["columns"] is None else _columns(document["columns"])
    if columns is not None:
        _need(shape == [width(columns)], f"the columns make {width(columns)} inputs, input_shape is {shape}")
    _need(not pixels or columns is None, "pixels are of no table")
    classes = _classes(document["classes"], task)
    found = _arrays(arrays, tuple(shape), task)
    return {
        "task": task,
        "input_shape": tuple(shape),
        "pixels": pixels,
        "columns": columns,
        "classes": classes,
        "images": _images(document["images"], shape) if "images" in document else None,
        **found,
    }


def _need(holds: bool, complaint: str) -> None:
    if not holds:
        raise FileFormatError(f"preprocessing: {complaint}")


def _keys(document: Any, wanted: tuple[str, ...], what: str, maybe: tuple[str, ...] = ()) -> None:
    if not isinstance(document, dict):
        raise FileFormatError(f"{what}: must be an object with the keys {', '.join(wanted)}")
    if set(document) - set(maybe) != set(wanted):
        raise FileFormatError(f"{what}: has keys {', '.join(map(str, document)):.200}; must be {', '.join(wanted)}")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _ascending(values: list[Any]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _images(document: Any, shape: list[int]) -> ImageForm:
    """How image files become samples of `shape`."""
    _keys(document, ("size", "colour"), "preprocessing, images")
    size, colour = document["size"], document["colour"]
    _need(len(shape) == 3 and shape[0] in (1, 3), f"images do not become samples of shape {shape!r:.60}")
    _need(
        size is None or (size == shape[1:] and all(map(_whole, size))), f"images of size {size!r:.60} and {shape!r:.60}"
    )
    _need(math.prod(shape[1:]) <= MOST_PIXELS, f"images cannot have the size {size!r:.60}")
    _need(colour is None or colour is (shape[0] == 3), f"images with colour {colour!r:.60} and {shape[0]} channels")
    return ImageForm(None if size is None else (shape[1], shape[2]), colour)


def _columns(document: Any) -> tuple[Column, ...]:
    _need(isinstance(document, list) and len(document) > 0, "columns must be a list with at least one column")
    columns = tuple(map(_column, document))
    _need(len({c.name for c in columns}) == len(columns), "two columns have the same name")
    _need(len({c.fill is None for c in columns}) == 1, "some columns have a fill for missing cells and some have none")
    return columns


def _column(document: Any) -> Column:
    _keys(document, _COLUMN_KEYS, "preprocessing, column")
    name, kind, levels, fill = (document[key] for key in _COLUMN_KEYS)
    _need(isinstance(name, str) and bool(name), f"a column cannot be named {name!r:.60}")
    _need(
        isinstance(levels, list) and all(isinstance(v, str) for v in levels), f"column {name!r:.60}: levels are words"
    )
    if kind == "numeric":
        _need(not levels, f"column {name!r:.60} is numeric and has levels")
        _need(fill is None or _finite(fill), f"column {name!r:.60}: fill cannot be {fill!r:.60}")
    else:
        _need(kind == "categorical", f"column {name!r:.60}: kind cannot be {kind!r:.60}")
        _need(bool(levels) and _ascending(levels), f"column {name!r:.60}: levels must ascend, at least one")
        _need(fill is None or fill in levels, f"column {name!r:.60}: fill cannot be {fill!r:.60}")
    return Column(name, tuple(levels), fill)


def _classes(document: Any, task: str) -> tuple[Any, ...] | None:
    if task == "regression":
        _need(document is None, "a regression has no classes")
        return None
    _need(isinstance(document, list) and len(document) > 1, "a classification needs a list of two or more classes")
    kinds: dict[type, Callable[[Any], bool]] = {
        int: lambda v: _whole(v) and abs(v) < 2**63,
        float: _finite,
        str: lambda v: isinstance(v, str),
        bool: lambda v: isinstance(v, bool),
    }
    holds = kinds.get(type(document[0]), lambda _: False)
    _need(all(map(holds, document)), "classes are all whole numbers, all floats, all words or all truth values")
    in_words = isinstance(document[0], str) and document == in_order(set(document))
    _need(_ascending(document) or in_words, "classes must ascend")
    return tuple(document)


def _arrays(arrays: Mapping[str, NDArray[Any]], shape: tuple[int, ...], task: str) -> dict[str, NDArray[np.float64]]:
    wanted = {"target_mean", "target_scale"} if task == "regression" else set()
    if "mean" in arrays:
        wanted |= {"mean", "scale"}
    _need(set(arrays) == wanted, f"the arrays must be {sorted(wanted)}, not {sorted(map(str, arrays))!s:.200}")
    for name, array in arrays.items():
        _need(isinstance(array, np.ndarray) and array.dtype == np.float64, f"{name} must be an array of float64")
        _need(bool(np.isfinite(array).all()), f"{name} holds a number that is not finite")
        _need(not name.endswith("scale") or bool((array > 0).all()), f"{name} must be positive")
        if not name.startswith("target"):
            _need(array.shape == shape, f"{name} has shape {array.shape}, a sample has {shape}")
        else:
            expected = arrays["target_mean"].shape
            _need(array.ndim == 1 and array.shape == expected and len(array) > 0, f"{name} has shape {array.shape}")
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}
