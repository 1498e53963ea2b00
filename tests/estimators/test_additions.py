"""What scikit-learn's networks do not have: class weights, dropout, losses, outputs, validation, scorers, threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.metrics import log_loss, make_scorer, mean_absolute_error
from sklearn.utils import compute_sample_weight

import deltarule as dr
from deltarule import MLPClassifier, MLPRegressor
from deltarule.engines import native

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

Array = NDArray[Any]


def classes(m: int = 120, K: int = 3) -> tuple[Array, Array]:
    random = np.random.default_rng(K)
    X = random.normal(size=(m, 4))
    return X, np.array(["a", "b", "c"])[np.minimum((X[:, 0] + X[:, 1] ** 2 > 0.7).astype(int) + (X[:, 2] > 0.5), K - 1)]


def values(m: int = 200) -> tuple[Array, Array]:
    random = np.random.default_rng(1)
    X = random.uniform(-2, 2, size=(m, 2))
    return X, np.sin(X[:, 0]) + random.standard_exponential(m) * 0.3


def classifier(**given: Any) -> MLPClassifier:
    return MLPClassifier(**({"hidden_layer_sizes": (8,), "random_state": 0, "max_iter": 15} | given))


def regressor(**given: Any) -> MLPRegressor:
    return MLPRegressor(**({"hidden_layer_sizes": (8,), "random_state": 0, "max_iter": 15} | given))


# Weights of classes


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("weight", ["balanced", {"a": 1, "b": 3, "c": 0.5}, {"b": 2}])
def test_class_weight(weight: Any, solver: str) -> None:
    """The same as weights of the rows; both multiply."""
    X, y = classes()
    own = np.linspace(0.5, 1.5, len(y))
    found = classifier(class_weight=weight, solver=solver).fit(X, y, own)
    expected = classifier(solver=solver).fit(X, y, own * compute_sample_weight(weight, y))
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    assert not np.array_equal(found.predict_proba(X), classifier(solver=solver).fit(X, y, own).predict_proba(X))


def test_class_weight_of_many_labels() -> None:
    X, y = classes()
    Y = np.column_stack([y == "a", y == "b"]).astype(int)
    weight = [{0: 1, 1: 5}, {0: 1, 1: 2}]
    found = classifier(class_weight=weight).fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(found, classifier().fit(X, Y, compute_sample_weight(weight, Y)).predict_proba(X))


def test_balanced_needs_all_rows() -> None:
    X, y = classes()
    with pytest.raises(ValueError, match=r"'balanced' is not supported for partial_fit.*pass a dict"):
        classifier(class_weight="balanced").partial_fit(X, y, classes=["a", "b", "c"])
    classifier(class_weight={"a": 2}).partial_fit(X, y, classes=["a", "b", "c"])


# Dropout and activations


def test_dropout() -> None:
    X, y = classes()
    plain, dropped = classifier().fit(X, y), classifier(dropout=0.4).fit(X, y)
    assert plain.loss_curve_[0] != dropped.loss_curve_[0]
    np.testing.assert_array_equal(dropped.coefs_[0], classifier(dropout=[0.4]).fit(X, y).coefs_[0])
    np.testing.assert_array_equal(plain.coefs_[0], classifier(dropout=[0]).fit(X, y).coefs_[0])
    assert not np.array_equal(dropped.coefs_[0], classifier(dropout=0.4, random_state=1).fit(X, y).coefs_[0])
    np.testing.assert_array_equal(dropped.predict_proba(X[:1]), dropped.predict_proba(X)[:1])  # off when asked


def test_dropout_is_the_library_s() -> None:
    """One epoch in order, against `dr.train` of the same network with the same seed."""
    X, y = values(64)
    mlp = regressor(dropout=(0.3,), alpha=0, shuffle=False, solver="sgd", momentum=0, batch_size=16, max_iter=1)
    start = regressor(alpha=0, shuffle=False, solver="sgd", momentum=0, learning_rate_init=1e-300, max_iter=1)
    start.fit(X, y)
    mlp.fit(X, y)
    net = dr.Network([dr.Dense(8), dr.Dropout(0.3), dr.Dense(1, "identity")], input_shape=(2,), dtype="float64")
    net.theta = np.concatenate([a.T.ravel() for pair in zip(start.coefs_, start.intercepts_) for a in pair])
    dr.train(
        net, X, y, optimizer="sgd", learning_rate=0.001, epochs=1, batch_size=16, shuffle=False, seed=mlp._seed,
        verbose=False,
    )  # fmt: skip
    np.testing.assert_allclose(mlp.coefs_[0], net.parameters()["1.W"].T, rtol=1e-12)
    np.testing.assert_allclose(mlp.intercepts_[1], net.parameters()["3.b"], rtol=1e-12)


def test_activations() -> None:
    """By name, one for all or one a layer; the network's outputs are those of ours with the same parameters."""
    X, y = classes()
    mlp = classifier(hidden_layer_sizes=(6, 5, 4), activation=["leaky relu", "gelu", "logistic"]).fit(X, y)
    net = dr.Network("4/6:leaky_relu/5:gelu/4:sigmoid/3", dtype="float64")
    net.theta = np.concatenate([a.T.ravel() for pair in zip(mlp.coefs_, mlp.intercepts_) for a in pair])
    np.testing.assert_array_equal(mlp.predict_proba(X), net.predict_proba(X))
    same = classifier(hidden_layer_sizes=(6, 5), activation=["tanh", "tanh"]).fit(X, y)
    np.testing.assert_array_equal(
        same.coefs_[0], classifier(hidden_layer_sizes=(6, 5), activation="tanh").fit(X, y).coefs_[0]
    )


