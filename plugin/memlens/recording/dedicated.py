"""One tracker for one body: the exact and dear way to measure."""

from __future__ import annotations

import gc
import inspect
import mmap
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from memray import FileDestination, FileFormat, Tracker

from memlens.recording.measurement import END_MARK_SIZE, Measurement, read_capture
from memlens.recording.survivors import without_the_runners

P = ParamSpec("P")
T = TypeVar("T")


class CaptureError(Exception):
    """The body could not be measured. It was run all the same."""


class DedicatedCapture:
    """Measures the call of one body.

    memray has one tracker a process: while a body is being measured, nothing else can be.
    """

    def __init__(
        self,
        path: Path,
        *,
        native: bool = False,
        python_allocators: bool = False,
        objects: bool = False,
        keep: bool = False,
    ):
        """Measure into the file *path*, which is overwritten, and deleted after reading.

        *native* records native frames too, *python_allocators* each block that Python's own
        allocators hand out instead of the arenas they take from the system, *objects* which Python
        objects outlive the body (CPython 3.13.3 and newer). *keep* leaves the file there.
        """
        self._path = path
        self._native = native
        self._python_allocators = python_allocators
        self._objects = objects
        self._keep = keep
        self._fault: Exception | None = None
        # Tests fork, and what the child does must not end the parent's measurement.
        self._pid = os.getpid()
        #: Unmapped as the last thing that is measured. See `END_MARK_SIZE`.
        self._end_mark: mmap.mmap | None = None
        #: The objects that were made during the body and outlived it; see `measurement`.
        self._survivors: Sequence[object] = ()
        self.survivors: Sequence[object] = ()

    def call(self, body: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``body(*args, **kwargs)``, measured.

        What the body raises is raised. If there can be no tracker, the body runs without one and
        `measurement` says why.
        """
        tracker = self._start()
        try:
            return body(*args, **kwargs)
        finally:
            self._stop(tracker)

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
            self._stop(tracker)

    def _start(self) -> Tracker | None:
        try:
            tracker = Tracker(
                destination=FileDestination(self._path, overwrite=True, compress_on_exit=False),
                native_traces=self._native,
                trace_python_allocators=self._python_allocators,
                file_format=FileFormat.ALL_ALLOCATIONS,
                # Older releases of memray do not know it.
                **({"track_object_lifetimes": True} if self._objects else {}),
            )
            self._end_mark = mmap.mmap(-1, END_MARK_SIZE)
            # Only here does memray refuse to be the second tracker of the process.
            tracker.__enter__()
        except Exception as error:  # noqa: BLE001 - whatever memray says, the test must run
            self._fault = error
            return None
        except BaseException:  # from a signal (a timeout, Ctrl-C), once memray has begun
            tracker.__exit__(None, None, None)
            raise
        return tracker

    def _stop(self, tracker: Tracker | None) -> None:
        if tracker is None or os.getpid() != self._pid:
            return  # memray stops by itself in a forked child
        try:
            if self._objects:
                # What only a cycle or an interpreter's cache still holds is no leak of the test's.
                gc.collect()
                if sys.version_info >= (3, 13):
                    sys._clear_internal_caches()  # noqa: SLF001 - no other way
            if self._end_mark is not None:
                self._end_mark.close()
        finally:  # a signal may raise anywhere, and the next test needs its own tracker
            tracker.__exit__(None, None, None)
        if self._objects:
            # This call itself was made while objects were watched.
            here = inspect.currentframe()
            survivors = tracker.get_surviving_objects()
            self._survivors = [survivor for survivor in survivors if survivor is not here]

    def measurement(self) -> Measurement:
        """Return what the call took, and have `survivors` the objects that it left alive, if asked.

        Raises:
            CaptureError: there was no tracker, or its file cannot be read or is not complete.
        """
        if os.getpid() != self._pid:
            raise CaptureError("it came back from a process that it had forked")
        if self._fault is not None:
            raise CaptureError(f"memray could not start: {self._fault}") from self._fault
        try:
            if self._survivors:
                self.survivors = without_the_runners(self._survivors, self._path)
                self._survivors = ()
            return read_capture(self._path, native=self._native, outermost_file=__file__)
        except Exception as error:  # whatever memray makes of a damaged file
            raise CaptureError(f"memray's capture cannot be read: {error}") from error
        finally:
            if not self._keep:
                self._path.unlink(missing_ok=True)
