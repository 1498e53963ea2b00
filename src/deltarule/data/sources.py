"""`read`: what a user names, an embedded set, a folder or a file, becomes a data set."""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Callable
from pathlib import Path

from deltarule.data.array_files import read_npy, read_npz
from deltarule.data.checks import reading
from deltarule.data.csv_files import read_csv
from deltarule.data.dataset import Dataset
from deltarule.data.embedded import EMBEDDED, embedded_name, read_embedded
from deltarule.data.idx import looks_like_idx, read_idx_file, read_idx_folder
from deltarule.errors import DataError

__all__ = ["locate", "read"]

_READERS: dict[str, Callable[..., Dataset]] = {".npz": read_npz, ".npy": read_npy, ".csv": read_csv, ".tsv": read_csv}


def read(source: str | Path, *, target: str | None = None, with_targets: bool = True) -> Dataset:
    """The data set that `source` names.

    Args:
        source: an embedded set (digits, iris, wine, breast_cancer, diabetes); a folder of IDX files under MNIST's
            names, whose `t10k-*` is the test split; an IDX file; `.npz`; `.npy`; `.csv` or `.tsv`. A name of an
            embedded set wins over a file of that name (with a warning); `./digits` or a Path is always a file.
        target: CSV: the target's column, by name or number; `.npy`: the number of a column or another `.npy` file;
            `.npz`: the name of the targets' array; an IDX file: the file of the labels. None elsewhere.
        with_targets: False reads rows to predict, whose t is None; then a missing target is no error.

    Returns:
        The data set, raw: X `(m, …)` or a `Table`, t `(m,)` or `(m, K)`.

    Raises:
        DataError: whatever is wrong with the data, naming file, row and column.

    >>> data = read("iris")
    >>> data.name, data.X.shape, data.t.shape
    ('iris', (150, 4), (150,))
    """
    if not str(source).strip():
        raise DataError(f"no data are named (embedded: {', '.join(EMBEDDED)})")
    name = embedded_name(source) if isinstance(source, str) else None
    if name is not None:
        if os.path.exists(source):
            message = f"'{source}' is the embedded data set; write .{os.sep}{source} for what is in this folder"
            warnings.warn(message, UserWarning, stacklevel=2)
        return read_embedded(name, target=target, with_targets=with_targets)
    path = Path(source)
    with reading(path):
        if path.is_dir() and str(source):
            return read_idx_folder(path, target=target, with_targets=with_targets)
        if not path.is_file():
            raise DataError(_absent(str(source), path))
    reader = _READERS.get(path.suffix.lower())
    if reader is None and looks_like_idx(path):
        reader = read_idx_file
    if reader is None:
        raise DataError(
            f"{path}: is of no kind that deltarule reads: .csv, .tsv, .npz, .npy, IDX (…-idx3-ubyte, .gz or not), "
            "or a folder of IDX files"
        )
    return reader(path, target=target, with_targets=with_targets)


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
    return (path.stem if suffix in _READERS else path.name.removesuffix(".gz")) or "data", str(path), target


def _absent(source: str, path: Path) -> str:
    if path.exists():
        return f"{source}: is neither a file nor a folder"
    near = difflib.get_close_matches(source.lower().replace("-", "_"), EMBEDDED, n=1, cutoff=0.6)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"there is no file, folder or embedded data set '{source}'{hint} (embedded: {', '.join(EMBEDDED)})"
