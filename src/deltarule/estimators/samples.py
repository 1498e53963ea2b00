"""Rows and targets as the engine takes them. A sparse X stays sparse: some of its rows at a time are written out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

__all__ = ["AT_A_TIME", "Held", "Samples", "as_rows", "dense_rows", "stretches", "thin"]

AT_A_TIME = 1 << 22  # numbers of a sparse matrix that are written out in one go
FLOATS = (np.dtype(np.float64), np.dtype(np.float32))
CALL = 3e5  # nanoseconds that Python takes for a pass over sparse rows


class Samples(NamedTuple):
    """What a network learns from, or is judged by."""

    X: Any  # an array, or sparse rows
    t: NDArray[Any]  # labels `(m,)` of classes, else rows `(m, K)`
    weights: NDArray[Any] | None
    constants: NDArray[Any] | None  # what scikit-learn's loss has beyond C⁽ⁱ⁾, of each sample

    @property
    def sparse(self) -> bool:
        """Whether X is."""
        return bool(issparse(self.X))

    def rows(self, rows: NDArray[np.int64] | slice) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """X, written out, targets and weights of these rows."""
        return dense_rows(self.X, rows), self.t[rows], None if self.weights is None else self.weights[rows]


class Held(NamedTuple):
    """Samples that nothing is learnt from: as the engine takes them, and as scorers do."""

    samples: Samples
    y: NDArray[Any]  # classes, or values


def as_rows(X: Any) -> Any:
    """X as the engine reads it: float32 or float64, by rows, aligned; whole numbers are numbers, and no pixels."""
    if isinstance(X, np.ndarray) and X.dtype in FLOATS and X.flags.c_contiguous and X.flags.aligned:
        return X
    dtype = None if X.dtype in FLOATS else np.float64
    return X.tocsr().astype(dtype or X.dtype, copy=False) if issparse(X) else np.require(X, dtype, ["C", "A"])


def dense_rows(X: Any, rows: NDArray[np.int64] | slice) -> NDArray[Any]:
    """Rows of a sparse matrix, written out."""
    return np.ascontiguousarray(X[rows].toarray())


def thin(X: Any, m: int, hidden: int, *, learns: bool = False, updates: bool = False) -> bool:
    """Whether m rows at a time of a sparse X are better left sparse, by about what either way takes (ns).

    A product with a number that is not zero takes 2 ns a unit of the first layer; to write a number out 5 ns, and 0.04
    a unit in the engine. Gradients take as much again, or twice; an update of a weight 10 ns, or 1 in the engine.
    """
    n, share = X.shape[1], X.nnz / (X.shape[0] * X.shape[1])
    left = m * n * share * 2 * hidden * (1 + learns) + 10 * n * hidden * updates + CALL
    written = m * n * (5 + 0.04 * hidden * (1 + 2 * learns)) + n * hidden * updates
    return bool(left < written or m * n > AT_A_TIME)


def stretches(X: Any) -> Iterator[slice]:
    """Rows of a sparse matrix, as many at a time as may be written out."""
    m, n = X.shape
    step = max(1, AT_A_TIME // n)
    for k in range(0, m, step):
        yield slice(k, min(m, k + step))
