"""Convolution: every map of the layer is a sum over windows of the maps below, all with the same kernel.

    forward    Z_o = b_o + Σ_c Σ_uv W_ocuv (A_prev,c)_uv       (m, maps, h, w), see maps.py for (A)_uv; A = f(Z)
    backward   ∂C/∂W_ocuv = Σ δ_o ⊙ (A_prev,c)_uv              the sum over samples and windows
               ∂C/∂b_o = Σ δ_o
               ∂C/∂A_prev,c = Σ_o Σ_uv spread_uv(W_ocuv δ_o)
    delta      δ = f′(Z) ⊙ ∂C/∂A

This is cross-correlation, as everybody computes it: a convolution in the strict sense turns the kernel by 180°, and
then ∂C/∂A_prev is the wide convolution of δ with the kernel as it is; at stride 1 they are the same numbers. The
documents take the strict sense in one place and this one in another (see the errata).

A link table says which maps are connected: absent links have no weights. Source: LeCun et al., Proc. IEEE 86 (1998)
2278-2324; document 003.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from deltarule.activations import Activation
from deltarule.arrays import Array, Shape, namespace
from deltarule.errors import HyperparameterError
from deltarule.initializers import Initializer, Zeros, initializer
from deltarule.layers.base import (
    MOST_UNITS,
    Cache,
    Context,
    Equation,
    Gradients,
    Parameters,
    Weighted,
    activation_equations,
    default_initializer,
)  # fmt: skip
from deltarule.layers.links import Links, LinkTable, links
from deltarule.layers.maps import (
    Pair,
    Windows,
    check_maps,
    even,
    no_softmax,
    pad,
    pair,
    patches,
    places,
    sizes,
    spread,
    tap,
)  # fmt: skip
from deltarule.limits import check

__all__ = ["Conv"]

MOST_BORDER = 1e30  # float32 holds it


@dataclass(frozen=True)
class Conv(Weighted):
    """`maps` maps, each a kernel sliding over the maps below.

    Args:
        maps: how many.
        kernel: its rows and columns, or one number for both.
        activation: None takes the default of its place in the network.
        stride: how far the kernel moves at a time, down and across, or one number for both. What the last window
            leaves of a height or width is not looked at.
        pad: rows and columns added on each side, or "same": as many as leave ⌈n / stride⌉ of n.
        border: the value of what is added.
        links: which maps are connected to which below, `(maps, channels)` of 0 and 1, or a table by name ("lenet5");
            None connects all.
        initializer: None means He for the relu family and Glorot otherwise (both uniform).

    >>> Conv(6, 5, pad=2).output_shape((1, 28, 28)), Conv(16, 5, links="lenet5").parameter_shapes((6, 14, 14))
    ((6, 28, 28), {'W': (60, 5, 5), 'b': (16,)})
    """

    name = "conv"
    decays = frozenset({"W"})
    maps: int
    kernel: int | Pair
    activation: Activation | str | None = None
    stride: int | Pair = field(default=1, kw_only=True)
    pad: int | Pair | str = field(default=0, kw_only=True)
    border: float = field(default=0.0, kw_only=True)
    links: Links | None = field(default=None, kw_only=True)
    initializer: Initializer | str | None = field(default=None, kw_only=True)
    bias_initializer: Initializer | str = field(default_factory=Zeros, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "maps", integral=True, least=1, most=MOST_UNITS)
        check(self, "border", least=-MOST_BORDER, most=MOST_BORDER)
        kept: dict[str, Any] = {name: even(pair(f"conv: {name}", getattr(self, name))) for name in ("kernel", "stride")}
        if isinstance(self.pad, str) and self.pad.lower() != "same":
            raise HyperparameterError(f"conv: pad is a number of rows and columns, or 'same', not '{self.pad}'")
        kept["pad"] = "same" if isinstance(self.pad, str) else even(pair("conv: pad", self.pad, least=0))
        kept["links"] = None if self.links is None else links(self.links)
        no_softmax(self.activation)
        for name, value in kept.items():
            object.__setattr__(self, name, value)

    # Shapes

    def margins(self, image: Pair) -> tuple[Pair, Pair]:
        """Rows and columns added before, and after."""
        if self.pad != "same":
            added = pair("pad", self.pad, least=0)
            return added, added
        kernel, stride = pair("kernel", self.kernel), pair("stride", self.stride)
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(image, kernel, stride)]
        return (total[0] // 2, total[1] // 2), (total[0] - total[0] // 2, total[1] - total[1] // 2)

    def windows(self, image: Pair) -> Windows:
        """The windows over maps of this height and width, margins included."""
        before, after = self.margins(image)
        padded = (image[0] + before[0] + after[0], image[1] + before[1] + after[1])
        return Windows.over(pair("kernel", self.kernel), pair("stride", self.stride), padded, "the kernel")

    def table(self, channels: int) -> LinkTable | None:
        """Which maps are connected, where not all are."""
        return None if self.links is None else LinkTable.of(self.links, self.maps, channels)

    def output_shape(self, input_shape: Shape) -> Shape:
        channels, height, width = check_maps(self, input_shape)
        self.table(channels)
        return (self.maps, *self.windows((height, width)).grid)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        channels, *_ = check_maps(self, input_shape)
        table = self.table(channels)
        kernels = (self.maps, channels) if table is None else (table.total,)
        return {"W": (*kernels, *pair("kernel", self.kernel)), "b": (self.maps,)}

    def initial(self, input_shape: Shape, random: np.random.Generator) -> dict[str, Any]:
        """A map's fan-in is what it is connected to; its fan-out, on an average, what a map below is connected to."""
        rule = initializer(self.initializer or default_initializer(self.f))
        shapes, taps = self.parameter_shapes(input_shape), math.prod(pair("kernel", self.kernel))
        channels = cast(int, input_shape[0])
        table = self.table(channels)
        if table is None:
            fans = channels * taps, self.maps * taps
            W = rule.draw(random, shapes["W"], *fans)
            b = initializer(self.bias_initializer).draw(random, shapes["b"], *fans)
            return {"W": W, "b": b}
        fan_out = max(1, round(table.total / channels * taps))
        W = np.concatenate([rule.draw(random, (n, *shapes["W"][1:]), n * taps, fan_out) for n in table.fans])
        fan_in = round(table.total / self.maps * taps)
        return {"W": W, "b": initializer(self.bias_initializer).draw(random, shapes["b"], fan_in, fan_out)}

    # The three verbs

    def forward(self, p: Parameters, a_prev: Array, ctx: Context) -> Cache:
        W, A, windows = self._kernels(p, a_prev), self._padded(a_prev), self.windows(a_prev.shape[-2:])
        z = sum(_mix(W[:, :, u, v], tap(A, u, v, windows)) for u, v in windows.offsets())
        z = z + p["b"][:, None, None]
        return Cache(a_prev, z, self.f.f(z))

    def backward(self, p: Parameters, delta: Array, cache: Cache) -> tuple[Array, Gradients]:
        xp, image = namespace(delta), cache.a_prev.shape[-2:]
        W, A, windows = self._kernels(p, cache.a_prev), self._padded(cache.a_prev), self.windows(image)
        dA = sum(spread(_mix(W[:, :, u, v].T, delta), u, v, windows, A.shape[-2:]) for u, v in windows.offsets())
        dW = [_correlate(delta, tap(A, u, v, windows)) for u, v in windows.offsets()]
        (top, left), _ = self.margins(image)
        da_prev = dA[..., top : top + image[0], left : left + image[1]]
        table = self.table(A.shape[1])
        full = xp.reshape(xp.stack(dW, axis=-1), (*W.shape[:2], *windows.size))
        return da_prev, {"W": full if table is None else table.gather(full), "b": xp.sum(delta, axis=(0, 2, 3))}

    def _padded(self, a: Array) -> Array:
        return pad(a, *self.margins(a.shape[-2:]), self.border)

    def _kernels(self, p: Parameters, a_prev: Array) -> Array:
        """W `(maps, channels, rows, columns)`, 0 where there is no link."""
        table = self.table(a_prev.shape[1])
        return p["W"] if table is None else table.scatter(p["W"])

    def equations(self, input_shape: Shape | None = None) -> list[Equation]:
        w = _Written(self, input_shape)
        up, back = activation_equations(self.f, w.own)
        return [
            *w.margin(),
            Equation(
                "net value", rf"z_o[y, x] = b_o + \sum_{{c, u, v{w.linked}}} W_{{ocuv}} \, {w.prev}{w.seen}", w.own,
                "z", lambda q: np.einsum("ocuv,cyxuv->oyx", w.kernels(q), w.patches(q)) + q.b[:, None, None],
                f"Row by row, at place $y, x$ of map $o$; $u, v$ are the places of the {w.rows} × {w.columns} "
                f"kernel{w.kept}:",
            ),
            *up,
            *back,
            Equation(
                "weights",
                rf"\frac{{\partial C}}{{\partial W_{{ocuv}}}} = \sum_{{y, x}} \delta_o[y, x] \, {w.prev}{w.seen}",
                w.weights, "dW", lambda q: w.gathered(np.einsum("oyx,cyxuv->ocuv", q.delta, w.patches(q))),
            ),
            Equation(
                "biases", r"\frac{\partial C}{\partial b_o} = \sum_{y, x} \delta_o[y, x]", f"({self.maps})", "db",
                lambda q: np.einsum("oyx->o", q.delta),
            ),
            Equation(
                "input",
                r"\frac{\partial C}{\partial a_{\mathrm{prev},c}}[i, j] = \sum_{o, y, x" + w.linked + "} "
                + r"\delta_o[y, x] \, W_{oc}" + w.tap, w.below, "da_prev", w.back,
                "Every window that saw a place sends its part back; a kernel is 0 outside its places:",
            ),
            *w.turned(),
        ]  # fmt: skip


