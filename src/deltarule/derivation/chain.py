"""The chain rule: its two cases, where this network has them, and what they make of a gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deltarule.activations import Identity, Softmax
from deltarule.derivation.draft import Draft
from deltarule.derivation.numbers import Verdict
from deltarule.derivation.sample import activation_of, entries, ours
from deltarule.derivation.symbols import Place, at_layer
from deltarule.layers import RNN, Dense

__all__ = ["down_through", "layers_text", "rule"]

SEEN = 3  # entries that a case is tried on


def rule(draft: Draft) -> None:
    """Document 001's two cases, and the product of the two passes."""
    draft.heading("The chain rule")
    draft.say(
        "Two cases are all there is. One variable after the other, $z = h(y)$ and $y = g(x)$: "
        r"$dz/dx = dz/dy \cdot dy/dx$."
    )
    one, several = one_by_one(draft), through_many(draft)
    if one:
        draft.say("It occurs where an activation acts entry by entry, in {}. For instance:", layers_text(one))
        _one(draft, one[0])
    elif draft.net.output.canonical and not isinstance(draft.net.output.activation, Softmax | Identity):
        draft.say("Here it occurs in the output alone, above, where it cancels.")
    else:
        draft.say("Here it does not occur: no activation acts entry by entry.")
    draft.say(
        r"And several on the way, $z = k(x, y)$ with $x = g(s)$ and $y = h(s)$, whose contributions add up: "
        r"$dz/ds = \partial z/\partial x \cdot dx/ds + \partial z/\partial y \cdot dy/ds$."
    )
    _where_several(draft, several)
    _two_factors(draft)


def _where_several(draft: Draft, several: Sequence[int]) -> None:
    """The places of the second case."""
    places = []
    if several:
        places.append(f"below {layers_text(several)}, where a unit reaches several units above")
    recurrent = [k for k in range(1, draft.L + 1) if isinstance(draft.net.layers[k - 1], RNN)]
    if recurrent:
        places.append(f"in {layers_text(recurrent)}, where a state reaches the layer above and the next step")
    if isinstance(draft.net.output.activation, Softmax):
        places.append("in softmax, where every net value moves every answer")
    if not places:
        draft.say("Here it does not occur: every unit reaches at most one above.")
        return
    draft.say("It occurs {}.", ", and ".join(places))
    if several:
        draft.say("For instance:")
        _several(draft, several[-1])


def _two_factors(draft: Draft) -> None:
    """∂C/∂w = Σ_i ∂z_i/∂w ∂C/∂z_i."""
    layers = [k for k in range(1, draft.L + 1) if draft.net.layers[k - 1].parameter_shapes(draft.net.shapes[k - 1])]
    if not layers:
        return
    shared = [k for k in layers if draft.net.shapes[k][0] is None or len(draft.net.shapes[k]) == 3
              or isinstance(draft.net.layers[k - 1], RNN)]  # fmt: skip
    if shared:
        draft.say(
            "Weights that are used many times, by a kernel, in a map or through time ({}), have a term for every use.",
            layers_text(shared),
        )
    draft.say("So the gradient of a weight has two factors, one from each pass:")
    draft.formula(
        r"\frac{\partial C}{\partial w} = \sum_i \underbrace{\frac{\partial z_i}{\partial w}}_{\text{forward}} \, "
        r"\underbrace{\frac{\partial C}{\partial z_i}}_{\text{backward: } \delta_i}",
        verdict=_factors(draft, layers),
    )


def one_by_one(draft: Draft) -> list[int]:
    """The layers whose activation acts entry by entry and does something; the output's too, where nothing cancels."""
    found = []
    for stage, layer in enumerate(draft.net.layers, 1):
        canonical = stage == draft.L and draft.net.output.canonical
        if not isinstance(layer.f, Identity | Softmax) and not canonical:
            found.append(stage)
    return found


