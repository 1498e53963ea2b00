"""Model files: there and back bit for bit, never half-written, and nothing but a FileFormatError from anything else."""

from __future__ import annotations

import json
import os
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

import deltarule as dr
from deltarule import Dense, Dropout, Network, files
from deltarule.activations import Activation, Tanh
from deltarule.costs import Huber
from deltarule.data.preprocessing import Preprocessing
from deltarule.errors import DataError, FileFormatError

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(12, 4))
TABLE = {"age": list(range(12)), "town": ["Graz", "Linz", "Öd é ∂"] * 4}
WORDS = ["no", "yes", "ün"] * 4


def with_table() -> Network:
    pre = Preprocessing.fit(TABLE, WORDS)
    return Network("4/3/3", preprocessing=pre, dtype="float64")


NETS: dict[str, Callable[[], Network]] = {
    "plain": lambda: Network("4/5/3"),
    "float64": lambda: Network("4/3", dtype="float64", seed=2**63 - 1),
    "deep": lambda: Network("28x28/dense(9,leaky_relu(0.2),uniform(0.5),trainable=False)/dropout(0.25)/5:tanh/1"),
    "sequence": lambda: Network("seq(5)/4/3", output="identity", cost="huber(0.3)"),
    "multilabel": lambda: Network("4/3", output="sigmoid", cost="squared error", multilabel=True),
    "no parameters": lambda: Network("4/dropout(0.5)"),
    "table": with_table,
    "regression": lambda: Network("4/1", output="identity", preprocessing=Preprocessing.fit(ROWS, ROWS[:, 0])),
    "several targets": lambda: Network("4/2", output="identity", preprocessing=Preprocessing.fit(ROWS, ROWS[:, :2])),
    "pixels": lambda: Network("4x4/2", preprocessing=Preprocessing.fit(np.zeros((2, 4, 4), np.uint8), [3, 7])),
    "part": lambda: with_table()[:1],
    "frozen": lambda: Network("4/5/3").frozen(),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model file."""
    path = tmp_path / "model.safetensors"
    Network("2/2").save(path)
    return path


@pytest.mark.parametrize("name", NETS)
def test_there_and_back(tmp_path: Path, name: str) -> None:
    net, path = NETS[name](), tmp_path / "model.safetensors"
    net.theta[:] = np.random.default_rng(1).normal(size=net.size)
    net.save(path)
    again = dr.load(str(path))
    assert again.theta.tobytes() == net.theta.tobytes()
    assert (str(again), again.dtype, again.seed, again.multilabel) == (str(net), net.dtype, net.seed, net.multilabel)
    assert (again.layers, again.output) == (net.layers, net.output)
    first = path.read_bytes()
    again.save(path)
    assert path.read_bytes() == first
    again.theta += 1  # its memory is its own
    assert path.read_bytes() == first
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_raw_rows_are_answered_after_loading(tmp_path: Path) -> None:
    for name, rows in (("table", TABLE), ("regression", ROWS), ("several targets", ROWS), ("part", TABLE)):
        net = NETS[name]()
        net.save(tmp_path / name)
        again = dr.load(tmp_path / name)
        np.testing.assert_array_equal(again.predict(rows), net.predict(rows))
    with_table().save(tmp_path / "table")
    assert dr.load(tmp_path / "table").evaluate(TABLE, WORDS) == with_table().evaluate(TABLE, WORDS)


def parts(path: Path) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """(the container's metadata, the arrays' places, the arrays) without the library that wrote them."""
    raw = path.read_bytes()
    n = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + n])
    return header.pop("__metadata__"), header, raw[8 + n :]


def test_the_file_is_what_the_documentation_says(tmp_path: Path) -> None:
    net = Network("2/3/dropout(0.5)/1", seed=5)
    net.save(tmp_path / "model")
    metadata, header, data = parts(tmp_path / "model")
    assert list(metadata) == ["deltarule"]
    assert json.loads(metadata["deltarule"]) == {
        "format": 1, "version": dr.__version__, "network": "2/3/dropout(0.5)/1", "cost": "binary_cross_entropy",
        "dtype": "float32", "multilabel": False, "seed": 5, "preprocessing": None,
    }  # fmt: skip
    assert set(header) == {"1.W", "1.b", "3.W", "3.b"}
    for key, view in net.parameters().items():
        start, stop = header[key]["data_offsets"]
        np.testing.assert_array_equal(np.frombuffer(data[start:stop], np.float32).reshape(header[key]["shape"]), view)
    with_table().save(tmp_path / "table")
    metadata, header, _ = parts(tmp_path / "table")
    assert json.loads(metadata["deltarule"])["preprocessing"]["columns"][1]["levels"] == ["Graz", "Linz", "Öd é ∂"]
    assert {"preprocessing.mean", "preprocessing.scale"} <= set(header)


def test_strided_arrays_are_written_straight(tmp_path: Path) -> None:
    arrays = {"a": np.arange(12.0).reshape(3, 4).T, "b": np.arange(12.0)[::-2], "c": np.float32(np.eye(3))[:, 1]}
    files.write(tmp_path / "f", arrays, {"x": 1})
    found, metadata = files.read(tmp_path / "f")
    assert metadata == {"format": 1, "x": 1}
    for key, array in arrays.items():
        np.testing.assert_array_equal(found[key], array)
        assert found[key].dtype == array.dtype


# Whole or not at all


@pytest.mark.parametrize("fails", ["os.replace", "os.fsync"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_save_keeps_the_old_file(
    model: Path, monkeypatch: pytest.MonkeyPatch, fails: str, error: BaseException
) -> None:
    before = model.read_bytes()

    def fail(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(fails, fail)
        with pytest.raises(type(error)):
            Network("2/2", seed=1).save(model)
        with pytest.raises(type(error)):
            Network("2/2", seed=1).save(model.with_name("new"))
    assert model.read_bytes() == before
    assert os.listdir(model.parent) == [model.name]
    Network("2/2", seed=1).save(model)
    assert model.read_bytes() != before


def test_the_content_is_on_disk_before_the_name_changes(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda f: (done.append("fsync"), fsync(f)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("replace"), replace(a, b)))
    Network("2/2").save(model)
    assert done == ["fsync", "replace", "fsync"]  # the content, then the name


def test_a_file_cannot_stand_where_a_folder_is(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        Network("2/2").save(tmp_path / "folder")
    with pytest.raises(OSError, match="nowhere"):
        Network("2/2").save(tmp_path / "nowhere" / "model")
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(tmp_path / "folder") == []


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    class Mine(Activation):
        name = "mine"

    class Imitation(Tanh):
        pass

    class Own(Huber):
        name = "my cost"

    for net in (
        Network([Dense(2, Mine())], input_shape=2),
        Network([Dense(2, Imitation())], input_shape=2),
        Network("2/2", output="identity", cost=Own(1.0)),
    ):
        with pytest.raises(FileFormatError, match="names only what deltarule has"):
            net.save(tmp_path / "model")
    net = Network("2/2")
    net.parameters()["1.b"][1] = np.nan
    with pytest.raises(DataError, match=r"1\.b\[1\] is nan; a model file holds finite weights only"):
        net.save(tmp_path / "model")
    assert os.listdir(tmp_path) == []


# Everything else is refused


def refused(path: Path, *words: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        dr.load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert len(message) < 2000
    for word in words:
        assert word in message


def test_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "none", "there is no such model file")
    refused(tmp_path, "a folder, not a model file")
    (tmp_path / "link").symlink_to(tmp_path / "none")
    refused(tmp_path / "link", "there is no such model file")


def test_an_unreadable_file(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("safetensors.safe_open", deny)
    refused(model, "Permission denied")


def test_truncated_at_every_length(model: Path) -> None:
    content = model.read_bytes()
    for n in range(len(content)):
        model.write_bytes(content[:n])
        refused(model)
    model.write_bytes(content + b"\0")
    refused(model)


def test_a_flipped_bit_is_refused_or_harmless(model: Path) -> None:
    """A flip in the header is refused, or gives a network that differs in nothing but what it flipped."""
    content = model.read_bytes()
    data = len(content) - 6 * 4
    for k in range(0, 8 * data, 5):
        flipped = bytearray(content)
        flipped[k // 8] ^= 1 << k % 8
        model.write_bytes(flipped)
        try:
            net = dr.load(model)
        except FileFormatError:
            continue
        assert net.size == 6
        assert np.isfinite(net.theta).all()


KEYS = st.sampled_from(["1.W", "shape", "dtype", "data_offsets", "__metadata__"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def container(header: bytes, n: int | None = None) -> bytes:
    """A header after its length (or after another number), and 48 bytes of data."""
    return (len(header) if n is None else n).to_bytes(8, "little") + header + bytes(48)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.binary(max_size=200)
    | st.builds(container, st.binary(max_size=99), st.integers(0, 300))
    | VALUES.map(lambda header: container(json.dumps(header).encode()))
)
def test_bytes_from_anywhere(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model").write_bytes(content)
    refused(tmp_path / "model")


class Bomb:
    """What a pickle would execute."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("executed",)


def test_loading_executes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model"
    path.write_bytes(pickle.dumps(Bomb()))
    refused(path, "not a readable safetensors file")
    np.save(tmp_path / "model.npy", np.array([Bomb()]), allow_pickle=True)
    refused(tmp_path / "model.npy")
    for network in ("__import__('os').mkdir('executed')", "2/__import__('os').mkdir('executed')", "2/exec(1)"):
        write(path, network=network)
        refused(path)
    assert not (tmp_path / "executed").exists()


def test_foreign_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": np.zeros(3)}, path)
    refused(path, "a safetensors file, but not a deltarule model (no metadata 'deltarule')")
    save_file({"weight": np.zeros(3)}, path, {"format": "pt"})
    refused(path, "not a deltarule model")


GOOD: dict[str, Any] = {
    "format": 1, "version": "0.1.0", "network": "2/2", "cost": "cross_entropy", "dtype": "float32", "multilabel": False,
    "seed": 0, "preprocessing": None,
}  # fmt: skip
ARRAYS: dict[str, Any] = {"1.W": np.ones((2, 2), np.float32), "1.b": np.zeros(2, np.float32)}


def write(path: Path, arrays: dict[str, Any] | None = None, text: str | None = None, **changes: Any) -> None:
    """A file like a model's, with changes; a change to `...` leaves the field out."""
    metadata = {k: v for k, v in (GOOD | changes).items() if v is not ...}
    content = {k: v for k, v in (ARRAYS | (arrays or {})).items() if v is not ...}
    path.write_bytes(save(content, {"deltarule": json.dumps(metadata) if text is None else text}))


def test_the_good_one_is_good(tmp_path: Path) -> None:
    write(tmp_path / "model")
    assert dr.load(tmp_path / "model").parameters()["1.W"].tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": ...}, "name no format version"),
        *[({name: ...}, f"field '{name}' is missing") for name in GOOD if name != "format"],
        ({"format": 2}, "format 2 is newer than this deltarule reads (1); upgrade deltarule"),
        ({"format": 10**9}, "format 1000000000 is newer"),
        *[({"format": v}, "name no format version") for v in (0, -1, "1", 1.0, True, None, [1])],
        ({"activations": "tanh"}, "field 'activations' is unknown"),
        ({"version": 1}, "field 'version' must be str, not int"),
        ({"network": ["2", "2"]}, "field 'network' must be str, not list"),
        ({"multilabel": 0}, "field 'multilabel' must be bool, not int"),
        ({"multilabel": True}, "multilabel=True needs two or more sigmoid outputs"),
        ({"seed": 0.0}, "field 'seed' must be int, not float"),
        ({"seed": True}, "field 'seed' must be int, not bool"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 2**63}, "seed must be a whole number"),
        ({"preprocessing": []}, "field 'preprocessing' must be dict or null, not list"),
        ({"preprocessing": {}}, "preprocessing: has keys"),
        ({"cost": "cros_entropy"}, "did you mean 'cross entropy'?"),
        ({"cost": "binary_cross_entropy"}, "goes with output 'sigmoid' only"),
        ({"cost": "huber(-1)"}, "huber"),
        *[({"dtype": v}, "dtype is 'float32' or 'float64'") for v in ("float16", "f4", ",", "a", "(9999999,)f4", "")],
        ({"dtype": "float64"}, "array '1.W' should be float64 (2, 2), it is float32 (2, 2)"),
        ({"network": ""}, "at least one layer"),
        ({"network": "2/*"}, "* stands for the outputs"),
        ({"network": "*/2"}, "* takes its size from the data"),
        ({"network": "2/2:rely"}, "did you mean 'relu'?"),
        ({"network": "2/2/2"}, "array '2.W' is missing"),
        ({"network": "2/dropout(0.5)/2"}, "array '2.W' is missing"),
        ({"network": "3/2"}, "array '1.W' should be float32 (2, 3), it is float32 (2, 2)"),
        ({"network": "2/2/dropout(2)"}, "rate must be a finite number, at least 0 and below 1"),
        ({"network": "2/" * 60_000 + "2"}, "at most 100000 characters"),
        ({"network": "2/f(" + "f(" * 1000}, "more than 8 brackets"),
        ({"network": "1000000000/1000000000"}, "array '1.W' should be float32 (1000000000, 1000000000)"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_the_schema_is_strict(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write(tmp_path / "model", **changes)
    refused(tmp_path / "model", message)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"1.W": ...}, "array '1.W' is missing"),
        ({"1.b": ...}, "array '1.b' is missing"),
        ({"2.W": np.zeros(1)}, "array '2.W' is unknown"),
        ({"1.W": np.ones((2, 2))}, "array '1.W' should be float32 (2, 2), it is float64 (2, 2)"),
        ({"1.W": np.ones((2, 2), np.int32)}, "it is int32"),
        ({"1.W": np.ones(4, np.float32)}, "it is float32 (4,)"),
        ({"1.b": np.ones((2, 1), np.float32)}, "array '1.b' should be float32 (2,), it is float32 (2, 1)"),
        ({"1.b": np.ones(0, np.float32)}, "it is float32 (0,)"),
        ({"1.b": np.array([0, np.nan], np.float32)}, "array '1.b' holds a number that is not finite"),
        ({"1.b": np.array([0, np.inf], np.float32)}, "array '1.b' holds a number that is not finite"),
        ({"preprocessing.mean": np.zeros(2)}, "array 'preprocessing.mean' is unknown"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_arrays_that_do_not_fit(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    write(tmp_path / "model", arrays)
    refused(tmp_path / "model", message)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "5", '"a"', "{}", "[" * 100_000, '{"format": 1e999}', "\x00"])
