"""The `markdown` report: a pull request's comment, or a workflow's step summary.

GitHub's own flavour, https://github.github.com/gfm/. A comment may have 65,536 characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memlens.exports.results import Results, problems
from memlens.exports.text import count, html_code, markdown_code, markdown_text, printable
from memlens.sizes import format_size
from memlens.store.records import CheckRecord, StackRecord, TestRecord

#: The comment's first line, invisible: by it a workflow finds the comment to bring up to date.
MARK = "<!-- memlens -->"

_MOST_CHARACTERS = 60_000
#: How many failures, failures with their stacks, stacks of each, frames of each, and tests.
_FAILURES, _DETAILS, _STACKS, _FRAMES, _HEAVIEST = 25, 10, 3, 12, 10
#: Characters of a test's name and of a message.
_NAME, _MESSAGE = 160, 240


def markdown(results: Results) -> str:
    """Return totals, what is over its limit and why, and the heaviest tests."""
    failures = problems(results)
    failed = {test.nodeid for test, _ in failures}
    parts = [MARK, _heading(len(failed), len(results.tests)), _totals(results.tests)]
    if failures:
        parts.append(_failures(failures))
    heaviest = _heaviest(results.tests)
    room = _MOST_CHARACTERS - sum(map(len, parts)) - len(heaviest)
    for test in [test for test in results.tests if test.nodeid in failed][:_DETAILS]:
        details = _details(test)
        room -= len(details)
        if room < 0:
            break
        parts.append(details)
    return "\n".join(part for part in (*parts, heaviest) if part)


def _heading(failed: int, measured: int) -> str:
    if not measured:
        return "### Memory: no test was measured\n"
    if not failed:
        return "### Memory: every test is within its limits\n"
    return f"### Memory: {failed:,} of {count(measured, 'test')} over the limit\n"


def _totals(tests: Sequence[TestRecord]) -> str:
    peaks = [(call.peak_bytes, test) for test in tests if (call := test.phase("call")) is not None]
    if not peaks:
        return ""
    peak, heaviest = max(peaks, key=lambda entry: entry[0])
    counts = [
        call.allocations
        for test in tests
        if (call := test.phase("call")) is not None and call.allocations is not None
    ]
    allocations = f", {count(sum(counts), 'allocation')}" if counts else ""
    if 0 < len(counts) < len(tests):
        allocations += f" in {len(counts):,} of them"
    limited = sum(1 for test in tests if test.checks)
    return (
        f"{count(len(tests), 'test')} measured{allocations}, {limited:,} with a limit; highest peak"
        f" {format_size(peak)} in {markdown_code(heaviest.nodeid, _NAME)}.\n"
    )


def _failures(failures: Sequence[tuple[TestRecord, CheckRecord]]) -> str:
    lines = ["| test | problem | measured | limit |", "|---|---|---:|---:|"]
    lines += [
        f"| {markdown_code(test.nodeid, _NAME)} | {markdown_text(check.message, _MESSAGE)}"
        f" | {format_size(check.measured_bytes)} | {_limit(check)} |"
        for test, check in failures[:_FAILURES]
    ]
    if len(failures) > _FAILURES:
        lines.append(f"\nand {len(failures) - _FAILURES:,} more.")
    return "\n".join(lines) + "\n"


def _limit(check: CheckRecord) -> str:
    return format_size(check.limit_bytes) if check.marker != "limit_leaked_objects" else "none"


def _details(test: TestRecord) -> str:
    stacks = test.stacks_of("leak") or test.stacks_of("peak")
    if not stacks:
        return ""
    kind = "leaked" if stacks[0].kind == "leak" else "at the peak"
    lines = [line for stack in stacks[:_STACKS] for line in _stack_lines(stack, kind)]
    fence = "```"
    while any(fence in line for line in lines):
        fence += "`"
    name = html_code(printable(test.nodeid, _NAME))
    return "\n".join(
        [
            f"<details><summary>Call stacks of {name}</summary>",
            "",
            f"{fence}text",
            *lines,
            fence,
            "",
            "</details>",
            "",
        ]
    )


def _stack_lines(stack: StackRecord, kind: str) -> Iterator[str]:
    yield f"{format_size(stack.bytes)} {kind}, {count(stack.allocations, 'allocation')}"
    for frame in stack.frames[:_FRAMES]:
        place = f"{printable(frame.path, _NAME)}:{frame.line}" if frame.path else "unknown"
        yield f"    {printable(frame.function, _NAME)} ({place})"
    if len(stack.frames) > _FRAMES:
        yield f"    {count(len(stack.frames) - _FRAMES, 'caller')} more"


def _heaviest(tests: Sequence[TestRecord]) -> str:
    peaks = [(call.peak_bytes, test) for test in tests if (call := test.phase("call")) is not None]
    peaks.sort(key=lambda entry: entry[0], reverse=True)
    if not peaks:
        return ""
    lines = ["| peak | share of limit | test |", "|---:|---:|---|"]
    lines += [
        f"| {format_size(peak)} | {_share(test)} | {markdown_code(test.nodeid, _NAME)} |"
        for peak, test in peaks[:_HEAVIEST]
    ]
    shown = "Heaviest tests" if len(peaks) <= _HEAVIEST else f"The {_HEAVIEST} heaviest tests"
    opening = f"<details><summary>{shown}</summary>"
    return "\n".join([opening, "", *lines, "", "</details>", ""])


def _share(test: TestRecord) -> str:
    return next(
        (
            f"{check.measured_bytes / check.limit_bytes:.0%} of {format_size(check.limit_bytes)}"
            for check in test.checks
            if check.marker == "limit_memory" and check.limit_bytes
        ),
        "",
    )
