"""A data set as it was read: raw inputs, raw targets, where they came from, and a fingerprint of the content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.data.checks import chunks
from deltarule.data.table import Inputs, Table
from deltarule.errors import DataError

__all__ = ["Dataset", "fingerprint"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Raw data: nothing is scaled, encoded or split here.

    Args:
        name: short, for the default run folder: "digits", the stem of a file, the name of a folder.
        X: rows `(m, …)` of float32, float64 or uint8, perhaps memory-mapped; or a `Table`.
        t: targets `(m,)` (whole numbers, floats, words) or `(m, K)`; None in rows to predict.
        test: the data's own test split, (X, t).
        source: what `read` was given, resolved: kind, absolute path, target. It can be written as JSON or TOML.
        feature_names: one name a column where the data names them.
        files: the file of each row, where rows are image files.
        lengths, test_lengths: of sequences, `(m,)`: how many of their steps there are; None: all.

    Raises:
        DataError: no rows, or another number of targets than rows.

    >>> data = Dataset("two", np.eye(2), np.array([0, 1]))
    >>> len(data), data.fingerprint()[:8]
    (2, 'd003688a')
    """

    name: str
    X: Inputs
    t: NDArray[Any] | None = None
    test: tuple[Inputs, NDArray[Any] | None] | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    feature_names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    lengths: NDArray[Any] | None = None
    test_lengths: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        for part, X, t in ((self.name, self.X, self.t), (f"{self.name} (test split)", *(self.test or (None, None)))):
            if X is not None and len(X) == 0:
                raise DataError(f"{part}: has no rows; at least one is needed")
            if X is not None and t is not None and len(X) != len(t):
                raise DataError(f"{part}: has {len(X)} rows and {len(t)} targets; make them equal")

    def __len__(self) -> int:
        """The number of rows, those of the test split not counted."""
        return len(self.X)

    @property
    def targets(self) -> NDArray[Any]:
        """The targets, where the data must have them."""
        if self.t is None:
            raise DataError(f"{self.name}: has no targets, and they are needed here")
        return self.t

    def fingerprint(self) -> str:
        """SHA-256 (hex) over inputs, targets and test split, and lengths where there are; see `fingerprint`."""
        lengths = [n for n in (self.lengths, self.test_lengths) if n is not None]
        return fingerprint(self.X, self.t, *(self.test or ()), *lengths)


def fingerprint(*parts: Inputs | None) -> str:
    """SHA-256 (hex) over shapes, types and content: the same in memory or mapped, in any byte order."""
    digest = hashlib.sha256()
    for part in parts:
        _update(digest, part)
    return digest.hexdigest()


def _update(digest: Any, part: Inputs | None) -> None:
    if part is None:
        digest.update(b"none;")
    elif isinstance(part, Table):
        digest.update(f"table {len(part)} {len(part.names)};".encode())
        for name, cells in part.columns.items():
            _update_words(digest, np.array([name], dtype=object))
            _update_words(digest, cells)
    else:
        words = part.dtype.kind in "OU"
        digest.update(f"{'words' if words else part.dtype.name} {part.shape};".encode())
        for _, rows in chunks(part):
            if words:
                _update_words(digest, rows.ravel())
            else:
                digest.update(np.ascontiguousarray(rows, rows.dtype.newbyteorder("<")).view(np.uint8).data)


def _update_words(digest: Any, words: NDArray[Any]) -> None:
    """Every word with its length before it, so that ("ab", "c") and ("a", "bc") differ."""
    for word in words.tolist():
        content = str(word).encode("utf-8", "surrogatepass")
        digest.update(f"{len(content)}:".encode() + content)
