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
        hidden = hidden_sizes(mlp)
        rates, names = per_layer(mlp, "dropout", len(hidden)), per_layer(mlp, "activation", len(hidden))
    except (ValueError, TypeError):
        return ""
    fitted = hasattr(mlp, "coefs_")
    columns = [Column(mlp.n_features_in_ if fitted else None, [str(mlp.n_features_in_) if fitted else "?", "inputs"])]
    for n, f, rate in zip(hidden, names, rates):
        columns.append(Column(n, [str(n), str(f), *[f"dropout {rate}"] * bool(np.greater(rate, 0))]))
    if fitted:
        columns.append(Column(mlp.n_outputs_, [str(mlp.n_outputs_), mlp.out_activation_]))
    else:
        columns.append(Column(None, ["?", mlp.output_activation or "outputs"]))
    size = sum(c.size for c in (*mlp.coefs_, *mlp.intercepts_)) if fitted else 0
    note = f'<div style="font-size:0.8em">{size:,} parameters</div>' if fitted else ""
    name = f"{type(mlp).__name__} with hidden layers of {', '.join(map(str, hidden)) or 'no'} units"
    return f'<div style="margin:0.5em 0">{svg(columns, name)}{note}</div>'
