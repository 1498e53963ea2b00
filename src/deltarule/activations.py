"""Activations a = f(z) and their derivatives f′, the latter in terms of z and a: one table.

Every f is written for real and complex z (the complex step runs through it), in any array library, and stays finite
at z = ±1e4 in float32 wherever its value is representable (exp alone is not).
`breakpoints` are the z at which f is not smooth: where a finite difference may not look across.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deltarule.arrays import Array, namespace, real_part, where_positive
from deltarule.errors import HyperparameterError
from deltarule.limits import check
from deltarule.names import Named, resolve, table

__all__ = [
    "ACTIVATIONS", "ELU", "GELU", "Activation", "Exp", "Identity", "LeakyReLU", "ReLU", "ScaledTanh", "Sigmoid",
    "Softmax", "Softplus", "Swish", "Tanh", "activation", "sigmoid", "softplus",
]  # fmt: skip


@dataclass(frozen=True)
class Activation(Named):
    """An activation: `f`, its derivative, and how δ passes through it."""

    breakpoints: ClassVar[tuple[float, ...]] = ()
    equation: ClassVar[str] = ""  # f(z) in LaTeX
    derivative_equation: ClassVar[str] = ""  # f'(z) in LaTeX

    def f(self, z: Array) -> Array:
        """The activation a of the net value z."""
        raise NotImplementedError

    def derivative(self, z: Array, a: Array) -> Array:
        """f′(z), given z and a = f(z)."""
        raise NotImplementedError

    def delta(self, da: Array, z: Array, a: Array) -> Array:
        """δ = ∂C/∂z = f′(z) ⊙ ∂C/∂a."""
        return self.derivative(z, a) * da


def sigmoid(z: Array) -> Array:
    """σ(z) = 1/(1 + e^{−z}) = e^{z}/(1 + e^{z}): the exponent is never positive."""
    xp = namespace(z)
    e = xp.exp(where_positive(z, -z, z))
    return where_positive(z, 1 / (1 + e), e / (1 + e))


def softplus(z: Array) -> Array:
    """ln(1 + e^{z}) = max(z, 0) + ln(1 + e^{−|z|}): the exponent is never positive."""
    xp = namespace(z)
    e = xp.exp(where_positive(z, -z, z))
    x = real_part(e)
    rest = xp.log1p(x)
    if x is not e:  # a complex log1p loses the digits of small numbers: ln(1 + e) = ln(1 + x) + ln((1 + e)/(1 + x))
        rest = rest + xp.log((1 + e) / (1 + x))
    return where_positive(z, z) + rest


@dataclass(frozen=True)
class Identity(Activation):
    """a = z: linear units, and regression outputs."""

    name = "identity"
    equation, derivative_equation = "z", "1"

    def f(self, z: Array) -> Array:
        return z

    def derivative(self, z: Array, a: Array) -> Array:
        return namespace(z).ones_like(z)


@dataclass(frozen=True)
class Sigmoid(Activation):
    """a = σ(z) = 1/(1 + e^{−z}), σ′ = a (1 − a)."""

    name = "sigmoid"
    equation, derivative_equation = r"\frac{1}{1 + e^{-z}}", r"a \, (1 - a)"

    def f(self, z: Array) -> Array:
        return sigmoid(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return a * (1 - a)


@dataclass(frozen=True)
class Tanh(Activation):
    """a = tanh z, tanh′ = 1 − a²."""

    name = "tanh"
    equation, derivative_equation = r"\tanh z", "1 - a^2"

    def f(self, z: Array) -> Array:
        return namespace(z).tanh(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return 1 - a * a


@dataclass(frozen=True)
class ScaledTanh(Activation):
    """a = A tanh(S z) with A = 1.7159, S = 2/3: f(±1) ≈ ±1. Source: LeCun et al., Proc. IEEE 86 (1998)."""

    name = "scaled tanh"
    equation, derivative_equation = r"A \tanh(S z)", r"\frac{S}{A} (A^2 - a^2)"
    amplitude: ClassVar[float] = 1.7159
    slope: ClassVar[float] = 2 / 3

    def f(self, z: Array) -> Array:
        return self.amplitude * namespace(z).tanh(self.slope * z)

    def derivative(self, z: Array, a: Array) -> Array:
        return (self.slope / self.amplitude) * (self.amplitude - a) * (self.amplitude + a)


@dataclass(frozen=True)
class ReLU(Activation):
    """a = max(z, 0); f′(0) is taken as 0."""

    name = "relu"
    breakpoints = (0.0,)
    equation, derivative_equation = r"\max(z, 0)", "[z > 0]"

    def f(self, z: Array) -> Array:
        return where_positive(z, z)

    def derivative(self, z: Array, a: Array) -> Array:
        return where_positive(z, namespace(z).ones_like(z))


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """a = z for z > 0, slope·z elsewhere."""

    name = "leaky relu"
    breakpoints = (0.0,)
    equation, derivative_equation = r"\begin{cases} z & z > 0 \\ s z & z \le 0 \end{cases}", r"[z > 0] + s \, [z \le 0]"
    slope: float = 0.01

    def __post_init__(self) -> None:
        check(self, "slope")

    def f(self, z: Array) -> Array:
        return where_positive(z, z, self.slope * z)

    def derivative(self, z: Array, a: Array) -> Array:
        one = namespace(z).ones_like(z)
        return where_positive(z, one, self.slope * one)


@dataclass(frozen=True)
class ELU(Activation):
    """a = z for z > 0, α (e^{z} − 1) elsewhere. Source: Clevert et al., arXiv:1511.07289."""

    name = "elu"
    breakpoints = (0.0,)
    equation = r"\begin{cases} z & z > 0 \\ \alpha (e^z - 1) & z \le 0 \end{cases}"
    derivative_equation = r"[z > 0] + (a + \alpha) [z \le 0]"
    alpha: float = 1.0

    def __post_init__(self) -> None:
        check(self, "alpha")

    def f(self, z: Array) -> Array:
        xp = namespace(z)
        return where_positive(z, z, self.alpha * xp.expm1(where_positive(z, xp.zeros_like(z), z)))

    def derivative(self, z: Array, a: Array) -> Array:
        return where_positive(z, namespace(z).ones_like(z), a + self.alpha)


@dataclass(frozen=True)
class Softplus(Activation):
    """a = ln(1 + e^{z}), f′ = σ(z)."""

    name = "softplus"
    equation, derivative_equation = r"\ln(1 + e^z)", r"\sigma(z)"

    def f(self, z: Array) -> Array:
        return softplus(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return sigmoid(z)


@dataclass(frozen=True)
class Swish(Activation):
    """a = z σ(z), f′ = σ(z) + a (1 − σ(z)). Source: Ramachandran et al., arXiv:1710.05941."""

    name = "swish"
    equation, derivative_equation = r"z \, \sigma(z)", r"\sigma(z) + a \, (1 - \sigma(z))"

    def f(self, z: Array) -> Array:
        return z * sigmoid(z)

    def derivative(self, z: Array, a: Array) -> Array:
        s = sigmoid(z)
        return s + a * (1 - s)


@dataclass(frozen=True)
class GELU(Activation):
    """a = z σ(2u) with u = √(2/π) (z + 0.044715 z³): the tanh form. Source: Hendrycks, Gimpel, arXiv:1606.08415.

    ½ (1 + tanh u) = σ(2u), which does not cancel for very negative z.
    """

    name = "gelu"
    equation = r"z \, \sigma\left(2 \sqrt{2/\pi} \, (z + 0.044715 z^3)\right)"
    derivative_equation = (
        r"s + 2 a \, (1 - s) \sqrt{2/\pi} \, (1 + 0.134145 z^2), "
        r"\quad s = \sigma\left(2 \sqrt{2/\pi} \, (z + 0.044715 z^3)\right)"
    )
    root: ClassVar[float] = 0.7978845608028654  # √(2/π)
    cubic: ClassVar[float] = 0.044715

    def f(self, z: Array) -> Array:
        return z * sigmoid(2 * self.root * (z + self.cubic * z * z * z))

    def derivative(self, z: Array, a: Array) -> Array:
        s = sigmoid(2 * self.root * (z + self.cubic * z * z * z))
        return s + 2 * a * (1 - s) * (self.root * (1 + 3 * self.cubic * z * z))


@dataclass(frozen=True)
class Exp(Activation):
    """a = e^{z}, f′ = a: the output of Poisson regression. It overflows where e^{z} does."""

    name = "exp"
    equation, derivative_equation = "e^z", "a"

    def f(self, z: Array) -> Array:
        return namespace(z).exp(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return a


@dataclass(frozen=True)
class Softmax(Activation):
    """a_k = e^{z_k} / Σ_j e^{z_j} over the last axis. Not elementwise: ∂a_k/∂z_j = a_k ([k = j] − a_j)."""

    name = "softmax"
    equation = r"\frac{e^{z_k}}{\sum_j e^{z_j}}"
    derivative_equation = r"\frac{\partial a_k}{\partial z_j} = a_k ([k = j] - a_j)"

    def f(self, z: Array) -> Array:
        xp = namespace(z)
        e = xp.exp(z - xp.max(real_part(z), axis=-1, keepdims=True))
        return e / xp.sum(e, axis=-1, keepdims=True)

    def derivative(self, z: Array, a: Array) -> Array:
        raise HyperparameterError("softmax has a Jacobian, not an elementwise derivative: it belongs in the last layer")

    def delta(self, da: Array, z: Array, a: Array) -> Array:
        """δ_j = Σ_k ∂C/∂a_k · a_k ([k = j] − a_j) = a_j (∂C/∂a_j − Σ_k a_k ∂C/∂a_k)."""
        return a * (da - namespace(z).sum(a * da, axis=-1, keepdims=True))


ACTIVATIONS = table(
    Identity, Sigmoid, Tanh, ScaledTanh, ReLU, LeakyReLU, ELU, Softplus, Swish, GELU, Exp, Softmax
)  # fmt: skip


def activation(value: Activation | str) -> Activation:
    """The activation that `value` is or names.

    >>> activation("Leaky-ReLU(0.2)")
    LeakyReLU(slope=0.2)
    """
    return resolve("activation", ACTIVATIONS, value)
