"""What comes in from outside: X, targets and sample weights, checked once and given the form that engines take.

Rows of X `(m, *input_shape)` in the network's dtype (uint8 means x/255); targets as int64 labels `(m,)` or
rows `(m, K)`. Sequences are numbers `(m, T, n)` or tokens `(m, T)`, their weights `(m, T)` where some end early, and
targets of every step `(m, T)` or `(m, T, K)`. A message names row, step and column (from 0, as NumPy indexes them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from deltarule.activations import Sigmoid, Softmax
from deltarule.architecture import Architecture
from deltarule.arrays import Shape
from deltarule.costs import BinaryCrossEntropy, CrossEntropy, Poisson
from deltarule.data.checks import check_finite, chunks
from deltarule.data.sequences import lengths_of
from deltarule.errors import DataError, ShapeError
from deltarule.layers import flat_size, shape_text

__all__ = [
    "NO_STEP",
    "class_labels",
    "class_weights",
    "converted",
    "is_one_sample",
    "numbers",
    "ready_rows",
    "sample_rows",
    "sample_weights",
    "states",
    "step_weights",
    "steps_there",
    "target_rows",
    "times_class_weights",
    "vector",
    "without_padding",
]

NO_STEP = -1.0
"""The weight of a step that is none: it is passed over, and the state stays. One of weight 0 is read, not counted."""

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
    if _are_tokens(net, X):
        return X.ndim == 1
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
    if net.input_shape[0] is None and rows.ndim > 1 and rows.shape[1] == 0:
        raise DataError("the sequences of X are empty: a sequence has a step or more")
    if _are_tokens(net, rows):
        return _tokens(rows, net.input_shape[1] or 0)
    if net.input_shape == (None, 1) and rows.ndim == 2:
        rows = rows[..., None]  # one number a step
    rows = rows.reshape(len(rows), *_sample_shape(net.input_shape, rows.shape[1:]))
    dtype = np.dtype(dtype)
    if as_it_is and rows.dtype in _AS_THEY_ARE:
        _check_range(rows, dtype)
        dtype = rows.dtype
    if rows.dtype == np.uint8 and dtype != np.uint8:
        scaled: NDArray[Any] = rows.astype(dtype) / dtype.type(255)
        return scaled
    return converted(rows, "X", dtype)


TOKEN_TYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.int64))


def _are_tokens(net: Architecture, X: NDArray[Any]) -> bool:
    """Whether whole numbers `(m, T)`, or `(T,)` of one sample, stand for places in a vocabulary."""
    return net.input_shape[0] is None and net.input_shape != (None, 1) and X.dtype.kind in "iu" and X.ndim in (1, 2)


def _tokens(rows: NDArray[Any], n: int) -> NDArray[Any]:
    """Tokens 0 … n − 1, where they are and as short as they are, if engines read them so."""
    for at, part in chunks(rows):
        wrong = (part < 0) | (part >= n)
        if wrong.any():
            i, step = np.argwhere(wrong)[0]
            raise DataError(
                f"X holds the token {part[i, step]} at row {at + i}, step {step}; seq({n}) takes tokens 0 … {n - 1}"
            )
    return np.require(rows, rows.dtype if rows.dtype in TOKEN_TYPES else np.int64, ["C", "A"])


def ready_rows(net: Architecture, X: Any, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """X as `sample_rows` would give it, where a glance tells that nothing need be done; None where it does not.

    A prediction of one row takes microseconds, and the careful way is longer than that.
    """
    if type(X) is not np.ndarray or X.size > GLANCE or not X.size:
        return None
    if (
        net.input_shape[0] is None
        or not (X.dtype == dtype or X.dtype == np.uint8)
        or not X.flags.c_contiguous
        or not X.flags.aligned
    ):
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


def target_rows(
    net: Architecture,
    t: ArrayLike,
    rows: NDArray[Any],
    dtype: Any,
    *,
    multilabel: bool = False,
    weights: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Targets for the rows of X: int64 labels `(m,)` where integers name classes, else rows `(m, K)` in the dtype.

    Where every step is answered they are `(m, T)` or `(m, T, K)`; at steps of weight 0 they may be anything.
    """
    found, m = numbers(t, "the targets"), len(rows)
    if net.shapes[-1][0] is None:
        return _targets_of_steps(net, found, (m, rows.shape[1]), dtype, multilabel, weights)
    k = net.n_outputs
    if found.ndim == 0 or (m == 1 and k > 1 and found.shape == (k,)):  # the target of one sample
        found = found[None]
    if len(found) != m:
        raise ShapeError(f"X has {m} rows, the targets {len(found)}")
    if found.shape not in ((m,), (m, k)) or (found.shape == (m,) and k > 1 and multilabel):
        _refuse_shape(found.shape, k, f"({m}", multilabel)
    return _checked_targets(net, found, dtype, lambda row: f"row {row}")


