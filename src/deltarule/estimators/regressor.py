"""scikit-learn's `MLPRegressor` on deltarule's engine."""

from __future__ import annotations

import sklearn.neural_network

from deltarule.estimators.base import NativeMLP

__all__ = ["MLPRegressor"]


class MLPRegressor(NativeMLP, sklearn.neural_network.MLPRegressor):  # type: ignore[misc]
    """scikit-learn's regressor, with its constructor, attributes and semantics."""
