"""From a stream of what was allocated and freed to what each window took.

On made-up streams, beside an implementation that is slow and plain; on memray's own files, beside
memray's own reader.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memray import AllocatorType, FileReader

from memlens.recording import replay as replaying
from memlens.recording.marks import MOST_WINDOWS, memlens_window_mark, window_marked_by
from memlens.recording.replay import Held, TooMuchAliveError, Window, replay
from memlens.stacks import Frame, MeasuredStack, Stacks, StackSum

from .arenas import ROOM

FREES = (AllocatorType.FREE, AllocatorType.PYMALLOC_FREE)
DEALLOCATORS = (*FREES, AllocatorType.MUNMAP)
#: Each of these allocates one block.
ALLOCATORS = tuple(
    allocator for allocator in AllocatorType if allocator not in (*DEALLOCATORS, AllocatorType.MMAP)
)
MARK_FUNCTION = memlens_window_mark.__name__
with memlens_window_mark(0) as _smallest:
    #: Bytes that the mark of window 0 maps.
    BASE = len(_smallest)
PAGE = 4096
#: Where marks, other mappings and blocks are.
MARK = 0x7000_0000
MAPPING = 0x1000_0000
BLOCK = 0x1000


@dataclass(frozen=True)
class Fake:
    """What `replay` knows of memray's `AllocationRecord`."""

    allocator: int
    address: int
    size: int = 0
    tid: int = 1
    stack_id: int = 1
    native_stack_id: int = 0
    #: The function that called the allocator; None where memray knows no frames.
    function: str | None = "body"

    def stack_trace(self, max_stacks: int | None = None) -> list[tuple[str, str, int]]:
        if self.allocator in DEALLOCATORS:
            raise NotImplementedError  # like memray's
        if self.function is None:
            return []
        return [(self.function, "it.py", 1), ("caller", "it.py", 2)][:max_stacks]


def malloc(address: int, size: int, tid: int = 1, stack: int = 1, native: int = 0) -> Fake:
    return Fake(AllocatorType.MALLOC, address, size, tid, stack, native)


def free(address: int) -> Fake:
    return Fake(AllocatorType.FREE, address)


def realloc(old: int, new: int, size: int, stack: int = 1) -> tuple[Fake, Fake]:
    return free(old), Fake(AllocatorType.REALLOC, new, size, stack_id=stack)


def mapped(address: int, size: int, tid: int = 1, stack: int = 1) -> Fake:
    return Fake(AllocatorType.MMAP, address, size, tid, stack)


def unmapped(address: int, size: int) -> Fake:
    return Fake(AllocatorType.MUNMAP, address, size)


def begin(number: int = 0, address: int = MARK) -> Fake:
    return Fake(AllocatorType.MMAP, address, BASE + number, function=MARK_FUNCTION)


def end(number: int = 0, address: int = MARK) -> Fake:
    return unmapped(address, BASE + number)


class Key(NamedTuple):
    tid: int
    stack: int
    native: int


#: Bytes and number of allocations, by stack and thread.
Holdings = dict[Key, tuple[int, int]]


class Said(NamedTuple):
    """A window, in a form that can be compared."""

    peak: int
    alive: int
    sizes: dict[int, int]
    at_peak: Holdings
    at_end: Holdings


def key_of(record: Any) -> Key:
    return Key(record.tid, record.stack_id, record.native_stack_id)


def holdings(held: Iterable[Held]) -> Holdings:
    said = [(key_of(each.record), (each.size, each.allocations)) for each in held]
    assert len(said) == len(dict(said)), "a stack of a thread is there twice"
    return dict(said)


def said(window: Window) -> Said:
    return Said(
        window.peak,
        window.alive,
        window.sizes or {},
        holdings(window.at_peak),
        holdings(window.at_end),
    )


def replayed(*records: Fake) -> list[tuple[int, Said]]:
    return [(number, said(window)) for number, window in replay(records)]


def window_of(*records: Fake) -> Said:
    """Return what a window with just these *records* took."""
    ((number, window),) = replayed(begin(7), *records, end(7))
    assert number == 7
    return window


# ---- one window


def test_a_window_without_allocations_took_nothing() -> None:
    assert window_of() == Said(0, 0, {}, {}, {})


def test_the_peak_is_the_most_that_was_alive_at_once() -> None:
    window = window_of(
        malloc(0x10, 100, stack=1),
        malloc(0x20, 50, stack=2),
        free(0x10),
        malloc(0x30, 60, stack=3),
        free(0x20),
    )
    assert window.peak == 150
    assert window.at_peak == {Key(1, 1, 0): (100, 1), Key(1, 2, 0): (50, 1)}
    assert window.alive == 60
    assert window.at_end == {Key(1, 3, 0): (60, 1)}
    assert window.sizes == {100: 1, 50: 1, 60: 1}


def test_of_equal_peaks_the_last_one_counts() -> None:
    window = window_of(
        malloc(0x10, 100, stack=1), free(0x10), malloc(0x20, 100, stack=2), free(0x20)
    )
    assert (window.peak, window.at_peak) == (100, {Key(1, 2, 0): (100, 1)})


def test_allocations_of_one_stack_are_summed_as_they_were_at_the_peak() -> None:
    window = window_of(
        malloc(0x10, 100),
        malloc(0x20, 100),
        malloc(0x30, 30),
        free(0x20),
        malloc(0x20, 20),
        free(0x30),
    )
    assert window.at_peak == {Key(1, 1, 0): (230, 3)}
    assert window.at_end == {Key(1, 1, 0): (120, 2)}
    assert window.sizes == {100: 2, 30: 1, 20: 1}


def test_an_allocation_of_no_bytes_is_one_all_the_same() -> None:
    window = window_of(malloc(0x10, 0))
    assert window == Said(0, 0, {0: 1}, {Key(1, 1, 0): (0, 1)}, {Key(1, 1, 0): (0, 1)})


