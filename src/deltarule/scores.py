"""How good answers are: accuracy, and for regression rmse and R²."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["accuracy", "regression"]


def accuracy(
    y: NDArray[Any], t: NDArray[Any], weights: NDArray[Any] | None = None, *, every_output: bool = False
) -> float:
    """The share of rows answered rightly: the largest output is the target's, or every output is on its side of ½.

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([[0, 1], [0, 1]]))
    0.5
    """
    hits = ((y >= 0.5) == (t >= 0.5)).all(axis=-1) if every_output else np.equal(y.argmax(axis=-1), t.argmax(axis=-1))
    return float(np.average(hits, weights=weights))


def regression(y: NDArray[Any], t: NDArray[Any], weights: NDArray[Any] | None = None) -> dict[str, float]:
    """rmse in the target's units, and R² = 1 − Σ(ŷ−t)² / Σ(t−t̄)², over all outputs; NaN for a constant target.

    >>> regression(np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]]))
    {'rmse': 0.7071067811865476, 'r2': 0.5}
    """
    y, t = y.astype(np.float64), t.astype(np.float64)
    error = np.average(((y - t) ** 2).mean(axis=-1), weights=weights, axis=0)
    mean = np.average(t, weights=weights, axis=0)
    spread = np.average(((t - mean) ** 2).mean(axis=-1), weights=weights, axis=0)
    return {"rmse": float(np.sqrt(error)), "r2": float(1 - error / spread) if spread > 0 else float("nan")}
