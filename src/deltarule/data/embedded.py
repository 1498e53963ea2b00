"""The real data sets that come with scikit-learn, by name: no download."""

from __future__ import annotations

import importlib

import numpy as np

from deltarule.data.dataset import Dataset
from deltarule.errors import DataError
from deltarule.names import canonical

__all__ = ["EMBEDDED", "embedded_name", "read_embedded"]

EMBEDDED = ("digits", "iris", "wine", "breast_cancer", "diabetes")
"""The names; space, hyphen and underscore are equal in them."""


def embedded_name(source: str) -> str | None:
    """The embedded set that `source` names, or None.

    >>> embedded_name("Breast Cancer"), embedded_name("./digits")
    ('breast_cancer', None)
    """
    return {canonical(name): name for name in EMBEDDED}.get(canonical(source))


def read_embedded(name: str, *, target: str | None = None, with_targets: bool = True) -> Dataset:
    """One of scikit-learn's embedded sets: X `(m, n)` float64, t whole numbers (classes) or floats (diabetes).

    >>> read_embedded("digits").X.shape
    (1797, 64)
    """
    if target is not None and with_targets:
        raise DataError(f"{name}: has its own targets; leave out the target '{target}'")
    # scikit-learn takes a second to import, and only these names need it
    bunch = getattr(importlib.import_module("sklearn.datasets"), f"load_{name}")()
    X = np.ascontiguousarray(bunch.data, dtype=np.float64)
    names = tuple(str(feature) for feature in bunch.feature_names)
    t = np.asarray(bunch.target) if with_targets else None
    return Dataset(name, X, t, source={"kind": "embedded", "name": name}, feature_names=names)
