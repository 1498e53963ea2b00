"""What scikit-learn's own tests take from their conftest."""

from __future__ import annotations

import pytest


@pytest.fixture
def global_random_seed() -> int:
    return 42
