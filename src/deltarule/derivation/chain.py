"""The chain rule: its two cases, where this network has them, and what they make of a gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deltarule.activations import Identity, Softmax
from deltarule.derivation.draft import Draft
from deltarule.derivation.numbers import error, ours
from deltarule.derivation.symbols import Place, at_layer
from deltarule.layers import RNN, Dense

__all__ = ["down_through", "rule"]

SEEN = 3  # entries that a case is tried on


def rule(draft: Draft) -> None:
    """Document 001's two cases, and the product of the two passes."""
    draft.heading("The chain rule")
    one, several = one_by_one(draft), through_many(draft)
    draft.say(
        "Two cases are all there is. One variable after the other, $z = h(y)$ and $y = g(x)$: "
        r"$dz/dx = dz/dy \cdot dy/dx$."
    )
    if one:
        draft.say("It occurs where an activation acts entry by entry, in {}. For instance:", _layers(one))
        _one(draft, one[0])
    else:
        draft.say("Here it does not occur by itself.")
    draft.say(
        r"And several on the way, $z = k(x, y)$ with $x = g(s)$ and $y = h(s)$, whose contributions add up: "
        r"$dz/ds = \partial z/\partial x \cdot dx/ds + \partial z/\partial y \cdot dy/ds$."
    )
    if several:
        draft.say("It occurs where a unit reaches many units above, below {}. For instance:", _layers(several))
        _several(draft, several[-1])
    if isinstance(draft.net.output.activation, Softmax):
        draft.say("And it occurs in softmax, where every net value moves every answer.")
    layers = [k for k in range(1, draft.L + 1) if draft.net.layers[k - 1].parameter_shapes(draft.net.shapes[k - 1])]
    shared = [k for k in layers if isinstance(draft.net.layers[k - 1], RNN) or len(draft.net.shapes[k]) == 3]
    if shared:
        draft.say(
            "Weights that are used many times, by a kernel, in a map or through time ({}), have a term for every use.",
            _layers(shared),
        )
    if layers:
        draft.say("So the gradient of a weight has two factors, one from each pass:")
        draft.formula(
            r"\frac{\partial C}{\partial w} = \sum_i \underbrace{\frac{\partial z_i}{\partial w}}_{\text{forward}} \, "
            r"\underbrace{\frac{\partial C}{\partial z_i}}_{\text{backward: } \delta_i}",
            error=_factors(draft, layers),
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
    """The layers that connect a unit below with several: all with weights, above the first."""
    return [k for k in range(2, draft.L + 1) if draft.net.layers[k - 1].parameter_shapes(draft.net.shapes[k - 1])]


def _one(draft: Draft, stage: int) -> None:
    """∂C/∂z = ∂C/∂a · da/dz."""
    numbers, place = draft.numbers, Place.of(draft.numbers.net, stage)
    layer, q = numbers.net.layers[stage - 1], numbers.at(stage)
    what = "after" if isinstance(layer, RNN) else "a"
    d, index = (r"\partial", "i") if not place.recurrent else ("d", "t,i")
    z, a = (at_layer(f"{symbol}_{{{index}}}", place) for symbol in ("z", "a"))
    latex = rf"\frac{{{d} C}}{{{d} {z}}} = \frac{{{d} C}}{{{d} {a}}} \, \frac{{d {a}}}{{d {z}}}"
    if place.recurrent:
        draft.say("(Of a recurrent layer with all that later steps make of it, hence the straight d.)")
    places = numbers.places(q.z.shape)[:SEEN]
    found = None
    if stage < draft.L or not draft.net.output.canonical:
        with np.errstate(all="ignore"):
            left = numbers.derivative(stage, "z", places)
            above = numbers.derivative(stage, what, places)
            slopes = layer.f.derivative(q.z, getattr(q, what))
            found = error(above * [slopes[p] for p in places], left, numbers.scale)
    draft.formula(latex, error=found)


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
        left = numbers.derivative(stage, "a_prev", places)
        right = [np.sum(q.delta * numbers.net_value_slope(stage, "a_prev", p)) for p in places]
        found = error(right, left, numbers.scale)
    draft.formula(latex, error=found)


def _factors(draft: Draft, layers: Sequence[int]) -> float | None:
    """Of some weights of every layer."""
    numbers, errors = draft.numbers, [0.0]
    for stage in layers:
        if stage in draft.folded or not ours(numbers.net.layers[stage - 1]):
            continue
        q = numbers.at(stage)
        for name in numbers.p[stage - 1].keys() - {"h0"}:
            places = numbers.places(getattr(q, name).shape)[:SEEN]
            with np.errstate(all="ignore"):
                left = numbers.derivative(stage, name, places)
                right = [np.sum(q.delta * numbers.net_value_slope(stage, name, p)) for p in places]
                errors.append(error(right, left, numbers.scale))
    return max(errors, key=lambda e: float("inf") if np.isnan(e) else e)


def down_through(draft: Draft, stage: int) -> None:
    """Document 004's step from a dense layer to the one below, diag f′: both in one formula."""
    layers, numbers = draft.numbers.net.layers, draft.numbers
    if stage == 1 or not (isinstance(layers[stage - 1], Dense) and isinstance(layers[stage - 2], Dense)):
        return
    q, below = numbers.at(stage), numbers.at(stage - 1)
    places = numbers.places(below.z.shape)
    with np.errstate(all="ignore"):
        right = below.slope * (q.delta @ q.W)
        found = error([right[p] for p in places], numbers.derivative(stage - 1, "z", places), numbers.scale)
    here, under = Place.of(numbers.net, stage), Place.of(numbers.net, stage - 1)
    draft.say("Together with the activation below, whose derivatives stand in a diagonal matrix:")
    draft.formula(
        at_layer(r"\delta", under) + r" = \operatorname{diag}\left(" + at_layer("f'(z)", under) + r"\right) "
        + at_layer(r"W^T \delta", here), error=found,
    )  # fmt: skip


def _layers(stages: Sequence[int]) -> str:
    """Layer 2, layers 1, 2 and 5."""
    if len(stages) == 1:
        return f"layer {stages[0]}"
    if len(stages) > 8:
        return f"layers {', '.join(map(str, stages[:4]))}, … and {stages[-1]}"
    return f"layers {', '.join(map(str, stages[:-1]))} and {stages[-1]}"
