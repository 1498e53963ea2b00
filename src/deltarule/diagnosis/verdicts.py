"""What the numbers of a diagnosis mean: the thresholds, each with its reason, and a verdict for every layer.

The rules are tried in their order, and the first that fits is the verdict: what explains the most comes first.
"""

from __future__ import annotations

from typing import NamedTuple

from deltarule.diagnosis.measure import Found, Measured

__all__ = [
    "DEAD", "ENOUGH", "EXPLODED", "GROWN", "HEALTHY", "NOTED", "SATURATED", "STEPS_BACK", "TOO_LARGE", "TOO_SMALL",
    "USUAL", "VANISHED", "Said", "judged",
]  # fmt: skip

HEALTHY = "healthy"

VANISHED = 1e-3  # ‖δ⁽ˡ⁾‖/‖δ⁽ᴸ⁾‖: five layers at σ's steepest slope, ¼⁵. Glorot and Bengio, AISTATS 9 (2010)
EXPLODED = 1e3  # the same upwards; fifteen layers that have learned well reach 25
DEAD = 0.4  # of the units: "as much as 40% of your network can be dead". Karpathy, CS231n, notes 1 (2015)
ENOUGH = 100  # looks: a unit active in 3 % of all rows is active in one of a hundred, 19 times of 20
SATURATED = 0.9  # of the entries; so many that those which are left cannot learn for them. Glorot and Bengio (2010)
STEPS_BACK = 4  # where VANISHED is less than 0.18 a step (σ with ‖U‖ = ½: 1/8). Hochreiter, IJUFKS 6 (1998)
GROWN = 1e2  # ‖δ_{t,t−k}‖/‖δ_{t,t}‖: all steps share one gradient. Pascanu, Mikolov and Bengio, ICML 28 (2013)
NOTED = 1e-2  # the same: what is left of an error where it is called gone, for healthy layers too
TOO_LARGE = 1.0  # ‖ΔW‖/‖W‖: an update as long as the weights themselves; about 1e-3 is usual. Karpathy, notes 3
USUAL = 1e-3
TOO_SMALL = 1e-7  # ‖ΔW‖/‖W‖: what float32 rounds to nothing (its 2⁻²⁴ = 6e-8), and ten thousand times below the usual


class Said(NamedTuple):
    """A verdict, why, and what to do; nothing to do where all is well."""

    verdict: str
    reason: str
    remedy: str = ""


def judged(found: Found) -> list[Said]:
    """What is to be said of every layer."""
    return [_verdict(found, own) for own in found.layers]


def _verdict(found: Found, own: Measured) -> Said:
    if any(own.faults):
        return _not_finite(found, own)
    if not own.learns:
        return Said(HEALTHY, "nothing is trained here or below, and no error is needed")
    if own.reach is None:
        return Said(HEALTHY, "no error is left on these rows: there is nothing to send back")
    return _units(own) or _way_back(found, own) or _time(own) or _rate(found, own) or _well(own)


def _not_finite(found: Found, own: Measured) -> Said:
    """Where it began: in the lowest layer by its parameters or on the way up, else in the highest on the way back."""
    began, kind = next(
        (k, kind) for kind in range(3) for k in (found.layers if kind < 2 else found.layers[::-1]) if k.faults[kind]
    )
    if own.stage != began.stage:
        return Said(
            "not finite", f"it comes from layer {began.stage}: {began.faults[kind]}", f"see layer {began.stage}"
        )
    remedies = (
        "go back to earlier weights, and lower the learning rate or clip the gradient",
        "scale the inputs, or take smaller weights",
        "clip the gradient, take smaller weights, or float64",
    )
    return Said("not finite", own.faults[kind], remedies[kind])


def _units(own: Measured) -> Said | None:
    if own.idle is not None and own.looks >= ENOUGH and own.idle >= DEAD:
        return Said(
            "dead", f"{own.idle:.0%} of its {own.unit}s are active {_nowhere(own)} {_looks(own)}",
            "initialise anew, lower the learning rate, or take leaky relu",
        )  # fmt: skip
    if own.saturated is not None and own.saturated >= SATURATED:
        return Said(
            "saturated", f"the slope is below 1 % of its maximum in {own.saturated:.0%} of its entries",
            "take smaller weights (Glorot's), scale the inputs to mean 0 and variance 1, or take relu",
        )  # fmt: skip
    return None


