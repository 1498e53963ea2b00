import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.data import Table, read
from deltarule.errors import DataError


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_a_table_and_its_target(tmp_path):
    text = 'age,town,class\n31,"Graz, Styria",yes\n4.5, Linz ,no\n'
    data = read(write(tmp_path / "people.csv", text), target="class")
    assert data.name == "people"
    assert isinstance(data.X, Table)
    assert data.feature_names == data.X.names == ("age", "town")
    assert data.X.columns["town"].tolist() == ["Graz, Styria", "Linz"]
    assert data.t.tolist() == ["yes", "no"]
    assert data.source == {"kind": "csv", "path": str(tmp_path / "people.csv"), "target": "class"}


@pytest.mark.parametrize(("cells", "dtype"), [("1 2 -3", "i8"), ("1 2.5 1e3", "f8"), ("1 2 x", "U1")])
def test_targets_are_whole_numbers_floats_or_words(tmp_path, cells, dtype):
    lines = "".join(f"{k},{cell}\n" for k, cell in enumerate(cells.split()))
    t = read(write(tmp_path / "d.csv", "x,t\n" + lines), target="t").t
    assert t.dtype == np.dtype(dtype)


@pytest.mark.parametrize(("target", "name"), [("0", "a"), ("-1", "c"), ("2", "c"), ("b", "b")])
def test_the_target_by_name_or_number(tmp_path, target, name):
    data = read(write(tmp_path / "d.csv", "a,b,c\n1,2,3\n4,5,6\n"), target=target)
    assert set(data.X.names) == {"a", "b", "c"} - {name}


def test_dialects(tmp_path):
    rows = {"d.csv": "a,b\n1,x\n", "e.csv": "a;b\n1;x\n", "f.tsv": "a\tb\n1\tx\n", "g.csv": "a,b\r\n1,x\r\n\r\n"}
    rows["h.csv"] = "\ufeffa,b\n1,x"
    rows["i.csv"] = '"a", "b"\n1, "x"\n'
    for name, text in rows.items():
        table = read(write(tmp_path / name, text), with_targets=False).X
        assert {k: v.tolist() for k, v in table.columns.items()} == {"a": ["1"], "b": ["x"]}


def test_a_file_without_header(tmp_path):
    path = write(tmp_path / "d.csv", "1,2,7\n3,4,8\n")
    data = read(path, target="-1")
    assert data.X.names == ("column 0", "column 1")
    assert data.t.tolist() == [7, 8]
    assert len(read(path, with_targets=False).X) == 2
    with pytest.raises(DataError, match="has no header, so the target 'x'"):
        read(path, target="x")


def test_rows_to_predict_may_still_hold_the_target(tmp_path):
    path = write(tmp_path / "d.csv", "a,b,t\n1,2,3\n")
    assert read(path, with_targets=False, target="t").X.names == ("a", "b")
    assert read(path, with_targets=False, target="absent").X.names == ("a", "b", "t")
    assert read(path, with_targets=False).X.names == ("a", "b", "t")


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("", "t", "is empty"),
        ("\n\n", "t", "is empty"),
        ("a,t\n", "t", "has a header and no rows"),
        ("a,t\n1,2\n1,2,3\n", "t", "line 3: has 3 cells, the header has 2 columns"),
        ("a,t\n1,2\n1\n", "t", "line 3: has 1 cells, the header has 2 columns"),
        ('a,t\n"1\n2",2\n1\n', "t", "line 4: has 1 cells"),
        ("a,t\n1,2\n\n3,4\n", "t", "line 3: is blank between rows"),
        ("a,t\n1,2\n", "b", r"there is no column 'b' for the target.*columns: a, t"),
        ("height,t\n1,2\n", "hieght", "did you mean 'height'"),
        ("a,t\n1,2\n", "7", "there is no column 7; the 2 columns are 0 … 1"),
        ("a,t\n1,2\n", None, r"which column is the target\? .* the columns are a, t"),
        ("a,a,t\n1,2,3\n", "t", "line 1: two columns are named 'a'"),
        (",a,t\n0,1,2\n", "t", r"line 1: column 0 .* has no name"),
        ("5.1,setosa\n4.9,setosa\n", "1", r"line 1: mixes words and numbers \('5.1'\)"),
        ("t\n1\n", "t", "has no column beside the target"),
        ("a,t\n1,2\n3,?\n", "t", "line 3: the target 't' is missing"),
        ("a,t\n1,2.5\n3,inf\n", "t", "line 3: the target 't' is inf"),
        ('a,t\n1,2\n"3,4\n', "t", "line 3: is not CSV"),
        ('a,t\n1,2\n"3"x,4\n', "t", "line 3: is not CSV"),
        ("a,t\n1,2\n\0,4\n", "t", "line 3: holds a zero byte"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, target, message):
    path = write(tmp_path / "d.csv", text)
    with pytest.raises(DataError, match=message) as caught:
        read(path, target=target)
    assert str(path) in str(caught.value)


def test_not_text(tmp_path):
    with pytest.raises(DataError, match="byte 4 is not UTF-8"):
        read(write(tmp_path / "d.csv", "a,t\nä,1\n", "latin-1"), target="t")
    with pytest.raises(DataError, match=r"line 2: is not CSV \(field larger"):
        read(write(tmp_path / "d.csv", "a,t\n" + "x" * 200_000 + ",1\n"), target="t")


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(
    st.lists(st.tuples(cells, cells, st.sampled_from("uv")), min_size=1, max_size=6),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_any_cells_survive_quoting(tmp_path_factory, rows, quoting, ending):
    if any("\r" in cell for row in rows for cell in row):
        quoting = csv.QUOTE_ALL  # Python's writer leaves a lone \r unquoted otherwise
    stream = io.StringIO()
    csv.writer(stream, quoting=quoting, lineterminator=ending).writerows([("first", "second", "t"), *rows])
    path = tmp_path_factory.getbasetemp() / "quoted.csv"
    data = read(write(path, stream.getvalue()), target="t")
    assert data.X.columns["first"].tolist() == [row[0].strip() for row in rows]
    assert data.X.columns["second"].tolist() == [row[1].strip() for row in rows]
    assert data.t.tolist() == [row[2] for row in rows]


@given(st.binary(max_size=80))
def test_no_bytes_give_anything_but_data_or_our_error(tmp_path_factory, noise):
    path = tmp_path_factory.getbasetemp() / "noise.csv"
    path.write_bytes(b"a,t\n1,2\n" + noise)
    try:
        data = read(path, target="t")
    except DataError:
        return
    assert len(data.X) == len(data.t)


def test_the_twenty_points(real_data):
    data = read(str(real_data / "lawrence_giles" / "train.csv"), target="Y")
    assert len(data) == 20
    assert data.t.dtype == np.float64
