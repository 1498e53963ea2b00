"""One image file as an array, and the files that are none."""

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from deltarule.data import ImageForm
from deltarule.data.images import MOST_PIXELS, image_text, read_image
from deltarule.errors import DataError, HyperparameterError, MissingExtraError

AS_IT_IS = ImageForm()
RNG = np.random.default_rng(0)


def grey_of(rgb):
    """ITU-R 601: 0.299 R + 0.587 G + 0.114 B, as fixed-point numbers of 16 bits."""
    return ((rgb.astype(np.int64) @ [19595, 38470, 7471] + 0x8000) >> 16).astype(np.uint8)


def over_white(values, alpha):
    """v α + 255 (1 − α), for values `(h, w, c)` and α `(h, w)` of 0 and 255 only."""
    return np.where(alpha[..., None] == 255, values, 255)


def picture(mode, h, w, random):
    """(An image of that mode, its pixels `(h, w)` or `(h, w, 3)` as they must be read)."""
    values = random.integers(0, 256, (h, w, 3), dtype=np.uint8)
    alpha = random.choice(np.array([0, 255], np.uint8), (h, w))
    if mode == "1":
        return Image.fromarray(values[..., 0] > 127), np.where(values[..., 0] > 127, 255, 0)
    if mode == "L":
        return Image.fromarray(values[..., 0]), values[..., 0]
    if mode == "I;16":
        deep = random.integers(0, 65536, (h, w), dtype=np.uint16)
        return Image.fromarray(deep), np.floor(deep / 257 + 0.5)
    if mode == "LA":
        return Image.fromarray(np.dstack([values[..., 0], alpha])), over_white(values[..., :1], alpha)[..., 0]
    if mode == "P":
        image = Image.fromarray(values[..., 0] % 4).convert("P")
        palette = random.integers(0, 256, (4, 3), dtype=np.uint8)
        image.putpalette(palette.ravel().tolist())
        return image, palette[values[..., 0] % 4]
    if mode == "RGBA":
        return Image.fromarray(np.dstack([values, alpha])), over_white(values, alpha)
    return Image.fromarray(values), values


MODES = ["1", "L", "I;16", "LA", "P", "RGB", "RGBA"]
GREY = MODES[:4]


