"""θ in Octave's form, as the course unrolls it: [Theta1(:); Theta2(:); …].

Theta⁽ˡ⁾ = [b⁽ˡ⁾ W⁽ˡ⁾], the bias column first, and (:) reads a matrix column by column. Source: the course's exercise 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.architecture import Architecture
from deltarule.errors import HyperparameterError
from deltarule.layers import Dense

__all__ = ["roll", "unroll"]


def _dense(net: Architecture, theta: NDArray[Any]) -> list[dict[str, NDArray[Any]]]:
    """W and b of every layer that has parameters, as views of θ."""
    parts = net.split(theta)
    if not all(isinstance(layer, Dense) or not p for layer, p in zip(net.layers, parts)):
        raise HyperparameterError("Octave's form [Theta1(:); Theta2(:)] is for dense layers")
    return [p for p in parts if p]


def unroll(net: Architecture, theta: NDArray[Any]) -> NDArray[Any]:
    """θ → [Theta1(:); Theta2(:); …]."""
    thetas = [np.column_stack([p["b"], p["W"]]) for p in _dense(net, theta)]
    return np.concatenate([part.ravel(order="F") for part in thetas] or [theta])


def roll(net: Architecture, vector: NDArray[Any]) -> NDArray[Any]:
    """[Theta1(:); Theta2(:); …] → θ."""
    theta, at = np.empty_like(vector), 0
    for p in _dense(net, theta):
        n_out, n_in = p["W"].shape
        part = vector[at : at + n_out * (n_in + 1)].reshape((n_out, n_in + 1), order="F")
        p["b"][...], p["W"][...] = part[:, 0], part[:, 1:]
        at += part.size
    return theta
