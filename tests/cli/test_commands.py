"""The commands together, as a user types them."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest

import deltarule as dr

FAST = "train iris --network 4/8/3 --epochs 3 --output runs/a"


@pytest.fixture
def houses(tmp_path):
    random = np.random.default_rng(0)
    rooms, town = random.integers(1, 9, 120), random.choice(["Graz", "Linz", "Wien"], 120)
    price = 50 * rooms + 100 * (town == "Wien") + random.normal(0, 5, 120)
    lines = [f"{r},{w},{p:.2f}" for r, w, p in zip(rooms, town, price)]
    (tmp_path / "houses.csv").write_text("rooms,town,price\n" + "\n".join(lines) + "\n", encoding="utf-8")


def test_first_light(run, tmp_path):
    """`deltarule train digits` reaches 0.96 held out with the defaults, and its folder reads back."""
    said = run("train digits")
    assert said.code == 0
    assert said.out.count("epoch ") == 20
    folder = tmp_path / "runs" / "digits-1"
    checkpoint = "checkpoint-000000000900.safetensors"
    assert {checkpoint, "history.jsonl", "model.safetensors", "run.toml"} <= {p.name for p in folder.iterdir()}
    found = tomllib.loads((folder / "run.toml").read_text(encoding="utf-8"))
    accuracy = found["result"]["held_out"]["accuracy"]
    assert accuracy >= 0.96
    evaluated = run("evaluate runs/digits-1 digits")
    assert "359 rows held out" in evaluated.out
    assert f"{accuracy:.4f}" in evaluated.out
    assert f"{accuracy:.4f}" in run("info runs/digits-1").out
    records = [json.loads(line) for line in (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [r["epoch"] for r in records] == list(range(1, 21))


def test_predict_answers_raw_rows(run, tmp_path):
    run("train digits --epochs 3 -q --output runs/a")
    from sklearn.datasets import load_digits

    X, t = load_digits(return_X_y=True)
    np.save(tmp_path / "rows.npy", X[:50])
    answers = np.array(run("predict runs/a rows.npy").out.split(), dtype=int)
    np.testing.assert_array_equal(answers, dr.load(tmp_path / "runs/a/model.safetensors").predict(X[:50]))
    assert np.mean(answers == t[:50]) > 0.8
    np.save(tmp_path / "one.npy", X[:1])
    assert run("predict runs/a one.npy").out.split() == [str(answers[0])]
    table = run("predict runs/a rows.npy --probabilities").out.splitlines()
    assert table[0].split(",")[:2] == ["prediction", "p(0)"]
    assert np.isclose(sum(map(float, table[1].split(",")[1:])), 1, atol=1e-4)
    run("predict runs/a rows.npy --output answers.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "answers.npy"), answers)


def test_words_and_numbers_in_a_csv(run, houses, tmp_path):
    """Regression on mixed columns: standardised inside, in the target's units outside."""
    said = run("train houses.csv --target price --epochs 120 --learning-rate 0.01 -q")
    assert said.code == 0
    found = tomllib.loads((tmp_path / "runs/houses-1/run.toml").read_text(encoding="utf-8"))
    assert found["data"]["task"] == "regression"
    assert found["result"]["held_out"]["rmse"] < 12
    (tmp_path / "new.csv").write_text("town,rooms\nWien,4\nGraz,4\n", encoding="utf-8")
    wien, graz = map(float, run("predict runs/houses-1 new.csv").out.split())
    assert wien == pytest.approx(300, abs=25)
    assert graz == pytest.approx(200, abs=25)
    with_target = run("predict runs/houses-1 houses.csv")
    assert with_target.code == 0
    assert len(with_target.out.split()) == 120
    assert run("evaluate runs/houses-1 houses.csv").out.startswith("houses is what this run was trained on")
    assert "town: one of Graz, Linz, Wien" in run("info runs/houses-1").out


def test_classes_that_are_words(run, tmp_path):
    lines = [f"{x},{'big' if x > 5 else 'small'}" for x in np.linspace(0, 10, 80)]
    (tmp_path / "sizes.csv").write_text("x,size\n" + "\n".join(lines) + "\n", encoding="utf-8")
    assert run("train sizes.csv --target size -q --learning-rate 0.03").code == 0
    (tmp_path / "new.csv").write_text("x\n0.5\n9.5\n", encoding="utf-8")
    assert run("predict runs/sizes-1 new.csv").out.split() == ["small", "big"]
    assert run("train sizes.csv --target size -q --network 1/8/1 --output runs/one").code == 0
    assert run("predict runs/one new.csv --probabilities").out.splitlines()[0] == "prediction,p(big),p(small)"


