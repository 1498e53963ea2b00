import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deltarule.data import holdout
from deltarule.errors import DataError, HyperparameterError

labels = st.lists(st.sampled_from("abcde"), min_size=2, max_size=80)
fractions = st.floats(0.01, 0.99)


@given(labels, fractions, st.integers(0, 2**40), st.booleans())
def test_a_split_is_a_partition(t, fraction, seed, stratify):
    try:
        train, held = holdout(t, fraction, seed, stratify=stratify)
    except DataError:
        assume(False)
    assert sorted([*train, *held]) == list(range(len(t)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(held) > 0).all()
    again = holdout(np.array(t), fraction, seed, stratify=stratify)
    np.testing.assert_array_equal(train, again[0])


@given(labels, fractions, st.integers(0, 99))
def test_every_class_gives_its_share_and_keeps_a_row(t, fraction, seed):
    try:
        train, held = holdout(t, fraction, seed, stratify=True)
    except DataError:
        assume(False)
    t = np.array(t)
    for label in np.unique(t):
        size, kept = (t == label).sum(), (t[train] == label).sum()
        assert kept >= 1
        assert (size - kept == size - 1) or abs((size - kept) - fraction * size) <= 1 + 1e-9
    assert len(held) <= round(fraction * len(t))


def test_the_total_is_the_fraction_and_the_remainders_go_to_the_largest():
    t = np.repeat([0, 1, 2], [50, 30, 17])
    _, held = holdout(t, 0.2, 0, stratify=True)
    assert len(held) == 19
    assert np.bincount(t[held]).tolist() == [10, 6, 3]
    assert len(holdout(t, 0.2, 0, stratify=False)[1]) == 19
    t = np.repeat([0, 1], [7, 13])  # shares 1.75 and 3.25: the fifth row goes to class 0
    assert np.bincount(t[holdout(t, 0.25, 0, stratify=True)[1]]).tolist() == [2, 3]


def test_the_seed_decides_and_names_of_classes_do_not():
    t = np.array([0, 1] * 20)
    assert holdout(t, 0.5, 0, stratify=True)[1].tolist() != holdout(t, 0.5, 1, stratify=True)[1].tolist()
    words = np.array(["no", "yes"])[t]
    np.testing.assert_array_equal(holdout(t, 0.5, 0, stratify=True)[1], holdout(words, 0.5, 0, stratify=True)[1])
    np.testing.assert_array_equal(holdout(t, 0.5, 0, stratify=True)[1], holdout(np.eye(2)[t], 0.5, 0, stratify=True)[1])


def test_the_draw_is_pinned():
    assert holdout(np.arange(10), 0.3, 0, stratify=False)[1].tolist() == [1, 4, 6]


def test_a_class_of_one_row_stays_in_training():
    train, _ = holdout(["a", "a", "a", "a", "b"], 0.5, 3, stratify=True)
    assert 4 in train


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan"), True])
def test_the_fraction_lies_between_0_and_1(fraction):
    with pytest.raises(HyperparameterError, match="between 0 and 1"):
        holdout([0, 1], fraction, 0, stratify=False)


@pytest.mark.parametrize(
    ("m", "fraction", "stratify", "side"),
    [(3, 0.1, False, "held-out"), (3, 0.9, False, "training"), (0, 0.5, True, "held-out"), (1, 0.6, False, "training")],
)
def test_no_side_may_be_empty(m, fraction, stratify, side):
    with pytest.raises(DataError, match=f"leaves no {side} row"):
        holdout([0] * m, fraction, 0, stratify=stratify)
    with pytest.raises(DataError, match="leaves no held-out row"):
        holdout(["a", "b"], 0.5, 0, stratify=True)


def test_many_classes_take_no_time():
    train, held = holdout(np.repeat(np.arange(50_000), 2), 0.5, 0, stratify=True)
    assert len(train) == len(held) == 50_000


def test_a_wrong_seed_is_ours_to_refuse():
    with pytest.raises(HyperparameterError, match="seed must be"):
        holdout([0, 1], 0.5, -1, stratify=False)
