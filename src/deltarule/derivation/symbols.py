r"""A layer's formulas, with the layer's number put to their symbols: z = W a_prev + b becomes z⁽²⁾ = W⁽²⁾ a⁽¹⁾ + b⁽²⁾.

A layer writes its `equations()` for itself alone. Here their LaTeX is read symbol by symbol: what belongs to a layer
(W, U, b, ω, z, a, h, δ, m) gets its number, `a_{\mathrm{prev}}` that of the layer below, what has a value at every time
step the step, and everything else stays.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from deltarule.architecture import Architecture
from deltarule.layers import RNN

__all__ = ["Place", "at_layer", "at_step"]

PARAMETERS = frozenset({"W", "U", "b", r"\omega"})
VALUES = frozenset({"z", "a", "h", "m", r"\delta"})
BELOW = r"a_{\mathrm{prev}"  # and an index behind a comma, then "}"
TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|.", re.DOTALL)
WORDS = (r"\text", r"\mathrm", r"\mathcal", r"\operatorname", r"\begin", r"\end")  # their braces hold words, no symbols


class Place(NamedTuple):
    """Where a layer stands, as its formulas show it."""

    stage: int
    steps: bool = False  # whether its values have a time step
    recurrent: bool = False  # whether its formulas speak of steps themselves, and of h
    below: str = "a"  # what comes in: a or h with their number, x without
    below_step: str = ""  # of a sequence's last state alone, T

    @classmethod
    def of(cls, net: Architecture, stage: int) -> Place:
        """Of layer `stage` in this network."""
        steps = net.shapes[stage][0] is None
        recurrent = isinstance(net.layers[stage - 1], RNN)
        under = net.layers[stage - 2] if stage > 1 else None
        if under is None:
            return cls(stage, steps, recurrent, "x" if net.shapes[0][0] is None else "a")
        if isinstance(under, RNN):
            return cls(stage, steps, recurrent, "h", "T" if under.last else "")
        return cls(stage, steps, recurrent)


def at_layer(latex: str, place: Place | int) -> str:
    r"""The formula of a layer at its place.

    >>> print(at_layer(r"\delta = f'(z) \odot W^T \delta", 2))
    \delta^{(2)} = f'(z^{(2)}) \odot {W^{(2)}}^T \delta^{(2)}
    >>> print(at_layer(r"z_o = W_{oc} \, a_{\mathrm{prev},c}", 1))
    z^{(1)}_{o} = W^{(1)}_{oc} \, a^{(0)}_{c}
    >>> print(at_layer(r"z = W a_{\mathrm{prev}} + b", Place(2, steps=True, below="h")))
    z^{(2)}_{t} = W^{(2)} h^{(1)}_{t} + b^{(2)}
    >>> print(at_layer("h_{t-1}^T", Place(1, steps=True, recurrent=True)))
    {h^{(1)}_{t-1}}^T
    >>> print(at_layer("e^z", 3))
    e^{z^{(3)}}
    """
    place = Place(place) if isinstance(place, int) else place
    found, rest = list[str](), latex
    while rest:
        if rest.startswith(BELOW):
            index, _, rest = rest[len(BELOW) :].partition("}")
            step = place.below_step or ("t" if place.steps and not place.recurrent else "")
            number = None if place.below == "x" else place.stage - 1
            found.append(_raised(place.below, number, _joined(step, index.lstrip(",")), rest))
            continue
        match = TOKEN.match(rest)
        assert match is not None
        token, rest = match.group(), rest[match.end() :]
        if token in WORDS and rest.startswith("{"):
            word = _braces(rest)
            token, rest = token + word, rest[len(word) :]
        elif token in PARAMETERS or token in VALUES:
            index = _index(rest)
            rest = rest[len(index) :]
            inner = index[1:].removeprefix("{").removesuffix("}")
            if token in VALUES:
                inner = (inner or "t") if place.recurrent else _joined("t" if place.steps else "", inner)
            symbol = "h" if token == "a" and place.recurrent else token
            token = _raised(symbol, place.stage, inner, rest)
            token = f"{{{token}}}" if found and found[-1] in ("^", "_") else token
        found.append(token)
    return "".join(found)


def at_step(latex: str) -> str:
    r"""A formula of the output, of one step of a sequence: C, ŷ and the target t get the index t.

    >>> print(at_step(r"C = -\sum_k t_k \ln \hat{y}_k"))
    C_t = -\sum_k t_{t,k} \ln \hat y_{t,k}
    """
    signs = r"\\hat(?: y|\{y\})|(?<![A-Za-z\\])[tC](?![A-Za-z])"

    def indexed(match: re.Match[str]) -> str:
        sign, index = match[1].replace("{y}", " y"), (match[2] or "").removeprefix("_").strip("{}")
        return f"{sign}_{{t,{index}}}" if index else f"{sign}_t"

    return re.sub(rf"({signs})(_\{{[^}}]*\}}|_.)?", indexed, latex)


def _joined(*indexes: str) -> str:
    """Indexes side by side."""
    return ",".join(filter(None, indexes))


def _raised(symbol: str, number: int | None, index: str, rest: str) -> str:
    """With its number and index; in braces if it is raised already."""
    raised = symbol + ("" if number is None else f"^{{({number})}}") + (f"_{{{index}}}" if index else "")
    return f"{{{raised}}}" if rest.startswith("^") else raised


def _index(rest: str) -> str:
    """The index at the beginning of what follows a symbol, its sign included; empty if there is none."""
    if not rest.startswith("_"):
        return ""
    return "_" + (_braces(rest[1:]) if rest.startswith("_{") else rest[1:2])


def _braces(text: str) -> str:
    """The braces at the beginning, and what they hold."""
    depth = 0
    for k, c in enumerate(text):
        depth += (c == "{") - (c == "}")
        if depth == 0:
            return text[: k + 1]
    return text
