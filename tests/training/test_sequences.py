"""Training on sequences: lengths, windows that carry their state, resuming within an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deltarule import (
    DataError,
    Dense,
    DivergenceError,
    HyperparameterError,
    Momentum,
    Network,
    ShapeError,
    engines,
    generate,
    load,
    train,
    writing,
)
from deltarule import network as network_module
from deltarule.engines import textbook
from deltarule.training import Callback
from deltarule.training.standing import Samples
from deltarule.training.windows import cut, mini_batches

Numbers = NDArray[Any]


def echo(m: int = 12, T: int = 14, back: int = 2, seed: int = 0) -> tuple[Numbers, Numbers]:
    """Tokens, and at every step the token of some steps before: nothing can be known without a memory."""
    tokens = np.random.default_rng(seed).integers(0, 3, (m, T))
    return tokens, np.concatenate([np.zeros((m, back), int), tokens[:, :-back]], axis=1)


def network(spec: str = "seq(3)/rnn(12)/3", **settings: Any) -> Network:
    return Network(spec, **({"dtype": "float64", "seed": 1} | settings))


def fit(net: Network, X: Numbers, t: Numbers, **named: Any) -> Any:
    settings = {"optimizer": Momentum(0.9), "learning_rate": 0.1, "epochs": 3, "batch_size": 4, "verbose": False}
    return train(net, X, t, **(settings | named))


def test_it_learns_what_was_two_steps_before() -> None:
    X, t = echo(64, 20)
    net = network("seq(3)/rnn(24)/3")
    fit(net, X, t, optimizer="adam", learning_rate=0.02, epochs=60, batch_size=16)
    assert net.evaluate(*echo(50, 20, seed=1))["accuracy"] > 0.95


def test_windows_by_hand() -> None:
    """Each window is an update, from the state in which the one before left its sequences, at the old weights."""
    X, t = echo(7, 9)
    net = network()
    theta, v = net.theta.copy(), np.zeros(net.size)
    for first in (0, 3, 6):  # batches of sequences, the last of one
        state = None
        for w in (slice(0, 4), slice(4, 8), slice(8, 9)):
            x, y = X[first : first + 3, w], t[first : first + 3, w]
            done = textbook.backpropagate(net, theta, x, y, state=state)
            state = textbook.outgoing_state(net, done.caches)
            v = 0.9 * v + 0.1 * net.join(done.gradients, theta)
            theta = theta - v
    history = fit(net, X, t, epochs=1, batch_size=3, truncate=4, shuffle=False, record_steps=True)
    np.testing.assert_allclose(net.theta, theta, atol=1e-12)
    assert len(history.step_cost) == 9


def test_lengths_and_masks_are_weights_of_steps() -> None:
    X, t = echo(5, 8)
    lengths, nets = np.array([8, 3, 1, 5, 8]), [network() for _ in range(3)]
    mask = np.arange(8) < lengths[:, None]
    fit(nets[0], X, t, lengths=lengths)
    fit(nets[1], X, t, mask=mask)
    spoilt = np.where(mask, t, -1)  # padding may be anything
    fit(nets[2], X, spoilt, lengths=lengths, sample_weight=np.ones(5))
    for net in nets[1:]:
        np.testing.assert_array_equal(net.theta, nets[0].theta)
    assert nets[0].evaluate(X, spoilt, lengths=lengths) == nets[0].evaluate(X, t, mask=mask)


@pytest.mark.parametrize(
    "named", [{"truncate": 5}, {"truncate": 4, "batch_size": 5}, {"truncate": 3, "drop_last": True}]
)
@pytest.mark.parametrize("steps", [1, 4, 7])
def test_resuming_within_an_epoch(named: dict[str, Any], steps: int, tmp_path: Path) -> None:
    """The carried state is part of the checkpoint: θ and history are bit for bit those of one go."""
    X, t = echo()

    class Stop(Callback):
        def on_step(self, run: Any) -> None:
            if run.step == steps:
                raise KeyboardInterrupt

    whole, parts = network(), network()
    expected = fit(whole, X, t, **named)
    with pytest.raises(KeyboardInterrupt):
        fit(parts, X, t, checkpoint=tmp_path, checkpoint_every=0, callbacks=[Stop()], **named)
    parts = network()
    history = fit(parts, X, t, checkpoint=tmp_path, resume=True, **named)
    np.testing.assert_array_equal(parts.theta, whole.theta)
    assert history.cost == expected.cost
    with pytest.raises(HyperparameterError, match="truncate"):
        fit(network(), X, t, checkpoint=tmp_path, resume=True, **(named | {"truncate": 7}))


def test_windows_of_rows() -> None:
    """Sequences in windows without a copy, and the mini-batches of windows."""
    net = network()
    X, t = echo(4, 6)
    data = cut(net, Samples(X, t, None, None), 3)
    assert np.shares_memory(data.X, X)
    np.testing.assert_array_equal(data.X[2 * 2 + 1], X[2, 3:])
    assert (data.m, data.windows) == (4, 2)
    rows, ends, begins = mini_batches(np.array([3, 0, 2]), np.array([2, 3]), 2)
    assert rows.tolist() == [6, 0, 7, 1, 4, 5]
    assert ends.tolist() == [2, 4, 5, 6]
    assert begins.tolist() == [True, False, True, False]
    short = cut(net, Samples(X, t, None, None), 4)
    assert short.weights is not None
    assert short.weights.tolist() == [[1, 1, 1, 1], [1, 1, -1, -1]] * 4


def test_validation_on_sequences() -> None:
    X, t = echo(20, 8)
    history = fit(network(), X, t, validation=0.25, truncate=4)
    assert len(history.validation_cost) == 3
    w = np.ones((20, 8))
    w[:, 6:] = 0
    history = fit(network(), X, t, validation=(X, t, w))
    assert len(history.validation_cost) == 3
    lengths = np.arange(20) % 8 + 1
    for named in ({"validation": 0.25}, {"rows": np.arange(15)}, {"validation": 0.25, "truncate": 3}):
        assert len(fit(network(), X, t, lengths=lengths, **named).cost) == 3


def test_a_step_of_weight_0_is_read() -> None:
    """Its cost does not count, its input does; a step that the mask leaves out has neither."""
    X, t = echo(5, 6)
    net, w = network(), np.ones((5, 6))
    w[:, 2] = 0
    other = X.copy()
    other[:, 2] = (other[:, 2] + 1) % 3
    assert net.evaluate(X, t, w) != net.evaluate(other, t, w)
    assert net.evaluate(X, t, mask=w) == net.evaluate(other, t, mask=w)


def test_models_of_sequences_are_saved(tmp_path: Path) -> None:
    net = Network("seq(3)/rnn(8)/3", vocabulary="abc", time="sum")
    net.save(tmp_path / "net.safetensors")
    again = load(tmp_path / "net.safetensors")
    assert (again.time, again.vocabulary, again.spec) == (net.time, net.vocabulary, net.spec)
    np.testing.assert_array_equal(again.forward("abc"), net.forward("abc"))
    assert generate(again, "ab", 30, seed=3) == generate(net, "ab", 30, seed=3)


@pytest.mark.parametrize(("spec", "named", "error", "said"), [
    ("seq(3)/rnn(4,last=True)/3", {"truncate": 4}, HyperparameterError, "answers once a sequence"),
    ("seq(3)/4:tanh/3", {"truncate": 4}, HyperparameterError, "has no recurrent layer"),
    ("seq(3)/rnn(4)/3", {"truncate": 0}, HyperparameterError, "truncate"),
    ("seq(3)/rnn(4)/3", {"lengths": [1] * 11}, ShapeError, "12 sequences take"),
])  # fmt: skip
def test_errors(spec: str, named: dict[str, Any], error: type[Exception], said: str) -> None:
    X, t = echo()
    t = t[:, 5] if "last" in spec else t
    with pytest.raises(error, match=said):
        fit(network(spec), X, t, **named)


@pytest.mark.parametrize(("named", "changes", "said"), [
    ({"activation": "relu"}, {"1.U": 30.0}, "the state explodes, ‖hₜ‖ grows from"),
    ({}, {"1.U": np.eye(6) * 60, "1.W": 0.0}, "the gradient explodes, ‖δₜ‖ grows from"),
])  # fmt: skip
def test_explosions_are_told(named: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    """The step, the norms through time, and the remedy."""
    X, t = echo(8, 60)
    net = Network("seq(3)/rnn(6)/3", **named)
    for name, value in changes.items():
        p = net.parameters()[name]
        p[...] = value if isinstance(value, np.ndarray) else p * value
    with pytest.raises(DivergenceError) as error:
        train(net, X, t, epochs=1, verbose=False)
    for part in ("epoch 1, step 1", "layer 1 (rnn(6", said, "Clip the gradient (clip_norm=1), lower the learning rate"):
        assert part in str(error.value)


def test_the_norm_of_a_gradient_that_is_too_large() -> None:
    net = Network("seq(3)/rnn(6)/1", output="identity")
    net.parameters()["2.b"][...] = 3e37
    X, _ = echo(2, 4)
    with pytest.raises(DivergenceError, match=r"the cost is not finite; the gradient's norm is \d\.\d+e\+3[78]"):
        train(net, X, np.zeros((2, 4)), optimizer="sgd", learning_rate=100.0, epochs=1, verbose=False)


def test_a_network_that_begins_layers_brings_its_time_and_vocabulary() -> None:
    before = Network("seq(3)/rnn(4)/3", time="sum", vocabulary="abc")
    made = Network([before[:1], Dense(3)])
    assert (made.time, made.vocabulary) == ("sum", before.vocabulary)
    assert Network([before[:1], Dense(3)], time="mean").time == "mean"


@pytest.mark.parametrize("last", [False, True])
def test_scores_of_stretches(last: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long sequences are evaluated a stretch at a time, the state going on: the same scores."""
    X, t = echo(37, 23)
    net = Network(f"seq(3)/rnn(6,last={last})/3")
    lengths, t = np.arange(37) % 23 + 1, t[:, -1] if last else t
    expected = [net.evaluate(X, t), net.evaluate(X, t, lengths=lengths)]
    monkeypatch.setattr(network_module, "AT_A_TIME", 200)
    for found, once in zip([net.evaluate(X, t), net.evaluate(X, t, lengths=lengths)], expected):
        assert found == pytest.approx(once, rel=1e-6)


