"""`deltarule train` on rows: tables, arrays and images, with their preprocessing."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from deltarule import nets
from deltarule.activations import Activation, Identity
from deltarule.cli.images import image_form
from deltarule.cli.job import Job, Scores, build, check_classifier, check_task, common, held_out, of_dataset
from deltarule.cli.record import Record
from deltarule.data import Dataset, Preprocessing
from deltarule.data.sources import read
from deltarule.data.targets import Task, find_task
from deltarule.errors import HyperparameterError, ShapeError
from deltarule.limits import whole
from deltarule.network import Network
from deltarule.training.batches import count

__all__ = ["HELD_OUT", "held_out_rows", "prepare"]

NETWORK, HELD_OUT = "*/100/*", 0.2  # unless said
OUTPUTS_OF_ANY_TARGET = (Identity,)  # they reach every number, so that the target may be standardised


def prepare(o: SimpleNamespace, record: Record) -> Job:
    """The rows of a data set."""
    if o.truncate is not None:
        raise HyperparameterError("--truncate cuts sequences and texts; rows have no steps")
    images = image_form(o.image_size, o.colour)
    dataset = read(o.data, target=o.target, images=images)
    fingerprint = dataset.fingerprint()
    record.check(dataset.name, fingerprint)
    fraction = HELD_OUT if o.held_out is None else o.held_out
    task = check_task(o.task)
    kept, held = held_out_rows(dataset, fraction, o.seed, task)
    pre = Preprocessing.fit(
        dataset.X, dataset.targets, task=task, standardize=o.standardize, impute=o.impute, rows=kept,
        images=images,
    )  # fmt: skip
    network = NETWORK if o.network is None else o.network
    system = nets.find(network)
    if system is not None:
        if system.scales and o.standardize:
            raise HyperparameterError(f"{network} scales its own inputs; leave out --standardize")
        pre = system.scaled(pre)
    net = _network(o, network if system is None else system.spec(pre.n_outputs), pre)
    net.preprocessing = _for_output(pre, net.output.activation)
    unseen = None  # what is wrong in a test split is said before an hour of training
    if dataset.test is not None:
        unseen = net.prepare(dataset.test[0], np.asarray(dataset.test[1]))

    def scores() -> Scores:
        prepared, rows = net.prepare(dataset.X, dataset.targets), len(held) if unseen is None else len(unseen[0])
        found = net.evaluate_rows(*prepared, held) if unseen is None else net.evaluate_rows(*unseen)
        return {"training": (len(kept), net.evaluate_rows(*prepared, kept)), "held out": (rows, found)}

    drawn = {"fraction": fraction, "seed": net.seed, "stratified": pre.task == "classification"}
    data = of_dataset(dataset, fingerprint, pre.task, len(held), drawn)
    if pre.classes is not None:
        data["classes"] = len(pre.classes)
    weights = {"class_weight": "balanced" if o.balanced else None}
    every = len(kept) == len(dataset)
    return Job(
        net, dataset.X, dataset.targets, data,
        common(o, count(len(kept), whole("--batch-size", o.batch_size)), **weights), {"rows": kept}, scores,
        {"X": dataset.X if every else dataset.X[kept], "t": dataset.targets if every else dataset.targets[kept],
         **weights},
    )  # fmt: skip


def held_out_rows(
    dataset: Dataset, fraction: float, seed: int, task: Task | None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(The rows to train on, the rows held out): stratified for classes."""
    return held_out(dataset, fraction, seed, find_task(dataset.targets, task) == "classification")


def _for_output(pre: Preprocessing, activation: Activation) -> Preprocessing:
    """A bounded or positive output cannot reach a standardised target: then targets stay as they are."""
    if pre.task == "classification" or isinstance(activation, OUTPUTS_OF_ANY_TARGET):
        return pre
    k = pre.n_outputs
    return replace(pre, target_mean=np.zeros(k), target_scale=np.ones(k))


def _network(o: SimpleNamespace, text: str, pre: Preprocessing) -> Network:
    """The network that the text means for these data."""
    shape = pre.input_shape if len(pre.input_shape) != 2 else (1, *pre.input_shape)
    net = build(o, text, shape, pre.n_outputs, Identity() if pre.task == "regression" else None)
    binary = pre.task == "classification" and pre.n_outputs == 2 and net.n_outputs == 1
    if net.n_outputs != pre.n_outputs and not binary:
        what = "classes" if pre.task == "classification" else "target values"
        raise ShapeError(f"the network {net.spec} has {net.n_outputs} outputs, the data have {pre.n_outputs} {what}")
    if pre.task == "classification":
        check_classifier(net)
    return net
