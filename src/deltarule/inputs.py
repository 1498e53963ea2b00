"""What comes in from outside: X, targets and sample weights, checked once and given the form that engines take.

Rows of X `(m, *input_shape)` in the network's dtype (uint8 means x/255); targets as int64 labels `(m,)` or
rows `(m, K)`. A message names the row and the column (from 0, as NumPy indexes them).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from deltarule.activations import Sigmoid, Softmax
from deltarule.architecture import Architecture
from deltarule.arrays import Shape
from deltarule.costs import BinaryCrossEntropy, CrossEntropy, Poisson
from deltarule.data.checks import check_finite, chunks
from deltarule.errors import DataError, ShapeError
from deltarule.layers import flat_size, shape_text

__all__ = [
    "class_labels",
    "class_weights",
    "converted",
    "is_one_sample",
    "numbers",
    "ready_rows",
    "sample_rows",
    "sample_weights",
    "target_rows",
]

SUM_TOLERANCE = 1e-3  # how far from 1 the rows of soft targets may sum before they are refused


def numbers(values: Any, what: str) -> NDArray[Any]:
    """`values` as an array of real numbers; `what` begins the message where they are none."""
    try:
        found = np.asarray(values)
    except (ValueError, TypeError) as error:  # ragged, as a rule
        raise DataError(f"{what}: not an array of numbers ({str(error).partition('.')[0]})") from None
    if found.dtype.kind not in "fiub":
        raise DataError(f"{what}: real numbers are expected, not {found.dtype}; encode text and categories first")
    return found


def converted(found: NDArray[Any], what: str, dtype: DTypeLike) -> NDArray[Any]:
    """The numbers as a contiguous array of `dtype`, all of them finite before and after."""
    check_finite(found, what)
    dtype = np.dtype(dtype)
    with np.errstate(over="ignore"):  # what becomes inf is refused by name
        result: NDArray[Any] = np.require(found, dtype, ["C", "A"])
    if found.dtype.itemsize > dtype.itemsize:
        check_finite(result, f"{what} as {dtype}")
    return result


def is_one_sample(net: Architecture, X: NDArray[Any]) -> bool:
    """Whether X is a single sample of the network's input shape, not a batch; an image may be flat or lack channels."""
    shape = net.input_shape
    if X.ndim == len(shape) and all(n in (None, k) for n, k in zip(shape, X.shape)):
        return True
    flat = flat_size(shape)
    return len(shape) == 3 and (X.shape == (flat,) or ((1, *X.shape) == shape and X.shape[-1] != flat))


def sample_rows(net: Architecture, X: Any, dtype: DTypeLike, *, as_it_is: bool = False) -> NDArray[Any]:
    """X as a finite batch `(m, *input_shape)`; one sample becomes a batch of one.

    Flat rows and images may stand for each other, and images of one channel may leave it out. The rows are of the given
    dtype (uint8 means x/255). With `as_it_is` they are what engines read: uint8, float32 and float64 stay as they are
    and where they are, memory-mapped too, where their numbers fit the dtype.
    """
    rows = numbers(X, "X")
    if is_one_sample(net, rows) or rows.ndim == 0:
        rows = rows[None]
    if len(rows) == 0:
        raise DataError("X is empty: there is no row in it")
    rows = rows.reshape(len(rows), *_sample_shape(net.input_shape, rows.shape[1:]))
    dtype = np.dtype(dtype)
    if as_it_is and rows.dtype in _AS_THEY_ARE:
        _check_range(rows, dtype)
        dtype = rows.dtype
    if rows.dtype == np.uint8 and dtype != np.uint8:
        scaled: NDArray[Any] = rows.astype(dtype) / dtype.type(255)
        return scaled
    return converted(rows, "X", dtype)


def ready_rows(net: Architecture, X: Any, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """X as `sample_rows` would give it, where a glance tells that nothing need be done; None where it does not.

    A prediction of one row takes microseconds, and the careful way is longer than that.
    """
    if type(X) is not np.ndarray or X.size > GLANCE or not X.size:
        return None
    if not (X.dtype == dtype or X.dtype == np.uint8) or not X.flags.c_contiguous or not X.flags.aligned:
        return None
    rows = X[None] if X.shape == net.input_shape else X
    if rows.shape[1:] != net.input_shape:
        return None
    return rows if X.dtype == np.uint8 or math.isfinite(np.vdot(X, X)) else None  # a square may overflow: look closer


GLANCE = 1 << 16  # numbers that are looked at by one product

_AS_THEY_ARE = (np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64))


def _check_range(rows: NDArray[Any], dtype: np.dtype[Any]) -> None:
    """Refuse numbers of float64 beyond the float32 in which they will be used."""
    if rows.dtype == np.float64 and dtype == np.float32:
        for _, part in chunks(rows):
            if np.abs(part).max() > np.finfo(np.float32).max:
                converted(rows, "X", dtype)  # says which


