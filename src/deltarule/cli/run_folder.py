"""A run folder: what was asked and resolved (run.toml), the model, and the history.

runs/digits-1/run.toml            the command, before data are read; all that it was resolved to; the result
runs/digits-1/model.safetensors   the network with its preprocessing
runs/digits-1/history.jsonl       one line an epoch, as they come
runs/digits-1/checkpoint-*        what is needed to go on (see training/checkpoint.py)
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomli_w

from deltarule.errors import DataError, FileFormatError
from deltarule.files import leftovers, sweep, write_bytes
from deltarule.loading import load
from deltarule.network import Network

__all__ = ["RunFolder", "open_model"]

FORMAT = 1
FIELDS: dict[str, Any] = {  # what commands read of run.toml; it holds more
    "data": {"name": str, "source": {}, "rows": int, "fingerprint": str, "task": str, "training_rows": int,
             "held_out": {"rows": int}},
    "training": {},
}  # fmt: skip


class RunFolder:
    """The files of one run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.made: list[Path] = []  # folders that were not there before, the inmost first
        self.model = self.path / "model.safetensors"
        self.history = self.path / "history.jsonl"
        self.toml = self.path / "run.toml"

    def __str__(self) -> str:
        return str(self.path)

    @classmethod
    def create(cls, path: str | Path | None, data_name: str) -> RunFolder:
        """A new folder: the given one, or the next runs/<data>-<n>."""
        try:
            if path is None:
                runs = Path("runs")
                new = [] if runs.exists() else [runs]
                made = cls(_next(runs, data_name))
                made.made = [made.path, *new]
                return made
            folder = Path(path)
            new = [p for p in (folder, *folder.parents) if not p.exists()]
            toml = cls(folder).toml
            left = leftovers(folder, toml.name)  # by a run that was killed at once
            if folder.exists() and (not folder.is_dir() or set(folder.iterdir()) - set(left)):
                resume = f"go on with it by --resume {folder}, " if toml.is_file() else ""
                raise DataError(f"{folder} is there already and not empty; {resume}or name another --output")
            sweep(folder, toml.name)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"the run folder cannot be made: {error}") from None
        made = cls(folder)
        made.made = new
        return made

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run."""
        folder = cls(path)
        if not folder.toml.is_file():
            raise FileFormatError(f"{path}: not a run folder (it has no run.toml), and not a model file")
        return folder

    def write(self, content: Mapping[str, Any]) -> None:
        """Write run.toml, whole or not at all."""
        write_bytes(self.toml, tomli_w.dumps({"format": FORMAT, **_without_none(content)}).encode())

    def remove(self) -> None:
        """Take back a folder in which nothing happened."""
        with suppress(OSError):
            self.toml.unlink(missing_ok=True)
            for folder in self.made:
                folder.rmdir()

    def sweep(self) -> None:
        """Remove what a killed writer left half-written."""
        for name in (self.toml.name, self.model.name, self.history.name):
            sweep(self.path, name)

    def command(self, options: Collection[str]) -> dict[str, Any]:
        """The options of the command that made this run, those of the given names."""
        found = self._toml().get("command")
        if not isinstance(found, dict) or not isinstance(found.get("data"), str):
            raise FileFormatError(f"{self.toml}: does not say by which command it was made, so it cannot go on")
        wrong = [name for name, value in found.items() if name not in options or isinstance(value, dict | list)]
        if wrong:
            raise FileFormatError(f"{self.toml}, command: '{wrong[0]}' is no option of deltarule train")
        return found

    def fingerprint(self) -> str | None:
        """Of the data, where they were read."""
        data = self._toml().get("data")
        return None if not isinstance(data, dict) else str(data.get("fingerprint"))

    def read(self) -> dict[str, Any]:
        """What run.toml says."""
        found = self._toml()
        _check(str(self.toml), found, FIELDS)
        if not found["data"]["held_out"].get("own_test_split", False):
            drawn = {"fraction": float} if found["data"]["task"] == "text" else {"fraction": float, "seed": int}
            _check(f"{self.toml}, data, held_out", found["data"]["held_out"], drawn)
        if "result" in found:
            _check_result(f"{self.toml}, result", found["result"])
        return found

    def _toml(self) -> dict[str, Any]:
        try:
            found = tomllib.loads(self.toml.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise FileFormatError(f"{self.toml}: not readable ({error})") from None
        version = found.get("format")
        if type(version) is not int or version > FORMAT:
            raise FileFormatError(f"{self.toml}: format {version!r} is not one that this deltarule reads ({FORMAT})")
        return found


def _next(parent: Path, name: str) -> Path:
    number = 1
    while True:
        folder = parent / f"{name}-{number}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def _check(where: str, found: Any, wanted: Mapping[str, Any]) -> None:
    """Hold a table of run.toml against the fields that must be there."""
    if not isinstance(found, dict):
        raise FileFormatError(f"{where}: expected a table")
    for name, kind in wanted.items():
        if name not in found:
            raise FileFormatError(f"{where}: '{name}' is missing")
        if isinstance(kind, Mapping):
            _check(f"{where}, {name}", found[name], kind)
        elif type(found[name]) is not kind:
            raise FileFormatError(f"{where}: '{name}' must be {kind.__name__}, not {type(found[name]).__name__}")


def _check_result(where: str, result: Any) -> None:
    """How a run ended, and its scores where it was scored."""
    scored = isinstance(result, dict) and ("train" in result or "held_out" in result)
    _check(where, result, {"stopped": str} | ({"train": {}, "held_out": {}} if scored else {}))
    for part in ("train", "held_out") if scored else ():
        for name, score in result[part].items():
            if type(score) not in (int, float):
                raise FileFormatError(f"{where}, {part}: '{name}' must be a number")


def _without_none(value: Any) -> Any:
    """TOML has no null: what is None is left out."""
    if isinstance(value, Mapping):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list | tuple) else value


def open_model(path: str) -> tuple[Network, RunFolder | None]:
    """(The network, its run folder) of a run folder or of a model file alone."""
    if Path(path).is_file():
        return load(path), None
    folder = RunFolder.open(path)
    return load(folder.model), folder