@pytest.mark.parametrize("allocator", ALLOCATORS, ids=lambda each: each.name)
@pytest.mark.parametrize("deallocator", FREES, ids=lambda each: each.name)
def test_every_allocator_allocates_and_every_free_frees(
    allocator: AllocatorType, deallocator: AllocatorType
) -> None:
    window = window_of(Fake(allocator, 0x10, 100), Fake(deallocator, 0x10, 0), malloc(0x20, 40))
    assert (window.peak, window.alive) == (100, 40)


def test_what_was_there_before_the_window_is_not_its_when_freed() -> None:
    before = (malloc(0x10, 1000), mapped(MAPPING, 10 * PAGE))
    within = (malloc(0x20, 10), free(0x10), unmapped(MAPPING, 10 * PAGE), malloc(0x10, 5))
    ((_, window),) = replayed(*before, begin(), *within, end())
    assert (window.peak, window.alive, window.sizes) == (15, 15, {10: 1, 5: 1})


def test_reallocating_what_was_there_before_counts_as_allocating() -> None:
    ((_, window),) = replayed(malloc(0x10, 1000), begin(), *realloc(0x10, 0x20, 300), end())
    assert (window.peak, window.alive, window.sizes) == (300, 300, {300: 1})


@pytest.mark.parametrize("new", [0x10, 0x20], ids=["in place", "elsewhere"])
def test_a_reallocation_takes_the_place_of_its_block(new: int) -> None:
    window = window_of(
        malloc(0x10, 100, stack=1), *realloc(0x10, new, 300, stack=2), malloc(0x30, 10), free(new)
    )
    # memray says that the old block went first: the two are never there together.
    assert window.peak == 310
    assert window.at_peak == {Key(1, 2, 0): (300, 1), Key(1, 1, 0): (10, 1)}
    assert (window.alive, window.sizes) == (10, {100: 1, 300: 1, 10: 1})


def test_an_address_that_is_used_again_is_another_block() -> None:
    window = window_of(malloc(0x10, 100), free(0x10), malloc(0x10, 30, stack=2), free(0x10))
    assert (window.peak, window.alive, window.sizes) == (100, 0, {100: 1, 30: 1})


def test_a_block_where_one_is_already_takes_its_place() -> None:
    """Of some frees memray does not learn, but two blocks cannot be in one place."""
    window = window_of(
        malloc(0x10, 100, stack=1), malloc(0x20, 1), malloc(0x10, 70, stack=2), free(0x10)
    )
    assert (window.peak, window.alive) == (101, 1)
    assert window.at_peak == {Key(1, 1, 0): (101, 2)}
    assert window.at_end == {Key(1, 1, 0): (1, 1)}


def test_threads_and_native_stacks_are_told_apart() -> None:
    window = window_of(
        malloc(0x10, 1, tid=1),
        malloc(0x20, 2, tid=2),
        malloc(0x30, 4, tid=1, native=9),
        malloc(0x40, 8, tid=2),
    )
    assert window.at_peak == {Key(1, 1, 0): (1, 1), Key(2, 1, 0): (10, 2), Key(1, 1, 9): (4, 1)}
    assert window.at_end == window.at_peak


def test_what_one_thread_allocated_another_may_free() -> None:
    freed = Fake(AllocatorType.FREE, 0x10, tid=2)
    window = window_of(malloc(0x10, 100, tid=1), freed, malloc(0x20, 10, tid=2))
    assert (window.peak, window.at_peak) == (100, {Key(1, 1, 0): (100, 1)})
    assert window.at_end == {Key(2, 1, 0): (10, 1)}


def test_more_alive_at_once_than_can_be_remembered_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replaying, "MOST_ALIVE", 3)
    one_after_the_other = [(malloc(0x10 * n, 1), free(0x10 * n)) for n in range(10)]
    few = [malloc(0x10 * n, 1) for n in range(3)]
    assert window_of(*(each for pair in one_after_the_other for each in pair), *few).peak == 3
    with pytest.raises(TooMuchAliveError):
        window_of(*few, malloc(0x100, 1))


# ---- mappings


def test_a_mapping_is_one_allocation_until_nothing_is_left_of_it() -> None:
    key = Key(1, 1, 0)
    whole = mapped(MAPPING, 10 * PAGE)
    first = unmapped(MAPPING, 3 * PAGE)
    middle = unmapped(MAPPING + 5 * PAGE, 2 * PAGE)
    rest = (unmapped(MAPPING + 3 * PAGE, 2 * PAGE), unmapped(MAPPING + 7 * PAGE, 3 * PAGE))
    assert window_of(whole).at_end == {key: (10 * PAGE, 1)}
    assert window_of(whole, first).at_end == {key: (7 * PAGE, 1)}
    assert window_of(whole, first, middle).at_end == {key: (5 * PAGE, 1)}
    assert window_of(whole, first, middle, *rest).at_end == {}
    assert window_of(whole, first, middle, *rest).peak == 10 * PAGE


def test_unmapping_twice_is_unmapping_once() -> None:
    part = unmapped(MAPPING + PAGE, PAGE)
    assert window_of(mapped(MAPPING, 3 * PAGE), part, part).alive == 2 * PAGE


def test_unmapping_may_span_mappings_and_what_is_none() -> None:
    window = window_of(
        mapped(MAPPING, 4 * PAGE, stack=1),
        mapped(MAPPING + 6 * PAGE, 4 * PAGE, stack=2),
        mapped(MAPPING + 20 * PAGE, PAGE, stack=3),
        unmapped(MAPPING + 3 * PAGE, 5 * PAGE),
    )
    assert window.at_end == {
        Key(1, 1, 0): (3 * PAGE, 1),
        Key(1, 2, 0): (2 * PAGE, 1),
        Key(1, 3, 0): (PAGE, 1),
    }
    assert window.peak == 9 * PAGE


