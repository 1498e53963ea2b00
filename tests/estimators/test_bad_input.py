"""Wrong parameters and wrong data: scikit-learn's exceptions, with the allowed range and what to do in the message."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import deltarule.estimators.base as base
from deltarule import MLPClassifier, MLPRegressor

X = np.random.default_rng(0).normal(size=(60, 4))
y = np.arange(60) % 3

PARAMETERS: dict[str, tuple[dict[str, Any], str]] = {
    "solver": (
        {"solver": "rmsprop"},
        r"'solver' parameter of MLPClassifier must be a str among \{.*'adam'.*\}. Got 'rms",
    ),
    "alpha": ({"alpha": -1.0}, r"'alpha' parameter .* in the range \[0.0, inf\). Got -1.0"),
    "momentum": ({"momentum": 2.0}, r"in the range \[0.0, 1.0\]. Got 2.0"),
    "batch size": ({"batch_size": 0}, r"in the range \[1, inf\). Got 0"),
    "layers": ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes must be > 0, got \[3, 0\]"),
    "dropout": ({"dropout": 1.0}, r"'dropout' parameter .* in the range \[0.0, 1.0\) or an array-like. Got 1.0"),
    "one dropout of two": ({"dropout": [0.1, 1.5]}, r"'dropout' parameter .* out of \[0.0, 1.0\).*not 1.5"),
    "dropouts": ({"dropout": [0.1]}, r"'dropout' parameter of MLPClassifier names 1 values for 2 hidden layers"),
    "no number": ({"dropout": ["a", "b"]}, "'dropout' parameter"),
    "activation": ({"activation": "rely"}, r"'activation' parameter .* 'rely'; did you mean 'relu'\?"),
    "activations": ({"activation": ["relu"] * 3}, "'activation' parameter .* names 3 values for 2 hidden layers"),
    "hidden softmax": ({"activation": "softmax"}, "softmax belongs in the last layer"),
    "output": ({"output_activation": "tanh"}, r"must be a str among \{.*\} or None. Got 'tanh'"),
    "weights": ({"class_weight": "heavy"}, r"a str among \{'balanced'\} or None. Got 'heavy'"),
    "scorer": ({"scoring": "acc"}, "'scoring' parameter"),
    "threads": ({"n_jobs": 1.5}, "'n_jobs' parameter .* Got 1.5"),
    "no threads": ({"n_jobs": 0}, "n_jobs == 0 has no meaning"),
    "dropout without steps": ({"dropout": 0.1, "solver": "lbfgs"}, "dropout takes solver='adam' or 'sgd'"),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_parameters(case: str) -> None:
    given, message = PARAMETERS[case]
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**({"hidden_layer_sizes": (3, 3)} | given)).fit(X, y)


@pytest.mark.parametrize(("given", "message"), [
    ({"loss": "cube"}, r"'loss' parameter of MLPRegressor must be a str among \{.*'huber'.*\}. Got 'cube'"),
    ({"quantile": 1.0}, r"'quantile' parameter .* range \(0.0, 1.0\). Got 1.0"),
    ({"huber_threshold": 0.0}, r"'huber_threshold' parameter .* range \(0.0, inf\). Got 0.0"),
    ({"output_activation": "softmax"}, "'output_activation' parameter of MLPRegressor"),
    ({"loss": "poisson", "output_activation": "tanh"}, "loss='poisson' goes with output_activation='exp' only"),
])  # fmt: skip
def test_parameters_of_regression(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**given).fit(X, X[:, 0])


@pytest.mark.parametrize(("validation", "message"), [
    ({"X_val": X}, "X_val and y_val go together; y_val is missing"),
    ({"y_val": y}, "X_val and y_val go together; X_val is missing"),
    ({"sample_weight_val": y}, "X_val and y_val go together; X_val is missing"),
    ({"X_val": X[:, :3], "y_val": y}, "X has 3 features, but MLPClassifier is expecting 4"),
    ({"X_val": X, "y_val": y[:9]}, "inconsistent numbers of samples"),
    ({"X_val": X, "y_val": y + 1}, r"y_val has classes not in `self.classes_`: \[3\]"),
    ({"X_val": X * np.nan, "y_val": y}, "NaN"),
    ({"X_val": X, "y_val": y, "sample_weight_val": y[:3]}, "sample_weight"),
])  # fmt: skip
def test_validation_data(validation: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MLPClassifier(max_iter=2).fit(X, y, **validation)


def test_validation_values_of_another_width() -> None:
    with pytest.raises(ValueError, match="y_val has 2 outputs, y has 1"):
        MLPRegressor(max_iter=2).fit(X, y, X_val=X, y_val=X[:, :2])


def test_softmax_of_two_classes() -> None:
    with pytest.raises(ValueError, match="takes three classes or more"):
        MLPClassifier(output_activation="softmax").fit(X, y > 0)


def test_divergence_says_what_to_try() -> None:
    mlp = MLPRegressor(solver="sgd", learning_rate_init=1e6, max_iter=30, random_state=0)
    with (
        pytest.warns(ConvergenceWarning, match=r"diverged in epoch \d+: lower learning_rate_init \(it is 1e\+06\)"),
        pytest.raises(ValueError, match=r"non-finite parameter weights.*StandardScaler"),
    ):
        mlp.fit(X * 1e3, y)


def test_no_convergence_says_what_to_try() -> None:
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached.*Raise max_iter"):
        MLPClassifier(max_iter=2, random_state=0).fit(X, y)


def test_partial_fit_of_lbfgs() -> None:
    with pytest.raises(AttributeError, match="partial_fit"):
        MLPClassifier(solver="lbfgs").partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        MLPClassifier(early_stopping=True).partial_fit(X, y, classes=[0, 1, 2])


def test_before_fit() -> None:
    for call in (lambda m: m.predict(X), lambda m: m.restore_best(), lambda m: m.save("nowhere")):
        with pytest.raises(NotFittedError):
            call(MLPRegressor())


def test_another_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose networks are built another way is refused when the classes are made, and not half used."""
    monkeypatch.setattr(base, "REPLACED", (*base.REPLACED, "_anew"))
    with pytest.raises(ImportError, match=r"have no _anew any more; install scikit-learn 1\.9"):
        type("MLP", (MLPClassifier,), {})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_ctrl_c_keeps_what_was_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning, and the network of the last whole epochs."""
    from deltarule.estimators import descent

    calls, epochs = [], descent._epochs

    def some(*given: Any) -> Any:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(len(given[3]))
        return epochs(*given)

    monkeypatch.setattr(descent, "_epochs", some)
    mlp = MLPClassifier(max_iter=100, random_state=0)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        mlp.fit(X, y)
    assert mlp.n_iter_ == sum(calls) == len(mlp.loss_curve_)
    monkeypatch.undo()
    np.testing.assert_array_equal(
        mlp.coefs_[0], MLPClassifier(max_iter=mlp.n_iter_, random_state=0).fit(X, y).coefs_[0]
    )


def test_negative_weights() -> None:
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        MLPClassifier().fit(X, y, np.linspace(-1, 1, 60))


def test_validation_labels_of_another_kind() -> None:
    Y = np.column_stack([y == 0, y == 1]).astype(int)
    with pytest.raises(ValueError, match="y_val has 1 axes, and y had 2"):
        MLPClassifier().fit(X, Y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="y_val has 2 axes, and y had 1"):
        MLPClassifier().fit(X, y, X_val=X, y_val=Y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_best_weights_of_other_shapes() -> None:
    mlp = MLPClassifier((3,), max_iter=2).fit(X, y)
    mlp.coefs_, mlp.intercepts_ = [np.ones((4, 2)), np.ones((2, 3))], [np.zeros(2), np.zeros(3)]
    with pytest.raises(AttributeError, match="other shapes"):
        mlp.restore_best()
    assert "<svg" in mlp._repr_html_()


@pytest.mark.parametrize("given", [
    {"hidden_layer_sizes": (8.5,)}, {"dropout": "x"}, {"dropout": ["a", "b"]}, {"dropout": [None]},
    {"output_activation": 5}, {"activation": None}, {"hidden_layer_sizes": None},
])  # fmt: skip
def test_a_wrong_parameter_can_be_shown(given: dict[str, Any]) -> None:
    assert "MLPClassifier" in MLPClassifier(**given)._repr_html_()
