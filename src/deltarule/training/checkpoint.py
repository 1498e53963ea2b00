"""Checkpoints: all that a training needs to go on, on disk whole or not at all.

    checkpoint-000000001875.safetensors    after 1,875 updates

They are written at the end of an epoch, every so many seconds within one, and when a training is interrupted. The last
two are kept: if one is damaged the other is used. Each holds θ, the standing, the history, what the training was told
(another network, setting or data set is refused), and a checksum over all of it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from importlib import metadata
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import files
from deltarule.errors import FileFormatError, HyperparameterError
from deltarule.limits import number
from deltarule.network import Network
from deltarule.optimizers import State
from deltarule.training.callbacks import Run
from deltarule.training.history import History
from deltarule.training.standing import Best, Standing

__all__ = ["Checkpoint", "Keeper", "newest"]

NAMES = "checkpoint-*.safetensors"
KEPT = 2
SPARING = 50  # an epoch's end is kept if the last time that took less than a fiftieth of what has passed since

_FIELDS: dict[str, tuple[type, ...]] = {
    "format": (int,), "version": (str,), "numpy": (str,), "seed": (int,), "settings": (dict,), "data": (str,),
    "epoch": (int,), "batch": (int,), "step": (int,), "waited": (int,), "restored": (int,), "best_epoch": (int,),
    "total": (float, str), "weight": (float, str), "learning_rate": (float, str), "lowest": (float, str),
    "mark": (float, str), "factor": (float,), "seconds": (float,), "scheduled": (dict,),
}  # fmt: skip
_COUNTS = ("epoch", "batch", "step", "waited", "restored")
_NUMBERS = ("total", "weight", "learning_rate", "lowest", "mark", "factor", "seconds")


class Checkpoint(NamedTuple):
    """What a checkpoint's file holds."""

    path: Path
    theta: NDArray[Any]
    standing: Standing
    history: History
    seed: int
    settings: dict[str, Any]
    data: str  # the data's fingerprint
    versions: tuple[str, str]  # of deltarule and NumPy

    def check(self, net: Network, begun: Standing, settings: Mapping[str, Any], data: str, epochs: int) -> None:
        """Refuse to go on unless network, settings and data are those of this checkpoint.

        Raises:
            HyperparameterError: naming whatever differs.
        """
        differ = [
            f"{name} is {settings.get(name)!r}, it was {self.settings.get(name)!r}"
            for name in [*settings, *(set(self.settings) - set(settings))]
            if settings.get(name) != self.settings.get(name)
        ]
        if data != self.data:
            differ.append("the data (inputs, targets, weights or validation data) are not those it was trained on")
        if self.standing.epoch > epochs:
            differ.append(f"epochs is {epochs}, and {self.standing.epoch} are done already")
        if differ:
            raise HyperparameterError(f"{self.path} cannot go on: {'; '.join(differ)}")
        self._check_arrays(net, begun)
        if self.versions != _versions():
            (old, old_numpy), (new, new_numpy) = self.versions, _versions()
            warnings.warn(
                f"{self.path} was written by deltarule {old} with NumPy {old_numpy}; with {new} and {new_numpy} the "
                "last bits may differ", UserWarning, stacklevel=4,
            )  # fmt: skip

    def _check_arrays(self, net: Network, begun: Standing) -> None:
        best = self.standing.best
        states = [self.standing.state] + ([] if best.state is None else [best.state])
        fits = all(a.shape == net.theta.shape and a.dtype == net.dtype for a in (self.theta, best.theta))
        for state in states:
            fits = fits and state.keys() == begun.state.keys()
            fits = fits and all((a.shape, a.dtype) == (state[k].shape, state[k].dtype) for k, a in begun.state.items())
        if not fits:
            raise FileFormatError(f"{self.path}: the arrays are not those of {net.spec} and its optimiser")


def newest(folder: Path) -> Checkpoint | None:
    """The latest checkpoint in a folder that is whole; a damaged one is passed over with a warning.

    Raises:
        FileFormatError: there are checkpoints, and none is whole, or a newer deltarule wrote them.
    """
    faults: list[FileFormatError] = []
    for path in reversed(_files(folder)):
        try:
            found = _read(path)
        except FileFormatError as error:
            faults.append(error)
            continue
        for fault in faults:
            warnings.warn(f"{fault}; going on from {path.name} instead", UserWarning, stacklevel=3)
        return found
    if faults:
        raise faults[0]
    return None


