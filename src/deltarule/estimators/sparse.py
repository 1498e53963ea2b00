"""Rows that are almost all zero: the first layer by SciPy's sparse products, the others by the textbook's verbs.

    z⁽¹⁾ = X W⁽¹⁾ᵀ + b⁽¹⁾,  ∂C/∂W⁽¹⁾ = δ⁽¹⁾ᵀ X             X is never written out

Rows with more than a few numbers are better written out some at a time, for the engine: see samples.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.architecture import Architecture
from deltarule.engines import textbook
from deltarule.layers import Context
from deltarule.layers.base import Cache

__all__ = ["cost_and_gradient", "outputs"]


def outputs(net: Architecture, theta: NDArray[Any], X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """(z⁽ᴸ⁾, ŷ) of sparse rows."""
    last = _forward(net, theta, X, {})[-1]
    return last.z, last.a


def cost_and_gradient(
    net: Architecture, theta: NDArray[Any], X: Any, t: NDArray[Any], w: NDArray[Any] | None, masks: textbook.Masks
) -> tuple[float, NDArray[Any]]:
    """C and ∂C/∂θ over sparse rows, without decay; targets and weights as an engine takes them."""
    caches, p = _forward(net, theta, X, masks), net.split(theta)
    z, y = caches[-1].z, caches[-1].a
    if t.ndim == 1:
        t = (t[:, None] == np.arange(y.shape[1])).astype(y.dtype)
    w = np.ones(len(y), y.dtype) if w is None else w
    total = w.sum(dtype=np.float64) or 1.0
    C = float(np.sum(w * net.output.value(z, y, t), dtype=np.float64) / total)
    share = (w / w.dtype.type(total))[:, None]  # so that gradients are averaged
    if net.output.canonical:
        delta = share * net.output.delta(z, y, t)
    else:
        delta = net.layers[-1].delta(p[-1], share * net.output.cost.derivative(y, t), caches[-1])
    gradients: list[dict[str, Any]] = []
    for k in reversed(range(1, len(net.layers))):
        da, g = net.layers[k].backward(p[k], delta, caches[k])
        gradients.insert(0, g)
        delta = net.layers[k - 1].delta(p[k - 1], da, caches[k - 1])
    gradients.insert(0, {"W": np.asarray(X.T @ delta).T, "b": delta.sum(axis=0)})
    return C, net.join(gradients, theta)


def _forward(net: Architecture, theta: NDArray[Any], X: Any, masks: textbook.Masks) -> list[Cache]:
    (first, *others), p = net.layers, net.split(theta)
    z = np.asarray(X @ p[0]["W"].T, theta.dtype) + p[0]["b"]
    caches = [Cache(X, z, first.f.f(z))]
    for stage, layer in enumerate(others, 2):
        caches.append(layer.forward(p[stage - 1], caches[-1].a, Context(masks.get(stage))))
    return caches
