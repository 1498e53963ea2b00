"""The loop: epochs of slices of updates, each told to the callbacks and kept for the checkpoint."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.engines import Settings, Slice
from deltarule.limits import number, whole
from deltarule.network import Network
from deltarule.optimizers import Optimizer
from deltarule.schedules import Constant, Progress, Schedule
from deltarule.training.batches import Order, count, order
from deltarule.training.callbacks import Callback, Run
from deltarule.training.checkpoint import Keeper
from deltarule.training.divergence import divergence
from deltarule.training.history import History
from deltarule.training.standing import Best, Rows, Samples, Standing
from deltarule.training.windows import mini_batches

__all__ = ["Callbacks", "EarlyStopping", "Loop", "Plan"]

SECONDS_A_SLICE = 0.4  # how long an engine works until callbacks and Ctrl-C are heard; slices never change bits
MOST_RESTORATIONS = 10  # η is a thousandth then

Callbacks = Sequence[Callback]


@dataclass(frozen=True)
class EarlyStopping:
    """End when the validation cost has not improved by `min_delta` for `patience` epochs, and put the best θ back."""

    patience: int = 10
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "patience", whole("patience", self.patience))
        object.__setattr__(self, "min_delta", number("min_delta", self.min_delta, least=0))


class Plan(NamedTuple):
    """The settings of a training, checked."""

    optimizer: Optimizer
    schedule: Schedule
    learning_rate: float
    epochs: int
    batch_size: int
    shuffle: Order
    drop_last: bool
    truncate: int | None
    record_steps: bool
    early_stopping: EarlyStopping | None
    on_divergence: str
    settings: Settings
    engine: Any

    def rows(self, data: Samples, epoch: int) -> tuple[Rows, Rows, NDArray[np.bool_] | None]:
        """The rows of an epoch (from 0) in order, where each mini-batch ends, and which begin sequences."""
        rows = order(data.m, self.shuffle, self.settings.seed, epoch)
        ends = np.arange(1, count(len(rows), self.batch_size, self.drop_last) + 1) * self.batch_size
        rows, ends = rows if data.rows is None else data.rows[rows], np.minimum(ends, len(rows))
        return (rows, ends, None) if data.windows == 1 else mini_batches(rows, ends, data.windows)

    def part(
        self, rows: Rows, ends: Rows, begins: NDArray[np.bool_] | None, standing: Standing, steps_per_epoch: int
    ) -> Slice:
        """The updates that follow, over the given rows, with their rates and constants."""
        n, total = len(ends), steps_per_epoch * self.epochs
        at = standing.epoch * steps_per_epoch + standing.batch  # the step, but for returns to the best weights
        places = [Progress(at + k, steps_per_epoch, total) for k in range(1 if self.constant else n)]
        eta = self.learning_rate * standing.factor
        rates = [eta * self.schedule.factor(p, standing.scheduled) for p in places]
        optimizers = [self.optimizer.at(p) for p in places]
        if self.constant:
            rates, optimizers = rates * n, optimizers * n
        return Slice(rows, ends, np.array(rates, np.float64), optimizers, standing.step + 1, begins)

    @property
    def constant(self) -> bool:
        """Whether all updates have the same rate and constants."""
        return isinstance(self.schedule, Constant) and not isinstance(getattr(self.optimizer, "momentum", 0), Schedule)

    def begin(self, net: Network) -> Standing:
        """Before the first update."""
        return Standing(self.optimizer.begin(net.theta), self.schedule.begin(), Best(0, net.theta.copy()))

    def described(self, net: Network) -> dict[str, Any]:
        """Whatever the weights depend on beside the data, as JSON can hold it."""
        stopping = self.early_stopping
        return {
            "network": net.spec, "network seed": net.seed, "dtype": str(net.dtype), "cost": _text(net.output.cost),
            "frozen stages": [k for k, layer in enumerate(net.layers, 1) if not layer.trainable],
            "multilabel": bool(net.multilabel), "optimizer": _text(self.optimizer),
            "learning_rate": float(self.learning_rate), "schedule": _text(self.schedule),
            "batch_size": self.batch_size, "weight_decay": self.settings.weight_decay,
            "clip_norm": self.settings.clip_norm, "clip_value": self.settings.clip_value,
            "shuffle": self.shuffle if isinstance(self.shuffle, bool) else "a function",
            "drop_last": bool(self.drop_last), "record_steps": bool(self.record_steps),
            "seed": self.settings.seed, "on_divergence": self.on_divergence,
            "early_stopping": None if stopping is None else [stopping.patience, stopping.min_delta],
            "engine": self.engine.__name__.rpartition(".")[2],
            **({"truncate": self.truncate} if self.truncate else {}),
            **({"time": net.time} if net.time != "mean" else {}),
        }  # fmt: skip


def _text(value: Any) -> str:
    """A value by its name and constants; one of a user's own class by that class too."""
    kind = type(value)
    own = kind.__module__.startswith("deltarule.")
    return str(value) if own else f"{kind.__module__}.{kind.__qualname__}: {value}"


