"""Beside others: Ctrl-C, forks, pools, Python's threads; and what a call leaves behind, which is nothing."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from native.cases import bits, descend, digest, features, in_a_fork, part, run_of, targets

import deltarule as dr
from deltarule import Callback, Dense, Dropout, Network, _native
from deltarule.engines import Outcome, native
from deltarule.optimizers import optimizer

WATCHDOG = 120  # seconds after which something hangs


@pytest.fixture
def forks() -> Any:
    """A fork beside threads is what is tested here; Python 3.12 warns of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


# Ctrl-C


def long_training(callback: Callback) -> Network:
    """An hour of it, unless somebody ends it."""
    net = Network([Dense(100, "relu"), Dropout(0.2), Dense(10, "softmax")], input_shape=300)
    X, t = features(net, 2000), targets(net, 2000, labels=True)
    with suppress(KeyboardInterrupt):
        dr.train(net, X, t, epochs=10**6, batch_size=250, callbacks=[callback], engine="native", verbose=False)
    return net


class Slices(Callback):
    """Says when training is under way, and how many steps it has told."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_slice(self, run: dr.Run) -> None:
        self.steps.append(run.step)
        if len(self.steps) == 4:
            print("under way", flush=True)


def interrupted() -> None:
    """What the other process does."""
    slices = Slices()
    net = long_training(slices)
    print(slices.steps[-1], digest(net.theta))


class Until(Callback):
    """Ends training where θ has these bits, and no later than some steps on."""

    def __init__(self, told: int, wanted: str) -> None:
        self.told, self.wanted, self.found = told, wanted, 0

    def on_step(self, run: dr.Run) -> None:
        if run.step >= self.told and digest(run.net.theta) == self.wanted:
            self.found = run.step
        if self.found or run.step > self.told + 2000:
            run.stop("seen enough")


def test_ctrl_c_keeps_the_last_whole_step() -> None:
    """SIGINT ends a training of hours soon; θ is that of exactly as many steps, one by one, bit for bit."""
    tests = str(Path(__file__).parents[1])
    code = f"import sys; sys.path[:0] = [{tests!r}]\nfrom native import test_processes; test_processes.interrupted()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "under way\n"
            child.send_signal(signal.SIGINT)
            answer = child.communicate(timeout=WATCHDOG)[0]
        finally:
            child.kill()
    assert child.returncode == 0
    told, found = answer.split()
    until = Until(int(told), found)
    long_training(until)
    assert until.found >= int(told)


def long_call(verb: str) -> None:
    """A prediction, or a gradient, that takes half a minute."""
    net = Network("784/2048/2048/10")
    X, t = np.broadcast_to(np.float32(1), (200_000, 784)).astype(np.uint8), np.zeros(200_000, np.int64)
    print("under way", flush=True)
    try:
        net.forward(X) if verb == "forward" else net.cost_and_gradient(X, t)
    except KeyboardInterrupt:
        print("interrupted", net.theta.std() > 0)


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("verb", ["forward", "gradient"])
def test_ctrl_c_ends_long_calls(verb: str, threads: str) -> None:
    """In the middle, without the answer; threads leave together."""
    tests = str(Path(__file__).parents[1])
    code = f"import sys; sys.path[:0] = [{tests!r}]\nfrom native import test_processes as t; t.long_call({verb!r})"
    environment = {**os.environ, "DELTARULE_NUM_THREADS": threads}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "under way\n"
            time.sleep(0.3)
            child.send_signal(signal.SIGINT)
            assert child.communicate(timeout=WATCHDOG)[0] == "interrupted True\n"
        finally:
            child.kill()
    assert child.returncode == 0


@pytest.mark.parametrize("seconds", [1e-6, 1e-3, 0.03, 0.3, 2.0])
def test_slices_are_short_enough_for_ctrl_c(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an update takes, by a clock of our own, no slice takes more than a second, unless one step does."""
    now, slices, train = [0.0], list[int](), native.train

    def slow(*given: Any) -> Outcome:
        outcome = train(*given)
        slices.append(len(outcome.costs))
        now[0] += seconds * len(outcome.costs)
        return outcome

    monkeypatch.setattr(native, "train", slow)
    monkeypatch.setattr(sys.modules["deltarule.training.loop"], "time", SimpleNamespace(perf_counter=lambda: now[0]))
    net = Network("3/2")
    dr.train(
        net, features(net, 300), targets(net, 300, labels=True), epochs=2, batch_size=1, engine="native", verbose=False
    )
    assert sum(slices) == 600
    assert all(n == 1 or n * seconds <= 1 for n in slices)