def test_metadata_that_are_none(tmp_path: Path, text: str) -> None:
    write(tmp_path / "model", text=text)
    refused(tmp_path / "model", "the metadata")


def test_metadata_without_end_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "model", text=json.dumps(GOOD) + " " * 10_000_000)
    refused(tmp_path / "model", "claims a header of 10,000")
    write(tmp_path / "model", text=json.dumps(GOOD | {"network": ["4"] * 400_000}))
    refused(tmp_path / "model", "values in")
    with pytest.raises(FileFormatError, match="read and written"):
        files.write(tmp_path / "large", {}, {"words": ["a"] * 400_000})
    assert not (tmp_path / "large").exists()
    files.write(tmp_path / "commas", {}, {"words": ['a,[{","'] * 90_000})  # those in words are none
    assert len(files.read(tmp_path / "commas")[1]["words"]) == 90_000


def test_preprocessing_must_fit_its_network(tmp_path: Path) -> None:
    table = with_table()
    table.save(tmp_path / "model")
    metadata, _, _ = parts(tmp_path / "model")
    document = json.loads(metadata["deltarule"])["preprocessing"]
    extra = {f"preprocessing.{k}": a for k, a in (table.preprocessing.arrays() if table.preprocessing else {}).items()}
    write(tmp_path / "model", extra, preprocessing=document)
    refused(tmp_path / "model", "the preprocessing gives 4 inputs and takes 3 outputs, the network 2/2 has 2 and 2")
    weights = {"1.W": np.ones((3, 4), np.float32), "1.b": np.zeros(3, np.float32)}
    write(tmp_path / "model", weights | extra, preprocessing=document, network="4/3")
    assert dr.load(tmp_path / "model").predict(TABLE).shape == (12,)
    write(
        tmp_path / "model", weights | extra | {"preprocessing.more": np.zeros(1)}, preprocessing=document, network="4/3"
    )
    refused(tmp_path / "model", "preprocessing: the arrays must be")
    write(tmp_path / "model", weights, preprocessing=document, network="4/3")
    assert dr.load(tmp_path / "model").preprocessing.mean is None  # type: ignore[union-attr]


