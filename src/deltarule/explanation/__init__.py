"""`explain`: one page in which a network is stepped forward and back on one row, with every number in its equation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from deltarule.errors import HyperparameterError, ShapeError
from deltarule.explanation.html import page
from deltarule.explanation.told import named, told
from deltarule.files import write_bytes
from deltarule.limits import number
from deltarule.network import Network, Samples
from deltarule.optimizers import Optimizer, check_decay
from deltarule.optimizers import optimizer as optimizer_of
from deltarule.randomness import draw_seed
from deltarule.schedules import Progress
from deltarule.trace import trace

__all__ = ["Explanation", "explain"]

NOTEBOOK_HEIGHT = 900  # pixels


@dataclass(frozen=True, repr=False)
class Explanation:
    """The page that `explain` made.

    Attributes:
        story: all that the page tells, as JSON can hold it.
    """

    story: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether finite differences agree with every gradient; not where the cost is not finite."""
        return bool(self.story["checks"]["ok"])

    def to_html(self) -> str:
        """The page: one file that asks for nothing else."""
        return page(self.story)

    def save(self, path: str | Path) -> Path:
        """Write the page to an .html file."""
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise HyperparameterError(f"an explanation is an .html file, and {path.name} is none")
        write_bytes(path, self.to_html().encode())
        return path

    def __repr__(self) -> str:
        return f"<explanation of {self.story['network']}: {len(self.story['steps'])} steps; .save('explain.html')>"

    def _repr_html_(self) -> str:
        """In a notebook: the page in a frame of its own."""
        frame = f'sandbox="allow-scripts" style="width: 100%; height: {NOTEBOOK_HEIGHT}px; border: 0"'
        return f'<iframe title="{escape(repr(self))}" {frame} srcdoc="{escape(self.to_html())}"></iframe>'


def explain(
    net: Network,
    x: Samples,
    t: ArrayLike,
    *,
    optimizer: Optimizer | str = "sgd",
    learning_rate: float | None = None,
    weight_decay: float = 0.0,
    dropout: bool = False,
    seed: int = 0,
    step: int = 1,
    health: tuple[Any, Any] | None = None,
    classes: Sequence[Any] | None = None,
    columns: Sequence[Any] | None = None,
) -> Explanation:
    """One page on which your own network is stepped forward and back, on your own row.

    Every array is a heat map with its numbers; every number shows the equation it comes from, with the actual numbers
    put in, and what it was computed from lights up. Beside each gradient stand its finite differences. In dense
    networks another η or another target can be tried in the page. All is computed in float64, whatever the network's
    dtype.

    Args:
        net, x, t: a network, one sample (or a batch of one) and its target, as `trace` takes them.
        optimizer, learning_rate: of the update at the end, the rule's first; its own rate unless one is given.
        weight_decay: λ, as in `train`.
        dropout: with the masks of update `step` of a training from `seed`; else nothing drops.
        seed: of the entries that are checked where not all are, and of the masks.
        health: (X, t) of some rows, on which the health of the backward pass is measured; the one row unless given.
        classes, columns: names for the outputs and the inputs; those of the network's preprocessing unless given.

    Returns:
        An `Explanation`: `.save("explain.html")`, `.to_html()`; it shows itself in a notebook.

    Raises:
        ShapeError: x or t does not fit the network, or is a batch.

    >>> net = Network("4/5/3", activation="sigmoid")
    >>> page = explain(net, [0.2, -0.4, 1.0, 0.5], 2)
    >>> page, page.ok
    (<explanation of 4/5:sigmoid/3: 15 steps; .save('explain.html')>, True)
    """
    if not isinstance(net, Network):
        raise HyperparameterError(f"explain takes a network, such as Network('4/5/3'), and not {net!r:.60}")
    rule, seed = optimizer_of(optimizer).at(Progress(0, 1, 1)), draw_seed(seed)
    eta = rule.own_rate if learning_rate is None else number("learning_rate", learning_rate, above=0)
    weight_decay = check_decay(rule, weight_decay)
    rows, targets, _ = net.prepare(x, t, dtype=np.float64)
    if len(rows) != 1:
        raise ShapeError(f"explain takes one sample, and a batch of {len(rows)} came; give X[0], t[0]")
    plain = net.astype(np.float64)
    plain.preprocessing = None  # the row is prepared
    tr = trace(plain, rows[0], targets[0], weight_decay=weight_decay, dropout=dropout, seed=seed, step=step)
    names = named(net, tr, classes, columns)
    story = told(net, tr, rule, eta, weight_decay, seed=seed, health=health)
    return Explanation(story | {"names": names})
