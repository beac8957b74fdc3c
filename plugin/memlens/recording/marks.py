"""Marks in a capture: where the window of a phase of a test begins and ends.

A mark is an allocation that nothing else makes: an anonymous mapping of a telling size, made by a
function of a telling name. The window begins when it is made and ends when it is undone, which
allocates nothing. It costs address space while the window lasts, and no memory.
"""

from __future__ import annotations

from mmap import MAP_ANONYMOUS, MAP_PRIVATE, PAGESIZE, mmap  # so, since tests replace mmap.mmap
from typing import Protocol

#: What the smallest mark maps, in bytes: an odd number of pages. None is a whole number of MiB, and
#: whatever else tests map by themselves, it is hardly this and a bit.
_BASE = 1027 * PAGESIZE
#: Python's default, to share a mapping with forked processes, takes the system three times as long.
_PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS
#: How many windows a capture can have: their numbers are in their marks' sizes.
MOST_WINDOWS = 900_000
#: How many marks in a row may have failed.
_MISSING = 64
#: The name of `memlens_window_mark`, as memray records it.
_FUNCTION = "memlens_window_mark"


class HasStack(Protocol):
    """What of memray's `AllocationRecord` tells a mark from a test's own mapping."""

    def stack_trace(self, max_stacks: int | None = None) -> list[tuple[str, str, int]]:
        """Return function, file and line of each frame, the most recent first."""


def memlens_window_mark(window: int) -> mmap:
    """Begin a window in the capture that is being written; closing what this returns ends it.

    Raises:
        OSError: there is no address space left.
    """
    return mmap(-1, _BASE + window, _PRIVATE)


def window_marked_by(size: int, record: HasStack, expected: int) -> int | None:
    """Return which window mapping *size* bytes began, or None for a mapping of the program's.

    *record* is memray's of that mapping, *expected* the number of the window that comes next.
    """
    number = size - _BASE
    if not 0 <= number < MOST_WINDOWS:
        return None
    frames = record.stack_trace(max_stacks=1)
    if frames:
        return number if frames[0][0] == _FUNCTION else None
    # memray knows no frames where a test has taken its way to follow calls from it, and none of
    # compiled libraries' threads.
    return number if expected <= number < expected + _MISSING else None
