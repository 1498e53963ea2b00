"""The callback: when it diagnoses, what it keeps, and that training's bits stay."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import deltarule as dr
from deltarule.diagnosis import diagnose
from deltarule.errors import HyperparameterError, ShapeError
from deltarule.training import diagnose as module
from deltarule.training.diagnose import Diagnose

RANDOM = np.random.default_rng(0)
X, T = RANDOM.normal(size=(120, 4)).astype(np.float32), np.arange(120) % 3


def fit(net: dr.Network, *callbacks: Any, **named: Any) -> dr.History:
    return dr.train(net, X, T, callbacks=callbacks, verbose=False, **({"epochs": 6} | named))


def test_epochs_and_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    net, watch = dr.Network("4/8/3"), Diagnose(X, T, 2, optimizer="momentum(0.9)", weight_decay=0.1)
    fit(net, watch, optimizer="momentum(0.9)", learning_rate=0.05, schedule="step_decay(0.5,every=1)")
    assert [epoch for epoch, _ in watch.found] == [2, 4, 6]
    named: dict[str, Any] = {"optimizer": "momentum(0.9)", "weight_decay": 0.1}
    assert watch.found[-1][1] == diagnose(net, X, T, learning_rate=0.05 / 32, **named)  # the run's rate, of its end
    assert capsys.readouterr().out == ""


def test_without_an_optimiser_no_update_is_judged() -> None:
    watch = Diagnose(X, T, every=1)
    fit(dr.Network("4/8/3"), watch, learning_rate=1e-12)
    assert all(found.ok and found.layers[0].update_ratio is None for _, found in watch.found)
    watch = Diagnose(X, T, every=1, optimizer="adam")
    fit(dr.Network("4/8/3"), watch, learning_rate=1e-12)
    assert {found.layers[0].verdict for _, found in watch.found} == {"rate too small"}


def test_a_rate_of_0_is_judged_as_0() -> None:
    watch = Diagnose(X, T, every=1, optimizer="rmsprop")
    fit(dr.Network("4/8/3"), watch, optimizer="rmsprop", schedule="piecewise((1,0),at=3)")
    ratios = [found.layers[0].update_ratio for _, found in watch.found]
    assert [ratio == 0 for ratio in ratios] == [False] * 3 + [True] * 3
    assert {own.verdict for own in watch.found[-1][1].layers} == {"healthy"}


@pytest.mark.parametrize("engine", ["native", "textbook"])
def test_training_keeps_its_bits(engine: str) -> None:
    spec = "4/dropout(0.2)/8/3"
    alone, watched, watch = dr.Network(spec), dr.Network(spec), Diagnose(X, T, every=1)
    fit(alone, engine=engine)
    history = fit(watched, watch, engine=engine)
    assert len(watch.found) == len(history) == 6
    assert alone.theta.tobytes() == watched.theta.tobytes()


def test_data_may_change_behind_it() -> None:
    mine = X.copy()
    watch, other = Diagnose(mine, T, every=1), Diagnose(X, T, every=1)

    class Spoiler(dr.Callback):
        def on_begin(self, run: dr.Run) -> None:
            mine[...] = 0

    fit(dr.Network("4/8/3"), watch, other, Spoiler())
    assert watch.found == other.found


def test_it_paces_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only the test moves: an epoch takes 1 s, a diagnosis 0.1 s, so that 0.03 allow one in 3.3 epochs."""
    clock = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    slow = module.diagnosed

    def diagnosed(*given: Any) -> Any:
        clock[0] += 0.1
        return slow(*given)

    monkeypatch.setattr(module, "diagnosed", diagnosed)
    watch, net = Diagnose(X, T), dr.Network("4/8/3")
    run = dr.Run(net, epochs=12, steps_per_epoch=1)
    watch.on_begin(run)
    for run.epoch in range(1, 13):
        clock[0] += 1.0
        watch.on_epoch(run)
    assert [epoch for epoch, _ in watch.found] == [1, 7, 10, 12]


