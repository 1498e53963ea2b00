"""Derivations as Markdown, LaTeX, HTML and text: whole, well formed, and without a way in for markup."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner

import deltarule as dr
from deltarule.activations import Tanh
from deltarule.cli import app
from deltarule.derivation.document import Block, Formula, Heading, Math, Paragraph, Table, printable
from deltarule.derivation.forms import html, latex, markdown, terminal
from deltarule.derivation.forms.mathml import math
from deltarule.derivation.forms.plain import plain
from deltarule.errors import HyperparameterError, MissingExtraError

NETWORKS = ["3/4:tanh/2", "1x6x6/conv(2,3)/maxpool(2)/subsample(2)/3", "seq(3)/rnn(4)/3", "3/4:elu/dropout(0.2)/2"]
HOSTILE = (
    r"<script>alert(1)</script> $x^{2}$ \input{/etc/passwd} %&#_ | **b** [l](javascript:1) `c` ^^41 https://e.vil "
    "<img src=x onerror=alert(1)> [bold red]red[/] \x1b[31m\nnew \u202eline"
)
NAMES = [
    HOSTILE, "- item", "+ item", "1. one", "23) two", "# title", "title #", "> said", "    code", "% remark", "+++",
    "---", "===", "(target)=", ":::{note}", ": meaning", ":field: x", "```", "~~~", "~s~ ~~s~~", "==s==",
    "| a | b |", "|---|", "\\|",
    "[^1]: foot", "[a]: http://x", "[^1]", "![i](j)", "a_b __init__ _x_ x_", "*x* **y**", "a*b*c", "&amp; &#36; &copy;",
    "a\\", "\\", "\\\\", "$", "$5 and $6", "$$x$$", r"\(x\)", r"\[x\]", "{{x}}", "{math}`x`", "<!-- x -->",
    "<b>", "</p>", "<http://a.b>", "www.example.com", "http://a.b", "", "naïve 中文 😀 e\u0301 Ж ő",
    "--a-- ''b'' ,,c,, ``d``",
    "T^2 δ⁽²⁾ 5 × 5 180° a … b – c ≤ ≥ ₂", 'a "quoted" name', "[3pt] *", "f(6,5)/" * 30,
]  # fmt: skip
CASES = r"[k = j] = \begin{cases} 1 & k = j \\ 0 & k \ne j \end{cases}"


@dataclass(frozen=True)
class Hostile(Tanh):
    """An activation whose name is markup everywhere."""

    name = HOSTILE


def hostile() -> dr.Derivation:
    return dr.derive(dr.Network([dr.Dense(3, Hostile()), dr.Dense(2, "softmax")], input_shape=2))


def named(name: str) -> list[Block]:
    """A name wherever one can be."""
    return [
        Heading((name,), 1), Heading(("Layer 1: ", name), 3), Paragraph((name,)),
        Paragraph(("Of ", name, Math("x_1"), " and ", name)), Formula(1, (r"\frac{a}{b} = |c|",), name, 1e-17),
        Formula(2, ("z = W a", CASES, "*"), name, 0.5),
        Table(name, (name, "b"), [((name,), (Math(r"|x| \| y"), " of ", name)), (("c",), ())]),
        Paragraph(("The end.",)),
    ]  # fmt: skip


class Page(HTMLParser):
    """Every tag is closed in its turn; keeps the tags, and what they hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.held: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "wbr"):
            self.stack.append(tag)
            self.held.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.held[-1][0] == self.stack[-1]:
            self.held[-1] = (self.stack[-1], self.held[-1][1] + data)

    @property
    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


# All forms


@pytest.mark.parametrize("spec", NETWORKS)
def test_every_formula_is_in_every_form(spec: str, tmp_path: Path) -> None:
    d = dr.derive(dr.Network(spec), optimizer="nadam")
    page, tex, md, text = d.to_html(), d.to_latex(), d.to_markdown(), d.to_text()
    n = len(d.formulas)
    assert page.count('class="formula"') == tex.count(r"\begin{equation}") == md.count(r"\tag{") == n
    assert page.count("<math") >= sum(len(f.lines) for f in d.formulas)
    assert re.findall(r"^  \((\d+)\)  ", text, re.MULTILINE) == [str(k) for k in range(1, n + 1)]
    assert "math" in Page(page).names
    assert "\\" not in re.sub(r"<[^>]+>", "", page)  # no LaTeX is left over
    assert "\\" not in text
    assert "http" not in page.replace("http://www.w3.org/1998/Math/MathML", "")
    for name in ("d.md", "d.tex", "d.html", "d.txt"):
        assert d.save(tmp_path / name).read_text(encoding="utf-8")
    with pytest.raises(HyperparameterError, match=r"\.md, \.tex, \.html, \.txt, and d\.pdf is none"):
        d.save(tmp_path / "d.pdf")


