"""Every error deltarule raises on purpose: ours by type, the natural built-in by inheritance.

A message names the layer, the dimension, what was expected, what came, and what to do.
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "DeltaruleError",
    "DivergenceError",
    "FileFormatError",
    "GrammarError",
    "HyperparameterError",
    "MissingExtraError",
    "ShapeError",
    "UnknownNameError",
]


class DeltaruleError(Exception):
    """The root: `except DeltaruleError` catches whatever the library refuses."""


class ShapeError(DeltaruleError, ValueError):
    """Shapes do not fit: of layers to each other, of X to the network, of t to its outputs."""


class DataError(DeltaruleError, ValueError):
    """Data cannot be used: NaN, an empty set, one class only, a label never seen, a broken file of data."""


class HyperparameterError(DeltaruleError, ValueError):
    """A setting is outside its range, or two settings exclude each other."""


class UnknownNameError(DeltaruleError, ValueError):
    """No activation, cost, optimiser, layer … has this name; the nearest one is suggested."""


class GrammarError(DeltaruleError, ValueError):
    """A network string does not parse; the message marks the position."""


class FileFormatError(DeltaruleError, ValueError):
    """A model or run file is corrupt, foreign, or of a newer format."""


class MissingExtraError(DeltaruleError, ImportError):
    """An optional library is absent; the message says what to install."""


class DivergenceError(DeltaruleError, ArithmeticError):
    """Training left the finite numbers; the network keeps the last finite weights.

    `epoch` and `step` count from 1, `layer` is the first stage whose numbers are not finite (0: the cost itself).
    """

    def __init__(self, message: str, *, epoch: int = 0, step: int = 0, layer: int = 0) -> None:
        super().__init__(message)
        self.epoch, self.step, self.layer = epoch, step, layer
