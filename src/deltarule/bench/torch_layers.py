"""The layers in PyTorch: one function a kind, each the fastest that PyTorch has.

    kind(stage, options, p) → (a_prev → z)

p are the layer's parameters, as `parameters` laid them out. Options: "layout" says how weights and images lie, "call"
that one row is a vector. Activations are taken in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from deltarule.activations import ScaledTanh
from deltarule.bench.stages import Stage, last_channels

__all__ = [
    "DENSE_LAYOUTS", "IMAGE_LAYOUTS", "Options", "Step", "activations", "flatten", "forward", "framed", "in_order",
    "links", "parameters", "view",
]  # fmt: skip

DENSE_LAYOUTS = ("W (out,in)", "W (in,out)")
IMAGE_LAYOUTS = ("contiguous", "channels_last")

Options = Mapping[str, Any]
Step = Callable[[Any], Any]


def in_order(X: NDArray[Any], stage: Stage, options: Options) -> Any:
    """Rows as the first layer wants them: those of images pixel by pixel where channels come last."""
    import torch

    return torch.from_numpy(last_channels(X, stage.input_shape) if _channels_last(options) else X)


def view(stage: Stage, options: Options) -> Step:
    """Rows as the first layer sees them: images `(m, channels, height, width)`, whatever their order in memory."""
    if len(stage.input_shape) != 3:
        return lambda rows: rows
    channels, height, width = stage.image
    if _channels_last(options):
        return lambda rows: rows.view(-1, height, width, channels).permute(0, 3, 1, 2)
    return lambda rows: rows.view(-1, channels, height, width)


def parameters(stage: Stage, options: Options) -> list[Any]:
    """The parameters of a layer at θ₀, in its layout."""
    import torch

    values = dict(stage.p)
    if stage.kind == "dense":
        W = stage.weights(_channels_last(options))
        values["W"] = W.T.copy() if options["layout"] == "W (in,out)" else W
    elif stage.kind == "conv":
        values["W"], _ = stage.kernels()
    found = [torch.from_numpy(value) for value in values.values()]
    if stage.kind == "subsample":
        return [value.view(-1, 1, 1) for value in found]
    order = torch.channels_last if _channels_last(options) else torch.contiguous_format
    return [value.contiguous(memory_format=order) if value.ndim == 4 else value for value in found]


def forward(stage: Stage, options: Options, p: Sequence[Any]) -> Step:
    """a_prev → z of a layer."""
    return _KINDS[stage.kind](stage, options, p)


def activations() -> dict[str, list[Step]]:
    """z → a in place, as steps; none for softmax, since cross-entropy begins at the logits."""
    import torch

    A, S = ScaledTanh.amplitude, ScaledTanh.slope
    return {
        "identity": [], "softmax": [], "relu": [torch.relu_], "tanh": [torch.tanh_], "sigmoid": [torch.sigmoid_],
        "scaled tanh": [lambda z: z.mul_(S).tanh_().mul(A)],
    }  # fmt: skip


def flatten(stage: Stage, options: Options) -> Step:
    """The input of a dense layer as rows, without a copy."""
    if len(stage.input_shape) != 3:
        return lambda a: a
    return (lambda a: a.permute(0, 2, 3, 1).flatten(1)) if _channels_last(options) else (lambda a: a.flatten(1))


def links(stage: Stage) -> Any:
    """1 for each weight of a convolution that there is, 0 for the others; None where all are there."""
    import torch

    table = stage.kernels()[1]
    return None if table is None else torch.from_numpy(table)


def framed(stage: Stage) -> tuple[Step | None, tuple[int, int]]:
    """What puts the margins around a convolution's input, and the padding left to the convolution itself."""
    import torch

    border, (rows, columns) = stage.layer.border, stage.margins
    if border or rows[0] != rows[1] or columns[0] != columns[1]:
        return lambda a: torch.nn.functional.pad(a, (*columns, *rows), value=border), (0, 0)
    return None, (rows[0], columns[0])


def _channels_last(options: Options) -> bool:
    return bool(options["layout"] == "channels_last")


def _dense(stage: Stage, options: Options, p: Sequence[Any]) -> Step:
    import torch

    (W, b), transposed, rows = p, options["layout"] == "W (in,out)", flatten(stage, options)
    linear = torch.nn.functional.linear
    if options.get("call") == "vector":
        return lambda a: torch.addmv(b, W.t() if transposed else W, a)
    if transposed:
        return lambda a: b.addmm(a, W)
    return (lambda a: linear(a, W, b)) if len(stage.input_shape) != 3 else (lambda a: linear(rows(a), W, b))


def _conv(stage: Stage, options: Options, p: Sequence[Any]) -> Step:
    import torch

    (W, b), conv2d, stride, (frame, pad) = p, torch.nn.functional.conv2d, stage.windows.stride, framed(stage)
    return (lambda a: conv2d(frame(a), W, b, stride)) if frame else (lambda a: conv2d(a, W, b, stride, pad))


def _meanpool(stage: Stage, options: Options, p: Sequence[Any]) -> Step:
    import torch

    size, stride, _ = stage.windows
    return lambda a: torch.nn.functional.avg_pool2d(a, size, stride)


def _maxpool(stage: Stage, options: Options, p: Sequence[Any]) -> Step:
    import torch

    size, stride, _ = stage.windows
    return lambda a: torch.nn.functional.max_pool2d(a, size, stride)


def _subsample(stage: Stage, options: Options, p: Sequence[Any]) -> Step:
    import torch

    (omega, b), mean = p, _meanpool(stage, options, ())
    return lambda a: torch.addcmul(b, omega, mean(a))


_KINDS: dict[str, Callable[[Stage, Options, Sequence[Any]], Step]] = {
    "dense": _dense, "conv": _conv, "meanpool": _meanpool, "maxpool": _maxpool, "subsample": _subsample
}  # fmt: skip
