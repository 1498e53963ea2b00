"""A trace: everything one pass forward and back computes, layer by layer, by name.

    forward     z⁽ˡ⁾, a⁽ˡ⁾
    backward    δ⁽ˡ⁾ = ∂C⁽ⁱ⁾/∂z⁽ˡ⁾ and ∂C⁽ⁱ⁾/∂a⁽ˡ⁻¹⁾ of every sample, times its weight, not averaged
    gradients   ∂C/∂W⁽ˡ⁾, ∂C/∂b⁽ˡ⁾, …, ∂C/∂x: averaged as C is, decay included

The numbers are those of the textbook engine, bit for bit what its training computes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltarule import inputs
from deltarule.engines import textbook
from deltarule.errors import HyperparameterError, MissingExtraError
from deltarule.layers import RNN, Dropout, Layer
from deltarule.limits import number, whole
from deltarule.network import Network, Samples
from deltarule.randomness import draw_seed

__all__ = ["LayerTrace", "Trace", "trace"]

MOST_SHOWN = 5  # places of numbers that are not finite, in a message
FORWARD = ("x", "z", "a", "mask", "state", "y", "t", "costs")  # arrays of the way up; the others are of the way back


@dataclass(frozen=True)
class LayerTrace:
    """One layer's numbers. For a batch all but the parameters' gradients have m in front; over sequences T follows.

    Attributes:
        stage: from 1.
        layer: its configuration.
        parameters: W, b, … by name.
        a_prev: what came in.
        z, a: net value and activation; of a recurrent layer z_t and h_t of every step.
        delta: δ, per sample, not averaged.
        da_prev: ∂C/∂a_prev, per sample, not averaged.
        gradients: ∂C/∂W, ∂C/∂b, … by name; as attributes dW, db, …
        mask: of a dropout layer that drops: 0 or 1/(1 − rate); else None.
        state: of a recurrent layer, h₀ … h_{T−1}; else None.
    """

    stage: int
    layer: Layer
    parameters: dict[str, NDArray[Any]]
    a_prev: NDArray[Any]
    z: NDArray[Any]
    a: NDArray[Any]
    delta: NDArray[Any]
    da_prev: NDArray[Any]
    gradients: dict[str, NDArray[Any]]
    mask: NDArray[Any] | None = None
    state: NDArray[Any] | None = None

    def __getattr__(self, name: str) -> NDArray[Any]:
        gradients = self.__dict__.get("gradients", {})
        if name[:1] == "d" and name[1:] in gradients:
            found: NDArray[Any] = gradients[name[1:]]
            return found
        known = ", ".join(f"d{p}" for p in gradients)
        raise AttributeError(f"layer {self.stage} ({self.layer}) has no {name!r}; its gradients are {known or 'none'}")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of them by name: z, a, delta, da_prev, dW, db and so on."""
        found = {"z": self.z, "a": self.a, "delta": self.delta, "da_prev": self.da_prev}
        found |= {f"d{name}": g for name, g in self.gradients.items()}
        return found | {name: getattr(self, name) for name in ("mask", "state") if getattr(self, name) is not None}


