"""Where a training left the finite numbers: the diagnosis that the error carries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.engines import Settings, Slice, textbook
from deltarule.errors import DivergenceError
from deltarule.network import Network

__all__ = ["divergence"]


def divergence(
    net: Network,
    samples: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None],
    part: Slice,
    step: int,
    epoch: int,
    settings: Settings,
) -> DivergenceError:
    """The error for update `step` of a slice, which gave a number that is not finite at the network's θ."""
    X, t, w = samples
    k = step - part.first_step
    rows, rate = list(part.batches)[k], part.rates[k]
    masks = textbook.dropout_masks(net, settings.seed, step, rows, net.theta.dtype)
    with np.errstate(all="ignore"):
        done = textbook.backpropagate(
            net, net.theta, X[rows], t[rows], weight_decay=settings.weight_decay,
            sample_weight=None if w is None else w[rows], masks=masks,
        )  # fmt: skip
    layer, what = _first_fault(net, done)
    place = f"layer {layer} ({net.layers[layer - 1]}): {what}" if layer else what
    return DivergenceError(
        f"training diverged in epoch {epoch}, step {step}: {place}. The last finite weights are kept. "
        f"Lower the learning rate (it was {rate:.3g}), clip the gradient (clip_norm=1), or scale the inputs",
        epoch=epoch, step=step, layer=layer,
    )  # fmt: skip


def _first_fault(net: Network, done: textbook.Pass) -> tuple[int, str]:
    """The first stage whose numbers are not finite, forward and then backward; 0 where it is the cost."""
    for stage, cache in enumerate(done.caches, 1):
        if not (np.isfinite(cache.z).all() and np.isfinite(cache.a).all()):
            return stage, "its net values or activations are not finite"
    if not np.isfinite(done.cost):
        return 0, "the cost is not finite"
    for stage in range(len(net.layers), 0, -1):
        parts = [done.deltas[stage - 1], *done.gradients[stage - 1].values()]
        if not all(np.isfinite(part).all() for part in parts):
            return stage, "its gradient is not finite"
    largest = [
        max((np.abs(g).max() for g in part.values()), default=0.0) if layer.trainable else 0.0
        for layer, part in zip(net.layers, done.gradients)
    ]
    return int(np.argmax(largest)) + 1, "its update is not finite"
