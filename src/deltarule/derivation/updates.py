"""The update rules once more, for one number and by plain arithmetic, as their formulas read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import copysign, sqrt
from typing import Any

from deltarule.optimizers import Optimizer

__all__ = ["written_out"]

State = dict[str, float]
Settings = Any  # the rule, whose constants are floats
Rule = Callable[[Settings, float, float, float, int, State], float]


def written_out(rule: Optimizer, theta: float, gradients: Sequence[float], eta: float) -> float | None:
    """θ behind the updates with these g, from a state of zeros; None of a user's rule."""
    if not type(rule).__module__.startswith("deltarule."):
        return None
    state: State = {"v": 0.0, "m": 0.0, "s": 0.0, "r": 0.0, "p": 1.0, "d": eta, "g": 0.0}
    for t, g in enumerate(gradients, 1):
        theta = RULES[rule.name](rule, theta, g, eta, t, state)
    return theta


def _sgd(o: Settings, theta: float, g: float, eta: float, t: int, q: State) -> float:
    return float(theta - eta * g)


def _momentum(o: Settings, theta: float, g: float, eta: float, t: int, q: State) -> float:
    q["v"] = o.momentum * q["v"] + eta * g
    return float(theta - q["v"])


def _nesterov(o: Settings, theta: float, g: float, eta: float, t: int, q: State) -> float:
    q["v"] = o.momentum * q["v"] + eta * g
    return float(theta - (o.momentum * q["v"] + eta * g))


def _adagrad(o: Settings, theta: float, g: float, eta: float, t: int, q: State) -> float:
    q["s"] += g**2
    return float(theta - eta * g / (sqrt(q["s"]) + o.epsilon))


def _adadelta(o: Settings, theta: float, g: float, eta: float, t: int, q: State) -> float:
    q["s"] = o.decay * q["s"] + (1 - o.decay) * g**2
    u = sqrt(q["r"] + o.epsilon) / sqrt(q["s"] + o.epsilon) * g
    q["r"] = o.decay * q["r"] + (1 - o.decay) * u**2
    return float(theta - eta * u)


def _rmsprop(o: Settings, theta: float, g: float, eta: float, t: int, q: State) -> float:
    q["s"] = o.decay * q["s"] + (1 - o.decay) * g**2
    return float(theta - eta * g / (sqrt(q["s"]) + o.epsilon))


def _adam(o: Settings, theta: float, g: float, eta: float, t: int, q: State) -> float:
    q["m"] = o.beta1 * q["m"] + (1 - o.beta1) * g
    q["s"] = o.beta2 * q["s"] + (1 - o.beta2) * g**2
    mean, square = q["m"] / (1 - o.beta1**t), q["s"] / (1 - o.beta2**t)
    hat = getattr(o, "epsilon_hat", False)
    return float(theta - eta * mean / (sqrt(square) + o.epsilon / (sqrt(1 - o.beta2**t) if hat else 1)))


def _adamw(o: Settings, theta: float, g: float, eta: float, t: int, q: State) -> float:
    return _adam(o, theta - eta * o.weight_decay * theta, g, eta, t, q)


def _amsgrad(o: Settings, theta: float, g: float, eta: float, t: int, q: State) -> float:
    q["m"] = o.beta1 * q["m"] + (1 - o.beta1) * g
    q["s"] = o.beta2 * q["s"] + (1 - o.beta2) * g**2
    q["r"] = max(q["r"], q["s"])
    return float(theta - eta * q["m"] / (1 - o.beta1**t) / (sqrt(q["r"] / (1 - o.beta2**t)) + o.epsilon))


def _nadam(o: Settings, theta: float, g: float, eta: float, t: int, q: State) -> float:
    now, after = (o.beta1 * (1 - 0.5 * 0.96 ** (o.momentum_decay * k)) for k in (t, t + 1))
    q["p"] *= now
    q["m"] = o.beta1 * q["m"] + (1 - o.beta1) * g
    q["s"] = o.beta2 * q["s"] + (1 - o.beta2) * g**2
    step = after * q["m"] / (1 - q["p"] * after) + (1 - now) * g / (1 - q["p"])
    return float(theta - eta / (sqrt(q["s"] / (1 - o.beta2**t)) + o.epsilon) * step)


def _rprop(o: Settings, theta: float, g: float, eta: float, t: int, q: State) -> float:
    turn = g * q["g"]
    c = o.increase if turn > 0 else o.decrease if turn < 0 else 1.0
    q["d"] = min(max(c * q["d"], o.minimum), o.maximum)
    q["g"] = g = g * (turn >= 0)
    return float(theta - q["d"] * (copysign(1, g) if g else 0.0))


RULES: dict[str, Rule] = {
    "sgd": _sgd, "momentum": _momentum, "nesterov": _nesterov, "adagrad": _adagrad, "adadelta": _adadelta,
    "rmsprop": _rmsprop, "adam": _adam, "adamw": _adamw, "amsgrad": _amsgrad, "nadam": _nadam, "rprop": _rprop,
}  # fmt: skip
