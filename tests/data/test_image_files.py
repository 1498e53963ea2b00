"""Folders of images: one folder a class; and image files as rows to predict."""

import os
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deltarule.data import ImageForm, Preprocessing, image_files, read
from deltarule.errors import DataError


def draw(path, value=0, size=(4, 5), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size[::-1], value).save(path)


@pytest.fixture
def pets(tmp_path):
    for k, name in enumerate(["dog/b.png", "dog/a.PNG", "cat/2.jpeg", "cat/10.jpg", "cat/1.png"]):
        draw(tmp_path / "pets" / name, 40 * k)
    return tmp_path / "pets"


def test_classes_then_files_in_order(pets, monkeypatch):
    data = read(str(pets))
    names = ["cat/1.png", "cat/10.jpg", "cat/2.jpeg", "dog/a.PNG", "dog/b.png"]
    assert data.files == tuple(str(pets / name) for name in names)
    assert data.t.tolist() == ["cat"] * 3 + ["dog"] * 2
    assert (data.X.shape, data.X.dtype) == ((5, 1, 4, 5), np.uint8)
    assert data.X[:, 0, 0, 0].tolist() == [160, 120, 80, 40, 0]
    assert data.X.flags.c_contiguous
    assert data.name == "pets"
    assert data.source == {"kind": "images", "path": str(pets)}
    real = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: sorted(real(self), reverse=True))
    assert read(pets).fingerprint() == data.fingerprint()


def test_whole_numbers_are_classes_in_their_order(tmp_path):
    for k in range(25):
        draw(tmp_path / "d" / str(k) / "a.png", k)
    data = read(tmp_path / "d")
    assert data.X[:, 0, 0, 0].tolist() == list(range(25))
    pre = Preprocessing.fit(data.X, data.t)
    assert pre.task == "classification"
    assert pre.classes == tuple(map(str, range(25)))
    assert pre.targets([3, 24]).tolist() == [3, 24]  # an IDX file's labels are the same classes
    back = Preprocessing.from_json(pre.to_json(), pre.arrays())
    assert back.classes == pre.classes


def test_a_form_makes_all_alike(pets):
    draw(pets / "dog" / "c.png", (10, 20, 30), (7, 7), "RGB")
    with pytest.raises(DataError) as caught:
        read(pets)
    assert str(caught.value) == (
        f"{pets}/dog/c.png: is 7x7 in colour, {pets}/cat/1.png is 4x5 in grey; "
        "images can be resized (--image-size 4x5) and read alike (--grey or --colour)"
    )
    with pytest.raises(
        DataError, match=r"c\.png: is 7x7 in grey, .*1\.png is 4x5 in grey; images can be resized \(--im"
    ):
        read(pets, images=ImageForm(colour=False))
    with pytest.raises(
        DataError, match=r"c\.png: is 6x3 in colour, .* 6x3 in grey; images can be read alike \(--grey or"
    ):
        read(pets, images=ImageForm((6, 3)))
    data = read(pets, images=ImageForm((6, 3), colour=True))
    assert data.X.shape == (6, 3, 6, 3)
    assert data.X[5, :, 0, 0].tolist() == [10, 20, 30]
    assert data.source == {"kind": "images", "path": str(pets), "size": [6, 3], "colour": True}
    assert read(pets, images=ImageForm((6, 3), colour=False)).X.shape == (6, 1, 6, 3)


def test_rows_to_predict(pets, tmp_path):
    for source in (pets, [pets], [pets / "cat", pets / "dog"]):
        rows = read(source, with_targets=False)
        assert (rows.t, len(rows)) == (None, 5)
        assert rows.X[:, 0, 0, 0].tolist() == [160, 120, 80, 40, 0]
    one = read(pets / "dog" / "b.png", with_targets=False)
    assert (one.name, one.X.shape, one.files) == ("b", (1, 1, 4, 5), (str(pets / "dog/b.png"),))
    mixed = read([pets / "dog", str(pets / "cat/1.png"), pets / "dog" / "b.png"], with_targets=False)
    assert mixed.X[:, 0, 0, 0].tolist() == [40, 0, 160, 0]
    draw(tmp_path / "one" / "only" / "a.png")
    assert len(read(tmp_path / "one", with_targets=False)) == 1  # one class is enough where no classes are asked for


def test_what_is_hidden_is_passed_over_and_what_is_strange_is_named(pets):
    (pets / ".DS_Store").write_bytes(b"x")
    (pets / "cat" / "._1.png").write_bytes(b"x")
    (pets / "dog" / ".thumbnails").mkdir()
    base = read(pets)
    (pets / "notes.txt").write_text("x")
    (pets / "dog" / "c.gif").write_bytes(b"x")
    for with_targets in (True, False):
        with pytest.warns(UserWarning, match=r"^passed over .* \.jpeg: .*/pets/notes\.txt, .*/pets/dog/c\.gif$"):
            assert len(read(pets, with_targets=with_targets)) == len(base)
    for k in range(9):
        (pets / "dog" / f"{k}.txt").write_text("x")
    with pytest.warns(UserWarning, match=r"dog/3\.txt and 6 more$"):
        read(pets)


def test_links_are_followed(pets, tmp_path):
    os.rename(pets, tmp_path / "elsewhere")
    pets.mkdir()
    (pets / "cat").symlink_to(tmp_path / "elsewhere" / "cat")
    (pets / "dog").mkdir()
    (pets / "dog" / "x.png").symlink_to(tmp_path / "elsewhere" / "dog" / "b.png")
    assert read(pets).t.tolist() == ["cat"] * 3 + ["dog"]


