"""Replaying a capture: from the stream of what was allocated and freed to what each window took.

Pure: knows memray's records by their attributes only. See `marks` for what makes a window.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from memray import AllocatorType

from memlens.recording.marks import HasStack, window_marked_by

# As numbers: an enumeration's members take three times as long to compare.
_FREE = int(AllocatorType.FREE)
_PYMALLOC_FREE = int(AllocatorType.PYMALLOC_FREE)
_MMAP = int(AllocatorType.MMAP)
_MUNMAP = int(AllocatorType.MUNMAP)

#: How many allocations may be alive at once in a window: they are remembered by their addresses,
#: in some 150 bytes each.
MOST_ALIVE = 20_000_000


class TooMuchAliveError(Exception):
    """More was alive at once than can be remembered."""


class Record(HasStack, Protocol):
    """memray's `AllocationRecord`: one allocation or deallocation. Sizes are bytes."""

    @property
    def tid(self) -> int:
        """The thread, as the capture numbers them."""

    @property
    def address(self) -> int:
        """Where it is."""

    @property
    def size(self) -> int:
        """How large; of no meaning for deallocations other than munmap."""

    @property
    def allocator(self) -> int:
        """Which function was called, an `AllocatorType`."""

    @property
    def stack_id(self) -> int:
        """The call stack, as the capture numbers them."""

    @property
    def native_stack_id(self) -> int:
        """The native call stack; 0 where there is none."""


class Location:
    """What one call stack of one thread holds at a moment."""

    __slots__ = ("at_peak", "bytes", "count", "count_at_peak", "epoch", "record")

    def __init__(self, record: Record) -> None:
        """*record* is one of this stack's allocations."""
        self.record = record
        self.bytes = 0
        self.count = 0
        # What it held at the peak, if it has changed since: only if `epoch` is the peak's.
        self.at_peak = 0
        self.count_at_peak = 0
        self.epoch = -1

    def take_back(self, size: int, count: int, epoch: int) -> None:
        """Note that *size* bytes and *count* allocations are gone since the peak *epoch*."""
        if self.epoch != epoch:
            self.at_peak = self.bytes
            self.count_at_peak = self.count
            self.epoch = epoch
        self.bytes -= size
        self.count -= count


class Held(NamedTuple):
    """What one call stack of one thread held."""

    #: Bytes, and the number of allocations that make them up.
    size: int
    allocations: int
    #: One of these allocations, which knows its stack and thread.
    record: Record


@dataclass(eq=False, repr=False)
class Window:
    """What was allocated in one window of a capture, and only that. Sizes are bytes."""

    #: The most that was alive at once.
    peak: int = 0
    #: Allocated in the window and still alive at its end.
    alive: int = 0
    #: Number of allocations by size; None if they were not counted.
    sizes: dict[int, int] | None = field(default_factory=dict)
    #: What was alive at the peak and at the end, by call stack and thread.
    at_peak: list[Held] = field(default_factory=list)
    at_end: list[Held] = field(default_factory=list)


def replay(records: Iterable[Record], *, only: int | None = None) -> Iterator[tuple[int, Window]]:
    """Yield each window that is whole, with its number, in their order, or *only* that one.

    What was allocated before a window and is freed in it does not count, nor does what happens
    outside of windows. A window whose end is missing is left out: the stream was cut short, or
    another one began.

    Raises:
        TooMuchAliveError: in one window.
    """
    stream = iter(records)
    mark = _next_mark(stream, 0)
    while mark is not None:
        window = Window()
        is_wanted = only is None or mark.window == only
        following = (
            _replay_window(stream, window, mark) if is_wanted else _skip_window(stream, mark)
        )
        if following is mark:
            if is_wanted:
                yield mark.window, window
            mark = _next_mark(stream, mark.window + 1)
        else:
            mark = following


class _Mark(NamedTuple):
    window: int
    address: int


def _mark(record: Record, expected: int) -> _Mark | None:
    window = window_marked_by(record.size, record, expected)
    return _Mark(window, record.address) if window is not None else None


def _next_mark(stream: Iterator[Record], expected: int) -> _Mark | None:
    for record in stream:
        if record.allocator == _MMAP and (mark := _mark(record, expected)) is not None:
            return mark
    return None


def _skip_window(stream: Iterator[Record], mark: _Mark) -> _Mark | None:
    """Go on in *stream* as `_replay_window` does."""
    for record in stream:
        allocator = record.allocator
        if allocator == _MUNMAP and record.address == mark.address:
            return mark
        if allocator == _MMAP and (following := _mark(record, mark.window + 1)) is not None:
            return following
    return None


