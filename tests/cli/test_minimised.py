"""`deltarule train --minimizer`: all rows at once."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_it_minimises_and_leaves_a_run_folder(run: Callable[[str], Any], tmp_path: Path) -> None:
    done = run("train digits --network 64/10 --minimizer l-bfgs-b --epochs 60 --output runs/a")
    assert done.code == 0, done.err
    assert "iteration 1/60" in done.out
    assert "training" in done.out
    assert "held out" in done.out
    lines = [json.loads(line) for line in (tmp_path / "runs/a/history.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1]["cost"] < 0.2 * lines[0]["cost"]
    kept = tomllib.loads((tmp_path / "runs/a/run.toml").read_text())
    assert kept["training"] == {"minimizer": "L-BFGS-B", "iterations": 60, "weight_decay": 0.0}
    assert kept["result"]["train"]["accuracy"] > 0.97
    assert "minimizer L-BFGS-B, iterations 60" in run("info runs/a").out
    assert run("evaluate runs/a digits").code == 0


@pytest.mark.parametrize(("options", "said"), [
    ("--minimizer l-bfgs-b --batch-size 5 --learning-rate 1", "leave out --learning-rate, --batch-size"),
    ("--minimizer adam", "there is no minimiser 'adam'"),
    ("--minimizer cg --epochs 0", "--epochs must be a whole number, at least 1, not 0"),
    ("--minimizer cg --epochs -3", "--epochs must be a whole number, at least 1, not -3"),
])  # fmt: skip
def test_refusals(run: Callable[[str], Any], tmp_path: Path, options: str, said: str) -> None:
    done = run(f"train digits --network 64/10 --quiet --output runs/a {options}")
    assert done.code != 0
    assert said in done.err
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_a_minimised_run_cannot_go_on(run: Callable[[str], Any]) -> None:
    assert run("train iris --network 4/3 --minimizer cg --epochs 3 --quiet --output runs/a").code == 0
    done = run("train --resume runs/a")
    assert done.code != 0
    assert "a minimiser, which cannot go on" in done.err
