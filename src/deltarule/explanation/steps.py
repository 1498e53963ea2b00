"""The steps of the page: input → every z and a → cost → δ⁽ᴸ⁾ → every gradient and δ⁽ˡ⁻¹⁾ → update → cost after it.

A step shows some arrays, the ones it starts from and what it gives, and says the formulas that lead from one to the
other: those of the layers' `equations()`, with the layer's number, as MathML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deltarule.data import Preprocessing
from deltarule.derivation.document import Math, Words
from deltarule.derivation.draft import constants_text, equations_of, placed, symbol
from deltarule.derivation.forms.mathml import math
from deltarule.derivation.forms.plain import plain
from deltarule.derivation.symbols import Place, at_layer, at_step
from deltarule.explanation.story import acts
from deltarule.layers import RNN, Conv, Dense, Dropout, Layer, MaxPool, MeanPool, Subsample
from deltarule.layers.tokens import are_tokens
from deltarule.optimizers import Optimizer
from deltarule.trace import Trace

__all__ = ["Steps"]

LEFT_TO_DERIVE = ("unrolled", "product", "rot180", "kron")  # other ways to write what stands there already

Step = dict[str, Any]

FORWARD = {  # what a layer does, in a sentence
    Dense: "Every unit adds up what comes in, each number times its weight, and its bias.",
    Conv: "Every map slides its kernel over the maps below: at each place it adds up the patch under the kernel, each "
    "number times its weight, and the map's bias.",
    RNN: "At every step each unit adds up what comes in, what it and its neighbours said one step before, and its "
    "bias. The steps follow each other from top to bottom.",
    Subsample: "Every window's mean, times the map's own ω, plus its bias.",
}
WITHOUT_NET_VALUE = {
    MeanPool: "Every window is replaced by its mean. There is nothing to learn here.",
    MaxPool: "Every window is replaced by its largest number. There is nothing to learn here.",
    Dropout: "In training some units are dropped and the others scaled up; at other times everything passes.",
}
DOWN = {  # what a layer sends to the one below
    Dense: "What each unit below has contributed: every δ comes back over the same weight it went up by, Wᵀδ.",
    Conv: "Every window that saw a place sends its δ back, times the weight it saw it by.",
    RNN: "At every step δ comes back over the same weights.",
    MeanPool: "Every place of a window takes the same share of its δ.",
    MaxPool: "The largest place of a window takes the whole of its δ, the others nothing.",
    Subsample: "Every place of a window takes the same share of its δ, times ω.",
    Dropout: "What was dropped takes nothing; what was scaled up takes as much more.",
}
TIMES_SLOPE = "Then it passes the unit itself, which multiplies by f′(z): a constant, because z is already known."
THROUGH_TIME = (
    "Through time, from the last step to the first: δ of a step counts what comes from above at that step, and what "
    "the next step sends back over Uᵀ, both times f′(z), a constant, because z is already known."
)


class Steps:
    """The steps of one story."""

    def __init__(
        self,
        tr: Trace,
        optimizer: Optimizer,
        eta: float,
        weight_decay: float,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        self.tr, self.net, self.L = tr, tr.net, len(tr)
        self.optimizer, self.eta, self.decay = optimizer, eta, weight_decay
        pre = preprocessing
        self.scaled_inputs = pre is not None and pre.mean is not None
        self.scaled_targets = pre is not None and pre.target_scale is not None and bool(
            np.any(pre.target_scale != 1) or np.any(pre.target_mean)
        )  # fmt: skip
        self.every = tr.net.shapes[-1][0] is None  # whether there is an answer at every time step

    def all(self) -> list[Step]:
        """From the input to the cost after the update."""
        return list(self._all())

    def _all(self) -> Iterator[Step]:
        says = "One row, as the first layer sees it: x, or a⁽⁰⁾. Everything that follows is computed from it."
        if self.scaled_inputs:
            says += " The network's own preprocessing has scaled it."
        yield _step("x", "The input", "forward", 0, [("x", "result")], [], says)
        for stage in range(1, self.L + 1):
            yield from self._forward(stage)
        yield self._cost()
        yield self._first_delta()
        for stage in range(self.L, 0, -1):
            yield from self._gradients(stage)
            if stage > 1:
                yield self._delta(stage - 1)
        if not are_tokens(self.tr.x):
            yield self._input_gradient()
        yield from self._end()

    # Forward

    def _forward(self, stage: int) -> Iterator[Step]:
        layer, name, below = self.layer(stage), self.name(stage), self.below(stage)
        own = [(f"{stage}.{p}", "from") for p in self.tr[stage].parameters if p != "h0"]
        if not acts(layer):
            mask = [(f"{stage}.mask", "from")] if self.tr[stage].mask is not None else []
            says = _said(WITHOUT_NET_VALUE, layer, "This layer has no activation: what it computes is what it gives.")
            formulas = self.formulas(stage, "a")
            shown = [(below, "from"), *own, *mask, (f"{stage}.a", "result")]
            yield _step(f"{stage}.a", f"{name}: what it gives", "forward", stage, shown, formulas, says)
            return
        mean = [(f"{stage}.mean", "from")] if isinstance(layer, Subsample) else []
        first = [(f"{stage}.before", "from")] if isinstance(layer, RNN) else []
        shown = [(below, "from"), *mean, *first, *own, (f"{stage}.z", "result")]
        formulas = self.formulas(stage, "", "mean", "z")
        says = _said(FORWARD, layer, "The layer's net values.")
        if isinstance(layer, Dense) and len(self.tr[stage].a_prev.shape) == 3:
            says += " The maps are read as one vector, map by map and row by row."
        yield _step(f"{stage}.z", f"{name}: net values z", "forward", stage, shown, formulas, says)
        f = layer.f
        says = f"Each net value goes through the activation, {f.name}."
        if f.name == "softmax":
            says = "Softmax turns the net values into shares that are positive and add up to 1."
        elif f.name == "identity":
            says = "There is no bend here: the activation is the identity, and a = z."
        if stage == self.L:
            says += " This is the network's answer, ŷ."
        shown = [(f"{stage}.z", "from"), (f"{stage}.a", "result")]
        formulas = self.formulas(stage, "a", "after")
        yield _step(f"{stage}.a", f"{name}: activations a", "forward", stage, shown, formulas, says)

    def _cost(self) -> Step:
        cost = self.net.output.cost
        says = f"How far the answer is from the target: {cost.name}. Smaller is better."
        if self.scaled_targets:
            says += " The target is scaled by the network's own preprocessing, and so are answer and cost."
        if self.every:
            mean = "their mean" if self.net.time == "mean" else "their sum"
            says += f" Every step has a cost of its own, and C is {mean}."
        if self.decay:
            says += f" C counts the weights too: λ/2 of the sum of their squares, λ = {self.decay:g}."
        stable = self.net.output.canonical and self.net.output.activation.name != "identity"  # from the net values
        shown = [*([(f"{self.L}.z", "from")] if stable else []), (f"{self.L}.a", "from"), ("t", "from"),
                 *([("costs", "result")] if self.every else []), ("C", "result")]  # fmt: skip
        return _step("cost", "The cost C", "cost", self.L, shown, self._of_output("C"), says)

    # Back

    def _first_delta(self) -> Step:
        output, top = self.net.output, self.layer(self.L)
        L, own = self.L, f"{self.L}.delta"
        says = "The way back begins. δ is ∂C/∂z: how the cost answers when a net value moves."
        if isinstance(top, RNN):
            shown = [(f"{L}.da", "from"), (f"{L}.slope", "from"), (f"{L}.U", "from"), (own, "result")]
            formulas = [*self._of_output("dy"), *self.formulas(L, "slope", "delta")]
            return _step(own, f"{self.name(L)}: δ of the output", "backward", L, shown, formulas, THROUGH_TIME)
        if output.canonical:
            shown = [(f"{L}.a", "from"), ("t", "from"), (own, "result")]
            says += f" {output.activation.name.capitalize()} and {output.cost.name} belong together: what one divides"
            says += " by, the other multiplies with, and δ is answer minus target."
            if output.activation.name == "identity":
                says = f"{says.partition(' Identity')[0]} Here it is answer minus target."
        else:
            between = [(f"{L}.slope", "from")] if output.activation.name != "softmax" else [(f"{L}.a", "from")]
            between = between if acts(top) else []
            start = [(f"{L}.da", "from")] if acts(top) else [(f"{L}.a", "from"), ("t", "from")]
            shown = [*start, *between, (own, "result")]
            says += " First through the cost, ∂C/∂ŷ, then through the activation."
        return _step(own, f"{self.name(L)}: δ of the output", "backward", L, shown, self._of_output("dy", "slope",
                     "delta"), says)  # fmt: skip

    def _gradients(self, stage: int) -> Iterator[Step]:
        layer = self.layer(stage)
        for name in self.tr[stage].gradients:
            shown = [(f"{stage}.delta", "from"), *self._other_factor(stage, name), (f"{stage}.d{name}", "result")]
            if name in layer.decays and self.decay:
                shown.insert(2, (f"{stage}.{name}", "from"))
            title = f"{self.name(stage)}: ∂C/∂{_spelled(name)}"
            formulas = self.formulas(stage, f"d{name}")
            says = self._about(stage, name)
            if not layer.trainable:
                says += " The layer is frozen: this is its gradient all the same, and the update leaves it alone."
            key = f"{stage}.d{name}"
            yield _step(key, title, "backward", stage, shown, formulas, says, check=key if layer.trainable else None)

    def _other_factor(self, stage: int, name: str) -> list[tuple[str, str]]:
        """What meets δ in ∂C/∂p."""
        found = {"W": self.below(stage), "U": f"{stage}.before", "omega": f"{stage}.mean", "h0": f"{stage}.U"}
        if name in found and type(self.layer(stage)) in DOWN:
            return [(found[name], "from")]
        return [] if name == "b" else [(self.below(stage), "from")]

    def _about(self, stage: int, name: str) -> str:
        layer = self.layer(stage)
        says = "Two factors, one from each pass: δ from the way back, and from the way up what came in over the weight."
        if name == "b":
            says = "A bias adds to z as it is: its gradient is δ itself."
        elif name == "h0":
            says = "What the first step sends back to the state before it."
        elif type(layer) not in DOWN:
            says = "How the cost answers when this parameter moves."
        if isinstance(layer, Conv | Subsample):
            says += " It is used at every place of its map, and has a term for each."
        elif name != "h0" and self._at_steps(stage):
            says += " It is used at every step, and has a term for each"
            says += ", divided by T as the cost is." if self.divisor > 1 else "."
        if name in layer.decays and self.decay:
            says += f" Decay adds λ times the weight, λ = {self.decay:g}."
        return says

    def _at_steps(self, stage: int) -> bool:
        """Whether a layer's weights are used at every time step."""
        layer = self.layer(stage)
        return isinstance(layer, RNN) or (isinstance(layer, Dense) and self.net.shapes[stage][0] is None)

    @property
    def divisor(self) -> int:
        """What sums over steps are divided by."""
        return self.tr.t.shape[0] if self.every and self.net.time == "mean" else 1

    def _delta(self, stage: int) -> Step:
        above, layer, key = stage + 1, self.layer(stage), f"{stage}.delta"
        says = _said(DOWN, self.layer(above), "What the layer above sends back.")
        weights = [(f"{above}.{p}", "from") for p in ("W", "omega", "mask") if f"{above}.{p}" in self._names(above)]
        if isinstance(self.layer(above), MaxPool):
            weights.append((f"{stage}.a", "from"))
        shown = [(f"{above}.delta", "from"), *weights]
        formulas = self.formulas(above, "da_prev")
        if acts(layer):
            shown.append((f"{stage}.da", "result"))
            recurrent = isinstance(layer, RNN)
            shown += [(f"{stage}.slope", "from"), *([(f"{stage}.U", "from")] if recurrent else []), (key, "result")]
            formulas += self.formulas(stage, "slope", "delta")
            says += f" {THROUGH_TIME if recurrent else TIMES_SLOPE}"
        else:
            shown.append((key, "result"))
            says += " This layer has z = a, and so this is its δ."
        return _step(key, f"{self.name(stage)}: δ", "backward", stage, shown, formulas, says)

    def _input_gradient(self) -> Step:
        weights = [(f"1.{p}", "from") for p in ("W", "omega", "mask") if f"1.{p}" in self._names(1)]
        weights += [("x", "from")] if isinstance(self.layer(1), MaxPool) else []
        shown = [("1.delta", "from"), *weights, ("dx", "result")]
        says = "The last step back reaches the input: how the cost answers when an input moves. No update needs it."
        formulas = self.formulas(1, "da_prev")
        return _step("dx", "The input: ∂C/∂x", "backward", 1, shown, formulas, says, check="dx")

    # The update

    def _end(self) -> Iterator[Step]:
        trained = [t for t in self.tr if t.parameters and t.layer.trainable]
        shown = [
            (f"{t.stage}.{name}", role)
            for t in trained
            for p in t.parameters
            for name, role in ((p, "from"), (f"d{p}", "from"), (f"{p}.new", "result"))
        ]
        own = constants_text(self.optimizer)
        every = "Every parameter" if len(trained) == sum(bool(t.parameters) for t in self.tr) else "What is not frozen"
        says = f"{every} moves against its gradient, with η = {self.eta:g}{', ' + own if own else ''}."
        if self.optimizer.begin(self.tr.theta):
            says += " The rule remembers earlier gradients; this is its first step, with nothing to remember yet."
        if not trained:
            says = "There is no parameter that learns."
        told = bool(self.optimizer.formula and trained)
        formulas = _formulas(self.optimizer.formula.split(r", \quad "), "update") if told else []
        yield _step("update", f"The update: {self.optimizer}", "update", 0, shown, formulas, says)
        says = "Forward once more with the new parameters. A small enough step against the gradient lowers the cost."
        yield _step("after", "The cost after the step", "after", 0, [("C", "from"), ("C_after", "result")], [], says)

    # Parts

    def layer(self, stage: int) -> Layer:
        """Layer `stage`, from 1."""
        return self.net.layers[stage - 1]

    def name(self, stage: int) -> str:
        """As titles call it."""
        return f"Layer {stage}"

    def below(self, stage: int) -> str:
        """The array that comes in."""
        return "x" if stage == 1 else f"{stage - 1}.a"

    def _names(self, stage: int) -> list[str]:
        t = self.tr[stage]
        return [f"{stage}.{p}" for p in (*t.parameters, *(["mask"] if t.mask is not None else []))]

    def formulas(self, stage: int, *gives: str) -> list[Mapping[str, Any]]:
        """A layer's formulas for these arrays, in the order of the names."""
        place, found = Place.of(self.net, stage), list[Mapping[str, Any]]()
        place = place._replace(below="x") if stage == 1 else place
        layer, equations = self.layer(stage), equations_of(self.layer(stage), self.net.shapes[stage - 1])
        for wanted in gives:
            for e in equations:
                if (
                    e.gives == wanted
                    and (wanted or e.name in ("margin", "first state"))
                    and e.name not in LEFT_TO_DERIVE
                ):
                    said, lines, own = placed(e, place, layer)
                    found += _formulas(lines, e.name, said, own)
        return found

    def _of_output(self, *gives: str) -> list[Mapping[str, Any]]:
        """The cost's formulas, and those of δ⁽ᴸ⁾."""
        output, found = self.net.output, list[Mapping[str, Any]]()
        place = Place(self.L, steps=self.every)
        for e in output.equations():
            unsaid = e.latex.endswith("= ")  # by a user's own cost
            again = e.name == "from the net values" and output.activation.name == "identity"
            if e.gives not in gives or unsaid or again:
                continue
            own = constants_text(output.cost) if e.name == "cost" else ""
            latex = at_layer(at_step(e.latex) if self.every else e.latex, place)
            found += _formulas([latex], e.name, (), own)
        return found


def _step(
    key: str, title: str, phase: str, stage: int, shown: Any, formulas: Any, says: str, check: str | None = None
) -> Step:
    seen = [{"array": name, "role": role} for name, role in shown]
    return {"id": key, "title": title, "phase": phase, "stage": stage, "shows": seen, "formulas": formulas,
            "words": says, "check": check}  # fmt: skip


def _formulas(lines: list[str], name: str, said: Words = (), own: str = "") -> list[Mapping[str, Any]]:
    """One formula in some lines: MathML, the same as plain text, the words before it, the constants behind it."""
    lead = [{"mathml": math(part.latex, "inline")} if isinstance(part, Math) else part for part in said]
    return [
        {"name": name, "mathml": math(line, "block"), "text": plain(line), "words": lead if k == 0 else [],
         "constants": own if k == len(lines) - 1 else ""}
        for k, line in enumerate(lines)
    ]  # fmt: skip


def _said(table: Mapping[type, str], layer: Layer, otherwise: str) -> str:
    return table.get(type(layer), otherwise)


def _spelled(name: str) -> str:
    """A parameter's name in a title."""
    return re.sub(r"\\_", "_", plain(symbol(name)))
