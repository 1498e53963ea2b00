"""`deltarule train`: from data to a trained network in a run folder."""

from __future__ import annotations

import platform
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, cast, get_args, get_type_hints

import numpy as np
import typer

from deltarule import files, grammar, nets
from deltarule.activations import Activation, Identity
from deltarule.cli.arguments import DATA_ARGUMENT, TargetOption
from deltarule.cli.images import ColourOption, ImageSizeOption, image_form
from deltarule.cli.minimised import check as check_minimiser
from deltarule.cli.minimised import minimised
from deltarule.cli.record import Record, signals
from deltarule.cli.run_folder import RunFolder
from deltarule.cli.show import print_scores
from deltarule.data import Dataset, Preprocessing, holdout
from deltarule.data.sources import locate, read
from deltarule.data.targets import Task, find_task
from deltarule.errors import DivergenceError, FileFormatError, HyperparameterError, ShapeError
from deltarule.limits import whole
from deltarule.network import Network
from deltarule.optimizers import optimizer as resolve_optimizer
from deltarule.randomness import draw_seed
from deltarule.schedules import schedule as resolve_schedule
from deltarule.training import EarlyStopping
from deltarule.training import train as fit
from deltarule.training.batches import count

__all__ = ["held_out_rows", "train"]

OUTPUTS_OF_ANY_TARGET = (Identity,)  # they reach every number, so that the target may be standardised

FEWEST_UPDATES = 500  # a small data set needs more than 20 epochs to learn anything


MAY_CHANGE = ("epochs", "threads", "quiet", "checkpoint_every")  # when a run is resumed
NOT_KEPT = ("resume", "output", "threads", "quiet")  # of the command, in run.toml


