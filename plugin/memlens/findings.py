"""What results say is wrong, and where: the same findings for the editor, the CLI and CI.

A finding speaks of the text that was measured. Whoever shows it in a newer text moves it there.
Imports only the store and sizes, so it works where neither pytest nor memray is installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from memlens.sizes import format_size
from memlens.store.records import FrameRecord, StackRecord, TestRecord

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

#: How many of the biggest stacks at the peak a finding tells of.
_PEAK_STACKS = 3


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
    related: tuple[Related, ...]
    #: The node id of the test that was measured, and its run: whose text `line` is true of.
    nodeid: str
    run: int


def find(tests: Iterable[TestRecord]) -> list[Finding]:
    """Return the findings of *tests*, those of one test together."""
    findings = []
    for test in tests:
        for check in test.checks:
            if check.verdict != "exceeded":
                continue
            if check.marker in ("limit_memory", "fail_on_increase"):
                stacks = test.stacks_of("peak")[:_PEAK_STACKS]
                findings.append(
                    _on_test(test, "memory-limit-exceeded", check.message, _calls(stacks, "alive"))
                )
            elif check.marker == "limit_leaks":
                stacks = test.stacks_of("leak")
                findings.append(
                    _on_test(test, "memory-leak", check.message, _calls(stacks, "leaked"))
                )
                findings += _leak_sites(test, stacks)
            elif check.marker == "limit_leaked_objects":
                findings.append(_on_test(test, "leaked-objects", check.message, ()))
    return findings


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


def _on_test(test: TestRecord, code: Code, message: str, related: tuple[Related, ...]) -> Finding:
    return Finding(
        code=code,
        severity="error",
        path=test.path,
        line=test.line,
        name=test_function(test.nodeid) or None,
        message=message,
        related=related,
        nodeid=test.nodeid,
        run=test.run or 0,
    )


def _leak_sites(test: TestRecord, stacks: Iterable[StackRecord]) -> list[Finding]:
    """Return one finding a line, however many stacks leak through it."""
    sites: dict[FrameRecord, list[StackRecord]] = {}
    for stack in stacks:
        frame = stack.innermost_project_frame()
        if frame is not None:
            sites.setdefault(frame, []).append(stack)
    return [
        Finding(
            code="leak-site",
            severity="warning",
            path=site.path,
            line=site.line,
            name=None,
            message=(
                f"{format_size(sum(stack.bytes for stack in leaking))} allocated here was not"
                f" freed by the end of {test_function(test.nodeid) or test.nodeid}"
            ),
            related=_calls(leaking, "leaked"),
            nodeid=test.nodeid,
            run=test.run or 0,
        )
        for site, leaking in sites.items()
    ]


def _calls(stacks: Iterable[StackRecord], verb: str) -> tuple[Related, ...]:
    related = []
    for stack in stacks:
        times = "1 allocation" if stack.allocations == 1 else f"{stack.allocations} allocations"
        # An editor opens a frame by its place. Native frames often have none that exists.
        frames = [frame for frame in stack.frames if frame.kind != "native"]
        for depth, frame in enumerate(frames):
            message = (
                f"{format_size(stack.bytes)} {verb}, {times}, in {frame.function}"
                if depth == 0
                else f"called by {frame.function}"
            )
            related.append(Related(frame, message))
    return tuple(related)
