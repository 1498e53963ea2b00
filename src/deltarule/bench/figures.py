"""Figures that are no case: import time, peak memory, a taken core, float64, ten epochs of SimpleChains.jl's LeNet."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltarule.bench import cases, drop_in, peers
from deltarule.bench.crew import Crew, WorkerError
from deltarule.bench.peer import Formulation, cores, thread_counts
from deltarule.bench.peer_deltarule import NATIVE
from deltarule.bench.problem import characters, pose
from deltarule.bench.race import Lane, Race
from deltarule.data.text import Vocabulary, streams
from deltarule.network import Network
from deltarule.training import train

__all__ = ["FIGURES", "Setting", "measure"]

MEGABYTE = 10**6
SPARE_MEMORY = 64 * MEGABYTE  # that an MNIST run may take beyond its data
EPOCHS, CORE_SECONDS, CORE_SECONDS_AIM = 10, 12, 8  # of SimpleChains.jl's LeNet
TEXT_EPOCHS, NATS = 12, 1.80  # of a model of characters
ROW = 30  # µs beyond scikit-learn's validation, of a prediction for one row
MEMORY = "deltarule.bench.memory"  # what measures it, in a process of its own
IMPORTS = {  # what is imported → what must be installed for it
    "numpy": (), "deltarule": (), "sklearn.neural_network": ("sklearn",), "torch": ("torch",), "jax": ("jax",)
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """How a figure is measured: with which workers, so many rounds, so long, on shortened cases or whole ones."""

    crew: Crew
    rounds: int
    seconds: float
    quick: bool
    tell: Callable[[str], None]

    def case(self, name: str) -> cases.Case:
        """The case of that name, shortened where a quick look is asked for."""
        case = cases.find(name)
        return case.shortened() if self.quick else case


def measure(name: str, setting: Setting) -> dict[str, Any]:
    """The figure of that name, as the results keep it; `failure` says what went wrong, where something did."""
    try:
        return FIGURES[name](setting)
    except WorkerError as error:
        return _figure(name, "", {}, f"Failed: {error}.", False) | {"failure": str(error)}


def _figure(title: str, unit: str, values: Mapping[str, float], said: str, ok: bool | None = None) -> dict[str, Any]:
    """`ok` is whether a promise is kept, None where none is made."""
    return {"title": title, "unit": unit, "values": dict(values), "said": said, "ok": ok, "failure": ""}


def import_time(setting: Setting) -> dict[str, Any]:
    """Seconds from the start of a process to its end, in fresh processes in turn."""
    present = [name for name, needs in IMPORTS.items() if all(peers.installed(package) for package in needs)]
    codes = {"python": "pass"} | {name: f"import {name}" for name in present}
    times: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(3 * setting.rounds):
        for name, code in codes.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(found) for name, found in times.items()}
    beyond = medians["deltarule"] - medians["numpy"]
    return _figure("Import time", "s", medians, f"`import deltarule` takes {beyond:.2f} s beyond `import numpy`.")


def peak_memory(setting: Setting) -> dict[str, Any]:
    """Bytes of processes that import, that load MNIST's pixels too, and that train an epoch on them too."""
    engine = "textbook" if NATIVE.refuses(setting.case("mlp128")) else "native"
    problem = pose(setting.case("mlp128"))
    assert problem.pixels is not None
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "X.npy", problem.pixels)
        np.save(Path(folder) / "t.npy", problem.t.astype(np.uint8))
        size = problem.pixels.nbytes + len(problem.t)
        phases = {
            "import numpy, deltarule": ["import"],
            "and load the pixels": ["data", folder],
            "and train an epoch": ["train", folder, engine],
        }
        found = {label: _peak(arguments) / MEGABYTE for label, arguments in phases.items()}
    over = found["and train an epoch"] - found["import numpy, deltarule"]
    limit = (size + SPARE_MEMORY) / MEGABYTE
    said = f"{engine}, {problem.source}, uint8: {over:.0f} MB over the imports; the data are {size / MEGABYTE:.0f} MB."
    return _figure("Peak memory", "MB", found, f"{said} At most {limit:.0f} MB are promised.", over <= limit)


