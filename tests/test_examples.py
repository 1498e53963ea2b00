"""The examples run, and the README's lines too."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


def test_an_encoder_built_before_helps_a_classifier(capsys):
    runpy.run_path(str(ROOT / "examples" / "autoencoder.py"))
    trained, untrained = (float(x) for x in re.findall(r"(0\.\d+) held out", capsys.readouterr().out))
    assert trained > untrained + 0.05


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
