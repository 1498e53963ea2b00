"""Checkpoints: stopped anywhere, a training goes on to the same bits; what differs is refused, damage passed over."""

from __future__ import annotations

import errno
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors

import deltarule as dr
from deltarule import Callback, Network, Run, files
from deltarule.errors import FileFormatError, HyperparameterError
from deltarule.schedules import Schedule
from deltarule.training import checkpoint
from deltarule.training.checkpoint import newest

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(47, 6)).astype(np.float32)
T = (X @ RANDOM.normal(size=(6, 3))).argmax(axis=1)
STEPS = 4 * 10  # of four epochs in batches of five


DENSE = "6/9/dropout(0.3)/3"
MAPS = "1x2x3/conv(4,2,pad=1)/maxpool(2,1)/dropout(0.3)/conv(2,(1,2),links=((1,0,1,0),(0,1,1,1)))/subsample((2,1))/3"


def network(dtype: str = "float32", spec: str = DENSE) -> Network:
    return Network(spec, activation="tanh", dtype=dtype, seed=1)


def fit(net: Network, **named: Any) -> dr.History:
    options: dict[str, Any] = {"epochs": 4, "batch_size": 5, "verbose": False, "seed": 7, "record_steps": True}
    return dr.train(net, X, T, **(options | named))