class Pace:
    """How many updates make a slice."""

    def __init__(self, by_step: bool) -> None:
        self.by_step, self.seconds, self.most = by_step, 0.0, 1

    def updates(self) -> int:
        """One where a callback looks at each; else as many as fill a slice's time: 1, 8, 64, … at first."""
        if self.by_step:
            return 1
        return max(1, min(self.most, int(SECONDS_A_SLICE / self.seconds))) if self.seconds else 1

    def took(self, updates: int, seconds: float) -> None:
        """Remember how long an update took."""
        self.seconds, self.most = max(seconds / updates, 1e-9), max(self.most, 8 * updates)


class Loop:
    """One training from a standing to its end."""

    def __init__(self, run: Run, plan: Plan, data: Samples, held: Samples | None, callbacks: Callbacks) -> None:
        self.run, self.plan, self.data, self.held, self.callbacks = run, plan, data, held, callbacks
        self.standing = plan.begin(run.net)
        self.keeper: Keeper | None = None
        self.pace = Pace(any(hasattr(c, "on_step") for c in callbacks))
        self.started = 0.0

    def go_on(self, standing: Standing, theta: NDArray[Any], history: History) -> None:
        """Stand where an earlier training stood."""
        run, self.standing = self.run, standing
        run.net.roll(theta)
        run.history = history
        run.epoch, run.step, run.cost, run.learning_rate = (
            standing.epoch, standing.step, standing.cost, standing.learning_rate,
        )  # fmt: skip
        run.stopped = standing.stopped

    def go(self) -> History:
        """Train; the history."""
        run, history, plan = self.run, self.run.history, self.plan
        self.started = time.perf_counter() - self.standing.seconds
        try:
            self._tell("on_begin")
            self._stop_early()
            while self.standing.batch or (self.standing.epoch < run.epochs and not run.stopped):
                self._epoch()
            if self.keeper is not None:
                self.keeper.write()
            if plan.early_stopping is not None and history.best_theta is not None:
                run.net.roll(history.best_theta)
            history.stopped = run.stopped or f"all {run.epochs} epochs are done"
        except KeyboardInterrupt:
            if self.keeper is not None:
                self.keeper.write()
            raise
        finally:
            self._tell("on_end")
        return history

    def _tell(self, what: str) -> None:
        for callback in self.callbacks:
            if hasattr(callback, what):
                getattr(callback, what)(self.run)

    def _epoch(self) -> None:
        """The rest of an epoch, slice by slice."""
        rows, ends, begins = self.plan.rows(self.data, self.standing.epoch)
        starts = np.concatenate([[0], ends])
        while self.standing.batch < len(ends) and not (self.pace.by_step and self.run.stopped):
            at = self.standing.batch
            last = min(at + self.pace.updates(), len(ends))
            first = None if begins is None else begins[at:last]
            part = rows[starts[at] : starts[last]], ends[at:last] - starts[at], first
            self._slice(self.plan.part(*part, self.standing, self.run.steps_per_epoch))
        self._end_epoch()

    def _slice(self, part: Slice) -> None:
        run, s, began = self.run, self.standing, time.perf_counter()
        X, t, w = self.data[:3]
        outcome = self.plan.engine.train(run.net, run.net.theta, s.state, X, t, w, part, self.plan.settings, s.carried)
        run.net.theta[...] = outcome.theta
        run.step = s.step + len(outcome.costs)
        if self.plan.record_steps:
            run.history.step_cost += outcome.costs.tolist()
        if outcome.diverged is not None:
            self._diverged(part, outcome.diverged, outcome.carried)
            return
        shares, n = _shares(run.net, part, w), len(part.ends)
        self.standing = s = s._replace(
            state=outcome.state, carried=outcome.carried, batch=s.batch + n, step=run.step,
            learning_rate=float(part.rates[-1]), total=_add(s.total, shares * outcome.costs),
            weight=_add(s.weight, shares if run.net.time == "mean" or part.begins is None else shares * part.begins),
            seconds=self._seconds(),
        )  # fmt: skip
        run.learning_rate, run.cost = s.learning_rate, s.cost
        self.pace.took(n, time.perf_counter() - began)
        self._tell("on_slice")
        if self.pace.by_step:
            self._tell("on_step")
        if self.keeper is not None and not (self.pace.by_step and run.stopped):  # the epoch ends here
            self.standing = self.standing._replace(stopped=run.stopped)
            self.keeper.keep(run, self.standing)

    def _seconds(self) -> float:
        return time.perf_counter() - self.started

    def _end_epoch(self) -> None:
        """Validate, record, and see whether this was the best."""
        run, s, history = self.run, self.standing, self.run.history
        run.epoch += 1
        scores = {} if self.held is None else {
            f"validation_{k}": v for k, v in run.net.evaluate_rows(*self.held[:4]).items()
        }  # fmt: skip
        if self.plan.on_divergence == "restore":
            scores = {"restored": s.restored, **scores}
        history.append(epoch=run.epoch, cost=s.cost, learning_rate=s.learning_rate, seconds=self._seconds(), **scores)
        watched, best, lowest = scores.get("validation_cost", s.cost), s.best, s.lowest
        if watched < lowest or best.epoch == 0:
            best = Best(run.epoch, run.net.theta.copy(), s.state if self.plan.on_divergence == "restore" else None)
            lowest, history.best_epoch, history.best_theta = min(lowest, watched), best.epoch, best.theta
        margin = self.plan.early_stopping.min_delta if self.plan.early_stopping else 0.0
        waited = 0 if watched < s.mark - margin else s.waited + 1
        self.standing = s._replace(
            epoch=run.epoch, batch=0, carried=None, total=0.0, weight=0.0, best=best, lowest=lowest, waited=waited,
            mark=watched if waited == 0 else s.mark, scheduled=self.plan.schedule.observe(s.scheduled, watched),
            seconds=self._seconds(),
        )  # fmt: skip
        self._tell("on_epoch")
        self._stop_early()
        self.standing = self.standing._replace(stopped=run.stopped)
        if self.keeper is not None:
            self.keeper.keep(run, self.standing)

    def _stop_early(self) -> None:
        stopping, waited = self.plan.early_stopping, self.standing.waited
        if stopping is not None and waited >= stopping.patience:
            self.run.stop(
                f"the validation cost has not improved for {waited} epochs; the weights of epoch "
                f"{self.run.history.best_epoch} are back"
            )

    def _diverged(self, part: Slice, step: int, carried: NDArray[Any] | None) -> None:
        """End with all that is known about it, or go back to the best weights with half the rate."""
        run, s, best = self.run, self.standing, self.standing.best
        error = divergence(run.net, self.data, part, step, s.epoch + 1, self.plan.settings, carried)
        weights = f"the weights of epoch {best.epoch}, the best," if best.epoch else "the initial weights"
        again = self.plan.on_divergence == "restore" and s.restored < MOST_RESTORATIONS
        if again or best.epoch:
            run.net.theta[...] = best.theta
        if not again:
            raise error.ended(f"{weights if best.epoch else 'the last finite weights'} are kept", run.history)
        warnings.warn(
            f"{error.what}; {weights} are back, and the learning rate is halved to {part.rates[-1] / 2:.3g}",
            UserWarning, stacklevel=2,
        )  # fmt: skip
        state = self.plan.optimizer.begin(run.net.theta) if best.state is None else best.state
        self.standing = s._replace(
            state=state, batch=0, carried=None, total=0.0, weight=0.0, step=run.step, factor=s.factor / 2,
            restored=s.restored + 1, seconds=self._seconds(),
        )  # fmt: skip
        self._tell("on_slice")
        if self.keeper is not None:
            self.keeper.keep(run, self.standing)


def _shares(net: Network, part: Slice, weights: NDArray[Any] | None) -> NDArray[np.float64]:
    """What each mini-batch weighs in the epoch's mean: its rows, or their weights."""
    if weights is None:
        shares = part.ends.astype(np.float64)
        shares[1:] -= part.ends[:-1]
        return shares
    if weights.ndim == 2:  # of steps, negative where there is none
        summed = net.shapes[-1][0] is None and net.time == "mean"
        weights = np.maximum(weights, 0)
        weights = weights.sum(axis=1) if summed else weights.max(axis=1)
    return np.array([float(weights[rows].sum()) for rows in part.batches])


def _add(total: float, terms: NDArray[np.float64]) -> float:
    """The total and the terms, added one after the other: slices must not change bits."""
    return float(np.add.accumulate(np.concatenate([[total], terms]))[-1])
