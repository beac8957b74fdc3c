"""What a capture says, read from memray's file."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from memray import AllocationRecord, FileReader

from memlens.recording.opening import open_aggregated, open_capture
from memlens.recording.replay import Held, Window, replay
from memlens.stacks import Frame, Stacks, StackSum

#: Bytes that CPython takes from the system at once for small objects (`ARENA_SIZE` in its
#: pycore_obmalloc.h, the same since 3.10).
_ARENA = 1024 * 1024
#: Frames of one stack that are read. Deeper ones (runaway recursion) are cut at the outer end.
_DEEPEST_STACK = 512


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
        sizes = window.sizes
        #: Sum of all allocations, and their number; None if they were not counted.
        self.allocated = None if sizes is None else sum(s * n for s, n in sizes.items())
        self.allocations = None if sizes is None else sum(sizes.values())

    @property
    def histogram(self) -> tuple[int, ...]:
        """Number of allocations by size.

        The first is of 0 B and 1 B, the next of 2 to 3 B, then of 4 to 7 B, and so on to the
        largest there was. Empty if they were not counted.
        """
        counts: Counter[int] = Counter()
        for size, count in (self._window.sizes or {}).items():
            counts[max(size.bit_length() - 1, 0)] += count
        return tuple(counts[power] for power in range(max(counts, default=-1) + 1))

    @property
    def peak_but_an_arena(self) -> int:
        """The peak without one arena for small objects, if any may have been taken.

        Many small objects take several. A single one says little: whoever makes the object that no
        longer fits takes it, for all that come later too.
        """
        sizes = self._window.sizes or {}
        return self.peak - _ARENA if _ARENA in sizes else self.peak

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
    with _opened(path, open_capture) as reader:
        frames = FrameReader(reader.metadata.main_thread_id, native, native_peaks, outermost_file)
        with _blaming_memray(), _without_garbage_collection():
            records = iter(reader.get_allocation_records())
            measurements = {
                number: Measurement(window, frames) for number, window in replay(records)
            }
        yield measurements


@contextmanager
def read_aggregated_capture(
    path: Path, *, native: bool, native_peaks: bool, outermost_file: str
) -> Iterator[dict[int, Measurement]]:
    """Give what the whole capture at *path* took, as number 0, like `read_capture`.

    Raises:
        CaptureError: memray cannot read the file.
    """
    with _opened(path, open_aggregated) as reader:
        frames = FrameReader(reader.metadata.main_thread_id, native, native_peaks, outermost_file)
        with _blaming_memray():
            peak = reader.get_high_watermark_allocation_records(merge_threads=False)
            at_peak = _held(peak, outermost_file)
            at_end = _held(
                reader.get_leaked_allocation_records(merge_threads=False), outermost_file
            )
        window = Window(
            sum(each.size for each in at_peak),
            sum(each.size for each in at_end),
            None,
            at_peak,
            at_end,
        )
        yield {0: Measurement(window, frames)}


@contextmanager
def _opened(path: Path, opening: Callable[[Path], FileReader]) -> Iterator[FileReader]:
    with _blaming_memray():
        reader = opening(path)
    with reader:
        yield reader


@contextmanager
def _blaming_memray() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever memray makes of a damaged file
        raise CaptureError(f"memray's capture cannot be read: {error}") from error


def _held(records: Iterable[AllocationRecord], but_by: str) -> list[Held]:
    """Return what is held, but not by code of the file *but_by*, which called the body."""
    return [
        Held(record.size, record.n_allocations, record)
        for record in records
        if [file for _, file, _ in record.stack_trace(max_stacks=1)] != [but_by]
    ]


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


class FrameReader(NamedTuple):
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
