"""`deltarule evaluate`: the score of a trained network on data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import typer

from deltarule.cli import rows, sequences, texts
from deltarule.cli.arguments import DataArgument, RunArgument, TargetOption
from deltarule.cli.images import ColourOption, ImageSizeOption, read_for
from deltarule.cli.run_folder import RunFolder, open_model
from deltarule.cli.show import print_scores
from deltarule.data import Dataset
from deltarule.data.sources import read_text
from deltarule.errors import DataError, FileFormatError
from deltarule.network import Network

__all__ = ["evaluate"]


def evaluate(
    run: RunArgument,
    data: DataArgument,
    target: TargetOption = None,
    image_size: ImageSizeOption = None,
    colour: ColourOption = None,
) -> None:
    """Score a trained network on data. On the data it was trained on, only what was held out counts.

    Examples:

        deltarule evaluate runs/digits-1 digits

        deltarule evaluate runs/houses-1 new-houses.csv --target price

        deltarule evaluate runs/pets-1 new-pets

        deltarule evaluate runs/book-1 another-book.txt
    """
    net, folder = open_model(run)
    described = {} if folder is None else folder.read()["data"]
    if net.vocabulary is not None:
        _text(net, folder, described, data)
        return
    column = described.get("source", {}).get("target") if target is None else target
    over_steps = net.input_shape[0] is None
    unit = "sequences" if over_steps else "rows"
    dataset = read_for(net, data, image_size, colour, target=column)
    X, t, lengths, part = dataset.X, dataset.targets, dataset.lengths, f"all {unit}"
    if dataset.test is not None:
        (X, test_targets), part, lengths = dataset.test, "its own test split", dataset.test_lengths
        t = np.asarray(test_targets)
    elif folder is not None and described["fingerprint"] == dataset.fingerprint():
        held = _held_out(run, dataset, described, over_steps)
        X, t, part, lengths = X[held], t[held], "held out", None if lengths is None else lengths[held]
        typer.echo(f"{dataset.name} is what this run was trained on: only the {len(held):,} {unit} held out are scored")
    else:
        _warn(folder, unit)
    print_scores({part: (len(X), net.evaluate(X, t, lengths=lengths))}, unit)


def _held_out(run: str, dataset: Dataset, described: Mapping[str, Any], over_steps: bool) -> Any:
    """The rows that the run left out of this data set."""
    split = described["held_out"]
    if split.get("own_test_split"):
        raise FileFormatError(f"{run}: run.toml names a test split, and the data have none")
    drawn = dataset, split["fraction"], split["seed"]
    if over_steps:
        _, held = sequences.held_out_sequences(*drawn, described["task"] == "classification")
    else:
        _, held = rows.held_out_rows(*drawn, described["task"])
    _check_size(run, len(held), split["rows"], "rows")
    return held


def _check_size(run: str, found: int, said: int, unit: str) -> None:
    if found != said:
        raise FileFormatError(f"{run}: run.toml says {said} {unit} were held out; its split gives {found}")


def _text(net: Network, folder: RunFolder | None, described: Mapping[str, Any], data: str) -> None:
    """Nats and bits a character of a text; of the one it was trained on, of its last part."""
    text, part = read_text(data), "all"
    assert net.vocabulary is not None
    tokens = net.vocabulary.encode(text.characters, data)
    if folder is not None and described["fingerprint"] == text.fingerprint():
        _, tokens = texts.held_out_part(tokens, described["held_out"]["fraction"])
        _check_size(str(folder), len(tokens), described["held_out"]["rows"], "characters")
        part = "held out"
        typer.echo(f"{text.name} is what this run was trained on: only its last {len(tokens):,} characters are scored")
    else:
        _warn(folder, "characters")
    if len(tokens) < 2:
        raise DataError(f"{data}: has {len(tokens)} character; two are needed, the second to be foretold")
    print_scores({part: (len(tokens), texts.scores_of(net, tokens))}, "characters")


def _warn(folder: RunFolder | None, unit: str) -> None:
    if folder is None:
        typer.echo(
            f"A model file does not say what it was trained on: some of these {unit} may have been seen in training"
        )
