"""The same random state gives the same network as scikit-learn's, but for the rounding of sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor

from deltarule import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1"),
]

SOLVERS: dict[str, dict[str, Any]] = {
    "adam": {"solver": "adam", "beta_1": 0.8, "epsilon": 1e-4},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.05},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.7},
    "plain": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "learning_rate_init": 0.2},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 1e-2, "n_iter_no_change": 2},
    "lbfgs": {"solver": "lbfgs", "max_fun": 40},
}
KINDS = ["classes", "two classes", "labels", "values", "rows of values", "counts"]


def problem(kind: str, m: int = 60, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    random = np.random.default_rng([seed, KINDS.index(kind)])
    X = random.normal(size=(m, 5))
    z = X @ random.normal(size=(5, 3))
    y = {
        "classes": np.array(["a", "b", "c"])[z.argmax(axis=1)], "two classes": (z[:, 0] > 0).astype(int),
        "labels": (z > 0).astype(int), "values": z[:, 0], "rows of values": z[:, :2],
        "counts": random.poisson(np.exp(z[:, 0] / 3)).astype(float),
    }[kind]  # fmt: skip
    return X, y


def pair(kind: str, **given: Any) -> tuple[Any, Any]:
    """(Ours, scikit-learn's)."""
    given = {"hidden_layer_sizes": (7, 4), "max_iter": 12, "random_state": 3} | given
    if KINDS.index(kind) < 3:
        return MLPClassifier(**given), TheirClassifier(**given)
    given |= {"loss": "poisson"} if kind == "counts" else {}
    return MLPRegressor(**given), TheirRegressor(**given)


def alike(ours: Any, theirs: Any, X: Any, tolerance: float = 1e-9) -> None:
    """Attributes and answers."""
    for name in ("coefs_", "intercepts_"):
        for found, expected in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    curves = ["loss_", "n_iter_", "t_"] + ["loss_curve_", "best_loss_"] * (ours.solver != "lbfgs")
    curves += ["validation_scores_", "best_validation_score_"] * bool(ours.early_stopping)
    for name in curves:
        found, expected = getattr(ours, name), getattr(theirs, name)
        if expected is None:
            assert found is None
        else:
            np.testing.assert_allclose(found, expected, rtol=10 * tolerance, err_msg=name)
    for name in ("n_features_in_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(ours, name) == getattr(theirs, name)
    np.testing.assert_allclose(ours._forward_pass_fast(X), theirs._forward_pass_fast(X), rtol=tolerance, atol=tolerance)
    if hasattr(ours, "predict_proba"):
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_solvers(kind: str, solver: str) -> None:
    X, y = problem(kind)
    ours, theirs = pair(kind, **SOLVERS[solver])
    if (
        solver == "lbfgs" and kind == "rows of values"
    ):  # its value there is not that of its gradient: see minimisation.py
        assert ours.fit(X, y).loss_ <= theirs.fit(X, y).loss_ * 1.5
        return
    alike(ours.fit(X, y), theirs.fit(X, y), X, 1e-6 if solver == "lbfgs" else 1e-9)


@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS), solver=st.sampled_from([s for s in SOLVERS if s != "lbfgs"]),
    activation=st.sampled_from(["identity", "logistic", "tanh", "relu"]), m=st.integers(20, 90),
    batch=st.one_of(st.just("auto"), st.integers(1, 100)), hidden=st.lists(st.integers(1, 9), max_size=3),
    alpha=st.sampled_from([0.0, 1e-4, 1.0]), shuffle=st.booleans(), weighted=st.booleans(), sparse=st.booleans(),
    early_stopping=st.booleans(),
)  # fmt: skip
def test_settings(
    kind: str, solver: str, activation: str, m: int, batch: Any, hidden: list[int], alpha: float, shuffle: bool,
    weighted: bool, sparse: bool, early_stopping: bool,
) -> None:  # fmt: skip
    X, y = problem(kind, m)
    w = np.random.default_rng(m).uniform(0.5, 2, m) if weighted else None
    rows = scipy.sparse.csr_matrix(np.where(np.abs(X) > 0.5, X, 0)) if sparse else X
    rest = {"alpha": alpha, "shuffle": shuffle, "early_stopping": early_stopping, "validation_fraction": 0.3}
    rest |= {"activation": activation, "batch_size": batch, "hidden_layer_sizes": hidden, "max_iter": 4}
    ours, theirs = pair(kind, **(SOLVERS[solver] | rest | {"learning_rate_init": 0.01}))
    try:
        theirs.fit(rows, y, w)
    except RuntimeWarning:  # theirs overflows: what follows is nobody's
        reject()
    assume(max(abs(c).max() for c in theirs.coefs_) < 100)  # on the way there, rounding grows
    alike(ours.fit(rows, y, w), theirs, rows, 1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "nesterov"])
