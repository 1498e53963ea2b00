"""What a diagnosis measures in one pass forward and back: numbers alone; verdicts.py says what they mean.

    mean |δ|          Σᵢ wᵢ Σⱼ |δᵢⱼ| / (n Σᵢ wᵢ)              over the units j, and rows, or the steps of sequences, i
    ‖δ‖               Σᵢ wᵢ ‖δᵢ‖ / Σᵢ wᵢ                     over rows i; maps and sequences as one vector
    ratio, reach      ‖δ⁽ˡ⁾‖ / ‖δ⁽ˡ⁺¹⁾‖,  ‖δ⁽ˡ⁾‖ / ‖δ⁽ᴸ⁾‖
    update ratio      ‖ΔW‖ / ‖W‖                            of the first update from a state of zeros
    through time      Σᵢ ‖δ_{t,t−k}‖ / Σᵢ ‖δ_{t,t}‖          k = 0, 1, …; t is the last step with an error of row i

Lengths are compared, and not means: a mean over units falls with their number, and a pooling that hands an error to one
place of four has lost nothing of it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltarule.activations import ScaledTanh, Sigmoid, Softmax, Tanh
from deltarule.engines import textbook
from deltarule.layers import RNN, Layer, flat_size
from deltarule.layers.base import RELU_FAMILY
from deltarule.network import Network, Samples
from deltarule.optimizers import Optimizer
from deltarule.trace import not_finite

__all__ = ["FLAT", "MOST_ROWS", "Found", "Measured", "Rows", "chosen", "measured"]

MOST_ROWS = 1024  # that are looked at: shares and means over them are known to about 3 % of themselves
MOST_NUMBERS = 2**24  # z of all layers together; a, δ and ∂C/∂a are as many each: half a gigabyte in float32
FLAT = 0.01  # of the steepest slope: a unit there passes a hundredth of an error on; |tanh z| > 0.995, |z| > 6 of σ
WRONG = 0.5  # an output that is this far from its target is wrong, of those between 0 and 1, or −1 and 1
SETTLED = 0.01  # of the targets' standard deviation: where errors cancel to that, a minimum of the cost is near
STEEPEST = {Sigmoid: 0.25, Tanh: 1.0, ScaledTanh: ScaledTanh.amplitude * ScaledTanh.slope, Softmax: 0.25}

Array = NDArray[Any]


class Rows(NamedTuple):
    """The rows to look at, in the form that engines take."""

    X: Array
    t: Array
    w: Array | None
    given: int  # how many there were to choose from

    @property
    def there(self) -> Array | None:
        """Which steps of sequences there are `(m, T)`; None where all are."""
        return None if self.w is None or self.w.ndim == 1 else self.w >= 0


class Measured(NamedTuple):
    """One layer's numbers; None where there is no such number."""

    stage: int
    layer: Layer
    learns: bool  # whether something is trained here or below: whether an error is needed here
    mean_delta: float
    length: float  # ‖δ‖
    ratio: float | None
    reach: float | None  # None: no error is left in the last layer
    looks: int  # rows, or steps, on which units were seen
    look: str  # "row" or "step"
    unit: str  # "unit" or "map"
    idle: float | None  # the share of units that are active in no look, of maps at no place of any
    saturated: float | None  # the share of entries where the slope is flat; of an output, where it is wrong besides
    update_ratio: float | None
    through_time: tuple[float, ...] | None
    faults: tuple[str, str, str]  # the first place that is not finite of parameters, on the way up, on the way back


class Found(NamedTuple):
    """What was measured of a network."""

    layers: list[Measured]
    rows: int
    given: int
    settled: bool  # whether the errors of the rows cancel in the output, or are none: there is little left to learn


