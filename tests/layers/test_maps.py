"""Maps: convolution and pooling against plain loops, SciPy, PyTorch and the documents' forms; links, and refusals."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layers.cases import images, layers_on_images, stacks
from numpy.typing import NDArray
from scipy.signal import convolve2d, correlate2d

import deltarule as dr
from deltarule import Conv, MaxPool, MeanPool, Network, Subsample
from deltarule.errors import DeltaruleError, HyperparameterError, ShapeError
from deltarule.layers import Context, Layer
from deltarule.layers.links import NAMED, LinkTable
from deltarule.layers.maps import Windows, spread, tap

Numbers = NDArray[Any]


def parameters(layer: Layer, shape: tuple[int, ...], random: np.random.Generator) -> dict[str, Numbers]:
    return {name: random.normal(size=size) for name, size in layer.parameter_shapes(shape).items()}


def kernels_of(layer: Conv, p: dict[str, Numbers], channels: int) -> Numbers:
    """W with zeros where there is no link, link by link."""
    if layer.links is None:
        return p["W"]
    table = np.array(NAMED[layer.links] if isinstance(layer.links, str) else layer.links)
    full, kernels = np.zeros((*table.shape, *p["W"].shape[1:])), iter(p["W"])
    for o, c in itertools.product(range(layer.maps), range(channels)):
        if table[o, c]:
            full[o, c] = next(kernels)
    assert next(kernels, None) is None
    return full


def padded(layer: Conv, a: Numbers) -> Numbers:
    """One sample with its margins."""
    before, after = layer.margins(a.shape[-2:])
    return np.pad(a, ((0, 0), *zip(before, after)), constant_values=layer.border)


def plain(layer: Layer, p: dict[str, Numbers], a: Numbers) -> Numbers:
    """z of one sample, window by window."""
    if isinstance(layer, Conv):
        W, A = kernels_of(layer, p, len(a)), padded(layer, a)
        windows = layer.windows(a.shape[-2:])
        z = np.empty((layer.maps, *windows.grid))
    else:
        A, windows = a, layer.windows(a.shape[-2:])  # type: ignore[attr-defined]
        z = np.empty((len(a), *windows.grid))
    (h, w), (s, t) = windows.size, windows.stride
    for o, y, x in np.ndindex(z.shape):
        if isinstance(layer, Conv):
            z[o, y, x] = p["b"][o] + (W[o] * A[:, y * s : y * s + h, x * t : x * t + w]).sum()
        else:
            window = A[o, y * s : y * s + h, x * t : x * t + w]
            z[o, y, x] = window.max() if isinstance(layer, MaxPool) else window.mean()
            if isinstance(layer, Subsample):
                z[o, y, x] = p["omega"][o] * z[o, y, x] + p["b"][o]
    return z


@given(layers_on_images(), st.integers(1, 4))
def test_forward_is_the_equation(given: tuple[tuple[int, int, int], Layer], m: int) -> None:
    shape, layer = given
    random = np.random.default_rng(0)
    p, X = parameters(layer, shape, random), random.normal(size=(m, *shape))
    cache = layer.forward(p, X, Context())
    assert cache.z.shape == cache.a.shape == (m, *layer.output_shape(shape))
    np.testing.assert_allclose(cache.z, [plain(layer, p, x) for x in X], atol=1e-12)
    np.testing.assert_allclose(cache.a, layer.f.f(cache.z))


@given(layers_on_images(), st.integers(1, 3))
def test_backward_is_the_transpose(given: tuple[tuple[int, int, int], Layer], m: int) -> None:
    """z is linear in a_prev and in the parameters, piece by piece: ⟨δ, dz⟩ = ⟨∂C/∂a_prev, da_prev⟩ + ⟨∂C/∂p, dp⟩."""
    shape, layer = given
    random, h = np.random.default_rng(1), 1e-30
    p, X = parameters(layer, shape, random), random.normal(size=(m, *shape))
    dp, dX = parameters(layer, shape, random), random.normal(size=X.shape)
    cache = layer.forward(p, X, Context())
    delta = random.normal(size=cache.z.shape)
    da_prev, g = layer.backward(p, delta, cache)
    assert da_prev.shape == X.shape
    assert {name: a.shape for name, a in g.items()} == layer.parameter_shapes(shape)
    dz = layer.forward({n: p[n] + 1j * h * dp[n] for n in p}, X + 1j * h * dX, Context()).z.imag / h
    expected = (da_prev * dX).sum() + sum((g[n] * dp[n]).sum() for n in g)
    np.testing.assert_allclose((delta * dz).sum(), expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(stacks(), st.sampled_from([1, 2, 5]))
def test_gradient_check_mid_stack(given: tuple[tuple[int, int, int], list[Layer]], m: int) -> None:
    """Parameters and inputs, by complex step and central differences, with layers of maps on both sides."""
    shape, layers = given
    net = Network([*layers, dr.Dense(3, "softmax")], input_shape=shape, dtype="float64")
    random = np.random.default_rng(2)
    net.theta[...] += random.normal(scale=0.2, size=net.size)
    check = dr.check_gradient(net, random.normal(size=(m, *shape)), random.integers(0, 3, m))
    assert check.ok, str(check)


@given(layers_on_images())
def test_the_array_api_alone(given: tuple[tuple[int, int, int], Layer]) -> None:
    """The same lines in a library that has nothing but the standard."""
    shape, layer = given
    random = np.random.default_rng(3)
    p, X = parameters(layer, shape, random), random.normal(size=(2, *shape))
    cache = layer.forward(p, X, Context())
    delta = random.normal(size=cache.z.shape)
    da_prev, g = layer.backward(p, layer.delta(p, delta, cache), cache)
    xp = array_api_strict
    strict = {name: xp.asarray(value) for name, value in p.items()}
    found = layer.forward(strict, xp.asarray(X), Context())
    np.testing.assert_allclose(np.asarray(found.a), cache.a, atol=1e-12)
    da, strict_g = layer.backward(strict, layer.delta(strict, xp.asarray(delta), found), found)
    np.testing.assert_allclose(np.asarray(da), da_prev, atol=1e-12)
    for name in g:
        np.testing.assert_allclose(np.asarray(strict_g[name]), g[name], atol=1e-10)


@given(images(), st.data())
def test_spread_is_the_transpose_of_tap(shape: tuple[int, int, int], data: st.DataObject) -> None:
    image = shape[1:]
    size = tuple(data.draw(st.integers(1, n)) for n in image)
    windows = Windows.over(size, (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))), image, "the window")
    random = np.random.default_rng(4)
    A, D = random.normal(size=shape), random.normal(size=(shape[0], *windows.grid))
    for u, v in windows.offsets():
        np.testing.assert_allclose((tap(A, u, v, windows) * D).sum(), (A * spread(D, u, v, windows, image)).sum())


# The documents' own forms, as identities


def one_kernel(rows: int, columns: int) -> tuple[Conv, dict[str, Numbers], Numbers]:
    random = np.random.default_rng(5)
    return (
        Conv(1, (rows, columns), "identity"),
        {"W": random.normal(size=(1, 1, rows, columns)), "b": np.zeros(1)},
        random.normal(size=(1, 1, 9, 8)),
    )


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 3), (2, 5), (9, 8)])
def test_correlation_convolution_and_the_turned_kernel(rows: int, columns: int) -> None:
    """Document 000 convolves, which is correlating with the kernel turned by 180°; document 003's way back is the wide
    convolution of δ with the kernel, and the kernel's gradient the valid correlation of the input with δ."""
    layer, p, X = one_kernel(rows, columns)
    W, a = p["W"][0, 0], X[0, 0]
    cache = layer.forward(p, X, Context())
    np.testing.assert_allclose(cache.z[0, 0], correlate2d(a, W, "valid"), atol=1e-12)
    np.testing.assert_allclose(cache.z[0, 0], convolve2d(a, np.rot90(W, 2), "valid"), atol=1e-12)
    delta = np.random.default_rng(6).normal(size=cache.z.shape)
    da_prev, g = layer.backward(p, delta, cache)
    np.testing.assert_allclose(da_prev[0, 0], convolve2d(delta[0, 0], W, "full"), atol=1e-12)
    np.testing.assert_allclose(da_prev[0, 0], correlate2d(delta[0, 0], np.rot90(W, 2), "full"), atol=1e-12)
    np.testing.assert_allclose(g["W"][0, 0], correlate2d(a, delta[0, 0], "valid"), atol=1e-12)
    turned = convolve2d(a, np.rot90(delta[0, 0], 2), "valid")  # document 000: with the error rotated
    np.testing.assert_allclose(g["W"][0, 0], turned, atol=1e-12)


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (1, 3), (4, 1)])
def test_mean_pooling_back_is_kron(rows: int, columns: int) -> None:
    """Document 000's upsampling: δ ⊗ ones / n."""
    layer = MeanPool((rows, columns))
    cache = layer.forward({}, np.random.default_rng(7).normal(size=(2, 3, 3 * rows, 2 * columns)), Context())
    delta = np.random.default_rng(8).normal(size=cache.z.shape)
    da_prev, _ = layer.backward({}, delta, cache)
    for s, c in np.ndindex(2, 3):
        np.testing.assert_allclose(da_prev[s, c], np.kron(delta[s, c], np.ones((rows, columns))) / (rows * columns))


