"""Every error deltarule raises on purpose: ours by type, the natural built-in by inheritance.

A message names the layer, the dimension, what was expected, what came, and what to do.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "DataError",
    "DeltaruleError",
    "DivergenceError",
    "FileFormatError",
    "GrammarError",
    "HyperparameterError",
    "MissingExtraError",
    "NewerFormatError",
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


class NewerFormatError(FileFormatError):
    """A model or run file is of a format that this deltarule does not know yet."""


class MissingExtraError(DeltaruleError, ImportError):
    """An optional library is absent; the message says what to install."""


class DivergenceError(DeltaruleError, ArithmeticError):
    """Training left the finite numbers; the network keeps the best weights, or the last finite ones in the first epoch.

    `epoch` and `step` count from 1, `layer` is the first stage whose numbers are not finite (0: the cost itself),
    `sample` the first row of X for which they are not (None: only in a sum over rows), `history` what was recorded.
    """

    def __init__(
        self, what: str, remedy: str = "", *, epoch: int = 0, step: int = 0, layer: int = 0, sample: int | None = None
    ) -> None:
        super().__init__(". ".join(part for part in (what, remedy) if part))
        self.what, self.remedy = what, remedy
        self.epoch, self.step, self.layer, self.sample = epoch, step, layer, sample
        self.history: Any = None

    def ended(self, kept: str, history: Any) -> DivergenceError:
        """The same, with the weights that are kept and the history."""
        self.args = (f"{self.what}. {kept[:1].upper()}{kept[1:]}. {self.remedy}",)
        self.history = history
        return self
