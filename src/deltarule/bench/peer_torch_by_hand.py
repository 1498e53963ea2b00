"""PyTorch by hand: the gradient written out, layer by layer, which is what PyTorch's kernels reach at best.

θ, g and the state are one flat vector each. The update is the fused kernel, or in-place arithmetic, which SGD and
momentum do within the matrix products that give the gradient (v ← μv + ηg is one product that adds to v). Dense and
recurrent layers compute into fixed buffers; the kernels of convolutions and pooling allocate their results.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import ScaledTanh
from deltarule.bench.cases import Case
from deltarule.bench.peer import Formulation, Peer
from deltarule.bench.peer_torch import INSTALL, PACKAGES, TorchTraining, settle, ways
from deltarule.bench.problem import Problem
from deltarule.bench.stages import Stage
from deltarule.bench.torch_layers import (
    DENSE_LAYOUTS,
    Options,
    Step,
    activations,
    flatten,
    forward,
    framed,
    links,
    parameters,
    view,
)
from deltarule.optimizers import Adam, Momentum, Optimizer

__all__ = ["TORCH_BY_HAND"]


class _ByHand(TorchTraining):
    """δ⁽ᴸ⁾ = softmax(z) − onehot(t), then every layer's way back."""

    def __init__(self, problem: Problem, formulation: Formulation) -> None:
        import torch

        K = problem.stages[-1].layer.units
        super().__init__(problem, formulation, torch.eye(K)[torch.from_numpy(problem.t)])
        self.answers = problem.t[: self.case.batch].size  # whose costs are averaged
        self.logp, self.delta = torch.empty((2, self.answers, K))
        self.view, f, f_back = view(problem.stages[0], self.options), activations(), _derivatives()
        names = [stage.activation for stage in problem.stages]
        self.f, self.f_back = [f[name] for name in names], [f_back[name] for name in names[:-1]]
        self.reset()

    def reset(self) -> None:
        torch, stages, batch, length = self.torch, self.problem.stages, self.case.batch, self.case.length
        start = [parameters(stage, self.options) for stage in stages]
        theta = torch.zeros(sum(values.numel() for p in start for values in p))
        self.update = _rule(
            torch, self.problem.optimizer, self.case.learning_rate, self.answers, theta,
            fused=self.options["update"] == "fused",
        )  # fmt: skip
        views, targets = _views(theta, start), _views(self.update.target, start)
        for p, p0 in zip(views, start):
            for values, values0 in zip(p, p0):
                values.copy_(values0)
        self.layers = [
            _KINDS[stage.kind](
                stage, {**self.options, "batch": batch * length if stage.sequence else batch, "length": length},
                p, to, self.update,
            )
            for stage, p, to in zip(stages, views, targets)
        ]  # fmt: skip

    def train(self, epochs: int, order: NDArray[np.int64] | None = None) -> NDArray[Any]:
        costs = []
        with self.torch.inference_mode():
            for x, t in self.batches(epochs, order):
                costs.append(self._step(x, t))
                self.update.finish()
            found: NDArray[Any] = self.torch.stack(costs).numpy() / -self.answers
        return found

    def _step(self, x: Any, t: Any) -> Any:
        """target ← β target + scale ∂(m C)/∂θ; returns −m C."""
        torch, a = self.torch, [self.view(x)]
        for layer, f in zip(self.layers, self.f):
            found = layer.forward(a[-1])
            for step in f:
                found = step(found)
            a.append(found)
        torch.ops.aten._log_softmax.out(a[-1], 1, False, out=self.logp)
        cost = torch.dot(self.logp.view(-1), t.reshape(-1))
        delta = torch.exp(self.logp, out=self.delta).sub_(t)
        for k in range(len(self.layers) - 1, 0, -1):
            delta = self.f_back[k - 1](self.layers[k].backward(delta, a[k], True), a[k])
        self.layers[0].backward(delta, a[0], False)
        return cost


