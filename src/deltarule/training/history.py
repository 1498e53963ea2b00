"""What a training recorded: one column a quantity, one entry an epoch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import FileFormatError, MissingExtraError
from deltarule.files import write_bytes

__all__ = ["History"]


class History:
    """Columns by name, such as `history.cost`, `history.learning_rate`, `history.validation_accuracy`.

    Attributes:
        columns: name → one number an epoch: epoch (from 1), cost (the weighted mean over the epoch's samples, each
            before the update of its mini-batch, decay included), learning_rate (η of the last update), seconds (wall
            time since the start), and validation_… scores where validation data were given.
        step_cost: the cost of every mini-batch before its update, if `record_steps` asked for it.
        best_epoch, best_theta: where the watched cost (validation, else training) was lowest, and θ there.
        stopped: why training ended, in words.
        seed: the seed that was used, drawn or given.

    >>> history = History()
    >>> history.append(epoch=1, cost=0.5)
    >>> history.cost
    [0.5]
    """

    def __init__(self) -> None:
        self.columns: dict[str, list[float]] = {}
        self.step_cost: list[float] = []
        self.best_epoch = 0
        self.best_theta: NDArray[Any] | None = None
        self.stopped = ""
        self.seed = 0
        self._steps_until: list[int] = []  # how many step costs were there after each epoch

    def append(self, **values: float) -> None:
        """One more epoch; every epoch has the same columns."""
        for name, value in values.items():
            self.columns.setdefault(name, []).append(value)
        self._steps_until.append(len(self.step_cost))

    def __getattr__(self, name: str) -> list[float]:
        columns = self.__dict__.get("columns", {})
        if name in columns:
            found: list[float] = columns[name]
            return found
        raise AttributeError(f"the history has no column '{name}' (columns: {', '.join(columns) or 'none yet'})")

    def __len__(self) -> int:
        return len(self._steps_until)

    def __repr__(self) -> str:
        if not len(self):
            return "History(no epoch yet)"
        last = ", ".join(f"{name}={column[-1]:.6g}" for name, column in self.columns.items())
        return f"History({last})"

    def records(self) -> Iterator[dict[str, Any]]:
        """One mapping an epoch; with its step costs where they were recorded."""
        for k, until in enumerate(self._steps_until):
            row: dict[str, Any] = {name: column[k] for name, column in self.columns.items()}
            if self.step_cost:
                row["step_cost"] = self.step_cost[self._steps_until[k - 1] if k else 0 : until]
            yield row

    def arrays(self, epochs: int, steps: int) -> dict[str, NDArray[np.float64]]:
        """The first epochs and step costs as arrays, for a checkpoint."""
        columns = {f"column.{name}": np.array(column[:epochs]) for name, column in self.columns.items()}
        until = np.array(self._steps_until[:epochs])
        found = {**columns, "step_cost": np.array(self.step_cost[:steps]), "steps_until": until}
        return {name: a.astype(np.float64) for name, a in found.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], columns: list[str], epochs: int) -> History:
        """The inverse of `arrays`, with the columns in their order; a ValueError says what does not fit."""
        history = cls()
        wanted = {"step_cost", "steps_until", *(f"column.{name}" for name in columns)}
        if wanted != set(arrays) or (epochs and not {"epoch", "cost", "learning_rate", "seconds"} <= set(columns)):
            raise ValueError(f"the history has {', '.join(arrays):.200}")
        for name, a in arrays.items():
            if a.dtype != np.float64 or a.ndim != 1 or (name != "step_cost" and len(a) != epochs):
                raise ValueError(f"the history's '{name}' is not one number an epoch")
        history.step_cost = arrays["step_cost"].tolist()
        history._steps_until = [int(n) for n in arrays["steps_until"].tolist()]
        for name in columns:
            values = arrays[f"column.{name}"].tolist()
            history.columns[name] = [int(x) for x in values] if name in ("epoch", "restored") else values
        return history

    def to_dataframe(self) -> Any:
        """The columns as a pandas DataFrame, one row an epoch."""
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError("a DataFrame needs pandas: pip install 'deltarule[dataframe]'") from None
        return pd.DataFrame(self.columns)

    def to_jsonl(self, path: str | Path) -> None:
        """One JSON object a line, one line an epoch."""
        write_bytes(path, "".join(json_line(row) for row in self.records()).encode())

    @classmethod
    def from_jsonl(cls, path: str | Path) -> History:
        """The history in a file that `to_jsonl` or a run wrote."""
        history = cls()
        for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
            try:
                row = dict(json.loads(line))
                history.step_cost += map(float, row.pop("step_cost", []))
                values = {k: math.nan if v is None else int(v) if k == "epoch" else float(v) for k, v in row.items()}
                if len(history) and set(values) != set(history.columns):
                    raise ValueError("every epoch has the same columns")
                history.append(**values)
            except (ValueError, TypeError, OverflowError, RecursionError):
                raise FileFormatError(f"{path}, line {number}: not a record of a training") from None
        return history


def json_line(row: dict[str, Any]) -> str:
    """A record as one line of JSON; numbers that are not finite become null."""
    plain = {k: v if not isinstance(v, float | np.floating) or math.isfinite(v) else None for k, v in row.items()}
    return json.dumps(plain, allow_nan=False) + "\n"
