"""Pooling: one number for every window of a map.

    mean        a = Σ_uv (A_prev)_uv / n                          n numbers a window; see maps.py for (A)_uv
                ∂C/∂A_prev = Σ_uv spread_uv(δ / n)                where windows tile the map: δ ⊗ ones / n (kron)
    max         a = max_uv (A_prev)_uv
                ∂C/∂A_prev = Σ_uv spread_uv([(u, v) is the first to reach a] δ)
    subsample   z_o = ω_o mean_o + b_o,  a = f(z)                 two parameters a map
                ∂C/∂ω_o = Σ δ_o mean_o,  ∂C/∂b_o = Σ δ_o,  ∂C/∂mean_o = ω_o δ_o

Windows may overlap; what the last one leaves of a height or width is dropped, as elsewhere in the field: it has no
influence, and its ∂C/∂A_prev is 0. Source: LeCun et al., Proc. IEEE 86 (1998) 2278-2324; documents 000 and 003.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np

from deltarule.activations import Activation
from deltarule.arrays import Array, Shape, namespace, real_part
from deltarule.initializers import Initializer, Zeros, initializer
from deltarule.layers.base import Cache, Context, Equation, Gradients, Layer, Parameters, Weighted
from deltarule.layers.maps import Pair, Windows, check_maps, even, no_softmax, pair, spread, tap

__all__ = ["MaxPool", "MeanPool", "Subsample"]


@dataclass(frozen=True)
class _Pool(Layer):
    """Windows of `size`, `stride` apart (their own size unless said)."""

    size: int | Pair
    stride: int | Pair | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        size = pair(f"{self.name}: size", self.size)
        stride = size if self.stride is None else pair(f"{self.name}: stride", self.stride)
        object.__setattr__(self, "size", even(size))
        object.__setattr__(self, "stride", None if stride == size else even(stride))

    def windows(self, image: Pair) -> Windows:
        """The windows over maps of this height and width."""
        size = pair("size", self.size)
        return Windows.over(size, size if self.stride is None else pair("stride", self.stride), image, "the window")

    def output_shape(self, input_shape: Shape) -> Shape:
        channels, height, width = check_maps(self, input_shape)
        return (channels, *self.windows((height, width)).grid)


@dataclass(frozen=True)
class MeanPool(_Pool):
    """The mean of every window.

    >>> MeanPool(2).output_shape((6, 28, 28)), MeanPool(3, 2).output_shape((6, 28, 28))
    ((6, 14, 14), (6, 13, 13))
    """

    name = "meanpool"

    def forward(self, p: Parameters, a_prev: Array, ctx: Context) -> Cache:
        a = _mean(a_prev, self.windows(a_prev.shape[-2:]))
        return Cache(a_prev, a, a)

    def backward(self, p: Parameters, delta: Array, cache: Cache) -> tuple[Array, Gradients]:
        image = cache.a_prev.shape[-2:]
        return _mean_back(delta, self.windows(image), image), {}

    def equations(self) -> list[Equation]:
        return [
            Equation("activation", r"a = \frac{1}{n} \sum_{u, v} a_{\mathrm{prev}}[y s + u, x s + v]", "(maps, h, w)"),
            Equation(
                "input",
                r"\frac{\partial C}{\partial a_{\mathrm{prev}}}[i, j] = \frac{1}{n} \sum_{u, v} "
                r"\delta[(i - u) / s, (j - v) / s]",
                "(maps, height, width)",
            ),
        ]


@dataclass(frozen=True)
class MaxPool(_Pool):
    """The largest number of every window; of equal ones the first, row by row, takes the whole δ.

    >>> MaxPool(2).output_shape((6, 24, 24))
    (6, 12, 12)
    """

    name = "maxpool"

    def forward(self, p: Parameters, a_prev: Array, ctx: Context) -> Cache:
        xp, windows = namespace(a_prev), self.windows(a_prev.shape[-2:])
        a = None
        for u, v in windows.offsets():
            x = tap(a_prev, u, v, windows)
            a = x if a is None else xp.where(_above(x, a), x, a)
        return Cache(a_prev, a, a)

    def backward(self, p: Parameters, delta: Array, cache: Cache) -> tuple[Array, Gradients]:
        xp, image = namespace(delta), cache.a_prev.shape[-2:]
        windows, zero = self.windows(image), xp.zeros_like(delta)
        da_prev, wanted = None, xp.ones(delta.shape, dtype=xp.bool)
        for u, v in windows.offsets():
            here = wanted & (tap(cache.a_prev, u, v, windows) == cache.a)
            wanted = wanted & ~here
            part = spread(xp.where(here, delta, zero), u, v, windows, image)
            da_prev = part if da_prev is None else da_prev + part
        return da_prev, {}

    def equations(self) -> list[Equation]:
        return [
            Equation("activation", r"a = \max_{u, v} a_{\mathrm{prev}}[y s + u, x s + v]", "(maps, h, w)"),
            Equation(
                "input",
                r"\frac{\partial C}{\partial a_{\mathrm{prev}}}[i, j] = \sum_{y, x \,:\, [i, j] \text{ is the first "
                r"largest of window } y, x} \delta[y, x]",
                "(maps, height, width)",
            ),
        ]


class SubsampleCache(NamedTuple):
    """z and a, and the windows' means."""

    a_prev: Array
    z: Array
    a: Array
    mean: Array


