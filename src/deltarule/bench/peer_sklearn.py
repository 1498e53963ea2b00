"""scikit-learn's MLPClassifier: whole epochs by `fit` with a warm start, and by one `partial_fit` each."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.architecture import Architecture
from deltarule.bench.cases import CHECKED, Case
from deltarule.bench.peer import Formulation, Peer, Prediction, Training
from deltarule.bench.problem import Problem
from deltarule.optimizers import SGD, Adam, Momentum

__all__ = ["SKLEARN"]

NEVER = 10**9


def _model(problem: Problem) -> Any:
    """The classifier with θ₀ in place: one step makes its arrays, which are then overwritten."""
    from sklearn.neural_network import MLPClassifier

    case, rule = problem.case, problem.optimizer
    settings: dict[str, Any] = {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False}
    if isinstance(rule, Momentum):
        settings["momentum"] = rule.momentum
    elif isinstance(rule, Adam):
        settings = {"solver": "adam", "beta_1": rule.beta1, "beta_2": rule.beta2, "epsilon": rule.epsilon}
    model = MLPClassifier(
        hidden_layer_sizes=[stage.layer.units for stage in problem.stages[:-1]],
        activation={"sigmoid": "logistic"}.get(case.activation, case.activation),
        alpha=0.0, batch_size=case.batch, learning_rate_init=case.learning_rate, random_state=0,
        tol=0.0, n_iter_no_change=NEVER, **settings,
    )  # fmt: skip
    classes = np.arange(problem.stages[-1].layer.units)
    model.partial_fit(problem.X[: case.batch], problem.t[: case.batch], classes=classes)
    _put(model, problem)
    return model


def _put(model: Any, problem: Problem) -> None:
    for k, (_, _, p) in enumerate(problem.stages):
        model.coefs_[k][...], model.intercepts_[k][...] = p["W"].T, p["b"]
    del model._optimizer  # its state; the next call makes a new one


class _Training(Training):
    def __init__(self, problem: Problem, formulation: Formulation) -> None:
        super().__init__(problem)
        self.by_fit = formulation.options["call"] == "fit"
        self.X, self.t = problem.X[: self.used], problem.t[: self.used]
        self.model = _model(problem)

    def reset(self) -> None:
        if hasattr(self.model, "_optimizer"):
            _put(self.model, self.problem)
        self.model._no_improvement_count, self.model.best_loss_ = 0, np.inf

    def train(self, epochs: int, order: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """It shuffles by itself, and tells the mean cost of an epoch only."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the epochs it was told to run were not enough
            if self.by_fit:
                self.model.set_params(max_iter=epochs, warm_start=True).fit(self.X, self.t)
                return np.array(self.model.loss_curve_)
            for _ in range(epochs):
                self.model.partial_fit(self.X, self.t)
        return np.array(self.model.loss_curve_)

    def check(self) -> NDArray[Any]:
        """One mini-batch a call, the same steps: so the cost of each can be read.

        Its Adam adds ε to √s, not to √(s/(1 − β₂ᵗ)); for the check its ε follows, as ε √(1 − β₂ᵗ).
        """
        self.reset()
        model, rule, m, costs = self.model, self.problem.optimizer, self.problem.case.batch, []
        model.set_params(warm_start=False)  # with it, every call must hold every class
        for k in range(CHECKED):
            if isinstance(rule, Adam):
                holder = model._optimizer if k else model
                holder.epsilon = rule.epsilon * (1 - rule.beta2 ** (k + 1)) ** 0.5
            rows = slice(k * m, (k + 1) * m)
            costs.append(model.partial_fit(self.X[rows], self.t[rows]).loss_)
        if isinstance(rule, Adam):
            model.epsilon = rule.epsilon
        return np.array(costs)


def _build(problem: Problem, formulation: Formulation) -> Training | Prediction:
    if problem.case.kind == "train":
        return _Training(problem, formulation)
    model, x = _model(problem), problem.X[:1]
    return Prediction(lambda: model.predict_proba(x))


def _formulations(case: Case, threads: Sequence[int]) -> list[Formulation]:
    calls = ["fit", "partial_fit"] if case.kind == "train" else ["predict_proba"]
    return [Formulation(call, n, {"call": call}) for call in calls for n in threads]


def _refuses(case: Case) -> str | None:
    if case.images or case.sequences:
        return "scikit-learn's networks have dense layers only"
    if Architecture(case.network).n_outputs == 2:
        return "scikit-learn gives two classes one sigmoid output, which is another network"
    if case.activation not in ("relu", "tanh", "sigmoid"):
        return f"scikit-learn has no {case.activation}"
    return None if case.optimizer.split("(")[0] in (SGD.name, Momentum.name, Adam.name) else "no such optimiser"


SKLEARN = Peer("sklearn", "scikit-learn", _formulations, _build, ("sklearn",), "pip install scikit-learn", _refuses)
