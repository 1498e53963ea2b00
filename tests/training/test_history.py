"""The history: columns, records, a DataFrame, JSON Lines there and back, and files that are none."""

from __future__ import annotations

import copy
import json
import math
import pickle
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.errors import FileFormatError, MissingExtraError
from deltarule.training import History
from deltarule.training.history import json_line


def example(steps: bool = False) -> History:
    history = History()
    for epoch, cost in enumerate([0.5, 0.1 + 0.2, 1e-300], 1):
        if steps:
            history.step_cost += [cost] * epoch
        history.append(epoch=epoch, cost=cost, validation_cost=math.nan if epoch == 2 else cost)
    return history


def test_columns() -> None:
    history = example()
    assert len(history) == 3
    assert history.cost == history.columns["cost"] == [0.5, 0.30000000000000004, 1e-300]
    assert history.epoch == [1, 2, 3]
    with pytest.raises(AttributeError, match=r"no column 'accuracy' \(columns: epoch, cost, validation_cost\)"):
        history.accuracy  # noqa: B018
    with pytest.raises(AttributeError, match="none yet"):
        History().cost  # noqa: B018
    assert repr(history).startswith("History(epoch=3, cost=1e-300")
    assert repr(History()) == "History(no epoch yet)"
    for again in (copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        assert again.cost == history.cost


def test_to_dataframe() -> None:
    frame = example().to_dataframe()
    assert list(frame.columns) == ["epoch", "cost", "validation_cost"]
    pd.testing.assert_frame_equal(frame, pd.DataFrame(example().columns))
    assert len(History().to_dataframe()) == 0


def test_pandas_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'deltarule\[dataframe\]'"):
        example().to_dataframe()


@pytest.mark.parametrize("steps", [False, True])
def test_json_lines_there_and_back(tmp_path: Path, steps: bool) -> None:
    history, path = example(steps), tmp_path / "history.jsonl"
    history.to_jsonl(path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[1]["validation_cost"] is None
    if steps:
        assert [len(row["step_cost"]) for row in rows] == [1, 2, 3]
    again = History.from_jsonl(path)
    assert again.step_cost == history.step_cost
    assert list(map(str, again.records())) == list(map(str, history.records()))  # as text, NaN equals NaN
    assert str(again.columns) == str(history.columns)
    assert all(isinstance(epoch, int) for epoch in again.epoch)


@given(st.lists(st.tuples(st.floats(), st.floats(allow_nan=False, allow_infinity=False)), max_size=5))
def test_any_numbers_go_there_and_back(rows: list[tuple[float, float]]) -> None:
    text = "".join(json_line({"epoch": k, "cost": a, "seconds": b}) for k, (a, b) in enumerate(rows, 1))
    for line, (a, b) in zip(text.splitlines(), rows, strict=True):
        found = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert found["cost"] == (a if math.isfinite(a) else None)
        assert found["seconds"] == b


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('{"epoch": 1, "cost": 1}\n{"epoch": 2, "co', 2),
        ('{"epoch": 1, "cost": 1}\n{"epoch": 2}', 2),
        ('{"epoch": 1}\n{"epoch": 2, "cost": 1}', 2),
        ('{"epoch": "one"}', 1),
        ('{"epoch": null, "cost": "low"}', 1),
        ('{"epoch": 1, "cost": [1]}', 1),
        ('{"epoch": 1, "cost": 1' + "0" * 400 + "}", 1),
        ('{"epoch": 1, "step_cost": 3}', 1),
        ('{"epoch": 1, "step_cost": ["a"]}', 1),
        ("[1, 2]", 1),
        ("5", 1),
        ("\n", 1),
        ("[" * 100_000, 1),
        (b"\xff\xfe\x00", 1),
        (b"PK\x03\x04", 1),
    ],
)
def test_files_that_are_no_history(tmp_path: Path, content: str | bytes, line: int) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FileFormatError, match=rf"history\.jsonl, line {line}: not a record of a training"):
        History.from_jsonl(path)
