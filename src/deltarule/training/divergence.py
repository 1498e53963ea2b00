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
    return DivergenceError(
        f"training diverged in epoch {epoch}, step {step}: {where}",
        f"Lower the learning rate (it was {rate:.3g}), clip the gradient (clip_norm=1), or scale the inputs",
        epoch=epoch, step=step, layer=layer, sample=sample,
    )  # fmt: skip


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
