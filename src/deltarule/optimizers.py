r"""Optimisers: θ ← update(θ, g, …), one class each, with hyper-parameters only; the state is a value beside it.

Every rule is elementwise, pure, and written for any array library, so that the same lines run under `jax.jit`, with
`learning_rate` and `step` traced or not. Constants are PyTorch's, except that η is inside the velocity. In equations
g = ∂C/∂θ, t is the number of the update from 1, and products, quotients and roots of vectors go entry by entry.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from deltarule.arrays import Array, namespace
from deltarule.errors import HyperparameterError
from deltarule.limits import check, number
from deltarule.names import Named, resolve, table
from deltarule.schedules import Progress, Schedule, schedule

__all__ = [
    "OPTIMIZERS", "SGD", "AMSGrad", "AdaDelta", "AdaGrad", "Adam", "AdamW", "Momentum", "Nadam", "Nesterov",
    "Optimizer", "RMSProp", "RProp", "State", "check_decay", "optimizer",
]  # fmt: skip

State: TypeAlias = dict[str, Array]
"""What an optimiser remembers between updates: names and arrays of θ's dtype."""

Next: TypeAlias = tuple[Array, State]
"""θ and the state after an update."""


@dataclass(frozen=True)
class Optimizer(Named):
    """An update rule: `begin` gives its first state, `update` the next θ and the next state."""

    own_rate: ClassVar[float] = 1e-3  # η where none is given
    equation: ClassVar[str] = ""  # the update in LaTeX
    remembers: ClassVar[tuple[str, ...]] = ()  # arrays of the state, like θ and 0 at first

    @property
    def formula(self) -> str:
        """The update in LaTeX, with these settings."""
        return self.equation

    def begin(self, theta: Array) -> State:
        """The state before the first update."""
        xp = namespace(theta)
        return {key: xp.zeros_like(theta) for key in self.remembers}

    def at(self, progress: Progress) -> Self:
        """Give this optimiser with its momentum's schedule resolved into a number."""
        return self

    def update(
        self, theta: Array, g: Array, state: State, learning_rate: Any, step: Any, decayed: Array | None = None
    ) -> Next:
        """The next θ and state; nothing given is changed.

        `learning_rate` and `step` (from 1) are numbers, or arrays without axes. `decayed` is 1 where weight decay
        reaches and 0 elsewhere, like θ; None is 1 everywhere. Only AdamW looks at it.
        """
        return self.rule(theta, g, state, _scalar(learning_rate, theta), _scalar(step, theta), decayed)

    def rule(self, theta: Array, g: Array, state: State, eta: Any, t: Any, decayed: Array | None) -> Next:
        """The equation; η and t are Python's numbers or arrays of θ's dtype, so that θ keeps its own."""
        raise NotImplementedError


def _scalar(value: Any, theta: Array) -> Any:
    """A plain Python number, or an array without axes in θ's dtype: neither promotes θ."""
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, int | float) else namespace(theta).asarray(value, dtype=theta.dtype)


@dataclass(frozen=True)
class SGD(Optimizer):
    """θ ← θ − ηg: gradient descent.

    >>> import numpy as np
    >>> theta, g = np.array([1.0, 2.0]), np.array([0.5, -1.0])
    >>> theta, state = SGD().update(theta, g, SGD().begin(theta), learning_rate=0.1, step=1)
    >>> theta
    array([0.95, 2.1 ])
    """

    name = "sgd"
    equation = r"\theta \leftarrow \theta - \eta g"

    def rule(self, theta: Array, g: Array, state: State, eta: Any, t: Any, decayed: Array | None) -> Next:
        return theta - eta * g, state


@dataclass(frozen=True)
class Momentum(Optimizer):
    """v ← μv + ηg, θ ← θ − v. μ is a number in [0, 1) or a schedule. Source: Polyak (1964).

    >>> optimizer("momentum(piecewise((0.5,0.95),at_steps=19))").at(Progress(19, 10, 30)).momentum
    0.95
    """

    name = "momentum"
    equation = r"v \leftarrow \mu v + \eta g, \quad \theta \leftarrow \theta - v"
    remembers = ("velocity",)
    momentum: float | Schedule | str = 0.9

    def __post_init__(self) -> None:
        if not isinstance(self.momentum, str | Named):
            check(self, "momentum", least=0, below=1)
            return
        mu = schedule(self.momentum)
        if mu.begin():
            raise HyperparameterError(f"{self.name}: momentum cannot follow '{mu.name}', which watches the cost")
        object.__setattr__(self, "momentum", mu)

    def at(self, progress: Progress) -> Self:
        if isinstance(self.momentum, Schedule):
            return dataclasses.replace(self, momentum=self.momentum.factor(progress))
        return self

    def velocity(self, g: Array, state: State, eta: Any) -> tuple[float, Array]:
        """μ and μv + ηg."""
        if isinstance(self.momentum, Schedule | str):
            raise HyperparameterError(
                f"{self.name}: momentum is the schedule {self.momentum}; update with .at(progress)"
            )
        return self.momentum, self.momentum * state["velocity"] + eta * g

    def rule(self, theta: Array, g: Array, state: State, eta: Any, t: Any, decayed: Array | None) -> Next:
        _, v = self.velocity(g, state, eta)
        return theta - v, {"velocity": v}


