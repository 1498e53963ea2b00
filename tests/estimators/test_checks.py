"""scikit-learn's checks of estimators: no failure is expected, and no tag dodges a check."""

from __future__ import annotations

import subprocess
import sys
from typing import Any
from unittest import SkipTest

import pytest
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from deltarule import MLPClassifier, MLPRegressor

ELSEWHERE = "SCIPY_ARRAY_API is not set"  # SciPy reads it when it is imported: those checks have a process of their own


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)])
def test_estimator_checks(estimator: Any, check: Any) -> None:
    """A check that says it does not apply must say the same of scikit-learn's own network."""
    try:
        check(estimator)
    except SkipTest as reason:
        if ELSEWHERE not in str(reason):
            theirs = TheirClassifier(max_iter=100) if isinstance(estimator, MLPClassifier) else TheirRegressor()
            with pytest.raises(SkipTest, match=str(reason)):
                check(theirs)


def test_checks_of_array_libraries() -> None:
    code = f"""
import os
os.environ["SCIPY_ARRAY_API"] = "1"
import sys
sys.path.insert(0, {__file__.rpartition("/")[0]!r})
import test_checks
print(test_checks.of_array_libraries())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.strip() == "2", done.stderr


def of_array_libraries() -> int:
    """How many of the checks that want $SCIPY_ARRAY_API pass."""
    found = 0
    for mlp in (MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)):
        for estimator, check in estimator_checks_generator(mlp):
            if "array_api" in str(getattr(check, "func", check)):
                check(estimator)
                found += 1
    return found


def test_tags_are_scikit_learns_own() -> None:
    for ours, theirs in ((MLPClassifier(), TheirClassifier()), (MLPRegressor(), TheirRegressor())):
        assert ours.__sklearn_tags__() == theirs.__sklearn_tags__()
