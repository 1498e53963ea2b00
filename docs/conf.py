"""The documentation site: `pip install ".[docs]" && sphinx-build -W docs build/docs`.

Derivations and explanations are written, and the gallery's scripts run, whenever the site is built.
"""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version as installed
from pathlib import Path

import numpy as np
from docutils.nodes import SkipNode
from sphinx.util.math import get_node_equation_number

import deltarule as dr
from deltarule.derivation.forms.mathml import math

HERE = Path(__file__).parent
MADE = HERE / "made"  # by this file; not kept
EXTRA = MADE / "extra"  # whole pages, that stand in the site as they are

project = "deltarule"
copyright = "the authors of deltarule"
release = version = installed("deltarule")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
exclude_patterns = ["picture.py", "made/extra"]
html_extra_path = ["made/extra"]
html_theme = "furo"
html_title = "deltarule"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {
    "exclude-members": "set_fit_request, set_partial_fit_request, set_score_request, __new__, __init__",
}
default_role = "code"

SYSTEMS = {  # the documents' own, and networks of other kinds
    "A perceptron (001)": ("perceptron", lambda: dr.Network("2/1")),
    "A network with one hidden layer (001, 004)": ("dense", lambda: dr.Network("4/5:sigmoid/3")),
    "Squared error behind a sigmoid (004)": (
        "squared",
        lambda: dr.Network("2/1", output="sigmoid", cost="squared error"),
    ),
    "The softmax network of the exercise (000)": ("ufldl_dnn", dr.nets.ufldl_dnn),
    "The convolutional network of the exercise (000)": ("ufldl_cnn", dr.nets.ufldl_cnn),
    "LeNet-5 (003)": ("lenet5", dr.nets.lenet5),
    "A recurrent network (003)": ("rnn", lambda: dr.Network("seq(4)/rnn(5)/3")),
}


def derivations() -> None:
    """A page a system."""
    for title, (name, network) in SYSTEMS.items():
        d = dr.derive(network(), optimizer="momentum(0.9)")
        if not d.ok:
            raise RuntimeError(f"{title}: formula ({d.worst.number}) is wrong by {d.worst.error:.1e}")
        text = d.to_markdown().replace(f"# {d.title}", f"# {title}\n\n{d.title}", 1)
        text = re.sub(r" \\tag\{(\d+)\}\$\$", rf"$$ ({name}-\1)", text)
        (MADE / f"{name}.md").write_text(text, encoding="utf-8")
    pages = "\n".join(name for name, _ in SYSTEMS.values())
    head = "# Derivations\n\nEvery formula is checked on numbers when this page is built; its error stands beside it.\n"
    (MADE / "derivations.md").write_text(f"{head}\n```{{toctree}}\n:maxdepth: 1\n\n{pages}\n```\n", encoding="utf-8")


