"""A network that an argument names: its layers, one of the documents' systems, a run folder or a model file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from deltarule import nets
from deltarule.cli.run_folder import RunFolder, open_model
from deltarule.errors import FileFormatError
from deltarule.network import Network

__all__ = ["ActivationOption", "CostOption", "NetworkArgument", "OutputOption", "open_network", "optimizer_of_run"]

NetworkArgument = Annotated[
    str, typer.Argument(metavar="NETWORK", help="Such as 784/30/10 or lenet5, or a run folder or model file.")
]
ActivationOption = Annotated[
    str | None, typer.Option(help="Of hidden layers that name none.", show_default="relu; tanh in recurrent ones")
]
OutputOption = Annotated[
    str | None, typer.Option(help="Of the last layer.", show_default="softmax; sigmoid for one unit")
]
CostOption = Annotated[str | None, typer.Option(help="The cost.", show_default="the output's canonical one")]


def open_network(name: str, activation: str | None, output: str | None, cost: str | None, seed: int) -> Network:
    """The network; a trained one takes what its first layer sees, without preprocessing."""
    if Path(name).exists():
        net, _ = open_model(name)
        net.preprocessing = None
        return net
    system = nets.find(name)
    if system is None and not re.match(r"\s*(\d|\*|seq\b)", name):
        known = ", ".join(nets.SYSTEMS)
        raise FileFormatError(
            f"{name}: there is no such run folder or model file, and it is no network: those begin with their input, "
            f"784/30/10 or seq(65)/rnn(128)/65, or are {known}"
        )
    text = name if system is None else system.spec(10)
    return Network(text, activation=activation, output=output, cost=cost, seed=seed, dtype="float64")


def optimizer_of_run(name: str) -> str | None:
    """The optimiser of a run folder's command."""
    if not Path(name).is_dir():
        return None
    found = RunFolder.open(name).read().get("command", {}).get("optimizer")
    return found if isinstance(found, str) else None