def train(
    context: typer.Context,
    data: Annotated[str | None, DATA_ARGUMENT] = None,
    network: Annotated[
        str, typer.Option(help="Such as 64/32/10 (* takes its size from the data), or a name: lenet5, ufldl_cnn.")
    ] = "*/100/*",
    output: Annotated[
        Path | None, typer.Option(help="The run folder.", show_default="the next runs/<data>-<n>")
    ] = None,
    target: TargetOption = None,
    image_size: ImageSizeOption = None,
    colour: ColourOption = None,
    task: Annotated[str | None, typer.Option(help="classification or regression, if it is not told right.")] = None,
    activation: Annotated[str, typer.Option(help="Of hidden layers that name none.")] = "relu",
    output_activation: Annotated[
        str | None, typer.Option(help="Of the last layer.", show_default="softmax, or identity for regression")
    ] = None,
    cost: Annotated[str | None, typer.Option(help="The cost.", show_default="the output's canonical one")] = None,
    optimizer: Annotated[str, typer.Option(help="Such as sgd, momentum(0.9), adam.")] = "adam",
    learning_rate: Annotated[float | None, typer.Option(help="η.", show_default="the optimiser's own")] = None,
    minimizer: Annotated[
        str | None,
        typer.Option(help="l-bfgs-b, cg, bfgs or newton-cg on all rows at once; --epochs are its iterations (200)."),
    ] = None,
    schedule: Annotated[str, typer.Option(help="Such as cosine, step_decay(0.5,every=5).")] = "constant",
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the training data.", show_default=f"20, more to make {FEWEST_UPDATES} updates"),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Rows an update.")] = 32,
    drop_last: Annotated[bool, typer.Option("--drop-last", help="Leave out an epoch's last short batch.")] = False,
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
    on_divergence: Annotated[
        str, typer.Option(help="raise, or restore: back to the best weights with half the learning rate.")
    ] = "raise",
    checkpoint_every: Annotated[float, typer.Option(help="Seconds between checkpoints within a long epoch.")] = 30.0,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with this run as if it had never stopped; --epochs may be raised.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train a network on data, report its held-out score, and leave a run folder.

    Examples:

        deltarule train digits

        deltarule train digits --network 64/32/10 --epochs 30 --output runs/a

        deltarule train houses.csv --target price --network "*/64/32/*"

        deltarule train pets --image-size 32x32 --grey

        deltarule train mnist-folder --optimizer "momentum(0.9)" --learning-rate 0.05

        deltarule train mnist-folder --network lenet5_modern --epochs 12 --schedule cosine

        deltarule train mnist-folder --network ufldl_dnn --minimizer l-bfgs-b

        deltarule train --resume runs/digits-1
    """
    if resume is None and data is None:
        raise HyperparameterError("name the data, such as digits or a file; or a run to go on with: --resume runs/a")
    given = {name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")}
    o = SimpleNamespace(**context.params) if resume is None else _resumed(resume, context.params, given)
    if o.minimizer is not None:
        check_minimiser(o, given)
    _run(o)


def _resumed(folder: Path, params: dict[str, Any], given: set[str]) -> SimpleNamespace:
    """The options of an earlier command; of those given now only some may differ."""
    if folder.is_file():
        raise HyperparameterError(f"--resume takes a run folder, and {folder} is a file")
    run = RunFolder.open(folder)
    kept, hints = run.command(set(params) - set(NOT_KEPT)), get_type_hints(train)
    for option, value in kept.items():
        if not _fits(value, hints[option]):
            raise FileFormatError(f"{run.toml}, command: {option} cannot be {value!r}")
    if "output" in given:
        raise HyperparameterError(f"--resume goes on in {folder}; leave out --output")
    now = {option: params[option] for option in given}
    if given & {"data", "target"}:
        now["data"], now["target"] = locate(now.get("data", kept["data"]), now.get("target", kept.get("target")))[1:]
    known = run.fingerprint() is not None  # then the content is compared, wherever it lies now
    free = (*MAY_CHANGE, *NOT_KEPT, *(("data", "target") if known else ()))
    differ = [
        f"{option} was {kept.get(option, 'not given')!r}, not {value!r}"
        for option, value in now.items()
        if option not in free and value != kept.get(option)
    ]
    if differ:
        raise HyperparameterError(f"{folder} cannot go on: {'; '.join(differ)}")
    return SimpleNamespace(**params | kept | {o: v for o, v in now.items() if o in free} | {"resume": folder})


def _fits(value: Any, hint: Any) -> bool:
    """Whether an option may have this value; TOML tells 1 from 1.0, and a float may be whole."""
    kinds = get_args(hint) or (hint,)
    return type(value) in kinds or (type(value) is int and float in kinds)


def _run(o: SimpleNamespace) -> None:
    """From options to a finished run folder."""
    if o.patience is not None and o.validation is None:
        raise HyperparameterError("--patience watches the cost on --validation: give a fraction, --validation 0.1")
    o.seed = draw_seed(o.seed)
    with signals() as heard:
        record = None
        try:
            record = Record(o, NOT_KEPT)
            _train(o, record)
        except (KeyboardInterrupt, DivergenceError, OSError) as stop:
            if not isinstance(stop, KeyboardInterrupt):
                if record is not None:
                    record.end(stop, wait=True)
                raise
            if record is not None:
                record.end(stop, wait=heard.times < 2)  # a second one stops at once
            raise typer.Exit(heard.code) from None
        finally:
            if record is not None:
                record.leave()


def _train(o: SimpleNamespace, record: Record) -> None:
    images = image_form(o.image_size, o.colour)
    dataset = read(o.data, target=o.target, images=images)
    fingerprint = dataset.fingerprint()
    record.check(dataset, fingerprint)
    kept, held = held_out_rows(dataset, o.held_out, o.seed, _task(o.task))
    pre = Preprocessing.fit(
        dataset.X, dataset.targets, task=_task(o.task), standardize=o.standardize, impute=o.impute, rows=kept,
        images=images,
    )  # fmt: skip
    system = nets.find(o.network)
    if system is not None:
        if system.scales and o.standardize:
            raise HyperparameterError(f"{o.network} scales its own inputs; leave out --standardize")
        pre = system.scaled(pre)
    text = o.network if system is None else system.spec(pre.n_outputs)
    net = _network(text, pre, o.activation, o.output_activation, o.cost, o.dtype, o.seed)
    net.preprocessing = _for_output(pre, net.output.activation)
    settings = _settings(o, len(kept))
    stopping = None if o.patience is None else EarlyStopping(o.patience)
    files.as_text(record.folder.model, net.content())  # what cannot be saved is said now, too
    record.describe(_describe(dataset, fingerprint, net, settings | {"patience": o.patience}, held, o.held_out))
    unseen = None  # what is wrong in a test split is said before an hour of training
    if dataset.test is not None:
        unseen = net.prepare(dataset.test[0], np.asarray(dataset.test[1]))
    history = minimised(o, net, dataset, kept, record) if o.minimizer is not None else fit(
        net, dataset.X, dataset.targets, rows=kept, **settings, early_stopping=stopping, callbacks=[record],
        verbose=not o.quiet, engine=o.engine, threads=o.threads, checkpoint=record.folder.path,
        checkpoint_every=o.checkpoint_every, resume=o.resume is not None,
    )  # fmt: skip
    result: dict[str, Any] = {"stopped": history.stopped}
    if o.minimizer is None:
        result["best_epoch"] = history.best_epoch
    record.finish(net, result)  # before the scores, which take their time
    data = net.prepare(dataset.X, dataset.targets)
    scores = {
        "train": net.evaluate_rows(*data, kept),
        "held_out": net.evaluate_rows(*data, held) if unseen is None else net.evaluate_rows(*unseen),
    }
    record.finish(net, result | scores)
    rows = len(held) if unseen is None else len(unseen[0])
    print_scores({"training": (len(kept), scores["train"]), "held out": (rows, scores["held_out"])})
    typer.echo(f"{history.stopped}; the run is in {record.folder}")


def _settings(o: SimpleNamespace, rows: int) -> dict[str, Any]:
    """How it is trained, everything resolved: `train`'s arguments, or a minimiser's."""
    common = {"weight_decay": o.weight_decay, "class_weight": "balanced" if o.balanced else None}
    if o.minimizer is not None:
        return {"minimizer": o.minimizer, "iterations": o.epochs, **common}
    rule = resolve_optimizer(o.optimizer)
    return {
        "optimizer": str(rule),
        "learning_rate": rule.own_rate if o.learning_rate is None else o.learning_rate,
        "schedule": str(resolve_schedule(o.schedule)),
        "epochs": _enough_epochs(rows, o.batch_size) if o.epochs is None else o.epochs,
        "batch_size": o.batch_size,
        "drop_last": o.drop_last,
        "clip_norm": o.clip_norm,
        "clip_value": o.clip_value,
        "validation": o.validation,
        "on_divergence": o.on_divergence,
        "seed": o.seed,
        **common,
    }


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
    dataset: Dataset,
    fingerprint: str,
    net: Network,
    settings: dict[str, Any],
    held: np.ndarray[Any, Any],
    fraction: float,
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
            "fingerprint": fingerprint,
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
