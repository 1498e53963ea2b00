"""Dropout: in training each unit is dropped with probability `rate`, the others are scaled up to keep the mean.

    forward    a = m ⊙ a_prev,   m = [u ≥ rate] / (1 − rate)       a = a_prev outside training
    backward   ∂C/∂a_prev = m ⊙ δ

u is a keyed random number of (seed, step, layer, row of the data set, unit): see randomness.py.
Source: Srivastava et al., JMLR 15 (2014) 1929-1958, in the inverted form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from deltarule.arrays import Array, Shape
from deltarule.layers.base import Context, Equation, Gradients, Layer, Parameters
from deltarule.layers.maps import sizes
from deltarule.limits import check

__all__ = ["Dropout"]


class DropoutCache(NamedTuple):
    """z = a, and the mask that made it (None outside training)."""

    a_prev: Array
    z: Array
    a: Array
    mask: Array | None


@dataclass(frozen=True)
class Dropout(Layer):
    """Drops each of its inputs with probability `rate` in training, and nothing at other times.

    >>> Dropout(0.5).output_shape((100,))
    (100,)
    """

    name = "dropout"
    rate: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "rate", least=0, below=1)

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def forward(self, p: Parameters, a_prev: Array, ctx: Context) -> DropoutCache:
        a = a_prev if ctx.mask is None else ctx.mask * a_prev
        return DropoutCache(a_prev, a, a, ctx.mask)

    def backward(self, p: Parameters, delta: Array, cache: DropoutCache) -> tuple[Array, Gradients]:
        return (delta if cache.mask is None else cache.mask * delta), {}

    def equations(self, input_shape: Shape | None = None) -> list[Equation]:
        shape = "(n)" if input_shape is None else sizes(input_shape)
        return [
            Equation(
                "mask", rf"m = [u \ge {self.rate:g}] / (1 - {self.rate:g}), \quad u \sim \mathcal{{U}}(0, 1)", shape,
                words="In training; at other times $m = 1$. Every entry has a number $u$ of its own:",
            ),
            Equation(
                "activation", r"a = m \odot a_{\mathrm{prev}}", shape, "a",
                lambda q: q.a_prev if q.mask is None else q.mask * q.a_prev,
            ),
            Equation(
                "input", r"\frac{\partial C}{\partial a_{\mathrm{prev}}} = m \odot \delta", shape, "da_prev",
                lambda q: q.delta if q.mask is None else q.mask * q.delta,
            ),
        ]  # fmt: skip
