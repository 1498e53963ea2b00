"""What the array API standard leaves to us: three helpers, the same on NumPy, PyTorch, CuPy and JAX.

The textbook engine runs on complex numbers too (complex step), so that every comparison must look at real parts
only and |x| must stay analytic. Source: Squire and Trapp, SIAM Review 40 (1998) 110-112.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import array_api_compat

__all__ = ["COMPLEX_STEP", "Array", "Shape", "absolute", "namespace", "real_part", "where_positive"]

COMPLEX_STEP = 1e-30
"""h of ∂f/∂u = Im f(u + i h)/h: nothing is subtracted, so it may be as small as the numbers allow."""

Array: TypeAlias = Any
"""An array of any library that follows the array API standard."""

Shape: TypeAlias = tuple[int | None, ...]
"""The shape of one sample; None stands for the length of a sequence."""


def namespace(*arrays: Array) -> Any:
    """The array API namespace that `arrays` share."""
    return array_api_compat.array_namespace(*arrays)


def real_part(x: Array) -> Array:
    """Re x, and x itself where it is real: what every comparison looks at."""
    xp = namespace(x)
    return xp.real(x) if xp.isdtype(x.dtype, "complex floating") else x


def absolute(x: Array) -> Array:
    """|x| = x sign(Re x): analytic off 0, so that a complex step passes through it."""
    xp = namespace(x)
    return x * xp.astype(xp.sign(real_part(x)), x.dtype)


def where_positive(z: Array, yes: Array, no: Array | None = None) -> Array:
    """`yes` where Re z > 0, `no` (0 unless given) elsewhere."""
    xp = namespace(z)
    return xp.where(real_part(z) > 0, yes, xp.zeros_like(z) if no is None else no)
