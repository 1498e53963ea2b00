"""What `deltarule train` makes of a kind of data: a network, what it learns from, and how it is scored."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from importlib import metadata
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from deltarule import grammar
from deltarule.activations import Activation
from deltarule.arrays import Shape
from deltarule.data import Dataset, holdout
from deltarule.data.targets import Task
from deltarule.errors import HyperparameterError
from deltarule.network import Network
from deltarule.optimizers import optimizer as resolve_optimizer
from deltarule.schedules import schedule as resolve_schedule

__all__ = [
    "FEWEST_UPDATES",
    "Job",
    "Scores",
    "build",
    "check_classifier",
    "check_task",
    "common",
    "described",
    "held_out",
    "of_dataset",
    "refuse",
]

FEWEST_UPDATES = 500  # a small data set needs more than 20 epochs to learn anything

FLAGS = ("balanced", "impute", "drop_last")  # False unless given

Scores = Mapping[str, tuple[int, Mapping[str, float]]]
"""By part of the data: how many rows it has, and their scores."""


class Job(NamedTuple):
    """Everything that a kind of data decides.

    data: what run.toml says of them; settings: `train`'s arguments, as run.toml holds them; also: those that it need
    not hold; minimise: the arguments of `minimize`, where a minimiser may have it; unit: what is counted, "rows".
    """

    net: Network
    X: Any
    t: Any
    data: dict[str, Any]
    settings: dict[str, Any]
    also: dict[str, Any]
    scores: Callable[[], Scores]
    minimise: dict[str, Any] | None = None
    unit: str = "rows"


def build(
    o: SimpleNamespace, spec: str, inputs: Shape, outputs: int, output: Activation | str | None = None
) -> Network:
    """The network that the text means for these data; `output` is for a last layer that names none."""
    found = grammar.parse(spec, inputs, outputs)
    end = output if getattr(found.layers[-1], "activation", "none of its own") is None else None
    return Network(
        found.layers, input_shape=found.input_shape, activation=o.activation,
        output=end if o.output_activation is None else o.output_activation, cost=o.cost, dtype=o.dtype, seed=o.seed,
    )  # fmt: skip


def common(o: SimpleNamespace, updates: int, **own: Any) -> dict[str, Any]:
    """How it is trained, everything resolved: `train`'s arguments; an epoch has so many updates."""
    rule = resolve_optimizer(o.optimizer)
    return {
        "optimizer": str(rule),
        "learning_rate": rule.own_rate if o.learning_rate is None else o.learning_rate,
        "schedule": str(resolve_schedule(o.schedule)),
        "epochs": max(20, -(-FEWEST_UPDATES // updates)) if o.epochs is None else o.epochs,
        "batch_size": o.batch_size,
        "drop_last": o.drop_last,
        "clip_norm": o.clip_norm,
        "clip_value": o.clip_value,
        "validation": o.validation,
        "on_divergence": o.on_divergence,
        "seed": o.seed,
        "weight_decay": o.weight_decay,
        **own,
    }


def described(job: Job, patience: int | None) -> dict[str, Any]:
    """Everything resolved, as run.toml holds it."""
    return {
        "deltarule": metadata.version("deltarule"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "data": job.data | {"unit": job.unit},
        "network": {
            "network": job.net.spec,
            "cost": str(job.net.output.cost),
            "dtype": str(job.net.dtype),
            "seed": job.net.seed,
            "parameters": job.net.size,
        },
        "training": job.settings | {"patience": patience},
    }


def check_classifier(net: Network) -> None:
    """Classes as targets take an output that chooses among them."""
    if not net.is_classifier:
        raise HyperparameterError(
            f"the targets are classes, and output '{net.output.activation}' does not choose among classes; "
            "use softmax or sigmoid, or --task regression"
        )


def held_out(
    dataset: Dataset, fraction: float, seed: int, stratify: bool
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(The rows to train on, the rows held out); none held out where a test split exists."""
    t = dataset.targets
    if dataset.test is not None:
        return np.arange(len(t)), np.arange(0)
    return holdout(t, fraction, seed, stratify=stratify)


def of_dataset(dataset: Dataset, fingerprint: str, task: Task, held: int, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """A data set, as run.toml holds it; `drawn` says how its held-out rows were."""
    split = {**drawn, "rows": held}
    if dataset.test is not None:
        split = {"own_test_split": True, "rows": len(dataset.test[0])}
    return {
        "name": dataset.name,
        "source": dict(dataset.source),
        "rows": len(dataset),
        "fingerprint": fingerprint,
        "task": task,
        "training_rows": len(dataset) - held,
        "held_out": split,
    }


def check_task(text: str | None) -> Task | None:
    """--task as the library has it."""
    if text is None or text == "classification" or text == "regression":
        return text  # type: ignore[return-value]
    raise HyperparameterError(f"--task is classification or regression, not '{text}'")


def refuse(o: SimpleNamespace, what: str, *options: str) -> None:
    """Refuse options that mean nothing for these data."""
    given = [name for name in options if getattr(o, name) is not (False if name in FLAGS else None)]
    if given:
        named = ", ".join("--colour/--grey" if name == "colour" else f"--{name.replace('_', '-')}" for name in given)
        raise HyperparameterError(f"{what}: leave out {named}")
