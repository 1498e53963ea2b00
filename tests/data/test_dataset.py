import dataclasses
import json

import numpy as np
import pytest

from deltarule.data import Dataset, Table, read
from deltarule.errors import DataError


def test_rows_and_targets_must_agree():
    with pytest.raises(DataError, match=r"two: has 2 rows and 3 targets"):
        Dataset("two", np.eye(2), np.arange(3))
    with pytest.raises(DataError, match=r"two \(test split\): has 1 rows and 2 targets"):
        Dataset("two", np.eye(2), np.arange(2), (np.eye(1), np.arange(2)))
    with pytest.raises(DataError, match="has no rows"):
        Dataset("none", np.empty((0, 3)))


def test_a_dataset_is_frozen_and_counts_its_training_rows():
    data = Dataset("two", np.eye(2), None, (np.eye(3), None))
    assert len(data) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "other"


def changed(**kwargs):
    base = {"X": np.arange(6.0).reshape(3, 2), "t": np.array([0, 1, 0]), "test": None}
    return Dataset("d", **(base | kwargs)).fingerprint()


def test_fingerprint_sees_every_change_and_nothing_else():
    base = changed()
    X = np.arange(6.0).reshape(3, 2)
    others = [
        changed(X=X.astype(np.float32)),
        changed(X=np.arange(6.0).reshape(3, 2) + np.eye(3, 2) * 1e-12),
        changed(X=X.reshape(3, 2, 1)),
        changed(t=np.array([0, 1, 1])),
        changed(t=None),
        changed(t=np.array(["0", "1", "0"])),
        changed(test=(np.eye(1), np.array([1]))),
        changed(test=(np.eye(1), None)),
    ]
    assert len({base, *others}) == 9
    assert base == changed(X=np.asfortranarray(X)) == changed(X=X.astype(">f8")) == changed(t=np.array([0, 1, 0]))
    assert len(base) == 64


def test_fingerprint_tells_equal_bytes_of_other_types_apart():
    assert changed(t=np.zeros(3)) != changed(t=np.zeros(3, np.int64))


def test_fingerprint_of_words_depends_on_where_one_ends_and_not_on_the_storage():
    assert changed(t=np.array(["ab", "c", "d"])) != changed(t=np.array(["a", "bc", "d"]))
    assert changed(t=np.array(["ab", "c", "d"])) == changed(t=np.array(["ab", "c", "d"], dtype=object))
    tables = [{"a": [1, 2]}, {"b": [1, 2]}, {"a": [1, 3]}, {"a": [1, 2], "b": [1, 2]}]
    assert len({Dataset("t", Table.of(columns)).fingerprint() for columns in tables}) == 4


def test_fingerprint_streams_a_mapped_file(tmp_path, monkeypatch):
    X = np.random.default_rng(0).normal(size=(100, 7))
    np.save(tmp_path / "X.npy", X)
    expected = Dataset("X", X).fingerprint()
    monkeypatch.setattr("deltarule.data.checks.CHUNK", 50)  # seven rows at a time
    mapped = read(tmp_path / "X.npy", with_targets=False)
    assert isinstance(mapped.X, np.memmap)
    assert mapped.fingerprint() == expected


def test_sources_are_json(tmp_path):
    np.savez(tmp_path / "d.npz", X=np.eye(2), y=np.arange(2))
    (tmp_path / "d.csv").write_text("a,b\n1,2\n")
    for data in (read("iris"), read(tmp_path / "d.npz"), read(tmp_path / "d.csv", target="b")):
        assert json.loads(json.dumps(data.source)) == data.source
        assert None not in data.source.values()  # TOML has no null
