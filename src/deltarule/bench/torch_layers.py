"""The layers in PyTorch: one function a kind, each the fastest that PyTorch has.

    kind(stage, options, p) → (a_prev → z)

p are the layer's parameters, as `parameters` laid them out. Options: "layout" says how weights and images lie, "call"
that one row is a vector. Sequences lie with the batch or the time first ("order") and hold numbers, tokens or one-hot
rows ("inputs"); "recurrence" is PyTorch's own kernel, or a loop. Activations are taken in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from deltarule.activations import ScaledTanh
from deltarule.bench.stages import Stage, last_channels

__all__ = [
    "DENSE_LAYOUTS", "IMAGE_LAYOUTS", "ORDERS", "Options", "Step", "activations", "flatten", "forward", "framed",
    "in_order", "links", "parameters", "time_first", "view",
]  # fmt: skip

DENSE_LAYOUTS = ("W (out,in)", "W (in,out)")
IMAGE_LAYOUTS = ("contiguous", "channels_last")
ORDERS = ("batch first", "time first")

Options = Mapping[str, Any]
Step = Callable[[Any], Any]


def in_order(X: NDArray[Any], stage: Stage, options: Options) -> Any:
    """Rows as the first layer wants them: those of images pixel by pixel where channels come last; or sequences."""
    import torch

    if stage.sequence:
        rows = torch.from_numpy(X)
        if options["inputs"] != "numbers":
            rows = rows.long()
        if options["inputs"] == "one-hot":
            rows = torch.eye(stage.input_shape[1] or 0)[rows]
        return rows.transpose(0, int(time_first(options))).contiguous()
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
    if stage.kind in ("dense", "rnn"):
        values["W"] = stage.weights(_channels_last(options))
        if options["layout"] == "W (in,out)":
            values |= {name: values[name].T.copy() for name in ("W", "U") if name in values}
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


def time_first(options: Options) -> bool:
    """Whether sequences lie as `(T, m, …)`, not `(m, T, …)`."""
    return options.get("order") == "time first"


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


def _rnn(stage: Stage, options: Options, p: Sequence[Any]) -> Step:
    """Sequences → h of every step as rows, or the last h; PyTorch's second bias is 0 and not trained."""
    import torch

    if options["recurrence"] == "loop":
        return _loop(stage, options, p)
    (W, U, b), last, batch_first = p, stage.layer.last, not time_first(options)
    kernel = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}[stage.layer.f.name]
    theta = [W, U, b, torch.zeros_like(b, requires_grad=False)]

    def run(a: Any) -> Any:
        h0 = a.new_zeros(1, len(a) if batch_first else a.shape[1], len(U))
        every, final = kernel(a, h0, theta, True, 1, 0.0, True, False, batch_first)  # biases, layers, dropout, train, …
        return final[0] if last else every.flatten(0, 1)

    return run


def _loop(stage: Stage, options: Options, p: Sequence[Any]) -> Step:
    """W x_t + b of all steps at once, then one product and f a step; weights are (in, out), the time comes first."""
    import torch

    (W, U, b), last, f = p, stage.layer.last, activations()[stage.layer.f.name]
    embedding, tokens = torch.nn.functional.embedding, options["inputs"] == "tokens"

    def run(a: Any) -> Any:
        driven = embedding(a, W).add_(b) if tokens else torch.addmm(b, a.flatten(0, 1), W).view(*a.shape[:2], -1)
        first, *others = driven.unbind(0)
        states: list[Any] = []
        for z in (first.clone(), *others):
            h = z.addmm(states[-1], U) if states else z
            for step in f:
                h = step(h)
            states.append(h)
        return states[-1] if last else torch.cat(states)

    return run


_KINDS: dict[str, Callable[[Stage, Options, Sequence[Any]], Step]] = {
    "dense": _dense, "conv": _conv, "meanpool": _meanpool, "maxpool": _maxpool, "subsample": _subsample, "rnn": _rnn,
}  # fmt: skip
