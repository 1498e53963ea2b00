"""scikit-learn's `MLPClassifier` on deltarule's engine."""

from __future__ import annotations

import sklearn.neural_network

from deltarule.estimators.base import NativeMLP

__all__ = ["MLPClassifier"]


class MLPClassifier(NativeMLP, sklearn.neural_network.MLPClassifier):  # type: ignore[misc]
    """scikit-learn's classifier, with its constructor, attributes and semantics.

    >>> clf = MLPClassifier(hidden_layer_sizes=8, solver="lbfgs", random_state=1).fit([[0, 0], [1, 1]], [0, 1])
    >>> clf.predict([[2, 2], [-1, -2]]).tolist()
    [1, 0]
    """
