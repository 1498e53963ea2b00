"""Mini-batches: which rows meet in which update. Each epoch's order is a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltarule.errors import DataError, HyperparameterError
from deltarule.inputs import numbers
from deltarule.limits import whole
from deltarule.randomness import draw_seed, permutation

__all__ = ["Order", "batches", "count", "order"]

Order = bool | Callable[[int], ArrayLike]
"""True: a new order each epoch; False: as the rows stand; a callable: epoch (from 0) → the rows in order."""

Rows = NDArray[np.int64]


def count(m: int, size: int, drop_last: bool = False) -> int:
    """The number of batches in an epoch of m rows."""
    if drop_last and m < size:
        raise HyperparameterError(f"drop_last leaves nothing: {m} rows do not fill one batch of {size}")
    return m // size if drop_last else -(-m // size)


def order(m: int, shuffle: Order, seed: int, epoch: int) -> Rows:
    """The rows 0 … m − 1 in the order of an epoch (from 0)."""
    if shuffle is True:
        return permutation(m, seed, "shuffle", epoch)
    if shuffle is False:
        return np.arange(m)
    if not callable(shuffle):
        raise HyperparameterError(f"shuffle is True, False or a function epoch → order, not {shuffle!r}")
    rows = numbers(shuffle(epoch), "shuffle's order")
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer) or not len(rows):
        raise DataError("shuffle must return row numbers, a vector of integers that is not empty")
    if rows.min() < 0 or rows.max() >= m:
        raise DataError(
            f"shuffle returned row {rows.min() if rows.min() < 0 else rows.max()}; the rows are 0 … {m - 1}"
        )
    return rows.astype(np.int64)


def batches(
    m: int,
    size: int,
    seed: int | None = 0,
    *,
    epoch: int = 0,
    shuffle: Order = True,
    short: str = "last",
    drop_last: bool = False,
) -> Iterator[Rows]:
    """The mini-batches of one epoch: every row 0 … m − 1 once, `size` at a time.

    Args:
        m: the number of rows.
        size: rows a batch; the short one holds what is left over.
        seed, epoch: they alone determine the order.
        shuffle: True, False, or a function epoch → order.
        short: where the short batch comes: "last", or "anywhere" among the others, as in the lecture's generator.
        drop_last: leave the short batch out.

    >>> [len(rows) for rows in batches(32, 12)]
    [12, 12, 8]
    >>> sorted(np.concatenate(list(batches(32, 12, seed=1, short="anywhere"))).tolist()) == list(range(32))
    True
    """
    m, size, seed = whole("m", m), whole("size", size), draw_seed(seed)
    if short not in ("last", "anywhere"):
        raise HyperparameterError(f"short is 'last' or 'anywhere', not {short!r}")
    rows = order(m, shuffle, seed, epoch)
    sizes = np.full(count(len(rows), size, drop_last), size)
    if not drop_last:
        sizes[-1] = len(rows) - size * (len(sizes) - 1)
    if short == "anywhere":
        sizes = sizes[permutation(len(sizes), seed, "batches", epoch)]
    ends = np.cumsum(sizes)
    return (rows[end - n : end] for end, n in zip(ends, sizes))
