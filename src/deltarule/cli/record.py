"""What `deltarule train` leaves behind, however it ends; and how it hears that it should."""

from __future__ import annotations

import shlex
import signal
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import typer

from deltarule.cli.run_folder import RunFolder
from deltarule.data.sources import locate
from deltarule.errors import DataError, DivergenceError
from deltarule.network import Network
from deltarule.training import JSONLines, Run
from deltarule.training.callbacks import say

__all__ = ["Record", "signals"]

TOGETHER = 0.5  # seconds in which several signals are one: launchers send them to a whole group, and then once more


class Heard:
    """The signals that came: how often, and the exit code of the first."""

    def __init__(self) -> None:
        self.times, self.code, self.last = 0, 130, float("-inf")

    def __call__(self, number: int, _: Any) -> None:
        now = time.monotonic()
        if now - self.last < TOGETHER:
            return
        if self.times == 0:
            self.code = 128 + number
        self.times, self.last = self.times + 1, now
        raise KeyboardInterrupt


@contextmanager
def signals() -> Iterator[Heard]:
    """Within, SIGINT (Ctrl-C) and SIGTERM are interruptions; what is ignored stays ignored."""
    heard, before = Heard(), {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, heard)
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


class Record(JSONLines):
    """The run folder: the command before data are read, the history as it comes, the model and the result at the end.

    What is refused before training begins leaves no folder behind.
    """

    def __init__(self, o: SimpleNamespace, not_kept: Collection[str]) -> None:
        self.name, data, target = locate(o.data, o.target)
        self.fresh, self.finished = o.resume is None, False
        self.began: Run | None = None
        self.unit = "rows"
        command = {name: value for name, value in vars(o).items() if name not in not_kept}
        self.content: dict[str, Any] = {"command": command | {"data": data, "target": target}}
        if self.fresh:
            self.folder = RunFolder.create(o.output, self.name)
            try:
                self.folder.write(self.content)
            except BaseException:
                self.folder.remove()
                raise
        else:
            self.folder = RunFolder.open(o.resume)
        super().__init__(self.folder.history)

    def check(self, name: str, fingerprint: str) -> None:
        """Refuse other data than those that a resumed run began with."""
        self.name = name
        known = None if self.fresh else self.folder.fingerprint()
        if known is not None and known != fingerprint:
            raise DataError(f"{self.folder} cannot go on: {name} is not what it was, its content differs")

    def describe(self, described: dict[str, Any], unit: str) -> None:
        """Everything resolved, for run.toml; the unit is what is counted of the data."""
        self.content |= described
        self.unit = unit

    def on_begin(self, run: Run) -> None:
        self.began = run
        self.folder.sweep()
        self.folder.write(self.content)
        super().on_begin(run)
        done = f"; {run.epoch} epochs, {run.step:,} updates are done" if run.step else ""
        say(
            f"{self.name}: {self.content['data']['training_rows']:,} {self.unit} to train on, "
            f"{run.net.spec} with {run.net.size:,} parameters{done}"
        )

    def finish(self, net: Network, result: dict[str, Any]) -> None:
        """Write the model, and add the result to run.toml."""
        net.save(self.folder.model)
        self.folder.write(self.content | {"result": result})
        self.finished = True

    def end(self, stop: BaseException, *, wait: bool) -> None:
        """Training ended early: the weights reached and why, if there is time for it, and how to go on."""
        interrupted = isinstance(stop, KeyboardInterrupt)
        if self.began is not None and not self.finished and wait:
            with suppress(OSError, KeyboardInterrupt):
                self.finish(self.began.net, {"stopped": "interrupted" if interrupted else str(stop)})
        if isinstance(stop, DivergenceError) or (self.fresh and self.began is None):
            return
        minimised = self.content["command"].get("minimizer") is not None
        what = "iterations" if minimised else "updates"
        after = "" if self.began is None else f" after {self.began.step:,} {what}"
        on = f"the run goes on with: deltarule train --resume {shlex.quote(str(self.folder))}"
        typer.echo(
            f"{'Interrupted' if interrupted else 'Stopped'}{after}; "
            f"{f'the weights reached are in {self.folder}' if minimised else on}", err=True,
        )  # fmt: skip

    def leave(self) -> None:
        """Leave nothing where nothing began."""
        if self.fresh and self.began is None:
            self.folder.remove()
