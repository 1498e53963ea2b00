import numpy as np
import pytest

from deltarule.data import Column, Table, read
from deltarule.data.columns import encode, fit_columns
from deltarule.errors import DataError

ROWS = {"age": ["20", "40", "60"], "town": ["Linz", "Graz", "Linz"]}


def fit(columns, *, impute=False):
    return fit_columns(Table.of(columns), impute=impute)


def test_numbers_stay_and_words_become_one_hot():
    columns = fit(ROWS)
    assert columns == (Column("age"), Column("town", ("Graz", "Linz")))
    assert encode(columns, Table.of(ROWS)).tolist() == [[20, 0, 1], [40, 1, 0], [60, 0, 1]]


@pytest.mark.parametrize("cell", ["", "NA", "NaN", "nan", "null", "?", "None", " ", "-nan", "N/A"])
def test_missing_cells_are_refused_by_name_or_filled(cell):
    holes = {"age": ["20", cell, "40", "90", cell], "town": ["b", "a", cell or "", "a", "b"], "x": [1, 2, 3, 4, 5]}
    if cell == "-nan":
        holes["town"] = ["b", "a", "nan", "a", "b"]  # not a number, so a word among words
    with pytest.raises(
        DataError, match=r"'age' has 2 missing cells \(first in row 1 .*'town' has 1 missing .*--impute"
    ):
        fit(holes)
    columns = fit(holes, impute=True)
    assert [c.fill for c in columns] == [40.0, "a", 3.0]  # the median; the most frequent, of equals the first
    encoded = encode(columns, Table.of(holes))
    assert encoded[:, 0].tolist() == [20, 40, 40, 90, 40]
    assert encoded[2, 1:3].tolist() == [1, 0]


def test_the_most_frequent_word_fills():
    assert fit({"w": ["a", "b", "b", ""]}, impute=True)[0].fill == "b"


def test_places_are_the_files_lines_even_after_a_split(tmp_path):
    (tmp_path / "d.csv").write_text('age,t\n1,0\n2,1\n"3\n",0\n?,1\n')
    table = read(tmp_path / "d.csv", target="t").X
    with pytest.raises(DataError, match=r"d\.csv: column 'age' has 1 missing cell \(first in line 6\)"):
        fit_columns(table[[3, 0]], impute=False)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": ["1", "inf", "3"]}, r"row 1 .*column 'a': 'inf' is infinite"),
        ({"a": ["1", "1e999", "3"]}, "'1e999' is infinite"),
        ({"a": ["1", "2O", "3"]}, r"row 1 .*column 'a': '2O' is not a number, while 2 of 3 cells are"),
        ({"a": ["1", "x" * 99, "3"]}, "'x{39}…' is not a number"),
        ({"a": [f"name {i}" for i in range(21)]}, "column 'a' has 21 different words in 21 rows"),
        ({"a": [f"name {i // 2}" for i in range(2004)]}, "column 'a' has 1002 different words"),
    ],
)
def test_columns_that_cannot_be_used(columns, message):
    with pytest.raises(DataError, match=message):
        fit(columns)


def test_a_column_without_any_value_cannot_be_imputed():
    with pytest.raises(DataError, match="column 'a' has no value at all"):
        fit({"a": [None, None], "b": [1, 2]}, impute=True)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            {"age": [30], "town": ["Wien"]},
            r"row 0 .*column 'town': 'Wien' was not there at training .*known: Graz, Linz",
        ),
        ({"age": [30], "town": ["Gratz"]}, "did you mean 'Graz'"),
        ({"age": ["old"], "town": ["Graz"]}, "column 'age': 'old' is not a number"),
        ({"age": [np.inf], "town": ["Graz"]}, "is infinite"),
        ({"age": [None], "town": ["Graz"]}, "column 'age' has 1 missing cell"),
        ({"age": [30], "town": [""]}, "column 'town' has 1 missing cell"),
        ({"age": [30]}, "lacks 'town'; the model was trained on 2 columns: 'age', 'town'"),
        ({"age": [30], "city": ["Graz"]}, "lacks 'town' and has 'city', which the model does not know"),
        ({"age": [30], "town": ["Graz"], "id": [7]}, "the table: has 'id', which"),
    ],
)
def test_rows_that_do_not_fit_the_training(rows, message):
    with pytest.raises(DataError, match=message):
        encode(fit(ROWS), Table.of(rows))


def test_columns_go_by_name_and_by_position_only_without_a_header(tmp_path):
    columns = fit({"a": [1, 2], "b": [3, 4]})
    assert encode(columns, Table.of({"b": [30], "a": [10]})).tolist() == [[10, 30]]
    (tmp_path / "d.csv").write_text("10,30\n")
    assert encode(columns, read(tmp_path / "d.csv", with_targets=False).X).tolist() == [[10, 30]]


def test_words_like_numbers_with_underscores_stay_words():
    assert fit({"a": ["1_0", "2_0", "1_0"]})[0].levels == ("1_0", "2_0")
