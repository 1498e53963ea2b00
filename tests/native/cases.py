"""What the native engine's tests share: targets that a cost allows, slices of training, bits, and other processes."""

from __future__ import annotations

import faulthandler
import hashlib
import os
import resource
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import Dense, Dropout, Network, train
from deltarule.costs import BinaryCrossEntropy, CrossEntropy, Poisson
from deltarule.engines import Outcome, Settings, Slice, native, textbook
from deltarule.optimizers import OPTIMIZERS, Optimizer, optimizer

Array = NDArray[Any]
TOLERANCE = 1e-10  # between the engines, in float64

CALM: dict[str, str] = {"adagrad": "adagrad(epsilon=0.001)", "rmsprop": "rmsprop(epsilon=1e-06)"}
"""Constants with which a g that is all rounding moves θ by nothing: η g / (|g| + 1e-10) would magnify it."""


def rules() -> list[str]:
    """Every optimiser by name."""
    return sorted({kind.name for kind in OPTIMIZERS.values()})


def calm(name: str) -> Optimizer:
    return optimizer(CALM.get(name, name))


def features(net: Network, m: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, 1]).normal(size=(m, *net.input_shape)).astype(net.dtype)


def thinned(X: Array, seed: int = 0) -> Array:
    """Rows of which much is zero: features in all rows, runs of features row by row, and one row altogether."""
    random, n = np.random.default_rng([seed, 5]), X.shape[1]
    runs = np.repeat(random.uniform(size=(len(X), n // 4 + 1)) < 0.6, 4, axis=1)[:, :n]
    zero = runs | (random.uniform(size=n) < 0.3) | (random.uniform(size=X.shape) < 0.2)
    zero[:, n // 2 : n // 2 + 33] = True  # whole vectors and panels in the gradient
    zero[len(X) // 2] = True
    return np.where(zero, 0, X).astype(X.dtype)


def targets(net: Network, m: int, seed: int = 0, *, labels: bool = False) -> Array:
    """m targets as rows that the cost allows, or as labels."""
    random, shape, cost = np.random.default_rng([seed, 2]), (m, net.n_outputs), net.output.cost
    if labels:
        return random.integers(0, net.n_outputs, m)
    rows = random.normal(size=shape)
    if isinstance(cost, CrossEntropy):
        rows = random.dirichlet(np.ones(net.n_outputs), m)
    elif isinstance(cost, BinaryCrossEntropy):
        rows = random.integers(0, 2, shape)
    elif isinstance(cost, Poisson):
        rows = random.poisson(2, shape)
    return rows.astype(net.dtype)


def weights(net: Network, m: int, seed: int = 0) -> Array:
    """Sample weights; about every third is 0, the first is not."""
    random = np.random.default_rng([seed, 3])
    w = random.uniform(0.1, 2, m) * (random.uniform(size=m) > 0.3)
    w[0] = 1.5
    return w.astype(net.dtype)


def part(
    sizes: Sequence[int], rule: Optimizer, rate: float | None = None, *, m: int = 0, seed: int = 0, first_step: int = 1
) -> Slice:
    """Updates over batches of these sizes, of rows drawn from m (unless said, from as many as one batch needs)."""
    rows = np.random.default_rng([seed, 4]).integers(0, m or max(sizes), sum(sizes))
    rates = np.full(len(sizes), rule.own_rate if rate is None else rate)
    return Slice(rows, np.cumsum(sizes), rates, [rule] * len(sizes), first_step)


def descend(
    engine: ModuleType, net: Network, todo: Slice, X: Array, t: Array, w: Array | None = None, **given: Any
) -> Outcome:
    """The outcome of a slice from the network's θ; it and the data stay as they were."""
    kept = [a.copy() for a in (net.theta, X, t)]
    state = todo.optimizers[0].begin(net.theta)
    zeros = {name: value.copy() for name, value in state.items()}
    outcome: Outcome = engine.train(net, net.theta, state, X, t, w, todo, Settings(**({"seed": 7} | given)))
    for before, after in zip([*kept, *zeros.values()], [net.theta, X, t, *state.values()]):
        np.testing.assert_array_equal(before, after)
    return outcome


def close(found: Any, expected: Any, tolerance: float = TOLERANCE) -> None:
    """Every number within the tolerance, of 1 or of the largest expected if that is more."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def same_descent(net: Network, todo: Slice, X: Array, t: Array, w: Array | None = None, **given: Any) -> Outcome:
    """Both engines end a slice alike: θ, the state where something learns, costs, and where they diverged."""
    found, expected = descend(native, net, todo, X, t, w, **given), descend(textbook, net, todo, X, t, w, **given)
    assert found.diverged == expected.diverged
    close(found.theta, expected.theta)
    close(found.costs, expected.costs)
    close(found.penalties, expected.penalties)
    close(found.kept, expected.kept)
    assert found.state.keys() == expected.state.keys()
    for name, value in expected.state.items():
        learns = net.trainable if value.shape == net.theta.shape else slice(None)
        close(found.state[name][learns], value[learns])
    return found


def digest(*values: Array | float) -> str:
    """The bits of some arrays, types and shapes too, in sixteen letters."""
    h = hashlib.sha256()
    for value in map(np.asarray, values):
        h.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
    return h.hexdigest()[:16]


def bits(outcome: Outcome) -> str:
    return digest(outcome.theta, outcome.costs, *(outcome.state[name] for name in sorted(outcome.state)))


def python(code: str, *, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """Another interpreter, with this folder on its path and these variables."""
    code = f"import sys; sys.path[:0] = [{str(Path(__file__).parents[1])!r}]\n{code}"
    inherited = {k: v for k, v in os.environ.items() if k not in ("DELTARULE_NUM_THREADS", "OMP_NUM_THREADS")}
    return subprocess.run(
        [sys.executable, "-c", code], env=inherited | environment, capture_output=True, text=True, timeout=timeout
    )


def in_a_fork(f: Callable[[], Any]) -> tuple[str, int]:
    """(what f returned or raised, as text; the signal that killed it, or 0), in a child: a crash stays there."""
    here, there = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads beside the fork, which is the point
        child = os.fork()
    if child == 0:
        try:
            os.close(here)
            faulthandler.disable()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            try:
                text = repr(f())
            except BaseException as error:
                text = f"{type(error).__name__}: {error}"
            os.write(there, text.encode()[:4000])
        finally:
            os._exit(0)
    os.close(there)
    with os.fdopen(here, "rb") as answers:
        text = answers.read().decode()
    return text, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run_of(seed: int, engine: str = "native", **named: Any) -> str:
    """The bits of a small training with dropout, and of its predictions; a module's function, so that it can travel."""
    net = Network([Dense(24, "relu"), Dropout(0.2), Dense(3, "softmax")], input_shape=30, seed=seed)
    X, t = features(net, 200, seed), targets(net, 200, seed, labels=True)
    history = train(net, X, t, **({"epochs": 3, "engine": engine, "verbose": False} | named))
    return digest(net.theta, net.forward(X), np.array(history.cost))