def test_the_command(tmp_path: Path) -> None:
    run = CliRunner().invoke
    done = run(app, ["derive", "3/4:tanh/2", "--optimizer", "adam"])
    assert done.exit_code == 0
    assert "δ⁽²⁾ = ŷ - t" in done.output
    path = tmp_path / "lenet5.html"
    assert run(app, ["derive", "lenet5", "-o", str(path)]).exit_code == 0
    assert path.stat().st_size > 50_000
    dr.Network("3/2", seed=1).save(tmp_path / "a.safetensors")
    assert run(app, ["derive", str(tmp_path / "a.safetensors")]).exit_code == 0


def test_names_are_no_markup() -> None:
    d = hostile()
    page = d.to_html()
    assert not {"script", "img"} & Page(page).names
    assert "&lt;script&gt;" in page
    tex = d.to_latex()
    assert r"\input{" not in tex
    assert r"\textbackslash{}input\{" in tex
    assert r"\<script\>" in d.to_markdown()
    for text in (page, tex, d.to_markdown(), d.to_text()):
        assert "\x1b" not in text
    Console(width=100, file=StringIO()).print(d)


# Markdown


def tokens(text: str, *plugins: Any) -> list[Any]:
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for plugin in plugins:
        reader.use(plugin)
    return reader.parse(text)


def inner(found: list[Any]) -> list[list[Any]]:
    return [token.children for token in found if token.type == "inline"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dollars", [False, True])
def test_markdown_shows_names(name: str, dollars: bool) -> None:
    plugins = list[Any]()
    if dollars:  # as MyST reads it
        pytest.importorskip("mdit_py_plugins")
        for kind in ("dollarmath", "amsmath", "colon_fence", "deflist", "footnote", "myst_blocks", "myst_role"):
            module = importlib.import_module(f"mdit_py_plugins.{kind}")
            plugins.append(getattr(module, f"{kind.removesuffix('s')}_plugin"))
    table = Table(name, (name, "b"), [((name,), (name,))])
    found = tokens(markdown.text([Heading((name,)), Paragraph((name,)), Paragraph(("a ", name)), table]), *plugins)
    kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in found}
    assert kinds <= {"heading", "paragraph", "inline", "table", "thead", "tbody", "tr", "th", "td"}
    assert {part.type for parts in inner(found) for part in parts} <= {"text"}
    shown = ["".join(part.content for part in parts) for parts in inner(found)]
    said = printable(name).strip()
    every = [said, said, f"a {printable(name)}".strip(), said, said, "b", said, said]
    assert list(filter(None, shown)) == list(filter(None, every))


@pytest.mark.parametrize("name", NAMES)
def test_markdown_has_formulas_and_notes(name: str) -> None:
    pytest.importorskip("mdit_py_plugins")
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    found = tokens(markdown.text(named(name)), dollarmath_plugin)
    parts = [part for parts in inner(found) for part in parts]
    assert [part.content for part in parts if part.type == "math_inline"] == ["x_1", r"\vert x\vert  \Vert  y"]
    assert {part.content for part in parts if part.type == "html_inline"} == {"<sub>", "</sub>"}
    assert {part.type for part in parts} == {"text", "html_inline", "math_inline"}
    one, three = (token.content for token in found if token.type == "math_block")
    assert one == r"\frac{a}{b} = |c| \tag{1}"
    assert three == rf"\begin{{gathered}} z = W a \\ {{}}{CASES} \\ {{}}* \end{{gathered}} \tag{{2}}"
    assert len([token for token in found if token.type == "td_open"]) == 4


def test_markdown_escapes_what_only_some_read() -> None:
    assert markdown.escaped("[a] {b} # ^c^ !") == r"\[a\] \{b\} \# \^c\^ \!"
    assert markdown.escaped("http://a.b www.c.d a:b 1.5") == r"http\://a.b www\.c.d a:b 1.5"