class _Written:
    """The words and numbers of a convolution's formulas, at a place or at any."""

    def __init__(self, layer: Conv, input_shape: Shape | None) -> None:
        self.layer, self.strides = layer, pair("stride", layer.stride)
        self.rows, self.columns = pair("kernel", layer.kernel)
        image = None if input_shape is None else check_maps(layer, input_shape)[1:]
        self.margins = ((0, 0), (0, 0)) if image is None else layer.margins(image)
        self.padded = layer.pad != 0 if image is None else self.margins != ((0, 0), (0, 0))
        self.prev = (r"\tilde " if self.padded else "") + r"a_{\mathrm{prev},c}"
        self.kept = "" if layer.links is None else "; only kernels of linked maps are stored"
        self.linked = "" if layer.links is None else r" \,:\, T_{oc} = 1"
        self.seen = places(self.strides)
        at = [f"{i} + {p}" if p else i for i, p in zip("ij", self.margins[0])]
        steps = [f" - {s} {c}" if s > 1 else f" - {c}" for s, c in zip(self.strides, "yx")]
        self.tap = f"[{at[0]}{steps[0]}, {at[1]}{steps[1]}]"
        self.own, self.below = "(maps, h, w)", "(channels, height, width)"
        self.weights = f"(maps, channels, {self.rows}, {self.columns})"
        if input_shape is not None:
            self.own, self.below = sizes(layer.output_shape(input_shape)), sizes(input_shape)
            self.weights = sizes(layer.parameter_shapes(input_shape)["W"])

    def margin(self) -> list[Equation]:
        """What ã stands for, where there is a margin."""
        if not self.padded:
            return []
        (top, left), (bottom, right) = self.margins
        return [Equation(
            "margin",
            r"\tilde a_{\mathrm{prev}} = \operatorname{pad}(a_{\mathrm{prev}})",
            words=f"Behind a margin of ${self.layer.border:g}$, {top} above, {bottom} below, "
            f"{left} left, {right} right:",
        )]  # fmt: skip

    def turned(self) -> list[Equation]:
        """At stride 1, what goes down is the wide convolution of δ."""
        if self.strides != (1, 1):
            return []
        wide = r"\sum_{o" + self.linked + r"} \operatorname{pad}_0(\delta_o) \star \operatorname{rot180}(W_{oc})"
        right = rf"\operatorname{{crop}}\left({wide}\right)" if self.padded else wide
        crop = "; crop cuts off the margin" * self.padded
        return [Equation(
            "rot180",
            r"\frac{\partial C}{\partial a_{\mathrm{prev},c}} = " + right, "", "da_prev",
            self.turned_back,
            r"Forward the kernel slides as it is: cross-correlation, $\star$. What goes down is the wide convolution "
            rf"of $\delta$, behind a margin of zeros, {self.rows - 1} rows and {self.columns - 1} columns, with "
            f"the kernel turned by 180°, rot180{crop}:",
        )]  # fmt: skip

    # in numbers, of one sample

    def kernels(self, q: Any) -> Any:
        """W `(maps, channels, rows, columns)`."""
        table = self.layer.table(len(q.a_prev))
        return q.W if table is None else table.scatter(q.W)

    def gathered(self, full: Any) -> Any:
        """As W is stored."""
        table = self.layer.table(full.shape[1])
        return full if table is None else table.gather(full)

    def patches(self, q: Any) -> Any:
        """What every window sees, `(channels, h, w, rows, columns)`."""
        margins = ((0, 0), *zip(*self.margins))
        A = np.pad(q.a_prev, margins, constant_values=self.layer.border)
        return patches(A, (self.rows, self.columns), self.strides)

    def back(self, q: Any) -> Any:
        """Window by window."""
        W, image = self.kernels(q), np.add(q.a_prev.shape[1:], np.sum(self.margins, axis=0))
        dA = np.zeros((len(q.a_prev), *image), q.delta.dtype)
        for y, x in np.ndindex(q.delta.shape[1:]):
            i, j = y * self.strides[0], x * self.strides[1]
            dA[:, i : i + self.rows, j : j + self.columns] += np.einsum("o,ocuv->cuv", q.delta[:, y, x], W)
        return self._inside(dA, q)

    def turned_back(self, q: Any) -> Any:
        """pad(δ_o) ⋆ rot180(W_oc)."""
        wide = [(n - 1, n - 1) for n in (self.rows, self.columns)]
        seen = patches(np.pad(q.delta, ((0, 0), *wide)), (self.rows, self.columns), (1, 1))
        return self._inside(np.einsum("oyxuv,ocuv->cyx", seen, self.kernels(q)[..., ::-1, ::-1]), q)

    def _inside(self, dA: Any, q: Any) -> Any:
        (top, left), (_, height, width) = self.margins[0], q.a_prev.shape
        return dA[:, top : top + height, left : left + width]


def _mix(W: Array, A: Array) -> Array:
    """Σ_c W_oc A_c: `(o, c)` times `(m, c, h, w)` → `(m, o, h, w)`."""
    xp, (m, c, h, w) = namespace(A), A.shape
    return xp.reshape(W @ xp.reshape(A, (m, c, h * w)), (m, W.shape[0], h, w))


def _correlate(D: Array, A: Array) -> Array:
    """Σ over samples and places of D_o A_c: `(m, o, h, w)` and `(m, c, h, w)` → `(o, c)`."""
    return namespace(D).tensordot(D, A, axes=((0, 2, 3), (0, 2, 3)))
