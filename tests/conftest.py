"""Fixtures for all Python tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest_plugins = ["pytester"]

#: Plugins that are here for the tests of getting on with them, and do something unasked: shuffle,
#: rerun, warn of what a project has not configured.
_UNASKED = ("asyncio", "anyio", "flaky", "randomly", "rerunfailures")
#: Plugins that are here for our own tests. To import them takes two seconds of each inner run.
_SLOW = ("hypothesispytest", "pytest-lsp")


def pytest_configure(config: pytest.Config) -> None:
    """Tell of our marker."""
    config.addinivalue_line(
        "markers",
        "any_python: the Python that the test runs with makes no difference to what it shows."
        " `make test-pythons` leaves it out.",
    )


def _keep_out(patch: pytest.MonkeyPatch) -> None:
    """Keep those plugins out of the pytest runs that tests start."""
    # What inner runs would tell GitHub is not of this run.
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        patch.delenv(name, raising=False)
    patch.setenv("PYTEST_ADDOPTS", " ".join(f"-p no:{name}" for name in (*_UNASKED, *_SLOW)))


@pytest.fixture(scope="session", autouse=True)
def _quiet_runs_of_fixtures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        _keep_out(patch)
        yield


@pytest.fixture(autouse=True)
def _quiet_runs_of_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "pytester" in request.fixturenames:
        request.getfixturevalue("pytester")  # first: it clears the variable
    _keep_out(monkeypatch)
