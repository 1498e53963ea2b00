"""Callbacks: who is told while a network trains, and can end it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import Any

from deltarule.costs import CrossEntropy
from deltarule.network import Network
from deltarule.training.history import History, json_line

__all__ = ["Callback", "EpochLines", "JSONLines", "ProgressBar", "Run", "reporter"]


@dataclass
class Run:
    """Where a training stands. Callbacks read it, and may ask it to stop."""

    net: Network
    epochs: int
    steps_per_epoch: int
    history: History = field(default_factory=History)
    epoch: int = 0  # epochs done
    step: int = 0  # updates done
    cost: float = float("nan")  # the mean over the mini-batches of this epoch so far
    learning_rate: float = float("nan")  # of the last update
    stopped: str = ""

    def stop(self, reason: str) -> None:
        """End training after the present epoch (or update, when a callback defines `on_step`)."""
        self.stopped = reason or "a callback ended it"


class Callback:
    """Define what you need; the rest does nothing.

    A callback that defines `on_step(self, run)` is called after every update; it never changes the results' bits.
    """

    def on_begin(self, run: Run) -> None:
        """Before the first epoch."""

    def on_slice(self, run: Run) -> None:
        """Now and then within an epoch, after some update."""

    def on_epoch(self, run: Run) -> None:
        """After an epoch, when its record stands in `run.history`."""

    def on_end(self, run: Run) -> None:
        """After the last epoch, or when training ends early, by an error too."""


def say(line: str) -> bool:
    """Print a line at once; False where it cannot be written any more (a closed pipe, a full disk)."""
    try:
        print(line, flush=True)  # noqa: T201
    except OSError:
        return False
    return True


class JSONLines(Callback):
    """Appends each epoch's record to a file as it comes, so that a killed run leaves its history."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def on_begin(self, run: Run) -> None:
        run.history.to_jsonl(self.path)  # what a resumed run had done; else nothing

    def on_epoch(self, run: Run) -> None:
        *_, last = run.history.records()
        with self.path.open("a", encoding="utf-8") as f:
            f.write(json_line(last))


def epoch_text(run: Run) -> str:
    """The last epoch in one line."""
    last = {name: column[-1] for name, column in run.history.columns.items()}
    scores = "  ".join(
        _score(run, name.replace("_", " "), last[name])
        for name in last
        if name == "cost" or name.startswith("validation")
    )
    return f"epoch {run.epoch}/{run.epochs}  {scores}  η {run.learning_rate:.3g}  {last['seconds']:.1f} s"


def _score(run: Run, name: str, value: float) -> str:
    """A score by its name; the cost of a text as nats and bits a character."""
    text = f"{name} {value:.4f}"
    of_text = run.net.vocabulary is not None and isinstance(run.net.output.cost, CrossEntropy)
    of_text = of_text and not name.endswith("accuracy")
    return f"{text} nats {value / log(2):.4f} bits" if of_text else text


class EpochLines(Callback):
    """One plain line an epoch: for logs and pipes. Training goes on when nobody reads them any more."""

    def __init__(self) -> None:
        self.read = True

    def on_epoch(self, run: Run) -> None:
        self.read = self.read and say(epoch_text(run))


class ProgressBar(Callback):
    """A bar on a terminal: updates done, cost, rate, time left."""

    def __init__(self, console: Any = None) -> None:
        self.console: Any = console
        self.bar: Any = None  # rich is imported when the bar starts
        self.task: Any = None

    def on_begin(self, run: Run) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        def whole() -> Column:
            return Column(no_wrap=True)

        columns = (
            TextColumn("epoch", table_column=whole()), MofNCompleteColumn(table_column=whole()),
            BarColumn(bar_width=20),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True, table_column=whole()),
            TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        )  # fmt: skip
        self.bar = Progress(*columns, console=self.console, expand=True)
        self.task = self.bar.add_task("", total=run.epochs, text="")
        self.bar.start()

    def on_slice(self, run: Run) -> None:
        if self.bar is not None:
            text = _score(run, "cost", run.cost)
            if "validation_cost" in run.history.columns:
                text += f"  {_score(run, 'validation', run.history.validation_cost[-1])}"
            text += f"  η {run.learning_rate:.3g}"
            self.bar.update(self.task, completed=run.step / run.steps_per_epoch, text=text)

    def on_end(self, run: Run) -> None:
        if self.bar is not None:
            self.on_slice(run)
            self.bar.stop()


def reporter(verbose: bool) -> list[Callback]:
    """Who reports: a bar on a terminal, one plain line an epoch elsewhere, nobody when not verbose."""
    if not verbose:
        return []
    return [ProgressBar() if sys.stdout.isatty() else EpochLines()]
