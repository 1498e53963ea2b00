"""The story of one pass, as the page reads it: the network, the steps, and every array by name.

    "x", "t"                        the row as the first layer sees it, the target as a row like ŷ
    "2.W", "2.b", …                 parameters of layer 2
    "2.z", "2.a", "2.slope"         net value, activation, f′(z); where z = a only "2.a"; no slope where δ = ŷ − t
    "2.mean", "2.mask", "2.before"  a window's mean, a dropout mask, h_{t−1} of every step
    "2.da", "2.delta"               ∂C/∂a and δ = ∂C/∂z, of the sample, not averaged; where z = a only "2.delta"
    "2.dW", "2.db", …, "dx"         averaged, decay included
    "costs", "C", "C_after"         of every step; the whole; after one update

Arrays are base64 of little-endian floats, row by row.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import Activation, Identity, Softmax
from deltarule.derivation.draft import drawn
from deltarule.derivation.sample import ours
from deltarule.layers import RNN, Conv, Dense, Dropout, Layer, MaxPool, MeanPool, Subsample
from deltarule.layers.base import Weighted
from deltarule.layers.maps import pair
from deltarule.layers.tokens import are_tokens
from deltarule.optimizers import Optimizer
from deltarule.trace import LayerTrace, Trace

__all__ = ["acts", "arrays_of", "constants_of", "encoded", "layers_of", "parameters_after"]

KINDS = {Dense: "dense", Conv: "conv", MeanPool: "meanpool", MaxPool: "maxpool", Subsample: "subsample", RNN: "rnn",
         Dropout: "dropout"}  # fmt: skip
SHORT_ENOUGH = 1000  # so many numbers are written as they are; of more, those that float32 holds in half the space

Array = NDArray[Any]


def encoded(values: Any) -> dict[str, Any]:
    """An array as the page reads it.

    >>> encoded([1.0, 2.0])
    {'shape': [2], 'type': 'float64', 'data': 'AAAAAAAA8D8AAAAAAAAAQA=='}
    """
    a = np.asarray(values, np.float64)
    with np.errstate(over="ignore"):
        short = a.astype(np.float32)
    exact = a.size > SHORT_ENOUGH and np.array_equal(short, a, equal_nan=True)
    kept = short.astype("<f4") if exact else a.astype("<f8")
    data = base64.b64encode(kept.tobytes()).decode()
    return {"shape": list(a.shape), "type": "float32" if exact else "float64", "data": data}


def arrays_of(tr: Trace) -> dict[str, Array]:
    """All that the pass computed, by name."""
    found = {"x": tr.x, "t": tr.t, "C": np.array(tr.C)}
    if tr.costs.ndim:
        found["costs"] = tr.costs
    for layer in tr:
        found |= {f"{layer.stage}.{name}": a for name, a in _of_layer(tr, layer).items()}
    return found if are_tokens(tr.x) else found | {"dx": tr.dx}


def _of_layer(tr: Trace, layer: LayerTrace) -> dict[str, Array]:
    found, f = dict(layer.parameters), layer.layer.f
    if acts(layer.layer):
        found["z"] = layer.z
        da = tr.done.das[layer.stage]
        if da is not None:  # of a canonical output's last layer it is not needed, nor its slope
            found["da"] = da[0]
            if not isinstance(f, Softmax):
                found["slope"] = f.derivative(layer.z, layer.a)
    found |= {"a": layer.a, "delta": layer.delta}
    cache = tr.done.caches[layer.stage - 1]
    if isinstance(layer.layer, Subsample):
        found["mean"] = cache.mean[0]
    if layer.mask is not None:
        found["mask"] = layer.mask
    if layer.state is not None:
        found["before"] = layer.state
    return found | {f"d{name}": g for name, g in layer.gradients.items()}


def acts(layer: Layer) -> bool:
    """Whether the layer has an activation between z and a."""
    return isinstance(layer, Weighted) or not isinstance(layer.f, Identity)


def parameters_after(tr: Trace, optimizer: Optimizer, eta: float) -> Array:
    """θ after one update, the optimiser's first."""
    net, theta = tr.net, tr.theta
    g = net.join([layer.gradients for layer in tr], theta)
    with np.errstate(all="ignore"):
        after, _ = optimizer.update(theta, g, optimizer.begin(theta), eta, 1, net.decayed)
    return np.where(net.trainable, after, theta)


def layers_of(tr: Trace) -> list[dict[str, Any]]:
    """What the page must know of every layer."""
    return [_layer(layer) for layer in tr]


def _layer(t: LayerTrace) -> dict[str, Any]:
    layer, kind = t.layer, KINDS.get(type(t.layer), "custom")
    found = {
        "stage": t.stage, "kind": kind, "text": str(drawn(layer)), "shape": list(t.a.shape),
        "inputShape": list(t.a_prev.shape), "activation": _activation(layer), "parameters": list(t.parameters),
        "decays": sorted(layer.decays & set(t.parameters)), "trainable": layer.trainable,
        "tokens": are_tokens(t.a_prev), "last": bool(getattr(layer, "last", False)),
    }  # fmt: skip
    if isinstance(layer, Conv) and kind == "conv":
        channels, *image = t.a_prev.shape
        table = layer.table(channels)
        found |= {
            "kernel": list(pair("kernel", layer.kernel)), "stride": list(pair("stride", layer.stride)),
            "before": list(layer.margins((image[0], image[1]))[0]), "border": layer.border,
            "numbers": None if table is None else np.where(
                table.numbers < table.total, table.numbers, -1).reshape(table.shape).tolist(),
        }  # fmt: skip
    if kind in ("meanpool", "maxpool", "subsample"):
        windows = layer.windows(t.a_prev.shape[-2:])  # type: ignore[attr-defined]
        found |= {"size": list(windows.size), "stride": list(windows.stride)}
    return found


def _activation(layer: Layer) -> dict[str, Any] | None:
    f: Activation = layer.f
    return {"name": f.name, "constants": constants_of(f), "ours": ours(f)} if acts(layer) else None


def constants_of(thing: Any) -> Mapping[str, Any]:
    """The constants of an activation, a cost or an optimiser by their names, those that are numbers."""
    values = {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing)} if ours(thing) else {}
    return {name: v for name, v in values.items() if isinstance(v, int | float | bool)}
