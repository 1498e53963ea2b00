"""`deltarule explain`: one page in which a trained network is stepped forward and back on one row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from deltarule.cli.arguments import RunArgument, TargetOption
from deltarule.cli.images import ColourOption, ImageSizeOption, read_for
from deltarule.cli.run_folder import RunFolder, open_model
from deltarule.data import Dataset
from deltarule.data.sources import read_text
from deltarule.errors import DataError, HyperparameterError
from deltarule.limits import whole
from deltarule.network import Network

__all__ = ["explain"]

HEALTH_ROWS = 256  # the data's first, on which the way back is measured
STEPS = 20  # of a text, unless said


class Row(NamedTuple):
    """What is explained, and some rows of its kind."""

    x: Any
    t: Any
    health: tuple[Any, Any] | None


def explain(
    run: RunArgument,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="The data that hold the row.", show_default="those of the run")
    ] = None,
    sample: Annotated[int, typer.Option(help="Which row, sequence or character of the data, from 0.")] = 0,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page, an .html file.")] = Path("explain.html"),
    optimizer: Annotated[
        str | None, typer.Option(help="Whose update is shown.", show_default="the run's own; sgd of a model file")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="η of the update.", show_default="the run's own; the rule's of a model file")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="How many characters of a text.", show_default=f"{STEPS}")] = None,
    target: TargetOption = None,
    image_size: ImageSizeOption = None,
    colour: ColourOption = None,
) -> None:
    """Explain a trained network on one row: a page that steps forward and back, every number in its equation.

    Exit code 1 if finite differences do not agree with a gradient.

    Examples:

        deltarule explain runs/digits-1 --sample 42 -o page.html

        deltarule explain runs/houses-1 new-houses.csv --sample 3

        deltarule explain runs/book-1 --sample 1000 --steps 12
    """
    from deltarule.explanation import explain as write

    net, folder = open_model(run)
    whole("--sample", sample, least=0)
    described = {} if folder is None else folder.read()
    training = described.get("training", {})
    source = _source(run, folder, described, data)
    if net.vocabulary is not None:
        row = _of_text(net, source, sample, STEPS if steps is None else whole("--steps", steps))
    else:
        if steps is not None:
            raise HyperparameterError("--steps is for texts; a row has none, and a sequence is taken whole")
        column = described.get("data", {}).get("source", {}).get("target") if target is None else target
        row = _of_rows(read_for(net, source, image_size, colour, target=column), sample)
    if optimizer is None and learning_rate is None:  # η belongs to its rule
        learning_rate = training.get("learning_rate")
    found = write(
        net, row.x, row.t, health=row.health, optimizer=optimizer or training.get("optimizer", "sgd"),
        learning_rate=learning_rate, weight_decay=training.get("weight_decay", 0.0),
    )  # fmt: skip
    typer.echo(found.save(output))
    if not found.ok:
        reason = found.story["checks"]["reason"]
        wrong = (
            f"no gradient could be checked: {reason}" if reason else "finite differences do NOT agree with a gradient"
        )
        typer.secho(f"{wrong}; the page shows where", fg="red", err=True)
        raise typer.Exit(1)


def _source(run: str, folder: RunFolder | None, described: dict[str, Any], data: str | None) -> str:
    """Where the row is: in the data that are named, or in those of the run."""
    if data is not None:
        return data
    if folder is None:
        raise DataError(f"{run} is a model file and does not say what it was trained on; name the data behind it")
    found = described.get("command", {}).get("data")
    if not isinstance(found, str):
        raise DataError(f"{folder.toml} does not say what the run was trained on; name the data behind {run}")
    return found


def _of_rows(found: Dataset, sample: int) -> Row:
    """A row, an image or a sequence."""
    if sample >= len(found):
        raise DataError(
            f"{found.name} has {len(found):,} rows, from 0 to {len(found) - 1}; --sample {sample} is none of them"
        )
    x: Any = found.X[sample : sample + 1]
    t = np.asarray(found.targets)[sample : sample + 1]
    rows = slice(0, HEALTH_ROWS)
    health = (found.X[rows], np.asarray(found.targets)[rows])
    if found.lengths is None:
        return Row(x, t, health)
    T = int(found.lengths[sample])
    of_steps = t.ndim > 1 and t.shape[1] == x.shape[1]
    return Row(x[0][:T], t[0][:T] if of_steps else t[0], None)


def _of_text(net: Network, source: str, sample: int, steps: int) -> Row:
    """So many characters of a text, each with the next for its target."""
    assert net.vocabulary is not None
    tokens = net.vocabulary.encode(read_text(source).characters, source)
    last = len(tokens) - steps - 1  # each of them has a next one
    if sample > last:
        most = f"with --steps {steps} the last --sample is {last}" if last >= 0 else f"--steps {steps} are too many"
        raise DataError(f"{source} has {len(tokens):,} characters; {most}")
    x, t = tokens[sample : sample + steps], tokens[sample + 1 : sample + steps + 1]
    return Row(x.astype(np.int64), t.astype(np.int64), None)
