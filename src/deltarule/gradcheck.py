"""Gradient checking: the backward pass against two derivatives that know nothing of it.

    complex step          ∂C/∂u ≈ Im C(u + i h) / h,  h = 1e-30          exact to rounding: nothing is subtracted
    central differences   ∂C/∂u ≈ (C(u + ε) − C(u − ε)) / 2ε,  ε = 1e-4

u is every trainable entry of θ and every entry of the inputs. All is computed in float64 and complex128, whatever the
network's dtype. The measure is that of the course, ‖numeric − analytic‖ / ‖numeric + analytic‖, with a floor under the
denominator where rounding reigns: an array passes when its error is at most the tolerance of the method.

What rounding may do is not guessed but measured: how far C and its gradient move when every number that enters them
moves by one rounding. So saturated units, inputs of 0 … 255 and gradients near 0 raise no alarm, and a factor of
1 + 10⁻⁹ in a backward pass does.
Sources: Squire and Trapp, SIAM Review 40 (1998); the course's exercise 4 (ε = 1e-4); Richardson, Phil. Trans. A 210
(1911); Parker, "Monte Carlo arithmetic" (1997).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltarule.arrays import COMPLEX_STEP
from deltarule.engines import textbook
from deltarule.errors import DivergenceError, HyperparameterError
from deltarule.inputs import states
from deltarule.layers import Gradients
from deltarule.layers.tokens import are_tokens
from deltarule.limits import number
from deltarule.network import Network, Samples
from deltarule.randomness import draw_seed, generator

__all__ = ["ArrayCheck", "GradientCheck", "check_gradient"]

METHODS = ("complex", "central", "both")
TOLERANCE = {"complex": 1e-10, "central": 1e-6}
KINKS_ALLOWED = 0.05  # the share of entries, by each method, that may be excused
EVERY_ENTRY = 2000  # up to so many entries each one is checked; above, a sample of each array and whole directions
SAMPLE, DIRECTIONS = 60, 10
SMALLEST_EPSILON = 1e-8  # below it rounding is all that a difference of costs shows, and nothing could be found wrong
SHRINK, LEVELS = 8.0, 7  # ε, ε/8, …: truncation shrinks with ε, an error of the backward pass stays
ROUNDING = float(np.finfo(np.float64).eps)
UNDERFLOW = float(np.finfo(np.float64).tiny) / COMPLEX_STEP  # a derivative below it, times h, is no normal number
ROUNDINGS = {"cost": 8.0, "gradient": 32.0}  # how many times the measured effect of one rounding is allowed

Vector = NDArray[np.float64]


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
    """The outcome: one row per array and method, `ok` when every row is and kinks are few."""

    rows: list[ArrayCheck] = field(repr=False)
    cost: float
    epsilon: float

    @property
    def kinks(self) -> int:
        """Entries excused because a unit (or ŷ − t) crosses a kink between u − ε and u + ε."""
        return sum(row.kinks for row in self.rows)

    @property
    def ok(self) -> bool:
        """Whether the gradient is right, and few enough entries are excused by each method."""
        return all(row.ok for row in self.rows) and not self._void

    @property
    def _void(self) -> bool:
        by_method = [[row for row in self.rows if row.method == m] for m in TOLERANCE]
        return any(sum(r.kinks for r in rows) > KINKS_ALLOWED * sum(r.entries for r in rows) for rows in by_method)

    @property
    def worst(self) -> ArrayCheck:
        """The row that fails most, or comes nearest to it; its `worst` names the entry."""
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
    probe = _Probe(net, rows, targets, settings)
    with np.errstate(all="ignore"):  # what is not finite is found in the table
        C = float(probe.cost(probe.u))
        if not np.isfinite(C):
            raise DivergenceError(f"the cost is {C} at these weights; scale the inputs, or take smaller weights")
        analytic = probe.gradient(probe.u)
        rounding = _Rounding(probe, generator(seed, "check", 1))
        found = [
            _compare(probe, m, name, picked, analytic, rounding, epsilon)
            for name, picked in _picked(probe, analytic, seed)
            for m in TOLERANCE
            if method in (m, "both")
        ]
    return GradientCheck(found, C, epsilon)


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
        return _norm(np.atleast_1d(self.values * g[self.where]))

    def step(self, u: NDArray[Any], size: complex) -> NDArray[Any]:
        """The point u + size · d."""
        moved = u + 0 * size
        moved[self.where] += size * self.values
        return moved


class _Probe:
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
        return self.flat(done.gradients, done.input_gradient)

    def crosses(self, one: NDArray[Any], other: NDArray[Any]) -> bool:
        """Whether a z, or ŷ − t, lies on different sides of a point where it is not smooth."""
        breakpoints = [layer.f.breakpoints for layer in self.net.layers]
        breakpoints.append(self.net.output.cost.breakpoints)
        if not any(breakpoints):
            return False
        a, b = self.evaluate(one), self.evaluate(other)
        pairs = [(_net_values(low), _net_values(high)) for low, high in zip(a.caches, b.caches)]
        pairs.append((a.caches[-1].a - a.t, b.caches[-1].a - b.t))
        return any(
            bool(np.any(np.sign(np.real(low) - p) != np.sign(np.real(high) - p)))
            for (low, high), points in zip(pairs, breakpoints)
            for p in points
        )

    def name_of(self, index: int) -> str:
        if index < self.net.size:
            return self.net.name_of(index)
        return f"x[{', '.join(map(str, np.unravel_index(index - self.net.size, self.shape)))}]"


def _net_values(cache: Any) -> NDArray[Any]:
    """Z of a layer, of all steps where it answers by the last alone."""
    values: NDArray[Any] = getattr(cache, "steps", cache.z)
    return values


class _Rounding:
    """What one rounding of every number does to C and to each entry of ∂C/∂u, measured on `samples` random signs."""

    def __init__(self, probe: _Probe, random: np.random.Generator, samples: int = 4) -> None:
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
        net, y = self.probe.net, done.caches[-1].a
        p, gradients = net.split(self.probe.parts(self.probe.u)[0]), list[Gradients]()
        size = np.abs(y) + np.abs(start.t)
        if not net.output.canonical:
            size = size + np.abs(net.output.cost.derivative(y, start.t))
        error = self._signs(size) * start.w[..., None] * size
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


def _picked(probe: _Probe, analytic: Vector, seed: int) -> Iterator[tuple[str, list[Direction]]]:
    """For each array its name and the directions that are checked: single entries, then whole directions."""
    net, n = probe.net, len(probe.u)
    spans = [(s.key, s.start, s.stop) for s in net.slots if net.layers[s.stage - 1].trainable]
    spans += [("x", net.size, n)] if n > net.size else []
    free = np.concatenate([net.trainable, np.ones(n - net.size, dtype=bool)])
    random = generator(seed, "check")
    for key, start, stop in spans:
        entries = np.arange(start, stop)
        if free.sum() > EVERY_ENTRY and len(entries) > SAMPLE:
            largest = start + int(np.argmax(np.abs(analytic[start:stop])))
            entries = np.unique([largest, *random.choice(entries, SAMPLE - 1, replace=False)])
        yield key, [Direction(probe.name_of(int(k)), int(k), 1.0) for k in entries]
    if free.sum() > EVERY_ENTRY:
        directions = [np.where(free, random.standard_normal(n), 0.0) for _ in range(DIRECTIONS)]
        yield (
            "directions",
            [Direction(f"direction {k}", slice(None), d / np.linalg.norm(d)) for k, d in enumerate(directions)],
        )


def _compare(
    probe: _Probe, method: str, key: str, picked: list[Direction], g: Vector, rounding: _Rounding, epsilon: float
) -> ArrayCheck:
    """One row of the table."""
    analytic = np.array([d.of(g) for d in picked])
    noise = np.array([d.length(rounding.gradient) for d in picked])
    numeric, excused = np.empty_like(analytic), np.zeros(len(picked), dtype=bool)
    typical = 2 * _norm(analytic) / np.sqrt(len(picked))
    for k, d in enumerate(picked):
        if method == "complex":
            numeric[k], excused[k] = _complex(probe, d, analytic[k], typical, noise[k])
        else:
            numeric[k], excused[k], lost = _central(probe, d, analytic[k], typical, rounding.cost, epsilon)
            noise[k] += lost
    difference = np.where(excused, -1.0, np.abs(numeric - analytic))
    worst = int(np.argmax(difference))
    distance = _norm((numeric - analytic)[~excused])
    both = _norm(numeric + analytic) + _norm(noise[~excused]) / TOLERANCE[method]
    error = distance / both if distance > 0 or np.isnan(distance) else 0.0
    return ArrayCheck(
        key, method, len(picked), _norm(analytic), _norm(numeric), error,
        picked[worst].name, float(analytic[worst]), float(numeric[worst]), int(excused.sum()),
        bool(error <= TOLERANCE[method]),
    )  # fmt: skip


def _norm(x: Vector) -> float:
    """‖x‖, without the overflow or underflow of a square."""
    largest = float(np.abs(x).max(initial=0.0))
    return largest * float(np.linalg.norm(x / largest)) if 0 < largest < np.inf else largest


def _agrees(method: str, numeric: float, analytic: float, typical: float, noise: float) -> bool:
    return abs(numeric - analytic) <= TOLERANCE[method] / 2 * max(abs(numeric + analytic), typical) + noise


def _complex(probe: _Probe, d: Direction, analytic: float, typical: float, noise: float) -> tuple[float, bool]:
    """(Im C(u + i h d)/h, whether a unit stands at a kink, on one side in real numbers and on the other in complex)."""
    there = d.step(probe.u, 1j * COMPLEX_STEP)
    numeric = float(probe.cost(there).imag / COMPLEX_STEP)
    return numeric, not _agrees("complex", numeric, analytic, typical, noise) and probe.crosses(probe.u, there)


def _central(
    probe: _Probe, d: Direction, analytic: float, typical: float, rounding: float, epsilon: float
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
