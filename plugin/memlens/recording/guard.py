"""Keeping captures from filling the disk, whatever a test does."""

from __future__ import annotations

import _thread
import shutil
from contextlib import suppress
from os import getpid  # so, since tests replace os.getpid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memlens.recording.capture import Capture

#: Bytes that a capture may have: some 80 million allocations and deallocations, which take minutes
#: to read. And the share of what is free where it is written, if that is less.
LARGEST = 256 * 1024 * 1024
_SHARE_OF_FREE = 0.25
#: Seconds between looks at it. memray writes some 10 MiB meanwhile at most.
_INTERVAL = 0.2


class Guard:
    """Stops a capture that gets too large while a test is being run.

    A thread, since nothing else of ours runs then, and one that `threading` does not know of, since
    tests count threads. (memray has one of that kind, too.)
    """

    def __init__(self) -> None:
        """Begin to watch nothing."""
        self._watched: Capture | None = None
        #: Released to wake the thread for its end.
        self._end: _thread.LockType | None = None
        self._pid = getpid()

    def watch(self, capture: Capture | None) -> None:
        """Watch *capture*, which is about to be started, and no other. None: watch nothing."""
        if capture is not None and (self._end is None or self._pid != getpid()):
            self._pid = getpid()
            self._end = _thread.allocate_lock()
            self._end.acquire()
            with suppress(RuntimeError):  # no more threads to be had: then nobody watches
                _thread.start_new_thread(self._run, (self._end,))
        self._watched = capture

    def close(self) -> None:
        """End the thread."""
        self._watched = None
        if self._end is not None and self._pid == getpid():
            self._end.release()
        self._end = None

    def _run(self, end: _thread.LockType) -> None:
        while not end.acquire(timeout=_INTERVAL):
            capture = self._watched
            if capture is not None and capture.size > _largest(capture.path):
                capture.give_up()


def _largest(capture: Path) -> float:
    try:
        return min(LARGEST, _SHARE_OF_FREE * shutil.disk_usage(capture).free)
    except OSError:
        return LARGEST
