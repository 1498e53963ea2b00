"""The whole: a run from the command line, and the figures that are no case."""

from __future__ import annotations

import json
import shlex
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from deltarule.bench import figures, peers, run
from deltarule.bench.crew import Crew
from deltarule.bench.figures import FIGURES, Setting, measure
from deltarule.bench.peer import thread_counts
from deltarule.bench.run import Options
from deltarule.cli import bench, main
from deltarule.errors import HyperparameterError, UnknownNameError


@pytest.fixture
def say(tmp_path, monkeypatch, capsys):
    """`say("bench …")` → (exit code, what was printed, what was complained)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def type_in(line):
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(line))
        return (int(stop.value.code or 0), *capsys.readouterr())

    return type_in


def test_the_command(say, tmp_path):
    code, out, err = say("bench --case tiny --peer textbook --quick")
    assert code == 0
    assert "textbook: NumPy, 1 thread: " in out
    assert "| tiny |" in out
    folder = tmp_path / "runs" / "bench-1"
    assert {"results.json", "results.md"} <= {path.name for path in folder.iterdir()}
    assert (folder / "chart.svg").is_file() or "Note: no chart; the chart needs matplotlib" in err
    found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert list(found["cases"]) == ["tiny"]
    assert found["figures"] == {}
    lanes = {f["peer"]: f for f in found["cases"]["tiny"]["formulations"]}
    assert set(lanes) == {"textbook", "sgemm"}
    assert lanes["textbook"]["error"] < 1e-4
    assert len(lanes["textbook"]["rates"]) == found["options"]["rounds"] == 2


def test_a_wrong_formulation_fails_the_command(say, monkeypatch):
    wrong = {"cases": {"x": {"formulations": [{"peer": "torch", "formulation": "f", "failure": "is wrong"}]}},
             "figures": {}}  # fmt: skip
    monkeypatch.setattr(bench, "run", lambda *_: wrong)
    monkeypatch.setattr(bench.report, "write", lambda *_: [])
    monkeypatch.setattr(bench.report, "chart", lambda *_: "chart.svg")
    monkeypatch.setattr(bench.report, "overview", lambda _: "")
    code, _, err = say("bench --case tiny")
    assert code == 1
    assert "FAILED: x, torch, f: is wrong" in err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bench --case huge", "there is no case 'huge' (cases: tiny, mlp32"),
        ("bench --peer caffe", "there is no peer 'caffe'"),
        ("bench --rounds 0", "rounds must be a whole number, at least 1"),
    ],
)
def test_what_is_not_there(say, tmp_path, line, expected):
    code, _, err = say(line)
    assert code == 2
    assert expected in err
    assert not (tmp_path / "runs").exists()


def test_the_help_has_examples_and_every_name(say):
    code, out, _ = say("bench --help")
    assert code == 0
    assert "deltarule bench --case mlp32" in out.partition("Examples:")[2]
    for name in [*(case.name for case in run.CASES), *FIGURES, *(peer.name for peer in peers.PEERS)]:
        assert name in out


def test_absent_peers_and_refused_cases_are_no_failure(monkeypatch):
    monkeypatch.setattr(peers, "installed", lambda package: package != "torch")
    said, kept = [], []
    found = run.run(Options(["tiny"], ["torch", "sklearn"], 1, True), said.append, lambda so_far: kept.append(so_far))
    assert said[0] == "torch is absent: torch is not installed: pip install 'deltarule[peers]'"
    assert list(found["absent"]) == ["torch"]
    assert list(found["cases"]["tiny"]["refused"]) == ["sklearn"]
    assert run.failures(found) == []
    assert kept == [found]


def test_options():
    assert Options().wants("tiny")
    assert not Options(["wide"]).wants("tiny")
    assert Options(["float64"]).wants("float64")
    assert Options(quick=True).setting[0] < Options().setting[0]
    assert Options(rounds=3, quick=True).setting[0] == 3
    with pytest.raises(UnknownNameError):
        Options(["nothing"])
    with pytest.raises(HyperparameterError):
        Options(rounds=0)


@pytest.fixture
def setting():
    with Crew() as crew:
        yield Setting(crew, 1, 0.001, True, lambda line: None)


def test_import_time(setting, monkeypatch):
    monkeypatch.setattr(figures, "IMPORTS", {"numpy": (), "deltarule": (), "torch": ("no_such_package",)})
    found = measure("import", setting)
    assert list(found["values"]) == ["python", "numpy", "deltarule"]
    assert "beyond `import numpy`" in found["said"]


def test_peak_memory(setting):
    bare, loaded, trained = measure("memory", setting)["values"].values()
    assert 5 < bare <= loaded <= trained


@pytest.mark.parametrize(
    ("name", "lanes"), [("taken-core", 4), ("float64", 2), ("simplechains", 2 * len(thread_counts()))]
)
def test_figures_of_the_native_engine(setting, name, lanes):
    found = measure(name, setting)
    assert found["failure"] == ""
    if found["values"]:
        assert len(found["values"]) == lanes
        assert all(rate > 0 for rate in found["values"].values())
    else:
        assert "Not measured" in found["said"]


def test_figures_without_the_native_engine(setting, monkeypatch):
    monkeypatch.setattr(figures, "NATIVE", type("Absent", (), {"refuses": staticmethod(lambda case: "not built")}))
    assert figures.double_precision(setting)["said"] == "Not measured: not built."
    assert figures.taken_core(setting)["values"] == {}
    assert figures.ten_epochs(setting)["values"] == {}


def test_core_seconds_are_those_of_ten_whole_epochs(setting, monkeypatch):
    """On a tenth of the rows, at a made-up rate: ten epochs are scaled up, and threads multiply."""
    answers = {"work": 6_000.0, "seconds": 0.02, "cpu": 0.03}
    monkeypatch.setattr(figures, "NATIVE", type("There", (), {"refuses": staticmethod(lambda case: None)}))
    monkeypatch.setattr(figures, "thread_counts", lambda: [1, 2])
    monkeypatch.setattr(figures, "_race", lambda *_: nullcontext(SimpleNamespace(timed=lambda *_: answers)))
    monkeypatch.setattr(figures, "_enter", lambda race, formulation: None)
    found = measure("simplechains", setting)
    assert [round(value, 9) for value in found["values"].values()] == [2.0, 3.0, 4.0, 3.0]
    assert found["ok"]
    assert "4.0 core-seconds on all cores; SimpleChains.jl takes 21 on four" in found["said"]


def test_a_figure_that_fails_is_told(setting, monkeypatch):
    monkeypatch.setattr(figures, "MEMORY", "deltarule.bench.no_such_module")
    found = measure("memory", setting)
    assert "No module named deltarule.bench.no_such_module" in found["failure"]
    assert found["ok"] is False
    assert run.failures({"cases": {}, "figures": {"memory": found}}) == [f"memory: {found['failure']}"]


@pytest.mark.parametrize("text", [None, "to be or not to be, that is the question. " * 400])
def test_a_model_of_characters(setting, monkeypatch, text):
    monkeypatch.setattr(figures, "characters", lambda: text)
    found = measure("text", setting)
    if text is None:
        assert found["said"].startswith("Not measured")
    else:
        assert 0 < found["values"]["η 0.004: nats"] < found["values"]["η 0.002: nats"] < np.log(len(set(text)))