def _way_back(found: Found, own: Measured) -> Said | None:
    """‖δ‖ against that of the last layer; where it is lost, what blocks the way."""
    assert own.reach is not None
    if own.reach > EXPLODED:
        return Said(
            "exploding", f"‖δ‖ is {own.reach:.1e} times that of the last layer",
            "take smaller weights (Glorot's or He's), fewer layers, or clip the gradient",
        )  # fmt: skip
    if not own.reach < VANISHED:
        return None
    why = f"‖δ‖ is {own.reach:.1e} of that of the last layer" if own.reach else "no error arrives: δ is 0"
    k = _block(found, own)
    if k is None:
        return Said("vanishing", why, "take relu or tanh, weights as Glorot or He draw them, or fewer layers")
    if k.idle == 1 and k.looks < ENOUGH:
        return Said("vanishing", f"{why}; no {k.unit} of layer {k.stage} is active on these {k.look}s", _more(k))
    what = f"{k.idle:.0%} dead" if k.idle else f"{k.saturated:.0%} saturated"
    return Said("vanishing", f"{why}; layer {k.stage} is {what}", f"see layer {k.stage}")


def _block(found: Found, own: Measured) -> Measured | None:
    """The highest layer, from this one on, whose units let no error through."""
    here = found.layers[own.stage - 1 :]
    return next((k for k in reversed(here) if k.idle == 1 or _units(k) is not None), None)


def _time(own: Measured) -> Said | None:
    """How an error fades, or grows, on its way back through time."""
    lengths = own.through_time or (1.0,)
    if (largest := max(lengths)) > GROWN:
        return Said(
            "exploding", f"through time: an error is {largest:.1e} times as long {lengths.index(largest)} steps back",
            "clip the gradient (clip_norm=1), take a smaller U, or shorter windows (truncate=)",
        )  # fmt: skip
    if len(lengths) > STEPS_BACK and lengths[STEPS_BACK] < VANISHED:
        return Said(
            "vanishing", f"through time: of an error {lengths[STEPS_BACK]:.1e} is left {STEPS_BACK} steps back",
            "take a U of larger spectral radius (orthogonal), or tanh or relu for sigmoid",
        )  # fmt: skip
    return None


def _rate(found: Found, own: Measured) -> Said | None:
    """The update against the weights; too small only where it is for every layer, and much is left to learn.

    Where a layer above blocks the error, that is why the update is small: its own verdict says so.
    """
    if own.update_ratio is None:
        return None
    if own.update_ratio > TOO_LARGE:
        why = f"one update moves the weights by {own.update_ratio:.2g} of their own length; {USUAL:g} is usual"
        return Said("rate too large", why, "lower the learning rate tenfold and look again, or warm up")
    largest = max(k.update_ratio or 0.0 for k in found.layers)
    if 0 < largest < TOO_SMALL and not found.settled and _block(found, own) is None:
        why = f"one update moves the weights by {own.update_ratio:.1e} of their own length; {USUAL:g} is usual"
        return Said("rate too small", why, "raise the learning rate")
    return None


def _well(own: Measured) -> Said:
    """What is worth knowing of a layer that is well."""
    parts = [] if own.ratio is None else [f"‖δ‖ is {own.ratio:.2g} of the next layer's"]
    if own.idle is not None and own.looks < ENOUGH:
        parts.append(f"dead {own.unit}s cannot be told from {_looks(own)}: {_more(own)}")
    if own.through_time is not None:
        gone = next((k for k, length in enumerate(own.through_time) if length < NOTED), None)
        last = len(own.through_time) - 1
        parts.append(
            f"of an error {own.through_time[-1]:.1e} is left {last} steps back" if gone is None
            else f"of an error less than 1 % is left {gone} steps back"
        )  # fmt: skip
    return Said(HEALTHY, "; ".join(parts) or "δ comes from the cost itself")


def _looks(own: Measured) -> str:
    return f"{own.looks:,} {own.look}{'s' * (own.looks != 1)}"


def _nowhere(own: Measured) -> str:
    return "at no place of" if own.unit == "map" else "on none of"


def _more(own: Measured) -> str:
    return f"give {ENOUGH} {own.look}s or more"
