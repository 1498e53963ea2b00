"""A derivation as Markdown, with formulas between dollars: as GitHub, MyST and notebooks read it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from deltarule.derivation.document import Block, Formula, Heading, Math, Paragraph, Table, Words, gathered, printable

__all__ = ["escaped", "text"]

# All but the _ within a word, which is none; bare addresses, too.
MARKUP = re.compile(r"[\\`*{}\[\]<>#|$~^&!]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.", re.IGNORECASE)
MARKER = re.compile(r"(\d*)([!-/:-@\[-`{-~])")  # of a list, a comment, a fence, a target, a page break


def text(blocks: Sequence[Block]) -> str:
    """All of it."""
    return "\n\n".join(map(_block, blocks)) + "\n"


def escaped(words: str) -> str:
    r"""Words that Markdown shows as they are, anywhere within a line.

    >>> print(escaped("<b> $5 & a|b"))
    \<b\> \$5 \& a\|b
    """
    found = MARKUP.sub(r"\\\g<0>", printable(words))
    return f"{found[:-2]}&#92;" if found.endswith("\\") else found  # a dollar may follow, which it would escape


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {_words(block.words)}"
    if isinstance(block, Paragraph):
        return _line(block.words)
    if isinstance(block, Formula):
        note = f"\n\n<sub>{escaped(block.note)}</sub>" if block.note else ""
        return f"$${gathered(block.lines)} \\tag{{{block.number}}}$${note}"
    return _table(block)


def _words(words: Words) -> str:
    found = ""
    for part in words:
        if isinstance(part, Math):
            found += f"{' ' * found.endswith('$')}${part.latex.strip()}$"  # two dollars would open another formula
        else:
            found += escaped(part)
    return found.strip()


def _line(words: Words) -> str:
    """Words that begin a line, where more signs mean something."""
    found = _words(words)
    marker = MARKER.match(found)
    if marker is None or found[0] in "\\$&" or (marker[1] and marker[2] not in ".)"):
        return found
    return f"{marker[1]}\\{found[marker.start(2) :]}"


def _table(table: Table) -> str:
    head = ["", *map(escaped, table.head), ""]
    rows = [["", *map(_cell, row), ""] for row in table.rows]
    lines = [" | ".join(row).strip() for row in (head, ["", *["---"] * len(table.head), ""], *rows)]
    return "\n\n".join(filter(None, (_line((table.caption,)), "\n".join(lines))))


def _cell(words: Words) -> str:
    """No stroke in a formula may end the cell."""
    strokes = {"|": r"\vert ", r"\|": r"\Vert "}
    return _words(
        tuple(
            Math(re.sub(r"\\?\|", lambda m: strokes[m.group()], part.latex)) if isinstance(part, Math) else part
            for part in words
        )
    )
