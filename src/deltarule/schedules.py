"""Schedules: the learning rate, or the momentum, as a function of training's progress.

The rate of an update is η · factor(progress); as a momentum's schedule, factor(progress) is μ itself. All are pure but
`ReduceOnPlateau`, whose state is a value beside it: one interface, `begin`, `observe`, `factor`, serves both.
Spans are counted in epochs (`every`, `over`, `at`, `epochs`) or in updates (the same with `steps`), never both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from deltarule.errors import HyperparameterError
from deltarule.limits import check, number
from deltarule.names import Named, resolve, table

__all__ = [
    "SCHEDULES", "Constant", "Cosine", "ExponentialDecay", "InverseTimeDecay", "OneCycle", "OneCycleMomentum",
    "Piecewise", "PolynomialDecay", "Progress", "ReduceOnPlateau", "Schedule", "StepDecay", "WarmUp", "schedule",
]  # fmt: skip


class Progress(NamedTuple):
    """Where training stands: `step` updates are done, of `total_steps`; an epoch has `steps_per_epoch` of them.

    >>> Progress(step=15, steps_per_epoch=10, total_steps=100).epoch
    1.5
    """

    step: int
    steps_per_epoch: int
    total_steps: int

    @property
    def epoch(self) -> float:
        """Epochs done, with their fraction."""
        return self.step / self.steps_per_epoch


@dataclass(frozen=True)
class Schedule(Named):
    """A factor for every update, in [0, ∞)."""

    def begin(self) -> dict[str, float]:
        """The state before the first epoch: empty for a pure schedule."""
        return {}

    def observe(self, state: Mapping[str, float], cost: float) -> dict[str, float]:
        """The state after an epoch that ended with the watched cost; `state` itself is not changed."""
        return dict(state)

    def factor(self, progress: Progress, state: Mapping[str, float] | None = None) -> float:
        """The factor of the update that comes after `progress.step` others; `state=None` is the state at the start."""
        raise NotImplementedError


def _check_span(value: Named, epochs: str, steps: str) -> None:
    """A span is given in epochs or in steps."""
    if getattr(value, epochs) is not None and getattr(value, steps) is not None:
        raise HyperparameterError(f"{value.name}: give {epochs}= (epochs) or {steps}= (updates), not both")
    if getattr(value, epochs) is not None:
        check(value, epochs, above=0)
    if getattr(value, steps) is not None:
        check(value, steps, integral=True, least=1)


def _in_steps(progress: Progress, epochs: float) -> float:
    """Epochs in updates; 0.07 epochs of 100 updates are 7, not 7.000000000000001."""
    span = epochs * progress.steps_per_epoch
    return round(span) if math.isclose(span, round(span), rel_tol=1e-12) else span


def _span(progress: Progress, epochs: float | None, steps: int | None) -> float:
    """The span in updates: `steps`, or `epochs`, or one epoch."""
    return steps if steps is not None else _in_steps(progress, 1 if epochs is None else epochs)


def _half_wave(start: float, end: float, fraction: float) -> float:
    """From `start` to `end` along half a cosine, as `fraction` goes from 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * fraction)) / 2


@dataclass(frozen=True)
class Constant(Schedule):
    """The same value always: η unchanged unless said."""

    name = "constant"
    value: float = 1.0

    def __post_init__(self) -> None:
        check(self, "value", least=0)

    def factor(self, progress: Progress, state: Mapping[str, float] | None = None) -> float:
        return self.value


@dataclass(frozen=True)
class _Decay(Schedule):
    """A decay by `rate` every so many epochs (1 unless said) or updates."""

    rate: float
    every: float | None = None
    every_steps: int | None = None

    def __post_init__(self) -> None:
        check(self, "rate", above=0, most=1)
        _check_span(self, "every", "every_steps")

    def _periods(self, progress: Progress) -> float:
        """Periods done: t / every."""
        return progress.step / _span(progress, self.every, self.every_steps)


@dataclass(frozen=True)
class StepDecay(_Decay):
    """rate^⌊t / every⌋: a staircase, every so many epochs (1 unless said) or updates.

    >>> halve = StepDecay(0.5, every=5)
    >>> [halve.factor(Progress(100 * epoch, 100, 2000)) for epoch in (0, 4, 5, 10)]
    [1.0, 1.0, 0.5, 0.25]
    """

    name = "step decay"

    def factor(self, progress: Progress, state: Mapping[str, float] | None = None) -> float:
        return math.pow(self.rate, math.floor(self._periods(progress)))


@dataclass(frozen=True)
class ExponentialDecay(_Decay):
    """rate^(t / every): smooth, `rate` for every so many epochs (1 unless said) or updates."""

    name = "exponential decay"

    def factor(self, progress: Progress, state: Mapping[str, float] | None = None) -> float:
        return math.pow(self.rate, self._periods(progress))


@dataclass(frozen=True)
class InverseTimeDecay(_Decay):
    """1 / (1 + rate · t / every), t in epochs (every 1 unless said) or updates: Σ η = ∞, Σ η² < ∞.

    Source: Robbins and Monro, Ann. Math. Stat. 22 (1951).
    """

    name = "inverse time decay"

    def __post_init__(self) -> None:
        check(self, "rate", least=0)
        _check_span(self, "every", "every_steps")

    def factor(self, progress: Progress, state: Mapping[str, float] | None = None) -> float:
        return 1 / (1 + self.rate * self._periods(progress))


