"""The table of cases: each can be built, checked, and counted."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from deltarule.bench import peers
from deltarule.bench.cases import CASES, CHECKED, Case, find, flops
from deltarule.bench.problem import load, pose, reference, save
from deltarule.errors import UnknownNameError
from deltarule.network import Network
from deltarule.optimizers import SGD, Adam, Momentum, optimizer


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_sane(case):
    net = Network(case.network, activation=case.activation)
    assert str(net.output.activation) == "softmax"
    assert type(optimizer(case.optimizer)) in (SGD, Momentum, Adam)
    assert case.data in ("mnist", "digits", "noise")
    assert net.input_shape[0] == {"mnist": 784, "digits": 64}.get(case.data, net.input_shape[0])
    assert case.shortened().steps >= CHECKED
    assert case.steps >= case.shortened().steps
    for target in case.targets:
        assert target.must <= target.aim
        assert target.versus in ("best", "sgemm") or peers.find(target.versus)
    assert Case.from_json(json.loads(json.dumps(asdict(case)))) == case


def test_names_are_unique_and_found():
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(find(case.name) is case for case in CASES)
    with pytest.raises(UnknownNameError, match="cases: tiny, mlp32"):
        find("huge")


def test_the_networks_are_those_of_the_issue():
    assert find("deep").network.count("/") == 21
    assert Network(find("deep").network).shapes == ((64,), *[(64,)] * 20, (10,))
    assert [find(name).batch for name in ("mlp32", "mlp128", "mlp512", "digits", "wide", "deep", "online")] == [
        32, 128, 512, 32, 256, 64, 1
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tiny", 4 * 10 * 32 + 6 * (32 * 32 + 32 * 2)),
        ("mlp128", 4 * 784 * 100 + 6 * 100 * 10),
        ("wide", 4 * 784 * 1024 + 6 * (1024 * 1024 + 1024 * 10)),
        ("predict1", 2 * (784 * 100 + 100 * 10)),
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


def test_real_mnist(data_folder, monkeypatch):
    monkeypatch.setenv("DELTARULE_DATA", str(data_folder))
    posed = pose(find("mlp32"))
    assert (posed.source, posed.X.shape, posed.t[:4].tolist()) == ("MNIST", (60_000, 784), [5, 0, 4, 1])
    np.testing.assert_array_equal(posed.X[0], posed.pixels[0].astype(np.float32) / np.float32(255))


def test_layers_lie_as_in_theta():
    posed = pose(find("tiny").shortened())
    np.testing.assert_array_equal(np.concatenate([p.ravel() for layer in posed.layers for p in layer]), posed.theta)
    assert [W.shape for W, _ in posed.layers] == [(32, 10), (32, 32), (2, 32)]


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
