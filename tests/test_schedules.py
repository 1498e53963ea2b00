"""Schedules: their closed forms, PyTorch's, their spelling, and what they refuse."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.errors import DeltaruleError, GrammarError, HyperparameterError, UnknownNameError
from deltarule.optimizers import SGD
from deltarule.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    ExponentialDecay,
    InverseTimeDecay,
    OneCycle,
    OneCycleMomentum,
    Piecewise,
    PolynomialDecay,
    Progress,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    WarmUp,
    schedule,
)


def factors(wanted: Schedule, steps_per_epoch: int, total_steps: int, beyond: int = 0) -> list[float]:
    return [wanted.factor(Progress(step, steps_per_epoch, total_steps)) for step in range(total_steps + beyond)]


def approx(values: list[float]) -> object:
    return pytest.approx(values, rel=1e-12, abs=1e-15)


def test_progress_counts_epochs_with_their_fraction() -> None:
    assert Progress(7, 4, 40).epoch == 1.75


CLOSED_FORMS = [
    (Constant(), lambda t, e: 1.0),
    (Constant(0.9), lambda t, e: 0.9),
    (StepDecay(0.5), lambda t, e: 0.5 ** int(e)),
    (StepDecay(0.5, every=5), lambda t, e: 0.5 ** (int(e) // 5)),
    (StepDecay(0.1, every_steps=7), lambda t, e: 0.1 ** (t // 7)),
    (ExponentialDecay(0.9), lambda t, e: math.exp(e * math.log(0.9))),
    (ExponentialDecay(0.9, every=2.5), lambda t, e: math.exp(e / 2.5 * math.log(0.9))),
    (ExponentialDecay(0.9, every_steps=3), lambda t, e: math.exp(t / 3 * math.log(0.9))),
    (InverseTimeDecay(0.3), lambda t, e: 1 / (1 + 0.3 * e)),
    (InverseTimeDecay(2.0, every_steps=10), lambda t, e: 10 / (10 + 2 * t)),
    (PolynomialDecay(), lambda t, e: (48 - t) / 48),
    (PolynomialDecay(2.0, 0.1), lambda t, e: 0.1 + 0.9 * ((48 - t) / 48) ** 2),
    (PolynomialDecay(over=3), lambda t, e: max(0.0, 1 - e / 3)),
    (PolynomialDecay(0.5, 0.2, over_steps=9), lambda t, e: 0.2 + 0.8 * math.sqrt(max(0, 9 - t) / 9)),
    (Cosine(), lambda t, e: math.cos(math.pi * t / 96) ** 2),
    (Cosine(0.1), lambda t, e: 0.1 + 0.9 * math.cos(math.pi * t / 96) ** 2),
    (Cosine(every=2), lambda t, e: math.cos(math.pi * (t % 8) / 16) ** 2),
    (Cosine(0.5, every_steps=5), lambda t, e: 0.5 + 0.5 * math.cos(math.pi * (t % 5) / 10) ** 2),
    (WarmUp(epochs=3), lambda t, e: min(1, t / 12)),
    (WarmUp(steps=5, start=0.2), lambda t, e: min(1, 0.2 + 0.8 * t / 5)),
    (WarmUp(2, then=StepDecay(0.5)), lambda t, e: t / 8 if t < 8 else 0.5 ** (int(e) - 2)),
    (WarmUp(2, start=0.5, then="constant(0.9)"), lambda t, e: 0.9 * min(1, 0.5 + t / 16)),
    (WarmUp(steps=8, then="cosine"), lambda t, e: t / 8 if t < 8 else math.cos(math.pi * (t - 8) / 80) ** 2),
    (Piecewise((0.5, 0.95), at_steps=19), lambda t, e: 0.5 if t < 19 else 0.95),
    (Piecewise((1, 0.3, 0.1), at=(2, 5.5)), lambda t, e: 1 if t < 8 else 0.3 if t < 22 else 0.1),
]


@pytest.mark.parametrize(("wanted", "closed"), CLOSED_FORMS, ids=lambda v: str(v) if isinstance(v, Schedule) else "")
def test_closed_forms(wanted: Schedule, closed: object) -> None:
    """12 epochs of 4 updates."""
    assert factors(wanted, 4, 48) == approx([closed(t, t / 4) for t in range(48)])  # type: ignore[operator]


def test_every_schedule_has_a_closed_form_or_a_test_of_its_own() -> None:
    assert {type(s) for s, _ in CLOSED_FORMS} == set(SCHEDULES.values()) - {OneCycle, OneCycleMomentum, ReduceOnPlateau}


def test_what_has_an_end_stays_there() -> None:
    for wanted, end in [(PolynomialDecay(final=0.2), 0.2), (Cosine(0.1), 0.1), (OneCycle(), 4e-6)]:
        assert factors(wanted, 4, 20, beyond=30)[20:] == approx([end] * 30)
    assert factors(OneCycleMomentum(), 4, 20, beyond=3)[20:] == approx([0.95] * 3)


def test_one_cycle_rises_to_one_and_falls_to_its_end() -> None:
    rates, mu = factors(OneCycle(), 10, 100), factors(OneCycleMomentum(), 10, 100)
    assert (rates[0], rates[29], rates[99]) == approx([0.04, 1.0, 4e-6])
    assert (mu[0], mu[29], mu[99]) == approx([0.95, 0.85, 0.95])
    assert rates[:30] == sorted(rates[:30])
    assert rates[29:] == sorted(rates[29:], reverse=True)
    assert rates[14] + rates[15] == pytest.approx(1.04)  # the wave is symmetric about its middle, 14.5
    assert mu[64] == pytest.approx(0.9)


@pytest.mark.parametrize("total", [1, 2, 3, 4])
@pytest.mark.parametrize("rise", [0.0, 0.3, 0.5, 1.0])
def test_one_cycle_of_very_short_runs_is_finite_and_reaches_its_peak_when_it_can(total: int, rise: float) -> None:
    rates = factors(OneCycle(rise), 1, total)
    assert all(4e-6 <= rate <= 1 for rate in rates)
    assert max(rates) == 1 or rise * total % 1


@pytest.mark.parametrize("every", [0.07, 0.29, 0.57, 1.1])
def test_fractions_of_an_epoch_meet_their_update(every: float) -> None:
    """0.07 · 100 is 7.000000000000001 in floating point; the stair is at update 7 all the same."""
    steps = round(every * 100)
    for wanted in (StepDecay(0.5, every=every), Piecewise((1, 0.5), at=every)):
        assert [wanted.factor(Progress(step, 100, 500)) for step in (steps - 1, steps)] == [1, 0.5]


def plateau_run(wanted: Schedule, costs: list[float]) -> list[float]:
    state, seen = wanted.begin(), []
    for cost in costs:
        before = dict(state)
        following = wanted.observe(state, cost)
        assert state == before  # pure
        assert set(following) == set(before)
        assert json.loads(json.dumps(following, allow_nan=False)) == following
        state = following
        seen.append(wanted.factor(Progress(0, 1, 1), state))
    return seen


def test_plateau_reduces_after_patience_and_rests_in_the_cooldown() -> None:
    wanted = ReduceOnPlateau(0.5, patience=1, cooldown=2, minimum=0.2)
    assert wanted.factor(Progress(0, 1, 1)) == 1
    found = plateau_run(wanted, [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert found == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2]


def test_plateau_threshold_is_relative_also_below_zero() -> None:
    wanted = ReduceOnPlateau(0.5, patience=0, threshold=0.1)
    assert plateau_run(wanted, [1.0, 0.89, 0.85]) == [1, 1, 0.5]
    assert plateau_run(wanted, [-1.0, -1.11, -1.15, -0.95]) == [1, 1, 0.5, 0.25]


def test_plateau_takes_no_nan_or_infinity_as_best() -> None:
    wanted = ReduceOnPlateau(0.5, patience=1)
    assert plateau_run(wanted, [math.nan, 2.0, math.nan, math.inf, 1.0]) == [1, 1, 1, 0.5, 0.5]


def test_warm_up_hands_the_state_on() -> None:
    wanted = WarmUp(steps=4, then=ReduceOnPlateau(0.5, patience=0))
    state = wanted.observe(wanted.observe(wanted.begin(), 1.0), 1.0)
    assert [wanted.factor(Progress(step, 2, 20), state) for step in (2, 4, 9)] == [0.25, 0.5, 0.5]


@pytest.mark.parametrize("kind", [kind for kind in SCHEDULES.values() if kind is not ReduceOnPlateau])
def test_pure_schedules_have_no_state(kind: type[Schedule]) -> None:
    wanted = schedule({"piecewise": "piecewise((1,2),at=1)"}.get(kind.name, _shortest(kind)))
    assert wanted.begin() == {} == wanted.observe({}, 1.0)


def _shortest(kind: type[Schedule]) -> str:
    return f"{kind.name}(0.5)" if "decay" in kind.name else kind.name


# Spelling

fraction = st.floats(0.001, 1)
span = st.fixed_dictionaries({}, optional={"every": st.floats(0.01, 100)}) | st.fixed_dictionaries(
    {"every_steps": st.integers(1, 10**6)}
)
pure = st.one_of(
    st.builds(Constant, st.floats(0, 10) | st.integers(0, 3)),
    st.builds(
        lambda kind, r, s: kind(r, **s),
        st.sampled_from([StepDecay, ExponentialDecay, InverseTimeDecay]),
        fraction,
        span,
    ),
    st.builds(PolynomialDecay, st.floats(0.1, 5), fraction, over=st.none() | st.floats(0.1, 9)),
    st.builds(PolynomialDecay, over_steps=st.integers(1, 99)),
    st.builds(lambda f, s: Cosine(f, **s), fraction, span),
    st.builds(OneCycle, fraction, fraction, fraction),
    st.builds(OneCycleMomentum, st.floats(0.5, 0.99), st.floats(0, 0.5), fraction),
    st.builds(lambda v, at: Piecewise(v, at=at), st.tuples(fraction, fraction, fraction), st.just((0.5, 7))),
    st.builds(lambda v, at: Piecewise(v, at_steps=at), st.tuples(fraction, fraction), st.integers(1, 99)),
    st.builds(ReduceOnPlateau, st.floats(0.1, 0.9), st.integers(0, 20), cooldown=st.integers(0, 3), minimum=fraction),
)
any_schedule = st.recursive(
    pure,
    lambda inner: (
        st.builds(lambda e, s, then: WarmUp(e, start=s, then=then), st.floats(0.1, 9), fraction, inner)
        | st.builds(lambda n, then: WarmUp(steps=n, then=then), st.integers(1, 99), inner)
    ),
    max_leaves=3,
)


@given(any_schedule)
def test_spelled_and_pickled_values_come_back(wanted: Schedule) -> None:
    assert schedule(str(wanted)) == wanted
    assert pickle.loads(pickle.dumps(wanted)) == wanted
    assert hash(schedule(str(wanted))) == hash(wanted)


@given(any_schedule, st.integers(0, 300), st.integers(1, 20), st.integers(1, 200))
def test_factors_are_finite_and_not_negative(wanted: Schedule, step: int, steps_per_epoch: int, total: int) -> None:
    value = wanted.factor(Progress(step, steps_per_epoch, total))
    assert math.isfinite(value)
    assert value >= 0


def test_names_are_forgiving_and_nest() -> None:
    assert schedule("Step-Decay(0.5, every=5)") == StepDecay(0.5, every=5)
    assert schedule("warm_up(epochs=2,then=cosine)") == WarmUp(2, then=Cosine())
    assert schedule("warmup(steps=9,then=step decay(0.5,every_steps=3))") == WarmUp(
        steps=9, then=StepDecay(0.5, every_steps=3)
    )
    assert str(WarmUp(2, then="cosine(0.1)")) == "warm_up(2,then=cosine(0.1))"
    assert str(Piecewise([0.5, 0.95], at_steps=19)) == "piecewise((0.5,0.95),at_steps=(19))"  # type: ignore[arg-type]
    assert str(StepDecay(np.float64(0.5), every_steps=np.int64(3))) == "step_decay(0.5,every_steps=3)"  # type: ignore[arg-type]


# Refusals

BAD = [
    (lambda: Constant(-1), "constant: value must be a finite number, at least 0, not -1"),
    (lambda: Constant(math.nan), "constant: value must be a finite number, at least 0, not nan"),
    (lambda: Constant(True), "not True"),
    (lambda: StepDecay(0), "step decay: rate must be a finite number, above 0 and at most 1, not 0"),
    (lambda: StepDecay(1.5), "at most 1, not 1.5"),
    (lambda: StepDecay(math.inf), "not inf"),
    (lambda: StepDecay(0.5, every=0), "step decay: every must be a finite number, above 0, not 0"),
    (lambda: StepDecay(0.5, every=-1), "not -1"),
    (lambda: StepDecay(0.5, every=math.nan), "not nan"),
    (lambda: StepDecay(0.5, every_steps=2.5), "step decay: every_steps must be a whole number, at least 1, not 2.5"),
    (lambda: StepDecay(0.5, every_steps=0), "not 0"),
    (lambda: StepDecay(0.5, every=1, every_steps=1), r"give every= \(epochs\) or every_steps= \(updates\), not both"),
    (lambda: ExponentialDecay(-0.5), "exponential decay: rate"),
    (lambda: ExponentialDecay(0.5, 1, 1), "not both"),
    (lambda: InverseTimeDecay(-0.1), "inverse time decay: rate must be a finite number, at least 0"),
    (lambda: InverseTimeDecay(0.1, 1, 1), "not both"),
    (lambda: PolynomialDecay(0), "polynomial decay: power"),
    (lambda: PolynomialDecay(final=1.1), "polynomial decay: final"),
    (lambda: PolynomialDecay(over=1, over_steps=1), "give over="),
    (lambda: Cosine(-0.1), "cosine: final"),
    (lambda: Cosine(every=1, every_steps=2), "not both"),
    (lambda: WarmUp(0), "warm up: epochs must be"),
    (lambda: WarmUp(1, 1), "give epochs="),
    (lambda: WarmUp(start=1.5), "warm up: start"),
    (lambda: WarmUp(then="nothing"), "there is no schedule 'nothing'"),
    (lambda: WarmUp(then=SGD()), "schedule: expected a name or a value such as Constant"),  # type: ignore[arg-type]
    (lambda: OneCycle(1.2), "one cycle: rise"),
    (lambda: OneCycle(start=-1), "one cycle: start"),
    (lambda: OneCycle(final=2), "one cycle: final"),
    (
        lambda: OneCycleMomentum(1.0),
        "one cycle momentum: high must be a finite number, at least 0 and below 1, not 1.0",
    ),
    (lambda: OneCycleMomentum(0.8, 0.9), "must not exceed"),
    (lambda: OneCycleMomentum(rise=2), "one cycle momentum: rise"),
    (lambda: Piecewise((1, 2)), "piecewise: give at="),
    (lambda: Piecewise((1, 2), at=1, at_steps=1), "one of them"),
    (lambda: Piecewise((1, 2), at=(1, 2)), "2 boundaries want 3 values, not 2"),
    (lambda: Piecewise((1, 2, 3), at=(2, 2)), "must ascend"),
    (lambda: Piecewise((1, -2), at=1), "piecewise: values"),
    (lambda: Piecewise((1, 2), at=0), "piecewise: at must be"),
    (lambda: Piecewise((1, 2), at_steps=1.5), "piecewise: at_steps must be a whole number"),  # type: ignore[arg-type]
    (lambda: Piecewise("text", at=1), "piecewise: values"),  # type: ignore[arg-type]
    (lambda: ReduceOnPlateau(1.0), "reduce on plateau: rate"),
    (lambda: ReduceOnPlateau(patience=-1), "reduce on plateau: patience"),
    (lambda: ReduceOnPlateau(patience=1.5), "a whole number"),  # type: ignore[arg-type]
    (lambda: ReduceOnPlateau(threshold=-1e-4), "reduce on plateau: threshold"),
    (lambda: ReduceOnPlateau(cooldown=-1), "reduce on plateau: cooldown"),
    (lambda: ReduceOnPlateau(minimum=2), "reduce on plateau: minimum"),
    (lambda: schedule("step_decay"), "schedule 'step decay'"),
    (lambda: schedule("step_decay(0.5,evry=2)"), "did you mean 'every'"),
    (lambda: schedule("cosin"), "did you mean 'cosine'"),
    (lambda: StepDecay(10**400), "at most 1"),
    (lambda: Constant(10**400), "a finite number"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_parameters(make: object, message: str) -> None:
    with pytest.raises(DeltaruleError, match=message) as raised:
        make()  # type: ignore[operator]
    assert isinstance(raised.value, HyperparameterError | UnknownNameError)


@pytest.mark.parametrize("value", [None, 0.5, SGD(), StepDecay])
def test_what_is_no_schedule(value: object) -> None:
    with pytest.raises(UnknownNameError, match="schedule: expected a name or a value such as Constant"):
        schedule(value)  # type: ignore[arg-type]
    with pytest.raises(GrammarError):
        schedule("0.5")


# PyTorch's schedulers

PER_EPOCH = [
    (StepDecay(0.5, every=3), lambda lr, o: lr.StepLR(o, 3, 0.5)),
    (ExponentialDecay(0.9), lambda lr, o: lr.ExponentialLR(o, 0.9)),
    (Piecewise((1, 0.1, 0.01), at=(4, 9)), lambda lr, o: lr.MultiStepLR(o, [4, 9], 0.1)),
]
PER_STEP = [
    (StepDecay(0.5, every_steps=7), lambda lr, o: lr.StepLR(o, 7, 0.5)),
    (Cosine(0.1), lambda lr, o: lr.CosineAnnealingLR(o, 60, 0.03)),
    (Cosine(0.1, every=3), lambda lr, o: lr.CosineAnnealingWarmRestarts(o, 15, eta_min=0.03)),
    (PolynomialDecay(2.0), lambda lr, o: lr.PolynomialLR(o, 60, 2.0)),
    (PolynomialDecay(over_steps=20, final=0.25), lambda lr, o: lr.LinearLR(o, 1.0, 0.25, 20)),
    (WarmUp(steps=12, start=0.1), lambda lr, o: lr.LinearLR(o, 0.1, 1.0, 12)),
    (InverseTimeDecay(0.5, every_steps=4), lambda lr, o: lr.LambdaLR(o, lambda t: 1 / (1 + 0.5 * t / 4))),
    (OneCycle(), lambda lr, o: lr.OneCycleLR(o, 0.3, 60)),
    (
        OneCycle(0.5, 0.1, 0.001),
        lambda lr, o: lr.OneCycleLR(o, 0.3, 60, pct_start=0.5, div_factor=10, final_div_factor=100),
    ),
]


@pytest.mark.peers
@pytest.mark.parametrize(
    ("wanted", "theirs", "stride"),
    [(*c, 5) for c in PER_EPOCH] + [(*c, 1) for c in PER_STEP],
    ids=lambda v: str(v)[:30],
)
def test_pytorch_schedulers_agree(wanted: Schedule, theirs: object, stride: int) -> None:
    """12 epochs of 5 updates, η = 0.3; their momentum is watched where they move it."""
    torch = pytest.importorskip("torch")
    sgd = torch.optim.SGD([torch.zeros(1)], lr=0.3, momentum=0.9)
    mu = OneCycleMomentum(rise=wanted.rise) if isinstance(wanted, OneCycle) else Constant(0.9)
    scheduler = theirs(torch.optim.lr_scheduler, sgd)  # type: ignore[operator]
    for step in range(0, 60, stride):
        progress, group = Progress(step, 5, 60), sgd.param_groups[0]
        assert 0.3 * wanted.factor(progress) == pytest.approx(group["lr"], rel=1e-12, abs=1e-15)
        assert mu.factor(progress) == pytest.approx(group["momentum"], rel=1e-12)
        sgd.step()
        if step + stride < 60:
            scheduler.step()


@pytest.mark.peers
@pytest.mark.parametrize(
    "wanted",
    [
        ReduceOnPlateau(),
        ReduceOnPlateau(0.5, patience=2, threshold=0.05),
        ReduceOnPlateau(0.3, patience=0, cooldown=3, minimum=0.01),
        ReduceOnPlateau(0.7, patience=1, threshold=0.0, cooldown=1),
    ],
    ids=str,
)
def test_pytorch_reduce_on_plateau_agrees(wanted: ReduceOnPlateau) -> None:
    torch = pytest.importorskip("torch")
    sgd = torch.optim.SGD([torch.zeros(1)], lr=0.3)
    w = wanted
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        sgd,
        factor=w.rate,
        patience=w.patience,
        threshold=w.threshold,
        cooldown=w.cooldown,
        min_lr=0.3 * w.minimum,
        eps=0,
    )
    random, state = np.random.default_rng(3), wanted.begin()
    costs = np.maximum(np.exp(-np.arange(120) / 15), 0.1) * random.uniform(0.9, 1.1, 120)
    rates = set()
    for cost in costs.tolist():
        state = wanted.observe(state, cost)
        theirs.step(cost)
        rates.add(state["scale"])
        assert 0.3 * wanted.factor(Progress(0, 1, 1), state) == pytest.approx(sgd.param_groups[0]["lr"], rel=1e-12)
    assert len(rates) > 3