def test_going_on(kind: str, solver: str) -> None:
    """`partial_fit` after `fit`, a warm start after that; coefficients that were put in by hand count."""
    X, y = problem(kind)
    both = pair(kind, **SOLVERS[solver], warm_start=True)
    for mlp in both:
        mlp.fit(X, y)
        mlp.partial_fit(X[:30], y[:30]).partial_fit(X[30:], y[30:])
        mlp.coefs_[0] = mlp.coefs_[0] * 0.5
        mlp.intercepts_[1][...] = 0.25
        mlp.partial_fit(X, y)
        mlp.fit(X, y)
    alike(*both, X)


@pytest.mark.parametrize("solver", ["adam", "nesterov", "lbfgs"])
def test_float32(solver: str) -> None:
    X, y = problem("classes")
    ours, theirs = pair("classes", **SOLVERS[solver])
    X = X.astype(np.float32)
    ours.fit(X, y)
    assert {c.dtype for c in ours.coefs_ + ours.intercepts_} == {np.dtype(np.float32)}
    assert ours.predict_proba(X).dtype == np.float32
    theirs.fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=2e-2 if solver == "lbfgs" else 1e-4)


def test_a_random_state_that_is_carried() -> None:
    """Several fits that share one generator."""
    X, y = problem("classes")
    found = []
    for cls in (MLPClassifier, TheirClassifier):
        random = np.random.RandomState(5)
        mlps = [cls((6,), random_state=random, max_iter=3).fit(X, y) for _ in range(2)]
        found.append((mlps, random.uniform()))
    for ours, theirs in zip(found[0][0], found[1][0]):
        alike(ours, theirs, X)
    assert found[0][1] == found[1][1]


def test_stopping_within_a_call() -> None:
    """The engine takes several epochs a call; the training ends behind the same one, and the generator stands alike."""
    X, y = problem("classes", 200)
    for n in (1, 3, 10, np.inf):
        randoms = [np.random.RandomState(0), np.random.RandomState(0)]
        ours, theirs = (
            cls((5,), random_state=r, tol=1e-3, n_iter_no_change=n, max_iter=150, learning_rate_init=0.03).fit(X, y)
            for cls, r in zip((MLPClassifier, TheirClassifier), randoms)
        )
        alike(ours, theirs, X, 1e-6)
        assert randoms[0].uniform() == randoms[1].uniform()


def test_whole_numbers_are_numbers() -> None:
    """And no pixels, which the library's own networks would divide by 255."""
    X, y = problem("classes")
    X = np.round(10 * X).astype(np.int64)
    ours, theirs = (mlp.fit(X, y) for mlp in pair("classes"))
    alike(ours, theirs, X)
    bytes_ = np.abs(X).astype(np.uint8)
    np.testing.assert_allclose(ours.predict_proba(bytes_), theirs.predict_proba(bytes_), atol=1e-9)


