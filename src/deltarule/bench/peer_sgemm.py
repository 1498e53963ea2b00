"""The yardstick: NumPy's product of two 1024 × 1024 matrices in float32, at every number of threads."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from deltarule.bench.cases import Case
from deltarule.bench.peer import Formulation, Peer
from deltarule.bench.problem import Problem

__all__ = ["SGEMM"]

N = 1024


class _Product:
    """C = A B; the work is 2 N³ operations."""

    work = 2.0 * N**3

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.A, self.B = random.standard_normal((2, N, N)).astype(np.float32)
        self.C = np.empty_like(self.A)

    def check(self) -> None:
        """Nothing of the case is computed here."""

    def run(self, repeats: int) -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            np.matmul(self.A, self.B, out=self.C)
        return time.perf_counter() - start


def _formulations(case: Case, threads: Sequence[int]) -> list[Formulation]:
    return [Formulation("numpy.matmul", n) for n in threads]


def _build(problem: Problem, formulation: Formulation) -> _Product:
    return _Product()


SGEMM = Peer("sgemm", "SGEMM 1024³", _formulations, _build)
