"""The examples run, and the README's lines too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
TEXT_ALONE = {"autoencoder.py"}  # all others leave a picture


@pytest.fixture(scope="module")
def fonts() -> None:
    """Matplotlib looks for fonts when it is first imported on a machine, and says so on stderr."""
    subprocess.run([sys.executable, "-c", "import matplotlib.pyplot"], capture_output=True, check=True)


def run(path: Path, folder: Path) -> str:
    """What an example prints; it may neither warn nor take longer than 30 s."""
    done = subprocess.run(
        [sys.executable, str(path)], cwd=folder, env=os.environ | {"MPLBACKEND": "agg", "PYTHONWARNINGS": "error"},
        capture_output=True, text=True, encoding="utf-8", check=False, timeout=30,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


@pytest.mark.usefixtures("fonts")
@pytest.mark.parametrize("path", [p for p in EXAMPLES if p.name not in TEXT_ALONE], ids=lambda p: p.stem)
def test_an_example_leaves_a_picture(path, tmp_path):
    assert run(path, tmp_path).strip()
    (picture,) = tmp_path.iterdir()
    assert picture.name in (f"{path.stem}.svg", f"{path.stem}.png")
    assert picture.stat().st_size > 5000


@pytest.mark.usefixtures("fonts")
def test_an_encoder_built_before_helps_a_classifier(tmp_path):
    printed = run(ROOT / "examples" / "autoencoder.py", tmp_path)
    trained, untrained = (float(x) for x in re.findall(r"(0\.\d+) held out", printed))
    assert trained > untrained + 0.05
    assert not list(tmp_path.iterdir())


def test_the_readme_in_ten_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    random = np.random.default_rng(0)
    X, t = random.normal(size=(200, 64)), random.integers(10, size=200)
    names = {"X": X, "t": t, "X_new": X[:7], "t_new": t[:7]}
    exec(block[1], names)
    assert (tmp_path / "digits.safetensors").is_file()
    assert names["net"].theta.shape == names["gradient"].shape


@pytest.mark.parametrize(
    "path",
    [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "bench" / "RESULTS.md"],
    ids=lambda p: p.name,
)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (path.parent / target).exists(), target