@pytest.fixture
def dear(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only diagnoses move, so that between the first and the last there is no time for any."""
    clock, cheap = [0.0], module.diagnosed
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])

    def diagnosed(*given: Any) -> Any:
        clock[0] += 1.0
        return cheap(*given)

    monkeypatch.setattr(module, "diagnosed", diagnosed)


class At(dr.Callback):
    """Does something after an epoch."""

    def __init__(self, epoch: int, what: Callable[[dr.Run], None]) -> None:
        self.epoch, self.what = epoch, what

    def on_epoch(self, run: dr.Run) -> None:
        if run.epoch == self.epoch:
            self.what(run)


def interrupted(run: dr.Run) -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("dear")
def test_training_that_ends_early_has_a_last_diagnosis_too() -> None:
    net, watch, every = dr.Network("4/8/3"), Diagnose(X, T), Diagnose(X, T, every=2)
    fit(net, watch, every, At(5, lambda run: run.stop("enough")), epochs=9)
    assert [epoch for epoch, _ in watch.found] == [1, 5]
    assert [epoch for epoch, _ in every.found] == [2, 4]  # as often as was said, and no more
    assert watch.found[-1][1] == diagnose(net, X, T, optimizer=None)
    fit(dr.Network("4/8/3"), watch, epochs=9)
    assert [epoch for epoch, _ in watch.found] == [1, 9]


@pytest.mark.usefixtures("dear")
def test_early_stopping_puts_the_best_weights_back_before() -> None:
    net, watch = dr.Network("4/8/3"), Diagnose(X, T)
    named: dict[str, Any] = {"validation": (X[:30], (T[:30] + 1) % 3), "early_stopping": dr.EarlyStopping(3)}
    history = fit(net, watch, epochs=200, **named)
    assert 1 < len(history) < 200
    assert history.best_epoch < len(history)
    assert [epoch for epoch, _ in watch.found] == [1, len(history)]
    assert watch.found[-1][1] == diagnose(net, X, T, optimizer=None)


@pytest.mark.usefixtures("dear")
def test_after_an_error_there_is_none() -> None:
    watch = Diagnose(X, T)
    with pytest.raises(KeyboardInterrupt):
        fit(dr.Network("4/8/3"), watch, At(3, interrupted))
    assert [epoch for epoch, _ in watch.found] == [1]
    with pytest.raises(dr.DivergenceError):
        fit(dr.Network("4/8/1", output="identity"), watch, At(3, lambda run: run.net.theta.fill(1e30)))
    assert [epoch for epoch, _ in watch.found] == [1]


def blas() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.fixture
def two() -> Iterator[list[int]]:
    """BLAS on two threads, set by one that has ended: as long as it lives no other could (threadpoolctl 3.8)."""

    def limit(n: int) -> None:
        work = Thread(target=threadpool_limits, args=(n, "blas"))
        work.start()
        work.join()

    (first, *_) = blas()
    limit(2)
    yield blas()
    limit(first)


def test_two_trainings_at_once_leave_blas_its_threads(monkeypatch: pytest.MonkeyPatch, two: list[int]) -> None:
    """The first goes in, the second goes in, the first comes out, the second comes out."""
    cheap, inside, out, seen = module.diagnosed, Event(), Event(), list[list[int]]()

    def of_first(*given: Any) -> Any:
        second.start()
        assert inside.wait(60)
        seen.append(blas())
        return cheap(*given)

    def of_second(*given: Any) -> Any:
        inside.set()
        assert out.wait(60)
        return cheap(*given)

    def train() -> None:
        fit(dr.Network("4/8/3"), Diagnose(X, T, every=1), epochs=1)

    works = iter([of_first, of_second])
    monkeypatch.setattr(module, "diagnosed", lambda *given: next(works)(*given))
    second = Thread(target=train)
    train()
    out.set()
    second.join(60)
    assert seen == [[1] * len(two)]
    assert blas() == two
    monkeypatch.setattr(module, "diagnosed", lambda *given: seen.append(blas()) or cheap(*given))
    train()
    assert seen == [[1] * len(two)] * 2
    assert blas() == two


def test_an_error_within_leaves_blas_its_threads(monkeypatch: pytest.MonkeyPatch, two: list[int]) -> None:
    def fails(*given: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "diagnosed", fails)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fit(dr.Network("4/8/3"), Diagnose(X, T))
    assert blas() == two


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda watch: pickle.loads(pickle.dumps(watch))])
def test_it_is_copied_and_pickled_after_training(copied: Callable[[Diagnose], Diagnose]) -> None:
    watch = Diagnose(X, T, every=3, optimizer="adam")
    fit(dr.Network("4/8/3"), watch)
    again = copied(watch)
    assert again.found == watch.found
    fit(dr.Network("4/8/3"), again, epochs=3)
    assert again.found == watch.found[:1]


def test_it_begins_anew_with_every_training() -> None:
    watch = Diagnose(X, T, every=3)
    for _ in range(2):
        fit(dr.Network("4/8/3"), watch)
        assert [epoch for epoch, _ in watch.found] == [3, 6]


def test_what_is_refused() -> None:
    with pytest.raises(HyperparameterError, match="every must be"):
        Diagnose(X, T, 0)
    with pytest.raises(dr.UnknownNameError):
        Diagnose(X, T, optimizer="sdg")
    with pytest.raises(HyperparameterError, match="not to both"):
        Diagnose(X, T, optimizer="adamw(weight_decay=0.1)", weight_decay=0.1)
    with pytest.raises(ShapeError):
        fit(dr.Network("4/8/3"), Diagnose(X[:, :2], T))
