"""A derivation for a terminal: formulas in Unicode, rich's styles; or as plain text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from deltarule.derivation.document import Block, Formula, Heading, Math, Paragraph, Table, Words, printable
from deltarule.derivation.forms.plain import plain

__all__ = ["renderables", "text"]


def _words(words: Words) -> str:
    """Words, with the formulas in them in Unicode."""
    return "".join(plain(part.latex) if isinstance(part, Math) else printable(part) for part in words)


def text(blocks: Sequence[Block]) -> str:
    """All of it as plain text."""
    return "\n\n".join(map(_text, blocks)) + "\n"


def _text(block: Block) -> str:
    if isinstance(block, Heading):
        title = _words(block.words)
        return title + (f"\n{'=-'[block.level - 1] * _width(title)}" if block.level < 3 else "")
    if isinstance(block, Paragraph):
        return _words(block.words)
    if isinstance(block, Formula):
        number = f"  ({block.number})  "
        shown = f"\n{' ' * len(number)}".join(map(plain, block.lines))
        return number + shown + (f"\n        {printable(block.note)}" if block.note else "")
    rows = [[*map(printable, block.head)], *([_words(cell) for cell in row] for row in block.rows)]
    widths = [max(map(_width, column)) for column in zip(*rows)]
    lines = ["  ".join(cell + " " * (n - _width(cell)) for cell, n in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([*filter(None, [printable(block.caption)]), *lines])


def _width(text: str) -> int:
    """In columns of a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def renderables(blocks: Sequence[Block]) -> Iterator[Any]:
    """What rich prints, one after the other; nothing in it is markup."""
    from rich.padding import Padding
    from rich.table import Table as Grid
    from rich.text import Text

    for block in blocks:
        if isinstance(block, Heading):
            style = "bold underline" if block.level < 3 else "bold"
            yield Padding(Text(_words(block.words), style=style), (int(block.level > 1), 0, 0, 0))
        elif isinstance(block, Paragraph):
            yield Text(_words(block.words))
        elif isinstance(block, Formula):
            grid = Grid.grid(padding=(0, 2, 0, 0))
            grid.add_column(no_wrap=True, style="dim")
            grid.add_column(overflow="fold")
            grid.add_row(Text(f"({block.number})"), Text("\n".join(map(plain, block.lines)), style="cyan"))
            if block.note:
                grid.add_row(Text(), Text(printable(block.note), style="dim" if block.ok else "bold red"))
            yield Padding(grid, (0, 0, 0, 2))
        elif isinstance(block, Table):
            yield _grid(block)


def _grid(table: Table) -> Any:
    from rich.table import Table as Grid
    from rich.text import Text

    caption = Text(printable(table.caption), style="italic") if table.caption else None
    grid = Grid(title=caption, title_justify="left", box=None, pad_edge=False)
    for cell in table.head:
        grid.add_column(Text(printable(cell)), overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(_words(cell)) for cell in row))
    return grid
