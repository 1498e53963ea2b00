"""A derivation as Markdown, with formulas between dollars."""

from __future__ import annotations

from collections.abc import Sequence

from deltarule.derivation.document import Block, Formula, Heading, Paragraph, Table

__all__ = ["text"]


def text(blocks: Sequence[Block]) -> str:
    """All of it."""
    return "\n\n".join(map(_block, blocks)) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Paragraph):
        return block.text
    if isinstance(block, Formula):
        note = f"\n\n<sub>{block.note}</sub>" if block.note else ""
        return f"$${block.latex} \\tag{{{block.number}}}$${note}"
    return _table(block)


def _table(table: Table) -> str:
    rows = [table.head, ["---"] * len(table.head), *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows)
