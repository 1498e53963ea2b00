"""`deltarule derive`: the derivation of a network's gradient, every formula checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deltarule.cli.named import (
    ActivationOption,
    CostOption,
    NetworkArgument,
    OutputOption,
    open_network,
    optimizer_of_run,
)
from deltarule.randomness import draw_seed

__all__ = ["derive"]


def derive(
    network: NetworkArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A file: .html, .tex, .md or .txt.", show_default="the terminal"),
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="Whose update ends the derivation.", show_default="the run's own; sgd of others")
    ] = None,
    activation: ActivationOption = None,
    output_activation: OutputOption = None,
    cost: CostOption = None,
    seed: Annotated[int, typer.Option(help="Of weights and of the sample the formulas are checked on.")] = 0,
) -> None:
    """Write the derivation of a network's gradient. Exit code 1 if a formula fails its check.

    Examples:

        deltarule derive 784/30/10

        deltarule derive lenet5 -o lenet5.html

        deltarule derive "seq(4)/rnn(8)/3" --optimizer adam -o rnn.tex

        deltarule derive runs/digits-1
    """
    from deltarule.derivation import derive as write

    seed = draw_seed(seed)
    net = open_network(network, activation, output_activation, cost, seed)
    found = write(net, optimizer=optimizer or optimizer_of_run(network) or "sgd", seed=seed)
    if output is None:
        from rich.console import Console

        Console().print(found)
    else:
        typer.echo(found.save(output))
    wrong = [formula for formula in found.formulas if not formula.ok]
    for formula in wrong:
        found_out = formula.remark or f"is WRONG: relative error {formula.error:.1e}"
        typer.secho(f"formula ({formula.number}) {found_out}", fg="red", err=True)
    raise typer.Exit(1 if wrong else 0)
