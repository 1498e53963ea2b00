"""Which engine runs, and what is said about it."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pytest
from native.cases import Array, features, python, targets

import deltarule as dr
from deltarule import Dense, Network, engines
from deltarule.activations import Tanh
from deltarule.costs import SquaredError
from deltarule.engines import native, textbook
from deltarule.errors import HyperparameterError
from deltarule.optimizers import SGD


class OwnLayer(Dense):
    """A user's."""


class OwnActivation(Tanh):
    """A user's."""


class OwnSquaredError(SquaredError):
    """A user's."""


@dataclasses.dataclass(frozen=True)
class OwnRule(SGD):
    """A user's."""


def small() -> tuple[Network, Array, Array]:
    net = Network("4/6/3")
    return net, features(net, 20), targets(net, 20, labels=True)


def test_auto_is_native_where_it_can_be() -> None:
    net, X, t = small()
    assert engines.choose("auto", net) is native
    info = dr.engine_info(net)
    assert (info.engine, info.reason) == ("native", "")
    assert info.isa in info.isas
    assert str(info).startswith(f"engine: native, {info.isa} (of ")
    found = []
    for engine in ("auto", "native"):
        net, X, t = small()
        dr.train(net, X, t, epochs=2, engine=engine, verbose=False)
        found.append(net.theta)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(("net", "why"), [
    (lambda: Network([OwnLayer(3, "tanh"), Dense(2)], input_shape=4), "layer 1"),
    (lambda: Network([Dense(3, OwnActivation()), Dense(2)], input_shape=4), "the activation of layer 1, OwnActivation"),
    (lambda: Network([Dense(2, "identity")], input_shape=4, cost=OwnSquaredError()), "the cost OwnSquaredError"),
])  # fmt: skip
def test_what_is_a_users_own_runs_on_the_textbook_engine(net: Any, why: str) -> None:
    """Chosen with a reason; asked for by name, the native engine refuses with the same."""
    built = net()
    assert engines.choose("auto", built) is textbook
    info = dr.engine_info(built)
    assert info.engine == "textbook"
    assert why in info.reason
    assert info.reason in str(info)
    with pytest.raises(HyperparameterError, match=why):
        engines.choose("native", built)
    X = features(built, 20)
    dr.train(built, X, targets(built, 20), epochs=1, verbose=False)


def test_an_optimiser_of_a_users_own() -> None:
    net, X, t = small()
    assert engines.choose("auto", net, OwnRule()) is textbook
    with pytest.raises(HyperparameterError, match="the optimiser OwnRule"):
        dr.train(net, X, t, optimizer=OwnRule(), engine="native", verbose=False)


def test_no_such_engine() -> None:
    for engine in ("gpu", None, 3):
        with pytest.raises(HyperparameterError, match="'auto', 'native' or 'textbook'"):
            engines.choose(engine)  # type: ignore[arg-type]


def test_without_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything works; training says aloud that it is slow and what to do; engine="textbook" is quiet."""
    monkeypatch.setattr(native, "_native", None)
    monkeypatch.setattr(native, "_MISSING", "No module named 'deltarule._native'")
    net, X, t = small()
    info = dr.engine_info(net)
    assert (info.engine, info.isa, info.isas, info.threads) == ("textbook", "", (), 1)
    assert "build tools: g++" in str(info)
    with pytest.raises(HyperparameterError, match="not installed"):
        dr.train(net, X, t, engine="native", verbose=False)
    with pytest.warns(UserWarning, match="many times slower.*--force-reinstall") as told:
        dr.train(net, X, t, epochs=1, verbose=False)
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dr.train(net, X, t, epochs=1, engine="textbook", verbose=False)
        net.forward(X)
        net.cost_and_gradient(X, t)


def test_an_instruction_set_that_is_not_there_is_an_error() -> None:
    """Not another engine without a word."""
    code = "import deltarule as dr\nprint(dr.engine_info())\ndr.Network('4/3').forward([[1, 2, 3, 4]])"
    done = python(code, DELTARULE_ISA="AVX2")
    assert done.stdout.startswith("engine: textbook, since DELTARULE_ISA is 'AVX2', this processor has ")
    assert "HyperparameterError: DELTARULE_ISA is 'AVX2'" in done.stderr


@pytest.mark.parametrize("value", ["0", "two", "-1", "1.5", "99999"])
def test_wrong_numbers_of_threads(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, X, t = small()
    monkeypatch.setenv("DELTARULE_NUM_THREADS", value)
    with pytest.raises(HyperparameterError, match="DELTARULE_NUM_THREADS must be a whole number, at least 1"):
        dr.train(net, X, t, epochs=1, engine="native", verbose=False)


BOUNDS = {"1": 1, "3": 3, "7": 4, "4,2": 4, "0": 4, "junk": 4, "9" * 30: 4}


@pytest.mark.parametrize("value", BOUNDS)
def test_others_number_of_threads_is_a_bound_and_no_order(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """OMP_NUM_THREADS: never more, and fewer where fewer are faster."""
    most = BOUNDS[value]
    monkeypatch.setattr(native, "_native", _FourProcessors())
    monkeypatch.delenv("DELTARULE_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert native.most_threads() == most
    assert native.resolve_threads(None) is None
    with native._team(native._Pace(), None, 1e12, 1) as threads:
        assert threads == most
    with native._team(native._Pace(), None, 1e3, 1) as threads:
        assert threads == 1
    with native._team(native._Pace(), 6, 1e3, 1) as threads:
        assert threads == 6


class _FourProcessors:
    def processors(self) -> int:
        return 4


def test_the_pace_is_the_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number of threads has three turns; then the faster runs, and the other is looked at now and then."""
    pace, ran = native._Pace(), []
    speed = {1: 1.0, 2: 0.6}
    for call in range(200):
        threads = pace.threads(2)
        slow = 5 if call == 3 else 1  # one measurement among the first is disturbed
        pace.took(threads, speed[threads] * slow, 1.0)
        ran.append(threads)
        if call == 99:
            speed = {1: 1.0, 2: 1.5}  # a neighbour came
    assert sorted(ran[:6]) == [1, 1, 1, 2, 2, 2]
    assert ran[6:100].count(2) >= 88
    assert ran[104:].count(1) >= 88
    assert {pace.threads(1) for _ in range(3)} == {1}


def test_calls_too_short_to_tell_are_not_counted() -> None:
    pace = native._Pace()
    for _ in range(5):
        pace.took(2, 1e-4, 1.0)
    assert pace.seconds == {}
