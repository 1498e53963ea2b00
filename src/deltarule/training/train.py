"""`train`: mini-batch gradient descent over epochs, by any optimiser and schedule.

    for every mini-batch:   C, g = cost and gradient;   θ, state ← optimiser(θ, clip(g), state, η · schedule)

What the loop carries from one slice to the next is a few values (θ, the optimiser's and the schedule's state, the
position); every random number is keyed, so nothing else need be kept to go on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltarule import engines
from deltarule.data.split import holdout
from deltarule.engines import Settings, Slice
from deltarule.engines.native import check_threads
from deltarule.errors import DataError, HyperparameterError
from deltarule.inputs import class_labels
from deltarule.limits import number, whole
from deltarule.network import Network, Samples
from deltarule.optimizers import AdamW, Optimizer
from deltarule.optimizers import optimizer as resolve_optimizer
from deltarule.randomness import draw_seed
from deltarule.schedules import Constant, Progress, Schedule
from deltarule.schedules import schedule as resolve_schedule
from deltarule.training.batches import Order, count, order
from deltarule.training.callbacks import Callback, Run, reporter
from deltarule.training.divergence import divergence
from deltarule.training.history import History

__all__ = ["EarlyStopping", "train"]

SECONDS_A_SLICE = 0.2  # how long an engine works until callbacks and Ctrl-C are heard; slices never change bits

Callbacks = Sequence[Callback]
Prepared = tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]  # X, t, weights, as engines take them


@dataclass(frozen=True)
class EarlyStopping:
    """End when the validation cost has not improved by `min_delta` for `patience` epochs, and put the best θ back."""

    patience: int = 10
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        whole("patience", self.patience)
        number("min_delta", self.min_delta, least=0)


class Plan(NamedTuple):
    """The settings of a training, checked."""

    optimizer: Optimizer
    schedule: Schedule
    learning_rate: float
    epochs: int
    batch_size: int
    shuffle: Order
    drop_last: bool
    record_steps: bool
    early_stopping: EarlyStopping | None
    settings: Settings
    engine: Any

    def rows(self, m: int, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows of an epoch (from 0) in order, and where each mini-batch ends."""
        rows = order(m, self.shuffle, self.settings.seed, epoch)
        ends = np.arange(1, count(len(rows), self.batch_size, self.drop_last) + 1) * self.batch_size
        return rows, np.minimum(ends, len(rows))

    def part(self, run: Run, rows: NDArray[np.int64], ends: NDArray[np.int64], scheduled: dict[str, float]) -> Slice:
        """The updates that follow, over the given rows, with their rates and constants."""
        n, total = len(ends), run.steps_per_epoch * run.epochs
        places = [Progress(run.step + k, run.steps_per_epoch, total) for k in range(1 if self.constant else n)]
        rates = [self.learning_rate * self.schedule.factor(p, scheduled) for p in places]
        optimizers = [self.optimizer.at(p) for p in places]
        if self.constant:
            rates, optimizers = rates * n, optimizers * n
        return Slice(rows, ends, np.array(rates, np.float64), optimizers, run.step + 1)

    @property
    def constant(self) -> bool:
        """Whether all updates have the same rate and constants."""
        return isinstance(self.schedule, Constant) and not isinstance(getattr(self.optimizer, "momentum", 0), Schedule)


