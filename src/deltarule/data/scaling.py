"""Mean 0 and σ 1: the statistics of every feature, in float64 whatever the data's type."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.data.checks import chunks
from deltarule.errors import DataError

__all__ = ["standardise", "statistics"]


def statistics(X: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and σ = √(Σ (x − mean)² / m) of every feature of `(m, …)`; 1 stands for a σ of 0, or of rounding only.

    >>> statistics(np.array([[1.0, 5.0], [3.0, 5.0]]))
    (array([2., 5.]), array([1., 1.]))
    """
    top = np.zeros(X.shape[1:])
    for _, part in chunks(X):
        top = np.maximum(top, np.abs(part.astype(np.float64)).max(axis=0))
    # Everything is divided by a power of two first, which is exact, so that no square over- or underflows.
    exponent = np.frexp(top)[1]
    mean, squares, rest = np.zeros_like(top), np.zeros_like(top), np.zeros_like(top)
    for _, part in chunks(X):
        mean += np.ldexp(part.astype(np.float64), -exponent).sum(axis=0)
    mean /= len(X)
    for _, part in chunks(X):
        d = np.ldexp(part.astype(np.float64), -exponent) - mean
        rest += d.sum(axis=0)
        squares += (d * d).sum(axis=0)
    rest /= len(X)  # what rounding left in the mean
    sigma = np.sqrt(np.maximum(squares / len(X) - rest * rest, 0.0))
    noise = sigma <= 16 * np.finfo(np.float64).eps * np.abs(mean)
    scale = np.ldexp(sigma, exponent)
    return np.ldexp(mean + rest, exponent), np.where(noise | (scale == 0), 1.0, scale)


def standardise(X: NDArray[Any], mean: Any, scale: Any) -> NDArray[Any]:
    """(x − mean) / scale of `(m, …)`: float64 for float64, float32 otherwise.

    Raises:
        DataError: a value so far from the training data that the result is not finite.
    """
    out = np.empty(X.shape, np.float64 if X.dtype == np.float64 else np.float32)
    with np.errstate(over="ignore"):
        for start, part in chunks(X):
            out[start : start + len(part)] = (part.astype(np.float64) - mean) / scale
    for start, part in chunks(out):
        if not np.isfinite(part).all():
            row, *feature = (int(i) for i in np.argwhere(~np.isfinite(part))[0])
            where = f"row {start + row}, column {', '.join(map(str, feature))} (counted from 0)"
            raise DataError(f"{where} is too far from the training data to be standardised; correct it")
    return out
