"""A derivation while it is written: blocks, numbers of formulas, and which layers are folded."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from deltarule.architecture import Architecture
from deltarule.derivation.document import Block, Formula, Heading, Math, Paragraph, Table, Words, words
from deltarule.derivation.forms.plain import plain
from deltarule.derivation.numbers import Numbers, Verdict
from deltarule.derivation.plainly import constants
from deltarule.derivation.symbols import Place, at_layer
from deltarule.layers import Layer
from deltarule.layers.base import Equation, activation_equations
from deltarule.network import Network
from deltarule.optimizers import Optimizer

__all__ = [
    "Checked", "Draft", "constants_text", "drawn", "equations_of", "placed", "products", "products_back", "shape_of",
    "symbol",
]  # fmt: skip

MOST_LAYERS, ENDS = 12, 4  # of more layers the first and the last few are written out
LONGEST = 100  # signs of a network's spelling in the title
LONGEST_LINE = 160  # signs of LaTeX


class Checked(NamedTuple):
    """A layer's formula and what its check found."""

    equation: Equation
    verdict: Verdict


class Draft:
    """What the sections write to."""

    def __init__(self, net: Network, numbers: Numbers, optimizer: Optimizer) -> None:
        self.net, self.numbers, self.optimizer = net, numbers, optimizer
        self.layers = [drawn(k) for k in net.layers]
        self.L = len(net.layers)
        self.steps = net.shapes[-1][0] is None  # whether every time step has an answer
        self.folded = range(ENDS + 1, self.L - ENDS + 1) if self.L > MOST_LAYERS else range(0)
        self.blocks: list[Block] = []
        self.count = 0

    @property
    def title(self) -> str:
        """The network's spelling, shortened in the middle if it is long."""
        spec = Architecture(self.layers, input_shape=self.net.input_shape, cost=self.net.output.cost).spec
        return spec if len(spec) <= LONGEST else f"{spec[: LONGEST // 2]} … {spec[-LONGEST // 2 :]}"

    # Blocks

    def heading(self, text: str, *names: object, level: int = 2) -> None:
        """A title."""
        self.blocks.append(Heading(words(text, *names), level))

    def say(self, text: str, *names: object) -> None:
        """A paragraph."""
        self.blocks.append(Paragraph(words(text, *names)))

    def table(self, caption: str, head: Iterable[str], rows: Iterable[Iterable[Words]]) -> None:
        """A table."""
        self.blocks.append(Table(caption, tuple(head), tuple(tuple(row) for row in rows)))

    def formula(self, *lines: str, shapes: str = "", verdict: Verdict | None = None) -> None:
        """A formula with its number."""
        self.count += 1
        error, remark = verdict or Verdict()
        self.blocks.append(Formula(self.count, lines, shapes, error, remark, self.numbers.tolerance))

    def equation(self, stage: int, found: Checked) -> None:
        """A layer's formula, with the words that lead to it."""
        e = placed(found.equation, Place.of(self.numbers.net, stage), self.layers[stage - 1])
        if e.words:
            self.blocks.append(Paragraph(e.words))
        shapes = "; ".join(filter(None, [found.equation.shapes, e.constants]))
        self.formula(*e.lines, shapes=shapes, verdict=found.verdict)

    # Layers, one after the other

    def through(
        self, stages: Iterable[int], formulas: Callable[[int], Iterator[Checked]], behind: Callable[[int], None]
    ) -> None:
        """The formulas of these layers; of very many, those in the middle are folded where nothing is wrong."""
        found = ((stage, list(formulas(stage))) for stage in stages)
        for fold, group in groupby(found, lambda pair: pair[0] in self.folded and self.right(pair[1])):
            if fold:
                self.fold(list(group))
                continue
            for stage, checked in group:
                self.heading("Layer {}: {}", stage, self.layers[stage - 1], level=3)
                for one in checked:
                    self.equation(stage, one)
                if not checked:
                    self.say("It says no formulas of this way itself.")
                behind(stage)

    def right(self, checked: list[Checked]) -> bool:
        """Whether all of them passed."""
        return all(one.verdict.badness <= self.numbers.tolerance for one in checked)

    def fold(self, group: list[tuple[int, list[Checked]]]) -> None:
        """Say what is left out, and that it was checked."""
        stages = sorted(stage for stage, _ in group)
        kinds = Counter(str(self.layers[stage - 1]) for stage in stages)
        errors = [one.verdict.badness for _, checked in group for one in checked if one.verdict.error is not None]
        what = "Layer {} is" if len(stages) == 1 else "Layers {} to {} are"
        self.say(
            what + " folded here ({}): their formulas are those of their kind beside them, with their own numbers. All "
            "{} were checked, and the largest error is {}. What fails its check is written out.",
            *dict.fromkeys((stages[0], stages[-1])), ", ".join(f"{n} × {kind}" for kind, n in kinds.items()),
            len(errors), f"{max(errors, default=0.0):.0e}",
        )  # fmt: skip

    def checked(self, stage: int, wanted: Callable[[Equation], bool]) -> Iterator[Checked]:
        """Some of a layer's formulas, with their errors."""
        layer = self.numbers.net.layers[stage - 1]
        for e in equations_of(layer, self.net.shapes[stage - 1]):
            if wanted(e):
                yield Checked(e, self.numbers.check(stage, e))


