"""A crew within the test's own process, so that peers may be made up."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from deltarule.bench.crew import WorkerError
from deltarule.bench.problem import pose
from deltarule.bench.race import Race
from deltarule.bench.worker import Desk


class InnerWorker:
    """Talks to a desk as a worker does: through JSON, with errors as answers."""

    def __init__(self, peer, pid):
        self.desk, self.process = Desk(peer), SimpleNamespace(pid=pid)

    def ask(self, do, **what):
        answer = json.loads(json.dumps(self.desk.answer(json.loads(json.dumps({"do": do, **what})))))
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer


class InnerCrew:
    def __init__(self):
        self.workers = {}

    def worker(self, peer, formulation):
        return self.workers.setdefault(id(peer), InnerWorker(peer, len(self.workers)))


@pytest.fixture
def race(tmp_path, monkeypatch):
    """`race(case)`: an empty race within this process, without rests; `.said` is what it told."""
    monkeypatch.setattr("deltarule.bench.race.REST", 0)

    def make(case, crew=None):
        said = []
        made = Race(InnerCrew() if crew is None else crew, pose(case), tmp_path, 0.001, said.append)
        made.said = said
        return made

    return make
