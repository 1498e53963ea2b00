import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.data import idx as module
from deltarule.data import read
from deltarule.data.idx import read_idx
from deltarule.errors import DataError

CODES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def idx(array, code=0x08, shape=None):
    shape = array.shape if shape is None else shape
    return (
        bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + array.astype(CODES[code]).tobytes()
    )


IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
LABELS = np.array([2, 0, 1], dtype=np.uint8)


def folder(path, *, dots=False, packed=False, leave_out=(), labels=LABELS):
    path.mkdir(exist_ok=True)
    contents = {
        "train-images-idx3-ubyte": idx(IMAGES),
        "train-labels-idx1-ubyte": idx(labels),
        "t10k-images-idx3-ubyte": idx(IMAGES[:2]),
        "t10k-labels-idx1-ubyte": idx(LABELS[:2]),
    }
    for name, content in contents.items():
        if name in leave_out:
            continue
        name = name.replace("-idx", ".idx") if dots else name
        (path / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return path


@pytest.mark.parametrize("dots", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_under_mnist_names(tmp_path, dots, packed):
    data = read(str(folder(tmp_path / "shapes", dots=dots, packed=packed)))
    assert data.name == "shapes"
    assert data.X.dtype == np.uint8
    np.testing.assert_array_equal(data.X, IMAGES)
    np.testing.assert_array_equal(data.t, LABELS)
    np.testing.assert_array_equal(data.test[0], IMAGES[:2])
    np.testing.assert_array_equal(data.test[1], LABELS[:2])
    assert data.source == {"kind": "idx-folder", "path": str(tmp_path / "shapes")}


def test_a_folder_without_test_split_and_without_labels(tmp_path):
    gone = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    assert read(folder(tmp_path / "a", leave_out=gone)).test is None
    gone = ("t10k-labels-idx1-ubyte", "train-labels-idx1-ubyte")
    rows = read(folder(tmp_path / "b", leave_out=gone), with_targets=False)
    assert rows.t is None
    assert rows.test[1] is None


@pytest.mark.parametrize(
    "name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
)
def test_the_missing_file_is_named(tmp_path, name):
    with pytest.raises(DataError, match=f"{name} \\(or .gz\\) is missing"):
        read(folder(tmp_path / "a", leave_out=(name,)))


def test_other_wrong_folders(tmp_path):
    with pytest.raises(DataError, match=r"3 images, .* 2 labels"):
        read(folder(tmp_path / "a", labels=LABELS[:2]))
    with pytest.raises(DataError, match="leave out the target"):
        read(folder(tmp_path / "b"), target="x")
    with pytest.raises(DataError, match="labels are one number a row"):
        read(folder(tmp_path / "c", labels=np.zeros((3, 2))))
    (tmp_path / "d").mkdir()
    with pytest.raises(DataError, match=r"has no IDX files .* it holds nothing"):
        read(tmp_path / "d")
    (tmp_path / "d" / "a.csv").write_text("x\n1\n")
    with pytest.raises(DataError, match=r"it holds a\.csv"):
        read(tmp_path / "d")
    (folder(tmp_path / "e") / "t10k-images-idx3-ubyte").write_bytes(idx(IMAGES[:2, :3]))
    with pytest.raises(DataError, match=r"training images are \(4, 5\), test images \(3, 5\)"):
        read(tmp_path / "e")


def test_one_file_is_rows_to_predict(tmp_path):
    (tmp_path / "rows.idx").write_bytes(idx(IMAGES))
    (tmp_path / "labels.idx").write_bytes(idx(LABELS))
    (tmp_path / "unnamed").write_bytes(idx(IMAGES))  # recognised by its first bytes
    assert read(tmp_path / "rows.idx", with_targets=False).X.shape == (3, 4, 5)
    assert read(tmp_path / "unnamed", with_targets=False).X.shape == (3, 4, 5)
    np.testing.assert_array_equal(read(tmp_path / "rows.idx", target=str(tmp_path / "labels.idx")).t, LABELS)
    with pytest.raises(DataError, match="holds no targets"):
        read(tmp_path / "rows.idx")


@pytest.mark.parametrize("code", CODES)
def test_every_type_comes_back_in_native_order(tmp_path, code):
    array = np.array([[1, 2], [3, 100]]).astype(CODES[code])
    (tmp_path / "a.idx").write_bytes(idx(array, code))
    found = read_idx(tmp_path / "a.idx")
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("packed", [False, True])
def test_every_truncation_is_refused(tmp_path, packed):
    whole = gzip.compress(idx(IMAGES), mtime=0) if packed else idx(IMAGES)
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(whole)
    assert read(path, with_targets=False).X.shape == (3, 4, 5)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="images-idx3-ubyte"):
            read(path, with_targets=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 and more", "begins with 50 4b 03 04, an IDX file with 00 00"),
        (b"\0\0\x0a\x01" + b"\0\0\0\1\0", "begins with 00 00 0a 01"),  # no such type
        (b"\0\0\x08\0", "says 0 dimensions"),
        (b"\0\0\x08\xff" + bytes(2000), "says 255 dimensions"),
        (idx(IMAGES) + b"!", "and more follow"),
        (idx(IMAGES, shape=(3, 4, 6)), r"is truncated: the header says 3 x 4 x 6 numbers, 72 bytes"),
        (idx(IMAGES, shape=(0, 4, 5)), r"is an empty set, shape \(0, 4, 5\)"),
        (idx(np.array([[1.0, np.nan]]), 0x0D), r"row 0, column 1 is nan"),
        (gzip.compress(idx(IMAGES))[:10] + b"\xff" * 40, "gzip stream is truncated or corrupt"),
        (gzip.compress(idx(IMAGES))[:-8] + bytes(8), "gzip stream is truncated or corrupt"),  # wrong check sum
    ],
)
def test_broken_files(tmp_path, content, message):
    path = tmp_path / "rows.idx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(path, with_targets=False)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_a_header_cannot_ask_for_memory(tmp_path, packed, monkeypatch):
    content = idx(IMAGES, shape=(2**32 - 1,) * 8)
    (tmp_path / "rows.idx").write_bytes(gzip.compress(content) if packed else content)
    asked = []
    real = module.exactly
    monkeypatch.setattr(module, "exactly", lambda stream, need: asked.append(need) or real(stream, need))
    with pytest.raises(DataError, match="is truncated"):
        read(tmp_path / "rows.idx", with_targets=False)
    assert max(asked) <= 32  # the header itself


@given(st.binary(max_size=60), st.integers(0, 70))
def test_no_bytes_give_anything_but_data_or_our_error(tmp_path_factory, noise, place):
    path = tmp_path_factory.getbasetemp() / "noise.idx"
    content = idx(IMAGES)
    path.write_bytes(content[:place] + noise + content[place + len(noise) :])
    try:
        data = read(path, with_targets=False)
    except DataError:
        return
    assert data.X.size > 0


def test_mnist_itself(real_data):
    data = read(str(real_data / "mnist"))
    assert data.name == "mnist"
    assert data.X.shape == (60000, 28, 28)
    assert data.test[0].shape == (10000, 28, 28)
    assert data.X.dtype == np.uint8
    assert data.t[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(data.test[1]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
