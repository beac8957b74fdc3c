"""Fixtures for all Python tests."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

#: Plugins that are here for the tests of getting on with them, and do something unasked: shuffle,
#: rerun, warn of what a project has not configured.
_UNASKED = ("asyncio", "anyio", "flaky", "randomly", "rerunfailures")
#: Plugins that are here for our own tests. To import them takes two seconds of each inner run.
_SLOW = ("hypothesispytest", "pytest-lsp")


@pytest.fixture(autouse=True)
def _quiet_inner_runs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep those plugins out of the pytest runs that tests start."""
    if "pytester" in request.fixturenames:
        request.getfixturevalue("pytester")  # first: it clears the variable
    # What inner runs would tell GitHub is not of this run.
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(f"-p no:{name}" for name in (*_UNASKED, *_SLOW)))
