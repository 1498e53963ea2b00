"""The network that an estimator's parameters describe."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError

from deltarule.activations import Activation, activation
from deltarule.architecture import Architecture
from deltarule.errors import DeltaruleError
from deltarule.layers import Dense, Dropout, Layer

__all__ = ["OUTPUTS", "build", "hidden_sizes", "per_layer"]

OUTPUTS = {  # scikit-learn's names, and ours
    "identity": "identity", "logistic": "sigmoid", "softmax": "softmax", "tanh": "tanh", "relu": "relu", "exp": "exp",
    "softplus": "softplus",
}  # fmt: skip


def build(mlp: Any, sizes: Sequence[int]) -> Architecture:
    """The layers between inputs and outputs of these sizes."""
    layers: list[Layer] = []
    hidden = len(sizes) - 2
    rates, functions = per_layer(mlp, "dropout", hidden), per_layer(mlp, "activation", hidden)
    for n, f, rate in zip(sizes[1:-1], functions, rates):
        layers.append(Dense(n, _function(mlp, f)))
        try:
            layers += [Dropout(float(rate))] if rate else []
        except (DeltaruleError, TypeError, ValueError) as error:
            raise _invalid(mlp, "dropout", f"has a rate out of [0.0, 1.0) ({error})") from None
    layers.append(Dense(sizes[-1], OUTPUTS[mlp.out_activation_]))
    try:
        return Architecture(layers, input_shape=(sizes[0],), cost=mlp._cost())
    except DeltaruleError as error:
        raise InvalidParameterError(f"{type(mlp).__name__}: {error}") from None


def hidden_sizes(mlp: Any) -> list[int]:
    """`hidden_layer_sizes` as a list."""
    given = mlp.hidden_layer_sizes
    sizes = list(given) if np.iterable(given) else [given]
    if any(n <= 0 for n in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return sizes


def per_layer(mlp: Any, name: str, layers: int) -> list[Any]:
    """A parameter that is one value, or one for every hidden layer."""
    value = getattr(mlp, name)
    if isinstance(value, str) or not isinstance(value, Sized):
        return [value] * layers
    if len(value) != layers:
        raise _invalid(mlp, name, f"names {len(value)} values for {layers} hidden layers")
    return list(value)  # type: ignore[call-overload, no-any-return]


def _function(mlp: Any, name: str) -> Activation:
    """The activation of that name, in scikit-learn's words or ours."""
    try:
        return activation("sigmoid" if name == "logistic" else name)
    except DeltaruleError as error:
        raise _invalid(
            mlp, "activation", f"must be one name or one for every hidden layer, 'logistic' among them: {error}"
        ) from None


def _invalid(mlp: Any, name: str, why: str) -> InvalidParameterError:
    return InvalidParameterError(f"The {name!r} parameter of {type(mlp).__name__} {why}.")