# One function, since this is called for each of perhaps millions of records.
def _replay_window(  # noqa: PLR0912, PLR0915
    stream: Iterator[Record], window: Window, mark: _Mark
) -> _Mark | None:
    """Fill *window*, which *mark* began, from *stream*.

    Return *mark* if it ended, else the mark of the window that began instead, if one did.
    """
    # By address: size and place. Of mappings, which may be undone in parts, only in `mapped`.
    alive: dict[int, tuple[int, Location]] = {}
    mapped = _Mappings()
    locations: dict[tuple[int, int, int], Location] = {}
    sizes: dict[int, int] = {}
    current = peak = epoch = 0
    following: _Mark | None = None
    forget = alive.pop
    find = locations.get
    for record in stream:
        allocator = record.allocator
        if allocator == _FREE or allocator == _PYMALLOC_FREE:  # noqa: PLR1714, SIM109 - quicker so
            known = forget(record.address, None)
            if known is not None:
                size, location = known
                if location.epoch != epoch:
                    location.at_peak = location.bytes
                    location.count_at_peak = location.count
                    location.epoch = epoch
                location.bytes -= size
                location.count -= 1
                current -= size
            continue
        size = record.size
        address = record.address
        if allocator == _MUNMAP:
            if address == mark.address:
                following = mark
                break
            for part, location, is_all in mapped.remove(address, size):
                location.take_back(part, int(is_all), epoch)
                current -= part
            continue
        if allocator == _MMAP:
            following = _mark(record, mark.window + 1)
            if following is not None:
                break
        elif address in alive:  # freed behind memray's back: it cannot be there twice
            lost, location = forget(address)
            location.take_back(lost, 1, epoch)
            current -= lost
        key = (record.tid, record.stack_id, record.native_stack_id)
        found = find(key)
        if found is None:
            found = locations[key] = Location(record)
        sizes[size] = sizes.get(size, 0) + 1
        current += size
        if current >= peak:
            # Whatever was noted for the last peak is void by this.
            peak = current
            epoch += 1
        elif found.epoch != epoch:
            found.at_peak = found.bytes
            found.count_at_peak = found.count
            found.epoch = epoch
        found.bytes += size
        found.count += 1
        if allocator == _MMAP:
            mapped.add(address, size, found)
        else:
            alive[address] = (size, found)
            if len(alive) > MOST_ALIVE:
                raise TooMuchAliveError(f"more than {MOST_ALIVE:,} allocations were alive at once")
    window.peak = peak
    window.alive = current
    window.sizes = sizes
    for location in locations.values():
        if location.epoch == epoch:
            at_peak, count = location.at_peak, location.count_at_peak
        else:
            at_peak, count = location.bytes, location.count
        if count:
            window.at_peak.append(Held(at_peak, count, location.record))
        if location.count:
            window.at_end.append(Held(location.bytes, location.count, location.record))
    return following


class _Mapping:
    """One mapping, of which parts may be gone."""

    __slots__ = ("left", "location")

    def __init__(self, size: int, location: Location) -> None:
        self.left = size
        self.location = location


class _Mappings:
    """Mapped ranges of addresses, which can be unmapped in parts."""

    def __init__(self) -> None:
        #: First addresses, in order, of ranges that do not overlap.
        self._starts: list[int] = []
        #: By first address: the one after the last, and of which mapping it is.
        self._ranges: dict[int, tuple[int, _Mapping]] = {}
        #: Ranges that were mapped over others, which is rare.
        self._over: list[tuple[int, int, _Mapping]] = []

    def add(self, address: int, size: int, location: Location) -> None:
        """Add a mapping."""
        self._insert(address, address + size, _Mapping(size, location))

    def remove(self, address: int, size: int) -> list[tuple[int, Location, bool]]:
        """Take this range out.

        Return the size of each part that was mapped, who mapped it, and whether nothing is left of
        that mapping.
        """
        end = address + size
        hit = [each for each in self._over if each[0] < end and address < each[1]]
        for each in hit:
            self._over.remove(each)
        # Of those that begin before only the last can reach into it.
        index = bisect_right(self._starts, address) - 1
        if index < 0 or self._ranges[self._starts[index]][0] <= address:
            index += 1
        after = bisect_left(self._starts, end, index)
        for first in self._starts[index:after]:
            hit.append((first, *self._ranges.pop(first)))
        del self._starts[index:after]
        removed = []
        for first, last, mapping in hit:
            if first < address:
                self._insert(first, address, mapping)
            if end < last:
                self._insert(end, last, mapping)
            part = min(last, end) - max(first, address)
            mapping.left -= part
            removed.append((part, mapping.location, mapping.left == 0))
        return removed

    def _insert(self, first: int, last: int, mapping: _Mapping) -> None:
        starts = self._starts
        index = bisect_left(starts, first)
        if (index and self._ranges[starts[index - 1]][0] > first) or (
            index < len(starts) and starts[index] < last
        ):
            self._over.append((first, last, mapping))
        else:
            starts.insert(index, first)
            self._ranges[first] = (last, mapping)
