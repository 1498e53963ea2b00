"""`deltarule explain`: the page of a run's row."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explanation.test_story import arrays

import deltarule as dr


def story_of(path: Path) -> dict[str, Any]:
    found = re.search(r'id="story">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    story: dict[str, Any] = json.loads(found[1])
    return story


@pytest.fixture
def trained(run: Any) -> str:
    assert run("train iris --epochs 2 --network 4/5/3 --weight-decay 0.01 --output runs/a").code == 0
    return "runs/a"


def test_the_row_that_was_asked_for(run: Any, trained: str) -> None:
    said = run(f"explain {trained} --sample 42 -o page.html")
    assert (said.code, said.out, said.err) == (0, "page.html\n", "")
    story, data = story_of(Path("page.html")), dr.data.read("iris")
    net = dr.load(f"{trained}/model.safetensors")
    found = arrays(story)
    np.testing.assert_array_equal(found["x"], net.preprocessing.inputs(data.X[42:43])[0])
    assert found["t"].argmax() == data.targets[42]
    assert story["optimizer"]["name"] == "adam"  # the run's own, with its η and λ
    assert (story["eta"], story["decay"], story["health"]["rows"]) == (0.001, 0.01, 150)


def test_another_rule_has_its_own_rate(run: Any, trained: str) -> None:
    run(f"explain {trained} --optimizer momentum -o a.html")
    run(f"explain {trained} --optimizer momentum --learning-rate 0.2 -o b.html")
    assert [story_of(Path(name))["eta"] for name in ("a.html", "b.html")] == [0.001, 0.2]


def test_a_model_file_and_data_of_one_s_own(run: Any, trained: str) -> None:
    said = run(f"explain {trained}/model.safetensors")
    assert said.code == 2
    assert "name the data behind it" in said.err
    assert run(f"explain {trained}/model.safetensors iris --sample 1").out == "explain.html\n"
    assert story_of(Path("explain.html"))["optimizer"]["name"] == "sgd"


def test_columns_of_a_table_have_their_names(run: Any) -> None:
    rows = "\n".join(f"{20 + k % 7},{'Graz' if k % 3 else 'Linz'},{'yes' if k % 2 else 'no'}" for k in range(40))
    Path("towns.csv").write_text(f"age,town,answer\n{rows}\n")
    assert run("train towns.csv --target answer --epochs 1 --output runs/t").code == 0
    assert run("explain runs/t --sample 3 -o page.html").code == 0
    names = story_of(Path("page.html"))["names"]
    assert names["columns"] == ["age", "town = Graz", "town = Linz"]
    assert names["classes"] == ["no", "yes"]


def test_a_text(run: Any) -> None:
    Path("book.txt").write_text("the cat sat on the mat, and the rat sat on the cat. " * 8)
    assert run("train book.txt --network 'seq/rnn(6)/*' --epochs 1 --output runs/book").code == 0
    assert run("explain runs/book --sample 4 --steps 5 -o page.html").code == 0
    story = story_of(Path("page.html"))
    signs = story["names"]["vocabulary"]
    assert "".join(signs[int(k)] for k in arrays(story)["x"]) == "cat s"
    assert "".join(signs[k] for k in arrays(story)["t"].argmax(axis=1)) == "at sa"


def test_a_text_that_is_too_short(run: Any) -> None:
    Path("book.txt").write_text("the cat sat on the mat, and the rat sat on the cat. " * 8)
    run("train book.txt --network 'seq/rnn(6)/*' --epochs 1 --output runs/book")
    late, long = run("explain runs/book --sample 396"), run("explain runs/book --steps 500")
    assert (late.code, long.code) == (2, 2)
    assert "book.txt has 416 characters; with --steps 20 the last --sample is 395" in late.err
    assert "book.txt has 416 characters; --steps 500 are too many" in long.err


def test_sequences_end_where_they_end(run: Any) -> None:
    random = np.random.default_rng(0)
    lengths = np.arange(30) % 4 + 3
    np.savez("walks.npz", X=random.normal(size=(30, 6, 2)), t=np.arange(30) % 2, lengths=lengths)
    line = "train walks.npz --network 'seq/rnn(3,last=True)/*' --epochs 1 --output runs/w"
    assert run(line).code == 0
    assert run("explain runs/w --sample 1 -o page.html").code == 0
    assert arrays(story_of(Path("page.html")))["x"].shape == (4, 2)


def test_what_is_wrong_is_said(run: Any, trained: str) -> None:
    for line, words in {
        f"explain {trained} --sample 150": "iris has 150 rows, from 0 to 149; --sample 150 is none of them",
        f"explain {trained} --sample -1": "--sample must be a whole number, at least 0",
        f"explain {trained} --steps 3": "--steps is for texts",
        f"explain {trained} -o page.pdf": "an explanation is an .html file, and page.pdf is none",
        f"explain {trained} wine": "the model was trained on samples of shape (4,)",
        "explain runs/none": "runs/none",
        f"explain {trained} --optimizer adan": "adan",
        f"explain {trained} -o no/such/folder/page.html": "no/such/folder",
    }.items():
        said = run(line)
        assert said.code == 2, line
        assert words in said.err.replace("\n", " "), (line, said.err)


def test_a_wrong_gradient_ends_with_1(run: Any, trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = dr.Dense.backward
    monkeypatch.setattr(dr.Dense, "backward", lambda s, p, d, c: (1.01 * right(s, p, d, c)[0], right(s, p, d, c)[1]))
    said = run(f"explain {trained} -o page.html")
    assert said.code == 1
    assert "do NOT agree" in said.err


def test_a_run_that_left_the_finite_numbers(run: Any, trained: str) -> None:
    net = dr.load(f"{trained}/model.safetensors").astype("float64")
    net.theta[::2], net.theta[1::2] = 1e308, -1e308
    net.save("broken.safetensors")
    said = run("explain broken.safetensors iris")
    assert said.code == 1
    assert "no gradient could be checked: the cost is" in said.err
