import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.data import ImageForm, Preprocessing
from deltarule.errors import DataError, DeltaruleError, FileFormatError

TABLE = {"a": [1.0, 2.5, 4.0], "w": ["u", "v", "u"]}


def models():
    yield Preprocessing.fit(TABLE, ["x", "y", "x"], impute=True)
    yield Preprocessing.fit(TABLE, [0.5, 1.5, 2.0])
    yield Preprocessing.fit(TABLE, [[0.5, 1], [1.5, 2], [3, 4]], standardize=False)
    yield Preprocessing.fit(np.eye(3, 4), [3, 1, 3])
    yield Preprocessing.fit(np.zeros((2, 5, 5), np.uint8), [True, False])
    yield Preprocessing.fit(np.ones((2, 1, 5, 5)), [0.5, 1.5], task="classification", standardize=True)
    yield pictures()
    yield pictures(ImageForm((4, 5)))
    yield pictures(ImageForm(colour=True))


def pictures(form=ImageForm((4, 5), True)):  # noqa: B008 (it is frozen)
    return Preprocessing.fit(np.zeros((3, 3, 4, 5), np.uint8), ["10", "9", "11"], images=form)


def through_a_file(pre):
    document = json.loads(json.dumps(pre.to_json(), allow_nan=False))
    return Preprocessing.from_json(
        document, {k: np.frombuffer(v.tobytes()).reshape(v.shape) for k, v in pre.arrays().items()}
    )


@pytest.mark.parametrize("pre", list(models()))
def test_there_and_back(pre):
    back = through_a_file(pre)
    assert back.to_json() == pre.to_json()
    assert [type(c) for c in back.classes or ()] == [type(c) for c in pre.classes or ()]
    assert back.columns == pre.columns
    assert back.images == pre.images
    assert back.arrays().keys() == pre.arrays().keys()
    for name, array in back.arrays().items():
        np.testing.assert_array_equal(array, pre.arrays()[name])
        assert array.dtype == np.float64
        assert array.flags.c_contiguous


numbers = st.floats(-1e9, 1e9).map(str)
words = st.sampled_from(["red", "green", "blue"])


@given(
    st.lists(st.tuples(numbers, words, st.one_of(numbers, st.just("?"))), min_size=2, max_size=8),
    st.booleans(),
    st.data(),
)
def test_any_table_there_and_back(rows, standardize, data):
    columns = dict(zip(("n", "w", "m"), map(list, zip(*rows))))
    labels = data.draw(st.lists(st.sampled_from(["p", "q", 3.5]), min_size=len(rows), max_size=len(rows)))
    t = [v if isinstance(v, str) else "r" for v in labels] if "p" in labels else list(range(len(rows)))
    try:
        pre = Preprocessing.fit(columns, t, standardize=standardize, impute=True)
    except DataError:
        return
    back = through_a_file(pre)
    np.testing.assert_array_equal(back.inputs(columns), pre.inputs(columns))
    np.testing.assert_array_equal(back.targets(t), pre.targets(t))


def broken(change):
    """The stored form of the first model with one thing changed."""
    pre = next(models())
    document, arrays = json.loads(json.dumps(pre.to_json())), pre.arrays()
    change(document, arrays)
    return document, arrays


def column(k, **kwargs):
    return lambda d, a: d["columns"][k].update(kwargs)


CHANGES = [
    lambda d, a: d.pop("task"),
    lambda d, a: d.update(extra=1),
    lambda d, a: d.update(task="clustering"),
    lambda d, a: d.update(task=["classification"]),
    lambda d, a: d.update(task="regression"),
    lambda d, a: d.update(input_shape=[4]),
    lambda d, a: d.update(input_shape=[3.0]),
    lambda d, a: d.update(input_shape=[True]),
    lambda d, a: d.update(input_shape=[]),
    lambda d, a: d.update(input_shape="3"),
    lambda d, a: d.update(input_shape=[-3]),
    lambda d, a: d.update(input_shape=[3, 1]),
    lambda d, a: d.update(pixels=True),
    lambda d, a: d.update(pixels=0),
    lambda d, a: d.update(columns=[]),
    lambda d, a: d.update(columns={"a": 1}),
    lambda d, a: d.update(columns=[1, 2]),
    lambda d, a: d["columns"].pop(),
    lambda d, a: d["columns"][0].pop("fill"),
    lambda d, a: d["columns"][0].update(more=1),
    column(0, name="w"),
    column(0, name=""),
    column(0, name=7),
    column(0, kind="text"),
    column(0, levels=["x"]),
    column(0, fill="x"),
    column(0, fill=True),
    column(0, fill=float("nan")),
    column(0, fill=None),
    column(1, levels=["v", "u"]),
    column(1, levels=["u", "u"]),
    column(1, levels=[]),
    column(1, levels=[1, 2]),
    column(1, levels="uv"),
    column(1, fill="z"),
    column(1, fill=["u"]),
    lambda d, a: d.update(classes=None),
    lambda d, a: d.update(classes=["x"]),
    lambda d, a: d.update(classes=["y", "x"]),
    lambda d, a: d.update(classes=["x", 1]),
    lambda d, a: d.update(classes=[1, True]),
    lambda d, a: d.update(classes=[1, 2**63]),
    lambda d, a: d.update(classes=[0.5, float("inf")]),
    lambda d, a: d.update(classes=[None, None]),
    lambda d, a: d.update(classes="xy"),
    lambda d, a: a.pop("mean"),
    lambda d, a: a.pop("scale"),
    lambda d, a: a.update(target_mean=np.zeros(1)),
    lambda d, a: a.update(other=np.zeros(1)),
    lambda d, a: a.update(mean=np.zeros(4)),
    lambda d, a: a.update(mean=np.zeros(3, np.float32)),
    lambda d, a: a.update(mean=[0.0, 0.0, 0.0]),
    lambda d, a: a.update(mean=np.array([0, np.nan, 0])),
    lambda d, a: a.update(scale=np.array([1.0, 0.0, 1.0])),
    lambda d, a: a.update(scale=np.array([1.0, -1.0, 1.0])),
    lambda d, a: a.update(scale=np.array([1.0, np.inf, 1.0])),
]


