"""The array libraries under which one and the same code is held to give the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

LIBRARIES = [
    "array_api_strict",
    pytest.param("torch", marks=pytest.mark.peers),
    pytest.param("jax", marks=pytest.mark.peers),
]


def run(library: str, f: Callable[..., Any], *arrays: NDArray[Any]) -> NDArray[Any]:
    """f of the arrays, computed in `library` (JAX: traced by `jit`), as a NumPy array of the type that came out."""
    if library == "torch":
        torch = pytest.importorskip("torch")
        return f(*map(torch.from_numpy, arrays)).resolve_conj().resolve_neg().numpy()
    if library == "jax":
        jax = pytest.importorskip("jax")
        jax.config.update("jax_enable_x64", True)
        return np.asarray(jax.jit(f)(*arrays))
    import array_api_strict as xp

    result = f(*map(xp.asarray, arrays))
    assert type(result) is type(xp.asarray(arrays[0]))
    return np.from_dlpack(result)
