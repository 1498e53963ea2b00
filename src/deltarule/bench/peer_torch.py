"""PyTorch, eager, with autograd and its own optimisers: as everybody writes it.

Dense networks come with weights (out, in) and (in, out), images contiguous and with channels last; rows are gathered a
step or an epoch at a time, and updates are `foreach` and `fused`. Sequences go through the kernel of `nn.RNN`, batch
first and time first, and through a loop of products; characters come one-hot, or as rows of an embedding. The data are
resident, denormals are flushed, and the cost of every mini-batch is kept, as a tensor.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.bench.cases import Case
from deltarule.bench.peer import Formulation, Peer, Prediction, Training
from deltarule.bench.problem import Problem
from deltarule.bench.stages import Stage
from deltarule.bench.torch_layers import (
    DENSE_LAYOUTS,
    IMAGE_LAYOUTS,
    ORDERS,
    Options,
    Step,
    activations,
    forward,
    in_order,
    links,
    parameters,
    time_first,
    view,
)
from deltarule.optimizers import Adam, Momentum

__all__ = ["INSTALL", "PACKAGES", "TORCH", "TorchTraining", "settle", "ways"]

PACKAGES, INSTALL = ("torch",), "pip install 'deltarule[peers]'"
GATHERS = ("step", "epoch")


@functools.lru_cache(maxsize=2)
def _resident(problem: Problem, *said: tuple[str, Any]) -> Any:
    """X in the order of these options, once for all formulations of a process."""
    return in_order(problem.X, problem.stages[0], dict(said))


@functools.lru_cache(maxsize=4)
def _scratch(name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    """A buffer for gathered rows, shared by the formulations of a process, of which one computes at a time."""
    import torch

    return torch.empty(shape, dtype=dtype)


class TorchTraining(Training):
    """What all ways share: the resident data, and the mini-batches of an epoch."""

    def __init__(self, problem: Problem, formulation: Formulation, targets: Any) -> None:
        import torch

        super().__init__(problem)
        self.torch, self.case, self.options = torch, problem.case, formulation.options
        every_step, turned = problem.t.ndim == 2, time_first(self.options)
        self.axes = int(turned), int(turned and every_step)  # along which the rows of X and T lie
        self.X = _resident(problem, *((name, self.options.get(name)) for name in ("layout", "order", "inputs")))
        self.T = targets.transpose(0, self.axes[1]).contiguous()
        rows = self.used if self.options["gather"] == "epoch" else self.case.batch
        self.x, self.t = (
            _scratch(name, (*values.shape[:axis], rows, *values.shape[axis + 1 :]), values.dtype)
            for name, values, axis in zip("xt", (self.X, self.T), self.axes)
        )
        self.labels = self.t.flatten(0, 1) if every_step else self.t

    def batches(self, epochs: int, order: NDArray[np.int64] | None) -> Iterator[tuple[Any, Any]]:
        """(x, t) of every mini-batch, gathered into one buffer; of sequences t has a row a time step."""
        torch, m = self.torch, self.case.batch
        for _ in range(epochs):
            rows = torch.randperm(len(self.problem.X)) if order is None else torch.from_numpy(order)
            rows = rows[: self.used]
            if self.options["gather"] == "epoch":
                self._gather(rows)
                yield from zip(self.x.split(m), self.t.split(m))
            else:
                for part in rows.split(m):
                    self._gather(part)
                    yield self.x, self.labels

    def _gather(self, rows: Any) -> None:
        self.torch.index_select(self.X, self.axes[0], rows, out=self.x)
        self.torch.index_select(self.T, self.axes[1], rows, out=self.t)


def _network(stages: Sequence[Stage], options: Options) -> tuple[list[Any], Step]:
    """θ₀ with gradients, and rows → logits. A weight that a link table leaves out is 0, and so is its gradient."""
    found, steps, f = [], [view(stages[0], options)], activations()
    for stage in stages:
        p = [values.requires_grad_() for values in parameters(stage, options)]
        if stage.kind == "conv" and (table := links(stage)) is not None:
            p[0].register_hook(table.mul)
        found += p
        steps += [forward(stage, options, p), *f[stage.activation]]

    def network(a: Any) -> Any:
        for step in steps:
            a = step(a)
        return a

    return found, network


class _Autograd(TorchTraining):
    """The network, cross_entropy, backward, optimizer.step."""

    def __init__(self, problem: Problem, formulation: Formulation) -> None:
        import torch

        super().__init__(problem, formulation, torch.from_numpy(problem.t))
        self.reset()

    def reset(self) -> None:
        torch, rule, rate = self.torch, self.problem.optimizer, self.case.learning_rate
        theta, self.network = _network(self.problem.stages, self.options)
        update = {self.options["update"]: True}  # foreach or fused
        if isinstance(rule, Adam):
            betas = (rule.beta1, rule.beta2)
            self.optimizer = torch.optim.Adam(theta, rate, betas, rule.epsilon, **update)
        else:
            mu = rule.momentum if isinstance(rule, Momentum) else 0.0
            self.optimizer = torch.optim.SGD(theta, rate, mu, **update)

    def train(self, epochs: int, order: NDArray[np.int64] | None = None) -> NDArray[Any]:
        network, optimizer, costs = self.network, self.optimizer, []
        cross_entropy = self.torch.nn.functional.cross_entropy
        for x, t in self.batches(epochs, order):
            cost = cross_entropy(network(x), t)
            optimizer.zero_grad()
            cost.backward()
            optimizer.step()
            costs.append(cost.detach())
        found: NDArray[Any] = self.torch.stack(costs).numpy()
        return found


def _prediction(problem: Problem, formulation: Formulation) -> Prediction:
    """One row under inference_mode; the output lies on the host."""
    import torch

    call, row = formulation.options["call"], problem.X[:1]
    _, network = _network(problem.stages, formulation.options)
    if call == "numpy":
        return Prediction(torch.inference_mode()(lambda: torch.softmax(network(torch.from_numpy(row)), -1).numpy()))
    x = torch.from_numpy(row[0] if call == "vector" else row)
    return Prediction(torch.inference_mode()(lambda: torch.softmax(network(x), -1)))


def settle(formulation: Formulation) -> None:
    """Threads and denormals, for this process."""
    import torch

    torch.set_num_threads(formulation.threads)
    torch.set_flush_denormal(True)


def _build(problem: Problem, formulation: Formulation) -> Training | Prediction:
    settle(formulation)
    return (_Autograd if problem.case.kind == "train" else _prediction)(problem, formulation)


def ways(
    updates: Sequence[str], recurrences: Callable[[Case], Mapping[str, Options]], case: Case, threads: Sequence[int]
) -> list[Formulation]:
    """Every formulation of a case with these updates, and of sequences with these recurrences."""
    if case.kind == "predict":
        calls = {"numpy": "NumPy row in and out", "tensor": "tensor (1, n)", "vector": "tensor (n,), addmv"}
        return [
            Formulation(f"{said}, {layout}", n, {"call": call, "layout": layout})
            for (call, said), layout, n in product(calls.items(), DENSE_LAYOUTS, threads)
        ]
    hows = recurrences(case) if case.sequences else {
        f"{layout}, rows gathered each {gather}": {"layout": layout, "gather": gather}
        for layout, gather in product(IMAGE_LAYOUTS if case.images else DENSE_LAYOUTS, GATHERS)
    }  # fmt: skip
    return [
        Formulation(f"{update} update, {how}", n, {"update": update, "gather": "step", **options})
        for update, (how, options), n in product(updates, hows.items(), threads)
    ]


def _recurrences(case: Case) -> Mapping[str, Options]:
    """PyTorch's own kernel, which takes numbers and weights (out, in), and a loop over the steps."""
    kinds = ("one-hot", "tokens") if case.tokens else ("numbers",)
    own = {"recurrence": "own", "layout": "W (out,in)", "inputs": kinds[0]}
    loop = {"recurrence": "loop", "layout": "W (in,out)", "order": "time first"}
    by_kernel = {f"rnn_{case.activation} of {kinds[0]}, {order}": {**own, "order": order} for order in ORDERS}
    return by_kernel | {f"loop over {kind}, time first": {**loop, "inputs": kind} for kind in kinds}


TORCH = Peer(
    "torch", "PyTorch autograd", functools.partial(ways, ("foreach", "fused"), _recurrences), _build, PACKAGES, INSTALL
)  # fmt: skip
