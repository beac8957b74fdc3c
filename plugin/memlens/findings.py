"""What results say is wrong, and where: the same findings for the editor, the CLI and CI.

A finding speaks of the text that was measured. Whoever shows it in a newer text moves it there.
Imports only the store and sizes, so it works where neither pytest nor memray is installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from memlens.sizes import format_size
from memlens.store.records import CheckRecord, FrameRecord, StackRecord, TestRecord

Code = Literal[
    "memory-limit-exceeded",
    "memory-leak",
    "leak-site",
    "leaked-objects",
    "memory-near-limit",
    "memory-hotspot",
    "invalid-marker",
]
Severity = Literal["error", "warning", "information"]

#: How bad each is.
SEVERITIES: dict[Code, Severity] = {
    "memory-limit-exceeded": "error",
    "memory-leak": "error",
    "leak-site": "warning",
    "leaked-objects": "error",
    "memory-near-limit": "information",
    "memory-hotspot": "information",
    "invalid-marker": "error",
}

#: How many of the biggest stacks at the peak a finding tells of.
_PEAK_STACKS = 3


class Thresholds(NamedTuple):
    """From where on something is worth telling, in percent."""

    #: A test is near its limit if no more than this share of the limit is left.
    near_limit: float = 10.0
    #: A line is a hotspot if it holds at least this share of the peak of a test over its limit.
    hotspot: float = 25.0


DEFAULT_THRESHOLDS = Thresholds()


class Related(NamedTuple):
    """One step of a call stack that explains a finding."""

    frame: FrameRecord
    message: str


class Finding(NamedTuple):
    """One thing to tell about a line."""

    code: Code
    severity: Severity
    #: The file as the database names it.
    path: str
    #: The line in the measured text, counted from 1.
    line: int
    #: What on that line to underline; None for all of the line's code.
    name: str | None
    message: str
    #: How many bytes it is about.
    size: int
    #: The call stacks that explain it, the largest first.
    stacks: tuple[StackRecord, ...]
    #: The node id of the test that was measured, and its run: whose text `line` is true of.
    nodeid: str
    run: int

    @property
    def message_with_test(self) -> str:
        """The message for where the place does not tell cases of one test apart: it names it."""
        if self.code in _NAMING_THE_TEST:
            return self.message
        return f"{_test_name(self.nodeid)}: {self.message}"

    def related(self, *, native: bool = True) -> list[Related]:
        """Return where its call stacks lead, one after the other; see `related_to`."""
        return [step for stack in self.stacks for step in related_to(stack, native=native)]


def find(tests: Iterable[TestRecord], thresholds: Thresholds = DEFAULT_THRESHOLDS) -> list[Finding]:
    """Return the findings of *tests*, those of one test together."""
    findings: list[Finding] = []
    for test in tests:
        exceeded = [check for check in test.checks if check.verdict == "exceeded"]
        for check in exceeded:
            findings += _of_exceeded(test, check)
        if any(check.marker in _PEAK_LIMITS for check in exceeded):
            findings += _hotspots(test, thresholds.hotspot)
        if not exceeded:
            findings += _near_limit(test, thresholds.near_limit)
    return findings


def related_to(stack: StackRecord, *, native: bool = True) -> list[Related]:
    """Return where *stack* leads, in the order in which one wants to go there.

    First the project's own line that is nearest to the allocation, then the whole stack, the most
    recent call first; without its native frames unless *native*.
    """
    whole = steps(stack, native=native)
    site = stack.innermost_project_frame()
    if site is None or site == whole[0].frame:
        return whole
    first = whole[0].frame
    return [
        Related(site, f"{_held(stack)}, asked for by {shown_function(site)}"),
        Related(first, f"allocated in {shown_function(first)}"),
        *whole[1:],
    ]


def steps(stack: StackRecord, *, native: bool = True) -> list[Related]:
    """Return the steps of *stack*, the most recent call first; the first says what it holds.

    Without its native frames unless *native*.
    """
    frames = [frame for frame in stack.frames if native or frame.kind != "native"]
    return [
        Related(
            frame,
            f"called by {shown_function(frame)}"
            if depth
            else f"{_held(stack)}, in {shown_function(frame)}",
        )
        for depth, frame in enumerate(frames)
    ]


def documentation() -> Path:
    """Return the page that explains the codes, each under its own heading.

    It is installed with the package, so it is there without a network and of this version.
    """
    installed = Path(__file__).with_name("docs") / "diagnostics.md"
    return installed if installed.exists() else Path(__file__).parents[2] / "docs" / installed.name


def help_page(code: str) -> str:
    """Return the address of what the documentation says of *code*, a `file:` URI."""
    return f"{documentation().resolve().as_uri()}#{code}"


def help_text(code: str) -> str:
    """Return what the documentation says of *code*, as Markdown; "" if it is not installed."""
    try:
        page = documentation().read_text(encoding="utf-8")
    except OSError:
        return ""
    _, _, section = page.partition(f"\n## {code}\n")
    return section.partition("\n## ")[0].strip()


def shown_function(frame: FrameRecord) -> str:
    """Return the frame's function for people, which says so if it is native."""
    return f"{frame.function} [native]" if frame.kind == "native" else frame.function


def underlined(line: str, name: str | None) -> tuple[int, int]:
    """Return where in the text *line* a finding's mark starts and ends, in characters.

    The whole word *name* if the line has it, else the line's code without the space around it.
    """
    if name is not None:
        match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line)
        if match:
            return match.span()
    code = line.strip()
    start = len(line) - len(line.lstrip()) if code else 0
    return start, start + len(code)


