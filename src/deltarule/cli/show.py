"""What commands print: scores as a small table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["print_scores"]


def print_scores(parts: Mapping[str, tuple[int, Mapping[str, Any]]], unit: str = "rows", console: Any = None) -> None:
    """One line a part of the data: its name, how many rows or other units, and scores, accuracy before cost."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    names = sorted({name for _, scores in parts.values() for name in scores}, key=lambda name: (name == "cost", name))
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    for title in (unit, *names):
        table.add_column(title, justify="right")
    for part, (rows, scores) in parts.items():
        table.add_row(part, f"{rows:,}", *(f"{scores[name]:.4f}" if name in scores else "" for name in names))
    (console or Console()).print(table)
