"""Checkpoints: all that a training needs to go on, on disk whole or not at all.

    checkpoint-000000001875.safetensors    after 1,875 updates

They are written at the end of an epoch, every so many seconds within one, and when a training is interrupted. The last
two are kept: if one is damaged the other is used. Each holds θ, the standing, the history, what the training was told
(another network, setting or data set is refused), and a checksum over all of it.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import files
from deltarule.errors import FileFormatError, HyperparameterError, NewerFormatError
from deltarule.limits import number
from deltarule.optimizers import State
from deltarule.randomness import draw_seed
from deltarule.training.callbacks import Run
from deltarule.training.history import History
from deltarule.training.standing import Best, Standing

__all__ = ["Checkpoint", "Keeper", "alone", "newest"]

PATTERN = "checkpoint-*.safetensors"  # of which those that count updates are ours
SPARING = 50  # a checkpoint waits until fifty times what the last one took has passed: a fiftieth of the time at most

_FIELDS: dict[str, tuple[type, ...]] = {
    "format": (int,), "version": (str,), "numpy": (str,), "seed": (int,), "settings": (dict,), "data": (str,),
    "epochs": (int,), "epoch": (int,), "batch": (int,), "step": (int,), "waited": (int,), "restored": (int,),
    "best_epoch": (int,), "total": (float, str), "weight": (float, str), "learning_rate": (float, str),
    "lowest": (float, str), "mark": (float, str), "factor": (float,), "seconds": (float,), "stopped": (str,),
    "scheduled": (dict,), "columns": (list,),
}  # fmt: skip
_COUNTS = ("epoch", "batch", "step", "waited", "restored")
_NUMBERS = ("total", "weight", "learning_rate", "lowest", "mark", "factor", "seconds")
_MOST = 2**53  # updates, epochs …


class Checkpoint(NamedTuple):
    """What a checkpoint's file holds."""

    path: Path
    theta: NDArray[Any]
    standing: Standing
    history: History
    seed: int
    settings: dict[str, Any]
    data: str  # the data's fingerprint
    epochs: int  # that were asked for
    versions: tuple[str, str]  # of deltarule and NumPy

    def standing_for(self, run: Run, begun: Standing, settings: Mapping[str, Any], data: str) -> Standing:
        """Where to go on, for the network, settings and data of this checkpoint; any other are refused.

        Raises:
            HyperparameterError: naming whatever differs.
            FileFormatError: the content cannot be of such a training.
        """
        differ = [
            f"{name} is {settings.get(name)!r}, it was {self.settings.get(name)!r}"
            for name in [*settings, *(set(self.settings) - set(settings))]
            if settings.get(name) != self.settings.get(name)
        ]
        if data != self.data:
            differ.append("the data (inputs, targets, weights or validation data) are not those it was trained on")
        if self.standing.epoch > run.epochs:
            differ.append(f"epochs is {run.epochs}, and {self.standing.epoch} are done already")
        if differ:
            raise HyperparameterError(f"{self.path} cannot go on: {'; '.join(differ)}; another folder begins anew")
        self._check(run, begun)
        if self.versions != _versions():
            (old, old_numpy), (new, new_numpy) = self.versions, _versions()
            warnings.warn(
                f"{self.path} was written by deltarule {old} with NumPy {old_numpy}; with {new} and {new_numpy} the "
                "last bits may differ", UserWarning, stacklevel=4,
            )  # fmt: skip
        more = self.epochs != run.epochs  # then what a callback wanted is another matter
        return self.standing._replace(stopped="" if more else self.standing.stopped)

    def _check(self, run: Run, begun: Standing) -> None:
        """Hold arrays and numbers against what a training of this network has."""
        net, s = run.net, self.standing
        fits = all(a.shape == net.theta.shape and a.dtype == net.dtype for a in (self.theta, s.best.theta))
        for state in [s.state] + ([] if s.best.state is None else [s.best.state]):
            fits = fits and state.keys() == begun.state.keys()
            fits = fits and all((a.shape, a.dtype) == (state[k].shape, state[k].dtype) for k, a in begun.state.items())
        fits = fits and s.scheduled.keys() == begun.scheduled.keys()
        if s.carried is not None:
            fits = fits and s.carried.ndim == 2 and s.carried.shape[1] == net.n_state and s.carried.dtype == net.dtype
        if not fits or s.batch > run.steps_per_epoch or (s.epoch == run.epochs and s.batch):
            raise FileFormatError(f"{self.path}: the content is not that of {net.spec} and its optimiser and schedule")


def newest(folder: Path) -> Checkpoint | None:
    """The latest checkpoint in a folder that is whole; a damaged one is passed over with a warning.

    Raises:
        FileFormatError: there are checkpoints, and none is whole, or a newer deltarule wrote the last.
    """
    faults: list[FileFormatError] = []
    for _, path in reversed(_checkpoints(folder)):
        try:
            found = _read(path)
        except NewerFormatError:
            raise
        except FileFormatError as error:
            faults.append(error)
            continue
        for fault in faults:
            warnings.warn(f"{fault}; going on from {path.name} instead", UserWarning, stacklevel=4)
        return found
    if faults:
        raise faults[0]
    return None


@contextmanager
def alone(folder: Path | None) -> Iterator[None]:
    """Within, no other training writes into the folder, which is made; it is removed if nothing came into it."""
    if folder is None:
        yield
        return
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(folder):
            files.sweep(folder, PATTERN)
            yield
    finally:
        with suppress(OSError):
            for path in made:
                path.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise HyperparameterError(f"{folder} is in use: another training writes its checkpoints there") from None
    except OSError:  # not every file system can
        pass
    try:
        yield
    finally:
        os.close(descriptor)


