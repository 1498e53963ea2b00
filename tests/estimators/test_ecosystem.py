"""In scikit-learn's company: pipelines, searches, calibration, routing, tables, notebooks, pickles."""

from __future__ import annotations

import pickle
import re
import warnings
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context, set_config
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from deltarule import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
SETTINGS: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_iter": 60, "learning_rate_init": 0.02, "random_state": 0}


def mlp(**given: Any) -> MLPClassifier:
    return MLPClassifier(**(SETTINGS | given))


def test_pipeline_and_search() -> None:
    pipe = Pipeline([("scale", StandardScaler()), ("mlp", mlp())])
    search = GridSearchCV(pipe, {"mlp__alpha": [1e-4, 1e-2], "mlp__dropout": [0.0, 0.2]}, cv=3, n_jobs=2).fit(X, y)
    assert search.best_score_ > 0.9
    alone = GridSearchCV(pipe, {"mlp__alpha": [1e-4, 1e-2], "mlp__dropout": [0.0, 0.2]}, cv=3).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


def test_cross_validation_ensembles_calibration() -> None:
    found = cross_validate(make_pipeline(StandardScaler(), mlp()), X, y, cv=3, return_estimator=True)
    assert found["test_score"].mean() > 0.9
    for meta in (
        CalibratedClassifierCV(mlp(), cv=3), BaggingClassifier(mlp(), n_estimators=2, random_state=0),
        StackingClassifier([("a", mlp()), ("b", mlp(random_state=1))], cv=3),
    ):  # fmt: skip
        assert meta.fit(X, y).score(X, y) > 0.9
    z = X[:, 0] * 100
    regressor = TransformedTargetRegressor(MLPRegressor(**(SETTINGS | {"max_iter": 300})), transformer=StandardScaler())
    assert regressor.fit(X[:, 1:], z).score(X[:, 1:], z) > 0.7


@pytest.mark.parametrize("library", [pd, pl])
def test_tables(library: Any) -> None:
    """Names are kept and held against those of later tables."""
    table = library.DataFrame(dict(zip("abcd", X.T)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=UserWarning, message="Stochastic Optimizer")
        fitted = mlp(early_stopping=True).fit(table, y, X_val=table[:30], y_val=y[:30])
        np.testing.assert_array_equal(fitted.predict_proba(table), mlp(early_stopping=True).fit(
            X, y, X_val=X[:30], y_val=y[:30]).predict_proba(X))  # fmt: skip
    assert fitted.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(table.rename(columns={"a": "z"}) if library is pd else table.rename({"a": "z"}))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        fitted.predict(X)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(library: str) -> None:
    pipe = make_pipeline(StandardScaler(), mlp()).set_output(transform=library)
    table = {"pandas": pd, "polars": pl}[library].DataFrame(dict(zip("abcd", X.T)))
    assert pipe.fit(table, y)[-1].feature_names_in_.tolist() == list("abcd")
    assert pipe.score(table, y) > 0.9


def test_metadata_routing() -> None:
    """Weights and validation data find their way through a pipeline, which transforms the latter."""
    w = np.linspace(0.5, 2, len(y))
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        own = mlp().set_fit_request(sample_weight=True, X_val=True, y_val=True)
        pipe = Pipeline([("scale", scaler), ("mlp", own)], transform_input=["X_val"])
        pipe.fit(X, y, sample_weight=w, X_val=X[:50], y_val=y[:50])
    Z = StandardScaler().fit_transform(X)
    expected = mlp().fit(Z, y, w, X_val=Z[:50], y_val=y[:50])
    np.testing.assert_array_equal(pipe[-1].coefs_[0], expected.coefs_[0])
    assert pipe[-1].validation_loss_curve_ == expected.validation_loss_curve_
    set_config(enable_metadata_routing=False)


def test_a_step_before_it_may_give_lists() -> None:
    pipe = make_pipeline(FunctionTransformer(lambda rows: rows.tolist()), mlp())
    assert pipe.fit(X, y).predict(X).shape == (150,)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("way", ["pickle", "joblib", "clone"])
def test_copies(way: str, solver: str) -> None:
    """The same answers; a pickle goes on learning where it stood."""
    fitted = mlp(solver=solver, early_stopping=solver == "sgd").fit(X, y)
    if way == "clone":
        copy = clone(fitted)
        assert not hasattr(copy, "coefs_")
        np.testing.assert_array_equal(copy.fit(X, y).predict_proba(X), fitted.predict_proba(X))
        return
    if way == "pickle":
        copy = pickle.loads(pickle.dumps(fitted))
    else:
        joblib.dump(fitted, stream := BytesIO())
        stream.seek(0)
        copy = joblib.load(stream)
    np.testing.assert_array_equal(copy.predict_proba(X), fitted.predict_proba(X))
    assert copy.best_epoch_ == fitted.best_epoch_
    if solver == "adam":
        np.testing.assert_array_equal(copy.partial_fit(X, y).coefs_[0], fitted.partial_fit(X, y).coefs_[0])


def test_a_pickle_holds_the_weights_once() -> None:
    """θ and the lists that are its views, the optimiser's two moments, the best."""
    fitted = MLPClassifier((300,), max_iter=2, random_state=0).fit(X, y)
    size = 8 * sum(a.size for a in fitted.coefs_ + fitted.intercepts_)
    assert len(pickle.dumps(fitted)) < 4 * size + 20_000


def test_a_row_alone_and_in_a_crowd() -> None:
    """The same bits."""
    fitted = mlp().fit(X, y)
    whole = fitted.predict_proba(X)
    for k in (0, 3, 149):
        np.testing.assert_array_equal(fitted.predict_proba(X[k : k + 1])[0], whole[k])
        np.testing.assert_array_equal(fitted.predict_proba(X[k:])[0], whole[k])


EMPTY = ("input", "br", "meta", "link")


class Tags(HTMLParser):
    """Opened and closed tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.open.pop() == tag


def picture(estimator: Any) -> str:
    found: str = re.search("<svg.*?</svg>", estimator._repr_html_(), re.DOTALL).group()  # type: ignore[union-attr]
    return found


def test_html() -> None:
    """scikit-learn's table, and the network: 4 inputs, 8 hidden units, 3 outputs, a line for each weight."""
    fitted = mlp().fit(X, y)
    page = fitted._repr_html_()
    assert Tags(page).open == []
    assert "hidden_layer_sizes" in page
    found = Tags(picture(fitted)).found
    assert sum(tag == "circle" for tag, _ in found) == 15
    assert sum(str(a["d"]).count("M") for tag, a in found if tag == "path") == 4 * 8 + 8 * 3
    for text in (">4<", ">inputs<", ">8<", ">relu<", ">3<", ">softmax<"):
        assert text in picture(fitted)
    before = picture(MLPRegressor(hidden_layer_sizes=(400, 2), dropout=[0.5, 0], activation=["tanh", "relu"]))
    for text in (">?<", ">400<", ">tanh<", ">dropout 0.5<", ">relu<", ">outputs<"):
        assert text in before


def test_html_of_hostile_settings() -> None:
    page = MLPClassifier(activation="<script>alert(1)</script>", output_activation="<i onload=x>")._repr_html_()
    assert "<script>alert(1)" not in page
    assert "<i onload=x>" not in page
    assert "&lt;script&gt;" in page
    for hidden in ((0,), "many", None):
        assert "<svg xmlns" not in MLPClassifier(hidden)._repr_html_()
