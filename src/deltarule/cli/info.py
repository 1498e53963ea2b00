"""`deltarule info`: what a run or a model file holds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from deltarule.cli.run_folder import open_model
from deltarule.cli.show import print_scores
from deltarule.engines import engine_info
from deltarule.errors import HyperparameterError
from deltarule.network import Network

__all__ = ["info"]


def info(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="A run folder, or a model file.")] = None,
    engine: Annotated[bool, typer.Option("--engine", help="Which engine runs here, and why.")] = False,
) -> None:
    """Show the network, its preprocessing, how it was trained, and what it reached; or the engine.

    Examples:

        deltarule info runs/digits-1

        deltarule info runs/digits-1/model.safetensors

        deltarule info --engine
    """
    if run is None and not engine:
        raise HyperparameterError("name a run folder or a model file, or ask for --engine")
    if run is None:
        typer.echo(str(engine_info()))
        return
    net, folder = open_model(run)
    found = None if folder is None else folder.read()
    typer.echo(str(net))
    typer.echo(f"dtype {net.dtype}, initial weights from seed {net.seed}")
    _preprocessing(net)
    if net.vocabulary is not None:
        typer.echo(f"vocabulary: {len(net.vocabulary):,} characters, {_shown(net.vocabulary.characters)}")
    if found is not None:
        _run(found)
    if engine:
        typer.echo(str(engine_info(net)))


def _preprocessing(net: Network) -> None:
    pre = net.preprocessing
    if pre is None:
        return
    inputs = ["pixels as x/255"] * pre.pixels + ["standardised"] * (pre.mean is not None)
    typer.echo(f"inputs: {', '.join(inputs) or 'as they are'}")
    if pre.images is not None:
        typer.echo(f"image files: {pre.images}")
    for column in pre.columns or ():
        typer.echo(f"  {column.name}: {'one of ' + ', '.join(column.levels) if column.levels else 'a number'}")
    if pre.classes is not None:
        typer.echo(f"classes: {', '.join(map(str, pre.classes))}")


def _run(found: dict[str, Any]) -> None:
    data, training, result = found["data"], found["training"], found.get("result")
    unit = str(data.get("unit", "rows"))
    typer.echo(f"data: {data['name']} ({data['rows']:,} {unit}, {data['task']}), read from {_source(data['source'])}")
    typer.echo("training: " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in training.items()))
    if result is None:
        typer.echo("result: none; the run did not end")
        return
    typer.echo(f"result: {result['stopped']}")
    if "train" not in result:
        return
    parts = {
        "training": (data["training_rows"], result["train"]),
        "held out": (data["held_out"]["rows"], result["held_out"]),
    }
    print_scores(parts, unit)


def _shown(characters: str) -> str:
    return repr(characters[:100]) + ("…" if len(characters) > 100 else "")


def _source(source: dict[str, Any]) -> str:
    return str(source.get("path", source.get("name", source.get("kind"))))
