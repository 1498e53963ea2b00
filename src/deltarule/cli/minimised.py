"""`deltarule train --minimizer`: all rows at once, iteration by iteration, in the same kind of run folder."""

from __future__ import annotations

import time
from collections.abc import Set
from types import SimpleNamespace

from deltarule.cli.job import Job
from deltarule.cli.record import Record
from deltarule.errors import HyperparameterError
from deltarule.limits import whole
from deltarule.minimize import METHODS, Iteration, minimize
from deltarule.names import find
from deltarule.training import History, Run
from deltarule.training.callbacks import say

__all__ = ["ITERATIONS", "check", "minimised"]

ITERATIONS = 200  # unless said
NOT_FOR_ALL_ROWS = (
    "optimizer", "learning_rate", "schedule", "batch_size", "drop_last", "truncate", "clip_norm", "clip_value",
    "validation", "patience", "on_divergence", "engine", "threads", "checkpoint_every",
)  # fmt: skip


def check(o: SimpleNamespace, given: Set[str]) -> None:
    """Refuse what a minimiser has no use for; its name becomes SciPy's, and --epochs its iterations."""
    o.minimizer = METHODS[find("minimiser", o.minimizer, METHODS)]
    o.epochs = ITERATIONS if o.epochs is None else whole("--epochs", o.epochs)
    if o.resume is not None:
        raise HyperparameterError(f"{o.resume} was trained by a minimiser, which cannot go on; train anew")
    if useless := [name for name in NOT_FOR_ALL_ROWS if name in given]:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in useless)
        raise HyperparameterError(f"--minimizer takes all rows at once and its own steps; leave out {options}")


def minimised(o: SimpleNamespace, job: Job, record: Record) -> History:
    """Minimise the cost over all rows to learn from; every iteration is told and recorded as an epoch is."""
    run, began = Run(job.net, o.epochs, 1), time.perf_counter()

    def tell(now: Iteration) -> None:
        run.epoch = run.step = now.iteration
        run.cost, seconds = now.cost, time.perf_counter() - began
        run.history.append(**now._asdict(), seconds=seconds)
        record.on_epoch(run)
        if not o.quiet:
            say(
                f"iteration {now.iteration}/{run.epochs}  cost {now.cost:.4g}  gradient {now.gradient_norm:.2g}  "
                f"{now.evaluations} evaluations  {seconds:.1f} s"
            )

    record.on_begin(run)
    found = minimize(
        job.net, **(job.minimise or {}), method=o.minimizer, max_iterations=run.epochs, weight_decay=o.weight_decay,
        callback=tell,
    )  # fmt: skip
    run.history.stopped = found.reason.partition("; raise")[0]
    return run.history
