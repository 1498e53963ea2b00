"""Image files on the command line: the options, and how what was chosen at training serves other files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from deltarule.data import Dataset, ImageForm
from deltarule.data.images import unlike
from deltarule.data.sources import is_images, read
from deltarule.errors import HyperparameterError
from deltarule.network import Network

__all__ = ["ColourOption", "ImageSizeOption", "image_form", "read_for"]

ImageSizeOption = Annotated[
    str | None,
    typer.Option(
        metavar="HxW",
        help="Stretch image files to this height x width, such as 32x32.",
        show_default="as they are, or as at training",
    ),
]
ColourOption = Annotated[
    bool | None,
    typer.Option(
        "--colour/--grey", help="Read image files in colour, or in grey.", show_default="as they are, or as at training"
    ),
]


def image_form(size: str | None, colour: bool | None, trained: ImageForm | None = None) -> ImageForm | None:
    """What the options ask of image files; what they leave open is as it was at training.

    >>> image_form(None, False, ImageForm((28, 30)))
    ImageForm(size=(28, 30), colour=False)
    """
    if size is None and colour is None:
        return trained
    trained = ImageForm() if trained is None else trained
    return ImageForm(trained.size if size is None else _size(size), trained.colour if colour is None else colour)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,9})x([0-9]{1,9})", text.strip())
    if found is None:
        raise HyperparameterError(f"--image-size is height x width in pixels, such as 32x32, not '{text}'")
    return int(found[1]), int(found[2])


def read_for(
    net: Network,
    source: str | Sequence[str],
    size: str | None,
    colour: bool | None,
    *,
    target: str | None,
    with_targets: bool = True,
) -> Dataset:
    """Data for a trained network: image files are read as those of its training, unless the options say otherwise."""
    pre = net.preprocessing
    if net.input_shape[0] is None:
        return read(source, target=target, with_targets=with_targets, of_sequences=True)
    trained = pre.images if pre is not None and is_images(source) else None
    data = read(source, target=target, with_targets=with_targets, images=image_form(size, colour, trained))
    if data.files:
        _check_fit(data, net.input_shape if pre is None else pre.input_shape)
    return data


def _check_fit(data: Dataset, shape: tuple[int | None, ...]) -> None:
    """Images of another size or mode than the network's are refused by the name of a file."""
    found = data.X.shape[1:]  # type: ignore[union-attr]
    known = tuple(n for n in shape if n is not None)
    wanted = (1, *known) if len(known) == 2 else known
    if len(known) == len(shape) and len(wanted) == 3 and wanted[0] in (1, 3) and found != wanted:
        mode = "--grey" if wanted[0] == 1 else "--colour"
        raise unlike(data.files[0], found, "the model was trained on", wanted, mode)