def test_a_large_sparse_matrix_is_never_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows at a time; the answers do not depend on how many."""
    from deltarule.estimators import descent, samples

    X, y = problem("classes")
    rows = scipy.sparse.csr_matrix(np.where(X > 0, X, 0))
    w = np.linspace(0.5, 2, len(y))
    fits = [{"solver": s, "batch_size": 7} for s in ("adam", "lbfgs")]
    whole = [MLPClassifier((6,), random_state=0, max_iter=5, **f).fit(rows, y, w).predict_proba(rows) for f in fits]
    for module in (descent, samples):
        monkeypatch.setattr(module, "AT_A_TIME", 5 * 20)
    largest = 0

    def dense_rows(*given: Any) -> NDArray[Any]:
        nonlocal largest
        found = original(*given)
        largest = max(largest, len(found))
        return found

    from deltarule.estimators import parameters

    original = samples.dense_rows
    for module in (samples, parameters):
        monkeypatch.setattr(module, "dense_rows", dense_rows)
    parts = [MLPClassifier((6,), random_state=0, max_iter=5, **f).fit(rows, y, w).predict_proba(rows) for f in fits]
    np.testing.assert_allclose(parts, whole, rtol=1e-7)
    assert 0 < largest <= 20
    assert scipy.sparse.issparse(rows)


# Between calls


CHANGED: dict[str, dict[str, Any]] = {
    "another solver": {"solver": "sgd"}, "constants": {"beta_2": 0.5, "epsilon": 1e-3, "learning_rate_init": 0.5},
    "another activation": {"activation": "tanh"}, "decay": {"alpha": 1.0}, "batches": {"batch_size": 7},
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGED)
@pytest.mark.parametrize("first", ["adam", "momentum"])
def test_parameters_set_between_calls(change: str, first: str) -> None:
    """`partial_fit` goes on with the optimiser it has, and with everything else as it is now."""
    X, y = problem("classes")
    both = pair("classes", **SOLVERS[first])
    for mlp in both:
        mlp.fit(X, y)
        given = CHANGED[change]
        mlp.set_params(**({"solver": "adam"} if given == {"solver": "sgd"} and first == "momentum" else given))
        mlp.partial_fit(X, y).partial_fit(X, y)
    alike(*both, X)
    for mlp in both:
        mlp.set_params(warm_start=True).fit(X, y)
    alike(*both, X)


def test_another_loss_counts_at_once() -> None:
    X, y = problem("values", 300)
    mlp = MLPRegressor(
        loss="quantile", quantile=0.1, warm_start=True, solver="lbfgs", random_state=0, hidden_layer_sizes=4
    )
    low = np.mean(y <= mlp.fit(X, y).predict(X))
    high = np.mean(y <= mlp.set_params(quantile=0.9, max_iter=400).fit(X, y).predict(X))
    assert low < 0.3
    assert high > 0.7


def test_a_warm_start_with_early_stopping() -> None:
    X, y = problem("classes", 90)
    both = pair("classes", early_stopping=True, warm_start=True, validation_fraction=0.2)
    for mlp in both:
        mlp.fit(X, y)
        mlp.fit(X[:60], y[:60])
        mlp.fit(X, y)
    alike(*both, X)


@pytest.mark.parametrize("dtype", ["float32", "int64", "float16"])
def test_coefficients_of_another_type(dtype: str) -> None:
    """Put in by hand, as whole numbers too; then it goes on learning."""
    X, y = problem("two classes")
    both = pair("two classes")
    for mlp in both:
        mlp.fit(X, y)
        mlp.coefs_ = [np.round(3 * c).astype(dtype) for c in mlp.coefs_]
    np.testing.assert_allclose(both[0].predict_proba(X), both[1].predict_proba(X), rtol=1e-3)
    if dtype == "float32":
        for mlp in both:
            mlp.coefs_[0] = mlp.coefs_[0].astype(np.float64)
            mlp.partial_fit(X, y)
        np.testing.assert_allclose(both[0].predict_proba(X), both[1].predict_proba(X), atol=1e-4)


def test_float32_networks_answer_as_scikit_learns() -> None:
    X, y = problem("values")
    ours, theirs = (mlp.fit(X.astype(np.float32), y.astype(np.float32)) for mlp in pair("values"))
    for rows in (X, X.astype(np.float32), X.astype(int)):
        assert ours.predict(rows).dtype == theirs.predict(rows).dtype
        np.testing.assert_allclose(ours.predict(rows), theirs.predict(rows), atol=1e-5)


def test_what_was_kept_of_the_coefficients_stays() -> None:
    X, y = problem("classes")
    mlp = MLPClassifier((5,), warm_start=True, max_iter=3, random_state=0).fit(X, y)
    kept, copies = list(mlp.coefs_), [c.copy() for c in mlp.coefs_]
    mlp.fit(X, y)
    for a, b in zip(kept, copies):
        np.testing.assert_array_equal(a, b)


def test_interrupted_the_rate_is_that_of_the_last_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    from deltarule.estimators import descent

    X, y = problem("classes")
    ours, theirs = pair("classes", **SOLVERS["invscaling"])

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    ours.partial_fit(X, y, classes=["a", "b", "c"])
    theirs.partial_fit(X, y, classes=["a", "b", "c"])
    monkeypatch.setattr(descent, "_epochs", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        ours.partial_fit(X, y)
    assert ours._optimizer.learning_rate == theirs._optimizer.learning_rate


# Sparse rows, almost all zero


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "nesterov", "lbfgs"])
def test_thin_rows(kind: str, solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are never written out, neither to learn nor to answer."""
    from deltarule.estimators import parameters, samples

    X, y = problem(kind, 300)
    random = np.random.default_rng(0)
    wide = scipy.sparse.random_array((300, 400), density=0.01, rng=random)
    narrow = scipy.sparse.csr_array(X * (random.uniform(size=X.shape) < 0.5))
    rows, w = scipy.sparse.csr_matrix(scipy.sparse.hstack([narrow, wide])), random.uniform(0.5, 2, 300)
    ours, theirs = pair(kind, **(SOLVERS[solver] | {"max_iter": 5, "batch_size": 70}))
    theirs.fit(rows, y, w)
    monkeypatch.setattr(samples, "CALL", 0)  # as if the rows were many
    for module in (samples, parameters):
        monkeypatch.setattr(module, "dense_rows", None)
    ours.fit(rows, y, w)
    if solver == "lbfgs" and kind == "rows of values":
        return
    alike(ours, theirs, rows, 1e-6 if solver == "lbfgs" else 1e-9)


def test_thin_rows_with_dropout_and_divergence(monkeypatch: pytest.MonkeyPatch) -> None:
    from deltarule.estimators import samples

    monkeypatch.setattr(samples, "CALL", 0)
    _, y = problem("values", 300)
    rows = scipy.sparse.random_array((300, 400), density=0.01, rng=np.random.default_rng(0), format="csr")
    given = {"hidden_layer_sizes": 5, "dropout": 0.3, "random_state": 0, "max_iter": 3}
    thin, dense = (MLPRegressor(**given).fit(Z, y) for Z in (rows, rows.toarray()))
    np.testing.assert_allclose(thin.coefs_[0], dense.coefs_[0], rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match="non-finite"), pytest.warns(UserWarning, match="diverged in epoch"):
        MLPRegressor(solver="sgd", learning_rate_init=1e200, random_state=0).fit(rows, y)