def test_the_course_pooling_test() -> None:
    """Document 000: the mean of 4x4 regions of reshape(1:64, 8, 8), which Octave fills column by column."""
    matrix = np.arange(1.0, 65.0).reshape(8, 8).T
    a = MeanPool(4).forward({}, matrix[None, None], Context()).a
    np.testing.assert_array_equal(a[0, 0], [[14.5, 46.5], [18.5, 50.5]])


# Max pooling's ties, and what is left over


def test_the_first_of_equal_ones_takes_all() -> None:
    x = np.array([[[[2.0, 2.0, 1.0], [2.0, 0.0, 5.0], [5.0, 5.0, 5.0]]]])
    layer = MaxPool(2, 1)
    cache = layer.forward({}, x, Context())
    np.testing.assert_array_equal(cache.a[0, 0], [[2, 5], [5, 5]])
    delta = np.array([[[[1.0, 10.0], [100.0, 1000.0]]]])
    da_prev, _ = layer.backward({}, delta, cache)
    np.testing.assert_array_equal(da_prev[0, 0], [[1, 0, 0], [0, 0, 1010], [100, 0, 0]])


def test_max_pooling_keeps_what_is_not_a_number() -> None:
    x = np.array([[[[1.0, np.nan], [3.0, 2.0]]]])
    assert np.isnan(MaxPool(2).forward({}, x, Context()).a).all()


