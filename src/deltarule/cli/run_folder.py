"""A run folder: what was asked and resolved (run.toml), the model, and the history.

runs/digits-1/run.toml            written before training, and once more with the result
runs/digits-1/model.safetensors   the network with its preprocessing
runs/digits-1/history.jsonl       one line an epoch, as they come
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from deltarule.errors import DataError, FileFormatError
from deltarule.files import write_bytes
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
                return cls(_next(Path("runs"), data_name))
            folder = Path(path)
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise DataError(f"{folder} is there already and not empty; name another --output, or remove it")
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"the run folder cannot be made: {error}") from None
        return cls(folder)

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

    def read(self) -> dict[str, Any]:
        """What run.toml says."""
        try:
            found = tomllib.loads(self.toml.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise FileFormatError(f"{self.toml}: not readable ({error})") from None
        version = found.get("format")
        if type(version) is not int or version > FORMAT:
            raise FileFormatError(f"{self.toml}: format {version!r} is not one that this deltarule reads ({FORMAT})")
        _check(str(self.toml), found, FIELDS)
        if not found["data"]["held_out"].get("own_test_split", False):
            _check(f"{self.toml}, data, held_out", found["data"]["held_out"], {"fraction": float, "seed": int})
        if "result" in found:
            _check_result(f"{self.toml}, result", found["result"])
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
