"""`read`: what a user names, an embedded set, a folder or a file, becomes a data set."""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from deltarule.data.array_files import read_npy, read_npz
from deltarule.data.checks import reading
from deltarule.data.csv_files import read_csv
from deltarule.data.dataset import Dataset
from deltarule.data.embedded import EMBEDDED, embedded_name, read_embedded
from deltarule.data.idx import looks_like_idx, read_idx_file, read_idx_folder
from deltarule.data.image_files import SUFFIXES, holds_images, read_images
from deltarule.data.images import ImageForm
from deltarule.data.text import Text
from deltarule.errors import DataError

__all__ = ["Source", "is_images", "is_text", "locate", "read", "read_text"]

TEXT = ".txt"

Source: TypeAlias = str | Path | Sequence[str | Path]
"""What can be read: the name of an embedded set, a file, a folder; or several files and folders of images."""

_READERS: dict[str, Callable[..., Dataset]] = {".npz": read_npz, ".npy": read_npy, ".csv": read_csv, ".tsv": read_csv}


def read(
    source: Source,
    *,
    target: str | None = None,
    with_targets: bool = True,
    images: ImageForm | None = None,
    of_sequences: bool = False,
) -> Dataset:
    """The data set that `source` names.

    Args:
        source: an embedded set (digits, iris, wine, breast_cancer, diabetes); a folder of IDX files under MNIST's
            names, whose `t10k-*` is the test split; an IDX file; `.npz`; `.npy`; `.csv` or `.tsv`; a folder that has
            one folder a class with `.png` and `.jpg` images; or, without targets, image files and folders of them, one
            or several. A name of an embedded set wins over a file of that name (with a warning); `./digits` or a Path
            is always a file.
        target: CSV: the target's column, by name or number; `.npy`: the number of a column or another `.npy` file;
            `.npz`: the name of the targets' array; an IDX file: the file of the labels. None elsewhere.
        with_targets: False reads rows to predict, whose t is None; then a missing target is no error.
        images: image files: their size, and whether in colour or grey. None: as they are, and all must be alike.
        of_sequences: the rows of an `.npz` file are sequences, `(m, T, n)` or tokens `(m, T)`, with `lengths` beside.

    Returns:
        The data set, raw: X `(m, …)` or a `Table`, t `(m,)` or `(m, K)`. X of images is uint8 `(m, channels, height,
        width)`.

    Raises:
        DataError: whatever is wrong with the data, naming file, row and column.
        MissingExtraError: images without Pillow.

    >>> data = read("iris")
    >>> data.name, data.X.shape, data.t.shape
    ('iris', (150, 4), (150,))
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    if not sources or not str(sources[0]).strip():
        raise DataError(f"no data are named (embedded: {', '.join(EMBEDDED)})")
    for each in sources:
        _check_there(each)
    if not of_sequences and (len(sources) > 1 or is_images(sources[0])):
        return read_images(_images(sources), target=target, with_targets=with_targets, images=images)
    source, path = sources[0], Path(sources[0])
    if of_sequences:
        if len(sources) > 1 or images is not None or path.suffix.lower() != ".npz":
            raise DataError(f"{source}: sequences are read from .npz (X, t, and lengths), and texts from .txt")
        return read_npz(path, target=target, with_targets=with_targets, of_sequences=True)
    if images is not None:
        raise DataError(f"{source}: is no image file and no folder of images, so there is nothing to be {images}")
    name = _embedded(source)
    if name is not None:
        if path.exists():
            message = f"'{source}' is the embedded data set; write .{os.sep}{source} for what is in this folder"
            warnings.warn(message, UserWarning, stacklevel=2)
        return read_embedded(name, target=target, with_targets=with_targets)
    return _reader(path)(path, target=target, with_targets=with_targets)


def _embedded(source: str | Path) -> str | None:
    return embedded_name(source) if isinstance(source, str) else None


def _check_there(source: str | Path) -> None:
    path = Path(source)
    with reading(path):
        if _embedded(source) is None and not path.is_dir() and not path.is_file():
            raise DataError(_absent(str(source), path))


def _reader(path: Path) -> Callable[..., Dataset]:
    with reading(path):
        if path.is_dir():
            return read_idx_folder
    reader = _READERS.get(path.suffix.lower())
    if reader is None and looks_like_idx(path):
        reader = read_idx_file
    if reader is None:
        raise DataError(
            f"{path}: is of no kind that deltarule reads: .csv, .tsv, .npz, .npy, IDX (…-idx3-ubyte, .gz or not), "
            ".png, .jpg, .jpeg, or a folder of IDX files or of images; a text (.txt) is for a network over seq"
        )
    return reader


def is_images(source: Source) -> bool:
    """Whether `read` takes `source` for images: files by their suffix, folders by what they hold.

    >>> is_images("iris"), is_images("nowhere.png")
    (False, False)
    """
    if not isinstance(source, str | Path):
        return all(map(is_images, source))
    if not str(source).strip() or _embedded(source) is not None:
        return False
    path = Path(source)
    with reading(path):
        return holds_images(path) if path.is_dir() else path.is_file() and path.suffix.lower() in SUFFIXES


def is_text(source: Source, others: bool = False) -> bool:
    """Whether a source is a text by its suffix; or with `others` any file that no reader of rows knows.

    >>> is_text("book.txt"), is_text("digits"), is_text("rows.csv", others=True)
    (True, False, False)
    """
    if not isinstance(source, str | Path):
        return False
    path = Path(source)
    if path.suffix.lower() == TEXT or not others:
        return path.suffix.lower() == TEXT
    return path.is_file() and path.suffix.lower() not in (*_READERS, *SUFFIXES) and not looks_like_idx(path)


def read_text(source: Source) -> Text:
    """The text that `source` names, a file of UTF-8; one of another kind is refused by name."""
    path = Path(source) if isinstance(source, str | Path) else None
    if path is None or (path.suffix.lower() != TEXT and path.exists() and not is_text(path, others=True)):
        raise DataError(f"{source}: is no text; a network over characters takes one file of UTF-8, such as book.txt")
    return Text.read(path)


def _images(sources: Sequence[str | Path]) -> list[Path]:
    """The paths of sources that are images all."""
    for source in sources:
        if not is_images(source):
            raise DataError(f"{source}: is no image file and no folder of images; other data are read one by one")
    return [Path(source) for source in sources]


def locate(source: str, target: str | None) -> tuple[str, str, str | None]:
    """(A short name, the source and the target) of data that need not be there yet; files by their absolute paths."""
    name = embedded_name(source)
    if name is not None:
        return name, name, target
    if not source.strip() or "\0" in source:
        raise DataError(f"no data can be named {source!r}")
    path = Path(os.path.abspath(source))
    suffix = path.suffix.lower()
    column = suffix in (".csv", ".tsv", ".npz") or (target or "").lstrip("-").isdecimal()
    if target is not None and not column and os.path.isfile(target):
        target = os.path.abspath(target)
    stem = suffix in (*_READERS, *SUFFIXES, TEXT)
    return (path.stem if stem else path.name.removesuffix(".gz")) or "data", str(path), target


def _absent(source: str, path: Path) -> str:
    if path.exists():
        return f"{source}: is neither a file nor a folder"
    near = difflib.get_close_matches(source.lower().replace("-", "_"), EMBEDDED, n=1, cutoff=0.6)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"there is no file, folder or embedded data set '{source}'{hint} (embedded: {', '.join(EMBEDDED)})"
