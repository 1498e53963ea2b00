"""coefs_ and intercepts_, scikit-learn's lists of arrays `(in, out)` and `(out,)`, as one θ and its network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import engines
from deltarule.architecture import Architecture

__all__ = ["Parameters"]

Arrays = Sequence[NDArray[Any]]


class Parameters:
    """θ of a dense network, and the lists of which every array is a view of it.

    W `(out, in)` lies row by row in θ, so that its transpose, a coefficient matrix, is a view in Fortran's order. Users
    may put other arrays into the lists: then `theta_of` reads them.
    """

    def __init__(self, net: Architecture, coefs: Arrays, intercepts: Arrays) -> None:
        self.net = net
        self.theta: NDArray[Any] = np.empty(net.size, coefs[0].dtype)
        self.coefs, self.intercepts = self.views(self.theta)
        self.read(coefs, intercepts)

    def views(self, theta: NDArray[Any]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """The lists over some θ."""
        layers = [p for p in self.net.split(theta) if p]
        return [p["W"].T for p in layers], [p["b"] for p in layers]

    def read(self, coefs: Arrays, intercepts: Arrays) -> None:
        """Take over the numbers of lists of the same shapes."""
        for own, given in ((self.coefs, coefs), (self.intercepts, intercepts)):
            for view, values in zip(own, given, strict=True):
                if view is not values:
                    view[...] = values

    def theta_of(self, coefs: Arrays, intercepts: Arrays) -> NDArray[Any]:
        """θ with the numbers of these lists: its own, where they are its views."""
        if _same(coefs, self.coefs) and _same(intercepts, self.intercepts):
            return self.theta
        theta = np.empty_like(self.theta)
        for own, given in zip(self.views(theta), (coefs, intercepts)):
            for view, values in zip(own, given, strict=True):
                view[...] = values
        return theta

    def outputs(self, theta: NDArray[Any], X: NDArray[Any], threads: int | None) -> NDArray[Any]:
        """ŷ `(m, K)` of rows."""
        engine = engines.choose("auto", self.net)
        given = {} if engine is engines.textbook else {"threads": threads}
        y: NDArray[Any] = engine.outputs(self.net, theta, X, **given)[1]
        return y


def _same(these: Arrays, those: Arrays) -> bool:
    return len(these) == len(those) and all(a is b for a, b in zip(these, those))
