"""What pytest loads: flags, ini keys, markers, and the decision whether anything is to be measured.

Only then is the rest imported (`hooks`): a plugin that is installed but not asked costs nothing.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from _pytest.doctest import DoctestItem

from memlens import coexistence
from memlens import settings as options
from memlens.descriptions import DESCRIPTIONS
from memlens.settings import Settings

_NOTHING_MEASURED = (
    "memlens: nothing is measured and no limit enforced, since memray does not run on Windows"
)
#: An environment variable: set, and not to "0", it keeps us out of a run, for a debugger or another
#: profiler.
_DISABLE = "MEMLENS_DISABLE"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare our flags and ini keys."""
    coexistence.take_over(parser, pluginmanager)
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declare our markers, and wait for tests that are to be measured."""
    for description in DESCRIPTIONS.values():
        config.addinivalue_line("markers", description)
    settings = Settings.from_config(config)
    waiting = (
        Disabled() if os.environ.get(_DISABLE, "0") not in ("", "0") else Waiting(config, settings)
    )
    config.pluginmanager.register(waiting, "memlens-waiting")


class Disabled:
    """What happens where the user wants nothing to be measured."""

    def pytest_report_header(self) -> str:
        """Say that nothing is measured, and why."""
        return f"memlens: nothing is measured and no limit enforced, since {_DISABLE} is set"


class Waiting:
    """What happens until it is known whether anything is measured."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings

    def pytest_report_header(self) -> list[str]:
        """Say that tests are being measured and where results go, and who measures."""
        lines = list(coexistence.header_lines(self._config.pluginmanager))
        if self._settings.measures_unmarked and not options.MEMRAY_RUNS_HERE:
            lines.append(_NOTHING_MEASURED)
        elif self._settings.measure_all:
            where = options.results_name(self._config)
            lines.append(f"memlens: measuring every test with memray, results in {where}")
        return lines

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> str | None:
        """Say that limits are not enforced where memray does not run."""
        if options.MEMRAY_RUNS_HERE or self._settings.measures_unmarked:  # the header has said it
            return None
        return _NOTHING_MEASURED if any(map(_is_marked, items)) else None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Hook in if there is a test to measure, or a marker to refuse."""
        settings = self._settings
        if settings.measures_unmarked or settings.reports or any(map(_is_marked, session.items)):
            from memlens.hooks import install

            install(self._config, self._settings, len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hook in where pytest-xdist's workers measure, and tell them what they have to know."""
        from memlens.hooks import WORKER_INPUT, install

        node.workerinput[WORKER_INPUT] = install(self._config, self._settings, None)


def _is_marked(item: pytest.Item) -> bool:
    if any(marker.name in DESCRIPTIONS for marker in item.iter_markers()):
        return True
    if not isinstance(item, DoctestItem):
        return False
    from memlens.limits import closest_marker

    return any(closest_marker(item, name) for name in DESCRIPTIONS)
