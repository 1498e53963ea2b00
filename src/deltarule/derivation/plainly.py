"""Activations, their slopes, and costs once more, by plain arithmetic, as their formulas read.

They share nothing with the library's own code, which is written so that nothing overflows. An activation or a cost of a
user's has no line here: it is held against differences alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["COST", "COST_FROM_LOGITS", "COST_SLOPE", "SLOPE", "F", "constants"]


def sigma(z: Any) -> Any:
    """σ."""
    return 1 / (1 + np.exp(-z))


def xlogy(x: Any, y: Any) -> Any:
    """x ln y, and 0 where x is 0."""
    return np.where(x == 0, 0, x * np.log(np.where(x == 0, 1, y)))


def _softmax(f: Any, z: Any) -> Any:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _u(z: Any) -> Any:
    return np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)


def _gelu_slope(f: Any, z: Any, a: Any) -> Any:
    s, slope_of_u = sigma(2 * _u(z)), np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return s + 2 * a * (1 - s) * slope_of_u


def _huber(C: Any, y: Any, t: Any) -> Any:
    e, d = abs(y - t), C.threshold
    return np.where(e <= d, e**2 / 2, d * (e - d / 2)).sum()


F: dict[str, Any] = {  # f(z)
    "identity": lambda f, z: z,
    "sigmoid": lambda f, z: sigma(z),
    "tanh": lambda f, z: np.tanh(z),
    "scaled tanh": lambda f, z: f.amplitude * np.tanh(f.slope * z),
    "relu": lambda f, z: np.maximum(z, 0),
    "leaky relu": lambda f, z: np.where(z > 0, z, f.slope * z),
    "elu": lambda f, z: np.where(z > 0, z, f.alpha * (np.exp(np.minimum(z, 0)) - 1)),
    "softplus": lambda f, z: np.logaddexp(0, z),
    "swish": lambda f, z: z * sigma(z),
    "gelu": lambda f, z: z * sigma(2 * _u(z)),
    "exp": lambda f, z: np.exp(z),
    "softmax": _softmax,
}
SLOPE: dict[str, Any] = {  # f′(z)
    "identity": lambda f, z, a: np.ones_like(z),
    "sigmoid": lambda f, z, a: a * (1 - a),
    "tanh": lambda f, z, a: 1 - a**2,
    "scaled tanh": lambda f, z, a: f.slope / f.amplitude * (f.amplitude**2 - a**2),
    "relu": lambda f, z, a: 1.0 * (z > 0),
    "leaky relu": lambda f, z, a: (z > 0) + f.slope * (z <= 0),
    "elu": lambda f, z, a: (z > 0) + (a + f.alpha) * (z <= 0),
    "softplus": lambda f, z, a: sigma(z),
    "swish": lambda f, z, a: sigma(z) + a * (1 - sigma(z)),
    "gelu": _gelu_slope,
    "exp": lambda f, z, a: a,
}
COST: dict[str, Any] = {  # C(ŷ, t), with 0 ln 0 = 0
    "squared error": lambda C, y, t: ((y - t) ** 2).sum() / 2,
    "binary cross entropy": lambda C, y, t: -(xlogy(t, y) + xlogy(1 - t, 1 - y)).sum(),
    "cross entropy": lambda C, y, t: -xlogy(t, y).sum(),
    "absolute": lambda C, y, t: abs(y - t).sum(),
    "huber": _huber,
    "quantile": lambda C, y, t: np.maximum(C.quantile * (t - y), (1 - C.quantile) * (y - t)).sum(),
    "poisson": lambda C, y, t: (y - xlogy(t, y)).sum(),
}
COST_SLOPE: dict[str, Any] = {  # ∂C/∂ŷ
    "squared error": lambda C, y, t: y - t,
    "binary cross entropy": lambda C, y, t: (y - t) / (y * (1 - y)),
    "cross entropy": lambda C, y, t: -t / y,
    "absolute": lambda C, y, t: np.sign(y - t),
    "huber": lambda C, y, t: np.maximum(-C.threshold, np.minimum(C.threshold, y - t)),
    "quantile": lambda C, y, t: (1 - C.quantile) * (y > t) - C.quantile * (y < t),
    "poisson": lambda C, y, t: 1 - t / y,
}
COST_FROM_LOGITS: dict[str, Any] = {  # C(z, t) of the canonical pairs, by the activation's name
    "identity": lambda z, t: ((z - t) ** 2).sum() / 2,
    "sigmoid": lambda z, t: (t * np.logaddexp(0, -z) + (1 - t) * np.logaddexp(0, z)).sum(),
    "softmax": lambda z, t: (np.logaddexp.reduce(z, axis=-1) - (t * z).sum(axis=-1)).sum(),
    "exp": lambda z, t: (np.exp(z) - t * z).sum(),
}
CONSTANTS = {  # whose attribute a constant of a formula is
    "scaled tanh": {"A": "amplitude", "S": "slope"}, "leaky relu": {"s": "slope"}, "elu": {r"\alpha": "alpha"},
    "huber": {"d": "threshold"}, "quantile": {"q": "quantile"}, "momentum": {r"\mu": "momentum"},
    "nesterov": {r"\mu": "momentum"}, "adagrad": {r"\varepsilon": "epsilon"},
    "adadelta": {r"\rho": "decay", r"\varepsilon": "epsilon"}, "rmsprop": {r"\rho": "decay", r"\varepsilon": "epsilon"},
    "adam": {r"\beta_1": "beta1", r"\beta_2": "beta2", r"\varepsilon": "epsilon"},
    "adamw": {r"\lambda": "weight_decay", r"\beta_1": "beta1", r"\beta_2": "beta2", r"\varepsilon": "epsilon"},
    "amsgrad": {r"\beta_1": "beta1", r"\beta_2": "beta2", r"\varepsilon": "epsilon"},
    "nadam": {r"\beta_1": "beta1", r"\beta_2": "beta2", r"\varepsilon": "epsilon", r"\psi": "momentum_decay"},
    "rprop": {"c_-": "decrease", "c_+": "increase", r"d_{\min}": "minimum", r"d_{\max}": "maximum"},
}  # fmt: skip


def constants(thing: Any) -> list[tuple[str, str]]:
    """The constants in the formula of an activation, a cost or an optimiser: (symbol, value)."""
    own = CONSTANTS.get(thing.name, {})
    values = [(symbol, getattr(thing, attribute)) for symbol, attribute in own.items()]
    return [(symbol, f"{value:.6g}" if isinstance(value, int | float) else str(value)) for symbol, value in values]
