"""What checkpoints and numbers too small for the format cost, in pairs of trainings that take turns.

    python proofs/cost.py                       # MNIST 784/100/10 from $DELTARULE_DATA/mnist

It prints the share of a training's time that keeping and writing checkpoints takes, and the median ratio of trainings
whose velocities decay into denormal numbers over those without.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
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


def share(X: Any, t: Any) -> None:
    """By the clock inside one training, which a noisy machine disturbs least."""
    found, keep = [], Keeper.keep

    def timed(self: Keeper, *named: Any) -> None:
        began = time.perf_counter()
        keep(self, *named)
        spent.append(time.perf_counter() - began)

    for _ in range(PAIRS):
        spent: list[float] = []
        Keeper.keep = timed  # type: ignore[method-assign]
        try:
            with tempfile.TemporaryDirectory(dir=".") as folder:
                whole = seconds(X, t, checkpoint=Path(folder))
            found.append(sum(spent) / whole)
        finally:
            Keeper.keep = keep  # type: ignore[method-assign]
    print(f"share of the time: {100 * statistics.median(found):.2f} % (at most {100 * max(found):.2f} %)")


def main() -> None:
    data = read(os.environ["DELTARULE_DATA"] + "/mnist")
    X, t = data.X.reshape(len(data.X), -1), np.asarray(data.t)
    share(X, t)
    ratio("dead units", X, t, tiny=True)


if __name__ == "__main__":
    main()