class StopAfter(Callback):
    """Ctrl-C after so many updates (with `by_step`), or in an epoch's end."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, run: Run) -> None:
        if run.step == self.step:
            raise KeyboardInterrupt


class Nothing(Callback):
    def on_step(self, run: Run) -> None:
        """Slices of one update."""


def stopped(folder: Path, step: int, spec: str = DENSE, **named: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(network(spec=spec), checkpoint=folder, callbacks=[StopAfter(step)], **named)


def outcome(net: Network, history: dr.History) -> tuple[Any, ...]:
    """All that must come out the same."""
    columns = {name: column for name, column in history.columns.items() if name != "seconds"}
    best = history.best_theta
    return (
        net.theta.tobytes(), columns, history.step_cost, history.best_epoch, None if best is None else best.tobytes(),
        history.stopped, history.seed, history._steps_until,
    )  # fmt: skip


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "nadam": {"optimizer": "nadam", "engine": "textbook"},
    "plateau": {"schedule": "reduce_on_plateau(patience=1)", "validation": 0.25, "optimizer": "momentum"},
    "cosine": {"schedule": "cosine", "optimizer": "amsgrad", "clip_norm": 0.5},
    "early": {"validation": 0.25, "early_stopping": dr.EarlyStopping(1, 0.5)},
    "weights": {"class_weight": "balanced", "sample_weight": np.linspace(0.5, 2, 47), "weight_decay": 1e-3},
    "adadelta": {"optimizer": "adadelta"},
    "rprop": {"optimizer": "rprop", "batch_size": 47, "epochs": 12},
    "restore": {"on_divergence": "restore"},
    "maps": {"spec": MAPS},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_stopped_anywhere_goes_on_to_the_same_bits(tmp_path: Path, variant: str) -> None:
    named = VARIANTS[variant].copy()
    spec = named.pop("spec", DENSE)
    net = network(spec=spec)
    expected = outcome(net, fit(net, **named))
    last = len(expected[2])
    for step in sorted({1, 2, 9, 10, 11, 19, 20, last - 1, last} & set(range(1, last + 1))):
        folder = tmp_path / str(step)
        stopped(folder, step, spec, **named)
        again = network(spec=spec)
        history = fit(again, checkpoint=folder, resume=True, threads=1 + step % 3, **named)
        assert outcome(again, history) == expected, step


def test_a_run_stopped_again_and_again(tmp_path: Path) -> None:
    net = network()
    expected = outcome(net, fit(net))
    for step in range(3, STEPS, 3):
        with pytest.raises(KeyboardInterrupt):
            fit(network(), checkpoint=tmp_path, resume=True, callbacks=[StopAfter(step)])
    again = network()
    assert outcome(again, fit(again, checkpoint=tmp_path, resume=True)) == expected


def test_slices_of_any_length(tmp_path: Path) -> None:
    stopped(tmp_path, 13)
    one, many = network(), network()
    first = outcome(one, fit(one, callbacks=[Nothing()]))
    assert outcome(many, fit(many, checkpoint=tmp_path, resume=True)) == first


def test_without_a_checkpoint_it_begins(tmp_path: Path) -> None:
    net, again = network(), network()
    expected = outcome(net, fit(net))
    assert outcome(again, fit(again, checkpoint=tmp_path / "new" / "run", resume=True)) == expected
    assert len(list((tmp_path / "new" / "run").glob("checkpoint-*"))) == 2


def test_a_finished_run_is_left_as_it_is_or_made_longer(tmp_path: Path) -> None:
    net, again, longer = network(), network(), network()
    expected = outcome(net, fit(net, checkpoint=tmp_path))
    assert outcome(again, fit(again, checkpoint=tmp_path, resume=True)) == expected
    history = fit(longer, epochs=6, checkpoint=tmp_path, resume=True)
    net = network()
    assert outcome(longer, history) == outcome(net, fit(net, epochs=6))


def test_the_seed_that_was_drawn_is_kept(tmp_path: Path) -> None:
    net = network()
    with pytest.raises(KeyboardInterrupt):
        fit(net, seed=None, checkpoint=tmp_path, callbacks=[StopAfter(7)])
    again, whole = network(), network()
    history = fit(again, seed=None, checkpoint=tmp_path, resume=True)
    assert outcome(again, history) == outcome(whole, fit(whole, seed=history.seed))


def test_weights_that_a_callback_sets_are_kept(tmp_path: Path) -> None:
    class Halve(Callback):
        def on_step(self, run: Run) -> None:
            run.net.theta[...] /= 2

        def on_epoch(self, run: Run) -> None:
            run.net.theta[...] /= 2

    net, again = network(), network()
    fit(net, callbacks=[Halve()])
    with pytest.raises(KeyboardInterrupt):
        fit(network(), callbacks=[Halve(), StopAfter(21)], checkpoint=tmp_path)
    fit(again, callbacks=[Halve()], checkpoint=tmp_path, resume=True)
    assert net.theta.tobytes() == again.theta.tobytes()


# What differs


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"batch_size": 6}, "batch_size is 6, it was 5"),
        ({"optimizer": "sgd"}, "optimizer is 'sgd'"),
        ({"learning_rate": 0.5}, "learning_rate is 0.5, it was 0.001"),
        ({"schedule": "cosine"}, "schedule"),
        ({"seed": 8}, "seed is 8, it was 7"),
        ({"weight_decay": 0.1}, "weight_decay"),
        ({"clip_norm": 1.0}, "clip_norm is 1.0, it was None"),
        ({"engine": "textbook"}, "engine is 'textbook', it was 'native'"),
        ({"validation": 0.2}, "data"),
        ({"sample_weight": np.ones(47)}, "data"),
        ({"epochs": 1}, "epochs is 1, and 2 are done"),
        ({"on_divergence": "restore"}, "on_divergence"),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, named: dict[str, Any], said: str) -> None:
    stopped(tmp_path, 23)
    with pytest.raises(HyperparameterError, match="cannot go on") as error:
        fit(network(), checkpoint=tmp_path, resume=True, **named)
    assert said in str(error.value)


def test_other_data_and_networks_are_refused(tmp_path: Path) -> None:
    stopped(tmp_path, 23)
    other = X.copy()
    other[40, 3] += 1e-6
    with pytest.raises(HyperparameterError, match="the data"):
        dr.train(network(), other, T, epochs=4, batch_size=5, seed=7, record_steps=True, verbose=False,
                 checkpoint=tmp_path, resume=True)  # fmt: skip
    again = Network("6/9/dropout(0.3)/3", activation="tanh", seed=2)  # other initial weights
    for net in (Network("6/9/3", seed=1), network("float64"), again):
        with pytest.raises((HyperparameterError, dr.errors.ShapeError)):
            fit(net, checkpoint=tmp_path, resume=True)


def test_a_folder_of_another_run_is_not_written_into(tmp_path: Path) -> None:
    stopped(tmp_path, 5)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(HyperparameterError, match="resume=True"):
        fit(network(), checkpoint=tmp_path)
    assert sorted(os.listdir(tmp_path)) == before
    with pytest.raises(HyperparameterError, match="checkpoint=folder"):
        fit(network(), resume=True)


def test_another_version_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(tmp_path, 5)
    monkeypatch.setattr(checkpoint, "_versions", lambda: ("9.9", "9.9"))
    with pytest.warns(UserWarning, match="with 9.9 and 9.9 the last bits may differ"):
        fit(network(), checkpoint=tmp_path, resume=True)


# Files


def test_two_are_kept_and_what_was_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint-000000000001.safetensors.0a1b2c3d").write_bytes(b"half")
    fit(network(), checkpoint=tmp_path, checkpoint_every=0, callbacks=[Nothing()])
    assert sorted(os.listdir(tmp_path)) == [f"checkpoint-{n:012}.safetensors" for n in (STEPS - 1, STEPS)]


@pytest.mark.parametrize(
    "damage", ["cut", "empty", "bit in the header", "bit in the middle", "bit at the end", "foreign"]
)
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, damage: str) -> None:
    net = network()
    expected = outcome(net, fit(net))
    with pytest.raises(KeyboardInterrupt):
        fit(network(), checkpoint=tmp_path, checkpoint_every=0, callbacks=[StopAfter(17)])
    older, last = sorted(tmp_path.iterdir())
    for path in (last, older):
        spoil(path, damage)
        if path == last:
            again = network()
            with pytest.warns(UserWarning, match=f"going on from {older.name}"):
                history = fit(again, checkpoint=tmp_path, resume=True)
            assert outcome(again, history) == expected
            for written in tmp_path.iterdir():
                if written not in (older, last):
                    written.unlink()
            spoil(last, damage) if last.exists() else last.write_bytes(b"")
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(FileFormatError):
        fit(network(), checkpoint=tmp_path, resume=True)


def test_a_read_error_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, again = network(), network()
    expected = outcome(net, fit(net))
    with pytest.raises(KeyboardInterrupt):
        fit(network(), checkpoint=tmp_path, checkpoint_every=0, callbacks=[StopAfter(17)])
    last, real = max(tmp_path.iterdir()), safetensors.safe_open

    def broken(path: Path, **named: Any) -> Any:
        if path == last:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return real(path, **named)

    monkeypatch.setattr(safetensors, "safe_open", broken)
    with pytest.warns(UserWarning, match="Input/output error"):
        history = fit(again, checkpoint=tmp_path, resume=True)
    assert outcome(again, history) == expected


def spoil(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes()) if path.exists() else bytearray(100)
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "empty":
        content = bytearray()
    elif damage.startswith("bit"):
        place = {"header": 40, "middle": len(content) * 2 // 3, "end": len(content) - 1}[damage.split()[-1]]
        content[place] ^= 4
    else:
        Network("2/2").save(path)
        return
    path.write_bytes(bytes(content))


def test_a_newer_format_is_refused_with_its_number(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(network(), checkpoint=tmp_path, checkpoint_every=0, callbacks=[StopAfter(17)])
    newer = files.CHECKPOINT._replace(format=2)
    files.write(max(tmp_path.iterdir()), {"theta": np.zeros(3, np.float32)}, {"format": 2}, newer)
    with pytest.raises(dr.errors.NewerFormatError, match="format 2 is newer"):
        fit(network(), checkpoint=tmp_path, resume=True)


def test_other_files_of_such_names_are_left_alone(tmp_path: Path) -> None:
    mine = ["checkpoint-best.safetensors", "checkpoint-0-final.safetensors", "checkpoint-last.safetensors"]
    for name in mine:
        (tmp_path / name).write_text("mine")
    with pytest.raises(KeyboardInterrupt):
        fit(network(), checkpoint=tmp_path, checkpoint_every=0, callbacks=[StopAfter(17)])
    net, again = network(), network()
    assert outcome(again, fit(again, checkpoint=tmp_path, resume=True)) == outcome(net, fit(net))
    assert set(mine) < set(os.listdir(tmp_path))
    assert len(os.listdir(tmp_path)) == len(mine) + 2


def test_damaged_files_of_more_updates_do_not_outlive_whole_ones(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(network(), checkpoint=tmp_path, checkpoint_every=0, callbacks=[StopAfter(17)])
    for step in (30, 35):
        (tmp_path / f"checkpoint-{step:012}.safetensors").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="going on from"), pytest.raises(KeyboardInterrupt):
        fit(network(), checkpoint=tmp_path, checkpoint_every=0, resume=True, callbacks=[StopAfter(20)])
    found = newest(tmp_path)
    assert found is not None
    assert found.standing.step == 19
    assert len(list(tmp_path.iterdir())) == 2


FORGED: dict[str, Any] = {
    "scheduled": {"a": 1.0}, "step": 2**63, "seed": -1, "factor": 0.0, "seconds": "nan", "batch": 99, "epoch": 3,
    "columns": ["epoch"], "epochs": 0, "best_epoch": 9, "total": "x", "waited": -1, "restored": 1.5, "settings": [],
}  # fmt: skip


@pytest.mark.parametrize("field", FORGED)
def test_content_that_cannot_be_is_refused_though_its_checksum_is_right(tmp_path: Path, field: str) -> None:
    stopped(tmp_path, 23)
    path = max(tmp_path.iterdir())
    arrays, found = files.read(path, files.CHECKPOINT)
    for other in tmp_path.iterdir():
        other.unlink()
    files.write(path, arrays, found | {field: FORGED[field]}, files.CHECKPOINT)
    with pytest.raises(dr.errors.DeltaruleError):
        fit(network(), checkpoint=tmp_path, resume=True)


def test_one_training_a_folder(tmp_path: Path) -> None:
    class Another(Callback):
        def on_epoch(self, run: Run) -> None:
            with pytest.raises(HyperparameterError, match="in use"):
                fit(network(), checkpoint=tmp_path, resume=True)

    fit(network(), checkpoint=tmp_path, callbacks=[Another()])
    fit(network(), checkpoint=tmp_path, resume=True)  # now it is free


def test_what_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = [
        {"batch_size": 0}, {"optimizer": "adm"}, {"sample_weight": [1.0]}, {"checkpoint": True},
    ]  # fmt: skip
    for named in wrong:
        with pytest.raises(dr.errors.DeltaruleError):
            fit(network(), **({"checkpoint": tmp_path / "a" / "b"} | named))
    assert os.listdir(tmp_path) == []


def test_numbers_of_numpy_are_settings(tmp_path: Path) -> None:
    fit(network(), checkpoint=tmp_path, validation=0.25, drop_last=np.bool_(False), batch_size=np.int64(5),
        early_stopping=dr.EarlyStopping(np.int64(5), np.float32(0.5)), learning_rate=np.float32(0.01))  # fmt: skip
    assert newest(tmp_path) is not None


@pytest.mark.parametrize("way", ["on_step", "on_epoch", "on_slice"])
def test_what_a_callback_ended_stays_ended(tmp_path: Path, way: str) -> None:
    def end(self: Any, run: Run) -> None:
        if run.step >= 13:
            run.stop("enough")

    net, again, longer = network(), network(), network()
    expected = outcome(net, fit(net, checkpoint=tmp_path, callbacks=[type("End", (Callback,), {way: end})()]))
    assert outcome(again, fit(again, checkpoint=tmp_path, resume=True)) == expected
    assert fit(longer, epochs=5, checkpoint=tmp_path, resume=True).stopped == "all 5 epochs are done"


def test_columns_keep_their_order(tmp_path: Path) -> None:
    named: dict[str, Any] = {"validation": 0.25, "on_divergence": "restore"}
    history = fit(network(), **named)
    stopped(tmp_path, 23, **named)
    again = fit(network(), checkpoint=tmp_path, resume=True, **named)
    assert list(again.columns) == list(history.columns)


def test_each_bit_of_a_checkpoint_is_under_its_checksum(tmp_path: Path) -> None:
    dr.train(Network("2/1"), [[0.0, 1.0], [1.0, 0.0]], [0, 1], epochs=1, checkpoint=tmp_path, verbose=False)
    path = max(tmp_path.iterdir())
    content = path.read_bytes()
    found = newest(tmp_path)
    assert found is not None
    for k in range(8, len(content)):
        changed = bytearray(content)
        changed[k] ^= 1 << (k % 8)
        path.write_bytes(bytes(changed))
        try:
            read = checkpoint._read(path)
        except FileFormatError:
            continue
        assert chr(content[k]).isspace() or read.theta.tobytes() == found.theta.tobytes(), k  # padding of the header


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_checkpoint_that_cannot_be_written_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    net, again = network(), network()
    expected = outcome(net, fit(net))
    real, calls = files.write_bytes, []

    def full(path: Any, content: bytes) -> None:
        calls.append(path)
        if len(calls) in (2, 3):
            raise OSError(fault, os.strerror(fault), str(path))
        real(path, content)

    monkeypatch.setattr(files, "write_bytes", full)
    with pytest.warns(UserWarning, match="training goes on") as said:
        history = fit(again, checkpoint=tmp_path, checkpoint_every=0, callbacks=[Nothing()])
    assert len(said) == 1
    assert outcome(again, history) == expected
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        fit(network(), checkpoint=tmp_path / "file")


def test_what_is_in_a_checkpoint(tmp_path: Path) -> None:
    stopped(tmp_path, 23)
    arrays, found = files.read(max(tmp_path.iterdir()), files.CHECKPOINT)
    assert {"theta", "best.theta", "state.mean", "state.square", "history.step_cost"} <= set(arrays)
    assert (found["epoch"], found["batch"], found["step"], found["seed"]) == (2, 2, 22, 7)
    assert found["settings"]["network"] == "6/9:tanh/dropout(0.3)/3"
    json.dumps(found, allow_nan=False)


# Divergence


def test_divergence_names_the_sample_and_keeps_the_best(tmp_path: Path) -> None:
    far, net = X.copy(), Network("6/9/3", seed=1)
    far[30] = 3e38
    with pytest.raises(dr.errors.DivergenceError, match="row 30") as error:
        dr.train(net, far, T, optimizer="sgd", learning_rate=10.0, epochs=3, verbose=False, shuffle=False, batch_size=8)
    assert error.value.sample == 30
    assert (error.value.epoch, error.value.step, error.value.layer) == (1, 4, 1)
    assert "last finite weights are kept" in str(error.value)
    assert len(error.value.history) == 0


class Wild(Schedule):
    """η grows beyond all bounds in one epoch."""

    name = "wild"
    most = 1e40

    def factor(self, progress: Any, state: Any = None) -> float:
        return self.most if 24 <= progress.step < 30 else 1.0


class Wilder(Wild):
    most = 1e45


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    net = network()
    with pytest.raises(dr.errors.DivergenceError, match="The weights of epoch 2, the best, are kept") as error:
        fit(net, schedule=Wilder(), optimizer="sgd", checkpoint=tmp_path)
    assert error.value.history.best_theta.tobytes() == net.theta.tobytes()
    assert len(error.value.history) == 2


def test_restoring_goes_back_with_half_the_rate(tmp_path: Path) -> None:
    named: dict[str, Any] = {"schedule": Wild(), "optimizer": "momentum", "on_divergence": "restore"}
    net = network()
    with pytest.warns(UserWarning, match="weights of epoch 2, the best, are back"):
        expected = outcome(net, fit(net, **named))
    restored, rates = expected[1]["restored"], expected[1]["learning_rate"]
    assert restored[:2] == [0, 0]
    assert restored[-1] > 0
    assert rates[-1] == pytest.approx(rates[0] / 2 ** restored[-1])
    for step in (23, 26, 31, 37):
        folder, again = tmp_path / str(step), network()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # said above
            with pytest.raises(KeyboardInterrupt):
                fit(network(), checkpoint=folder, callbacks=[StopAfter(step)], **named)
            history = fit(again, checkpoint=folder, resume=True, **named)
        assert outcome(again, history) == expected, step


def test_restoring_ends_at_last() -> None:
    class Always(Wild):
        def factor(self, progress: Any, state: Any = None) -> float:
            return 1e45

    with pytest.warns(UserWarning, match="initial weights are back"), pytest.raises(dr.errors.DivergenceError):
        fit(network(), schedule=Always(), optimizer="sgd", on_divergence="restore")
    with pytest.raises(HyperparameterError, match="'raise' or 'restore'"):
        fit(network(), on_divergence="again")
