"""Inputs that may be tokens: whole numbers, each standing for the unit vector with its 1 at that place.

W x_t = column x_t of W          ∂C/∂W = Σ δ_t x_tᵀ: δ_t is added to column x_t
"""

from __future__ import annotations

from deltarule.arrays import Array, namespace

__all__ = ["are_tokens", "net_input", "outer_sum"]


def are_tokens(a: Array) -> bool:
    """Whether an input holds tokens `(m, T)`."""
    return bool(namespace(a).isdtype(a.dtype, "integral"))


def net_input(W: Array, a: Array) -> Array:
    """W x for every row, or step of every row: `(…, n)` or tokens `(…)` → `(…, n_out)`."""
    if not are_tokens(a):
        return a @ W.T
    xp = namespace(W)
    columns = xp.take(W.T, xp.reshape(a, (-1,)), axis=0)
    return xp.reshape(columns, (*a.shape, W.shape[0]))


def outer_sum(delta: Array, a: Array, n: int) -> Array:
    """Σ δ xᵀ over rows and steps, `(n_out, n)`; tokens are taken one step at a time."""
    xp = namespace(delta)
    if not are_tokens(a):
        rows = xp.reshape(delta, (-1, delta.shape[-1]))
        return rows.T @ xp.reshape(a, (rows.shape[0], -1))
    total = xp.zeros((delta.shape[-1], n), dtype=delta.dtype)
    places, a = xp.arange(n, dtype=xp.int64), xp.astype(a, xp.int64)
    for t in range(a.shape[1]):
        total = total + delta[:, t, :].T @ xp.astype(xp.expand_dims(a[:, t], axis=-1) == places, delta.dtype)
    return total
