"""Maps `(m, channels, height, width)`, and the windows that convolution and pooling slide over them.

Entry (u, v) of every window is one strided slice of the maps, so that a sum over a window reads as its equation does:

    tap       (A)_uv[y, x] = A[y s + u, x s + v]               what stands at (u, v) of window (y, x)
    spread    its transpose: 0 but for A[y s + u, x s + v] = D[y, x]

What the last window leaves of a height or width is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from deltarule.activations import Softmax
from deltarule.arrays import Array, Shape, namespace
from deltarule.errors import HyperparameterError, ShapeError
from deltarule.limits import number

__all__ = [
    "MOST_OFFSETS", "Pair", "Windows", "check_maps", "even", "no_softmax", "pad", "pair", "patches", "places", "sizes",
    "spread", "tap",
]  # fmt: skip

MOST_OFFSETS = 2**16  # sides of windows, strides and margins

Pair = tuple[int, int]


def pair(what: str, value: Any, least: int = 1) -> Pair:
    """Rows and columns: two whole numbers, or one for both.

    >>> pair("the kernel", 5), pair("the kernel", (3, 5))
    ((5, 5), (3, 5))
    """
    both = tuple(value) if isinstance(value, tuple | list) and len(value) == 2 else (value, value)
    rows, columns = (number(what, n, least=least, most=MOST_OFFSETS, integral=True) for n in both)
    return rows, columns


def even(value: Pair) -> int | Pair:
    """A pair as it is written: one number where both are the same."""
    return value[0] if value[0] == value[1] else value


def check_maps(layer: Any, shape: Shape) -> tuple[int, int, int]:
    """The shape of a sample as channels, height and width."""
    if len(shape) != 3 or shape[0] is None:
        given = "a sequence" if shape[0] is None else f"{shape[0]} numbers"
        raise ShapeError(f"it takes maps, (channels, height, width), and gets {given}; write the input as 1x28x28, say")
    channels, height, width = (n or 0 for n in shape)
    return channels, height, width


def no_softmax(activation: Any) -> None:
    """Softmax is over the units of a dense layer."""
    if isinstance(activation, Softmax):
        raise HyperparameterError(
            "softmax is a dense layer's; end the network with the number of classes, …/10, or name another output"
        )


class Windows(NamedTuple):
    """Windows of one size, `stride` apart; `grid` of them down and across."""

    size: Pair
    stride: Pair
    grid: Pair

    @classmethod
    def over(cls, size: Pair, stride: Pair, image: Pair, what: str) -> Windows:
        """All that fit on an image."""
        if size[0] > image[0] or size[1] > image[1]:
            raise ShapeError(f"{what} is {size[0]}x{size[1]}, larger than the maps of {image[0]}x{image[1]}")
        rows, columns = ((n - k) // s + 1 for n, k, s in zip(image, size, stride))
        return cls(size, stride, (rows, columns))

    def offsets(self) -> Iterator[Pair]:
        """(u, v) row by row."""
        return ((u, v) for u in range(self.size[0]) for v in range(self.size[1]))


def tap(A: Array, u: int, v: int, windows: Windows) -> Array:
    """What stands at (u, v) of every window, `(…, rows, columns)`."""
    (s, t), (rows, columns) = windows.stride, windows.grid
    return A[..., u : u + (rows - 1) * s + 1 : s, v : v + (columns - 1) * t + 1 : t]


def spread(D: Array, u: int, v: int, windows: Windows, image: Pair) -> Array:
    """D `(…, rows, columns)` at (u, v) of every window of an image, and 0 elsewhere."""
    for axis, (offset, stride, size) in enumerate(zip((u, v), windows.stride, image), D.ndim - 2):
        D = _apart(D, axis, stride)
        D = _margin(D, axis, offset, size - offset - D.shape[axis], 0.0)
    return D


def pad(A: Array, before: Pair, after: Pair, value: float) -> Array:
    """A with so many more rows above and below, and columns left and right."""
    for axis, margins in enumerate(zip(before, after), A.ndim - 2):
        A = _margin(A, axis, *margins, value)
    return A


def patches(A: Any, size: Pair, stride: Pair) -> Any:
    """A NumPy `(…, height, width)` as its windows, `(…, rows, columns, u, v)`."""
    windows = np.lib.stride_tricks.sliding_window_view(A, size, axis=(-2, -1))
    return windows[..., :: stride[0], :: stride[1], :, :]


def places(stride: Pair) -> str:
    """Where (u, v) of window y, x stands, in LaTeX.

    >>> places((2, 1))
    '[2y + u, x + v]'
    """
    (s, t) = ("" if n == 1 else str(n) for n in stride)
    return f"[{s}y + u, {t}x + v]"


def sizes(shape: Shape) -> str:
    """A shape in brackets, as formulas have it beside them."""
    return f"({', '.join(str(n) for n in shape if n is not None)})"


def _apart(A: Array, axis: int, stride: int) -> Array:
    """A with stride − 1 zeros between neighbours along an axis."""
    if stride == 1:
        return A
    xp, n = namespace(A), A.shape[axis]
    wide = xp.expand_dims(A, axis=axis + 1)
    zeros = xp.zeros((*wide.shape[: axis + 1], stride - 1, *wide.shape[axis + 2 :]), dtype=A.dtype)
    wide = xp.concat([wide, zeros], axis=axis + 1)
    wide = xp.reshape(wide, (*A.shape[:axis], n * stride, *A.shape[axis + 1 :]))
    return wide[(slice(None),) * axis + (slice((n - 1) * stride + 1), ...)]


def _margin(A: Array, axis: int, before: int, after: int, value: float) -> Array:
    xp = namespace(A)

    def strip(n: int) -> Array:
        return xp.full((*A.shape[:axis], n, *A.shape[axis + 1 :]), value, dtype=A.dtype)

    parts = [strip(before)] * (before > 0) + [A] + [strip(after)] * (after > 0)
    return xp.concat(parts, axis=axis) if len(parts) > 1 else A