@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    """final + (1 − final)(1 − t/T)^power, then `final`; T is the whole run, `over` epochs or `over_steps` updates."""

    name = "polynomial decay"
    power: float = 1.0
    final: float = 0.0
    over: float | None = None
    over_steps: int | None = None

    def __post_init__(self) -> None:
        check(self, "power", above=0)
        check(self, "final", least=0, most=1)
        _check_span(self, "over", "over_steps")

    def factor(self, progress: Progress, state: Mapping[str, float] | None = None) -> float:
        whole_run = self.over is None and self.over_steps is None
        span = progress.total_steps if whole_run else _span(progress, self.over, self.over_steps)
        rest = 1 - min(progress.step / span, 1)
        return self.final + (1 - self.final) * math.pow(rest, self.power)


@dataclass(frozen=True)
class Cosine(Schedule):
    """final + (1 − final)(1 + cos πt/T)/2 over the whole run; with a period, it restarts from 1 at each one.

    Source: Loshchilov and Hutter, arXiv:1608.03983.

    >>> [round(Cosine(0.2).factor(Progress(step, 10, 40)), 9) for step in (0, 20, 40)]
    [1.0, 0.6, 0.2]
    """

    name = "cosine"
    final: float = 0.0
    every: float | None = None
    every_steps: int | None = None

    def __post_init__(self) -> None:
        check(self, "final", least=0, most=1)
        _check_span(self, "every", "every_steps")

    def factor(self, progress: Progress, state: Mapping[str, float] | None = None) -> float:
        if self.every is None and self.every_steps is None:
            return _half_wave(1, self.final, min(progress.step / progress.total_steps, 1))
        return _half_wave(1, self.final, progress.step / _span(progress, self.every, self.every_steps) % 1)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """(start + (1 − start) t/w) · then(0) for the first w updates, then another schedule, which counts from there.

    w is `epochs` (1 unless said) or `steps`. A plateau schedule in `then` watches the warm-up's epochs too.
    Source: Goyal et al., arXiv:1706.02677.

    >>> gentle = schedule("warm_up(epochs=2, then=cosine)")
    >>> [round(gentle.factor(Progress(step, 10, 120)), 9) for step in (0, 5, 20, 70)]
    [0.0, 0.25, 1.0, 0.5]
    """

    name = "warm up"
    epochs: float | None = None
    steps: int | None = None
    start: float = 0.0
    then: Schedule | str = Constant()

    def __post_init__(self) -> None:
        _check_span(self, "epochs", "steps")
        check(self, "start", least=0, most=1)
        object.__setattr__(self, "then", schedule(self.then))

    @property
    def _then(self) -> Schedule:
        return schedule(self.then)

    def begin(self) -> dict[str, float]:
        return self._then.begin()

    def observe(self, state: Mapping[str, float], cost: float) -> dict[str, float]:
        return self._then.observe(state, cost)

    def factor(self, progress: Progress, state: Mapping[str, float] | None = None) -> float:
        w = _span(progress, self.epochs, self.steps)
        step, shift = progress.step, math.ceil(w)
        shifted = Progress(max(step - shift, 0), progress.steps_per_epoch, max(progress.total_steps - shift, 1))
        ramp = self.start + (1 - self.start) * step / w if step < w else 1
        return ramp * self._then.factor(shifted, state)


