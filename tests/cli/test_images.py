"""Folders of images on the command line: train, evaluate, predict, resume."""

from __future__ import annotations

import json
import struct
import tomllib

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

import deltarule as dr
from deltarule.data import ImageForm, read

FAST = "--network '*/8/*' --epochs 40 --learning-rate 0.02 -q"


def draw(folder, name, value, size=(6, 5), mode="L", spread=20):
    """An image of about one brightness."""
    shape = (*size, 3) if mode == "RGB" else size
    values = np.random.default_rng(sum(name.encode())).integers(value, value + spread, shape, dtype=np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(folder / name)


@pytest.fixture
def moons(tmp_path):
    """Dark and light images: grey, of one size."""
    for k in range(20):
        draw(tmp_path / "moons" / "new", f"{k:02}.png", 20)
        draw(tmp_path / "moons" / "full", f"{k:02}.png", 200)
    return tmp_path / "moons"


@pytest.fixture
def photos(tmp_path):
    """The same, of every size and mode."""
    for k in range(20):
        draw(tmp_path / "photos" / "new", f"{k:02}.png", 20, (6 + k, 9), "RGB" if k % 2 else "L")
        draw(tmp_path / "photos" / "full", f"{k:02}.jpg", 200, (6, 9 + k), "L" if k % 2 else "RGB")
    return tmp_path / "photos"


def told(tmp_path, folder="runs/a"):
    return tomllib.loads((tmp_path / folder / "run.toml").read_text(encoding="utf-8"))


def test_a_folder_a_class(run, moons, tmp_path):
    said = run(f"train moons {FAST} --output runs/a")
    assert said.code == 0, said.err
    assert "1x6x5/8/2" in said.out
    assert told(tmp_path)["result"]["held_out"]["accuracy"] == 1
    assert told(tmp_path)["data"]["source"] == {"kind": "images", "path": str(moons)}
    said = run("evaluate runs/a moons")
    assert "only the 8 rows held out are scored" in said.out
    assert run("predict runs/a moons/new/03.png").out == "moons/new/03.png,new\n"
    draw(tmp_path, "light one.png", 200)
    lines = run("predict runs/a 'light one.png' moons/new/03.png moons/full").out.splitlines()
    assert lines[:2] == ["light one.png,full", "moons/new/03.png,new"]
    assert lines[2:] == [f"moons/full/{k:02}.png,full" for k in range(20)]
    assert [line.split(",")[1] for line in run("predict runs/a moons").out.splitlines()] == ["full"] * 20 + ["new"] * 20
    header, line = run("predict runs/a moons/new/03.png --probabilities").out.splitlines()
    assert header == "file,prediction,p(full),p(new)"
    assert line.startswith("moons/new/03.png,new,0.")
    run("predict runs/a moons --output answers.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "answers.npy"), ["full"] * 20 + ["new"] * 20)
    info = run("info runs/a").out
    assert "classes: full, new" in info
    assert "image files" not in info


def test_what_was_chosen_holds_for_every_file(run, photos, tmp_path):
    said = run(f"train photos {FAST} --image-size 4x7 --grey --output runs/a")
    assert said.code == 0, said.err
    found = told(tmp_path)
    assert found["network"]["network"] == "1x4x7/8/2"
    assert (found["command"]["image_size"], found["command"]["colour"]) == ("4x7", False)
    assert found["data"]["source"] == {"kind": "images", "path": str(photos), "size": [4, 7], "colour": False}
    assert "only the 8 rows held out" in run("evaluate runs/a photos").out
    assert "image files: resized to 4x7, in grey" in run("info runs/a").out
    draw(tmp_path, "large.png", 200, (40, 30), "RGB")
    for model in ("runs/a", "runs/a/model.safetensors"):
        assert run(f"predict {model} large.png photos/new/01.png").out == "large.png,full\nphotos/new/01.png,new\n"
    net = dr.load(tmp_path / "runs/a/model.safetensors")
    assert net.preprocessing.images == ImageForm((4, 7), colour=False)
    X = read("photos", with_targets=False, images=net.preprocessing.images).X
    run("predict runs/a photos -p --output p.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), net.predict_proba(X))
    np.save(tmp_path / "rows.npy", X)
    assert run("predict runs/a rows.npy").out.split() == net.predict(X).tolist()


def test_images_unlike_those_of_training_are_named(run, moons, tmp_path):
    run(f"train moons {FAST} --output runs/a")
    draw(tmp_path / "other" / "new", "x.png", 20, (7, 7), "RGB")
    draw(tmp_path / "other" / "full", "y.png", 200, (7, 7), "RGB")
    for line in ("predict runs/a other/new/x.png", "predict runs/a/model.safetensors other", "evaluate runs/a other"):
        said = run(line)
        assert said.code == 2
        assert (
            ".png: is 7x7 in colour, the model was trained on 6x5 in grey; "
            "images can be resized (--image-size 6x5) and read alike (--grey)" in said.err
        )
    assert run("predict runs/a other --image-size 6x5 --grey").out == "other/full/y.png,full\nother/new/x.png,new\n"
    assert "1.0000" in run("evaluate runs/a other --image-size 6x5 --grey").out
    said = run("predict runs/a other --grey")
    assert "images can be resized (--image-size 6x5)\n" in said.err


def test_a_part_of_what_was_chosen_can_be_told_otherwise(run, photos):
    run(f"train photos {FAST} --image-size 4x7 --colour --output runs/a")
    said = run("predict runs/a photos/new/00.png --grey")
    assert "is 4x7 in grey, the model was trained on 4x7 in colour; images can be read alike (--colour)" in said.err
    assert run("predict runs/a photos/new/00.png --image-size 4x7").out == "photos/new/00.png,new\n"


def test_a_model_of_idx_images_takes_image_files(run, tmp_path):
    """And an IDX folder keeps the shape of its images, for networks of images and flat ones alike."""
    random = np.random.default_rng(0)
    X = np.concatenate([random.integers(0, 60, (30, 4, 5)), random.integers(190, 250, (30, 4, 5))]).astype(np.uint8)
    (tmp_path / "idx").mkdir()
    for name, array in (("images-idx3", X), ("labels-idx1", np.repeat([3, 7], 30).astype(np.uint8))):
        head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (tmp_path / "idx" / f"train-{name}-ubyte").write_bytes(head + array.tobytes())
    thetas = []
    for k, network in enumerate(("'*/6/2'", "1x4x5/6/2", "4x5/6/2", "20/6/2")):
        assert run(f"train idx --network {network} --epochs 40 --learning-rate 0.02 -q --output runs/{k}").code == 0
        assert told(tmp_path, f"runs/{k}")["network"]["network"] == ("20/6/2" if k == 3 else "1x4x5/6/2")
        thetas.append(dr.load(tmp_path / f"runs/{k}/model.safetensors").theta.tobytes())
        Image.fromarray(X[40]).save(tmp_path / "seven.png")
        Image.fromarray(X[4]).convert("RGB").resize((50, 40)).save(tmp_path / "three.jpg")
        assert run(f"predict runs/{k} seven.png").out == "seven.png,7\n"
        assert run(f"predict runs/{k} seven.png -p").out.startswith("file,prediction,p(3),p(7)\nseven.png,7,0.")
        run(f"predict runs/{k} seven.png --output seven.npy")
        assert np.load(tmp_path / "seven.npy").tolist() == [7]
        assert "--image-size 4x5) and read alike (--grey)" in run(f"predict runs/{k} three.jpg").err
        assert run(f"predict runs/{k} three.jpg --image-size 4x5 --grey").out == "three.jpg,3\n"
    assert len(set(thetas)) == 1


def test_a_network_without_preprocessing(run, moons, tmp_path):
    dr.Network("1x6x5/2").save(tmp_path / "bare.safetensors")
    assert run("predict bare.safetensors moons/new/00.png").out.startswith("moons/new/00.png,")
    assert "the model was trained on 6x5 in grey" in run("predict bare.safetensors moons --image-size 1x2").err
    dr.Network("30/2").save(tmp_path / "flat.safetensors")
    assert run("predict flat.safetensors moons/new/00.png").code == 0


def test_a_stopped_run_reads_its_images_alike(run, photos, monkeypatch, tmp_path):
    from deltarule.engines import native

    line = "train photos --network '*/8/*' --epochs 6 --image-size 5x5 --colour -q"
    run(f"{line} --output whole")
    real, calls = native.train, []

    def stopped(*args):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(native, "train", stopped)
        assert run(f"{line} --output runs/a").code == 130
    said = run("train --resume runs/a --image-size 6x6")
    assert said.code == 2
    assert "image_size was '5x5', not '6x6'" in said.err
    assert run("train --resume runs/a -q").code == 0
    theta = [dr.load(tmp_path / folder / "model.safetensors").theta.tobytes() for folder in ("whole", "runs/a")]
    assert theta[0] == theta[1]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("train moons --image-size 32", "--image-size is height x width in pixels, such as 32x32, not '32'"),
        ("train moons --image-size 0x4", "whole numbers of pixels from 1"),
        ("train moons --image-size 99999x99999", "at most 89,478,485 together"),
        ("train moons --image-size 9999999999x1", "--image-size is height x width"),
        ("train iris --image-size 4x4", "iris: is no image file and no folder of images"),
        ("train iris --grey", "there is nothing to be in grey"),
        ("train moons --target 3", "the targets are the names of its folders"),
        ("train moons/new", "put them into one folder a class"),
        ("train moons/new/00.png", "image files alone have no targets"),
        ("train photos", "images can be resized (--image-size 6x9) and read alike (--grey or --colour)"),
        ("train photos --image-size 4x4", "images can be read alike (--grey or --colour)"),
        ("train moons --network 31/2", "expects samples of 31"),
        ("train nowhere --image-size 4x4", "there is no file, folder or embedded data set 'nowhere'"),
        ("train broken", "broken/b/cut.png: is damaged or truncated"),
        ("train moons --task regression", "regression needs numbers as targets"),
    ],
)
def test_one_clear_error(run, moons, photos, tmp_path, line, expected):
    draw(tmp_path / "broken" / "a", "whole.png", 20, (60, 60))
    draw(tmp_path / "broken" / "b", "cut.png", 20, (60, 60))
    whole = (tmp_path / "broken/b/cut.png").read_bytes()
    (tmp_path / "broken/b/cut.png").write_bytes(whole[: len(whole) // 2])
    before = sorted(tmp_path.rglob("*"))
    said = run(line)
    assert said.code == 2
    assert expected in said.err
    assert "Traceback" not in said.err
    assert sorted(tmp_path.rglob("*")) == before


def test_predictions_that_cannot_be_made(run, moons, tmp_path):
    run(f"train moons {FAST} --output runs/a")
    (tmp_path / "x.png").write_text("no image")
    np.save(tmp_path / "rows.npy", np.zeros((2, 6, 5), np.uint8))
    for line, expected in (
        ("x.png", "x.png: is no PNG or JPEG image"),
        ("moons/new/00.png rows.npy", "rows.npy: is no image file"),
        ("rows.npy --grey", "nothing to be in grey"),
        ("moons/new/00.png nowhere.png", "'nowhere.png'"),
    ):
        said = run(f"predict runs/a {line}")
        assert (said.code, said.out) == (2, "")
        assert expected in said.err
    assert run("predict runs/a rows.npy").code == 0


def test_files_that_are_passed_over_are_named(run, moons):
    (moons / "readme.txt").write_text("x")
    said = run(f"train moons {FAST}")
    assert said.code == 0
    assert said.err.count("Note: passed over what is not named .png, .jpg, .jpeg: moons/readme.txt") == 1


def test_a_changed_model_file_is_refused(run, photos, tmp_path):
    run(f"train photos {FAST} --image-size 4x7 --output runs/a --grey")
    path = tmp_path / "runs/a/model.safetensors"
    with safe_open(path, framework="numpy") as file:
        metadata, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    said = json.loads(metadata["deltarule"])
    assert said["preprocessing"]["images"] == {"size": [4, 7], "colour": False}
    for images in (
        {"size": [40000, 70000], "colour": False},
        {"size": [4, 7], "colour": True},
        {"size": [4, 7]},
        7,
        None,
    ):
        said["preprocessing"]["images"] = images
        save_file(arrays, path, metadata | {"deltarule": json.dumps(said)})
        found = run("predict runs/a photos")
        assert found.code == 2
        assert "preprocessing" in found.err
