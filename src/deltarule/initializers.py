"""Initial weights: each a rule for one array, given its shape and its fans.

fan_in and fan_out count the connections into and out of a unit: n_in and n_out of a dense layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltarule.limits import check
from deltarule.names import Named, resolve, table

__all__ = [
    "INITIALIZERS", "FanInUniform", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Initializer",
    "LeCunNormal", "LeCunUniform", "Normal", "Orthogonal", "Uniform", "Zeros", "initializer",
]  # fmt: skip

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Initializer(Named):
    """A rule for the initial values of one array."""

    def draw(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
        """Values of the given shape, float64."""
        raise NotImplementedError


def _uniform(random: np.random.Generator, shape: tuple[int, ...], bound: float) -> Values:
    return random.uniform(-bound, bound, shape)


def _normal(random: np.random.Generator, shape: tuple[int, ...], deviation: float) -> Values:
    return deviation * random.standard_normal(shape)


@dataclass(frozen=True)
class Zeros(Initializer):
    """All 0. Right for biases; as weights it keeps all hidden units identical for ever."""

    name = "zeros"

    def draw(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
        return np.zeros(shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform in [−ε, ε]: the symmetry breaking of the course's exercise, with ε = 0.12 there."""

    name = "uniform"
    epsilon: float = 0.12

    def __post_init__(self) -> None:
        check(self, "epsilon", least=0)

    def draw(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
        return _uniform(random, shape, self.epsilon)


@dataclass(frozen=True)
class Normal(Initializer):
    """Normal with mean 0 and this deviation."""

    name = "normal"
    deviation: float = 0.1

    def __post_init__(self) -> None:
        check(self, "deviation", least=0)

    def draw(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
        return _normal(random, shape, self.deviation)


@dataclass(frozen=True)
class FanInUniform(Initializer):
    """Uniform in ±bound/fan_in: LeNet-5's, with 2.4. Source: LeCun et al., Proc. IEEE 86 (1998)."""

    name = "fan in uniform"
    bound: float = 2.4

    def __post_init__(self) -> None:
        check(self, "bound", least=0)

    def draw(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
        return _uniform(random, shape, self.bound / fan_in)


@dataclass(frozen=True)
class LeCunUniform(Initializer):
    """Uniform with variance gain²/fan_in. Source: LeCun et al., "Efficient BackProp" (1998).

    A square matrix of it has a spectral radius of about `gain`.
    """

    name = "lecun uniform"
    gain: float = 1.0

    def __post_init__(self) -> None:
        check(self, "gain", above=0)

    def draw(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
        return _uniform(random, shape, self.gain * math.sqrt(3 / fan_in))


@dataclass(frozen=True)
class LeCunNormal(Initializer):
    """Normal with variance 1/fan_in. Source: LeCun et al., "Efficient BackProp" (1998)."""

    name = "lecun normal"

    def draw(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
        return _normal(random, shape, math.sqrt(1 / fan_in))


@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """Uniform in ±√(6/(fan_in + fan_out)). Source: Glorot and Bengio, AISTATS (2010)."""

    name = "glorot uniform"

    def draw(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
        return _uniform(random, shape, math.sqrt(6 / (fan_in + fan_out)))


@dataclass(frozen=True)
class GlorotNormal(Initializer):
    """Normal with variance 2/(fan_in + fan_out). Source: Glorot and Bengio, AISTATS (2010)."""

    name = "glorot normal"

    def draw(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
        return _normal(random, shape, math.sqrt(2 / (fan_in + fan_out)))


@dataclass(frozen=True)
class HeUniform(Initializer):
    """Uniform with variance 2/fan_in, for the relu family. Source: He et al., ICCV (2015)."""

    name = "he uniform"

    def draw(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
        return _uniform(random, shape, math.sqrt(6 / fan_in))


@dataclass(frozen=True)
class HeNormal(Initializer):
    """Normal with variance 2/fan_in, for the relu family. Source: He et al., ICCV (2015)."""

    name = "he normal"

    def draw(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
        return _normal(random, shape, math.sqrt(2 / fan_in))


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """Rows (or columns, where they are fewer) orthonormal, times gain: Q of a normal matrix. Source: arXiv:1312.6120.

    It goes through LAPACK, so its last bits may differ between machines.
    """

    name = "orthogonal"
    gain: float = 1.0

    def __post_init__(self) -> None:
        check(self, "gain")

    def draw(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
        rows, columns = shape[0], math.prod(shape[1:])
        q, r = np.linalg.qr(random.standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # makes Q unique, and uniform over the orthogonal group
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


INITIALIZERS = table(
    Zeros, Uniform, Normal, FanInUniform, LeCunUniform, LeCunNormal, GlorotUniform, GlorotNormal, HeUniform, HeNormal,
    Orthogonal,
)  # fmt: skip


def initializer(value: Initializer | str) -> Initializer:
    """The initialiser that `value` is or names.

    >>> initializer("uniform(0.5)")
    Uniform(epsilon=0.5)
    """
    return resolve("initialiser", INITIALIZERS, value)
