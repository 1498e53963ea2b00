"""What `train` and the engines say to each other: values, the same for every engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.optimizers import Optimizer, State

__all__ = ["Outcome", "Settings", "Slice"]


class Settings(NamedTuple):
    """What stays the same over a whole training."""

    seed: int
    weight_decay: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    threads: int | None = None  # as many as help, unless said


class Slice(NamedTuple):
    """A stretch of training: consecutive mini-batches, each with its own rate and optimiser constants."""

    order: NDArray[np.int64]  # rows of the data set: those of all mini-batches, one batch after the other
    ends: NDArray[np.int64]  # where each batch ends in `order`
    rates: NDArray[np.float64]  # η of each update
    optimizers: Sequence[Optimizer]  # with any schedule of theirs resolved
    first_step: int  # the number of the first update, from 1
    begins: NDArray[np.bool_] | None = None  # of batches of sequences: those that go on from no batch before; None: all
    decays: NDArray[np.float64] | None = None  # λ of each update, where it is not the settings'
    keeps: NDArray[np.int64] | None = None  # how many updates lie before each θ that is wanted along the way

    @property
    def batches(self) -> Iterator[NDArray[np.int64]]:
        """The rows of each mini-batch."""
        start = 0
        for end in self.ends.tolist():
            yield self.order[start:end]
            start = end


class Outcome(NamedTuple):
    """Where a slice ended; `diverged` is the step (from 1) whose cost, gradient or update was not finite."""

    theta: NDArray[Any]
    state: State
    costs: NDArray[np.float64]  # of each mini-batch before its update
    penalties: NDArray[np.float64]  # the (λ/2) Σ W² among them
    diverged: int | None = None
    carried: NDArray[Any] | None = None  # where batches go on: the state `(m, n_state)` behind the last that was done
    kept: NDArray[Any] | None = None  # `(n, |θ|)`: each θ that was wanted along the way
