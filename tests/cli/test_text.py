"""A text on the command line: learnt, resumed, scored, continued; and what is no text, or no network for one."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from deltarule import generate, load

VERSE = "the rain in spain stays mainly in the plain.\n"
OPTIONS = "--network seq/rnn(16)/* --epochs 3 --batch-size 4 --truncate 8 --learning-rate 0.01"


@pytest.fixture
def book(tmp_path: Path) -> str:
    """2,250 characters of 15 kinds."""
    (tmp_path / "book.txt").write_text(VERSE * 50)
    return "book.txt"


def test_a_text_is_learnt(run, book):
    said = run(f"train {book} {OPTIONS} --epochs 20")
    assert said.code == 0, said.err
    assert "2,025 characters to train on, seq(15)/rnn(16)/15" in said.out
    assert "nats" in said.out
    assert "bits" in said.out
    net = load("runs/book-1/model.safetensors")
    assert net.vocabulary is not None
    assert net.vocabulary.characters == "".join(sorted(set(VERSE)))
    history = [json.loads(line) for line in Path("runs/book-1/history.jsonl").read_text().splitlines()]
    assert history[-1]["cost"] < 0.5 * history[0]["cost"]
    said = run(f"evaluate runs/book-1 {book}")
    assert "only its last 225 characters are scored" in said.out
    tokens = net.encode(VERSE * 5)
    X, t = tokens[:-1].reshape(32, 7), tokens[1:].reshape(32, 7)  # 32 streams
    scores = net.evaluate(X, t)
    found = said.out.split("held out")[1].split()
    assert found[:4] == [
        "225",
        f"{scores['accuracy']:.4f}",
        f"{scores['cost'] / math.log(2):.4f}",
        f"{scores['cost']:.4f}",
    ]
    assert "vocabulary: 15 characters" in run("info runs/book-1").out


def test_what_is_generated(run, book):
    run(f"train {book} {OPTIONS}")
    line = "generate runs/book-1 --prompt 'the ' --temperature 1.5 --length 50"
    said = run(f"{line} --seed 1")
    assert said.code == 0
    assert said.out.startswith("the ")
    assert len(said.out) == 4 + 50 + 1
    assert said.out == run(f"{line} --seed 1").out
    assert said.out != run(f"{line} --seed 2").out
    net = load("runs/book-1/model.safetensors")
    assert said.out == "the " + generate(net, "the ", 50, temperature=1.5, seed=1) + "\n"
    assert run("generate runs/book-1 --temperature 0 --seed 1").out == run("generate runs/book-1 --temperature 0").out


def test_the_next_characters(run, book, tmp_path):
    run(f"train {book} {OPTIONS}")
    (tmp_path / "begin.txt").write_text("the r")
    lines = run("predict runs/book-1 begin.txt").out.splitlines()
    assert [line.split(",")[0] for line in lines] == [*"the r"]
    _, *lines = run("predict runs/book-1 begin.txt --probabilities").out.replace('"\n",', "").splitlines()[-6:]
    chances = np.array([[float(p) for p in line.split(",")[2:]] for line in lines])
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-4)


def test_resuming_a_text_is_going_on(run, book, monkeypatch):
    """The state of the streams is carried over an interruption."""
    run(f"train {book} {OPTIONS} --output whole")
    from deltarule.training.checkpoint import Keeper

    keep, calls = Keeper.keep, []

    def interrupted(self, *args, **named):
        keep(self, *args, **named)
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Keeper, "keep", interrupted)
    assert run(f"train {book} {OPTIONS} --checkpoint-every 0 --output runs/a").code == 130
    monkeypatch.setattr(Keeper, "keep", keep)
    assert run("train --resume runs/a -q").code == 0
    assert Path("runs/a/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()


def test_validation_and_early_stopping(run, book):
    said = run(f"train {book} {OPTIONS} --validation 0.2 --patience 2")
    assert said.code == 0, said.err
    assert "validation cost" in said.out


@pytest.mark.parametrize("text", ["ab", "abab", "hello world"])
def test_short_texts(run, tmp_path, text):
    (tmp_path / "short.txt").write_text(text)
    said = run("train short.txt --epochs 1 --held-out 0.4 -q")
    assert said.code == (0 if len(text) > 3 else 2)
    if said.code:
        assert "--held-out 0.4 of 2 characters leaves too few to learn or to score" in said.err


def test_a_text_of_another_name(run, tmp_path):
    (tmp_path / "poem.md").write_text(VERSE * 9)
    assert run("train poem.md --network seq/rnn(4)/* --epochs 1 -q").code == 0
    assert Path("runs/poem.md-1").is_dir()
    assert "a text (.txt) is for a network over seq" in run("train poem.md").err


@pytest.mark.parametrize(("content", "said"), [
    (b"", "book.txt: is empty; there is nothing to learn from"),
    (b"aaaaaaaa", "consists of the character 'a' alone; a model of text needs two characters or more"),
    (b"abc\xff\xfe" * 50, "the byte at offset 3 (0xff) is no UTF-8; convert the file"),
])  # fmt: skip
def test_what_is_no_text(run, tmp_path, content, said):
    (tmp_path / "book.txt").write_bytes(content)
    result = run("train book.txt")
    assert result.code == 2
    assert said in result.err
    assert not Path("runs/book-1").exists()


@pytest.mark.parametrize(("options", "said"), [
    ("--network 784/10", "takes no text; a network that does begins with seq, such as seq/rnn(128)/*"),
    ("--network seq(20)/rnn(4)/20", "has 15 different characters: its network takes seq(15) and answers 15"),
    ("--network seq/rnn(4)/7", "has 15 different characters"),
    ("--network seq/rnn(4,last=True)/*", "and answers 15 at every step"),
    ("--network seq/rnn(4)/*:sigmoid", "output softmax with cross-entropy, not 'sigmoid' with 'binary_cross_entropy'"),
    ("--cost squared_error", "output softmax with cross-entropy, not 'softmax' with 'squared_error'"),
    ("--target 3", "a text is learnt character by character, in streams: leave out --target"),
    ("--balanced --grey", "leave out --colour/--grey, --balanced"),
    ("--minimizer cg", "leave out --minimizer"),
    ("--truncate 0", "--truncate must be a whole number, at least 1"),
    ("--held-out 1", "--held-out must be a finite number, above 0 and below 1"),
])  # fmt: skip
def test_what_a_text_has_no_use_for(run, book, options, said):
    result = run(f"train {book} {options}")
    assert result.code == 2
    assert said in result.err


def test_what_was_never_seen(run, book, tmp_path):
    run(f"train {book} {OPTIONS} -q")
    said = run("generate runs/book-1 --prompt 'the Ä'")
    assert said.code == 2
    assert "the prompt: the model has never seen 'Ä' (first at character 4); it knows" in said.err
    (tmp_path / "other.txt").write_text("QUITE")
    assert "other.txt: the model has never seen 'E', 'I', 'Q', 'T', 'U'" in run("evaluate runs/book-1 other.txt").err
    assert "length must be a whole number, at least 1" in run("generate runs/book-1 --length 0").err
    assert "temperature must be a finite number, at least 0" in run("generate runs/book-1 --temperature -1").err
    run("train iris --epochs 1 -q")
    assert "writes no text: that takes a vocabulary" in run("generate runs/iris-1").err


def test_rows_have_no_steps(run):
    assert "seq is for sequences and these data" not in run("train iris --epochs 1 -q").err
    assert "--truncate cuts sequences and texts" in run("train iris --truncate 5").err
    assert "sequences are read from .npz" in run("train iris --network seq/rnn(4)/*").err


@pytest.mark.parametrize("name", ["rows.csv", "X.npy", "cat.png"])
def test_files_of_another_kind_are_no_texts(run, book, tmp_path, name):
    (tmp_path / name).write_bytes(b"a,b\n1,2\n")
    run(f"train {book} {OPTIONS} -q")
    for line in (f"evaluate runs/book-1 {name}", f"predict runs/book-1 {name}"):
        said = run(line)
        assert said.code == 2
        assert f"{name}: is no text; a network over characters takes one file of UTF-8" in said.err
    assert "sequences are read from .npz" in run(f"train {name} --network seq/rnn(4)/*").err


def test_little_of_a_short_text_is_left_out(run, tmp_path):
    (tmp_path / "short.txt").write_text(VERSE * 80)  # 3,240 characters to learn from: 101 steps in 32 streams
    run("train short.txt --network seq/rnn(4)/* --epochs 1 -q")
    assert "truncate = 50" in Path("runs/short-1/run.toml").read_text()
    (tmp_path / "shorter.txt").write_text(VERSE * 79)  # 99 steps: two windows of 49, not one of 50
    run("train shorter.txt --network seq/rnn(4)/* --epochs 1 -q")
    assert "truncate = 49" in Path("runs/shorter-1/run.toml").read_text()