def test_initial_weights_follow_each_layers_activation() -> None:
    X, y = classes()
    mlp = classifier(
        hidden_layer_sizes=(50, 50), activation=["logistic", "relu"], learning_rate_init=1e-300, max_iter=1
    )
    mlp.fit(X, y)
    for coef, factor in zip(mlp.coefs_, (2, 6, 6)):
        bound = np.sqrt(factor / sum(coef.shape))
        assert 0.9 * bound < np.abs(coef).max() < bound


# Losses and outputs


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "absolute_error", "huber", "quantile"])
def test_losses_are_the_librarys_costs(loss: str) -> None:
    X, y = values()
    y = np.abs(y)
    Y = np.column_stack([y, y**2])
    mlp = regressor(loss=loss, huber_threshold=0.3, quantile=0.8, alpha=0.0).fit(X, Y)
    cost = {
        "absolute_error": "absolute", "huber": "huber(0.3)", "quantile": "quantile(0.8)"
    }.get(loss, loss.replace("_", " "))  # fmt: skip
    net = dr.Network("2/8/2", output="exp" if loss == "poisson" else "identity", cost=cost, dtype="float64")
    net.theta = np.concatenate([a.T.ravel() for pair in zip(mlp.coefs_, mlp.intercepts_) for a in pair])
    C, g = net.cost_and_gradient(X, Y)
    vector = mlp._network().packed(net.theta)
    found = mlp._loss_grad_lbfgs(vector, X, Y, None)
    assert found[0] == pytest.approx(C + (np.mean((Y * np.log(Y) - Y).sum(axis=1)) if loss == "poisson" else 0))
    np.testing.assert_allclose(found[1], mlp._network().packed(g), atol=1e-15)


def test_a_quantile_lies_above_its_share() -> None:
    X, y = values(600)
    for q in (0.1, 0.5, 0.9):
        mlp = regressor(loss="quantile", quantile=q, solver="lbfgs", max_iter=400, hidden_layer_sizes=(4,))
        below = np.mean(y <= mlp.fit(X, y).predict(X))
        assert below == pytest.approx(q, abs=0.05)


def test_robust_losses_are_robust() -> None:
    X, y = values(400)
    spoilt = y.copy()
    spoilt[::20] += 100
    errors = {
        loss: mean_absolute_error(
            y, regressor(loss=loss, max_iter=300, learning_rate_init=0.01).fit(X, spoilt).predict(X)
        )
        for loss in ("squared_error", "absolute_error", "huber")
    }
    assert max(errors["huber"], errors["absolute_error"]) < 0.5 < errors["squared_error"]


@pytest.mark.parametrize(("name", "low", "high"), [
    ("logistic", 0, 1), ("tanh", -1, 1), ("relu", 0, np.inf), ("exp", 0, np.inf), ("softplus", 0, np.inf),
])  # fmt: skip
def test_output_activation(name: str, low: float, high: float) -> None:
    X, y = values()
    mlp = regressor(output_activation=name).fit(X, y)
    assert mlp.out_activation_ == name
    assert (low <= mlp.predict(10 * X)).all()
    assert (mlp.predict(10 * X) <= high).all()


def test_one_against_all() -> None:
    """Document 002's classifier: K logistic outputs."""
    X, y = classes()
    mlp = classifier(output_activation="logistic", max_iter=200, learning_rate_init=0.02).fit(X, y)
    assert mlp.out_activation_ == "logistic"
    p = mlp.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(mlp.predict(X), mlp.classes_[p.argmax(axis=1)])
    assert mlp.score(X, y) > 0.9
    mlp.intercepts_[-1][...] = -1e4  # no class at all: none is likelier
    np.testing.assert_array_equal(mlp.predict_proba(X), np.full((len(X), 3), 1 / 3))


