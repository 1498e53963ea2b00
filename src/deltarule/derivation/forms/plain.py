r"""Formulas as plain text, for a terminal: \frac{\partial C}{\partial W^{(2)}} becomes ∂C/∂W⁽²⁾."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["plain"]

SIGNS = {
    "sum": "Σ", "prod": "Π", "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "varepsilon": "ε",
    "zeta": "ζ", "eta": "η", "theta": "θ", "vartheta": "ϑ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ",
    "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "varrho": "ϱ", "sigma": "σ", "varsigma": "ς", "tau": "τ",
    "upsilon": "υ", "phi": "ϕ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ",
    "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ",
    "Omega": "Ω", "int": "∫", "partial": "∂", "nabla": "∇", "infty": "∞", "ell": "ℓ", "prime": "′", "dots": "…",
    "ldots": "…", "cdots": "…", "vdots": "⋮", "odot": " ⊙ ", "otimes": " ⊗ ", "oplus": " ⊕ ", "ast": "∗",
    "star": " ⋆ ", "circ": " ∘ ", "times": " × ", "cdot": " · ", "pm": " ± ", "leftarrow": " ← ", "gets": " ← ",
    "to": " → ", "rightarrow": " → ", "mapsto": " ↦ ", "Rightarrow": " ⇒ ", "Leftrightarrow": " ⇔ ", "iff": " ⇔ ",
    "le": " ≤ ", "leq": " ≤ ", "ge": " ≥ ", "geq": " ≥ ", "lt": " < ", "gt": " > ", "ll": " ≪ ", "gg": " ≫ ",
    "ne": " ≠ ", "neq": " ≠ ", "approx": " ≈ ", "equiv": " ≡ ", "propto": " ∝ ", "sim": " ~ ", "in": " ∈ ",
    "notin": " ∉ ", "subset": " ⊂ ", "cup": " ∪ ", "cap": " ∩ ", "forall": "∀", "exists": "∃", "land": " ∧ ",
    "lor": " ∨ ", "mid": " | ", "colon": ": ", "vert": "|", "lvert": "|", "rvert": "|",
    "Vert": "‖", "lVert": "‖", "rVert": "‖", "|": "‖", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉",
    "langle": "⟨", "rangle": "⟩", "backslash": "∖", "quad": "   ", "qquad": "     ", ",": " ", ";": " ", ":": " ",
    "!": "", " ": " ", "": "", "\\": " ", "displaystyle": "", "textstyle": "", "limits": "", "nolimits": "", "big": "",
    "Big": "", "bigl": "", "bigr": "", "Bigl": "", "Bigr": "",
}  # fmt: skip
SPLIT = re.compile(r"\\[a-zA-Z]+|\\.|[{}^_]|.", re.DOTALL)
UP = str.maketrans("0123456789()+-=nTimktlL", "⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾⁺⁻⁼ⁿᵀⁱᵐᵏᵗˡᴸ")
DOWN = str.maketrans("0123456789()+-=aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₍₎₊₋₌ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
# Over the letter before.
MARKS = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303", "dot": "\u0307", "vec": "\u20d7"}
MARKS |= {f"wide{mark}": MARKS[mark] for mark in ("hat", "tilde")} | {"overline": MARKS["bar"]}
WORDS = (
    "text", "mathrm", "operatorname", "mathcal", "mathbf", "mathbb", "mathit", "mathsf", "boldsymbol", "bm", "mbox",
    "substack",
)  # fmt: skip
FUNCTIONS = ("ln", "log", "exp", "tanh", "sinh", "cosh", "sin", "cos", "erf", "max", "min")
BRACKETS = {"cases": "{}", "matrix": "[]", "bmatrix": "[]", "pmatrix": "()", "array": "[]"}


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
        if token in ("&", r"\\"):  # the next column, the next row
            found, at = found.rstrip(" ,") + (";  " if token != "&" else ", " if found.strip() else ""), at + 1
            continue
        if token.startswith("\\"):
            part, at = _command(tokens, at)
        elif token == "{":
            part, at = _argument(tokens, at)
        else:
            part, at = {"\n": " ", "~": " "}.get(token, token), at + 1
        found += part
    return found, at


def _argument(tokens: list[str], at: int) -> tuple[str, int]:
    """One token, or what stands in braces."""
    while at < len(tokens) and tokens[at] == " ":
        at += 1
    if at >= len(tokens):
        return "", at
    if tokens[at] == "{":
        inner, end = _sequence(tokens, at + 1)
        return inner, end + 1
    return _command(tokens, at) if tokens[at].startswith("\\") else (tokens[at], at + 1)


def _command(tokens: list[str], at: int) -> tuple[str, int]:
    name, at = tokens[at][1:], at + 1
    if name in ("frac", "tfrac", "dfrac"):
        above, at = _argument(tokens, at)
        below, at = _argument(tokens, at)
        return f"{_together(above)}/{_together(below)}", at
    if name == "sqrt":
        inner, at = _argument(tokens, at)
        return f"√({inner})", at
    if name in MARKS:
        inner, at = _argument(tokens, at)
        return inner + MARKS[name], at
    if name in WORDS:
        return _argument(tokens, at + (tokens[at : at + 1] == ["*"]))
    if name == "underbrace":
        inner, at = _argument(tokens, at)
        label, at = _argument(tokens, at + 1) if tokens[at : at + 1] == ["_"] else ("", at)
        return f"[{inner}: {label}]" if label else inner, at
    if name in ("begin", "end"):
        what, at = _argument(tokens, at)
        if name == "begin" and what == "array":
            _, at = _argument(tokens, at)  # how its columns stand
        bracket = BRACKETS.get(what, "")
        return (f"{bracket[:1]} " if name == "begin" else f" {bracket[1:]}") if bracket else "", at
    if name in ("left", "right") or SIGNS.get(name) == "":
        return "", at + (name in ("left", "right") and tokens[at : at + 1] == ["."])
    if name in FUNCTIONS and tokens[at : at + 1] not in ([], [" "], ["("], ["^"], ["_"], [r"\left"]):
        return f"{name} ", at
    while name in ("partial", "nabla") and tokens[at : at + 1] == [" "]:
        at += 1
    return SIGNS.get(name, name), at


def _together(text: str) -> str:
    """In brackets where a sum or a product would fall apart beside a stroke."""
    text = re.sub(r"^d (?=\S+$)", "d", text.strip())  # of dz/dx
    alone = re.fullmatch(r"\S+", text) is not None and not re.search(r"[+/]|(?<=.)-", text)
    return text if alone else f"({text})"


def _script(inner: str, sign: str) -> str:
    """Raised or lowered, where Unicode has the letters; else behind its sign."""
    inner = inner.strip()
    raised = inner.translate(UP if sign == "^" else DOWN)
    every = all(a != b for a, b in zip(inner, raised))
    return raised if every else f"{sign}{inner}" if len(inner) == 1 else f"{sign}({inner})"