def png(width, height, rows=b"", depth=8, colour=0):
    """The bytes of a PNG that says these things in its header, whatever its rows are."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def encoded(image, kind="PNG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


@given(
    st.sampled_from(MODES), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32),
    st.none() | st.tuples(st.integers(1, 9), st.integers(1, 9)), st.none() | st.booleans(),
)  # fmt: skip
def test_every_mode_and_size(tmp_path_factory, mode, h, w, seed, size, colour):
    path = tmp_path_factory.getbasetemp() / "any.png"
    image, pixels = picture(mode, h, w, np.random.default_rng(seed))
    image.save(path)
    found = read_image(path, ImageForm(size, colour))
    channels = {True: 3, False: 1, None: 1 if mode in GREY else 3}[colour]
    assert found.shape == (channels, *(size or (h, w)))
    assert found.dtype == np.uint8
    if size in (None, (h, w)):
        if channels == 1 and pixels.ndim == 3:
            pixels = grey_of(pixels)
        wanted = np.broadcast_to(pixels, (channels, h, w)) if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
        np.testing.assert_array_equal(found, wanted)
    else:
        whole = read_image(path, ImageForm(colour=colour))
        low, high = whole.min(axis=(1, 2)), whole.max(axis=(1, 2))
        assert (found >= low[:, None, None]).all()
        assert (found <= high[:, None, None]).all()


def test_half_transparent_pixels_lie_over_white(tmp_path):
    Image.new("RGBA", (2, 1), (0, 100, 200, 51)).save(tmp_path / "a.png")  # α = 0.2
    assert read_image(tmp_path / "a.png", AS_IT_IS)[:, 0, 0].tolist() == [204, 224, 244]
    Image.new("LA", (2, 1), (100, 51)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", AS_IT_IS)[:, 0, 0].tolist() == [224]


@pytest.mark.parametrize(
    ("image", "clear", "wanted"),
    [
        (Image.fromarray(np.array([[7, 8]], np.uint8)), 7, [[[255, 8]]]),
        (Image.fromarray(np.array([[False, True]])), 0, [[[255, 255]]]),
        (Image.fromarray(np.array([[257 * 7, 257 * 8]], np.uint16)), 257 * 7, [[[255, 8]]]),
        (Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)), (1, 2, 3), [[[255, n]] for n in (4, 5, 6)]),
        (Image.fromarray(np.array([[0, 255]], np.uint8)).convert("P"), b"\0\xff", [[[255, 255]]] * 3),
    ],
    ids=["L", "1", "I;16", "RGB", "P"],
)  # fmt: skip
def test_a_transparent_colour_is_white(tmp_path, image, clear, wanted):
    image.save(tmp_path / "a.png", transparency=clear)
    assert read_image(tmp_path / "a.png", AS_IT_IS).tolist() == wanted


@pytest.mark.parametrize(("mode", "colour", "pixel"), [
    ("L", 77, [77]), ("RGB", (200, 30, 90), [200, 30, 90]), ("CMYK", (0, 255, 255, 0), [255, 0, 0]),
])  # fmt: skip
def test_jpeg(tmp_path, mode, colour, pixel):
    Image.new(mode, (8, 16), colour).save(tmp_path / "a.jpg", quality=95)
    found = read_image(tmp_path / "a.jpg", AS_IT_IS)
    assert found.shape == (len(pixel), 16, 8)
    assert np.abs(found.astype(int) - np.array(pixel)[:, None, None]).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_exif_is_respected(tmp_path, kind, orientation):
    """The stored pixels are the upright ones mirrored and turned, each in its way; a corner says how."""
    upright = np.full((16, 32), 255, np.uint8)
    upright[:8, :8] = 0  # black where it begins
    upright[8:, :8] = 100
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100} if kind == "JPEG" else {}
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a", kind, exif=exif, **options)
    found = read_image(tmp_path / "a", AS_IT_IS)
    assert found.shape == (1, 16, 32)
    np.testing.assert_allclose(found[0].astype(int), upright, atol=3)
    assert read_image(tmp_path / "a", ImageForm((8, 4))).shape == (1, 8, 4)


def test_shrinking_averages_and_nothing_is_cropped(tmp_path):
    board = np.indices((16, 32)).sum(axis=0) % 2 * 255
    board[:, 16:] = 255
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png", ImageForm((2, 8)))[0].astype(int)
    assert np.abs(found[:, :3] - 127.5).max() < 3
    assert (found[:, 5:] == 255).all()


def test_the_suffix_says_nothing_and_an_animation_is_its_first_picture(tmp_path):
    Image.new("L", (3, 2), 9).save(tmp_path / "a.jpg", "PNG")
    assert read_image(tmp_path / "a.jpg", AS_IT_IS).tolist() == [[[9] * 3] * 2]
    frames = [Image.new("L", (3, 2), v) for v in (5, 6, 7)]
    frames[0].save(tmp_path / "b.png", save_all=True, append_images=frames[1:])
    assert (read_image(tmp_path / "b.png", AS_IT_IS) == 5).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_no_truncation_gives_other_pixels(tmp_path, kind):
    """Either the pixels are all there (what follows them is not looked at), or the file is refused by name."""
    path = tmp_path / "cut.png"
    whole = encoded(Image.fromarray(RNG.integers(0, 256, (24, 20, 3), dtype=np.uint8)), kind)
    path.write_bytes(whole)
    pixels = read_image(path, AS_IT_IS)
    passed, complaints = [], []
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            np.testing.assert_array_equal(read_image(path, AS_IT_IS), pixels)
            passed.append(length)
        except DataError as error:
            complaints.append(str(error))
    assert all(complaint.startswith(f"{path}: is ") for complaint in complaints)
    assert min(passed, default=len(whole)) > len(whole) - 24


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello, this is text", "is no PNG or JPEG image"),
        (encoded(Image.new("L", (4, 4)), "BMP"), "is no PNG or JPEG image"),
        (encoded(Image.new("L", (4, 4)), "GIF"), "is no PNG or JPEG image"),
        (encoded(Image.new("L", (40, 40)))[:20], "is damaged or truncated"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "or one broken at its beginning"),
        (encoded(Image.new("L", (40, 40)))[:50], r"is damaged or truncated \(.*truncated.*\); fetch it again"),
        (png(5, 5, b"\0\0\0"), "is damaged or truncated"),
        (png(20_000, 20_000), "is too large to be decoded safely .*; make it smaller first"),
        (png(10_000, 10_000), r"too large to be decoded safely \(100,000,000 pixels, at most 89,478,485\)"),
        (png(2**31 - 1, 2**31 - 1), "is too large to be decoded safely"),
    ],
    ids=range(11),
)
def test_files_that_are_no_images(tmp_path, content, message):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_image(path, AS_IT_IS)
    assert str(caught.value).startswith(str(path))


def test_a_bomb_is_refused_whatever_pillow_allows(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    (tmp_path / "x.png").write_bytes(png(30_000, 30_000))
    with pytest.raises(DataError, match=r"900,000,000 pixels, at most"):
        read_image(tmp_path / "x.png", AS_IT_IS)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # a stricter limit of the user's holds too
    Image.new("L", (5, 5)).save(tmp_path / "y.png")
    with pytest.raises(DataError, match="25 pixels"):
        read_image(tmp_path / "y.png", AS_IT_IS)


@given(st.sampled_from(["PNG", "JPEG"]), st.binary(min_size=1, max_size=40), st.integers(0, 700))
def test_no_bytes_give_anything_but_an_image_or_our_error(tmp_path_factory, kind, noise, place):
    path = tmp_path_factory.getbasetemp() / "noise.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3))
    content = encoded(image, kind, exif=exif)
    path.write_bytes(content[:place] + noise + content[place + len(noise) :])
    try:
        found = read_image(path, AS_IT_IS)
    except DataError:
        return
    assert found.dtype == np.uint8
    assert found.shape[0] in (1, 3)


def test_without_pillow(tmp_path, monkeypatch):
    Image.new("L", (5, 5)).save(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"need Pillow: pip install 'deltarule\[images\]'"):
        read_image(tmp_path / "a.png", AS_IT_IS)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), "no permission to read it"),
        (OSError(5, "Input/output error"), r"cannot be read \(Input/output error\)"),
    ],
)
def test_what_the_system_refuses(tmp_path, monkeypatch, error, message):
    path = tmp_path / "a.png"
    Image.new("L", (50, 50)).save(path)

    class Broken(io.BytesIO):
        def read(self, *_):
            raise error

    for broken in (lambda *_: Broken(), lambda *_: (_ for _ in ()).throw(error)):
        monkeypatch.setattr(Path, "open", broken)
        with pytest.raises(DataError, match=message) as caught:
            read_image(path, AS_IT_IS)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "size", [(0, 5), (5, -1), (5,), (5, 5, 1), [5, 5], (5.0, 5), (True, 5), "5x5", 5, (2**40, 2**40), (MOST_PIXELS, 2)]
)
def test_sizes_that_are_none(size):
    with pytest.raises(HyperparameterError, match="the size of images is"):
        ImageForm(size)


def test_forms():
    for colour in (0, 1, "grey"):
        with pytest.raises(HyperparameterError, match="colour is True, False"):
            ImageForm(colour=colour)
    assert str(AS_IT_IS) == "as they are"
    assert str(ImageForm((2, 3), True)) == "resized to 2x3, in colour"
    assert image_text((3, 2, 5)) == "2x5 in colour"
    assert ImageForm((MOST_PIXELS, 1)).size == (MOST_PIXELS, 1)
