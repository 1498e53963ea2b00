"""Where a training left the finite numbers: the diagnosis that the error carries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.engines import Settings, Slice, textbook
from deltarule.errors import DivergenceError
from deltarule.network import Network
from deltarule.training.standing import Samples

__all__ = ["divergence"]


def divergence(
    net: Network,
    samples: Samples,
    part: Slice,
    step: int,
    epoch: int,
    settings: Settings,
    carried: NDArray[Any] | None = None,
) -> DivergenceError:
    """The error for update `step` of a slice, which gave a number that is not finite at the network's θ."""
    X, t, w = samples[:3]
    at = step - part.first_step
    rows, rate = list(part.batches)[at], part.rates[at]
    masks = textbook.dropout_masks(net, settings.seed, step, rows, net.theta.dtype, textbook.steps_of(net, X))
    with np.errstate(all="ignore"):
        done = textbook.backpropagate(
            net, net.theta, X[rows], t[rows], weight_decay=settings.weight_decay,
            sample_weight=None if w is None else w[rows], masks=masks, state=carried,
        )  # fmt: skip
    layer, what, k = _first_fault(net, done)
    sample = None if k is None else int(rows[k]) // samples.windows
    where = f"layer {layer} ({net.layers[layer - 1]}): {what}" if layer else what
    where += "" if sample is None else f", first for the sample in row {sample}"
    where += _norm(net, done) + (_through_time(net, done) if net.n_state else "")
    slower, clip = f"ower the learning rate (it was {rate:.3g})", "lip the gradient (clip_norm=1)"
    remedy = f"C{clip}, l{slower}" if net.n_state else f"L{slower}, c{clip}"
    return DivergenceError(
        f"training diverged in epoch {epoch}, step {step}: {where}", f"{remedy}, or scale the inputs",
        epoch=epoch, step=step, layer=layer, sample=sample,
    )  # fmt: skip


def _norm(net: Network, done: textbook.Pass) -> str:
    """‖∂C/∂θ‖ over what learns, where it is a number that explains something."""
    parts = [g for layer, part in zip(net.layers, done.gradients) if layer.trainable for g in part.values()]
    largest = max((float(np.abs(g).max()) for g in parts), default=0.0)
    if not 0 < largest < np.inf:
        return ""
    norm = largest * float(np.sqrt(sum(np.square(g / largest, dtype=np.float64).sum() for g in parts)))
    return f"; the gradient's norm is {norm:.3g}"


def _through_time(net: Network, done: textbook.Pass) -> str:
    """How h grows on its way forward, or δ on its way back, in the first layer where it leaves the numbers."""
    for layer, cache in zip(net.layers, done.caches):
        if layer.state_size and (said := _growth(cache.after, "the state explodes, ‖hₜ‖", "", 1)):
            return said
    for layer, delta in zip(reversed(net.layers), reversed(done.deltas)):
        if layer.state_size and (
            said := _growth(delta[:, ::-1], "the gradient explodes, ‖δₜ‖", " on its way back", -1)
        ):
            return said
    return ""


def _growth(a: NDArray[Any], name: str, way: str, direction: int) -> str:
    """How the norm of a step's numbers grows until it is none; steps count from 1, on the way back from T down."""
    T = a.shape[1]
    norms = np.sqrt(np.square(a, dtype=np.float64).sum(axis=(0, 2)))
    k = int(np.argmin(np.isfinite(norms)))  # the first that is not finite
    if k < 2 or np.isfinite(norms).all():
        return ""
    first, last = (1, k) if direction > 0 else (T, T + 1 - k)
    return f"; {name} grows from {norms[0]:.3g} at step {first} to {norms[k - 1]:.3g} at step {last}{way}, and beyond"


def _first_fault(net: Network, done: textbook.Pass) -> tuple[int, str, int | None]:
    """Where numbers first are not finite, forward and then backward: (the stage, 0 for the cost; what; the sample)."""
    for stage, cache in enumerate(done.caches, 1):
        k = _first_row(cache.z, cache.a)
        if k is not None:
            return stage, "its net values or activations are not finite", k
    if not np.isfinite(done.cost):
        return 0, "the cost is not finite", None
    for stage in range(len(net.layers), 0, -1):
        k = _first_row(done.deltas[stage - 1])
        if k is not None or not all(np.isfinite(g).all() for g in done.gradients[stage - 1].values()):
            return stage, "its gradient is not finite", k
    largest = [
        max((np.abs(g).max() for g in part.values()), default=0.0) if layer.trainable else 0.0
        for layer, part in zip(net.layers, done.gradients)
    ]
    return int(np.argmax(largest)) + 1, "its update is not finite", None


def _first_row(*arrays: NDArray[Any]) -> int | None:
    """The first row in which some array is not finite."""
    bad = np.zeros(len(arrays[0]), bool)
    for a in arrays:
        bad |= ~np.isfinite(a).reshape(len(a), -1).all(axis=1)
    return int(np.argmax(bad)) if bad.any() else None
