"""The held-out part: rows that training never sees, drawn by the seed alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltarule.errors import DataError, HyperparameterError
from deltarule.randomness import draw_seed, permutation

__all__ = ["holdout"]


def holdout(t: ArrayLike, fraction: float, seed: int, *, stratify: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which rows train and which are held out, a pure function of (targets, fraction, seed).

    Stratified, every class is held out in proportion (largest remainders, so that the total is round(fraction · m)),
    and keeps at least one row in training: a class of one row stays there whole.

    Args:
        t: the targets, `(m,)` labels, or `(m, K)`, where equal rows are a class. Not stratified, only m counts.
        fraction: the part held out, between 0 and 1.
        seed: of the draw; the same rows for the same seed.
        stratify: by class.

    Returns:
        Two arrays of row numbers, each ascending; together 0 … m − 1.

    Raises:
        HyperparameterError: a fraction not between 0 and 1.
        DataError: either part would be empty.

    >>> train, held = holdout(["a"] * 8 + ["b"] * 4, 0.25, seed=0, stratify=True)
    >>> len(train), sum(held < 8), sum(held >= 8)
    (9, np.int64(2), np.int64(1))
    """
    if isinstance(fraction, bool) or not 0 < fraction < 1:
        raise HyperparameterError(f"the held-out fraction must lie between 0 and 1, not {fraction}")
    labels = np.asarray(t)
    m = len(labels)
    order = permutation(m, draw_seed(seed), "holdout")
    wanted = round(fraction * m)
    held = _stratified(labels, fraction, wanted, order) if stratify and m else order[:wanted]
    if not 0 < len(held) < m:
        side = "held-out" if not len(held) else "training"
        raise DataError(
            f"holding out {fraction:g} of {m} rows leaves no {side} row; change the fraction, or bring more rows"
        )
    mask = np.zeros(m, dtype=bool)
    mask[held] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def _stratified(labels: NDArray[Any], fraction: float, wanted: int, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of every class its share, the first in `order`."""
    _, classes = np.unique(labels, return_inverse=True, axis=0 if labels.ndim > 1 else None)
    classes = classes.reshape(-1)
    sizes = np.bincount(classes)
    shares = np.floor(fraction * sizes).astype(np.int64)  # below the size, as the fraction is below 1
    lacking = wanted - int(shares.sum())
    for k in np.argsort(shares - fraction * sizes, kind="stable"):  # the largest remainder first
        if lacking > 0 and shares[k] < sizes[k] - 1:
            shares[k] += 1
            lacking -= 1
    by_class = order[np.argsort(classes[order], kind="stable")]
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # of each row within its class
    picked: NDArray[np.int64] = by_class[rank < np.repeat(shares, sizes)]
    return picked
