"""A derivation as one HTML page that needs nothing else: formulas as MathML, light and dark, ready for the printer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from deltarule.derivation.document import Block, Formula, Heading, Math, Paragraph, Table, Words, printable
from deltarule.derivation.forms.mathml import math
from deltarule.derivation.forms.plain import plain

__all__ = ["page", "text"]

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --faint: #595959; --rule: #d0d0d0; --wrong: #b00020; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181c; --ink: #e8e8e8; --faint: #a8adb5; --rule: #43474f; --wrong: #ff8a80; }
}
body { font-family: system-ui, sans-serif; line-height: 1.5; margin: 0; background: var(--paper); color: var(--ink); }
main { max-width: 50rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.3; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1.05rem; margin-top: 1.8rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
caption { text-align: left; color: var(--faint); font-size: 0.85rem; padding-bottom: 0.3rem; }
td, th { padding: 0.25rem 1.2rem 0.25rem 0; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid var(--rule); }
tr + tr td { border-top: 1px solid var(--rule); }
.step { margin: 1rem 0; }
.wrong { border-left: 4px solid var(--wrong); padding-left: 0.8rem; }
.formula { display: grid; grid-template-columns: minmax(0, 1fr) auto; align-items: center; gap: 1rem; }
.lines { overflow: auto hidden; padding: 0.3rem 0; }
.lines math { margin: 0.3rem 0; }
.number { color: inherit; text-decoration: none; }
.note { color: var(--faint); font-size: 0.85rem; text-align: right; margin: 0; }
.wrong .note { color: var(--wrong); font-weight: bold; }
:focus-visible, :target > .number { outline: 2px solid; outline-offset: 2px; }
@media print {
  :root { color-scheme: light; --paper: #fff; --ink: #000; --faint: #444; --rule: #999; --wrong: #b00020; }
  html { font-size: 10pt; }
  main { max-width: none; margin: 0; padding: 0; }
  .scroll, .lines { overflow: visible; }
  h1, h2, h3, caption { break-after: avoid; }
  .step, tr { break-inside: avoid; }
}
"""


def text(blocks: Sequence[Block]) -> str:
    """The page's body, for a notebook."""
    ids: set[str] = set()
    return "\n".join(_block(block, ids) for block in blocks)


def page(blocks: Sequence[Block], title: str) -> str:
    """The page."""
    size = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<meta charset="utf-8">{size}<title>{_escaped(title)}</title>'
    head = f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>'
    return f"{head}<body><main>\n{text(blocks)}\n</main></body></html>\n"


def _block(block: Block, ids: set[str]) -> str:
    if isinstance(block, Heading):
        return f'<h{block.level} id="{_id(block.words, ids)}">{_words(block.words, "<wbr>")}</h{block.level}>'
    if isinstance(block, Paragraph):
        return f"<p>{_words(block.words)}</p>"
    return _formula(block) if isinstance(block, Formula) else _table(block)


def _id(words: Words, ids: set[str]) -> str:
    """What a link to this heading says; none twice, and none that a formula has."""
    said = "".join(plain(part.latex) if isinstance(part, Math) else part for part in words).lower()
    found = first = re.sub("[^a-z0-9]+", "-", said).strip("-")[:60] or "part"
    again = 1
    while found in ids or re.fullmatch(r"f\d+", found):
        again += 1
        found = f"{first}-{again}"
    ids.add(found)
    return found


def _formula(formula: Formula) -> str:
    n, wrong = formula.number, "" if formula.ok else " wrong"
    lines = "".join(math(line, "block") for line in formula.lines)
    lines = f'<div class="lines" tabindex="0" role="region" aria-label="Formula {n}">{lines}</div>'
    note = f'<p class="note">{_escaped(formula.note)}</p>' if formula.note else ""
    number = f'<a class="number" href="#f{n}">({n})</a>'
    return f'<div class="step{wrong}"><div class="formula" id="f{n}">{lines}{number}</div>{note}</div>'


def _table(table: Table) -> str:
    rows = "".join(f"<tr>{''.join(f'<td>{_words(cell)}</td>' for cell in row)}</tr>\n" for row in table.rows)
    head = "".join(f'<th scope="col">{_escaped(cell)}</th>' for cell in table.head)
    caption = f"<caption>{_escaped(table.caption)}</caption>" if table.caption else ""
    grid = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>"
    label = _escaped(table.caption or ", ".join(table.head))
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">{grid}</div>'


def _words(words: Words, between: str = "") -> str:
    """Words as HTML shows them, and formulas as MathML; `between` goes where the name of a network may be broken."""
    return "".join(
        math(part.latex, "inline") if isinstance(part, Math) else re.sub(r"(?<=[/,])(?=\w)", between, _escaped(part))
        for part in words
    )


def _escaped(words: str) -> str:
    return escape(printable(words))
