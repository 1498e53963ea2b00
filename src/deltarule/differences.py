"""Derivatives of the cost that know nothing of the backward pass: complex steps and central differences.

    complex step          ∂C/∂u ≈ Im C(u + i h) / h,  h = 1e-30          exact to rounding: nothing is subtracted
    central differences   ∂C/∂u ≈ (C(u + ε) − C(u − ε)) / 2ε

u is every entry of θ and every entry of the inputs, in float64 and complex128. What rounding may do is not guessed but
measured: how far C and its gradient move when every number that enters them moves by one rounding.
Sources: Squire and Trapp, SIAM Review 40 (1998); Richardson, Phil. Trans. A 210 (1911); Parker, "Monte Carlo
arithmetic" (1997).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.arrays import COMPLEX_STEP
from deltarule.engines import textbook
from deltarule.layers import Gradients
from deltarule.layers.tokens import are_tokens
from deltarule.network import Network
from deltarule.randomness import generator

__all__ = ["TOLERANCE", "Direction", "Measured", "Probe", "Rounding", "measured", "norm", "picked"]

TOLERANCE = {"complex": 1e-10, "central": 1e-6}
SAMPLE, DIRECTIONS = 60, 10
SHRINK, LEVELS = 8.0, 7  # ε, ε/8, …: truncation shrinks with ε, an error of the backward pass stays
ROUNDING = float(np.finfo(np.float64).eps)
UNDERFLOW = float(np.finfo(np.float64).tiny) / COMPLEX_STEP  # a derivative below it, times h, is no normal number
ROUNDINGS = {"cost": 8.0, "gradient": 32.0}  # how many times the measured effect of one rounding is allowed

Vector = NDArray[np.float64]


class Direction(NamedTuple):
    """A direction d in u: one entry, or all of them at once."""

    name: str
    where: int | slice
    values: Any  # d there; 0 elsewhere

    def of(self, g: Vector) -> float:
        """d · g."""
        return float(np.sum(self.values * g[self.where]))

    def length(self, g: Vector) -> float:
        """‖d ⊙ g‖: what independent errors g do to d · g."""
        return norm(np.atleast_1d(self.values * g[self.where]))

    def step(self, u: NDArray[Any], size: complex) -> NDArray[Any]:
        """The point u + size · d."""
        moved = u + 0 * size
        moved[self.where] += size * self.values
        return moved


class Probe:
    """The cost as a function of u = (θ, x), and the analytic gradient with respect to it."""

    def __init__(self, net: Network, X: Vector, t: NDArray[Any], settings: dict[str, Any]) -> None:
        self.net, self.t, self.settings, self.shape = net, t, settings, X.shape
        self.tokens = X if are_tokens(X) else None  # whole numbers do not move
        self.u = np.concatenate([net.theta.astype(np.float64), [] if self.tokens is not None else X.reshape(-1)])

    def parts(self, u: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        X = u[self.net.size :].reshape(self.shape) if self.tokens is None else self.tokens
        return u[: self.net.size], X

    def evaluate(self, u: NDArray[Any]) -> textbook.Evaluation:
        return textbook.evaluate(self.net, *self.parts(u), self.t, **self.settings)

    def cost(self, u: NDArray[Any]) -> Any:
        return self.evaluate(u).cost[()]

    def backpropagate(self, u: NDArray[Any]) -> textbook.Pass:
        return textbook.backpropagate(self.net, *self.parts(u), self.t, **self.settings)

    def flat(self, gradients: Any, input_gradient: NDArray[Any]) -> NDArray[Any]:
        own = [input_gradient.reshape(-1)] if self.tokens is None else []
        return np.concatenate([self.net.join(gradients, self.u), *own])

    def gradient(self, u: NDArray[Any]) -> NDArray[Any]:
        done = self.backpropagate(u)
        assert done.input_gradient is not None
        return self.flat(done.gradients, done.input_gradient)

    @property
    def moving(self) -> tuple[int, int]:
        """How many parameters are trained, and how many inputs there are."""
        return int(self.net.trainable.sum()), len(self.u) - self.net.size

    def crosses(self, one: NDArray[Any], other: NDArray[Any]) -> bool:
        """Whether a z, or ŷ − t, lies on different sides of a point where it is not smooth."""
        breakpoints = [layer.f.breakpoints for layer in self.net.layers]
        breakpoints.append(self.net.output.cost.breakpoints)
        if not any(breakpoints):
            return False
        a, b = self.evaluate(one), self.evaluate(other)
        pairs = [(_net_values(low), _net_values(high)) for low, high in zip(a.caches, b.caches)]
        pairs.append((_answers(a) - a.t, _answers(b) - b.t))
        return any(
            bool(np.any(np.sign(np.real(low) - p) != np.sign(np.real(high) - p)))
            for (low, high), points in zip(pairs, breakpoints)
            for p in points
        )

    def name_of(self, index: int) -> str:
        if index < self.net.size:
            return self.net.name_of(index)
        return f"x[{', '.join(map(str, np.unravel_index(index - self.net.size, self.shape)))}]"


def _answers(done: textbook.Evaluation) -> NDArray[Any]:
    """ŷ in the form of the targets: maps as rows."""
    return np.reshape(done.caches[-1].a, done.t.shape)


def _net_values(cache: Any) -> NDArray[Any]:
    """Z of a layer, of all steps where it answers by the last alone."""
    values: NDArray[Any] = getattr(cache, "steps", cache.z)
    return values


class Rounding:
    """What one rounding of every number does to C and to each entry of ∂C/∂u, measured on `samples` random signs."""

    def __init__(self, probe: Probe, random: np.random.Generator, samples: int = 4) -> None:
        self.probe, self.random = probe, random
        u, C = probe.u, float(probe.cost(probe.u))
        moved = [abs(float(probe.cost(u + ROUNDING * self._signs(u) * u)) - C) for _ in range(2 * samples)]
        self.cost = ROUNDINGS["cost"] * (ROUNDING * abs(C) + max(moved))
        done, start = probe.backpropagate(u), probe.evaluate(u)
        moves = [(self._entering(u), self._within(done, start)) for _ in range(samples)]
        size = UNDERFLOW + ROUNDINGS["gradient"] * ROUNDING * np.mean([np.hypot(*move) for move in moves], axis=0)
        self.gradient: Vector = np.where(np.isfinite(size), size, 0.0)  # what overflows excuses nothing

    def _signs(self, like: NDArray[Any]) -> Vector:
        return self.random.choice([-1.0, 1.0], np.shape(like))

    def _entering(self, u: Vector) -> Vector:
        """Of the entries of u: H (ξ ⊙ u), by complex step, so that no kink is crossed."""
        return self.probe.gradient(u + 1j * COMPLEX_STEP * self._signs(u) * u).imag / COMPLEX_STEP

    def _within(self, done: textbook.Pass, start: textbook.Evaluation) -> Vector:
        """Of every δ: f′ is known to one rounding of 1 (1 − a² near |a| = 1), not of f′; so is ŷ − t."""
        net, y = self.probe.net, _answers(start)
        p, gradients = net.split(self.probe.parts(self.probe.u)[0]), list[Gradients]()
        size = np.abs(y) + np.abs(start.t)
        if not net.output.canonical:
            size = size + np.abs(net.output.cost.derivative(y, start.t))
        error = np.reshape(self._signs(size) * start.w[..., None] * size, done.caches[-1].a.shape)
        if net.layers[-1].state_size:  # what comes from the cost goes back through time
            error = net.layers[-1].delta(p[-1], error, done.caches[-1])
        for k in reversed(range(len(net.layers))):
            da_error, g = net.layers[k].backward(p[k], error, done.caches[k])
            gradients.insert(0, {name: g[name] / start.total for name in g})
            if k > 0:
                da, _ = net.layers[k].backward(p[k], done.deltas[k], done.caches[k])
                own = self._signs(da) * (np.abs(da) + ROUNDING * np.abs(da_error)) * (1 + np.abs(done.caches[k - 1].a))
                layer, cache = net.layers[k - 1], done.caches[k - 1]
                if layer.state_size:  # the errors of all steps come back through time
                    error = layer.delta(p[k - 1], da_error + own, cache)
                else:
                    error = layer.delta(p[k - 1], da_error, cache) + own
        return self.probe.flat(gradients, da_error / start.total)


def picked(
    probe: Probe, analytic: Vector, seed: int, *, few_parameters: bool, few_inputs: bool, largest: int = 1
) -> Iterator[tuple[str, list[Direction]]]:
    """For each array its name and the directions that are checked: single entries, then whole directions.

    Where there are few, every entry; else a sample of each array, the `largest` of its gradient among them.
    """
    net, n = probe.net, len(probe.u)
    spans = [(s.key, s.start, s.stop) for s in net.slots if net.layers[s.stage - 1].trainable]
    spans += [("x", net.size, n)] if n > net.size else []
    free = np.concatenate([net.trainable, np.ones(n - net.size, dtype=bool)])
    random = generator(seed, "check")
    for key, start, stop in spans:
        entries = np.arange(start, stop)
        if not (few_inputs if key == "x" else few_parameters) and len(entries) > SAMPLE:
            top = start + np.argsort(-np.abs(analytic[start:stop]), kind="stable")[:largest]
            others = random.choice(np.setdiff1d(entries, top), SAMPLE - len(top), replace=False)
            entries = np.sort([*top, *others])
        yield key, [Direction(probe.name_of(int(k)), int(k), 1.0) for k in entries]
    if not few_parameters:
        directions = [np.where(free, random.standard_normal(n), 0.0) for _ in range(DIRECTIONS)]
        yield (
            "directions",
            [Direction(f"direction {k}", slice(None), d / np.linalg.norm(d)) for k, d in enumerate(directions)],
        )


class Measured(NamedTuple):
    """Derivatives along some directions by one method, beside what the backward pass says of them."""

    analytic: Vector
    numeric: Vector
    excused: NDArray[np.bool_]  # a unit stands at a kink there
    noise: Vector  # what rounding may do to their difference

    def error(self, method: str) -> float:
        """‖numeric − analytic‖ / (‖numeric + analytic‖ + rounding / tolerance), excused entries left out."""
        distance = norm((self.numeric - self.analytic)[~self.excused])
        both = norm(self.numeric + self.analytic) + norm(self.noise[~self.excused]) / TOLERANCE[method]
        return distance / both if distance > 0 or np.isnan(distance) else 0.0


def measured(
    probe: Probe, method: str, picked: Sequence[Direction], g: Vector, rounding: Rounding, epsilon: float
) -> Measured:
    """d · ∂C/∂u by a method, along each of the directions; g is the backward pass's ∂C/∂u."""
    analytic = np.array([d.of(g) for d in picked])
    noise = np.array([d.length(rounding.gradient) for d in picked])
    numeric, excused = np.empty_like(analytic), np.zeros(len(picked), dtype=bool)
    typical = 2 * norm(analytic) / np.sqrt(len(picked))
    for k, d in enumerate(picked):
        if method == "complex":
            numeric[k], excused[k] = _complex(probe, d, analytic[k], typical, noise[k])
        else:
            numeric[k], excused[k], lost = _central(probe, d, analytic[k], typical, rounding.cost, epsilon)
            noise[k] += lost
    return Measured(analytic, numeric, excused, noise)


