"""Formulas held against numbers, for one sample in float64.

A formula's right-hand side is computed as it is written. What it is held against:

    forward       what the engine computed
    derivatives   ∂C/∂u = Im C(u + i h) / h, where C is computed from u upwards: from z⁽ˡ⁾, from a⁽ˡ⁻¹⁾, from θ

and what the engine computed on its way back is held against the same: so that formula, engine and derivative agree, or
the formula is marked. Where a user's function does not run in complex numbers, or is not analytic there, differences of
order 4 take the complex step's place. Of large arrays some entries are looked at.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import Softmax
from deltarule.architecture import Architecture
from deltarule.arrays import COMPLEX_STEP
from deltarule.derivation import plainly
from deltarule.derivation.document import TOLERANCE
from deltarule.engines import textbook
from deltarule.layers import RNN, Context
from deltarule.layers.base import Equation
from deltarule.network import Network
from deltarule.randomness import generator
from deltarule.trace import Trace, not_finite

__all__ = ["Numbers", "error"]

ENTRIES = 12  # of an array, that are looked at
STEPS = 3  # of a sequence that is drawn
DRAWS = 10  # at most, until a sample reaches every layer
H = COMPLEX_STEP
DIFFERENCE = 1e-3  # and their ε
LOOSE = 1e-6  # the tolerance of differences
SMALL = 1e-6  # what is smaller, times the scale of the numbers, has no relative error
Array = NDArray[Any]


class Numbers:
    """One sample through a network, and the derivatives of its cost by complex steps.

    Args:
        net: its θ is used, in float64.
        given: the trace of one sample; a sample is drawn from the seed where there is none.
        nudge: whether entries of θ that are 0 are drawn, so that no term of a formula drops out unseen.
    """

    def __init__(self, net: Network, given: Trace | None = None, *, seed: int = 0, nudge: bool = True) -> None:
        self.random = generator(seed, "check", 8)
        layers = [k if k.trainable else dataclasses.replace(k, trainable=True) for k in net.layers]
        self.net = Architecture(layers, input_shape=net.input_shape, cost=net.output.cost, time="sum")
        self.theta = net.theta.astype(np.float64)
        if nudge:
            self.theta = np.where(self.theta == 0, self.random.normal(0, 0.1, self.theta.shape), self.theta)
        for step in range(1, DRAWS + 1 if given is None else 2):
            self.x, self.t = self._drawn(net) if given is None else _of(given)
            steps = textbook.steps_of(self.net, self.x)
            self.masks = textbook.dropout_masks(self.net, seed, step, np.arange(1), np.float64, steps)
            with np.errstate(all="ignore"):  # what is not finite is shown as such
                self.done = textbook.backpropagate(self.net, self.theta, self.x, self.t, masks=self.masks)
            if all(delta.any() for delta in self.done.deltas):  # or every unit of a layer is dead, and all agrees
                break
        self.p = self.net.split(self.theta)
        self.scale = 1 + float(np.linalg.norm(np.nan_to_num(self.done.caches[-1].a)) + np.linalg.norm(self.t))
        self.analytic = True
        self.analytic = not self._foreign() or self._steps_agree()
        self.tolerance = TOLERANCE if self.analytic else LOOSE

    def _drawn(self, net: Network) -> tuple[Array, Array]:
        """A sample and what its cost may take for a target, as the engine has them."""
        random, every = self.random, [STEPS] if net.shapes[-1][0] is None else []
        x, shape = random.normal(size=[1, *(n or STEPS for n in net.input_shape)]), [1, *every, net.n_outputs]
        if net.is_classifier and net.n_outputs > 1:
            return x, np.eye(net.n_outputs)[random.integers(net.n_outputs, size=shape[:-1])]
        if net.is_classifier:
            return x, random.integers(2, size=shape).astype(float)
        return x, random.poisson(2, shape) + 0.5 * (net.output.activation.name != "exp")

    # One layer

    def at(self, stage: int) -> SimpleNamespace:
        """A layer's arrays of this sample by name: what `Equation.value` reads."""
        layer, cache, da = self.net.layers[stage - 1], self.done.caches[stage - 1], self.done.das[stage]
        found = {name: a[0] if isinstance(a, np.ndarray) else a for name, a in cache._asdict().items()}
        if isinstance(layer, RNN):
            found["z"] = found["steps"]
        found |= {"mask": None, **found, "delta": self.done.deltas[stage - 1][0], "da": None if da is None else da[0]}
        f = layer.f
        slope = None
        if not isinstance(f, Softmax):
            a = found["after"] if isinstance(layer, RNN) else found["a"]
            slope = plainly.SLOPE[f.name](f, found["z"], a) if ours(f) else f.derivative(found["z"], a)
        return SimpleNamespace(**found | {"slope": slope} | self.p[stage - 1])

    def context(self, stage: int) -> Context:
        """The mask of a dropout layer."""
        mask = self.masks.get(stage)
        return Context() if mask is None else Context(mask.reshape(self.done.caches[stage - 1].a.shape))

    def error(self, stage: int, equation: Equation) -> float | None:
        """The largest relative error between a formula, the engine and the derivative; None where it only names."""
        with np.errstate(all="ignore"):
            return self._error(stage, equation)

    def _error(self, stage: int, equation: Equation) -> float | None:
        q, gives = self.at(stage), equation.gives
        if gives.startswith("dz/d"):
            return self._entry_by_entry(stage, equation, gives.removeprefix("dz/d"))
        right = self._right(stage, equation, q)
        if equation.forward:
            seen = getattr(q, gives, None)
            return None if right is None or seen is None else error(right, seen, self.scale)
        if gives == "slope":
            seen, truth, places = self._slopes(stage, q)
        else:
            seen = self._seen(stage, gives)
            places = self.places(seen.shape)
            truth = self.derivative(stage, {"delta": "z", "da_prev": "a_prev"}.get(gives, gives[1:]), places)
        found = [] if right is None else [np.reshape(right, seen.shape)]
        return max((error(_at(a, places), truth, self.scale) for a in (*found, seen)), key=_badness)

    def _right(self, stage: int, equation: Equation, q: Any) -> Array | None:
        """The right-hand side."""
        if equation.value is not None:
            return np.asarray(equation.value(q))
        f = self.net.layers[stage - 1].f
        if equation.gives in ("a", "after") and ours(f):
            return np.asarray(plainly.F[f.name](f, q.z))
        return q.slope if equation.gives == "slope" and ours(f) else None

    def _seen(self, stage: int, gives: str) -> Array:
        """What the engine found on its way back."""
        da = self.done.das[stage - 1]
        assert da is not None
        found: dict[str, Array] = {"delta": self.done.deltas[stage - 1][0], "da_prev": da[0]}
        found |= {f"d{name}": g for name, g in self.done.gradients[stage - 1].items()}
        return found[gives]

    def _slopes(self, stage: int, q: Any) -> tuple[Array, Array, list[tuple[int, ...]]]:
        """Of an activation: the engine's f′, and by steps, entry by entry; of softmax its Jacobian."""
        f = self.net.layers[stage - 1].f
        if isinstance(f, Softmax):
            z = q.z.reshape(-1, q.z.shape[-1])
            J = q.a[..., :, None] * np.eye(q.a.shape[-1])
            unit = np.eye(z.shape[-1])  # what the engine makes of ∂C/∂a = e_k is row k
            seen = np.stack(
                [f.delta(unit, np.tile(row, (len(unit), 1)), np.tile(f.f(row), (len(unit), 1))) for row in z]
            )
            places = self.places(J.shape)
            steps = []
            for *row, k, j in places:
                moved = q.z[tuple(row)].astype(complex)
                moved[j] += 1j * H
                steps.append(f.f(moved)[k].imag / H)
            return seen.reshape(J.shape), np.array(steps), places
        places = self.places(q.z.shape)
        a = q.after if hasattr(q, "after") else q.a
        truth = self._differences(lambda rows: f.f(rows[:, None])[:, 0], _at(q.z, places))
        return f.derivative(q.z, a), truth, places

    def _entry_by_entry(self, stage: int, equation: Equation, name: str) -> float:
        """∂z/∂W at some places of W."""
        q = self.at(stage)
        errors = []
        for place in self.places(getattr(q, name).shape)[:: ENTRIES // 4]:
            assert equation.value is not None
            q.place = place
            found = np.reshape(equation.value(q), q.z.shape)
            errors.append(error(found, self.net_value_slope(stage, name, place), self.scale))
        return max(errors, key=_badness)

    # The output

    def output_error(self, equation: Equation) -> float | None:
        """The same of the cost's formulas, on rows `(T, K)`, one row where there are no steps."""
        with np.errstate(all="ignore"):
            output, L, K = self.net.output, len(self.net.layers), self.net.n_outputs
            q = self.at(L)
            y, z, t = (np.reshape(a, (-1, K)) for a in (q.a, q.z if q.z.size == q.a.size else q.a, self.t))
            name, f = output.cost.name, output.activation
            known = ours(output.cost)
            dy = plainly.COST_SLOPE[name](output.cost, y, t) if known else output.cost.derivative(y, t)
            q = SimpleNamespace(y=y, z=z, t=t, dy=dy)
            q.slope = plainly.SLOPE[f.name](f, z, y) if f.name in plainly.SLOPE and ours(f) else None
            if equation.gives == "C":
                right = plainly.COST[name](output.cost, y, t) if known else None
                right = plainly.COST_FROM_LOGITS[f.name](z, t) if equation.name == "from the net values" else right
                return None if right is None else error(right, self.done.cost, self.scale)
            right = q.dy if equation.value is None else equation.value(q)
            if equation.gives == "dy":
                places = self.places(y.shape)
                if output.canonical and not np.isfinite(dy).all():  # 0/0 where ŷ is 0 or 1; the engine needs it nowhere
                    return None
                truth = self._differences(lambda rows: self._costs_at(y, t, rows, places), _at(y, places))
                seen = output.cost.derivative(y, t)
            else:
                seen = self.done.deltas[L - 1][0]
                places = self.places(seen.shape)
                truth = self.derivative(L, "z", places)
            found = [seen] if right is None else [np.reshape(right, seen.shape), seen]
            return max((error(_at(a, places), truth, self.scale) for a in found), key=_badness)

    def _costs_at(self, y: Array, t: Array, entries: Array, places: Sequence[tuple[int, ...]]) -> Array:
        costs = []
        for place, entry in zip(places, entries):
            moved = y.astype(entries.dtype)
            moved[place] = entry
            costs.append(self.net.output.cost.value(moved, t).sum())
        return np.array(costs)

    # Derivatives

    def derivative(self, stage: int, what: str, places: Sequence[tuple[int, ...]]) -> Array:
        """∂C/∂u at these places of a layer's z, a, a_prev or parameter."""
        q = self.at(stage)
        at = getattr(q, what)

        def cost(entries: Array) -> Array:
            """C for each row of moved entries, one place a row."""
            rows = np.tile(at.astype(entries.dtype), (len(places), *(1,) * at.ndim))
            for row, place, entry in zip(rows, places, entries):
                row[place] = entry
            return self._cost_from(stage, what, rows)

        return self._differences(cost, _at(at, places))

    def net_value_slope(self, stage: int, what: str, place: tuple[int, ...]) -> Array:
        """∂z/∂u, z of one step from the step before as it stands, at one place of a_prev or a parameter."""
        q = self.at(stage)

        def moved(entry: Array) -> Array:
            rows = []
            for value in entry:
                at = getattr(q, what).astype(entry.dtype)
                at[place] = value
                rows.append(self._net_value(stage, what, at))
            return np.stack(rows)

        slopes: Array = self._differences(moved, _at(getattr(q, what), [place]))[0]
        return slopes

    def _net_value(self, stage: int, what: str, at: Array) -> Array:
        layer, q = self.net.layers[stage - 1], self.at(stage)
        p = self.p[stage - 1] | ({what: at} if what != "a_prev" else {})
        a_prev = at if what == "a_prev" else q.a_prev
        if isinstance(layer, RNN):
            return np.asarray(q.before @ p["U"].T + a_prev @ p["W"].T + p["b"])
        return np.asarray(layer.forward(p, a_prev[None], self.context(stage)).z[0])

    def _differences(self, function: Callable[[Array], Array], at: Array) -> Array:
        """The derivative of each row of `function` to its entry."""
        if self.analytic:
            return np.asarray(function(at.astype(complex) + 1j * H).imag / H)
        c = [function(at + k * DIFFERENCE) for k in (-2, -1, 1, 2)]
        return np.asarray((c[0] - 8 * c[1] + 8 * c[2] - c[3]) / (12 * DIFFERENCE))

    def _cost_from(self, stage: int, what: str, rows: Array) -> Array:
        """C for each of these in place of the layer's z, a, a_prev or parameter."""
        layer, p = self.net.layers[stage - 1], self.p[stage - 1]
        if what in ("z", "after") and isinstance(layer, RNN):
            return self._through_time(stage, what, rows)
        if what == "z":
            return self._upward(stage, rows, layer.f.f(rows))
        if what == "a":
            return self._upward(stage, rows, rows)
        if what == "a_prev":
            cache = layer.forward(p, rows, self.context(stage))
            return self._upward(stage, cache.z, cache.a)
        a_prev = self.done.caches[stage - 1].a_prev
        caches = [layer.forward(p | {what: row}, a_prev, self.context(stage)) for row in rows]
        return self._upward(stage, *(np.concatenate([getattr(c, name) for c in caches]) for name in ("z", "a")))

    def _through_time(self, stage: int, what: str, rows: Array) -> Array:
        """C, where net values or states of a recurrent layer are moved to these, and later steps follow."""
        layer: Any = self.net.layers[stage - 1]
        q, states = self.at(stage), []
        moved = rows - (q.z if what == "z" else q.after)
        h = np.tile(q.before[0].astype(rows.dtype), (len(rows), 1))
        for t in range(len(q.z)):
            z = q.z[t] + (h - q.before[t]) @ q.U.T + (moved[:, t] if what == "z" else 0)
            h = layer.f.f(z) + (moved[:, t] if what == "after" else 0)
            states.append(h)
        a = h if layer.last else np.stack(states, axis=1)
        return self._upward(stage, a, a)

    def _upward(self, stage: int, z: Array, a: Array) -> Array:
        """C from what layer `stage` gives, for each of several."""
        for above in range(stage + 1, len(self.net.layers) + 1):
            cache = self.net.layers[above - 1].forward(self.p[above - 1], a, self.context(above))
            z, a = cache.z, cache.a
        z, a = (np.reshape(v, (len(v), -1)) if v.ndim == 4 else v for v in (z, a))
        costs = self.net.output.value(z, a, np.broadcast_to(self.t, a.shape))
        return np.asarray(costs.reshape(len(costs), -1).sum(axis=1))

    # What is looked at

    def places(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """All places of an array, or some of a large one."""
        size = int(np.prod(shape))
        flat = range(size) if size <= ENTRIES else sorted(self.random.integers(size, size=ENTRIES).tolist())
        return [tuple(int(n) for n in np.unravel_index(k, shape)) for k in flat]

    @cached_property
    def not_finite(self) -> list[str]:
        """Where NaN and inf are: of θ, x, on the way up, on the way back."""
        caches, deltas = list(enumerate(self.done.caches, 1)), list(enumerate(self.done.deltas, 1))
        arrays = [(f"{stage}.{name}", a) for stage, p in enumerate(self.p, 1) for name, a in p.items()]
        arrays.append(("x", self.x[0]))
        arrays += [(f"{stage}.{name}", getattr(cache, name)[0]) for stage, cache in caches for name in ("z", "a")]
        return not_finite([*arrays, *((f"{stage}.delta", delta[0]) for stage, delta in reversed(deltas))])

    def _foreign(self) -> bool:
        """Whether a user's own code computes something."""
        things = [*self.net.layers, *(k.f for k in self.net.layers), self.net.output.cost]
        return not all(map(ours, things))

    def _steps_agree(self) -> bool:
        """Whether complex steps find what differences find: ∂C/∂x, some entries of it."""
        places = self.places(self.x.shape[1:])
        with np.errstate(all="ignore"):
            try:
                by_steps = self.derivative(1, "a_prev", places)
            except (TypeError, ValueError):  # a function that takes no complex numbers
                return False
            self.analytic = False
            return error(by_steps, self.derivative(1, "a_prev", places), self.scale) <= LOOSE


def _of(given: Trace) -> tuple[Array, Array]:
    """x as the first layer sees it, tokens one-hot, and t as rows like ŷ: a batch of one, in float64."""
    rows: Array = given.done.caches[0].a_prev
    if rows.dtype.kind in "iu":
        rows = np.eye(given.net.input_shape[-1] or 0)[rows]
    return rows.astype(np.float64), given.done.t.astype(np.float64)


def ours(thing: Any) -> bool:
    """Whether it is the library's own, and not a user's."""
    return type(thing).__module__.startswith("deltarule.")


def _at(a: Array, places: Sequence[tuple[int, ...]]) -> Array:
    return np.array([a[place] for place in places])


def _badness(value: float) -> float:
    return float("inf") if np.isnan(value) else value


def error(found: Any, expected: Any, scale: float = 1.0) -> float:
    """‖found − expected‖ / ‖expected‖, with a floor under the denominator where the numbers are nearly 0."""
    found, expected = np.asarray(found, float).ravel(), np.asarray(expected, float).ravel()
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(found - expected) / max(float(np.linalg.norm(expected)), SMALL * scale))
