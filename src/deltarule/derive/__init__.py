"""`derive`: the derivation of a network's gradient, in formulas that are checked as they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deltarule.derive import markdown
from deltarule.derive.checks import Numbers
from deltarule.derive.derivation import Writer
from deltarule.derive.document import Block, Formula
from deltarule.network import Network
from deltarule.optimizers import Optimizer
from deltarule.optimizers import optimizer as optimizer_of

__all__ = ["Derivation", "derive"]


@dataclass(frozen=True)
class Derivation:
    """What `derive` wrote."""

    blocks: tuple[Block, ...]

    @property
    def formulas(self) -> list[Formula]:
        """The numbered formulas, in order."""
        return [block for block in self.blocks if isinstance(block, Formula)]

    @property
    def ok(self) -> bool:
        """Whether every formula that was checked agrees with its numbers."""
        return all(formula.ok for formula in self.formulas)

    @property
    def worst(self) -> Formula:
        """The formula with the largest error."""
        return max(self.formulas, key=lambda f: f.error or 0.0)

    def to_markdown(self) -> str:
        """Markdown with formulas between dollars, as GitHub and notebooks show it."""
        return markdown.text(self.blocks)


def derive(
    net: Network, x: Any = None, t: Any = None, *, optimizer: Optimizer | str = "sgd", seed: int = 0
) -> Derivation:
    """The derivation of a network's gradient.

    >>> d = derive(Network("3/4/2"))
    >>> d.ok, len(d.formulas) > 20
    (True, True)
    """
    numbers = Numbers(net, x, t, seed=seed)
    return Derivation(tuple(Writer(net, numbers, _optimizer(optimizer)).write()))


def _optimizer(value: Optimizer | str) -> Optimizer:
    return optimizer_of(value)