def test_what_windows_leave_over_is_dropped() -> None:
    """The last row and column of 5x5 have no influence, and no derivative."""
    layer = MeanPool(2)
    x = np.random.default_rng(9).normal(size=(1, 1, 5, 5))
    cache = layer.forward({}, x, Context())
    assert cache.a.shape == (1, 1, 2, 2)
    da_prev, _ = layer.backward({}, np.ones((1, 1, 2, 2)), cache)
    assert (da_prev[..., 4, :] == 0).all()
    assert (da_prev[..., :, 4] == 0).all()
    assert (da_prev[..., :4, :4] == 0.25).all()


# Links, names and text


def test_lenet5_has_the_published_links_and_counts(data_folder: Path) -> None:
    facts = json.loads((data_folder / "lenet5_facts.json").read_text())
    published = facts["c3_table_columns_C3map_to_S2maps"]
    assert [[c for c, one in enumerate(row) if one] for row in NAMED["lenet5"]] == published
    net = Network(
        "1x28x28/conv(6,5,pad=2)/subsample(2)/conv(16,5,links=lenet5)/subsample(2)/conv(120,5)/84/10",
        activation="scaled tanh",
    )
    counts = [sum(s.stop - s.start for s in net.slots if s.stage == stage) for stage in range(1, 7)]
    assert counts == [156, 12, 1516, 32, 48120, 10164]
    assert sum(counts) == 60_000


def test_gather_is_the_transpose_of_scatter() -> None:
    table = LinkTable.of(((1, 0), (1, 1), (0, 1)), 3, 2)
    random = np.random.default_rng(10)
    W, full = random.normal(size=(table.total, 2, 2)), random.normal(size=(3, 2, 2, 2))
    np.testing.assert_allclose((table.scatter(W) * full).sum(), (W * table.gather(full)).sum())
    np.testing.assert_array_equal(table.gather(table.scatter(W)), W)
    assert (table.scatter(W)[0, 1] == 0).all()
    assert table.fans == (1, 2, 1)


