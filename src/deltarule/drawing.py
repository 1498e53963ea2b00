"""A dense network as an SVG picture: a column of circles a layer, a line for each weight."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Column", "svg"]

MOST = 9  # circles of a layer; of a larger one the first few and the last are drawn
ACROSS, DOWN, RADIUS = 120, 22, 7  # pixels between columns, between circles, and of a circle


class Column(NamedTuple):
    """A layer: how many units, and the lines of text below it."""

    units: int | None  # None: not known yet
    captions: Sequence[str]


def svg(columns: Sequence[Column], title: str) -> str:
    """The picture, in the colour of the text around it; `title` is read to those who cannot see it.

    >>> svg([Column(2, ["inputs"]), Column(1, ["sigmoid"])], "a neuron").count("<circle")
    3
    """
    shown = [_places(c.units) for c in columns]
    height = DOWN * max(len(places) for places in shown)
    points = [
        [
            (60 + ACROSS * k, 16 + height / 2 + DOWN * (i - (len(places) - 1) / 2), drawn)
            for i, drawn in enumerate(places)
        ]
        for k, places in enumerate(shown)
    ]
    parts = []
    for left, right in pairwise(points):
        ends = [(a, b) for a in left for b in right if a[2] and b[2]]
        d = "".join(f"M{a[0]} {a[1]:g}L{b[0]} {b[1]:g}" for a, b in ends)
        parts.append(f'<path d="{d}" fill="none" stroke="currentColor" stroke-opacity="0.25" stroke-width="0.7"/>')
    for column, places in zip(columns, points):
        for x, y, drawn in places:
            if drawn:
                parts.append(f'<circle cx="{x}" cy="{y:g}" r="{RADIUS}" fill="#29abe2" stroke="currentColor"/>')
            else:
                parts += [f'<circle cx="{x}" cy="{y + dot:g}" r="1.2" fill="currentColor"/>' for dot in (-5, 0, 5)]
        for line, text in enumerate(column.captions):
            parts.append(f'<text x="{places[0][0]}" y="{height + 34 + 14 * line}">{escape(text)}</text>')
    wide, tall = ACROSS * len(columns), height + 26 + 14 * max(len(c.captions) for c in columns)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {wide} {tall}" width="{wide}" '
        f'style="max-width:100%;height:auto" font-family="sans-serif" font-size="11" text-anchor="middle" '
        f'fill="currentColor"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )


def _places(units: int | None) -> list[bool]:
    """For each place of a column whether a unit stands there, or dots for many."""
    if units is not None and units <= MOST:
        return [True] * units
    return [*[True] * (MOST - 2), False, True]
