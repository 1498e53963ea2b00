"""The arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["DATA_ARGUMENT", "DataArgument", "RunArgument", "TargetOption"]

DATA_ARGUMENT = typer.Argument(
    metavar="DATA",
    help="An embedded set (digits, iris, wine, breast_cancer, diabetes), an IDX folder such as MNIST's, a folder "
    "of images (one folder a class), or a file: .npz, .npy, .csv, .tsv, and a text, .txt.",
)  # fmt: skip
DataArgument = Annotated[str, DATA_ARGUMENT]
TargetOption = Annotated[
    str | None, typer.Option(help="The target's column (CSV: name or number; .npy: number, or a file of targets).")
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or a model file.")]