def test_function(nodeid: str) -> str:
    """Return the name of the function behind *nodeid*, without class and parameters.

    >>> test_function("tests/test_shop.py::TestCart::test_total[a::b]")
    'test_total'
    """
    # A parameter may contain "::" and "[", a path may contain "[": the name is what follows the
    # last "::" before the first "[" after the first "::".
    _, _, inside = nodeid.partition("::")
    return inside.partition("[")[0].rpartition("::")[2]


def _test_name(nodeid: str) -> str:
    """Return the name of a test for people: with its class and parameters, without its file."""
    return nodeid.partition("::")[2] or nodeid


#: Codes of findings on lines that several tests may use, so that their messages say which.
_NAMING_THE_TEST: frozenset[Code] = frozenset(("leak-site", "memory-hotspot"))
#: The limits that a test's peak can be over.
_PEAK_LIMITS = frozenset(("limit_memory", "fail_on_increase"))


def _of_exceeded(test: TestRecord, check: CheckRecord) -> list[Finding]:
    size = check.measured_bytes
    if check.marker in _PEAK_LIMITS:
        stacks = test.stacks_of("peak")[:_PEAK_STACKS]
        return [_on_test(test, "memory-limit-exceeded", check.message, size, stacks)]
    if check.marker == "limit_leaks":
        stacks = test.stacks_of("leak")
        whole = _on_test(test, "memory-leak", check.message, size, stacks)
        return [whole, *_leak_sites(test, stacks)]
    if check.marker == "limit_leaked_objects":
        return [_on_test(test, "leaked-objects", check.message, size, ())]
    return []


def _near_limit(test: TestRecord, share_left: float) -> list[Finding]:
    for check in test.checks:
        if (
            check.marker == "limit_memory"
            and check.verdict == "passed"
            and check.measured_bytes * 100 >= check.limit_bytes * (100 - share_left)
        ):
            message = (
                f"Peak memory of {format_size(check.measured_bytes)} is"
                f" {_percent(check.measured_bytes, check.limit_bytes)} of the limit of"
                f" {format_size(check.limit_bytes)}"
            )
            return [_on_test(test, "memory-near-limit", message, check.measured_bytes, ())]
    return []


def _on_test(
    test: TestRecord,
    code: Code,
    message: str,
    size: int,
    stacks: tuple[StackRecord, ...],
) -> Finding:
    return Finding(
        code=code,
        severity=SEVERITIES[code],
        path=test.path,
        line=test.line,
        name=test_function(test.nodeid) or None,
        message=message,
        size=size,
        stacks=stacks,
        nodeid=test.nodeid,
        run=test.run or 0,
    )


def _leak_sites(test: TestRecord, stacks: Iterable[StackRecord]) -> list[Finding]:
    """Return one finding a line, however many stacks leak through it."""
    return [
        _on_line(
            test,
            "leak-site",
            site,
            f"{format_size(_size(leaking))} allocated here was not freed by the end of"
            f" {_test_name(test.nodeid)}",
            leaking,
        )
        for site, leaking in _by_site(stacks).items()
    ]


def _hotspots(test: TestRecord, least_share: float) -> list[Finding]:
    """Return the lines behind at least *least_share* percent of the peak, the largest first."""
    call = test.phase("call")
    if call is None or not call.peak_bytes:
        return []
    sites = sorted(
        _by_site(test.stacks_of("peak")).items(), key=lambda site: _size(site[1]), reverse=True
    )
    return [
        _on_line(
            test,
            "memory-hotspot",
            site,
            f"{format_size(_size(held))} allocated here was alive at the peak of"
            f" {_test_name(test.nodeid)},"
            f" {_percent(_size(held), call.peak_bytes)} of it",
            held,
        )
        for site, held in sites
        if _size(held) * 100 >= call.peak_bytes * least_share
    ]


def _by_site(stacks: Iterable[StackRecord]) -> dict[FrameRecord, list[StackRecord]]:
    """Return *stacks* by the project's line that is nearest to the allocation."""
    sites: dict[FrameRecord, list[StackRecord]] = {}
    for stack in stacks:
        frame = stack.innermost_project_frame()
        if frame is not None:
            sites.setdefault(frame, []).append(stack)
    return sites


def _on_line(
    test: TestRecord,
    code: Code,
    site: FrameRecord,
    message: str,
    stacks: Sequence[StackRecord],
) -> Finding:
    return Finding(
        code=code,
        severity=SEVERITIES[code],
        path=site.path,
        line=site.line,
        name=None,
        message=message,
        size=_size(stacks),
        stacks=tuple(stacks),
        nodeid=test.nodeid,
        run=test.run or 0,
    )


def _size(stacks: Iterable[StackRecord]) -> int:
    return sum(stack.bytes for stack in stacks)


def _percent(part: int, whole: int) -> str:
    rounded = round(part * 100 / whole)
    # What kept its limit is never told to be at 100 %.
    return f"{min(rounded, 99) if part < whole else rounded} %"


def _held(stack: StackRecord) -> str:
    times = "1 allocation" if stack.allocations == 1 else f"{stack.allocations:,} allocations"
    return f"{format_size(stack.bytes)} {'leaked' if stack.kind == 'leak' else 'alive'}, {times}"
