"""A derivation for a terminal: formulas in Unicode, rich's styles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from deltarule.derivation.document import Block, Formula, Heading, Paragraph, Table
from deltarule.derivation.plain import plain

__all__ = ["renderables", "text"]


def words(text: str) -> str:
    """Words, with the formulas in them in Unicode."""
    return re.sub(r"\$([^$]*)\$", lambda m: plain(m.group(1)), text)


def text(blocks: Sequence[Block]) -> str:
    """All of it as plain text."""
    return "\n\n".join(map(_text, blocks)) + "\n"


def _text(block: Block) -> str:
    if isinstance(block, Heading):
        title = words(block.text)
        return title + (f"\n{'=-'[block.level - 1] * len(title)}" if block.level < 3 else "")
    if isinstance(block, Paragraph):
        return words(block.text)
    if isinstance(block, Formula):
        return f"  ({block.number})  {plain(block.latex)}" + (f"\n        {words(block.note)}" if block.note else "")
    rows = [[words(cell) for cell in row] for row in (block.head, *block.rows)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(block.head))]
    return "\n".join("  ".join(cell.ljust(n) for cell, n in zip(row, widths)).rstrip() for row in rows)


def renderables(blocks: Sequence[Block]) -> Iterator[Any]:
    """What rich prints, one after the other."""
    from rich.padding import Padding
    from rich.table import Table as Grid
    from rich.text import Text

    for block in blocks:
        if isinstance(block, Heading):
            yield Text(
                ("\n" if block.level > 1 else "") + words(block.text),
                style="bold underline" if block.level < 3 else "bold",
            )
        elif isinstance(block, Paragraph):
            yield Text(words(block.text))
        elif isinstance(block, Formula):
            style = "dim" if block.ok else "bold red"
            yield Padding(Text.assemble((f"({block.number})  ", "dim"), (plain(block.latex), "cyan")), (0, 0, 0, 2))
            yield Padding(Text(words(block.note), style=style), (0, 0, 0, 7))
        elif isinstance(block, Table):
            grid = Grid(box=None, pad_edge=False)
            for cell in block.head:
                grid.add_column(words(cell))
            for row in block.rows:
                grid.add_row(*(Text(words(cell)) for cell in row))
            yield grid