def _targets_of_steps(
    net: Architecture, found: NDArray[Any], shape: tuple[int, int], dtype: Any, multilabel: bool, w: NDArray[Any] | None
) -> NDArray[Any]:
    k, (m, T) = net.n_outputs, shape
    if m == 1 and found.shape in ((T,), (T, k)):  # of one sample
        found = found[None]
    if found.shape[:1] != (m,):
        raise ShapeError(f"X has {m} sequences, the targets {len(found) if found.ndim else 1}")
    if found.shape[1:2] != (T,):
        raise ShapeError(
            f"{net.spec} answers at each of the {T} steps of X; the targets have the shape {found.shape}"
            + ("; rnn(…, last=True) answers once a sequence" if found.shape in ((m,), (m, k)) else "")
        )
    if found.shape not in (shape, (*shape, k)) or (found.shape == shape and k > 1 and multilabel):
        _refuse_shape(found.shape, k, f"({m}, {T}", multilabel)
    flat = found.reshape(m * T, *found.shape[2:])
    if w is not None and w.ndim == 2 and not (w > 0).all():  # what stands where there is no step must only do no harm
        harmless = np.zeros((m * T, *(1,) * (flat.ndim - 1)), flat.dtype) + (np.arange(k) == 0 if flat.ndim == 2 else 0)
        flat = np.where((w > 0).reshape(m * T, *(1,) * (flat.ndim - 1)), flat, harmless.astype(flat.dtype))
    checked = _checked_targets(net, flat, dtype, lambda row: f"row {row // T}, step {row % T}")
    return checked.reshape(m, T, *checked.shape[1:])


def _refuse_shape(shape: tuple[int, ...], k: int, rows: str, multilabel: bool) -> NoReturn:
    """`rows` is how the shapes that are taken begin, "(70" or "(70, 50"."""
    alone = f"{rows})" if "," in rows else f"{rows},)"
    if multilabel:
        raise ShapeError(f"multilabel targets are rows {rows}, {k}) of 0 and 1, not {shape}")
    labels = f"{alone} or {rows}, 1)" if k == 1 else f"{rows}, {k}), or {alone} for classes"
    raise ShapeError(f"targets of {k} output{'s' * (k > 1)} have the shape {labels}, not {shape}")


def _checked_targets(net: Architecture, rows: NDArray[Any], dtype: Any, place: Callable[[int], str]) -> NDArray[Any]:
    """Labels `(m,)` of several outputs, or rows `(m, K)`, finite and as the cost demands; `place` names a row."""
    k = net.n_outputs
    check_finite(rows, "the targets")
    if k > 1 and rows.ndim == 1:
        return _labels(rows, k, place, short=net.shapes[-1][0] is None)
    rows = converted(rows.reshape(len(rows), k), "the targets", dtype)
    _check_domain(net, rows, place)
    if isinstance(net.output.cost, CrossEntropy):
        rows = rows / rows.sum(axis=1, keepdims=True)  # to the last bit: δ = ŷ − t holds for Σ t = 1 alone
    return rows


def _labels(t: NDArray[Any], k: int, place: Callable[[int], str], short: bool) -> NDArray[Any]:
    """Classes as int64; or of a byte or two, as they are, where they may stay `short`: then nothing is copied."""
    if short and t.dtype in TOKEN_TYPES and k - 1 <= np.iinfo(t.dtype).max and t.max() < k and t.dtype != np.int64:
        return t
    with np.errstate(invalid="ignore"):  # 1e300 is no class, and found so
        labels = t.astype(np.int64)
    wrong = np.flatnonzero((labels != t) | (labels < 0) | (labels >= k))
    if len(wrong):
        raise DataError(
            f"the target at {place(int(wrong[0]))} is {t[wrong[0]]}; a network with {k} outputs takes classes "
            f"0 … {k - 1} or rows of {k} numbers"
        )
    return labels


def _check_domain(net: Architecture, rows: NDArray[Any], place: Callable[[int], str]) -> None:
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
        raise DataError(f"the target at {place(row)} is {rows[row]}; cost '{cost.name}' takes {demand}")


def sample_weights(weights: ArrayLike | None, m: int, dtype: Any, *, steps: int | None = None) -> NDArray[Any] | None:
    """Weights `(m,)` in the given dtype, or of sequences `(m, T)`: finite, none negative, some positive."""
    if weights is None:
        return None
    given = numbers(weights, "sample_weight")
    if given.shape != (m,) and (steps is None or given.shape != (m, steps)):
        of_steps = "" if steps is None else f", or ({m}, {steps}) for their steps"
        raise ShapeError(f"sample_weight has the shape {given.shape}; {m} rows take ({m},){of_steps}")
    w = converted(given, "sample_weight", dtype)
    if (w < 0).any():
        raise DataError("sample weights must not be negative, and some must be positive")
    return _weighty(w, dtype)


