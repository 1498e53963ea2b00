"""The solver "lbfgs": SciPy's L-BFGS-B over all rows at once.

    C = (1/Σw) Σᵢ wᵢ C⁽ⁱ⁾ + (α / 2 Σw) Σ W²

Value and gradient are of this same C, for many outputs too, where scikit-learn's own value is a mean over the outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.utils.fixes import _get_additional_lbfgs_options_dict
from sklearn.utils.optimize import _check_optimize_result

from deltarule import engines
from deltarule.estimators import sparse
from deltarule.estimators.parameters import Parameters
from deltarule.estimators.samples import Held, Samples, stretches, thin
from deltarule.estimators.tasks import Tasks

__all__ = ["cost_and_gradient", "minimise"]


def minimise(mlp: Any, own: Parameters, samples: Samples, held: Held | None, tasks: Tasks) -> None:
    """θ where no step makes C smaller, or as near as `max_iter` and `max_fun` allow."""

    def after(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        with tasks.one("iteration") as task:
            own.theta[...] = own.unpacked(intermediate_result.x)
            if held is not None:
                mlp._watch(own, held, None)
        if task.stops:
            raise StopIteration

    result = scipy.optimize.minimize(
        lambda vector: cost_and_gradient(mlp, own, vector, samples), own.packed(own.theta), method="L-BFGS-B", jac=True,
        callback=None if held is None and not tasks else after,
        options={"maxfun": mlp.max_fun, "maxiter": mlp.max_iter, "gtol": mlp.tol,
                 **_get_additional_lbfgs_options_dict("iprint", 1 if mlp.verbose else -1)},
    )  # fmt: skip
    stopped = "StopIteration" in str(result.message)
    mlp.n_iter_ = result.nit if stopped else _check_optimize_result("lbfgs", result, mlp.max_iter)
    own.theta[...] = own.unpacked(result.x)
    penalty, constant = _penalty(mlp, own, own.theta, samples), _constant(samples)
    mlp.loss_ = mlp._loss_of(result.fun - constant, penalty, constant)
    if held is None:
        mlp._remember(-mlp.loss_, own.theta, mlp.n_iter_)


def cost_and_gradient(
    mlp: Any, own: Parameters, vector: NDArray[np.float64], samples: Samples
) -> tuple[float, NDArray[np.float64]]:
    """C and its gradient, as scikit-learn lays out its vectors."""
    theta, engine = own.unpacked(vector), engines.choose("auto", own.net)
    C = _penalty(mlp, own, theta, samples) + _constant(samples)
    g = mlp.alpha / _total(samples.weights, len(samples.t)) * np.where(own.net.decayed, theta, 0).astype(np.float64)
    with np.errstate(all="ignore"):
        if samples.sparse and thin(samples.X, len(samples.t), len(own.intercepts[0]), learns=True):
            own_C, own_g = sparse.cost_and_gradient(own.net, theta, *samples[:3], masks={})
            return C + own_C, own.packed(g + own_g)
        for rows in stretches(samples.X) if samples.sparse else [slice(None)]:
            X, t, w = samples.rows(rows) if samples.sparse else samples[:3]
            share = _total(w, len(t)) / _total(samples.weights, len(samples.t))
            own_C, own_g = engine.cost_and_gradient(own.net, theta, X, t, sample_weight=w)
            C, g = C + share * own_C, g + share * own_g
    return C, own.packed(g)


def _total(weights: NDArray[Any] | None, m: int) -> float:
    return float(m) if weights is None else float(weights.sum(dtype=np.float64))


def _penalty(mlp: Any, own: Parameters, theta: NDArray[Any], samples: Samples) -> float:
    decayed = theta[own.net.decayed].astype(np.float64)
    return float(mlp.alpha / (2 * _total(samples.weights, len(samples.t))) * (decayed @ decayed))


def _constant(samples: Samples) -> float:
    return 0.0 if samples.constants is None else float(np.average(samples.constants, weights=samples.weights))
