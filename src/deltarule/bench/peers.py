"""The peers: one table; a new one is a file and a line here."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec

from deltarule.bench.peer import Peer
from deltarule.bench.peer_deltarule import NATIVE, TEXTBOOK
from deltarule.bench.peer_jax import JAX
from deltarule.bench.peer_sgemm import SGEMM
from deltarule.bench.peer_sklearn import SKLEARN
from deltarule.bench.peer_torch import TORCH
from deltarule.bench.peer_torch_by_hand import TORCH_BY_HAND
from deltarule.errors import UnknownNameError

__all__ = ["PEERS", "YARDSTICK", "absent", "find", "installed", "versions"]

PEERS = (NATIVE, TEXTBOOK, TORCH, TORCH_BY_HAND, JAX, SKLEARN)
YARDSTICK = SGEMM
"""Measured in every round beside the peers, and no peer itself."""


def find(name: str) -> Peer:
    """The peer of that name.

    >>> find("torch").title
    'PyTorch autograd'
    """
    found = {peer.name: peer for peer in (*PEERS, YARDSTICK)}
    if name not in found:
        raise UnknownNameError(f"there is no peer '{name}' (peers: {', '.join(p.name for p in PEERS)})")
    return found[name]


def installed(package: str) -> bool:
    """Whether it could be imported; it is not."""
    return find_spec(package) is not None


def absent(peer: Peer) -> str | None:
    """What is missing and how to install it, or None."""
    missing = [package for package in peer.packages if not installed(package)]
    return f"{', '.join(missing)} is not installed: {peer.install}" if missing else None


def versions() -> dict[str, str]:
    """The installed versions of what is measured."""
    found = {}
    for name in ("deltarule", "numpy", "scipy", "scikit-learn", "torch", "jax", "jaxlib"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
