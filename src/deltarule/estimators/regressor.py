"""scikit-learn's `MLPRegressor` on deltarule's engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import sklearn.neural_network
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from deltarule.costs import Absolute, Cost, Huber, Poisson, Quantile, SquaredError
from deltarule.estimators.base import ADDED, NativeMLP

__all__ = ["MLPRegressor"]


class MLPRegressor(NativeMLP, sklearn.neural_network.MLPRegressor):  # type: ignore[misc]
    """scikit-learn's regressor, computed by deltarule: change the import, nothing else.

        C = (1/Σw) Σᵢ wᵢ C⁽ⁱ⁾ + (α / 2 Σw) Σ W²,    C⁽ⁱ⁾ = ½ ‖ŷ − t‖²

    The same `random_state` gives the same initial weights, the same split and the same orders as scikit-learn, so the
    same network but for the rounding of sums. Everything up to `max_fun` is scikit-learn's own and means what it means
    there:
    https://scikit-learn.org/stable/modules/generated/sklearn.neural_network.MLPRegressor.html

    Parameters
    ----------
    loss : {'squared_error', 'poisson', 'absolute_error', 'huber', 'quantile'}, default='squared_error'
        'squared_error' and 'poisson' as in scikit-learn. With e = ŷ − t, summed over the outputs:
        'absolute_error' |e|; 'huber' e²/2 where |e| ≤ d, else d(|e| − d/2), d the `huber_threshold`;
        'quantile' −q e where e < 0, else (1 − q) e, q the `quantile`, to which the answer is fitted.

    hidden_layer_sizes : int or array-like of int, default=(100,)
        The units of each hidden layer.

    activation : str or array-like of str, default='relu'
        Of the hidden layers: one name for all, or one for each. 'identity', 'logistic', 'tanh', 'relu' as in
        scikit-learn, and 'scaled tanh', 'leaky relu', 'elu', 'softplus', 'swish', 'gelu'.

    huber_threshold : float > 0, default=1.0
        In units of y: larger errors count linearly.

    quantile : float in (0, 1), default=0.5
        Which quantile of y given X is wanted.

    dropout : float or array-like of float in [0, 1), default=0.0
        The probability with which a hidden unit is dropped in training: one for all hidden layers, or one for each.

    output_activation : {'identity', 'logistic', 'tanh', 'relu', 'exp', 'softplus'} or None, default=None
        What keeps answers within bounds, or positive. None: identity, and exp for loss='poisson'.

    scoring : str, callable or None, default=None
        What `early_stopping` watches: the name of a scorer, a scorer, 'loss' (the validation loss), None: R².

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
    >>> from deltarule import MLPRegressor
    >>> X = [[0.0], [1.0], [2.0], [3.0]]
    >>> reg = MLPRegressor(hidden_layer_sizes=8, solver="lbfgs", random_state=1).fit(X, [1.0, 3.0, 5.0, 7.0])
    >>> reg.predict([[1.5]]).round(1).tolist()
    [4.0]
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 (scikit-learn's)
        **sklearn.neural_network.MLPRegressor._parameter_constraints,
        **ADDED,
        "loss": [StrOptions({"squared_error", "poisson", "absolute_error", "huber", "quantile"})],
        "output_activation": [StrOptions({"identity", "logistic", "tanh", "relu", "exp", "softplus"}), None],
        "huber_threshold": [Interval(Real, 0, None, closed="neither")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        loss: str = "squared_error",
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
        huber_threshold: float = 1.0,
        quantile: float = 0.5,
        dropout: Any = 0.0,
        output_activation: str | None = None,
        scoring: str | Callable[..., float] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            loss, hidden_layer_sizes, activation, solver=solver, alpha=alpha, batch_size=batch_size,
            learning_rate=learning_rate, learning_rate_init=learning_rate_init, power_t=power_t, max_iter=max_iter,
            shuffle=shuffle, random_state=random_state, tol=tol, verbose=verbose, warm_start=warm_start,
            momentum=momentum, nesterovs_momentum=nesterovs_momentum, early_stopping=early_stopping,
            validation_fraction=validation_fraction, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon,
            n_iter_no_change=n_iter_no_change, max_fun=max_fun,
        )  # fmt: skip
        self.huber_threshold = huber_threshold
        self.quantile = quantile
        self.dropout = dropout
        self.output_activation = output_activation
        self.scoring = scoring
        self.n_jobs = n_jobs

    def _output_activation(self) -> str:
        usual = "exp" if self.loss == "poisson" else "identity"
        if self.loss == "poisson" and self.output_activation not in (None, "exp"):
            raise ValueError(f"loss='poisson' goes with output_activation='exp' only, not {self.output_activation!r}")
        return self.output_activation or usual

    def _cost(self) -> Cost:
        costs: dict[str, Cost] = {
            "squared_error": SquaredError(), "poisson": Poisson(), "absolute_error": Absolute(),
            "huber": Huber(float(self.huber_threshold)), "quantile": Quantile(float(self.quantile)),
        }  # fmt: skip
        return costs[self.loss]

    def _targets(self, y: NDArray[Any]) -> NDArray[Any]:
        return y

    def _class_weights(self, y: NDArray[Any], weights: Any, incremental: bool) -> Any:
        return weights
