"""A run of the benchmark: every case asked for, then every figure, one process computing at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deltarule.bench import peers
from deltarule.bench.cases import CASES, Case, flops
from deltarule.bench.crew import Crew
from deltarule.bench.figures import FIGURES, Setting, measure
from deltarule.bench.machine import describe
from deltarule.bench.peer import Peer, thread_counts
from deltarule.bench.peers import PEERS, YARDSTICK
from deltarule.bench.problem import pose
from deltarule.bench.race import Race
from deltarule.bench.summary import summarise
from deltarule.errors import UnknownNameError
from deltarule.limits import whole

__all__ = ["Options", "failures", "run"]


@dataclass(frozen=True)
class Options:
    """What to measure and how long.

    Args:
        names: cases and figures; none means all.
        peers: none means all.
        rounds: measurements of each formulation; the median counts. None: 7, or 2 in a quick look.
        quick: one thread, few rows, short measurements: to see that everything works, not how fast.
    """

    names: Sequence[str] = ()
    peers: Sequence[str] = ()
    rounds: int | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in FIGURES and name not in {case.name for case in CASES}:
                known = ", ".join([case.name for case in CASES] + list(FIGURES))
                raise UnknownNameError(f"there is no case '{name}' (cases: {known})")
        for name in self.peers:
            peers.find(name)
        if self.rounds is not None:
            whole("rounds", self.rounds)

    @property
    def setting(self) -> tuple[int, float]:
        """Rounds, and seconds a measurement."""
        return self.rounds or (2 if self.quick else 7), 0.05 if self.quick else 0.3

    def wants(self, name: str) -> bool:
        """Whether a case or figure is asked for."""
        return not self.names or name in self.names


def run(
    options: Options,
    tell: Callable[[str], None] = lambda line: None,
    keep: Callable[[dict[str, Any]], Any] = lambda results: None,
) -> dict[str, Any]:
    """Measure, and return the results as JSON has them.

    Args:
        options: what to measure.
        tell: hears of every formulation as it is tried.
        keep: given the results so far after each case and figure, so that none is lost.
    """
    rounds, seconds = options.setting
    chosen = [peer for peer in PEERS if not options.peers or peer.name in options.peers]
    absent = {peer.name: why for peer in chosen if (why := peers.absent(peer))}
    for name, why in absent.items():
        tell(f"{name} is absent: {why}")
    present = [peer for peer in chosen if peer.name not in absent]
    results: dict[str, Any] = {
        "machine": describe(), "options": asdict(options) | {"rounds": rounds, "seconds": seconds}, "absent": absent,
        "cases": {}, "figures": {},
    }  # fmt: skip
    with Crew() as crew:
        setting = Setting(crew, rounds, seconds, options.quick, tell)
        for case in filter(lambda case: options.wants(case.name), CASES):
            results["cases"][case.name] = _case(setting.case(case.name), present, setting)
            keep(results)
        for name in filter(options.wants, FIGURES):
            tell(f"{name}:")
            results["figures"][name] = measure(name, setting)
            tell(f"  {results['figures'][name]['said']}")
            keep(results)
    return results


def _case(case: Case, present: Sequence[Peer], setting: Setting) -> dict[str, Any]:
    problem, threads, refused = pose(case), [1] if setting.quick else thread_counts(), {}
    tell = setting.tell
    tell(f"{case.name}: {case.network}, {case.activation}, {case.optimizer}, batch {case.batch}, {problem.source}")
    with tempfile.TemporaryDirectory() as folder:
        race = Race(setting.crew, problem, Path(folder), setting.seconds, tell)
        for peer in (*present, YARDSTICK):
            if why := peer.refuses(case):
                refused[peer.name] = why
                tell(f"  {peer.name}: {why}")
                continue
            for formulation in peer.formulations(case, threads):
                race.enter(peer, formulation, always=peer is YARDSTICK)
        race.run(setting.rounds)
    found = [lane.to_json() for lane in race.lanes]
    summary = summarise(case, found)
    for name, fastest in summary["best"].items():
        tell(f"  best of {name}: {fastest['formulation']}, {fastest['rate']:,.0f} {case.unit}/s")
    return {
        "case": asdict(case), "data": problem.source, "flops": flops(case), "refused": refused,
        "formulations": found, "summary": summary,
    }  # fmt: skip


def failures(results: dict[str, Any]) -> list[str]:
    """Every formulation that was wrong or died, every figure that failed; what is absent or refused is none."""
    wrong = [
        f"{name}, {f['peer']}, {f['formulation']}: {f['failure']}"
        for name, case in results["cases"].items()
        for f in case["formulations"]
        if f["failure"]
    ]
    return wrong + [f"{name}: {f['failure']}" for name, f in results["figures"].items() if f["failure"]]
