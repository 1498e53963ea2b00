"""`deltarule check`: the backward pass held against numerical derivatives."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import typer

from deltarule.activations import Exp, Sigmoid, Softmax
from deltarule.cli.named import ActivationOption, CostOption, NetworkArgument, OutputOption, open_network
from deltarule.gradcheck import check_gradient
from deltarule.limits import whole
from deltarule.network import Network
from deltarule.randomness import draw_seed, generator

__all__ = ["check"]

STEPS = 3  # of a sequence


def check(
    network: NetworkArgument,
    activation: ActivationOption = None,
    output_activation: OutputOption = None,
    cost: CostOption = None,
    weight_decay: Annotated[float, typer.Option(help="λ of (λ/2) Σ W² in the cost.")] = 0.0,
    dropout: Annotated[bool, typer.Option("--dropout", help="With dropout on, at one fixed mask.")] = False,
    method: Annotated[str, typer.Option(help="complex, central or both.")] = "both",
    epsilon: Annotated[float, typer.Option(help="ε of the central differences.")] = 1e-4,
    samples: Annotated[int, typer.Option(help="Random samples to check on.")] = 5,
    seed: Annotated[int, typer.Option(help="Of weights, samples and sampled entries.")] = 0,
) -> None:
    """Check the backward pass by complex step and central differences. Exit code 1 if a gradient is wrong.

    Examples:

        deltarule check 784/30/10

        deltarule check 20/50:tanh/dropout(0.5)/3 --dropout

        deltarule check "seq(4)/rnn(8)/3"

        deltarule check runs/digits-1
    """
    seed, m = draw_seed(seed), whole("--samples", samples)
    net = open_network(network, activation, output_activation, cost, seed)
    X, t = _samples(net, m, seed)
    found = check_gradient(
        net, X, t, weight_decay=weight_decay, dropout=dropout, method=method, epsilon=epsilon, seed=seed
    )
    typer.echo(f"{net.spec}, {net.output.cost}, {net.size:,} parameters, {m} samples")
    for line in str(found).splitlines():
        typer.secho(line, fg="red" if "WRONG" in line else None)
    raise typer.Exit(0 if found.ok else 1)


def _samples(net: Network, m: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Standard normal inputs, sequences of a few steps, and targets that the cost allows."""
    random = generator(seed, "check", 1)
    X = random.standard_normal((m, *(n or STEPS for n in net.input_shape)))
    k, f = net.n_outputs, net.output.activation
    answers = (m, STEPS) if net.shapes[-1][0] is None else (m,)
    if isinstance(f, Softmax):
        return X, random.integers(k, size=answers)
    if isinstance(f, Sigmoid):
        return X, random.integers(2, size=(*answers, k))
    return X, random.poisson(2.0, (*answers, k)) if isinstance(f, Exp) else random.standard_normal((*answers, k))
