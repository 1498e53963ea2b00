"""Formulas held against numbers, those of one sample.

A formula's right-hand side is computed as it is written. What it is held against:

    forward       what the engine computed, every entry
    derivatives   what the engine computed on its way back, every entry; and both against complex steps, some entries

So formula, engine and derivative agree, or the formula is marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import Softmax
from deltarule.derivation import plainly
from deltarule.derivation.sample import EPS, MOVED, Sample, activation_of, entries, ours, slope_of
from deltarule.layers.base import Equation

__all__ = ["Numbers", "Verdict"]

ENTRIES, FEWER, MANY = 12, 3, 10**6  # entries of an array that are looked at; of one with very many, fewer
PLACES = 3  # of W, at which ∂z/∂W is looked at
NOT_FINITE = "not finite: cannot be checked"
AT_KINK = "at a kink: cannot be checked"
OVERFLOWS = "overflows on this sample, where the engine computes it otherwise"
ENGINE = "the engine's numbers; the formula's are not known"

Array = NDArray[Any]


class Verdict(NamedTuple):
    """What a check found: the largest relative error (None: nothing to compare), and why there may be none."""

    error: float | None = None
    remark: str = ""

    @property
    def badness(self) -> float:
        """The error; what is not a number is worse than all."""
        return 0.0 if self.error is None else float("inf") if np.isnan(self.error) else self.error


class Numbers(Sample):
    """One sample, and what becomes of every formula on it."""

    def check(self, stage: int, equation: Equation) -> Verdict:
        """A layer's formula, the engine and the derivative."""
        with np.errstate(all="ignore"):
            q, gives = self.at(stage), equation.gives
            if gives.startswith("dz/d"):
                return self._entry_by_entry(stage, equation, gives.removeprefix("dz/d"))
            right, noise = self._right(stage, equation, q), self._noise_of(stage, equation, q)
            if equation.forward:
                seen = getattr(q, gives, None) if gives else None
                return self.verdict(right, seen, noise) if right is not None and seen is not None else Verdict()
            if gives == "slope":
                layer = self.layer(stage)
                seen, (truth, places) = layer.f.derivative(q.z, activation_of(layer, q)), self._slopes(stage, q)
            else:
                seen = self.seen(self.way, stage, gives)
                noise = self.seen(self.noise, stage, gives)
                places = self.places(seen.shape)
                truth = self.derivative(stage, gives, places)
            return self.against(right, seen, truth, places, noise)

    def against(self, right: Any, seen: Array, truth: Array, places: Any, noise: Any) -> Verdict:
        """Formula and engine everywhere, and each against the derivative at some places."""
        few = entries(np.broadcast_to(noise, seen.shape), places)
        found = [self.verdict(entries(seen, places), truth, few)]
        if right is None:
            return found[0]._replace(remark=found[0].remark or ENGINE)
        right = np.reshape(right, seen.shape)
        found += [self.verdict(right, seen, noise), self.verdict(entries(right, places), truth, few)]
        return max(found, key=lambda v: v.badness)

    def verdict(self, found: Any, expected: Any, noise: Any = 0.0) -> Verdict:
        """The error, or why there is none."""
        error = self.error(found, expected, noise)
        if not np.isfinite(error):
            return Verdict(float("nan"), NOT_FINITE)
        return Verdict(None, AT_KINK) if error > self.tolerance and self.kinks else Verdict(error)

    def places(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """All places of an array, or some of a large one."""
        size = int(np.prod(shape))
        n = FEWER if size > MANY else ENTRIES
        flat = range(size) if size <= ENTRIES else sorted(self.random.integers(size, size=n).tolist())
        return [tuple(int(n) for n in np.unravel_index(k, shape)) for k in flat]

    def _right(self, stage: int, equation: Equation, q: Any) -> Array | None:
        """The right-hand side; None where nobody knows how to compute it."""
        if equation.value is not None:
            return np.asarray(equation.value(q))
        layer, f = self.layer(stage), self.layer(stage).f
        if not ours(f):
            return None
        if equation.gives in ("a", "after"):
            return np.asarray(plainly.F[f.name](f, q.z))
        return slope_of(f, q.z, activation_of(layer, q)) if equation.gives == "slope" else None

    def _noise_of(self, stage: int, equation: Equation, q: Any) -> Any:
        """How far one rounding of every number in it moves the right-hand side of a formula."""
        if not equation.forward and equation.gives != "slope":
            return 0.0
        moved = SimpleNamespace(**{name: self.jostled(a) for name, a in q.__dict__.items()})
        right, other = self._right(stage, equation, q), self._right(stage, equation, moved)
        return 0.0 if right is None or other is None else (other - right) * EPS / MOVED

    def _slopes(self, stage: int, q: Any) -> tuple[Array, Any]:
        """f′ by steps, entry by entry, and where."""
        f, places = self.layer(stage).f, self.places(q.z.shape)
        return self.differences(lambda rows: f.f(rows[:, None])[:, 0], entries(q.z, places)), places

    def _entry_by_entry(self, stage: int, equation: Equation, name: str) -> Verdict:
        """∂z/∂W at some places of W."""
        q, found = self.at(stage), list[Verdict]()
        for place in self.places(self.p[stage - 1][name].shape)[:PLACES]:
            assert equation.value is not None
            q.place = place
            found.append(self.verdict(equation.value(q), self.net_value_slope(stage, name, place)))
        return max(found, key=lambda v: v.badness)

    # The output

    def check_output(self, equation: Equation) -> Verdict:
        """The same of the cost's formulas."""
        with np.errstate(all="ignore"):
            q, gives = self._of_output(), equation.gives
            right = self._right_of_output(equation, q)
            moved = SimpleNamespace(**{name: self.jostled(a) for name, a in q.__dict__.items() if name != "dy"})
            moved.dy = self._cost_slope(moved)
            noise: Any = 0.0 if right is None else (self._right_of_output(equation, moved) - right) * EPS / MOVED
            if right is not None and not np.isfinite(right).all() and not self.not_finite:
                return Verdict(None, OVERFLOWS)
            if gives == "C":
                return Verdict() if right is None else self.verdict(right, self.done.cost, noise)
            if gives == "dy":
                places = self.places(q.y.shape)
                size = abs(entries(q.y, places))  # an answer may be smaller than any step
                truth = self.differences(
                    lambda rows: self._costs_at(q, rows, places), entries(q.y, places), np.where(size > 0, size, 1.0)
                )
                return self.against(right, self.net.output.cost.derivative(q.y, q.t), truth, places, noise)
            L = len(self.net.layers)
            seen = self.way.deltas[-1]
            places = self.places(seen.shape)
            noise = abs(self.noise.deltas[-1]) + abs(np.reshape(noise, seen.shape))
            return self.against(right, seen, self.derivative(L, "delta", places), places, noise)

    def _of_output(self) -> SimpleNamespace:
        """ŷ, z, t and ∂C/∂ŷ as rows `(T, K)`, one row where there are no steps."""
        L, K, output = len(self.net.layers), self.net.n_outputs, self.net.output
        q, f = self.at(L), output.activation
        z = q.z if q.z.size == q.a.size else q.a  # of a recurrent layer that answers once
        y, z, t = (np.reshape(a, (-1, K)) for a in (q.a, z, self.t))
        found = SimpleNamespace(y=y, z=z, t=t)
        found.dy = self._cost_slope(found)
        if not isinstance(f, Softmax):
            found.slope = slope_of(f, z, y)
        return found

    def _cost_slope(self, q: Any) -> Array:
        cost = self.net.output.cost
        found = plainly.COST_SLOPE[cost.name](cost, q.y, q.t) if ours(cost) else cost.derivative(q.y, q.t)
        return np.asarray(found)

    def _right_of_output(self, equation: Equation, q: Any) -> Array | None:
        output = self.net.output
        if equation.name == "from the net values":
            return np.asarray(plainly.COST_FROM_LOGITS[output.activation.name](q.z, q.t))
        if equation.value is not None:
            return np.asarray(equation.value(q))
        if not ours(output.cost):
            return None
        return np.asarray(plainly.COST[output.cost.name](output.cost, q.y, q.t)) if equation.gives == "C" else q.dy

    def _costs_at(self, q: Any, moved: Array, places: Sequence[tuple[int, ...]]) -> Array:
        costs = []
        for place, entry in zip(places, moved):
            y = q.y.astype(moved.dtype)
            y[place] = entry
            costs.append(self.net.output.cost.value(y, q.t).sum())
        return np.array(costs)
