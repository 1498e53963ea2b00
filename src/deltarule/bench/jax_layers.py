"""The layers in JAX: one function a kind.

    kind(stage, options) → parameters, and (parameters, a_prev) → z

Options: "layout" is the order of weights, or the axes of images (NCHW; NHWC; CHWN, where the batch comes last); "conv"
is how a convolution is done, by XLA ("lax.conv") or as one product of the kernels with all patches; "pooling" how the
mean or maximum is taken over windows that do not overlap, by `reduce_window` or over two axes of a reshaped image;
"recurrence" is how the gradient goes back through time, by "grad" or "by hand", and "time" how many of its steps a turn
of the loop holds. Tokens choose rows of W, which is faster than a product with one-hot rows.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import ScaledTanh
from deltarule.bench.stages import Stage, last_channels

__all__ = ["CONVOLUTIONS", "DENSE_LAYOUTS", "POOLINGS", "RECURRENCES", "Part", "build", "in_order", "logits"]

DENSE_LAYOUTS = ("W (out,in)", "W (in,out)")
CONVOLUTIONS = (("lax.conv", "NCHW"), ("lax.conv", "NHWC"), ("patches", "NHWC"), ("patches", "CHWN"))
POOLINGS = ("reduce_window", "reshape")
RECURRENCES = ("grad", "by hand")

Options = Mapping[str, Any]
Arrays = tuple[NDArray[np.float32], ...]
Forward = Callable[[Any, Any], Any]


class Part(NamedTuple):
    """A layer: its parameters at θ₀, (parameters, a_prev) → z, f, and f′ ⊙ ∂C/∂a from a and ∂C/∂a."""

    p: Arrays
    z: Forward
    f: Callable[[Any], Any]
    delta: Callable[[Any, Any], Any]


def build(stages: Sequence[Stage], options: Options) -> list[Part]:
    """The network of a problem."""
    f = _activations()
    parts = [Part(*_KINDS[stage.kind](stage, options), *f[stage.activation]) for stage in stages]
    if options["layout"] == "CHWN":
        parts.insert(0, Part((), lambda p, a: a.transpose(1, 2, 3, 0), *f["identity"]))
    return parts


def in_order(X: NDArray[Any], stage: Stage, options: Options) -> NDArray[Any]:
    """X as it is gathered: rows, or images with their channels first or last."""
    if len(stage.input_shape) != 3:
        return X
    channels, height, width = stage.image
    if options["layout"] == "NHWC":
        return last_channels(X, stage.input_shape).reshape(-1, height, width, channels)
    return X.reshape(-1, channels, height, width)


def logits(parts: Sequence[Part], theta: Any, x: Any) -> Any:
    """(θ, x) → z of the last layer, where cross-entropy begins."""
    for part, p in zip(parts, theta):
        x = part.f(part.z(p, x))
    return x


def _dense(stage: Stage, options: Options) -> tuple[Arrays, Forward]:
    layout, b = options["layout"], stage.p["b"]
    W = stage.weights(channels_last=layout == "NHWC")
    if layout == "W (in,out)":
        return (W.T, b), lambda p, a: a @ p[0] + p[1]
    if len(stage.input_shape) != 3:
        return (W, b), lambda p, a: a @ p[0].T + p[1]
    if layout == "CHWN":
        return (W, b), lambda p, a: a.reshape(-1, a.shape[3]).T @ p[0].T + p[1]
    return (W, b), lambda p, a: a.reshape(len(a), -1) @ p[0].T + p[1]


def _conv(stage: Stage, options: Options) -> tuple[Arrays, Forward]:
    """With a link table the kernels that are not there are 0, and so is their gradient."""
    import jax.numpy as jnp

    layout, border, (rows, columns) = options["layout"], stage.layer.border, stage.margins
    frame, by_xla = _along(layout, (0, 0), H=rows, W=columns), options["conv"] == "lax.conv"
    W, table = stage.kernels()
    # of XLA as OIHW or HWIO; for patches as (O, H W I), since a pixel's patch is its taps, each with all channels
    axes = (2, 3, 1, 0) if by_xla and layout == "NHWC" else (0, 1, 2, 3) if by_xla else (0, 2, 3, 1)
    product = _by_xla(stage, layout) if by_xla else _by_patches(stage, layout)
    links = 1 if table is None else table.transpose(axes)
    framed = border or not by_xla

    def z(p: Any, a: Any) -> Any:
        a = jnp.pad(a, frame, constant_values=border) if framed else a
        return product(a, p[0] * links, [(0, 0), (0, 0)] if framed else [rows, columns]) + p[1]

    return (np.ascontiguousarray(W.transpose(axes)), stage.p["b"].reshape(_along(layout, 1, C=-1))), z


def _by_xla(stage: Stage, layout: str) -> Callable[[Any, Any, Any], Any]:
    import jax

    form, stride = (layout, "HWIO" if layout == "NHWC" else "OIHW", layout), stage.windows.stride
    return lambda a, W, pad: jax.lax.conv_general_dilated(a, W, stride, pad, dimension_numbers=form)


def _by_patches(stage: Stage, layout: str) -> Callable[[Any, Any, Any], Any]:
    """Z = W U: the columns of U are the patches under the kernels, made of one slice of the image a tap."""
    import jax.numpy as jnp

    (height, width), (down, across), (rows, columns) = stage.windows
    taps = [
        _along(layout, slice(None), H=slice(u, u + rows * down, down), W=slice(v, v + columns * across, across))
        for u in range(height)
        for v in range(width)
    ]
    form = f"OK,{layout.replace('C', 'K')}->{layout.replace('C', 'O')}"

    def product(a: Any, W: Any, pad: Any) -> Any:
        patches = jnp.concatenate([a[tap] for tap in taps], axis=layout.index("C"))
        return jnp.einsum(form, W.reshape(len(W), -1), patches)

    return product


def _meanpool(stage: Stage, options: Options) -> tuple[Arrays, Forward]:
    import jax

    layout = options["layout"]
    if options["pooling"] == "reshape":
        return (), lambda p, a: _cut(a, stage, layout).mean(axis=_within(layout))
    size, stride = _windows(stage, layout)
    return (), lambda p, a: jax.lax.reduce_window(a, 0.0, jax.lax.add, size, stride, "VALID") / math.prod(size)


def _maxpool(stage: Stage, options: Options) -> tuple[Arrays, Forward]:
    import jax
    import jax.numpy as jnp

    layout = options["layout"]
    if options["pooling"] == "reshape":
        return (), lambda p, a: _cut(a, stage, layout).max(axis=_within(layout))
    size, stride = _windows(stage, layout)
    return (), lambda p, a: jax.lax.reduce_window(a, -jnp.inf, jax.lax.max, size, stride, "VALID")


def _subsample(stage: Stage, options: Options) -> tuple[Arrays, Forward]:
    _, mean = _meanpool(stage, options)
    a_map = _along(options["layout"], 1, C=-1)
    return (stage.p["omega"].reshape(a_map), stage.p["b"].reshape(a_map)), lambda p, a: p[0] * mean((), a) + p[1]


def _along(layout: str, others: Any, **axes: Any) -> tuple[Any, ...]:
    """One entry an axis: those named, and `others` for the rest."""
    return tuple(axes.get(axis, others) for axis in layout)


def _windows(stage: Stage, layout: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Size and stride of the windows, along all four axes."""
    (height, width), (down, across), _ = stage.windows
    return _along(layout, 1, H=height, W=width), _along(layout, 1, H=down, W=across)