@dataclass(frozen=True)
class Nesterov(Momentum):
    """v ← μv + ηg, θ ← θ − (μv + ηg), with the new v. μ is a number in [0, 1) or a schedule.

    θ stands for Nesterov's look-ahead point. Source: Sutskever et al., ICML (2013); Bengio et al., arXiv:1212.0901.
    """

    name = "nesterov"
    equation = r"v \leftarrow \mu v + \eta g, \quad \theta \leftarrow \theta - (\mu v + \eta g)"

    def rule(self, theta: Array, g: Array, state: State, eta: Any, t: Any, decayed: Array | None) -> Next:
        mu, v = self.velocity(g, state, eta)
        return theta - (mu * v + eta * g), {"velocity": v}


@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """s ← s + g², θ ← θ − ηg / (√s + ε). Source: Duchi et al., JMLR 12 (2011)."""

    name = "adagrad"
    own_rate = 1e-2
    equation = r"s \leftarrow s + g^2, \quad \theta \leftarrow \theta - \frac{\eta g}{\sqrt{s} + \varepsilon}"
    remembers = ("square",)
    epsilon: float = 1e-10

    def __post_init__(self) -> None:
        check(self, "epsilon", above=0)

    def rule(self, theta: Array, g: Array, state: State, eta: Any, t: Any, decayed: Array | None) -> Next:
        s = state["square"] + g * g
        return theta - eta * g / (namespace(theta).sqrt(s) + self.epsilon), {"square": s}


@dataclass(frozen=True)
class AdaDelta(Optimizer):
    """s ← ρs + (1 − ρ)g², u = g √(r + ε)/√(s + ε), r ← ρr + (1 − ρ)u², θ ← θ − ηu. Source: Zeiler, arXiv:1212.5701."""

    name = "adadelta"
    own_rate = 1.0
    equation = (
        r"s \leftarrow \rho s + (1 - \rho) g^2, \quad u = \frac{\sqrt{r + \varepsilon}}{\sqrt{s + \varepsilon}} g, "
        r"\quad r \leftarrow \rho r + (1 - \rho) u^2, \quad \theta \leftarrow \theta - \eta u"
    )
    remembers = ("square", "change")
    decay: float = 0.9
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        check(self, "decay", least=0, below=1)
        check(self, "epsilon", above=0)

    def rule(self, theta: Array, g: Array, state: State, eta: Any, t: Any, decayed: Array | None) -> Next:
        sqrt, rho, r = namespace(theta).sqrt, self.decay, state["change"]
        s = rho * state["square"] + (1 - rho) * g * g
        u = sqrt(r + self.epsilon) / sqrt(s + self.epsilon) * g
        return theta - eta * u, {"square": s, "change": rho * r + (1 - rho) * u * u}


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """s ← ρs + (1 − ρ)g², θ ← θ − ηg / (√s + ε). Source: Tieleman and Hinton, Coursera, lecture 6.5 (2012)."""

    name = "rmsprop"
    own_rate = 1e-2
    equation = (
        r"s \leftarrow \rho s + (1 - \rho) g^2, \quad \theta \leftarrow \theta - \frac{\eta g}{\sqrt{s} + \varepsilon}"
    )
    remembers = ("square",)
    decay: float = 0.99
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        check(self, "decay", least=0, below=1)
        check(self, "epsilon", above=0)

    def rule(self, theta: Array, g: Array, state: State, eta: Any, t: Any, decayed: Array | None) -> Next:
        s = self.decay * state["square"] + (1 - self.decay) * g * g
        return theta - eta * g / (namespace(theta).sqrt(s) + self.epsilon), {"square": s}


