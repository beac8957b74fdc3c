"""What pytest prints: failures with their stacks, and the summary at the end of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from memlens.sizes import format_size
from memlens.store.records import CheckRecord, FrameRecord, StackRecord, TestRecord

#: How much a failure and the summary tell.
_SHOWN_STACKS = 5
_SHOWN_FRAMES = 8
_SHOWN_TESTS = 5
#: A test at this share of its limit is near it.
_NEAR = 0.9


class Writer(Protocol):
    """The part of pytest's terminal reporter that is written to."""

    def write(self, content: str, **markup: bool) -> None:
        """Write *content* with this markup (``red=True``, ``bold=True``…)."""

    def write_line(self, line: str, **markup: bool) -> None:
        """Write *line* and end it."""

    def write_sep(self, sep: str, title: str, **markup: bool) -> None:
        """Write *title* in a line of *sep*."""


def failure_text(test: TestRecord) -> str:
    """Return why *test* failed: the limits it is over and the stacks that explain it.

    The first line is a whole sentence, fit for pytest's short summary.
    """
    exceeded = [check for check in test.checks if check.verdict == "exceeded"]
    lines = [check.message for check in exceeded]
    for check in exceeded:
        if check.marker == "limit_leaks":
            lines += ["", "Not freed by the end of the test:"]
            lines += _stack_lines(test.stacks_of("leak"))
        else:
            lines += ["", "Largest call stacks at the peak:"]
            lines += _stack_lines(test.stacks_of("peak"))
    return "\n".join(lines)


def write_summary(writer: Writer, tests: Sequence[TestRecord], results: str) -> None:
    """Write the heaviest of *tests* and the totals. *results* says where all results are."""
    if not tests:
        return
    heaviest = sorted(tests, key=_peak, reverse=True)
    writer.write_sep("=", "memory, heaviest tests first", bold=True)
    rows = [
        (
            format_size(_peak(test)),
            " + ".join(_limit(check) for check in test.checks) or "-",
            _standing(test),
            test,
        )
        for test in heaviest[:_SHOWN_TESTS]
    ]
    widths = [
        max(len(cell) for cell in column)
        for column in (
            ("peak", *(peak for peak, _, _, _ in rows)),
            ("limit", *(limit for _, limit, _, _ in rows)),
            tuple(standing for _, _, standing, _ in rows),
        )
    ]
    writer.write_line(f"  {'peak':>{widths[0]}}  {'limit':>{widths[1]}}  {'':{widths[2]}}  test")
    for peak, limit, standing, test in rows:
        writer.write(f"  {peak:>{widths[0]}}", bold=True)
        writer.write(f"  {limit:>{widths[1]}}  ")
        writer.write(f"{standing:{widths[2]}}", **_colour(test))
        # The node id stands last and alone, so that it is never wrapped in the middle by us.
        writer.write_line(f"  {test.nodeid}")
    if len(heaviest) > _SHOWN_TESTS:
        writer.write_line(f"  … and {len(heaviest) - _SHOWN_TESTS} more", light=True)
    writer.write_line("")
    for line in _totals(heaviest):
        writer.write_line(line)
    writer.write_line(f"Results: {results}")


def _totals(heaviest: Sequence[TestRecord]) -> Iterator[str]:
    kinds = [
        f"{sum(1 for test in heaviest if _exceeds(test, marker))} {words}"
        for marker, words in (("limit_memory", "over the memory limit"), ("limit_leaks", "leaking"))
        if any(_exceeds(test, marker) for test in heaviest)
    ]
    verdict = f"; {', '.join(kinds)}" if kinds else ""
    allocations = sum(phase.allocations for test in heaviest for phase in test.phases)
    yield (
        f"{_count(len(heaviest), 'test')} measured, {_count(allocations, 'allocation')};"
        f" highest peak {format_size(_peak(heaviest[0]))}{verdict}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _peak(test: TestRecord) -> int:
    phase = test.phase("call")
    return phase.peak_bytes if phase is not None else 0


def _limit(check: CheckRecord) -> str:
    size = format_size(check.limit_bytes)
    return f"{size} a leak" if check.marker == "limit_leaks" else size


def _exceeds(test: TestRecord, marker: str) -> bool:
    return any(c.marker == marker and c.verdict == "exceeded" for c in test.checks)


def _standing(test: TestRecord) -> str:
    for check in test.checks:
        if check.marker == "limit_leaks" and check.verdict == "exceeded":
            return f"leaks {format_size(check.measured_bytes)}"
        if check.marker == "limit_memory" and check.limit_bytes:
            return f"{check.measured_bytes / check.limit_bytes:.0%}"
    return ""


def _colour(test: TestRecord) -> dict[str, bool]:
    if any(check.verdict == "exceeded" for check in test.checks):
        return {"red": True, "bold": True}
    if any(
        check.marker == "limit_memory" and check.measured_bytes >= _NEAR * check.limit_bytes
        for check in test.checks
    ):
        return {"yellow": True}
    return {"green": True}


def _stack_lines(stacks: Sequence[StackRecord]) -> Iterator[str]:
    for stack in stacks[:_SHOWN_STACKS]:
        yield f"  {format_size(stack.bytes)} in {_count(stack.allocations, 'allocation')}"
        yield from _frame_lines(stack.frames)
    if len(stacks) > _SHOWN_STACKS:
        yield f"  … and {len(stacks) - _SHOWN_STACKS} more call stacks"


def _frame_lines(frames: Iterable[FrameRecord]) -> Iterator[str]:
    # CPython's own frames are noise, unless there are no others.
    shown: list[Any] = [frame for frame in frames if frame.kind != "native"] or list(frames)
    for frame in shown[:_SHOWN_FRAMES]:
        place = f"{frame.path}:{frame.line}" if frame.line else frame.path
        yield f"    {place} in {frame.function}"
    if len(shown) > _SHOWN_FRAMES:
        yield f"    … {len(shown) - _SHOWN_FRAMES} more callers"
