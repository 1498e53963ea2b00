"""The documents' systems by name: `dr.nets.lenet5()`, and `--network lenet5` on the command line.

    ufldl_dnn        document 000, third homework: 784/256/10
    ufldl_cnn        document 000, fourth homework: convolution, mean pooling, softmax
    lenet5           document 003 and LeCun et al. (1998): trainable subsampling, the link table, C5, F6, a dense output
    lenet5_modern    the same sizes with mean pooling and all links

Sizes, initial weights and the scaling of the inputs are the source's; how it is trained is said to `train`.
Sources: the UFLDL exercises of Stanford (document 000); LeCun, Bottou, Bengio, Haffner, "Gradient-based learning
applied to document recognition", Proc. IEEE 86 (1998) 2278-2324.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from deltarule import names
from deltarule.data import Preprocessing
from deltarule.errors import DataError
from deltarule.network import Network

__all__ = ["SYSTEMS", "System", "find", "lenet5", "lenet5_modern", "ufldl_cnn", "ufldl_dnn"]


class System(NamedTuple):
    """A network's text for K outputs, and how pixels x in 0 … 1 are scaled for it: (x − mean) / scale, or not."""

    text: str
    mean: float = 0.0
    scale: float = 1.0

    def spec(self, outputs: int) -> str:
        """The text for so many outputs."""
        return self.text.replace("K", str(outputs))

    @property
    def scales(self) -> bool:
        """Whether pixels are scaled."""
        return (self.mean, self.scale) != (0.0, 1.0)

    def scaled(self, pre: Preprocessing) -> Preprocessing:
        """The preprocessing with this system's scaling of pixels."""
        if not self.scales:
            return pre
        if not pre.pixels:
            raise DataError("this network scales pixels, and the data are other numbers; give uint8 images, 0 … 255")
        return replace(pre, mean=np.full(pre.input_shape, self.mean), scale=np.full(pre.input_shape, self.scale))

    def network(self, classes: int, dtype: DTypeLike, seed: int | None) -> Network:
        """The network, and the preprocessing that belongs to it."""
        net = Network(self.spec(classes), dtype=dtype, seed=seed)
        if self.scales:
            pre = Preprocessing("classification", _shape(net), pixels=True, classes=tuple(range(max(2, classes))))
            net.preprocessing = self.scaled(pre)
        return net


_INK, _PAPER = 1.175, -0.1  # of LeNet-5's inputs: their mean is about 0 then, and their variance 1
_DRAWN = "initializer=fan_in_uniform(2.4),bias_initializer=fan_in_uniform(2.4)"

SYSTEMS: dict[str, System] = {
    "ufldl dnn": System("784/dense(256,sigmoid,initializer=glorot_uniform)/K"),
    "ufldl cnn": System(
        "1x28x28/conv(20,9,sigmoid,initializer=normal(0.1))/meanpool(2)"
        f"/dense(K,initializer=uniform({math.sqrt(6 / 2011):.6f}))"
    ),
    "lenet5": System(
        f"1x28x28/conv(6,5,scaled_tanh,pad=2,border={_PAPER},{_DRAWN})/subsample(2,scaled_tanh,{_DRAWN})"
        f"/conv(16,5,scaled_tanh,links=lenet5,{_DRAWN})/subsample(2,scaled_tanh,{_DRAWN})"
        f"/conv(120,5,scaled_tanh,{_DRAWN})/dense(84,scaled_tanh,{_DRAWN})/dense(K,{_DRAWN})",
        mean=-_PAPER / (_INK - _PAPER), scale=1 / (_INK - _PAPER),
    ),
    "lenet5 modern": System("1x28x28/conv(6,5,tanh,pad=2)/meanpool(2)/conv(16,5,tanh)/meanpool(2)/120:tanh/84:tanh/K"),
}  # fmt: skip


def find(text: str) -> System | None:
    """The system of this name; None for a network's text, which is more than a word.

    >>> find("LeNet5-modern") is SYSTEMS["lenet5 modern"], find("784/10")
    (True, None)

    Raises:
        UnknownNameError: a word that names none.
    """
    return SYSTEMS[names.find("network", text, SYSTEMS)] if re.fullmatch(r"\s*[A-Za-z][\w -]*", text) else None


def ufldl_dnn(classes: int = 10, *, dtype: DTypeLike = "float32", seed: int | None = 0) -> Network:
    """784/256/K with logistic hidden units; weights uniform in ±√6/√(n_in + n_out). Source: document 000, homework 3.

    >>> ufldl_dnn().size
    203530
    """
    return SYSTEMS["ufldl dnn"].network(classes, dtype, seed)


def ufldl_cnn(classes: int = 10, *, dtype: DTypeLike = "float32", seed: int | None = 0) -> Network:
    """20 logistic 9x9 filters, mean pooling 2x2, softmax; filters 0.1 · normal, weights uniform in ±√6/√(10 + 2001).

    The exercise convolves and this correlates: the same network, each filter turned by 180°. It trains for 3 epochs of
    batches of 256 with η = 0.1, halved after each, and the momentum 0.5 for 19 updates, then 0.95. Source: document
    000, homework 4.

    >>> [s.shape for s in ufldl_cnn().slots]
    [(20, 1, 9, 9), (20,), (10, 2000), (10,)]
    """
    return SYSTEMS["ufldl cnn"].network(classes, dtype, seed)


def lenet5(classes: int = 10, *, dtype: DTypeLike = "float32", seed: int | None = 0) -> Network:
    """LeNet-5: convolution, trainable subsampling, the published link table, C5, F6, and a dense softmax output.

    X is uint8, or floats in 0 … 1: paper 0 becomes −0.1, ink 1.175, and C1 finds paper beyond the edges. All weights
    are drawn uniformly in ±2.4/fan_in. Source: LeCun et al. (1998); document 003.

    >>> [sum(s.stop - s.start for s in lenet5().slots if s.stage == k) for k in range(1, 7)]
    [156, 12, 1516, 32, 48120, 10164]
    """
    return SYSTEMS["lenet5"].network(classes, dtype, seed)


def lenet5_modern(classes: int = 10, *, dtype: DTypeLike = "float32", seed: int | None = 0) -> Network:
    """The sizes of LeNet-5 with tanh, mean pooling, all links, and dense layers from 400 on.

    >>> lenet5_modern().size
    61706
    """
    return SYSTEMS["lenet5 modern"].network(classes, dtype, seed)


def _shape(net: Network) -> tuple[int, ...]:
    return tuple(n or 0 for n in net.input_shape)
