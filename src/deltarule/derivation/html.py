"""A derivation as one HTML page that needs nothing else: formulas as MathML, light and dark, ready for the printer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from deltarule.derivation.document import Block, Formula, Heading, Paragraph
from deltarule.errors import MissingExtraError

__all__ = ["page", "text"]

STYLE = """
:root { color-scheme: light dark; }
body { font-family: system-ui, sans-serif; line-height: 1.5; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #8886; }
h3 { margin-top: 1.8rem; }
table { border-collapse: collapse; } td, th { padding: 0.2rem 0.8rem 0.2rem 0; text-align: left; }
tr + tr td { border-top: 1px solid #8883; }
.scroll { overflow-x: auto; }
.formula { display: grid; grid-template-columns: 1fr auto; align-items: center; gap: 1rem; margin: 1rem 0 0;
  padding: 0.2rem 0; overflow: auto hidden; }
.note { color: #8a8a8a; font-size: 0.8rem; text-align: right; margin: 0; }
.wrong { color: #d33; font-weight: bold; }
@media print { h2, h3 { break-after: avoid; } .formula { break-inside: avoid; } }
"""


def text(blocks: Sequence[Block]) -> str:
    """The page's body, for a notebook."""
    return "\n".join(map(_block, blocks))


def page(blocks: Sequence[Block], title: str) -> str:
    """The page."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    head = f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>'
    return f"{head}<body>\n{text(blocks)}\n</body></html>\n"


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{words(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        return f"<p>{words(block.text)}</p>"
    if isinstance(block, Formula):
        wrong = "" if block.ok else " wrong"
        note = f'<p class="note{wrong}">{words(block.note)}</p>' if block.note else ""
        formula = f"{math(block.latex, 'block')}<span>({block.number})</span>"
        return f'<div class="formula" id="f{block.number}">{formula}</div>{note}'
    rows = "".join(f"<tr>{''.join(f'<td>{words(cell)}</td>' for cell in row)}</tr>" for row in block.rows)
    head = "".join(f"<th>{words(cell)}</th>" for cell in block.head)
    return f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def words(text: str) -> str:
    """Words as HTML shows them; what stands between dollars becomes MathML."""
    parts = re.split(r"(\$[^$]*\$)", text)
    return "".join(math(p[1:-1], "inline") if p.startswith("$") and len(p) > 1 else escape(p) for p in parts)


def math(latex: str, display: str) -> str:
    """A formula as MathML."""
    try:
        from latex2mathml.converter import convert
    except ImportError:
        raise MissingExtraError("HTML with formulas needs latex2mathml: pip install 'deltarule[derive]'") from None
    found: str = convert(latex, display=display)
    return found
