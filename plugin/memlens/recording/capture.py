"""Capturing: one of memray's trackers, and the windows in its stream that are measured."""

from __future__ import annotations

import _thread
import gc
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from mmap import mmap
from os import getpid  # so, since tests replace os.getpid
from pathlib import Path
from time import monotonic  # so, since tests replace time.monotonic
from typing import Any, NamedTuple, ParamSpec, TypeVar

from memray import FileDestination, FileFormat, Tracker

from memlens.recording.marks import MOST_WINDOWS, memlens_window_mark
from memlens.recording.measurement import (
    CaptureError,
    Measurement,
    read_aggregated_capture,
    read_capture,
)
from memlens.recording.survivors import without_the_runners

P = ParamSpec("P")
T = TypeVar("T")

#: Milliseconds between memray's notes of the process's size, which we do not read.
_MEMORY_INTERVAL = 10_000


class Followers(NamedTuple):
    """What is called for each call of a function, other than memray."""

    #: In the thread that runs tests; and what new threads will have called.
    own: Any = None
    of_threads: Any = None

    @classmethod
    def now(cls) -> Followers:
        """Return what is called now. memray's own in this thread is not seen: None."""
        return cls(sys.getprofile(), threading.getprofile())


class Capture:
    """What one tracker records into one file.

    memray has one tracker a process: while one is being written, there can be no other.
    """

    def __init__(
        self,
        path: Path,
        *,
        native: bool = False,
        native_peaks: bool = True,
        python_allocators: bool = False,
        objects: bool = False,
        aggregated: bool = False,
        keep: bool = False,
    ):
        """Capture into the file *path*, which is overwritten, and deleted after reading.

        *native* records native frames too; without *native_peaks* they are read only in stacks of
        what is alive at a window's end, since that takes long. *python_allocators* records each
        block that Python's own allocators hand out instead of the arenas they take from the system,
        *objects* which Python objects outlive the capture (CPython 3.13.3 and newer). *aggregated*
        is for one window and has memray add up while it records: reading takes no time however
        many allocations there are, but these are not counted. *keep* leaves the file there.
        """
        self.path = path
        self._native = native
        self._native_peaks = native and native_peaks
        self._python_allocators = python_allocators
        self._objects = objects
        self._aggregated = aggregated
        self._keep = keep
        #: None before the start and after the stop.
        self._tracker: Tracker | None = None
        # Tests fork, and what the child does must not end the parent's capture.
        self._pid = getpid()
        self._stopping = _thread.allocate_lock()
        #: It was given up because of its file's size.
        self.is_too_large = False
        #: Seconds that starting and stopping took.
        self.seconds = 0.0
        #: Why it never began.
        self._failure: CaptureError | None = None
        self._windows = 0
        #: That of the window that has begun and not ended.
        self._mark: mmap | None = None
        #: The window of the latest call; None if it could not be marked.
        self.called: int | None = None
        #: What memray has new threads call, and what threads called before.
        self._hook: Any = None
        #: What fixtures that last for several tests have set to follow calls.
        self.followers = Followers()
        #: The objects that were made in the capture and outlived it; see `reading`.
        self._survivors: Sequence[object] = ()
        self.survivors: Sequence[object] = ()

    @property
    def is_running(self) -> bool:
        """Whether this process is being recorded."""
        return self._tracker is not None and getpid() == self._pid

    @property
    def is_full(self) -> bool:
        """Whether there can be no more windows."""
        return self._windows >= MOST_WINDOWS

    @property
    def size(self) -> int:
        """Bytes that the file has now."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def start(self) -> None:
        """Begin to record; what is aggregated only at its window, so that there is nothing else.

        Raises:
            CaptureError: memray could not, or is recording already.
        """
        if not self._aggregated:
            self._start()

    def _start(self) -> None:
        began = monotonic()
        followers = Followers.now()
        try:
            tracker = Tracker(
                destination=FileDestination(self.path, overwrite=True, compress_on_exit=False),
                native_traces=self._native,
                trace_python_allocators=self._python_allocators,
                file_format=FileFormat.AGGREGATED_ALLOCATIONS
                if self._aggregated
                else FileFormat.ALL_ALLOCATIONS,
                memory_interval_ms=_MEMORY_INTERVAL,
                # Older releases of memray do not know it.
                **({"track_object_lifetimes": True} if self._objects else {}),
            )
            # Only here does memray refuse to be the second tracker of the process.
            tracker.__enter__()
        except Exception as error:
            raise CaptureError(f"memray could not start: {error}") from error
        except BaseException:  # from a signal (a timeout, Ctrl-C), once memray has begun
            tracker.__exit__(None, None, None)
            raise
        self._tracker = tracker
        self._hook = threading.getprofile()
        # memray has taken whatever was there away.
        if followers.own is not None and followers.own is self.followers.own:
            sys.setprofile(followers.own)
        if followers.of_threads is not None and followers.of_threads is self.followers.of_threads:
            threading.setprofile(followers.of_threads)
        if not self._objects:  # to which a number would be one more
            self.seconds += monotonic() - began

    def begin(self, *, anew: bool = False) -> int | None:
        """Begin a window and return its number, or None if it cannot be marked.

        memray follows calls by way of `sys.setprofile`, which may have been taken from it. It gets
        that back here, unless somebody uses it now; with *anew* from all but `followers`.
        """
        if not self.is_running:
            return None
        if self._aggregated:
            return 0  # the window is the whole capture
        now = Followers.now()
        if anew and (
            now.of_threads is None or now.of_threads not in (self._hook, self.followers.of_threads)
        ):
            threading.setprofile(self._hook)
        if self._hook is not None and (
            now.own is None or (anew and now.own is not self.followers.own)
        ):
            # What memray has each new thread do: look at the stack afresh, follow calls from here.
            self._hook(inspect.currentframe(), "call", None)
        number, self._windows = self._windows, self._windows + 1
        try:
            self._mark = memlens_window_mark(number)
        except (OSError, MemoryError):
            return None
        return number

    def _start_late(self) -> None:
        """Start what is aggregated: right before its only window."""
        try:
            self._start()
        except CaptureError as error:
            self._failure = error

    def end(self, window: int | None) -> None:
        """End the window that `begin` has begun."""
        mark, self._mark = self._mark, None
        if window is None or getpid() != self._pid:
            return
        if self._objects:
            # What only a cycle or an interpreter's cache still holds is no leak of the test's.
            gc.collect()
            if sys.version_info >= (3, 13):
                sys._clear_internal_caches()  # noqa: SLF001 - no other way
        if self._aggregated:
            self.stop()
        elif mark is not None:
            mark.close()
            # memray finds its way among native frames only below those whose calls it has followed.
            if (
                not self._native and sys.getprofile() is None
            ):  # neither the test's nor a fixture's, so it is memray's
                # Between windows nobody has to follow calls, which takes time.
                sys.setprofile(None)

    def call(self, body: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``body(*args, **kwargs)``, in a window of its own, `called`.

        Stacks of its allocations end below this frame.
        """
        if self._aggregated:
            self._start_late()
        return self._call(body, *args, **kwargs)

    # A function of its own: memray finds its way among native frames only below one whose call it
    # has seen.
    def _call(self, body: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        # Nothing may stand between the marks and the body: memray would record it too.
        self.called = window = self.begin()
        try:
            return body(*args, **kwargs)
        finally:
            self.end(window)

    async def call_async(
        self, body: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return ``await body(*args, **kwargs)``, like `call`.

        Whatever else the event loop runs meanwhile is measured with it.
        """
        if self._aggregated:
            self._start_late()
        return await self._call_async(body, *args, **kwargs)

    async def _call_async(
        self, body: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self.called = window = self.begin()
        try:
            return await body(*args, **kwargs)
        finally:
            self.end(window)

    def give_up(self) -> None:
        """Stop recording from another thread, since the file is too large. What it has counts."""
        with self._stopping:  # until it has stopped: `stop` waits for that
            tracker, self._tracker = self._tracker, None
            if tracker is not None:
                self.is_too_large = True
                tracker.__exit__(None, None, None)

    def stop(self) -> None:
        """Stop recording. Does nothing if there is nothing to stop."""
        if getpid() != self._pid:
            return  # memray stops by itself in a forked child
        with self._stopping:
            tracker, self._tracker = self._tracker, None
        if tracker is None:
            return
        # memray takes whatever is there away with its own.
        # Where objects are watched nothing may be made before the end of that.
        began = 0.0 if self._objects else monotonic()
        profiler, of_threads = sys.getprofile(), threading.getprofile()
        tracker.__exit__(None, None, None)
        if not self._objects:
            self.seconds += monotonic() - began
        if profiler is not None:
            sys.setprofile(profiler)
        if of_threads is not self._hook:
            threading.setprofile(of_threads)
        self._hook = None
        if self._objects:
            # Calls that are under way were made, or went on, while objects were watched.
            running = set()
            frame = inspect.currentframe()
            while frame is not None:
                running.add(id(frame))
                frame = frame.f_back
            survivors = tracker.get_surviving_objects()
            self._survivors = [each for each in survivors if id(each) not in running]

    @contextmanager
    def reading(self) -> Iterator[dict[int, Measurement]]:
        """Give what each whole window took, by its number, while the file is open.

        The file is deleted afterwards. If objects were watched, `survivors` has those that the
        windows left alive.

        Raises:
            CaptureError: the file cannot be read, it never began, or this is another process.
        """
        if self._failure is not None:
            raise self._failure
        if getpid() != self._pid:
            raise CaptureError("it came back from a process that it had forked")
        try:
            if self._survivors:
                self.survivors = without_the_runners(self._survivors, self.path)
                self._survivors = ()
            read = read_aggregated_capture if self._aggregated else read_capture
            with read(
                self.path,
                native=self._native,
                native_peaks=self._native_peaks,
                outermost_file=__file__,
            ) as measurements:
                yield measurements
        finally:
            self.delete()

    def delete(self) -> None:
        """Delete the file, unless it is to be kept."""
        if not self._keep and getpid() == self._pid:
            self.path.unlink(missing_ok=True)
