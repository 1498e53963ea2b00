"""`deltarule train`: from data to a trained network in a run folder."""

from __future__ import annotations

import platform
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer

from deltarule import grammar
from deltarule.activations import Activation, Identity
from deltarule.cli.arguments import DataArgument, TargetOption
from deltarule.cli.run_folder import RunFolder
from deltarule.cli.show import print_scores
from deltarule.data import Dataset, Preprocessing, holdout, read
from deltarule.data.targets import Task, find_task
from deltarule.errors import DivergenceError, HyperparameterError, ShapeError
from deltarule.limits import whole
from deltarule.network import Network
from deltarule.optimizers import optimizer as resolve_optimizer
from deltarule.randomness import draw_seed
from deltarule.schedules import schedule as resolve_schedule
from deltarule.training import EarlyStopping, JSONLines, Run
from deltarule.training import train as fit
from deltarule.training.batches import count
from deltarule.training.callbacks import say

__all__ = ["held_out_rows", "train"]

OUTPUTS_OF_ANY_TARGET = (Identity,)  # they reach every number, so that the target may be standardised

FEWEST_UPDATES = 500  # a small data set needs more than 20 epochs to learn anything


def train(
    data: DataArgument,
    network: Annotated[str, typer.Option(help="Such as 64/32/10; * takes its size from the data.")] = "*/100/*",
    output: Annotated[
        Path | None, typer.Option(help="The run folder.", show_default="the next runs/<data>-<n>")
    ] = None,
    target: TargetOption = None,
    task: Annotated[str | None, typer.Option(help="classification or regression, if it is not told right.")] = None,
    activation: Annotated[str, typer.Option(help="Of hidden layers that name none.")] = "relu",
    output_activation: Annotated[
        str | None, typer.Option(help="Of the last layer.", show_default="softmax, or identity for regression")
    ] = None,
    cost: Annotated[str | None, typer.Option(help="The cost.", show_default="the output's canonical one")] = None,
    optimizer: Annotated[str, typer.Option(help="Such as sgd, momentum(0.9), adam.")] = "adam",
    learning_rate: Annotated[float | None, typer.Option(help="η.", show_default="the optimiser's own")] = None,
    schedule: Annotated[str, typer.Option(help="Such as cosine, step_decay(0.5,every=5).")] = "constant",
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the training data.", show_default=f"20, more to make {FEWEST_UPDATES} updates"),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Rows an update.")] = 32,
    weight_decay: Annotated[float, typer.Option(help="λ of (λ/2) Σ W² in the cost.")] = 0.0,
    clip_norm: Annotated[float | None, typer.Option(help="The longest gradient.")] = None,
    clip_value: Annotated[float | None, typer.Option(help="The largest entry of the gradient.")] = None,
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Weigh the classes so that each counts the same.")
    ] = False,
    validation: Annotated[
        float | None, typer.Option(help="A fraction of the training data to watch the cost on.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop early after so many epochs without gain on --validation.")
    ] = None,
    held_out: Annotated[
        float, typer.Option(help="The fraction that only the final score sees (unless the data have a test split).")
    ] = 0.2,
    standardize: Annotated[
        bool | None, typer.Option(help="Inputs to mean 0, σ 1.", show_default="floats yes, pixels no")
    ] = None,
    impute: Annotated[bool, typer.Option("--impute", help="Fill missing cells: median, most frequent.")] = False,
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    seed: Annotated[int | None, typer.Option(help="Of weights, orders, masks and the held-out part.")] = 0,
    engine: Annotated[str, typer.Option(help="native, textbook, or auto: native where it can.")] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(help="Of the native engine; they never change the result.", show_default="as many as help"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train a network on data, report its held-out score, and leave a run folder.

    Examples:

        deltarule train digits

        deltarule train digits --network 64/32/10 --epochs 30 --output runs/a

        deltarule train houses.csv --target price --network "*/64/32/*"

        deltarule train mnist-folder --optimizer "momentum(0.9)" --learning-rate 0.05
    """
    if patience is not None and validation is None:
        raise HyperparameterError("--patience watches the cost on --validation: give a fraction, --validation 0.1")
    seed = draw_seed(seed)
    dataset = read(data, target=target)
    kept, held = held_out_rows(dataset, held_out, seed, _task(task))
    whole = len(kept) == len(dataset.targets)  # then there is no need of a copy
    raw, targets = (dataset.X, dataset.targets) if whole else (dataset.X[kept], dataset.targets[kept])
    pre = Preprocessing.fit(raw, targets, task=_task(task), standardize=standardize, impute=impute)
    net = _network(network, pre, activation, output_activation, cost, dtype, seed)
    net.preprocessing = _for_output(pre, net.output.activation)
    rule = resolve_optimizer(optimizer)
    settings: dict[str, Any] = {
        "optimizer": str(rule),
        "learning_rate": rule.own_rate if learning_rate is None else learning_rate,
        "schedule": str(resolve_schedule(schedule)),
        "epochs": _enough_epochs(len(kept), batch_size) if epochs is None else epochs,
        "batch_size": batch_size,
        "weight_decay": weight_decay,
        "clip_norm": clip_norm,
        "clip_value": clip_value,
        "class_weight": "balanced" if balanced else None,
        "validation": validation,
        "seed": seed,
    }
    stopping = None if patience is None else EarlyStopping(patience)
    described = _describe(dataset, net, settings | {"patience": patience}, held, held_out)
    held_X, held_t = dataset.test or (dataset.X[held], dataset.targets[held])
    unseen = net.prepare(held_X, np.asarray(held_t))  # what is wrong there is said before an hour of training
    record = Record(output, dataset.name, described)
    try:
        history = fit(
            net, raw, targets, **settings, early_stopping=stopping, callbacks=[record], verbose=not quiet,
            engine=engine, threads=threads,
        )  # fmt: skip
        result = {"stopped": history.stopped, "best_epoch": history.best_epoch}
        record.finish(net, result)  # before the scores, which take their time
        scores = {"train": net.evaluate(raw, targets), "held_out": net.evaluate_rows(*unseen)}
        record.finish(net, result | scores)
    except (KeyboardInterrupt, DivergenceError, OSError) as stop:
        interrupted = isinstance(stop, KeyboardInterrupt)
        if not record.finished:
            with suppress(OSError):
                record.finish(net, {"stopped": "interrupted" if interrupted else str(stop)})
        if not interrupted or record.folder is None:
            raise
        typer.echo(f"Interrupted; the weights reached are in {record.folder}", err=True)
        raise typer.Exit(130) from None
    print_scores({"training": (len(kept), scores["train"]), "held out": (len(held_X), scores["held_out"])})
    typer.echo(f"{history.stopped}; the run is in {record.folder}")


class Record(JSONLines):
    """Makes the run folder when training begins, not before: what is refused leaves nothing behind."""

    def __init__(self, path: Path | None, data_name: str, described: dict[str, Any]) -> None:
        self.wanted, self.data_name, self.described = path, data_name, described
        self.folder: RunFolder | None = None
        self.finished = False

    def on_begin(self, run: Run) -> None:
        self.folder = RunFolder.create(self.wanted, self.data_name)
        self.folder.write(self.described)
        super().__init__(self.folder.history)
        super().on_begin(run)
        say(
            f"{self.data_name}: {self.described['data']['training_rows']:,} rows to train on, "
            f"{run.net.spec} with {run.net.size:,} parameters"
        )

    def finish(self, net: Network, result: dict[str, Any]) -> None:
        """Write the model, with the last finite weights, and add the result to run.toml."""
        if self.folder is not None:
            net.save(self.folder.model)
            self.folder.write(self.described | {"result": result})
            self.finished = True


def _task(text: str | None) -> Task | None:
    if text is None or text == "classification" or text == "regression":
        return text  # type: ignore[return-value]
    raise HyperparameterError(f"--task is classification or regression, not '{text}'")


def held_out_rows(
    dataset: Dataset, fraction: float, seed: int, task: Task | None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(The rows to train on, the rows held out): stratified for classes; none held out where a test split exists."""
    t = dataset.targets
    if dataset.test is not None:
        return np.arange(len(t)), np.arange(0)
    return holdout(t, fraction, seed, stratify=find_task(t, task) == "classification")


def _enough_epochs(rows: int, batch_size: int) -> int:
    """20 epochs, or as many as make 500 updates."""
    return max(20, -(-FEWEST_UPDATES // count(rows, whole("--batch-size", batch_size))))


def _for_output(pre: Preprocessing, activation: Activation) -> Preprocessing:
    """A bounded or positive output cannot reach a standardised target: then targets stay as they are."""
    if pre.task == "classification" or isinstance(activation, OUTPUTS_OF_ANY_TARGET):
        return pre
    k = pre.n_outputs
    return replace(pre, target_mean=np.zeros(k), target_scale=np.ones(k))


def _network(
    text: str, pre: Preprocessing, activation: str, output: str | None, cost: str | None, dtype: str, seed: int
) -> Network:
    """The network that the text means for these data."""
    spec = grammar.parse(text, pre.input_shape if len(pre.input_shape) != 2 else (1, *pre.input_shape), pre.n_outputs)
    end: Activation | str | None = output
    if end is None and pre.task == "regression" and getattr(spec.layers[-1], "activation", "none of its own") is None:
        end = Identity()
    net = Network(
        spec.layers, input_shape=spec.input_shape, activation=activation, output=end, cost=cost, dtype=dtype, seed=seed
    )
    binary = pre.task == "classification" and pre.n_outputs == 2 and net.n_outputs == 1
    if net.n_outputs != pre.n_outputs and not binary:
        what = "classes" if pre.task == "classification" else "target values"
        raise ShapeError(f"the network {net.spec} has {net.n_outputs} outputs, the data have {pre.n_outputs} {what}")
    if pre.task == "classification" and not net.is_classifier:
        raise HyperparameterError(
            f"the targets are classes, and output '{net.output.activation}' does not choose among classes; "
            "use softmax or sigmoid, or --task regression"
        )
    return net


def _describe(
    dataset: Dataset, net: Network, settings: dict[str, Any], held: np.ndarray[Any, Any], fraction: float
) -> dict[str, Any]:
    """Everything resolved, as run.toml holds it."""
    pre = cast(Preprocessing, net.preprocessing)
    split = {"own_test_split": True, "rows": len(dataset.test[0])} if dataset.test is not None else {
        "fraction": fraction, "seed": net.seed, "stratified": pre.task == "classification", "rows": len(held)
    }  # fmt: skip
    return {
        "deltarule": metadata.version("deltarule"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "data": {
            "name": dataset.name,
            "source": dict(dataset.source),
            "rows": len(dataset),
            "fingerprint": dataset.fingerprint(),
            "task": pre.task,
            "classes": len(pre.classes) if pre.classes is not None else None,
            "training_rows": len(dataset) - len(held),
            "held_out": split,
        },
        "network": {
            "network": net.spec,
            "cost": str(net.output.cost),
            "dtype": str(net.dtype),
            "seed": net.seed,
            "parameters": net.size,
        },
        "training": settings,
    }
