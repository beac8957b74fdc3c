"""What a capture says, read from memray's file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from memray import AllocationRecord, AllocatorType, FileReader

from memlens.stacks import Frame, MeasuredStack

#: Frames of one stack that are read. Deeper ones (runaway recursion) are cut at the outer end.
_DEEPEST_STACK = 512

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
    #: What was alive at the peak, by call stack, the largest first.
    peak_stacks: tuple[MeasuredStack, ...]
    #: What was alive after the body, by call stack, the largest first.
    alive_stacks: tuple[MeasuredStack, ...]


def read_capture(path: Path, *, native: bool, outermost_file: str) -> Measurement:
    """Return what the finished capture at *path* says.

    Stacks end before the first frame of *outermost_file*, whose code called the measured body.
    With *native*, they have native frames among the Python ones.

    Raises:
        OSError: memray cannot read the file.
    """
    allocated = allocations = 0
    with FileReader(path) as reader:
        # One pass for the totals: memray's aggregated records no longer know what was freed.
        for record in reader.get_allocation_records():
            if record.allocator not in _DEALLOCATORS:
                allocated += record.size
                allocations += 1
        peak_stacks = _by_stack(
            reader.get_high_watermark_allocation_records(merge_threads=True),
            native=native,
            outermost_file=outermost_file,
        )
        alive_stacks = _by_stack(
            reader.get_leaked_allocation_records(merge_threads=True),
            native=native,
            outermost_file=outermost_file,
        )
    return Measurement(
        peak=sum(stack.size for stack in peak_stacks),
        allocated=allocated,
        allocations=allocations,
        alive=sum(stack.size for stack in alive_stacks),
        peak_stacks=peak_stacks,
        alive_stacks=alive_stacks,
    )


def _by_stack(
    records: Iterable[AllocationRecord], *, native: bool, outermost_file: str
) -> tuple[MeasuredStack, ...]:
    sums: dict[tuple[Frame, ...], tuple[int, int]] = {}
    for record in records:
        frames = _frames(record, native=native, outermost_file=outermost_file)
        size, allocations = sums.get(frames, (0, 0))
        sums[frames] = (size + record.size, allocations + record.n_allocations)
    stacks = [MeasuredStack(size, count, frames) for frames, (size, count) in sums.items()]
    return tuple(sorted(stacks, key=lambda stack: stack.size, reverse=True))


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
