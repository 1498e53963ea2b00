"""scikit-learn's own tests of its networks, as its wheel ships them, with our classes in the place of theirs."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import sklearn.neural_network
from sklearn.neural_network.tests import test_mlp as theirs

from deltarule.estimators import MLPClassifier, MLPRegressor

with pytest.MonkeyPatch.context() as patch:  # decorators take the classes when the file is read
    patch.setattr(sklearn.neural_network, "MLPClassifier", MLPClassifier)
    patch.setattr(sklearn.neural_network, "MLPRegressor", MLPRegressor)
    spec = importlib.util.spec_from_file_location("deltarule_reads_test_mlp", theirs.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)

globals().update({name: value for name, value in vars(module).items() if name.startswith("test_")})


def test_the_classes_are_ours() -> None:
    assert module.MLPClassifier is MLPClassifier
    assert module.MLPRegressor is MLPRegressor
