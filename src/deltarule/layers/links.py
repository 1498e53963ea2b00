"""Link tables: which maps of a convolution are connected to which maps below.

A table T has a row for each map and a column for each map below; T_oc = 1 where they are connected. The weights of the
links there are lie behind one another in the order of the table, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.arrays import Array, namespace
from deltarule.errors import HyperparameterError, ShapeError
from deltarule.names import find

__all__ = ["MOST_LINKS", "NAMED", "LinkTable", "Links", "links"]

Links = str | tuple[tuple[int, ...], ...]

MOST_LINKS = 2**14  # entries of a table: it is written out in the network's text

_LENET5 = "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345"
NAMED: dict[str, tuple[tuple[int, ...], ...]] = {
    "lenet5": tuple(tuple(int(str(c) in below) for c in range(6)) for below in _LENET5.split())
}
"""C3's links to S2 in LeNet-5: Table I of LeCun et al. (1998)."""


def links(value: Any) -> Links:
    """A table's name, or the table as a tuple of rows."""
    if isinstance(value, str):
        return find("link table", value, NAMED)
    try:
        table = np.array(value)
    except ValueError:
        raise ShapeError("a link table has rows of the same length, one for each map") from None
    if table.ndim != 2 or not table.size:
        raise ShapeError(f"a link table is (maps, channels), not of shape {table.shape}")
    if table.size > MOST_LINKS:
        raise HyperparameterError(f"a link table has at most {MOST_LINKS:,} entries, this one has {table.size:,}")
    if table.dtype.kind not in "biuf" or not np.isin(table, (0, 1)).all():
        raise HyperparameterError("a link table holds 1 where two maps are connected, and 0 elsewhere")
    return tuple(tuple(int(n) for n in row) for row in table)


class LinkTable(NamedTuple):
    """A table that fits its layer: where each link's kernel stands among all (map, channel)."""

    shape: tuple[int, int]
    places: NDArray[np.int64]  # of the links, in θ's order
    numbers: NDArray[np.int64]  # of each place: its link, or `total` where there is none
    fans: tuple[int, ...]  # how many links each map has

    @property
    def total(self) -> int:
        """How many links there are."""
        return len(self.places)

    @staticmethod
    def of(value: Links, maps: int, channels: int) -> LinkTable:
        """The table of a layer of so many maps over so many channels; unfitting ones are refused."""
        return _table(value, maps, channels)

    def scatter(self, W: Array) -> Array:
        """W `(links, rows, columns)` → `(maps, channels, rows, columns)`, 0 where there is no link."""
        xp = namespace(W)
        with_none = xp.concat([W, xp.zeros((1, *W.shape[1:]), dtype=W.dtype)])
        return xp.reshape(xp.take(with_none, xp.asarray(self.numbers), axis=0), (*self.shape, *W.shape[1:]))

    def gather(self, full: Array) -> Array:
        """The transpose of `scatter`: the kernels of the links there are."""
        xp = namespace(full)
        kernels = xp.reshape(full, (self.shape[0] * self.shape[1], *full.shape[2:]))
        return xp.take(kernels, xp.asarray(self.places), axis=0)


@lru_cache(maxsize=64)
def _table(value: Links, maps: int, channels: int) -> LinkTable:
    rows: Sequence[Sequence[int]] = NAMED[value] if isinstance(value, str) else value
    table = np.array(rows)
    if table.shape != (maps, channels):
        raise ShapeError(
            f"the link table has {table.shape[0]} maps over {table.shape[1]} channels, the layer {maps} over {channels}"
        )
    for axis, what in ((1, "map"), (0, "channel")):
        if (alone := np.flatnonzero(table.sum(axis=axis) == 0)).size:
            raise HyperparameterError(f"the link table connects {what} {alone[0]} to nothing")
    places = np.flatnonzero(table)
    numbers = np.full(table.size, len(places))
    numbers[places] = np.arange(len(places))
    return LinkTable((maps, channels), places, numbers, tuple(table.sum(axis=1).tolist()))
