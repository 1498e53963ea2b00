"""The formulas of the way up, written out: each right-hand side, entry by entry, as the formula reads.

They share nothing with the layers' own code but the parameters. `written_out(layer, name)` gives, for a formula of that
name, a function of (the layer's trace, a place of its left-hand side) → the number that stands there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deltarule.layers import RNN, Conv, Dense, Dropout, Layer, MaxPool, MeanPool, Subsample
from deltarule.trace import LayerTrace

__all__ = ["left_side", "written_out"]

Written = Callable[[LayerTrace, tuple[int, ...]], float]


def left_side(name: str, k: LayerTrace) -> Any:
    """The array that a formula of this name gives."""
    if name == "mean":
        return np.array([k.z[o] * 0 for o in range(len(k.z))]) + _means(k)
    return {"net value": k.z, "activation": k.a, "state": k.a}.get(name)


def written_out(layer: Layer, name: str) -> Written | None:
    """How to compute one entry; None for a formula that has no value of its own."""
    if name in ("activation", "state") and not isinstance(layer, Dropout | MaxPool | MeanPool):
        return _activation
    found = (WRITTEN.get((kind, name)) for kind in type(layer).__mro__)  # a user's layer is one of ours at heart
    return next(filter(None, found), None)


def _activation(k: LayerTrace, place: tuple[int, ...]) -> float:
    if k.layer.f.name == "softmax":
        e = np.exp(k.z[place[:-1]] - k.z[place[:-1]].max())
        return float(e[place[-1]] / sum(e.tolist()))
    return float(k.layer.f.f(k.z[place]))


def _dense(k: LayerTrace, place: tuple[int, ...]) -> float:
    *step, i = place  # of a sequence, every step for itself
    W, b = k.parameters["W"], k.parameters["b"]
    a = k.a_prev[tuple(step)]
    if np.ndim(a) == 0:  # a token
        return float(W[i, int(a)] + b[i])
    return float(sum(W[i, j] * x for j, x in enumerate(np.ravel(a))) + b[i])


def _conv(k: LayerTrace, place: tuple[int, ...]) -> float:
    layer: Any = k.layer
    o, y, x = place
    channels, height, width = k.a_prev.shape
    windows, ((top, left), _) = layer.windows((height, width)), layer.margins((height, width))
    table = layer.table(channels)
    W = k.parameters["W"] if table is None else table.scatter(k.parameters["W"])
    total = float(k.parameters["b"][o])
    for c in range(channels):
        for u in range(windows.size[0]):
            for v in range(windows.size[1]):
                i, j = y * windows.stride[0] + u - top, x * windows.stride[1] + v - left
                inside = 0 <= i < height and 0 <= j < width
                total += float(W[o, c, u, v]) * float(k.a_prev[c, i, j] if inside else layer.border)
    return total


def _window(k: LayerTrace, place: tuple[int, ...]) -> list[float]:
    layer: Any = k.layer
    o, y, x = place
    windows = layer.windows(k.a_prev.shape[-2:])
    (rows, columns), (down, across) = windows.size, windows.stride
    return [float(k.a_prev[o, y * down + u, x * across + v]) for u in range(rows) for v in range(columns)]


def _mean(k: LayerTrace, place: tuple[int, ...]) -> float:
    window = _window(k, place)
    return sum(window) / len(window)


def _means(k: LayerTrace) -> Any:
    p = k.parameters
    return (k.z - p["b"][:, None, None]) / p["omega"][:, None, None]


def _subsample(k: LayerTrace, place: tuple[int, ...]) -> float:
    o = place[0]
    return float(k.parameters["omega"][o] * _mean(k, place) + k.parameters["b"][o])


def _recurrent(k: LayerTrace, place: tuple[int, ...]) -> float:
    t, i = place
    W, U, b = (k.parameters[name] for name in ("W", "U", "b"))
    x, h = k.a_prev[t], k.state[t] if k.state is not None else np.zeros(len(U))
    driven = float(W[i, int(x)]) if np.ndim(x) == 0 else sum(float(W[i, j]) * float(v) for j, v in enumerate(x))
    return driven + sum(float(U[i, j]) * float(v) for j, v in enumerate(h)) + float(b[i])


WRITTEN: dict[tuple[type, str], Written] = {
    (Dense, "net value"): _dense,
    (Conv, "net value"): _conv,
    (MeanPool, "activation"): _mean,
    (MaxPool, "activation"): lambda k, place: max(_window(k, place)),
    (Subsample, "mean"): _mean,
    (Subsample, "net value"): _subsample,
    (RNN, "net value"): _recurrent,
    (Dropout, "activation"): lambda k, place: float(k.a_prev[place] * (1.0 if k.mask is None else k.mask[place])),
}