@dataclass(frozen=True)
class Subsample(Weighted):
    """LeNet-5's trainable pooling: f(ω · mean + b), one ω and one b for each map.

    `initializer` draws ω, 1 unless said; its fan-in is 1, the mean.

    >>> Subsample(2).parameter_shapes((6, 28, 28))
    {'omega': (6,), 'b': (6,)}
    """

    name = "subsample"
    size: int | Pair
    activation: Activation | str | None = None
    initializer: Initializer | str | None = field(default=None, kw_only=True)
    bias_initializer: Initializer | str = field(default_factory=Zeros, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        no_softmax(self.activation)
        object.__setattr__(self, "size", even(pair("subsample: size", self.size)))

    def windows(self, image: Pair) -> Windows:
        """The windows over maps of this height and width."""
        size = pair("size", self.size)
        return Windows.over(size, size, image, "the window")

    def output_shape(self, input_shape: Shape) -> Shape:
        channels, height, width = check_maps(self, input_shape)
        return (channels, *self.windows((height, width)).grid)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        channels, *_ = check_maps(self, input_shape)
        return {"omega": (channels,), "b": (channels,)}

    def initial(self, input_shape: Shape, random: np.random.Generator) -> dict[str, Any]:
        maps, fans = cast(int, input_shape[0]), (1, 1)
        omega = (
            np.ones(maps) if self.initializer is None else initializer(self.initializer).draw(random, (maps,), *fans)
        )
        return {"omega": omega, "b": initializer(self.bias_initializer).draw(random, (maps,), *fans)}

    def forward(self, p: Parameters, a_prev: Array, ctx: Context) -> SubsampleCache:
        mean = _mean(a_prev, self.windows(a_prev.shape[-2:]))
        z = p["omega"][:, None, None] * mean + p["b"][:, None, None]
        return SubsampleCache(a_prev, z, self.f.f(z), mean)

    def backward(self, p: Parameters, delta: Array, cache: SubsampleCache) -> tuple[Array, Gradients]:
        xp, image = namespace(delta), cache.a_prev.shape[-2:]
        da_prev = _mean_back(p["omega"][:, None, None] * delta, self.windows(image), image)
        return da_prev, {"omega": xp.sum(delta * cache.mean, axis=(0, 2, 3)), "b": xp.sum(delta, axis=(0, 2, 3))}

    def equations(self) -> list[Equation]:
        f = self.f
        return [
            Equation("mean", r"\bar a = \frac{1}{n} \sum_{u, v} a_{\mathrm{prev}}[y s + u, x s + v]", "(maps, h, w)"),
            Equation("net value", r"z_o = \omega_o \, \bar a_o + b_o", "(maps, h, w)"),
            Equation("activation", rf"a = f(z) = {f.equation}", "(maps, h, w)"),
            Equation("delta", r"\delta = f'(z) \odot \frac{\partial C}{\partial a}", "(maps, h, w)"),
            Equation("activation's derivative", rf"f'(z) = {f.derivative_equation}", "(maps, h, w)"),
            Equation("weights", r"\frac{\partial C}{\partial \omega_o} = \sum \delta_o \bar a_o", "(maps)"),
            Equation("biases", r"\frac{\partial C}{\partial b_o} = \sum \delta_o", "(maps)"),
            Equation(
                "input", r"\frac{\partial C}{\partial a_{\mathrm{prev}}} = \frac{\omega_o}{n} \, \delta_o \otimes 1",
                "(maps, height, width)",
            ),
        ]  # fmt: skip


def _mean(a: Array, windows: Windows) -> Array:
    total = sum(tap(a, u, v, windows) for u, v in windows.offsets())
    return total / (windows.size[0] * windows.size[1])


def _mean_back(delta: Array, windows: Windows, image: Pair) -> Array:
    share = delta / (windows.size[0] * windows.size[1])
    return sum(spread(share, u, v, windows, image) for u, v in windows.offsets())


def _above(x: Array, a: Array) -> Array:
    """x > a, and x is not a number: that must not vanish."""
    return (real_part(x) > real_part(a)) | (x != x)