def _cut(a: Any, stage: Stage, layout: str) -> Any:
    """An image cut into its windows: height as (rows, height of a window), width alike."""
    (height, width), _, (rows, columns) = stage.windows
    whole = a[_along(layout, slice(None), H=slice(rows * height), W=slice(columns * width))]
    split = {"H": (rows, height), "W": (columns, width)}
    return whole.reshape([n for axis, size in zip(layout, a.shape) for n in split.get(axis, (size,))])


def _within(layout: str) -> tuple[int, int]:
    """The axes of a cut image that lie within a window."""
    return layout.index("H") + 1, layout.index("W") + 2


def _rnn(stage: Stage, options: Options) -> tuple[Arrays, Forward]:
    """W x_t + b of all steps at once, then the loop; h of every step as rows, step by step, or the last h."""
    transposed, recursion = options["layout"] == "W (in,out)", _recursion(stage, options)
    W, U = (weights.T if transposed else weights for weights in (stage.p["W"], stage.p["U"]))

    def z(p: Any, a: Any) -> Any:
        W_in_out, U_in_out = p[:2] if transposed else (p[0].T, p[1].T)
        a = a.swapaxes(0, 1)  # time first: (T, m, n), tokens (T, m)
        found = recursion((W_in_out[a] if a.ndim == 2 else a @ W_in_out) + p[2], U_in_out)
        return found if stage.layer.last else found.reshape(-1, stage.layer.hidden)

    return (W, U, stage.p["b"]), z