def _views(flat: Any, like: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """A flat vector as the parameters of every layer, each laid out as its like."""
    found: list[list[Any]] = []
    at = 0
    for p in like:
        found.append([])
        for values in p:
            found[-1].append(flat.as_strided(values.shape, values.stride(), at))
            at += values.numel()
    return found


class _Update(NamedTuple):
    """target ← β target + scale g, where g is summed over the samples; `finish` does the rest of the update."""

    target: Any
    beta: float
    scale: float
    finish: Callable[[], Any]

    def add(self, to: Any, g: Any) -> None:
        """Do that with a gradient, where no matrix product does it."""
        to.mul_(self.beta).add_(g, alpha=self.scale)

    def add_product(self, to: Any, a: Any, delta: Any, transposed: bool) -> None:
        """Do that with g = δᵀ a, or aᵀ δ."""
        left, right = (a, delta) if transposed else (delta, a)
        to.addmm_(left.t(), right, beta=self.beta, alpha=self.scale)


class _Layer(NamedTuple):
    """a_prev → z; and (δ, a_prev, whether it is wanted) → ∂C/∂a_prev, which adds ∂C/∂p to its target."""

    forward: Step
    backward: Callable[[Any, Any, bool], Any]


def _dense(stage: Stage, options: Options, p: Sequence[Any], to: Sequence[Any], rule: _Update) -> _Layer:
    """∂C/∂W = δᵀ a_prev, ∂C/∂b = Σ δ, ∂C/∂a_prev = δ W."""
    import torch

    (W, b), (to_W, to_b), m = p, to, options["batch"]
    transposed, rows, images = options["layout"] == "W (in,out)", flatten(stage, options), view(stage, options)
    z, da, ones = torch.empty((m, len(b))), torch.empty((m, W.numel() // len(b))), torch.ones(m)
    W_in_out = W if transposed else W.t()

    def backward(delta: Any, a_prev: Any, wanted: bool) -> Any:
        if wanted:  # before W may change
            torch.mm(delta, W_in_out.t(), out=da)
        rule.add_product(to_W, rows(a_prev), delta, transposed)
        to_b.addmv_(delta.t(), ones, beta=rule.beta, alpha=rule.scale)
        return images(da)

    return _Layer(lambda a: torch.addmm(b, rows(a), W_in_out, out=z), backward)


def _conv(stage: Stage, options: Options, p: Sequence[Any], to: Sequence[Any], rule: _Update) -> _Layer:
    """PyTorch's own gradient of a convolution."""
    import torch

    (W, b), (to_W, to_b), table, (frame, pad) = p, to, links(stage), framed(stage)
    stride, (_, height, width), ((top, _), (left, _)) = stage.windows.stride, stage.image, stage.margins

    def backward(delta: Any, a_prev: Any, wanted: bool) -> Any:
        seen = frame(a_prev) if frame else a_prev
        da, dW, db = torch.ops.aten.convolution_backward(
            delta, seen, W, [len(b)], stride, pad, [1, 1], False, [0, 0], 1, [wanted, True, True]
        )
        rule.add(to_W, dW if table is None else dW.mul_(table))
        rule.add(to_b, db)
        return da[:, :, top : top + height, left : left + width] if wanted and frame else da

    return _Layer(forward(stage, options, p), backward)


def _meanpool(stage: Stage, options: Options, p: Sequence[Any], to: Sequence[Any], rule: _Update) -> _Layer:
    """Each input of a window gets its share of δ."""
    import torch

    mean, back, (size, stride, _) = torch.nn.functional.avg_pool2d, torch.ops.aten.avg_pool2d_backward, stage.windows
    rest = [0, 0], False, True, None  # no padding, floor, which does not count, no other divisor
    return _Layer(
        lambda a: mean(a, size, stride), lambda delta, a_prev, _: back(delta, a_prev, size, stride, *rest)
    )  # fmt: skip


def _maxpool(stage: Stage, options: Options, p: Sequence[Any], to: Sequence[Any], rule: _Update) -> _Layer:
    """The largest of a window gets the whole δ; where it stands is kept."""
    import torch

    aten, (size, stride, _) = torch.ops.aten, stage.windows
    where: list[Any] = []

    def pool(a: Any) -> Any:
        found, index = aten.max_pool2d_with_indices(a, size, stride)
        where[:] = [index]
        return found

    def backward(delta: Any, a_prev: Any, wanted: bool) -> Any:
        return aten.max_pool2d_with_indices_backward(delta, a_prev, size, stride, [0, 0], [1, 1], False, where[0])

    return _Layer(pool, backward)


def _subsample(stage: Stage, options: Options, p: Sequence[Any], to: Sequence[Any], rule: _Update) -> _Layer:
    """∂C/∂ω = Σ δ mean, ∂C/∂b = Σ δ; the mean is kept."""
    import torch

    (omega, b), (to_omega, to_b), pool = p, to, _meanpool(stage, options, (), (), rule)
    kept: list[Any] = []

    def z(a: Any) -> Any:
        kept[:] = [pool.forward(a)]
        return torch.addcmul(b, omega, kept[0])

    def backward(delta: Any, a_prev: Any, wanted: bool) -> Any:
        rule.add(to_omega, (delta * kept[0]).sum((0, 2, 3)).view_as(omega))
        rule.add(to_b, delta.sum((0, 2, 3)).view_as(b))
        return pool.backward(delta * omega, a_prev, wanted)

    return _Layer(z, backward)


def _rnn(stage: Stage, options: Options, p: Sequence[Any], to: Sequence[Any], rule: _Update) -> _Layer:
    """δ_t = f′ ⊙ (∂C/∂h_t + δ_{t+1} U) step by step; ∂C/∂W, ∂C/∂U = Σ δ_t h_{t−1}ᵀ and ∂C/∂b in one go each.

    It is the first layer: nobody wants ∂C/∂x.
    """
    import torch

    (W, U, b), (to_W, to_U, to_b), rows, T = p, to, options["batch"], options["length"]
    m, transposed, tokens = rows // T, options["layout"] == "W (in,out)", options["inputs"] == "tokens"
    W_in_out, U_in_out = (W, U) if transposed else (W.t(), U.t())
    f, f_back = activations()[stage.layer.f.name], _derivatives()[stage.layer.f.name]
    H, ones = torch.empty((rows, len(b))), torch.ones(rows)
    D = torch.empty_like(H) if stage.layer.last else None
    h = H.split(m)

    def forward(x: Any) -> Any:
        if tokens:
            torch.index_select(W_in_out, 0, x.view(-1), out=H).add_(b)
        else:
            torch.addmm(b, x.view(rows, -1), W_in_out, out=H)
        for t in range(T):
            if t > 0:
                h[t].addmm_(h[t - 1], U_in_out)
            for step in f:
                step(h[t])
        return H if D is None else h[-1]

    def backward(dh: Any, x: Any, wanted: bool) -> None:
        above, delta = (1, dh) if D is None else (0, D)  # whether something comes from above at every step
        d = delta.split(m)
        if D is not None:
            d[-1].copy_(dh)
        for t in range(T - 1, -1, -1):
            f_back(d[t], h[t])
            if t > 0:
                d[t - 1].addmm_(d[t], U_in_out.t(), beta=above)
        if tokens:
            to_W.mul_(rule.beta).index_add_(0, x.view(-1), delta, alpha=rule.scale)
        else:
            rule.add_product(to_W, x.view(rows, -1), delta, transposed)
        rule.add_product(to_U, H[:-m], delta[m:], transposed)
        to_b.addmv_(delta.t(), ones, beta=rule.beta, alpha=rule.scale)

    return _Layer(forward, backward)


_KINDS: dict[str, Callable[[Stage, Options, Sequence[Any], Sequence[Any], _Update], _Layer]] = {
    "dense": _dense, "conv": _conv, "meanpool": _meanpool, "maxpool": _maxpool, "subsample": _subsample, "rnn": _rnn,
}  # fmt: skip


def _derivatives() -> dict[str, Callable[[Any, Any], Any]]:
    """δ = f′ ⊙ ∂C/∂a in place, from ∂C/∂a and a."""
    import torch

    aten, A, S = torch.ops.aten, ScaledTanh.amplitude, ScaledTanh.slope
    return {
        "identity": lambda da, a: da,
        "relu": lambda da, a: aten.threshold_backward.grad_input(da, a, 0, grad_input=da),
        "tanh": lambda da, a: aten.tanh_backward.grad_input(da, a, grad_input=da),
        "sigmoid": lambda da, a: aten.sigmoid_backward.grad_input(da, a, grad_input=da),
        "scaled tanh": lambda da, a: da.mul_((A * A - a * a).mul_(S / A)),
    }


def _rule(torch: Any, rule: Optimizer, rate: float, m: int, theta: Any, fused: bool) -> _Update:
    """The optimiser on flat θ for batches of m, with a fresh state."""
    if isinstance(rule, Adam):
        g = torch.zeros_like(theta)
        return _Update(g, 0.0, 1 / m, (_adam_kernel if fused else _adam_in_place)(torch, rule, rate, theta, g))
    mu: Any = rule.momentum if isinstance(rule, Momentum) else 0.0
    v = torch.zeros_like(theta)
    if fused:
        g, buffers = torch.zeros_like(theta), [v] if mu else []
        options = {"weight_decay": 0.0, "momentum": mu, "lr": rate, "dampening": 0.0, "nesterov": False}
        kernel = functools.partial(torch._fused_sgd_, maximize=False, is_first_step=False, **options)
        return _Update(g, 0.0, 1 / m, lambda: kernel([theta], [g], buffers))
    if not mu:
        return _Update(theta, 1.0, -rate / m, lambda: None)
    return _Update(v, mu, rate / m, lambda: theta.sub_(v))


def _adam_in_place(torch: Any, rule: Adam, rate: float, theta: Any, g: Any) -> Callable[[], None]:
    mean, square, root = (torch.zeros_like(theta) for _ in range(3))
    beta1, beta2, step = rule.beta1, rule.beta2, 0

    def finish() -> None:
        nonlocal step
        step += 1
        mean.lerp_(g, 1 - beta1)
        square.mul_(beta2).addcmul_(g, g, value=1 - beta2)
        torch.sqrt(square, out=root).mul_((1 - beta2**step) ** -0.5).add_(rule.epsilon)
        theta.addcdiv_(mean, root, value=-rate / (1 - beta1**step))

    return finish


def _adam_kernel(torch: Any, rule: Adam, rate: float, theta: Any, g: Any) -> Callable[[], None]:
    mean, square, step = torch.zeros_like(theta), torch.zeros_like(theta), torch.zeros(())
    options = {"lr": rate, "beta1": rule.beta1, "beta2": rule.beta2, "weight_decay": 0.0, "eps": rule.epsilon}

    def finish() -> None:
        step.add_(1)
        torch._fused_adam_([theta], [g], [mean], [square], [], [step], amsgrad=False, maximize=False, **options)

    return finish


def _recurrences(case: Case) -> Mapping[str, Options]:
    """Tokens choose rows of W, whose gradient is a sum of rows; with numbers W may lie either way."""
    kind, layouts = ("tokens", DENSE_LAYOUTS[1:]) if case.tokens else ("numbers", DENSE_LAYOUTS)
    return {f"{kind}, {layout}": {"inputs": kind, "layout": layout, "order": "time first"} for layout in layouts}


def _build(problem: Problem, formulation: Formulation) -> _ByHand:
    settle(formulation)
    return _ByHand(problem, formulation)


TORCH_BY_HAND = Peer(
    "torch-by-hand", "PyTorch by hand", functools.partial(ways, ("in-place", "fused"), _recurrences), _build,
    PACKAGES, INSTALL,
    refuses=lambda case: "there is no gradient to write by hand" if case.kind == "predict" else None,
)  # fmt: skip
