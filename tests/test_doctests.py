"""Every example in a docstring runs and gives what it says."""

import doctest
import importlib
import pkgutil

import pytest

import deltarule

MODULES = ["deltarule", *sorted(m.name for m in pkgutil.walk_packages(deltarule.__path__, "deltarule."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name), extraglobs={"np": __import__("numpy")})
    assert failed == 0


def test_there_are_examples():
    found = sum(
        len(t.examples) for name in MODULES for t in doctest.DocTestFinder().find(importlib.import_module(name))
    )
    assert found > 60
