"""Sequences on the command line: X, t and lengths of an .npz file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltarule import load

RANDOM = np.random.default_rng(5)
M, T = 60, 9


def save(path: Path, **arrays: Any) -> None:
    np.savez(path, **arrays)


@pytest.fixture
def arrays() -> dict[str, Any]:
    """Sequences of two numbers a step, of which the sum's sign is the class, step by step."""
    X = RANDOM.normal(size=(M, T, 2)).astype(np.float32)
    return {"X": X, "t": (X.sum(axis=2).cumsum(axis=1) > 0).astype(np.int64), "lengths": RANDOM.integers(1, T + 1, M)}


def test_classes_at_every_step(run, arrays, tmp_path):
    save(tmp_path / "walk.npz", **arrays)
    said = run("train walk.npz --network seq/rnn(8)/* --epochs 40 --learning-rate 0.01 -q")
    assert said.code == 0, said.err
    assert "sequences" in said.out
    net = load("runs/walk-1/model.safetensors")
    assert net.spec == "seq(2)/rnn(8)/2"
    said = run("evaluate runs/walk-1 walk.npz")
    assert "only the 12 sequences held out are scored" in said.out
    lines = run("predict runs/walk-1 walk.npz").out.splitlines()
    assert len(lines) == arrays["lengths"].sum()
    sequence, step, answer = (int(n) for n in lines[-1].split(","))
    assert (sequence, step) == (M - 1, arrays["lengths"][-1] - 1)
    assert answer == net.predict(arrays["X"], lengths=arrays["lengths"])[sequence, step]
    header = run("predict runs/walk-1 walk.npz --probabilities").out.splitlines()[0]
    assert header == "sequence,step,prediction,p(0),p(1)"


def test_one_answer_a_sequence_from_tokens(run, tmp_path):
    X = RANDOM.integers(0, 5, (M, T))
    save(tmp_path / "first.npz", X=X, t=X[:, 0], X_test=X[:7], t_test=X[:7, 0])
    said = run("train first.npz --network 'seq/rnn(8,last=True)/*' --epochs 2 -q")
    assert said.code == 0, said.err
    assert load("runs/first-1/model.safetensors").spec == "seq(5)/rnn(8,last=True)/5"
    assert "its own test split" in run("evaluate runs/first-1 first.npz").out
    assert len(run("predict runs/first-1 first.npz").out.splitlines()) == M


def test_numbers_as_targets_and_windows(run, arrays, tmp_path):
    t = arrays["X"].cumsum(axis=1)
    save(tmp_path / "sums.npz", X=arrays["X"], t=t)
    said = run("train sums.npz --network seq/rnn(8)/* --truncate 4 --epochs 2 -q")
    assert said.code == 0, said.err
    assert "rmse" in said.out
    assert load("runs/sums-1/model.safetensors").output.activation.name == "identity"
    assert run("train sums.npz --network seq/rnn(8)/* --minimizer cg --epochs 2 -q").code == 0


@pytest.mark.parametrize(("changes", "said"), [
    ({"lengths": np.full(M, T + 1)}, "that of row 0 is 10; X has 9 steps, and a length is 1 … 9"),
    ({"lengths": np.zeros(M, int)}, "that of row 0 is 0"),
    ({"lengths": np.full(M, 1.5)}, "that of row 0 is 1.5"),
    ({"lengths": np.ones(M - 1)}, "lengths has the shape (59,); 60 sequences take (60,)"),
    ({"t": np.zeros((M, T - 1), int)}, "answers at each of the 9 steps of X; the targets have the shape (60, 8)"),
    ({"t": np.zeros(M - 1, int)}, "has 59 targets for 60 sequences"),
    ({"t": np.full((M, T), "a")}, "targets of sequences are numbers"),
    ({"X": np.zeros((M, T, 2, 1))}, "sequences are (m, T, n), or (m, T) of tokens"),
    ({"X": np.zeros((M, 0, 2))}, "is empty"),
    ({"X": np.full((M, T, 2), np.nan)}, "X: row 0, position (0, 0) is nan"),
    ({"X": np.full((M, T), -1)}, "a token is -1; they are whole numbers from 0"),
])  # fmt: skip
def test_what_does_not_fit(run, arrays, tmp_path, changes, said):
    save(tmp_path / "walk.npz", **(arrays | changes))
    result = run("train walk.npz --network seq/rnn(8)/* --epochs 1")
    assert result.code == 2
    assert said in result.err
    assert not Path("runs/walk-1").exists()


@pytest.mark.parametrize(("options", "said"), [
    ("--network seq(3)/rnn(8)/2", "the network expects samples of"),
    ("--network seq/rnn(8)/*:identity", "output 'identity' does not choose among classes"),
    ("--network seq/rnn(8)/* --standardize", "sequences are taken as they are: leave out --standardize"),
    ("--network seq/rnn(8)/* --minimizer cg", "a minimiser takes whole sequences, without lengths"),
    ("--network 'seq/rnn(8,last=True)/*' --truncate 3", "targets"),
])  # fmt: skip
def test_what_sequences_have_no_use_for(run, arrays, tmp_path, options, said):
    save(tmp_path / "walk.npz", **arrays)
    result = run(f"train walk.npz {options}")
    assert result.code == 2
    assert said in result.err


def test_padding_is_nothing(run, arrays, tmp_path):
    """What stands beyond the lengths decides no size, and may be anything."""
    beyond = np.arange(T) >= arrays["lengths"][:, None]
    t, X = arrays["t"].copy(), arrays["X"].copy()
    t[beyond], X[beyond] = 99, np.nan
    save(tmp_path / "padded.npz", X=X, t=t, lengths=arrays["lengths"])
    save(tmp_path / "plain.npz", **arrays)
    for name in ("padded", "plain"):
        said = run(f"train {name}.npz --network seq/rnn(8)/* --epochs 2 -q --output {name}")
        assert said.code == 0, said.err
    nets = [load(f"{name}/model.safetensors") for name in ("padded", "plain")]
    assert nets[0].spec == "seq(2)/rnn(8)/2"
    np.testing.assert_array_equal(nets[0].theta, nets[1].theta)
    tokens = RANDOM.integers(0, 4, (M, T))
    save(tmp_path / "tokens.npz", X=np.where(beyond, -1, tokens), t=arrays["t"], lengths=arrays["lengths"])
    assert run("train tokens.npz --network seq/rnn(8)/* --epochs 1 -q").code == 0
    assert load("runs/tokens-1/model.safetensors").spec == "seq(4)/rnn(8)/2"


def test_every_step_in_a_file(run, arrays, tmp_path):
    save(tmp_path / "walk.npz", **arrays)
    run("train walk.npz --network seq/rnn(8)/* --epochs 1 -q")
    run("predict runs/walk-1 walk.npz --output steps.npy")
    answers = np.load("steps.npy")
    assert answers.shape == (M, T)
    np.testing.assert_array_equal(answers == -1, np.arange(T) >= arrays["lengths"][:, None])


def test_lengths_without_a_network_over_seq(run, arrays, tmp_path):
    save(tmp_path / "walk.npz", X=arrays["X"], t=arrays["t"][:, 0], lengths=arrays["lengths"])
    assert "holds lengths, as of sequences, and is read as rows" in run("train walk.npz --epochs 1 -q").err
