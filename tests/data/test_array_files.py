import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.data import array_files, read
from deltarule.errors import DataError

X = np.arange(12.0).reshape(4, 3)
T = np.array([0, 1, 0, 1])


def savez(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("x", ["X", "x", "data", "x_train"])
@pytest.mark.parametrize("t", ["t", "y", "labels", "target", "y_train"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_under_the_usual_names(tmp_path, x, t, save):
    save(tmp_path / "d.npz", **{x: X, t: T, "notes": np.array(["hello"])})
    data = read(tmp_path / "d.npz")
    assert data.name == "d"
    np.testing.assert_array_equal(data.X, X)
    np.testing.assert_array_equal(data.t, T)
    assert data.test is None
    assert read(tmp_path / "d.npz", with_targets=False).t is None


def test_npz_test_split_and_named_target(tmp_path):
    path = savez(tmp_path / "d.npz", x_train=X, y_train=T, x_test=X[:2], y_test=T[:2], quality=T * 2.5)
    data = read(path)
    np.testing.assert_array_equal(data.test[0], X[:2])
    np.testing.assert_array_equal(data.test[1], T[:2])
    assert read(path, with_targets=False).test[1] is None
    data = read(path, target="quality")
    np.testing.assert_array_equal(data.t, T * 2.5)
    assert data.source == {"kind": "npz", "path": str(path), "target": "quality"}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"features": X, "t": T}, "has no array X or x or data .* it holds features, t"),
        ({"X": X, "truth": T}, "has no array t or y .* it holds X, truth"),
        ({"X": X, "data": X, "t": T}, "X and data could both be the rows"),
        ({"X": X, "t": T, "y": T}, "t and y could both be the targets"),
        ({"X": X, "t": T[:3]}, "has 4 rows and 3 targets"),
        ({"X": X, "t": T, "X_test": X}, "targets of the test split"),
        ({"X": X, "t": T, "X_test": X[:, :2], "t_test": T}, r"rows of training are \(3,\), of the test split \(2,\)"),
        ({"X": X[:, 0], "t": T}, r"X: has shape \(4,\), but rows \(m, n\) are expected"),
        ({"X": X[:0], "t": T[:0]}, r"X: is empty, shape \(0, 3\)"),
        ({"X": X * 1j, "t": T}, "X: holds complex numbers"),
        ({"X": X > 3, "t": T}, r"X: holds truth values \(bool\)"),
        ({"X": X.astype(str), "t": T}, "X: holds words, not numbers"),
        ({"X": X.astype("M8[s]"), "t": T}, "X: holds dates"),
        ({"X": np.zeros(4, [("a", "f8")]), "t": T}, "X: holds records"),
        ({"X": X, "t": T * 1j}, "t: holds complex numbers"),
        ({"X": X, "t": np.zeros((4, 1, 1))}, r"t: has shape \(4, 1, 1\)"),
        ({"X": X, "t": np.array([0.5, np.inf, 1, 2])}, "t: row 1 is inf"),
        ({"X": X, "t": np.array(["a", "", "b", "a"])}, "the target of row 1 .* is missing"),
        ({"X": np.where(X == 7, np.nan, X), "t": T}, "X: row 2, column 1 is nan"),
        ({"X": np.where(X == 7, -np.inf, X).reshape(4, 3, 1), "t": T}, r"X: row 2, position \(1, 0\) is -inf"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, arrays, message):
    path = savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert "d" in str(caught.value)


def test_types_become_the_three_that_networks_take(tmp_path):
    kinds = {"<f4": "f4", ">f8": "f8", "f2": "f4", "i8": "f8", "u2": "f4", "i1": "f4", "u1": "u1", "g": "f8"}
    for given_type, expected in kinds.items():
        data = read(savez(tmp_path / "d.npz", X=X.astype(given_type), t=T[:, None]))
        assert data.X.dtype == np.dtype(expected)
        assert data.t.shape == (4,)
        np.testing.assert_array_equal(data.X, X)
    data = read(savez(tmp_path / "d.npz", X=np.asfortranarray(X), t=np.array([b"a", b"b", b"a", b"b"])))
    np.testing.assert_array_equal(data.X, X)
    assert data.t.tolist() == ["a", "b", "a", "b"]


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_nothing_is_unpickled(tmp_path):
    bomb = np.array([Bomb()] * 4, dtype=object)
    path = savez(tmp_path / "d.npz", X=X, t=bomb)
    with pytest.raises(DataError, match="t: holds Python objects, which only pickle reads"):
        read(path)
    np.save(tmp_path / "d.npy", bomb)
    with pytest.raises(DataError, match="no pickle is opened"):
        read(tmp_path / "d.npy", with_targets=False)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_npy_rows_are_mapped_read_only(tmp_path):
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "t.npy", T)
    rows = read(tmp_path / "X.npy", with_targets=False)
    assert isinstance(rows.X, np.memmap)
    assert not rows.X.flags.writeable
    np.testing.assert_array_equal(rows.X, X)
    both = read(tmp_path / "X.npy", target=str(tmp_path / "t.npy"))
    assert isinstance(both.X, np.memmap)
    np.testing.assert_array_equal(both.t, T)
    np.save(tmp_path / "F.npy", np.asfortranarray(X))
    np.testing.assert_array_equal(read(tmp_path / "F.npy", with_targets=False).X, X)


