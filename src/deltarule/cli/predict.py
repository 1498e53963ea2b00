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
from deltarule.data import Dataset
from deltarule.data.sources import read_text
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
            help="Raw rows: .npy, .npz, .csv, an IDX file, an embedded set; image files and folders; or a text.",
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

    The line of an image file begins with its name. Where every step of sequences is answered, a line is a step; of a
    text a character, and what the network takes for the next one.

    Examples:

        deltarule predict runs/digits-1 rows.npy

        deltarule predict runs/houses-1 new-houses.csv --output prices.csv

        deltarule predict runs/pets-1 tom.jpg rex.png more-pets

        deltarule predict runs/book-1 beginning.txt --probabilities
    """
    if output is not None and output.suffix not in (".csv", ".npy"):
        raise DataError(f"--output writes .csv or .npy, not '{output.name}'")
    net, folder = open_model(run)
    if net.vocabulary is not None:
        header, first, answers, chances = _text(net, rows, probabilities)
    else:
        source = {} if folder is None else folder.read()["data"]["source"]
        column = source.get("target") if Path(rows[0]).suffix in (".csv", ".tsv") else None
        dataset = read_for(net, rows, image_size, colour, target=column, with_targets=False)
        header, first, answers, chances = _rows(
            net, dataset, probabilities, output is not None and output.suffix == ".npy"
        )
    if output is not None and output.suffix == ".npy":
        content = io.BytesIO()
        np.save(content, answers if chances is None else chances, allow_pickle=False)
        write_bytes(output, content.getvalue())
        return
    text = _csv(net, header, first, answers, chances)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_bytes(output, text.encode())


Answers = tuple[list[str], list[list[Any]], np.ndarray[Any, Any], np.ndarray[Any, Any] | None]
"""What begins the header and every line; what is answered; and the chances `(…, K)` where they are asked for."""


def _rows(net: Network, dataset: Dataset, probabilities: bool, keep_steps: bool) -> Answers:
    """Rows, or sequences, of which every step may be answered: those that there are, or all with −1 or NaN for none."""
    X, lengths = dataset.X, {} if dataset.lengths is None else {"lengths": dataset.lengths}
    answers = _by_row(net.predict(X, **lengths), len(dataset))
    chances = _by_row(net.predict_proba(X, **lengths), len(dataset)) if probabilities else None
    if net.shapes[-1][0] is not None:
        return ["file"] if dataset.files else [], [[file] for file in dataset.files], answers, chances
    T = answers.shape[1]
    n = np.full(len(dataset), T) if dataset.lengths is None else dataset.lengths
    there = np.arange(T) < n[:, None]
    if keep_steps:
        for a in [answers] if chances is None else [answers, chances]:
            a[~there] = np.nan if a.dtype.kind == "f" else -1
        return [], [], answers, chances
    chances = None if chances is None else chances[there]
    return ["sequence", "step"], np.argwhere(there).tolist(), answers[there], chances


def _text(net: Network, sources: Sequence[str], probabilities: bool) -> Answers:
    """Of every character of a text the next one."""
    if len(sources) > 1:
        raise DataError(f"{sources[1]}: texts are read one by one")
    assert net.vocabulary is not None
    text = read_text(sources[0]).characters
    tokens = net.vocabulary.encode(text, sources[0])[None]
    answers = np.array([*net.vocabulary.decode(net.predict(tokens)[0])])
    chances = net.predict_proba(tokens)[0] if probabilities else None
    return ["character"], [[c] for c in text], answers, chances


def _by_row(answers: np.ndarray[Any, Any], m: int) -> np.ndarray[Any, Any]:
    """`(m, …)` also where a single image (1, 28, 28) was one sample to a network of 1x28x28, not a batch of one."""
    return answers if answers.shape[:1] == (m,) else answers[None]


def _csv(
    net: Network, header: list[str], first: list[list[Any]], answers: np.ndarray[Any, Any],
    chances: np.ndarray[Any, Any] | None,
) -> str:  # fmt: skip
    """One line an answer; with probabilities a header, and a column a class."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    lines: list[list[Any]] = answers.reshape(len(answers), -1).tolist()
    names = [*header, "prediction"]
    if chances is not None:
        known: Any = net.vocabulary.characters if net.vocabulary is not None else (
            None if net.preprocessing is None else net.preprocessing.classes
        )  # fmt: skip
        names += [f"p({c})" for c in known or range(chances.shape[1])]
        lines = [[*line, *(f"{p:.6g}" for p in c)] for line, c in zip(lines, chances.tolist())]
    if first:
        lines = [[*begin, *line] for begin, line in zip(first, lines)]
    writer.writerows(lines if chances is None else [names, *lines])
    return content.getvalue()