class Keeper:
    """Keeps where a training stands, in memory after every slice and on disk now and then."""

    def __init__(self, folder: Path, every: float, epochs: int, settings: Mapping[str, Any], data: str, seed: int):
        self.folder, self.every = folder, every
        self.fixed = {"settings": dict(settings), "data": data, "seed": seed, "epochs": epochs}
        files.as_text(folder, self.fixed, files.CHECKPOINT)  # what no file could hold is said before, not after an hour
        self.last: tuple[NDArray[Any], Standing, History, int] | None = None
        self.written: Standing | None = None
        self.cost, self.at, self.failed = 0.0, time.perf_counter(), False

    def keep(self, run: Run, standing: Standing) -> None:
        """Remember this standing, and write it if it is time."""
        self.last = run.net.theta.copy(), standing, run.history, len(run.history.step_cost)  # at once: ^C may come
        passed = time.perf_counter() - self.at
        rested = passed >= SPARING * self.cost and (standing.batch == 0 or passed >= self.every)
        if rested or self.every == 0:
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
            self._prune(standing.step)
        except OSError as error:
            if not self.failed:
                warnings.warn(
                    f"the checkpoint {path} cannot be written ({error.strerror or error}); training goes on, and it is "
                    "tried again", UserWarning, stacklevel=3,
                )  # fmt: skip
            self.failed = True
        self.at = time.perf_counter()
        self.cost = self.at - began

    def _prune(self, step: int) -> None:
        """Keep the one just written and the one before; those of more updates were damaged, and passed over."""
        before = [count for count, _ in _checkpoints(self.folder) if count < step]
        for count, path in _checkpoints(self.folder):
            if count != step and count != max(before, default=step):
                path.unlink(missing_ok=True)


def _checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """The checkpoints of a folder by their number of updates, fewest first; other files are not ours."""
    found = [(re.fullmatch(r"checkpoint-(\d{12,})\.safetensors", path.name), path) for path in folder.glob(PATTERN)]
    return sorted((int(name[1]), path) for name, path in found if name and path.is_file())


def _versions() -> tuple[str, str]:
    return metadata.version("deltarule"), np.__version__


def _write(
    path: Path, theta: NDArray[Any], s: Standing, history: History, costs: int, fixed: Mapping[str, Any]
) -> None:
    version, numpy = _versions()
    content = {"version": version, "numpy": numpy, **fixed, "best_epoch": s.best.epoch, "stopped": s.stopped}
    content |= {name: getattr(s, name) for name in _COUNTS} | {name: _text(getattr(s, name)) for name in _NUMBERS}
    content["scheduled"] = {name: _text(value) for name, value in s.scheduled.items()}
    content["columns"] = list(history.columns)
    arrays = {"theta": theta, "best.theta": s.best.theta}
    arrays |= {f"state.{name}": a for name, a in s.state.items()}
    arrays |= {f"best.state.{name}": a for name, a in (s.best.state or {}).items()}
    arrays |= {} if s.carried is None else {"carried": s.carried}
    arrays |= {f"history.{name}": a for name, a in history.arrays(s.epoch, costs).items()}
    files.write(path, arrays, content, files.CHECKPOINT)


def _text(value: float) -> float | str:
    """JSON has no name for what is not finite."""
    return float(value) if isfinite(value) else repr(float(value))


def _read(path: Path) -> Checkpoint:
    arrays, found = files.read(path, files.CHECKPOINT)
    meta = files.fields(f"{path}: metadata", found, _FIELDS)
    try:
        standing, history = _standing(meta, arrays)
        draw_seed(meta["seed"])
        number("epochs", meta["epochs"], least=1, most=_MOST, integral=True)
    except (ValueError, TypeError, OverflowError, KeyError) as error:
        raise FileFormatError(f"{path}: {error}") from None
    history.seed = meta["seed"]
    return Checkpoint(
        path, arrays["theta"], standing, history, meta["seed"], meta["settings"], meta["data"], meta["epochs"],
        (meta["version"], meta["numpy"]),
    )  # fmt: skip


def _standing(meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> tuple[Standing, History]:
    """The standing and the history, each number and array held against its own limits."""
    values = {name: number(name, meta[name], least=0, most=_MOST, integral=True) for name in _COUNTS}
    values |= {name: float(meta[name]) for name in _NUMBERS}
    number("factor", values["factor"], above=0, most=1)
    number("seconds", values["seconds"], least=0)
    scheduled = {str(name): float(value) for name, value in meta["scheduled"].items()}
    best_epoch = number("best_epoch", meta["best_epoch"], least=0, most=values["epoch"], integral=True)
    parts: dict[str, State] = {"state.": {}, "best.state.": {}, "history.": {}}
    for name, a in arrays.items():
        for prefix, part in parts.items():
            if name.startswith(prefix):
                part[name.removeprefix(prefix)] = a
    carried = arrays.get("carried")
    singles = 2 + (carried is not None)
    if not {"theta", "best.theta"} <= arrays.keys() or singles + sum(map(len, parts.values())) != len(arrays):
        raise ValueError(f"its arrays are {', '.join(arrays):.200}")
    for a in (arrays["theta"], arrays["best.theta"]):
        if a.dtype.kind != "f" or a.ndim != 1 or not np.isfinite(a).all():
            raise ValueError("θ is no vector of finite numbers")
    history = History.from_arrays(parts["history."], list(map(str, meta["columns"])), values["epoch"])
    best = Best(best_epoch, arrays["best.theta"], parts["best.state."] or None)
    history.best_epoch, history.best_theta = best_epoch, best.theta if best_epoch else None
    if carried is not None and not np.isfinite(carried).all():
        raise ValueError("the state of the sequences is not finite")
    return Standing(parts["state."], scheduled, best, stopped=meta["stopped"], carried=carried, **values), history
