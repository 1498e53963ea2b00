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
    activation_equations,
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

    def equations(self, input_shape: Shape | None = None) -> list[Equation]:
        n_out, n_in = ("n_out", "n_in") if input_shape is None else (self.units, flat_size(input_shape))
        steps = r"\sum_t " if input_shape is not None and input_shape[0] is None else ""  # W is used at every one
        maps = input_shape is not None and len(input_shape) > 1 and not steps
        up, back = activation_equations(self.f, f"({n_out})")
        return [
            Equation(
                "net value", r"z = W a_{\mathrm{prev}} + b",
                f"({n_out}) = ({n_out}, {n_in}) ({n_in}) + ({n_out})", "z", lambda q: _rows(q) @ q.W.T + q.b,
                "The maps are read as one vector, channel by channel and row by row:" if maps else "",
            ),
            *up,
            *back,
            Equation(
                "index step", r"\frac{\partial z_i}{\partial W_{jk}} = [i = j] \, a_{\mathrm{prev},k}", "", "dz/dW",
                _step, r"Index by index, from $z_i = \sum_k W_{ik} \, a_{\mathrm{prev},k} + b_i$:",
            ),
            Equation(
                "weight by weight",
                rf"\frac{{\partial C}}{{\partial W_{{jk}}}} = {steps}\sum_i \frac{{\partial C}}{{\partial z_i}} "
                rf"\frac{{\partial z_i}}{{\partial W_{{jk}}}} = {steps}\delta_j \, a_{{\mathrm{{prev}},k}}",
                "", "dW", lambda q: np.einsum("tj,tk->jk", np.atleast_2d(q.delta), _rows(q)),
            ),
            Equation(
                "weights", rf"\frac{{\partial C}}{{\partial W}} = {steps}\delta \, a_{{\mathrm{{prev}}}}^T",
                f"({n_out}, {n_in})", "dW", lambda q: np.atleast_2d(q.delta).T @ _rows(q),
            ),
            Equation(
                "biases", rf"\frac{{\partial C}}{{\partial b}} = {steps}\delta", f"({n_out})", "db",
                lambda q: np.atleast_2d(q.delta).sum(axis=0),
            ),
            Equation(
                "input", r"\frac{\partial C}{\partial a_{\mathrm{prev}}} = W^T \delta",
                f"({n_in}) = ({n_in}, {n_out}) ({n_out})", "da_prev", lambda q: q.delta @ q.W,
            ),
        ]  # fmt: skip


def _rows(q: Any) -> Any:
    """a_prev of one sample as rows `(T, n_in)`, one row where there are no steps."""
    return np.reshape(q.a_prev, (-1, q.W.shape[1]))


def _step(q: Any) -> Any:
    """∂z/∂W_jk: a_prev,k at j, and 0 elsewhere."""
    j, k = q.place
    return np.eye(len(q.W))[j] * _rows(q)[:, k, None]


def _features(a: Array) -> Array:
    """(m, …) → (m, n): an image becomes a row; sequences (m, T, n) keep their time axis."""
    return namespace(a).reshape(a, (a.shape[0], -1)) if a.ndim == 4 else a
