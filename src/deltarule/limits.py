"""What a setting may be: a finite number within limits, or a message that says which."""

from __future__ import annotations

import math
import numbers
import sys
from typing import Any

import numpy as np

from deltarule.errors import HyperparameterError

__all__ = ["check", "number", "whole"]


def number(
    what: str, value: Any, *, above: float = -math.inf, least: float = -math.inf,
    below: float = math.inf, most: float = math.inf, integral: bool = False,
) -> Any:  # fmt: skip
    """`value` as Python's own number, if it is a finite one with above < value < below, least ≤ value ≤ most.

    >>> number("momentum", 1.5, least=0, below=1)
    Traceback (most recent call last):
    deltarule.errors.HyperparameterError: momentum must be a finite number, at least 0 and below 1, not 1.5
    """
    kind = numbers.Integral if integral else numbers.Real
    real: Any = value if isinstance(value, kind) and not isinstance(value, bool) else math.nan
    real = real.item() if isinstance(real, np.generic) else real  # a float32 cannot be compared with a float64's limits
    if abs(real) <= sys.float_info.max and above < real < below and least <= real <= most:
        return int(real) if isinstance(value, numbers.Integral) else float(real)
    limits = [f"above {above:g}"] * (above > -math.inf) + [f"at least {least:g}"] * (least > -math.inf)
    limits += [f"below {below:g}"] * (below < math.inf) + [f"at most {most:g}"] * (most < math.inf)
    wanted = ", ".join(["a whole number" if integral else "a finite number"] + [" and ".join(limits)] * bool(limits))
    given = repr(value) if not isinstance(value, int) or abs(value) < 10**20 else "a number too large to show"
    raise HyperparameterError(f"{what} must be {wanted}, not {given}")


def whole(what: str, value: Any, least: int = 1) -> int:
    """`value` as a whole number, at least `least`."""
    found: int = number(what, value, least=least, integral=True)
    return found


def check(value: Any, *fields: str, integral: bool = False, **limits: float) -> None:
    """Hold the fields of a frozen value (it has a `name`) to the limits of `number`; store them as Python's own."""
    for f in fields:
        found = number(f"{value.name}: {f}", getattr(value, f), integral=integral, **limits)
        object.__setattr__(value, f, found)
