"""The results for readers: JSON, Markdown tables, a chart."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deltarule.bench.cases import Case
from deltarule.bench.peers import PEERS
from deltarule.errors import MissingExtraError
from deltarule.files import write_bytes

__all__ = ["chart", "markdown", "overview", "write"]

TITLES = {peer.name: peer.title for peer in PEERS} | {"best": "best peer", "sgemm": "SGEMM"}
COLOURS = {
    "native": "#b3262e", "textbook": "#d99a9d", "torch": "#e8b184", "torch-by-hand": "#d9772b", "jax": "#2b6cb0",
    "sklearn": "#3d8f5f",
}  # fmt: skip


def write(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write results.json, results.md and, where matplotlib is installed, chart.svg; the files that were written."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"results.json": json.dumps(_finite(results), indent=1, ensure_ascii=False) + "\n",
             "results.md": markdown(results)}  # fmt: skip
    for name, text in files.items():
        write_bytes(folder / name, text.encode())
    return [folder / name for name in files]


def _finite(value: Any) -> Any:
    """JSON has no nan: it becomes null."""
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def markdown(results: Mapping[str, Any]) -> str:
    """The whole report: machine, overview, targets, every formulation, figures."""
    parts = ["# Peers side by side", _machine(results)]
    if results["absent"]:
        parts.append("\n".join(f"{TITLES[name]} is absent: {why}" for name, why in results["absent"].items()))
    if results["cases"]:
        parts += ["## Samples a second", overview(results), "## Targets", _targets(results["cases"])]
    for name, case in results["cases"].items():
        parts += [f"## {name}", _case(case)]
    for figure in results["figures"].values():
        rows = [(label, _number(value)) for label, value in figure["values"].items()]
        parts += [f"## {figure['title']}", figure["said"]] + [_table(["", figure["unit"]], rows)] * bool(rows)
    return "\n\n".join(parts) + "\n"


def _machine(results: Mapping[str, Any]) -> str:
    machine, options = results["machine"], results["options"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    vectors = "".join(f", {name}" for name in machine["vectors"][-1:])
    return (
        f"{machine['processor']}{vectors}, {machine['cores']} of {machine['cores_of_the_machine']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}; {versions}.\n"
        f"Medians of {options['rounds']} rounds of about {options['seconds']:g} s each"
        f"{', on shortened cases: to see that all works, not how fast' if options['quick'] else ''}."
    )


def overview(results: Mapping[str, Any]) -> str:
    """A line a case: each peer's best rate, our ratio to the fastest other library, and the share of SGEMM."""
    names = [p.name for p in PEERS if any(p.name in case["summary"]["best"] for case in results["cases"].values())]
    rows = []
    for name, case in results["cases"].items():
        found, best = case["summary"], case["summary"]["best"]
        rates = [_number(best[peer]["rate"]) if peer in best else "–" for peer in names]
        rows.append((name, *rates, _times(found["ratios"].get(found["fastest"])), _percent(found["share"])))
    table = _table(["case", *(TITLES[name] for name in names), "native / best peer", "of SGEMM"], rows)
    sequences = [name for name, case in results["cases"].items() if Case.from_json(case["case"]).sequences]
    return table + f"\n\nOf {', '.join(sequences)} a sample is a time step." * bool(sequences)


def _targets(cases: Mapping[str, Any]) -> str:
    rows = []
    for name, case in cases.items():
        for t in case["summary"]["targets"]:
            show = _percent if t["versus"] == "sgemm" else _times
            numbers = (show(t[key]) for key in ("must", "aim", "reached"))
            rows.append((name, TITLES[t["versus"]], *numbers, t["verdict"]))
    return _table(["case", "native against", "must", "aim", "reached", ""], rows)


def _case(case: Mapping[str, Any]) -> str:
    said, summary = Case.from_json(case["case"]), case["summary"]
    yardstick = ", ".join(f"{rate / 1e9:.0f} GFLOP/s on {n}" for n, rate in summary["sgemm"].items())
    many, one = (f"sequences of {said.length} steps", "step") if said.sequences else ("rows", "sample")
    lines = [
        f"{said.network}, {said.activation}, {said.optimizer}, η {said.learning_rate:g}, batch {said.batch}, "
        f"{said.rows:,} {many} of {case['data']}; {case['flops']:,.0f} operations a {one}. "
        f"SGEMM 1024³: {yardstick or 'not measured'} (threads)."
    ]
    lines += [f"{TITLES[name]}: {why}." for name, why in case["refused"].items()]
    ranked = sorted(
        (f for f in case["formulations"] if f["peer"] in TITLES and f["peer"] != "sgemm"),
        key=lambda f: (list(TITLES).index(f["peer"]), -(f["rate"] or 0)),
    )
    rows = [
        (TITLES[f["peer"]], f["formulation"], str(f["threads"]), f["failure"] or _number(f["rate"]),
         str(len(f["rates"]) or "1, too slow for more") if not f["failure"] else "–",
         "–" if f["error"] is None else f"{f['error']:.0e}")
        for f in ranked
    ]  # fmt: skip
    table = _table(["peer", "formulation", "threads", f"{said.unit}/s", "rounds", "error"], rows)
    return "\n".join(lines) + "\n\n" + table


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(_table(["a", "b"], [("1", "2")]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"|{'|'.join(line)}|" if line[0] == "---" else f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None) -> str:
    """Three digits, or all of a large number's whole part.

    >>> _number(0.12345), _number(1234567.8), _number(None)
    ('0.123', '1,234,568', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}×"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def chart(results: Mapping[str, Any], folder: Path) -> Path:
    """Each peer's best rate over native's (over the fastest, where native is not there), one row a case: chart.svg.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, NullLocator
    except ImportError:
        raise MissingExtraError("the chart needs matplotlib: pip install 'deltarule[bench]'") from None

    cases = {name: case["summary"]["best"] for name, case in results["cases"].items() if case["summary"]["best"]}
    figure = Figure(figsize=(8, 1.2 + 0.45 * len(cases)), layout="constrained")
    axes = figure.subplots()
    for y, best in enumerate(cases.values()):
        unit = best.get("native", max(best.values(), key=lambda f: float(f["rate"])))["rate"]
        for peer, found in best.items():
            axes.plot(found["rate"] / unit, y, "o", ms=8, color=COLOURS[peer], label=TITLES[peer], zorder=3)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axvline(1, color="0.6", lw=1)
    axes.set_yticks(range(len(cases)), [*cases])
    axes.invert_yaxis()
    axes.grid(axis="x", color="0.92")
    axes.spines[["top", "right", "left"]].set_visible(False)
    native = any("native" in best for best in cases.values())
    axes.set_xlabel(f"samples a second, {TITLES['native'] if native else 'the fastest'} = 1; further right is faster")
    handles = dict(zip(*reversed(axes.get_legend_handles_labels())))
    ordered = [title for title in TITLES.values() if title in handles]
    figure.legend([handles[title] for title in ordered], ordered, loc="outside upper center", ncols=3, frameon=False)
    path = folder / "chart.svg"
    figure.savefig(path)
    return path
