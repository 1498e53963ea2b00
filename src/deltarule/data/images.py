"""One image file as an array: PNG or JPEG through Pillow, upright, in grey or in red, green and blue.

    in the file                                     in the array, uint8
    grey of 1, 2, 4, 8 bits                         grey (1, height, width), 0 black … 255 white
    grey of 16 bits                                 grey, v/257 rounded
    palette, RGB, CMYK, 16-bit grey with alpha      red, green, blue (3, height, width)
    with an alpha channel or a transparent colour   laid over white

A file is untrusted: its size is known and bounded before a pixel is decoded, and whatever Pillow trips over is an error
that names the file.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.data.checks import reading
from deltarule.errors import DataError, HyperparameterError, MissingExtraError

__all__ = ["MOST_PIXELS", "ImageForm", "image_text", "read_image", "unlike"]

MOST_PIXELS = 89_478_485
"""Of one image, as Pillow has it: a quarter of a GiB at three bytes a pixel."""

_ORIENTATION = 0x0112  # EXIF's tag
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE",
    8: "ROTATE_90",
}  # fmt: skip


@dataclass(frozen=True)
class ImageForm:
    """What image files are made into before they are rows; None leaves them as they are.

    Args:
        size: (height, width) in pixels, to which every image is stretched (bilinear, averaging where it shrinks).
        colour: True gives every image three channels, red, green, blue; False one, grey: 0.299 R + 0.587 G + 0.114 B.

    Raises:
        HyperparameterError: a size that is not two whole numbers, or of more pixels than are read of an image.

    >>> str(ImageForm((28, 28), colour=False))
    'resized to 28x28, in grey'
    """

    size: tuple[int, int] | None = None
    colour: bool | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not _is_size(self.size):
            raise HyperparameterError(
                f"the size of images is (height, width), whole numbers of pixels from 1, at most {MOST_PIXELS:,} "
                f"together, not {self.size!r:.60}"
            )
        if not isinstance(self.colour, bool | None):
            raise HyperparameterError(f"colour is True, False (grey) or None (as it is), not {self.colour!r:.60}")

    def __str__(self) -> str:
        resized = [] if self.size is None else [f"resized to {self.size[0]}x{self.size[1]}"]
        return ", ".join(resized + {True: ["in colour"], False: ["in grey"], None: []}[self.colour]) or "as they are"

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"size": None if self.size is None else list(self.size), "colour": self.colour}


def _is_size(size: Any) -> bool:
    whole = isinstance(size, tuple) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)
    return whole and size[0] * size[1] <= MOST_PIXELS


def image_text(shape: tuple[int, ...]) -> str:
    """(1, 28, 30) → 28x30 in grey: height and width as the network grammar has them."""
    channels, height, width = shape
    return f"{height}x{width} in {'grey' if channels == 1 else 'colour'}"


def unlike(file: str, found: tuple[int, ...], what: str, wanted: tuple[int, ...], modes: str) -> DataError:
    """The error for an image of another shape (channels, height, width) than is wanted, with the options that help."""
    remedies = [f"resized (--image-size {wanted[1]}x{wanted[2]})"] if found[1:] != wanted[1:] else []
    remedies += [f"read alike ({modes})"] if found[0] != wanted[0] else []
    return DataError(
        f"{file}: is {image_text(found)}, {what} {image_text(wanted)}; images can be {' and '.join(remedies)}"
    )


def read_image(path: Path, form: ImageForm) -> NDArray[np.uint8]:
    """The pixels of a file, `(1 or 3, height, width)`; of an animated PNG those of its first picture.

    Raises:
        DataError: no PNG and no JPEG, a damaged or truncated file, too many pixels.
        MissingExtraError: Pillow is not installed.
    """
    pillow = _pillow()
    with reading(path), path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd EXIF; what spoils pixels is an error
        try:
            with pillow.open(file, formats=("PNG", "JPEG")) as image:
                if (pixels := image.width * image.height) > MOST_PIXELS:
                    raise pillow.DecompressionBombError(f"{pixels:,} pixels, at most {MOST_PIXELS:,}")
                return _converted(image, form, pillow)
        except Exception as error:  # Pillow's parsers let nearly anything through
            if getattr(error, "errno", None) is not None:  # the operating system's own word
                raise
            raise DataError(f"{path}: {_fault(error, path, pillow)}") from None


def _pillow() -> Any:
    try:
        return importlib.import_module("PIL.Image")  # only who reads images pays for it
    except ImportError:
        raise MissingExtraError("image files need Pillow: pip install 'deltarule[images]'") from None


def _fault(error: Exception, path: Path, pillow: Any) -> str:
    said = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, pillow.DecompressionBombError):
        return f"is too large to be decoded safely ({said}); make it smaller first"
    if isinstance(error, pillow.UnidentifiedImageError):
        return "is no PNG or JPEG image, or one broken at its beginning" if path.stat().st_size else "is empty"
    if isinstance(error, MemoryError):
        return "needs more memory than there is to be decoded; make it smaller first"
    return f"is damaged or truncated ({said}); fetch it again, or remove it"


def _converted(image: Any, form: ImageForm, pillow: Any) -> NDArray[np.uint8]:
    turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    plain = _plain(image, pillow)
    if form.colour is not None:
        plain = plain.convert("RGB" if form.colour else "L")
    if turn is not None:
        plain = plain.transpose(pillow.Transpose[turn])
    if form.size is not None and plain.size != form.size[::-1]:
        plain = plain.resize(form.size[::-1], pillow.Resampling.BILINEAR)
    array: NDArray[np.uint8] = np.asarray(plain)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _plain(image: Any, pillow: Any) -> Any:
    """The image in mode L or RGB, by its kind and not its content: grey pixels of a palette are colours."""
    info: Mapping[str, Any] = image.info
    if image.mode.startswith("I"):  # grey of 16 bits, which Pillow would cut off or shift
        values = np.asarray(image).astype(np.uint32)
        values = np.where(values == info.get("transparency"), 65535, values)
        return pillow.fromarray(((values + 128) // 257).astype(np.uint8))
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if image.has_transparency_data:
        white = pillow.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return image.convert(mode)