def _sample_shape(wanted: Shape, given: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a sample of shape `given` takes, or an error that names both."""
    if len(wanted) == len(given) and all(n in (None, k) for n, k in zip(wanted, given)):
        return given
    sizes = tuple(n for n in wanted if n is not None)
    one_form = len(given) == 1 or len(sizes) == 1 or (1, *given) == sizes
    if wanted[0] is not None and one_form and math.prod(given) == math.prod(sizes):
        return sizes
    shown, form = "×".join(map(str, given)) or "one number", ", ".join(str(n or "T") for n in wanted)
    raise ShapeError(
        f"the network expects samples of {shape_text(wanted)} ({math.prod(sizes)} numbers each), "
        f"X has rows of {shown}; give X the shape (m, {form})"
    )


def target_rows(net: Architecture, t: ArrayLike, m: int, dtype: Any, *, multilabel: bool = False) -> NDArray[Any]:
    """Targets for m samples: int64 labels `(m,)` where integers name classes, else rows `(m, K)` in the given dtype."""
    k, rows = net.n_outputs, numbers(t, "the targets")
    if net.shapes[-1][0] is None:
        raise ShapeError(f"{net.spec} answers at every time step, and targets of sequences are not taken yet")
    if rows.ndim == 0 or (m == 1 and k > 1 and rows.shape == (k,)):  # the target of one sample
        rows = rows[None]
    if len(rows) != m:
        raise ShapeError(f"X has {m} rows, the targets {len(rows)}")
    check_finite(rows, "the targets")
    if k > 1 and rows.ndim == 1:
        if multilabel:
            raise ShapeError(f"multilabel targets are rows (m, {k}) of 0 and 1, not labels (m,)")
        return _labels(rows, k)
    if rows.shape not in ((m, k), (m,) if k == 1 else (m, k)):
        labels = f"({m},) or ({m}, 1)" if k == 1 else f"({m}, {k}), or ({m},) for classes"
        raise ShapeError(f"targets of {k} output{'s' * (k > 1)} have the shape {labels}, not {rows.shape}")
    rows = converted(rows.reshape(m, k), "the targets", dtype)
    _check_domain(net, rows)
    if isinstance(net.output.cost, CrossEntropy):
        rows = rows / rows.sum(axis=1, keepdims=True)  # to the last bit: δ = ŷ − t holds for Σ t = 1 alone
    return rows


def _labels(t: NDArray[Any], k: int) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore"):  # 1e300 is no class, and found so
        labels = t.astype(np.int64)
    wrong = np.flatnonzero((labels != t) | (labels < 0) | (labels >= k))
    if len(wrong):
        raise DataError(
            f"the target at row {wrong[0]} is {t[wrong[0]]}; a network with {k} outputs takes classes 0 … {k - 1} "
            f"or rows of {k} numbers"
        )
    return labels


def _check_domain(net: Architecture, rows: NDArray[Any]) -> None:
    """What a cost demands of its targets."""
    cost = net.output.cost
    if isinstance(cost, CrossEntropy):
        bad = (rows < 0).any(axis=1) | (np.abs(rows.sum(axis=1) - 1) > SUM_TOLERANCE)
        demand = "a row of probabilities: none negative, their sum 1"
    elif isinstance(cost, BinaryCrossEntropy):
        bad, demand = ((rows < 0) | (rows > 1)).any(axis=1), "between 0 and 1"
    elif isinstance(cost, Poisson):
        bad, demand = (rows < 0).any(axis=1), "a count, not negative"
    else:
        return
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"the target at row {row} is {rows[row]}; cost '{cost.name}' takes {demand}")


def sample_weights(weights: ArrayLike | None, m: int, dtype: Any) -> NDArray[Any] | None:
    """Weights `(m,)` in the given dtype: finite, none negative, some positive."""
    if weights is None:
        return None
    given = numbers(weights, "sample_weight")
    if given.shape != (m,):
        raise ShapeError(f"sample_weight has the shape {given.shape}; {m} rows take ({m},)")
    w = converted(given, "sample_weight", dtype)
    if (w < 0).any() or not (w > 0).any():
        raise DataError("sample weights must not be negative, and some must be positive")
    if w.max() < 2**30 * np.finfo(dtype).tiny:
        raise DataError(
            f"sample weights too small for {np.dtype(dtype)}, the largest is {w.max():g}; ratios are enough"
        )
    return w


def class_labels(net: Architecture, t: NDArray[Any]) -> NDArray[np.int64] | None:
    """The class of each row where a classifier's targets are classes: labels, one-hot rows, 0 and 1 for one output."""
    if not isinstance(net.output.activation, Softmax | Sigmoid):
        return None
    if t.ndim == 1:
        return t.astype(np.int64)
    whole = bool(np.isin(t, (0, 1)).all())
    if t.shape[1] == 1:
        return t[:, 0].astype(np.int64) if whole else None
    return t.argmax(axis=1) if whole and bool((t.sum(axis=1) == 1).all()) else None


def class_weights(net: Architecture, t: NDArray[Any], given: Any, dtype: Any) -> NDArray[Any] | None:
    """The weight of each row by its class: `given` maps class → weight (1 unless named), or is "balanced".

    balanced: w_c = m / (K m_c), over the K classes that occur, so that each class weighs the same in all.
    """
    if given is None:
        return None
    labels = class_labels(net, t)
    if labels is None:
        raise DataError("class_weight needs a classifier (softmax or sigmoid outputs) and targets that are classes")
    if not isinstance(given, Mapping):
        if not isinstance(given, str) or given != "balanced":
            raise DataError(f"class_weight is a mapping class → weight or 'balanced', not {given!r}")
        counts = np.bincount(labels)
        given = {c: len(labels) / (np.count_nonzero(counts) * n) for c, n in enumerate(counts) if n}
    k = max(net.n_outputs, 2)
    table = np.ones(k)
    for c, weight in given.items():
        if not isinstance(c, int | np.integer) or not 0 <= c < k:
            raise DataError(f"class_weight names class {c!r}; the classes are 0 … {k - 1}")
        if not isinstance(weight, Real) or not 0 <= float(weight) < math.inf:
            raise DataError(f"class_weight of class {c} is {weight!r}; weights are finite numbers, not negative")
        table[c] = weight
    return sample_weights(table[labels], len(labels), dtype)
