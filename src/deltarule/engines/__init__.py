"""The engines, and the one function that chooses between them."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import NamedTuple

from deltarule.architecture import Architecture
from deltarule.engines import native, textbook
from deltarule.engines.contract import Outcome, Settings, Slice
from deltarule.errors import HyperparameterError
from deltarule.optimizers import Optimizer

__all__ = ["EngineInfo", "Outcome", "Settings", "Slice", "choose", "engine_info", "native", "textbook", "warn_if_slow"]

_ENGINES = {"native": native, "textbook": textbook}


def choose(engine: str, net: Architecture | None = None, optimizer: Optimizer | None = None) -> ModuleType:
    """The engine of that name; "auto" takes the native one where it can run the network, else the textbook's.

    >>> choose("textbook").__name__
    'deltarule.engines.textbook'
    """
    if engine == "auto":
        if not native.objection(net, optimizer):
            return native
        native.check_environment()
        return textbook
    if not isinstance(engine, str) or engine not in _ENGINES:
        raise HyperparameterError(f"engine is 'auto', 'native' or 'textbook', not {engine!r}")
    if reason := _ENGINES[engine].objection(net, optimizer):
        raise HyperparameterError(f"the native engine cannot run this: {reason}; engine='textbook' can")
    return _ENGINES[engine]


def warn_if_slow(engine: str) -> None:
    """Say aloud that "auto" means the textbook engine because the extension was not built."""
    if engine == "auto" and not native.installed():
        warnings.warn(
            f"training runs on the textbook engine, many times slower: {native.unavailable()}; then reinstall with "
            "pip install --force-reinstall --no-cache-dir. engine='textbook' says that this is as you want it",
            UserWarning, stacklevel=3,
        )  # fmt: skip


class EngineInfo(NamedTuple):
    """What "auto" chooses, and why: see `engine_info`."""

    engine: str  # "native" or "textbook"
    reason: str  # why it is not the native one; empty if it is
    isa: str  # the instruction set in use: avx512, avx2, neon; empty without the extension
    isas: tuple[str, ...]  # those this processor has kernels for
    threads: int  # the most that are used unless told otherwise
    compiler: str

    def __str__(self) -> str:
        if self.engine == "textbook":
            return f"engine: textbook, since {self.reason}"
        others = ", ".join(self.isas)
        return f"engine: native, {self.isa} (of {others}), up to {self.threads} threads, built by {self.compiler}"


def engine_info(net: Architecture | None = None) -> EngineInfo:
    """The engine that "auto" takes (for `net`, if it is given), and why.

    >>> engine_info().engine in ("native", "textbook")
    True
    """
    reason = native.objection(net)
    return EngineInfo("textbook" if reason else "native", reason, *native.build())
