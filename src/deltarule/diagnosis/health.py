"""What a diagnosis is: one line a layer, a table, and a dictionary for pages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from deltarule.diagnosis.verdicts import HEALTHY

__all__ = ["Diagnosis", "LayerHealth"]


@dataclass(frozen=True)
class LayerHealth:
    """How one layer fares on the way back; None where a number makes no sense.

    Attributes:
        stage, layer: from 1, and its configuration as text.
        mean_delta: mean |δ|, over units and rows (or steps), weighted as the rows are.
        norm_delta: mean ‖δ‖ of a row.
        ratio: norm_delta against that of the next layer, towards the output.
        dead: of the relu family, the share of units (or maps) that no row makes active; None of too few rows too.
        saturated: of sigmoid, tanh, scaled tanh (softmax and sigmoid as outputs only where f′ is a factor of δ), the
            share of entries whose slope is below 1 % of the steepest; of an output those that are wrong besides.
        update_ratio: ‖ΔW‖ / ‖W‖ of the update that would come, without clipping.
        through_time: of a recurrent layer, how long an error is 0, 1, … steps back, of its length at its own step.
        verdict: healthy, not finite, dead, saturated, exploding, vanishing, rate too large, rate too small.
        reason, remedy: in words; no remedy where there is nothing to do.
    """

    stage: int
    layer: str
    mean_delta: float
    norm_delta: float
    ratio: float | None
    dead: float | None
    saturated: float | None
    update_ratio: float | None
    through_time: tuple[float, ...] | None
    verdict: str
    reason: str
    remedy: str

    @property
    def ok(self) -> bool:
        """Whether it is healthy."""
        return self.verdict == HEALTHY

    def to_dict(self) -> dict[str, Any]:
        """Its attributes as JSON can hold them; NaN and inf as "nan", "inf"."""
        found = {name: _plain(value) for name, value in vars(self).items()}
        return found | {"through_time": self.through_time and [_plain(x) for x in self.through_time]}

    def __str__(self) -> str:
        return f"layer {self.stage} ({self.layer}): {_said(self)}"


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found: one entry a layer, `ok` when every one is healthy.

    Attributes:
        layers: by stage, from the input to the output.
        rows: how many rows were looked at.
        given: how many there were.
    """

    layers: tuple[LayerHealth, ...] = field(repr=False)
    rows: int
    given: int

    @property
    def ok(self) -> bool:
        """Whether every layer is healthy."""
        return not self.findings

    @property
    def findings(self) -> list[LayerHealth]:
        """The layers that are not."""
        return [layer for layer in self.layers if not layer.ok]

    @property
    def sentence(self) -> str:
        """All in one sentence."""
        of = f"{self.rows:,} of {self.given:,} rows" if self.rows < self.given else _rows(self.rows)
        if self.ok:
            return f"the backward pass is healthy (on {of})"
        verdicts = dict.fromkeys(layer.verdict for layer in self.findings)
        said = ", ".join(f"{v} in {_stages([x for x in self.findings if x.verdict == v])}" for v in verdicts)
        return f"the backward pass is NOT healthy: {said} (on {of})"

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it: ok, rows, given, sentence, and layers."""
        layers = [layer.to_dict() for layer in self.layers]
        return {"ok": self.ok, "rows": self.rows, "given": self.given, "sentence": self.sentence, "layers": layers}

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        """A line a layer, what was found in words, and a sentence."""
        titles = ("", "layer", "mean |δ|", "‖δ‖", "of next", "dead", "saturated", "‖ΔW‖/‖W‖", "")
        table = [titles, *map(_cells, self.layers)]
        widths = [max(len(row[k]) for row in table) for k in range(len(titles))]
        lines = ["  ".join(cell.ljust(n) for cell, n in zip(row, widths)).rstrip() for row in table]
        return "\n".join([*lines, *_lines(self.findings), self.sentence])


def _cells(h: LayerHealth) -> tuple[str, ...]:
    shares = [_cell(share, ".0%") for share in (h.dead, h.saturated)]
    return (
        str(h.stage), h.layer, f"{h.mean_delta:.3g}", f"{h.norm_delta:.3g}", _cell(h.ratio, ".2g"), *shares,
        _cell(h.update_ratio, ".1e"), h.verdict,
    )  # fmt: skip


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _rows(n: int) -> str:
    return f"{n:,} row{'s' * (n != 1)}"


def _said(h: LayerHealth) -> str:
    return f"{h.verdict}; {h.reason}" + (f". {h.remedy[0].upper()}{h.remedy[1:]}" if h.remedy else "")


def _lines(findings: Sequence[LayerHealth]) -> Iterator[str]:
    """What is to be said, once for all layers that need the same; with the numbers of the first."""
    for need in dict.fromkeys((h.verdict, h.remedy) for h in findings):
        same = [h for h in findings if (h.verdict, h.remedy) == need]
        yield f"{_stages(same)}: {_said(same[0])}"


def _stages(found: Sequence[LayerHealth]) -> str:
    """Layer 3; layers 1–3, 5."""
    parts = list[list[int]]()
    for k in (h.stage for h in found):
        if parts and k == parts[-1][-1] + 1:
            parts[-1].append(k)
        else:
            parts.append([k])
    stretches = ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]}–{p[-1]}" for p in parts)
    return f"layer{'s' * (len(found) > 1)} {stretches}"