def test_markdown_is_no_harder_to_read_than_it_must() -> None:
    text = markdown.text([Paragraph(("layer 5, conv(6,5,scaled_tanh,pad=2,border=-0.1); T = 3: 100% it's",))])
    assert "\\" not in text
    assert markdown.text([Paragraph((Math("a"), Math("b")))]) == "$a$ $b$\n"
    assert markdown.text([Table("", ("a",), [((Math("|x|"),),)])]) == "| a |\n| --- |\n| $\\vert x\\vert$ |\n"


# LaTeX


def compiled(tex: str, folder: Path) -> str:
    """The log, where there is a TeX."""
    if (tool := shutil.which("pdflatex")) is None:
        pytest.skip("no pdflatex")
    (folder / "d.tex").write_text(tex, encoding="utf-8")
    command = [tool, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "d.tex"]
    for _ in range(2):  # a long table's widths come with the second
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "d.log").read_text(encoding="latin-1")


@pytest.mark.parametrize("spec", [*NETWORKS, "lenet5", "ufldl_cnn", "hostile"])
def test_tex_takes_it(spec: str, tmp_path: Path) -> None:
    """And nothing runs into the margin."""
    if spec == "hostile":
        d = hostile()
    else:
        d = dr.derive(getattr(dr.nets, spec)() if hasattr(dr.nets, spec) else dr.Network(spec), optimizer="nadam")
    tex = d.to_latex()
    assert tex.count(r"\begin{") == tex.count(r"\end{")
    assert "Overfull \\hbox" not in compiled(tex, tmp_path)


def test_tex_takes_any_name(tmp_path: Path) -> None:
    letters = "".join(map(chr, [*range(0x20, 0x2FF), *range(0x370, 0x400), *range(0x2000, 0x22FF)]))
    every = [letters[k : k + 40] for k in range(0, len(letters), 40)]
    log = compiled(latex.text([block for name in [*NAMES, *every] for block in named(name)]), tmp_path)
    assert "passwd" not in log
    assert "Missing character" not in log


@pytest.mark.parametrize("name", NAMES)
def test_latex_escapes_names(name: str) -> None:
    shown = latex.escaped(name)
    commands = re.findall(r"\\(?:[a-zA-Z]+|.)", shown)
    ours = re.compile(r"\\(text\w+|allowbreak|penalty|ldots|times|circ|delta|leq|geq|[${}&#_%])")
    assert all(ours.fullmatch(command) for command in commands)
    rest = re.sub(r"\\[a-zA-Z]+(\{\})?|\\.|\$\^?\\[a-z]+\$|\{\[\}|\{\]\}|\{\*\}", "", shown)
    assert not set("#&%_^~|<>`\\") & set(re.sub(r"\$[^$]*\$", "", rest))
    assert all(ord(c) < 0x180 or c in "‘’“”„" for c in shown)
    assert shown.count("{") == shown.count("}")


@pytest.mark.parametrize(("text", "tex"), [
    ("a_b 5%", r"a\_\penalty500{}b 5\%"), ("5 × 180° …", r"5 $\times$ 180$^\circ$ \ldots{}"),
    ("T²", r"T\textsuperscript{2}"),
    ("中", r"\texttt{U+4E2D}\allowbreak{}"), ("e\u0301é", "éé"), ("δ ≤ Σ", r"$\delta$ $\leq$ $\Sigma$"), ("--", "-{}-"),
    ("f(6,5)/g", r"f(6,\allowbreak{}5)/\allowbreak{}g"), ("\\", r"\textbackslash{}"), ("a, b", "a, b"),
    ("[3pt] *", "{[}3pt{]} {*}"), ("a\nb", r"a\texttt{U+FFFD}\allowbreak{}b"),
])  # fmt: skip
def test_latex_words(text: str, tex: str) -> None:
    assert latex.escaped(text) == tex
    assert latex.words((text, Math("x_1"))) == f"{tex}$x_1$"


def test_latex_formulas() -> None:
    text = latex.text([Formula(7, ("a = 1", "[k] = 2", r"\text{180°}"), "(3, 4)", 0.5)])
    lines = "a = 1 \\\\\n{}[k] = 2 \\\\\n\\text{180\\text{$^\\circ$}}"
    assert f"\\begin{{equation}}\\tag{{7}}\n\\begin{{gathered}}\n{lines}\n\\end{{gathered}}\n\\end{{equation}}" in text
    assert r"\bfseries (7) (3, 4); relative error 5e-01, WRONG" in text