def through_many(draft: Draft) -> list[int]:
    """The layers above the first in which what comes from one unit below moves several net values."""
    numbers, found = draft.numbers, []
    for stage in range(2, draft.L + 1):
        a_prev = numbers.at(stage).a_prev
        places = [*numbers.places(a_prev.shape)[:SEEN], tuple(n // 2 for n in a_prev.shape)]
        with np.errstate(all="ignore"):
            moved = max(np.count_nonzero(numbers.net_value_slope(stage, "a_prev", place)) for place in places)
        if moved > 1:
            found.append(stage)
    return found


def _one(draft: Draft, stage: int) -> None:
    """∂C/∂z = ∂C/∂a · da/dz."""
    numbers, place = draft.numbers, Place.of(draft.numbers.net, stage)
    q, layer = numbers.at(stage), numbers.layer(stage)
    d, index = (r"\partial", "i") if not place.recurrent else ("d", "t,i")
    z, a = (at_layer(f"{symbol}_{{{index}}}", place) for symbol in ("z", "a"))
    if place.recurrent:
        draft.say("(Of a recurrent layer with all that later steps make of it, hence the straight d.)")
    places = numbers.places(q.z.shape)[:SEEN]
    with np.errstate(all="ignore"):
        left = numbers.derivative(stage, "delta", places)
        slopes = entries(layer.f.derivative(q.z, activation_of(layer, q)), places)
        noise = entries(numbers.noise.deltas[stage - 1], places)
        found = numbers.verdict(numbers.derivative(stage, "da", places) * slopes, left, noise)
    draft.formula(rf"\frac{{{d} C}}{{{d} {z}}} = \frac{{{d} C}}{{{d} {a}}} \, \frac{{d {a}}}{{d {z}}}", verdict=found)


def _several(draft: Draft, stage: int) -> None:
    """∂C/∂a_k = Σ_i ∂C/∂z_i ∂z_i/∂a_k."""
    numbers, place = draft.numbers, Place.of(draft.numbers.net, stage)
    k = "t,k" if place.recurrent else "k"
    below = at_layer(rf"a_{{\mathrm{{prev}},{k}}}", place)
    z = at_layer("z_{t,i}" if place.recurrent else "z_i", place)
    latex = (
        rf"\frac{{\partial C}}{{\partial {below}}} = "
        rf"\sum_i \frac{{\partial C}}{{\partial {z}}} \frac{{\partial {z}}}{{\partial {below}}}"
    )
    q = numbers.at(stage)
    places = numbers.places(q.a_prev.shape)[:SEEN]
    with np.errstate(all="ignore"):
        left = numbers.derivative(stage, "da_prev", places)
        right = [np.sum(q.delta * numbers.net_value_slope(stage, "a_prev", p)) for p in places]
        noise = entries(numbers.seen(numbers.noise, stage, "da_prev"), places)
    draft.formula(latex, verdict=numbers.verdict(right, left, noise))


def _factors(draft: Draft, layers: Sequence[int]) -> Verdict:
    """Of some weights of every layer."""
    numbers, found = draft.numbers, [Verdict(0.0)]
    for stage in layers:
        if stage in draft.folded or not ours(numbers.layer(stage)):
            continue
        q = numbers.at(stage)
        for name in sorted(numbers.p[stage - 1].keys() - {"h0"}):
            places = numbers.places(numbers.p[stage - 1][name].shape)[:SEEN]
            with np.errstate(all="ignore"):
                left = numbers.derivative(stage, f"d{name}", places)
                right = [np.sum(q.delta * numbers.net_value_slope(stage, name, p)) for p in places]
                noise = entries(numbers.seen(numbers.noise, stage, f"d{name}"), places)
            found.append(numbers.verdict(right, left, noise))
    return max(found, key=lambda v: v.badness)


def down_through(draft: Draft, stage: int) -> None:
    """Document 004's step from a dense layer to the one below, diag f′: both in one formula."""
    layers, numbers = draft.numbers.net.layers, draft.numbers
    if stage == 1 or not (isinstance(layers[stage - 1], Dense) and isinstance(layers[stage - 2], Dense)):
        return
    q, below = numbers.at(stage), numbers.at(stage - 1)
    places = numbers.places(below.z.shape)
    with np.errstate(all="ignore"):
        right, seen = below.slope * (q.delta @ q.W), numbers.way.deltas[stage - 2]
        truth = numbers.derivative(stage - 1, "delta", places)
        found = numbers.against(right, seen, truth, places, numbers.noise.deltas[stage - 2])
    here, under = Place.of(numbers.net, stage), Place.of(numbers.net, stage - 1)
    draft.say("Together with the activation below, whose derivatives stand in a diagonal matrix:")
    draft.formula(
        at_layer(r"\delta", under) + r" = \operatorname{diag}\left(" + at_layer("f'(z)", under) + r"\right) "
        + at_layer(r"W^T \delta", here), verdict=found,
    )  # fmt: skip


def layers_text(stages: Sequence[int]) -> str:
    """Layer 2, layers 1, 2 and 5."""
    if len(stages) == 1:
        return f"layer {stages[0]}"
    if len(stages) > 8:
        return f"layers {', '.join(map(str, stages[:4]))}, … and {stages[-1]}"
    return f"layers {', '.join(map(str, stages[:-1]))} and {stages[-1]}"