class Keeper:
    """Keeps where a training stands, in memory after every slice and on disk now and then."""

    def __init__(self, folder: Path, every: float, settings: Mapping[str, Any], data: str, seed: int) -> None:
        self.folder, self.every = folder, every
        self.fixed = {"settings": dict(settings), "data": data, "seed": seed}
        self.last: tuple[NDArray[Any], Standing, History, int] | None = None
        self.written: Standing | None = None
        self.cost, self.at, self.failed = 0.0, time.perf_counter(), False
        folder.mkdir(parents=True, exist_ok=True)
        for path in files.leftovers(folder, NAMES):
            path.unlink(missing_ok=True)

    def keep(self, run: Run, standing: Standing) -> None:
        """Remember this standing, and write it if it is time."""
        self.last = run.net.theta.copy(), standing, run.history, len(run.history.step_cost)  # at once: ^C may come
        passed = time.perf_counter() - self.at
        if passed >= (self.every if standing.batch else SPARING * self.cost):
            self.write()

    def write(self) -> None:
        """Write what was kept last. A full disk ends no training: it is said, and tried again."""
        if self.last is None or self.last[1] is self.written:
            return
        began = time.perf_counter()
        theta, standing, history, costs = self.last
        path = self.folder / f"checkpoint-{standing.step:012}.safetensors"
        try:
            _write(path, theta, standing, history, costs, self.fixed)
            self.written, self.failed = standing, False
            for old in _files(self.folder)[:-KEPT]:
                old.unlink(missing_ok=True)
        except OSError as error:
            if not self.failed:
                warnings.warn(
                    f"the checkpoint {path} cannot be written ({error.strerror or error}); training goes on, and it is "
                    "tried again", UserWarning, stacklevel=3,
                )  # fmt: skip
            self.failed = True
        self.at = time.perf_counter()
        self.cost = self.at - began


def _files(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    return sorted(path for path in folder.glob(NAMES) if path.is_file())


def _versions() -> tuple[str, str]:
    return metadata.version("deltarule"), np.__version__


def _write(
    path: Path, theta: NDArray[Any], s: Standing, history: History, costs: int, fixed: Mapping[str, Any]
) -> None:
    version, numpy = _versions()
    content = {"version": version, "numpy": numpy, **fixed, "best_epoch": s.best.epoch}
    content |= {name: getattr(s, name) for name in _COUNTS} | {name: _text(getattr(s, name)) for name in _NUMBERS}
    content["scheduled"] = {name: _text(value) for name, value in s.scheduled.items()}
    arrays = {"theta": theta, "best.theta": s.best.theta}
    arrays |= {f"state.{name}": a for name, a in s.state.items()}
    arrays |= {f"best.state.{name}": a for name, a in (s.best.state or {}).items()}
    arrays |= {f"history.{name}": a for name, a in history.arrays(s.epoch, costs).items()}
    files.write(path, arrays, content, files.CHECKPOINT)


def _text(value: float) -> float | str:
    """JSON has no name for what is not finite."""
    return float(value) if isfinite(value) else repr(float(value))


def _read(path: Path) -> Checkpoint:
    arrays, found = files.read(path, files.CHECKPOINT)
    meta = files.fields(f"{path}: metadata", found, _FIELDS)
    try:
        values = {name: number(name, meta[name], least=0, integral=True) for name in _COUNTS}
        values |= {name: float(meta[name]) for name in _NUMBERS}
        scheduled = {str(name): float(value) for name, value in meta["scheduled"].items()}
        best_epoch = number("best_epoch", meta["best_epoch"], least=0, most=values["epoch"], integral=True)
        taken = {"theta", "best.theta"} <= arrays.keys()
        parts: dict[str, State] = {"state.": {}, "best.state.": {}, "history.": {}}
        for name, a in arrays.items():
            for prefix, part in parts.items():
                if name.startswith(prefix):
                    part[name.removeprefix(prefix)] = a
        if not taken or 2 + sum(map(len, parts.values())) != len(arrays):
            raise ValueError(f"its arrays are {', '.join(arrays):.200}")
        history = History.from_arrays(parts["history."], values["epoch"])
        best = Best(best_epoch, arrays["best.theta"], parts["best.state."] or None)
        for a in (arrays["theta"], best.theta):
            if a.dtype.kind != "f" or a.ndim != 1 or not np.isfinite(a).all():
                raise ValueError("θ is no vector of finite numbers")
        history.seed, history.best_epoch = meta["seed"], best_epoch
        history.best_theta = best.theta if best_epoch else None
    except (ValueError, TypeError, OverflowError, KeyError) as error:
        raise FileFormatError(f"{path}: {error}") from None
    standing = Standing(parts["state."], scheduled, best, **values)
    return Checkpoint(
        path, arrays["theta"], standing, history, meta["seed"], meta["settings"], meta["data"],
        (meta["version"], meta["numpy"]),
    )  # fmt: skip
