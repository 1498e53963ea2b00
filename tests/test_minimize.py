"""Minimisers: closed forms, each other, the Hessian they are given, and the reasons for which they stop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize

import deltarule as dr
from deltarule.minimize import Iteration

METHODS = ["L-BFGS-B", "CG", "BFGS", "Newton-CG"]
Numbers = NDArray[Any]


def line(**settings: Any) -> tuple[dr.Network, Numbers, Numbers]:
    """Linear least squares with three inputs and two outputs."""
    random = np.random.default_rng(0)
    X = random.normal(size=(30, 3))
    t = X @ random.normal(size=(3, 2)) + 0.5 + 0.1 * random.normal(size=(30, 2))
    return dr.Network("3/2", output="identity", dtype="float64", **settings), X, t


def classes(spec: str = "4/3", **settings: Any) -> tuple[dr.Network, Numbers, Numbers]:
    random = np.random.default_rng(1)
    X = random.normal(size=(60, 4))
    t = np.argmax(X @ random.normal(size=(4, 3)) + random.gumbel(size=(60, 3)), axis=1)
    return dr.Network(spec, **{"dtype": "float64", "activation": "tanh"} | settings), X, t


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_linear_least_squares_has_a_closed_form(method: str, decay: float) -> None:
    """(XᵀX/m + λI) W = Xᵀt/m, with a column of ones for the bias, which does not decay."""
    net, X, t = line()
    ones = np.column_stack([X, np.ones(30)])
    normal = ones.T @ ones / 30 + decay * np.diag([1, 1, 1, 0])
    solution = np.linalg.solve(normal, ones.T @ t / 30).T
    found = dr.minimize(net, X, t, method=method, weight_decay=decay, tolerance=1e-7)
    assert found.converged, found.reason
    p = net.parameters()
    np.testing.assert_allclose(np.column_stack([p["1.W"], p["1.b"]]), solution, atol=1e-6)
    assert found.cost == net.cost_and_gradient(X, t, weight_decay=decay)[0]


def test_all_methods_agree_on_softmax_regression() -> None:
    found = {}
    for method in METHODS:
        net, X, t = classes(seed=len(found))  # from different weights
        minimum = dr.minimize(net, X, t, method=method, weight_decay=0.01, tolerance=1e-7, max_iterations=500)
        assert minimum.converged, (method, minimum.reason)
        assert np.abs(net.cost_and_gradient(X, t, weight_decay=0.01)[1]).max() < 1e-6
        found[method] = net.parameters()["1.W"].copy()
    for W in found.values():
        np.testing.assert_allclose(W, found["L-BFGS-B"], atol=1e-5)


def test_logistic_regression_is_scikit_learn_s() -> None:
    from sklearn.linear_model import LogisticRegression

    net, X, t = classes("4/1")
    t, m = (t > 0).astype(int), len(X)
    w = np.linspace(0.5, 2, m)
    peer = LogisticRegression(C=1 / (0.1 * w.sum()), tol=1e-10, max_iter=1000).fit(X, t, w)  # λ = 1/(C Σw)
    for method in METHODS:
        dr.minimize(net, X, t, method=method, weight_decay=0.1, sample_weight=w, tolerance=1e-10)
        np.testing.assert_allclose(net.parameters()["1.W"], peer.coef_, atol=1e-5)
        np.testing.assert_allclose(net.parameters()["1.b"], peer.intercept_, atol=1e-5)


def test_class_weights_reach_cost_and_curvature() -> None:
    net, X, t = classes()
    by_class = {0: 3.0, 2: 0.5}
    w = np.array([3.0, 1.0, 0.5])[t]
    for method in ("L-BFGS-B", "Newton-CG"):
        a, b = net.copy(), net.copy()
        dr.minimize(a, X, t, method=method, class_weight=by_class, weight_decay=0.1)
        dr.minimize(b, X, t, method=method, sample_weight=w, weight_decay=0.1)
        np.testing.assert_array_equal(a.theta, b.theta)
        assert not np.array_equal(a.theta, net.theta)


@pytest.mark.parametrize("method", METHODS)
def test_networks_with_hidden_layers(method: str) -> None:
    net, X, t = classes("4/5/3")
    before = net.cost_and_gradient(X, t, weight_decay=0.01)[0]
    found = dr.minimize(net, X, t, method=method, weight_decay=0.01, max_iterations=60)
    assert found.cost < before / 2
    assert found.cost == net.cost_and_gradient(X, t, weight_decay=0.01)[0]
    assert found.cost == min(found.history.cost)


def test_float32_networks_compute_in_float32_and_end_gracefully() -> None:
    for method in METHODS:
        net, X, t = classes("4/5/3", dtype="float32")
        found = dr.minimize(net, X, t, method=method, weight_decay=0.01, max_iterations=300, tolerance=0)
        assert net.theta.dtype == np.float32
        assert not found.reason.startswith("the limit") or method in ("CG", "Newton-CG")
        exact, X, t = classes("4/5/3")
        dr.minimize(exact, X, t, weight_decay=0.01)
        assert found.cost < 1.2 * exact.cost_and_gradient(X, t, weight_decay=0.01)[0]


# Second derivatives


def hessian(net: dr.Network, X: Numbers, t: Numbers, **settings: Any) -> Numbers:
    product = dr.hessian_vector_product(net, X, t, **settings)
    return np.array([product(e) for e in np.eye(net.size)])


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu", "softplus", "swish", "relu"])
@pytest.mark.parametrize("output", ["softmax", "sigmoid", "identity", "tanh"])
def test_hessian_vector_product_is_the_difference_of_gradients(activation: str, output: str) -> None:
    net, X, t = classes("4/3/3", activation=activation, output=output)
    settings = {"weight_decay": 0.1, "sample_weight": np.linspace(0, 2, 60)}
    random, rows = np.random.default_rng(0), np.eye(3)[t]
    product = dr.hessian_vector_product(net, X, rows, **settings)
    for theta in (net.theta, random.normal(size=net.size)):
        v = random.normal(size=net.size)
        up, down = (net.cost_and_gradient(X, rows, theta=theta + e * v, **settings)[1] for e in (1e-6, -1e-6))
        np.testing.assert_allclose(product(v, theta), (up - down) / 2e-6, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(product(v), product(v, net.theta))
    assert product(v).dtype == np.float64


def test_the_hessian_is_symmetric_and_complete() -> None:
    net, X, t = classes("4/2/3")
    H = hessian(net, X, t, weight_decay=0.1)
    np.testing.assert_allclose(H, H.T, atol=1e-14)
    J, e = net.cost_function(X, t, weight_decay=0.1), 1e-5
    numeric = np.array([(J(net.theta + e * d)[1] - J(net.theta - e * d)[1]) / (2 * e) for d in np.eye(net.size)])
    np.testing.assert_allclose(H, numeric, atol=1e-8)
    assert np.linalg.matrix_rank(hessian(*line())) == 8


def test_frozen_entries_are_constants_of_the_hessian() -> None:
    _, X, t = classes()
    net = dr.Network([dr.Dense(2, "tanh", trainable=False), dr.Dense(3)], input_shape=(4,), dtype="float64")
    free = dr.Network("4/2/3", activation="tanh", dtype="float64")
    free.theta = net.theta
    both = np.outer(net.trainable, net.trainable)
    np.testing.assert_array_equal(hessian(net, X, t), np.where(both, hessian(free, X, t), 0))


def test_vectors_must_fit_theta() -> None:
    net, X, t = classes()
    product = dr.hessian_vector_product(net, X, t)
    for wrong in [(np.ones(3),), (np.ones(net.size), np.ones(4))]:
        with pytest.raises(dr.ShapeError, match="θ has 15 entries, the vector has the shape"):
            product(*wrong)
    assert product([1.0] * 15).shape == (15,)


@pytest.mark.peers
@pytest.mark.parametrize("activation", ["tanh", "softplus", "gelu"])
def test_torch_s_hessian_vector_product(activation: str) -> None:
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    f = {"tanh": torch.tanh, "softplus": F.softplus, "gelu": lambda z: F.gelu(z, approximate="tanh")}[activation]
    net, X, t = classes("4/5/3", activation=activation)

    def cost(theta: Any) -> Any:
        p = {s.key: theta[s.start : s.stop].reshape(s.shape) for s in net.slots}
        z = F.linear(f(F.linear(torch.tensor(X), p["1.W"], p["1.b"])), p["2.W"], p["2.b"])
        return F.cross_entropy(z, torch.tensor(t)) + 0.05 * ((p["1.W"] ** 2).sum() + (p["2.W"] ** 2).sum())

    v = np.random.default_rng(0).normal(size=net.size)
    _, peer = torch.autograd.functional.hvp(cost, torch.tensor(net.theta), torch.tensor(v))
    ours = dr.hessian_vector_product(net, X, t, weight_decay=0.1)(v)
    np.testing.assert_allclose(ours, peer.numpy(), rtol=1e-11, atol=1e-14)


# What a minimisation tells


@pytest.mark.parametrize("method", METHODS)
def test_history_and_callback(method: str) -> None:
    net, X, t = classes("4/5/3")
    told: list[Iteration] = []

    def callback(now: Iteration) -> None:
        told.append(now)
        assert net.cost_and_gradient(X, t, weight_decay=0.01)[0] == now.cost  # θ is already there

    found = dr.minimize(net, X, t, method=method, max_iterations=12, weight_decay=0.01, callback=callback)
    history = found.history
    assert list(history.columns) == ["iteration", "cost", "gradient_norm", "evaluations", "seconds"]
    assert history.iteration == list(range(1, found.iterations + 1)) == [now.iteration for now in told]
    assert history.cost == sorted(history.cost, reverse=True)  # every iteration lowers it
    assert history.evaluations == sorted(history.evaluations)
    assert history.seconds == sorted(history.seconds)
    assert found.evaluations >= history.evaluations[-1] > found.iterations
    assert history.stopped == found.reason
    C, g = net.cost_and_gradient(X, t, weight_decay=0.01)
    assert (history.cost[-1], history.gradient_norm[-1]) == (C, np.linalg.norm(g))
    assert told[-1] == (found.iterations, C, np.linalg.norm(g), history.evaluations[-1])


@pytest.mark.parametrize("method", METHODS)
def test_the_limit_of_iterations(method: str) -> None:
    net, X, t = classes("4/5/3")
    found = dr.minimize(net, X, t, method=method, max_iterations=3, tolerance=1e-12)
    assert (found.iterations, len(found.history), found.converged) == (3, 3, False)
    assert found.reason == "the limit of 3 iterations is reached; raise max_iterations to go on"
    again = dr.minimize(classes("4/5/3")[0], X, t, method=method, options={"maxiter": 2})
    assert again.reason.startswith("the limit of 2 iterations")
    more = dr.minimize(net, X, t, method=method, max_iterations=3, tolerance=1e-12)
    assert more.cost < found.cost  # it goes on from where θ was left


@pytest.mark.parametrize("method", ["L-BFGS-B", "CG", "BFGS"])
def test_a_flat_gradient(method: str) -> None:
    net, X, t = classes()
    found = dr.minimize(net, X, t, method=method, weight_decay=0.1, tolerance=1e-4)
    assert found.converged
    assert found.reason.startswith("the gradient is flat: its largest entry is ")
    assert found.reason.endswith("at most 0.0001")
    assert np.abs(net.cost_and_gradient(X, t, weight_decay=0.1)[1]).max() <= 1e-4
    theta = net.theta.copy()
    at_once = dr.minimize(net, X, t, method=method, weight_decay=0.1, tolerance=1e-4)
    assert at_once.iterations == 0
    np.testing.assert_array_equal(net.theta, theta)


def test_small_steps_end_newton_cg() -> None:
    net, X, t = classes()
    found = dr.minimize(net, X, t, method="Newton-CG", weight_decay=0.1, tolerance=1e-4)
    assert found.converged
    assert found.reason == "the steps are small: at most 0.0001 on average"
    assert np.abs(net.cost_and_gradient(X, t, weight_decay=0.1)[1]).max() < 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_a_callback_ends_it(method: str) -> None:
    net, X, t = classes("4/5/3")
    found = dr.minimize(net, X, t, method=method, callback=lambda now: now.iteration == 2)
    assert found.reason == "the callback asked to stop"
    assert not found.converged
    assert len(found.history) == 2
    assert found.cost == found.history.cost[-1] == net.cost_and_gradient(X, t)[0]


@pytest.mark.parametrize("method", METHODS)
def test_precision_ends_it(method: str) -> None:
    net, X, t = classes(dtype="float32")
    found = dr.minimize(net, X, t, method=method, tolerance=0, weight_decay=0.1, max_iterations=3000)
    assert found.iterations < 3000
    assert ("at this precision" in found.reason) == (not found.reason.startswith("the steps are small"))
    assert np.abs(net.cost_and_gradient(X, t, weight_decay=0.1)[1]).max() < 1e-3


def test_another_limit_of_scipy_s() -> None:
    net, X, t = classes("4/5/3")
    found = dr.minimize(net, X, t, options={"maxfun": 4})
    assert found.cost == net.cost_and_gradient(X, t)[0]
    assert found.reason.startswith("a limit is reached (largest gradient ")
    assert not found.converged


@pytest.mark.parametrize("method", METHODS)
def test_frozen_layers_stay_bit_for_bit(method: str) -> None:
    _, X, t = classes()
    layers = [dr.Dense(5, "tanh", trainable=False), dr.Dense(4, "tanh"), dr.Dense(3, trainable=False)]
    for dtype in ("float32", "float64"):
        net = dr.Network(layers, input_shape=(4,), dtype=dtype)
        before, C = net.theta.copy(), net.cost_and_gradient(X, t)[0]
        found = dr.minimize(net, X, t, method=method, weight_decay=0.1, max_iterations=20)
        assert net.theta[~net.trainable].tobytes() == before[~net.trainable].tobytes()
        assert (net.theta[net.trainable] != before[net.trainable]).all()
        assert found.cost < C + 0.05 * np.sum(before[net.decayed] ** 2)


# The cost function by itself


def test_scipy_takes_the_cost_function_as_it_is() -> None:
    net, X, t = classes(dtype="float32")
    theta = net.theta.copy()
    J = net.cost_function(X, t, weight_decay=0.1)
    C, g = J(net.theta.astype(np.float64))
    assert isinstance(C, float)
    assert g.dtype == np.float64  # what Fortran takes
    assert (C, g.tolist()) == (net.cost_and_gradient(X, t, weight_decay=0.1)[0], g.tolist())
    exact, X, t = classes()
    found = optimize.minimize(exact.cost_function(X, t, weight_decay=0.1), exact.theta, jac=True, method="BFGS")
    ours = dr.minimize(exact.copy(), X, t, weight_decay=0.1, tolerance=1e-9)
    assert found.fun == pytest.approx(ours.cost, abs=1e-9)
    np.testing.assert_array_equal(net.theta, theta)  # J is pure
    with pytest.raises(dr.ShapeError, match="θ has 15 entries"):
        J(np.zeros(14))


# Bad arguments


def test_what_is_refused() -> None:
    net, X, t = classes()
    theta = net.theta.copy()
    with pytest.raises(dr.UnknownNameError, match="no minimiser 'newtn-cg'; did you mean 'newton cg'"):
        dr.minimize(net, X, t, method="newtn-cg")
    for wrong in (0, -1, 2.5, True):
        with pytest.raises(dr.HyperparameterError, match="max_iterations must be"):
            dr.minimize(net, X, t, max_iterations=wrong)
    for wrong in (-1e-9, float("nan"), float("inf")):
        with pytest.raises(dr.HyperparameterError, match="tolerance must be"):
            dr.minimize(net, X, t, tolerance=wrong)
    with pytest.raises(dr.HyperparameterError, match="weight_decay must be"):
        dr.minimize(net, X, t, weight_decay=-1)
    with pytest.raises(dr.ShapeError, match="X has 60 rows, the targets 59"):
        dr.minimize(net, X, t[:-1])
    np.testing.assert_array_equal(net.theta, theta)


def test_methods_go_by_their_usual_spellings() -> None:
    net, X, t = line()
    for name in ("l-bfgs-b", "L_BFGS_B", "lbfgs", "cg", "Newton CG", "newton-cg", "BFGS"):
        assert dr.minimize(net, X, t, method=name, max_iterations=2).history is not None


def test_a_cost_that_is_not_finite_at_the_start() -> None:
    net = dr.Network("2/3/1", activation="exp", output="identity")
    with pytest.raises(dr.DivergenceError, match="the cost is not finite at the initial weights; scale the inputs"):
        dr.minimize(net, [[1e6, 1e6], [-1e6, 1e6], [-1e6, -1e6], [1e6, -1e6]], [0, 1, 1, 0])


@pytest.mark.parametrize("options", [{1: 2}, {"maxiter": None}, {"gtol": "a"}, "text"])
def test_options_that_make_no_sense(options):
    with pytest.raises(dr.HyperparameterError):
        dr.minimize(dr.Network("2/2"), [[0.0, 1.0]], [0], options=options)


def test_a_frozen_network_has_nothing_to_minimise():
    with pytest.raises(dr.HyperparameterError, match="nothing to train"):
        dr.minimize(dr.Network("2/2").frozen(), [[0.0, 1.0]], [0])
