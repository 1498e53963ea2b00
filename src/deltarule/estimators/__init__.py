"""scikit-learn's face: its own MLPClassifier and MLPRegressor, computed by deltarule.

Constructor, validation, labels and attributes are scikit-learn's; the network, its gradient and the descent are ours.
"""

from deltarule.estimators.classifier import MLPClassifier
from deltarule.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