def chosen(
    net: Network,
    X: Samples,
    t: ArrayLike,
    sample_weight: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
) -> Rows:
    """Of the rows that weigh something at most 1,024, as far apart as they can be; fewer of a large network."""
    rows, targets, w = net.prepare(X, t, sample_weight, lengths=lengths, mask=mask)
    counted = np.arange(len(rows))
    if w is not None:
        counted = np.flatnonzero((w > 0).reshape(len(w), -1).any(axis=1))
    numbers = sum(map(flat_size, net.shapes)) * textbook.steps_of(net, rows)
    n = min(len(counted), MOST_ROWS, max(1, MOST_NUMBERS // numbers))
    which = counted[np.arange(n) * len(counted) // max(n, 1)]
    return Rows(rows[which], targets[which], None if w is None else w[which], len(rows))  # copies, all of them


def measured(net: Network, rows: Rows, optimizer: Optimizer | None, rate: float, weight_decay: float) -> Found:
    """One pass forward and back, and what it shows of every layer."""
    with np.errstate(all="ignore"):  # what is not finite is a finding
        done = textbook.backpropagate(
            net, net.theta, rows.X, rows.t, weight_decay=weight_decay, sample_weight=rows.w,
            first=optimizer is not None,  # δ alone needs no ∂C/∂W of the first layer
        )  # fmt: skip
        lengths = [_length(delta, rows.w) for delta in done.deltas]
        way = _Way(net, net.split(net.theta), done, rows, lengths)
        layers = [_layer(way, k, _update_ratio(net, k, done, optimizer, rate)) for k in range(len(net.layers))]
        return Found(layers, len(rows.X), rows.given, _settled(done, rows.w))


class _Way(NamedTuple):
    """A pass forward and back, and what every layer needs beside it."""

    net: Network
    p: list[dict[str, Array]]
    done: textbook.Pass
    rows: Rows
    lengths: list[float]  # ‖δ‖


def _layer(way: _Way, k: int, update_ratio: float | None) -> Measured:
    """The numbers of layers[k]."""
    net, p, done, rows, lengths = way
    layer, cache, delta = net.layers[k], done.caches[k], done.deltas[k]
    z, a = (cache.steps, cache.after) if isinstance(layer, RNN) else (cache.z, cache.a)
    last = k + 1 == len(net.layers)
    silent = last and net.output.canonical  # f′ is no factor of δ there
    through_time = _through_time(layer, p[k], done, k) if isinstance(layer, RNN) else None
    back = {"delta": delta, **{f"d{name}": g for name, g in done.gradients[k].items()}}
    return Measured(
        k + 1, layer, any(own.trainable and parts for own, parts in zip(net.layers[: k + 1], p)),
        float(np.abs(delta, dtype=np.float64).sum()) / (math.prod(_units(delta)) * _weight(delta, rows.w)),
        lengths[k], None if last or not lengths[k + 1] else lengths[k] / lengths[k + 1],
        lengths[k] / lengths[-1] if lengths[-1] else None,
        *((len(_seen(z, rows.there)), "step") if z.ndim == 3 else (len(z), "row")), "map" if z.ndim == 4 else "unit",
        _idle(layer, _seen(z, rows.there), _seen(a, rows.there)),
        None if silent else _wrong(layer, cache, rows.there, done.t) if last else _saturated(
            layer, _seen(z, rows.there), _seen(a, rows.there)
        ),
        update_ratio, through_time, (_fault(k, p[k]), _fault(k, {"z": z, "a": a}), _fault(k, back)),
    )  # fmt: skip


def _fault(k: int, arrays: dict[str, Array]) -> str:
    """The first place of layers[k] that is not finite, "2.W[0, 3] is nan"."""
    bad = [(f"{k + 1}.{name}", values) for name, values in arrays.items() if not np.isfinite(values).all()]
    return not_finite(bad)[0] if bad else ""


def _units(delta: Array) -> tuple[int, ...]:
    """The shape of one row's δ, or of one step's."""
    return delta.shape[2:] if delta.ndim == 3 else delta.shape[1:]


def _weight(delta: Array, w: Array | None) -> float:
    """What the rows of δ weigh together; of sequences `(m, T, n)`, their steps."""
    steps = delta.shape[1] if delta.ndim == 3 else 1
    if w is None:
        return float(len(delta) * steps)
    of_rows = w if w.ndim == 1 else w.max(axis=1)
    summed = np.maximum(w, 0) if w.ndim == 2 and delta.ndim == 3 else of_rows * steps
    return float(summed.sum(dtype=np.float64)) or 1.0


def _length(delta: Array, w: Array | None) -> float:
    """The mean of ‖δᵢ‖ over the rows; δ holds wᵢ as a factor."""
    flat = delta.reshape(len(delta), -1).astype(np.float64)
    return float(np.linalg.norm(flat, axis=1).sum()) / _weight(flat, w)


def _seen(values: Array, there: Array | None) -> Array:
    """Values as `(looks, units)`: of maps every place is a look, of sequences every step that there is."""
    if values.ndim == 4:
        return np.moveaxis(values, 1, -1).reshape(-1, values.shape[1])
    if values.ndim == 3:
        return values.reshape(-1, values.shape[-1]) if there is None else values[there]
    return values.reshape(len(values), -1)


def _idle(layer: Layer, z: Array, a: Array) -> float | None:
    """The share of units of the relu family whose slope is flat in every look."""
    if not isinstance(layer.f, RELU_FAMILY):
        return None
    flat = np.abs(layer.f.derivative(z, a)) < FLAT
    return float(flat.all(axis=0).mean())


def _saturated(layer: Layer, z: Array, a: Array, off: Array | None = None) -> float | None:
    """The share of entries whose slope is flat; where it is said how far off they are, flat and wrong."""
    steepest = next((slope for kind, slope in STEEPEST.items() if isinstance(layer.f, kind)), None)
    if steepest is None:
        return None
    if isinstance(layer.f, Softmax):  # a row at a time, and one that is sure: where all of K are 1/K, f′ is small too
        slope, off = 1 - a.max(axis=1), None if off is None else off.max(axis=1)
    else:
        slope = np.abs(layer.f.derivative(z, a))
    flat = slope < FLAT * steepest
    return float((flat if off is None else flat & (off > WRONG)).mean())


def _wrong(layer: Layer, cache: Any, there: Array | None, t: Array) -> float | None:
    """Of an output: one that is sure and right needs no slope."""
    z, a, t = (_seen(values, there) for values in (cache.z, cache.a, t.reshape(cache.a.shape)))
    return _saturated(layer, z, a, np.abs(a - t))


def _update_ratio(net: Network, k: int, done: textbook.Pass, optimizer: Optimizer | None, rate: float) -> float | None:
    """‖ΔW‖ / ‖W‖ of what weight decay reaches (of all parameters where it reaches none); None where W is 0."""
    layer, g, lengths = net.layers[k], done.gradients[k], np.zeros(2)
    if optimizer is None or not layer.trainable:
        return None
    for slot in (s for s in net.slots if s.stage == k + 1 and s.name in (layer.decays or g)):
        at = slice(slot.start, slot.stop)
        theta, own = net.theta[at].astype(np.float64), g[slot.name].reshape(-1).astype(np.float64)
        moved, _ = optimizer.update(theta, own, optimizer.begin(theta), rate, 1, net.decayed[at])
        lengths = np.hypot(lengths, [np.linalg.norm(moved - theta), np.linalg.norm(theta)])
    return float(lengths[0] / lengths[1]) if lengths[1] else None


def _through_time(layer: RNN, p: dict[str, Array], done: textbook.Pass, k: int) -> tuple[float, ...] | None:
    """How long the error of a row's last step is when it comes to the steps before, of its own length there."""
    cache, da = done.caches[k], done.das[k + 1]
    assert da is not None
    m, T = cache.steps.shape[:2]
    counts = np.ones((m, T), bool) if cache.time is None else cache.time
    errs = counts if layer.last else counts & (da != 0).any(axis=-1)
    rows: Array = errs.max(axis=1)
    t = T - 1 - errs[:, ::-1].argmax(axis=1)
    of_last = np.arange(T) == t[:, None]
    sent = layer.delta(p, da if layer.last else np.where(of_last[..., None], da, 0), cache)
    lengths = np.linalg.norm(sent.astype(np.float64), axis=-1)
    before = np.cumsum(counts, axis=1)
    lag = before[np.arange(m), t][:, None] - before
    there = counts & (lag >= 0) & rows[:, None]
    first = np.broadcast_to(lengths[np.arange(m), t][:, None], (m, T))
    sums = [np.bincount(lag[there], weights=values[there]) for values in (lengths, first)]
    if len(sums[0]) < 2 or not (sums[1] > 0).all():
        return None
    return tuple((sums[0] / sums[1]).tolist())


def _settled(done: textbook.Pass, w: Array | None) -> bool:
    """Whether the mean error of every output is small beside the targets' standard deviation."""
    errors = _seen(done.deltas[-1], None).sum(axis=0) / _weight(done.deltas[-1], w)
    return bool(float(np.abs(errors).max()) < SETTLED * done.t.std())
