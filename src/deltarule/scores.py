"""How good answers are: the cost, and accuracy, or for regression rmse and R²."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import Sigmoid, Softmax
from deltarule.architecture import Architecture

__all__ = ["Tally", "accuracy", "hits", "regression"]


class Tally:
    """The scores of answers that come a part at a time; what is kept of a part is a few bytes a row.

    Args:
        net: whose answers.
        every_output: whether all outputs of a row must be right, or the largest alone.
        units: what turns answers and targets of a regression into the units of the data.
    """

    def __init__(self, net: Architecture, every_output: bool, units: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        self.output, self.n_outputs, self.every_output, self.units = net.output, net.n_outputs, every_output, units
        self.classifies, self.classes = isinstance(net.output.activation, Softmax | Sigmoid), True
        self.parts: list[tuple[NDArray[Any], ...]] = []
        self.weights: list[NDArray[Any]] = []

    def add(self, z: NDArray[Any], y: NDArray[Any], t: NDArray[Any], w: NDArray[Any] | None) -> None:
        """Net values and outputs `(…, K)`; targets likewise, or classes `(…)`; weights `(…)`, negative for none."""
        t = t.reshape(-1, *t.shape[y.ndim - 1 :])
        z, y = z.reshape(-1, z.shape[-1]), y.reshape(-1, y.shape[-1])
        rows = t if t.ndim == 2 else (t[:, None] == np.arange(self.n_outputs)).astype(y.dtype)
        costs = self.output.value(z, y, rows).astype(np.float64)
        self.classes = self.classes and self.classifies and bool(np.isin(rows, (0, 1)).all())
        if self.classifies:
            self.parts.append((costs, hits(y, rows, self.every_output)))
        else:
            self.parts.append((costs, self.units(y), self.units(rows)))
        if w is not None:
            self.weights.append(np.maximum(w.reshape(-1), 0))

    def scores(self, sequences: float | None = None) -> dict[str, float]:
        """The mean cost, and accuracy where the targets are classes, or rmse and R².

        Where the costs of steps add up, they are divided by what the `sequences` weigh.
        """
        costs, *rest = (np.concatenate(part) for part in zip(*self.parts))
        w = np.concatenate(self.weights) if self.weights else None
        result = {"cost": float(np.average(costs, weights=w))}
        if sequences is not None:
            result["cost"] = float(np.sum(costs if w is None else costs * w) / sequences)
        if self.classes:
            result["accuracy"] = float(np.average(rest[0], weights=w))
        elif not self.classifies:
            result |= regression(rest[0], rest[1], w)
        return result


def hits(y: NDArray[Any], t: NDArray[Any], every_output: bool) -> NDArray[np.bool_]:
    """Which rows are answered rightly: the largest output is the target's, or every output is on its side of ½."""
    right: NDArray[np.bool_]
    right = ((y >= 0.5) == (t >= 0.5)).all(axis=-1) if every_output else np.equal(y.argmax(axis=-1), t.argmax(axis=-1))
    return right


def accuracy(
    y: NDArray[Any], t: NDArray[Any], weights: NDArray[Any] | None = None, *, every_output: bool = False
) -> float:
    """The share of rows answered rightly (`hits`).

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([[0, 1], [0, 1]]))
    0.5
    """
    return float(np.average(hits(y, t, every_output), weights=weights))


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
