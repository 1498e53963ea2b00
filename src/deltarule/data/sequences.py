"""Sequences as arrays: X `(m, T, n)`, or tokens `(m, T)`; a target a sequence or a step; perhaps lengths `(m,)`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.data.checks import numeric
from deltarule.errors import DataError, ShapeError

__all__ = ["lengths_of", "sequences", "targets_of_sequences"]


def sequences(X: NDArray[Any], what: str) -> NDArray[Any]:
    """X as sequences: whole numbers `(m, T)` are tokens and stay what they are; others are numbers `(m, T, n)`.

    >>> sequences(np.array([[2, 0, 1]]), "X").dtype.kind, sequences(np.array([[0.5, 1.0]]), "X").shape
    ('i', (1, 2, 1))
    """
    if X.ndim not in (2, 3):
        raise DataError(f"{what}: has shape {X.shape}; sequences are (m, T, n), or (m, T) of tokens")
    if X.size == 0:
        raise DataError(f"{what}: is empty, shape {X.shape}; a sequence has a step or more")
    if X.ndim == 2 and X.dtype.kind in "iu":
        return X
    X = numeric(X, what)
    return X if X.ndim == 3 else X[..., None]


def targets_of_sequences(t: NDArray[Any], X: NDArray[Any], what: str) -> NDArray[Any]:
    """t as targets of the sequences: `(m,)`, `(m, K)`, `(m, T)` or `(m, T, K)`; whole numbers are classes."""
    if t.dtype.kind not in "biuf":
        raise DataError(f"{what}: holds {t.dtype}; targets of sequences are numbers")
    if t.ndim not in (1, 2, 3) or t.size == 0:
        raise DataError(f"{what}: has shape {t.shape}; targets of sequences are (m,), (m, K), (m, T) or (m, T, K)")
    if len(t) != len(X):
        raise DataError(f"{what}: has {len(t)} targets for {len(X)} sequences; make them equal")
    return t.astype(t.dtype.newbyteorder("="), copy=False)


def lengths_of(lengths: NDArray[Any], m: int, T: int, what: str) -> NDArray[np.int64]:
    """How many steps of each of m sequences there are, 1 … T."""
    if lengths.shape != (m,):
        raise ShapeError(f"{what} has the shape {lengths.shape}; {m} sequences take ({m},)")
    if lengths.dtype.kind not in "iuf":
        raise DataError(f"{what} holds {lengths.dtype}; lengths are whole numbers")
    wrong = np.flatnonzero((lengths != np.floor(lengths)) | (lengths < 1) | (lengths > T))
    if len(wrong):
        raise DataError(
            f"{what}: that of row {wrong[0]} is {lengths[wrong[0]]}; X has {T} steps, and a length is 1 … {T}"
        )
    return lengths.astype(np.int64)
