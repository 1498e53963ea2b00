"""What checkpoints, diagnoses, and numbers too small for the format cost.

    python proofs/cost.py                       # MNIST 784/100/10 from $DELTARULE_DATA/mnist

It prints the share of a training's time that keeping and writing checkpoints takes, and that of diagnoses, and in pairs
that take turns the ratio of trainings whose velocities decay into denormal numbers over those without.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import deltarule as dr
from deltarule.data.sources import read
from deltarule.training.checkpoint import Keeper

PAIRS = 9


def seconds(X: Any, t: Any, **named: Any) -> float:
    net = dr.Network("784/100/10", seed=0)
    if named.pop("tiny", False):
        net.parameters()["1.b"][:50] = -1e3  # dead units: their velocities decay into denormal numbers
    history = dr.train(net, X, t, epochs=5, optimizer="momentum", learning_rate=0.02, verbose=False, **named)
    return float(history.seconds[-1])


def ratio(what: str, X: Any, t: Any, **named: Any) -> None:
    found = []
    for k in range(PAIRS):
        runs = {False: lambda: seconds(X, t), True: lambda: seconds(X, t, **named)}
        took = {mine: runs[mine]() for mine in ((False, True) if k % 2 else (True, False))}
        found.append(took[True] / took[False])
    print(f"{what}: {100 * (statistics.median(found) - 1):+.1f} % (of {PAIRS} pairs: "
          f"{', '.join(f'{100 * (r - 1):+.1f}' for r in sorted(found))})")  # fmt: skip


def share(what: str, X: Any, t: Any, owner: Any, verb: str, named: Callable[[], dict[str, Any]]) -> None:
    """By the clock inside one training, which a noisy machine disturbs least."""
    found, plain = [], getattr(owner, verb)

    def timed(self: Any, *given: Any) -> None:
        began = time.perf_counter()
        plain(self, *given)
        spent.append(time.perf_counter() - began)

    for _ in range(PAIRS):
        spent: list[float] = []
        setattr(owner, verb, timed)
        try:
            whole = seconds(X, t, **named())
            found.append(sum(spent) / whole)
        finally:
            setattr(owner, verb, plain)
    print(f"{what}: {100 * statistics.median(found):.2f} % of the time (at most {100 * max(found):.2f} %), "
          f"{1e3 * sum(spent) / len(spent):.1f} ms each")  # fmt: skip


def diagnoses(X: Any, t: Any, batch_size: int, every: int | None) -> None:
    """Of 128 rows, by the callback."""
    said = "as often as it pays" if every is None else "after every epoch"
    share(
        f"diagnoses {said}, {len(X):,} rows in batches of {batch_size}", X, t, dr.Diagnose, "on_epoch",
        lambda: {"callbacks": [dr.Diagnose(X[:128], t[:128], every)], "batch_size": batch_size},
    )  # fmt: skip


def main() -> None:
    data = read(os.environ["DELTARULE_DATA"] + "/mnist")
    X, t = data.X.reshape(len(data.X), -1), np.asarray(data.t)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        share("checkpoints", X, t, Keeper, "keep", lambda: {"checkpoint": Path(tempfile.mkdtemp(dir=folder))})
    for rows in (len(X), 10_000):
        for batch_size in (32, 128):
            diagnoses(X[:rows], t[:rows], batch_size, 1)
            diagnoses(X[:rows], t[:rows], batch_size, None)
    ratio("dead units", X, t, tiny=True)


if __name__ == "__main__":
    main()
