r"""A layer's formulas, with the layer's number put to their symbols: z = W a_prev + b becomes z⁽²⁾ = W⁽²⁾ a⁽¹⁾ + b⁽²⁾.

A layer writes its `equations()` for itself alone. Here their LaTeX is read symbol by symbol; what belongs to a layer
(W, U, b, ω, z, a, h, δ) gets its number, `a_{\mathrm{prev}}` that of the layer below, and everything else stays.
"""

from __future__ import annotations

import re

__all__ = ["at_layer", "escaped"]

OWN = frozenset({"W", "U", "b", "z", "a", "h", r"\delta", r"\omega"})
BELOW = r"a_{\mathrm{prev}"  # and an index behind a comma, then "}"
TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|.", re.DOTALL)
WORDS = (r"\text", r"\mathrm", r"\mathcal", r"\operatorname", r"\begin", r"\end")  # their braces hold words, no symbols


def at_layer(latex: str, layer: int) -> str:
    r"""The formula of layer `layer`.

    >>> print(at_layer(r"\delta = f'(z) \odot W^T \delta", 2))
    \delta^{(2)} = f'(z^{(2)}) \odot {W^{(2)}}^T \delta^{(2)}
    >>> print(at_layer(r"z_o = W_{oc} \, a_{\mathrm{prev},c}", 1))
    z^{(1)}_o = W^{(1)}_{oc} \, a^{(0)}_{c}
    >>> print(at_layer("h_{t-1}^T", 1))
    {h^{(1)}_{t-1}}^T
    >>> print(at_layer("e^z", 3))
    e^{z^{(3)}}
    """
    found, rest = [], latex
    while rest:
        if rest.startswith(BELOW):
            index, _, rest = rest[len(BELOW) :].partition("}")
            found.append(_raised("a", layer - 1, f"_{{{index.lstrip(',')}}}" if index else "", rest))
            continue
        match = TOKEN.match(rest)
        assert match is not None
        token, rest = match.group(), rest[match.end() :]
        if token in WORDS and rest.startswith("{"):
            word = _braces(rest)
            token, rest = token + word, rest[len(word) :]
        elif token in OWN:
            index = _index(rest)
            rest = rest[len(index) :]
            token = _raised(token, layer, index, rest)
            token = f"{{{token}}}" if found and found[-1] in ("^", "_") else token
        found.append(token)
    return "".join(found)


def _raised(symbol: str, layer: int, index: str, rest: str) -> str:
    """With its number and index; in braces if it is raised already."""
    raised = f"{symbol}^{{({layer})}}{index}"
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


LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


def escaped(text: str) -> str:
    r"""Words that LaTeX shows as they are.

    >>> escaped("50 % of $x_1$")
    '50 \\% of \\$x\\_1\\$'
    """
    return "".join(LATEX.get(c, c) for c in text)