def test_what_is_mapped_in_a_hole_is_a_mapping_of_its_own() -> None:
    window = window_of(
        mapped(MAPPING, 4 * PAGE, stack=1),
        unmapped(MAPPING + PAGE, PAGE),
        mapped(MAPPING + PAGE, PAGE, stack=2),
        unmapped(MAPPING, 4 * PAGE),
        mapped(MAPPING, PAGE, stack=3),
    )
    assert (window.peak, window.at_end) == (4 * PAGE, {Key(1, 3, 0): (PAGE, 1)})
    assert window.at_peak == {Key(1, 1, 0): (3 * PAGE, 1), Key(1, 2, 0): (PAGE, 1)}


def test_blocks_and_mappings_are_not_mistaken_for_each_other() -> None:
    window = window_of(
        mapped(MAPPING, PAGE, stack=1),
        malloc(MAPPING, 100, stack=2),  # an allocator of the program's own
        free(MAPPING + 16),
        free(MAPPING),
        malloc(MAPPING + 32, 10, stack=2),
        unmapped(MAPPING, PAGE),
    )
    assert (window.peak, window.alive) == (PAGE + 100, 10)


# ---- where windows begin and end


def test_only_what_happens_in_windows_counts() -> None:
    records = [
        *(malloc(0x10, 1000), mapped(MAPPING, PAGE)),
        *(begin(0), malloc(0x20, 1), end(0)),
        *(malloc(0x30, 1000), free(0x20), malloc(0x20, 500)),
        *(begin(1), malloc(0x40, 2), free(0x20), end(1)),
        *(free(0x40), malloc(0x50, 1000)),
    ]
    assert [(number, window.peak, window.alive) for number, window in replayed(*records)] == [
        (0, 1, 1),
        (1, 2, 2),
    ]


def test_what_one_window_leaves_is_not_the_next_ones() -> None:
    records = [
        *(begin(0), malloc(0x10, 100), mapped(MAPPING, PAGE), end(0)),
        *(begin(1), free(0x10), unmapped(MAPPING, PAGE), malloc(0x10, 1), end(1)),
    ]
    (_, first), (_, second) = replayed(*records)
    assert (first.peak, first.alive) == (100 + PAGE, 100 + PAGE)
    assert (second.peak, second.alive) == (1, 1)


def test_windows_come_in_their_order_whatever_their_numbers() -> None:
    numbers = [5, 0, MOST_WINDOWS - 1, 3]
    records = [
        record
        for place, number in enumerate(numbers, 1)
        for record in (begin(number), malloc(0x10, place), end(number))
    ]
    found = replayed(*records)
    assert [(number, window.peak) for number, window in found] == [
        (number, place) for place, number in enumerate(numbers, 1)
    ]


def test_a_window_ends_with_its_own_mark_only() -> None:
    other = MARK + 10_000 * PAGE
    ((number, window),) = replayed(
        begin(2), malloc(0x10, 1), end(2, other), malloc(0x20, 2), end(2), malloc(0x30, 4)
    )
    assert (number, window.peak) == (2, 3)


@pytest.mark.parametrize("other", [MARK, MARK + 10_000 * PAGE], ids=["same place", "elsewhere"])
def test_a_window_that_begins_in_another_ends_that_for_nothing(other: int) -> None:
    records = [
        *(begin(0), malloc(0x10, 100)),
        *(begin(1, other), malloc(0x20, 1), free(0x10), end(1, other)),
        *(malloc(0x30, 50), end(0), malloc(0x40, 50)),
        *(begin(2), malloc(0x50, 2), end(2)),
    ]
    found = replayed(*records)
    assert [(number, window.peak, window.alive) for number, window in found] == [
        (1, 1, 1),
        (2, 2, 2),
    ]


def test_an_end_without_a_beginning_is_nothing() -> None:
    ((number, window),) = replayed(end(4), malloc(0x10, 1), begin(1), malloc(0x20, 2), end(1))
    assert (number, window.peak) == (1, 2)


def test_a_window_whose_end_is_missing_is_left_out() -> None:
    whole = (begin(0), malloc(0x10, 1), end(0))
    assert [number for number, _ in replayed(*whole, begin(1), malloc(0x20, 2))] == [0]
    assert replayed(begin(0)) == []
    assert replayed() == []


def test_a_window_is_known_as_soon_as_it_ends() -> None:
    """A capture of gigabytes must not be held in memory."""

    def stream() -> Iterable[Fake]:
        yield from (begin(0), malloc(0x10, 1), end(0))
        raise RuntimeError("read on")

    windows = replay(stream())
    number, window = next(windows)
    assert (number, window.peak) == (0, 1)
    with pytest.raises(RuntimeError):
        next(windows)


def test_a_programs_own_mapping_of_a_marks_size_is_no_mark() -> None:
    own = Fake(AllocatorType.MMAP, MAPPING, BASE + 1, function="body")
    ((number, window),) = replayed(
        own, begin(0), own, malloc(0x10, 1), unmapped(MAPPING, PAGE), end(0)
    )
    assert (number, window.peak, window.alive) == (0, BASE + 2, BASE + 2 - PAGE)
    assert window.sizes == {BASE + 1: 1, 1: 1}


@pytest.mark.parametrize("size", [PAGE, BASE - 1, BASE + MOST_WINDOWS])
def test_a_mapping_of_another_size_is_no_mark_whoever_makes_it(size: int) -> None:
    other = Fake(AllocatorType.MMAP, MAPPING, size, function=MARK_FUNCTION)
    ((number, window),) = replayed(begin(0), other, end(0))
    assert (number, window.peak) == (0, size)


def test_a_block_of_a_marks_size_is_no_mark() -> None:
    block = Fake(AllocatorType.MALLOC, MARK, BASE + 1, function=MARK_FUNCTION)
    ((number, window),) = replayed(begin(0), block, free(MARK), end(0))
    assert (number, window.peak, window.alive) == (0, BASE + 1, 0)


def test_marks_are_known_where_memray_sees_no_frames() -> None:
    """As after a test that has taken memray's way to follow calls from it."""
    mark = Fake(AllocatorType.MMAP, MARK, BASE + 3, function=None)
    assert [number for number, _ in replayed(mark, end(3))] == [3]


