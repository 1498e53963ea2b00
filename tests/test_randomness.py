"""Keyed random numbers: pure, uniform, independent of one another and of the batch, and frozen."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deltarule.errors import HyperparameterError
from deltarule.randomness import draw_seed, dropout_mask, generator, permutation, uniform_bits

ROWS, UNITS = np.arange(1000), 1000
N = ROWS.size * UNITS

FROZEN_BITS = ["0x13c276ef", "0x69106356", "0x57c1aa4f", "0xb4bb0c32", "0x45afe881", "0xe4552f2"]
FROZEN_FAR = 0xF1670A32
FROZEN_RAW = [11421277689242060494, 5753700373013418960]
FROZEN_SHUFFLE = [6374335291524565344]
FROZEN_MASK = [7, 188, 93, 190]


def bits(seed: int = 0, step: int = 1, layer: int = 1, rows: Any = ROWS, units: int = UNITS) -> NDArray[np.uint32]:
    return uniform_bits(seed, "dropout", step, layer, np.asarray(rows), units)


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    return abs(float(np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1]))


def share_of_ones(x: NDArray[np.uint32]) -> float:
    return float(np.unpackbits(np.ascontiguousarray(x).view(np.uint8)).mean())


def test_the_numbers_are_frozen() -> None:
    # Trainings are repeated from their seeds: whoever changes these numbers changes every trained network.
    known = bits(rows=[0, 1, 2**32 + 1], units=2)
    assert [hex(x) for x in known.ravel()] == FROZEN_BITS
    assert uniform_bits(2**63 - 1, "dropout", 2**40, 7, np.array([59_999]), 1)[0, 0] == FROZEN_FAR
    assert generator(0, "init", 1).bit_generator.random_raw(2).tolist() == FROZEN_RAW
    assert generator(2**40, "shuffle", 3).bit_generator.random_raw(1).tolist() == FROZEN_SHUFFLE
    kept = dropout_mask(0, 1, 1, np.arange(2), 16, 0.5)
    assert np.packbits(kept).tolist() == FROZEN_MASK


def test_they_are_a_pure_function() -> None:
    first = bits(), dropout_mask(3, 2, 1, ROWS, 5, 0.3), permutation(50, 3, "shuffle", 2)
    bits(seed=9), generator(3, "shuffle", 2).normal(size=9), permutation(7, 8, "holdout")
    second = bits(), dropout_mask(3, 2, 1, ROWS, 5, 0.3), permutation(50, 3, "shuffle", 2)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b, strict=True)
    assert first[0].dtype == np.uint32
    assert first[1].dtype == np.bool_
    np.testing.assert_array_equal(np.sort(first[2]), np.arange(50))


@pytest.mark.parametrize("shift", [0, 8, 16, 24])
@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_every_byte_is_uniform(shift: int, seed: int) -> None:
    counts = np.bincount((bits(seed).ravel() >> np.uint32(shift)) & np.uint32(255), minlength=256)
    chi_square = np.sum((counts - N / 256) ** 2) / (N / 256)
    assert abs(chi_square - 255) < 4 * np.sqrt(2 * 255)


def test_mean_variance_and_every_bit_are_those_of_uniform_numbers() -> None:
    u = bits() / 2**32
    assert abs(u.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / N)
    assert abs(u.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / N)
    for axis in (0, 1):  # and of every unit and every row by itself
        assert np.abs(u.mean(axis=axis) - 1 / 2).max() < 5 * np.sqrt(1 / 12 / 1000)
    for k in range(32):
        assert abs(((bits() >> np.uint32(k)) & np.uint32(1)).mean() - 0.5) < 4 * 0.5 / np.sqrt(N)


NEIGHBOURS = {
    "the next row": lambda: bits(rows=ROWS + 1),
    "row 2³² further": lambda: bits(rows=ROWS + 2**32),
    "the next unit": lambda: np.roll(bits(), 1, axis=1),
    "the next step": lambda: bits(step=2),
    "the next layer": lambda: bits(layer=2),
    "the next seed": lambda: bits(seed=1),
    "seed 2³²": lambda: bits(seed=2**32),
    "step 2³² further": lambda: bits(step=1 + 2**32),
    "step and layer": lambda: bits(step=2, layer=0),
    "another purpose": lambda: uniform_bits(0, "check", 1, 1, ROWS, UNITS),
    "rows and units exchanged": lambda: np.roll(bits().T, 1, axis=0),
}


@pytest.mark.parametrize("other", NEIGHBOURS.values(), ids=NEIGHBOURS.keys())
def test_neighbours_are_independent(other: Callable[[], NDArray[np.uint32]]) -> None:
    assert correlation(bits(), other()) < 4.5 / np.sqrt(N)
    assert abs(share_of_ones(bits() ^ other()) - 0.5) < 4.5 * 0.5 / np.sqrt(32 * N)


def test_one_changed_bit_of_the_row_changes_half_of_the_number() -> None:
    at = bits(rows=ROWS, units=64)
    for k in range(40):
        moved = bits(rows=ROWS ^ (1 << k), units=64) ^ at
        assert abs(share_of_ones(moved) - 0.5) < 0.01, k


@given(st.lists(st.integers(0, 2**40), max_size=20), st.integers(0, 30), st.integers(1, 30))
def test_a_rows_mask_does_not_depend_on_its_neighbours(rows: list[int], units: int, more: int) -> None:
    together = dropout_mask(1, 2, 3, np.array(rows, dtype=np.int64), units, 0.4)
    assert together.shape == (len(rows), units)
    for k, row in enumerate(rows):
        np.testing.assert_array_equal(dropout_mask(1, 2, 3, np.array([row]), units, 0.4)[0], together[k])
        np.testing.assert_array_equal(dropout_mask(1, 2, 3, np.array([row]), units + more, 0.4)[0, :units], together[k])


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, np.uint64])
def test_the_type_of_the_row_numbers_does_not_matter(dtype: Any) -> None:
    np.testing.assert_array_equal(bits(rows=ROWS.astype(dtype)), bits())


@pytest.mark.parametrize("rate", [0.0, 1e-6, 0.1, 0.5, 0.9, 1 - 1e-6, 1 - 2**-40])
def test_units_stay_with_probability_one_minus_rate(rate: float) -> None:
    kept = dropout_mask(5, 1, 1, ROWS, UNITS, rate)
    assert abs(kept.mean() - (1 - rate)) <= 4.5 * np.sqrt(rate * (1 - rate) / N)
    assert kept.all() or rate > 0
    fewer = dropout_mask(5, 1, 1, ROWS, UNITS, rate + (1 - rate) / 2)
    assert not (fewer & ~kept).any()  # a higher rate drops the same units, and more


def test_a_unit_whose_number_is_the_rate_itself_stays() -> None:
    at = bits(rows=[3], units=6)[0] / 2**32
    for k, rate in enumerate(at):
        np.testing.assert_array_equal(dropout_mask(0, 1, 1, np.array([3]), 6, float(rate))[0], at >= rate)
        assert dropout_mask(0, 1, 1, np.array([3]), 6, float(rate))[0, k]


def test_no_two_keys_are_the_same() -> None:
    large = [0, 1, 2, 2**32 - 1, 2**32, 2**32 + 1, 3 * 2**32, 2**63 - 1]
    keys = [
        (seed, purpose, *index) for seed in large for purpose in ("init", "shuffle", "dropout") for index in INDICES
    ]
    drawn = {key: tuple(generator(*key).bit_generator.random_raw(2)) for key in keys}
    assert len(set(drawn.values())) == len(keys)


INDICES = [
    (),
    *itertools.product([0, 1, 2, 3, 2**32]),
    *itertools.product([0, 1, 2, 3, 2**32], repeat=2),
    (0, 0, 0),
    (3, 0, 0),
]


def test_orders_differ_by_epoch_and_are_uniform() -> None:
    orders = np.array([permutation(10, 0, "shuffle", epoch) for epoch in range(2000)])
    assert len(np.unique(orders, axis=0)) == 2000
    counts = np.array([np.bincount(place, minlength=10) for place in orders.T])  # who stands where
    assert np.abs(counts - 200).max() < 5 * np.sqrt(2000 * 0.1 * 0.9)


def test_a_seed_is_drawn_once_and_then_kept() -> None:
    drawn = {draw_seed(None) for _ in range(20)}
    assert len(drawn) > 15
    assert all(0 <= seed < 2**31 and draw_seed(seed) == seed for seed in drawn)
    assert draw_seed(2**63 - 1) == 2**63 - 1
    assert type(draw_seed(np.int64(7))) is int  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [-1, 2**63, 1.0, "1", True, np.array([1]), np.float64(1)], ids=repr)
def test_other_seeds_are_refused(bad: Any) -> None:
    with pytest.raises(HyperparameterError, match="seed must be a whole number from 0 to 2⁶³ − 1, or None"):
        draw_seed(bad)
