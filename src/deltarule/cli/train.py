"""`deltarule train`: from data to a trained network in a run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, get_args, get_type_hints

import typer

from deltarule import files
from deltarule.cli import rows, sequences, texts
from deltarule.cli.arguments import DATA_ARGUMENT, TargetOption
from deltarule.cli.images import ColourOption, ImageSizeOption
from deltarule.cli.job import FEWEST_UPDATES, Job, described
from deltarule.cli.minimised import check as check_minimiser
from deltarule.cli.minimised import minimised
from deltarule.cli.record import Record, signals
from deltarule.cli.run_folder import RunFolder
from deltarule.cli.show import print_scores
from deltarule.data.sources import is_text, locate
from deltarule.errors import DivergenceError, FileFormatError, HyperparameterError
from deltarule.randomness import draw_seed
from deltarule.training import EarlyStopping
from deltarule.training import train as fit

__all__ = ["train"]

MAY_CHANGE = ("epochs", "threads", "quiet", "checkpoint_every")  # when a run is resumed
NOT_KEPT = ("resume", "output", "threads", "quiet")  # of the command, in run.toml


def train(
    context: typer.Context,
    data: Annotated[str | None, DATA_ARGUMENT] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="Such as 64/32/10 (* and seq take their sizes from the data), or a name: lenet5, ufldl_cnn.",
            show_default=f"{rows.NETWORK}; of a text {texts.NETWORK}",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The run folder.", show_default="the next runs/<data>-<n>")
    ] = None,
    target: TargetOption = None,
    image_size: ImageSizeOption = None,
    colour: ColourOption = None,
    task: Annotated[str | None, typer.Option(help="classification or regression, if it is not told right.")] = None,
    activation: Annotated[
        str | None, typer.Option(help="Of hidden layers that name none.", show_default="relu; tanh in recurrent ones")
    ] = None,
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
    batch_size: Annotated[int, typer.Option(help="Rows an update; of a text, streams side by side.")] = 32,
    truncate: Annotated[
        int | None,
        typer.Option(
            help="Steps of a sequence an update; the state goes on, the gradient does not.",
            show_default=f"all; of a text {texts.WINDOW}",
        ),
    ] = None,
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
        float | None,
        typer.Option(
            help="The fraction that only the final score sees (unless the data have a test split).",
            show_default=f"{rows.HELD_OUT}; of a text its last {texts.HELD_OUT}",
        ),
    ] = None,
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

        deltarule train book.txt --network "seq/rnn(128)/*" --clip-norm 5

        deltarule train sequences.npz --network "seq/rnn(64,last=True)/*"

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
    job = _kind(o)(o, record)
    net, settings = job.net, job.settings
    if o.minimizer is not None:
        if job.minimise is None:
            raise HyperparameterError(f"a minimiser takes whole {job.unit}, without lengths; leave out --minimizer")
        settings = {name: settings[name] for name in ("weight_decay", "class_weight") if name in settings}
        job = job._replace(settings={"minimizer": o.minimizer, "iterations": o.epochs, **settings})
    stopping = None if o.patience is None else EarlyStopping(o.patience)
    files.as_text(record.folder.model, net.content())  # what cannot be saved is said now, too
    record.describe(described(job, o.patience), job.unit)
    history = minimised(o, job, record) if o.minimizer is not None else fit(
        net, job.X, job.t, **(settings | job.also), early_stopping=stopping, callbacks=[record], verbose=not o.quiet,
        engine=o.engine, threads=o.threads, checkpoint=record.folder.path, checkpoint_every=o.checkpoint_every,
        resume=o.resume is not None,
    )  # fmt: skip
    result: dict[str, Any] = {"stopped": history.stopped}
    if o.minimizer is None:
        result["best_epoch"] = history.best_epoch
    record.finish(net, result)  # before the scores, which take their time
    scores = job.scores()
    record.finish(net, result | {"train": scores["training"][1], "held_out": scores["held out"][1]})
    print_scores(scores, job.unit)
    typer.echo(f"{history.stopped}; the run is in {record.folder}")


def _kind(o: SimpleNamespace) -> Callable[[SimpleNamespace, Record], Job]:
    """Who knows these data: a text by its name, sequences by the network that begins with seq; or rows."""
    over_steps = o.network is not None and o.network.strip().lower().startswith("seq")
    if is_text(o.data, others=over_steps):
        return texts.prepare
    return sequences.prepare if over_steps else rows.prepare
