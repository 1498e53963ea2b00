"""A derivation as a LaTeX document that stands by itself: any pdflatex takes it, whatever the names in it are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from deltarule.derivation.document import Block, Formula, Heading, Math, Paragraph, Table, Words, gathered, printable
from deltarule.derivation.forms.plain import SIGNS, plain

__all__ = ["escaped", "text", "words"]

HEAD = r"""\documentclass[11pt]{article}
\usepackage[a4paper,margin=25mm]{geometry}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage{amsmath,amssymb,array,longtable}
\setlength{\parindent}{0pt}\setlength{\parskip}{6pt}
\setlength{\LTleft}{0pt}\setlength{\LTright}{\fill}\setlength{\LTpre}{0pt}
\allowdisplaybreaks\sloppy
\begin{document}
"""
SECTIONS = {1: "section*", 2: "section*", 3: "subsection*"}
LATEX = {s.strip(): rf"$\{c}$" for c, s in SIGNS.items() if len(s.strip()) == 1 and not s.isascii()} | {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_\penalty500{}",
    "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "[": "{[}", "]": "{]}", "*": "{*}",
    "/": r"/\allowbreak{}", "°": r"$^\circ$", "…": r"\ldots{}", "–": "--", "—": "---", "−": "$-$", "±": r"$\pm$",
    "\xa0": "~", "µ": r"$\mu$", "∑": r"$\sum$", "∏": r"$\prod$", "√": r"$\surd$", "∘": r"$\circ$", "′": "$'$",
    "§": r"\S{}", "©": r"\copyright{}", "\0": "{}",
}  # fmt: skip
FONT = re.compile("[ -~¡£«»¿À-ÖØ-öø-ĥĨ-ķĹ-ľŁ-ňŊ-ťŨ-ž‘’“”„]")  # what T1 has
RAISED = {"<super>": r"\textsuperscript", "<sub>": r"\textsubscript"}
WIDTH = 76  # of a table, in letters


def text(blocks: Sequence[Block]) -> str:
    """The whole document."""
    return HEAD + "\n\n".join(map(_block, blocks)) + "\n\n\\end{document}\n"


def escaped(text: str) -> str:
    r"""Words that LaTeX shows as they are; what its font lacks is named by its number.

    >>> print(escaped("50 % of $x1$, a × 中"))
    50 \% of \$x1\$, a $\times$ \texttt{U+4E2D}\allowbreak{}
    """
    apart = re.sub("(?<=[-,'])(?=[-,'])", "\0", unicodedata.normalize("NFC", printable(text)))  # -- would be a dash
    return re.sub(r",(?=[^\s,])", r",\\allowbreak{}", "".join(map(_sign, apart)))


def _sign(c: str) -> str:
    if c in LATEX:
        return LATEX[c]
    if FONT.match(c):
        return c
    kind, *base = unicodedata.decomposition(c).split() or [""]
    if kind in RAISED:
        return f"{RAISED[kind]}{{{''.join(_sign(chr(int(b, 16))) for b in base)}}}"
    return rf"\texttt{{U+{ord(c):04X}}}\allowbreak{{}}"


def words(words: Words) -> str:
    r"""Words and the formulas among them.

    >>> print(words(("50 % of ", Math("x_1"))))
    50 \% of $x_1$
    """
    return "".join(f"${_math(part.latex)}$" if isinstance(part, Math) else escaped(part) for part in words)


def _math(latex: str) -> str:
    return re.sub(r"[^\x00-\x7f]", lambda m: rf"\text{{{_sign(m.group())}}}", latex)


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return rf"\{SECTIONS.get(block.level, 'subsubsection*')}{{\raggedright {words(block.words)}}}"
    if isinstance(block, Paragraph):
        return words(block.words)
    if isinstance(block, Formula):
        return _formula(block)
    return _table(block)


def _formula(formula: Formula) -> str:
    lines = gathered(list(map(_math, formula.lines)), "\n")
    shown = f"\\begin{{equation}}\\tag{{{formula.number}}}\n{lines}\n\\end{{equation}}"
    style = r"\footnotesize" if formula.ok else r"\footnotesize\bfseries"
    return shown + (f"\n{{{style} ({formula.number}) {escaped(formula.note)}\\par}}" if formula.note else "")


def _table(table: Table) -> str:
    columns = "".join(rf">{{\raggedright\arraybackslash}}p{{{share:.3f}\linewidth}}" for share in _shares(table))
    head, *rows = (
        " & ".join(row) + r" \\" for row in ([rf"\bfseries {escaped(h)}" for h in table.head], *_cells(table))
    )
    body = "\n".join(
        [rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}", head, r"\hline\endhead", *rows, r"\end{longtable}"]
    )
    return f"{{\\itshape {escaped(table.caption)}\\par\\nopagebreak}}\n{body}" if table.caption else body


def _cells(table: Table) -> list[list[str]]:
    return [[words(cell) for cell in row] for row in table.rows]


def _shares(table: Table) -> list[float]:
    """Of the line for each column: what its cells need, and where that is too much, the widest give way first."""
    columns = [[cell for cell in column if cell] for column in zip(*([(h,) for h in table.head], *table.rows))]
    wide = [max((sum(map(_wide, cell)) for cell in column), default=0) + 2 for column in columns]
    least = [max((_unbroken(part) for cell in column for part in cell), default=0) + 2 for column in columns]
    room = WIDTH - 2 * len(columns)
    while sum(wide) > room:
        give = [k for k in range(len(wide)) if wide[k] > least[k]] or range(len(wide))
        wide[max(give, key=lambda k: wide[k])] -= 1
    return [n / WIDTH for n in wide]


def _wide(part: str | Math) -> int:
    """In letters, about; raised ones are small."""
    if isinstance(part, str):
        return len(part)
    return round(sum(0.7 if unicodedata.decomposition(c).startswith("<su") else 1.1 for c in plain(part.latex)))


def _unbroken(part: str | Math) -> int:
    return _wide(part) if isinstance(part, Math) else max(map(len, re.split(r"(?<=[\s/,_])", part)))