@pytest.mark.parametrize("change", CHANGES, ids=range(len(CHANGES)))
def test_every_other_form_is_refused(change):
    with pytest.raises(FileFormatError, match=r"^preprocessing"):
        Preprocessing.from_json(*broken(change))
    Preprocessing.from_json(*broken(lambda d, a: None))


IMAGES = [
    None, [], 3, "4x5", {}, {"size": [4, 5]}, {"size": None, "colour": None, "more": 1},
    *({"size": size, "colour": True} for size in ([5, 4], [4], [4, 5, 1], [4.0, 5.0], [True, 5], "45", 4, (4, 5, 6))),
    *({"size": [4, 5], "colour": colour} for colour in (False, 1, "red", [True])),
]  # fmt: skip


@pytest.mark.parametrize("images", IMAGES, ids=range(len(IMAGES)))
def test_every_other_form_of_images_is_refused(images):
    document = pictures().to_json()
    assert Preprocessing.from_json(document, {}).images == ImageForm((4, 5), True)
    with pytest.raises(FileFormatError, match=r"^preprocessing"):
        Preprocessing.from_json(document | {"images": images}, {})


@pytest.mark.parametrize("shape", [[60], [4, 5], [2, 4, 5], [3, 30_000, 20_000], [1, 3, 4, 5]])
def test_images_become_samples_of_one_or_three_channels(shape):
    images = {"size": shape[-2:] if len(shape) > 1 else None, "colour": None}
    with pytest.raises(FileFormatError, match=r"^preprocessing: images"):
        Preprocessing.from_json(pictures().to_json() | {"images": images, "input_shape": shape}, {})


def test_models_from_before_there_were_images():
    document = pictures().to_json()
    del document["images"]
    document["classes"] = ["10", "11", "9"]  # as words are sorted
    back = Preprocessing.from_json(document, {})
    assert (back.images, back.classes) == (None, ("10", "11", "9"))
    assert back.to_json() == document
    for classes in (["10", "9", "11"], ["9", "9", "10"], ["9", "10", "10"]):
        with pytest.raises(FileFormatError, match="classes must ascend"):
            Preprocessing.from_json(document | {"classes": classes}, {})


@pytest.mark.parametrize("document", [None, [], 3, "x", {}, {1: 2}])
def test_what_is_no_object(document):
    with pytest.raises(FileFormatError, match="task, input_shape"):
        Preprocessing.from_json(document, {})


def test_regression_arrays_must_agree():
    pre = Preprocessing.fit(TABLE, [0.5, 1.5, 2.0])
    for change in ({"target_scale": np.ones(2)}, {"target_mean": np.zeros((1, 1))}, {"target_scale": np.zeros(1)}):
        with pytest.raises(FileFormatError, match="target_"):
            Preprocessing.from_json(pre.to_json(), pre.arrays() | change)
    for lacking in ("target_mean", "target_scale"):
        with pytest.raises(FileFormatError, match="the arrays must be"):
            Preprocessing.from_json(pre.to_json(), {k: v for k, v in pre.arrays().items() if k != lacking})
    empty = {"target_mean": np.zeros(0), "target_scale": np.zeros(0)}
    with pytest.raises(FileFormatError, match="target_mean has shape"):
        Preprocessing.from_json(pre.to_json(), pre.arrays() | empty)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["task", "input_shape", "pixels", "columns", "classes", "images"]), junk)
def test_no_junk_gives_anything_but_a_model_or_our_error(key, value):
    document, arrays = broken(lambda d, a: d.update({key: value}))
    try:
        back = Preprocessing.from_json(document, arrays)
    except DeltaruleError:
        return
    assert back.to_json() == document