def strange(kind, pets):
    """One thing that is wrong with a folder."""
    if kind == "a link to nothing":
        (pets / "dog" / "x.png").symlink_to("nowhere.png")
    elif kind == "a link to itself":
        (pets / "dog" / "x.png").symlink_to("x.png")
    elif kind == "a link upwards":
        (pets / "fox").symlink_to("..")
    elif kind == "a pipe":
        os.mkfifo(pets / "dog" / "x.png")
    elif kind == "an empty class":
        (pets / "fox").mkdir()
    elif kind == "a class of text":
        (pets / "fox").mkdir()
        (pets / "fox" / "fox.txt").write_text("fox")
    elif kind == "a folder in a class":
        draw(pets / "cat" / "persian" / "a.png")
    elif kind == "a stray image":
        draw(pets / "fox.png")
    elif kind == "a missing value":
        draw(pets / "None" / "a.png")
    elif kind == "no UTF-8":
        os.rename(os.fsencode(pets / "dog"), os.fsencode(pets) + b"/d\xf6g")
    elif kind == "no image":
        (pets / "dog" / "a.PNG").write_text("a dog")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("a link to nothing", r"/dog/x\.png: is a link that leads nowhere"),
        ("a link to itself", r"/dog/x\.png: is a link that leads nowhere"),
        ("a link upwards", r"/fox: holds a folder \(pets\), where images of one class are expected"),
        ("a pipe", r"/dog/x\.png: is neither a file nor a folder"),
        (
            "an empty class",
            r"/fox: holds no images \(\.png, \.jpg, \.jpeg\); it holds nothing; every folder is a class",
        ),
        ("a class of text", r"/fox: holds no images .*; it holds fox\.txt; .* fill or remove it"),
        ("a folder in a class", r"/cat: holds a folder \(persian\), .*name the folder whose folders are the classes"),
        ("a stray image", r"/pets: holds images \(fox\.png\) beside folders \(cat\); move every image into the folder"),
        ("a missing value", r"/None: 'None' stands for a missing value .*; rename the folder"),
        ("no UTF-8", r"/d.g: the name of the folder is not UTF-8"),
        ("no image", r"/dog/a\.PNG: is no PNG or JPEG image"),
    ],
)
@pytest.mark.parametrize("with_targets", [True, False])
def test_strange_folders(pets, kind, message, with_targets):
    strange(kind, pets)
    with pytest.raises(DataError, match=message):
        read(pets, with_targets=with_targets)


def test_folders_without_two_classes(tmp_path):
    draw(tmp_path / "flat" / "a.png")
    with pytest.raises(DataError, match=r"flat: holds images and no folders; put them into one folder a class"):
        read(tmp_path / "flat")
    draw(tmp_path / "one" / "cat" / "a.png")
    with pytest.raises(DataError, match=r"one: has one class, the folder 'cat'; a classifier needs two or more"):
        read(tmp_path / "one")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"none: has no IDX files .* and no images .*; it holds nothing"):
        read(tmp_path / "none")


def test_sources_that_do_not_go_together(pets, tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((3, 20)))
    (tmp_path / "empty").mkdir()
    one = pets / "cat" / "1.png"
    for source in ([], [""]):
        with pytest.raises(DataError, match="no data are named"):
            read(source)
    for other in (tmp_path / "rows.npy", tmp_path / "empty", "digits"):
        with pytest.raises(DataError, match="is no image file and no folder of images; other data are read one by one"):
            read([one, other], with_targets=False)
    for source in ("nowhere.png", [one, "nowhere.png"]):
        with pytest.raises(DataError, match=r"there is no file, folder or embedded data set 'nowhere\.png'"):
            read(source, with_targets=False)
    for source in (one, [pets, one]):
        with pytest.raises(DataError, match="image files alone have no targets"):
            read(source)
    with pytest.raises(DataError, match="the targets are the names of its folders; leave out the target 'x'"):
        read(pets, target="x")
    for source in ("iris", tmp_path / "rows.npy", tmp_path / "empty"):
        with pytest.raises(DataError, match="no folder of images, so there is nothing to be resized to 3x3"):
            read(source, images=ImageForm((3, 3)), with_targets=False)


def test_an_idx_folder_stays_one(pets):
    (pets / "train-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3] + [0, 0, 0, 1] * 3 + [7]))
    assert read(pets, with_targets=False).X.tolist() == [[[7]]]


def test_images_fill_one_array(tmp_path):
    for k in range(60):
        draw(tmp_path / "d" / str(k % 2) / f"{k}.png", (k, 0, 0), (100, 100), "RGB")
    read(tmp_path / "d" / "0" / "0.png", with_targets=False)  # what imports take
    tracemalloc.start()
    try:
        X = read(tmp_path / "d").X
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.3 * X.nbytes


def test_more_images_than_memory(pets, monkeypatch):
    def empty(shape, dtype):
        raise MemoryError

    monkeypatch.setattr(image_files.np, "empty", empty)
    with pytest.raises(DataError, match=r"5 images such as .*1\.png take 0\.0 GiB, more than there is; resize them"):
        read(pets)


def test_names_of_any_bytes(pets):
    os.rename(pets / "dog" / "b.png", os.fsencode(pets) + b"/dog/\xfc.png")
    files = read(pets).files
    assert files[-1] == f"{pets}/dog/\ufffd.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        "\n".join(files).encode()
