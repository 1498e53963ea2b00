"""Costs C⁽ⁱ⁾(ŷ, t) of one sample and their derivatives ∂C⁽ⁱ⁾/∂ŷ.

y and t are rows `(m, K)` (or `(m, T, K)`); `value` sums over the outputs: `(m,)`; `derivative` keeps the shape.
Pairs with their canonical activation are computed from the net values instead: see outputs.py.
`breakpoints` are the values of ŷ − t at which the cost is not smooth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deltarule.arrays import Array, absolute, namespace, real_part, where_positive
from deltarule.limits import check
from deltarule.names import Named, resolve, table

__all__ = [
    "COSTS", "Absolute", "BinaryCrossEntropy", "Cost", "CrossEntropy", "Huber", "Poisson", "Quantile", "SquaredError",
    "cost",
]  # fmt: skip


def _sum_outputs(c: Array) -> Array:
    return namespace(c).sum(c, axis=-1)


@dataclass(frozen=True)
class Cost(Named):
    """A cost of one sample: its value and its derivative with respect to the output."""

    equation: ClassVar[str] = ""
    derivative_equation: ClassVar[str] = ""

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The values of ŷ − t at which the cost is not smooth."""
        return ()

    def value(self, y: Array, t: Array) -> Array:
        """C⁽ⁱ⁾ for every sample: (m, K) → (m,)."""
        raise NotImplementedError

    def derivative(self, y: Array, t: Array) -> Array:
        """∂C⁽ⁱ⁾/∂ŷ for every sample: (m, K) → (m, K)."""
        raise NotImplementedError


@dataclass(frozen=True)
class SquaredError(Cost):
    """C = ½ ‖ŷ − t‖²."""

    name = "squared error"
    equation, derivative_equation = r"\frac{1}{2} \lVert \hat{y} - t \rVert^2", r"\hat{y} - t"

    def value(self, y: Array, t: Array) -> Array:
        return 0.5 * _sum_outputs((y - t) * (y - t))

    def derivative(self, y: Array, t: Array) -> Array:
        return y - t


@dataclass(frozen=True)
class BinaryCrossEntropy(Cost):
    """C = −Σ_k (t_k ln ŷ_k + (1 − t_k) ln(1 − ŷ_k))."""

    name = "binary cross entropy"
    equation = r"-\sum_k \left(t_k \ln \hat{y}_k + (1 - t_k) \ln(1 - \hat{y}_k)\right)"
    derivative_equation = r"\frac{\hat{y} - t}{\hat{y} (1 - \hat{y})}"

    def value(self, y: Array, t: Array) -> Array:
        xp = namespace(y)
        return -_sum_outputs(t * xp.log(y) + (1 - t) * xp.log1p(-y))

    def derivative(self, y: Array, t: Array) -> Array:
        return (y - t) / (y * (1 - y))


@dataclass(frozen=True)
class CrossEntropy(Cost):
    """C = −Σ_k t_k ln ŷ_k."""

    name = "cross entropy"
    equation, derivative_equation = r"-\sum_k t_k \ln \hat{y}_k", r"-t / \hat{y}"

    def value(self, y: Array, t: Array) -> Array:
        return -_sum_outputs(t * namespace(y).log(y))

    def derivative(self, y: Array, t: Array) -> Array:
        return -t / y


@dataclass(frozen=True)
class Absolute(Cost):
    """C = Σ_k |ŷ_k − t_k|."""

    name = "absolute"
    equation, derivative_equation = r"\sum_k |\hat{y}_k - t_k|", r"\operatorname{sign}(\hat{y} - t)"

    @property
    def breakpoints(self) -> tuple[float, ...]:
        return (0.0,)

    def value(self, y: Array, t: Array) -> Array:
        return _sum_outputs(absolute(y - t))

    def derivative(self, y: Array, t: Array) -> Array:
        xp = namespace(y)
        return xp.astype(xp.sign(real_part(y - t)), y.dtype)


@dataclass(frozen=True)
class Huber(Cost):
    """C = Σ_k ½ e² where |e| ≤ d, d (|e| − d/2) elsewhere, e = ŷ_k − t_k. Source: Huber, Ann. Math. Stat. 35 (1964)."""

    name = "huber"
    equation = r"\sum_k \begin{cases} e_k^2 / 2 & |e_k| \le d \\ d (|e_k| - d/2) & |e_k| > d \end{cases}"
    derivative_equation = r"\max(-d, \min(d, e)), \quad e = \hat{y} - t"
    threshold: float = 1.0

    def __post_init__(self) -> None:
        check(self, "threshold", above=0)

    @property
    def breakpoints(self) -> tuple[float, ...]:
        return (-self.threshold, self.threshold)

    def value(self, y: Array, t: Array) -> Array:
        e, d = absolute(y - t), self.threshold
        c = where_positive(e - d, d * namespace(e).ones_like(e), e)  # min(|e|, d): no square of a large e overflows
        return _sum_outputs(c * (e - c / 2))

    def derivative(self, y: Array, t: Array) -> Array:
        e, d = y - t, self.threshold
        one = namespace(e).ones_like(e)
        return where_positive(e - d, d * one, where_positive(-e - d, -d * one, e))


@dataclass(frozen=True)
class Quantile(Cost):
    """C = Σ_k q (t − ŷ) where ŷ < t, (1 − q) (ŷ − t) elsewhere: its minimiser is the q-quantile of t.

    Source: Koenker and Bassett, Econometrica 46 (1978).
    """

    name = "quantile"
    equation = r"\sum_k \max(q (t_k - \hat{y}_k), (1 - q)(\hat{y}_k - t_k))"
    derivative_equation = r"(1 - q)[\hat{y} > t] - q \, [\hat{y} < t]"
    quantile: float = 0.5

    def __post_init__(self) -> None:
        check(self, "quantile", above=0, below=1)

    @property
    def breakpoints(self) -> tuple[float, ...]:
        return (0.0,)

    def value(self, y: Array, t: Array) -> Array:
        e = y - t
        return _sum_outputs((1 - self.quantile) * where_positive(e, e) + self.quantile * where_positive(-e, -e))

    def derivative(self, y: Array, t: Array) -> Array:
        e = y - t
        one = namespace(e).ones_like(e)
        return (1 - self.quantile) * where_positive(e, one) - self.quantile * where_positive(-e, one)


@dataclass(frozen=True)
class Poisson(Cost):
    """C = Σ_k (ŷ_k − t_k ln ŷ_k): the negative log-likelihood of counts t, less ln t!, which has no gradient."""

    name = "poisson"
    equation, derivative_equation = r"\sum_k \left(\hat{y}_k - t_k \ln \hat{y}_k\right)", r"1 - t / \hat{y}"

    def value(self, y: Array, t: Array) -> Array:
        return _sum_outputs(y - t * namespace(y).log(y))

    def derivative(self, y: Array, t: Array) -> Array:
        return 1 - t / y


COSTS = table(SquaredError, BinaryCrossEntropy, CrossEntropy, Absolute, Huber, Quantile, Poisson)


def cost(value: Cost | str) -> Cost:
    """The cost that `value` is or names.

    >>> cost("binary cross-entropy")
    BinaryCrossEntropy()
    """
    return resolve("cost", COSTS, value)