def _peak(arguments: list[str]) -> float:
    command = [sys.executable, "-m", MEMORY, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WorkerError(done.stderr.strip().splitlines()[-1])
    return float(done.stdout)


def taken_core(setting: Setting) -> dict[str, Any]:
    """The native engine alone, and while another process holds one core."""
    title, n = "A core taken by another process", cores()
    refused = NATIVE.refuses(setting.case("mlp128"))
    if refused or n < 2 or not hasattr(os, "sched_setaffinity"):
        return _figure(title, "", {}, f"Not measured: {refused or 'it takes two cores and sched_setaffinity'}.")
    options = {"engine": "native", "inputs": "float32"}
    kinds = {f"{n} threads": n, "automatic": None}
    with _race(setting, "mlp128") as race:
        lanes = {
            label: [_enter(race, Formulation(label, n, options | {"threads": threads})) for _ in range(2)]
            for label, threads in kinds.items()
        }  # fmt: skip
        for _ in range(setting.rounds):
            for alone, disturbed in lanes.values():
                race.measure(alone)
                with _busy(min(os.sched_getaffinity(0))):
                    race.measure(disturbed)
    values: dict[str, float] = {}
    for label, (alone, disturbed) in lanes.items():
        values |= {f"{label}, alone": alone.rate, f"{label}, a core taken": disturbed.rate}
    ratios = [disturbed.rate / alone.rate for alone, disturbed in lanes.values()]
    said = f"mlp128 keeps {' and '.join(f'{ratio:.2f}' for ratio in ratios)} of its rate; a third is promised."
    return _figure(title, "samples/s", values, said, min(ratios) > 1 / 3)


@contextmanager
def _busy(core: int) -> Iterator[None]:
    """A process that computes on one core without end."""
    code = f"import os\nos.sched_setaffinity(0, {{{core}}})\nprint(flush=True)\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        yield
    finally:
        process.kill()
        process.communicate()


def double_precision(setting: Setting) -> dict[str, Any]:
    """The native engine in float64 beside float32."""
    title, refused = "float64", NATIVE.refuses(setting.case("mlp128"))
    if refused:
        return _figure(title, "", {}, f"Not measured: {refused}.")
    values: dict[str, float] = {}
    ratios = []
    for name in ("mlp128",) if setting.quick else ("mlp128", "wide"):
        with _race(setting, name) as race:
            options = {"engine": "native", "inputs": "float32", "threads": cores()}
            single, double = (
                _enter(race, Formulation(dtype, cores(), options | {"dtype": dtype}))
                for dtype in ("float32", "float64")
            )
            race.run(setting.rounds)
        values |= _rates(name, [single, double])
        ratios.append(double.rate / single.rate)
    said = f"float64 runs at {' and '.join(f'{r:.2f}' for r in ratios)} of float32's rate; 0.4 is promised."
    return _figure(title, "samples/s", values, said, min(ratios) >= 0.4)


def ten_epochs(setting: Setting) -> dict[str, Any]:
    """Ten epochs of SimpleChains.jl's LeNet on MNIST: seconds times threads, and the CPU time of the process.

    SimpleChains.jl took 5.32 s on the 4 cores of an i7-1165G7 with AVX-512, 1.24 s on the 18 of an i9-10980XE, compiled
    before; its batches are a number of rows a thread that is not told, ours have 128. Source: C. Elrod, N. Korsbo,
    C. Rackauckas, julialang.org/blog/2022/04/simple-chains.
    """
    title, case = "Ten epochs of SimpleChains.jl's LeNet", setting.case(cases.SIMPLECHAINS.name)
    if refused := NATIVE.refuses(case):
        return _figure(title, "", {}, f"Not measured: {refused}.")
    values: dict[str, float] = {}
    with _race(setting, case.name) as race:
        options = {"engine": "native", "inputs": "float32"}
        lanes = {n: _enter(race, Formulation(f"{n} threads", n, options | {"threads": n})) for n in thread_counts()}
        found: dict[int, list[dict[str, Any]]] = {n: [] for n in lanes}
        for _ in range(setting.rounds):
            for n, lane in lanes.items():
                found[n].append(race.timed(lane, EPOCHS))
    for n, answers in found.items():
        scale = EPOCHS * cases.SIMPLECHAINS.rows / answers[0]["work"]  # the short batch, and a shortened case
        label = f"{n} thread{'s' * (n > 1)}"
        values[f"{label}, seconds × threads"] = scale * n * statistics.median(answer["seconds"] for answer in answers)
        values[f"{label}, CPU time"] = scale * statistics.median(answer["cpu"] for answer in answers)
    reached = values[f"{label}, seconds × threads"]  # on all cores, as theirs
    said = f"{reached:.1f} core-seconds on all cores; SimpleChains.jl takes {4 * 5.32:.0f} on four."
    said += f" At most {CORE_SECONDS} are promised, {CORE_SECONDS_AIM} are the aim."
    return _figure(title, "core-seconds", values, said, reached <= CORE_SECONDS)


def character_model(setting: Setting) -> dict[str, Any]:
    """Twelve epochs of a recurrent network on nine tenths of a text: nats a character on the last, and seconds.

    Batch 32, T = 50, Adam with η falling by 0.85 an epoch, the gradient clipped at 5, the state carried.
    """
    title, text = f"{TEXT_EPOCHS} epochs of a model of characters", characters()
    if text is None:
        return _figure(title, "", {}, "Not measured: tinyshakespeare is not in $DELTARULE_DATA.")
    vocabulary = Vocabulary.of(text)
    tokens, n = vocabulary.encode(text), len(vocabulary)
    values: dict[str, float] = {}
    first = len(tokens) - len(tokens) // 10
    (X, t), held = streams(tokens[:first], 32, 50), streams(tokens[first:], 32)
    for eta in (0.002, 0.004):
        net = Network(f"seq({n})/rnn(128)/{n}")
        history = train(
            net, X, t, optimizer="adam", learning_rate=eta, schedule="step_decay(0.85,every=1)", clip_norm=5,
            batch_size=32, truncate=50, shuffle=False, epochs=1 if setting.quick else TEXT_EPOCHS, verbose=False,
        )  # fmt: skip
        values[f"η {eta}: nats"], values[f"η {eta}: seconds"] = net.evaluate(*held)["cost"], history.seconds[-1]
    best = min(value for name, value in values.items() if name.endswith("nats"))
    said = f"{best:.3f} nats a character on the last tenth at best; at most {NATS} are promised."
    return _figure(title, "", values, said, None if setting.quick else best <= NATS)


def estimators(setting: Setting) -> dict[str, Any]:
    """The same calls of deltarule's estimators and of scikit-learn's, in turns."""
    title = "Estimators beside scikit-learn's"
    if not peers.installed("sklearn"):
        return _figure(title, "", {}, "Not measured: scikit-learn is not installed.")
    values: dict[str, float] = {}
    missed = []
    for contest in drop_in.contests(setting.quick):
        found = drop_in.ratio(contest, setting.rounds, setting.tell)
        values |= {f"{contest.name}: {what}": value for what, value in found.items()}
        missed += [f"{contest.name} ({found['faster']:.1f}, {contest.must} promised)"] * (
            found["faster"] < contest.must
        )
    row = drop_in.row(setting.rounds)
    values |= {f"one row, µs: {what}": value for what, value in row.items()}
    missed += [f"one row ({row['deltarule']:.0f} µs, {ROW} promised)"] * (row["deltarule"] > ROW)
    said = f"missed: {'; '.join(missed)}" if missed else "all that is promised is kept"
    return _figure(title, "", values, said, None if setting.quick else not missed)


def _enter(race: Race, formulation: Formulation) -> Lane:
    """A native lane, or an error if it cannot run."""
    lane = race.enter(NATIVE, formulation, always=True)
    if lane.failure:
        raise WorkerError(f"{lane}: {lane.failure}")
    return lane


def _rates(name: str, lanes: list[Lane]) -> dict[str, float]:
    return {f"{name}, {lane.formulation.name}": lane.rate for lane in lanes}


@contextmanager
def _race(setting: Setting, name: str) -> Iterator[Race]:
    with tempfile.TemporaryDirectory() as folder:
        yield Race(setting.crew, pose(setting.case(name)), Path(folder), setting.seconds, setting.tell)


FIGURES: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "import": import_time, "memory": peak_memory, "taken-core": taken_core, "float64": double_precision,
    cases.SIMPLECHAINS.name: ten_epochs, "text": character_model, "estimators": estimators,
}  # fmt: skip
"""By the name under which `--case` asks for them."""