# HTML


@pytest.mark.parametrize("name", NAMES)
def test_html_shows_names(name: str) -> None:
    page, said = Page(html.page(named(name), name)), printable(name)
    assert {n for n in page.names if not n.startswith("m")} | {"main", "meta", "math"} <= {
        "html", "head", "title", "meta", "style", "body", "main", "h1", "h3", "p", "a", "div", "table", "caption",
        "thead", "tbody", "tr", "th", "td", "wbr", "math",
    }  # fmt: skip
    for _, attributes in page.tags:
        assert not [key for key in attributes if key.startswith(("on", "src"))]
    assert {link["href"] for link in page.all("a")} == {"#f1", "#f2"}
    held = [(tag, text) for tag, text in page.held if tag in ("title", "h1", "h3", "caption", "th")]
    caption = [("caption", said)] if name else []
    assert held == [("title", said), ("h1", said), ("h3", f"Layer 1: {said}"), *caption, ("th", said), ("th", "b")]
    assert ("td", said) in page.held
    labels = [region["aria-label"] for region in page.all("div") if "role" in region]
    assert labels == ["Formula 1", "Formula 2", said or ", b"]
    assert ("p", "; ".join(filter(None, [said, "relative error 5e-01, WRONG"]))) in page.held


def test_html_is_for_everyone() -> None:
    text = html.page([*named("a name"), Heading(("f1",)), Heading(("A name",)), Heading(("中",))], "Its title")
    page = Page(text)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("main")) == 1
    assert all(th["scope"] == "col" for th in page.all("th"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert ids == ["a-name", "layer-1-a-name", "f1", "f2", "f1-2", "a-name-2", "part"]
    regions = [a for a in page.all("div") if a.get("class") in ("lines", "scroll")]
    labels = ["Formula 1", "Formula 2", "a name"]
    assert regions == [
        {"class": label.startswith("F") * "lines" or "scroll", "tabindex": "0", "role": "region", "aria-label": label}
        for label in labels
    ]
    assert [a["class"] for a in page.all("div") if "step" in (a.get("class") or "")] == ["step", "step wrong"]
    assert text.count("<math") == 1 + 1 + 3 + 1
    assert "@media print" in text
    assert not re.search(r"url\(|@import|<script|<link", text)


def test_html_can_be_read() -> None:
    """Its colours differ enough, WCAG 2 AA, in the light, in the dark and on paper."""

    def light(colour: str) -> float:
        digits = colour * 2 if len(colour) == 3 else colour
        digits = "".join(c * 2 for c in colour) if len(colour) == 3 else digits
        parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    themes = re.findall(r":root \{([^}]*)\}", html.STYLE)
    assert len(themes) == 3
    for theme in themes:
        colours = {name: light(value) for name, value in re.findall(r"--(\w+): #(\w+)", theme)}
        for name in ("ink", "faint", "wrong"):
            dark, bright = sorted((colours[name], colours["paper"]))
            assert (bright + 0.05) / (dark + 0.05) >= 4.5, (name, theme)


@pytest.mark.parametrize(("tex", "mathml"), [
    (r"\foo x", "<mi>foo</mi>|>foo</mo>"), (r"\text{a < b & c}", r"<mtext>a&#x000A0;&lt;&#x000A0;b&#x000A0;&amp;"),
    (r"(-x)", r'<mo form="prefix">&#x02212;</mo><mi>x'), ("a - b", r"<mi>a</mi><mo>&#x02212;</mo>"),
    (r"\operatorname{rot180}(W)", r"<mtext>rot180</mtext>"), (r"\left(\sum_{j} z\right)", r"<munder><mo>&#x02211;"),
    (r"\left(\prod_{j}^{k_l} z\right) x_j^2", r"<munderover><mo>&#x0220F;.*</munderover><mi>z.*<msubsup>"),
    (r"\begin{cases} a & b \end{cases}", r'style="text-align: left"'), (r"f'(z)", r"<mi>f</mi><mo [^>]*>&#x02032;"),
    (r"A \tanh(z)", r'<mo lspace="0.167em" rspace="0">tanh'), (r"= \ln z", r'<mo lspace="0" rspace="0.167em">ln'),
])  # fmt: skip
def test_mathml(tex: str, mathml: str) -> None:
    assert re.search(mathml, math(tex, "block"))
    Page(math(tex, "inline"))


def test_mathml_of_lines() -> None:
    found = math(rf"\begin{{gathered}} a = 1 \\ {CASES} \\ c = 3 \end{{gathered}}", "block")
    assert [text.count("<mtd") for text in found.split("</math>")[:-1]] == [0, 4, 0]


def test_html_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", None)
    with pytest.raises(MissingExtraError, match=r"deltarule\[derive\]"):
        html.page(named("a"), "a")


# The terminal, and plain text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("terminal_", [False, True])
def test_the_terminal_shows_names(name: str, terminal_: bool) -> None:
    out = StringIO()
    console = Console(width=2000, file=out, force_terminal=terminal_, color_system="truecolor" if terminal_ else None)
    console.print(*terminal.renderables(named(name)), sep="\n")
    shown = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert shown.count(printable(name).strip()) >= 11
    assert "z = W a\n" in re.sub(" +\n", "\n", shown)


def test_the_terminal_wraps() -> None:
    out = StringIO()
    blocks = named("a name of many words that goes on and on, 中文 too")
    Console(width=30, file=out).print(*terminal.renderables(blocks), sep="\n")
    lines = out.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= 30
    assert "a name of many words that goes" in lines


@pytest.mark.parametrize("name", NAMES)
def test_plain_text_shows_names(name: str) -> None:
    text = terminal.text(named(name))
    assert "\x1b" not in text
    assert text.startswith(f"{printable(name)}\n")
    assert f"Layer 1: {printable(name)}\n" in text
    assert "  (2)  z = W a\n       [k = j] = { 1, k = j;" in text


def test_plain_text_stands_in_columns() -> None:
    rows = [((Math(r"\hat y"),), ("1",)), (("中文",), ("2",))]
    assert terminal.text([Table("Symbols", ("a", "b"), rows)]) == "Symbols\na     b\nŷ     1\n中文  2\n"


@pytest.mark.parametrize(("tex", "text"), [
    (r"\frac{1}{1 + e^{-z}}", "1/(1 + e^(-z))"), (r"\sqrt{s} + \varepsilon", "√(s) + ε"), (r"W^T \delta", "Wᵀ δ"),
    (r"\begin{cases} z & z > 0 \\ s z & z \le 0 \end{cases}", "{ z, z > 0; s z, z ≤ 0 }"),
    (r"\sum_{u, v} a[y s + u]", "Σ_(u, v) a[y s + u]"), (r"\tfrac{1}{2} x^2", "1/2 x²"), (r"\tilde a^{(0)}", "ã⁽⁰⁾"),
    (r"\lfloor x \rfloor, \lceil y \rceil", "⌊ x ⌋, ⌈ y ⌉"), (r"1, \dots, n \in \mathbb{N}", "1, …, n ∈ N"),
    (r"\mathbf{W} \boldsymbol{x} \operatorname{diag}(a)", "W x diag(a)"), (r"\vert x \vert \, \| y \|", "| x | ‖ y ‖"),
    (r"x \to y \mapsto z \neq w \approx \infty", "x → y ↦ z ≠ w ≈ ∞"), (r"\xi\gamma\phi\varphi\tau\Sigma", "ξγϕφτΣ"),
    (r"\nabla C, f \colon x", "∇C, f : x"), (r"\unknown{x}_\other", "unknownxₒₜₕₑᵣ"), (r"\left. x \right|", "x |"),
    (r"\begin{gathered} a = 1 \\ b = 2 \end{gathered}", "a = 1; b = 2"), (r"\ln\hat y + \tanh(z)", "ln ŷ + tanh(z)"),
    (r"\frac{dz}{dx} + \frac{d z}{d x}", "dz/dx + dz/dx"), (r"\operatorname*{max}_j", "maxⱼ"),
    (r"50\% \_ \{a\}", "50% _ {a}"),
    (r"\underbrace{x}_{\text{a b}}", "[x: a b]"), (r"\begin{array}{ll} a & b \end{array}", "[ a, b ]"), ("a\\", "a"),
])  # fmt: skip
def test_plain_formulas(tex: str, text: str) -> None:
    assert plain(tex) == text


@given(st.lists(st.sampled_from([*r"\{}[]()^_& ab2|", r"\frac", r"\\", r"\begin", r"\left", r"\hat", r"\sqrt{"])))
def test_plain_formulas_never_keep_a_backslash(parts: list[str]) -> None:
    assert "\\" not in plain("".join(parts))
