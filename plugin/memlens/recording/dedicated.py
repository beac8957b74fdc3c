"""One tracker for one body: the exact and dear way to measure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from memray import FileDestination, FileFormat, Tracker

from memlens.recording.measurement import Measurement, read_capture

P = ParamSpec("P")
T = TypeVar("T")


class CaptureError(Exception):
    """The body could not be measured. It was run all the same."""


class DedicatedCapture:
    """Measures the call of one body.

    memray has one tracker a process: while a body is being measured, nothing else can be.
    """

    def __init__(self, path: Path, *, native: bool = False, python_allocators: bool = False):
        """Measure into the file *path*, which is overwritten and deleted after reading.

        *native* records native frames too, *python_allocators* each object that Python's own
        allocator hands out instead of the arenas it takes from the system.
        """
        self._path = path
        self._native = native
        self._python_allocators = python_allocators
        self._fault: Exception | None = None

    def call(self, body: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``body(*args, **kwargs)``, measured.

        What the body raises is raised. If there can be no tracker, the body runs without one and
        `measurement` says why.
        """
        tracker = self._start()
        try:
            return body(*args, **kwargs)
        finally:
            if tracker is not None:
                tracker.__exit__(None, None, None)

    async def call_async(
        self, body: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return ``await body(*args, **kwargs)``, measured like `call` does.

        Whatever else the event loop runs meanwhile is measured with it.
        """
        tracker = self._start()
        try:
            return await body(*args, **kwargs)
        finally:
            if tracker is not None:
                tracker.__exit__(None, None, None)

    def _start(self) -> Tracker | None:
        try:
            tracker = Tracker(
                destination=FileDestination(self._path, overwrite=True, compress_on_exit=False),
                native_traces=self._native,
                trace_python_allocators=self._python_allocators,
                file_format=FileFormat.ALL_ALLOCATIONS,
            )
            # Only here does memray refuse to be the second tracker of the process.
            tracker.__enter__()
        except Exception as error:  # noqa: BLE001 - whatever memray says, the test must run
            self._fault = error
            return None
        return tracker

    def measurement(self) -> Measurement:
        """Return what the call took.

        Raises:
            CaptureError: there was no tracker, or its file cannot be read.
        """
        if self._fault is not None:
            raise CaptureError(f"memray could not start: {self._fault}") from self._fault
        try:
            return read_capture(self._path, native=self._native, outermost_file=__file__)
        except OSError as error:
            raise CaptureError(f"memray's capture {self._path} cannot be read: {error}") from error
        finally:
            self._path.unlink(missing_ok=True)
