"""What pytest prints at the end of a run: the heaviest tests, those near their limits, totals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from memlens.sizes import format_size
from memlens.store.records import CheckRecord, StackRecord, TestRecord

#: How many tests near their limits are told of, and from which share of the limit on.
_SHOWN_NEAR = 5
_NEAR = 0.5
#: At this share of its limit a test is coloured as near it.
_ALARMING = 0.9
#: What failures of each kind are called, in order.
_KINDS = (
    ("limit_memory", "over the memory limit"),
    ("limit_leaks", "leaking"),
    ("limit_leaked_objects", "leaving objects alive"),
    ("fail_on_increase", "grown since the last passing run"),
)
_BARS = " ▁▂▃▄▅▆▇█"
_ASCII_BARS = " .:-=+*#@"


class Writer(Protocol):
    """The part of pytest's terminal reporter that is written to."""

    def write(self, content: str, **markup: bool) -> None:
        """Write *content* with this markup (``red=True``, ``bold=True``…)."""

    def write_line(self, line: str, **markup: bool) -> None:
        """Write *line* and end it."""

    def write_sep(self, sep: str, title: str, **markup: bool) -> None:
        """Write *title* in a line of *sep*."""


class Shown(NamedTuple):
    """What of a run is shown."""

    #: How many tests; 0 for all.
    tests: int = 5
    #: How many of each test's biggest allocating functions.
    functions: int = 3
    #: Whether the terminal can show more than ASCII.
    unicode: bool = True


def write_summary(writer: Writer, tests: Sequence[TestRecord], shown: Shown) -> None:
    """Write the heaviest of *tests*, those nearest to their limits, and totals."""
    if not tests:
        return
    heaviest = sorted(tests, key=_peak, reverse=True)
    told = heaviest[: shown.tests or None]
    writer.write_sep("=", "memory, heaviest tests first", bold=True)
    width = max(len(format_size(_peak(test))) for test in told)
    for test in told:
        writer.write(f"{format_size(_peak(test)):>{width}}", bold=True)
        # The node id stands last on its line, so that we never break it.
        writer.write_line(f"  {test.nodeid}", **_colour(test))
        for line in _details(test, shown):
            writer.write_line(f"{'':{width}}  {line}")
    if len(heaviest) > len(told):
        writer.write_line(
            f"and {len(heaviest) - len(told):,} more (--most-allocations=0 shows all)"
        )
    writer.write_line("")
    _write_near(writer, tests)
    for line in _totals(heaviest):
        writer.write_line(line)


def _details(test: TestRecord, shown: Shown) -> Iterator[str]:
    standing = [_standing(check) for check in test.checks if check.verdict != "not_judged"]
    if standing:
        yield ", ".join(standing)
    phase = test.phase("call")
    if phase is None or phase.allocations == 0:
        return
    if phase.allocations is not None:
        yield f"{_count(phase.allocations, 'allocation')}{histogram(phase.histogram, shown)}"
    functions = _biggest_functions(test.stacks_of("peak"))[: shown.functions]
    width = max((len(format_size(size)) for _, size in functions), default=0)
    for place, size in functions:
        yield f"{format_size(size):>{width}}  {place}"


def histogram(counts: Sequence[int], shown: Shown) -> str:
    """Return the allocations' sizes as a row of bars from the smallest to the largest.

    *counts* is as in `PhaseRecord.histogram`. A bar's height is its share of the highest; whatever
    is there at all is seen.
    """
    first = next((power for power, count in enumerate(counts) if count), None)
    if first is None:
        return ""
    bars = _BARS if shown.unicode else _ASCII_BARS
    highest = max(counts)
    row = "".join(bars[-(-count * (len(bars) - 1) // highest)] for count in counts[first:])
    smallest, largest = (format_size(2**power) for power in (first, len(counts)))
    if first == 0:
        smallest = "0 B"
    return f" |{row}| {smallest} to {largest}"


def _biggest_functions(stacks: Sequence[StackRecord]) -> list[tuple[str, int]]:
    sizes: dict[str, int] = {}
    for stack in stacks:
        frame = next((f for f in stack.frames if f.kind != "native"), None)
        if frame is None:
            continue
        place = f"{frame.function} ({frame.path}:{frame.line})"
        sizes[place] = sizes.get(place, 0) + stack.bytes
    return sorted(sizes.items(), key=lambda item: item[1], reverse=True)


def _write_near(writer: Writer, tests: Sequence[TestRecord]) -> None:
    near = sorted(
        (
            (check.measured_bytes / check.limit_bytes, check, test)
            for test in tests
            for check in test.checks
            if check.marker == "limit_memory" and check.verdict == "passed" and check.limit_bytes
        ),
        key=lambda entry: entry[0],
        reverse=True,
    )
    near = [entry for entry in near if entry[0] >= _NEAR][:_SHOWN_NEAR]
    if not near:
        return
    writer.write_line("Nearest to their limits:")
    for share, check, test in near:
        writer.write(f"  {share:>4.0%}", yellow=share >= _ALARMING)
        writer.write_line(
            f" of {format_size(check.limit_bytes)}  {test.nodeid}",
        )
    writer.write_line("")


def _totals(heaviest: Sequence[TestRecord]) -> Iterator[str]:
    counts = [
        phase.allocations
        for test in heaviest
        if (phase := test.phase("call")) is not None and phase.allocations is not None
    ]
    allocations = f"{_count(sum(counts), 'allocation')}, " if counts else ""
    if 0 < len(counts) < len(heaviest):
        allocations = f"{allocations[:-2]} in {len(counts):,} of them, "
    yield (
        f"{_count(len(heaviest), 'test')} measured, {allocations}highest"
        f" peak {format_size(_peak(heaviest[0]))} in {heaviest[0].nodeid}"
    )
    kinds = [
        f"{number} {words}"
        for marker, words in _KINDS
        if (number := sum(1 for test in heaviest if _exceeds(test, marker)))
    ]
    if kinds:
        yield f"Memory problems: {', '.join(kinds)}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _peak(test: TestRecord) -> int:
    phase = test.phase("call")
    return phase.peak_bytes if phase is not None else 0


def _exceeds(test: TestRecord, marker: str) -> bool:
    return any(c.marker == marker and c.verdict == "exceeded" for c in test.checks)


def _standing(check: CheckRecord) -> str:
    if check.marker == "limit_memory" and check.limit_bytes:
        share = check.measured_bytes / check.limit_bytes
        return f"{share:.0%} of its limit of {format_size(check.limit_bytes)}"
    return check.message[0].lower() + check.message[1:]


def _colour(test: TestRecord) -> dict[str, bool]:
    if any(check.verdict == "exceeded" for check in test.checks):
        return {"red": True, "bold": True}
    if any(
        check.marker == "limit_memory" and check.measured_bytes >= _ALARMING * check.limit_bytes
        for check in test.checks
    ):
        return {"yellow": True}
    return {}
