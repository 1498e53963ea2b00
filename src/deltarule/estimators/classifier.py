"""scikit-learn's `MLPClassifier` on deltarule's engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sklearn.neural_network
from numpy.typing import NDArray
from sklearn.utils import compute_class_weight, compute_sample_weight
from sklearn.utils._param_validation import StrOptions

from deltarule.costs import Cost
from deltarule.estimators.base import ADDED, NativeMLP

__all__ = ["MLPClassifier"]


class MLPClassifier(NativeMLP, sklearn.neural_network.MLPClassifier):  # type: ignore[misc]
    """scikit-learn's classifier, computed by deltarule: change the import, nothing else.

        C = (1/Σw) Σᵢ wᵢ C⁽ⁱ⁾ + (α / 2 Σw) Σ W²,    C⁽ⁱ⁾ = −Σ_k t_k ln ŷ_k

    The same `random_state` gives the same initial weights, the same split and the same orders as scikit-learn, so the
    same network but for the rounding of sums. Everything up to `max_fun` is scikit-learn's own and means what it means
    there:
    https://scikit-learn.org/stable/modules/generated/sklearn.neural_network.MLPClassifier.html

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        The units of each hidden layer.

    activation : str or array-like of str, default='relu'
        Of the hidden layers: one name for all, or one for each. 'identity', 'logistic', 'tanh', 'relu' as in
        scikit-learn, and 'scaled tanh', 'leaky relu', 'elu', 'softplus', 'swish', 'gelu'.

    class_weight : dict, list of dict, 'balanced' or None, default=None
        What the classes weigh, `{label: weight}`; 'balanced': m / (K · count of the class). It multiplies
        `sample_weight`.

    dropout : float or array-like of float in [0, 1), default=0.0
        The probability with which a hidden unit is dropped in training: one for all hidden layers, or one for each.

    output_activation : {'softmax', 'logistic'} or None, default=None
        None: softmax for three classes or more, logistic for two and for multi-label. 'logistic' with three classes or
        more trains one against all; their probabilities are divided by their sum.

    scoring : str, callable or None, default=None
        What `early_stopping` watches: the name of a scorer, a scorer, 'loss' (the validation loss), None: the accuracy.

    n_jobs : int or None, default=None
        The most threads; -1: all processors. As few as are fastest are used; results do not depend on it.

    Attributes
    ----------
    validation_loss_curve_ : list of float or None
        The loss on the validation data after each epoch, decay left out; None where there is no validation data.

    best_coefs_, best_intercepts_, best_epoch_
        The weights that did best, and the epoch behind which they were found: see `restore_best`.

    Examples
    --------
    >>> from deltarule import MLPClassifier
    >>> clf = MLPClassifier(hidden_layer_sizes=8, solver="lbfgs", random_state=1).fit([[0, 0], [1, 1]], [0, 1])
    >>> clf.predict([[2, 2], [-1, -2]]).tolist()
    [1, 0]
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 (scikit-learn's)
        **sklearn.neural_network.MLPClassifier._parameter_constraints,
        **ADDED,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "output_activation": [StrOptions({"softmax", "logistic"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        class_weight: Any = None,
        dropout: Any = 0.0,
        output_activation: str | None = None,
        scoring: str | Callable[..., float] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes, activation, solver=solver, alpha=alpha, batch_size=batch_size,
            learning_rate=learning_rate, learning_rate_init=learning_rate_init, power_t=power_t, max_iter=max_iter,
            shuffle=shuffle, random_state=random_state, tol=tol, verbose=verbose, warm_start=warm_start,
            momentum=momentum, nesterovs_momentum=nesterovs_momentum, early_stopping=early_stopping,
            validation_fraction=validation_fraction, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon,
            n_iter_no_change=n_iter_no_change, max_fun=max_fun,
        )  # fmt: skip
        self.class_weight = class_weight
        self.dropout = dropout
        self.output_activation = output_activation
        self.scoring = scoring
        self.n_jobs = n_jobs

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The probability of each class, `(m, K)`, in the order of `classes_`."""
        y: NDArray[Any] = super().predict_proba(X)
        if self._label_binarizer.y_type_ == "multiclass" and self.out_activation_ == "logistic":
            total = y.sum(axis=1, keepdims=True)
            y = np.divide(y, total, out=np.full_like(y, 1 / y.shape[1]), where=total > 0)
        return y

    def _predict(self, X: Any, check_input: bool = True) -> NDArray[Any]:
        """The likeliest label; where the labels are many, each that is likelier than not."""
        y = self._forward_pass_fast(X, check_input)
        if self._label_binarizer.y_type_ == "multiclass":
            labels: NDArray[Any] = self.classes_[y.argmax(axis=1)]
        elif self._label_binarizer.y_type_ == "binary" and len(self.classes_) == 2:
            labels = self.classes_[(y[:, 0] > 0.5).astype(np.intp)]
        else:
            labels = self._label_binarizer.inverse_transform(y)
        return labels

    def _output_activation(self) -> str:
        classes = self._label_binarizer.y_type_ == "multiclass"
        if self.output_activation == "softmax" and not classes:
            raise ValueError(
                "output_activation='softmax' takes three classes or more; two classes, and multi-label targets, take "
                "'logistic'"
            )
        return self.output_activation or ("softmax" if classes else "logistic")

    def _cost(self) -> Cost | None:
        return None  # the output's own

    def _targets(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        """Labels as indicators, if they were all seen in training."""
        many = self._label_binarizer.y_type_.startswith("multilabel")
        if many != (y.ndim == 2):
            raise ValueError(f"y_val has {y.ndim} axes, and y had {2 if many else 1}")
        if not many:
            unknown = np.setdiff1d(y, self.classes_)
            if len(unknown):
                raise ValueError(f"y_val has classes not in `self.classes_`: {unknown}. It has {self.classes_}.")
        found: NDArray[np.bool_] = self._label_binarizer.transform(y).astype(bool)
        return found

    def _class_weights(self, y: NDArray[Any], weights: Any, incremental: bool) -> Any:
        """The weights of rows, times those of their classes."""
        if self.class_weight is None:
            return weights
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which never sees all classes' counts. "
                "Compute them by compute_class_weight('balanced', classes=classes, y=y), and pass a dict."
            )
        labels = self._label_binarizer.inverse_transform(y)
        if self._label_binarizer.y_type_.startswith("multilabel"):
            own = compute_sample_weight(self.class_weight, labels)
        else:
            each = compute_class_weight(self.class_weight, classes=self.classes_, y=labels)
            if (each < 0).any():
                raise ValueError(f"Negative values in class_weight: {self.class_weight}")
            own = each[np.searchsorted(self.classes_, labels)]
        return own if weights is None else weights * own