@given(stacks())
def test_text_gives_the_layers_back(given: tuple[tuple[int, int, int], list[Layer]]) -> None:
    shape, layers = given
    net = Network([*layers, dr.Dense(4)], input_shape=shape)
    again = Network(net.spec, seed=net.seed)
    assert again.layers == net.layers
    assert again.spec == net.spec
    np.testing.assert_array_equal(again.theta, net.theta)


def test_short_text() -> None:
    net = Network("28x28/conv(6,5,pad=2)/maxpool(2)/conv(4,(3,1),tanh,stride=(2,1))/subsample(3)/10")
    assert net.spec == "1x28x28/conv(6,5,pad=2)/maxpool(2)/conv(4,(3,1),tanh,stride=(2,1))/subsample(3)/10"


def test_a_table_of_a_full_convolution_draws_the_same() -> None:
    """All links given one by one are all links."""
    full = Network("2x6x6/conv(3,3)/2")
    table = Network("2x6x6/conv(3,3,links=((1,1),(1,1),(1,1)))/2")
    np.testing.assert_array_equal(full.theta, table.theta)
    assert table.parameters()["1.W"].shape == (6, 3, 3)


def test_initial_weights_follow_each_map_s_links() -> None:
    layer = Conv(2, 5, "tanh", links=((1, 0, 0), (1, 1, 1)), initializer="lecun uniform")
    W = layer.initial((3, 9, 9), np.random.default_rng(0))["W"]
    one, three = np.abs(W[:1]).max(), np.abs(W[1:]).max()
    assert np.sqrt(3 / 75) < one <= np.sqrt(3 / 25)
    assert three <= np.sqrt(3 / 75)