class Placed(NamedTuple):
    """A layer's equation at its place: the words that lead to it, its lines, and the constants in it."""

    words: Words
    lines: list[str]
    constants: str


def placed(e: Equation, place: Place, layer: Layer) -> Placed:
    """With the layer's number at its symbols; a long one in several lines."""
    lead = [Math(at_layer(part.latex, place)) if isinstance(part, Math) else part for part in words(e.words)]
    latex = at_layer(e.latex, place)
    lines = latex.split(r", \quad ") if len(latex) > LONGEST_LINE else [latex]
    return Placed(tuple(lead), lines, constants_text(layer.f) if e.name in ("activation", "state") else "")


def constants_text(thing: Any) -> str:
    """The constants in the formula of an activation or a cost."""
    return ", ".join(f"{plain(sign)} = {value}" for sign, value in constants(thing))


def equations_of(layer: Layer, input_shape: Any) -> list[Equation]:
    """A layer's own; of a user's that says none, what holds of every layer."""
    try:
        return layer.equations(input_shape)
    except NotImplementedError:
        pass
    except TypeError:  # written before equations took a shape
        return layer.equations()
    names = layer.parameter_shapes(input_shape)
    total = r"\frac{\partial C}{\partial %s} = \sum_i \delta_i \frac{\partial z_i}{\partial %s}"
    up, back = activation_equations(layer.f, "")
    return [
        *up,
        *back,
        *(Equation(name, total % ((symbol(name),) * 2), "", f"d{name}") for name in names),
        Equation("input", total % ((r"a_{\mathrm{prev},k}",) * 2), "", "da_prev"),
    ]  # fmt: skip


def symbol(name: str) -> str:
    """A parameter's name as LaTeX."""
    known = {"omega": r"\omega", "h0": "h_0", "W": "W", "U": "U", "b": "b"}
    return known.get(name, r"\mathrm{" + re.sub("[^A-Za-z0-9]", r"\\_", name) + "}")


def shape_of(shape: Any) -> str:
    """As the tables write it: 6 × 28 × 28; of a sequence that of one step."""
    return " × ".join(str(n) for n in shape if n is not None)


def drawn(layer: Layer) -> Layer:
    """The layer without how its weights were drawn, which no formula asks for."""
    usual: dict[str, Any] = {
        f.name: f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
        for f in dataclasses.fields(layer)
        if f.name.endswith("initializer")
    }
    return dataclasses.replace(layer, **usual)


def products(net: Architecture, stage: int) -> int:
    """Multiply-adds of one sample, or step, forward: every weight once for each place it is used at."""
    own = net.shapes[stage]
    weights = sum(math.prod(s.shape) for s in net.slots if s.stage == stage and s.name not in ("b", "h0"))
    return weights * (math.prod(n or 1 for n in own[1:]) if len(own) == 3 else 1)


def products_back(net: Architecture, stage: int) -> int:
    """On the way back: as many for the gradients, and for what goes down, which layer 1 needs in time alone."""
    through_time = sum(math.prod(s.shape) for s in net.slots if s.stage == stage and s.name == "U")
    forward = products(net, stage)
    return 2 * forward if stage > 1 else forward + through_time
