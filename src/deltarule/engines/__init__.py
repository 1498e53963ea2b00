"""The engines, and the one function that chooses between them."""

from types import ModuleType

from deltarule.engines import textbook
from deltarule.errors import HyperparameterError

__all__ = ["choose", "textbook"]


def choose(engine: str) -> ModuleType:
    """The engine of that name; "auto" takes the fastest one that can run the network.

    >>> choose("auto").__name__
    'deltarule.engines.textbook'
    """
    if engine not in ("auto", "textbook"):
        raise HyperparameterError(f"engine is 'auto' or 'textbook', not {engine!r}")
    return textbook
