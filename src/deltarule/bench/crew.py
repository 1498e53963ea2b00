"""The crew: the workers of a run, each started when first needed, all ended with the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from deltarule.bench.peer import Formulation, Peer
from deltarule.errors import DeltaruleError

__all__ = ["Crew", "Worker", "WorkerError"]


class WorkerError(DeltaruleError, RuntimeError):
    """A worker could not do what it was told, or has died."""


class Worker:
    """A process for one peer with an environment of its own; it computes only while it is asked."""

    def __init__(self, peer: Peer, environment: Mapping[str, str]) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the worker)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deltarule.bench.worker", peer.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, encoding="utf-8",
            env=os.environ | environment,
        )  # fmt: skip

    def ask(self, do: str, **what: Any) -> dict[str, Any]:
        """Send a command, wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **what}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"the worker died with code {self.process.wait()}: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def _last_words(self) -> str:
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip().splitlines()
        return said[-1] if said else "it said nothing"

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            try:
                stream.close()
            except BrokenPipeError:  # a command that it never read
                continue


class Crew:
    """The workers by peer and environment: formulations that agree in both share a process, with the peer alone."""

    def __init__(self) -> None:
        self.workers: dict[tuple[str, frozenset[tuple[str, str]]], Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self.workers.values():
            worker.close()

    def worker(self, peer: Peer, formulation: Formulation) -> Worker:
        """The worker for a formulation, started if it is not there (or is there no more)."""
        environment = peer.environment(formulation)
        key = peer.name, frozenset(environment.items())
        if key in self.workers and self.workers[key].process.poll() is not None:
            self.workers.pop(key).close()
        if key not in self.workers:
            self.workers[key] = Worker(peer, environment)
        return self.workers[key]
