"""The cases: what is trained (or asked for one answer), on what, and the speed it is meant to reach."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from deltarule.architecture import Architecture
from deltarule.arrays import Shape
from deltarule.errors import UnknownNameError

__all__ = ["CASES", "CHECKED", "PIXELS", "SIMPLECHAINS", "Case", "Target", "find", "flops"]

CHECKED = 20  # mini-batches whose costs every formulation must reproduce before it is timed
PIXELS = ("mnist", "pixels")  # data whose numbers are uint8


@dataclass(frozen=True)
class Target:
    """Our rate over another's: `must` is promised, `aim` is hoped for.

    `versus` is a peer, "best" (the fastest of the other libraries), or "sgemm" (a share of that rate).
    """

    versus: str
    must: float
    aim: float


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Args:
        name: as in `--case`.
        network: the grammar's text; the output is softmax with cross-entropy.
        activation: of the hidden layers, recurrent ones too.
        optimizer: deltarule's text; peers read the resolved value.
        learning_rate: η, constant.
        batch: rows an update, each an image or a sequence where the network sees such; a short last batch is left out
            by everyone.
        data: "mnist", "digits", "noise" (normal numbers), "pixels" (noise in uint8), or "characters" (of a text).
        rows: how many rows of the data are trained on; an epoch is what one repeat measures.
        length: time steps of a sequence, T.
        kind: "train", or "predict" for one row forward.
        targets: the speed it is meant to reach.
    """

    name: str
    network: str
    activation: str
    optimizer: str
    learning_rate: float
    batch: int
    data: str
    rows: int
    length: int = 1
    kind: str = "train"
    targets: tuple[Target, ...] = ()

    @property
    def steps(self) -> int:
        """Updates an epoch."""
        return self.rows // self.batch

    @property
    def images(self) -> bool:
        """Whether the network sees images, `1x28x28`, and not rows."""
        return "x" in self.network.partition("/")[0]

    @property
    def sequences(self) -> bool:
        """Whether a row is a sequence; a sample is one of its time steps then."""
        return self.network.startswith("seq(")

    @property
    def tokens(self) -> bool:
        """Whether the network sees tokens, which choose columns of W, and not numbers."""
        return self.data == "characters"

    @property
    def unit(self) -> str:
        """What is counted a second."""
        return "steps" if self.sequences else "samples"

    def shortened(self) -> Case:
        """The same case on as few rows as the check needs, for a quick look."""
        return replace(self, rows=min(self.rows, max(CHECKED * self.batch, 2000 // self.length)))

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Case:
        """The inverse of `dataclasses.asdict`."""
        return cls(**{**fields, "targets": tuple(Target(**t) for t in fields["targets"])})


MOMENTUM, ADAM = "momentum(0.9)", "adam"
DEEP = "64/" * 21 + "10"  # 64 inputs, 20 hidden layers of 64
LENET = "1x28x28/conv(6,5,pad=2)/meanpool(2)/conv(16,5)/meanpool(2)/120/84/10"
LENET5 = "1x28x28/conv(6,5,pad=2,border=-0.1)/subsample(2)/conv(16,5,links=lenet5)/subsample(2)/conv(120,5)/84/10"
UFLDL_CNN = "1x28x28/conv(20,9)/meanpool(2)/10"
CNN_SMALL = "3x32x32/conv(32,3,pad=1)/maxpool(2)/conv(64,3,pad=1)/maxpool(2)/128/10"
CHARACTERS = "seq(65)/rnn(128)/65"

CASES = (
    Case("tiny", "10/32/32/2", "relu", ADAM, 1e-3, 32, "noise", 8192,
         targets=(Target("jax", 1.5, 2.5), Target("torch", 20, 50))),
    Case("mlp32", "784/100/10", "relu", MOMENTUM, 0.02, 32, "mnist", 60_000,
         targets=(Target("best", 1.8, 2.2), Target("torch", 5, 8))),
    Case("mlp128", "784/100/10", "relu", MOMENTUM, 0.02, 128, "mnist", 60_000,
         targets=(Target("best", 1.6, 2.2), Target("torch", 3, 4.5), Target("sgemm", 0.55, 0.75))),
    Case("mlp512", "784/100/10", "relu", MOMENTUM, 0.02, 512, "mnist", 60_000,
         targets=(Target("best", 1.2, 1.8),)),
    Case("digits", "64/32/10", "sigmoid", "sgd", 0.5, 32, "digits", 1797,
         targets=(Target("jax", 1.5, 2.5), Target("torch", 20, 50))),
    Case("wide", "784/1024/1024/10", "relu", ADAM, 1e-3, 256, "mnist", 12_800,
         targets=(Target("best", 1.0, 1.3), Target("sgemm", 0.60, 0.80))),
    Case("deep", DEEP, "tanh", "sgd", 0.05, 64, "digits", 1797,
         targets=(Target("best", 1.5, 2.5),)),
    Case("online", "784/100/10", "relu", "sgd", 0.01, 1, "mnist", 10_000,
         targets=(Target("best", 2, 4),)),
    Case("predict1", "784/100/10", "relu", "sgd", 0.01, 1, "mnist", 1000, kind="predict",
         targets=(Target("best", 4, 10),)),
    Case("lenet32", LENET, "tanh", MOMENTUM, 0.02, 32, "mnist", 3200,
         targets=(Target("best", 5, 8),)),
    Case("lenet128", LENET, "tanh", MOMENTUM, 0.02, 128, "mnist", 6400,
         targets=(Target("best", 4, 6), Target("sgemm", 0.50, 0.65))),
    Case("lenet512", LENET, "tanh", MOMENTUM, 0.02, 512, "mnist", 10_240,
         targets=(Target("best", 3, 5),)),
    Case("lenet5", LENET5, "scaled tanh", MOMENTUM, 0.02, 128, "mnist", 6400),
    Case("ufldl_cnn", UFLDL_CNN, "sigmoid", MOMENTUM, 0.05, 256, "mnist", 6400,
         targets=(Target("best", 2, 4),)),
    Case("cnn_small", CNN_SMALL, "relu", MOMENTUM, 0.01, 64, "pixels", 1600,
         targets=(Target("best", 1, 1.5),)),
    Case("rnn32", CHARACTERS, "tanh", MOMENTUM, 0.02, 32, "characters", 5120, length=50,
         targets=(Target("best", 2.2, 3), Target("torch", 4, 6))),
    Case("rnn128", CHARACTERS, "tanh", MOMENTUM, 0.02, 128, "characters", 5120, length=50,
         targets=(Target("best", 2.2, 3.5),)),
    Case("rnn_small", "seq(16)/rnn(64)/16", "tanh", MOMENTUM, 0.02, 32, "noise", 10_240, length=50,
         targets=(Target("jax", 1.5, 3), Target("torch", 5, 10))),
    Case("pixels", "seq(1)/rnn(64,last=True)/10", "tanh", MOMENTUM, 0.002, 64, "mnist", 1280, length=784,
         targets=(Target("best", 1.5, 3),)),
)  # fmt: skip
"""Where the optimiser matters little it is the plain one, so that every peer has the least to do."""

SIMPLECHAINS = Case(
    "simplechains", "1x28x28/conv(6,5)/maxpool(2)/conv(16,5)/maxpool(2)/120/84/10", "relu", ADAM, 3e-4, 128,
    "mnist", 60_000,
)  # fmt: skip
"""The LeNet of SimpleChains.jl, which is held against its published time: a figure, without peers."""


def find(name: str) -> Case:
    """The case of that name.

    >>> find("wide").network
    '784/1024/1024/10'
    """
    found = {case.name: case for case in (*CASES, SIMPLECHAINS)}
    if name not in found:
        raise UnknownNameError(f"there is no case '{name}' (cases: {', '.join(case.name for case in CASES)})")
    return found[name]


def flops(case: Case) -> float:
    """Floating-point operations a sample: 2 a multiply-add, of weights alone.

    Each weight meets one input for z (a kernel's as often as its map has pixels), one δ for ∂C/∂W, and one for
    ∂C/∂a_prev but at the input, where tokens need none at all: they choose columns of W. U meets a state at every step
    as if h₀ were none of zeros. A sample of a sequence is a time step; a layer behind its last h counts a T-th.

    >>> flops(find("mlp32"))  # 4 · 784 · 100 + 6 · 100 · 10
    319600.0
    >>> flops(find("rnn32"))  # W: 0; U and V: 6 · 128 · 128 + 6 · 128 · 65
    148224.0
    """
    net = Architecture(case.network)
    first, *others = [
        2.0 * math.prod(slot.shape) * _times(case, *net.shapes[slot.stage - 1 : slot.stage + 1])
        for slot in net.slots
        if slot.name in ("W", "U")
    ]
    if case.kind == "predict":
        return first + sum(others)
    return (0 if case.tokens else 2 * first) + 3 * sum(others)


def _times(case: Case, before: Shape, after: Shape) -> float:
    """How often a layer is at work in a sample, from the shapes of its input and output."""
    return 1 if before[0] is None else math.prod(n or 1 for n in after[1:]) / case.length
