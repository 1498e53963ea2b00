"""SciPy's minimisers over θ: the course's `fminunc`, the exercise's `minFunc`.

    θ* = argmin C(θ),   J: θ → (C, ∂C/∂θ) over all the data at once

Newton-CG is given the Hessian-vector product by complex step of the gradient, H v = Im ∇C(θ + i h v) / h: exact to
rounding, at the price of one pass in complex numbers, and no second backward pass to get wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltarule.arrays import COMPLEX_STEP
from deltarule.engines import textbook
from deltarule.errors import DivergenceError, HyperparameterError, ShapeError
from deltarule.limits import number, whole
from deltarule.names import find
from deltarule.network import Network, Samples
from deltarule.training.history import History

__all__ = ["METHODS", "Iteration", "Minimum", "hessian_vector_product", "minimize"]

METHODS = {"l bfgs b": "L-BFGS-B", "l bfgs": "L-BFGS-B", "cg": "CG", "bfgs": "BFGS", "newton cg": "Newton-CG"}
GRADIENT_TOLERANCE = {"L-BFGS-B": "gtol", "CG": "gtol", "BFGS": "gtol", "Newton-CG": "xtol"}


class Iteration(NamedTuple):
    """What a callback is told after each iteration."""

    iteration: int
    cost: float
    gradient_norm: float
    evaluations: int


@dataclass(frozen=True)
class Minimum:
    """Where a minimiser ended; the network's θ is there."""

    cost: float
    iterations: int
    evaluations: int
    converged: bool
    reason: str
    history: History  # columns: iteration, cost, gradient_norm, evaluations, seconds


