"""A process that computes for one peer at one number of threads, and otherwise waits on its input.

    python -m deltarule.bench.worker torch

It reads one JSON object a line and answers each with one:

    {"do": "load", "folder": …}                                  → {}
    {"do": "build", "formulation": {…}, "seconds": 0.3}          → {"job": 0, "values": […], "repeats": 7}
    {"do": "measure", "job": 0, "repeats": 10}                   → {"work": …, "seconds": …, "cpu": …}
    {"do": "drop", "job": 0}                                     → {}

`measure` repeats as often as `build` found, unless told; "cpu" are seconds of all threads together.
What goes wrong is answered as {"error": …}; the process goes on. `load` drops every job of the problem before it.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deltarule.bench import peers
from deltarule.bench.peer import Formulation, Job, Peer
from deltarule.bench.problem import Problem, load

__all__ = ["Desk", "main", "repeats_for"]


class Desk:
    """One peer's jobs on one problem; every verb is a command."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.problem: Problem | None = None
        self.jobs: dict[int, tuple[Job, int]] = {}

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do what a command says."""
        verbs: dict[str, Callable[..., dict[str, Any]]] = {
            "load": self.load, "build": self.build, "measure": self.measure, "drop": self.drop
        }  # fmt: skip
        try:
            return verbs[command.pop("do")](**command)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def load(self, folder: str) -> dict[str, Any]:
        """Take up the problem in a folder."""
        self.jobs.clear()
        self.problem = load(Path(folder))
        return {}

    def build(self, formulation: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Build a job, compute the numbers to check, and find the repeats that take so many seconds."""
        if self.problem is None:
            raise RuntimeError("no problem is loaded")
        job, key = self.peer.build(self.problem, Formulation(**formulation)), len(self.jobs)
        found = job.check()
        repeats = repeats_for(job, seconds)
        self.jobs[key] = job, repeats
        return {"job": key, "values": None if found is None else found.tolist(), "repeats": repeats}

    def measure(self, job: int, repeats: int | None = None) -> dict[str, Any]:
        """Work and seconds of one measurement."""
        found, usual = self.jobs[job]
        repeats, before = usual if repeats is None else repeats, time.process_time()
        seconds = found.run(repeats)
        return {"seconds": seconds, "work": repeats * found.work, "cpu": time.process_time() - before}

    def drop(self, job: int) -> dict[str, Any]:
        """Forget a job's arrays; its number stays taken."""
        self.jobs[job] = (_Nothing(), 0)
        return {}


class _Nothing:
    """In place of a job that was dropped."""

    work = 0.0

    def check(self) -> None:
        """Check nothing."""

    def run(self, repeats: int) -> float:
        raise RuntimeError("this job was dropped")


def repeats_for(job: Job, seconds: float) -> int:
    """The number of repeats that take about so many seconds, at least 1."""
    repeats, took = 1, job.run(1)
    while took < seconds / 2:
        repeats = math.ceil(repeats * min(100.0, 1.1 * seconds / max(took, 1e-9)))
        took = job.run(repeats)
    return max(1, math.ceil(repeats * seconds / took)) if took < seconds else repeats


def main(name: str) -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")  # nobody else may write between the answers
    os.dup2(2, 1)
    desk = Desk(peers.find(name))
    for line in sys.stdin:
        answers.write(json.dumps(desk.answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
