"""A trace: everything one pass forward and back computes, layer by layer, by name.

    forward     z⁽ˡ⁾, a⁽ˡ⁾
    backward    δ⁽ˡ⁾ = ∂C⁽ⁱ⁾/∂z⁽ˡ⁾ and ∂C⁽ⁱ⁾/∂a⁽ˡ⁻¹⁾ of every sample, times its weight, not averaged
    gradients   ∂C/∂W⁽ˡ⁾, ∂C/∂b⁽ˡ⁾, …, ∂C/∂x: averaged as C is, decay included

The numbers are those of the textbook engine, bit for bit what its training computes.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltarule import inputs
from deltarule.engines import textbook
from deltarule.errors import HyperparameterError, MissingExtraError, ShapeError
from deltarule.layers import RNN, Dropout, Layer
from deltarule.limits import number
from deltarule.network import Network, Samples
from deltarule.randomness import draw_seed

__all__ = ["LayerTrace", "Trace", "not_finite", "trace"]

MOST_SHOWN = 5  # places of numbers that are not finite, in a message
FORWARD = ("x", "z", "a", "mask", "state", "y", "t", "costs")  # arrays of the way up; the others are of the way back


@dataclass(frozen=True, eq=False, repr=False)  # arrays do not tell by == whether they are the same
class LayerTrace:
    """One layer's numbers; `trace` says the shapes. Parameters and gradients are attributes too: W, b, dW, db.

    One whose name is taken already, a parameter "z", say, is in `parameters` and `gradients` alone.

    Attributes:
        stage: from 1.
        layer: its configuration.
        parameters: W, b, … by name.
        a_prev: what came in.
        z, a: net value and activation; of a recurrent layer z_t and h_t of every step.
        delta: δ, per sample, not averaged.
        da_prev: ∂C/∂a_prev, per sample, not averaged.
        gradients: ∂C/∂W, ∂C/∂b, … by name.
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
        if name[:2] == "__" or "gradients" not in self.__dict__:  # copy and pickle ask before there is anything
            raise AttributeError(name)
        named = self._named()
        if name in named:
            return named[name]
        known = ", ".join([*(k for k, v in self.__dict__.items() if v is not None), *named])
        raise AttributeError(f"layer {self.stage} ({self.layer}) has no {name!r}; it has {known}")

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *self._named()]

    def __repr__(self) -> str:
        return f"<layer {self.stage} of a trace, {self.layer}: z of shape {self.z.shape}>"

    def _named(self) -> dict[str, NDArray[Any]]:
        """Parameters and gradients by the names they have as attributes."""
        return self.parameters | {f"d{name}": g for name, g in self.gradients.items()}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of them by name: z, a, delta, da_prev, dW, db and so on."""
        found = {"z": self.z, "a": self.a, "delta": self.delta, "da_prev": self.da_prev}
        found |= {f"d{name}": g for name, g in self.gradients.items()}
        return found | {name: getattr(self, name) for name in ("mask", "state") if getattr(self, name) is not None}


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """What `trace` found, where the shapes are said.

    `tr[2].z` is the net value of the second layer, `tr[1].dW` the gradient of the first; layers count from 1.

    Attributes:
        net: whose numbers these are.
        C: the cost, decay included.
        costs: C⁽ⁱ⁾ of every sample, or of every step.
        x, t: inputs as the engine takes them, and targets as rows like ŷ.
        y: ŷ.
        dx: ∂C/∂x, averaged as C is; of tokens ∂C/∂(one-hot x).
        theta: θ as it was.
        one: whether it is of one sample, and no array has m in front.
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
    one: bool

    def __getitem__(self, stage: int) -> LayerTrace:
        try:
            k = 0 if isinstance(stage, bool) else operator.index(stage)
        except TypeError:  # a slice, a float, a name
            k = 0
        if not 1 <= k <= len(self.layers):
            raise HyperparameterError(f"layers of {self.net.spec} count from 1 to {len(self.layers)}, not {stage!r}")
        return self.layers[k - 1]

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
        asked = self[stage]
        layer, k = asked.layer, asked.stage
        if not isinstance(layer, RNN):
            others = [f"{t.stage} ({t.layer})" for t in self.layers if isinstance(t.layer, RNN)]
            there = f"ask for layer {' or '.join(others)}" if others else f"no layer of {self.net.spec} is"
            raise HyperparameterError(
                f"layer {k} ({layer}) is not recurrent, and has no way back through time; {there}"
            )
        with np.errstate(all="ignore"):
            found: NDArray[Any] = layer.triangle(asked.parameters, self.done.das[k], self.done.caches[k - 1])
        return found[0] if self.one else found

    # what is not finite

    def not_finite(self) -> list[str]:
        """Every place with NaN or inf, "2.z[0, 3] is nan", in the order of the pass: parameters, forward, back."""
        arrays = self.arrays()
        forward = [name for name in arrays if name.rpartition(".")[2] in FORWARD]
        back = [name for name in arrays if name not in forward]
        back.sort(key=lambda name: -int(name.partition(".")[0]) if "." in name else 0)  # the last layer first, then dx
        named = [(f"{t.stage}.{name}", p) for t in self.layers for name, p in t.parameters.items()]
        named += [(name, arrays[name]) for name in forward]
        named += [("C", np.array(self.C))]  # decay alone may carry it away
        return not_finite(named + [(name, arrays[name]) for name in back])

    # out

    def to_dataframe(self) -> Any:
        """One row a number: array, layer (0 for x, y, t, costs, dx), the place in the array as a tuple, value."""
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError("a DataFrame needs pandas: pip install 'deltarule[dataframe]'") from None
        arrays = self.arrays()
        sizes = [a.size for a in arrays.values()]
        parts = [name.rpartition(".") for name in arrays]
        columns = {
            "array": np.repeat(np.array([name for *_, name in parts], object), sizes),
            "layer": np.repeat([int(stage or 0) for stage, *_ in parts], sizes),
            "place": [place for a in arrays.values() for place in np.ndindex(a.shape)],
            "value": np.concatenate([a.reshape(-1) for a in arrays.values()]),
        }
        return pd.DataFrame(columns)

    def to_json(self) -> str:
        """Network, layers, parameters and arrays as JSON text; NaN and inf as "nan", "inf", "-inf"."""
        parameters = {f"{t.stage}.{name}": p for t in self.layers for name, p in t.parameters.items()}
        document = {
            "network": self.net.spec, "cost": str(self.net.output.cost), "dtype": str(self.net.dtype),
            "layers": [str(t.layer) for t in self.layers], "C": _plain(np.array(self.C)),
            "parameters": {name: _plain(a) for name, a in parameters.items()},
            "arrays": {name: _plain(a) for name, a in self.arrays().items()},
        }  # fmt: skip
        return json.dumps(document, allow_nan=False)

    def __repr__(self) -> str:
        return f"<trace of {self.net.spec}: C = {self.C:.10g}; print it for a line a layer>"

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

    X of the network's input shape is one sample, X with one dimension more a batch of m. n stands for a layer's units,
    or for channels, height, width of its maps; K for the outputs; T for the steps of sequences:

    ============================  ===============  ===========  ============  ===============
    array                         one sample       a batch      one sequence  a batch of them
    ============================  ===============  ===========  ============  ===============
    `tr.x`, `tr.dx`               (n₀,)            (m, n₀)      (T, n₀)       (m, T, n₀)
    `tr.x` of tokens                                            (T,)          (m, T)
    `tr[l].a_prev`, `.da_prev`    (n of l−1,)      (m, …)       (T, …)        (m, T, …)
    `tr[l].z`, `.a`, `.delta`     (n,)             (m, n)       (T, n)        (m, T, n)
    `tr[l].W`, `.dW`, `.b`, …     as in θ          as in θ      as in θ       as in θ
    `tr.y`, `tr.t`                (K,)             (m, K)       (T, K)        (m, T, K)
    `tr.costs`                    ()               (m,)         (T,)          (m, T)
    `tr[l].state` of `rnn`                                      (T, n)        (m, T, n)
    `tr.triangle(l)` of `rnn`                                   (T, T, n)     (m, T, T, n)
    ============================  ===============  ===========  ============  ===============

    Behind `rnn(…, last=True)` there is one answer a sequence, and no T. `tr.y` of maps stays maps. C, the gradients of
    parameters and `tr.dx` are averaged as C is; costs are of every sample by itself; delta and da_prev too, times its
    weight.

    Args:
        net, X, t, weight_decay, sample_weight, lengths, mask, state: as in `cost_and_gradient`; for one sequence there
            are no lengths and no mask, and the state may be `(n_state,)`.
        dropout: with the masks of update `step` of a training from `seed`, for rows 0, 1, …; else nothing drops.

    >>> net = Network("2/2/1", activation="tanh", output="identity", dtype="float64")
    >>> net.theta = [0.5, -0.5, 1.0, 0.0, 0.1, 0.0, 2.0, -1.0, 0.5]
    >>> tr = trace(net, [1.0, 2.0], 0.0)
    >>> tr[1].z.tolist(), tr[2].z.round(4).tolist(), tr[2].delta.round(4).tolist()
    ([-0.4, 1.0], [-1.0215], [-1.0215])
    >>> tr[2].dW.round(4).tolist()
    [[0.3881, -0.778]]

    As a table, and as text:

    >>> import json
    >>> table = tr.to_dataframe()
    >>> table[(table.array == "z") & (table.layer == 1)]
      array  layer place  value
    2     z      1  (0,)   -0.4
    3     z      1  (1,)    1.0
    >>> json.loads(tr.to_json())["arrays"]["1.z"]
    [-0.4, 1.0]
    """
    if not isinstance(net, Network):
        raise HyperparameterError(f"trace takes a network first, not {net!r:.60}")
    if not isinstance(dropout, bool | np.bool_):
        raise HyperparameterError(f"dropout is True or False, and rates are the layers' own, not {dropout!r:.60}")
    weight_decay, seed = number("weight_decay", weight_decay, least=0), draw_seed(seed)
    step = number("step", step, least=1, most=2**63 - 1, integral=True)
    if lengths is not None or mask is not None:
        _refuse_one_sequence(net, X)
    one = net._rows(X, None, lengths, mask)[1]
    rows, targets, w = net.prepare(X, t, sample_weight, lengths=lengths, mask=mask)
    rows = rows.copy()  # tokens stay as they come, and whoever gave them may change them
    if state is not None:
        given = inputs.numbers(state, "state")
        state = given[None] if one and given.ndim == 1 else given
    T, h = textbook.steps_of(net, rows), inputs.states(net, state, len(rows))
    masks = textbook.dropout_masks(net, seed, step, np.arange(len(rows)), net.dtype, T) if dropout else None
    theta = net.theta.copy()
    with np.errstate(all="ignore"):  # what is not finite is shown as such
        done = textbook.backpropagate(
            net, theta, rows, targets, weight_decay=weight_decay, sample_weight=w, masks=masks, state=h
        )
    return _trace(net, theta, done, one)


def not_finite(arrays: Iterable[tuple[str, NDArray[Any]]]) -> list[str]:
    """The places with NaN or inf in each of these, at most a few of an array.

    >>> not_finite([("W", np.array([[0, np.nan], [1, 2]])), ("b", np.zeros(2))])
    ['W[0, 1] is nan']
    """
    found = list[str]()
    for name, a in arrays:
        places = np.argwhere(~np.isfinite(a))
        for place in places[:MOST_SHOWN].tolist():
            found.append(f"{name}{place if place else ''} is {a[tuple(place)]}")
        found += [f"{name} has {len(places) - MOST_SHOWN:,} more"] * (len(places) > MOST_SHOWN)
    return found


def _refuse_one_sequence(net: Network, X: Samples) -> None:
    """Lengths and masks are for sequences beside each other."""
    given: Any = net.encode(X) if isinstance(X, str) else X
    if net.input_shape[0] is not None or net.preprocessing is not None:
        return  # `prepare` has its own words
    if inputs.is_one_sample(net, inputs.numbers(given, "X")):
        raise ShapeError(
            "X is one sequence, and lengths and mask are for a batch: leave out of X what does not count, "
            "or give a batch of one, X[None]"
        )


def _trace(net: Network, theta: NDArray[Any], done: textbook.Pass, one: bool) -> Trace:
    def shown(a: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(a[0]) if one else a  # the cost of one sample is an array too

    assert done.input_gradient is not None
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
        shown(done.caches[-1].a), shown(done.input_gradient), theta, done, one,
    )  # fmt: skip


def _rms(a: NDArray[Any]) -> str:
    if not a.size:
        return "–"
    sizes = np.abs(a.astype(np.float64))
    largest = float(sizes.max())
    if largest == 0 or not math.isfinite(largest):
        return f"{largest:.3g}"
    return f"{largest * math.sqrt(np.mean(np.square(sizes / largest))):.3g}"  # no square overflows


def _plain(a: NDArray[Any]) -> Any:
    """Nested lists as JSON can hold them."""

    def named(values: Any) -> Any:
        if isinstance(values, list):
            return [named(v) for v in values]
        return values if math.isfinite(values) else str(values)

    return a.tolist() if np.isfinite(a).all() else named(a.tolist())
