"""Gradient checking: the backward pass against two derivatives that know nothing of it.

    complex step          ∂C/∂u ≈ Im C(u + i h) / h,  h = 1e-30          exact to rounding: nothing is subtracted
    central differences   ∂C/∂u ≈ (C(u + ε) − C(u − ε)) / 2ε,  ε = 1e-4

u is every trainable entry of θ and every entry of the inputs. All is computed in float64 and complex128, whatever the
network's dtype. The measure is that of the course, ‖numeric − analytic‖ / ‖numeric + analytic‖, with a floor under the
denominator where rounding reigns: an array passes when its error is at most the tolerance of the method.

What rounding may do is not guessed but measured: how far C and its gradient move when every number that enters them
moves by one rounding. So saturated units, inputs of 0 … 255 and gradients near 0 raise no alarm, and a factor of
1 + 10⁻⁹ in a backward pass does.
The derivatives are those of differences.py. Source: the course's exercise 4 (ε = 1e-4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from deltarule.differences import TOLERANCE, Direction, Measured, Probe, Rounding, measured, norm, picked
from deltarule.engines import textbook
from deltarule.errors import DataError, DivergenceError, HyperparameterError
from deltarule.inputs import states
from deltarule.limits import number
from deltarule.network import Network, Samples
from deltarule.randomness import draw_seed, generator

__all__ = ["ArrayCheck", "GradientCheck", "check_gradient"]

METHODS = ("complex", "central", "both")
KINKS_ALLOWED = 0.05  # the share of entries, by each method, that may be excused
EVERY_ENTRY = 2000  # up to so many entries each one is checked; above, a sample of each array and whole directions
NOTHING = "nothing is trained and tokens do not move: there is nothing to check"
SMALLEST_EPSILON = 1e-8  # below it rounding is all that a difference of costs shows, and nothing could be found wrong


class ArrayCheck(NamedTuple):
    """One array, checked by one method."""

    array: str  # "1.W", "x", or "directions"
    method: str
    entries: int  # checked
    analytic: float  # norm over the checked entries
    numeric: float
    error: float  # ‖numeric − analytic‖ / (‖numeric + analytic‖ + rounding / tolerance), excused entries left out
    worst: str  # the entry with the largest difference
    worst_analytic: float
    worst_numeric: float
    kinks: int  # excused entries
    ok: bool


@dataclass(frozen=True)
class GradientCheck:
    """The outcome: one row per array and method, `ok` when there are some, every one is, and kinks are few."""

    rows: list[ArrayCheck] = field(repr=False)
    cost: float
    epsilon: float

    @property
    def kinks(self) -> int:
        """Entries excused because a unit (or ŷ − t) crosses a kink between u − ε and u + ε."""
        return sum(row.kinks for row in self.rows)

    @property
    def ok(self) -> bool:
        """Whether something was checked, the gradient is right, and few enough entries are excused by each method."""
        return all(row.ok for row in self.rows) and not self._void

    @property
    def _void(self) -> bool:
        if not self.rows:
            return True
        by_method = [[row for row in self.rows if row.method == m] for m in TOLERANCE]
        return any(sum(r.kinks for r in rows) > KINKS_ALLOWED * sum(r.entries for r in rows) for rows in by_method)

    @property
    def worst(self) -> ArrayCheck:
        """The row that fails most, or comes nearest to it; its `worst` names the entry.

        Raises:
            DataError: there is no row.
        """
        if not self.rows:
            raise DataError(NOTHING)
        return max(
            self.rows, key=lambda row: (not row.ok, np.nan_to_num(row.error / TOLERANCE[row.method], nan=np.inf))
        )

    def error(self, method: str) -> float:
        """The largest relative error of a method, "complex" or "central"."""
        return max((row.error for row in self.rows if row.method == method), default=float("nan"))

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        titles = ("array", "method", "entries", "error", "worst entry", "analytic", "numeric", "kinks", "")
        table = [titles, *map(_cells, self.rows)]
        widths = [max(len(line[k]) for line in table) for k in range(len(titles))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in table]
        return "\n".join([*lines, self.verdict])

    @property
    def verdict(self) -> str:
        """One sentence."""
        errors = ", ".join(
            f"{m} {self.error(m):.1e}" for m in ("complex", "central") if any(r.method == m for r in self.rows)
        )
        if self.ok:
            return f"the gradient is right (largest relative errors: {errors}; {self.kinks} entries excused at kinks)"
        if not self.rows:
            return f"the check is void: {NOTHING}"
        row = self.worst
        if row.ok:  # void
            return f"the check is void: {self.kinks} entries stand at kinks; take other samples or a smooth activation"
        by = "complex step" if row.method == "complex" else "central differences"
        return (
            f"the gradient is WRONG at {row.worst} by {by}: "
            f"analytic {row.worst_analytic:.10e}, numeric {row.worst_numeric:.10e}"
        )


def _cells(row: ArrayCheck) -> tuple[str, ...]:
    worst = (row.worst, f"{row.worst_analytic:.5e}", f"{row.worst_numeric:.5e}")
    return (
        row.array, row.method, str(row.entries), f"{row.error:.1e}", *worst, str(row.kinks), "ok" if row.ok else "WRONG"
    )  # fmt: skip


def check_gradient(
    net: Network,
    X: Samples,
    t: ArrayLike,
    *,
    weight_decay: float = 0.0,
    sample_weight: ArrayLike | None = None,
    method: str = "both",
    epsilon: float = 1e-4,
    dropout: bool = False,
    seed: int = 0,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    state: ArrayLike | None = None,
) -> GradientCheck:
    """Check ∂C/∂θ and ∂C/∂x of a network on some samples.

    Every entry is checked up to 2,000 of them; above, 60 of each array and 10 random directions through all of them.
    A central difference that fails is tried again with smaller ε; if it still fails, it is excused only if a unit
    with a kink (relu, …; or ŷ − t under absolute, huber and quantile cost) changes sides between u − ε and u + ε.
    A complex step is excused only where rounding alone decides the side. More than 5 % excused void the check.

    Args:
        net, X, t, weight_decay, sample_weight, lengths, mask, state: as in `cost_and_gradient`; a handful of samples is
            enough. Tokens do not move: of them only ∂C/∂θ is checked.
        method: "complex", "central" or "both".
        epsilon: of the central differences, at least 1e-8: below it rounding hides every error.
        dropout: check with dropout on, at one fixed mask.
        seed: of the sampled entries, the directions and the mask.

    Raises:
        DivergenceError: the cost is not finite at these weights.

    >>> net = Network("3/5/3", activation="tanh")
    >>> check = check_gradient(net, [[0.1, -0.2, 0.3], [0.5, 0.4, -0.6]], [0, 2])
    >>> check.ok, check.error("complex") < 1e-12, check.error("central") < 1e-8
    (True, True, True)
    """
    if method not in METHODS:
        raise HyperparameterError(f"method is 'complex', 'central' or 'both', not {method!r}")
    number("epsilon", epsilon, least=SMALLEST_EPSILON, below=1)
    weight_decay, seed = number("weight_decay", weight_decay, least=0), draw_seed(seed)
    rows, targets, w = net.prepare(X, t, sample_weight, dtype=np.float64, lengths=lengths, mask=mask)
    T = textbook.steps_of(net, rows)
    masks = textbook.dropout_masks(net, seed, 1, np.arange(len(rows)), np.float64, T) if dropout else None
    h = states(net, state, len(rows))
    settings = {"weight_decay": weight_decay, "sample_weight": w, "masks": masks, "state": h}
    probe = Probe(net, rows, targets, settings)
    with np.errstate(all="ignore"):  # what is not finite is found in the table
        C = float(probe.cost(probe.u))
        if not np.isfinite(C):
            raise DivergenceError(f"the cost is {C} at these weights; scale the inputs, or take smaller weights")
        analytic = probe.gradient(probe.u)
        rounding = Rounding(probe, generator(seed, "check", 1))
        few = sum(probe.moving) <= EVERY_ENTRY
        found = [
            _compare(name, m, directions, measured(probe, m, directions, analytic, rounding, epsilon))
            for name, directions in picked(probe, analytic, seed, few_parameters=few, few_inputs=few)
            for m in TOLERANCE
            if method in (m, "both")
        ]
    return GradientCheck(found, C, epsilon)


def _compare(key: str, method: str, directions: list[Direction], m: Measured) -> ArrayCheck:
    """One row of the table."""
    difference = np.where(m.excused, -1.0, np.abs(m.numeric - m.analytic))
    worst, error = int(np.argmax(difference)), m.error(method)
    return ArrayCheck(
        key, method, len(directions), norm(m.analytic), norm(m.numeric), error,
        directions[worst].name, float(m.analytic[worst]), float(m.numeric[worst]), int(m.excused.sum()),
        bool(error <= TOLERANCE[method]),
    )  # fmt: skip
