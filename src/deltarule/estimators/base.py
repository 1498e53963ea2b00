"""What both estimators share: validation and labels are scikit-learn's, the network, its costs and its learning ours.

scikit-learn's own class is the parent. Its numerical half, which methods of the same names take the place of here, is
private to it; `USED` and `REPLACED` are held against the version that is installed.

Random numbers are drawn as scikit-learn draws them, in its order: initial weights, the validation split, and the order
of every epoch. So the same `random_state` gives the same network, but for the rounding of sums.
"""

from __future__ import annotations

import copy
import inspect
from contextlib import AbstractContextManager, nullcontext
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy
from sklearn.base import _fit_context, is_classifier
from sklearn.callback import CallbackSupportMixin
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from deltarule.engines import native
from deltarule.estimators import descent, minimisation, storing
from deltarule.estimators.drawing import drawing
from deltarule.estimators.networks import OUTPUTS, build, hidden_sizes, per_layer
from deltarule.estimators.parameters import Best, Parameters
from deltarule.estimators.samples import Held, Samples, as_rows
from deltarule.estimators.tasks import Tasks

__all__ = ["ADDED", "NativeMLP"]

USED = ("_validate_input", "_predict", "_score", "_check_solver")  # of scikit-learn's private methods
REPLACED = ("_fit", "_initialize", "_forward_pass_fast", "_loss_grad_lbfgs")
ADDED: dict[str, list[Any]] = {  # to scikit-learn's own constraints, for both
    "activation": [str, "array-like"],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "output_activation": [StrOptions(set(OUTPUTS)), None],
    "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
    "n_jobs": [Integral, None],
}


SKIPPED = ("_parameters", "_made_of")  # of the state that is pickled: they follow from the rest


