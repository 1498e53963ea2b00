import numpy as np
import pandas as pd
import pytest

from deltarule.data import Preprocessing, Table, read
from deltarule.errors import DataError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(5, 3, size=(30, 4))
T = np.arange(30) % 3


def test_floats_are_standardised_and_uint8_and_images_are_not():
    pre = Preprocessing.fit(X, T)
    Z = pre.inputs(X)
    np.testing.assert_allclose([Z.mean(axis=0), Z.std(axis=0)], [np.zeros(4), np.ones(4)], atol=1e-12)
    assert (pre.n_inputs, pre.input_shape, pre.n_outputs) == (4, (4,), 3)
    assert pre.inputs(X.astype(np.float32)).dtype == np.float32

    pixels = RNG.integers(0, 256, size=(30, 4), dtype=np.uint8)
    pre = Preprocessing.fit(pixels, T)
    assert pre.mean is None
    assert pre.inputs(pixels).dtype == np.uint8
    assert np.shares_memory(pre.inputs(pixels), pixels)

    images = RNG.normal(size=(30, 2, 2))
    pre = Preprocessing.fit(images, T)
    assert np.shares_memory(pre.inputs(images), images)
    assert (pre.n_inputs, pre.input_shape) == (4, (2, 2))


def test_standardising_can_be_told():
    assert np.shares_memory(Preprocessing.fit(X, T, standardize=False).inputs(X), X)
    pixels = RNG.integers(0, 256, size=(30, 2, 2), dtype=np.uint8)
    pre = Preprocessing.fit(pixels, T, standardize=True)
    assert not pre.pixels
    np.testing.assert_allclose(pre.inputs(pixels).std(axis=0), 1, rtol=1e-6)
    table = {"a": [1, 2, 3], "w": ["u", "v", "u"]}
    assert Preprocessing.fit(table, [0, 1, 0], standardize=False).inputs(table).tolist() == [
        [1, 1, 0],
        [2, 0, 1],
        [3, 1, 0],
    ]


def test_a_table_is_standardised_where_it_is_numeric():
    table = {"age": [20, 40, 60], "town": ["Linz", "Graz", "Linz"], "size": [1.5, 1.5, 1.5]}
    pre = Preprocessing.fit(table, ["no", "yes", "no"])
    Z = pre.inputs(pd.DataFrame(table))
    np.testing.assert_allclose(Z[:, 0], np.array([-1, 0, 1]) * 1.5**0.5)
    assert Z[:, 1:].tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0]]
    assert pre.input_shape == (4,)
    np.testing.assert_array_equal(pre.inputs(Table.of(table)[1:2]), Z[1:2])


def test_only_the_training_part_is_looked_at():
    pre = Preprocessing.fit(X[:20], T[:20])
    np.testing.assert_allclose(pre.mean, X[:20].mean(axis=0))
    np.testing.assert_allclose(pre.inputs(X[20:]), (X[20:] - X[:20].mean(axis=0)) / X[:20].std(axis=0))


def test_one_sample_keeps_its_shape():
    pre = Preprocessing.fit(X, T)
    np.testing.assert_array_equal(pre.inputs(X[3]), pre.inputs(X)[3])
    images = RNG.normal(size=(30, 1, 2, 3))
    pre = Preprocessing.fit(images, T)
    assert pre.inputs(images[0]).shape == (1, 2, 3)
    assert pre.inputs(images[0, 0]).shape == (1, 2, 3)
    assert pre.inputs(images[0].ravel()).shape == (1, 2, 3)
    assert pre.inputs(images.reshape(30, 6)).shape == (30, 1, 2, 3)
    assert pre.inputs(images[:, 0]).shape == (30, 1, 2, 3)
    table = Preprocessing.fit({"a": [1, 2], "b": [3, 4]}, [0, 1])
    assert table.inputs(np.array([1, 3])).tolist() == [-1, -1]


@pytest.mark.parametrize("shape", [(30, 3), (3,), (4, 1), (30, 4, 1), (), (2, 2)])
def test_samples_of_another_shape(shape):
    with pytest.raises(ShapeError, match=r"the model was trained on samples of shape \(4,\)"):
        Preprocessing.fit(X, T).inputs(np.zeros(shape))


def test_a_number_is_a_sample_of_one_by_one():
    pre = Preprocessing.fit(RNG.normal(size=(30, 1, 1)), T)
    assert pre.inputs(3.0).shape == (1, 1)


def test_images_are_never_transposed_silently():
    pre = Preprocessing.fit(RNG.normal(size=(30, 3, 8, 8)), T)
    with pytest.raises(ShapeError, match=r"X has shape \(30, 8, 8, 3\)"):
        pre.inputs(np.zeros((30, 8, 8, 3)))


def test_a_model_of_pixels_guesses_nothing():
    pixels = RNG.integers(0, 256, size=(30, 4), dtype=np.uint8)
    pre = Preprocessing.fit(pixels, T)
    assert pre.inputs(pixels.astype(np.int64)).dtype == np.uint8
    np.testing.assert_array_equal(pre.inputs({f"p{i}": pixels[:, i] for i in range(4)}), pixels)
    np.testing.assert_array_equal(pre.inputs(pixels / 255), pixels / 255)
    for wrong in (pixels.astype(np.float64), pixels.astype(np.int64) + 1000, -1.0 - pixels):
        with pytest.raises(DataError, match="was trained on pixels"):
            pre.inputs(wrong)
    with pytest.raises(DataError, match=r"column 'p0': 0\.5 is no pixel"):
        pre.inputs({f"p{i}": [0.5] for i in range(4)})
    with pytest.raises(DataError, match="is nan"):
        pre.inputs(np.full((1, 4), np.nan))