_MOMENTS = r"m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad s \leftarrow \beta_2 s + (1 - \beta_2) g^2, \quad "
_ADAM_STEP = r"\frac{\eta \, m / (1 - \beta_1^t)}{\sqrt{s / (1 - \beta_2^t)} + \varepsilon}"


@dataclass(frozen=True)
class Adam(Optimizer):
    """m ← β₁m + (1 − β₁)g, s ← β₂s + (1 − β₂)g², θ ← θ − η m̂ / (√ŝ + ε), m̂ = m/(1 − β₁ᵗ), ŝ = s/(1 − β₂ᵗ).

    `epsilon_hat=True` adds ε to √s before the correction, √ŝ + ε/√(1 − β₂ᵗ): the ε̂ of the paper's efficient form, which
    TensorFlow and scikit-learn use. Source: Kingma and Ba, arXiv:1412.6980.

    >>> optimizer("adam(beta2=0.99)")
    Adam(beta1=0.9, beta2=0.99, epsilon=1e-08, epsilon_hat=False)
    """

    name = "adam"
    equation = _MOMENTS + r"\theta \leftarrow \theta - " + _ADAM_STEP
    remembers: ClassVar[tuple[str, ...]] = ("mean", "square")
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    epsilon_hat: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        check(self, "beta1", "beta2", least=0, below=1)
        check(self, "epsilon", above=0)
        if not isinstance(self.epsilon_hat, bool):
            raise HyperparameterError(f"{self.name}: epsilon_hat is True or False, not {self.epsilon_hat!r}")

    @property
    def formula(self) -> str:
        epsilon_hat = r"\varepsilon / \sqrt{1 - \beta_2^t}"
        return self.equation.replace(r"\varepsilon", epsilon_hat) if self.epsilon_hat else self.equation

    def root(self, s: Array, t: Any) -> Array:
        """√ŝ + ε, the denominator of update t."""
        corrected = 1 - self.beta2**t
        epsilon = self.epsilon / corrected**0.5 if self.epsilon_hat else self.epsilon
        return namespace(s).sqrt(s / corrected) + epsilon

    def moments(self, g: Array, state: State) -> tuple[Array, Array]:
        """Running means of g and g²: m and s."""
        m = self.beta1 * state["mean"] + (1 - self.beta1) * g
        return m, self.beta2 * state["square"] + (1 - self.beta2) * g * g

    def rule(self, theta: Array, g: Array, state: State, eta: Any, t: Any, decayed: Array | None) -> Next:
        m, s = self.moments(g, state)
        return theta - eta / (1 - self.beta1**t) * m / self.root(s, t), {"mean": m, "square": s}


@dataclass(frozen=True)
class AdamW(Optimizer):
    """θ ← θ − ηλθ (W, U, V and kernels only), then Adam: the decay is decoupled and no part of C.

    Source: Loshchilov and Hutter, arXiv:1711.05101.
    """

    name = "adamw"
    equation = r"\theta \leftarrow \theta - \eta \lambda \theta, \quad " + Adam.equation
    remembers = Adam.remembers
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        check(self, "weight_decay", least=0)
        check(self, "beta1", "beta2", least=0, below=1)
        check(self, "epsilon", above=0)

    def rule(self, theta: Array, g: Array, state: State, eta: Any, t: Any, decayed: Array | None) -> Next:
        shrunk = theta - eta * self.weight_decay * (theta if decayed is None else theta * decayed)
        return Adam(self.beta1, self.beta2, self.epsilon).rule(shrunk, g, state, eta, t, decayed)


@dataclass(frozen=True)
class AMSGrad(Adam):
    """Adam with the largest s so far in place of s: r ← max(r, s). Source: Reddi et al., ICLR (2018)."""

    name = "amsgrad"
    equation = _MOMENTS + r"r \leftarrow \max(r, s), \quad \theta \leftarrow \theta - " + _ADAM_STEP.replace("{s", "{r")
    remembers = ("mean", "square", "largest")

    def rule(self, theta: Array, g: Array, state: State, eta: Any, t: Any, decayed: Array | None) -> Next:
        xp = namespace(theta)
        m, s = self.moments(g, state)
        r = xp.maximum(state["largest"], s)
        theta = theta - eta / (1 - self.beta1**t) * m / self.root(r, t)
        return theta, {"mean": m, "square": s, "largest": r}


