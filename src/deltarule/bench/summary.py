"""What a case's measurements come to: each peer's best, ratios, the share of SGEMM, and how the targets fare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deltarule.bench.cases import Case, flops
from deltarule.bench.peers import PEERS, YARDSTICK

__all__ = ["summarise", "verdict"]

OTHERS = [peer.name for peer in PEERS if not peer.ours]


def summarise(case: Case, formulations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sum a case up.

    Args:
        case: the case.
        formulations: records as `Lane.to_json` gives them; those of the yardstick are in operations a second.

    Returns:
        best: for each peer its fastest formulation, by the median; fastest: the fastest library that is not ours;
        ratios: our native rate over each peer's; share: native operations a second over SGEMM's on all threads,
        share_of_one_thread: native on one thread over SGEMM on one; targets: each with what was reached.
    """
    working = [f for f in formulations if f["rate"] is not None]
    names = dict.fromkeys(f["peer"] for f in working if f["peer"] != YARDSTICK.name)
    best = {name: _fastest([f for f in working if f["peer"] == name]) for name in names}
    fastest = _fastest([best[name] for name in OTHERS if name in best])
    native, sgemm = best.get("native"), [f for f in working if f["peer"] == YARDSTICK.name]
    ratios = {} if native is None else {n: native["rate"] / f["rate"] for n, f in best.items() if n != "native"}
    share = one = None
    if native is not None and sgemm:
        alone = _fastest([f for f in working if f["peer"] == "native" and f["threads"] == 1])
        peak, peak_of_one = _fastest(sgemm), _fastest([f for f in sgemm if f["threads"] == 1])
        share = native["rate"] * flops(case) / peak["rate"]
        one = alone and peak_of_one and alone["rate"] * flops(case) / peak_of_one["rate"]
    found = {
        "best": best, "fastest": fastest and fastest["peer"], "ratios": ratios, "share": share,
        "share_of_one_thread": one, "sgemm": {str(f["threads"]): f["rate"] for f in sgemm},
    }  # fmt: skip
    return found | {"targets": _targets(case, found)}


def _fastest(formulations: Sequence[Mapping[str, Any]]) -> Any:
    return max(formulations, key=lambda f: f["rate"], default=None)


def _targets(case: Case, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    reached = found["ratios"] | {"best": found["ratios"].get(found["fastest"]), "sgemm": found["share"]}
    return [
        {"versus": t.versus, "must": t.must, "aim": t.aim, "reached": reached.get(t.versus),
         "verdict": verdict(reached.get(t.versus), t.must, t.aim)}
        for t in case.targets
    ]  # fmt: skip


def verdict(reached: float | None, must: float, aim: float) -> str:
    """Say it in a word.

    >>> verdict(1.9, 1.8, 2.2), verdict(1.7, 1.8, 2.2), verdict(None, 1, 2)
    ('met', 'missed', 'not measured')
    """
    if reached is None:
        return "not measured"
    return "aim met" if reached >= aim else "met" if reached >= must else "missed"
