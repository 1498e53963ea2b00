"""The layers: one file each, forward beside backward."""

from deltarule.layers.base import Cache, Context, Equation, Gradients, Layer, Parameters, flat_size, shape_text
from deltarule.layers.conv import Conv
from deltarule.layers.dense import Dense
from deltarule.layers.dropout import Dropout
from deltarule.layers.pool import MaxPool, MeanPool, Subsample
from deltarule.layers.recurrent import RNN
from deltarule.names import table

__all__ = [
    "LAYERS", "RNN", "Cache", "Context", "Conv", "Dense", "Dropout", "Equation", "Gradients", "Layer", "MaxPool",
    "MeanPool", "Parameters", "Subsample", "flat_size", "shape_text",
]  # fmt: skip

LAYERS: dict[str, type[Layer]] = table(Dense, Dropout, Conv, MeanPool, MaxPool, Subsample, RNN)
