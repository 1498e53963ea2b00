"""The callback: when it diagnoses, what it keeps, and that training's bits stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

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
    with pytest.raises(ShapeError):
        fit(dr.Network("4/8/3"), Diagnose(X[:, :2], T))