def _recursion(stage: Stage, options: Options) -> Callable[[Any, Any], Any]:
    """(W x_t + b `(T, m, n_hidden)`, U (in, out)) → h of all steps `(T, m, n_hidden)`, or the last.

    By hand: δ_t = f′ ⊙ (∂C/∂h_t + δ_{t+1} U) in a loop, and ∂C/∂U = Σ δ_t h_{t−1}ᵀ as one product behind it.
    """
    import jax
    import jax.numpy as jnp

    (f, f_back), last = _activations()[stage.layer.f.name], stage.layer.last
    scan = functools.partial(jax.lax.scan, unroll=options["time"])

    def states(driven: Any, U: Any, every: bool) -> Any:
        def step(h: Any, z: Any) -> Any:
            h = f(z + h @ U)
            return h, h if every else None

        final, found = scan(step, jnp.zeros_like(driven[0]), driven)
        return found if every else final

    def forward(driven: Any, U: Any) -> Any:
        H = states(driven, U, True)
        return (H[-1] if last else H), (H, U)

    def backward(kept: Any, dH: Any) -> Any:
        def step(later: Any, at: Any) -> Any:
            delta = f_back(at, later) if last else f_back(at[0], later + at[1])
            return delta @ U.T, delta

        H, U = kept
        start, along = (dH, H) if last else (jnp.zeros_like(H[0]), (H, dH))
        _, delta = scan(step, start, along, reverse=True)
        return delta, H[:-1].reshape(-1, len(U)).T @ delta[1:].reshape(-1, len(U))

    recursion = functools.partial(states, every=not last)
    if options["recurrence"] == "by hand":
        recursion = jax.custom_vjp(recursion)
        recursion.defvjp(forward, backward)
    return recursion


_KINDS: dict[str, Callable[[Stage, Options], tuple[Arrays, Forward]]] = {
    "dense": _dense, "conv": _conv, "meanpool": _meanpool, "maxpool": _maxpool, "subsample": _subsample, "rnn": _rnn,
}  # fmt: skip


def _activations() -> dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]]:
    """F, and f′ ⊙ ∂C/∂a from a and ∂C/∂a; softmax is left to cross-entropy."""
    import jax
    import jax.numpy as jnp

    A, S = ScaledTanh.amplitude, ScaledTanh.slope
    nothing = (lambda z: z, lambda a, da: da)
    return {
        "identity": nothing,
        "softmax": nothing,
        "relu": (lambda z: jnp.maximum(z, 0), lambda a, da: jnp.where(a > 0, da, 0)),
        "tanh": (jnp.tanh, lambda a, da: da * (1 - a * a)),
        "sigmoid": (jax.nn.sigmoid, lambda a, da: da * a * (1 - a)),
        "scaled tanh": (lambda z: A * jnp.tanh(S * z), lambda a, da: da * (S / A) * (A - a) * (A + a)),
    }
