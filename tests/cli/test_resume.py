"""`deltarule train --resume`: a run that was stopped goes on to the same bits, with its own options and data."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

import deltarule as dr
from deltarule.engines import native

OPTIONS = '--network "*/16/dropout(0.3)/*" --epochs 12 --batch-size 7 --optimizer momentum --validation 0.2 -q'


@pytest.fixture
def stop(monkeypatch):
    """Ctrl-C in the native engine's k-th slice from now on."""

    def at(k):
        real, calls = native.train, []

        def train(*args):
            calls.append(1)
            if len(calls) == k:
                monkeypatch.setattr(native, "train", real)
                raise KeyboardInterrupt
            return real(*args)

        monkeypatch.setattr(native, "train", train)

    return at


def bits(folder):
    return dr.load(Path(folder) / "model.safetensors").theta.tobytes()


def told(folder):
    found = tomllib.loads((Path(folder) / "run.toml").read_text(encoding="utf-8"))
    history = dr.History.from_jsonl(Path(folder) / "history.jsonl")
    columns = {k: v for k, v in history.columns.items() if k != "seconds"}
    return {k: found[k] for k in ("network", "training", "result")}, columns


def test_a_stopped_run_goes_on(run, stop, tmp_path):
    assert run(f"train iris {OPTIONS} --output whole").code == 0
    stop(6)
    said = run(f"train iris {OPTIONS} --output runs/a")
    assert said.code == 130
    assert re.search(
        r"Interrupted after \d+ updates; the run goes on with: deltarule train --resume runs/a\n", said.err
    )
    stop(8)
    assert run("train --resume runs/a").code == 130
    said = run("train --resume runs/a --threads 3 -q")
    assert said.code == 0
    assert re.search(r"\d+ epochs, \d+ updates are done", said.out)
    assert bits("runs/a") == bits("whole")
    assert told("runs/a") == told("whole")
    assert run("evaluate runs/a iris").out == run("evaluate whole iris").out


def test_more_epochs(run):
    run(f"train iris {OPTIONS} --output whole --epochs 15")
    run(f"train iris {OPTIONS} --output runs/a")
    assert run("train --resume runs/a --epochs 15 -q").code == 0
    assert bits("runs/a") == bits("whole")
    assert told("runs/a") == told("whole")
    said = run("train --resume runs/a --epochs 3")
    assert said.code == 2
    assert "epochs is 3, and 15 are done already" in said.err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--network 4/5/3", "network was '*/16/dropout(0.3)/*', not '4/5/3'"),
        ("--batch-size 8", "batch_size was 7, not 8"),
        ("--seed 5", "seed was 0, not 5"),
        ("--output b", "leave out --output"),
        ("--learning-rate 0.5", "learning_rate was 'not given', not 0.5"),
        ("--balanced", "balanced was False, not True"),
    ],
)
def test_other_options_are_refused(run, stop, option, said):
    stop(6)
    run(f"train iris {OPTIONS} --output runs/a")
    found = run(f"train --resume runs/a {option}")
    assert found.code == 2
    assert said in found.err
    found = run("train wine --resume runs/a")
    assert found.code == 2
    assert "wine is not what it was" in found.err
    assert run("train iris --resume runs/a --batch-size 7 -q").code == 0  # the same is no other


def test_data_that_changed_are_refused(run, stop, tmp_path):
    table = "\n".join(["a,b,t", *(f"{k % 7},{k % 5},{k % 2}" for k in range(60))]) + "\n"
    (tmp_path / "rows.csv").write_text(table)
    stop(6)
    run(f"train rows.csv --target t {OPTIONS} --output runs/a")
    (tmp_path / "rows.csv").write_text(table.replace("6,", "9,", 1))
    said = run("train --resume runs/a")
    assert said.code == 2
    assert "rows is not what it was" in said.err
    (tmp_path / "rows.csv").write_text(table)
    assert run("train --resume runs/a -q").code == 0
    os.remove(tmp_path / "rows.csv")
    said = run("train --resume runs/a")
    assert said.code == 2
    assert "rows.csv" in said.err


