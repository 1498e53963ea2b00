"""What every layer is: configuration only, and the verbs forward, delta, backward.

    cache      = layer.forward(p, a_prev, ctx)       z, a
    δ          = layer.delta(p, ∂C/∂a, cache)        f′(z) ⊙ ∂C/∂a
    da_prev, g = layer.backward(p, δ, cache)         ∂C/∂a_prev, ∂C/∂p summed over the samples

p holds the layer's parameters by name. Nothing is stored on a layer: what backward needs travels in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np

from deltarule.activations import (
    ELU,
    GELU,
    Activation,
    Identity,
    LeakyReLU,
    ReLU,
    Softmax,
    Softplus,
    Swish,
    activation,
)
from deltarule.arrays import Array, Shape
from deltarule.errors import HyperparameterError
from deltarule.initializers import GlorotUniform, HeUniform, Initializer, initializer
from deltarule.names import Named

__all__ = [
    "MOST_UNITS", "Cache", "Context", "Equation", "Gradients", "Layer", "Parameters", "Weighted",
    "activation_equations", "default_initializer", "flat_size", "shape_text",
]  # fmt: skip

MOST_UNITS = 10**9  # of a layer, and of each side of an input

RELU_FAMILY = (ReLU, LeakyReLU, ELU, Softplus, Swish, GELU)

Parameters = dict[str, Array]
Gradients = dict[str, Array]


class Context(NamedTuple):
    """What a forward pass is told beside its input."""

    mask: Array | None = None  # dropout: 1/(1 − rate) where a unit stays, 0 where it drops; None outside training
    time: Array | None = None  # sequences: (m, T), whether a step counts; None where all do
    state: Array | None = None  # recurrence: (m, n_hidden), the state before the first step; None for the layer's own


class Cache(NamedTuple):
    """What a forward pass leaves for the way back."""

    a_prev: Array
    z: Array
    a: Array


class Equation(NamedTuple):
    """One formula of a layer, and its right-hand side in numbers.

    Attributes:
        name: what it is about.
        latex: for this layer alone: W, z, a, a_prev; the layer's number is put to them where it is written.
        shapes: that meet in it.
        gives: the array on its left: z, a, δ as "delta", f′ as "slope", ∂C/∂a_prev as "da_prev", ∂C/∂W as "dW",
            ∂z/∂W as "dz/dW", or another of the cache; "" where it only says what a symbol stands for.
        value: its right-hand side, from the arrays of one sample by name: a_prev, z, a, delta, da (∂C/∂a), slope, the
            parameters and what else the cache has; tokens are one-hot. None where the activation's formula says it. Of
            "dz/dW" it is asked at one `place` of W, and gives an array like z.
        words: a sentence that leads to it.
    """

    name: str
    latex: str
    shapes: str = ""
    gives: str = ""
    value: Callable[[Any], Array] | None = None
    words: str = ""

    @property
    def forward(self) -> bool:
        """Whether it is of the way up."""
        return not self.gives.startswith(("d", "slope"))


@dataclass(frozen=True)
class Layer(Named):
    """A layer: shapes, parameters, and the three verbs."""

    decays: ClassVar[frozenset[str]] = frozenset()  # the parameters that weight decay reaches
    takes_tokens: ClassVar[bool] = False  # whether its input may be places in a vocabulary
    usual: ClassVar[Activation] = ReLU()  # the activation of a hidden layer of this kind, where nothing is said
    trainable: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.trainable, bool):
            raise HyperparameterError(f"layer '{self.name}': trainable is True or False, not {self.trainable!r}")

    @property
    def state_size(self) -> int:
        """Numbers that one sequence carries from a step to the next; 0 for layers without memory."""
        return 0

    @property
    def f(self) -> Activation:
        """The activation between z and a; identity for layers that have none."""
        return Identity()

    def output_shape(self, input_shape: Shape) -> Shape:
        """The shape of one sample's output."""
        raise NotImplementedError

    def parameter_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """Parameters by name in the order in which θ holds them; none unless said."""
        return {}

    def initial(self, input_shape: Shape, random: np.random.Generator) -> dict[str, Any]:
        """Initial values for every parameter, float64."""
        return {}

    def resolved(self, default: Activation) -> Layer:
        """This layer with whatever it left open filled in; `default` is the activation of its place."""
        return self

    def forward(self, p: Parameters, a_prev: Array, ctx: Context) -> Any:
        """a_prev → cache with z and a."""
        raise NotImplementedError

    def delta(self, p: Parameters, da: Array, cache: Any) -> Array:
        """δ = ∂C/∂z from ∂C/∂a; layers without an activation have z = a and δ = ∂C/∂a."""
        return da

    def backward(self, p: Parameters, delta: Array, cache: Any) -> tuple[Array, Gradients]:
        """(∂C/∂a_prev per sample, ∂C/∂p summed over the samples) from δ."""
        raise NotImplementedError

    def equations(self, input_shape: Shape | None = None) -> list[Equation]:
        """The layer's formulas, forward then backward; with the input's shape, those of a layer at that place."""
        raise NotImplementedError


@dataclass(frozen=True)
class Weighted(Layer):
    """A layer whose own fields are, among others, `activation`, `initializer` and `bias_initializer`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        given: Any = self
        values = {
            "activation": None if given.activation is None else activation(given.activation),
            "initializer": None if given.initializer is None else initializer(given.initializer),
            "bias_initializer": initializer(given.bias_initializer),
        }  # fmt: skip
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def f(self) -> Activation:
        given: Any = self
        if given.activation is None:
            raise HyperparameterError(f"{self} has no activation yet; its place in a network gives it one")
        return cast(Activation, given.activation)

    def resolved(self, default: Activation) -> Layer:
        given: Any = self
        return replace(given, activation=default) if given.activation is None else self

    def delta(self, p: Parameters, da: Array, cache: Any) -> Array:
        return self.f.delta(da, cache.z, cache.a)


def activation_equations(f: Activation, shape: str) -> tuple[list[Equation], list[Equation]]:
    """What every activation does to a layer's formulas: (on the way up, on the way back)."""
    if isinstance(f, Softmax):  # of an output only, and its way back is the output's
        return [Equation("activation", f"a_k = {f.equation}", shape, "a")], []
    f_of_z = " = ".join(filter(None, ["a = f(z)", f.equation]))  # a user's may say none
    slope = [Equation("activation's derivative", f"f'(z) = {f.derivative_equation}", shape, "slope")]
    return [Equation("activation", f_of_z, shape, "a")], [
        *(slope if f.derivative_equation else []),
        Equation(
            "delta", r"\delta = f'(z) \odot \frac{\partial C}{\partial a}", shape, "delta", lambda q: q.slope * q.da
        ),
    ]


def default_initializer(f: Activation) -> Initializer:
    """What weights below this activation are drawn by, where nothing is said."""
    return HeUniform() if isinstance(f, RELU_FAMILY) else GlorotUniform()


def shape_text(shape: Shape) -> str:
    """The shape as the grammar writes it: 784, 1x28x28, seq(65).

    >>> shape_text((1, 28, 28)), shape_text((None, 65))
    ('1x28x28', 'seq(65)')
    """
    if shape and shape[0] is None:
        return f"seq({shape[1]})"
    return "x".join(map(str, shape))


def flat_size(shape: Shape) -> int:
    """How many numbers one sample (or one time step of a sequence) has: what a dense layer is connected to."""
    return math.prod(n for n in shape if n is not None)
