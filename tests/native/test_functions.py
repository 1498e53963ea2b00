"""The native exp, log, tanh, ...: within 4 units of mpmath, the special values of libm, the same bits everywhere."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deltarule import _native

Array = NDArray[Any]
DTYPES = [np.float32, np.float64]
INF, NAN = math.inf, math.nan
MP = mpmath.mp.clone()
MP.prec = 120


def evaluate(name: str, x: Array) -> Array:
    y = np.empty_like(x)
    assert _native.evaluate(name, x, y), name
    return y


def sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x > 0, 1, e) / (1 + e)


# name: in double precision, which serves as the truth for float32; to 120 bits, for float64
REFERENCES: dict[str, tuple[Callable[[Array], Array], Callable[[Any], Any]]] = {
    "exp": (np.exp, MP.exp),
    "expm1": (np.expm1, MP.expm1),
    "log": (np.log, MP.log),
    "log1p": (np.log1p, MP.log1p),
    "tanh": (np.tanh, MP.tanh),
    "sigmoid": (sigmoid, lambda x: 1 / (1 + MP.exp(-x))),
    "softplus": (lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), lambda x: MP.log1p(MP.exp(x))),
}
NAMES = list(REFERENCES)

# where formulas change hands: powers of two of the reduction, the ends of the range, saturation
HARD = [0, 1, -1, 2**0.5, 0.5**0.5, 2**0.5 - 1, 0.5**0.5 - 1, 9.01, 17.33, 19.06, 37.43, 20, 40, 60]
HARD += [k * math.log(2) / 4 for k in range(1, 61)] + [87.33654, 88.72284, 103.97, 708.396418532264, 709.782712893384]


def patterns(dtype: Any, count: int) -> Array:
    """Numbers at equal distances in their bit patterns, all exponents alike, NaN and denormals among them."""
    bits = np.dtype(dtype).itemsize * 8
    step = 2**bits // count | 1
    return (np.arange(count, dtype=np.uint64) * np.uint64(step)).astype(f"u{bits // 8}").view(dtype)


def neighbours(dtype: Any, reach: int) -> Array:
    """The numbers next to the hard ones, and some further away, of both signs."""
    hard = np.array([*HARD, *(-h for h in HARD)], dtype)[:, None]
    near = (hard.view(f"i{hard.itemsize}") + np.arange(-reach, reach + 1)).view(dtype)
    far = hard + np.random.default_rng(0).normal(scale=0.1, size=(1, reach))
    return np.concatenate([near.ravel(), far.ravel()]).astype(dtype)


def flushed(x: Array) -> Array:
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, np.copysign(x.dtype.type(0), x), x)


def units(y: Array, exact: Array, rest: Array | float = 0) -> Array:
    """|y − (exact + rest units)| in units of the last place of y's type; ∞ where only one of both is finite."""
    one = np.ldexp(1.0, np.maximum(np.frexp(exact)[1] - 1, np.finfo(y.dtype).minexp) - np.finfo(y.dtype).nmant)
    error = np.abs((y - exact) / one - rest)
    expected = exact.astype(y.dtype)
    ends = ~np.isfinite(expected) | ~np.isfinite(y)
    return np.where(ends, np.where((y == expected) | (np.isnan(y) & np.isnan(exact)), 0, INF), error)


def worst(x: Array, y: Array, error: Array, exact: Array) -> str:
    k = int(np.argmax(error))
    return f"{error[k]:.2f} units at {x[k]!r}: {y[k]!r}, not {exact[k]!r}"


def check(x: Array, y: Array, exact: Array, rest: Array | float = 0) -> None:
    """At most 4 units; a result below the smallest normal number is flushed to 0, or rounds up to it."""
    tiny = np.finfo(y.dtype).tiny
    small = np.abs(exact) < tiny
    error = np.where(small, np.where((y == 0) | (np.abs(y) == tiny), 0, INF), units(y, exact, rest))
    assert (error <= 4).all(), worst(x, y, error, exact)


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_within_4_units(name: str) -> None:
    x = np.concatenate([patterns(np.float32, 300_000), neighbours(np.float32, 100)])
    with np.errstate(all="ignore"):
        check(x, evaluate(name, x), REFERENCES[name][0](flushed(x).astype(np.float64)))


