"""Callbacks: who is told what and when, how training is stopped, and what reports look like."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import deltarule as dr
from deltarule import Callback, Network, Run
from deltarule.errors import DivergenceError
from deltarule.training import loop
from deltarule.training.callbacks import EpochLines, ProgressBar, reporter

RANDOM = np.random.default_rng(0)
X, T = RANDOM.normal(size=(10, 3)), np.arange(10) % 2


class Diary(Callback):
    """Writes down what it is told."""

    def __init__(self, name: str = "", told: list[str] | None = None) -> None:
        self.name, self.told = name, [] if told is None else told

    def on_begin(self, run: Run) -> None:
        self.told.append(f"{self.name}begin {run.epoch} {run.step} {len(run.history)}")

    def on_epoch(self, run: Run) -> None:
        self.told.append(f"{self.name}epoch {run.epoch} {run.step} {len(run.history)}")

    def on_end(self, run: Run) -> None:
        self.told.append(f"{self.name}end {run.epoch} {run.step} {len(run.history)}")


class Steps(Diary):
    def on_step(self, run: Run) -> None:
        self.told.append(f"step {run.step}")


def fit(net: Network | None = None, **named: Any) -> dr.History:
    return dr.train(net or Network("3/2"), X, T, **({"epochs": 2, "batch_size": 4, "verbose": False} | named))


def test_who_is_told_what_and_when() -> None:
    diary = Steps()
    fit(callbacks=[diary])
    assert diary.told == [
        "begin 0 0 0", "step 1", "step 2", "step 3", "epoch 1 3 1", "step 4", "step 5", "step 6", "epoch 2 6 2",
        "end 2 6 2",
    ]  # fmt: skip


def test_callbacks_are_told_in_their_order() -> None:
    told: list[str] = []
    fit(callbacks=[Diary("a ", told), Diary("b ", told)], epochs=1)
    assert told == [f"{name} {what}" for what in ("begin 0 0 0", "epoch 1 3 1", "end 1 3 1") for name in "ab"]


def test_any_object_may_be_told_what_it_defines() -> None:
    class Counter:
        steps = 0

        def on_step(self, run: Run) -> None:
            self.steps += 1

    counter = Counter()
    fit(callbacks=(counter,))
    assert counter.steps == 6


def test_slices_move_within_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SECONDS_A_SLICE", 0.0)  # one update each, once it is known how long one takes

    class Slices(Callback):
        seen: list[tuple[int, bool]]

        def __init__(self) -> None:
            self.seen = []

        def on_slice(self, run: Run) -> None:
            self.seen.append((run.step, math.isfinite(run.cost) and run.learning_rate == 0.5))

    slices = Slices()
    dr.train(Network("3/2"), np.tile(X, (10, 1)), np.tile(T, 10), epochs=1, batch_size=1, learning_rate=0.5,
             callbacks=[slices], verbose=False)  # fmt: skip
    assert slices.seen == [(k, True) for k in range(1, 101)]


def test_a_callback_ends_training_after_the_epoch() -> None:
    class Stop(Diary):
        def on_epoch(self, run: Run) -> None:
            super().on_epoch(run)
            if run.epoch == 2:
                run.stop("enough is known")

    diary = Stop()
    history = fit(callbacks=[diary], epochs=9)
    assert diary.told == ["begin 0 0 0", "epoch 1 3 1", "epoch 2 6 2", "end 2 6 2"]
    assert (len(history), history.stopped) == (2, "enough is known")
    assert fit().stopped == "all 2 epochs are done"


@pytest.mark.parametrize("reason", ["the step is done", ""])
def test_a_callback_ends_training_after_the_update(reason: str) -> None:
    class Stop(Steps):
        def on_step(self, run: Run) -> None:
            super().on_step(run)
            if run.step == 5:
                run.stop(reason)

    diary = Stop()
    history = fit(callbacks=[diary], epochs=9)
    assert diary.told[-3:] == ["step 5", "epoch 2 5 2", "end 2 5 2"]
    assert history.stopped == (reason or "a callback ended it")
    assert history.epoch == [1, 2]


def test_before_the_first_epoch_too() -> None:
    class Stop(Callback):
        def on_begin(self, run: Run) -> None:
            run.stop("not today")

    net = Network("3/2")
    before = net.unroll()
    history = fit(net, callbacks=[Stop()])
    assert (len(history), history.stopped) == (0, "not today")
    np.testing.assert_array_equal(net.theta, before)


@pytest.mark.parametrize("where", ["on_begin", "on_slice", "on_step", "on_epoch"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_in_a_callback_still_ends_the_others(where: str, error: type[BaseException]) -> None:
    def fail(run: Run) -> None:
        raise error

    faulty, diary, net = Callback(), Diary(), Network("3/2")
    setattr(faulty, where, fail)
    with pytest.raises(error):
        fit(net, callbacks=[diary, faulty])
    assert diary.told[-1].startswith("end")
    assert np.isfinite(net.theta).all()


def test_divergence_ends_the_callbacks_too() -> None:
    diary = Diary()
    with pytest.raises(DivergenceError):
        fit(Network("3/2", output="identity"), optimizer="sgd", learning_rate=1e30, callbacks=[diary], epochs=50)
    assert diary.told[-1].startswith("end")


def test_an_interrupt_leaves_the_weights_reached() -> None:
    class Interrupt(Callback):
        def on_step(self, run: Run) -> None:
            if run.step == 4:
                raise KeyboardInterrupt

    net, other = Network("3/2"), Network("3/2")
    with pytest.raises(KeyboardInterrupt):
        fit(net, callbacks=[Interrupt()])

    class Stop(Callback):
        def on_step(self, run: Run) -> None:
            if run.step == 4:
                run.stop("here")

    fit(other, callbacks=[Stop()])
    np.testing.assert_array_equal(net.theta, other.theta)
    assert not np.array_equal(net.theta, Network("3/2").theta)


# Reports


def test_a_killed_run_leaves_its_history(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("what an older run left")

    class Kill(Callback):
        def on_epoch(self, run: Run) -> None:
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            assert [row["epoch"] for row in rows] == list(range(1, run.epoch + 1))
            if run.epoch == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(callbacks=[dr.JSONLines(path), Kill()], epochs=9, record_steps=True)
    history = dr.History.from_jsonl(path)
    assert history.epoch == [1, 2, 3]
    assert len(history.step_cost) == 9


def test_json_lines_are_the_history(tmp_path: Path) -> None:
    history = fit(callbacks=[dr.JSONLines(tmp_path / "a")], record_steps=True, validation=(X, T))
    history.to_jsonl(tmp_path / "b")
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()
    assert dr.History.from_jsonl(tmp_path / "a").columns == history.columns


def test_one_plain_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    history = fit(verbose=True, validation=(X, T), learning_rate=0.25)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for k, line in enumerate(lines):
        assert line.startswith(f"epoch {k + 1}/2  cost {history.cost[k]:.4f}  validation cost ")
        assert f"validation accuracy {history.validation_accuracy[k]:.4f}  η 0.25" in line
        assert line.isprintable()
    fit(verbose=False)
    assert capsys.readouterr().out == ""


def test_who_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reporter(False) == []
    assert [type(c) for c in reporter(True)] == [EpochLines]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert [type(c) for c in reporter(True)] == [ProgressBar]


def test_a_progress_bar_on_a_terminal() -> None:
    screen = io.StringIO()
    bar = ProgressBar(Console(force_terminal=True, file=screen, width=160))
    history = fit(callbacks=[bar], validation=(X, T), epochs=3)
    text = screen.getvalue()
    assert "epoch" in text
    assert "3/3" in text
    assert f"cost {history.cost[-1]:.4f}" in text
    assert f"validation {history.validation_cost[-1]:.4f}" in text
    assert bar.bar.finished
    assert not bar.bar.live.is_started


def test_the_bar_stops_when_training_breaks_off() -> None:
    bar = ProgressBar(Console(force_terminal=True, file=io.StringIO(), width=160))
    with pytest.raises(DivergenceError):
        fit(Network("3/2", output="identity"), optimizer="sgd", learning_rate=1e30, callbacks=[bar], epochs=50)
    assert not bar.bar.live.is_started