def _one_cycle(progress: Progress, rise: float, start: float, peak: float, final: float) -> float:
    """Half a wave from `start` to `peak` in the first part `rise` of the run, another to `final` at its last update."""
    last = progress.total_steps - 1
    top = max(rise * progress.total_steps - 1, 0)
    if progress.step < top:
        return _half_wave(start, peak, progress.step / top)
    return _half_wave(peak, final, min((progress.step - top) / (last - top), 1)) if last > top else peak


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from `start` to 1 in the first part `rise` of the run, and down to `final`: η is the largest rate.

    Sources: Smith and Topin, arXiv:1708.07120; the constants and the two half-waves are those of PyTorch's OneCycleLR,
    start = 1/25 and final = start/10⁴. `OneCycleMomentum` is its counterpart for the momentum.
    """

    name = "one cycle"
    rise: float = 0.3
    start: float = 0.04
    final: float = 4e-6

    def __post_init__(self) -> None:
        check(self, "rise", "start", "final", least=0, most=1)

    def factor(self, progress: Progress, state: Mapping[str, float] | None = None) -> float:
        return _one_cycle(progress, self.rise, self.start, 1, self.final)


@dataclass(frozen=True)
class OneCycleMomentum(Schedule):
    """μ for `OneCycle`: down from `high` to `low` while the rate rises, and up to `high` again."""

    name = "one cycle momentum"
    high: float = 0.95
    low: float = 0.85
    rise: float = 0.3

    def __post_init__(self) -> None:
        check(self, "high", "low", least=0, below=1)
        check(self, "rise", least=0, most=1)
        if self.low > self.high:
            raise HyperparameterError(f"{self.name}: low ({self.low}) must not exceed high ({self.high})")

    def factor(self, progress: Progress, state: Mapping[str, float] | None = None) -> float:
        return _one_cycle(progress, self.rise, self.high, self.low, self.high)


@dataclass(frozen=True)
class Piecewise(Schedule):
    """values[0] until the first boundary, values[1] from it to the next, and so on.

    Boundaries are `at` epochs or `at_steps` updates; one may be a number, several are a tuple.

    The momentum of document 000's exercise, 0.5 for the first 19 updates and 0.95 from then on:

    >>> mu = Piecewise((0.5, 0.95), at_steps=19)
    >>> [mu.factor(Progress(step, 10, 30)) for step in (0, 18, 19, 29)]
    [0.5, 0.5, 0.95, 0.95]
    """

    name = "piecewise"
    values: tuple[float, ...]
    at: tuple[float, ...] | float | None = None
    at_steps: tuple[int, ...] | int | None = None

    def __post_init__(self) -> None:
        if (self.at is None) == (self.at_steps is None):
            raise HyperparameterError(f"{self.name}: give at= (epochs) or at_steps= (updates), one of them")
        self._hold("values", least=0)
        boundaries = (
            self._hold("at", above=0) if self.at is not None else self._hold("at_steps", integral=True, least=1)
        )
        if len(self.values) != len(boundaries) + 1:
            raise HyperparameterError(
                f"{self.name}: {len(boundaries)} boundaries want {len(boundaries) + 1} values, not {len(self.values)}"
            )
        if any(b <= a for a, b in pairwise(boundaries)):
            raise HyperparameterError(f"{self.name}: boundaries must ascend, not {boundaries}")

    def _hold(self, field: str, **limits: Any) -> tuple[float, ...]:
        """Store a field as a tuple of checked numbers; one number is a tuple of one."""
        given = getattr(self, field)
        members = tuple(given) if isinstance(given, tuple | list | np.ndarray) else (given,)
        found = tuple(number(f"{self.name}: {field}", v, **limits) for v in members)
        object.__setattr__(self, field, found)
        return found

    def factor(self, progress: Progress, state: Mapping[str, float] | None = None) -> float:
        boundaries: Any = self.at_steps if self.at is None else self.at  # tuples since __post_init__
        steps = [float(b) if self.at is None else _in_steps(progress, b) for b in boundaries]
        return self.values[sum(progress.step >= b for b in steps)]


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """scale ← max(rate · scale, minimum) after more than `patience` epochs without a better cost.

    A cost is better if it is below best − threshold · |best|; after a reduction, `cooldown` epochs are not counted.
    The state is {scale, seen, best, bad, cooldown}; `seen` is 1 once `best` is a cost. Source: PyTorch's
    ReduceLROnPlateau (mode "min", threshold "rel"), but right for negative costs too; `minimum` is relative to η.

    >>> plateau = ReduceOnPlateau(0.5, patience=1)
    >>> state = plateau.begin()
    >>> for cost in (2.0, 1.0, 1.0, 1.0):
    ...     state = plateau.observe(state, cost)
    >>> plateau.factor(Progress(40, 10, 100), state)
    0.5
    """

    name = "reduce on plateau"
    rate: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    cooldown: int = 0
    minimum: float = 0.0

    def __post_init__(self) -> None:
        check(self, "rate", above=0, below=1)
        check(self, "patience", "cooldown", integral=True, least=0)
        check(self, "threshold", least=0, below=1)
        check(self, "minimum", least=0, most=1)

    def begin(self) -> dict[str, float]:
        return {"scale": 1.0, "seen": 0.0, "best": 0.0, "bad": 0.0, "cooldown": 0.0}

    def observe(self, state: Mapping[str, float], cost: float) -> dict[str, float]:
        new = dict(state)
        if math.isfinite(cost) and (not new["seen"] or cost < new["best"] - self.threshold * abs(new["best"])):
            new |= {"seen": 1.0, "best": float(cost), "bad": 0.0}
        else:
            new["bad"] += 1
        if new["cooldown"]:
            new |= {"cooldown": new["cooldown"] - 1, "bad": 0.0}
        if new["bad"] > self.patience:
            scale = min(new["scale"], max(new["scale"] * self.rate, self.minimum))
            new |= {"scale": scale, "cooldown": float(self.cooldown), "bad": 0.0}
        return new

    def factor(self, progress: Progress, state: Mapping[str, float] | None = None) -> float:
        return (self.begin() if state is None else state)["scale"]


SCHEDULES = table(
    Constant, StepDecay, ExponentialDecay, InverseTimeDecay, PolynomialDecay, Cosine, WarmUp, OneCycle,
    OneCycleMomentum, Piecewise, ReduceOnPlateau,
)  # fmt: skip


def schedule(value: Schedule | str) -> Schedule:
    """The schedule that `value` is or names.

    >>> schedule("step_decay(0.5, every=5)")
    StepDecay(rate=0.5, every=5, every_steps=None)
    """
    return resolve("schedule", SCHEDULES, value)