def test_an_idx_folder_has_its_own_test_split(run, data_folder):
    said = run(f"train {data_folder / 'mnist'} --network 784/10 --epochs 1 --batch-size 500 --learning-rate 0.01 -q")
    assert said.code == 0
    assert "60,000 rows to train on" in said.out
    assert "its own test split" in run(f"evaluate runs/mnist-1 {data_folder / 'mnist'}").out
    assert "pixels as x/255" in run("info runs/mnist-1").out


@pytest.mark.parametrize("cost", ["squared error", "huber(0.5)", "quantile(0.9)", "absolute"])
def test_costs_of_a_regression(run, cost):
    assert run(f"train diabetes --cost '{cost}' --epochs 2 -q").code == 0


def test_the_last_layer_may_name_its_own_activation(run):
    said = run("train diabetes --network '*/8/1:softplus' --epochs 2 -q")
    assert said.code == 0
    assert "10/8/1:softplus" in said.out


def test_poisson_regression_keeps_counts(run, tmp_path):
    random = np.random.default_rng(1)
    x = random.normal(size=300)
    np.savez(tmp_path / "counts.npz", X=x[:, None], t=random.poisson(np.exp(0.5 * x + 1)).astype(float))
    said = run("train counts.npz --task regression --output-activation exp --network '*/*' --learning-rate 0.02")
    assert said.code == 0
    np.save(tmp_path / "zero.npy", np.zeros((1, 1)))
    assert float(run("predict runs/counts-1 zero.npy").out) == pytest.approx(np.e, rel=0.15)


def test_folders_are_numbered_and_never_overwritten(run, tmp_path):
    run("train iris --epochs 1 -q")
    run("train iris --epochs 1 -q")
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["iris-1", "iris-2"]
    said = run("train iris --epochs 1 -q --output runs/iris-1")
    assert said.code == 2
    assert "not empty" in said.err


def test_the_same_seed_gives_the_same_file(run, tmp_path):
    run("train iris --epochs 2 -q --output runs/a")
    run("train iris --epochs 2 -q --output runs/b")
    run("train iris --epochs 2 -q --output runs/c --seed 1")
    a, b, c = ((tmp_path / "runs" / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_check(run):
    said = run("check 6/5:tanh/dropout(0.5)/3 --dropout --weight-decay 0.1")
    assert said.code == 0
    assert "the gradient is right" in said.out
    run(FAST)
    assert run("check runs/a").code == 0


def test_check_finds_a_wrong_gradient(run, monkeypatch):
    monkeypatch.setattr(dr.activations.Tanh, "derivative", lambda self, z, a: 1 - a)
    said = run("check 6/5:tanh/3")
    assert said.code == 1
    assert "WRONG" in said.out


def test_a_diverged_run_keeps_finite_weights(run, tmp_path):
    said = run("train digits --optimizer sgd --learning-rate 1e30 -q --output runs/a")
    assert said.code == 2
    assert "epoch 1, step 2: layer 2" in said.err
    assert np.isfinite(dr.load(tmp_path / "runs/a/model.safetensors").theta).all()
    assert "result: training diverged in epoch 1" in run("info runs/a").out


def test_what_is_wrong_in_the_held_out_rows_is_said_before_training(run, tmp_path):
    X = np.arange(60.0).reshape(30, 2)
    np.savez(tmp_path / "a.npz", X=X, t=np.arange(30) % 2, X_test=X, t_test=np.full(30, 7))
    said = run("train a.npz")
    assert said.code == 2
    assert "label unseen at training" in said.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("format = 1", "'data' is missing"),
        ("format = 9", "format 9"),
        ("format = 1\ndata = 3", "expected a table"),
        ("format = 1\n[data]\nname = 3", "'name' must be str"),
        ("not toml at all", "not readable"),
    ],
)
def test_a_run_file_that_is_not_ours(run, tmp_path, text, expected):
    run(FAST)
    (tmp_path / "runs/a/run.toml").write_text(text, encoding="utf-8")
    for command in ("info runs/a", "evaluate runs/a iris", "predict runs/a iris"):
        said = run(command)
        assert said.code == 2
        assert expected in said.err
        assert said.out == ""


def test_an_output_that_cannot_be_written(run, tmp_path):
    run(FAST)
    said = run("predict runs/a iris --output nowhere/x.csv")
    assert said.code == 2
    assert "nowhere" in said.err


def test_an_embedded_name_wins_over_a_file_and_says_so(run, tmp_path):
    (tmp_path / "iris").mkdir()
    said = run("train iris --epochs 1 -q")
    assert said.code == 0
    assert "Note: 'iris' is the embedded data set" in said.err


def test_help_has_examples(run):
    for command in ("train", "evaluate", "predict", "check", "info"):
        said = run(f"{command} --help")
        assert said.code == 0
        assert f"deltarule {command} " in said.out.partition("Examples:")[2]
    assert run("--version").out.startswith("deltarule ")