@pytest.mark.parametrize("column", [0, 1, 2, -1, -3])
def test_npy_with_a_column_as_target(tmp_path, column):
    np.save(tmp_path / "X.npy", X)
    data = read(tmp_path / "X.npy", target=str(column))
    np.testing.assert_array_equal(data.t, X[:, column])
    np.testing.assert_array_equal(data.X, np.delete(X, column, axis=1))
    assert isinstance(data.X, np.memmap) == (column != 1)  # without a first or last column the rest stays mapped


@pytest.mark.parametrize(
    ("array", "target", "message"),
    [
        (X, None, "holds rows and no targets"),
        (X, "3", r"there is no column 3; the 3 columns are 0 … 2"),
        (X, "-4", "there is no column -4"),
        (X[:, :1], "0", "a column can be the target where there are two or more"),
        (X, "absent.npy", r"absent\.npy: there is no such file"),
        (np.array(3.0), None, "holds rows and no targets"),
    ],
)
def test_npy_with_a_wrong_target(tmp_path, array, target, message):
    np.save(tmp_path / "X.npy", array)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "X.npy", target=target)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"no array at all", "has no header of a NumPy array"),
        (npy(X)[:-1], r"is truncated: the header says shape \(4, 3\), 96 bytes, and 95 follow"),
        (npy(X)[:40], "has no header of a NumPy array"),
        (npy(X).replace(b"(4, 3)", b"(4,-3)"), r"the header says shape \(4, -3\)"),
        (npy(X).replace(b"(4, 3)", b"(4, 0)"), "is empty"),
        (npy(X).replace(b"'<f8'", b"'<q8'"), "has no header"),
        (npy(X).replace(b"NUMPY\x01", b"NUMPY\x09"), "has no header"),
        (npy(np.array(3.0)), r"has shape \(\), but rows"),
        (npy(np.where(X == 7, np.nan, X)), "row 2, column 1 is nan"),
    ],
)
def test_broken_npy(tmp_path, content, message):
    (tmp_path / "X.npy").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "X.npy", with_targets=False)


def test_nan_is_found_beyond_the_first_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr("deltarule.data.checks.CHUNK", 6)
    np.save(tmp_path / "X.npy", np.where(X == 10, np.nan, X))
    with pytest.raises(DataError, match="row 3, column 1 is nan"):
        read(tmp_path / "X.npy", with_targets=False)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_broken_npz(tmp_path, save):
    path = tmp_path / "d.npz"
    save(path, X=X, t=T)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"d\.npz"):
            read(path)


@given(st.integers(0, 599), st.binary(min_size=1, max_size=8))
def test_no_damage_gives_anything_but_data_or_our_error(tmp_path_factory, place, noise):
    path = tmp_path_factory.getbasetemp() / "noise.npz"
    np.savez_compressed(path, X=X, t=T)
    whole = path.read_bytes()
    path.write_bytes(whole[:place] + noise + whole[place + len(noise) :])
    try:
        data = read(path)
    except DataError:
        return
    assert len(data.X) == len(data.t)


def test_a_false_header_in_a_zip_asks_for_no_memory(tmp_path, monkeypatch):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**6)})
    with zipfile.ZipFile(tmp_path / "d.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", stream.getvalue() + bytes(100))
    asked = []
    real = array_files.exactly
    monkeypatch.setattr(array_files, "exactly", lambda stream, need: asked.append(need) or real(stream, need))
    with pytest.raises(DataError, match="is truncated"):
        read(tmp_path / "d.npz", with_targets=False)
    assert asked == []


def test_the_course_data(real_data):
    data = read(str(real_data / "ng_ex4" / "ex4data1.npz"))
    assert data.X.shape == (5000, 400)
    assert sorted(set(data.t.tolist())) == list(range(1, 11))