def test_giants_are_refused_before_they_are_allocated(tmp_path: Path) -> None:
    write(tmp_path / "a", network="1000000000/1000000000")
    write(tmp_path / "b", network="100000/10000/10000/2")
    tracemalloc.start()
    try:
        refused(tmp_path / "a", "array '1.W' should be")
        refused(tmp_path / "b", "array '1.W' should be")
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


def test_fields() -> None:
    assert files.fields("here", {"a": 1, "b": None}, {"a": (int,), "b": (str, type(None))}) == {"a": 1, "b": None}
    for found, message in (
        (5, "here: expected an object, found int"),
        ({"a": 1}, "here: field 'b' is missing"),
        ({"a": 1, "b": "x", "c": 2}, "here: field 'c' is unknown"),
        ({"a": True, "b": "x"}, "here: field 'a' must be int, not bool"),
        ({"a": 1, "b": 2}, "here: field 'b' must be str or null, not int"),
    ):
        with pytest.raises(FileFormatError) as caught:
            files.fields("here", found, {"a": (int,), "b": (str, type(None))})
        assert str(caught.value) == message


def test_huber_and_dropout_keep_their_numbers(tmp_path: Path) -> None:
    net = Network([Dropout(0.1 + 0.2), Dense(1, "identity")], input_shape=2, cost=Huber(1 / 3))
    net.save(tmp_path / "model")
    again = dr.load(tmp_path / "model")
    assert again.layers[0] == Dropout(0.30000000000000004)
    assert again.output.cost == Huber(1 / 3)
