"""The solvers "sgd" and "adam": epochs of mini-batches, by scikit-learn's random numbers and its rules of stopping.

    C = (1/Σw) Σᵢ wᵢ C⁽ⁱ⁾ + (α / 2 Σw) Σ W²          of a mini-batch: scikit-learn divides its decay by the samples, too

An engine call takes as many epochs as cannot end the training before the last of them: nothing but the loss without
improvement can, and that takes n_iter_no_change epochs.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from deltarule import engines
from deltarule.engines import Outcome, Settings, Slice
from deltarule.estimators import sparse
from deltarule.estimators.parameters import Parameters
from deltarule.estimators.samples import AT_A_TIME, Held, Samples, thin
from deltarule.estimators.tasks import Tasks
from deltarule.optimizers import SGD, Adam, Momentum, Nesterov, Optimizer

__all__ = ["begin", "descend", "goes_on"]

WORTH = 2e9  # floating-point operations of a call, about: a Ctrl-C waits for its end


def begin(mlp: Any, own: Parameters) -> None:
    """The update rule and its state, η as scikit-learn steers it, and a seed if anything is dropped.

    They stay for every `partial_fit` after it, whatever the parameters are then.
    """
    if mlp.solver == "sgd":
        steering = (mlp.learning_rate_init, mlp.learning_rate, mlp.momentum, mlp.nesterovs_momentum, mlp.power_t)
        mlp._optimizer = SGDOptimizer([], *steering)
    else:
        mlp._optimizer = AdamOptimizer([], mlp.learning_rate_init, mlp.beta_1, mlp.beta_2, mlp.epsilon)
    mlp._rule = _rule(mlp)
    mlp._state, mlp._steps = mlp._rule.begin(own.theta), 0
    mlp._seed = int(mlp._random_state.randint(2**31)) if np.any(np.greater(mlp.dropout, 0)) else 0


def goes_on(mlp: Any, own: Parameters) -> bool:
    """Whether there is a descent to go on with; its state follows θ's type."""
    state = getattr(mlp, "_state", None)
    if state is None or any(a.shape != own.theta.shape for a in state.values()):
        return False
    mlp._state = {name: a.astype(own.theta.dtype, copy=False) for name, a in state.items()}
    return True


def descend(mlp: Any, own: Parameters, samples: Samples, held: Held | None, tasks: Tasks, once: bool) -> None:
    """Epochs until nothing improves, or `max_iter` of them; or one."""
    m = len(samples.t)
    size, order = _batch_size(mlp, m), np.arange(m)
    mlp.n_iter_ = 0
    try:
        while mlp.n_iter_ < mlp.max_iter:
            orders, rates, steering = [], [], copy.copy(mlp._optimizer)
            for k in range(1, 1 + (1 if once or tasks else _epochs_of_a_call(mlp, own, samples))):
                if mlp.shuffle:
                    order = _shuffled(order, mlp._random_state)
                orders.append(order)
                rates.append(steering.learning_rate)
                steering.iteration_ends(mlp.t_ + k * m)
            with tasks.one("epoch") as task:
                losses, thetas = _epochs(mlp, own, samples, orders, rates, size)
                for loss, theta in zip(losses, thetas):
                    own.theta[...] = theta
                    over = _books(mlp, own, m, loss, held)
            if over or task.stops or once:
                break
        else:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({mlp.max_iter}) reached and the optimization hasn't "
                "converged yet. Raise max_iter, learning_rate_init or tol.", ConvergenceWarning, stacklevel=2,
            )  # fmt: skip
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    if mlp.early_stopping and mlp._best is not None:
        mlp.restore_best()


def _rule(mlp: Any) -> Optimizer:
    if mlp.solver == "adam":
        return Adam(mlp.beta_1, mlp.beta_2, mlp.epsilon, epsilon_hat=True)
    if not mlp.momentum:
        return SGD()
    return (Nesterov if mlp.nesterovs_momentum else Momentum)(mlp.momentum)