@given(st.integers(0, MOST_WINDOWS - 1))
def test_a_mark_tells_the_number_of_its_window(number: int) -> None:
    with memlens_window_mark(number) as mark:
        size = len(mark)
    record = Fake(AllocatorType.MMAP, MARK, size, function=MARK_FUNCTION)
    assert window_marked_by(size, record, expected=0) == number


@pytest.mark.parametrize(("number", "is_mark"), [(4, False), (5, True), (68, True), (69, False)])
def test_without_frames_only_the_next_windows_mark_is_one(number: int, is_mark: bool) -> None:
    other = Fake(AllocatorType.MMAP, MAPPING, BASE + number, function=None)
    stream = (begin(4), end(4), other, unmapped(MAPPING, BASE + number))
    assert [found for found, _ in replayed(*stream)] == [4, number][: 1 + is_mark]


def test_very_many_mappings_are_looked_up_quickly() -> None:
    """In some 20 ms; one after the other it would take minutes."""
    count = 50_000
    maps = [Fake(AllocatorType.MMAP, MAPPING + 2 * PAGE * n, PAGE) for n in range(count)]
    undone = [unmapped(MAPPING + 2 * PAGE * n, PAGE) for n in range(count)]
    ((_, window),) = replayed(begin(0), *maps, *undone, end(0))
    assert (window.peak, window.alive) == (count * PAGE, 0)


# ---- any stream, beside the plain way


def plainly(records: Sequence[Fake]) -> list[tuple[int, Said]]:
    """Do what `replay` does, slowly."""
    windows = []
    begun: tuple[int, Fake] | None = None
    for place, record in enumerate(records):
        if record.function == MARK_FUNCTION:
            begun = (place, record)
        elif (
            begun is not None
            and record.allocator == AllocatorType.MUNMAP
            and record.address == begun[1].address
        ):
            windows.append((begun[1].size - BASE, took(records[begun[0] + 1 : place])))
            begun = None
    return windows


def took(records: Sequence[Fake]) -> Said:
    """Return what *records* say, with all that is alive summed up anew after each of them."""
    blocks: dict[int, tuple[Key, int]] = {}
    mappings: list[tuple[Key, list[range]]] = []
    peak, at_peak = 0, live(blocks, mappings)
    for record in records:
        if record.allocator in FREES:
            blocks.pop(record.address, None)
        elif record.allocator == AllocatorType.MUNMAP:
            gone = range(record.address, record.address + record.size)
            mappings = [(key, without(ranges, gone)) for key, ranges in mappings]
        else:
            if record.allocator == AllocatorType.MMAP:
                mapping = range(record.address, record.address + record.size)
                mappings.append((key_of(record), [mapping]))
            else:
                blocks[record.address] = (key_of(record), record.size)
            now = live(blocks, mappings)
            if total(now) >= peak:
                peak, at_peak = total(now), now
    at_end = live(blocks, mappings)
    sizes = Counter(record.size for record in records if record.allocator not in DEALLOCATORS)
    return Said(peak, total(at_end), dict(sizes), at_peak, at_end)


def without(ranges: Iterable[range], gone: range) -> list[range]:
    """Return what is left of *ranges*: what is before *gone*, and what is after it."""
    left = []
    for each in ranges:
        left.append(range(each.start, min(each.stop, gone.start)))
        left.append(range(max(each.start, gone.stop), each.stop))
    return [each for each in left if each]


def live(
    blocks: dict[int, tuple[Key, int]], mappings: Iterable[tuple[Key, list[range]]]
) -> Holdings:
    holding: Holdings = {}
    whats_alive = [
        *blocks.values(),
        *((key, sum(map(len, ranges))) for key, ranges in mappings if ranges),
    ]
    for key, size in whats_alive:
        before, count = holding.get(key, (0, 0))
        holding[key] = (before + size, count + 1)
    return holding


def total(holding: Holdings) -> int:
    return sum(size for size, _ in holding.values())


#: Few of everything, so that addresses, stacks and ranges meet.
TIDS = st.sampled_from((1, 2))
STACKS = st.sampled_from((1, 2, 3))
NATIVE_STACKS = st.sampled_from((0, 0, 9))
ADDRESSES = st.sampled_from([BLOCK + 0x10 * number for number in range(5)])
SIZES = st.one_of(st.sampled_from((0, 1, 1, 64, 64, 512)), st.integers(0, 10_000))
PAGES = st.integers(1, 6).map(lambda pages: pages * PAGE)
MAPPINGS = st.integers(0, 8).map(lambda page: MAPPING + page * PAGE)
MARKS = st.sampled_from((MARK, MARK + 10_000 * PAGE))

allocations = st.builds(
    Fake, st.sampled_from(ALLOCATORS), ADDRESSES, SIZES, TIDS, STACKS, NATIVE_STACKS
)
frees = st.builds(Fake, st.sampled_from(FREES), ADDRESSES, SIZES, TIDS)
mmaps = st.builds(Fake, st.just(AllocatorType.MMAP), MAPPINGS, PAGES, TIDS, STACKS, NATIVE_STACKS)
munmaps = st.builds(Fake, st.just(AllocatorType.MUNMAP), MAPPINGS, PAGES, TIDS)
reallocations = st.tuples(frees, allocations)
#: Of a mark's size, but by the program itself, and unmapped a bit at a time.
impostors = st.builds(mapped, MAPPINGS, st.integers(0, 3).map(lambda number: BASE + number))
happenings = st.one_of(
    allocations.map(lambda record: (record,)),
    frees.map(lambda record: (record,)),
    reallocations,
    mmaps.map(lambda record: (record,)),
    munmaps.map(lambda record: (record,)),
    impostors.map(lambda record: (record,)),
)


def joined(parts: Iterable[Iterable[Fake]]) -> list[Fake]:
    return [record for part in parts for record in part]


contents = st.lists(happenings, max_size=25).map(joined)
numbers = st.integers(0, MOST_WINDOWS - 1)
begins = st.builds(begin, numbers, MARKS)
ends = st.builds(end, numbers, MARKS)
whole_windows = st.builds(
    lambda number, address, records: [begin(number, address), *records, end(number, address)],
    numbers,
    MARKS,
    contents,
)
streams = st.lists(
    st.one_of(
        whole_windows,
        contents,
        begins.map(lambda record: [record]),
        ends.map(lambda record: [record]),
    ),
    max_size=6,
).map(joined)


