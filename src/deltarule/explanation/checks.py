"""Beside each gradient its finite differences: ∂C/∂u ≈ (C(u + ε) − C(u − ε)) / 2ε, of θ and of the input.

Every entry up to 5,000 parameters; above, 60 of each array, its 8 largest among them, and 10 random directions through
θ and x at once. Of the input every entry up to 1,000, above 60.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.differences import TOLERANCE, Measured, Probe, Rounding, measured, picked
from deltarule.randomness import generator
from deltarule.trace import Trace

__all__ = ["checked"]

EVERY_PARAMETER, EVERY_INPUT = 5000, 1000
LARGEST = 8  # of an array's gradient that are always among those that are checked
EPSILON = 1e-4

Found = tuple[dict[str, Any], dict[str, NDArray[Any]]]


def checked(tr: Trace, seed: int, settings: dict[str, Any]) -> Found:
    """(What was found for every array by the gradient's name, the differences as arrays).

    "2.dW.check" holds the differences; "2.dW.places" where they stand in ∂C/∂W, row by row, unless all are there.
    """
    cache = tr.done.caches[0].a_prev
    probe = Probe(tr.net, cache, tr.done.t, settings)
    report: dict[str, Any] = {"epsilon": EPSILON, "tolerance": TOLERANCE["central"], "arrays": {}, "directions": None}
    report |= {"ok": False, "reason": ""}
    arrays, (parameters, inputs) = dict[str, NDArray[Any]](), probe.moving
    few = {"few_parameters": parameters <= EVERY_PARAMETER, "few_inputs": inputs <= EVERY_INPUT}
    with np.errstate(all="ignore"):  # what is not finite is shown as such
        if not np.isfinite(C := probe.cost(probe.u)):
            return report | {"reason": f"the cost is {C}"}, arrays
        analytic = probe.gradient(probe.u)
        rounding = Rounding(probe, generator(seed, "check", 1))
        for key, directions in picked(probe, analytic, seed, largest=LARGEST, **few):
            found = measured(probe, "central", directions, analytic, rounding, EPSILON)
            name = _gradient(key)
            if key == "directions":
                report["directions"] = _row(found, len(directions))
                continue
            start, size = _span(tr, key)
            places = np.array([d.where for d in directions]) - start
            report["arrays"][name] = _row(found, size) | {"excused": places[found.excused].tolist()}
            arrays[f"{name}.check"] = found.numeric
            if len(directions) < size:
                arrays[f"{name}.places"] = places
    report["ok"] = all(row["ok"] for row in report["arrays"].values())
    report["ok"] = report["ok"] and (report["directions"] is None or report["directions"]["ok"])
    return report, arrays


def _gradient(key: str) -> str:
    """The gradient's name: "2.dW" of "2.W", "dx" of "x"."""
    stage, dot, name = key.rpartition(".")
    return f"{stage}{dot}d{name}"


def _span(tr: Trace, key: str) -> tuple[int, int]:
    """Where an array begins in u, and how many entries it has."""
    for slot in tr.net.slots:
        if slot.key == key:
            return slot.start, slot.stop - slot.start
    return tr.net.size, tr.x.size


def _row(found: Measured, of: int) -> dict[str, Any]:
    error = found.error("central")
    return {"entries": len(found.analytic), "of": of, "error": _plain(error), "kinks": int(found.excused.sum()),
            "ok": bool(error <= TOLERANCE["central"])}  # fmt: skip


def _plain(value: float) -> Any:
    """As JSON can hold it."""
    return float(value) if np.isfinite(value) else str(float(value))