def _batch_size(mlp: Any, m: int) -> int:
    if mlp.batch_size == "auto":
        return min(200, m)
    if mlp.batch_size > m:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
        )
    return int(np.clip(mlp.batch_size, 1, m))


def _epochs_of_a_call(mlp: Any, own: Parameters, samples: Samples) -> int:
    """As many as may be run before anything has to be decided."""
    if mlp.verbose or samples.sparse:
        return 1
    undecided = mlp.n_iter_no_change - mlp._no_improvement_count + 1
    worth = min(WORTH / (6 * own.net.size * len(samples.t)), AT_A_TIME / own.net.size)
    return max(1, int(min(undecided, worth, mlp.max_iter - mlp.n_iter_)))


def _shuffled(order: NDArray[np.int64], random: np.random.RandomState) -> NDArray[np.int64]:
    """`sklearn.utils.shuffle(order, random_state=random)`, without its checks."""
    indices = np.arange(len(order))
    random.shuffle(indices)
    return order[indices]


def _epochs(
    mlp: Any, own: Parameters, samples: Samples, orders: list[NDArray[np.int64]], rates: list[float], size: int
) -> tuple[list[float], list[NDArray[Any]]]:
    """The mean loss of each epoch's mini-batches and θ behind it; NaN and the last once it left the finite numbers."""
    m, n = len(orders[0]), len(orders)
    starts = np.arange(0, m, size)
    sizes = np.diff(starts, append=m)
    order = np.concatenate(orders)
    first = np.add.outer(m * np.arange(n), starts).ravel()  # row of every mini-batch
    totals = _sums(samples.weights, order, first) if samples.weights is not None else np.tile(sizes, n).astype(float)
    todo = Slice(
        order, np.append(first[1:], n * m), np.repeat(np.array(rates, np.float64), len(starts)),
        [mlp._rule] * len(first), mlp._steps + 1, decays=mlp.alpha / np.where(totals > 0, totals, np.inf),
        keeps=np.arange(1, n) * len(starts),
    )  # fmt: skip
    done = _updates(mlp, own, samples, todo, size)
    count = len(done.costs)
    mlp._state, mlp._steps = done.state, mlp._steps + count
    losses = np.full(len(first), np.nan)
    losses[:count] = mlp._loss_of(done.costs, done.penalties, _constants(samples, order, first, totals)[:count])
    kept = [] if done.kept is None else list(done.kept)
    thetas = [*kept, done.theta if done.diverged is None else np.full_like(done.theta, np.nan)]
    return (losses.reshape(n, -1) @ sizes / m).tolist()[: len(thetas)], thetas


