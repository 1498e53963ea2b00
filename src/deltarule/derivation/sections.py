"""The sections of a derivation, in their order: notation, forward, cost, back, batch, update, counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from deltarule.activations import Identity
from deltarule.derivation import batch, chain
from deltarule.derivation.document import Block, Words, words
from deltarule.derivation.draft import Checked, Draft, products, shape_of, symbol
from deltarule.derivation.numbers import Numbers
from deltarule.derivation.plainly import constants
from deltarule.derivation.symbols import Place, at_layer
from deltarule.layers import RNN, Dropout
from deltarule.network import Network
from deltarule.optimizers import Optimizer
from deltarule.schedules import Schedule

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
    for section in (notation, forward, cost, output, chain.rule, backward, batch.batch, update, counts):
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
            sign = f"h^{{({stage})}}_0" if name == "h0" else at_layer(symbol(name), stage)
            yield row(f"${sign}$", shape, "{} of layer {}, {}", MEANING.get(name, name), stage, layer)
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


def row(sign: str, shape: Any, meaning: str, *names: object) -> Row:
    """Of the table of symbols."""
    return words(sign), words("" if shape is None else shape_of(shape)), words(meaning, *names)


def forward(draft: Draft) -> None:
    """Every layer's way up."""
    draft.heading("Forward")
    draft.through(range(1, draft.L + 1), lambda stage: draft.checked(stage, lambda e: e.forward), lambda stage: None)


def cost(draft: Draft) -> None:
    """C of one sample."""
    output = draft.net.output
    draft.heading("The cost")
    direct, *others = output.equations()
    sign = "C_t" if draft.steps else "C"
    if draft.steps:
        draft.say(
            r"Every step has a cost of its own, and a sequence has their sum, $C = \sum_t C_t$; the mean over steps, "
            "where it is wanted, is taken together with that over samples: see the mini-batch."
        )
    own = ", ".join(f"{s} = {value}" for s, value in constants(output.cost))
    draft.formula(sign + direct.latex.removeprefix("C"), shapes=own, error=draft.numbers.output_error(direct))
    for e in others:
        if e.name == "from the net values" and not isinstance(output.activation, Identity):
            draft.say(
                "With {} in the last layer the engine computes it from the net values, by the same cost, so that "
                "no logarithm of 0 and no quotient of two overflows stands in the way:", output.activation,
            )  # fmt: skip
            draft.formula(sign + at_layer(e.latex.removeprefix("C"), draft.L), error=draft.numbers.output_error(e))


def output(draft: Draft) -> None:
    """δ⁽ᴸ⁾: the cancellation of canonical pairs, or the full way."""
    pair, top = draft.net.output, draft.net.layers[-1]
    draft.heading("The error of the output layer")
    if isinstance(top, RNN):
        _recurrent_output(draft)
        return
    if draft.steps:
        draft.say("At every step:")
    if not pair.canonical:
        draft.say("By the chain rule, first through the cost, then through the activation:")
    elif not hasattr(top, "activation"):
        draft.say("The last layer has no activation: its net value is the answer.")
    elif isinstance(pair.activation, Identity):
        draft.say("The answer is the net value itself, and $f' = 1$:")
    else:
        names = pair.activation.name.capitalize(), pair.cost.name
        draft.say("{} and {} belong together: what one divides by, the other multiplies with.", *names)
    for e in pair.equations():
        if e.gives not in ("dy", "slope", "delta"):
            continue
        if e.gives == "slope":
            for own in draft.checked(draft.L, lambda e: e.gives == "slope"):
                draft.equation(draft.L, own)
            continue
        if e.name == "Jacobian":
            draft.say("Softmax couples its outputs, so that its Jacobian is full:")
        latex, place = e.latex, Place(draft.L)
        if draft.steps and e.name == "delta" and r"\sum" not in latex:
            latex, place = latex.replace(r"\hat y", r"\hat y_t").replace("- t", "- t_t"), place._replace(steps=True)
        draft.formula(at_layer(latex, place), shapes=e.shapes, error=draft.numbers.output_error(e))


def _recurrent_output(draft: Draft) -> None:
    """What goes back through time."""
    draft.say("The last layer is recurrent. What the cost sends to its answers goes back through time, below:")
    dy = next(e for e in draft.net.output.equations() if e.gives == "dy")
    answer = at_layer("h_t" if draft.steps else "h_T", Place.of(draft.numbers.net, draft.L))
    latex = rf"\frac{{\partial C}}{{\partial {answer}}} = {draft.net.output.cost.derivative_equation}"
    draft.formula(latex, error=draft.numbers.output_error(dy))


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


def update(draft: Draft) -> None:
    """The optimiser's step."""
    rule = draft.optimizer
    draft.heading("The update: {}", rule)
    if not rule.equation:
        draft.say("The rule {} is a user's own, and says no equation.", rule)
        return
    draft.say(
        r"With $g = \partial C / \partial \theta$, $\theta$ all parameters in one vector, and $t$ the number of the "
        "update from 1:"
    )
    draft.formula(*rule.equation.split(r", \quad "), error=batch.update_error(draft, rule))
    scheduled = isinstance(getattr(rule, "momentum", None), Schedule)
    own = [] if scheduled else [f"{sign} = {value}" for sign, value in constants(rule)]
    draft.say(f"Here ${', '.join([*own, ''])}" + rf"\eta = {rule.own_rate:g}$ unless another is given.")
    if scheduled:
        draft.say(r"$\mu$ follows the schedule {}.", rule.__dict__["momentum"])
    if rule.name == "adamw":
        draft.say(
            r"Its $\lambda \theta$ is that of W, U and kernels alone; biases, $\omega$ and first states keep theirs."
        )
    frozen = [str(stage) for stage, layer in enumerate(draft.net.layers, 1) if not layer.trainable]
    if frozen:
        draft.say("Frozen, and left as they are by every update: the parameters of layer {}.", ", ".join(frozen))


def counts(draft: Draft) -> None:
    """Parameters, and multiply-adds of a sample."""
    net = draft.numbers.net
    draft.heading("How much it is")
    sizes = [sum(s.stop - s.start for s in net.slots if s.stage == stage) for stage in range(1, draft.L + 1)]
    uses = [products(net, stage) for stage in range(1, draft.L + 1)]
    rows = []
    for stage, (layer, n, m) in enumerate(zip(draft.layers, sizes, uses), 1):
        name, kind = str(stage), words("{}", layer)
        if stage in draft.folded:
            if stage != draft.folded[-1]:
                continue
            folded = slice(draft.folded[0] - 1, stage)
            name, kind, n, m = f"{draft.folded[0]} to {stage}", words("folded"), sum(sizes[folded]), sum(uses[folded])
        rows.append((words(name), kind, *(words(f"{k:,}") for k in (n, m, 2 * m if stage > 1 else m))))
    whole = net.size, sum(uses), 2 * sum(uses) - uses[0]
    rows.append(((), words("all"), *(words(f"{k:,}") for k in whole)))
    draft.table("Parameters, and multiply-adds of a sample", ("layer", "", "parameters", "forward", "backward"), rows)
    draft.say(
        "Multiply-adds with parameters are counted. On the way back there are as many for the gradients, and as many "
        "again for what goes down, which layer 1 does not need."
        + " Of sequences it is a step that is counted."
        * draft.steps
    )