def train(
    net: Network,
    X: Samples,
    t: ArrayLike,
    *,
    optimizer: Optimizer | str = "adam",
    learning_rate: float | None = None,
    schedule: Schedule | str = "constant",
    epochs: int = 20,
    batch_size: int = 32,
    weight_decay: float = 0.0,
    validation: tuple[Samples, ArrayLike] | float | None = None,
    early_stopping: EarlyStopping | None = None,
    shuffle: Order = True,
    drop_last: bool = False,
    record_steps: bool = False,
    sample_weight: ArrayLike | None = None,
    class_weight: Any = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    seed: int | None = 0,
    threads: int | None = None,
    engine: str = "auto",
    callbacks: Sequence[Callback] = (),
    verbose: bool = True,
) -> History:
    """Train `net` in place by mini-batch gradient descent.

    Args:
        net: its θ is changed; the values given as optimiser and schedule never are.
        X: inputs `(m, …)`; uint8 means x/255.
        t: integers 0 … K−1, or rows `(m, K)`.
        optimizer: a value or a text, "momentum(0.9)".
        learning_rate: η; the optimiser's own rate unless said.
        schedule: η is multiplied by its factor at every update.
        epochs, batch_size: whole numbers; the last short batch is kept unless `drop_last`.
        weight_decay: λ of (λ/2) Σ W² in C (AdamW has a decoupled one of its own instead).
        validation: (X, t), or the fraction of the rows to set aside (stratified for classes), which keep their sample
            weights; class weights are for training alone.
        early_stopping: watches the validation cost, and puts the best weights back.
        shuffle: True, False, or a function k = 0, 1, … → the order of epoch k.
        record_steps: keep each mini-batch's cost before its update in `history.step_cost`.
        sample_weight: w `(m,)`; class_weight: a mapping class → weight, or "balanced".
        clip_norm, clip_value: bounds for ‖g‖ and for each |gᵢ| (the value first).
        seed: of orders and dropout masks; None draws one, and `history.seed` keeps it.
        threads: how many the native engine uses; unless said, $DELTARULE_NUM_THREADS or as many as help. They never
            change the results. The textbook engine leaves it to NumPy.
        engine: "native", "textbook", or "auto": the native one where it can run this network (see `engine_info`).
        callbacks: who is told; see `Callback`.
        verbose: a progress bar on a terminal, one line an epoch elsewhere.

    Returns:
        The history: cost, η, seconds and validation scores of every epoch.

    Raises:
        DivergenceError: a cost, a gradient or an update was not finite; the last finite weights are kept.

    >>> net = Network("2/8/2", activation="tanh")
    >>> X, t = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> history = train(net, X, t, epochs=200, learning_rate=0.1, verbose=False)
    >>> net.predict(X).tolist()
    [0, 1, 1, 0]
    """
    if not isinstance(net, Network):
        raise HyperparameterError(f"train takes a network first, not {net!r}")
    optimizer, schedule = resolve_optimizer(optimizer), resolve_schedule(schedule)
    if weight_decay and isinstance(optimizer, AdamW) and optimizer.weight_decay:
        raise HyperparameterError("weight_decay goes to train (in C) or to AdamW (decoupled), not to both")
    if threads is not None:
        check_threads("threads", threads)
    engines.warn_if_slow(engine)
    net.check_trainable()
    _check_callbacks(callbacks)
    decay = number("weight_decay", weight_decay, least=0)
    settings = Settings(
        draw_seed(seed), decay, _positive("clip_norm", clip_norm), _positive("clip_value", clip_value), threads
    )  # fmt: skip
    rate = _positive("learning_rate", learning_rate) or optimizer.own_rate
    if callable(shuffle):
        shuffle = lru_cache(maxsize=1)(shuffle)  # the first order is counted, then used
    plan = Plan(
        optimizer, schedule, rate, whole("epochs", epochs), whole("batch_size", batch_size), shuffle, drop_last,
        record_steps, early_stopping, settings, engines.choose(engine, net, optimizer),
    )  # fmt: skip
    samples, held = _validation(net, net.prepare(X, t, sample_weight), validation, settings.seed)
    weights = net.weigh(samples[1], samples[2], class_weight)  # by the classes of the training part
    samples = _apart(net, *samples[:2], weights)
    _check_classes(net, samples[1])
    if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
        raise HyperparameterError(f"early_stopping is EarlyStopping(patience=…), not {early_stopping!r}")
    if early_stopping is not None and held is None:
        raise HyperparameterError("early stopping watches the validation cost: give validation=(X, t) or a fraction")
    m = len(order(len(samples[0]), shuffle, settings.seed, 0))
    run = Run(net, plan.epochs, count(m, plan.batch_size, drop_last))
    run.history.seed = settings.seed
    return _run(run, plan, samples, held, [*callbacks, *reporter(verbose)])


def _apart(net: Network, *arrays: Any) -> Any:
    """The arrays, copied where they lie in θ's own memory: training changes θ, and not its data."""
    return tuple(a.copy() if a is not None and np.may_share_memory(a, net.theta) else a for a in arrays)


def _positive(what: str, value: float | None) -> float | None:
    return None if value is None else float(number(what, value, above=0))


def _check_callbacks(callbacks: Any) -> None:
    told = ("on_begin", "on_slice", "on_step", "on_epoch", "on_end")
    if not isinstance(callbacks, Sequence) or not all(
        any(hasattr(c, name) for name in told) and not isinstance(c, type) for c in callbacks
    ):
        raise HyperparameterError("callbacks is a list of objects, such as [JSONLines('history.jsonl')]")


def _validation(net: Network, samples: Prepared, validation: Any, seed: int) -> tuple[Prepared, Prepared | None]:
    """The samples to train on, and those to validate on."""
    if validation is None:
        return samples, None
    if isinstance(validation, Real):
        X, t, w = samples
        classes = None if net.multilabel else class_labels(net, t)
        fraction = number("validation", validation, above=0, below=1)
        kept, held = holdout(t if classes is None else classes, fraction, seed, stratify=classes is not None)
        for part, name in ((kept, "left for training"), (held, "set aside for validation")):
            if w is not None and not (w[part] > 0).any():
                raise DataError(f"the rows {name} all have weight 0; change the fraction, the seed or the weights")

        def take(part: NDArray[np.int64]) -> Prepared:
            return X[part], t[part], None if w is None else w[part]

        return take(kept), take(held)
    if not isinstance(validation, Sequence) or len(validation) != 2:
        raise HyperparameterError("validation is (X, t), or the fraction of the rows to set aside")
    return samples, net.prepare(*validation)


