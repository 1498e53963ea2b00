"""The end of a derivation: the optimiser's step, and how much there is to compute."""

from __future__ import annotations

from typing import Any

import numpy as np

from deltarule.derivation import batch
from deltarule.derivation.chain import layers_text
from deltarule.derivation.document import Words, words
from deltarule.derivation.draft import Draft, products, products_back
from deltarule.derivation.plainly import constants
from deltarule.layers import RNN
from deltarule.schedules import Schedule

__all__ = ["counts", "update"]

SYMBOLS = {  # of what a rule remembers
    "velocity": "v", "square": "s", "mean": "m", "change": "r", "largest": "r", "product": "p", "size": "d",
    "previous": r"g_{\text{prev}}",
}  # fmt: skip
FIRST = {("nadam", "product"): "p = 1", ("rprop", "size"): r"d = \eta"}  # what is not 0 at first


def update(draft: Draft) -> None:
    """The optimiser's step."""
    rule = draft.optimizer
    draft.heading("The update: {}", rule)
    frozen = [k for k, layer in enumerate(draft.net.layers, 1) if not layer.trainable]
    if frozen:
        draft.say("Frozen, and left as they are by every update: the parameters of {}.", layers_text(frozen))
    if not rule.equation:
        draft.say("The rule {} is a user's own, and says no equation.", rule)
        return
    draft.say(
        r"With $g = \partial C / \partial \theta$, $\theta$ all parameters in one vector, and $t$ the number of the "
        "update from 1; letters that other sections have used are the rule's own here:"
    )
    draft.formula(*rule.formula.split(r", \quad "), verdict=batch.updated(draft, rule))
    scheduled = isinstance(rule.__dict__.get("momentum"), Schedule)
    own = [] if scheduled else [f"{sign} = {value}" for sign, value in constants(rule)]
    draft.say(f"Here ${', '.join([*own, ''])}" + rf"\eta = {rule.own_rate:g}$ unless another is given.")
    if scheduled:
        draft.say(r"$\mu$ follows the schedule {}.", rule.__dict__["momentum"])
    first = [
        FIRST.get((rule.name, name), f"{SYMBOLS[name]} = 0") for name in rule.begin(np.zeros(1)) if name in SYMBOLS
    ]
    if first:
        draft.say(f"Before the first update ${', '.join(first)}$.")
    if rule.name == "adamw":
        draft.say(
            r"Its $\lambda \theta$ is that of W, U and kernels alone; biases, $\omega$ and first states keep theirs."
        )


def counts(draft: Draft) -> None:
    """Parameters, and multiply-adds of a sample, of sequences those of a step."""
    net, stages = draft.numbers.net, range(1, draft.L + 1)
    draft.heading("How much it is")
    sizes = [sum(s.stop - s.start for s in net.slots if s.stage == k) for k in stages]
    numbers = np.array([(n, products(net, k), products_back(net, k)) for k, n in zip(stages, sizes)])
    rows = []
    for stage, (layer, own) in enumerate(zip(draft.layers, numbers), 1):
        if stage not in draft.folded:
            rows.append((words(str(stage)), words("{}", layer), *_cells(own)))
        elif stage == draft.folded[-1]:
            folded = numbers[draft.folded[0] - 1 : stage].sum(axis=0)
            rows.append((words(f"{draft.folded[0]} to {stage}"), words("folded"), *_cells(folded)))
    rows.append(((), words("all"), *_cells(numbers.sum(axis=0))))
    unit = "step" if net.shapes[0][0] is None else "sample"
    head = ("layer", "", "parameters", "forward", "backward")
    draft.table(f"Parameters, and multiply-adds of a {unit}", head, rows)
    through_time = "; through time it does" if any(isinstance(k, RNN) for k in net.layers) else ""
    draft.say(
        "Multiply-adds with parameters are counted. On the way back there are as many for the gradients, and as many "
        f"again for what goes down, which layer 1 does not need{through_time}."
    )


def _cells(numbers: Any) -> list[Words]:
    return [words(f"{n:,}") for n in numbers.tolist()]
