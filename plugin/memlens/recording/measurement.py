"""What a capture says, read from memray's file."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from memray import AllocationRecord, AllocatorType, FileReader

from memlens.stacks import Frame, MeasuredStack

#: Frames of one stack that are read. Deeper ones (runaway recursion) are cut at the outer end.
_DEEPEST_STACK = 512

#: Bytes of a mapping that is made before and undone at the very end of what is measured. memray
#: stops recording without a word to us when it cannot write (a full disk), and what it has written
#: by then reads like a whole capture; only that this undoing is missing tells. An odd number of
#: pages, so that tests do not happen to do the same. An undoing changes no peak and no sum.
END_MARK_SIZE = 1019 * mmap.PAGESIZE

_DEALLOCATORS = frozenset((AllocatorType.PYMALLOC_FREE, AllocatorType.FREE, AllocatorType.MUNMAP))


@dataclass(frozen=True)
class Measurement:
    """What one measured body took. Sizes are bytes."""

    #: The most that was alive at once.
    peak: int
    #: Sum of all allocations, and their number.
    allocated: int
    allocations: int
    #: Allocated in the body and still alive when it had returned.
    alive: int
    #: Number of allocations by size: the first of 0 B and 1 B, the next of 2 to 3 B, then of 4 to
    #: 7 B, and so on to the largest there was.
    histogram: tuple[int, ...]
    #: What was alive at the peak, by call stack and whether the test's own thread made it.
    peak_stacks: tuple[MeasuredStack, ...]
    #: What was alive after the body, likewise.
    alive_stacks: tuple[MeasuredStack, ...]


def read_capture(path: Path, *, native: bool, outermost_file: str) -> Measurement:
    """Return what the finished capture at *path* says.

    Stacks end before the first frame of *outermost_file*, whose code called the measured body.
    With *native*, they have native frames among the Python ones.

    Raises:
        OSError: memray cannot read the file, or could not write all of it.
    """
    sizes: Counter[int] = Counter()
    complete = False
    with FileReader(path) as reader:
        own = reader.metadata.main_thread_id
        # One pass for the totals: memray's aggregated records no longer know what was freed.
        for record in reader.get_allocation_records():
            if record.allocator not in _DEALLOCATORS:
                sizes[record.size] += 1
            elif record.size == END_MARK_SIZE and record.allocator == AllocatorType.MUNMAP:
                complete = True
        if not complete:
            raise OSError("memray stopped before the test ended; is the disk full?")
        # Threads apart: some limits count one thread only.
        peak_stacks = _by_stack(
            reader.get_high_watermark_allocation_records(merge_threads=False),
            own,
            native=native,
            outermost_file=outermost_file,
        )
        alive_stacks = _by_stack(
            reader.get_leaked_allocation_records(merge_threads=False),
            own,
            native=native,
            outermost_file=outermost_file,
        )
    return Measurement(
        peak=sum(stack.size for stack in peak_stacks),
        allocated=sum(size * count for size, count in sizes.items()),
        allocations=sizes.total(),
        alive=sum(stack.size for stack in alive_stacks),
        histogram=_histogram(sizes),
        peak_stacks=peak_stacks,
        alive_stacks=alive_stacks,
    )


def _histogram(sizes: Counter[int]) -> tuple[int, ...]:
    counts: Counter[int] = Counter()
    for size, count in sizes.items():
        counts[max(size.bit_length() - 1, 0)] += count
    return tuple(counts[power] for power in range(max(counts, default=-1) + 1))


def _by_stack(
    records: Iterable[AllocationRecord], own: int, *, native: bool, outermost_file: str
) -> tuple[MeasuredStack, ...]:
    sums: dict[tuple[tuple[Frame, ...], bool], tuple[int, int]] = {}
    for record in records:
        frames = _frames(record, native=native, outermost_file=outermost_file)
        key = (frames, record.tid == own)
        size, allocations = sums.get(key, (0, 0))
        sums[key] = (size + record.size, allocations + record.n_allocations)
    return tuple(
        MeasuredStack(size, count, frames, is_own)
        for (frames, is_own), (size, count) in sums.items()
    )


def _frames(record: AllocationRecord, *, native: bool, outermost_file: str) -> tuple[Frame, ...]:
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
            if filename == outermost_file:
                break
        frames.append(Frame(function, filename, line, native=not is_python))
    return tuple(frames)
