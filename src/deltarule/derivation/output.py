"""The cost, and the error of the output layer: where the way back begins."""

from __future__ import annotations

from deltarule.activations import Identity
from deltarule.derivation.draft import Draft, constants_text
from deltarule.derivation.symbols import Place, at_layer, at_step
from deltarule.layers import RNN
from deltarule.layers.base import Equation

__all__ = ["cost", "error"]


def cost(draft: Draft) -> None:
    """C of one sample, or of every step."""
    pair = draft.net.output
    draft.heading("The cost")
    if draft.steps:
        draft.say(
            r"Every step has a cost of its own, and a sequence has their sum, $C = \sum_t C_t$; the mean over steps, "
            "where it is wanted, is taken together with that over samples: see the mini-batch."
        )
    for e in pair.equations():
        if e.name == "cost" and pair.cost.equation:
            draft.formula(_shown(draft, e), shapes=constants_text(pair.cost), verdict=draft.numbers.check_output(e))
        elif e.name == "from the net values" and not isinstance(pair.activation, Identity):
            draft.say(
                "With {} in the last layer the engine computes it from the net values, by the same cost, so that "
                "no logarithm of 0 and no quotient of two overflows stands in the way:", pair.activation,
            )  # fmt: skip
            draft.formula(_shown(draft, e), verdict=draft.numbers.check_output(e))
    if not pair.cost.equation:
        draft.say("The cost {} is a user's own, and says no equation.", pair.cost)


def _shown(draft: Draft, e: Equation) -> str:
    """With the last layer's number, and of sequences the step."""
    place = Place(draft.L, steps=draft.steps)
    return at_layer(at_step(e.latex) if draft.steps else e.latex, place)


def error(draft: Draft) -> None:
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
        if e.gives == "slope":
            for own in draft.checked(draft.L, lambda e: e.gives == "slope"):
                draft.equation(draft.L, own)
        elif e.gives == "delta" or (e.gives == "dy" and pair.cost.derivative_equation):
            if e.name == "Jacobian":
                draft.say("Softmax couples its outputs, so that its Jacobian is full:")
            draft.formula(_shown(draft, e), shapes=e.shapes, verdict=draft.numbers.check_output(e))


def _recurrent_output(draft: Draft) -> None:
    """What goes back through time."""
    draft.say("The last layer is recurrent. What the cost sends to its answers goes back through time, below:")
    dy = next(e for e in draft.net.output.equations() if e.gives == "dy")
    answer = at_layer("h_t" if draft.steps else "h_T", Place.of(draft.numbers.net, draft.L))
    right = draft.net.output.cost.derivative_equation
    latex = rf"\frac{{\partial C}}{{\partial {answer}}} = {at_step(right) if draft.steps else right}"
    draft.formula(latex, verdict=draft.numbers.check_output(dy))
