"""Random numbers without a generator to carry: each is a pure function of (seed, purpose, epoch or step, index).

So a run can stop, resume, or be shared among threads, and nothing but the seed need be kept. Two forms:
`generator(seed, purpose, *index)` for orders and initial weights (NumPy's Philox, keyed), and `uniform_bits` for
dropout masks, where every (row, unit) has a number of its own, whatever the batch in which the row stands.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import HyperparameterError

__all__ = [
    "draw_seed", "dropout_key", "dropout_mask", "dropout_threshold", "generator", "permutation", "uniform_bits",
]  # fmt: skip

_PURPOSES = {"init": 1, "shuffle": 2, "dropout": 3, "holdout": 4, "check": 5, "batches": 6, "generate": 7}


def draw_seed(seed: int | None) -> int:
    """`seed` itself, or a fresh one below 2³¹ when it is None, to be recorded."""
    if seed is None:
        return secrets.randbelow(2**31)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise HyperparameterError(f"seed must be a whole number from 0 to 2⁶³ − 1, or None, not {seed!r}")
    return int(seed)


def _key(seed: int, purpose: str, *index: int) -> np.random.SeedSequence:
    """A key of its own for every (seed, purpose, index): two 32-bit words a number, and how many there are.

    SeedSequence alone drops trailing zeros and runs large numbers into their neighbours.
    """
    words = [word for n in map(int, (seed, *index)) for word in (n & 0xFFFFFFFF, n >> 32)]
    return np.random.SeedSequence(np.array([_PURPOSES[purpose], len(index), *words], np.uint32))


def generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """A NumPy generator that belongs to (seed, purpose, index) alone.

    >>> bool(generator(0, "shuffle", 3).integers(100) == generator(0, "shuffle", 3).integers(100))
    True
    """
    return np.random.Generator(np.random.Philox(_key(seed, purpose, *index)))


def permutation(m: int, seed: int, purpose: str, *index: int) -> NDArray[np.int64]:
    """An order of 0 … m − 1."""
    return generator(seed, purpose, *index).permutation(m)


def _mix(h: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """A bijection of 32 bits in which every input bit moves every output bit.

    Constants: C. Wellons, "Prospecting for hash functions" (2018), bias 0.17.
    """
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B)
    return h ^ (h >> np.uint32(16))


def uniform_bits(seed: int, purpose: str, step: int, layer: int, rows: NDArray[Any], units: int) -> NDArray[np.uint32]:
    """32 uniform bits for every (row, unit): `(len(rows), units)`; rows are numbers of rows in the data set.

    s = mix(mix(step_low ⊕ k₀) ⊕ step_high), h = mix(mix(row_low ⊕ s) ⊕ row_high), mix(h + unit · 0x9E3779B9 + k₁) with
    the keys from (seed, purpose, layer): one key serves a whole training.
    """
    k0, k1 = _key(seed, purpose, layer).generate_state(2)
    h = _absorb(_absorb(k0, np.asarray([step])), np.asarray(rows))
    unit = np.arange(units, dtype=np.uint32) * np.uint32(0x9E3779B9) + k1
    return _mix(h[:, None] + unit[None, :])


def _absorb(h: Any, numbers: NDArray[Any]) -> NDArray[np.uint32]:
    """The hash h after whole numbers of 64 bits, the low half first."""
    words = numbers.astype(np.uint64)
    low, high = (words & np.uint64(0xFFFFFFFF)).astype(np.uint32), (words >> np.uint64(32)).astype(np.uint32)
    return _mix(_mix(low ^ h) ^ high)


def dropout_key(seed: int, layer: int) -> NDArray[np.uint32]:
    """k₀ and k₁ of a dropout layer's bits, see `uniform_bits`."""
    return _key(seed, "dropout", layer).generate_state(2).astype(np.uint32)


def dropout_threshold(rate: float) -> int:
    """A unit drops where its 32 bits are below."""
    return min(round(rate * 2**32), 2**32 - 1)


def dropout_mask(seed: int, step: int, layer: int, rows: NDArray[Any], units: int, rate: float) -> NDArray[np.bool_]:
    """Which units stay, `(len(rows), units)`: each with probability 1 − rate, by (seed, step, layer, row, unit)."""
    return uniform_bits(seed, "dropout", step, layer, rows, units) >= np.uint32(dropout_threshold(rate))
