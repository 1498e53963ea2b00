"""A network that an argument names: its layers, one of the documents' systems, a run folder or a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deltarule import nets
from deltarule.cli.run_folder import open_model
from deltarule.network import Network

__all__ = ["ActivationOption", "CostOption", "NetworkArgument", "OutputOption", "open_network"]

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
    text = name if system is None else system.spec(10)
    return Network(text, activation=activation, output=output, cost=cost, seed=seed, dtype="float64")
