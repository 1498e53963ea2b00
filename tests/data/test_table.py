import numpy as np
import pandas as pd
import pytest

from deltarule.data import Table
from deltarule.errors import DataError


def test_cells_are_words_and_lose_nothing():
    table = Table.of({"x": [0.1, np.float32(0.5), 3, None, float("nan"), True, " a "]})
    assert table.columns["x"].tolist() == ["0.1", "0.5", "3", "", "", "True", "a"]


def test_a_dataframe_is_a_table():
    frame = pd.DataFrame({"n": [1.5, None], "i": pd.array([1, None], dtype="Int64"), "w": ["a", None], 3: [1, 2]})
    table = Table.of(frame)
    assert {name: cells.tolist() for name, cells in table.columns.items()} == {
        "n": ["1.5", ""],
        "i": ["1", ""],
        "w": ["a", ""],
        "3": ["1", "2"],
    }
    assert Table.of(pd.DataFrame({"c": pd.Categorical(["u", "v"])})).columns["c"].tolist() == ["u", "v"]


def test_a_selection_remembers_where_its_rows_came_from():
    table = Table.of({"x": [10, 20, 30, 40]})
    assert table[1:3].place(1) == "row 2 (counted from 0)"
    assert table[np.array([3, 0])].columns["x"].tolist() == ["40", "10"]
    assert table[np.array([False, True, False, True])].place(1) == "row 3 (counted from 0)"
    assert table[2].columns["x"].tolist() == ["30"]
    assert len(table[[]]) == 0


def test_scalars_are_one_row_and_tables_stay():
    table = Table.of({"age": 3, "town": "Graz"})
    assert len(table) == 1
    assert Table.of(table) is table
    assert table.without("age").names == ("town",)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1, 2], "b": [1]}, "'a' has 2 rows, 'b' has 1"),
        ({}, "is empty"),
        ({"a": []}, "is empty"),
        ({"a": [[1, 2], [3, 4]]}, "a column is"),
        ({"a": [1j]}, "column 'a', row 0 .* holds a complex"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are named 'a'"),
    ],
)
def test_what_is_no_table(columns, message):
    with pytest.raises(DataError, match=message):
        Table.of(columns)