# Validation data, the best weights, scorers


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_validation_curve(solver: str) -> None:
    X, y = classes()
    Xv, yv = X[90:], y[90:]
    mlp = classifier(solver=solver).fit(X[:90], y[:90], X_val=Xv, y_val=yv)
    assert len(mlp.validation_loss_curve_) == (mlp.n_iter_ if solver == "lbfgs" else 15)
    assert mlp.validation_loss_curve_[-1] == pytest.approx(log_loss(yv, mlp.predict_proba(Xv)))
    np.testing.assert_array_equal(mlp.coefs_[0], classifier(solver=solver).fit(X[:90], y[:90]).coefs_[0])
    best = int(np.argmin(mlp.validation_loss_curve_)) + 1
    assert mlp.best_epoch_ == best
    fewer = classifier(solver=solver, max_iter=best).fit(X[:90], y[:90])
    np.testing.assert_array_equal(mlp.best_coefs_[0], fewer.coefs_[0])
    np.testing.assert_array_equal(mlp.best_intercepts_[1], fewer.intercepts_[1])
    np.testing.assert_array_equal(mlp.restore_best().predict_proba(X), fewer.predict_proba(X))


def test_validation_of_values() -> None:
    X, y = values()
    w = np.linspace(0, 1, 50)
    mlp = regressor().fit(X[50:], y[50:], X_val=X[:50], y_val=y[:50], sample_weight_val=w)
    error = (mlp.predict(X[:50]) - y[:50]) ** 2
    assert mlp.validation_loss_curve_[-1] == pytest.approx(np.average(error, weights=w) / 2)


def test_early_stopping_watches_what_is_given() -> None:
    X, y = classes()
    mlp = classifier(early_stopping=True, max_iter=300, n_iter_no_change=3, learning_rate_init=0.05)
    mlp.fit(X, y, X_val=X[:40], y_val=y[:40])
    assert mlp.n_iter_ < 300
    assert len(mlp.validation_scores_) == len(mlp.validation_loss_curve_) == mlp.n_iter_
    assert mlp.score(X[:40], y[:40]) == mlp.best_validation_score_ == max(mlp.validation_scores_)
    split = clone(mlp).fit(X, y)
    assert len(split.validation_loss_curve_) == split.n_iter_
    assert clone(mlp).set_params(early_stopping=False).fit(X, y).validation_loss_curve_ is None


def test_best_without_validation_is_the_lowest_training_loss() -> None:
    X, y = classes()
    mlp = classifier(learning_rate_init=0.5, max_iter=25).fit(X, y)
    best = int(np.argmin(mlp.loss_curve_)) + 1
    assert mlp.best_epoch_ == best
    fewer = classifier(learning_rate_init=0.5, max_iter=best).fit(X, y)
    np.testing.assert_array_equal(mlp.best_coefs_[0], fewer.coefs_[0])
    with pytest.raises(AttributeError, match="has not been fitted"):
        _ = classifier().best_coefs_


@pytest.mark.parametrize("scoring", [
    "neg_log_loss", "loss", make_scorer(log_loss, response_method="predict_proba", greater_is_better=False),
    lambda mlp, X, y: -log_loss(y, mlp.predict_proba(X)),
])  # fmt: skip
def test_scoring(scoring: Any) -> None:
    """Four ways to say the same; a table's column names raise no warning."""
    import pandas as pd

    X, y = classes()
    table = pd.DataFrame(X, columns=list("pqrs"))
    mlp = classifier(scoring=scoring, early_stopping=True, max_iter=10).fit(table, y)
    np.testing.assert_allclose(mlp.validation_scores_, np.negative(mlp.validation_loss_curve_), rtol=1e-9)
    assert mlp.best_validation_score_ == max(mlp.validation_scores_)


# Threads


def test_threads_change_nothing() -> None:
    X, y = classes()
    expected = classifier(n_jobs=1).fit(X, y).coefs_
    for n in (None, 2, -1, 64):
        for found, other in zip(classifier(n_jobs=n).fit(X, y).coefs_, expected):
            np.testing.assert_array_equal(found, other)


def test_no_more_threads_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native._native, "processors", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for n, expected in ((1, 1), (3, 3), (-1, 8), (-2, 7), (-20, 1), (64, 8)):
        with classifier(n_jobs=n)._threads():
            assert native.most_threads() == expected
    assert native.most_threads() == 8


# Callbacks


class Log:
    """scikit-learn's protocol of callbacks."""

    def __init__(self, last: int | None = None) -> None:
        self.told: list[tuple[str, str, int]] = []
        self.scores: list[float] = []
        self.last = last

    def setup(self, estimator: Any, context: Any) -> None:
        self.told.append(("setup", context.task_name, context.task_id))

    def teardown(self, estimator: Any, context: Any) -> None:
        self.told.append(("teardown", context.task_name, context.task_id))

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.told.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator: Any, context: Any, *, X: Any, y: Any, fitted_estimator: Any) -> bool:
        self.told.append(("end", context.task_name, context.task_id))
        self.scores.append(fitted_estimator.score(X, y))
        return context.task_id == self.last and context.task_name != "fit"