# Processes


def test_a_fork_computes_the_same(forks: None) -> None:
    """Teams live for the length of one call: a child finds nothing of its parent's, and makes its own."""
    expected = run_of(1, threads=2)
    assert in_a_fork(lambda: run_of(1, threads=2)) == (repr(expected), 0)
    assert in_a_fork(lambda: in_a_fork(lambda: run_of(1, threads=3))) == (repr((repr(expected), 0)), 0)


def test_a_fork_beside_a_training_thread_computes_the_same(forks: None) -> None:
    """The thread is not in the child, nor does it count there: the processors are the child's."""
    expected, stop = run_of(1, threads=2), threading.Event()

    class Endless(Callback):
        def on_slice(self, run: dr.Run) -> None:
            if stop.is_set():
                run.stop("enough")

        def on_step(self, run: dr.Run) -> None:
            """Slices of one."""

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(run_of, 2, epochs=10**6, callbacks=[Endless()])
        try:
            answers = [in_a_fork(lambda: (signal.alarm(60), run_of(1, threads=2))[1]) for _ in range(10)]
        finally:
            stop.set()
        other.result()
    assert answers == [(repr(expected), 0)] * 10


def test_a_fork_at_an_unlucky_moment(forks: None) -> None:
    """A lock that another thread holds at that moment is not held in the child, and no call is counted twice."""
    expected = run_of(1)
    with native._calls.lock:
        answer = in_a_fork(lambda: (signal.alarm(10), run_of(1))[1])
    assert answer == (repr(expected), 0)
    with native._calls.one_more():
        assert in_a_fork(lambda: native._calls.now) == ("0", 0)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str, forks: None) -> None:
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(run_of, range(4)) == [run_of(seed) for seed in range(4)]


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib(backend: str, forks: None) -> None:
    found = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(run_of)(seed) for seed in range(4))
    if backend == "loky":
        get_reusable_executor().shutdown(wait=True)
    assert found == [run_of(seed) for seed in range(4)]


# Threads of Python


def test_networks_train_side_by_side() -> None:
    """Four trainings in four threads, of teams and alone, have the bits that each has by itself."""
    expected = [run_of(seed, threads=1) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for threads in (1, 2, None):
            assert [*pool.map(partial(run_of, threads=threads, epochs=3), range(4))] == expected


def test_one_network_predicts_in_many_threads() -> None:
    """Its program is made once or twice, whoever comes first; nobody sees another's numbers."""
    for dtype in ("float32", "float64"):
        net = Network("30/24/3", dtype=dtype)
        X = features(net, 400)
        expected = net.copy().forward(X)
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(native.outputs, net, net.theta, X, threads=1 + k % 3) for k in range(40)]
            for answer in asked:
                np.testing.assert_array_equal(answer.result()[1], expected)


def test_other_threads_run_meanwhile() -> None:
    """The kernels hold no lock of Python's: another thread ticks while a long slice is at work."""
    net = Network("200/200/3")
    X, t, done = features(net, 300), targets(net, 300, labels=True), threading.Event()
    todo, ticks = part([300] * 300, optimizer("sgd")), 0

    def work() -> None:
        descend(native, net, todo, X, t, threads=1)
        done.set()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work)
        while not done.wait(0.001):
            ticks += 1
    assert ticks >= 10


# What a call leaves behind


def tasks() -> int:
    """Threads of this process, once those that were joined are off the list (the kernel takes a moment)."""
    for _ in range(1000):
        if (n := len(os.listdir("/proc/self/task"))) == 1:
            break
        time.sleep(0.001)
    return n


