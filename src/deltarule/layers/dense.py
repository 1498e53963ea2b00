"""The dense layer: z = W a_prev + b, a = f(z).

    forward    Z = A_prev Wᵀ + b            (m, n_out)      a batch is rows, so W appears transposed
    backward   ∂C/∂W = δᵀ A_prev            (n_out, n_in)   the sum over samples of δ a_prevᵀ
               ∂C/∂b = Σ δ                  (n_out,)
               ∂C/∂A_prev = δ W             (m, n_in)       Wᵀ δ of every sample
    delta      δ = f′(Z) ⊙ ∂C/∂A            (m, n_out)

Images are flattened on the way in, channel by channel and row by row; over sequences it applies at every time step, and
tokens choose columns of W.
Source: Rumelhart, Hinton, Williams, Nature 323 (1986) 533-536.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deltarule.activations import Activation
from deltarule.arrays import Array, Shape, namespace
from deltarule.initializers import Initializer, Zeros, initializer
from deltarule.layers.base import (
    MOST_UNITS,
    Cache,
    Context,
    Equation,
    Gradients,
    Parameters,
    Weighted,
    default_initializer,
    flat_size,
)  # fmt: skip
from deltarule.layers.tokens import are_tokens, net_input, outer_sum
from deltarule.limits import check

__all__ = ["Dense"]


@dataclass(frozen=True)
class Dense(Weighted):
    """A layer of `units` units, each connected to every input.

    `activation` None takes the default of its place in the network; `initializer` None means He for the relu family
    and Glorot otherwise (both uniform). `trainable=False` freezes it.

    >>> Dense(100, "relu").parameter_shapes((784,))
    {'W': (100, 784), 'b': (100,)}
    """

    name = "dense"
    takes_tokens = True
    decays = frozenset({"W"})
    units: int
    activation: Activation | str | None = None
    initializer: Initializer | str | None = None
    bias_initializer: Initializer | str = field(default_factory=Zeros)

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "units", integral=True, least=1, most=MOST_UNITS)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (None, self.units) if input_shape[0] is None else (self.units,)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"W": (self.units, flat_size(input_shape)), "b": (self.units,)}

    def initial(self, input_shape: Shape, random: np.random.Generator) -> dict[str, Any]:
        rule = self.initializer or default_initializer(self.f)
        rules = {"W": initializer(rule), "b": initializer(self.bias_initializer)}
        shapes = self.parameter_shapes(input_shape)
        return {name: rules[name].draw(random, shape, shapes["W"][1], self.units) for name, shape in shapes.items()}

    def forward(self, p: Parameters, a_prev: Array, ctx: Context) -> Cache:
        z = net_input(p["W"], _features(a_prev)) + p["b"]
        return Cache(a_prev, z, self.f.f(z))

    def backward(self, p: Parameters, delta: Array, cache: Cache) -> tuple[Array, Gradients]:
        xp = namespace(delta)
        da_prev = delta @ p["W"]
        if da_prev.ndim != cache.a_prev.ndim and not are_tokens(cache.a_prev):
            da_prev = xp.reshape(da_prev, cache.a_prev.shape)  # of an image
        rows = xp.reshape(delta, (-1, self.units))  # a time step is a sample
        return da_prev, {"W": outer_sum(delta, cache.a_prev, p["W"].shape[1]), "b": xp.sum(rows, axis=0)}

    def equations(self) -> list[Equation]:
        f = self.f
        return [
            Equation("net value", r"z = W a_{\mathrm{prev}} + b", "(n_out) = (n_out, n_in) (n_in) + (n_out)"),
            Equation("activation", rf"a = f(z) = {f.equation}", "(n_out)"),
            Equation("delta", r"\delta = f'(z) \odot \frac{\partial C}{\partial a}", "(n_out)"),
            Equation("activation's derivative", rf"f'(z) = {f.derivative_equation}", "(n_out)"),
            Equation("weights", r"\frac{\partial C}{\partial W} = \delta \, a_{\mathrm{prev}}^T", "(n_out, n_in)"),
            Equation("biases", r"\frac{\partial C}{\partial b} = \delta", "(n_out)"),
            Equation("input", r"\frac{\partial C}{\partial a_{\mathrm{prev}}} = W^T \delta", "(n_in)"),
        ]


def _features(a: Array) -> Array:
    """(m, …) → (m, n): an image becomes a row; sequences (m, T, n) keep their time axis."""
    return namespace(a).reshape(a, (a.shape[0], -1)) if a.ndim == 4 else a
