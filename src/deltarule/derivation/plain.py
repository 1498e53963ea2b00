r"""Formulas as plain text, for a terminal: \frac{\partial C}{\partial W^{(2)}} becomes ∂C/∂W⁽²⁾."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["plain"]

SIGNS = {
    "partial": "∂", "delta": "δ", "omega": "ω", "eta": "η", "theta": "θ", "lambda": "λ", "mu": "μ", "beta": "β",
    "rho": "ρ", "psi": "ψ", "alpha": "α", "varepsilon": "ε", "sigma": "σ", "pi": "π", "Delta": "Δ", "sum": "Σ",
    "prod": "Π", "odot": " ⊙ ", "otimes": " ⊗ ", "ast": "∗", "star": " ⋆ ", "times": " × ", "cdot": " · ",
    "leftarrow": " ← ", "Rightarrow": " ⇒ ", "le": " ≤ ", "ge": " ≥ ", "sim": " ~ ", "mid": " | ", "ln": "ln ",
    "tanh": "tanh ", "max": "max", "min": "min", "lVert": "‖", "rVert": "‖", "quad": "   ", "qquad": "     ",
    "left": "", "right": "", ",": " ", ";": " ", ":": " ", "!": "", " ": " ", "{": "{", "}": "}",
}  # fmt: skip
SPLIT = re.compile(r"\\[a-zA-Z]+|\\.|[{}^_]|.", re.DOTALL)
UP = str.maketrans("0123456789()+-=nTimktlL", "⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾⁺⁻⁼ⁿᵀⁱᵐᵏᵗˡᴸ")
DOWN = str.maketrans("0123456789()+-=aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₍₎₊₋₌ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
MARKS = {"hat": "\u0302", "bar": "\u0304"}  # over the letter before


def plain(latex: str) -> str:
    r"""The formula in one line.

    >>> print(plain(r"\frac{\partial C}{\partial W^{(2)}} = \delta^{(2)} \, {a^{(1)}}^T"))
    ∂C/∂W⁽²⁾ = δ⁽²⁾ a⁽¹⁾ᵀ
    >>> print(plain(r"\frac{\hat y - t}{\hat y (1 - \hat y)}"))
    (ŷ - t)/(ŷ (1 - ŷ))
    """
    tokens = SPLIT.findall(latex)
    text, _ = _sequence(tokens, 0)
    spaced = re.sub(r" {2,}", lambda m: " " if len(m.group()) < 4 else "   ", text)
    return unicodedata.normalize("NFC", spaced).strip()


def _sequence(tokens: list[str], at: int) -> tuple[str, int]:
    """Everything up to the brace that closes, and where that is."""
    found = ""
    while at < len(tokens) and tokens[at] != "}":
        token = tokens[at]
        if token in "^_":
            inner, at = _argument(tokens, at + 1)
            found += _script(inner, token)
            continue
        if token.startswith("\\"):
            part, at = _command(tokens, at)
        elif token == "{":
            part, at = _argument(tokens, at)
        else:
            part, at = token.replace("\n", " ").replace("&", " "), at + 1
        found += part
    return found, at


def _argument(tokens: list[str], at: int) -> tuple[str, int]:
    """One token, or what stands in braces."""
    while at < len(tokens) and tokens[at] == " ":
        at += 1
    if at < len(tokens) and tokens[at] == "{":
        inner, end = _sequence(tokens, at + 1)
        return inner, end + 1
    return _command(tokens, at) if tokens[at].startswith("\\") else (tokens[at], at + 1)


def _command(tokens: list[str], at: int) -> tuple[str, int]:
    name = tokens[at][1:]
    if name in ("frac", "tfrac"):
        above, at = _argument(tokens, at + 1)
        below, at = _argument(tokens, at)
        return f"{_together(above)}/{_together(below)}", at
    if name == "sqrt":
        inner, at = _argument(tokens, at + 1)
        return f"√({inner})", at
    if name in MARKS:
        inner, at = _argument(tokens, at + 1)
        return inner + MARKS[name], at
    if name in ("text", "mathrm", "operatorname", "mathcal"):
        return _argument(tokens, at + 1)
    if name == "underbrace":
        inner, at = _argument(tokens, at + 1)
        label, at = _argument(tokens, at + 1) if at < len(tokens) and tokens[at] == "_" else ("", at)
        return f"[{inner}: {label}]", at
    if name in ("begin", "end"):
        _, at = _argument(tokens, at + 1)
        return ("{ " if name == "begin" else " }"), at
    if name == "\\":
        return ";  ", at + 1
    at += 1
    while name == "partial" and at < len(tokens) and tokens[at] == " ":
        at += 1
    return SIGNS.get(name, name), at


def _together(text: str) -> str:
    """In brackets where a sum or a product would fall apart beside a stroke."""
    alone = re.fullmatch(r"\S+", text.strip()) is not None and not re.search(r"[+/]|(?<=.)-", text)
    return text.strip() if alone else f"({text.strip()})"


def _script(inner: str, sign: str) -> str:
    """Raised or lowered, where Unicode has the letters; else behind its sign."""
    inner = inner.strip()
    raised = inner.translate(UP if sign == "^" else DOWN)
    every = all(a != b for a, b in zip(inner, raised))
    return raised if every else f"{sign}{inner}" if len(inner) == 1 else f"{sign}({inner})"