class NativeMLP(CallbackSupportMixin):  # type: ignore[misc]
    """Takes the place of the numerical half of scikit-learn's `BaseMultilayerPerceptron`."""

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        missing = [name for name in (*USED, *REPLACED) if not any(name in vars(base) for base in cls.__mro__[2:])]
        if missing:
            import sklearn

            raise ImportError(
                f"deltarule's estimators stand on scikit-learn's networks, and those of version {sklearn.__version__} "
                f"have no {', '.join(missing)} any more; install scikit-learn 1.9"
            )

    # the network

    def _network(self: Any) -> Parameters:
        """The parameters as a network; those in `coefs_` and `intercepts_` count."""
        found: Parameters | None = self.__dict__.get("_parameters")
        if found is None or self._made_of != self._functions() or not found.fits(self.coefs_, self.intercepts_):
            sizes = [np.shape(self.coefs_[0])[0], *(np.shape(c)[1] for c in self.coefs_)]
            found = self._parameters = Parameters(build(self, sizes), self.coefs_, self.intercepts_)
            self._made_of = self._functions()
        return found

    def _functions(self: Any) -> tuple[Any, ...]:
        """What answers depend on beside the coefficients."""
        f = self.activation
        return f if isinstance(f, str) else tuple(f), self.out_activation_

    def _own(self: Any) -> Parameters:
        """The network as the parameters are now, to be trained: the lists are views of its θ from here on."""
        self.__dict__.pop("_parameters", None)
        found: Parameters = self._network()
        self.coefs_, self.intercepts_ = list(found.coefs), list(found.intercepts)
        return found

    def __getstate__(self: Any) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__().copy()
        return {name: value for name, value in state.items() if name not in SKIPPED}

    def _threads(self: Any) -> AbstractContextManager[None]:
        """Within, as many threads as `n_jobs` allows, and no more than help."""
        if self.n_jobs == 0:
            raise ValueError("n_jobs == 0 has no meaning; it is a number of threads, -1 for all processors, or None")
        if self.n_jobs is None or not native.installed():
            return nullcontext()
        return native.at_most(self.n_jobs if self.n_jobs > 0 else max(1, native.most_threads() + 1 + self.n_jobs))

    # forward

    def _forward_pass_fast(self: Any, X: Any, check_input: bool = True) -> NDArray[Any]:
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        own = self._network()
        theta = own.theta if own.holds(self.coefs_, self.intercepts_) else own.theta_of(self.coefs_, self.intercepts_)
        with self._threads():
            y: NDArray[Any] = own.outputs(theta, as_rows(X))[1]
        return y if X.dtype is y.dtype else y.astype(np.result_type(X.dtype, y.dtype), copy=False)

    # learning

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:  # fmt: skip
        """Learn from X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n)
            Inputs.

        y : array-like of shape (m,) or (m, K)
            Of a classifier labels, or K columns of 0 and 1; of a regressor values.

        sample_weight : array-like of shape (m,), default=None
            What each row weighs.

        X_val, y_val, sample_weight_val : default=None
            Validation data: `validation_loss_curve_` is computed on them, and `early_stopping` watches them instead of
            a part of X.

        Returns
        -------
        self
        """
        found: Self = self._fit(X, y, sample_weight, validation=(X_val, y_val, sample_weight_val))
        return found

    def _fit(
        self: Any, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False, validation: Any = None
    ) -> Any:
        tasks = Tasks(self, None if incremental else (X, y, sample_weight))
        sizes = hidden_sizes(self)
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, y = self._validate_input(X, y, incremental, reset=first)
        weights = None if sample_weight is None else _weights(sample_weight, X)
        weights = self._class_weights(y, weights, incremental)
        y = y.reshape(len(y), -1)
        self.n_outputs_ = y.shape[1]
        self._random_state = check_random_state(self.random_state)
        if first:
            self._initialize(y, [X.shape[1], *sizes, self.n_outputs_], X.dtype)
        own = self._own()
        if first:
            self._best = Best(-np.inf, 0, own.theta.copy())
        elif not incremental:
            self._best = None  # of this fit
        held = self._given(*validation) if validation else None
        with self._threads():
            if self.solver == "lbfgs":
                self._check_lbfgs()
                minimisation.minimise(self, own, self._samples(X, y, weights), held, tasks)
            else:
                if not incremental or not descent.goes_on(self, own):
                    descent.begin(self, own)
                if self.early_stopping and held is None:
                    X, y, weights, held = self._split(X, y, weights)
                descent.descend(self, own, self._samples(X, y, weights), held, tasks, incremental)
        if not np.isfinite(own.theta).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed: try StandardScaler, or a smaller learning_rate_init."
            )
        if self._best is None:  # nothing was better than before it
            self._best = Best(-np.inf, self._epochs_seen(), own.theta.copy())
        tasks.end()
        return self

    def _initialize(self: Any, y: NDArray[Any], sizes: list[int], dtype: Any) -> None:
        """The attributes of a network that has seen nothing, its weights drawn as scikit-learn draws them."""
        self.n_iter_, self.t_ = 0, 0
        self.n_outputs_, self.n_layers_ = y.shape[1], len(sizes)
        self.out_activation_ = self._output_activation()
        self.coefs_, self.intercepts_ = [], []
        for n_in, n_out, f in zip(sizes, sizes[1:], [*per_layer(self, "activation", len(sizes) - 2), self.activation]):
            bound = np.sqrt((2.0 if f in ("logistic", "sigmoid") else 6.0) / (n_in + n_out))
            for lists, shape in ((self.coefs_, (n_in, n_out)), (self.intercepts_, n_out)):
                lists.append(self._random_state.uniform(-bound, bound, shape).astype(dtype, copy=False))
        self.validation_loss_curve_ = None
        if self.solver == "lbfgs":
            return
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        stops = self.early_stopping
        self.validation_scores_: list[float] | None = [] if stops else None
        self.best_validation_score_: float | None = -np.inf if stops else None
        self.best_loss_: float | None = None if stops else np.inf

    def _samples(self: Any, X: Any, y: NDArray[Any], weights: NDArray[Any] | None) -> Samples:
        """The rows as the engine takes them."""
        dtype = self.coefs_[0].dtype
        t = y.argmax(axis=1) if self.out_activation_ == "softmax" else np.ascontiguousarray(y, dtype)
        constants = (xlogy(y, y) - y).sum(axis=1) if self.loss == "poisson" else None
        return Samples(as_rows(X), t, None if weights is None else np.ascontiguousarray(weights, dtype), constants)

    def _loss_of(self: Any, C: Any, penalty: Any, constant: Any) -> Any:
        """scikit-learn's loss from C: a squared error is its mean over the outputs, a deviance has a constant."""
        outputs = self.n_outputs_ if self.loss == "squared_error" else 1
        return (C - penalty) / outputs + constant + penalty

    def _loss_grad_lbfgs(
        self: Any, packed_coef_inter: NDArray[Any], X: Any, y: NDArray[Any], sample_weight: Any, *_: Any
    ) -> tuple[float, NDArray[np.float64]]:
        """What "lbfgs" minimises, under scikit-learn's name and in its order, for those who call it."""
        samples = self._samples(X, y, sample_weight)
        return minimisation.cost_and_gradient(self, self._network(), packed_coef_inter, samples)

    def _check_lbfgs(self: Any) -> None:
        if np.any(np.greater(self.dropout, 0)):
            raise ValueError("dropout takes solver='adam' or 'sgd': L-BFGS needs the same cost at every call")

    # validation

    def _split(self: Any, X: Any, y: NDArray[Any], weights: Any) -> tuple[Any, NDArray[Any], Any, Held]:
        """(What is learnt from: X, y, weights; what is held out for early stopping), split as scikit-learn does."""
        classifies = is_classifier(self)
        parts = train_test_split(
            X, y, *(() if weights is None else (weights,)), random_state=self._random_state,
            test_size=self.validation_fraction, stratify=y if classifies and self.n_outputs_ == 1 else None,
        )  # fmt: skip
        X, X_held, y, y_held, *both = parts
        if X_held.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        w, w_held = both or (None, None)
        return X, y, w, self._held(X_held, y_held, w_held)

    def _given(self: Any, X: Any, y: Any, weights: Any) -> Held | None:
        """The user's own validation data."""
        if X is None and y is None and weights is None:
            return None
        if X is None or y is None:
            raise ValueError(f"X_val and y_val go together; {'X_val' if X is None else 'y_val'} is missing")
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=(np.float64, np.float32), reset=False,
            y_numeric=not is_classifier(self),
        )  # fmt: skip
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = self._targets(y).reshape(len(y), -1)
        if y.shape[1] != self.n_outputs_:
            raise ValueError(f"y_val has {y.shape[1]} outputs, y has {self.n_outputs_}")
        found: Held = self._held(X, y, None if weights is None else _weights(weights, X))
        return found

    def _held(self: Any, X: Any, y: NDArray[Any], weights: Any) -> Held:
        labels = self._label_binarizer.inverse_transform(y) if is_classifier(self) else y
        return Held(self._samples(X, y, weights), labels)

    def _loss_on(self: Any, own: Parameters, samples: Samples) -> float:
        """The mean loss over samples, decay left out."""
        z, y = own.outputs(own.theta, samples.X)
        t = samples.t if samples.t.ndim == 2 else (samples.t[:, None] == np.arange(y.shape[1])).astype(y.dtype)
        with np.errstate(all="ignore"):
            costs = own.net.output.value(z, y, t).astype(np.float64)
        constants = 0.0 if samples.constants is None else samples.constants
        return float(np.average(self._loss_of(costs, 0.0, constants), weights=samples.weights))

    def _watch(self: Any, own: Parameters, held: Held | None, loss: float | None) -> float:
        """How good the network of this epoch is, as `early_stopping` judges it; the best is remembered."""
        validation = None
        if held is not None:
            validation = self._loss_on(own, held.samples)
            self.validation_loss_curve_ = self.validation_loss_curve_ or []
            self.validation_loss_curve_.append(validation)
        good = remembered = -np.inf if loss is None else -loss
        if held is not None and self._stops_early():
            good = remembered = self._held_score(held, validation)
            self.validation_scores_.append(good)
            if self.verbose:
                print(f"Validation score: {good:f}")  # noqa: T201
        elif validation is not None:
            remembered = -validation
        self._remember(remembered, own.theta, self._epochs_seen())
        return float(good)

    def _stops_early(self: Any) -> bool:
        """Whether a validation score decides; L-BFGS has no epochs to stop behind."""
        return bool(self.early_stopping and self.solver != "lbfgs")

    def _epochs_seen(self: Any) -> int:
        """Over all fits."""
        curve = self.__dict__.get("validation_loss_curve_" if self.solver == "lbfgs" else "loss_curve_")
        return len(curve or ())

    def _held_score(self: Any, held: Held, loss: float | None) -> float:
        X, _, weights, _ = held.samples
        if self.scoring == "loss":
            return -float(loss or 0.0)
        if self.scoring is None:
            return float(self._score(X, held.y, sample_weight=weights))
        nameless = copy.copy(self)  # a scorer's X has lost its columns' names
        nameless.__dict__.pop("feature_names_in_", None)
        scorer = check_scoring(self, scoring=self.scoring)
        weighs = weights is not None and "sample_weight" in inspect.signature(scorer).parameters
        return float(scorer(nameless, X, held.y, **({"sample_weight": weights} if weighs else {})))

    def _remember(self: Any, value: float, theta: NDArray[Any], epoch: int) -> None:
        best: Best | None = self.__dict__.get("_best")
        before = self.best_validation_score_ if self._stops_early() else -np.inf
        if value > (before if best is None else best.value):
            self._best = Best(value, epoch, theta.copy())

    @property
    def best_coefs_(self: Any) -> list[NDArray[Any]]:
        """The coefficients that did best: at the validation score, the validation loss, or the training loss."""
        coefs: list[NDArray[Any]] = self._best_arrays()[0]
        return coefs

    @property
    def best_intercepts_(self: Any) -> list[NDArray[Any]]:
        """The intercepts that go with `best_coefs_`."""
        intercepts: list[NDArray[Any]] = self._best_arrays()[1]
        return intercepts

    @property
    def best_epoch_(self: Any) -> int:
        """The epoch, from 1, behind which they were found; 0 for the initial weights."""
        return int(self._the_best().epoch)

    def _best_arrays(self: Any) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        theta = self._the_best().theta.copy()
        coefs, intercepts = self._network().views(theta)
        return coefs, intercepts

    def _the_best(self: Any) -> Best:
        best: Best | None = self.__dict__.get("_best")
        if best is None:
            raise AttributeError(f"this {type(self).__name__} has not been fitted: it has no best weights")
        if best.theta.size != self._network().net.size:
            raise AttributeError("the best weights belong to coefs_ of other shapes than those that are there now")
        return best

    def restore_best(self: Any) -> Any:
        """Put the best weights of the last fit back.

        Those with the best validation score where early stopping watched it, else with the lowest validation loss where
        there was validation data, else with the lowest training loss (a mean over the epoch that led to them).
        """
        check_is_fitted(self)
        own: Parameters = self._network()
        own.theta[...] = self._the_best().theta
        self.coefs_, self.intercepts_ = list(own.coefs), list(own.intercepts)
        return self

    # files and notebooks

    def save(self: Any, path: str | Path) -> None:
        """Write a fitted estimator to a safetensors file; `load` gives it back. Reading it executes nothing."""
        check_is_fitted(self)
        storing.save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The estimator in a file that `save` wrote."""
        return storing.load(cls, path)

    def _html_repr(self: Any) -> str:
        """scikit-learn's representation, and the network drawn below it."""
        html: str = super()._html_repr()
        return html + drawing(self)


def _weights(given: Any, X: Any) -> NDArray[Any]:
    """What rows weigh; a negative weight would have the network unlearn."""
    found: NDArray[Any] = _check_sample_weight(given, X, ensure_non_negative=True)
    return found
