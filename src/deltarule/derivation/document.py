"""What a derivation consists of: headings, paragraphs, numbered formulas with their errors, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["TOLERANCE", "Block", "Formula", "Heading", "Paragraph", "Table"]

TOLERANCE = 1e-9  # relative: of formulas in float64, against sums written out or a complex step


class Heading(NamedTuple):
    """A title; level 1 is that of the whole."""

    text: str
    level: int = 2


class Paragraph(NamedTuple):
    """Words; formulas within them stand between dollars."""

    text: str


class Formula(NamedTuple):
    """A displayed formula.

    `error` is the relative difference between its two sides, or between its derivative and a complex step, in numbers;
    None where it only defines or rewrites what another formula says.
    """

    number: int
    latex: str
    shapes: str = ""
    error: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the numbers agree."""
        return self.error is None or self.error <= TOLERANCE

    @property
    def note(self) -> str:
        """Shapes, and what the check found."""
        found = "" if self.error is None else f"relative error {self.error:.0e}" + ("" if self.ok else ", WRONG")
        return "; ".join(filter(None, (self.shapes, found)))


class Table(NamedTuple):
    """Rows of cells; formulas within them stand between dollars."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


Block = Heading | Paragraph | Formula | Table
