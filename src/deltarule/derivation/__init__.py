"""`derive`: the derivation of a network's gradient, in formulas that are checked as they are written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltarule.derivation.document import Block, Formula, Heading, Math
from deltarule.derivation.forms import html, latex, markdown, terminal
from deltarule.derivation.numbers import Numbers
from deltarule.derivation.sections import written
from deltarule.errors import HyperparameterError
from deltarule.files import write_bytes
from deltarule.network import Network
from deltarule.optimizers import Optimizer
from deltarule.optimizers import optimizer as optimizer_of
from deltarule.randomness import draw_seed
from deltarule.trace import trace

__all__ = ["Derivation", "derive"]


@dataclass(frozen=True, repr=False)
class Derivation:
    """What `derive` wrote."""

    blocks: tuple[Block, ...]

    @property
    def formulas(self) -> list[Formula]:
        """The numbered formulas, in order."""
        return [block for block in self.blocks if isinstance(block, Formula)]

    @property
    def ok(self) -> bool:
        """Whether every formula that was checked agrees with its numbers."""
        return all(formula.ok for formula in self.formulas)

    @property
    def worst(self) -> Formula:
        """The formula with the largest error; what is not a number is worse than all."""

        def badness(formula: Formula) -> float:
            error = formula.error or 0.0
            return math.inf if math.isnan(error) else error

        return max(self.formulas, key=badness)

    def to_markdown(self) -> str:
        """Markdown with formulas between dollars, as GitHub and notebooks show it."""
        return markdown.text(self.blocks)

    def to_latex(self) -> str:
        """A LaTeX document that stands by itself."""
        return latex.text(self.blocks)

    def to_html(self) -> str:
        """One page with formulas in MathML, which needs nothing else; made by latex2mathml (extra `derive`)."""
        return html.page(self.blocks, self.title)

    def to_text(self) -> str:
        """Plain text, formulas in Unicode."""
        return terminal.text(self.blocks)

    @property
    def title(self) -> str:
        """Of the whole."""
        first = next(block for block in self.blocks if isinstance(block, Heading))
        return "".join(part.latex if isinstance(part, Math) else part for part in first.words)

    def save(self, path: str | Path) -> Path:
        """Write it as the name says: .md, .tex, .html or .txt."""
        path = Path(path)
        forms = {".md": self.to_markdown, ".tex": self.to_latex, ".html": self.to_html, ".txt": self.to_text}
        if path.suffix.lower() not in forms:
            raise HyperparameterError(f"a derivation is written as {', '.join(forms)}, and {path.name} is none of them")
        write_bytes(path, forms[path.suffix.lower()]().encode())
        return path

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        wrong = sum(not formula.ok for formula in self.formulas)
        found = f"{wrong} not right" if wrong else "none wrong"
        return f"<{self.title}: {len(self.formulas)} formulas, {found}; print it, or .save('derivation.html')>"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __rich_console__(self, *_: Any) -> Iterator[Any]:
        return terminal.renderables(self.blocks)


def derive(
    net: Network, x: Any = None, t: Any = None, *, optimizer: Optimizer | str = "sgd", seed: int = 0
) -> Derivation:
    """The derivation of a network's gradient, for any network, every formula checked on numbers as it is written.

    Notation with shapes, the way up, the cost, δ of the output, the chain rule, the way back layer by layer, a
    mini-batch, the optimiser's update, and counts. Formulas are those of the layers' `equations()`. Of more than twelve
    layers those in the middle are folded: checked, and left out unless one is wrong.

    Args:
        net: any network, one with layers, activations, costs of your own too.
        x, t: one sample and its target, on which the formulas are checked; drawn from `seed` unless given.
        optimizer: whose update ends the derivation.

    Returns:
        A `Derivation`: `.ok`, `.worst`, `.formulas`; `to_markdown()`, `to_latex()`, `to_html()`, `to_text()` and
        `save(path)`; it shows itself in a terminal and in a notebook.

    Raises:
        ShapeError: x or t does not fit the network.
        HyperparameterError: x is a batch, or one of x and t is missing.

    >>> d = derive(Network("3/4/2"))
    >>> d.ok, len(d.formulas) > 20
    (True, True)
    """
    if not isinstance(net, Network):
        raise HyperparameterError(f"derive takes a network, such as Network('3/4/2'), and not {net!r:.60}")
    seed = draw_seed(seed)
    if (x is None) != (t is None):
        raise HyperparameterError("derive takes x and t, or neither")
    given = None if x is None else trace(net, x, t)
    if given is not None and not given.one:
        raise HyperparameterError(f"derive takes one sample, and a batch of {len(given.t)} came; give X[0], t[0]")
    numbers = Numbers(net, given, seed=seed)
    return Derivation(tuple(written(net, numbers, optimizer_of(optimizer))))
