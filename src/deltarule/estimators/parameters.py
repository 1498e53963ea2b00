"""coefs_ and intercepts_, scikit-learn's lists of arrays `(in, out)` and `(out,)`, as one θ and its network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import engines
from deltarule.architecture import Architecture
from deltarule.estimators import sparse
from deltarule.estimators.samples import dense_rows, stretches, thin

__all__ = ["Best", "Parameters"]

Arrays = Sequence[NDArray[Any]]


class Best(NamedTuple):
    """The θ that did best, at what, and after how many epochs."""

    value: float
    epoch: int
    theta: NDArray[Any]


class Parameters:
    """θ of a dense network, and the lists of which every array is a view of it.

    W `(out, in)` lies row by row in θ, so that its transpose, a coefficient matrix, is a view in Fortran's order. Users
    may put other arrays into the lists: then `theta_of` reads them.
    """

    def __init__(self, net: Architecture, coefs: Arrays, intercepts: Arrays) -> None:
        self.net = net
        self.theta: NDArray[Any] = np.empty(net.size, _dtype(coefs, intercepts))
        self.coefs, self.intercepts = self.views(self.theta)
        _copy((self.coefs, self.intercepts), (coefs, intercepts))

    def views(self, theta: NDArray[Any]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """The lists over some θ."""
        layers = [p for p in self.net.split(theta) if p]
        return [p["W"].T for p in layers], [p["b"] for p in layers]

    def fits(self, coefs: Arrays, intercepts: Arrays) -> bool:
        """Whether these are its own arrays, or others of their shapes and type."""
        return self.holds(coefs, intercepts) or (
            [c.shape for c in coefs] == [c.shape for c in self.coefs] and _dtype(coefs, intercepts) == self.theta.dtype
        )

    def holds(self, coefs: Arrays, intercepts: Arrays) -> bool:
        """Whether these are its own views."""
        return _same(coefs, self.coefs) and _same(intercepts, self.intercepts)

    def theta_of(self, coefs: Arrays, intercepts: Arrays) -> NDArray[Any]:
        """Another θ, with the numbers of these lists."""
        theta = np.empty_like(self.theta)
        _copy(self.views(theta), (coefs, intercepts))
        return theta

    # scikit-learn's own vector: all coefficients, then all intercepts, each array row by row

    def packed(self, theta: NDArray[Any]) -> NDArray[np.float64]:
        """A vector like θ, as scikit-learn lays it out."""
        coefs, intercepts = self.views(theta)
        return np.concatenate([a.ravel() for a in (*coefs, *intercepts)]).astype(np.float64)

    def unpacked(self, vector: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `packed`."""
        theta, at = np.empty_like(self.theta), 0
        for lists in self.views(theta):
            for view in lists:
                view[...] = vector[at : at + view.size].reshape(view.shape)
                at += view.size
        return theta

    def outputs(self, theta: NDArray[Any], X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """(z⁽ᴸ⁾, ŷ) of rows, dense or sparse, `(m, K)` each."""
        engine = engines.choose("auto", self.net)
        if isinstance(X, np.ndarray):
            both: tuple[NDArray[Any], NDArray[Any]] = engine.outputs(self.net, theta, X)
            return both
        if thin(X, X.shape[0], len(self.intercepts[0])):
            return sparse.outputs(self.net, theta, X)
        parts = [engine.outputs(self.net, theta, dense_rows(X, rows)) for rows in stretches(X)]
        z, y = (np.concatenate(part) for part in zip(*parts))
        return z, y


def _copy(into: tuple[Arrays, Arrays], values: tuple[Arrays, Arrays]) -> None:
    for views, given in zip(into, values):
        for view, value in zip(views, given, strict=True):
            if view is not value:
                view[...] = value


def _same(these: Arrays, those: Arrays) -> bool:
    return len(these) == len(those) and all(a is b for a, b in zip(these, those))


def _dtype(coefs: Arrays, intercepts: Arrays) -> np.dtype[Any]:
    """float32 where all of them are, else float64."""
    every = {np.asarray(a).dtype for a in (*coefs, *intercepts)}
    return np.dtype(np.float32 if every == {np.dtype(np.float32)} else np.float64)
