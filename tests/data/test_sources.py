import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deltarule.data import read
from deltarule.data.embedded import EMBEDDED
from deltarule.errors import DataError


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("digits", (1797, 64), 10),
        ("iris", (150, 4), 3),
        ("wine", (178, 13), 3),
        ("breast_cancer", (569, 30), 2),
        ("diabetes", (442, 10), None),
    ],
)
def test_embedded_sets(name, shape, classes):
    data = read(name)
    assert data.name == name
    assert data.X.shape == shape
    assert len(data.feature_names) == shape[1]
    assert classes is None or len(np.unique(data.t)) == classes
    assert read(name, with_targets=False).t is None


def test_embedded_names_are_canonical_and_take_no_target():
    assert read("Breast-Cancer").name == "breast_cancer"
    with pytest.raises(DataError, match="iris: has its own targets"):
        read("iris", target="species")


def test_an_embedded_name_wins_over_a_folder_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    with pytest.warns(UserWarning, match=r"write \./digits for what is in this folder"):
        assert read("digits").source["kind"] == "embedded"
    for source in ("./digits", Path("digits")):
        with pytest.raises(DataError, match="has no IDX files"):
            read(source)


@pytest.mark.parametrize(
    ("source", "near"), [("digit", "digits"), ("breastcancer", "breast_cancer"), ("wines", "wine")]
)
def test_an_unknown_name_suggests_the_nearest(source, near):
    with pytest.raises(DataError, match=f"data set '{source}'; did you mean '{near}'"):
        read(source)


@pytest.mark.parametrize("source", ["zzz", "no/such/file.csv", "", "a\0b", "x" * 5000])
def test_what_is_not_there(source):
    with pytest.raises(DataError):
        read(source)


def test_an_unknown_kind_and_a_special_file(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"notes\.txt: is of no kind that deltarule reads: \.csv"):
        read(tmp_path / "notes.txt")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="is neither a file nor a folder"):
        read(tmp_path / "pipe.csv")


@pytest.mark.parametrize("name", ["d.csv", "d.npy", "d.npz", "d.idx", "d"])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), "no permission"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_an_unreadable_file(tmp_path, monkeypatch, name, error, message):
    path = tmp_path / name
    path.write_text("a,t\n1,2\n")

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr("zipfile.io.open", refuse)
    with pytest.raises(DataError, match=message) as caught:
        read(path, target="t")
    assert str(path) in str(caught.value)


def test_the_name_of_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3] + [0, 0, 0, 1] * 3 + [7]))
    monkeypatch.chdir(tmp_path)
    assert read(".", with_targets=False).name == tmp_path.name


def test_importing_is_light():
    code = "import sys, deltarule.data; print(sorted({'sklearn', 'pandas', 'scipy', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "digits" in EMBEDDED
