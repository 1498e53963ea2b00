"""`deltarule predict`: what a trained network answers to raw rows."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from deltarule.cli.arguments import RunArgument
from deltarule.cli.run_folder import open_model
from deltarule.data import read
from deltarule.errors import DataError
from deltarule.files import write_bytes
from deltarule.network import Network

__all__ = ["predict"]


def predict(
    run: RunArgument,
    rows: Annotated[
        str, typer.Argument(metavar="ROWS", help="Raw rows: .npy, .npz, .csv, an IDX file, an embedded set.")
    ],
    probabilities: Annotated[
        bool, typer.Option("--probabilities", "-p", help="The probability of every class too.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write to this .csv or .npy file.", show_default="the screen, as CSV")
    ] = None,
) -> None:
    """Predict raw rows, one line each; the run's own preprocessing is applied. A target column is left aside.

    Examples:

        deltarule predict runs/digits-1 rows.npy

        deltarule predict runs/houses-1 new-houses.csv --output prices.csv
    """
    if output is not None and output.suffix not in (".csv", ".npy"):
        raise DataError(f"--output writes .csv or .npy, not '{output.name}'")
    net, folder = open_model(run)
    source = {} if folder is None else folder.read()["data"]["source"]
    dataset = read(
        rows, target=source.get("target") if Path(rows).suffix in (".csv", ".tsv") else None, with_targets=False
    )
    answers = net.predict(dataset.X)
    chances = net.predict_proba(dataset.X) if probabilities else None
    if output is not None and output.suffix == ".npy":
        content = io.BytesIO()
        np.save(content, answers if chances is None else chances, allow_pickle=False)
        write_bytes(output, content.getvalue())
        return
    text = _csv(net, answers, chances)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_bytes(output, text.encode())


def _csv(net: Network, answers: np.ndarray[Any, Any], chances: np.ndarray[Any, Any] | None) -> str:
    """One line a row; with probabilities, a header and a column a class."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    answers = answers.reshape(len(answers), -1)
    if chances is None:
        writer.writerows(answers.tolist())
        return content.getvalue()
    classes = None if net.preprocessing is None else net.preprocessing.classes
    writer.writerow(["prediction", *(f"p({c})" for c in classes or range(chances.shape[1]))])
    writer.writerows([*a, *(f"{p:.6g}" for p in c)] for a, c in zip(answers.tolist(), chances.tolist()))
    return content.getvalue()
