"""Mean 0 and σ 1: the statistics of every feature, in float64 whatever the data's type."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.data.checks import chunks
from deltarule.errors import DataError

__all__ = ["standardise", "statistics"]

LARGE = 1 << 28  # bytes of a mapped file's copy that go into a file again


def statistics(
    X: NDArray[Any], which: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and σ = √(Σ (x − mean)² / m) of every feature of `(m, …)`; 1 stands for a σ of 0, or of rounding only.

    With `which` over the rows of these numbers alone.

    >>> statistics(np.array([[1.0, 5.0], [3.0, 5.0]]))
    (array([2., 5.]), array([1., 1.]))
    """
    top, m = np.zeros(X.shape[1:]), len(X) if which is None else len(which)
    for _, part in chunks(X, which):
        top = np.maximum(top, np.abs(part.astype(np.float64)).max(axis=0))
    # Everything is divided by a power of two first, which is exact, so that no square over- or underflows.
    exponent = np.frexp(top)[1]
    mean, squares, rest = np.zeros_like(top), np.zeros_like(top), np.zeros_like(top)
    for _, part in chunks(X, which):
        mean += np.ldexp(part.astype(np.float64), -exponent).sum(axis=0)
    mean /= m
    for _, part in chunks(X, which):
        d = np.ldexp(part.astype(np.float64), -exponent) - mean
        rest += d.sum(axis=0)
        squares += (d * d).sum(axis=0)
    rest /= m  # what rounding left in the mean
    sigma = np.sqrt(np.maximum(squares / m - rest * rest, 0.0))
    noise = sigma <= 16 * np.finfo(np.float64).eps * np.abs(mean)
    scale = np.ldexp(sigma, exponent)
    return np.ldexp(mean + rest, exponent), np.where(noise | (scale == 0), 1.0, scale)


def standardise(X: NDArray[Any], mean: Any, scale: Any) -> NDArray[Any]:
    """(x − mean) / scale of `(m, …)`: float64 for float64, float32 otherwise; of a large mapped file a mapped file.

    Raises:
        DataError: a value so far from the training data that the result is not finite.
    """
    out = _room(X, np.dtype(np.float64 if X.dtype == np.float64 else np.float32))
    with np.errstate(over="ignore"):
        for start, part in chunks(X):
            out[start : start + len(part)] = (part.astype(np.float64) - mean) / scale
    for start, part in chunks(out):
        if not np.isfinite(part).all():
            row, *feature = (int(i) for i in np.argwhere(~np.isfinite(part))[0])
            where = f"row {start + row}, column {', '.join(map(str, feature))} (counted from 0)"
            raise DataError(f"{where} is too far from the training data to be standardised; correct it")
    return out


def _room(X: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array like X: in memory, or in a temporary file where X is one that may not fit."""
    if not isinstance(X, np.memmap) or X.size * dtype.itemsize < LARGE:
        return np.empty(X.shape, dtype)
    with tempfile.TemporaryFile() as file:  # it lasts as long as its array
        try:
            if hasattr(os, "posix_fallocate"):  # or a full disk would be a bus error, later
                os.posix_fallocate(file.fileno(), 0, X.size * dtype.itemsize)
        except OSError as error:
            need = X.size * dtype.itemsize / 2**30
            raise DataError(
                f"standardised, the data take {need:,.1f} GiB, and {tempfile.gettempdir()} has no room for them "
                f"({error.strerror}); name another place in TMPDIR, or leave them as they are (standardize=False)"
            ) from None
        return np.memmap(file, dtype, "w+", shape=X.shape)