@dataclass(frozen=True)
class Nadam(Adam):
    """Adam with Nesterov's momentum: m̂ = μ₊ m/(1 − p μ₊) + (1 − μ) g/(1 − p), p ← p μ.

    μ = β₁ (1 − ½ 0.96^{ψt}) and μ₊ is the next update's; ψ is `momentum_decay`, p the product of all μ so far.
    Source: Dozat, ICLR workshop (2016).
    """

    name = "nadam"
    own_rate = 2e-3
    equation = (
        r"\mu_t = \beta_1 (1 - \tfrac{1}{2} 0.96^{\psi t}), \quad p \leftarrow p \mu_t, \quad " + _MOMENTS + r"\theta "
        r"\leftarrow \theta - \frac{\eta}{\sqrt{s / (1 - \beta_2^t)} + \varepsilon} \left( \frac{\mu_{t+1} m}"
        r"{1 - p \mu_{t+1}} + \frac{(1 - \mu_t) g}{1 - p} \right)"
    )
    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "momentum_decay", least=0)

    def begin(self, theta: Array) -> State:
        return super().begin(theta) | {"product": namespace(theta).ones_like(theta[:1])}

    def rule(self, theta: Array, g: Array, state: State, eta: Any, t: Any, decayed: Array | None) -> Next:
        m, s = self.moments(g, state)
        mu, mu_next = (self.beta1 * (1 - 0.5 * 0.96 ** (self.momentum_decay * k)) for k in (t, t + 1))
        p = state["product"] * mu
        ahead = mu_next / (1 - p * mu_next) * m + (1 - mu) / (1 - p) * g
        return theta - eta * ahead / self.root(s, t), {"mean": m, "square": s, "product": p}


@dataclass(frozen=True)
class RProp(Optimizer):
    """θ ← θ − d sign g; d grows while g keeps its sign, shrinks when it turns, and a g that turned counts as 0.

    η is the first d only; later ones are bound by `minimum` and `maximum`. It wants whole batches.
    Sources: Riedmiller and Braun, ICNN (1993); without backtracking: Igel and Hüsken, Neurocomputing 50 (2003).
    """

    name = "rprop"
    own_rate = 1e-2
    equation = (
        r"c = \begin{cases} c_+ & g g_{\text{prev}} > 0 \\ c_- & g g_{\text{prev}} < 0 \\ 1 & \text{else} \end{cases}, "
        r"\quad d \leftarrow \min(\max(c d, d_{\min}), d_{\max}), \quad g \leftarrow g \, [g g_{\text{prev}} \ge 0]"
        r", \quad \theta \leftarrow \theta - d \operatorname{sign} g"
    )
    remembers = ("previous", "size")
    decrease: float = 0.5
    increase: float = 1.2
    minimum: float = 1e-6
    maximum: float = 50.0

    def __post_init__(self) -> None:
        check(self, "decrease", above=0, below=1)
        check(self, "increase", above=1)
        check(self, "minimum", above=0)
        check(self, "maximum", least=self.minimum)

    def rule(self, theta: Array, g: Array, state: State, eta: Any, t: Any, decayed: Array | None) -> Next:
        xp = namespace(theta)
        one, d = xp.ones_like(theta), state["size"]
        turn = xp.sign(g) * xp.sign(state["previous"])  # of signs: the product of two small g may vanish
        c = xp.where(turn > 0, self.increase * one, xp.where(turn < 0, self.decrease * one, one))
        d = c * xp.where(d > 0, d, eta * one)  # d = 0 before the first update only
        d = xp.minimum(xp.maximum(d, self.minimum * one), self.maximum * one)
        g = xp.where(turn < 0, 0 * one, g)
        return theta - d * xp.sign(g), {"previous": g, "size": d}


OPTIMIZERS = table(SGD, Momentum, Nesterov, AdaGrad, AdaDelta, RMSProp, Adam, AdamW, AMSGrad, Nadam, RProp)


def optimizer(value: Optimizer | str) -> Optimizer:
    """The optimiser that `value` is or names.

    >>> optimizer("RMS-prop"), optimizer("nesterov(0.95)")
    (RMSProp(decay=0.99, epsilon=1e-08), Nesterov(momentum=0.95))
    """
    return resolve("optimiser", OPTIMIZERS, value)


def check_decay(rule: Optimizer | None, weight_decay: float) -> float:
    """λ as a number; weights that decay in C and by AdamW besides are refused."""
    weight_decay = number("weight_decay", weight_decay, least=0)
    if weight_decay and isinstance(rule, AdamW) and rule.weight_decay:
        raise HyperparameterError("weight_decay goes to train (in C) or to AdamW (decoupled), not to both")
    return weight_decay
