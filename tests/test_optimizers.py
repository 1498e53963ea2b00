"""Optimisers: the published rules in plain Python, PyTorch's, every array library, their spelling, what they refuse."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable, Iterator
from typing import Any

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.errors import DeltaruleError, HyperparameterError, UnknownNameError
from deltarule.optimizers import (
    OPTIMIZERS,
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    AMSGrad,
    Momentum,
    Nadam,
    Nesterov,
    Optimizer,
    RMSProp,
    RProp,
    optimizer,
)
from deltarule.schedules import Constant, OneCycleMomentum, Piecewise, Progress, StepDecay

STEPS, N = 40, 11
DEFAULTS = [kind() for kind in OPTIMIZERS.values()]
TUNED = [
    Momentum(0.5),
    Nesterov(0.7),
    AdaGrad(1e-3),
    AdaDelta(0.8, 1e-3),
    RMSProp(0.8, 1e-2),
    Adam(0.8, 0.9, 1e-2),
    AdamW(0.2, 0.7, 0.9, 1e-3),
    AMSGrad(0.8, 0.9, 1e-3),
    Nadam(0.8, 0.9, 1e-3, 0.5),
    RProp(0.4, 1.5, 0.004, 0.03),
]
ALL = DEFAULTS + TUNED
DECAYED = (np.arange(N) % 3 != 0).astype(np.float64)


def gradients(seed: int = 0) -> np.ndarray:
    """(STEPS, N): of many scales, shrinking (so that AMSGrad's maximum matters), with zeros."""
    random = np.random.default_rng(seed)
    g = random.standard_normal((STEPS, N)) * np.logspace(-5, 1, N) * np.linspace(1, 0.1, STEPS)[:, None]
    g[random.random((STEPS, N)) < 0.1] = 0
    return g


def rates(own: float) -> list[float]:
    """A constant η hides whether it is inside the velocity."""
    return [own * (1 + 0.5 * math.cos(step)) for step in range(STEPS)]


def start(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(N)


def run(wanted: Optimizer, theta: Any, g: Any, etas: list[float], decayed: Any = None) -> list[Any]:
    """θ after every update."""
    state, path = wanted.begin(theta), []
    for step, eta in enumerate(etas, start=1):
        theta, state = wanted.update(theta, g[step - 1, ...], state, eta, step, decayed)
        path.append(theta)
    return path


# The published rules, one number at a time: (optimiser, θ, gradients, rates, decayed) → θ after every update.

Rule = Callable[[Any, float, list[float], list[float], bool], Iterator[float]]


def plain_sgd(o: SGD, x: float, g: list[float], eta: list[float], decayed: bool) -> Iterator[float]:
    for k in range(STEPS):
        x -= eta[k] * g[k]
        yield x


def plain_momentum(o: Momentum, x: float, g: list[float], eta: list[float], decayed: bool) -> Iterator[float]:
    """The velocity as the sum over all updates so far: Σ_j μ^{k−j} η_j g_j."""
    for k in range(STEPS):
        x -= sum(o.momentum ** (k - j) * eta[j] * g[j] for j in range(k + 1))
        yield x


def plain_nesterov(o: Nesterov, x: float, g: list[float], eta: list[float], decayed: bool) -> Iterator[float]:
    """Sutskever's form moves a point y and takes the gradient at y + μ v; that look-ahead point is our θ."""
    y, v = x, 0.0
    for k in range(STEPS):
        v = o.momentum * v - eta[k] * g[k]
        y += v
        yield y + o.momentum * v


def plain_adagrad(o: AdaGrad, x: float, g: list[float], eta: list[float], decayed: bool) -> Iterator[float]:
    for k in range(STEPS):
        x -= eta[k] * g[k] / (math.hypot(*g[: k + 1]) + o.epsilon)
        yield x


def plain_adadelta(o: AdaDelta, x: float, g: list[float], eta: list[float], decayed: bool) -> Iterator[float]:
    mean_g2 = mean_dx2 = 0.0
    for k in range(STEPS):
        mean_g2 = o.decay * mean_g2 + (1 - o.decay) * g[k] ** 2
        dx = -math.sqrt((mean_dx2 + o.epsilon) / (mean_g2 + o.epsilon)) * g[k]
        mean_dx2 = o.decay * mean_dx2 + (1 - o.decay) * dx**2
        x += eta[k] * dx
        yield x


def mean(decay: float, values: list[float]) -> float:
    """(1 − β) Σ_j β^{k−j} values_j: a running mean that begins at 0."""
    return (1 - decay) * math.fsum(decay ** (len(values) - 1 - j) * v for j, v in enumerate(values))


def squares(g: list[float]) -> list[float]:
    return [v * v for v in g]


def plain_rmsprop(o: RMSProp, x: float, g: list[float], eta: list[float], decayed: bool) -> Iterator[float]:
    for k in range(STEPS):
        x -= eta[k] * g[k] / (math.sqrt(mean(o.decay, squares(g[: k + 1]))) + o.epsilon)
        yield x


def plain_adam(o: Adam, x: float, g: list[float], eta: list[float], decayed: bool) -> Iterator[float]:
    for k in range(STEPS):
        m_hat = mean(o.beta1, g[: k + 1]) / (1 - o.beta1 ** (k + 1))
        v_hat = mean(o.beta2, squares(g[: k + 1])) / (1 - o.beta2 ** (k + 1))
        x -= eta[k] * m_hat / (math.sqrt(v_hat) + o.epsilon)
        yield x


def plain_adamw(o: AdamW, x: float, g: list[float], eta: list[float], decayed: bool) -> Iterator[float]:
    for k in range(STEPS):
        m_hat = mean(o.beta1, g[: k + 1]) / (1 - o.beta1 ** (k + 1))
        v_hat = mean(o.beta2, squares(g[: k + 1])) / (1 - o.beta2 ** (k + 1))
        x -= eta[k] * (m_hat / (math.sqrt(v_hat) + o.epsilon) + o.weight_decay * decayed * x)
        yield x


def plain_amsgrad(o: AMSGrad, x: float, g: list[float], eta: list[float], decayed: bool) -> Iterator[float]:
    for k in range(STEPS):
        m_hat = mean(o.beta1, g[: k + 1]) / (1 - o.beta1 ** (k + 1))
        v_max = max(mean(o.beta2, squares(g[: j + 1])) for j in range(k + 1))
        x -= eta[k] * m_hat / (math.sqrt(v_max / (1 - o.beta2 ** (k + 1))) + o.epsilon)
        yield x


def plain_nadam(o: Nadam, x: float, g: list[float], eta: list[float], decayed: bool) -> Iterator[float]:
    """Dozat's algorithm 2 with its schedule of μ."""
    mu = [o.beta1 * (1 - 0.5 * 0.96 ** (o.momentum_decay * t)) for t in range(STEPS + 2)]
    for k in range(STEPS):
        t = k + 1
        g_hat = g[k] / (1 - math.prod(mu[1 : t + 1]))
        m_hat = mean(o.beta1, g[: k + 1]) / (1 - math.prod(mu[1 : t + 2]))
        v_hat = mean(o.beta2, squares(g[: k + 1])) / (1 - o.beta2**t)
        x -= eta[k] * ((1 - mu[t]) * g_hat + mu[t + 1] * m_hat) / (math.sqrt(v_hat) + o.epsilon)
        yield x


def plain_rprop(o: RProp, x: float, g: list[float], eta: list[float], decayed: bool) -> Iterator[float]:
    """Igel and Hüsken's iRprop−."""
    size, last = eta[0], 0.0
    for k in range(STEPS):
        now = g[k]
        if last * now > 0:
            size *= o.increase
        elif last * now < 0:
            size, now = size * o.decrease, 0.0
        size = min(max(size, o.minimum), o.maximum)
        x -= math.copysign(size, now) if now else 0.0
        last = now
        yield x


PLAIN: dict[type[Optimizer], Rule] = {
    SGD: plain_sgd,
    Momentum: plain_momentum,
    Nesterov: plain_nesterov,
    AdaGrad: plain_adagrad,
    AdaDelta: plain_adadelta,
    RMSProp: plain_rmsprop,
    Adam: plain_adam,
    AdamW: plain_adamw,
    AMSGrad: plain_amsgrad,
    Nadam: plain_nadam,
    RProp: plain_rprop,
}


@pytest.mark.parametrize("wanted", ALL, ids=str)
def test_the_published_rule(wanted: Optimizer) -> None:
    theta, g, eta = start(), gradients(), rates(wanted.own_rate)
    found = np.stack(run(wanted, theta, g, eta, DECAYED))
    rule = PLAIN[type(wanted)]
    expected = [list(rule(wanted, theta[i], g[:, i].tolist(), eta, bool(DECAYED[i]))) for i in range(N)]
    np.testing.assert_allclose(found, np.transpose(expected), rtol=1e-12, atol=1e-12)


def test_every_optimizer_has_a_plain_rule() -> None:
    assert set(PLAIN) == set(OPTIMIZERS.values()) == {type(o) for o in TUNED} | {SGD}


def test_own_rates_are_pytorchs() -> None:
    own = {o.name: o.own_rate for o in DEFAULTS}
    assert own == {
        "sgd": 1e-3, "momentum": 1e-3, "nesterov": 1e-3, "adagrad": 1e-2, "adadelta": 1.0, "rmsprop": 1e-2,
        "adam": 1e-3, "adamw": 1e-3, "amsgrad": 1e-3, "nadam": 2e-3, "rprop": 1e-2,
    }  # fmt: skip


def test_adamw_decays_everything_unless_told() -> None:
    wanted, theta = AdamW(0.5), start()
    still = run(wanted, theta, np.zeros((STEPS, N)), [0.1] * STEPS)[0]
    np.testing.assert_allclose(still, theta * 0.95, rtol=1e-15)


def test_rprop_takes_its_first_step_from_the_rate_and_heeds_no_schedule() -> None:
    g, theta = gradients(), start()
    constant, falling = (run(RProp(), theta, g, [0.1 * f**k for k in range(STEPS)]) for f in (1.0, 0.5))
    np.testing.assert_array_equal(constant, falling)
    np.testing.assert_allclose(theta - constant[0], 0.1 * np.sign(g[0]), rtol=1e-12)


def test_rprop_sees_signs_of_gradients_whose_product_vanishes() -> None:
    path = run(RProp(), np.zeros(1), np.full((2, 1), 1e-200), [0.1, 0.1])
    np.testing.assert_allclose(path[1], -(0.1 + 0.12))


# Pure, in every array library, in θ's dtype


@pytest.mark.parametrize("wanted", ALL, ids=str)
def test_updates_are_pure(wanted: Optimizer) -> None:
    """Nothing given is written to, and the same arguments give the same bits."""
    theta, g, decayed, state = start(), gradients(), DECAYED.copy(), wanted.begin(start())
    for step in range(1, 4):
        given = [theta, g[step - 1], decayed, *state.values()]
        copies = [a.copy() for a in given]
        for a in given:
            a.flags.writeable = False
        following, new = wanted.update(theta, g[step - 1], state, 0.1, step, decayed)
        again, _ = wanted.update(theta, g[step - 1], state, 0.1, step, decayed)
        for a, b in zip(given, copies):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(following, again)
        assert list(new) == list(state) == list(wanted.begin(theta))
        assert {k: v.shape for k, v in new.items()} == {k: v.shape for k, v in state.items()}
        theta, state = following, new


@pytest.mark.parametrize("wanted", ALL, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_theta_and_state_keep_their_dtype(wanted: Optimizer, dtype: type) -> None:
    """Also when the rate and the count are NumPy's scalars or arrays, which would promote float32."""
    theta, g = start().astype(dtype), gradients().astype(dtype)
    state = wanted.begin(theta)
    for step in range(1, 4):
        rate, count = (np.float64(0.1), np.int64(step)) if step % 2 else (np.asarray(0.1), np.asarray(step))
        theta, state = wanted.update(theta, g[step], state, rate, count, DECAYED.astype(dtype))
        assert theta.dtype == dtype
        assert {v.dtype for v in state.values()} <= {np.dtype(dtype)}


@pytest.mark.parametrize("wanted", ALL, ids=str)
def test_float32_follows_float64(wanted: Optimizer) -> None:
    theta, g, eta = start(), gradients()[:, 4:], rates(wanted.own_rate)
    theta = theta[4:]
    single = run(wanted, theta.astype(np.float32), g.astype(np.float32), eta)
    np.testing.assert_allclose(single[-1], run(wanted, theta, g, eta)[-1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("wanted", ALL, ids=str)
def test_array_api_strict_gives_the_same(wanted: Optimizer) -> None:
    theta, g, eta = start(), gradients(), rates(wanted.own_rate)
    xp = array_api_strict
    strict = run(wanted, xp.asarray(theta), xp.asarray(g), eta, xp.asarray(DECAYED))
    found = np.stack([np.from_dlpack(a) for a in strict])
    np.testing.assert_allclose(found, np.stack(run(wanted, theta, g, eta, DECAYED)), rtol=1e-15)


@pytest.mark.peers
@pytest.mark.parametrize("wanted", ALL, ids=str)
def test_torch_arrays_give_the_same(wanted: Optimizer) -> None:
    torch = pytest.importorskip("torch")
    theta, g, eta = start(), gradients(), rates(wanted.own_rate)
    tensors = run(wanted, torch.asarray(theta), torch.asarray(g), eta, torch.asarray(DECAYED))
    expected = np.stack(run(wanted, theta, g, eta, DECAYED))
    np.testing.assert_allclose(torch.stack(tensors).numpy(), expected, rtol=1e-13, atol=1e-15)


@pytest.fixture
def x64() -> Iterator[Any]:
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield jax
    jax.config.update("jax_enable_x64", before)


@pytest.mark.peers
@pytest.mark.parametrize("wanted", ALL, ids=str)
def test_jit_gives_the_same_with_rate_and_step_traced(wanted: Optimizer, x64: Any) -> None:
    theta, g, eta = start(), gradients(), rates(wanted.own_rate)
    expected = np.stack(run(wanted, theta, g, eta, DECAYED))
    update = x64.jit(wanted.update)
    traced, state, path = x64.numpy.asarray(theta), wanted.begin(x64.numpy.asarray(theta)), []
    for step in range(STEPS):
        traced, state = update(traced, g[step], state, eta[step], step + 1, DECAYED)
        path.append(np.asarray(traced))
    assert update._cache_size() <= 2  # compiled once, not once a step
    np.testing.assert_allclose(np.stack(path), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.peers
@pytest.mark.parametrize("wanted", ALL, ids=str)
def test_jit_keeps_float32_beside_a_float64_rate(wanted: Optimizer, x64: Any) -> None:
    jnp = x64.numpy
    theta = jnp.asarray(start(), dtype=jnp.float32)
    rate, step = jnp.asarray(0.1, dtype=jnp.float64), jnp.asarray(1)
    following, state = x64.jit(wanted.update)(theta, theta, wanted.begin(theta), rate, step)
    assert {a.dtype for a in [following, *state.values()]} == {jnp.dtype("float32")}


# PyTorch's optimisers


def theirs(wanted: Any, o: Any, group: list[Any]) -> Any:
    """PyTorch's optimiser with the same constants and its own rate."""
    w = wanted
    betas = {"betas": (w.beta1, w.beta2), "eps": w.epsilon} if hasattr(w, "beta1") else {}
    made: dict[type, Callable[[], Any]] = {
        SGD: lambda: o.SGD(group),
        Momentum: lambda: o.SGD(group, momentum=w.momentum),
        Nesterov: lambda: o.SGD(group, momentum=w.momentum, nesterov=True),
        AdaGrad: lambda: o.Adagrad(group, eps=w.epsilon),
        AdaDelta: lambda: o.Adadelta(group, rho=w.decay, eps=w.epsilon),
        RMSProp: lambda: o.RMSprop(group, alpha=w.decay, eps=w.epsilon),
        Adam: lambda: o.Adam(group, **betas),
        AdamW: lambda: o.AdamW(group, weight_decay=w.weight_decay, **betas),
        AMSGrad: lambda: o.Adam(group, amsgrad=True, **betas),
        Nadam: lambda: o.NAdam(group, momentum_decay=w.momentum_decay, **betas),
        RProp: lambda: o.Rprop(group, etas=(w.decrease, w.increase), step_sizes=(w.minimum, w.maximum)),
    }
    return made[type(wanted)]()


@pytest.fixture
def double() -> Iterator[Any]:
    """PyTorch in float64: NAdam keeps its product of μ in the default dtype."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)


@pytest.mark.peers
@pytest.mark.parametrize("scheduled", [False, True])
@pytest.mark.parametrize("wanted", ALL, ids=str)
def test_pytorch_optimizers_agree(wanted: Optimizer, scheduled: bool, double: Any) -> None:
    """PyTorch's velocity is v/η, so that momentum agrees under a constant η only; all else under any η."""
    if scheduled and isinstance(wanted, Momentum):
        wanted = SGD()
    theta, g = start(), gradients()
    parameter = double.nn.Parameter(double.asarray(theta.copy()))
    peer = theirs(wanted, double.optim, [parameter])
    assert peer.defaults["lr"] == wanted.own_rate
    eta = rates(wanted.own_rate) if scheduled else [wanted.own_rate] * STEPS
    for step, mine in enumerate(run(wanted, theta, g, eta)):
        peer.param_groups[0]["lr"] = eta[step]
        parameter.grad = double.asarray(g[step])
        peer.step()
        np.testing.assert_allclose(mine, parameter.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.peers
@pytest.mark.parametrize("kind", OPTIMIZERS.values(), ids=lambda kind: kind.name)
def test_constants_are_pytorchs(kind: type[Optimizer], double: Any) -> None:
    """Without naming any constant but the momentum, which PyTorch has at 0."""
    names = {"sgd": "SGD", "momentum": "SGD", "nesterov": "SGD", "amsgrad": "Adam"}
    names |= {"adagrad": "Adagrad", "adadelta": "Adadelta", "rmsprop": "RMSprop", "nadam": "NAdam", "rprop": "Rprop"}
    extra = {
        "momentum": {"momentum": 0.9},
        "nesterov": {"momentum": 0.9, "nesterov": True},
        "amsgrad": {"amsgrad": True},
    }
    made = getattr(double.optim, names.get(kind.name, kind.__name__))
    theta, g = start(), gradients()
    parameter = double.nn.Parameter(double.asarray(theta.copy()))
    peer = made([parameter], **extra.get(kind.name, {}))
    for step, mine in enumerate(run(kind(), theta, g, [kind.own_rate] * STEPS)):
        parameter.grad = double.asarray(g[step])
        peer.step()
        np.testing.assert_allclose(mine, parameter.detach().numpy(), rtol=1e-12, atol=1e-12)


# Momentum by schedule


@pytest.mark.parametrize("kind", [Momentum, Nesterov])
def test_scheduled_momentum_is_resolved_before_each_update(kind: type[Momentum]) -> None:
    wanted = kind(Piecewise((0.5, 0.9), at_steps=3))
    theta, g = np.zeros(N), gradients()
    state, moved, v = wanted.begin(theta), theta, np.zeros(N)
    for step in range(6):
        resolved = wanted.at(Progress(step, 10, 60))
        moved, state = resolved.update(moved, g[step], state, 0.1, step + 1)
        mu = 0.5 if step < 3 else 0.9
        assert resolved == kind(mu)
        v = mu * v + 0.1 * g[step]
        theta = theta - (v if kind is Momentum else mu * v + 0.1 * g[step])
        np.testing.assert_allclose(moved, theta, rtol=1e-14)
    assert isinstance(wanted.momentum, Piecewise)


def test_at_is_the_identity_elsewhere() -> None:
    for wanted in ALL:
        assert wanted.at(Progress(3, 10, 60)) is wanted


def test_momentum_may_be_named() -> None:
    assert optimizer("momentum(one_cycle_momentum)") == Momentum(OneCycleMomentum())
    assert Nesterov("constant(0.8)").at(Progress(0, 1, 1)) == Nesterov(0.8)


def test_an_unresolved_momentum_is_refused() -> None:
    wanted, theta = Momentum(Constant(0.9)), start()
    with pytest.raises(
        HyperparameterError, match=re.escape("momentum is the schedule constant(0.9); update with .at(")
    ):
        wanted.update(theta, theta, wanted.begin(theta), 0.1, 1)


# Names and equations


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("SGD", SGD), ("AdaGrad", AdaGrad), ("ada-grad", AdaGrad), ("ADADELTA", AdaDelta), ("RMS-prop", RMSProp),
        ("rms_prop", RMSProp), ("AdamW", AdamW), ("AMS Grad", AMSGrad), ("NAdam", Nadam), ("Rprop", RProp),
    ],
)  # fmt: skip
def test_names_are_forgiving(text: str, kind: type[Optimizer]) -> None:
    assert optimizer(text) == kind()


def test_arguments_are_in_their_natural_order() -> None:
    assert optimizer("momentum(0.5)") == Momentum(momentum=0.5)
    assert optimizer("adam(0.8,0.9,1e-6)") == Adam(beta1=0.8, beta2=0.9, epsilon=1e-6)
    assert optimizer("adamw(0.1)") == AdamW(weight_decay=0.1)
    assert str(Adam(epsilon=np.float64(1e-6))) == "adam(epsilon=1e-06)"


@pytest.mark.parametrize("wanted", DEFAULTS, ids=str)
def test_equations_are_balanced_latex(wanted: Optimizer) -> None:
    assert r"\theta \leftarrow \theta - " in wanted.equation
    assert wanted.equation.count("{") == wanted.equation.count("}")
    assert wanted.equation.count(r"\left(") == wanted.equation.count(r"\right)")
    assert str(wanted) == wanted.name


beta, epsilon = st.floats(0, 0.9999), st.floats(1e-12, 1)
mu = (
    beta
    | st.builds(Constant, beta)
    | st.builds(lambda a, b, n: Piecewise((a, b), at_steps=n), beta, beta, st.integers(1, 99))
)
any_optimizer = st.one_of(
    st.builds(SGD),
    st.builds(Momentum, mu),
    st.builds(Nesterov, mu),
    st.builds(AdaGrad, epsilon),
    st.builds(AdaDelta, beta, epsilon),
    st.builds(RMSProp, beta, epsilon),
    st.builds(Adam, beta, beta, epsilon),
    st.builds(AdamW, st.floats(0, 1), beta, beta, epsilon),
    st.builds(AMSGrad, beta, beta, epsilon),
    st.builds(Nadam, beta, beta, epsilon, st.floats(0, 1)),
    st.builds(RProp, st.floats(0.1, 0.9), st.floats(1.1, 2), st.floats(1e-9, 1e-3), st.floats(1, 99)),
)


@given(any_optimizer)
def test_spelled_and_pickled_values_come_back(wanted: Optimizer) -> None:
    assert optimizer(str(wanted)) == wanted
    assert pickle.loads(pickle.dumps(wanted)) == wanted
    assert hash(optimizer(str(wanted))) == hash(wanted)


# Refusals

BAD = [
    (lambda: Momentum(1.0), "momentum: momentum must be a finite number, at least 0 and below 1, not 1.0"),
    (lambda: Momentum(-0.1), "not -0.1"),
    (lambda: Nesterov(math.nan), "nesterov: momentum .* not nan"),
    (lambda: Momentum("reduce_on_plateau"), "momentum cannot follow 'reduce on plateau', which watches the cost"),
    (lambda: Momentum("cosin"), "did you mean 'cosine'"),
    (lambda: Momentum(SGD()), "schedule: expected a name or a value such as Constant"),  # type: ignore[arg-type]
    (lambda: Momentum(None), "not None"),  # type: ignore[arg-type]
    (lambda: Momentum("cosine").at(Progress(0, 1, 9)), "below 1, not 1.0"),
    (lambda: AdaGrad(0), "adagrad: epsilon must be a finite number, above 0, not 0"),
    (lambda: AdaDelta(1), "adadelta: decay"),
    (lambda: AdaDelta(epsilon=-1), "adadelta: epsilon"),
    (lambda: RMSProp(-0.5), "rmsprop: decay"),
    (lambda: RMSProp(epsilon=math.inf), "rmsprop: epsilon"),
    (lambda: Adam(1.0), "adam: beta1"),
    (lambda: Adam(beta2=1.5), "adam: beta2"),
    (lambda: Adam(epsilon=0), "adam: epsilon"),
    (lambda: AdamW(-0.1), "adamw: weight_decay must be a finite number, at least 0, not -0.1"),
    (lambda: AdamW(beta1=1), "adamw: beta1"),
    (lambda: AdamW(epsilon=0), "adamw: epsilon"),
    (lambda: AMSGrad(beta2=1), "amsgrad: beta2"),
    (lambda: Nadam(beta1=-1), "nadam: beta1"),
    (lambda: Nadam(momentum_decay=-1), "nadam: momentum_decay"),
    (lambda: RProp(1.0), "rprop: decrease"),
    (lambda: RProp(increase=1.0), "rprop: increase"),
    (lambda: RProp(minimum=0), "rprop: minimum"),
    (lambda: RProp(minimum=1, maximum=0.5), "rprop: maximum must be a finite number, at least 1, not 0.5"),
    (lambda: optimizer("adm"), "there is no optimiser 'adm'; did you mean 'adam'"),
    (lambda: optimizer("adam(beta3=1)"), "did you mean 'beta1'|did you mean 'beta2'"),
    (lambda: optimizer("sgd(0.1)"), "takes no arguments"),
    (lambda: optimizer(StepDecay(0.5)), "optimiser: expected a name or a value such as SGD"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_parameters(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(DeltaruleError, match=message) as raised:
        make()
    assert isinstance(raised.value, HyperparameterError | UnknownNameError)
