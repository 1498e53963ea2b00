"""Where a training stands between two updates: one value, from which with data and settings all the rest follows.

Orders and dropout masks are pure functions of (seed, epoch or step, row), so there is no generator to keep.
"""

from __future__ import annotations

from math import inf, nan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.optimizers import State

__all__ = ["Best", "Rows", "Samples", "Standing"]

Rows = NDArray[np.int64]


class Samples(NamedTuple):
    """Prepared data, and which rows of them are meant; all, where `rows` is None."""

    X: NDArray[Any]
    t: NDArray[Any]
    weights: NDArray[Any] | None
    rows: Rows | None = None
    windows: int = 1  # rows that make one sequence: its windows, one behind the other

    @property
    def m(self) -> int:
        """How many rows, or sequences, are meant."""
        return len(self.X) // self.windows if self.rows is None else len(self.rows)


class Best(NamedTuple):
    """The weights where the watched cost was lowest; those of the start, epoch 0, until an epoch is done."""

    epoch: int
    theta: NDArray[Any]
    state: State | None = None  # the optimiser's there, where it may be needed again


class Standing(NamedTuple):
    """Everything that changes in a training, θ and the history apart."""

    state: State  # the optimiser's
    scheduled: dict[str, float]  # the schedule's
    best: Best
    epoch: int = 0  # epochs done
    batch: int = 0  # mini-batches done of the epoch at work
    step: int = 0  # updates done
    total: float = 0.0  # of this epoch: the costs so far, each times what its mini-batch weighs,
    weight: float = 0.0  # and what they weigh
    learning_rate: float = nan  # of the last update
    lowest: float = inf  # the lowest watched cost,
    mark: float = inf  # the one that patience measures from,
    waited: int = 0  # and for how many epochs it has
    factor: float = 1.0  # of η: halved by every return to the best weights
    restored: int = 0  # how often that was
    seconds: float = 0.0  # at work so far
    stopped: str = ""  # what a callback said when it asked for the end
    carried: NDArray[Any] | None = None  # the state `(m, n_state)` with which the sequences of this epoch go on

    @property
    def cost(self) -> float:
        """The mean over the mini-batches of this epoch so far."""
        return self.total / self.weight if self.weight else nan
