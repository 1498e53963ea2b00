"""Sums and reports, from measurements that are made up."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import pytest

from deltarule.bench import report
from deltarule.bench.cases import find, flops
from deltarule.bench.machine import describe
from deltarule.bench.peers import installed
from deltarule.bench.run import failures
from deltarule.bench.summary import summarise
from deltarule.errors import MissingExtraError


def record(peer, name, threads, rate, failure=""):
    rates = [] if failure else [rate, rate]
    return {"peer": peer, "formulation": name, "threads": threads, "rate": None if failure else rate, "rates": rates,
            "error": None if peer == "sgemm" else 1e-7, "failure": failure}  # fmt: skip


FORMULATIONS = [
    record("native", "X float32", 1, 400_000.0),
    record("native", "X float32", 2, 700_000.0),
    record("textbook", "NumPy", 1, 70_000.0),
    record("torch-by-hand", "fused", 1, 200_000.0),
    record("torch", "autograd", 1, 146_000.0),
    record("jax", "scan", 1, 350_000.0),
    record("jax", "broken scan", 1, 0.0, "is wrong: it leaves the reference by 3e-01"),
    record("sgemm", "numpy.matmul", 1, 160e9),
    record("sgemm", "numpy.matmul", 2, 310e9),
]


def results(formulations=FORMULATIONS):
    case = find("mlp128")
    return {
        "machine": {"processor": "A processor", "vectors": ["AVX2", "AVX-512"], "cores": 2, "cores_of_the_machine": 4,
                    "memory_gib": 24, "system": "Linux", "python": "3.11.7", "versions": {"numpy": "2.4.6"}},
        "options": {"rounds": 7, "seconds": 0.3, "quick": False},
        "absent": {"sklearn": "sklearn is not installed: pip install scikit-learn"},
        "cases": {"mlp128": {"case": asdict(case), "data": "MNIST", "flops": flops(case), "refused": {},
                             "formulations": formulations, "summary": summarise(case, formulations)}},
        "figures": {"import": {"title": "Import time", "unit": "s", "values": {"numpy": 0.1351, "deltarule": 0.238},
                               "said": "It takes 0.10 s.", "ok": None, "failure": ""}},
    }  # fmt: skip


def test_the_summary_takes_each_peers_best():
    found = summarise(find("mlp128"), FORMULATIONS)
    assert {name: f["rate"] for name, f in found["best"].items()} == {
        "native": 700_000, "textbook": 70_000, "torch-by-hand": 200_000, "torch": 146_000, "jax": 350_000
    }  # fmt: skip
    assert (found["fastest"], found["ratios"]["jax"], found["ratios"]["torch-by-hand"]) == ("jax", 2.0, 3.5)
    assert found["share"] == pytest.approx(700_000 * 319_600 / 310e9)
    assert found["share_of_one_thread"] == pytest.approx(400_000 * 319_600 / 160e9)
    assert [(t["versus"], t["verdict"]) for t in found["targets"]] == [
        ("best", "met"), ("torch", "aim met"), ("sgemm", "met")
    ]  # fmt: skip


def test_the_textbook_engine_is_no_peer_to_beat():
    found = summarise(find("mlp128"), FORMULATIONS[:3])
    assert (found["fastest"], found["share"]) == (None, None)
    assert {t["verdict"] for t in found["targets"]} == {"not measured"}


def test_without_the_native_engine_nothing_is_claimed():
    found = summarise(find("mlp128"), FORMULATIONS[2:])
    assert (found["ratios"], found["share"], found["fastest"]) == ({}, None, "jax")


def test_a_loss_is_shown_as_one():
    slow = [record("native", "X float32", 2, 300_000.0), *FORMULATIONS[2:]]
    said = report.markdown(results(slow))
    assert "| mlp128 | best peer | 1.60× | 2.20× | 0.86× | missed |" in said


def test_the_markdown():
    said = report.markdown(results())
    assert "A processor, AVX-512, 2 of 4 cores, 24 GiB, Linux, Python 3.11.7; numpy 2.4.6." in said
    assert "scikit-learn is absent: sklearn is not installed: pip install scikit-learn" in said
    assert "| mlp128 | 700,000 | 70,000 | 146,000 | 200,000 | 350,000 | 2.00× | 72 % |" in said
    assert "| mlp128 | PyTorch autograd | 3.00× | 4.50× | 4.79× | aim met |" in said
    assert "SGEMM 1024³: 160 GFLOP/s on 1, 310 GFLOP/s on 2 (threads)." in said
    assert "| JAX jit + scan | broken scan | 1 | is wrong: it leaves the reference by 3e-01 | – | 1e-07 |" in said
    assert "| numpy | 0.135 |" in said
    lines = ("deltarule native | X float32 | 2", "deltarule native | X float32 | 1", "PyTorch autograd | auto",
             "PyTorch by hand | fused")  # fmt: skip
    order = [said.index(f"| {line}") for line in lines]
    assert order == sorted(order)


def test_sequences_are_counted_in_steps():
    case, found = find("rnn32"), results()
    found["cases"]["rnn32"] = {"case": asdict(case), "data": "tinyshakespeare", "flops": flops(case), "refused": {},
                               "formulations": FORMULATIONS, "summary": summarise(case, FORMULATIONS)}  # fmt: skip
    said = report.markdown(found)
    assert "batch 32, 5,120 sequences of 50 steps of tinyshakespeare; 148,224 operations a step." in said
    assert "| peer | formulation | threads | steps/s |" in said
    assert "| peer | formulation | threads | samples/s |" in said
    assert "Of rnn32 a sample is a time step." in report.overview(found)
    assert "time step" not in report.markdown(results())


def test_the_files(tmp_path):
    found = results()
    found["figures"]["import"]["values"]["deltarule"] = float("nan")
    files = report.write(found, tmp_path / "new")
    assert [path.name for path in files] == ["results.json", "results.md"]
    read = json.loads(files[0].read_text(encoding="utf-8"))
    assert read["cases"]["mlp128"]["summary"]["best"]["torch"]["formulation"] == "autograd"
    assert read["figures"]["import"]["values"]["deltarule"] is None
    assert files[1].read_text(encoding="utf-8").startswith("# Peers side by side\n")


def test_the_chart(tmp_path):
    """With matplotlib a picture that names cases and peers; without it, the way to install it."""
    if installed("matplotlib"):
        drawn = report.chart(results(), tmp_path).read_text(encoding="utf-8")
        assert drawn.startswith("<?xml")
        assert "mlp128" in drawn
    else:
        with pytest.raises(MissingExtraError, match="bench"):
            report.chart(results(), tmp_path)


def test_the_chart_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'deltarule\[bench\]'"):
        report.chart(results(), tmp_path)


def test_failures_are_named():
    assert failures(results()) == ["mlp128, jax, broken scan: is wrong: it leaves the reference by 3e-01"]


def test_the_machine_describes_itself():
    found = describe()
    assert found["processor"]
    assert 1 <= found["cores"] <= found["cores_of_the_machine"]
    assert "numpy" in found["versions"]