@pytest.mark.parametrize(("solver", "name"), [("adam", "epoch"), ("lbfgs", "iteration")])
def test_callbacks(solver: str, name: str) -> None:
    X, y = classes()
    log = Log()
    mlp = classifier(solver=solver, max_iter=3).set_callbacks(log).fit(X, y)
    tasks = [(what, name, k) for k in range(3) for what in ("begin", "end")]
    assert log.told == [("setup", "fit", 0), ("begin", "fit", 0), *tasks, ("end", "fit", 0), ("teardown", "fit", 0)]
    fewer = classifier(solver=solver, max_iter=1).fit(X, y)
    assert log.scores[0] == fewer.score(X, y)
    assert log.scores[-1] == mlp.score(X, y)
    np.testing.assert_array_equal(mlp.coefs_[0], classifier(solver=solver, max_iter=3).fit(X, y).coefs_[0])


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_a_callback_ends_the_training(solver: str) -> None:
    X, y = classes()
    mlp = classifier(solver=solver, max_iter=9).set_callbacks(Log(last=3)).fit(X, y)
    assert mlp.n_iter_ == 4
    np.testing.assert_array_equal(mlp.coefs_[0], classifier(solver=solver, max_iter=4).fit(X, y).coefs_[0])


def test_scikit_learns_own_callbacks(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = classes()
    monitor = ScoringMonitor(scoring="accuracy")
    mlp = classifier(max_iter=4).set_callbacks(ProgressBar(), monitor).fit(X, y)
    assert "MLPClassifier - fit" in capsys.readouterr().out
    scores = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) == 4
    assert scores[-1] == mlp.score(X, y)


# What surrounds them


@pytest.mark.parametrize("rate", [np.float64(0.5), np.float32(0.5), np.array([0.5]), (np.float64(0),)])
def test_dropout_in_numpys_types(rate: Any) -> None:
    X, y = classes()
    expected = classifier(dropout=[float(np.ravel(rate)[0])]).fit(X, y)
    np.testing.assert_array_equal(classifier(dropout=rate).fit(X, y).coefs_[0], expected.coefs_[0])


def test_sigmoid_is_logistic() -> None:
    X, y = classes()
    np.testing.assert_array_equal(
        classifier(activation="sigmoid").fit(X, y).coefs_[0], classifier(activation="logistic").fit(X, y).coefs_[0]
    )


def test_class_weight_of_a_part_of_the_classes() -> None:
    """A batch of `partial_fit` need not hold the class whose weight is given."""
    X, y = classes()
    mlp = classifier(class_weight={"a": 2.0}).partial_fit(X, y, classes=["a", "b", "c"])
    mlp.partial_fit(X[y != "a"], y[y != "a"])
    with pytest.raises(ValueError, match="Negative values in class_weight"):
        classifier(class_weight={"a": -1.0}).fit(X, y)


def test_best_is_of_the_last_fit() -> None:
    X, y = classes()
    mlp = classifier(warm_start=True, max_iter=60, learning_rate_init=0.05).fit(X, y)
    first = len(mlp.loss_curve_)
    mlp.set_params(max_iter=5).fit(X, y, X_val=X[:30], y_val=y[:30])
    assert mlp.best_epoch_ == first + 1 + int(np.argmin(mlp.validation_loss_curve_))


def test_a_plain_scorer_and_weights() -> None:
    X, y = classes()
    mlp = classifier(class_weight="balanced", early_stopping=True, scoring=lambda mlp, X, y: mlp.score(X, y))
    assert len(mlp.fit(X, y).validation_scores_) == mlp.n_iter_


def test_several_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where there is too little for them to do; the environment's wish is kept within n_jobs."""
    seen: list[int] = []
    team = native._team

    def watched(pace: Any, asked: Any, work: float, barriers: float) -> Any:
        found = team(pace, asked, work, barriers)
        seen.append(native.resolve_threads(asked) or 0)
        return found

    X, y = classes()
    expected = classifier(n_jobs=1).fit(X, y).coefs_[0]
    monkeypatch.setattr(native, "WORK_FOR_A_THREAD", 1)
    monkeypatch.setattr(native._native, "processors", lambda: 3)
    for n in (None, 2, 3):
        np.testing.assert_array_equal(classifier(n_jobs=n).fit(X, y).coefs_[0], expected)
    monkeypatch.setenv("DELTARULE_NUM_THREADS", "3")
    monkeypatch.setattr(native, "_team", watched)
    np.testing.assert_array_equal(classifier().fit(X, y).coefs_[0], expected)
    assert set(seen) == {3}
    with native.at_most(1), team(native._Pace(), None, 1e9, 1) as threads:
        assert threads == 1
