"""The network of an estimator, drawn for its HTML representation."""

from __future__ import annotations

from typing import Any

import numpy as np

from deltarule.drawing import Column, svg
from deltarule.estimators.networks import hidden_sizes, per_layer

__all__ = ["drawing"]


def drawing(mlp: Any) -> str:
    """Before a fit the inputs and outputs are open; nothing where the parameters make no network."""
    try:
        columns = _columns(mlp)
    except (ValueError, TypeError, AttributeError):
        return ""
    size = sum(np.size(a) for a in (*mlp.coefs_, *mlp.intercepts_)) if hasattr(mlp, "coefs_") else 0
    note = f'<div style="font-size:0.8em">{size:,} parameters</div>' if size else ""
    hidden = ", ".join(str(c.units) for c in columns[1:-1]) or "none"
    picture = svg(columns, f"{type(mlp).__name__}, hidden units: {hidden}")
    return f'<div style="margin:0.5em 0">{picture}{note}</div>'


def _columns(mlp: Any) -> list[Column]:
    fitted = hasattr(mlp, "coefs_")
    hidden = [np.shape(c)[1] for c in mlp.coefs_[:-1]] if fitted else [int(n) for n in hidden_sizes(mlp)]
    rates, names = per_layer(mlp, "dropout", len(hidden)), per_layer(mlp, "activation", len(hidden))
    first, last = (np.shape(mlp.coefs_[0])[0], np.shape(mlp.coefs_[-1])[1]) if fitted else (None, None)
    columns = [Column(first, [_text(first), "inputs"])]
    for n, f, rate in zip(hidden, names, rates):
        columns.append(Column(n, [str(n), str(f), *[f"dropout {rate}"] * bool(np.greater(rate, 0))]))
    output = mlp.out_activation_ if fitted else mlp.output_activation
    return [*columns, Column(last, [_text(last), str(output or "outputs")])]


def _text(units: int | None) -> str:
    return "?" if units is None else str(units)