def _updates(mlp: Any, own: Parameters, samples: Samples, todo: Slice, size: int) -> Outcome:
    """The engine's answer to a slice; a sparse X is written out a few mini-batches at a time, or not at all."""
    engine, settings = engines.choose("auto", own.net), Settings(mlp._seed)
    if not samples.sparse:
        outcome: Outcome = engine.train(own.net, own.theta, mlp._state, *samples[:3], todo, settings)
        return outcome
    if thin(samples.X, size, len(own.intercepts[0]), learns=True, updates=True):
        found: Outcome = _sparse_updates(mlp, own, samples, todo)
        return found
    theta, state, parts = own.theta, mlp._state, []
    starts = np.append(0, todo.ends)
    step = max(1, AT_A_TIME // (size * samples.X.shape[1]))
    for k in range(0, len(todo.ends), step):
        last = min(k + step, len(todo.ends))
        rows = todo.order[starts[k] : starts[last]]
        X, t, w = samples.rows(rows)
        part = Slice(
            np.arange(len(rows)), starts[k + 1 : last + 1] - starts[k], todo.rates[k:last], todo.optimizers[k:last],
            todo.first_step + k, decays=None if todo.decays is None else todo.decays[k:last],
        )  # fmt: skip
        parts.append(engine.train(own.net, theta, state, X, t, w, part, settings))
        theta, state = parts[-1].theta, parts[-1].state
        if parts[-1].diverged is not None:
            break
    costs, penalties = (np.concatenate([getattr(p, name) for p in parts]) for name in ("costs", "penalties"))
    whole: Outcome = parts[-1]._replace(costs=costs, penalties=penalties)
    return whole


@np.errstate(all="ignore")  # what leaves the finite numbers is found
def _sparse_updates(mlp: Any, own: Parameters, samples: Samples, todo: Slice) -> Outcome:
    """The same one mini-batch after the other, without an engine."""
    net, theta, state, costs, penalties = own.net, own.theta, mlp._state, list[float](), list[float]()
    for k, (rows, rate, rule) in enumerate(zip(todo.batches, todo.rates.tolist(), todo.optimizers)):
        decay, step = float(0 if todo.decays is None else todo.decays[k]), todo.first_step + k
        masks = engines.textbook.dropout_masks(net, mlp._seed, step, rows, theta.dtype)
        w = None if samples.weights is None else samples.weights[rows]
        C, g = sparse.cost_and_gradient(net, theta, samples.X[rows], samples.t[rows], w, masks)
        penalty = 0.0
        for W, dW in ((p["W"], own_g["W"]) for p, own_g in zip(net.split(theta), net.split(g)) if p):
            penalty += float(np.vdot(W, W))
            dW += W * theta.dtype.type(decay)  # a view of g
        penalties.append(decay / 2 * penalty)
        costs.append(C + penalties[-1])
        updated, after = rule.update(theta, g, state, rate, step)
        if not (np.isfinite(costs[-1]) and np.isfinite(updated @ updated)):
            return Outcome(theta, state, np.array(costs[:-1]), np.array(penalties[:-1]), step)
        theta, state = updated, after
    return Outcome(theta, state, np.array(costs), np.array(penalties))


def _sums(values: NDArray[Any], order: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of every mini-batch."""
    return np.add.reduceat(values[order], first, dtype=np.float64)


def _constants(
    samples: Samples, order: NDArray[np.int64], first: NDArray[np.int64], totals: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What scikit-learn's loss of each mini-batch has beyond C."""
    if samples.constants is None:
        return np.zeros(len(first))
    c = samples.constants if samples.weights is None else samples.constants * samples.weights
    return _sums(c, order, first) / totals


def _books(mlp: Any, own: Parameters, m: int, loss: float, held: Held | None) -> bool:
    """Keep the books of an epoch; whether it was the last."""
    mlp.n_iter_ += 1
    mlp.t_ += m
    mlp.loss_ = loss
    mlp.loss_curve_.append(loss)
    if mlp.verbose:
        print(f"Iteration {mlp.n_iter_}, loss = {loss:.8f}")  # noqa: T201
    good, best = mlp._watch(own, held, loss), mlp.best_validation_score_ if mlp.early_stopping else -mlp.best_loss_
    mlp._optimizer.iteration_ends(mlp.t_)
    mlp._no_improvement_count = mlp._no_improvement_count + 1 if good < best + mlp.tol else 0
    if good > best and mlp.early_stopping:
        mlp.best_validation_score_ = good
    elif good > best:
        mlp.best_loss_ = loss
    if not np.isfinite(loss):
        warnings.warn(
            f"training diverged in epoch {mlp.n_iter_}: lower learning_rate_init (it is "
            f"{mlp._optimizer.learning_rate:g}), or scale the inputs", ConvergenceWarning, stacklevel=2,
        )  # fmt: skip
        return True
    if mlp._no_improvement_count <= mlp.n_iter_no_change:
        return False
    what = "Validation score" if mlp.early_stopping else "Training loss"
    message = f"{what} did not improve more than tol={mlp.tol:f} for {mlp.n_iter_no_change} consecutive epochs."
    if mlp._optimizer.trigger_stopping(message, mlp.verbose):
        return True
    mlp._no_improvement_count = 0
    return False
