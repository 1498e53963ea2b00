"""Where the last layer's activation meets the cost: the value C⁽ⁱ⁾ and δ⁽ᴸ⁾ = ∂C⁽ⁱ⁾/∂z⁽ᴸ⁾ from the net values.

Canonical pairs are computed from the logits z, so that ±1e4 in float32 stays finite, and share one δ⁽ᴸ⁾ = ŷ − t:

    identity + squared error           C = ½ ‖z − t‖²
    sigmoid  + binary cross-entropy    C = Σ_k (t_k softplus(−z_k) + (1 − t_k) softplus(z_k))
    softmax  + cross-entropy           C = Σ_k t_k (ln Σ_j e^{z_j} − z_k)            (Σ_k t_k = 1)
    exp      + poisson                 C = Σ_k (e^{z_k} − t_k z_k)

Every other allowed pair goes the generic way: ∂C/∂ŷ of the cost enters the last layer's `delta` as in a hidden layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from deltarule.activations import Activation, Exp, Identity, Sigmoid, Softmax, softplus
from deltarule.arrays import Array, namespace, real_part
from deltarule.costs import BinaryCrossEntropy, Cost, CrossEntropy, Poisson, SquaredError
from deltarule.errors import HyperparameterError
from deltarule.layers.base import Equation

__all__ = ["Output", "canonical_cost", "output"]


class Output(NamedTuple):
    """An allowed pair of activation and cost."""

    activation: Activation
    cost: Cost

    @property
    def canonical(self) -> bool:
        """Whether δ⁽ᴸ⁾ = ŷ − t."""
        return self.cost == canonical_cost(self.activation) and type(self.activation) in _FROM_LOGITS

    def value(self, z: Array, y: Array, t: Array) -> Array:
        """C⁽ⁱ⁾ for every sample, (m, K) → (m,)."""
        return _FROM_LOGITS[type(self.activation)](z, t) if self.canonical else self.cost.value(y, t)

    def delta(self, z: Array, y: Array, t: Array) -> Array:
        """δ⁽ᴸ⁾ for every sample, where nothing but the activation lies between z and ŷ."""
        return y - t if self.canonical else self.activation.delta(self.cost.derivative(y, t), z, y)

    def equations(self) -> list[Equation]:
        """The formulas of cost and δ⁽ᴸ⁾; `value` takes rows y, t, z, dy = ∂C/∂ŷ and slope = f′(z)."""
        C = Equation("cost", f"C = {self.cost.equation}", "a number", "C")
        dy = Equation(
            "derivative", rf"\frac{{\partial C}}{{\partial \hat y}} = {self.cost.derivative_equation}", "", "dy"
        )
        if self.canonical:
            from_logits, cancelled, value = _CANONICAL[type(self.activation)]
            return [
                C, Equation("from the net values", from_logits, "a number", "C"), dy,
                Equation("cancellation", cancelled, "", "delta", value),
                Equation("delta", r"\delta = \hat y - t", "", "delta", lambda q: q.y - q.t),
            ]  # fmt: skip
        if isinstance(self.activation, Softmax):
            return [
                C, dy,
                Equation("Jacobian", _JACOBIAN, "", "delta", lambda q: _through_jacobian(q.y, q.dy)),
                Equation(
                    "delta",
                    r"\delta_j = \hat y_j \left(\frac{\partial C}{\partial \hat y_j} "
                    r"- \sum_k \hat y_k \frac{\partial C}{\partial \hat y_k}\right)",
                    "", "delta", lambda q: q.y * (q.dy - (q.y * q.dy).sum(axis=-1, keepdims=True)),
                ),
            ]  # fmt: skip
        f = self.activation
        slope = Equation("activation's derivative", f"f'(z) = {f.derivative_equation}", "", "slope")
        latex = r"\delta = f'(z) \odot \frac{\partial C}{\partial \hat y}"
        return [C, dy, slope, Equation("delta", latex, "", "delta", lambda q: q.slope * q.dy)]


def _cross_entropy(z: Array, t: Array) -> Array:
    xp = namespace(z)
    z = z - xp.max(real_part(z), axis=-1, keepdims=True)
    return xp.sum(t * (xp.log(xp.sum(xp.exp(z), axis=-1, keepdims=True)) - z), axis=-1)


def _binary_cross_entropy(z: Array, t: Array) -> Array:
    return namespace(z).sum(t * softplus(-z) + (1 - t) * softplus(z), axis=-1)


def _poisson(z: Array, t: Array) -> Array:
    xp = namespace(z)
    return xp.sum(xp.exp(z) - t * z, axis=-1)


def _through_jacobian(y: Any, dy: Any) -> Any:
    """Σ_k ∂C/∂ŷ_k ŷ_k ([k = j] − ŷ_j)."""
    J = y[..., :, None] * (np.eye(y.shape[-1]) - y[..., None, :])
    return (dy[..., :, None] * J).sum(axis=-2)


def _sum_of_terms(q: Any) -> Any:
    """Softmax and cross-entropy, before the sum is taken: ŷ_k in the denominator is gone, and may be 0."""
    return (-q.t[..., :, None] * (np.eye(q.y.shape[-1]) - q.y[..., None, :])).sum(axis=-2)


_JACOBIAN = (
    r"\delta_j = \sum_k \frac{\partial C}{\partial \hat y_k} \frac{\partial \hat y_k}{\partial z_j}, \quad "
    r"\frac{\partial \hat y_k}{\partial z_j} = \hat y_k \, ([k = j] - \hat y_j)"
)
_CANONICAL: dict[type[Activation], tuple[str, str, Callable[[Any], Any]]] = {  # C from z, and how δ⁽ᴸ⁾ cancels
    Identity: (
        r"C = \frac{1}{2} \lVert z - t \rVert^2",
        r"\delta_k = \frac{\partial C}{\partial \hat y_k} \, f'(z_k) = (\hat y_k - t_k) \cdot 1 = \hat y_k - t_k",
        lambda q: q.dy * q.slope,
    ),
    Sigmoid: (
        r"C = \sum_k \left(t_k \ln(1 + e^{-z_k}) + (1 - t_k) \ln(1 + e^{z_k})\right)",
        r"\delta_k = \frac{\partial C}{\partial \hat y_k} \, f'(z_k) "
        r"= \frac{\hat y_k - t_k}{\hat y_k (1 - \hat y_k)} \, \hat y_k (1 - \hat y_k) = \hat y_k - t_k",
        lambda q: q.dy * q.slope,
    ),
    Softmax: (
        r"C = \ln \sum_j e^{z_j} - \sum_k t_k z_k, \quad \sum_k t_k = 1",
        r"\delta_j = \sum_k \frac{\partial C}{\partial \hat y_k} \frac{\partial \hat y_k}{\partial z_j} "
        r"= \sum_k \left(-\frac{t_k}{\hat y_k}\right) \hat y_k \, ([k = j] - \hat y_j) "
        r"= \hat y_j \sum_k t_k - t_j = \hat y_j - t_j",
        _sum_of_terms,
    ),
    Exp: (
        r"C = \sum_k \left(e^{z_k} - t_k z_k\right)",
        r"\delta_k = \frac{\partial C}{\partial \hat y_k} \, f'(z_k) = \left(1 - \frac{t_k}{\hat y_k}\right) \hat y_k "
        r"= \hat y_k - t_k",
        lambda q: q.dy * q.slope,
    ),
}
_FROM_LOGITS: dict[type[Activation], Callable[[Array, Array], Array]] = {
    Identity: SquaredError().value,
    Sigmoid: _binary_cross_entropy,
    Softmax: _cross_entropy,
    Exp: _poisson,
}
_ONLY_WITH: dict[type[Cost], type[Activation]] = {CrossEntropy: Softmax, BinaryCrossEntropy: Sigmoid, Poisson: Exp}


def canonical_cost(activation: Activation) -> Cost:
    """The cost that comes with an output activation unless another is named.

    >>> canonical_cost(Softmax())
    CrossEntropy()
    """
    for cost, wanted in _ONLY_WITH.items():
        if type(activation) is wanted:
            return cost()
    return SquaredError()


def output(activation: Activation, cost: Cost) -> Output:
    """The pair, if it is allowed.

    >>> from deltarule.activations import Tanh
    >>> output(Tanh(), CrossEntropy())
    Traceback (most recent call last):
    deltarule.errors.HyperparameterError: cost 'cross entropy' goes with output 'softmax' only, not with 'tanh'
    """
    wanted = _ONLY_WITH.get(type(cost))
    if wanted and type(activation) is not wanted:
        raise HyperparameterError(
            f"cost '{cost.name}' goes with output '{wanted.name}' only, not with '{activation.name}'"
        )
    return Output(activation, cost)
