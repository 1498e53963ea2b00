"""A race accepts who computes the same, refuses who does not, and measures the rest in turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deltarule.bench.cases import find
from deltarule.bench.crew import Crew, WorkerError
from deltarule.bench.peer import Formulation, Peer
from deltarule.bench.peer_deltarule import NATIVE, TEXTBOOK
from deltarule.bench.peer_sgemm import SGEMM
from deltarule.bench.race import KEEP, TOLERANCE, disagreement
from deltarule.bench.worker import repeats_for

TINY, MLP = find("tiny").shortened(), find("mlp32").shortened()


@pytest.mark.parametrize("peer", [TEXTBOOK, NATIVE], ids=lambda peer: peer.name)
@pytest.mark.parametrize("name", ["tiny", "digits", "mlp32", "deep", "predict1"])
def test_both_engines_reach_the_reference(race, peer, name):
    run = race(find(name).shortened())
    if peer.refuses(find(name)):
        return  # a build without the native engine; that it is there is tested elsewhere
    for formulation in peer.formulations(find(name), [1, 2]):
        lane = run.enter(peer, formulation)
        assert lane.failure == ""
        assert lane.error < TOLERANCE
        assert lane.first > 0


def mutant(change):
    """The textbook peer on a problem that `change` has changed: a peer that computes something else."""

    def build(problem, formulation):
        return TEXTBOOK.build(change(problem), formulation)

    return Peer("mutant", "a mutant", TEXTBOOK.formulations, build)


def of_case(**changes):
    return lambda problem: replace(problem, case=replace(problem.case, **changes))


MUTANTS = {
    "η is 1 % too large": of_case(learning_rate=1.01 * MLP.learning_rate),
    "no momentum": of_case(optimizer="sgd"),
    "momentum 0.89": of_case(optimizer="momentum(0.89)"),
    "another activation": of_case(activation="tanh"),
    "batches of 31": of_case(batch=31),
    "θ₀ is a little off": lambda problem: replace(problem, theta=1.001 * problem.theta),
    "labels are shifted": lambda problem: replace(problem, t=np.roll(problem.t, 1)),
    "pixels are not divided": lambda problem: replace(problem, X=255 * problem.X),
    "the last layer has lost its weights": lambda problem: replace(
        problem, theta=np.where(np.arange(problem.theta.size) < 78_500, problem.theta, 0)
    ),
}


@pytest.mark.parametrize("change", MUTANTS.values(), ids=list(MUTANTS))
def test_who_computes_something_else_is_refused(race, change):
    run = race(MLP)
    lane = run.enter(mutant(change), Formulation("x", 1, {"engine": "textbook"}))
    assert "is wrong: it leaves the reference by" in lane.failure
    assert lane.to_json()["rate"] is None
    run.run(2)
    assert lane.rates == []
    assert lane.failure in run.said[0]
    healthy = run.enter(mutant(lambda problem: problem), Formulation("x", 1, {"engine": "textbook"}))
    assert healthy.failure == ""


def test_disagreement():
    assert disagreement([1.0, 2.0], [1.0, 2.0]) == 0
    assert disagreement([1.0], [1.0, 2.0]) == np.inf
    assert disagreement([1.0, float("nan")], [1.0, 2.0]) == np.inf


class Clockwork:
    """A job whose measurements take as long as it says."""

    work = 10.0

    def __init__(self, seconds, log, name):
        self.seconds, self.log, self.name = seconds, log, name

    def check(self):
        return None

    def run(self, repeats):
        self.log.append(self.name)
        return repeats * self.seconds


def clockwork(log, name, always=False):
    def build(problem, formulation):
        return Clockwork(formulation.options["seconds"], log, formulation.name)

    return Peer(name, name, lambda case, threads: [], build)


def test_rounds_go_in_turn_and_back_and_leave_out_the_slow(race):
    log, run = [], race(TINY)
    one, other = clockwork(log, "one"), clockwork(log, "other")
    quick = run.enter(one, Formulation("quick", 1, {"seconds": 1.0}))
    slow = run.enter(one, Formulation("slow", 1, {"seconds": 1.01 / KEEP}))
    lone = run.enter(other, Formulation("lone", 1, {"seconds": 50.0}))
    yardstick = run.enter(one, Formulation("yardstick", 1, {"seconds": 9.0}), always=True)
    log.clear()
    run.run(2)
    assert log == ["quick", "lone", "yardstick", "yardstick", "lone", "quick"]
    assert quick.rates == [10.0, 10.0]
    assert (slow.rates, slow.rate) == ([], pytest.approx(10 * KEEP / 1.01))
    assert (lone.rate, len(yardstick.rates)) == (0.2, 2)
    assert run.timed(quick, repeats=3)["work"] == 30
    run.measure(slow)
    assert "was dropped" in slow.failure


def test_repeats_fill_the_time():
    for seconds, each in ((0.3, 1e-3), (0.3, 0.29), (0.3, 5.0), (0.05, 1e-6)):
        repeats = repeats_for(Clockwork(each, [], ""), seconds)
        assert seconds <= repeats * each
        assert (repeats - 1) * each < 1.2 * seconds


def test_a_build_that_fails_is_told_and_the_rest_goes_on(race):
    def build(problem, formulation):
        raise ValueError("no such kernel")

    run = race(TINY)
    lane = run.enter(Peer("broken", "broken", TEXTBOOK.formulations, build), Formulation("x", 1))
    assert lane.failure == "ValueError: no such kernel"
    assert run.enter(TEXTBOOK, TEXTBOOK.formulations(TINY, [1])[0]).failure == ""


def test_a_worker_is_a_process_of_its_own(race):
    """The same through a pipe: what is right is accepted, what is wrong is answered, a death is told."""
    formulation = TEXTBOOK.formulations(TINY, [1])[0]
    with Crew() as crew:
        run = race(TINY, crew)
        lane = run.enter(TEXTBOOK, formulation)
        assert (lane.failure, crew.worker(TEXTBOOK, formulation)) == ("", lane.worker)
        run.run(2)
        assert len(lane.rates) == 2
        with pytest.raises(WorkerError, match="KeyError: 'nonsense'"):
            lane.worker.ask("nonsense")
        assert run.enter(SGEMM, Formulation("x", 1)).error is None
        lane.worker.process.kill()
        lane.worker.process.wait()
        run.measure(lane)
        assert "the worker died with code -9" in lane.failure
        assert crew.worker(TEXTBOOK, formulation) is not lane.worker
        assert crew.worker(TEXTBOOK, replace(formulation, threads=2)) is not crew.worker(TEXTBOOK, formulation)
    assert all(worker.process.returncode is not None for worker in crew.workers.values())
