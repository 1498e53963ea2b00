"""`load`: a network from a model file, every field and array held against what it must be before it is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deltarule import files
from deltarule.architecture import Architecture
from deltarule.data.preprocessing import Preprocessing
from deltarule.errors import FileFormatError, HyperparameterError, ShapeError
from deltarule.network import Network

__all__ = ["load"]

PREFIX = "preprocessing."  # of its arrays
FIELDS: dict[str, tuple[type, ...]] = {
    "format": (int,), "version": (str,), "network": (str,), "cost": (str,), "dtype": (str,), "multilabel": (bool,),
    "seed": (int,), "preprocessing": (dict, type(None)),
}  # fmt: skip


def load(path: str | Path) -> Network:
    """The network in a model file. Only built-in layers are named there; reading executes nothing.

    Raises:
        FileFormatError: the file is absent, corrupt, foreign, or of a newer format.
    """
    arrays, found = files.read(path)
    wanted = FIELDS | {name: (str,) for name in ("time", "vocabulary") if name in found}  # of sequences alone
    meta = files.fields(f"{path}: metadata", found, wanted)
    extra = set() if meta["preprocessing"] is None else {k for k in arrays if k.startswith(PREFIX)}
    own = {k: a for k, a in arrays.items() if k not in extra}
    try:
        if meta["dtype"] not in ("float32", "float64"):
            raise FileFormatError(f"dtype is 'float32' or 'float64', not '{meta['dtype']}'")
        shape = Architecture(meta["network"], cost=meta["cost"], time=meta.get("time", "mean"))
        files.check_arrays({s.key: s.shape for s in shape.slots}, own, np.dtype(meta["dtype"]))
        before = None
        if meta["preprocessing"] is not None:
            own_arrays = {k.removeprefix(PREFIX): arrays[k] for k in extra}
            before = Preprocessing.from_json(meta["preprocessing"], own_arrays)
        return Network.stored(
            shape, own, dtype=meta["dtype"], multilabel=meta["multilabel"], seed=meta["seed"], preprocessing=before,
            vocabulary=meta.get("vocabulary"),
        )  # fmt: skip
    except (HyperparameterError, ShapeError, FileFormatError, ValueError) as error:
        raise FileFormatError(f"{path}: {error}") from None