@dataclass(frozen=True)
class Trace:
    """What `trace` found.

    `tr[2].z` is the net value of the second layer, `tr[1].dW` the gradient of the first; layers count from 1.

    Attributes:
        net: whose numbers these are.
        C: the cost, decay included.
        costs: C⁽ⁱ⁾ of every sample, or of every step.
        x, t: inputs as the engine takes them, and targets as rows like ŷ.
        y: ŷ.
        dx: ∂C/∂x, averaged as C is; of tokens ∂C/∂(one-hot x).
        theta: θ as it was.
    """

    net: Network
    layers: tuple[LayerTrace, ...]
    C: float
    costs: NDArray[Any]
    x: NDArray[Any]
    t: NDArray[Any]
    y: NDArray[Any]
    dx: NDArray[Any]
    theta: NDArray[Any]
    done: textbook.Pass  # the pass itself, as the engine gives it

    @property
    def one(self) -> bool:
        """Whether it is of one sample, and no array has m in front."""
        return bool(self.dx.ndim < self.done.caches[0].a_prev.ndim)

    def __getitem__(self, stage: int) -> LayerTrace:
        if isinstance(stage, bool) or not isinstance(stage, int) or not 1 <= stage <= len(self.layers):
            raise HyperparameterError(f"layers of {self.net.spec} count from 1 to {len(self.layers)}, not {stage!r}")
        return self.layers[stage - 1]

    def __iter__(self) -> Iterator[LayerTrace]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array by name: "x", "1.z", "1.a", "1.delta", "1.da_prev", "1.dW", …, "y", "t", "costs", "dx"."""
        found = {"x": self.x}
        for layer in self.layers:
            found |= {f"{layer.stage}.{name}": a for name, a in layer.arrays().items()}
        return found | {"y": self.y, "t": self.t, "costs": self.costs, "dx": self.dx}

    def triangle(self, stage: int) -> NDArray[Any]:
        """δ_{t,k} of a recurrent layer, what the cost of step t gives to z_k: `(m, T, T, n)`, 0 where k > t."""
        layer = self[stage].layer
        if not isinstance(layer, RNN):
            raise HyperparameterError(f"layer {stage} ({layer}) is not recurrent: there is no way back through time")
        p, cache, da = self[stage].parameters, self.done.caches[stage - 1], self.done.das[stage]
        found: NDArray[Any] = layer.triangle(p, da, cache)
        return found[0] if self.one else found

    # what is not finite

    def not_finite(self) -> list[str]:
        """Every place with NaN or inf, "2.z[0, 3] is nan", in the order of the pass: parameters, forward, back."""
        arrays, found = self.arrays(), list[str]()
        forward = [name for name in arrays if name.rpartition(".")[2] in FORWARD]
        back = sorted(set(arrays) - set(forward), key=lambda name: -int(name.partition(".")[0]) if "." in name else 0)
        parameters = {f"{k.stage}.{name}": p for k in self.layers for name, p in k.parameters.items()}
        for name, a in (parameters | {name: arrays[name] for name in [*forward, *back]}).items():
            places = np.argwhere(~np.isfinite(a))
            found += [f"{name}[{', '.join(map(str, p))}] is {a[tuple(p)]}" for p in places[:MOST_SHOWN].tolist()]
            found += [f"{name} has {len(places) - MOST_SHOWN:,} more"] * (len(places) > MOST_SHOWN)
        return found

    # out

    def to_dataframe(self) -> Any:
        """One row a number: array, layer (0 for x, t, costs, dx), the place in the array as a tuple, value."""
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError("a DataFrame needs pandas: pip install 'deltarule[dataframe]'") from None
        parts = []
        for name, a in self.arrays().items():
            stage, _, short = name.rpartition(".")
            rows = {
                "array": short,
                "layer": int(stage or 0),
                "place": list(np.ndindex(a.shape)),
                "value": a.reshape(-1),
            }
            parts.append(pd.DataFrame(rows))
        return pd.concat(parts, ignore_index=True)

    def to_json(self) -> str:
        """Network, layers, parameters and arrays as JSON text; NaN and inf as "nan", "inf", "-inf"."""
        parameters = {f"{t.stage}.{name}": p for t in self.layers for name, p in t.parameters.items()}
        document = {
            "network": self.net.spec, "cost": str(self.net.output.cost), "dtype": str(self.net.dtype),
            "layers": [str(t.layer) for t in self.layers], "C": _plain(self.C),
            "parameters": {name: _plain(a.tolist()) for name, a in parameters.items()},
            "arrays": {name: _plain(a.tolist()) for name, a in self.arrays().items()},
        }  # fmt: skip
        return json.dumps(document, allow_nan=False)

    def __str__(self) -> str:
        """A line a layer: shapes, and how large z, a, δ and the gradients are (root mean square)."""
        table = [("", "layer", "z", "rms z", "rms a", "rms δ", "gradients (rms)")]
        for t in self.layers:
            gradients = ", ".join(f"d{name} {_rms(g)}" for name, g in t.gradients.items())
            shape = "x".join(map(str, t.z.shape))
            table.append((str(t.stage), str(t.layer), shape, _rms(t.z), _rms(t.a), _rms(t.delta), gradients or "–"))
        widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
        lines = ["  ".join(cell.ljust(n) for cell, n in zip(row, widths)).rstrip() for row in table]
        places = self.not_finite()
        alarm = [f"not finite, first: {places[0]}"] if places else []
        return "\n".join([f"{self.net.spec}: C = {self.C:.10g}", *lines, *alarm])


def trace(
    net: Network,
    X: Samples,
    t: ArrayLike,
    *,
    weight_decay: float = 0.0,
    sample_weight: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    state: ArrayLike | None = None,
    dropout: bool = False,
    seed: int = 0,
    step: int = 1,
) -> Trace:
    """Everything that one pass forward and back computes, for one sample or a batch.

    Args:
        net, X, t, weight_decay, sample_weight, lengths, mask, state: as in `cost_and_gradient`. For one sample, an X of
            the network's input shape, no array has m in front.
        dropout: with the masks of update `step` of a training from `seed`, for rows 0, 1, …; else nothing drops.

    >>> net = Network("2/2/1", activation="tanh", output="identity", dtype="float64")
    >>> net.theta = [0.5, -0.5, 1.0, 0.0, 0.1, 0.0, 2.0, -1.0, 0.5]
    >>> tr = trace(net, [1.0, 2.0], 0.0)
    >>> tr[1].z.tolist(), tr[2].z.round(4).tolist(), tr[2].delta.round(4).tolist()
    ([-0.4, 1.0], [-1.0215], [-1.0215])
    >>> tr[2].dW.round(4).tolist()
    [[0.3881, -0.778]]
    """
    weight_decay, seed, step = number("weight_decay", weight_decay, least=0), draw_seed(seed), whole("step", step)
    one = net._rows(X, None, lengths, mask)[1]
    rows, targets, w = net.prepare(X, t, sample_weight, lengths=lengths, mask=mask)
    T, h = textbook.steps_of(net, rows), inputs.states(net, state, len(rows))
    masks = textbook.dropout_masks(net, seed, step, np.arange(len(rows)), net.dtype, T) if dropout else None
    theta = net.theta.copy()
    with np.errstate(all="ignore"):  # what is not finite is shown as such
        done = textbook.backpropagate(
            net, theta, rows, targets, weight_decay=weight_decay, sample_weight=w, masks=masks, state=h
        )
    return _trace(net, theta, done, one)


def _trace(net: Network, theta: NDArray[Any], done: textbook.Pass, one: bool) -> Trace:
    def shown(a: NDArray[Any]) -> NDArray[Any]:
        return a[0] if one else a

    layers = []
    for k, (layer, p, cache) in enumerate(zip(net.layers, net.split(theta), done.caches)):
        z, a, mask, state = cache.z, cache.a, None, None
        if isinstance(layer, RNN):
            z, a, state = cache.steps, cache.after, shown(cache.before)
        if isinstance(layer, Dropout) and cache.mask is not None:
            mask = shown(cache.mask)
        da = done.das[k]
        assert da is not None
        both = (shown(done.deltas[k]), shown(da))
        layers.append(
            LayerTrace(k + 1, layer, p, shown(cache.a_prev), shown(z), shown(a), *both, done.gradients[k], mask, state)
        )
    return Trace(
        net, tuple(layers), float(done.cost), shown(done.costs), shown(done.caches[0].a_prev), shown(done.t),
        shown(done.caches[-1].a), shown(done.input_gradient), theta, done,
    )  # fmt: skip


def _rms(a: NDArray[Any]) -> str:
    with np.errstate(all="ignore"):
        return f"{math.sqrt(np.mean(np.square(a, dtype=np.float64))):.3g}" if a.size else "–"


def _plain(values: Any) -> Any:
    """Nested lists as JSON can hold them."""
    if isinstance(values, list):
        return [_plain(v) for v in values]
    return values if math.isfinite(values) else str(values)
