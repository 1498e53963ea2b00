"""Maps on the native engine, where sizes matter: large batches, shared shards, many maps, one pixel, what is frozen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from native.cases import bits, calm, descend, digest, features, part, python, same_descent, targets
from native.test_twins import check

from deltarule import Conv, Dense, Dropout, MaxPool, MeanPool, Network, Subsample
from deltarule.architecture import Architecture
from deltarule.engines import native
from deltarule.layers import Layer
from deltarule.optimizers import optimizer


def small(dtype: str = "float64") -> Network:
    layers = [Conv(5, 3, "tanh", pad=1), MeanPool(2), Conv(7, 2, "tanh"), Dense(4, "softmax")]
    return Network(layers, input_shape=(2, 7, 6), dtype=dtype)


def test_more_samples_than_go_at_once() -> None:
    """1,024 samples are a piece; the sums go on where they stopped."""
    net = small()
    for m in (1023, 1024, 1025, 2100):
        check(net, m, labels=True, weighted=True, threads=2)
    same_descent(net, part([1100, 5, 2049], calm("momentum"), 0.1), features(net, 2049), targets(net, 2049), threads=3)


def test_tiles_that_share_their_sums() -> None:
    """From 2²⁴ / 64 parameters on several tiles add to the same sums: the same bits on any number of threads."""
    net = Network([Conv(300, 3, "tanh", pad=1), Dense(2)], input_shape=(100, 2, 1), dtype="float64")
    assert net.slots[0].stop > 2**24 / 64
    check(net, 70, labels=True, threads=2)
    X, t = features(net, 170), targets(net, 170, labels=True)
    todo = part([170, 33, 16], optimizer("momentum"), 0.01, m=170)
    assert len({bits(descend(native, net, todo, X, t, threads=threads)) for threads in (1, 2, 3, 5)}) == 1


@pytest.mark.parametrize("frozen", [(0,), (1,), (0, 1), (0, 2), (1, 2), (0, 1, 2), (3,), (2, 3)])
def test_frozen_maps(frozen: tuple[int, ...]) -> None:
    layers: list[Layer] = [Conv(4, 3, "tanh"), Subsample(2, "swish"), Conv(3, 2, "relu"), Dense(3, "softmax")]
    layers = [replace(layer, trainable=k not in frozen) for k, layer in enumerate(layers)]
    net = Network([Dropout(0.3), *layers], input_shape=(1, 9, 9), dtype="float64")
    for m in (2, 35):
        check(net, m, decay=0.2)
    same_descent(net, part([20, 3], calm("adam")), features(net, 20), targets(net, 20), weight_decay=0.1)


@pytest.mark.parametrize("layers", [
    [Conv(3, 3, "tanh")], [Conv(2, 2, "identity"), MaxPool(2)], [Subsample(2, "sigmoid")],
    [MeanPool(3, 1), Dropout(0.4)],
    [Conv(3, 3, "softplus"), Dropout(0.2)],
], ids=str)  # fmt: skip
def test_networks_that_end_in_maps(layers: list[Layer]) -> None:
    """Their outputs count as one row, channel by channel; each goes with a cost of its own."""
    net = Network(layers, input_shape=(2, 5, 6), cost="huber", dtype="float64")
    for m in (1, 20):
        check(net, m, weighted=m > 1)
    X = features(net, 20)
    np.testing.assert_array_equal(net.forward(X), native.outputs(net, net.theta, X)[1].reshape(20, *net.shapes[-1]))
    if net.size:
        same_descent(net, part([20, 3], calm("sgd"), 0.1), X, targets(net, 20))


def test_a_row_alone_and_in_a_crowd() -> None:
    net = small("float32")
    X = features(net, 70)
    together = digest(*native.outputs(net, net.theta, X, threads=2))
    alone = [native.outputs(net, net.theta, X[k : k + 1]) for k in range(70)]
    assert digest(*map(np.concatenate, zip(*alone))) == together


def test_links_that_are_not_there_stay_0() -> None:
    """The engine keeps whole kernels; what no link uses learns nothing, under any rule."""
    links = ((1, 0, 1), (0, 1, 0))
    net = Network([Conv(2, 3, "tanh", links=links), Dense(2)], input_shape=(3, 5, 5), dtype="float64")
    X, t = features(net, 40), targets(net, 40, labels=True)
    for rule in ("adamw", "adadelta", "rprop", "nadam", "amsgrad"):
        same_descent(net, part([20, 20, 7], calm(rule)), X, t, clip_norm=0.3)


def test_large_batches_need_no_more_room() -> None:
    """Maps live a tile at a time: a batch of 4,096 images takes at most 100 MB beyond the data."""
    done = python("""
import numpy as np
from deltarule import nets, train
from deltarule.bench.memory import peak
net = nets.lenet5_modern()
X, t = np.random.default_rng(0).integers(0, 256, (8192, 28, 28), dtype=np.uint8), np.arange(8192) % 10
before = peak()
train(net, X, t, epochs=1, batch_size=4096, verbose=False)
print((peak() - before) / 1e6)
""")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 100


@pytest.mark.parametrize(("layer", "shape", "said"), [
    (Conv(1, (1100, 1), "identity", pad=(0, 65536), stride=(1, 65536)), (1, 1100, 1), "numbers, margins included"),
    (Conv(128, 300, "identity", links=np.eye(128, dtype=int)), (128, 300, 300), "weights, absent links included"),
])  # fmt: skip
def test_what_is_too_large_is_the_textbooks(layer: Conv, shape: tuple[int, ...], said: str) -> None:
    """Places in maps and kernels stay within what the engine counts with."""
    assert said in native.objection(Architecture([layer, Dense(1, "identity")], input_shape=shape))


def test_long_maps() -> None:
    """A strided convolution over 140,000 columns, such as sound."""
    net = Network(
        [Conv(1, (1, 3), "tanh", stride=(1, 1000)), Dense(1, "identity")], input_shape=(1, 1, 140_000), dtype="float64"
    )
    assert native.objection(net) == ""
    check(net, 3)