def _check_classes(net: Network, t: NDArray[Any]) -> None:
    """A classifier learns nothing from many rows of one class."""
    labels = None if net.multilabel else class_labels(net, t)
    if labels is not None and len(labels) > 1 and (labels == labels[0]).all():
        raise DataError(f"all {len(labels)} targets are of one class, {labels[0]}; a classifier needs two or more")


def _run(run: Run, plan: Plan, samples: Prepared, held: Prepared | None, callbacks: Callbacks) -> History:
    net, history = run.net, run.history
    state, scheduled = plan.optimizer.begin(net.theta), plan.schedule.begin()
    pace = Pace(any(hasattr(c, "on_step") for c in callbacks))
    started, waited = time.perf_counter(), 0
    lowest = mark = float("inf")  # the lowest watched cost, and the one that patience measures from
    margin = plan.early_stopping.min_delta if plan.early_stopping else 0.0
    try:
        _tell(callbacks, "on_begin", run)
        while run.epoch < run.epochs and not run.stopped:
            cost, state = _epoch(run, plan, samples, state, scheduled, callbacks, pace)
            run.epoch += 1
            scores = {} if held is None else {f"validation_{k}": v for k, v in net.evaluate_rows(*held).items()}
            seconds = time.perf_counter() - started
            history.append(epoch=run.epoch, cost=cost, learning_rate=run.learning_rate, seconds=seconds, **scores)
            watched = scores.get("validation_cost", cost)
            scheduled = plan.schedule.observe(scheduled, watched)
            if watched < lowest or history.best_theta is None:
                lowest, history.best_epoch, history.best_theta = min(lowest, watched), run.epoch, net.theta.copy()
            waited = 0 if watched < mark - margin else waited + 1
            mark = watched if waited == 0 else mark
            _tell(callbacks, "on_epoch", run)
            if plan.early_stopping is not None and waited >= plan.early_stopping.patience:
                run.stop(f"the validation cost has not improved for {waited} epochs; the weights of epoch "
                         f"{history.best_epoch} are back")  # fmt: skip
        if plan.early_stopping is not None and history.best_theta is not None:
            net.roll(history.best_theta)
        history.stopped = run.stopped or f"all {run.epochs} epochs are done"
    finally:
        _tell(callbacks, "on_end", run)
    return history


def _tell(callbacks: Callbacks, what: str, run: Run) -> None:
    for callback in callbacks:
        if hasattr(callback, what):
            getattr(callback, what)(run)


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


def _epoch(
    run: Run, plan: Plan, samples: Prepared, state: Any, scheduled: dict[str, float], told: Callbacks, pace: Pace
) -> tuple[float, Any]:
    """One epoch, slice by slice: (its mean cost over the samples, the optimiser's state)."""
    net, total, weight, at = run.net, 0.0, 0.0, 0
    rows, ends = plan.rows(len(samples[0]), run.epoch)
    starts = np.concatenate([[0], ends])
    while at < len(ends) and not (pace.by_step and run.stopped):
        last, began = min(at + pace.updates(), len(ends)), time.perf_counter()
        part = plan.part(run, rows[starts[at] : starts[last]], ends[at:last] - starts[at], scheduled)
        outcome = plan.engine.train(net, net.theta, state, *samples, part, plan.settings)
        net.theta[...] = outcome.theta
        if outcome.diverged is not None:
            run.step += len(outcome.costs)
            run.history.step_cost += outcome.costs.tolist() if plan.record_steps else []
            raise divergence(net, samples, part, outcome.diverged, run.epoch + 1, plan.settings)
        state = outcome.state
        shares = _shares(part, samples[2])
        total, weight = _add(total, shares * outcome.costs), _add(weight, shares)
        run.step, run.learning_rate = run.step + last - at, float(part.rates[-1])
        run.cost = total / weight if weight else float("nan")
        pace.took(last - at, time.perf_counter() - began)
        at = last
        if plan.record_steps:
            run.history.step_cost += outcome.costs.tolist()
        _tell(told, "on_slice", run)
        if pace.by_step:
            _tell(told, "on_step", run)
    return run.cost, state


def _shares(part: Slice, weights: NDArray[Any] | None) -> NDArray[np.float64]:
    """What each mini-batch weighs in the epoch's mean: its rows, or their weights."""
    if weights is None:
        shares = part.ends.astype(np.float64)
        shares[1:] -= part.ends[:-1]
        return shares
    return np.array([float(weights[rows].sum()) for rows in part.batches])


def _add(total: float, terms: NDArray[np.float64]) -> float:
    """The total and the terms, added one after the other: slices must not change bits."""
    return float(np.add.accumulate(np.concatenate([[total], terms]))[-1])
