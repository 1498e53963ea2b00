"""The long proofs (proofs/), in their short forms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROOFS = Path(__file__).resolve().parent.parent / "proofs"

SHORT = {
    "kill": (["--kills", "6", "--epochs", "60"], "6 kills"),
    "fuzz": (["--reads", "3000", "--seed", "1"], "3,000 reads"),
    "load fits": (["--count", "300"], "300 fits"),
    "load crowd": (["--callers", "3"], "same bits"),
    "load mapped": (["--gigabytes", "0.75"], "anonymous"),
}


@pytest.mark.parametrize("name", SHORT)
def test_short_form(name: str, tmp_path: Path) -> None:
    script, *what = name.split()
    arguments, said = SHORT[name]
    found = subprocess.run(
        [sys.executable, str(PROOFS / f"{script}.py"), *what, *arguments], capture_output=True, text=True, cwd=tmp_path,
        timeout=600, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    assert said in found.stdout