def test_labels_of_a_byte_are_not_copied() -> None:
    X, t = echo(20, 7)
    net = Network("seq(3)/rnn(6)/3")
    t = t.astype(np.uint8)
    _, kept, _ = net.prepare(X, t)
    assert np.shares_memory(kept, t)
    many = Network("seq(300)/rnn(6)/300")
    assert many.prepare(X, t)[1].dtype == np.int64  # 256 … 299 are no bytes
    np.testing.assert_array_equal(net.cost_and_gradient(X, t)[1], net.cost_and_gradient(X, t.astype(np.int64))[1])
    with pytest.raises(DataError, match="the target at row 0, step 2 is 3"):
        net.prepare(X[:1], np.array([[0, 1, 3, 0, 0, 0, 0]], np.uint8))


def test_validation_has_lengths_of_its_own() -> None:
    X, t = echo(20, 8)
    lengths = np.arange(20) % 8 + 1
    net = Network("seq(3)/rnn(6,last=True)/3")
    history = fit(net, X, t[:, -1], lengths=lengths, validation={"X": X, "t": t[:, -1], "lengths": lengths})
    assert history.validation_cost[-1] == net.evaluate(X, t[:, -1], lengths=lengths)["cost"]
    assert history.validation_cost[-1] != net.evaluate(X, t[:, -1])["cost"]
    with pytest.raises(HyperparameterError, match="a mapping with X, t and any of sample_weight, lengths, mask"):
        fit(net, X, t[:, -1], validation={"X": X, "t": t[:, -1], "length": lengths})


