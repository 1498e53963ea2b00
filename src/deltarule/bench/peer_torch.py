"""PyTorch, eager: autograd with its own optimisers, as everybody writes it; and by hand, into fixed buffers.

The second is what the same kernels reach at best. Each comes with weights (out, in) and (in, out), rows gathered a step
or an epoch at a time, and two updates: `foreach` and `fused` for autograd; by hand the fused kernel, and in-place
arithmetic, which SGD and momentum do within the matrix products that give the gradient (v ← μv + ηg is one product that
adds to v). By hand θ, g and the state are one flat vector each. The data are resident, denormals are flushed, and the
cost of every mini-batch is kept, as a tensor.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.bench.cases import Case
from deltarule.bench.peer import Formulation, Peer, Prediction, Training
from deltarule.bench.problem import Problem
from deltarule.optimizers import Adam, Momentum, Optimizer

__all__ = ["TORCH", "TORCH_BY_HAND"]

LAYOUTS = ("(out,in)", "(in,out)")
GATHERS = ("step", "epoch")


@functools.lru_cache(maxsize=4)
def _scratch(shape: tuple[int, ...], dtype: Any) -> Any:
    """A buffer for gathered rows, shared by the formulations of a process, of which one computes at a time."""
    import torch

    return torch.empty(shape, dtype=dtype)


class _Torch(Training):
    """What both ways share: the resident data, and the mini-batches of an epoch."""

    def __init__(self, problem: Problem, formulation: Formulation, targets: Any) -> None:
        import torch

        super().__init__(problem)
        self.torch, self.case, self.options = torch, problem.case, formulation.options
        self.transposed = formulation.options["layout"] == "(in,out)"
        self.X, self.T = torch.from_numpy(problem.X), targets
        rows = self.used if self.options["gather"] == "epoch" else self.case.batch
        self.x = _scratch((rows, self.X.shape[1]), self.X.dtype)
        self.t = _scratch((rows, *self.T.shape[1:]), self.T.dtype)

    def batches(self, epochs: int, order: NDArray[np.int64] | None) -> Iterator[tuple[Any, Any]]:
        """(x, t) of every mini-batch, gathered into one buffer."""
        torch, m = self.torch, self.case.batch
        for _ in range(epochs):
            rows = torch.randperm(len(self.X)) if order is None else torch.from_numpy(order)
            rows = rows[: self.used]
            if self.options["gather"] == "epoch":
                self._gather(rows)
                yield from zip(self.x.split(m), self.t.split(m))
            else:
                for part in rows.split(m):
                    self._gather(part)
                    yield self.x, self.t

    def _gather(self, rows: Any) -> None:
        self.torch.index_select(self.X, 0, rows, out=self.x)
        self.torch.index_select(self.T, 0, rows, out=self.t)


class _Autograd(_Torch):
    """F.linear or addmm, cross_entropy, backward, optimizer.step: as everybody writes it."""

    def __init__(self, problem: Problem, formulation: Formulation) -> None:
        import torch

        super().__init__(problem, formulation, torch.from_numpy(problem.t))
        self.activation = getattr(torch, self.case.activation)
        self.reset()

    def reset(self) -> None:
        torch, rule, rate = self.torch, self.problem.optimizer, self.case.learning_rate
        weights = [(W.T.copy() if self.transposed else W, b) for W, b in self.problem.layers]
        self.layers = [tuple(torch.from_numpy(p).requires_grad_() for p in layer) for layer in weights]
        parameters = [p for layer in self.layers for p in layer]
        update = {self.options["update"]: True}  # foreach or fused
        if isinstance(rule, Adam):
            betas = (rule.beta1, rule.beta2)
            self.optimizer = torch.optim.Adam(parameters, rate, betas, rule.epsilon, **update)
        else:
            mu = rule.momentum if isinstance(rule, Momentum) else 0.0
            self.optimizer = torch.optim.SGD(parameters, rate, mu, **update)

    def train(self, epochs: int, order: NDArray[np.int64] | None = None) -> NDArray[Any]:
        torch, f, optimizer, costs = self.torch, self.activation, self.optimizer, []
        cross_entropy = torch.nn.functional.cross_entropy
        affine = _addmm if self.transposed else torch.nn.functional.linear
        *hidden, (W_last, b_last) = self.layers
        for x, t in self.batches(epochs, order):
            a = x
            for W, b in hidden:
                a = f(affine(a, W, b))
            cost = cross_entropy(affine(a, W_last, b_last), t)
            optimizer.zero_grad()
            cost.backward()
            optimizer.step()
            costs.append(cost.detach())
        found: NDArray[Any] = torch.stack(costs).numpy()
        return found


def _addmm(a: Any, W: Any, b: Any) -> Any:
    return b.addmm(a, W)


class _ByHand(_Torch):
    """δ⁽ᴸ⁾ = softmax(z) − onehot(t), then ∂C/∂W = δᵀ a / m and ∂C/∂a_prev = δ W, all into fixed buffers."""

    def __init__(self, problem: Problem, formulation: Formulation) -> None:
        import torch

        K = len(problem.layers[-1][1])
        super().__init__(problem, formulation, torch.eye(K)[torch.from_numpy(problem.t)])
        self.theta = torch.zeros(len(problem.theta))
        self.layers = self._views(self.theta)
        sizes = [len(b) for _, b in problem.layers]
        m = self.case.batch
        self.z, self.delta = ([torch.empty((m, n)) for n in sizes] for _ in range(2))
        self.logp, self.ones = torch.empty((m, K)), torch.ones(m)
        self.derive = _derivatives(torch)[self.case.activation]
        self.activate = getattr(torch, f"{self.case.activation}_")
        self.reset()

    def _views(self, flat: Any) -> list[tuple[Any, Any]]:
        """W and b of each layer, in this layout, as views of a flat vector."""
        found, at = [], 0
        for W, b in self.problem.layers:
            shape = W.shape[::-1] if self.transposed else W.shape
            found.append((flat[at : at + W.size].view(shape), flat[at + W.size : at + W.size + b.size]))
            at += W.size + b.size
        return found

    def reset(self) -> None:
        for (W, b), (W0, b0) in zip(self.layers, self.problem.layers):
            W.copy_(self.torch.from_numpy(W0.T if self.transposed else W0))
            b.copy_(self.torch.from_numpy(b0))
        rule, fused = self.problem.optimizer, self.options["update"] == "fused"
        update = _rule(self.torch, rule, self.case.learning_rate, self.theta, fused)
        self.beta, self.scale, self.update = update.beta, update.scale / self.case.batch, update.finish
        self.targets = self._views(update.target)

    def train(self, epochs: int, order: NDArray[np.int64] | None = None) -> NDArray[Any]:
        costs = []
        with self.torch.inference_mode():
            for x, t in self.batches(epochs, order):
                costs.append(self._step(x, t))
                self.update()
            found: NDArray[Any] = self.torch.stack(costs).numpy() / -self.case.batch
        return found

    def _step(self, x: Any, t: Any) -> Any:
        """target ← β target + scale ∂(m C)/∂θ; returns −m C."""
        torch, layers, z = self.torch, self.layers, self.z
        a, last = [x], len(layers) - 1
        for k, (W, b) in enumerate(layers):
            torch.addmm(b, a[k], W if self.transposed else W.t(), out=z[k])
            if k < last:
                a.append(self.activate(z[k]))
        torch.ops.aten._log_softmax.out(z[last], 1, False, out=self.logp)
        cost = torch.dot(self.logp.view(-1), t.reshape(-1))
        delta = torch.exp(self.logp, out=self.delta[last]).sub_(t)
        for k in range(last, -1, -1):
            W, (to_W, to_b), here = layers[k][0], self.targets[k], delta
            if k > 0:  # before W may change
                da = torch.mm(delta, W.t() if self.transposed else W, out=self.delta[k - 1])
                delta = self.derive(da, a[k])
            left, right = (a[k], here) if self.transposed else (here, a[k])
            to_W.addmm_(left.t(), right, beta=self.beta, alpha=self.scale)
            to_b.addmv_(here.t(), self.ones, beta=self.beta, alpha=self.scale)
        return cost


def _derivatives(torch: Any) -> dict[str, Callable[[Any, Any], Any]]:
    """δ = f′ ⊙ ∂C/∂a in place, from ∂C/∂a and a."""
    aten = torch.ops.aten
    return {
        "relu": lambda da, a: aten.threshold_backward.grad_input(da, a, 0, grad_input=da),
        "tanh": lambda da, a: aten.tanh_backward.grad_input(da, a, grad_input=da),
        "sigmoid": lambda da, a: aten.sigmoid_backward.grad_input(da, a, grad_input=da),
    }


class _Update(NamedTuple):
    """target ← β target + scale g comes out of the matrix products; `finish` does the rest of the update."""

    target: Any
    beta: float
    scale: float
    finish: Callable[[], Any]


def _rule(torch: Any, rule: Optimizer, rate: float, theta: Any, fused: bool) -> _Update:
    """The optimiser on flat θ, with a fresh state."""
    if isinstance(rule, Adam):
        g = torch.zeros_like(theta)
        return _Update(g, 0.0, 1.0, (_adam_kernel if fused else _adam_in_place)(torch, rule, rate, theta, g))
    mu: Any = rule.momentum if isinstance(rule, Momentum) else 0.0
    v = torch.zeros_like(theta)
    if fused:
        g, buffers = torch.zeros_like(theta), [v] if mu else []
        options = {"weight_decay": 0.0, "momentum": mu, "lr": rate, "dampening": 0.0, "nesterov": False}
        kernel = functools.partial(torch._fused_sgd_, maximize=False, is_first_step=False, **options)
        return _Update(g, 0.0, 1.0, lambda: kernel([theta], [g], buffers))
    if not mu:
        return _Update(theta, 1.0, -rate, lambda: None)
    return _Update(v, mu, rate, lambda: theta.sub_(v))


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


def _prediction(problem: Problem, formulation: Formulation) -> Prediction:
    """One row under inference_mode; the output lies on the host."""
    import torch

    transposed, f = formulation.options["layout"] == "(in,out)", getattr(torch, problem.case.activation)
    layers = [(torch.from_numpy(W.T.copy() if transposed else W), torch.from_numpy(b)) for W, b in problem.layers]
    affine = _addmm if transposed else torch.nn.functional.linear
    row = problem.X[:1]

    def network(a: Any) -> Any:
        for W, b in layers[:-1]:
            a = f(affine(a, W, b))
        return torch.softmax(affine(a, *layers[-1]), -1)

    if formulation.options["call"] == "numpy":
        return Prediction(torch.inference_mode()(lambda: network(torch.from_numpy(row)).numpy()))
    x = torch.from_numpy(row[0] if formulation.options["call"] == "vector" else row)
    if formulation.options["call"] == "vector":
        return Prediction(torch.inference_mode()(lambda: _vectors(torch, layers, f, x, transposed)))
    return Prediction(torch.inference_mode()(lambda: network(x)))


def _vectors(torch: Any, layers: list[tuple[Any, Any]], f: Any, a: Any, transposed: bool) -> Any:
    """Matrix times vector."""
    last = len(layers) - 1
    for k, (W, b) in enumerate(layers):
        a = torch.addmv(b, W.t() if transposed else W, a)
        a = f(a) if k < last else torch.softmax(a, -1)
    return a


def _built(kind: type[_Autograd] | type[_ByHand], problem: Problem, formulation: Formulation) -> Training | Prediction:
    import torch

    torch.set_num_threads(formulation.threads)
    torch.set_flush_denormal(True)
    return kind(problem, formulation) if problem.case.kind == "train" else _prediction(problem, formulation)


def _ways(updates: Sequence[str], case: Case, threads: Sequence[int]) -> list[Formulation]:
    if case.kind == "predict":
        calls = {"numpy": "NumPy row in and out", "tensor": "tensor (1, n)", "vector": "tensor (n,), addmv"}
        return [
            Formulation(f"{said}, W {layout}", n, {"call": call, "layout": layout})
            for (call, said), layout, n in product(calls.items(), LAYOUTS, threads)
        ]
    return [
        Formulation(
            f"{update} update, W {layout}, rows gathered each {gather}", n,
            {"update": update, "layout": layout, "gather": gather},
        )
        for update, layout, gather, n in product(updates, LAYOUTS, GATHERS, threads)
    ]  # fmt: skip


PACKAGES, INSTALL = ("torch",), "pip install 'deltarule[peers]'"
TORCH = Peer(
    "torch", "PyTorch autograd", functools.partial(_ways, ("foreach", "fused")), functools.partial(_built, _Autograd),
    PACKAGES, INSTALL,
)  # fmt: skip
TORCH_BY_HAND = Peer(
    "torch-by-hand", "PyTorch by hand", functools.partial(_ways, ("in-place", "fused")),
    functools.partial(_built, _ByHand), PACKAGES, INSTALL,
    refuses=lambda case: "there is no gradient to write by hand" if case.kind == "predict" else None,
)  # fmt: skip