@pytest.mark.parametrize(("spec", "error", "words"), [
    ("784/conv(6,5)/10", ShapeError, r"layer 1 \(conv\(6,5.*takes maps, .* gets 784 numbers; write the input as 1x28"),
    ("1x4x4/conv(2,5)/10", ShapeError, "the kernel is 5x5, larger than the maps of 4x4"),
    ("1x4x9/conv(2,3)/maxpool(3)/10", ShapeError, r"layer 2 .*the window is 3x3, larger than the maps of 2x7"),
    ("1x8x8/conv(2,3,links=((1),(0)))/10", HyperparameterError, "connects map 1 to nothing"),
    ("2x8x8/conv(2,3,links=((1,0),(1,0)))/10", HyperparameterError, "connects channel 1 to nothing"),
    ("3x8x8/conv(2,3,links=((1,0),(1,0)))/10", ShapeError, "2 maps over 2 channels, the layer 2 over 3"),
    ("6x14x14/conv(15,5,links=lenet5)/10", ShapeError, "16 maps over 6 channels, the layer 15 over 6"),
    ("6x14x14/conv(16,5,links=lenet)/10", dr.UnknownNameError, "no link table 'lenet'; did you mean 'lenet5'"),
    ("6x14x14/conv(1,5,links=((1,2,0,1,1,1)))/10", HyperparameterError, "1 where two maps are connected"),
    ("2x8x8/conv(2,3,links=((1,0),(1)))/10", ShapeError, "rows of the same length"),
    ("1x8x8/conv(0,3)/10", HyperparameterError, "conv: maps must be a whole number, at least 1"),
    ("1x8x8/conv(2,0)/10", HyperparameterError, "conv: kernel must be a whole number, at least 1"),
    ("1x8x8/conv(2,3,stride=0)/10", HyperparameterError, "conv: stride"),
    ("1x8x8/conv(2,3,pad=-1)/10", HyperparameterError, "conv: pad"),
    ("1x8x8/conv(2,3,pad=full)/10", HyperparameterError, "pad is a number of rows and columns, or 'same'"),
    ("1x8x8/conv(2,3,border=nan)/10", DeltaruleError, "border"),
    ("1x8x8/meanpool(0)/10", HyperparameterError, "meanpool: size"),
    ("1x8x8/maxpool(2,(1,2,3))/10", HyperparameterError, "maxpool: stride"),
    ("1x8x8/conv(2,3,softmax)/10", HyperparameterError, "softmax is a dense layer's"),
    ("1x8x8/conv(10,8)", HyperparameterError, "softmax is a dense layer's; end the network with"),
    ("1x8x8/10/conv(2,3)/3", ShapeError, "layer 2 .*gets 10 numbers"),
])  # fmt: skip
def test_refusals(spec: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Network(spec)


def test_a_part_of_a_network_answers_with_maps() -> None:
    net = Network("1x8x8/conv(3,3)/maxpool(2)/5", dtype="float64")
    X = np.random.default_rng(11).normal(size=(4, 1, 8, 8))
    a = net[:2].forward(X)
    assert a.shape == (4, 3, 3, 3)
    expected = MaxPool(2).forward({}, np.maximum(plainly(net, X), 0), Context()).a
    np.testing.assert_allclose(a, expected, atol=1e-12)
    assert net[:1].forward(X[0]).shape == (3, 6, 6)


def plainly(net: Network, X: Numbers) -> Numbers:
    p = {"W": net.parameters()["1.W"], "b": net.parameters()["1.b"]}
    return np.stack([plain(net.layers[0], p, x) for x in X])


def test_classifiers_that_end_in_maps_answer_with_classes() -> None:
    random = np.random.default_rng(13)
    net = Network("1x8x8/conv(10,8,sigmoid)", output="sigmoid", dtype="float64")
    X = random.normal(size=(6, 1, 8, 8))
    rows = net.forward(X).reshape(6, 10)
    np.testing.assert_array_equal(net.predict(X), rows.argmax(axis=1))
    np.testing.assert_array_equal(net.predict_proba(X), rows)
    assert net.predict(X[0]) == rows[0].argmax()
    one = Network("1x8x8/conv(1,8,sigmoid)", output="sigmoid")
    assert one.predict(X).shape == (6,)
    assert one.predict_proba(X).shape == (6, 2)
    maps = Network("1x8x8/conv(2,3,identity,pad=1)", output="identity")
    assert maps.predict(X).shape == (6, 2, 8, 8)


# PyTorch as a second opinion


@pytest.mark.peers
@settings(max_examples=150, deadline=None)
@given(layers_on_images(), st.integers(1, 33))
def test_torch(given: tuple[tuple[int, int, int], Layer], m: int) -> None:
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    shape, layer = given
    random = np.random.default_rng(12)
    p, X = parameters(layer, shape, random), random.normal(size=(m, *shape))
    cache = layer.forward(p, X, Context())
    da = random.normal(size=cache.a.shape)
    da_prev, g = layer.backward(p, layer.delta(p, da, cache), cache)

    x = torch.tensor(X, requires_grad=True)
    q = {name: torch.tensor(value, requires_grad=True) for name, value in p.items()}
    if isinstance(layer, Conv):
        before, after = layer.margins(shape[1:])
        around = F.pad(x, (before[1], after[1], before[0], after[0]), value=layer.border)
        windows = layer.windows(shape[1:])
        W = q["W"]
        if layer.links is not None:
            table = torch.tensor(np.array(layer.links, bool))
            W = torch.zeros(*table.shape, *W.shape[1:], dtype=W.dtype).masked_scatter(table[:, :, None, None], W)
        a = torch.tanh(F.conv2d(around, W, q["b"], stride=windows.stride))
    elif isinstance(layer, Subsample):
        mean = F.avg_pool2d(x, layer.size)
        a = torch.tanh(q["omega"][:, None, None] * mean + q["b"][:, None, None])
    else:
        pool = F.max_pool2d if isinstance(layer, MaxPool) else F.avg_pool2d
        a = pool(x, layer.size, layer.stride)
    np.testing.assert_allclose(cache.a, a.detach().numpy(), atol=1e-12)
    a.backward(torch.tensor(da))
    np.testing.assert_allclose(da_prev, x.grad.numpy(), atol=1e-11)
    for name in g:
        np.testing.assert_allclose(g[name], q[name].grad.numpy(), atol=1e-10)