def test_a_table_for_a_model_of_an_array_and_back():
    pre = Preprocessing.fit(X, T)
    table = {f"c{i}": X[:, i] for i in range(4)}
    np.testing.assert_array_equal(pre.inputs(table), pre.inputs(X))
    with pytest.raises(ShapeError, match="has 1 columns, the model was trained on 4"):
        pre.inputs({"a": [1]})
    by_table = Preprocessing.fit(table, T)
    np.testing.assert_array_equal(by_table.inputs(X), by_table.inputs(table))
    np.testing.assert_array_equal(by_table.inputs(X), pre.inputs(X))
    with pytest.raises(ShapeError, match="trained on 4 columns: c0, c1"):
        by_table.inputs(X[:, :3])
    with pytest.raises(DataError, match="row 0, column 1 is nan"):
        by_table.inputs([[0, np.nan, 0, 0]])
    words = Preprocessing.fit({"w": ["a", "b"]}, [0, 1])
    with pytest.raises(DataError, match="column 'w' holds words"):
        words.inputs([[1.0]])


def test_imputing_serves_tables_and_arrays_of_their_columns():
    pre = Preprocessing.fit({"a": [1, None, 5], "b": [0, 1, 2]}, [0, 1, 0], impute=True, standardize=False)
    assert pre.inputs({"a": [""], "b": [7]}).tolist() == [[3, 7]]
    assert pre.inputs([[np.nan, 7.0]]).tolist() == [[3, 7]]


@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        (X, T[:5], "X has 30 rows, t has 5 targets"),
        ({"a": [1, 2]}, [1], "X has 2 rows, t has 1 targets"),
        (np.where(np.equal(X, X[2, 1]), np.nan, X), T, "X: row 2, column 1 is nan"),
        (X[:0], T[:0], "is empty"),
        (X[:0], T, r"X: is empty, shape \(0, 4\)"),
        (X[:, :0], T, r"X: is empty, shape \(30, 0\)"),
        (X, np.zeros(30), "one class"),
        (X[:, 0], T, "rows"),
        ([["a"], ["b"]], [0, 1], "X: holds words"),
        ([[1.0], [2.0, 3.0]], [0, 1], "X: is not an array"),
        ({"a": [1, None]}, [0, 1], "'a' has 1 missing cell"),
    ],
)
def test_what_cannot_be_fitted(x, t, message):
    with pytest.raises(DataError, match=message):
        Preprocessing.fit(x, t)


def test_classes_there_and_back():
    pre = Preprocessing.fit(X[:4], ["b", "a", "c", "a"])
    assert pre.task == "classification"
    assert pre.classes == ("a", "b", "c")
    assert pre.targets(["c", "a"]).tolist() == [2, 0]
    assert pre.labels([2, 0]).tolist() == ["c", "a"]
    numbers = Preprocessing.fit(X, T + 1)
    assert numbers.labels(np.array([0, 2])).dtype == np.int64
    for wrong in ([3], [-1], [0.5]):
        with pytest.raises(DataError, match="whole numbers from 0 to 2"):
            pre.labels(wrong)
    with pytest.raises(DataError, match="predicts classes"):
        pre.predictions([0.0])


@pytest.mark.parametrize("k", [1, 3])
def test_regression_there_and_back(k):
    t = RNG.normal(100, 7, size=(30, k))
    pre = Preprocessing.fit(X, t)
    assert (pre.task, pre.n_outputs, pre.classes) == ("regression", k, None)
    y = pre.targets(t)
    assert y.shape == ((30,) if k == 1 else (30, k))
    np.testing.assert_allclose([y.mean(axis=0), y.std(axis=0)], [0 * y[0], 0 * y[0] + 1], atol=1e-12)
    np.testing.assert_allclose(pre.predictions(y.reshape(30, k)), t)
    np.testing.assert_allclose(pre.predictions(y), t.reshape(y.shape))
    np.testing.assert_allclose(pre.predictions(y[0]), t.reshape(y.shape)[0])
    with pytest.raises(DataError, match="predicts numbers"):
        pre.labels([0])
    with pytest.raises(ShapeError, match="the targets have shape"):
        pre.targets(np.zeros((5, 2)))


def test_a_constant_target_and_forced_tasks():
    pre = Preprocessing.fit(X, np.full(30, 2.5))
    assert pre.target_scale.tolist() == [1.0]
    assert pre.targets(np.full(3, 2.5)).tolist() == [0, 0, 0]
    assert Preprocessing.fit(X, T, task="regression").n_outputs == 1
    assert Preprocessing.fit(X, np.arange(30), task="classification").n_outputs == 30
    with pytest.raises(DataError, match="predicts numbers, and the targets are words"):
        pre.targets(["a"])
    with pytest.raises(ShapeError, match="has 2"):
        Preprocessing.fit(X, RNG.normal(size=(30, 2))).predictions(np.zeros((5, 3)))


@pytest.mark.parametrize(("name", "task"), [("digits", "classification"), ("diabetes", "regression")])
def test_embedded_sets_are_told_apart(name, task):
    data = read(name)
    pre = Preprocessing.fit(data.X, data.t)
    assert pre.task == task
    Z = pre.inputs(data.X)
    varies = data.X.std(axis=0) > 0
    np.testing.assert_allclose(Z[:, varies].std(axis=0), 1)
    assert (Z[:, ~varies] == 0).all()


def test_a_mapped_file_is_fitted(tmp_path):
    np.save(tmp_path / "X.npy", X)
    data = read(tmp_path / "X.npy", with_targets=False)
    np.testing.assert_array_equal(Preprocessing.fit(data.X, T).inputs(data.X), Preprocessing.fit(X, T).inputs(X))
    untouched = Preprocessing.fit(data.X, T, standardize=False).inputs(data.X)
    assert isinstance(untouched, np.memmap)
