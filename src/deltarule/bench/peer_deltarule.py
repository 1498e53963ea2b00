"""deltarule itself: the native engine at every number of threads, float32 and uint8 inputs, and the textbook engine.

Sequences of characters come as tokens, in uint8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import engines
from deltarule.architecture import Architecture
from deltarule.bench.cases import CHECKED, PIXELS, Case
from deltarule.bench.peer import Formulation, Peer, Prediction, Training, cores
from deltarule.bench.problem import Problem
from deltarule.errors import DeltaruleError
from deltarule.optimizers import optimizer
from deltarule.training import History, train

__all__ = ["NATIVE", "TEXTBOOK"]


class _Training(Training):
    """`deltarule.train`. The clock is the history's: it starts when the data are checked and in place, as in peers."""

    def __init__(self, problem: Problem, formulation: Formulation) -> None:
        super().__init__(problem)
        options = formulation.options
        self.engine, self.threads = options["engine"], options.get("threads", formulation.threads)
        self.net = problem.network(options.get("dtype", "float32"))
        pixels = problem.pixels if options.get("inputs") == "uint8" else None
        X = problem.X if pixels is None else pixels
        self.X: NDArray[Any] = X if X.dtype == np.uint8 else X.astype(self.net.dtype, copy=False)

    def reset(self) -> None:
        self.net.roll(self.problem.theta)

    def train(self, epochs: int, order: NDArray[np.int64] | None = None) -> NDArray[Any]:
        return np.array(self._history(epochs, shuffle=order is None, record_steps=True).step_cost[:CHECKED])

    def run(self, repeats: int) -> float:
        self.reset()
        return self._history(repeats, shuffle=True).seconds[-1]

    def _history(self, epochs: int, **options: Any) -> History:
        case = self.problem.case
        return train(
            self.net, self.X, self.problem.t, optimizer=case.optimizer, learning_rate=case.learning_rate,
            epochs=epochs, batch_size=case.batch, drop_last=True, engine=self.engine, threads=self.threads,
            verbose=False, **options,
        )  # fmt: skip


def _build(problem: Problem, formulation: Formulation) -> Training | Prediction:
    if problem.case.kind == "train":
        return _Training(problem, formulation)
    net, x = problem.network(), problem.X[0] if formulation.options["row"] == "(n,)" else problem.X[:1]
    if formulation.options["engine"] == "textbook":
        return Prediction(lambda: engines.textbook.forward(net, net.theta, problem.X[:1])[-1].a)
    return Prediction(lambda: net.forward(x))


def _native(case: Case, threads: Sequence[int]) -> list[Formulation]:
    if case.kind == "predict":
        return [Formulation(f"row {row}", 1, {"engine": "native", "row": row}) for row in ("(n,)", "(1, n)")]
    inputs = ["tokens"] if case.tokens else ["float32", "uint8"] if case.data in PIXELS else ["float32"]
    counts: list[tuple[str, int, int | None]] = [("", n, n) for n in threads]
    if max(threads) == cores():
        counts.append((", automatic threads", cores(), None))
    return [
        Formulation(f"X {kind}{label}", n, {"engine": "native", "inputs": kind, "threads": given})
        for kind in inputs
        for label, n, given in counts
    ]


def _textbook(case: Case, threads: Sequence[int]) -> list[Formulation]:
    options = {"engine": "textbook", "row": "(1, n)"}
    return [Formulation("NumPy", n, options) for n in threads]


def _without_native(case: Case) -> str | None:
    """Why the native engine cannot run a case."""
    try:
        engines.choose("native", Architecture(case.network, activation=case.activation), optimizer(case.optimizer))
    except DeltaruleError as error:
        return str(error)
    return None


NATIVE = Peer("native", "deltarule native", _native, _build, refuses=_without_native, ours=True)
TEXTBOOK = Peer("textbook", "deltarule textbook", _textbook, _build, ours=True)
