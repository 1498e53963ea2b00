"""`deltarule generate`: text by a network that learnt one."""

from __future__ import annotations

from typing import Annotated

import typer

from deltarule.cli.arguments import RunArgument
from deltarule.cli.run_folder import open_model
from deltarule.writing import generate as write

__all__ = ["generate"]


def generate(
    run: RunArgument,
    prompt: Annotated[str, typer.Option(help="What it goes on from.", show_default="a line break")] = "",
    length: Annotated[int, typer.Option(help="Characters to write behind the prompt.")] = 500,
    temperature: Annotated[
        float, typer.Option(help="Below 1 the likelier characters are preferred; at 0 the likeliest is taken.")
    ] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Of the draws; the same seed writes the same text.")] = 0,
) -> None:
    """Write text: the prompt, and what the network draws behind it, one character after the other.

    Examples:

        deltarule generate runs/book-1

        deltarule generate runs/book-1 --prompt "Once upon" --temperature 0.8 --length 500 --seed 1
    """
    net, _ = open_model(run)
    typer.echo(prompt + write(net, prompt, length, temperature=temperature, seed=seed))
