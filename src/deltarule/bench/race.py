"""A race: the formulations of one problem, each checked, then measured in turn, round by round.

Only one process computes at a time, so nobody disturbs anybody; what the machine does meanwhile hits all alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from deltarule.bench.crew import Crew, Worker, WorkerError
from deltarule.bench.peer import Formulation, Peer
from deltarule.bench.problem import Problem, reference, save

__all__ = ["KEEP", "REST", "TOLERANCE", "Lane", "Race", "disagreement"]

TOLERANCE = 1e-4  # of costs (or ŷ), relative to the largest of the reference
REST = 0.3  # seconds before each measurement: the threads of whoever computed before spin for a while
KEEP = 0.7  # of a peer's best first measurement: what is slower than that does not take part in the rounds


@dataclass
class Lane:
    """A formulation in a race; `rates` are work a second (samples, or operations), one a round.

    `always`: it takes part in the rounds however slow it is.
    """

    peer: Peer
    formulation: Formulation
    worker: Worker
    always: bool = False
    job: int = -1
    rates: list[float] = field(default_factory=list)
    first: float = float("nan")
    error: float | None = None
    failure: str = ""

    @property
    def rate(self) -> float:
        """The median, or the first measurement where there were no rounds; nan for what failed."""
        return float("nan") if self.failure else statistics.median(self.rates or [self.first])

    def to_json(self) -> dict[str, Any]:
        """What the results keep."""
        return {
            "peer": self.peer.name, "formulation": self.formulation.name, "threads": self.formulation.threads,
            "rate": None if self.failure else self.rate, "rates": self.rates, "error": self.error,
            "failure": self.failure,
        }  # fmt: skip

    def __str__(self) -> str:
        n = self.formulation.threads
        return f"{self.peer.name}: {self.formulation.name}, {n} thread{'s' * (n > 1)}"


class Race:
    """The lanes of one problem, whose arrays lie in `folder` for the workers.

    Args:
        seconds: how long one measurement takes, about.
        tell: told of every formulation, as it is tried.
    """

    def __init__(self, crew: Crew, problem: Problem, folder: Path, seconds: float, tell: Callable[[str], None]) -> None:
        self.crew, self.folder, self.seconds, self.tell = crew, folder, seconds, tell
        self.expected = reference(problem)
        self.lanes: list[Lane] = []
        self._loaded: set[int] = set()  # workers that hold this problem, by process id
        save(problem, folder)

    def enter(self, peer: Peer, formulation: Formulation, always: bool = False) -> Lane:
        """Build a formulation, check it, and measure it once; what fails is kept with its failure."""
        lane = Lane(peer, formulation, self.crew.worker(peer, formulation), always)
        self.lanes.append(lane)
        try:
            if lane.worker.process.pid not in self._loaded:
                lane.worker.ask("load", folder=str(self.folder))
                self._loaded.add(lane.worker.process.pid)
            answer = lane.worker.ask("build", formulation=asdict(formulation), seconds=self.seconds)
            lane.job = answer["job"]
            if answer["values"] is not None:
                lane.error = disagreement(answer["values"], self.expected)
                if not lane.error <= TOLERANCE:
                    raise WorkerError(f"is wrong: it leaves the reference by {lane.error:.1e}")
            lane.first = self._measured(lane)
        except WorkerError as error:
            lane.failure = str(error)
        self.tell(f"  {lane}: {lane.failure or _per_second(lane.first)}")
        return lane

    def run(self, rounds: int) -> None:
        """Measure in turn every lane that is not far behind its peer's best; every other round goes backwards."""
        running = self._running()
        for k in range(rounds):
            for lane in running[:: -1 if k % 2 else 1]:
                if not lane.failure:
                    self.measure(lane)

    def measure(self, lane: Lane) -> None:
        """One more measurement of a lane."""
        try:
            lane.rates.append(self._measured(lane))
        except WorkerError as error:
            lane.failure = str(error)
            self.tell(f"  {lane}: {error}")

    def timed(self, lane: Lane, repeats: int | None = None) -> dict[str, Any]:
        """Work, seconds and CPU time of a measurement after a rest, of so many repeats if told."""
        time.sleep(REST)
        return lane.worker.ask("measure", job=lane.job, repeats=repeats)

    def _measured(self, lane: Lane) -> float:
        answer = self.timed(lane)
        return float(answer["work"] / answer["seconds"])

    def _running(self) -> list[Lane]:
        """The lanes that take part in the rounds."""
        healthy, running = [lane for lane in self.lanes if not lane.failure], []
        best: dict[str, float] = {}
        for lane in healthy:
            best[lane.peer.name] = max(best.get(lane.peer.name, 0.0), lane.first)
        for lane in healthy:
            if lane.first >= KEEP * best[lane.peer.name] or lane.always:
                running.append(lane)
            else:
                lane.worker.ask("drop", job=lane.job)  # its arrays are given back
        return running


def disagreement(values: ArrayLike, expected: ArrayLike) -> float:
    """The largest difference, relative to the largest number expected; inf where shapes differ or a value is nan.

    >>> disagreement([1.0, 2.5], [1.0, 2.0])
    0.25
    """
    a, b = np.asarray(values, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if a.shape != b.shape or not np.isfinite(a).all():
        return float("inf")
    return float(np.abs(a - b).max() / np.abs(b).max())


def _per_second(rate: float) -> str:
    return f"{rate / 1e9:,.1f} GFLOP/s" if rate > 1e9 else f"{rate:,.0f} a second"
