"""Estimators in files: what comes back, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.exceptions import NotFittedError

import deltarule as dr
from deltarule import MLPClassifier, MLPRegressor, files
from deltarule.errors import FileFormatError, NewerFormatError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

Array = NDArray[Any]
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(90, 4))
LABELS: dict[str, Array] = {
    "text": np.array(["Ä", "b", "c"])[np.arange(90) % 3], "objects": np.array(["x", "y"], object)[np.arange(90) % 2],
    "numbers": np.array([-3, 5, 2**40])[np.arange(90) % 3], "truth": np.arange(90) % 2 == 0,
    "floats": np.array([0.0, 1.0, 2.0])[np.arange(90) % 3], "many": RANDOM.integers(0, 2, (90, 3)),
    "one": np.zeros(90, int),
}  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {}, "sgd": {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 1},
    "lbfgs": {"solver": "lbfgs"}, "early": {"early_stopping": True, "scoring": "loss", "n_iter_no_change": np.inf},
    "extras": {"dropout": (0.1, 0.2), "activation": ["tanh", "gelu"], "class_weight": {"Ä": 2.0, "b": np.float64(1)}},
    "one against all": {"output_activation": "logistic", "hidden_layer_sizes": np.array([5, 4])},
    "generator": {"random_state": np.random.RandomState(4)}, "float32": {},
}  # fmt: skip


def same(found: Any, expected: Any) -> None:
    """Everything public is, and so is what it learns next."""
    public = [
        n for n in vars(expected) if n.endswith("_") and not n.startswith("_") and n not in ("coefs_", "intercepts_")
    ]
    for name in public:
        np.testing.assert_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert np.asarray(getattr(found, name)).dtype == np.asarray(getattr(expected, name)).dtype, name
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
    for a, b in zip(found.coefs_ + found.best_coefs_, expected.coefs_ + expected.best_coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


@pytest.mark.parametrize("settings", SETTINGS)
def test_classifiers(tmp_path: Path, settings: str) -> None:
    given = {"hidden_layer_sizes": (5, 4), "max_iter": 8, "random_state": 0} | SETTINGS[settings]
    rows = X.astype(np.float32) if settings == "float32" else X
    mlp = MLPClassifier(**given).fit(rows, LABELS["text"], X_val=rows[:20], y_val=LABELS["text"][:20])
    mlp.save(tmp_path / "mlp.safetensors")
    found = MLPClassifier.load(tmp_path / "mlp.safetensors")
    same(found, mlp)
    np.testing.assert_equal(found.get_params()["hidden_layer_sizes"], given["hidden_layer_sizes"])
    if settings not in ("lbfgs", "early"):
        for each in (mlp, found):
            each.partial_fit(rows, LABELS["text"])
        same(found, mlp)


@pytest.mark.parametrize("kind", LABELS)
def test_labels(tmp_path: Path, kind: str) -> None:
    mlp = MLPClassifier((3,), max_iter=3, random_state=0).fit(X, LABELS[kind])
    mlp.save(tmp_path / "mlp.safetensors")
    found = MLPClassifier.load(tmp_path / "mlp.safetensors")
    same(found, mlp)
    assert found.predict(X).dtype == mlp.predict(X).dtype
    assert found.classes_.dtype == mlp.classes_.dtype


def test_regressors_and_names(tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame(X, columns=["a", "b", "ç", 'd"'])
    mlp = MLPRegressor("huber", (3,), huber_threshold=0.2, max_iter=3).fit(table, X[:, :2])
    mlp.save(tmp_path / "mlp.safetensors")
    found = MLPRegressor.load(tmp_path / "mlp.safetensors")
    np.testing.assert_array_equal(found.predict(table), mlp.predict(table))
    assert found.feature_names_in_.tolist() == table.columns.tolist()
    with pytest.raises(ValueError, match="feature names"):
        found.predict(table.rename(columns={"a": "z"}))


def test_what_is_not_fitted_or_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "mlp.safetensors"
    with pytest.raises(NotFittedError):
        MLPClassifier().save(path)
    mlp = MLPClassifier((3,), max_iter=2, scoring=lambda *_: 0.0).fit(X, LABELS["text"])
    with pytest.raises(ValueError, match=r"scoring=<function.*executes nothing"):
        mlp.save(path)
    assert not path.exists()
    mlp.set_params(scoring=None).save(path)


def test_files_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    MLPClassifier((3,), max_iter=2).fit(X, LABELS["text"]).save(path)
    with pytest.raises(FileFormatError, match=r"holds an MLPClassifier.*MLPClassifier\.load reads it"):
        MLPRegressor.load(path)
    with pytest.raises(
        FileFormatError, match=r"not a deltarule model file, but a deltarule estimator: MLPClassifier\.load"
    ):
        dr.load(path)
    dr.Network("4/3", seed=0).save(path)
    with pytest.raises(FileFormatError, match="not a deltarule estimator file, but a deltarule model: load reads it"):
        MLPClassifier.load(path)
    with pytest.raises(FileFormatError, match="there is no such estimator file"):
        MLPClassifier.load(tmp_path / "none")


def content(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    with safe_open(path, "numpy") as f:
        return json.loads(f.metadata()["deltarule estimator"]), {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118


def nested(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth // 3):
        found = {"tuple": [found]}
    return found


CHANGES: dict[str, Any] = {
    "another class": lambda meta, _: meta.update({"class": "Pipeline"}),
    "an unknown field": lambda meta, _: meta.update(more=1),
    "a missing field": lambda meta, _: meta.pop("best"),
    "an unknown parameter": lambda meta, _: meta["parameters"].update(shell="rm"),
    "a parameter out of range": lambda meta, _: meta["parameters"].update(alpha=-1),
    "a parameter of no type": lambda meta, _: meta["parameters"].update(alpha={"code": "x"}),
    "two types at once": lambda meta, _: meta["parameters"].update(alpha={"float": "nan", "tuple": []}),
    "an unknown attribute": lambda meta, _: meta["attributes"].update(predict="x"),
    "another activation": lambda meta, _: meta["attributes"].update(out_activation_="tan"),
    "other layers": lambda meta, _: meta["parameters"].update(activation=["relu", "relu"]),
    "fewer outputs": lambda meta, _: meta["attributes"].update(n_outputs_=2),
    "fewer features": lambda meta, _: meta["attributes"].update(n_features_in_=3),
    "fewer classes": lambda meta, _: meta["labels"].update(values=["b", "c"]),
    "no labels": lambda meta, _: meta.update(labels=None),
    "labels of no type": lambda meta, _: meta["labels"].update(dtype="|V8"),
    "pickled labels": lambda meta, _: meta["labels"].update(dtype="|O", values=[[1], [2], [3]]),
    "labels in another order": lambda meta, _: meta["labels"]["values"].reverse(),
    "another rule": lambda meta, _: meta["descent"].update(rule="nesterov"),
    "a rule of no estimator": lambda meta, _: meta["descent"].update(rule="adamw"),
    "a rule that is none": lambda meta, _: meta["descent"].update(rule="__import__('os')"),
    "a rate that is none": lambda meta, _: meta["descent"].update(learning_rate="x"),
    "no parameters": lambda meta, _: meta["parameters"].clear(),
    "a count that is text": lambda meta, _: meta["attributes"].update(n_iter_="abc"),
    "a count below zero": lambda meta, _: meta["attributes"].update(_steps=-1),
    "a count that is missing": lambda meta, _: meta["attributes"].pop("t_"),
    "another output": lambda meta, _: meta["attributes"].update(out_activation_="relu"),
    "a generator beyond its numbers": lambda meta, _: meta["parameters"].update(
        random_state={"random": ["MT19937", [1] * 624, 10**6, 0, 0.0]}
    ),
    "a short generator": lambda meta, _: meta["parameters"].update(
        random_state={"random": ["MT19937", [1], 0, 0, 0.0]}
    ),
    "nested too deep": lambda meta, _: meta["parameters"].update(class_weight=nested(600)),
    "long labels": lambda meta, _: meta["labels"].update(dtype="<U60000000"),
    "names that are none": lambda meta, _: meta.update(names=["a", [2], None, "d"]),
    "a curve of two axes": lambda _, arrays: arrays.update(loss_curve_=np.zeros((2, 2))),
    "a best that is not finite": lambda _, arrays: arrays["best"].fill(np.nan),
    "a state that is not finite": lambda _, arrays: arrays["state.mean"].fill(np.inf),
    "one array too many": lambda _, arrays: arrays.update(more=np.zeros(2)),
    "no best": lambda meta, _: meta.update(best=[]),
    "a name too few": lambda meta, _: meta.update(names=["a"]),
    "a curve that is not there": lambda meta, _: meta["curves"].append("validation_scores_"),
    "a gap in the layers": lambda _, arrays: arrays.update({"coefs.5": arrays.pop("coefs.1")}),
    "no layers": lambda _, arrays: [arrays.pop(name) for name in list(arrays) if name.startswith("coefs")],
    "weights of another shape": lambda _, arrays: arrays.update({"coefs.0": np.zeros((3, 3))}),
    "intercepts of another shape": lambda _, arrays: arrays.update({"intercepts.0": np.zeros(2)}),
    "weights that are not finite": lambda _, arrays: arrays["coefs.0"].fill(np.nan),
    "whole numbers as weights": lambda _, arrays: arrays.update({"coefs.0": arrays["coefs.0"].astype(int)}),
    "a state of another shape": lambda _, arrays: arrays.update({"state.mean": np.zeros(2)}),
    "another best": lambda _, arrays: arrays.update({"best": np.zeros(2)}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_is_held_against_what_it_must_be(tmp_path: Path, change: str) -> None:
    """Its checksum is made right again, so that the content itself is looked at."""
    path = tmp_path / "a.safetensors"
    MLPClassifier((3,), max_iter=2).fit(X, LABELS["text"]).save(path)
    meta, arrays = content(path)
    CHANGES[change](meta, arrays)
    del meta["format"]
    files.write(path, arrays, meta, files.ESTIMATOR)
    with pytest.raises(FileFormatError, match=r"a\.safetensors"):
        MLPClassifier.load(path)


def test_damage_and_newer_files(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    MLPClassifier((3,), max_iter=2).fit(X, LABELS["text"]).save(path)
    with safe_open(path, "numpy") as f:
        header = f.metadata()
    _, arrays = content(path)
    arrays["coefs.0"][0, 0] += 1
    save_file(arrays, path, header)
    with pytest.raises(FileFormatError, match="damaged"):
        MLPClassifier.load(path)
    save_file(
        arrays, path, {"deltarule estimator": header["deltarule estimator"].replace('"format": 1', '"format": 9')}
    )
    with pytest.raises(NewerFormatError, match="newer"):
        MLPClassifier.load(path)


def test_whatever_was_changed_since_the_fit_is_kept(tmp_path: Path) -> None:
    """Another solver, other constants, coefficients of another shape or type: what predicts can be saved."""
    path, y = tmp_path / "a.safetensors", LABELS["text"]
    mlp = MLPClassifier((3,), max_iter=2, random_state=0).fit(X, y)
    for change in ({"solver": "sgd"}, {"momentum": 0.0}, {"solver": "lbfgs"}, {"beta_1": 0.5}):
        mlp.set_params(**change).save(path)
        same(MLPClassifier.load(path), mlp)
    mlp.set_params(solver="adam")
    mlp.coefs_ = [c.astype(np.float32) for c in mlp.coefs_]
    mlp.intercepts_ = [b.astype(np.float32) for b in mlp.intercepts_]
    mlp.save(path)
    np.testing.assert_array_equal(MLPClassifier.load(path).predict_proba(X), mlp.predict_proba(X))
    mlp.coefs_, mlp.intercepts_ = [np.ones((4, 2)), np.eye(2, 3)], [np.zeros(2), np.zeros(3)]
    mlp.save(path)
    np.testing.assert_array_equal(MLPClassifier.load(path).predict_proba(X), mlp.predict_proba(X))


def test_sparse_labels(tmp_path: Path) -> None:
    import scipy.sparse

    mlp = MLPClassifier((3,), max_iter=2).fit(X, scipy.sparse.csr_matrix(LABELS["many"]))
    mlp.save(tmp_path / "a.safetensors")
    assert scipy.sparse.issparse(MLPClassifier.load(tmp_path / "a.safetensors").predict(X))
