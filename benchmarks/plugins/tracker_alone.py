"""A pytest plugin that records the whole run with memray, as memlens does, and reads nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from memray import FileDestination, FileFormat, Tracker


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> object:
    """Record."""
    with tempfile.TemporaryDirectory() as folder:
        destination = FileDestination(Path(folder) / "all.bin", compress_on_exit=False)
        with Tracker(destination=destination, file_format=FileFormat.ALL_ALLOCATIONS):
            return (yield)
