"""`train`: mini-batch gradient descent over epochs, by any optimiser and schedule.

    for every mini-batch:   C, g = cost and gradient;   θ, state ← optimiser(θ, clip(g), state, η · schedule)

Here the arguments are checked and the data prepared; loop.py trains.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltarule import engines
from deltarule.data.checks import row_numbers
from deltarule.data.dataset import fingerprint
from deltarule.data.split import holdout
from deltarule.engines import Settings
from deltarule.engines.native import check_threads
from deltarule.errors import DataError, HyperparameterError
from deltarule.inputs import class_labels
from deltarule.limits import number, whole
from deltarule.network import Network
from deltarule.network import Samples as Inputs
from deltarule.optimizers import Optimizer, check_decay
from deltarule.optimizers import optimizer as resolve_optimizer
from deltarule.randomness import draw_seed
from deltarule.schedules import Schedule
from deltarule.schedules import schedule as resolve_schedule
from deltarule.training.batches import Order, count, order
from deltarule.training.callbacks import Callback, Run, reporter
from deltarule.training.checkpoint import Checkpoint, Keeper, alone, newest
from deltarule.training.history import History
from deltarule.training.loop import EarlyStopping, Loop, Plan
from deltarule.training.standing import Samples
from deltarule.training.windows import cut

__all__ = ["EarlyStopping", "train"]


NAMED_WITH_VALIDATION = ("sample_weight", "lengths", "mask")


def train(
    net: Network,
    X: Inputs,
    t: ArrayLike,
    *,
    optimizer: Optimizer | str = "adam",
    learning_rate: float | None = None,
    schedule: Schedule | str = "constant",
    epochs: int = 20,
    batch_size: int = 32,
    weight_decay: float = 0.0,
    validation: tuple[Inputs, ArrayLike] | float | None = None,
    early_stopping: EarlyStopping | None = None,
    shuffle: Order = True,
    drop_last: bool = False,
    rows: ArrayLike | None = None,
    record_steps: bool = False,
    sample_weight: ArrayLike | None = None,
    class_weight: Any = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    truncate: int | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    on_divergence: str = "raise",
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 30.0,
    resume: bool = False,
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
        rows: the numbers of the rows of X to train on (and to set some aside of); all, unless said. Nothing is copied.
        record_steps: keep each mini-batch's cost before its update in `history.step_cost`.
        sample_weight: w `(m,)`, or of the steps of sequences `(m, T)`.
        class_weight: a mapping class → weight, or "balanced".
        lengths, mask: of sequences, `(m,)` or `(m, T)`: which steps there are. Validation has its own:
            `validation={"X": X, "t": t, "lengths": n}`.
        truncate: truncated backpropagation through time: sequences go by in windows of so many steps, one update each;
            the state goes on from window to window, the gradient does not.
        clip_norm, clip_value: bounds for ‖g‖ and for each |gᵢ| (the value first).
        on_divergence: "raise", or "restore": back to the best weights, with their optimiser's state and half the
            learning rate, and the epoch once more; at most ten times (`history.restored` counts them).
        checkpoint: a folder in which everything needed to go on is kept: at the end of every epoch (of the shortest, as
            often as it takes no more than a fiftieth of the time), at an interruption, and within long epochs every
            `checkpoint_every` seconds (0: after every slice of updates, whatever it costs).
        resume: go on with the checkpoint in that folder, bit for bit as if never stopped, on any number of threads;
            begin where there is none. Another network, setting or data set is refused; `epochs` may be another.
        seed: of orders and dropout masks; None draws one, and `history.seed` keeps it.
        threads: how many the native engine uses; unless said, $DELTARULE_NUM_THREADS or as many as help. They never
            change the results. The textbook engine leaves it to NumPy.
        engine: "native", "textbook", or "auto": the native one where it can run this network (see `engine_info`).
        callbacks: who is told; see `Callback`.
        verbose: a progress bar on a terminal, one line an epoch elsewhere.

    Returns:
        The history: cost, η, seconds and validation scores of every epoch.

    Raises:
        DivergenceError: a cost, a gradient or an update was not finite; the best weights are kept.

    >>> net = Network("2/8/2", activation="tanh")
    >>> X, t = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> history = train(net, X, t, epochs=200, learning_rate=0.1, verbose=False)
    >>> net.predict(X).tolist()
    [0, 1, 1, 0]
    """
    if not isinstance(net, Network):
        raise HyperparameterError(f"train takes a network first, not {net!r}")
    optimizer, schedule = resolve_optimizer(optimizer), resolve_schedule(schedule)
    weight_decay = check_decay(optimizer, weight_decay)
    if threads is not None:
        check_threads("threads", threads)
    if on_divergence not in ("raise", "restore"):
        raise HyperparameterError(f"on_divergence is 'raise' or 'restore', not {on_divergence!r}")
    engines.warn_if_slow(engine)
    net.check_trainable()
    _check_callbacks(callbacks)
    decay = number("weight_decay", weight_decay, least=0)
    settings = Settings(0, decay, _positive("clip_norm", clip_norm), _positive("clip_value", clip_value), threads)
    rate = _positive("learning_rate", learning_rate) or optimizer.own_rate
    if callable(shuffle):
        shuffle = lru_cache(maxsize=1)(shuffle)  # the first order is counted, then used
    plan = Plan(
        optimizer, schedule, rate, whole("epochs", epochs), whole("batch_size", batch_size), shuffle, drop_last,
        truncate, record_steps, early_stopping, on_divergence, settings, engines.choose(engine, net, optimizer),
    )  # fmt: skip
    if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
        raise HyperparameterError(f"early_stopping is EarlyStopping(patience=…), not {early_stopping!r}")
    every, folder = number("checkpoint_every", checkpoint_every, least=0), _folder(checkpoint, resume)
    with alone(folder):
        found = None if folder is None else _newest(folder, resume)
        drawn = found.seed if found is not None and seed is None else draw_seed(seed)
        plan = plan._replace(settings=settings._replace(seed=drawn))
        whole_data = Samples(*net.prepare(X, t, sample_weight, lengths=lengths, mask=mask))
        if rows is not None:
            whole_data = whole_data._replace(rows=row_numbers(rows, whole_data.m))
        data, held = _validation(net, whole_data, validation, drawn)
        if early_stopping is not None and held is None:
            raise HyperparameterError(
                "early stopping watches the validation cost: give validation=(X, t) or a fraction"
            )
        weighed = cut(net, _weighed(net, data, class_weight), truncate)
        loop = _loop(net, plan, weighed, held, callbacks, verbose)
        if folder is not None:
            described, content = plan.described(net), _fingerprint(loop.data, held)
            loop.keeper = Keeper(folder, every, plan.epochs, described, content, drawn)
            if found is not None:
                loop.go_on(found.standing_for(loop.run, loop.standing, described, content), found.theta, found.history)
        del whole_data, data, found
        return loop.go()


