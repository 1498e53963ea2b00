"""`deltarule bench`: peers side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deltarule.bench import report
from deltarule.bench.cases import CASES
from deltarule.bench.figures import FIGURES
from deltarule.bench.peers import PEERS
from deltarule.bench.run import Options, failures, run
from deltarule.cli.run_folder import RunFolder
from deltarule.errors import MissingExtraError

__all__ = ["bench"]


def bench(
    case: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{', '.join(case.name for case in CASES)}; {', '.join(FIGURES)}. May be given again.",
            show_default="all",
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(peer.name for peer in PEERS)}. May be given again.", show_default="all"),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(help="Measurements of each formulation.", show_default="7, quick 2")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The folder of the results.", show_default="the next runs/bench-<n>")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="See that everything works, not how fast.")] = False,
) -> None:
    """Measure deltarule beside PyTorch, JAX and scikit-learn, each in its fastest formulation, in one interleaved run.

    Every formulation first trains the same 20 batches from the same weights; costs must agree to 1e-4. Exit code 1 if
    one does not.

    Examples:

        deltarule bench

        deltarule bench --case mlp32 --case wide --peer native --peer torch

        deltarule bench --case import --case memory

        deltarule bench --quick --output runs/a
    """
    options = Options(case or (), peer or (), rounds, quick)
    folder = RunFolder.create(output, "bench").path
    results = run(options, typer.echo, lambda so_far: report.write(so_far, folder))
    files = report.write(results, folder)
    if results["cases"]:
        try:
            files.append(report.chart(results, folder))
        except MissingExtraError as error:
            typer.echo(f"Note: no chart; {error}", err=True)
        typer.echo(f"\n{report.overview(results)}\n")
    typer.echo("\n".join(map(str, files)))
    wrong = failures(results)
    for line in wrong:
        typer.secho(f"FAILED: {line}", fg="red", err=True)
    raise typer.Exit(1 if wrong else 0)