def test_a_run_killed_while_data_were_read_begins(run, monkeypatch, tmp_path):
    from deltarule.cli import record, rows

    def killed(*args, **named):
        raise SystemExit(9)

    with monkeypatch.context() as patched:
        patched.setattr(rows, "read", killed)
        patched.setattr(record.Record, "leave", lambda self: None)
        run(f"train iris {OPTIONS} --output runs/a")
    assert os.listdir("runs/a") == ["run.toml"]
    assert run("train --resume runs/a").code == 0
    run(f"train iris {OPTIONS} --output whole")
    assert bits("runs/a") == bits("whole")


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("", "format"),
        ("format = 1", "does not say by which command"),
        ('format = 1\n[command]\ndata = "iris"\nnetworks = "3"', "'networks' is no option"),
        ('format = 1\n[command]\ndata = "iris"\nnetwork = 3', "network"),
        ('format = 1\n[command]\ndata = "iris"\nepochs = "3"', "epochs"),
        ('format = 1\n[command]\ndata = "iris"\nvalidation = true', "validation"),
        ("format = 2\n[command]", "format 2"),
        ("[", "not readable"),
    ],
)
def test_a_strange_run_toml(run, tmp_path, toml, said):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.toml").write_text(toml)
    found = run("train --resume a")
    assert found.code == 2
    assert said in found.err
    assert os.listdir("a") == ["run.toml"]


def test_data_may_have_moved(run, stop, tmp_path):
    table = "\n".join(["a,b,t", *(f"{k % 7},{k % 5},{k % 2}" for k in range(60))]) + "\n"
    (tmp_path / "rows.csv").write_text(table)
    stop(6)
    run(f"train rows.csv --target t {OPTIONS} --output 'runs/a b'")
    os.rename("rows.csv", "moved.csv")
    said = run("train --resume 'runs/a b'")
    assert said.code == 2
    assert "rows.csv" in said.err
    assert run("train moved.csv --resume 'runs/a b' -q").code == 0


def test_links_in_a_run_folder_are_not_followed(run, stop, tmp_path):
    stop(6)
    run(f"train iris {OPTIONS} --output runs/a")
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in ("history.jsonl", "model.safetensors"):
        (tmp_path / "runs/a" / name).unlink()
        (tmp_path / "runs/a" / name).symlink_to(precious)
    assert run("train --resume runs/a -q").code == 0
    assert precious.read_text() == "mine"


def test_what_is_refused_leaves_nothing(run, tmp_path):
    for line in ("train nowhere.csv", "train iris --network 4//3", "train iris --optimizer adm --output b/c/d"):
        assert run(line).code == 2
    assert os.listdir(tmp_path) == []


def test_a_full_disk_says_how_to_go_on(run, monkeypatch):
    from deltarule.training import JSONLines

    real = JSONLines.on_epoch

    def full(self, state):
        if state.epoch == 3:
            raise OSError(28, "No space left on device", "history.jsonl")
        real(self, state)

    with monkeypatch.context() as patched:
        patched.setattr(JSONLines, "on_epoch", full)
        said = run(f"train iris {OPTIONS} --output runs/a")
    assert said.code == 2
    assert "deltarule train --resume runs/a" in said.err
    assert run("train --resume runs/a -q").code == 0
    run(f"train iris {OPTIONS} --output whole")
    assert bits("runs/a") == bits("whole")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(tmp_path, number, code):
    """Training ends, with a checkpoint, and says how to go on."""
    X = np.random.default_rng(0).random((20_000, 300), dtype=np.float32)
    np.savez(tmp_path / "rows.npz", X=X, t=np.arange(20_000) % 10)
    line = ["train", "rows.npz", "--network", "*/200/*", "--epochs", "10000", "--output", "a"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from deltarule.cli import main; main()", *line], cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for text in process.stdout:
        if text.startswith("epoch 2/"):
            break
    process.send_signal(number)
    began = time.perf_counter()
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "the run goes on with: deltarule train --resume a" in err
    assert "Traceback" not in err
    assert list((tmp_path / "a").glob("checkpoint-*"))
    assert time.perf_counter() - began < 60


def test_a_second_signal_stops_at_once(monkeypatch):
    """And those that a launcher sends together are one."""
    from deltarule.cli import record

    clock = [0.0]
    monkeypatch.setattr(record.time, "monotonic", lambda: clock[0])
    before = signal.getsignal(signal.SIGTERM)
    with record.signals() as heard:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)  # the same moment
        clock[0] = 0.6
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert (heard.times, heard.code) == (2, 143)
    assert signal.getsignal(signal.SIGTERM) is before
