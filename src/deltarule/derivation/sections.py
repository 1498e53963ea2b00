"""The sections of a derivation, in their order: notation, forward, cost, back, batch, update, counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from deltarule.derivation import batch, chain, output, update
from deltarule.derivation.document import Block, Words, words
from deltarule.derivation.draft import Checked, Draft, shape_of, symbol
from deltarule.derivation.numbers import Numbers
from deltarule.derivation.symbols import Place, at_layer
from deltarule.layers import RNN, Dropout
from deltarule.network import Network
from deltarule.optimizers import Optimizer

__all__ = ["written"]

MEANING = {
    "W": "weights",
    "U": "recurrent weights",
    "b": "biases",
    "omega": "weights of the means",
    "h0": "first state",
}
MOST_NAMED = 10  # numbers that are not finite

Row: TypeAlias = tuple[Words, ...]


def written(net: Network, numbers: Numbers, optimizer: Optimizer) -> list[Block]:
    """All of it."""
    draft = Draft(net, numbers, optimizer)
    draft.heading("Backpropagation for {}", draft.title, level=1)
    for section in (
        notation,
        forward,
        output.cost,
        output.error,
        chain.rule,
        backward,
        batch.batch,
        update.update,
        update.counts,
    ):
        section(draft)
    return draft.blocks


def notation(draft: Draft) -> None:
    """Symbols with the shapes they have here."""
    draft.heading("Notation")
    draft.table("Symbols and their shapes", ("symbol", "shape", "meaning"), [*_of_layers(draft), *_of_all(draft)])
    draft.say(
        r"$\delta^{(l)} = \partial C / \partial z^{(l)}$; $\odot$ multiplies entry by entry; $[\,\cdot\,]$ is 1 where "
        "what it holds is true, else 0; vectors are columns, and their quotients and powers go entry by entry. The "
        "error beside a formula is relative, for one sample in double precision: on the way up between what the formula"
        " gives and what the engine computed; on the way back the larger of formula and engine, each against {} that "
        "knows nothing of the chain rule.",
        "a complex step" if draft.numbers.analytic else "a difference of order 4 (a function here is not analytic)",
    )
    draft.say(
        "What is compared are numbers: a formula's right-hand side stands in the layer's code twice, as it is printed "
        "and as it is computed. For the check parameters that are 0 are moved a little, so that no term drops out."
        + (" Maps, rows, columns and places of windows count from 0." if _maps(draft) else "")
        + (" Steps count from 1." if draft.net.shapes[0][0] is None else "")
    )
    if draft.numbers.kinks:
        draft.say("This sample stands at a kink, where there is no derivative: {}.", ", ".join(draft.numbers.kinks))
    if found := draft.numbers.not_finite:
        more = "; and so on" if len(found) > MOST_NAMED else ""
        named = "; ".join(found[:MOST_NAMED])
        draft.say("Not finite: {}{}. Formulas that meet these numbers cannot be checked.", named, more)


def _of_layers(draft: Draft) -> Iterator[Row]:
    """The input's symbols, and those of every layer that is not folded."""
    net = draft.net
    yield row("$x_t$" if net.shapes[0][0] is None else "$a^{(0)} = x$", net.input_shape, "the input, of one sample")
    for stage, layer in enumerate(draft.layers, 1):
        if stage in draft.folded:
            if stage == draft.folded[0]:
                yield row("…", None, "layers {} to {} are folded", stage, draft.folded[-1])
            continue
        for name, shape in layer.parameter_shapes(net.shapes[stage - 1]).items():
            yield row(
                f"${at_layer(symbol(name), stage)}$", shape, "{} of layer {}, {}", MEANING.get(name, name), stage, layer
            )
        place = Place.of(draft.numbers.net, stage)
        z, a, delta, m = (at_layer(sign, place) for sign in ("z", "a", r"\delta", "m"))
        own = net.shapes[stage] if not place.recurrent else (net.shapes[stage - 1][0], layer.state_size)
        if isinstance(layer, Dropout):
            yield row(f"${m}$", own, "the mask of layer {}, {}", stage, layer)
        if hasattr(layer, "activation"):
            yield row(f"${z}, {a}, {delta}$", own, "net value, activation, error")
        else:
            yield row(f"${a} = {z}$, ${delta}$", own, "answer and error of layer {}, {}", stage, layer)


def _of_all(draft: Draft) -> Iterator[Row]:
    """Answer, target, cost, and what some networks need besides."""
    net, top = draft.net, Place.of(draft.numbers.net, draft.L)
    t = "_t" if draft.steps else ""
    answer = at_layer("h_T" if top.recurrent and not draft.steps else "a", top)
    yield row(rf"$\hat y{t} = {answer}$, $t{t}$", net.shapes[-1], "answer and target")
    yield row("$C$", (1,), "the cost of the sample, {}", net.output.cost)
    if net.shapes[0][0] is None:
        yield row("$T$, $t$", (1,), "how many steps there are, and one of them (as an index)")
    if any(layer.f.name in ("softplus", "swish", "gelu") for layer in draft.layers):
        yield row(r"$\sigma(z)$", None, "$1 / (1 + e^{-z})$")
    if any(getattr(layer, "links", None) is not None for layer in draft.layers):
        yield row("$T_{oc}$", None, "the link table: 1 where map $o$ is connected to map $c$ below, else 0")


def _maps(draft: Draft) -> bool:
    return any(len(shape) == 3 for shape in draft.net.shapes)


def row(sign: str, shape: Any, meaning: str, *names: object) -> Row:
    """Of the table of symbols."""
    return words(sign), words("" if shape is None else shape_of(shape)), words(meaning, *names)


def forward(draft: Draft) -> None:
    """Every layer's way up."""
    draft.heading("Forward")
    draft.through(range(1, draft.L + 1), lambda stage: draft.checked(stage, lambda e: e.forward), lambda stage: None)


def backward(draft: Draft) -> None:
    """From the last layer to the first: gradients, what goes down, and the next error."""
    draft.heading("Backward")
    draft.say(
        r"From layer $L$ to layer 1: the gradients of a layer's parameters and $\partial C / \partial a$ of the layer "
        r"below follow from its $\delta$, and the $\delta$ of the layer below from that."
    )
    top = draft.net.layers[-1]

    def down(stage: int) -> Iterator[Checked]:
        done = ("delta", "slope") if stage == draft.L and not isinstance(top, RNN) else ()  # in a section of their own
        return draft.checked(stage, lambda e: not e.forward and e.gives not in done)

    draft.through(range(draft.L, 0, -1), down, lambda stage: chain.down_through(draft, stage))