@pytest.mark.parametrize("name", NAMES)
def test_float64_is_within_4_units(name: str) -> None:
    random = np.random.default_rng(1)
    spread = random.choice([-1, 1], 1000) * 2 ** random.uniform(-40, 10, 1000)
    x = np.concatenate([patterns(np.float64, 1000), neighbours(np.float64, 5), spread, random.uniform(-3, 3, 500)])
    x = flushed(x[np.isfinite(x)])
    x = x[x > {"log": 0, "log1p": -1}.get(name, -INF)]
    exact, rest = np.empty_like(x), np.empty_like(x)
    for k, true in enumerate(REFERENCES[name][1](MP.mpf(v)) for v in x.tolist()):
        exact[k] = float(true)
        if np.isfinite(exact[k]):
            rest[k] = float((true - exact[k]) / MP.mpf(float(np.spacing(abs(exact[k])))))
    with np.errstate(all="ignore"):
        check(x, evaluate(name, x), exact, np.where(np.isfinite(exact), rest, 0))


SPECIAL: dict[str, dict[float, float]] = {
    "exp": {0.0: 1, -INF: 0, INF: INF, 1e4: INF, -1e4: 0},
    "expm1": {-INF: -1, INF: INF, 1e4: INF, -1e4: -1},
    "log": {0.0: -INF, 1: 0, INF: INF, -1: NAN, -1e-30: NAN, -INF: NAN},
    "log1p": {-1: -INF, INF: INF, -2: NAN, -INF: NAN},
    "tanh": {INF: 1, -INF: -1, 1e4: 1, -1e4: -1},
    "sigmoid": {0.0: 0.5, INF: 1, -INF: 0, 1e4: 1, -1e4: 0},
    "softplus": {INF: INF, -INF: 0, 1e4: 1e4, -1e4: 0},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_special_values_are_those_of_libm(name: str, dtype: Any) -> None:
    table = SPECIAL[name]
    np.testing.assert_array_equal(evaluate(name, np.array([*table], dtype)), np.array([*table.values()], dtype))
    zeros, nans = np.array([0.0, -0.0], dtype), np.array([NAN, -NAN], dtype)
    assert np.isnan(evaluate(name, nans)).all()
    y = evaluate(name, zeros)
    if name in ("expm1", "log1p", "tanh"):
        assert (y == 0).all()
        assert np.signbit(y).tolist() == [False, True]
    else:
        assert y[0] == y[1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_bounds_and_symmetry_are_exact(dtype: Any) -> None:
    x = np.concatenate([patterns(dtype, 100_003), neighbours(dtype, 100)])
    x = x[np.isfinite(x)]
    t, s = evaluate("tanh", x), evaluate("sigmoid", x)
    np.testing.assert_array_equal(evaluate("tanh", -x), -t, strict=True)
    assert (np.abs(t) <= 1).all()
    assert ((s >= 0) & (s <= 1)).all()
    for y in (t, evaluate("expm1", x)):
        assert (np.signbit(y) == np.signbit(x)).all()
    assert (evaluate("softplus", x) >= np.maximum(flushed(x), 0)).all()
    assert (evaluate("exp", x) >= 0).all()


@given(st.sampled_from(NAMES), st.sampled_from(DTYPES), st.integers(0, 70), st.integers(0, 40))
def test_a_number_does_not_depend_on_its_place(name: str, dtype: Any, start: int, count: int) -> None:
    x = np.geomspace(1e-3, 80, 110).astype(dtype)
    np.testing.assert_array_equal(
        evaluate(name, np.ascontiguousarray(x[start : start + count])), evaluate(name, x)[start : start + count]
    )


def digest() -> str:
    """The bits of every function over patterns of all kinds, NaN included, in a line."""
    import hashlib

    lines = []
    for dtype in DTYPES:
        x = np.concatenate([patterns(dtype, 50_021), neighbours(dtype, 50)])
        lines += [hashlib.sha256(evaluate(name, x).tobytes()).hexdigest() for name in NAMES]
    return " ".join(lines)


def test_every_instruction_set_gives_the_same_bits() -> None:
    code = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import test_functions as t"
    code += "; print(t._native.isa(), t.digest())"
    for isa in _native.isas():
        environment = {**os.environ, "DELTARULE_ISA": isa}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.split(" ", 1) == [isa, digest() + "\n"]
