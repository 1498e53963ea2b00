"""`deltarule predict`: what a trained network answers to raw rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from deltarule.cli.arguments import RunArgument
from deltarule.cli.images import ColourOption, ImageSizeOption, read_for
from deltarule.cli.run_folder import open_model
from deltarule.errors import DataError
from deltarule.files import write_bytes
from deltarule.network import Network

__all__ = ["predict"]


def predict(
    run: RunArgument,
    rows: Annotated[
        list[str],
        typer.Argument(
            metavar="ROWS",
            help="Raw rows: .npy, .npz, .csv, an IDX file, an embedded set; or image files and folders of them.",
        ),
    ],
    probabilities: Annotated[
        bool, typer.Option("--probabilities", "-p", help="The probability of every class too.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write to this .csv or .npy file.", show_default="the screen, as CSV")
    ] = None,
    image_size: ImageSizeOption = None,
    colour: ColourOption = None,
) -> None:
    """Predict raw rows, one line each; the run's own preprocessing is applied. A target column is left aside.

    The line of an image file begins with its name.

    Examples:

        deltarule predict runs/digits-1 rows.npy

        deltarule predict runs/houses-1 new-houses.csv --output prices.csv

        deltarule predict runs/pets-1 tom.jpg rex.png more-pets
    """
    if output is not None and output.suffix not in (".csv", ".npy"):
        raise DataError(f"--output writes .csv or .npy, not '{output.name}'")
    net, folder = open_model(run)
    source = {} if folder is None else folder.read()["data"]["source"]
    column = source.get("target") if Path(rows[0]).suffix in (".csv", ".tsv") else None
    dataset = read_for(net, rows, image_size, colour, target=column, with_targets=False)
    answers = _by_row(net.predict(dataset.X), len(dataset))
    chances = _by_row(net.predict_proba(dataset.X), len(dataset)) if probabilities else None
    if output is not None and output.suffix == ".npy":
        content = io.BytesIO()
        np.save(content, answers if chances is None else chances, allow_pickle=False)
        write_bytes(output, content.getvalue())
        return
    text = _csv(net, answers, chances, dataset.files)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_bytes(output, text.encode())


def _by_row(answers: np.ndarray[Any, Any], m: int) -> np.ndarray[Any, Any]:
    """`(m, …)` also where a single image (1, 28, 28) was one sample to a network of 1x28x28, not a batch of one."""
    return answers if answers.shape[:1] == (m,) else answers[None]


def _csv(
    net: Network, answers: np.ndarray[Any, Any], chances: np.ndarray[Any, Any] | None, files: Sequence[str]
) -> str:
    """One line a row; with probabilities, a header and a column a class; of image files, their names first."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    lines: list[list[Any]] = answers.reshape(len(answers), -1).tolist()
    header = ["prediction"]
    if chances is not None:
        classes = None if net.preprocessing is None else net.preprocessing.classes
        header += [f"p({c})" for c in classes or range(chances.shape[1])]
        lines = [[*line, *(f"{p:.6g}" for p in c)] for line, c in zip(lines, chances.tolist())]
    if files:
        header, lines = ["file", *header], [[file, *line] for file, line in zip(files, lines)]
    writer.writerows(lines if chances is None else [header, *lines])
    return content.getvalue()
