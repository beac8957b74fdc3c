"""What a capture says, read from memray's file."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memray import FileReader

from memlens.recording.replay import Held, Window, replay
from memlens.stacks import Frame, Stacks, StackSum

#: Frames of one stack that are read. Deeper ones (runaway recursion) are cut at the outer end.
_DEEPEST_STACK = 512
#: Bytes.
_TRIMMED_AT_ONCE = 64 * 1024


class CaptureError(Exception):
    """Something could not be measured. It was run all the same."""


class Measurement:
    """What one window took. Sizes are bytes."""

    def __init__(self, window: Window, frames: FrameReader) -> None:
        """Take what the replay found, and what reads the frames of its stacks."""
        self._window = window
        self._frames = frames
        #: The most that was alive at once.
        self.peak = window.peak
        #: Allocated in the window and still alive at its end.
        self.alive = window.alive
        #: Sum of all allocations, and their number.
        self.allocated = sum(size * count for size, count in window.sizes.items())
        self.allocations = sum(window.sizes.values())

    @property
    def histogram(self) -> tuple[int, ...]:
        """Number of allocations by size.

        The first is of 0 B and 1 B, the next of 2 to 3 B, then of 4 to 7 B, and so on to the
        largest there was.
        """
        counts: Counter[int] = Counter()
        for size, count in self._window.sizes.items():
            counts[max(size.bit_length() - 1, 0)] += count
        return tuple(counts[power] for power in range(max(counts, default=-1) + 1))

    @property
    def peak_stacks(self) -> Stacks:
        """What was alive at the peak, by call stack and whether the test's own thread made it.

        To be looked into only while the capture is open, like `alive_stacks`.
        """
        return self._frames.stacks(self._window.at_peak, native=self._frames.native_peaks)

    @property
    def alive_stacks(self) -> Stacks:
        """What was alive at the end, likewise."""
        return self._frames.stacks(self._window.at_end, native=self._frames.native)


@contextmanager
def read_capture(
    path: Path, *, native: bool, native_peaks: bool, outermost_file: str
) -> Iterator[dict[int, Measurement]]:
    """Give what each whole window in the capture at *path* took, by its number.

    Stacks end before the first frame of *outermost_file*, whose code called the measured body.
    With *native*, they have native frames among the Python ones; those at the peak only with
    *native_peaks* too, since looking up the names of native frames takes time and much memory.

    Raises:
        CaptureError: memray cannot read the file, or it is too large to be replayed.
    """
    try:
        _trim(path)
        reader = FileReader(path)
    except Exception as error:  # whatever memray makes of a damaged file
        raise CaptureError(f"memray's capture cannot be read: {error}") from error
    with reader:
        try:
            own = reader.metadata.main_thread_id
            frames = FrameReader(own, native, native_peaks, outermost_file)
            with _without_garbage_collection():
                measurements = {
                    number: Measurement(window, frames)
                    for number, window in replay(_records(reader))
                }
        except Exception as error:
            raise CaptureError(f"memray's capture cannot be read: {error}") from error
        yield measurements


def _trim(path: Path) -> None:
    """Cut the zeros off the end of the file, up to which memray has reserved space.

    memray's reader looks for the last byte that is not zero too, but one by one, with two system
    calls for each, whenever it opens the file: for most captures that takes longer than all the
    rest.
    """
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _TRIMMED_AT_ONCE)
            file.seek(start)
            data = file.read(end - start).rstrip(b"\0")
            end = start + len(data)
            if data:
                break
        file.truncate(end)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Keep what is done here, which makes many objects and no cycles, from setting it off."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _records(reader: FileReader) -> Iterator[Any]:
    return iter(reader.get_allocation_records())


@dataclass(frozen=True)
class FrameReader:
    """Reads the frames of records."""

    #: The thread that ran the test.
    own: int
    native: bool
    native_peaks: bool
    outermost_file: str

    def stacks(self, held: Sequence[Held], *, native: bool) -> Stacks:
        """Return what was *held* with its stacks, none of which is read yet."""
        return Stacks(
            StackSum(
                each.size,
                each.allocations,
                (each.record.stack_id, each.record.native_stack_id if native else 0),
                each.record.tid == self.own,
                lambda record=each.record: self._frames(record, native),  # type: ignore[misc]
            )
            for each in held
        )

    def _frames(self, record: Any, native: bool) -> tuple[Frame, ...]:
        python = record.stack_trace(max_stacks=_DEEPEST_STACK)
        merged = record.hybrid_stack_trace(max_stacks=_DEEPEST_STACK) if native else python
        frames = []
        remaining = iter(python)
        next_python = next(remaining, None)
        for element in merged:
            function, filename, line = element
            # memray merges the Python frames into the native ones in their order.
            is_python = element == next_python
            if is_python:
                next_python = next(remaining, None)
                if filename == self.outermost_file:
                    break
            frames.append(Frame(function, filename, line, native=not is_python))
        return tuple(frames)
