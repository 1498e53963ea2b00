"""What a derivation consists of: headings, paragraphs, numbered formulas with their errors, tables.

Words and formulas are told apart by type, so that no name can become markup: a `str` is words, shown as they are, and
`Math` is LaTeX.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

__all__ = ["TOLERANCE", "Block", "Formula", "Heading", "Math", "Paragraph", "Table", "Words", "gathered", "words"]

TOLERANCE = 1e-9  # relative: of formulas in float64, against a complex step


class Math(NamedTuple):
    """A formula among words."""

    latex: str


Words: TypeAlias = tuple[str | Math, ...]


class Heading(NamedTuple):
    """A title; level 1 is that of the whole."""

    words: Words
    level: int = 2


class Paragraph(NamedTuple):
    """Words."""

    words: Words


class Formula(NamedTuple):
    """A displayed formula, of one line or several.

    `error` is the relative difference between its two sides in numbers, None where it only names something; `remark`
    says why it could not be found, or what it is of.
    """

    number: int
    lines: tuple[str, ...]
    shapes: str = ""
    error: float | None = None
    remark: str = ""
    tolerance: float = TOLERANCE

    @property
    def latex(self) -> str:
        """All lines in one."""
        return r", \quad ".join(self.lines)

    @property
    def ok(self) -> bool:
        """Whether the numbers agree."""
        return self.error is None or self.error <= self.tolerance

    @property
    def note(self) -> str:
        """Shapes, and what the check found."""
        known = self.error is not None and not math.isnan(self.error)
        found = f"relative error {self.error:.0e}" + ("" if self.ok else ", WRONG") if known else ""
        return "; ".join(filter(None, (self.shapes, found, self.remark)))


def gathered(lines: Sequence[str], between: str = " ") -> str:
    """The lines of a formula as one piece of LaTeX."""
    if len(lines) == 1:
        return lines[0]
    # \\[...] and \\* would be LaTeX's own
    rows = f" \\\\{between}".join("{}" + line if line.startswith(("[", "*")) else line for line in lines)
    return rf"\begin{{gathered}}{between}{rows}{between}\end{{gathered}}"


class Table(NamedTuple):
    """Rows of cells."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Words]]


Block: TypeAlias = Heading | Paragraph | Formula | Table


def words(text: str, *names: object) -> Words:
    r"""Our own text, LaTeX between dollars, and what others named in place of each {}.

    >>> words(r"Layer {} gives $\delta$.", "$5\n")
    ('Layer $5� gives ', Math(latex='\\delta'), '.')
    """
    given = iter(names)
    parts: list[str | Math] = []
    for k, part in enumerate(text.split("$")):
        parts.append(Math(part) if k % 2 else re.sub(r"\{\}", lambda _: printable(next(given, "{}")), part))
    return tuple(part for part in parts if part)


def printable(name: object) -> str:
    """A name without what moves a cursor, turns the direction of writing or cannot be seen."""
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in str(name))
