"""Derivations as Markdown, LaTeX, HTML and text: whole, well formed, and without a way in for markup."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import deltarule as dr
from deltarule.activations import Tanh
from deltarule.cli import app
from deltarule.derivation.latex import words as latex_words
from deltarule.derivation.plain import plain
from deltarule.derivation.symbols import at_layer
from deltarule.errors import HyperparameterError

NETWORKS = ["3/4:tanh/2", "1x6x6/conv(2,3)/maxpool(2)/subsample(2)/3", "seq(3)/rnn(4)/3", "3/4:elu/dropout(0.2)/2"]


@dataclass(frozen=True)
class Hostile(Tanh):
    """An activation whose name is markup everywhere."""

    name = r"<script>alert(1)</script> $x^{2}$ \input{/etc/passwd} %&#_ | **b**"


def hostile() -> dr.Derivation:
    return dr.derive(dr.Network([dr.Dense(3, Hostile()), dr.Dense(2, "softmax")], input_shape=2))


class Open(HTMLParser):
    """Every tag is closed in its turn; keeps the tags' names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.names: set[str] = set()
        self.feed(page)
        assert not self.stack

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if tag not in ("meta", "br"):
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


@pytest.mark.parametrize("spec", NETWORKS)
def test_every_formula_is_in_every_form(spec: str, tmp_path: Path) -> None:
    d = dr.derive(dr.Network(spec), optimizer="nadam")
    page, tex, md, text = d.to_html(), d.to_latex(), d.to_markdown(), d.to_text()
    n = len(d.formulas)
    assert page.count('class="formula"') == tex.count(r"\begin{equation}") == md.count(r"\tag{") == n
    assert re.findall(r"^  \((\d+)\)  ", text, re.MULTILINE) == [str(k) for k in range(1, n + 1)]
    assert "math" in Open(page).names
    assert "\\" not in re.sub(r"<[^>]+>", "", page)  # no LaTeX is left over
    assert "\\" not in text
    assert "http" not in page.replace("http://www.w3.org/1998/Math/MathML", "")
    for name in ("d.md", "d.tex", "d.html", "d.txt"):
        assert d.save(tmp_path / name).read_text(encoding="utf-8")
    with pytest.raises(HyperparameterError, match=r"\.md, \.tex, \.html, \.txt, and d\.pdf is none"):
        d.save(tmp_path / "d.pdf")


@pytest.mark.parametrize("spec", [*NETWORKS, "hostile"])
def test_tex_takes_it(spec: str, tmp_path: Path) -> None:
    """Where there is a TeX; elsewhere that environments and braces match."""
    d = hostile() if spec == "hostile" else dr.derive(dr.Network(spec), optimizer="rprop")
    path = d.save(tmp_path / "d.tex")
    tex = path.read_text(encoding="utf-8")
    assert tex.count(r"\begin{") == tex.count(r"\end{")
    if (tool := shutil.which("pdflatex")) is not None:
        command = [tool, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", path.name]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout[-2000:]


def test_names_are_no_markup() -> None:
    d = hostile()
    page = d.to_html()
    assert "script" not in Open(page).names
    assert "&lt;script&gt;" in page
    tex = d.to_latex()
    assert r"\input{" not in tex
    assert r"\textbackslash{}input\{" in tex
    Console(width=100, file=StringIO()).print(d)


def test_symbols_keep_their_places() -> None:
    assert at_layer(r"\text{W and a}", 3) == r"\text{W and a}"
    assert at_layer(r"\operatorname{diag}(a)", 2) == r"\operatorname{diag}(a^{(2)})"
    assert at_layer(r"a_{\mathrm{prev}}^T", 1) == "{a^{(0)}}^T"
    assert at_layer(r"\bar a_o", 4) == r"\bar a^{(4)}_o"
    assert latex_words("a_b $x_1$ 5%") == r"a\_b $x_1$ 5\%"


@pytest.mark.parametrize(("latex", "text"), [
    (r"\frac{1}{1 + e^{-z}}", "1/(1 + e^(-z))"), (r"\sqrt{s} + \varepsilon", "√(s) + ε"), (r"W^T \delta", "Wᵀ δ"),
    (r"\begin{cases} z & z > 0 \\ s z & z \le 0 \end{cases}", "{ z z > 0 ; s z z ≤ 0 }"),
    (r"\sum_{u, v} a[y s + u]", "Σ_(u, v) a[y s + u]"), (r"\tfrac{1}{2} x^2", "1/2 x²"),
])  # fmt: skip
def test_plain_text(latex: str, text: str) -> None:
    assert plain(latex) == text


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
