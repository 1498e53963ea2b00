"""Real data for the tests that need it."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def real_data() -> Path:
    if "DELTARULE_DATA" not in os.environ:
        pytest.skip("DELTARULE_DATA is not set")
    return Path(os.environ["DELTARULE_DATA"])
