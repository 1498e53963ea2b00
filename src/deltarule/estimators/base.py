"""What both estimators share: the network behind scikit-learn's attributes, its descent epoch by epoch, and L-BFGS.

    C = (1/Σw) Σᵢ wᵢ C⁽ⁱ⁾ + (α / 2 Σw) Σ W²          of a mini-batch; scikit-learn divides its decay by the samples, too

Random numbers are drawn as scikit-learn draws them, in its order: initial weights, the validation split, and the order of
every epoch. So the same `random_state` gives the same network, but for the rounding of sums.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from scipy.sparse import issparse
from scipy.special import xlogy
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.utils.fixes import _get_additional_lbfgs_options_dict
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import validate_data

from deltarule import engines
from deltarule.architecture import Architecture
from deltarule.engines import Settings, Slice
from deltarule.estimators.parameters import Parameters
from deltarule.layers import Dense
from deltarule.optimizers import SGD, Adam, Momentum, Nesterov, Optimizer

__all__ = ["NativeMLP"]

DENSE_AT_A_TIME = 1 << 22  # numbers of a sparse matrix that are written out in one go
OUTPUT = {"logistic": "sigmoid", "softmax": "softmax", "identity": "identity", "exp": "exp"}
SKIPPED = ("_parameters",)  # of the state that is pickled: it follows from the rest


class Data(NamedTuple):
    """What a fit learns from, as the engine takes it: X dense or sparse by rows, targets, weights."""

    X: Any
    t: NDArray[Any]
    weights: NDArray[Any] | None
    constants: NDArray[Any] | None  # what scikit-learn's loss has beyond C⁽ⁱ⁾, of each sample

    def dense(self, rows: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """These rows, written out."""
        w = None if self.weights is None else self.weights[rows]
        return np.ascontiguousarray(self.X[rows].toarray()), self.t[rows], w


class NativeMLP:
    """Takes the place of the numerical half of scikit-learn's `BaseMultilayerPerceptron`."""

    # the network

    def _network(self: Any) -> Parameters:
        """The parameters as a network; those in `coefs_` and `intercepts_` count."""
        found: Parameters | None = self.__dict__.get("_parameters")
        shapes = [c.shape for c in self.coefs_]
        if found is None or [c.shape for c in found.coefs] != shapes or found.theta.dtype != self.coefs_[0].dtype:
            sizes = [shape[1] for shape in shapes]
            f = {"logistic": "sigmoid"}.get(self.activation, self.activation)
            layers = [Dense(n, f) for n in sizes[:-1]] + [Dense(sizes[-1], OUTPUT[self.out_activation_])]
            net = Architecture(layers, input_shape=shapes[0][:1])
            found = self._parameters = Parameters(net, self.coefs_, self.intercepts_)
        return found

    def _own(self: Any) -> Parameters:
        """The same, to be trained: the lists are views of θ from here on."""
        found = self._network()
        found.read(self.coefs_, self.intercepts_)
        self.coefs_, self.intercepts_ = list(found.coefs), list(found.intercepts)
        return found

    def __getstate__(self: Any) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__().copy()  # type: ignore[misc]
        return {name: value for name, value in state.items() if name not in SKIPPED}

    # forward

    def _forward_pass_fast(self: Any, X: Any, check_input: bool = True) -> NDArray[Any]:
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        found = self._network()
        theta = found.theta_of(self.coefs_, self.intercepts_)
        if not issparse(X):
            return found.outputs(theta, _rows(X), None)
        X, n = X.tocsr(), max(1, DENSE_AT_A_TIME // X.shape[1])
        parts = [X[k : k + n].toarray() for k in range(0, X.shape[0], n)]
        return np.concatenate([found.outputs(theta, _rows(part), None) for part in parts])

    # learning

    def _data(self: Any, X: Any, y: NDArray[Any], sample_weight: NDArray[Any] | None, dtype: Any) -> Data:
        """The rows as the engine takes them."""
        X = X.tocsr() if issparse(X) else _rows(X)
        if self.out_activation_ == "softmax":
            t: NDArray[Any] = y.argmax(axis=1)
        else:
            t = np.ascontiguousarray(y, dtype)
        constants = (xlogy(y, y) - y).sum(axis=1) if self.loss == "poisson" else None
        weights = None if sample_weight is None else np.ascontiguousarray(sample_weight, dtype)
        return Data(X, t, weights, constants)

    def _loss_of(self: Any, C: Any, penalty: Any, constant: Any) -> Any:
        """scikit-learn's loss from C: a squared error is its mean over the outputs, a deviance has a constant."""
        outputs = self.n_outputs_ if self.loss == "squared_error" else 1
        return (C - penalty) / outputs + constant + penalty

    def _fit_lbfgs(
        self: Any, X: Any, y: Any, sample_weight: Any, activations: Any, deltas: Any, coef_grads: Any,
        intercept_grads: Any, layer_units: Any,
    ) -> None:  # fmt: skip
        found = self._own()
        self._coef_indptr, self._intercept_indptr = _places(self.coefs_)
        data = self._data(X, y, sample_weight, found.theta.dtype)
        total = len(y) if sample_weight is None else sample_weight.sum()
        constant = 0.0 if data.constants is None else np.average(data.constants, weights=sample_weight)
        decayed, decay = found.net.decayed, self.alpha / total
        engine, parts = engines.choose("auto", found.net), list(_stretches(data))

        def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            theta = at.astype(found.theta.dtype)
            C, g = 0.0, np.zeros(len(theta))
            for rows, share in parts:  # one, unless X is sparse
                part = (data.X, data.t, data.weights) if rows is None else data.dense(rows)
                with np.errstate(all="ignore"):
                    own, gradient = engine.cost_and_gradient(found.net, theta, *part[:2], sample_weight=part[2])
                C, g = C + share * own, g + share * gradient
            penalty = decay / 2 * float(np.sum(np.square(at[decayed])))
            return self._loss_of(C + penalty, penalty, constant), g + decay * np.where(decayed, at, 0)

        result = scipy.optimize.minimize(
            loss, found.theta.astype(np.float64), method="L-BFGS-B", jac=True,
            options={"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol,
                     **_get_additional_lbfgs_options_dict("iprint", 1 if self.verbose else -1)},
        )  # fmt: skip
        self.n_iter_ = _check_optimize_result("lbfgs", result, self.max_iter)
        self.loss_ = result.fun
        found.theta[...] = result.x

    def _fit_stochastic(
        self: Any, X: Any, y: Any, sample_weight: Any, activations: Any, deltas: Any, coef_grads: Any,
        intercept_grads: Any, layer_units: Any, incremental: bool,
    ) -> None:  # fmt: skip
        found = self._own()
        if not incremental or not hasattr(self, "_optimizer"):
            self._begin_descent(found)
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, y, sample_weight, held = self._split(X, y, sample_weight)
        data = self._data(X, y, sample_weight, found.theta.dtype)
        batch_size = self._batch_size(len(y))
        order, self.n_iter_ = np.arange(len(y)), 0
        try:
            for _ in range(self.max_iter):
                if self.shuffle:
                    order = _shuffled(order, self._random_state)
                self.loss_ = self._epoch(found, data, order, batch_size)
                if self._epoch_ends(len(y), held) or incremental:
                    break
                if self.n_iter_ == self.max_iter:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization "
                        "hasn't converged yet. Raise max_iter, learning_rate_init or tol.", ConvergenceWarning,
                    )  # fmt: skip
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.")
        if self.early_stopping:
            self.coefs_, self.intercepts_ = self._best_coefs, self._best_intercepts
            self._own()

    def _begin_descent(self: Any, found: Parameters) -> None:
        """η as scikit-learn steers it, and the state of our optimiser."""
        if self.solver == "sgd":
            self._optimizer = SGDOptimizer(
                [], self.learning_rate_init, self.learning_rate, self.momentum, self.nesterovs_momentum, self.power_t
            )
        else:
            self._optimizer = AdamOptimizer([], self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        self._descent_state, self._steps = self._rule().begin(found.theta), 0

    def _rule(self: Any) -> Optimizer:
        if self.solver == "adam":
            return Adam(self.beta_1, self.beta_2, self.epsilon, epsilon_hat=True)
        if not self.momentum:
            return SGD()
        return (Nesterov if self.nesterovs_momentum else Momentum)(self.momentum)

    def _batch_size(self: Any, m: int) -> int:
        if self.batch_size == "auto":
            return min(200, m)
        if self.batch_size > m:
            warnings.warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
        return int(np.clip(self.batch_size, 1, m))

    def _epoch(self: Any, found: Parameters, data: Data, order: NDArray[np.int64], batch_size: int) -> float:
        """One pass over the rows; the mean loss of its mini-batches, NaN once the network left the finite numbers."""
        m = len(order)
        starts = np.arange(0, m, batch_size)
        ends = np.append(starts[1:], m)
        sizes = ends - starts
        totals = sizes if data.weights is None else np.add.reduceat(data.weights[order], starts, dtype=np.float64)
        rule, engine = self._rule(), engines.choose("auto", found.net)
        decays, rate, losses = self.alpha / totals, self._optimizer.learning_rate, np.empty(len(ends))
        for first, last in _slices(data, ends, batch_size):
            rows = order[starts[first] : ends[last - 1]]
            X, t, w = (data.X, data.t, data.weights) if not issparse(data.X) else data.dense(rows)
            n = last - first
            part = Slice(
                rows if X is data.X else np.arange(len(rows)), ends[first:last] - starts[first], np.full(n, rate),
                [rule] * n, self._steps + 1, decays=decays[first:last],
            )  # fmt: skip
            done = engine.train(found.net, found.theta, self._descent_state, X, t, w, part, Settings(0))
            if done.diverged is not None:
                found.theta[...] = np.nan
                return float("nan")
            found.theta[...] = done.theta
            self._descent_state, self._steps = done.state, self._steps + n
            constants = _means(data, order, starts, totals)[first:last]
            losses[first:last] = self._loss_of(done.costs, done.penalties, constants)
        return float(losses @ sizes / m)

    def _split(self: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any, Held]:
        """(What is learnt from: X, y, weights; what early stopping watches)."""
        if not self.early_stopping:
            return X, y, sample_weight, Held(None, None, None)
        classifies = is_classifier(self)
        parts = train_test_split(
            X, y, *(() if sample_weight is None else (sample_weight,)), random_state=self._random_state,
            test_size=self.validation_fraction, stratify=y if classifies and self.n_outputs_ == 1 else None,
        )  # fmt: skip
        X, X_held, y, y_held, *weights = parts
        if X_held.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        if classifies:
            y_held = self._label_binarizer.inverse_transform(y_held)
        w, w_held = weights or (None, None)
        return X, y, w, Held(X_held, y_held, w_held)

    def _epoch_ends(self: Any, m: int, held: Held) -> bool:
        """Keep the books of an epoch; whether it was the last."""
        self.n_iter_ += 1
        self.t_ += m
        self.loss_curve_.append(self.loss_)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")  # noqa: T201
        self._update_no_improvement_count(self.early_stopping, *held)
        if not np.isfinite(self.loss_):
            warnings.warn(
                f"training diverged in epoch {self.n_iter_}: lower learning_rate_init (it is "
                f"{self._optimizer.learning_rate:g}), or scale the inputs", ConvergenceWarning,
            )  # fmt: skip
            return True
        self._optimizer.iteration_ends(self.t_)
        if self._no_improvement_count <= self.n_iter_no_change:
            return False
        what = "Validation score" if self.early_stopping else "Training loss"
        message = f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."
        if self._optimizer.trigger_stopping(message, self.verbose):
            return True
        self._no_improvement_count = 0
        return False


class Held(NamedTuple):
    """What early stopping watches, if anything: X, labels or targets, weights."""

    X: Any
    y: Any
    weights: Any


def _places(coefs: Any) -> tuple[list[tuple[int, int, tuple[int, int]]], list[tuple[int, int]]]:
    """Where scikit-learn's packed vector has each array, for those who call its `_loss_grad_lbfgs`."""
    sizes = [c.size for c in coefs] + [c.shape[1] for c in coefs]
    ends = np.cumsum(sizes).tolist()
    both = list(zip([0, *ends[:-1]], ends))
    n = len(coefs)
    return [(*place, c.shape) for place, c in zip(both[:n], coefs)], both[n:]


def _rows(X: Any) -> NDArray[Any]:
    """X as the engine reads it: float32 or float64, by rows, aligned; whole numbers are what they are, and no pixels."""
    return np.require(X, None if X.dtype in (np.float32, np.float64) else np.float64, ["C", "A"])


def _shuffled(order: NDArray[np.int64], random: np.random.RandomState) -> NDArray[np.int64]:
    """`sklearn.utils.shuffle(order, random_state=random)`, without its checks."""
    indices = np.arange(len(order))
    random.shuffle(indices)
    return order[indices]


def _slices(data: Data, ends: NDArray[np.int64], batch_size: int) -> Iterator[tuple[int, int]]:
    """The mini-batches of an epoch, all at once; of a sparse X as many as may be written out."""
    n = len(ends)
    if issparse(data.X):
        n = max(1, DENSE_AT_A_TIME // (batch_size * data.X.shape[1]))
    for k in range(0, len(ends), n):
        yield k, min(k + n, len(ends))


def _stretches(data: Data) -> Iterator[tuple[NDArray[np.int64] | None, float]]:
    """(Rows, what they weigh) of a sparse X, a few at a time; (None, 1) where all are dense."""
    if not issparse(data.X):
        yield None, 1.0
        return
    m, n = data.X.shape
    total = m if data.weights is None else data.weights.sum(dtype=np.float64)
    for k in range(0, m, max(1, DENSE_AT_A_TIME // n)):
        rows = np.arange(k, min(m, k + max(1, DENSE_AT_A_TIME // n)))
        own = len(rows) if data.weights is None else data.weights[rows].sum(dtype=np.float64)
        yield rows, float(own / total)


def _means(data: Data, order: NDArray[np.int64], starts: NDArray[np.int64], totals: NDArray[Any]) -> NDArray[Any]:
    """What scikit-learn's loss of each mini-batch has beyond C."""
    if data.constants is None:
        return np.zeros(len(starts))
    c = data.constants[order] * (1 if data.weights is None else data.weights[order])
    return np.add.reduceat(c, starts, dtype=np.float64) / totals
