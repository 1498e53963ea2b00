"""The table of cases: each can be built, checked, and counted."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from deltarule.bench import peers
from deltarule.bench.cases import CASES, CHECKED, SIMPLECHAINS, Case, find, flops
from deltarule.bench.problem import load, pose, reference, save
from deltarule.bench.stages import Stage, last_channels
from deltarule.errors import UnknownNameError
from deltarule.layers import Dense, flat_size
from deltarule.network import Network
from deltarule.optimizers import SGD, Adam, Momentum, optimizer


@pytest.mark.parametrize("case", [*CASES, SIMPLECHAINS], ids=lambda case: case.name)
def test_a_case_is_sane(case):
    net = Network(case.network, activation=case.activation)
    assert str(net.output.activation) == "softmax"
    assert type(optimizer(case.optimizer)) in (SGD, Momentum, Adam)
    assert case.data in ("mnist", "digits", "noise", "pixels", "characters")
    n = case.length * flat_size(net.input_shape)
    assert n == {"mnist": 784, "digits": 64}.get(case.data, n)
    assert case.images == (len(net.input_shape) == 3)
    assert case.sequences == (net.input_shape[0] is None) == (case.length > 1) == (case.unit == "steps")
    assert case.sequences or not case.tokens
    assert case.shortened().steps >= CHECKED
    assert case.steps >= case.shortened().steps
    for target in case.targets:
        assert target.must <= target.aim
        assert target.versus in ("best", "sgemm") or peers.find(target.versus)
    assert Case.from_json(json.loads(json.dumps(asdict(case)))) == case


def test_names_are_unique_and_found():
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(find(case.name) is case for case in (*CASES, SIMPLECHAINS))
    with pytest.raises(UnknownNameError, match="cases: tiny, mlp32"):
        find("huge")


def test_the_networks_are_those_of_the_issue():
    assert find("deep").network.count("/") == 21
    assert Network(find("deep").network).shapes == ((64,), *[(64,)] * 20, (10,))
    batches = {case.name: case.batch for case in CASES if case.kind == "train"}
    assert batches == {
        "tiny": 32, "mlp32": 32, "mlp128": 128, "mlp512": 512, "digits": 32, "wide": 256, "deep": 64, "online": 1,
        "lenet32": 32, "lenet128": 128, "lenet512": 512, "lenet5": 128, "ufldl_cnn": 256, "cnn_small": 64,
        "rnn32": 32, "rnn128": 128, "rnn_small": 32, "pixels": 64,
    }  # fmt: skip
    assert Network(find("lenet32").network).size == 61_706
    assert Network(find("lenet5").network).size == 60_000 + 850  # document 003, and ten outputs of 84
    assert Network(find("ufldl_cnn").network).shapes == ((1, 28, 28), (20, 20, 20), (20, 10, 10), (10,))
    assert Network(find("cnn_small").network).shapes[-3:] == ((64, 8, 8), (128,), (10,))
    assert Network(SIMPLECHAINS.network).size == 44_426
    assert {case.name: case.length for case in CASES if case.sequences} == {
        "rnn32": 50, "rnn128": 50, "rnn_small": 50, "pixels": 784
    }  # fmt: skip
    assert Network(find("rnn128").network).size == 128 * (65 + 128 + 1) + 65 * (128 + 1)
    assert Network(find("rnn_small").network).shapes == ((None, 16), (None, 64), (None, 16))
    assert Network(find("pixels").network).shapes == ((None, 1), (64,), (10,))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tiny", 4 * 10 * 32 + 6 * (32 * 32 + 32 * 2)),
        ("mlp128", 4 * 784 * 100 + 6 * 100 * 10),
        ("wide", 4 * 784 * 1024 + 6 * (1024 * 1024 + 1024 * 10)),
        ("predict1", 2 * (784 * 100 + 100 * 10)),
        ("lenet128", 4 * 784 * 6 * 25 + 6 * (100 * 16 * 6 * 25 + 400 * 120 + 120 * 84 + 84 * 10)),
        ("lenet5", 4 * 784 * 6 * 25 + 6 * (100 * 60 * 25 + 120 * 16 * 25 + 120 * 84 + 84 * 10)),
        ("ufldl_cnn", 4 * 400 * 20 * 81 + 6 * 2000 * 10),
        ("cnn_small", 4 * 1024 * 32 * 27 + 6 * (256 * 64 * 32 * 9 + 4096 * 128 + 128 * 10)),
        ("rnn32", 6 * (128 * 128 + 128 * 65)),
        ("rnn_small", 4 * 16 * 64 + 6 * (64 * 64 + 64 * 16)),
        ("pixels", 4 * 1 * 64 + 6 * (64 * 64 + 64 * 10 / 784)),
    ],
)
def test_operations_a_sample(name, expected):
    assert flops(find(name)) == expected


def test_a_problem_is_read_back_as_it_was(tmp_path, monkeypatch):
    monkeypatch.delenv("DELTARULE_DATA", raising=False)
    posed = pose(find("mlp32").shortened())
    assert "noise in MNIST's shape" in posed.source
    assert posed.X.max() == 1
    save(posed, tmp_path)
    read = load(tmp_path)
    assert (read.case, read.source) == (posed.case, posed.source)
    for name in ("X", "t", "theta", "pixels"):
        np.testing.assert_array_equal(getattr(read, name), getattr(posed, name))
        assert getattr(read, name).dtype == getattr(posed, name).dtype


@pytest.mark.parametrize("data", [True, False])
def test_characters_are_followed_by_the_next(data, tmp_path, monkeypatch, request):
    if data:
        monkeypatch.setenv("DELTARULE_DATA", str(request.getfixturevalue("data_folder")))
    else:
        monkeypatch.delenv("DELTARULE_DATA", raising=False)
    posed = pose(find("rnn32").shortened())
    assert posed.source == ("tinyshakespeare" if data else "noise in place of characters (DELTARULE_DATA is not set)")
    assert (posed.X.dtype, posed.X.shape, posed.t.shape, posed.pixels) == (np.uint8, (640, 50), (640, 50), None)
    np.testing.assert_array_equal(posed.t.ravel()[:-1], posed.X.ravel()[1:])
    assert posed.X.max() < 65
    save(posed, tmp_path)
    np.testing.assert_array_equal(load(tmp_path).X, posed.X)
    assert load(tmp_path).X.dtype == np.uint8


def test_sequences_of_numbers(monkeypatch):
    monkeypatch.delenv("DELTARULE_DATA", raising=False)
    posed = pose(find("rnn_small").shortened())
    assert (posed.X.dtype, posed.X.shape, posed.t.shape) == (np.float32, (640, 50, 16), (640, 50))
    posed = pose(find("pixels"))
    assert (posed.X.shape, posed.pixels.shape, posed.t.shape) == ((1280, 784, 1), (1280, 784, 1), (1280,))


def test_noise_may_be_pixels():
    posed = pose(Case("x", "3x4x4/5/2", "relu", "sgd", 0.1, 8, "pixels", 16))
    assert (posed.source, posed.pixels.dtype, posed.X.shape) == ("noise", np.uint8, (16, 48))
    np.testing.assert_array_equal(posed.X, posed.pixels.astype(np.float32) / np.float32(255))


def test_real_mnist(data_folder, monkeypatch):
    monkeypatch.setenv("DELTARULE_DATA", str(data_folder))
    posed = pose(find("mlp32"))
    assert (posed.source, posed.X.shape, posed.t[:4].tolist()) == ("MNIST", (60_000, 784), [5, 0, 4, 1])
    np.testing.assert_array_equal(posed.X[0], posed.pixels[0].astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("name", ["tiny", "lenet5", "rnn_small"])
def test_stages_hold_theta(name):
    posed = pose(find(name).shortened())
    flat = np.concatenate([values.ravel() for stage in posed.stages for values in stage.p.values()])
    np.testing.assert_array_equal(flat, posed.theta)
    assert [stage.input_shape for stage in posed.stages] == list(posed.network().shapes[:-1])
    assert [str(stage.layer) for stage in posed.stages] == list(map(str, posed.network().layers))


def test_a_link_table_makes_kernels_of_zeros():
    """As document 003 has it: 60 links between 6 and 16 maps, the last map sees all six."""
    first, _, linked, *_ = pose(find("lenet5").shortened()).stages
    assert first.kernels()[1] is None
    assert first.kernels()[0] is first.p["W"]
    W, table = linked.kernels()
    assert (W.shape, table.shape, table.sum()) == ((16, 6, 5, 5), (16, 6, 5, 5), 60 * 25)
    assert table[0, :, 0, 0].tolist() == [1, 1, 1, 0, 0, 0]
    assert table[15].all()
    assert (W[table == 0] == 0).all()
    np.testing.assert_array_equal(W[table == 1], linked.p["W"].ravel())


def test_channels_may_come_last():
    """A dense layer gives the same for an image in either order."""
    random = np.random.default_rng(0)
    images, W = random.standard_normal((2, 3 * 4 * 5)), random.standard_normal((7, 3 * 4 * 5))
    stage = Stage(Dense(7), (3, 4, 5), {"W": W})
    turned = last_channels(images, (3, 4, 5))
    np.testing.assert_array_equal(turned.reshape(2, 4, 5, 3)[1, 2, 3], images.reshape(2, 3, 4, 5)[1, :, 2, 3])
    np.testing.assert_allclose(turned @ stage.weights(channels_last=True).T, images @ stage.weights(False).T)
    assert last_channels(images, (60,)) is images
    assert last_channels(images, (1, 6, 10)) is images


def test_a_recurrent_layer_applies_its_own_activation():
    """What stands behind it sees its steps, or its last h alone."""
    every, last = (pose(find(name).shortened()).stages for name in ("rnn_small", "pixels"))
    assert [stage.activation for stage in every] == ["identity", "softmax"]
    assert [stage.sequence for stage in every] == [True, True]
    assert [stage.sequence for stage in last] == [True, False]
    assert list(every[0].p) == ["W", "U", "b"]


def test_the_reference_is_plain_gradient_descent():
    """Against a loop over cost_and_gradient, with momentum as the documents have it."""
    posed = pose(find("mlp32").shortened())
    net, v, costs = posed.network("float64"), 0.0, []
    for k in range(CHECKED):
        rows = slice(32 * k, 32 * (k + 1))
        C, g = net.cost_and_gradient(posed.pixels[rows] / 255, posed.t[rows])
        v = 0.9 * v + 0.02 * g
        net.theta -= v
        costs.append(C)
    np.testing.assert_allclose(reference(posed), costs, rtol=1e-12)
