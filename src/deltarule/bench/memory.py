"""The peak memory of a process that does so much and no more; run by `figures` in a process of its own.

    python -m deltarule.bench.memory import                    # numpy and deltarule
    python -m deltarule.bench.memory data FOLDER               # … and the data
    python -m deltarule.bench.memory train FOLDER ENGINE       # … and an epoch of training

It prints bytes. The peak is VmHWM, which begins with the program; `ru_maxrss` would begin with the parent's peak.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

import deltarule

__all__ = ["main", "peak"]


def peak() -> int:
    """The most bytes this process has held."""
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(what: str, folder: str = "", engine: str = "auto") -> int:
    """Do so much, and return the peak."""
    net = deltarule.Network("784/100/10")
    if what != "import":
        X, t = (np.load(Path(folder) / f"{name}.npy") for name in "Xt")
    if what == "train":
        deltarule.train(
            net, X, t, optimizer="momentum(0.9)", learning_rate=0.02, epochs=1, batch_size=128, engine=engine,
            verbose=False,
        )  # fmt: skip
    return peak()


if __name__ == "__main__":
    sys.stdout.write(f"{main(*sys.argv[1:])}\n")
