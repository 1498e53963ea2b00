"""What a peer builds from: the stages of a network, each layer with the shape of its input and its parameters at θ₀.

A library that keeps the channels of an image last sees the same network, with the numbers of an image in another order:
its rows and the columns of the dense layer behind the images follow, and no cost changes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.arrays import Shape

__all__ = ["Stage", "last_channels"]


class Stage(NamedTuple):
    """A layer (of any kind: peers ask for its `name`), the shape of its input, its parameters by name, float32."""

    layer: Any
    input_shape: Shape
    p: dict[str, NDArray[np.float32]]

    @property
    def kind(self) -> str:
        """The layer's name in the grammar."""
        return str(self.layer.name)

    @property
    def activation(self) -> str:
        """What is applied to z behind the layer; a recurrent layer has applied its own, step by step."""
        return "identity" if self.kind == "rnn" else str(self.layer.f.name)

    @property
    def sequence(self) -> bool:
        """Whether sequences come in: numbers or tokens below the recurrent layer, one row a time step above it."""
        return self.input_shape[0] is None

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, height and width of the input."""
        channels, height, width = (n or 0 for n in self.input_shape)
        return channels, height, width

    @property
    def windows(self) -> Any:
        """The windows of a convolution or of pooling: size and stride, down and across."""
        return self.layer.windows(self.image[1:])

    @property
    def margins(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows that a convolution adds above and below, columns left and right."""
        (top, left), (bottom, right) = self.layer.margins(self.image[1:])
        return (top, bottom), (left, right)

    def kernels(self) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """W of a convolution `(maps, channels, kh, kw)`, and T of its shape, 1 where there is a link.

        A network with a link table has kernels for its links only; here the others are there, and 0. Without a table T
        is None.
        """
        W, table = self.p["W"], self.layer.table(self.image[0])
        return (W, None) if table is None else (table.scatter(W), table.scatter(np.ones_like(W)))

    def weights(self, channels_last: bool) -> NDArray[np.float32]:
        """W of a dense or recurrent layer `(n_out, n_in)`, its columns in the order in which the input arrives."""
        return last_channels(self.p["W"], self.input_shape) if channels_last else self.p["W"]


def last_channels(rows: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Flat images `(m, channels · height · width)` with each pixel's channels side by side; other rows as they are."""
    if len(shape) != 3 or shape[0] == 1:
        return rows
    images = rows.reshape(len(rows), *(n or 0 for n in shape))
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)).reshape(len(rows), -1)
