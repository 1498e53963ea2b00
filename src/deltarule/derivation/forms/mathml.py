"""LaTeX as MathML: latex2mathml (extra `derive`), and what it leaves to be done, found by looking at it in browsers."""

from __future__ import annotations

import re

from deltarule.errors import MissingExtraError

__all__ = ["math"]

MENDED = (
    (r">\\([a-zA-Z]+)<", r">\1<"),  # commands it does not know
    (r'columnalign="left"', r'\g<0> style="text-align: left"'),  # of {cases}: browsers know it no more
    (r"<mo>(&#x0005E;)</mo></mover>", r'<mo stretchy="false">\1</mo></mover>'),  # a hat, not a roof
    (  # a minus without anything to take from
        r"(<mo(?![^>]*postfix)[^>]*>(?!&#x00029;|&#x0007C;|&#x02016;|\])[^<]+</mo>|<mi>[;:]</mi>)<mo>(&#x02212;</mo>)",
        r'\1<mo form="prefix">\2',
    ),
    (
        r'<m[io](?: stretchy="false")?>(&#x(?:0007C|02016);)</m[io]>',
        r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>',
    ),
    (r"<mo>&#x0002F;</mo>", '<mo lspace="0" rspace="0">/</mo>'),
    (r"<mo>(&#x0220[27];)</mo>", r"<mi>\1</mi>"),  # \partial, \nabla
    (r"<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>"),  # \sim
    (r"<msup>(<m[io]>\w+</m[io]>)<mi>(&#x0203[23];)</mi></msup>", r'<mrow>\1<mo lspace="0" rspace="0">\2</mo></mrow>'),
    (r"<mi>(&#x000[4-7].;|&#x0039.;|&#x003A.;)</mi>", r'<mi mathvariant="normal">\1</mi>'),  # \mathrm{d}, \Delta
)


def math(latex: str, display: str) -> str:
    """A formula as MathML; of several lines in {gathered}, one after the other."""
    try:
        from latex2mathml.converter import convert
    except ImportError:
        raise MissingExtraError("HTML with formulas needs latex2mathml: pip install 'deltarule[derive]'") from None
    latex = re.sub(
        r"\\operatorname\*?\{([^{}]*[^a-zA-Z{}][^{}]*)\}", r"\\text{\1}", latex
    )  # it knows only letters there
    return "".join(_limits(_mended(convert(line, display=display))) for line in _lines(latex))


def _lines(latex: str) -> list[str]:
    r"""The lines of {gathered}, which latex2mathml takes for a text to be wrapped."""
    inner = re.fullmatch(r"\s*\\begin\{gathered\}(.*)\\end\{gathered\}\s*", latex, re.DOTALL)
    if inner is None:
        return [latex]
    lines, depth = [""], 0
    for part in re.split(r"(\\begin\b|\\end\b|\\\\)", inner[1]):
        depth += (part == r"\begin") - (part == r"\end")
        if part == r"\\" and depth == 0:
            lines.append("")
        else:
            lines[-1] += part
    return lines


def _mended(mathml: str) -> str:
    """What latex2mathml leaves to be done."""
    for pattern, mended in MENDED:
        mathml = re.sub(pattern, mended, mathml)
    mathml = re.sub(r"(?<=<mtext>)[^>]*?(?=</mtext>)", _word, mathml)
    return re.sub(r"<m([io])>([A-Za-z]{2,})</m\1>", _function, mathml)


def _limits(mathml: str) -> str:
    """Within brackets, too, a sum has its limits below and above; a browser puts them aside where lines are full."""
    for tag, mended in (("msub", "munder"), ("msubsup", "munderover")):
        while found := re.search(rf"<{tag}>(?=<mo>&#x022(0F|11);)", mathml):
            depth, tags = 1, re.compile(f"<(/?){tag}>")
            at = found.end()
            while depth and (end := tags.search(mathml, at)):
                depth, at = depth - 1 if end[1] else depth + 1, end.end()
            inner = mathml[found.end() : at - len(f"</{tag}>")]
            mathml = f"{mathml[: found.start()]}<{mended}>{inner}</{mended}>{mathml[at:]}"
    return mathml


def _word(found: re.Match[str]) -> str:
    return re.sub(r"&(?!#?\w+;)", "&amp;", found[0]).replace("<", "&lt;")


def _function(found: re.Match[str]) -> str:
    """A function's name keeps a little off its factor and its argument, not off a bracket."""
    before = re.sub("(<m(row|sub|sup|subsup)>)+$", "", found.string[: found.start()])
    after = re.match("(<mrow>)?<mo[^>]*>(&#x00028;|\\[)", found.string[found.end() :])
    off = "0.167em" if re.search(r"(</(?!mo>)\w+>|&#x00029;</mo>)$", before) else "0"
    return f'<mo lspace="{off}" rspace="{"0" if after else "0.167em"}">{found[2]}</mo>'