@given(streams)
@settings(max_examples=300, deadline=None)
def test_any_stream_is_replayed_as_the_plain_way_does(records: list[Fake]) -> None:
    assert replayed(*records) == plainly(records)


@given(contents)
@settings(max_examples=300, deadline=None)
def test_anything_in_one_window_is_what_the_plain_way_says(records: list[Fake]) -> None:
    assert window_of(*records) == took(records)


@given(streams, st.data())
@settings(deadline=None)
def test_a_stream_that_breaks_off_loses_only_windows_that_had_not_ended(
    records: list[Fake], data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, len(records)))
    found = replayed(*records[:length])
    assert found == replayed(*records)[: len(found)]
    assert found == plainly(records[:length])


@given(contents, contents, contents)
@settings(deadline=None)
def test_what_a_window_took_does_not_depend_on_what_is_around_it(
    before: list[Fake], within: list[Fake], after: list[Fake]
) -> None:
    ((_, alone),) = replayed(begin(1), *within, end(1))
    (_, (_, among), _) = replayed(
        *(begin(0), *before, end(0), *before),
        *(begin(1), *within, end(1)),
        *(*after, begin(2), *after, end(2)),
    )
    assert among == alone


@given(streams)
@settings(deadline=None)
def test_one_window_alone_is_replayed_like_all(records: list[Fake]) -> None:
    everything = replayed(*records)
    for number in {number for number, _ in everything} | {12345}:
        found = [(each, said(window)) for each, window in replay(records, only=number)]
        assert found == [each for each in everything if each[0] == number]


@given(contents)
@settings(deadline=None)
def test_a_holding_knows_one_of_its_own_allocations(records: list[Fake]) -> None:
    ((_, window),) = replay([begin(), *records, end()])
    assert all(each.record in records for each in (*window.at_peak, *window.at_end))
    assert not any(each.record.allocator in DEALLOCATORS for each in window.at_peak)


# ---- any stream, beside memray's own reader


def as_memray_can(records: Iterable[Fake]) -> list[Fake]:
    """Return *records* with a free before each block that is where another is already.

    memray counts both of them.
    """
    taken: set[int] = set()
    complete = []
    for record in records:
        if record.allocator in FREES:
            taken.discard(record.address)
        elif record.allocator not in (AllocatorType.MMAP, AllocatorType.MUNMAP):
            if record.address in taken:
                complete.append(free(record.address))
            taken.add(record.address)
        complete.append(record)
    return complete


def write_capture(path: str, records: Iterable[Fake]) -> None:
    """Write *records* as memray would."""
    from memray._memray import RecordWriterTestHarness

    writer = RecordWriterTestHarness(path)
    lines = RecordWriterTestHarness.get_linetable(write_capture.__code__)
    codes = {MARK_FUNCTION: 1} | {f"body {stack}": stack + 1 for stack in (1, 2, 3)}
    for function, code in codes.items():
        assert writer.write_code_object(code, function, "it.py", lines, 1)
    for record in records:
        is_mark = record.function == MARK_FUNCTION
        function = MARK_FUNCTION if is_mark else f"body {record.stack_id}"
        assert writer.write_frame_push(record.tid, codes[function], 0, True)
        assert writer.write_allocation_record(
            record.tid, record.address, record.size, record.allocator
        )
        assert writer.write_frame_pop(record.tid, 1)
    assert writer.write_trailer()


def by_thread_and_function(records: Iterable[tuple[Any, int]]) -> Counter[tuple[int, str]]:
    found: Counter[tuple[int, str]] = Counter()
    for record, size in records:
        found[record.tid, record.stack_trace()[0][0]] += size
    return found


@given(contents)
@settings(max_examples=100, deadline=None)
def test_peaks_and_leaks_are_those_that_memray_finds(
    tmp_path_factory: pytest.TempPathFactory, records: list[Fake]
) -> None:
    records = as_memray_can(
        record for record in records if record.size or record.allocator in FREES
    )
    # What is not freed would be memray's leak, so there is nothing before and after the window.
    path = tmp_path_factory.getbasetemp() / "any.bin"
    write_capture(str(path), [begin(5), *records, end(5)])
    with FileReader(path) as reader:
        ((number, window),) = replay(reader.get_allocation_records())
        at_peak = by_thread_and_function((each.record, each.size) for each in window.at_peak)
        at_end = by_thread_and_function((each.record, each.size) for each in window.at_end)
    with FileReader(path) as reader:
        theirs = list(reader.get_high_watermark_allocation_records(merge_threads=False))
        expected = by_thread_and_function((record, record.size) for record in theirs)
        leaked = by_thread_and_function(
            (record, record.size)
            for record in reader.get_leaked_allocation_records(merge_threads=False)
        )
    assert number == 5
    assert expected.pop((1, MARK_FUNCTION)) == BASE + 5
    assert at_peak == expected
    assert window.peak == expected.total()
    assert at_end == leaked
    assert window.alive == leaked.total()


# ---- real captures, beside memray's own reader

