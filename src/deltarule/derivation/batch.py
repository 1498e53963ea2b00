"""A mini-batch: the means over samples and steps, their matrix form, and the optimiser's step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.architecture import Architecture
from deltarule.derivation import updates
from deltarule.derivation.draft import Draft
from deltarule.derivation.numbers import Verdict
from deltarule.derivation.sample import EPS, Places, entries
from deltarule.derivation.symbols import Place, at_layer
from deltarule.engines import textbook
from deltarule.layers import Dense
from deltarule.optimizers import Optimizer
from deltarule.schedules import Progress, Schedule

__all__ = ["batch", "updated"]

M = 3  # samples of the batch that is looked at
DECAY = 0.1
UPDATES = 4  # that an optimiser is held against


def batch(draft: Draft) -> None:
    """The same for m samples."""
    net, q = draft.net, Batch(draft)
    decayed = any(layer.decays & set(layer.parameter_shapes(net.shapes[k])) for k, layer in enumerate(net.layers))
    draft.heading("A mini-batch")
    draft.say(r"For m samples with weights $w_i$ (1 unless said)" + (r" and decay $\lambda$" if decayed else "") + ":")
    mean = draft.steps and net.time == "mean"
    total = r"\sum_{i,t} w_{it}" if mean else r"\sum_i w_i"
    costs = r"\sum_{i,t} w_{it} C^{(i)}_t" if draft.steps else r"\sum_i w_i C^{(i)}"
    penalty = r" + \frac{\lambda}{2} \sum W^2" if decayed else ""
    draft.formula(rf"C = \frac{{1}}{{{total}}} {costs}{penalty}", verdict=q.cost)
    if draft.steps:
        draft.say(
            r"A step weighs as much as its sequence, $w_{it} = w_i$, and nothing where a mask leaves it out. "
            + ("Costs are averaged over the steps." if mean else "Costs are added up over the steps.")
        )
    if not net.size:
        draft.say("There are no parameters, and no gradient of them.")
        return
    inner = (
        r"\sum_{i,t} w_{it} \frac{\partial C^{(i)}_t}{\partial W}"
        if draft.steps
        else r"\sum_i w_i \frac{\partial C^{(i)}}{\partial W}"
    )
    draft.formula(
        rf"\frac{{\partial C}}{{\partial W}} = \frac{{1}}{{{total}}} {inner}" + r" + \lambda W" * decayed,
        verdict=q.gradient,
    )
    if decayed:
        draft.say(r"Only W, U and kernels are decayed; for biases, $\omega$ and first states $\lambda = 0$.")
    _matrices(draft, q, total, costs, decayed)


def _matrices(draft: Draft, q: Batch, total: str, costs: str, decayed: bool) -> None:
    """Of the topmost dense layer, with samples as rows."""
    stages = [k for k in range(1, draft.L + 1) if isinstance(draft.net.layers[k - 1], Dense)]
    if not stages:
        return
    stage = stages[-1]
    rows = "samples and their steps" if draft.net.shapes[stage][0] is None else "samples"
    draft.say(
        r"With {} as rows, those of $Z$ and $A$, and in $\Delta$ every $\delta$ times its weight, the sums of a dense "
        "layer are products of matrices. For layer {}:", rows, stage,
    )  # fmt: skip

    def at(latex: str) -> str:
        latex = latex.replace("Z_own", f"Z^{{({stage})}}")
        below = f"{{A^{{({stage - 1})}}}}"
        latex = latex.replace("A_prev", below if stage > 1 else "X").replace(r"\Delta", rf"{{\Delta^{{({stage})}}}}")
        return at_layer(latex, Place(stage))

    e = q.matrices(stage)
    draft.formula(at(r"Z_own = A_prev W^T + 1 b^T"), verdict=e["Z"])
    draft.formula(
        at(rf"\frac{{\partial C}}{{\partial W}} = \frac{{1}}{{{total}}} \Delta^T A_prev" + r" + \lambda W" * decayed),
        verdict=e["W"],
    )
    draft.formula(at(rf"\frac{{\partial C}}{{\partial b}} = \frac{{1}}{{{total}}} \Delta^T 1"), verdict=e["b"])
    if "da" in e:
        draft.say("What goes down keeps a row a sample and is not divided: only gradients are, once.")
        latex = rf"\frac{{\partial}}{{\partial A_prev}} {costs} = \Delta W"
        draft.formula(at(latex), verdict=e["da"])


class Batch:
    """A batch of M samples through the network, its time as the user's, weights and decay."""

    def __init__(self, draft: Draft) -> None:
        n, self.net = draft.numbers, Architecture(
            draft.numbers.net.layers, input_shape=draft.net.input_shape, cost=draft.net.output.cost, time=draft.net.time
        )  # fmt: skip
        self.n, random = n, n.random
        self.X = np.concatenate([n.x, n.x + random.normal(size=(M - 1, *n.x.shape[1:]))])
        self.t, self.w = np.concatenate([n.t] * M), np.array([1.0, 0.5, 2.0])
        masks = {k: np.concatenate([m] * M) for k, m in n.masks.items()}
        self.given: dict[str, Any] = {"sample_weight": self.w, "masks": masks}
        with np.errstate(all="ignore"):
            self.done = textbook.backpropagate(self.net, n.theta, self.X, self.t, weight_decay=DECAY, **self.given)
        steps = self.done.costs[0].size
        self.total = float(self.w.sum() * (steps if self.net.time == "mean" else 1))
        self.decay = DECAY * np.where(self.net.decayed, n.theta, 0)

    @property
    def cost(self) -> Verdict:
        """C of the batch from the costs of its samples."""
        sums = self.done.costs.reshape(M, -1).sum(axis=1)
        right = self.w @ sums / self.total + np.sum(self.decay**2) / DECAY / 2
        return self.n.verdict(right, self.done.cost, EPS * (abs(sums).sum() + 1))

    @property
    def gradient(self) -> Verdict:
        """∂C/∂θ from the gradients of the samples, one by one, and of the engine, against steps in θ."""
        n = self.n
        with np.errstate(all="ignore"):
            each = [
                textbook.cost_and_gradient(n.net, n.theta, self.X[i : i + 1], self.t[i : i + 1], masks=n.masks)[1]
                for i in range(M)
            ]
            right = np.tensordot(self.w, np.stack(each), 1) / self.total + self.decay
            engine = np.concatenate([g.ravel() for k in self.done.gradients for g in k.values()])
            noise = np.concatenate([g.ravel() for k in n.noise.gradients for g in k.values()])
            noise = abs(noise) * self.w.sum() / self.total + EPS * (np.abs(each).sum(axis=0) + abs(self.decay))
            places = n.places(n.theta.shape)
            truth = n.differences(lambda moved: self._costs(places, moved), entries(n.theta, places))
            return n.against(right, engine, truth, places, noise)

    def _costs(self, places: Places, moved: NDArray[Any]) -> NDArray[Any]:
        """C for each moved entry of θ."""
        theta, costs = self.n.theta.astype(moved.dtype), []
        for place, entry in zip(places, moved):
            theta[place], before = entry, theta[place]
            costs.append(textbook.evaluate(self.net, theta, self.X, self.t, weight_decay=DECAY, **self.given).cost)
            theta[place] = before
        return np.array(costs)

    def matrices(self, stage: int) -> dict[str, Verdict]:
        """A dense layer's matrix form against the engine; "da" where there is a layer below."""
        cache, (W, b), done = self.done.caches[stage - 1], self.n.p[stage - 1].values(), self.done
        A, D = cache.a_prev.reshape(-1, W.shape[1]), done.deltas[stage - 1].reshape(-1, W.shape[0])
        g, ones = done.gradients[stage - 1], np.ones(len(D))
        da = done.das[stage - 1] if stage > 1 else None
        verdict, size = self.n.verdict, np.abs
        with np.errstate(all="ignore"):
            found = {
                "Z": verdict(A @ W.T + np.outer(ones, b), cache.z, EPS * (size(A) @ size(W).T + size(b))),
                "W": verdict(
                    D.T @ A / self.total + DECAY * W, g["W"], EPS * (size(D).T @ size(A) / self.total + DECAY * size(W))
                ),
                "b": verdict(D.T @ ones / self.total, g["b"], EPS * size(D).T @ ones / self.total),
            }
            return found if da is None else found | {"da": verdict(D @ W, da, EPS * size(D) @ size(W))}


def updated(draft: Draft, rule: Optimizer) -> Verdict:
    """Of an optimiser: θ behind some updates, against the rule written out for one number after the other."""
    random = draft.numbers.random
    if isinstance(rule.__dict__.get("momentum"), Schedule):
        rule = rule.at(Progress(0, 1, 1))
    theta, gradients = random.normal(size=4), random.normal(size=(UPDATES, 4))
    state, found = rule.begin(theta), theta
    for step, g in enumerate(gradients, 1):
        found, state = rule.update(found, g, state, rule.own_rate, step)
    each = [
        updates.written_out(rule, start, own, rule.own_rate) for start, own in zip(theta.tolist(), gradients.T.tolist())
    ]
    return Verdict() if None in each else draft.numbers.verdict(found, each, EPS * abs(theta))