def _loop(
    net: Network, plan: Plan, data: Samples, held: Samples | None, callbacks: Sequence[Callback], verbose: bool
) -> Loop:
    """The loop before its first update."""
    m = len(order(data.m, plan.shuffle, plan.settings.seed, 0))
    run = Run(net, plan.epochs, count(m, plan.batch_size, plan.drop_last) * data.windows)
    run.history.seed = plan.settings.seed
    return Loop(run, plan, data, held, [*callbacks, *reporter(verbose)])


def _folder(checkpoint: str | Path | None, resume: bool) -> Path | None:
    if checkpoint is None and resume:
        raise HyperparameterError("resume=True goes on with the checkpoint in a folder: give checkpoint=folder")
    if checkpoint is not None and not isinstance(checkpoint, str | os.PathLike):
        raise HyperparameterError(f"checkpoint is a folder, not {checkpoint!r}")
    return None if checkpoint is None else Path(checkpoint)


def _newest(folder: Path, resume: bool) -> Checkpoint | None:
    """The checkpoint to go on with, if there is one."""
    found = newest(folder)
    if found is not None and not resume:
        raise HyperparameterError(
            f"{folder} holds the checkpoint of a training; resume=True goes on with it, another folder begins anew"
        )
    return found


def _fingerprint(data: Samples, held: Samples | None) -> str:
    """Of everything that training reads; rows that are held out of the same arrays are hashed as their numbers."""
    if held is None:
        return fingerprint(*data[:4])
    return fingerprint(*data[:4], *(held[:4] if held.rows is None else [held.rows]))


def _weighed(net: Network, data: Samples, class_weight: Any) -> Samples:
    """The training rows with class weights in their weights (by these rows' classes), apart from θ's memory."""
    X, t, w, rows, _ = data
    own_t, own_w = (t, w) if rows is None else (t[rows], None if w is None else w[rows])
    weights = net.weigh(own_t, own_w, class_weight)
    _check_classes(net, own_t)
    if rows is not None and weights is not None:
        own, weights = weights, np.zeros((len(t), *weights.shape[1:]), weights.dtype)
        weights[rows] = own
    X, t, weights = _apart(net, X, t, weights)
    return Samples(X, t, weights, rows)


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


def _validation(net: Network, data: Samples, validation: Any, seed: int) -> tuple[Samples, Samples | None]:
    """The samples to train on, and those to validate on; of a fraction the rows alone, nothing is copied."""
    if validation is None:
        return data, None
    if isinstance(validation, Real):
        t = data.t if data.rows is None else data.t[data.rows]
        classes = None if net.multilabel else class_labels(net, t)
        fraction = cast(float, number("validation", validation, above=0, below=1))
        kept, held = holdout(t if classes is None else classes, fraction, seed, stratify=classes is not None)
        if data.rows is not None:
            kept, held = data.rows[kept], data.rows[held]
        for part, name in ((kept, "left for training"), (held, "set aside for validation")):
            if data.weights is not None and not (data.weights[part] > 0).any():
                raise DataError(f"the rows {name} all have weight 0; change the fraction, the seed or the weights")
        return data._replace(rows=kept), data._replace(rows=held)
    if isinstance(validation, Mapping) and {"X", "t"} <= set(validation) <= {"X", "t", *NAMED_WITH_VALIDATION}:
        return data, Samples(*net.prepare(**validation))
    if isinstance(validation, str) or not isinstance(validation, Sequence) or len(validation) not in (2, 3):
        raise HyperparameterError(
            "validation is (X, t), (X, t, weights), the fraction of the rows to set aside, or a mapping with X, t and "
            "any of " + ", ".join(NAMED_WITH_VALIDATION)
        )
    return data, Samples(*net.prepare(*validation))


def _check_classes(net: Network, t: NDArray[Any]) -> None:
    """A classifier learns nothing from many rows of one class."""
    labels = None if net.multilabel else class_labels(net, t)
    if labels is not None and len(labels) > 1 and (labels == labels[0]).all():
        raise DataError(f"all {len(labels)} targets are of one class, {labels[0]}; a classifier needs two or more")