#: Captures the same bodies in several ways and prints what is said of each, as JSON.
CAPTURING = """
import json
import mmap
import sys
import threading
from collections import Counter
from pathlib import Path

from memray import AllocatorType, FileDestination, FileFormat, FileReader, Tracker
from memray._test_utils import MemoryAllocator, MmapAllocator

from memlens.recording import Capture

NATIVE, PYTHON_ALLOCATORS = (word in sys.argv for word in ("native", "python_allocators"))
PAGE = mmap.PAGESIZE
kept = []


def take(size):
    return bytearray(size)


def blocks():
    first = take(3_000_000)
    second = [take(100_000) for _ in range(5)]
    del first
    third = take(2_900_000)
    kept.append(take(700_000))
    kept.append(second.pop())
    del third
    fourth = take(3_000_000)
    fourth.extend(bytes(10))
    small = take(1000)


def ties():
    for _ in range(3):
        one = take(1_000_000)
        del one
        other = bytes(1_000_000)
        del other


def allocators():
    block = MemoryAllocator()
    for function, size in (
        ("malloc", 100_001),
        ("calloc", 100_002),
        ("posix_memalign", 1_600_048),
        ("aligned_alloc", 102_400),
        ("memalign", 100_005),
        ("valloc", 100_006),
        ("pvalloc", 100_007),
        ("realloc", 100_008),
    ):
        if getattr(block, function)(size):
            block.free()
    block.malloc(500_000)
    kept.append(block)
    gone = MemoryAllocator()
    gone.realloc(400_000)
    gone.free()


def mappings():
    held = mmap.mmap(-1, 100 * PAGE)
    gone = mmap.mmap(-1, 300 * PAGE)
    gone.close()
    parts = MmapAllocator(50 * PAGE)
    parts.munmap(10 * PAGE, 20 * PAGE)
    ends = MmapAllocator(510 * PAGE)
    ends.munmap(20 * PAGE, 490 * PAGE)
    ends.munmap(20 * PAGE, 0)
    again = mmap.mmap(-1, 70 * PAGE)
    kept.extend((held, parts, ends))


def in_thread(size):
    kept.append(take(size))
    gone = take(2 * size)
    both = take(size)


def threads():
    own = take(800_000)
    for size in (300_000, 300_000, 200_000):
        other = threading.Thread(target=in_thread, args=(size,))
        other.start()
        other.join()
    in_thread(10_000)


def deep():
    levels = [None] * 600

    def descend():
        if levels:
            levels.pop()
            descend()
        else:
            kept.append(take(200_000))

    descend()


def raising():
    kept.append(take(300_000))
    here = take(200_000)
    raise KeyError


BODIES = (blocks, ties, allocators, mappings, threads, deep, raising)


def runs(body, *args, **kwargs):
    return body(*args, **kwargs)


def run(how, body):
    try:
        how(body)
    except KeyError:
        pass


#: Stacks end below these.
CALLERS = {Capture.call.__code__.co_filename: "_call", __file__: "runs"}


def below_the_caller(frames):
    below = []
    for frame in frames:
        if CALLERS.get(frame[1]) == frame[0]:
            break
        below.append(list(frame))
    return below


#: What else there is (Python's arenas, the states of its threads) comes by chance.
def is_the_bodys(frames):
    return any(
        file == __file__ and function not in ("main", "run", "runs", "added_up")
        for function, file, _ in frames[:1]
    )


#: So does what Python's frames and its objects for threads take: less than this.
def least(body):
    return {"deep": 100_000, "threads": 1000}.get(body.__name__, 0)


def taken(records, main, least):
    return [
        {
            "size": record.size,
            "allocations": record.n_allocations,
            "own": record.tid == main,
            "frames": below_the_caller(
                record.hybrid_stack_trace() if NATIVE else record.stack_trace()
            )[:512],
            "python": below_the_caller(record.stack_trace())[:512],
        }
        for record in records
        if record.size >= least and is_the_bodys(record.stack_trace(max_stacks=1))
    ]


def by_memray(path, body):
    with FileReader(path) as reader:
        main = reader.metadata.main_thread_id
        peak = reader.get_high_watermark_allocation_records(merge_threads=False)
        leaked = reader.get_leaked_allocation_records(merge_threads=False)
        return {
            "at_peak": taken(peak, main, least(body)),
            "at_end": taken(leaked, main, least(body)),
        }


def by_memlens(measurement, body):
    def held(stacks, own):
        found = [
            {
                "size": stack.size,
                "allocations": stack.allocations,
                "own": stack.current_thread,
                "frames": [frame[:3] for frame in stack.frames],
                "python": [frame[:3] for frame in stack.frames if not frame.native],
            }
            for stack in stacks.largest(least=least(body), current_thread_only=own)
        ]
        return [each for each in found if is_the_bodys(each["python"])]

    return {
        "peak": measurement.peak,
        "peak_of_stacks": measurement.peak_stacks.size(),
        "peak_of_own_thread": measurement.peak_stacks.size(current_thread_only=True),
        "alive": measurement.alive,
        "alive_of_stacks": measurement.alive_stacks.size(),
        "allocated": measurement.allocated,
        "allocations": measurement.allocations,
        "histogram": measurement.histogram,
        "at_peak": held(measurement.peak_stacks, False),
        "at_peak_of_own_thread": held(measurement.peak_stacks, True),
        "at_end": held(measurement.alive_stacks, False),
        "at_end_of_own_thread": held(measurement.alive_stacks, True),
    }


def sizes_in_window(path):
    sizes = Counter()
    mark = None
    with FileReader(path) as reader:
        for record in reader.get_allocation_records():
            if record.allocator == AllocatorType.MUNMAP and record.address == mark:
                break
            if record.allocator in (
                AllocatorType.FREE, AllocatorType.PYMALLOC_FREE, AllocatorType.MUNMAP
            ):
                continue
            if record.stack_trace()[:1] and record.stack_trace()[0][0] == "memlens_window_mark":
                if record.allocator == AllocatorType.MMAP:
                    mark = record.address
                    continue
            if mark is not None:
                sizes[record.size] += 1
    return list(sizes.items())


def tracker(path):
    return Tracker(
        destination=FileDestination(path, overwrite=True, compress_on_exit=False),
        native_traces=NATIVE,
        trace_python_allocators=PYTHON_ALLOCATORS,
        file_format=FileFormat.ALL_ALLOCATIONS,
    )


def capture(path, **options):
    return Capture(path, native=NATIVE, python_allocators=PYTHON_ALLOCATORS, keep=True, **options)


def added_up(path, body):
    capturing = capture(path, aggregated=True)
    make_room()
    kept.clear()
    capturing.start()
    run(capturing.call, body)
    kept.clear()
    with capturing.reading() as measurements:
        assert list(measurements) == [capturing.called]
        return by_memlens(measurements[capturing.called], body)


def main():
    own, windows, shared, sums = map(
        Path, ("own.bin", "windows.bin", "shared.bin", "sums.bin")
    )
    with tracker(own):  # Python looks up the lines of a function once, if it is being followed
        for body in BODIES * 3:
            run(runs, body)
            kept.clear()
    said = {}
    for body in BODIES:
        # What the exception keeps is there until it has been handled.
        make_room()
        try:
            with tracker(own):
                runs(body)
        except KeyError:
            kept.clear()
        make_room()
        kept.clear()
        capturing = capture(windows)
        try:
            capturing.start()
            try:
                capturing.call(body)
            finally:
                capturing.stop()
        except KeyError:
            kept.clear()
        kept.clear()
        with capturing.reading() as measurements:
            assert list(measurements) == [capturing.called]
            ours = by_memlens(measurements[capturing.called], body)
        said[body.__name__] = {
            "ours": ours,
            "ours aggregated": added_up(sums, body),
            "memray's of the same file": by_memray(windows, body),
            "memray's of a file of its own": by_memray(own, body),
            "sizes": sizes_in_window(windows),
        }
    capturing = capture(shared)
    capturing.start()
    called = {}
    make_room()
    for body in reversed(BODIES):
        before = take(1_000_000)
        run(capturing.call, body)
        kept.clear()
        called[capturing.called] = body
    for _ in range(2):  # neither is ended
        capturing.begin()
        between = take(500_000)
    capturing.stop()
    with capturing.reading() as measurements:
        assert list(measurements) == list(called)
        for number, body in called.items():
            said[body.__name__]["ours among others"] = by_memlens(measurements[number], body)
    json.dump(said, sys.stdout)


main()
"""
#: What may be recorded, as arguments of the script.
WAYS = ("plain", "native", "python_allocators")
BODIES = ("blocks", "ties", "allocators", "mappings", "threads", "deep", "raising")


