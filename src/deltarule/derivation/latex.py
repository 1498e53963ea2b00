"""A derivation as a LaTeX document that stands by itself: amsmath, amssymb, nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence

from deltarule.derivation.document import Block, Formula, Heading, Paragraph, Table
from deltarule.derivation.symbols import escaped

__all__ = ["text"]

HEAD = r"""\documentclass[11pt]{article}
\usepackage[a4paper,margin=25mm]{geometry}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,amssymb}
\setlength{\parindent}{0pt}\setlength{\parskip}{6pt}
\allowdisplaybreaks
\begin{document}
"""
SECTIONS = {1: "section*", 2: "section*", 3: "subsection*"}
SIGNS = {"°": r"$^\circ$", "×": r"$\times$", "·": r"$\cdot$"}  # in words


def text(blocks: Sequence[Block]) -> str:
    """The whole document."""
    return HEAD + "\n\n".join(map(_block, blocks)) + "\n\n\\end{document}\n"


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return rf"\{SECTIONS[block.level]}{{{words(block.text)}}}"
    if isinstance(block, Paragraph):
        return words(block.text)
    if isinstance(block, Formula):
        note = f"\n\n{{\\footnotesize ({block.number}) {words(block.note)}}}" if block.note else ""
        return f"\\begin{{equation}}\\tag{{{block.number}}}\n{block.latex}\n\\end{{equation}}{note}"
    return _table(block)


def words(text: str) -> str:
    r"""Words as LaTeX shows them; what stands between dollars is LaTeX already.

    >>> print(words("50 % of $x_1$ × 2"))
    50 \% of $x_1$ $\times$ 2
    """
    parts = re.split(r"(\$[^$]*\$)", text)
    shown = [part if part.startswith("$") else escaped(part) for part in parts]
    return "".join("".join(SIGNS.get(c, c) for c in part) if not part.startswith("$") else part for part in shown)


def _table(table: Table) -> str:
    rows = [" & ".join(map(words, row)) + r" \\" for row in (table.head, *table.rows)]
    columns = "l" * len(table.head)
    body = "\n".join([rows[0], r"\hline", *rows[1:]])
    return f"\\begin{{tabular}}{{{columns}}}\n{body}\n\\end{{tabular}}"
