"""The vanilla recurrent layer: a sequence x₁ … x_T in, its hidden states h₁ … h_T out.

    forward    z_t = U h_{t−1} + W x_t + b,  h_t = f(z_t)             (m, n_hidden), t = 1 … T
    delta      δ_t = f′(z_t) ⊙ (∂C/∂h_t + Uᵀ δ_{t+1})                 the whole way back through time, t = T … 1
    backward   ∂C/∂W = Σ_t δ_t x_tᵀ,  ∂C/∂U = Σ_t δ_t h_{t−1}ᵀ,  ∂C/∂b = Σ_t δ_t,  ∂C/∂x_t = Wᵀ δ_t,  ∂C/∂h₀ = Uᵀ δ₁

A step that a mask leaves out copies the state: h_t = h_{t−1}, δ_t = 0, and what comes from above goes on to h_{t−1}.
Tokens in place of x_t choose columns of W: W x_t of a one-hot x_t. The document writes δ_k as a sum over the later
steps, δ_k = Σ_{t≥k} δ_{t,k} with δ_{t,k} = f′(z_k) ⊙ Uᵀ δ_{t,k+1}: see `triangle`.
Source: Elman, Cognitive Science 14 (1990) 179-211; Werbos, Proc. IEEE 78 (1990) 1550-1560.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from deltarule.activations import Activation, ReLU, Sigmoid, Tanh
from deltarule.arrays import Array, Shape, namespace
from deltarule.errors import HyperparameterError, ShapeError
from deltarule.initializers import Initializer, LeCunUniform, Zeros, initializer
from deltarule.layers.base import (
    MOST_UNITS,
    Context,
    Equation,
    Gradients,
    Parameters,
    Weighted,
    activation_equations,
    default_initializer,
    shape_text,
)  # fmt: skip
from deltarule.layers.tokens import net_input, outer_sum
from deltarule.limits import check

__all__ = ["RNN", "RecurrentCache"]


class RecurrentCache(NamedTuple):
    """What the way back through time needs; `state` is h_T, for whoever goes on from here."""

    a_prev: Array  # (m, T, n) numbers or (m, T) tokens
    z: Array  # (m, T, n_hidden), or (m, n_hidden) of the last step alone
    a: Array
    steps: Array  # z_1 … z_T
    before: Array  # h_0 … h_{T−1}
    after: Array  # h_1 … h_T
    time: Array | None  # (m, T): whether a step counts
    state: Array  # h_T
    carried: bool  # whether h₀ came from outside


@dataclass(frozen=True)
class RNN(Weighted):
    """`hidden` units, each connected to every input and to every unit one step before.

    Args:
        hidden: how many units.
        activation: tanh (unless the network says otherwise), sigmoid or relu.
        last: whether the layer answers once a sequence, by h_T, instead of at every step.
        initial_state: h₀, "zero" or "learned" (a parameter of its own, not decayed).
        initializer: of W; He for relu and Glorot otherwise, unless said.
        recurrent_initializer: of U; uniform with a spectral radius of about ½ unless said: what is far back fades, and
            the gradient does not grow.

    >>> RNN(128).parameter_shapes((None, 65))
    {'W': (128, 65), 'U': (128, 128), 'b': (128,)}
    """

    name = "rnn"
    takes_tokens = True
    decays = frozenset({"W", "U"})
    usual = Tanh()
    hidden: int
    activation: Activation | str | None = None
    last: bool = field(default=False, kw_only=True)
    initial_state: str = field(default="zero", kw_only=True)
    initializer: Initializer | str | None = field(default=None, kw_only=True)
    recurrent_initializer: Initializer | str = field(default_factory=lambda: LeCunUniform(0.5), kw_only=True)
    bias_initializer: Initializer | str = field(default_factory=Zeros, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "hidden", integral=True, least=1, most=MOST_UNITS)
        object.__setattr__(self, "recurrent_initializer", initializer(self.recurrent_initializer))
        if not isinstance(self.activation, Tanh | Sigmoid | ReLU | None):
            raise HyperparameterError(f"rnn: the activation is tanh, sigmoid or relu, not '{self.activation}'")
        if not isinstance(self.last, bool):
            raise HyperparameterError(f"rnn: last is True or False, not {self.last!r}")
        if self.initial_state not in ("zero", "learned"):
            raise HyperparameterError(f"rnn: initial_state is zero or learned, not {self.initial_state!r}")

    @property
    def state_size(self) -> int:
        return self.hidden

    def output_shape(self, input_shape: Shape) -> Shape:
        if input_shape[0] is not None:
            raise ShapeError(f"it takes sequences, such as seq(65), and {shape_text(input_shape)} comes in")
        return (self.hidden,) if self.last else (None, self.hidden)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        n, h = input_shape[1] or 0, self.hidden
        shapes: dict[str, tuple[int, ...]] = {"W": (h, n), "U": (h, h), "b": (h,)}
        return shapes | ({"h0": (h,)} if self.initial_state == "learned" else {})

    def initial(self, input_shape: Shape, random: np.random.Generator) -> dict[str, Any]:
        rules = {
            "W": initializer(self.initializer or default_initializer(self.f)),
            "U": initializer(self.recurrent_initializer), "b": initializer(self.bias_initializer), "h0": Zeros(),
        }  # fmt: skip
        shapes = self.parameter_shapes(input_shape)
        fan_in = {"W": shapes["W"][1]}
        return {n: rules[n].draw(random, shape, fan_in.get(n, self.hidden), self.hidden) for n, shape in shapes.items()}

    def forward(self, p: Parameters, a_prev: Array, ctx: Context) -> RecurrentCache:
        xp = namespace(p["W"])
        driven = net_input(p["W"], a_prev) + p["b"]  # W x_t + b of all steps
        h = self._initial_state(p, driven, ctx.state)
        z, before, after = [], [], []
        for t in range(driven.shape[1]):
            before.append(h)
            z.append(h @ p["U"].T + driven[:, t, :])
            h = _where(ctx.time, t, self.f.f(z[-1]), h)
            after.append(h)
        steps, states = xp.stack(z, axis=1), xp.stack(after, axis=1)
        shown = (z[-1], h) if self.last else (steps, states)
        return RecurrentCache(
            a_prev, *shown, steps, xp.stack(before, axis=1), states, ctx.time, h, ctx.state is not None
        )  # fmt: skip

    def delta(self, p: Parameters, da: Array, cache: RecurrentCache) -> Array:
        """δ_1 … δ_T `(m, T, n_hidden)`: the recursion through time, from ∂C/∂h_t of every step or of the last."""
        xp = namespace(da)
        deltas: list[Array] = []
        later = da if self.last else xp.zeros_like(cache.state + da[:, 0, :])  # what h_t gives to the steps after t
        for t in reversed(range(cache.steps.shape[1])):
            dh = later if self.last else later + da[:, t, :]
            delta = self._delta_at(t, dh, cache)
            later = _where(cache.time, t, delta @ p["U"], dh)
            deltas.insert(0, delta)
        return xp.stack(deltas, axis=1)

    def backward(self, p: Parameters, delta: Array, cache: RecurrentCache) -> tuple[Array, Gradients]:
        xp = namespace(delta)
        h = self.hidden
        g = {
            "W": outer_sum(delta, cache.a_prev, p["W"].shape[1]),
            "U": xp.reshape(delta, (-1, h)).T @ xp.reshape(cache.before, (-1, h)),
            "b": xp.sum(delta, axis=(0, 1)),
        }  # fmt: skip
        if "h0" in p:  # it reaches the first step that counts, unless a state came from outside
            reached = xp.zeros_like(delta[:, 0, :]) if cache.carried else _first(delta, cache.time)
            g["h0"] = xp.sum(reached @ p["U"], axis=0)
        return delta @ p["W"], g

    def triangle(self, p: Parameters, da: Array, cache: RecurrentCache) -> Array:
        """δ_{t,k}, what the cost of step t gives to z_k: `(m, T, T, n_hidden)`, [:, t, k], 0 where k > t.

        Σ_t δ_{t,k} = δ_k; ‖δ_{t,k}‖ against t − k shows how the gradient vanishes, or explodes, through time.
        """
        xp = namespace(da)
        T = cache.steps.shape[1]
        if self.last:
            da = xp.stack([*[xp.zeros_like(da)] * (T - 1), da], axis=1)
        rows = []
        for t in range(T):
            dh, row = da[:, t, :], list[Array]()
            for k in reversed(range(t + 1)):
                row.insert(0, self._delta_at(k, dh, cache))
                dh = _where(cache.time, k, row[0] @ p["U"], dh)
            rows.append(xp.stack([*row, *[xp.zeros_like(dh)] * (T - 1 - t)], axis=1))
        return xp.stack(rows, axis=1)

    def equations(self, input_shape: Shape | None = None) -> list[Equation]:
        h, n = (self.hidden, "n" if input_shape is None else input_shape[1])
        _, (slope, _) = activation_equations(self.f, f"({h})")
        above = r"\frac{\partial C}{\partial h_t}"
        from_above = rf"[t = T] \, {above}" if self.last else above
        learned = [Equation(
            "initial state", r"\frac{\partial C}{\partial h_0} = U^T \delta_1", f"({h})", "dh0",
            lambda q: q.U.T @ q.delta[0],
        )]  # fmt: skip
        return [
            *([] if self.initial_state == "learned" else [Equation("first state", "h_0 = 0", f"({h})")]),
            Equation(
                "net value", r"z_t = U h_{t-1} + W a_{\mathrm{prev},t} + b",
                f"({h}) = ({h}, {h}) ({h}) + ({h}, {n}) ({n}) + ({h})", "z",
                lambda q: q.before @ q.U.T + q.a_prev @ q.W.T + q.b, r"One step after the other, $t = 1, \dots, T$:",
            ),
            Equation("state", f"h_t = f(z_t) = {self.f.equation}", f"({h})", "after"),
            slope,
            Equation(
                "delta",
                rf"\delta_t = f'(z_t) \odot \left({from_above} + U^T \delta_{{t+1}}\right), \quad \delta_{{T+1}} = 0",
                f"({h})", "delta", self._recursion,
                r"Back through time, $t = T, \dots, 1$. $\partial C / \partial h_t$ is what comes from above at that "
                r"step alone; $\delta_t$ counts what comes by way of the next step too:",
            ),
            Equation(
                "unrolled", r"\delta_k = \sum_{t \ge k} \delta_{t,k}, \quad \delta_{t,t} = f'(z_t) \odot "
                rf"{from_above}, \quad \delta_{{t,k}} = f'(z_k) \odot U^T \delta_{{t,k+1}}", "", "delta",
                self._unrolled, "Unrolled, it is a sum of what the cost of every later step contributes:",
            ),
            Equation(
                "product",
                r"\delta_{t,k} = \left(\prod_{j=k}^{t-1} \operatorname{diag}(f'(z_j)) \, U^T\right) \delta_{t,t}", "",
                "delta", self._products,
                "The errors of far steps vanish or explode with the powers of $U$ and of the slopes:",
            ),
            Equation(
                "input weights", r"\frac{\partial C}{\partial W} = \sum_t \delta_t \, a_{\mathrm{prev},t}^T",
                f"({h}, {n})", "dW", lambda q: q.delta.T @ q.a_prev,
                "Weights are used at every step, and have a term for each:",
            ),
            Equation(
                "recurrent weights", r"\frac{\partial C}{\partial U} = \sum_t \delta_t \, h_{t-1}^T", f"({h}, {h})",
                "dU", lambda q: q.delta.T @ q.before,
            ),
            Equation(
                "biases", r"\frac{\partial C}{\partial b} = \sum_t \delta_t", f"({h})", "db",
                lambda q: q.delta.sum(axis=0),
            ),
            *(learned if self.initial_state == "learned" else []),
            Equation(
                "input", r"\frac{\partial C}{\partial a_{\mathrm{prev},t}} = W^T \delta_t", f"({n})", "da_prev",
                lambda q: q.delta @ q.W,
            ),
        ]  # fmt: skip

    def _recursion(self, q: Any) -> Any:
        """δ_t from δ_{t+1}."""
        above, found, later = self._above(q), np.zeros_like(q.z), np.zeros_like(q.z[0])
        for t in reversed(range(len(q.z))):
            found[t] = later = q.slope[t] * (above[t] + q.U.T @ later)
        return found

    def _unrolled(self, q: Any) -> Any:
        """Σ_{t ≥ k} δ_{t,k}."""
        found = np.zeros_like(q.z)
        for t, above in enumerate(self._above(q)):
            part = q.slope[t] * above
            for k in reversed(range(t + 1)):
                found[k] += part
                part = q.slope[k - 1] * (q.U.T @ part) if k else part
        return found

    def _products(self, q: Any) -> Any:
        """The same by products of matrices."""
        found, above = np.zeros_like(q.z), self._above(q)
        for k in range(len(q.z)):
            product = np.eye(self.hidden)
            for t in range(k, len(q.z)):
                found[k] += product @ (q.slope[t] * above[t])
                product = product @ np.diag(q.slope[t]) @ q.U.T
        return found

    def _above(self, q: Any) -> Any:
        """∂C/∂h_t of every step from the layers above."""
        return np.eye(len(q.z))[-1][:, None] * q.da if self.last else q.da

    def _initial_state(self, p: Parameters, driven: Array, state: Array | None) -> Array:
        """h₀ `(m, n_hidden)`: the state that came in, the learned one, or 0."""
        zeros = namespace(driven).zeros_like(driven[:, 0, :])
        return zeros + (state if state is not None else p["h0"]) if state is not None or "h0" in p else zeros

    def _delta_at(self, t: int, dh: Array, cache: RecurrentCache) -> Array:
        """f′(z_t) ⊙ ∂C/∂h_t; 0 where the step does not count."""
        delta = self.f.delta(dh, cache.steps[:, t, :], cache.after[:, t, :])
        return _where(cache.time, t, delta, namespace(delta).zeros_like(delta))


def _where(time: Array | None, t: int, yes: Array, no: Array) -> Array:
    """`yes` in the rows whose step t counts, `no` in the others."""
    return yes if time is None else namespace(yes).where(time[:, t, None], yes, no)


def _first(delta: Array, time: Array | None) -> Array:
    """δ of the first step that counts, `(m, n_hidden)`."""
    if time is None:
        return delta[:, 0, :]
    xp = namespace(delta)
    counted = xp.cumulative_sum(xp.astype(time, xp.int64), axis=1)
    first = xp.astype(time & (counted == 1), delta.dtype)
    return xp.sum(xp.expand_dims(first, axis=-1) * delta, axis=1)
