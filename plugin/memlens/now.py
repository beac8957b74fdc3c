"""Telling whoever started pytest which test is running, by a file that the environment names.

The language server does that; without it nothing here is imported.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

#: The environment variable that names the file. It must exist.
NOW = "MEMLENS_NOW"


class CurrentTest:
    """Writes the id of each test that begins: a line each, a JSON string."""

    def __init__(self, file: int) -> None:
        """Write to the file descriptor *file*."""
        self._file = file
        self._pid = os.getpid()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tell of a test; pytest-xdist's controller is told of those of its workers."""
        if os.getpid() == self._pid:
            with suppress(OSError):  # nobody wants to know any more
                os.write(self._file, json.dumps(nodeid).encode() + b"\n")

    def pytest_unconfigure(self) -> None:
        """Close the file."""
        os.close(self._file)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to tell, if the environment says where."""
    # Taken away: pytest runs that a test starts are not what is asked about.
    path = os.environ.pop(NOW, None)
    if path is None or hasattr(config, "workerinput"):
        return
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        return
    config.pluginmanager.register(CurrentTest(file), "memlens-now")
