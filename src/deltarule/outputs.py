"""Where the last layer's activation meets the cost: the value C⁽ⁱ⁾ and δ⁽ᴸ⁾ = ∂C⁽ⁱ⁾/∂z⁽ᴸ⁾ from the net values.

Canonical pairs are computed from the logits z, so that ±1e4 in float32 stays finite, and share one δ⁽ᴸ⁾ = ŷ − t:

    identity + squared error           C = ½ ‖z − t‖²
    sigmoid  + binary cross-entropy    C = Σ_k t_k softplus(−z_k) + (1 − t_k) softplus(z_k)
    softmax  + cross-entropy           C = Σ_k t_k (ln Σ_j e^{z_j} − z_k)            (Σ_k t_k = 1)
    exp      + poisson                 C = Σ_k e^{z_k} − t_k z_k

Every other allowed pair goes the generic way: ∂C/∂ŷ of the cost enters the last layer's `delta` as in a hidden layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from deltarule.activations import Activation, Exp, Identity, Sigmoid, Softmax, softplus
from deltarule.arrays import Array, namespace, real_part
from deltarule.costs import BinaryCrossEntropy, Cost, CrossEntropy, Poisson, SquaredError
from deltarule.errors import HyperparameterError

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


def _cross_entropy(z: Array, t: Array) -> Array:
    xp = namespace(z)
    z = z - xp.max(real_part(z), axis=-1, keepdims=True)
    return xp.sum(t * (xp.log(xp.sum(xp.exp(z), axis=-1, keepdims=True)) - z), axis=-1)


def _binary_cross_entropy(z: Array, t: Array) -> Array:
    return namespace(z).sum(t * softplus(-z) + (1 - t) * softplus(z), axis=-1)


def _poisson(z: Array, t: Array) -> Array:
    xp = namespace(z)
    return xp.sum(xp.exp(z) - t * z, axis=-1)


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
