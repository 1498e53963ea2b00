"""Whatever is wrong gets one clear line, exit code 2, no traceback, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from deltarule import JSONLines, Network

BAD = {
    "unknown data": ("train digts", "did you mean 'digits'?"),
    "missing file": ("train nothing.csv", "nothing.csv"),
    "grammar": ("train digits --network 64/2%/10", "64/2%/10"),
    "activation": ("train digits --network 64/20:relo/10", "did you mean 'relu'?"),
    "layer": ("train digits --network '64/dropuot(0.5)/10'", "did you mean 'dropout'?"),
    "optimiser": ("train digits --optimizer adm", "did you mean 'adam'?"),
    "schedule": ("train digits --schedule cosin", "did you mean 'cosine'?"),
    "cost": ("train digits --cost hubr", "did you mean 'huber'?"),
    "pair": ("train digits --cost poisson", "goes with output 'exp' only"),
    "outputs": ("train digits --network 64/20/3", "3 outputs, the data have 10 classes"),
    "inputs": ("train digits --network 63/20/10", "expects samples of 63"),
    "negative rate": ("train digits --learning-rate -1", "learning_rate must be"),
    "zero rate": ("train digits --learning-rate 0", "learning_rate must be"),
    "zero batch": ("train digits --batch-size 0", "at least 1, not 0"),
    "negative batch": ("train digits --batch-size -5", "at least 1, not -5"),
    "zero epochs": ("train digits --epochs 0", "epochs must be a whole number"),
    "decay": ("train digits --weight-decay -1", "weight_decay must be"),
    "fraction": ("train digits --held-out 1.5", "between 0 and 1"),
    "task": ("train digits --task clustering", "classification or regression"),
    "dtype": ("train digits --dtype int8", "'float32' or 'float64'"),
    "seed": ("train digits --seed -1", "seed must be"),
    "patience alone": ("train digits --patience 3", "--validation 0.1"),
    "regression output for classes": ("train digits --output-activation tanh", "does not choose among classes"),
    "no run": ("evaluate runs/none digits", "runs/none: not a run folder"),
    "no column": ("train rows.csv --target prize", "did you mean 'price'?"),
    "no target": ("train rows.csv", "--target"),
    "ragged": ("train ragged.csv --target b", "line 3"),
    "missing cell": ("train holes.csv --target b", "--impute"),
    "one class": ("train one.csv --target b", "class"),
    "NaN in X": ("train nan.npz", "row 3, column 1"),
    "NaN in t": ("train nan_t.npz", "row 2"),
    "empty": ("train empty.npz", "empty"),
    "truncated IDX": ("train short-idx3-ubyte", "short-idx3-ubyte"),
    "wrong magic": ("train magic", "IDX"),
    "foreign model": ("info foreign.safetensors", "foreign.safetensors"),
    "corrupt model": ("predict broken.safetensors iris", "broken.safetensors"),
    "unknown option": ("train digits --rate 3", "No such option"),
    "no argument": ("train", "name the data"),
    "check grammar": ("check 4//2", "4//2"),
    "check method": ("check 4/2 --method guess", "'complex', 'central' or 'both'"),
    "check samples": ("check 4/2 --samples 0", "at least 1"),
}


@pytest.fixture
def bad_files(tmp_path):
    (tmp_path / "rows.csv").write_text("rooms,price\n" + "\n".join(f"{k},{k * 1.5}" for k in range(20)))
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n3\n4,5\n")
    (tmp_path / "holes.csv").write_text("a,b\n" + "\n".join(f"{k if k != 4 else ''},{k / 3}" for k in range(20)))
    (tmp_path / "one.csv").write_text("a,b\n" + "\n".join(f"{k},same" for k in range(20)))
    X = np.arange(40.0).reshape(20, 2)
    np.savez(tmp_path / "nan.npz", X=np.where(X == 7, np.nan, X), t=np.arange(20) % 2)
    np.savez(tmp_path / "nan_t.npz", X=X, t=np.where(np.arange(20) == 2, np.nan, 0.5))
    np.savez(tmp_path / "empty.npz", X=np.empty((0, 2)), t=np.empty(0))
    (tmp_path / "short-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3]))
    (tmp_path / "magic").write_bytes(b"\x01\x02\x03\x04 nothing that anybody knows")
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 64)
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, tmp_path / "foreign.safetensors")


@pytest.mark.parametrize(("line", "expected"), BAD.values(), ids=BAD)
def test_one_clear_error(run, bad_files, tmp_path, line, expected):
    before = sorted(tmp_path.rglob("*"))
    said = run(line)
    assert said.code == 2
    assert expected in said.err + said.out
    assert "Traceback" not in said.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_label_never_seen(run, tmp_path):
    np.savez(tmp_path / "a.npz", X=np.arange(40.0).reshape(20, 2), t=np.arange(20) % 2)
    np.savez(tmp_path / "b.npz", X=np.arange(40.0).reshape(20, 2), t=np.arange(20) % 3)
    run("train a.npz -q --epochs 1")
    said = run("evaluate runs/a-1 b.npz")
    assert said.code == 2
    assert "2" in said.err
    assert "row 2" in said.err


def test_columns_that_do_not_fit(run, tmp_path):
    run("train iris -q --epochs 1")
    np.save(tmp_path / "wide.npy", np.zeros((3, 5)))
    said = run("predict runs/iris-1 wide.npy")
    assert said.code == 2
    assert "(3, 5)" in said.err


def test_an_interruption_leaves_a_model(run, monkeypatch, tmp_path):
    from deltarule.engines import native

    real, calls = native.train, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(native, "train", interrupted)
    said = run("train iris -q --output runs/a")
    assert said.code == 130
    assert "goes on with: deltarule train --resume runs/a" in said.err
    assert "result: interrupted" in run("info runs/a").out
    assert (tmp_path / "runs/a/model.safetensors").is_file()


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=["^C", "disk"])
def test_what_stops_a_run_late_leaves_its_model(run, monkeypatch, tmp_path, fault):
    """During the scores, when training is done and paid for."""

    def stop(*_):
        raise fault

    monkeypatch.setattr(Network, "evaluate_rows", stop)
    said = run("train iris -q --output runs/a")
    assert said.code == (130 if isinstance(fault, KeyboardInterrupt) else 2)
    assert "Traceback" not in said.err
    assert "epochs are done" in run("info runs/a").out


def test_a_full_disk_in_an_epoch_leaves_the_weights_reached(run, monkeypatch, tmp_path):
    real = JSONLines.on_epoch

    def full(self, state):
        if state.epoch == 3:
            raise OSError(28, "No space left on device", str(self.path))
        real(self, state)

    monkeypatch.setattr(JSONLines, "on_epoch", full)
    said = run("train iris -q --output runs/a")
    assert said.code == 2
    assert "No space left" in said.err
    assert "No space left" in run("info runs/a").out


@pytest.mark.parametrize("reader", ["true", "head -n 1"])
def test_training_goes_on_when_nobody_reads(tmp_path, reader):
    program = f"{sys.executable} -c 'from deltarule.cli import main; main()' train iris --output a | {reader}"
    subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, check=True)
    assert "[result.held_out]" in (tmp_path / "a" / "run.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[result.train]", "[result.x]", "'train' is missing"),
        ("accuracy = ", "accuracy = 'x' #", "'accuracy' must be a number"),
        ("fraction = 0.2", "fraction = 'a'", "'fraction' must be float"),
        ("fraction = 0.2", "fraction = 0.3", "its split gives 45"),
        ("fraction = 0.2", "own_test_split = true", "names a test split, and the data have none"),
        ("stopped = ", "stopped = 3 #", "'stopped' must be str"),
    ],
)
def test_a_run_file_that_was_changed(run, tmp_path, old, new, expected):
    run("train iris -q --epochs 1 --output runs/a")
    path = tmp_path / "runs/a/run.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    said = run("evaluate runs/a iris")
    assert said.code == 2
    assert expected in said.err
