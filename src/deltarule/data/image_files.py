"""Folders of images, one folder a class, and image files as rows to predict: uint8 `(m, channels, height, width)`.

    pets/cat/*.png    the class "cat"       sorted by class (whole numbers as numbers), then by file name
    pets/dog/*.jpg    the class "dog"

Links are followed. Hidden names (.DS_Store) are passed over; other files than .png, .jpg, .jpeg too, with a warning.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.data.checks import MISSING, reading
from deltarule.data.dataset import Dataset
from deltarule.data.idx import is_idx_name
from deltarule.data.images import ImageForm, read_image, unlike
from deltarule.data.targets import in_order
from deltarule.errors import DataError

__all__ = ["SUFFIXES", "holds_images", "read_images"]

SUFFIXES = (".png", ".jpg", ".jpeg")


class _Listing(NamedTuple):
    """What a folder shows, each by name."""

    folders: list[Path]
    images: list[Path]
    others: list[Path]

    def __str__(self) -> str:
        names = [path.name for part in self for path in part]
        return ", ".join(names[:3]) + (" …" if len(names) > 3 else "") or "nothing"


def holds_images(folder: Path) -> bool:
    """Whether a folder is one of images: it has some, or folders, and no IDX files."""
    with reading(folder):
        seen = [path for path in folder.iterdir() if not path.name.startswith(".")]
        if any(is_idx_name(path.name) and path.is_file() for path in seen):
            return False
        return any(path.suffix.lower() in SUFFIXES or path.is_dir() for path in seen)


def read_images(
    paths: Sequence[Path], *, target: str | None = None, with_targets: bool = True, images: ImageForm | None = None
) -> Dataset:
    """One folder with a folder a class, whose names are the targets; without targets image files and folders of them.

    Raises:
        DataError: images of several sizes or modes, a file that is no image, a folder that is laid out otherwise.
    """
    form, t = ImageForm() if images is None else images, None
    if with_targets:
        classes, others = _labelled(paths, target)
        files = [file for found in classes.values() for file in found]
        t = np.repeat(list(classes), [len(found) for found in classes.values()])
    else:
        files, others = _rows(paths)
    if others:
        named = ", ".join(map(str, others[:5])) + (f" and {len(others) - 5:,} more" if len(others) > 5 else "")
        warnings.warn(f"passed over what is not named {', '.join(SUFFIXES)}: {named}", UserWarning, stacklevel=3)
    asked = {key: value for key, value in form.to_json().items() if value is not None}
    source = {"kind": "images", "path": str(paths[0].absolute())} | asked
    name = paths[0].resolve().name if paths[0].is_dir() else paths[0].stem
    return Dataset(name or "data", _filled(files, form), t, source=source, files=tuple(_shown(str(f)) for f in files))


def _filled(files: Sequence[Path], form: ImageForm) -> NDArray[np.uint8]:
    """The pixels of all files in one array, which is filled image by image: nothing is held twice."""
    first = read_image(files[0], form)
    try:
        X = np.empty((len(files), *first.shape), np.uint8)
    except MemoryError:
        need = f"{len(files) * first.size / 2**30:,.1f} GiB"
        raise DataError(
            f"{len(files):,} images such as {files[0]} take {need}, more than there is; resize them (--image-size)"
        ) from None
    X[0] = first
    for row, file in enumerate(files[1:], 1):
        image = read_image(file, form)
        if image.shape != first.shape:
            raise unlike(str(file), image.shape, f"{files[0]} is", first.shape, "--grey or --colour")
        X[row] = image
    return X


def _rows(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """(Image files and those of folders, class by class where there are classes; the files passed over)."""
    files: list[Path] = []
    others: list[Path] = []
    for path in paths:
        if path.is_dir():
            classes, more = _by_class(path)
            files += [file for found in classes.values() for file in found]
            others += more
        else:
            files.append(path)
    return files, others


def _labelled(paths: Sequence[Path], target: str | None) -> tuple[dict[str, list[Path]], list[Path]]:
    """Class → its files, of which there are two or more; and the files that are passed over."""
    folder = paths[0]
    if len(paths) > 1 or not folder.is_dir():
        raise DataError(f"{folder}: image files alone have no targets; name a folder that has one folder a class")
    if target is not None:
        raise DataError(f"{folder}: the targets are the names of its folders; leave out the target '{target}'")
    classes, others = _by_class(folder)
    if "" in classes:
        raise DataError(f"{folder}: holds images and no folders; put them into one folder a class")
    if len(classes) < 2:
        raise DataError(f"{folder}: has one class, the folder '{next(iter(classes))}'; a classifier needs two or more")
    return classes, others


def _by_class(folder: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """(Class → its image files, in order; the files passed over); "" is the class of a folder without folders."""
    top = _listing(folder)
    if top.folders and top.images:
        raise DataError(
            f"{folder}: holds images ({top.images[0].name}) beside folders ({top.folders[0].name}); "
            "move every image into the folder of its class"
        )
    if not top.folders:
        if not top.images:
            raise DataError(f"{folder}: holds no images ({', '.join(SUFFIXES)}); it holds {top}")
        return {"": top.images}, top.others
    classes, others = {}, top.others
    for name in in_order(_class_name(path) for path in top.folders):
        inside = _listing(folder / name)
        if inside.folders:
            raise DataError(
                f"{folder / name}: holds a folder ({inside.folders[0].name}), where images of one class are expected; "
                "name the folder whose folders are the classes"
            )
        if not inside.images:
            raise DataError(
                f"{folder / name}: holds no images ({', '.join(SUFFIXES)}); it holds {inside}; every folder is a "
                "class, so fill or remove it"
            )
        classes[name] = inside.images
        others += inside.others
    return classes, others


def _class_name(folder: Path) -> str:
    name = folder.name
    if name.strip() in MISSING:
        raise DataError(f"{folder}: '{name}' stands for a missing value and cannot be a class; rename the folder")
    if _shown(name) != name:
        raise DataError(f"{_shown(str(folder))}: the name of the folder is not UTF-8, and it is a class; rename it")
    return name


def _listing(folder: Path) -> _Listing:
    found = _Listing([], [], [])
    with reading(folder):
        for path in sorted(folder.iterdir(), key=lambda path: path.name):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                found.folders.append(path)
            elif path.is_file():
                (found.images if path.suffix.lower() in SUFFIXES else found.others).append(path)
            else:
                kind = "a link that leads nowhere" if path.is_symlink() else "neither a file nor a folder"
                raise DataError(f"{path}: is {kind}; remove it")
    return found


def _shown(name: str) -> str:
    """A name that can be printed, whatever its bytes are."""
    return os.fsencode(name).decode("utf-8", "replace")
