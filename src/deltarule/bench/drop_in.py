"""deltarule's estimators beside scikit-learn's networks: the same calls on the same data, in turns, in one process."""

from __future__ import annotations

import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.bench import cases
from deltarule.bench.problem import Problem, pose
from deltarule.bench.race import REST
from deltarule.data.idx import read_idx_folder

__all__ = ["Contest", "contests", "ratio", "row"]


class Contest(NamedTuple):
    """A piece of work: on what, by which settings, and how many times scikit-learn's speed is promised.

    `work` is given one of the two classes and does it; what it returns must be alike.
    """

    name: str
    must: float
    work: Callable[[type[Any]], float]
    repeats: int | None = None  # None: as many as rounds


def contests(quick: bool) -> list[Contest]:
    """All of them; in a quick look on few rows."""
    digits, mnist = (_problem(name, quick) for name in ("digits", "mlp128"))
    random = np.random.default_rng(0)
    noise = random.normal(size=(1000, 20))
    labels = (noise[:, :5].sum(axis=1) + random.normal(size=1000) > 0).astype(int)

    def epochs(n: int) -> int:
        return 2 if quick else n

    found = [
        Contest("digits, 64-100-10, default batch", 4, _fit(*digits, max_iter=epochs(200))),
        Contest("1,000 × 20, 32 hidden units, batch 32", 8, _fit(
            noise, labels, hidden_layer_sizes=32, batch_size=32, max_iter=epochs(50))),
        Contest("MNIST, 784-100-10, batch 200, 2 epochs", 2.5, _fit(*mnist, max_iter=2)),
        Contest("digits, lbfgs", 1.5, _fit(*digits, solver="lbfgs", max_iter=epochs(200))),
        Contest("digits, GridSearchCV(n_jobs=2), 12 × 5-fold", 4, _search(*digits, epochs(50)), 1 if quick else 3),
    ]  # fmt: skip
    if "DELTARULE_DATA" in os.environ and not quick:
        train, test = mnist, _mnist_test()
        both = {"hidden_layer_sizes": (100, 100), "max_iter": 400}
        found += [
            Contest("scikit-learn's MNIST benchmark, Adam", 2.5, _error(train, test, **both), 1),
            Contest("scikit-learn's MNIST benchmark, SGD", 2.5, _error(
                train, test, solver="sgd", learning_rate_init=0.2, **both), 1),
        ]  # fmt: skip
    return found


def ratio(contest: Contest, rounds: int, tell: Callable[[str], None]) -> dict[str, float]:
    """Seconds of both (medians), how often ours is faster (the median of pairs), and what each answered last."""
    from sklearn.neural_network import MLPClassifier as Theirs

    from deltarule.estimators import MLPClassifier as Ours

    times: dict[type[Any], list[float]] = {Theirs: [], Ours: []}
    answers: dict[type[Any], float] = {}
    for _ in range(contest.repeats or rounds):
        for cls, found in times.items():
            time.sleep(REST)
            begun = time.perf_counter()
            answers[cls] = contest.work(cls)
            found.append(time.perf_counter() - begun)
    faster = statistics.median(a / b for a, b in zip(times[Theirs], times[Ours]))
    tell(f"  {contest.name}: {faster:.2f} times scikit-learn's speed")
    return {
        "scikit-learn": statistics.median(times[Theirs]), "deltarule": statistics.median(times[Ours]), "faster": faster,
        "its answer": answers[Theirs], "ours": answers[Ours],
    }  # fmt: skip


def row(rounds: int) -> dict[str, float]:
    """Microseconds of scikit-learn's own validation of one row, and what either `predict` takes beyond it."""
    from sklearn.neural_network import MLPClassifier as Theirs
    from sklearn.utils.validation import check_is_fitted, validate_data

    from deltarule.estimators import MLPClassifier as Ours

    X, y = _problem("digits", False)
    ours, theirs = (_quiet(cls(max_iter=5, random_state=0).fit, X, y) for cls in (Ours, Theirs))
    x = X[:1]

    def validation() -> None:
        check_is_fitted(ours)
        validate_data(ours, x, accept_sparse=["csr", "csc"], reset=False)

    calls: dict[str, Callable[[], Any]] = {
        "validation": validation,
        "deltarule": lambda: ours.predict(x),
        "scikit-learn": lambda: theirs.predict(x),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(50 * rounds):
        for name, call in calls.items():
            begun = time.perf_counter()
            for _ in range(20):
                call()
            times[name].append((time.perf_counter() - begun) / 20 * 1e6)
    own, *others = (min(found) for found in times.values())  # what the code takes where nobody disturbs it
    return {"validation": own, **{name: found - own for name, found in zip(list(calls)[1:], others)}}


def _problem(name: str, quick: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """X in float32 or float64 as users have it, and labels."""
    case = cases.find(name)
    problem: Problem = pose(case.shortened() if quick else case)
    return problem.X.astype(np.float64 if name == "digits" else np.float32), problem.t


def _mnist_test() -> tuple[NDArray[Any], NDArray[Any]]:
    test = read_idx_folder(Path(os.environ["DELTARULE_DATA"]) / "mnist").test
    assert test is not None
    X, y = map(np.asarray, test)
    return X.reshape(len(X), -1).astype(np.float32) / 255, y


def _fit(X: NDArray[Any], y: NDArray[Any], **settings: Any) -> Callable[[type[Any]], float]:
    return lambda cls: float(_quiet(cls(random_state=1, **settings).fit, X, y).loss_)


def _error(train: Any, test: Any, **settings: Any) -> Callable[[type[Any]], float]:
    return lambda cls: 1 - float(_quiet(cls(random_state=1, **settings).fit, *train).score(*test))


def _search(X: NDArray[Any], y: NDArray[Any], epochs: int) -> Callable[[type[Any]], float]:
    grid = {"alpha": [1e-5, 1e-4, 1e-3, 1e-2], "learning_rate_init": [1e-3, 3e-3, 1e-2]}

    def work(cls: type[Any]) -> float:
        from sklearn.model_selection import GridSearchCV

        search = GridSearchCV(cls(random_state=1, max_iter=epochs), grid, cv=5, n_jobs=2)
        before, os.environ["PYTHONWARNINGS"] = (
            os.environ.get("PYTHONWARNINGS", ""),
            "ignore",
        )
        try:
            return float(_quiet(search.fit, X, y).best_score_)
        finally:
            os.environ["PYTHONWARNINGS"] = before

    return work


def _quiet(fit: Callable[..., Any], *data: Any) -> Any:
    """Without the warning that the epochs it was told to run were not enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit(*data)
