"""Formulas held against numbers: what a layer answers against its sums written out, derivatives against a complex step.

    forward       the right-hand side, entry by entry, by loops that read as the formula does
    derivatives   ∂C/∂u = Im C(u + i h) / h, where C is computed from u upwards: from z⁽ˡ⁾, from a⁽ˡ⁻¹⁾, from θ

Nothing here uses a backward pass. Of large arrays some entries are looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.arrays import COMPLEX_STEP
from deltarule.derivation import updates
from deltarule.engines import textbook
from deltarule.layers import RNN, Context
from deltarule.network import Network
from deltarule.optimizers import Optimizer
from deltarule.randomness import generator
from deltarule.schedules import Progress, Schedule
from deltarule.trace import Trace, trace

__all__ = ["Numbers"]

ENTRIES, FEWER = 12, 2  # of an array, that are looked at; of networks with more than so many parameters
MANY = 10**6
UPDATES = 4  # that an optimiser is held against
H = COMPLEX_STEP
Array = NDArray[Any]


class Numbers:
    """One sample through a network in float64, and the derivatives of its cost by complex steps.

    Args:
        net: its θ is used, in float64.
        x, t: the sample and its target; drawn from the seed where they are not given.
        steps: of a drawn sequence.
    """

    def __init__(self, net: Network, x: Any = None, t: Any = None, *, seed: int = 0, steps: int = 3) -> None:
        self.net = Network(
            net.layers, input_shape=net.input_shape, cost=net.output.cost, dtype="float64", time=net.time
        )
        self.net.theta = net.theta
        random = generator(seed, "check", 8)
        shape = [steps if n is None else n for n in net.input_shape]
        self.x = random.normal(size=shape) if x is None else x
        self.t = self._target(random, steps) if t is None else t
        self.random = random

    def _target(self, random: np.random.Generator, steps: int) -> Any:
        """Classes for classifiers; of others what their cost may take."""
        every = self.net.shapes[-1][0] is None
        if self.net.is_classifier and self.net.n_outputs > 1:
            return random.integers(self.net.n_outputs, size=steps if every else ())
        shape = (*([steps] if every else []), self.net.n_outputs)
        if self.net.is_classifier:
            return random.integers(2, size=shape).astype(float)
        return random.poisson(2, shape).astype(float) + 0.5 * (self.net.output.activation.name != "exp")

    @cached_property
    def trace(self) -> Trace:
        """The pass that every number is taken from: one sample."""
        return trace(self.net, self.x, self.t)

    # C from somewhere upwards

    def cost_from_input(self, stage: int, a_prev: Array) -> complex:
        """C, where this is what layer `stage` gets; complex where it is."""
        net, done = self.net, self.trace.done
        p, a, cache = net.split(self.trace.theta), a_prev[None], None
        for layer, own in zip(net.layers[stage - 1 :], p[stage - 1 :]):
            cache = layer.forward(own, a, Context())
            a = cache.a
        return self._cost(done.caches[-1].z[:0] if cache is None else cache.z, a, net)

    def cost_from_z(self, stage: int, z: Array) -> complex:
        """C, where these are the net values of layer `stage`."""
        layer = self.net.layers[stage - 1]
        a = layer.f.f(z[None])
        if stage == len(self.net.layers):
            return self._cost(z[None], a, self.net)
        return self.cost_from_input(stage + 1, a[0])

    def cost_through_time(self, stage: int, z: Array) -> complex:
        """C, where a recurrent layer's net values are moved to these, and later steps follow."""
        k, layer = self.trace[stage], self.net.layers[stage - 1]
        moved, U, before, states = z - k.z, k.parameters["U"], k.state, []
        assert before is not None
        h = before[0].astype(complex)
        for t in range(len(z)):  # z_t = z_t of the trace + U (h − h of the trace) + what is moved
            h = layer.f.f((k.z[t] + U @ (h - before[t]) + moved[t])[None])[0]
            states.append(h)
        a = np.stack(states)
        last = bool(getattr(layer, "last", False))
        if stage == len(self.net.layers):
            return self._cost(z[None, -1] if last else z[None], a[None, -1] if last else a[None], self.net)
        return self.cost_from_input(stage + 1, a[-1] if last else a)

    def cost_from_theta(self, theta: Array) -> complex:
        """C at another θ."""
        done = textbook.evaluate(self.net, theta, self.trace.done.caches[0].a_prev, self.trace.done.t)
        return complex(done.cost)

    def _cost(self, z: Array, y: Array, net: Network) -> complex:
        z, y = (np.reshape(v, (1, -1)) if v.ndim == 4 else v for v in (z, y))
        costs = net.output.value(z, y, self.trace.done.t)
        steps = costs.size if net.time == "mean" else 1
        return complex(costs.sum() / steps)

    # formulas against numbers

    def places(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """All places of an array, or some of a large one."""
        size = int(np.prod(shape))
        n = ENTRIES if self.net.size <= MANY else FEWER
        flat = range(size) if size <= n else sorted(self.random.choice(size, n, replace=False).tolist())
        return [tuple(int(n) for n in np.unravel_index(k, shape)) for k in flat]

    def against(self, found: Array, cost: Callable[[Array], complex], at: Array) -> float:
        """The error of a derivative: some entries of it against complex steps."""
        places = self.places(at.shape)
        return error([found[place] for place in places], [_step(cost, at, place) for place in places])

    def gradient_error(self, stage: int, name: str) -> float:
        """Of ∂C/∂p."""
        slot = next((s for s in self.net.slots if (s.stage, s.name) == (stage, name)), None)
        if slot is None:
            return 0.0

        def cost(values: Array) -> complex:
            theta = self.trace.theta.astype(complex)
            theta[slot.start : slot.stop] = values.ravel()
            return self.cost_from_theta(theta)

        k = self.trace[stage]
        return self.against(k.gradients[name], cost, k.parameters[name])

    def input_error(self, stage: int) -> float | None:
        """Of ∂C/∂a_prev."""
        k = self.trace[stage]
        if k.a_prev.dtype.kind in "iu":  # tokens do not move
            return None
        return self.against(k.da_prev / self.total, lambda a: self.cost_from_input(stage, a), k.a_prev)

    def delta_error(self, stage: int) -> float:
        """Of δ."""
        k = self.trace[stage]
        upward = self.cost_through_time if isinstance(k.layer, RNN) else self.cost_from_z
        return self.against(k.delta / self.total, lambda z: upward(stage, z), k.z)

    def slope_error(self, stage: int) -> float:
        """Of f′(z): δ for ∂C/∂a = 1."""
        k = self.trace[stage]
        f = k.layer.f
        places = self.places(k.z.shape)
        slopes = f.delta(np.ones_like(k.z), k.z, k.a)
        if f.name == "softmax":
            return 0.0
        steps = [complex(f.f(np.array([k.z[p] + 1j * H]))[0]).imag / H for p in places]
        return error([slopes[p] for p in places], steps)

    def batch_error(self) -> float:
        """Of the mean over samples, with weights and decay: some entries of ∂C/∂θ."""
        net, m = self.net, 3
        shape = self.trace.done.caches[0].a_prev.shape[1:]
        x = self.trace.x
        X = np.stack([x] * m) if x.dtype.kind in "iu" else self.random.normal(size=(m, *shape))
        t, w = np.concatenate([self.trace.done.t] * m), np.array([1.0, 0.5, 2.0])
        g = textbook.cost_and_gradient(net, self.trace.theta, X, t, weight_decay=0.1, sample_weight=w)[1]

        def cost(theta: Array) -> complex:
            return complex(textbook.evaluate(net, theta, X, t, weight_decay=0.1, sample_weight=w).cost)

        return self.against(g, cost, self.trace.theta)

    def update_error(self, rule: Optimizer) -> float:
        """Of an optimiser: θ behind some updates, against the rule written out for one number after the other."""
        if isinstance(rule.__dict__.get("momentum"), Schedule):
            rule = rule.at(Progress(0, 1, 1))
        theta, gradients = self.random.normal(size=4), self.random.normal(size=(UPDATES, 4))
        state, found = rule.begin(theta), theta
        for step, g in enumerate(gradients, 1):
            found, state = rule.update(found, g, state, rule.own_rate, step)
        each = zip(theta.tolist(), gradients.T.tolist())
        return error(found, [updates.written_out(rule, start, own, rule.own_rate) for start, own in each])

    @property
    def total(self) -> float:
        """By what the costs of a sample's steps are divided."""
        mean = self.net.time == "mean" and self.net.shapes[-1][0] is None
        return float(self.trace.costs.size) if mean else 1.0


def _step(cost: Callable[[Array], complex], at: Array, place: tuple[int, ...]) -> float:
    """∂C/∂ one entry."""
    moved = at.astype(complex)
    moved[place] += 1j * H
    return cost(moved).imag / H


def error(found: Any, expected: Any) -> float:
    """‖found − expected‖ / ‖expected‖; the difference itself where what is expected is nearly 0."""
    found, expected = np.asarray(found, float).ravel(), np.asarray(expected, float).ravel()
    return float(np.linalg.norm(found - expected) / max(float(np.linalg.norm(expected)), 1e-12))