class Captured(NamedTuple):
    """What was said of all bodies that were captured in one way."""

    way: str
    bodies: dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=WAYS)
def captured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Captured:
    folder = tmp_path_factory.mktemp("captured")
    script = folder / "capturing.py"
    script.write_text(f"{ROOM}\n{CAPTURING}", encoding="utf-8")
    # In a process of its own: memray has one tracker a process, and this one may be measured.
    answer = subprocess.run(
        [sys.executable, script, request.param],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return Captured(request.param, json.loads(answer.stdout))


Frames = tuple[tuple[Any, ...], ...]


def by_stack(holdings: Iterable[dict[str, Any]], value: str, frames: str) -> Counter[Frames]:
    """Sum up *value* of each that has the same *frames*."""
    sums: Counter[Frames] = Counter()
    for held in holdings:
        sums[tuple(map(tuple, held[frames]))] += held[value]
    return sums


@pytest.mark.parametrize("when", ["at_peak", "at_end"])
@pytest.mark.parametrize("whose", ["memray's of the same file", "memray's of a file of its own"])
@pytest.mark.parametrize("body", BODIES)
def test_a_captured_body_holds_what_memray_says(
    captured: Captured, body: str, whose: str, when: str
) -> None:
    said = captured.bodies[body]
    ours = by_stack(said["ours"][when], "size", "frames")
    assert ours == by_stack(said[whose][when], "size", "frames")
    assert ours or (body, when) == ("ties", "at_end")


@pytest.mark.parametrize("body", [body for body in BODIES if body != "deep"])
def test_python_frames_are_told_from_the_native_ones_among_them(
    captured: Captured, body: str
) -> None:
    said = captured.bodies[body]
    ours = by_stack(said["ours"]["at_peak"], "size", "python")
    assert ours == by_stack(said["memray's of the same file"]["at_peak"], "size", "python")


@pytest.mark.parametrize("when", ["at_peak", "at_end"])
@pytest.mark.parametrize("body", BODIES)
def test_what_only_the_own_thread_holds_is_what_memray_says_of_it(
    captured: Captured, body: str, when: str
) -> None:
    said = captured.bodies[body]
    theirs = [held for held in said["memray's of a file of its own"][when] if held["own"]]
    ours = said["ours"][f"{when}_of_own_thread"]
    assert by_stack(ours, "size", "frames") == by_stack(theirs, "size", "frames")


@pytest.mark.parametrize("when", ["at_peak", "at_end"])
@pytest.mark.parametrize("body", [body for body in BODIES if body != "mappings"])
def test_as_many_allocations_are_held_as_memray_says(
    captured: Captured, body: str, when: str
) -> None:
    """But for parts of mappings, each of which is an allocation to memray."""
    said = captured.bodies[body]
    ours = by_stack(said["ours"][when], "allocations", "frames")
    assert ours == by_stack(said["memray's of the same file"][when], "allocations", "frames")


def test_threads_of_a_body_count_but_not_as_its_own(captured: Captured) -> None:
    ours = captured.bodies["threads"]["ours"]
    # At the end of the second thread: the first has left 300 000.
    assert ours["peak"] == pytest.approx(800_000 + 300_000 + 4 * 300_000, abs=32 * 1024)
    assert ours["peak_of_own_thread"] == pytest.approx(800_000, abs=16 * 1024)
    left = {held["own"]: held["size"] for held in ours["at_end"]}
    assert left == pytest.approx({True: 10_000, False: 800_000}, abs=200)


@pytest.mark.parametrize("body", BODIES)
def test_a_captured_peak_is_the_sum_of_its_stacks(captured: Captured, body: str) -> None:
    ours = captured.bodies[body]["ours"]
    assert ours["peak_of_stacks"] == ours["peak"] >= sum(held["size"] for held in ours["at_peak"])
    assert ours["alive_of_stacks"] == ours["alive"] >= sum(held["size"] for held in ours["at_end"])


@pytest.mark.parametrize("body", BODIES)
def test_the_histogram_is_of_all_allocations_of_the_window(captured: Captured, body: str) -> None:
    said = captured.bodies[body]
    bins: Counter[int] = Counter()
    for size, count in said["sizes"]:
        bins[next(power for power in range(64) if size < 2 ** (power + 1))] += count
    histogram = said["ours"]["histogram"]
    assert {power: count for power, count in enumerate(histogram) if count} == bins
    assert histogram[-1] > 0
    assert said["ours"]["allocations"] == sum(count for _, count in said["sizes"])
    assert said["ours"]["allocated"] == sum(size * count for size, count in said["sizes"])


@pytest.mark.parametrize("what", ["at_peak", "at_end", "at_peak_of_own_thread"])
@pytest.mark.parametrize("body", BODIES)
def test_a_window_among_others_in_one_file_says_the_same(
    captured: Captured, body: str, what: str
) -> None:
    said = captured.bodies[body]
    ours = by_stack(said["ours among others"][what], "size", "frames")
    assert ours == by_stack(said["ours"][what], "size", "frames")


@pytest.mark.parametrize(
    "what", ["at_peak", "at_end", "at_peak_of_own_thread", "at_end_of_own_thread"]
)
@pytest.mark.parametrize("body", BODIES)
def test_a_capture_that_memray_adds_up_says_the_same(
    captured: Captured, body: str, what: str
) -> None:
    said = captured.bodies[body]
    # How Python itself calls a function depends on whether the caller was being followed.
    frames = "python" if captured.way == "native" else "frames"
    ours = by_stack(said["ours aggregated"][what], "size", frames)
    assert ours == by_stack(said["ours"][what], "size", frames)


@pytest.mark.parametrize("body", BODIES)
def test_a_capture_that_memray_adds_up_knows_no_totals(captured: Captured, body: str) -> None:
    ours = captured.bodies[body]["ours aggregated"]
    assert (ours["allocated"], ours["allocations"], ours["histogram"]) == (None, None, [])
    assert ours["peak_of_stacks"] == ours["peak"] > 0


def test_native_frames_are_only_there_if_asked_for(captured: Captured) -> None:
    has_native = {
        len(held["frames"]) > len(held["python"])
        for said in captured.bodies.values()
        for held in said["ours"]["at_peak"]
    }
    assert (True in has_native) == (captured.way == "native")


def test_of_a_deep_stack_the_inner_frames_are_read(captured: Captured) -> None:
    (held,) = captured.bodies["deep"]["ours"]["at_end"]
    assert len(held["frames"]) == 512
    # Innermost is whoever allocated; the outer end, where the test is, is what is missing.
    python = [frame[0] for frame in held["python"]]
    assert python[0] == "take"
    assert set(python[1:]) == {"descend"}


# ---- what several stacks held


def measured(size: int, function: str, *, own: bool = True, allocations: int = 1) -> MeasuredStack:
    frames = (Frame(function, "it.py", 1, native=False),)
    return MeasuredStack(size, allocations, frames, current_thread=own)


def named(stacks: Iterable[MeasuredStack]) -> list[tuple[str, int, int, bool]]:
    return [
        (each.frames[0].function, each.size, each.allocations, each.current_thread)
        for each in stacks
    ]


def test_only_the_own_threads_share_counts_if_that_is_asked() -> None:
    stacks = Stacks.of(
        [
            measured(100, "both", own=False, allocations=3),
            measured(10, "both", allocations=2),
            measured(1000, "other", own=False),
            measured(1, "own"),
        ]
    )
    assert (stacks.size(), stacks.size(current_thread_only=True)) == (1111, 11)
    assert named(stacks.largest()) == [
        ("other", 1000, 1, False),
        ("both", 110, 5, True),
        ("own", 1, 1, True),
    ]
    assert named(stacks.largest(current_thread_only=True)) == [
        ("both", 10, 2, True),
        ("own", 1, 1, True),
    ]
    assert stacks.largest_size(below=1000) == 110
    assert stacks.largest_size(below=110, current_thread_only=True) == 10
    assert stacks.largest_size(below=1) == 0


def test_a_stack_counts_as_large_by_what_all_its_threads_held() -> None:
    stacks = Stacks.of([measured(60, "both"), measured(60, "both", own=False), measured(70, "one")])
    assert named(stacks.largest(1)) == [("both", 120, 2, True)]
    assert named(stacks.largest(least=100)) == [("both", 120, 2, True)]
    assert named(stacks.largest(least=70, current_thread_only=True)) == [("one", 70, 1, True)]


def test_no_more_frames_are_read_than_are_asked_for() -> None:
    read = []

    def summed(size: int) -> StackSum:
        def frames() -> tuple[Frame, ...]:
            read.append(size)
            return (Frame(str(size), "it.py", 1, native=False),)

        return StackSum(size, 1, size, current_thread=True, frames=frames)

    stacks = Stacks(summed(size) for size in (3, 5, 1, 4, 2))
    stacks.size(current_thread_only=True)
    stacks.largest_size(below=4)
    assert read == []
    assert [each.size for each in stacks.largest(2)] == [5, 4]
    assert read == [5, 4]


@given(
    st.lists(
        st.tuples(st.integers(0, 100), st.sampled_from("abc"), st.booleans(), st.integers(1, 5))
    ),
    st.booleans(),
)
def test_the_largest_stacks_add_up_to_the_size(
    sums: list[tuple[int, str, bool, int]], own_only: bool
) -> None:
    stacks = Stacks.of(
        measured(size, function, own=own, allocations=count) for size, function, own, count in sums
    )
    counted = [each for each in sums if each[2] or not own_only]
    expected: Counter[str] = Counter()
    for size, function, _, _ in counted:
        expected[function] += size
    largest = stacks.largest(current_thread_only=own_only)
    assert stacks.size(current_thread_only=own_only) == sum(expected.values())
    assert {each.frames[0].function: each.size for each in largest} == dict(expected)
    assert sum(each.allocations for each in largest) == sum(each[3] for each in counted)
    assert [each.size for each in largest] == sorted(expected.values(), reverse=True)
    with_own = {function for _, function, own, _ in counted if own}
    assert {each.frames[0].function for each in largest if each.current_thread} == with_own
