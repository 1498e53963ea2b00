"""What tests of maps draw: images, and layers that fit them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from deltarule import Conv, MaxPool, MeanPool, Subsample
from deltarule.layers import Layer


@st.composite
def images(draw: st.DrawFn) -> tuple[int, int, int]:
    """Channels, height and width: one pixel, primes, one channel."""
    sides = st.sampled_from([1, 2, 3, 5, 7, 8, 11])
    return draw(st.sampled_from([1, 2, 3, 5])), draw(sides), draw(sides)


@st.composite
def convolutions(draw: st.DrawFn, shape: tuple[int, int, int], f: str = "tanh") -> Conv:
    """Any that fits: 1x1 kernels, kernel = image, stride > kernel, margins, borders, links."""
    channels, height, width = shape
    pad = draw(st.sampled_from([0, 0, 1, (2, 1), "same"]))
    room = (
        (height, width) if pad == "same" else tuple(n + 2 * p for n, p in zip((height, width), np.broadcast_to(pad, 2)))
    )
    kernel = tuple(draw(st.sampled_from(sorted({1, min(2, n), min(3, n), min(5, n), n}))) for n in room)
    maps = draw(st.integers(1, 9))
    links = None
    if draw(st.booleans()):
        table = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 2, (maps, channels))
        table[np.arange(maps), np.arange(maps) % channels] = 1
        table[np.arange(channels) % maps, np.arange(channels)] = 1
        links = tuple(map(tuple, table.tolist()))
    return Conv(
        maps, kernel, f, stride=(draw(st.integers(1, 4)), draw(st.integers(1, 3))), pad=pad,
        border=draw(st.sampled_from([0.0, -0.5])), links=links,
    )  # fmt: skip


@st.composite
def pools(draw: st.DrawFn, shape: tuple[int, int, int], f: str = "tanh") -> Layer:
    """Overlapping, apart, those that leave something over."""
    size = tuple(draw(st.integers(1, min(3, n))) for n in shape[1:])
    kind = draw(st.sampled_from([MeanPool, MaxPool, Subsample]))
    if kind is Subsample:
        return Subsample(size, f)
    stride = draw(st.sampled_from([None, 1, 2, (3, 1)]))
    return kind(size, stride)


@st.composite
def layers_on_images(draw: st.DrawFn, f: str = "tanh") -> tuple[tuple[int, int, int], Layer]:
    shape = draw(images())
    return shape, draw(st.one_of(convolutions(shape, f), pools(shape, f)))


@st.composite
def stacks(draw: st.DrawFn, most: int = 3, f: str = "tanh") -> tuple[tuple[int, int, int], list[Layer]]:
    """Up to so many layers of maps, one on the other."""
    first = shape = draw(images())
    layers: list[Layer] = []
    for _ in range(draw(st.integers(1, most))):
        layers.append(draw(st.one_of(convolutions(shape, f), pools(shape, f))))
        shape = layers[-1].output_shape(shape)  # type: ignore[assignment]
    return first, layers
