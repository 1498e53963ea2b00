"""What all tests share: the named list of skips, and where real data lie."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

ALLOWED_SKIPS = ("DELTARULE_DATA is not set",)
"""Reasons for which a test may be skipped; with DELTARULE_STRICT=1 any other skip fails the run, as does this one."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("DELTARULE_STRICT") == "1" and terminalreporter.stats.get("skipped"):
        terminalreporter.section("skips are not allowed here (DELTARULE_STRICT=1)")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    strict = os.environ.get("DELTARULE_STRICT") == "1"
    unknown = [s for s in skipped if strict or not any(reason in str(s.longrepr) for reason in ALLOWED_SKIPS)]
    if unknown and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


hypothesis.settings.register_profile("no clock", deadline=None)  # no test asserts a time
hypothesis.settings.load_profile("no clock")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data, from $DELTARULE_DATA."""
    if "DELTARULE_DATA" not in os.environ:
        pytest.skip("DELTARULE_DATA is not set")
    return Path(os.environ["DELTARULE_DATA"])