def _weighty(w: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Weights of which some are positive, and not too small to divide by."""
    if not (w > 0).any():
        raise DataError("sample weights must not be negative, and some must be positive")
    if w.max() < 2**30 * np.finfo(dtype).tiny:
        raise DataError(
            f"sample weights too small for {np.dtype(dtype)}, the largest is {w.max():g}; ratios are enough"
        )
    return w


def steps_there(
    net: Architecture, rows: NDArray[Any], lengths: ArrayLike | None, mask: Any
) -> NDArray[np.bool_] | None:
    """Which steps `(m, T)` of sequences there are; None where all are."""
    if lengths is None and mask is None:
        return None
    if net.input_shape[0] is not None:
        raise ShapeError(f"lengths and mask are for sequences, and {net.spec} takes {shape_text(net.input_shape)}")
    if lengths is not None and mask is not None:
        raise DataError("give lengths or a mask, not both")
    if rows.ndim < 2:
        raise ShapeError(f"X has the shape {rows.shape}; with lengths or a mask it is a batch of sequences, (m, T, …)")
    m, T = rows.shape[:2]
    return _within(lengths, m, T) if mask is None else _mask(mask, m, T)


def without_padding(net: Architecture, rows: NDArray[Any], lengths: ArrayLike | None, mask: Any) -> NDArray[Any]:
    """X with zeros where there is no step, if what stands there would do harm: NaN, infinity, or no token."""
    counts = steps_there(net, rows, lengths, mask)
    if counts is None or counts.all():
        return rows
    beyond = rows[~counts]
    tokens = _are_tokens(net, rows)
    harmful = (beyond < 0) | (beyond >= (net.input_shape[1] or 0)) if tokens else ~np.isfinite(beyond)
    if not harmful.any():
        return rows
    cleared: NDArray[Any] = rows.copy()
    cleared[~counts] = 0
    return cleared


def step_weights(
    net: Architecture,
    rows: NDArray[Any],
    weights: NDArray[Any] | None,
    lengths: ArrayLike | None,
    mask: Any,
    dtype: Any,
) -> NDArray[Any] | None:
    """w_it `(m, T)` where sequences end early or leave out steps, NO_STEP there; else the weights as they are."""
    counts = steps_there(net, rows, lengths, mask)
    if counts is None:
        return weights
    m = len(rows)
    if weights is None:
        weights = np.ones((m, 1), dtype)
    w = np.where(counts, weights if weights.ndim == 2 else weights[:, None], NO_STEP).astype(dtype)
    if not (w > 0).any():
        raise DataError("the weights of all steps that lengths or mask leave are 0; some must be positive")
    return w


def states(net: Architecture, state: ArrayLike | None, m: int) -> NDArray[Any] | None:
    """An incoming state `(m, n_state)`, that of all recurrent layers side by side; None where there is none."""
    if state is None:
        return None
    given = numbers(state, "state")
    if given.shape != (m, net.n_state) or not net.n_state:
        raise ShapeError(
            f"the state has the shape {given.shape}; {net.spec} takes ({m}, {net.n_state}) for {m} sequences"
            if net.n_state else f"{net.spec} has no recurrent layer, and so no state"
        )  # fmt: skip
    return converted(given, "state", given.dtype if given.dtype.kind == "f" else np.float64)


def vector(net: Architecture, theta: ArrayLike) -> NDArray[Any]:
    """θ as a vector of the network's dtype."""
    found = numbers(theta, "θ")
    if found.shape != (net.size,):
        raise ShapeError(f"θ has {net.size} entries, the vector has the shape {found.shape}")
    return np.require(found, getattr(net, "dtype", found.dtype), ["C", "A"])


def _within(lengths: ArrayLike | None, m: int, T: int) -> NDArray[np.bool_]:
    """Which steps lie within the lengths of their sequences."""
    return np.arange(T) < lengths_of(numbers(lengths, "lengths"), m, T, "lengths")[:, None]


def _mask(mask: Any, m: int, T: int) -> NDArray[np.bool_]:
    """A mask as yes and no; every sequence has a step at least."""
    given = numbers(mask, "mask")
    if given.shape != (m, T):
        raise ShapeError(f"mask has the shape {given.shape}; {m} sequences of {T} steps take ({m}, {T})")
    if not np.isin(given, (0, 1)).all():
        raise DataError("a mask holds True and False, or 1 and 0")
    empty = np.flatnonzero(~given.astype(bool).any(axis=1))
    if len(empty):
        raise DataError(f"the mask of row {empty[0]} leaves out every step; leave the row out instead")
    return given.astype(bool)


def class_labels(net: Architecture, t: NDArray[Any]) -> NDArray[np.int64] | None:
    """The class of each row where a classifier's targets are classes: labels, one-hot rows, 0 and 1 for one output."""
    if not isinstance(net.output.activation, Softmax | Sigmoid) or net.shapes[-1][0] is None:
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
    if net.shapes[-1][0] is None:
        raise DataError("class_weight is for one class a row; weigh the steps of sequences by sample_weight (m, T)")
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


def times_class_weights(weights: NDArray[Any], by_class: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Prepared weights `(m,)` or `(m, T)` times those of the rows' classes; no step stays no step."""
    if weights.ndim == 1:
        return _weighty(weights * by_class, dtype)
    return _weighty(np.where(weights < 0, NO_STEP, weights * by_class[:, None]).astype(dtype), dtype)