class _Objective:
    """J with a memory of its last value, so that reporting costs no evaluation."""

    def __init__(self, J: Callable[[NDArray[Any]], tuple[float, NDArray[Any]]]) -> None:
        self.J, self.evaluations = J, 0
        self.theta: NDArray[Any] | None = None
        self.value: tuple[float, NDArray[Any]] = (float("nan"), np.empty(0))

    def __call__(self, theta: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        if self.theta is None or not np.array_equal(theta, self.theta):
            self.value, self.theta = self.J(theta), theta.copy()
            self.evaluations += 1
        return self.value


def minimize(
    net: Network,
    X: Samples,
    t: ArrayLike,
    *,
    method: str = "L-BFGS-B",
    max_iterations: int = 200,
    tolerance: float = 1e-6,
    weight_decay: float = 0.0,
    sample_weight: ArrayLike | None = None,
    class_weight: Any = None,
    callback: Callable[[Iteration], Any] | None = None,
    options: dict[str, Any] | None = None,
) -> Minimum:
    """Minimise C over all the data with one of SciPy's minimisers, and leave θ at the minimum found.

    Args:
        net: its dtype is the precision of C and of the gradient; float64 lets the minimiser go further.
        X, t, sample_weight, class_weight: as in `train`; dropout is off.
        method: "L-BFGS-B", "CG", "BFGS" (which stores a matrix over θ) or "Newton-CG".
        max_iterations: when to stop at the latest.
        tolerance: the largest |∂C/∂θᵢ| at which it stops (Newton-CG: the mean step).
        weight_decay: λ.
        callback: told of every iteration; returning True ends the minimisation.
        options: passed to SciPy as they are.

    Returns:
        Cost, iterations, the reason for stopping in words, and a history with one row an iteration.

    >>> net = Network("2/1", output="identity", dtype="float64")
    >>> found = minimize(net, [[0, 0], [1, 0], [0, 1]], [1, 3, 0])      # t = 1 + 2 x₁ − x₂
    >>> found.converged, net.theta.round(4)
    (True, array([ 2., -1.,  1.]))
    """
    from scipy import optimize

    method = METHODS[find("minimiser", method, METHODS)]
    settings = _settings(method, max_iterations, tolerance, net.dtype, options)
    if callback is not None and not callable(callback):
        raise HyperparameterError(f"callback is a function of an Iteration, not {callback!r}")
    net.check_trainable()
    J = _Objective(
        net.cost_function(X, t, weight_decay=weight_decay, sample_weight=sample_weight, class_weight=class_weight)
    )
    start = net.theta.astype(np.float64)
    if not np.isfinite(J(start)[0]):
        raise DivergenceError(
            "the cost is not finite at the initial weights; scale the inputs, or start from smaller weights"
        )
    history, started = History(), time.perf_counter()

    def record(theta: NDArray[Any]) -> None:
        C, g = J(theta)
        if np.isfinite(C):
            net.theta = theta
        now = Iteration(len(history) + 1, C, float(np.linalg.norm(g)), J.evaluations)
        history.append(**now._asdict(), seconds=time.perf_counter() - started)
        if callback is not None and callback(now):
            history.stopped = "the callback asked to stop"
            raise StopIteration  # SciPy ends at this iteration

    curvature: dict[str, Any] = {}
    if method == "Newton-CG":
        product = hessian_vector_product(
            net, X, t, weight_decay=weight_decay, sample_weight=sample_weight, class_weight=class_weight
        )
        curvature = {"hessp": lambda theta, v: product(v, theta)}
    with np.errstate(all="ignore"):
        found = optimize.minimize(
            J,
            start,
            jac=True,
            method=method,
            options=settings,
            callback=lambda theta: record(np.asarray(theta)),
            **curvature,
        )
    evaluations = J.evaluations
    C = J(net.theta.astype(np.float64))[0]  # of the last iterate; SciPy may end on a point it only tried
    history.stopped = history.stopped or _reason(found, method, settings)
    return Minimum(C, int(found.nit), evaluations, bool(found.success), history.stopped, history)


def _settings(method: str, max_iterations: int, tolerance: float, dtype: Any, options: Any) -> dict[str, Any]:
    """SciPy's options for what was asked."""
    whole("max_iterations", max_iterations)
    number("tolerance", tolerance, least=0)
    if not isinstance(options, Mapping | None) or not all(isinstance(k, str) for k in options or {}):
        raise HyperparameterError(f"options is a mapping of names for SciPy, not {options!r}")
    settings: dict[str, Any] = {"maxiter": max_iterations, GRADIENT_TOLERANCE[method]: tolerance}
    if method == "L-BFGS-B":  # the two limits that SciPy would set tighter than what was asked for
        settings |= {"ftol": float(np.finfo(dtype).eps), "maxfun": 100 * max_iterations}
    settings |= options or {}
    whole("maxiter", settings["maxiter"])
    number(GRADIENT_TOLERANCE[method], settings[GRADIENT_TOLERANCE[method]], least=0)
    return settings


def _reason(found: Any, method: str, settings: dict[str, Any]) -> str:
    """Why SciPy stopped, in words."""
    steepest, said = float(np.abs(found.jac).max(initial=0.0)), str(found.message).strip()
    tolerance = settings[GRADIENT_TOLERANCE[method]]
    if found.success and method == "Newton-CG":
        return f"the steps are small: at most {tolerance:.2g} on average"
    if found.success and steepest <= tolerance:
        return f"the gradient is flat: its largest entry is {steepest:.2g}, at most {tolerance:.2g}"
    if found.success:
        return f"the cost no longer falls at this precision (largest gradient {steepest:.2g})"
    if found.nit >= settings["maxiter"]:
        return f"the limit of {settings['maxiter']} iterations is reached; raise max_iterations to go on"
    if found.status == 1:
        return f"a limit is reached (largest gradient {steepest:.2g}; SciPy: {said})"
    return f"no step lowers the cost further at this precision (largest gradient {steepest:.2g}; SciPy: {said})"


def hessian_vector_product(
    net: Network,
    X: Samples,
    t: ArrayLike,
    *,
    weight_decay: float = 0.0,
    sample_weight: ArrayLike | None = None,
    class_weight: Any = None,
) -> Callable[..., NDArray[np.float64]]:
    """(v, θ) → H v, the Hessian of C times a vector, by complex step of the gradient, in float64.

    H v = Im ∇C(θ + i h v) / h. Frozen entries count as constants. θ is the network's own unless given.

    >>> net = Network("1/1", output="identity", dtype="float64", seed=1)
    >>> H = hessian_vector_product(net, [[1.0], [3.0]], [0.0, 0.0])     # the Hessian is the mean of [x 1]ᵀ[x 1]
    >>> H(np.array([1.0, 0.0])), H(np.array([0.0, 1.0]))
    (array([5., 2.]), array([2., 1.]))
    """
    rows, targets, w = net.prepare(X, t, sample_weight, class_weight, dtype=np.float64)

    def product(v: ArrayLike, theta: ArrayLike | None = None) -> NDArray[np.float64]:
        at = np.asarray(net.theta if theta is None else theta, dtype=np.float64)
        for vector in (v, at):
            if np.shape(vector) != (net.size,):
                raise ShapeError(f"θ has {net.size} entries, the vector has the shape {np.shape(vector)}")
        direction = np.where(net.trainable, v, 0.0)
        with np.errstate(all="ignore"):
            _, g = textbook.cost_and_gradient(
                net, at + 1j * COMPLEX_STEP * direction, rows, targets, weight_decay=weight_decay, sample_weight=w
            )
        result: NDArray[np.float64] = g.imag / COMPLEX_STEP
        return result

    return product