def test_costs_that_add_up_are_the_same_everywhere() -> None:
    """time="sum": evaluate, the gradient's cost and the history's are C."""
    X, t = echo(6, 5)
    net, w = Network("seq(3)/rnn(6)/3", time="sum", dtype="float64"), np.arange(1.0, 7)
    for named in ({}, {"sample_weight": w}, {"lengths": [5, 4, 3, 2, 1, 5]}):
        C = net.cost_and_gradient(X, t, **named)[0]
        assert net.evaluate(X, t, **named)["cost"] == pytest.approx(C, rel=1e-12)
        still = {"optimizer": "sgd", "learning_rate": 1e-30, "batch_size": 6, "epochs": 1, "verbose": False}
        assert train(net, X, t, **named, **still).cost[0] == pytest.approx(C, rel=1e-12)
    assert train(net, X, t, truncate=2, **still).cost[0] == pytest.approx(net.cost_and_gradient(X, t)[0], rel=1e-12)


def test_what_stands_beyond_the_lengths_may_be_anything() -> None:
    X, t = echo(5, 6)
    lengths = np.array([6, 1, 3, 2, 5])
    beyond = np.arange(6) >= lengths[:, None]
    net = Network("seq(3)/rnn(6)/3")
    expected = net.cost_and_gradient(X, t, lengths=lengths)[1]
    np.testing.assert_array_equal(net.cost_and_gradient(np.where(beyond, -7, X), t, lengths=lengths)[1], expected)
    with pytest.raises(DataError, match="token -7"):
        net.predict(np.where(beyond, -7, X))
    numbers = Network("seq(2)/rnn(6)/3")
    Z = np.random.default_rng(1).normal(size=(5, 6, 2))
    expected = numbers.predict_proba(Z, lengths=lengths)[~beyond]
    Z[beyond] = np.nan
    np.testing.assert_array_equal(numbers.predict_proba(Z, lengths=lengths)[~beyond], expected)


def test_a_vocabulary_is_checked_and_reads_targets_too() -> None:
    net = Network("seq(3)/rnn(6)/3")
    net.vocabulary = "abc"
    assert net.evaluate("abca", "bcab") == net.evaluate(np.array([0, 1, 2, 0]), np.array([1, 2, 0, 1]))
    with pytest.raises(ShapeError, match="goes with seq"):
        net.vocabulary = "abcd"
    with pytest.raises(HyperparameterError, match="its characters"):
        net.vocabulary = 7  # type: ignore[assignment]


@pytest.mark.parametrize("engine", ["native", "textbook"])
def test_temperatures_near_0(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Network("seq(3)/rnn(6)/3", vocabulary="abc")
    chosen = engines.choose(engine)
    monkeypatch.setattr(engines, "choose", lambda *_: chosen)
    monkeypatch.setattr(writing, "AT_A_TIME", 7)
    assert generate(net, "a", 30, temperature=1e-50) == generate(net, "a", 30, temperature=0)
    pieces = generate(net, "a", 30)
    monkeypatch.setattr(writing, "AT_A_TIME", 1 << 16)
    assert generate(net, "a", 30) == pieces
