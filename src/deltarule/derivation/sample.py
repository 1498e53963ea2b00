"""One sample through a network in float64, and derivatives of its cost that know nothing of the chain rule.

    ∂C/∂u = Im C(u + i h) / h,  where C is computed from u upwards: from z⁽ˡ⁾, from a⁽ˡ⁻¹⁾, from a parameter of layer l

Where a user's function does not run in complex numbers, or is not analytic there, differences of order 4 take the
complex step's place. How far rounding may move a number of the way back is measured: by a pass in which every number
that enters is moved a little.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import Activation, Softmax
from deltarule.architecture import Architecture
from deltarule.arrays import COMPLEX_STEP
from deltarule.derivation import plainly
from deltarule.derivation.document import TOLERANCE
from deltarule.engines import textbook
from deltarule.layers import RNN, Context, Layer
from deltarule.network import Network
from deltarule.randomness import generator
from deltarule.trace import Trace, not_finite

__all__ = ["Sample", "activation_of", "entries", "ours", "slope_of"]

STEPS = 3  # of a sequence that is drawn
DRAWS = 10  # at most, until a sample reaches every layer
DIFFERENCE = 1e-3  # ε of differences
LOOSE = 1e-6  # and their tolerance
SMALL = 1e-6  # what is smaller, times the scale of the numbers, is lost in differences
MOVED = 1e-10  # relative: how far numbers are moved to see what rounding does
ROUNDINGS = 32.0  # how many times the measured effect of one rounding is allowed
UNDERFLOW = float(np.finfo(np.float64).tiny) / COMPLEX_STEP  # a derivative below it, times h, is no normal number
EPS = float(np.finfo(np.float64).eps)

Array = NDArray[Any]
Places = Sequence[tuple[int, ...]]


class Way(NamedTuple):
    """The arrays of a way back, layer by layer, without m in front."""

    deltas: list[Array]
    das: list[Array | None]  # ∂C/∂a⁽ˡ⁾ at index l
    gradients: list[dict[str, Array]]


class Sample:
    """One sample and all it does in a network.

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
        self.p = self.net.split(self.theta)
        for step in range(1, DRAWS + 1 if given is None else 2):
            self.x, self.t = self._drawn(net) if given is None else _of(given)
            steps = textbook.steps_of(self.net, self.x)
            self.masks = textbook.dropout_masks(self.net, seed, step, np.arange(1), np.float64, steps)
            with np.errstate(all="ignore"):  # what is not finite is shown as such
                self.done = textbook.backpropagate(self.net, self.theta, self.x, self.t, masks=self.masks)
            if all(delta.any() for delta in self.done.deltas):  # or every unit of a layer is dead, and all agrees
                break
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

    def layer(self, stage: int) -> Layer:
        """Layer `stage`, counted from 1."""
        return self.net.layers[stage - 1]

    def at(self, stage: int) -> SimpleNamespace:
        """A layer's arrays by name: what `Equation.value` reads."""
        layer, cache, da = self.layer(stage), self.done.caches[stage - 1], self.done.das[stage]
        found = {name: a[0] if isinstance(a, np.ndarray) else a for name, a in cache._asdict().items()}
        if isinstance(layer, RNN):
            found["z"] = found["steps"]
        found = {"mask": None, **found, "delta": self.done.deltas[stage - 1][0], "da": None if da is None else da[0]}
        q = SimpleNamespace(**self.p[stage - 1] | found)
        if not isinstance(layer.f, Softmax):
            q.slope = slope_of(layer.f, q.z, activation_of(layer, q))
        return q

    def context(self, stage: int) -> Context:
        """The mask of a dropout layer."""
        mask = self.masks.get(stage)
        return Context() if mask is None else Context(mask.reshape(self.done.caches[stage - 1].a.shape))

    @cached_property
    def way(self) -> Way:
        """What the engine found on its way back."""
        done = self.done
        das = [None if da is None else da[0] for da in done.das]
        return Way([delta[0] for delta in done.deltas], das, done.gradients)

    def seen(self, way: Way, stage: int, gives: str) -> Array:
        """Of a way back: δ, ∂C/∂a_prev ("da_prev"), ∂C/∂a ("da"), ∂C/∂W ("dW")."""
        if gives == "delta":
            return way.deltas[stage - 1]
        if gives in ("da", "da_prev"):
            found = way.das[stage if gives == "da" else stage - 1]
            assert found is not None
            return found
        return way.gradients[stage - 1][gives[1:]]

    # Derivatives

    def derivative(self, stage: int, gives: str, places: Places) -> Array:
        """∂C/∂u at these places: u is z for "delta", a_prev for "da_prev", a for "da", W for "dW"."""
        at = self._start(stage, gives)

        def cost(moved: Array) -> Array:
            return self._cost_from(stage, gives, at, places, moved)

        return self.differences(cost, entries(at, places))

    def _start(self, stage: int, gives: str) -> Array:
        q = self.at(stage)
        named: dict[str, Array] = {"delta": q.z, "da_prev": q.a_prev, "da": activation_of(self.layer(stage), q)}
        return named[gives] if gives in named else np.asarray(self.p[stage - 1][gives[1:]])

    def _cost_from(self, stage: int, gives: str, at: Array, places: Places, moved: Array) -> Array:
        """C for each moved entry, one place a row."""
        layer, p, context = self.layer(stage), self.p[stage - 1], self.context(stage)
        if gives in ("delta", "da", "da_prev"):
            rows = np.tile(at.astype(moved.dtype), (len(places), *(1,) * at.ndim))
            for row, place, entry in zip(rows, places, moved):
                row[place] = entry
            if gives == "da_prev":
                cache = layer.forward(p, rows, context)
                return self._upward(stage, cache.z, cache.a)
            if isinstance(layer, RNN):
                return self._through_time(stage, gives, rows)
            return self._upward(stage, rows, layer.f.f(rows) if gives == "delta" else rows)
        a_prev, own, caches = self.done.caches[stage - 1].a_prev, at.astype(moved.dtype), []
        for place, entry in zip(places, moved):  # one after the other: W may be large
            own[place], before = entry, own[place]
            cache = layer.forward(p | {gives[1:]: own}, a_prev, context)
            caches.append((cache.z, cache.a))
            own[place] = before
        return self._upward(stage, *map(np.concatenate, zip(*caches)))

    def _through_time(self, stage: int, gives: str, rows: Array) -> Array:
        """C, where net values or states of a recurrent layer are moved to these, and later steps follow."""
        layer: Any = self.layer(stage)
        q, states = self.at(stage), []
        moved = rows - (q.z if gives == "delta" else q.after)
        h = np.tile(q.before[0].astype(rows.dtype), (len(rows), 1))
        for t in range(len(q.z)):
            z = q.z[t] + (h - q.before[t]) @ q.U.T + (moved[:, t] if gives == "delta" else 0)
            h = layer.f.f(z) + (moved[:, t] if gives == "da" else 0)
            states.append(h)
        a = h if layer.last else np.stack(states, axis=1)
        return self._upward(stage, a, a)

    def _upward(self, stage: int, z: Array, a: Array) -> Array:
        """C from what layer `stage` gives, for each of several."""
        for above in range(stage + 1, len(self.net.layers) + 1):
            cache = self.layer(above).forward(self.p[above - 1], a, self.context(above))
            z, a = cache.z, cache.a
        z, a = (np.reshape(v, (len(v), -1)) if v.ndim == 4 else v for v in (z, a))
        costs = self.net.output.value(z, a, np.broadcast_to(self.t, a.shape))
        return np.asarray(costs.reshape(len(costs), -1).sum(axis=1))

    def net_value_slope(self, stage: int, name: str, place: tuple[int, ...]) -> Array:
        """∂z/∂u, z of one step from the step before as it stands, at one place of a_prev or a parameter."""
        at = self.at(stage).a_prev if name == "a_prev" else self.p[stage - 1][name]

        def moved(entry: Array) -> Array:
            row = at.astype(entry.dtype)
            row[place] = entry[0]
            return self._net_value(stage, name, row)[None]

        slopes: Array = self.differences(moved, entries(at, [place]))[0]
        return slopes

    def _net_value(self, stage: int, name: str, at: Array) -> Array:
        layer, q = self.layer(stage), self.at(stage)
        p = self.p[stage - 1] | ({name: at} if name != "a_prev" else {})
        a_prev = at if name == "a_prev" else q.a_prev
        if isinstance(layer, RNN):
            return np.asarray(q.before @ p["U"].T + a_prev @ p["W"].T + p["b"])
        return np.asarray(layer.forward(p, a_prev[None], self.context(stage)).z[0])

    def differences(self, function: Callable[[Array], Array], at: Array, size: Any = 1.0) -> Array:
        """The derivative of each row of `function` to its entry; steps are as large as `size` says."""
        if self.analytic:
            return np.asarray(function(at.astype(complex) + 1j * COMPLEX_STEP * size).imag / (COMPLEX_STEP * size))
        c = [function(at + k * DIFFERENCE) for k in (-2, -1, 1, 2)]
        return np.asarray((c[0] - 8 * c[1] + 8 * c[2] - c[3]) / (12 * DIFFERENCE))

    # Rounding

    @cached_property
    def noise(self) -> Way:
        """How far one rounding of every number that enters moves those of the way back."""
        with np.errstate(all="ignore"):
            moved, own = self._moved_way(), self.way
        scale = EPS / MOVED
        return Way(
            [scale * (a - b) for a, b in zip(moved.deltas, own.deltas)],
            [None if a is None or b is None else scale * (a - b) for a, b in zip(moved.das, own.das)],
            [{n: scale * (a[n] - b[n]) for n in b} for a, b in zip(moved.gradients, own.gradients)],
        )

    def jostled(self, a: Any) -> Any:
        """An array with every entry moved a little; what is none as it is."""
        real = isinstance(a, np.ndarray) and a.dtype.kind == "f"
        return a * (1 + MOVED * self.random.normal(size=a.shape)) if real else a

    def _moved_way(self) -> Way:
        """A way back among moved numbers; of layers without an activation only what comes from above is moved."""
        L, output, caches = len(self.net.layers), self.net.output, list[Any]()
        for layer, cache in zip(self.net.layers, self.done.caches):
            acts = hasattr(layer, "activation")
            caches.append(cache._replace(**{n: self.jostled(a) for n, a in cache._asdict().items()}) if acts else cache)
        p = [{n: self.jostled(a) for n, a in own.items()} for own in self.p]
        top = self.done.caches[-1]
        z, y, t = (self.jostled(np.reshape(a, self.t.shape)) for a in (top.z, top.a, self.t))
        da: Array | None = None
        if output.canonical:
            delta = np.reshape(output.delta(z, y, t), top.z.shape)
        else:
            da = np.reshape(output.cost.derivative(y, t), top.a.shape)
            delta = self.layer(L).delta(p[-1], da, caches[-1])
        found = Way([delta[0]], [None if da is None else da[0]], [])
        for stage in range(L, 0, -1):
            da, g = self.layer(stage).backward(p[stage - 1], self.jostled(delta), caches[stage - 1])
            found.das.insert(0, da[0])
            found.gradients.insert(0, g)
            if stage > 1:
                delta = self.layer(stage - 1).delta(p[stage - 2], da, caches[stage - 2])
                found.deltas.insert(0, delta[0])
        return found

    def error(self, found: Any, expected: Any, noise: Any = 0.0) -> float:
        """‖found − expected‖ / ‖expected‖, with a floor under the denominator where rounding reigns."""
        found, expected = np.asarray(found, float).ravel(), np.asarray(expected, float).ravel()
        with np.errstate(all="ignore"):
            floor = max(ROUNDINGS * float(np.linalg.norm(noise)), UNDERFLOW) / self.tolerance
            floor = max(floor, 0.0 if self.analytic else SMALL * self.scale)
            return float(np.linalg.norm(found - expected) / max(float(np.linalg.norm(expected)), floor))

    # What is not as it should be

    @cached_property
    def not_finite(self) -> list[str]:
        """Where NaN and inf are: of θ, x, on the way up, on the way back."""
        caches, deltas = list(enumerate(self.done.caches, 1)), list(enumerate(self.done.deltas, 1))
        arrays = [(f"{stage}.{name}", a) for stage, p in enumerate(self.p, 1) for name, a in p.items()]
        arrays.append(("x", self.x[0]))
        arrays += [(f"{stage}.{name}", getattr(cache, name)[0]) for stage, cache in caches for name in ("z", "a")]
        return not_finite([*arrays, *((f"{stage}.delta", delta[0]) for stage, delta in reversed(deltas))])

    @cached_property
    def kinks(self) -> list[str]:
        """Where an activation or the cost has no derivative, and this sample stands just there."""
        found = []
        for stage in range(1, len(self.net.layers) + 1):
            z, f = self.at(stage).z, self.layer(stage).f
            if any((abs(z - point) <= ROUNDINGS * EPS * (abs(z) + abs(point))).any() for point in f.breakpoints):
                found.append(f"{f.name} in layer {stage}")
        y, cost = np.reshape(self.done.caches[-1].a, self.t.shape), self.net.output.cost
        near = ROUNDINGS * EPS * (abs(y) + abs(self.t))
        if any((abs(y - self.t - point) <= near + EPS * abs(point)).any() for point in cost.breakpoints):
            found.append(f"the cost, {cost.name}")
        return found

    def _foreign(self) -> bool:
        """Whether a user's own code computes something."""
        things = [*self.net.layers, *(k.f for k in self.net.layers), self.net.output.cost]
        return not all(map(ours, things))

    def _steps_agree(self) -> bool:
        """Whether complex steps find what differences find: ∂C/∂x, some entries of it."""
        places = [tuple(place) for place in np.argwhere(np.ones(self.x.shape[1:]))[:12].tolist()]
        with np.errstate(all="ignore"):
            try:
                by_steps = self.derivative(1, "da_prev", places)
            except (TypeError, ValueError):  # a function that takes no complex numbers
                return False
            self.analytic, self.tolerance = False, LOOSE
            return self.error(by_steps, self.derivative(1, "da_prev", places)) <= LOOSE


def _of(given: Trace) -> tuple[Array, Array]:
    """x as the first layer sees it, tokens one-hot, and t as rows like ŷ: a batch of one, in float64."""
    rows: Array = given.done.caches[0].a_prev
    if rows.dtype.kind in "iu":
        rows = np.eye(given.net.input_shape[-1] or 0)[rows]
    return rows.astype(np.float64), given.done.t.astype(np.float64)


def slope_of(f: Activation, z: Array, a: Array) -> Array:
    """f′(z) as its formula reads; of a user's as it computes it."""
    return np.asarray(plainly.SLOPE[f.name](f, z, a) if ours(f) else f.derivative(z, a))


def activation_of(layer: Layer, q: SimpleNamespace) -> Array:
    """a of a layer's arrays; of a recurrent layer h_t of every step."""
    found: Array = q.after if isinstance(layer, RNN) else q.a
    return found


def ours(thing: Any) -> bool:
    """Whether it is the library's own, and not a user's."""
    return type(thing).__module__.startswith("deltarule.")


def entries(a: Array, places: Places) -> Array:
    """The entries at these places, one behind the other."""
    return np.array([a[place] for place in places])