def test_no_thread_stays(forks: None) -> None:
    """Counted in a child, where no other library's threads come and go."""

    def counts() -> list[int]:
        net, found = Network("40/30/3"), [tasks()]
        X, t = features(net, 200), targets(net, 200)
        for threads in (1, 2, 5, 16):
            native.outputs(net, net.theta, X, threads=threads)
            native.cost_and_gradient(net, net.theta, X, t, threads=threads)
            descend(native, net, part([40, 3, 40], optimizer("adam"), m=200), X, t, threads=threads)
            found += [tasks(), 1 + native._calls.now]
        return found

    assert in_a_fork(counts) == (repr([1] * 9), 0)


SPECS: dict[str, list[Any]] = {
    "small": [Dense(5, "tanh"), Dense(3, "softmax")],
    "dropout": [Dropout(0.2), Dense(9, "swish"), Dropout(0.5), Dense(3, "softmax")],
    "wide": [Dense(190, "relu"), Dense(190, "relu"), Dense(3, "softmax")],
}


@pytest.mark.parametrize("given", [{}, {"clip_norm": 0.1, "weight_decay": 0.1}], ids=["plain", "clipped"])
@pytest.mark.parametrize("rows", [3, 32, 1100])
@pytest.mark.parametrize("spec", SPECS)
def test_steps_allocate_nothing(spec: str, rows: int, given: dict[str, float]) -> None:
    """A slice of one update takes as many pieces of memory as one of a hundred (twenty where updates are long)."""
    net, taken = Network(SPECS[spec], input_shape=20), []
    X, t = features(net, rows), targets(net, rows)
    for updates in (1, 20 if spec == "wide" and rows > 32 else 100):
        before = _native.allocations()
        descend(native, net, part([rows] * updates, optimizer("adam")), X, t, threads=2, **given)
        taken.append(_native.allocations() - before)
    assert taken[0] == taken[1] > 0


@pytest.mark.parametrize("rows", [1, 40])
def test_other_calls_allocate_the_same_every_time(rows: int) -> None:
    """Outputs and gradients, whatever the number of rows."""
    net, taken = Network("20/9/3"), []
    for m in (rows, 30 * rows, rows):
        X, t = features(net, m), targets(net, m)
        for verb, data in ((native.outputs, (X,)), (native.cost_and_gradient, (X, t))):
            before = _native.allocations()
            verb(net, net.theta, *data)
            taken.append(_native.allocations() - before)
    assert taken[:2] == taken[2:4] == taken[4:]


def pages() -> int:
    """Pages of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1])


def test_two_thousand_calls_leave_no_memory() -> None:
    """Neither the extension's nor Python's, three calls a turn: the process holds what it held before."""
    nets = [Network("20/9/3"), Network(SPECS["dropout"], input_shape=20)]
    data = [(features(net, 40), targets(net, 40)) for net in nets]
    todo = part([40, 3, 40], optimizer("adam"))

    def calls(count: int) -> None:
        for k in range(count):
            net, (X, t) = nets[k % 2], data[k % 2]
            native.outputs(net, net.theta, X, threads=1 + k % 2)
            native.cost_and_gradient(net, net.theta, X, t)
            descend(native, net, todo, X, t, threads=1 + k % 3)

    calls(200)
    gc.collect()
    held = pages()
    calls(700)
    assert (pages() - held) * os.sysconf("SC_PAGE_SIZE") < 2**21
    tracemalloc.start()
    try:
        calls(20)
        before = tracemalloc.get_traced_memory()[0]
        calls(200)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()


def test_programs_go_with_their_networks() -> None:
    """A thousand networks, each used once, are not kept."""
    gc.collect()
    kept = len(native._programs)
    for seed in range(100):
        Network("3/2", seed=seed).forward(np.ones((4, 3), np.float32))
    gc.collect()
    assert len(native._programs) <= kept + 1


def test_floating_point_modes_are_given_back() -> None:
    """Denormals are numbers again after every verb, on the caller's thread and on new ones."""
    net = Network("3/2")
    X, t, tiny = features(net, 40), targets(net, 40), np.array([1e-42], np.float32)
    for _, threads in itertools.product(range(3), (1, 2)):
        native.outputs(net, net.theta, X, threads=threads)
        native.cost_and_gradient(net, net.theta, X, t, threads=threads)
        bits(descend(native, net, part([40], optimizer("sgd")), X, t, threads=threads))
        assert (tiny + tiny)[0] > tiny[0] > 0
