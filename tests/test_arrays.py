"""The three helpers that keep the mathematics analytic in every array library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from libraries import LIBRARIES, run

from deltarule.arrays import absolute, namespace, real_part, where_positive

X = np.array([-2.5, -1e-300, -0.0, 0.0, 1e-300, 4.0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_real_numbers_stay_as_they_are(dtype: Any) -> None:
    x = X.astype(dtype)
    assert real_part(x) is x
    np.testing.assert_array_equal(absolute(x), np.abs(x), strict=True)
    np.testing.assert_array_equal(where_positive(x, x, -3 * x), np.where(x > 0, x, -3 * x), strict=True)
    np.testing.assert_array_equal(where_positive(x, x), np.maximum(x, 0), strict=True)


def test_complex_numbers_are_compared_by_their_real_parts() -> None:
    z = X + 7j  # a modulus would be positive everywhere
    np.testing.assert_array_equal(real_part(z), X, strict=True)
    np.testing.assert_array_equal(where_positive(z, z, 2 * z), np.where(X > 0, z, 2 * z), strict=True)
    np.testing.assert_array_equal(where_positive(z, z), np.where(X > 0, z, 0), strict=True)


def test_absolute_lets_a_complex_step_through() -> None:
    z = absolute(np.array([-2.0, 3.0]) + 1e-30j)
    np.testing.assert_array_equal(z, [2 - 1e-30j, 3 + 1e-30j], strict=True)
    assert absolute(np.array([1e-30j]))[0] == 0  # the convention at the kink: derivative 0


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize(
    "f", [real_part, absolute, lambda z: where_positive(z, z), lambda z: where_positive(z, 2 * z, -z)]
)
def test_every_library_gives_the_same(library: str, dtype: Any, f: Any) -> None:
    z = np.array([-2.5, -0.0, 0.0, 4.0]).astype(dtype)
    z = z + z.dtype.type(0.5j) if z.dtype.kind == "c" else z
    np.testing.assert_array_equal(run(library, f, z), f(z), strict=True)


def test_namespace_refuses_arrays_of_two_libraries() -> None:
    strict = pytest.importorskip("array_api_strict")
    assert namespace(strict.asarray([1.0])) is strict
    with pytest.raises(TypeError):
        namespace(strict.asarray([1.0]), np.ones(1))
