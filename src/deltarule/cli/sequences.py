"""`deltarule train` on sequences: X `(m, T, n)` or tokens `(m, T)`, t and lengths of an `.npz` file, as they are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import Identity
from deltarule.cli.job import Job, Scores, build, check_classifier, check_task, common, held_out, of_dataset, refuse
from deltarule.cli.record import Record
from deltarule.cli.rows import HELD_OUT
from deltarule.data import Dataset
from deltarule.data.sources import read
from deltarule.data.targets import Task
from deltarule.errors import DataError, ShapeError
from deltarule.limits import whole
from deltarule.network import Network
from deltarule.training.batches import count

__all__ = ["held_out_sequences", "of_test", "prepare"]


def prepare(o: SimpleNamespace, record: Record) -> Job:
    """The sequences of an `.npz` file. Whole numbers as targets are classes, unless --task says otherwise."""
    refuse(o, "sequences are taken as they are", "standardize", "impute", "image_size", "colour", "balanced")
    dataset = read(o.data, target=o.target, of_sequences=True)
    fingerprint = dataset.fingerprint()
    record.check(dataset.name, fingerprint)
    classes = dataset.targets.dtype.kind in "iub" if check_task(o.task) is None else o.task == "classification"
    fraction = HELD_OUT if o.held_out is None else o.held_out
    kept, held = held_out_sequences(dataset, fraction, o.seed, classes)
    net = _network(o, dataset, classes)
    task: Task = "classification" if classes else "regression"
    data = of_dataset(dataset, fingerprint, task, len(held), {"fraction": fraction, "seed": net.seed})
    prepared = net.prepare(dataset.X, dataset.targets, lengths=dataset.lengths)
    unseen = None if dataset.test is None else net.prepare(*of_test(dataset), lengths=dataset.test_lengths)

    def scores() -> Scores:
        found = net.evaluate_rows(*prepared, held) if unseen is None else net.evaluate_rows(*unseen)
        return {
            "training": (len(kept), net.evaluate_rows(*prepared, kept)),
            "held out": (data["held_out"]["rows"], found),
        }

    windows = 1 if o.truncate is None else -(-dataset.X.shape[1] // whole("--truncate", o.truncate))  # type: ignore[union-attr]
    updates = count(len(kept), whole("--batch-size", o.batch_size)) * windows
    whole_ones = {"X": dataset.X[kept], "t": dataset.targets[kept]} if dataset.lengths is None else None
    return Job(
        net, dataset.X, dataset.targets, data, common(o, updates, truncate=o.truncate),
        {"rows": kept, "lengths": dataset.lengths}, scores, whole_ones, unit="sequences",
    )  # fmt: skip


def of_test(dataset: Dataset) -> tuple[Any, NDArray[Any]]:
    """X and t of a data set's own test split."""
    assert dataset.test is not None
    return dataset.test[0], np.asarray(dataset.test[1])


def held_out_sequences(
    dataset: Dataset, fraction: float, seed: int, classes: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(The sequences to train on, those held out): stratified where each has one class."""
    return held_out(dataset, fraction, seed, classes and dataset.targets.ndim == 1)


def _largest(dataset: Dataset, place: int, what: str) -> int:
    """The largest of the tokens (place 0) or classes (1), in the test split too; beyond the lengths there is none."""
    largest = 0
    for both, lengths in (((dataset.X, dataset.targets), dataset.lengths), (dataset.test, dataset.test_lengths)):
        if both is None:
            continue
        a, T = np.asarray(both[place]), both[0].shape[1]  # type: ignore[union-attr]
        of_steps = a.ndim == 2 and a.shape[1] == T and lengths is not None
        a = a[np.arange(T) < lengths[:, None]] if of_steps and lengths is not None else a
        if (a != np.floor(a)).any() or a.min() < 0:
            raise DataError(f"{dataset.name}: a {what} is {a.min():g}; they are whole numbers from 0")
        largest = max(largest, int(a.max()))
    return largest


def _network(o: SimpleNamespace, dataset: Dataset, classes: bool) -> Network:
    X, t = np.asarray(dataset.X), dataset.targets
    n = X.shape[2] if X.ndim == 3 else _largest(dataset, 0, "token") + 1
    if t.ndim == 3 or (t.ndim == 2 and t.shape[1] != X.shape[1]):
        outputs = t.shape[-1]
    else:
        outputs = _largest(dataset, 1, "class") + 1 if classes else 1
    net = build(o, o.network, (None, n), outputs, None if classes else Identity())
    if net.input_shape[0] is not None:
        raise ShapeError(f"{net.spec} takes no sequences; a network over these begins with seq, or seq({n})")
    if classes:
        check_classifier(net)
    return net
