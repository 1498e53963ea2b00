"""`deltarule evaluate`: the score of a trained network on data."""

from __future__ import annotations

import numpy as np
import typer

from deltarule.cli.arguments import DataArgument, RunArgument, TargetOption
from deltarule.cli.images import ColourOption, ImageSizeOption, read_for
from deltarule.cli.run_folder import open_model
from deltarule.cli.show import print_scores
from deltarule.cli.train import held_out_rows
from deltarule.errors import FileFormatError

__all__ = ["evaluate"]


def evaluate(
    run: RunArgument,
    data: DataArgument,
    target: TargetOption = None,
    image_size: ImageSizeOption = None,
    colour: ColourOption = None,
) -> None:
    """Score a trained network on data. On the data it was trained on, only the held-out rows count.

    Examples:

        deltarule evaluate runs/digits-1 digits

        deltarule evaluate runs/houses-1 new-houses.csv --target price

        deltarule evaluate runs/pets-1 new-pets
    """
    net, folder = open_model(run)
    described = {} if folder is None else folder.read()["data"]
    column = described.get("source", {}).get("target") if target is None else target
    dataset = read_for(net, data, image_size, colour, target=column)
    X, t, part = dataset.X, dataset.targets, "all rows"
    if dataset.test is not None:
        (X, test_targets), part = dataset.test, "its own test split"
        t = np.asarray(test_targets)
    elif folder is not None and described["fingerprint"] == dataset.fingerprint():
        split = described["held_out"]
        if split.get("own_test_split"):
            raise FileFormatError(f"{run}: run.toml names a test split, and the data have none")
        _, held = held_out_rows(dataset, split["fraction"], split["seed"], described["task"])
        if len(held) != split["rows"]:
            raise FileFormatError(
                f"{run}: run.toml says {split['rows']} rows were held out; its split gives {len(held)}"
            )
        X, t, part = X[held], t[held], "held out"
        typer.echo(f"{dataset.name} is what this run was trained on: only the {len(held):,} rows held out are scored")
    elif folder is None:
        typer.echo(
            "A model file does not say what it was trained on: some of these rows may have been seen in training"
        )
    print_scores({part: (len(X), net.evaluate(X, t))})
