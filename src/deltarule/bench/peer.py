"""What the benchmark asks of a peer: formulations of a case, each built into a job that can be checked and timed."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deltarule.bench.cases import CHECKED, Case
from deltarule.bench.problem import Problem

__all__ = ["Formulation", "Job", "Peer", "Prediction", "Training", "blas_threads", "cores", "thread_counts"]


@dataclass(frozen=True)
class Formulation:
    """One way to write the case down: a name for people, the number of threads, and options for the peer."""

    name: str
    threads: int
    options: Mapping[str, Any] = field(default_factory=dict)


class Job(Protocol):
    """A formulation, built and ready."""

    work: float
    """What one repeat does: samples (time steps of sequences), or floating-point operations of a matrix product."""

    def check(self) -> NDArray[Any] | None:
        """The numbers to hold against the reference; None where there is nothing to check."""

    def run(self, repeats: int) -> float:
        """Do the work so often, and return the seconds it took."""


def blas_threads(formulation: Formulation) -> dict[str, str]:
    """The environment that holds every BLAS and OpenMP runtime to the formulation's threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {name: str(formulation.threads) for name in names}


@dataclass(frozen=True)
class Peer:
    """A library, or an engine of ours, that runs cases.

    Args:
        name, title: as in `--peer`, and as in tables.
        formulations: of a case, for each of the given numbers of threads.
        build: a job from a problem and one of those formulations. The library is imported here and not before.
        packages: what must be installed; install: how.
        refuses: why a case cannot be done as it stands, or None.
        environment: variables of the process of a formulation, set before it starts.
        ours: whether it is deltarule.
    """

    name: str
    title: str
    formulations: Callable[[Case, Sequence[int]], list[Formulation]]
    build: Callable[[Problem, Formulation], Job]
    packages: tuple[str, ...] = ()
    install: str = ""
    refuses: Callable[[Case], str | None] = lambda case: None
    environment: Callable[[Formulation], dict[str, str]] = blas_threads
    ours: bool = False


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_counts() -> list[int]:
    """1, 2, 4, … and all cores."""
    n = cores()
    return [*(2**k for k in range(n.bit_length()) if 2**k < n), n]


class Training(ABC):
    """Epochs of training from θ₀; the cost of every mini-batch before its update is computed and kept.

    A subclass says how to return to θ₀ and how to train; the check and the clock are the same for all, so what is
    timed is what was checked.
    """

    def __init__(self, problem: Problem, epochs_a_repeat: int = 1) -> None:
        self.problem, self.epochs_a_repeat = problem, epochs_a_repeat
        self.used = problem.case.steps * problem.case.batch  # rows an epoch, without the short batch
        self.work = float(epochs_a_repeat * self.used * problem.case.length)

    @abstractmethod
    def reset(self) -> None:
        """Put θ₀ and a fresh optimiser state in place."""

    @abstractmethod
    def train(self, epochs: int, order: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """The costs of all mini-batches; the rows come in the given order, or in a new random one each epoch."""

    def check(self) -> NDArray[Any]:
        """The costs of the first mini-batches of the rows as they stand."""
        self.reset()
        return self.train(self.epochs_a_repeat, np.arange(len(self.problem.X)))[:CHECKED]

    def run(self, repeats: int) -> float:
        """Train, from θ₀ on."""
        self.reset()
        start = time.perf_counter()
        self.train(repeats * self.epochs_a_repeat)
        return time.perf_counter() - start


class Prediction:
    """One row in, its ŷ out on the host, call after call."""

    work = 1.0

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call

    def check(self) -> NDArray[Any]:
        """Give ŷ `(K,)`."""
        return np.asarray(self.call()).reshape(-1)

    def run(self, repeats: int) -> float:
        """Ask so often."""
        call, start = self.call, time.perf_counter()
        for _ in range(repeats):
            call()
        return time.perf_counter() - start
