"""A problem: a case with its data, the weights θ₀ that all start from, and the numbers that all must reach."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.bench.cases import CHECKED, PIXELS, Case
from deltarule.bench.stages import Stage
from deltarule.data.embedded import read_embedded
from deltarule.data.idx import read_idx_folder
from deltarule.data.text import Vocabulary, read_text, streams
from deltarule.engines import textbook
from deltarule.layers import flat_size
from deltarule.network import Network
from deltarule.optimizers import Optimizer, optimizer
from deltarule.training import train

__all__ = ["Problem", "characters", "load", "pose", "reference", "save"]


@dataclass(frozen=True, eq=False)
class Problem:
    """What a peer is given: X `(rows, n)` float32, labels t `(rows,)` int64, θ₀ flat float32.

    Sequences are `(rows, T, n)`, or tokens `(rows, T)` uint8, with labels `(rows, T)` where every step has an output.
    `pixels` is X before its division by 255, where X is an image. `source` says where the data come from.
    """

    case: Case
    X: NDArray[Any]
    t: NDArray[np.int64]
    theta: NDArray[np.float32]
    pixels: NDArray[np.uint8] | None
    source: str

    @property
    def stages(self) -> list[Stage]:
        """What peers build the network from; the parameters at θ₀ are copies."""
        net = self.network()
        parts = ({name: values.copy() for name, values in p.items()} for p in net.split(self.theta))
        return [Stage(*stage) for stage in zip(net.layers, net.shapes, parts)]

    @property
    def optimizer(self) -> Optimizer:
        """The update rule, with its constants."""
        return optimizer(self.case.optimizer)

    def network(self, dtype: str = "float32") -> Network:
        """The network at θ₀."""
        return Network(self.case.network, activation=self.case.activation, dtype=dtype).roll(self.theta)


def pose(case: Case) -> Problem:
    """The problem of a case: MNIST from $DELTARULE_DATA where that is set, else noise in its shape."""
    net = Network(case.network, activation=case.activation, seed=0)
    X, t, source = _data(case, net)
    X, t = X[: case.rows], t[: case.rows]
    if case.sequences and not case.tokens:
        X = X.reshape(len(X), case.length, -1)
    return _posed(case, X, t, net.theta, source)


def _data(case: Case, net: Network) -> tuple[NDArray[Any], NDArray[Any], str]:
    """Rows (uint8 where they are pixels or tokens), labels, and where they come from."""
    if case.tokens:
        return _characters(case, flat_size(net.input_shape))
    if case.data == "digits":
        digits = read_embedded("digits")
        return np.asarray(digits.X) / 16, digits.targets, "scikit-learn's digits"
    if case.data == "mnist" and "DELTARULE_DATA" in os.environ:
        return *_mnist(os.environ["DELTARULE_DATA"]), "MNIST"
    random, n = np.random.default_rng(0), case.length * flat_size(net.input_shape)
    t = random.integers(net.n_outputs, size=(case.rows, case.length) if net.shapes[-1][0] is None else case.rows)
    if case.data in PIXELS:
        pixels = random.integers(256, size=(case.rows, n), dtype=np.uint8)
        return pixels, t, "noise" if case.data == "pixels" else "noise in MNIST's shape (DELTARULE_DATA is not set)"
    return random.standard_normal((case.rows, n)), t, "noise"


def characters() -> str | None:
    """The text that characters are taken from, tinyshakespeare in $DELTARULE_DATA."""
    folder = os.environ.get("DELTARULE_DATA")
    return None if folder is None else read_text(Path(folder) / "tinyshakespeare" / "input.txt")


def _characters(case: Case, kinds: int) -> tuple[NDArray[Any], NDArray[Any], str]:
    """Stretches of a text, one behind the other; the label of a character is the next one."""
    if (text := characters()) is not None:
        tokens, source = Vocabulary.of(text).encode(text), "tinyshakespeare"
    else:
        tokens = np.random.default_rng(0).integers(kinds, size=case.rows * case.length + 1, dtype=np.uint8)
        source = "noise in place of characters (DELTARULE_DATA is not set)"
    return *streams(tokens[: case.rows * case.length + 1], case.rows, case.length), source


def _posed(case: Case, rows: NDArray[Any], t: NDArray[Any], theta: NDArray[Any], source: str) -> Problem:
    pixels = np.ascontiguousarray(rows) if rows.dtype == np.uint8 and not case.tokens else None
    X = np.ascontiguousarray(rows, rows.dtype if case.tokens else np.float32)
    if pixels is not None:
        X /= np.float32(255)
    return Problem(case, X, t.astype(np.int64), theta.copy(), pixels, source)


@lru_cache(maxsize=1)
def _mnist(folder: str) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    data = read_idx_folder(Path(folder) / "mnist")
    return np.asarray(data.X).reshape(len(data.targets), -1), data.targets


def save(problem: Problem, folder: Path) -> None:
    """Write the problem for workers to `load`."""
    X = problem.X if problem.pixels is None else problem.pixels
    np.savez(folder / "arrays.npz", X=X, t=problem.t, theta=problem.theta)
    said = {"case": asdict(problem.case), "source": problem.source}
    (folder / "problem.json").write_text(json.dumps(said), encoding="utf-8")


def load(folder: Path) -> Problem:
    """The problem that `save` wrote."""
    said = json.loads((folder / "problem.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz") as arrays:
        return _posed(Case.from_json(said["case"]), arrays["X"], arrays["t"], arrays["theta"], said["source"])


def reference(problem: Problem) -> NDArray[np.float64]:
    """Textbook and float64: the costs of the first mini-batches before their updates, or ŷ of the first row."""
    case, net = problem.case, problem.network("float64")
    X = problem.X if problem.pixels is None else problem.pixels / 255
    X = X if case.tokens else X.astype(np.float64)
    if case.kind == "predict":
        found: NDArray[np.float64] = textbook.forward(net, net.theta, X[:1])[-1].a[0]
        return found
    rows = CHECKED * case.batch
    history = train(
        net, X[:rows], problem.t[:rows], optimizer=case.optimizer, learning_rate=case.learning_rate, epochs=1,
        batch_size=case.batch, shuffle=False, record_steps=True, engine="textbook", verbose=False,
    )  # fmt: skip
    return np.array(history.step_cost)
