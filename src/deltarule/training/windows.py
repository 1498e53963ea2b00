"""Truncated backpropagation through time: sequences cut into windows that carry their state from one to the next.

A window of k steps is a row of its own; those of a sequence lie one behind the other, so that nothing is copied where k
divides T. A mini-batch holds the same window of its sequences, and the next one the window after that: the state goes
on, the gradient does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import HyperparameterError
from deltarule.inputs import NO_STEP
from deltarule.limits import whole
from deltarule.network import Network
from deltarule.training.standing import Rows, Samples

__all__ = ["cut", "mini_batches"]


def cut(net: Network, data: Samples, truncate: int | None) -> Samples:
    """The samples in windows of `truncate` steps; as they are, where it is None."""
    if truncate is None:
        return data
    k = whole("truncate", truncate)
    if not net.n_state or net.shapes[-1][0] is not None:
        raise HyperparameterError(
            f"truncate cuts sequences into windows that are answered at every step; {net.spec} "
            + ("answers once a sequence" if net.n_state else "has no recurrent layer")
        )
    X, t, w, rows, _ = data
    m, T = X.shape[:2]
    k = min(k, T)
    if T % k and w is None:
        w = np.ones(m, net.dtype)
    if w is not None and w.ndim == 1:
        w = np.broadcast_to(w[:, None], (m, T))
    n = -(-T // k)
    w = None if w is None else _in_windows(w, n, k, NO_STEP)
    return Samples(_in_windows(X, n, k), _in_windows(t, n, k), w, rows, n)


def _in_windows(a: NDArray[Any], n: int, k: int, lacking: float = 0) -> NDArray[Any]:
    """`(m, T, …)` as `(m n, k, …)`; what the last window lacks is filled."""
    m, T = a.shape[:2]
    if n * k > T:
        a = np.concatenate([a, np.full((m, n * k - T, *a.shape[2:]), lacking, a.dtype)], axis=1)
    return a.reshape(m * n, k, *a.shape[2:])


def mini_batches(sequences: Rows, ends: Rows, windows: int) -> tuple[Rows, Rows, NDArray[np.bool_]]:
    """Mini-batches of sequences as those of their windows: (rows, where each ends, whether it begins sequences)."""
    rows, sizes = [], []
    for first, end in zip([0, *ends[:-1].tolist()], ends.tolist()):
        batch = sequences[first:end] * windows
        rows += [batch + w for w in range(windows)]
        sizes += [len(batch)] * windows
    begins = np.tile(np.arange(windows) == 0, len(ends))
    return np.concatenate(rows), np.cumsum(sizes), begins
