"""The layers: one file each, forward beside backward."""

from deltarule.layers.base import Cache, Context, Equation, Gradients, Layer, Parameters, flat_size, shape_text
from deltarule.layers.dense import Dense
from deltarule.layers.dropout import Dropout
from deltarule.names import table

__all__ = [
    "LAYERS", "Cache", "Context", "Dense", "Dropout", "Equation", "Gradients", "Layer", "Parameters", "flat_size",
    "shape_text",
]  # fmt: skip

LAYERS: dict[str, type[Layer]] = table(Dense, Dropout)