def norm(x: Vector) -> float:
    """‖x‖, without the overflow or underflow of a square."""
    largest = float(np.abs(x).max(initial=0.0))
    return largest * float(np.linalg.norm(x / largest)) if 0 < largest < np.inf else largest


def _agrees(method: str, numeric: float, analytic: float, typical: float, noise: float) -> bool:
    return abs(numeric - analytic) <= TOLERANCE[method] / 2 * max(abs(numeric + analytic), typical) + noise


def _complex(probe: Probe, d: Direction, analytic: float, typical: float, noise: float) -> tuple[float, bool]:
    """(Im C(u + i h d)/h, whether a unit stands at a kink, on one side in real numbers and on the other in complex)."""
    there = d.step(probe.u, 1j * COMPLEX_STEP)
    numeric = float(probe.cost(there).imag / COMPLEX_STEP)
    return numeric, not _agrees("complex", numeric, analytic, typical, noise) and probe.crosses(probe.u, there)


def _central(
    probe: Probe, d: Direction, analytic: float, typical: float, rounding: float, epsilon: float
) -> tuple[float, bool, float]:
    """(the central difference along d, whether it is excused as a kink, how far it may be off itself).

    Where the first one fails, ε is made smaller and the values are extrapolated to ε = 0, D + (D − D_before)/(8² − 1);
    the value taken is the one that rounding and truncation leave least in doubt, whatever the analytic one says.
    """

    def difference(level: int) -> float:
        e = epsilon / SHRINK**level
        return float(probe.cost(d.step(probe.u, e)) - probe.cost(d.step(probe.u, -e))) / (2 * e)

    def noise(level: int) -> float:
        return rounding * SHRINK**level / epsilon

    def crosses(level: int) -> bool:
        e = epsilon / SHRINK**level
        return probe.crosses(d.step(probe.u, e), d.step(probe.u, -e))

    plain = difference(0)
    if _agrees("central", plain, analytic, typical, noise(0)):
        return plain, False, noise(0)
    value, doubt, at, extrapolated = plain, np.inf, 0, plain
    for level in range(1, LEVELS):
        if noise(level) > doubt:
            break
        before, plain, last = plain, difference(level), extrapolated
        extrapolated = plain + (plain - before) / (SHRINK**2 - 1)
        off = noise(level) + abs(extrapolated - last) / SHRINK**2
        if off < doubt:
            value, doubt, at = extrapolated, off, level
    if not at:  # nothing was finite
        return value, False, 0.0
    if _agrees("central", value, analytic, typical, doubt) or not crosses(at - 1):
        return value, False, doubt
    for level in range(at, LEVELS):
        if not crosses(level):  # no kink within this ε: what is found here must agree
            return difference(level), False, noise(level)
    return value, True, doubt
