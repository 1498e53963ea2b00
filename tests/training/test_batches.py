"""Mini-batches: every row once, pure in (seed, epoch), the lecture's generator, orders from outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import deltarule as dr
from deltarule.errors import DataError, HyperparameterError
from deltarule.training.batches import count, order

SIZES = st.integers(1, 60)


@given(SIZES, st.integers(1, 70), st.integers(0, 2**63 - 1), st.integers(0, 9), st.sampled_from(["last", "anywhere"]))
def test_every_row_comes_once(m: int, size: int, seed: int, epoch: int, short: str) -> None:
    parts = list(dr.batches(m, size, seed, epoch=epoch, short=short))
    assert sorted(np.concatenate(parts).tolist()) == list(range(m))
    lengths = [len(p) for p in parts]
    assert sorted(lengths, reverse=True) == [size] * (m // size) + [m % size] * (m % size > 0)
    assert len(parts) == count(m, size)
    if short == "last":
        assert lengths == sorted(lengths, reverse=True)
    again = list(dr.batches(m, size, seed, epoch=epoch, short=short))
    for a, b in zip(parts, again, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == np.int64


@given(SIZES, st.integers(1, 70), st.sampled_from(["last", "anywhere"]))
def test_drop_last_leaves_the_short_one_out(m: int, size: int, short: str) -> None:
    if m < size:
        with pytest.raises(HyperparameterError, match="drop_last leaves nothing"):
            dr.batches(m, size, drop_last=True, short=short)
        return
    parts = list(dr.batches(m, size, drop_last=True, short=short))
    assert [len(p) for p in parts] == [size] * (m // size)
    assert len(parts) == count(m, size, drop_last=True)
    assert len(set(np.concatenate(parts).tolist())) == size * (m // size)


def test_the_order_belongs_to_seed_and_epoch() -> None:
    def rows(**named: Any) -> list[int]:
        return np.concatenate(list(dr.batches(100, 7, **named))).tolist()

    assert rows() == rows(seed=0) == rows(seed=np.int64(0), epoch=0)
    assert len({tuple(rows(seed=s, epoch=e)) for s in range(4) for e in range(4)}) == 16
    assert rows(shuffle=False) == list(range(100))
    assert rows(short="anywhere") == rows()  # the same order, cut elsewhere
    assert rows(seed=None) != rows(seed=None)


def test_the_short_batch_stands_anywhere() -> None:
    """Document 004's generator: m = 32 in batches of 12 gives [8, 12, 12] in any order."""
    where = {tuple(len(p) for p in dr.batches(32, 12, seed, short="anywhere")) for seed in range(50)}
    assert where == {(8, 12, 12), (12, 8, 12), (12, 12, 8)}


def test_orders_from_outside() -> None:
    asked: list[int] = []

    def shuffle(k: int) -> list[int]:
        asked.append(k)
        return [k, 4, 4, 0]

    assert [p.tolist() for p in dr.batches(5, 3, epoch=2, shuffle=shuffle)] == [[2, 4, 4], [0]]
    assert asked == [2]
    assert order(5, lambda k: np.array([1, 0], np.uint8), 0, 0).dtype == np.int64


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([0, 5], "shuffle returned row 5; the rows are 0 … 4"),
        ([0, -1], "shuffle returned row -1"),
        ([], "a vector of integers that is not empty"),
        (np.zeros(0, int), "a vector of integers that is not empty"),
        ([0.0, 1.0], "a vector of integers"),
        ([[0, 1]], "a vector of integers"),
        (3, "a vector of integers"),
        (None, "shuffle's order: real numbers are expected"),
        ("abc", "shuffle's order: real numbers are expected"),
        ([[0], [1, 2]], "shuffle's order: not an array"),
    ],
)
def test_orders_that_are_none(returned: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        dr.batches(5, 2, shuffle=lambda k: returned)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"m": 0}, "m must be a whole number, at least 1, not 0"),
        ({"m": 2.0}, "m must be a whole number"),
        ({"size": 0}, "size must be a whole number, at least 1"),
        ({"size": -1}, "size must be"),
        ({"size": True}, "size must be"),
        ({"seed": -1}, "seed must be"),
        ({"short": "first"}, "short is 'last' or 'anywhere', not 'first'"),
        ({"shuffle": 1}, "shuffle is True, False or a function epoch → order, not 1"),
        ({"shuffle": "yes"}, "shuffle is True"),
    ],
)
def test_settings_that_are_none(named: dict[str, Any], message: str) -> None:
    with pytest.raises(HyperparameterError, match=message):
        dr.batches(**({"m": 5, "size": 2} | named))
