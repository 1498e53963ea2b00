"""The command line: one file a command, and one place where errors become messages."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version as installed
from typing import Annotated, Any

import typer

from deltarule.cli import bench, check, derive, evaluate, explain, generate, info, predict, train
from deltarule.errors import DeltaruleError

__all__ = ["app", "main"]

app = typer.Typer(
    name="deltarule",
    help="Train neural networks by backpropagation, the generalised delta rule.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (train, evaluate, predict, generate, check, derive, explain, info, bench):
    app.command()(getattr(module, module.__name__.rpartition(".")[2]))


def _version(value: bool) -> None:
    if value:
        typer.echo(f"deltarule {installed('deltarule')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; what the library refuses becomes one message and exit code 2, without a traceback."""

    def say(message: Warning | str, *_: Any, **__: Any) -> None:
        typer.echo(f"Note: {message}", err=True)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = say
            app(args=None if arguments is None else list(arguments))
    except DeltaruleError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except OSError as error:  # a full disk, a folder that is not there or not ours
        typer.echo(f"Error: {f'{error.filename}: ' if error.filename else ''}{error.strerror or error}", err=True)
        sys.exit(2)