def gallery() -> None:
    """Every example's words, picture, output and code."""
    parts = ["# Gallery\n\nOne lesson each; every script runs by itself.\n"]
    for path in sorted((HERE.parent / "examples").glob("*.py")):
        done = subprocess.run(
            [sys.executable, str(path)], cwd=MADE, env=os.environ | {"MPLBACKEND": "agg"}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{path.name}: {done.stderr}")
        code = path.read_text(encoding="utf-8")
        words = code.split('"""')[1]
        title, _, rest = words.partition("\n")
        title, _, lesson = title.partition(": ")
        pictures = [p.name for p in sorted(MADE.glob(f"{path.stem}.*")) if p.suffix in (".svg", ".png")]
        shown = "".join(f"![{title}]({name})\n\n" for name in pictures)
        lesson = lesson[:1].upper() + lesson[1:]
        parts.append(f"## {title}\n\n{lesson}\n{rest}\n\n{shown}```text\n{done.stdout}```\n")
        parts.append(f"```python\n{code}```\n")
    (MADE / "gallery.md").write_text("\n".join(parts), encoding="utf-8")


def explained() -> None:
    """Three networks explained, each a page and pictures of it where there is a browser."""
    shown = ["# Pages to step through\n"]
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    for name, (title, explanation, step) in examples().items():
        if not explanation.ok:
            raise RuntimeError(f"{title}: finite differences do not agree with a gradient")
        page = explanation.save(EXTRA / "explained" / f"{name}.html")
        link = f'<a href="../explained/{name}.html">Open the page</a>'
        shown.append(f"## {title}\n\n{link}, {page.stat().st_size / 1e6:.1f} MB.\n")
        for picture, words in photographed(browser, page, step) if browser else ():
            shown.append(f"![{title}, {words}]({picture})\n")
    (MADE / "pages.md").write_text("\n".join(shown), encoding="utf-8")


def examples():
    """A first network, LeNet-5 on one of scikit-learn's digits, and a recurrent network with twenty steps."""
    iris, digits = dr.data.read("iris"), dr.data.read("digits")
    small = dr.Network("4/5/3", activation="sigmoid", preprocessing=dr.data.Preprocessing.fit(iris.X, iris.targets))
    dr.train(small, iris.X, iris.targets, epochs=20, verbose=False)
    lenet5 = dr.nets.lenet5()
    seven = np.zeros((1, 28, 28))
    seven[0, 2:26, 2:26] = np.kron(np.reshape(digits.X[7], (8, 8)), np.ones((3, 3))) / 16
    T = 20
    x = np.sin(np.arange(T) / 2)[:, None] * np.ones(2)
    rnn = dr.Network("seq(2)/rnn(6)/2")
    small_page = dr.explain(small, iris.X[60], iris.targets[60], learning_rate=0.5, health=(iris.X, iris.targets),
                            columns=["sepal length", "sepal width", "petal length", "petal width"])  # fmt: skip
    return {
        "iris": ("A first network, 4/5/3", small_page, "1.delta"),
        "lenet5": ("LeNet-5", dr.explain(lenet5, seven, 7, learning_rate=0.01), "3.z"),
        "rnn": ("A recurrent network, twenty steps", dr.explain(rnn, x, (x[:, 0] > 0).astype(int)), "1.delta"),
    }


def photographed(browser, page, step):
    """Pictures of a page: light and dark, wide and narrow."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for scheme, width, height in (("light", 1280, 900), ("dark", 1280, 900), ("light", 390, 844)):
            opened = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            opened.goto(f"{page.resolve().as_uri()}#step={step}")
            opened.wait_for_selector("article.step")
            name = f"{page.stem}-{scheme}-{width}.png"
            opened.screenshot(path=MADE / name)
            yield name, f"{scheme}, {'wide' if width > 600 else 'narrow'}"
        chromium.close()


def plain_signs(app, what, name, thing, options, lines) -> None:
    """|e| and x_ are mathematics in our docstrings, and no markup."""
    lines[:] = [re.sub(r"(?<=[^\W`])_(?![\w`])", r"\\_", line.replace("|", r"\|")) for line in lines]


def links(app, name, source) -> None:
    """What lies beside docs/ in the repository lies within the site."""
    source[0] = (
        source[0].replace("../bench/RESULTS.md", "benchmark.md").replace("](bench/RESULTS.md)", "](benchmark.md)")
    )


def inline(self, node) -> None:
    """A formula among words, as MathML: the site needs no other."""
    self.body.append(math(node.astext(), "inline"))
    raise SkipNode


def displayed(self, node) -> None:
    """A formula by itself, with its number."""
    number = f'<span class="eqno">({get_node_equation_number(self, node)})</span>' if node["number"] else ""
    self.body.append(f'<div class="math" style="overflow: auto hidden">{number}{math(node.astext(), "block")}</div>')
    raise SkipNode


def setup(app) -> None:
    """Sphinx calls it."""
    app.add_html_math_renderer("mathml", (inline, None), (displayed, None))
    (EXTRA / "explained").mkdir(parents=True, exist_ok=True)
    app.connect("builder-inited", lambda _: (derivations(), gallery(), explained()))
    app.connect("autodoc-process-docstring", plain_signs)
    app.connect("source-read", links)
