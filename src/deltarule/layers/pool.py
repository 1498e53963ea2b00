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
from deltarule.layers.base import (
    Cache,
    Context,
    Equation,
    Gradients,
    Layer,
    Parameters,
    Weighted,
    activation_equations,
)
from deltarule.layers.maps import Pair, Windows, check_maps, even, no_softmax, pair, patches, places, sizes, spread, tap

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

    def equations(self, input_shape: Shape | None = None) -> list[Equation]:
        w = _Written(self, input_shape)
        return [
            Equation("activation", rf"a_c[y, x] = {w.mean}", w.own, "a", w.means, w.reading),
            Equation(
                "input", rf"{w.down}[i, j] = \frac{{1}}{{{w.n}}} \sum_{{y, x{w.over}}} \delta_c[y, x]", w.below,
                "da_prev", lambda q: w.shared(q.delta, q), "Every place of a window has the same share of its δ:",
            ),
            *w.grown("", lambda q: q.delta),
        ]  # fmt: skip


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

    def equations(self, input_shape: Shape | None = None) -> list[Equation]:
        w = _Written(self, input_shape)
        return [
            Equation(
                "activation", rf"a_c[y, x] = \max_{{u, v}} a_{{\mathrm{{prev}},c}}{w.seen}", w.own, "a",
                lambda q: w.patches(q).max(axis=(-2, -1)), w.reading,
            ),
            Equation(
                "input",
                rf"{w.down}[i, j] = \sum_{{y, x \,:\, [i, j] = \operatorname{{argmax}}_c[y, x]}} \delta_c[y, x]",
                w.below, "da_prev", w.first,
                "The largest of a window, of equal ones the first row by row, argmax, has the whole of its δ:",
            ),
        ]  # fmt: skip


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

    def equations(self, input_shape: Shape | None = None) -> list[Equation]:
        w = _Written(self, input_shape)
        up, back = activation_equations(self.f, w.own)
        maps = f"({'maps' if input_shape is None else input_shape[0]})"
        return [
            Equation("mean", rf"\bar a_c[y, x] = {w.mean}", w.own, "mean", w.means, w.reading),
            Equation(
                "net value", r"z_c = \omega_c \, \bar a_c + b_c", w.own, "z",
                lambda q: q.omega[:, None, None] * w.means(q) + q.b[:, None, None],
            ),
            *up,
            *back,
            Equation(
                "weights", r"\frac{\partial C}{\partial \omega_c} = \sum_{y, x} \delta_c[y, x] \, \bar a_c[y, x]", maps,
                "domega", lambda q: np.sum(q.delta * w.means(q), axis=(1, 2)),
            ),
            Equation(
                "biases", r"\frac{\partial C}{\partial b_c} = \sum_{y, x} \delta_c[y, x]", maps, "db",
                lambda q: np.sum(q.delta, axis=(1, 2)),
            ),
            Equation(
                "input", rf"{w.down}[i, j] = \frac{{\omega_c}}{{{w.n}}} \sum_{{y, x{w.over}}} \delta_c[y, x]", w.below,
                "da_prev", lambda q: w.shared(q.omega[:, None, None] * q.delta, q),
                "Every place of a window has the same share of its δ:",
            ),
            *w.grown(r"\omega_c \, ", lambda q: q.omega[:, None, None] * q.delta),
        ]  # fmt: skip


class _Written:
    """The words and numbers of a pooling's formulas, at a place or at any."""

    def __init__(self, layer: _Pool | Subsample, input_shape: Shape | None) -> None:
        self.size = pair("size", layer.size)
        given = getattr(layer, "stride", None)
        self.stride = self.size if given is None else pair("stride", given)
        (self.rows, self.columns), self.n = self.size, self.size[0] * self.size[1]
        image = () if input_shape is None else check_maps(layer, input_shape)[1:]
        self.tiles = self.stride == self.size and not any(n % k for n, k in zip(image, self.size))
        self.own, self.below = "(maps, h, w)", "(maps, height, width)"
        if input_shape is not None:
            self.own, self.below = sizes(layer.output_shape(input_shape)), sizes(input_shape)
        self.seen = places(self.stride)
        self.mean = rf"\frac{{1}}{{{self.n}}} \sum_{{u, v}} a_{{\mathrm{{prev}},c}}{self.seen}"
        self.down = r"\frac{\partial C}{\partial a_{\mathrm{prev},c}}"
        (s, t), down = (("" if n == 1 else str(n) for n in self.stride), self.rows)
        self.over = rf" \,:\, 0 \le i - {s}y < {down}, \, 0 \le j - {t}x < {self.columns}"  # the windows that hold it
        self.reading = f"At place $y, x$ of map $c$; $u, v$ are the places of the {self.rows} × {self.columns} window:"

    def grown(self, scale: str, scaled: Any) -> list[Equation]:
        """The Kronecker product, where windows tile the map."""
        if not self.tiles:
            return []
        latex = (
            rf"{self.down} = \frac{{1}}{{{self.n}}} \, {scale}\delta_c \otimes 1_{{{self.rows} \times {self.columns}}}"
        )
        return [Equation(
            "kron", latex, self.below, "da_prev",
            lambda q: np.kron(scaled(q), np.ones((1, *self.size))) / self.n,
            "The windows tile the map, which grows by a Kronecker product with a matrix of ones (kron):",
        )]  # fmt: skip

    # in numbers, of one sample

    def patches(self, q: Any) -> Any:
        """What every window sees, `(maps, h, w, rows, columns)`."""
        return patches(q.a_prev, self.size, self.stride)

    def means(self, q: Any) -> Any:
        """The mean of every window."""
        return self.patches(q).sum(axis=(-2, -1)) / self.n

    def shared(self, delta: Any, q: Any) -> Any:
        """To every place 1/n of the δ of all windows that hold it."""
        da = np.zeros(q.a_prev.shape, delta.dtype)
        for y, x in np.ndindex(delta.shape[1:]):
            i, j = y * self.stride[0], x * self.stride[1]
            da[:, i : i + self.rows, j : j + self.columns] += delta[:, y, x, None, None] / self.n
        return da

    def first(self, q: Any) -> Any:
        """To the first largest place of every window its δ."""
        da, seen = np.zeros(q.a_prev.shape, q.delta.dtype), self.patches(q)
        for c, y, x in np.ndindex(q.delta.shape):
            u, v = divmod(int(seen[c, y, x].argmax()), self.columns)
            da[c, y * self.stride[0] + u, x * self.stride[1] + v] += q.delta[c, y, x]
        return da


def _mean(a: Array, windows: Windows) -> Array:
    total = sum(tap(a, u, v, windows) for u, v in windows.offsets())
    return total / (windows.size[0] * windows.size[1])


def _mean_back(delta: Array, windows: Windows, image: Pair) -> Array:
    share = delta / (windows.size[0] * windows.size[1])
    return sum(spread(share, u, v, windows, image) for u, v in windows.offsets())


def _above(x: Array, a: Array) -> Array:
    """x > a, and x is not a number: that must not vanish."""
    return (real_part(x) > real_part(a)) | (x != x)
