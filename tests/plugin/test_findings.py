"""What results say is wrong, and where."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from memlens.findings import SEVERITIES, Code, Finding, Thresholds, find, help_page, underlined
from memlens.findings import test_function as function_of
from memlens.store import (
    CheckRecord,
    FrameRecord,
    PhaseRecord,
    StackRecord,
    TestRecord,
    Verdict,
)

HERE = FrameRecord("test_a", "test_a.py", 5, "project")
SITE = FrameRecord("load", "shop/a.py", 3, "project")
LIBRARY = FrameRecord("zeros", "/lib/numpy.py", 9, "library")
NATIVE = FrameRecord("malloc", "libc.so", 0, "native")


def result(
    marker: str, verdict: Verdict, *stacks: StackRecord, peak: int = 0, limit: int = 1024
) -> TestRecord:
    return TestRecord(
        nodeid="test_a.py::TestIt::test_a[1]",
        path="test_a.py",
        line=4,
        outcome="failed",
        duration=0.1,
        worker=None,
        phases=(PhaseRecord("call", peak, None, None, 0),),
        checks=(CheckRecord(marker, limit, peak, verdict, "why"),),
        stacks=stacks,
        run=7,
    )


@pytest.mark.parametrize(
    ("marker", "code"),
    [
        ("limit_memory", "memory-limit-exceeded"),
        ("fail_on_increase", "memory-limit-exceeded"),
        ("limit_leaks", "memory-leak"),
        ("limit_leaked_objects", "leaked-objects"),
    ],
)
def test_each_kind_of_problem_is_an_error_on_the_tests_name(marker: str, code: str) -> None:
    (finding,) = find([result(marker, "exceeded")])
    assert (finding.code, finding.severity, finding.message) == (code, "error", "why")
    assert (finding.path, finding.line, finding.name, finding.run) == ("test_a.py", 4, "test_a", 7)


@pytest.mark.parametrize("verdict", ["passed", "not_judged"])
def test_what_is_well_within_its_limit_is_nothing_to_tell(verdict: Verdict) -> None:
    assert (
        find([result("limit_memory", verdict, StackRecord("peak", 500, 1, (SITE,)), peak=500)])
        == []
    )


def test_a_leak_is_told_once_at_the_projects_line_that_allocates() -> None:
    stacks = [
        StackRecord("leak", 2048, 2, (NATIVE, LIBRARY, SITE, HERE)),
        StackRecord("leak", 1024, 1, (SITE, HERE)),
        StackRecord("leak", 1024, 1, (NATIVE, LIBRARY)),
    ]
    whole, site = find([result("limit_leaks", "exceeded", *stacks)])
    assert (site.code, site.severity, site.path, site.line) == (
        "leak-site",
        "warning",
        "shop/a.py",
        3,
    )
    assert site.message == "3.0 KiB allocated here was not freed by the end of TestIt::test_a[1]"
    assert site.message_with_test == site.message
    assert whole.message_with_test == "TestIt::test_a[1]: why"
    assert steps(site) == [
        (SITE, "2.0 KiB leaked, 2 allocations, asked for by load"),
        (NATIVE, "allocated in malloc [native]"),
        (LIBRARY, "called by zeros"),
        (SITE, "called by load"),
        (HERE, "called by test_a"),
        (SITE, "1.0 KiB leaked, 1 allocation, in load"),
        (HERE, "called by test_a"),
    ]
    assert steps(site, native=False)[:3] == [
        (SITE, "2.0 KiB leaked, 2 allocations, asked for by load"),
        (LIBRARY, "allocated in zeros"),
        (SITE, "called by load"),
    ]


def steps(finding: Finding, *, native: bool = True) -> list[tuple[FrameRecord, str]]:
    return [(step.frame, step.message) for step in finding.related(native=native)]


def test_a_stack_in_which_nothing_is_the_projects_is_told_as_it_is() -> None:
    stack = StackRecord("peak", 1024, 1, (NATIVE, LIBRARY))
    (over,) = find([result("limit_memory", "exceeded", stack, peak=2048)])
    assert steps(over) == [
        (NATIVE, "1.0 KiB alive, 1 allocation, in malloc [native]"),
        (LIBRARY, "called by zeros"),
    ]


def test_a_finding_tells_of_the_three_biggest_stacks_at_the_peak() -> None:
    stacks = [StackRecord("peak", size, 1, (LIBRARY,)) for size in (9, 8, 7, 6)]
    (over,) = find([result("limit_memory", "exceeded", *stacks, peak=2048)])
    assert [stack.bytes for stack in over.stacks] == [9, 8, 7]


@pytest.mark.parametrize(("peak", "near"), [(0, False), (899, False), (900, True), (999, True)])
def test_a_test_with_a_tenth_of_its_limit_left_or_less_is_near_it(peak: int, near: bool) -> None:
    found = find([result("limit_memory", "passed", peak=peak, limit=1000)])
    assert [finding.code for finding in found] == near * ["memory-near-limit"]


def test_how_near_a_limit_is_near_can_be_chosen() -> None:
    test = result("limit_memory", "passed", peak=700, limit=1000)
    assert find([test]) == []
    (near,) = find([test], Thresholds(near_limit=30))
    assert near.message == "Peak memory of 700 B is 70 % of the limit of 1000 B"


def test_near_its_limit_is_said_of_the_tests_name_and_only_of_a_limit_that_was_kept() -> None:
    (near,) = find([result("limit_memory", "passed", peak=1023)])
    assert near.message == "Peak memory of 1023 B is 99 % of the limit of 1.0 KiB"
    assert (near.severity, near.path, near.line, near.name) == (
        "information",
        "test_a.py",
        4,
        "test_a",
    )
    kept = CheckRecord("limit_memory", 1024, 1023, "passed", "")
    leaks = result("limit_leaks", "exceeded", peak=1023)
    codes = [finding.code for finding in find([leaks._replace(checks=(kept, *leaks.checks))])]
    assert codes == ["memory-leak"]
    assert find([result("limit_leaks", "passed", peak=1023)]) == []


OTHER = FrameRecord("parse", "shop/b.py", 8, "project")
HELD = (
    StackRecord("peak", 400, 1, (LIBRARY, SITE, HERE)),
    StackRecord("peak", 300, 4, (NATIVE, OTHER, HERE)),
    StackRecord("peak", 249, 1, (HERE,)),
    StackRecord("peak", 100, 2, (SITE, HERE)),
)


@pytest.mark.parametrize("marker", ["limit_memory", "fail_on_increase"])
def test_lines_behind_a_quarter_of_a_failing_tests_peak_are_hot(marker: str) -> None:
    over, *hot = find([result(marker, "exceeded", *HELD, peak=1000)])
    assert over.code == "memory-limit-exceeded"
    assert {(spot.code, spot.severity, spot.name) for spot in hot} == {
        ("memory-hotspot", "information", None)
    }
    assert [(spot.path, spot.line, spot.message) for spot in hot] == [
        (
            "shop/a.py",
            3,
            "500 B allocated here was alive at the peak of TestIt::test_a[1], 50 % of it",
        ),
        (
            "shop/b.py",
            8,
            "300 B allocated here was alive at the peak of TestIt::test_a[1], 30 % of it",
        ),
    ]
    assert hot[0].stacks == (HELD[0], HELD[3])
    (_, only) = find([result(marker, "exceeded", *HELD, peak=1000)], Thresholds(hotspot=50))
    assert only.path == "shop/a.py"


def test_what_a_test_within_its_limit_or_a_leaking_one_holds_at_its_peak_is_not_hot() -> None:
    assert find([result("limit_memory", "passed", *HELD, peak=800)]) == []
    assert [f.code for f in find([result("limit_leaks", "exceeded", *HELD, peak=1000)])] == [
        "memory-leak"
    ]


def test_every_code_has_a_severity_and_a_heading_on_its_page() -> None:
    page = Path(__file__).parents[2] / "docs/diagnostics.md"
    headings = [
        line.removeprefix("## ")
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("## ")
    ]
    for code in get_args(Code):
        assert code in SEVERITIES
        assert code in headings
        assert help_page(code) == f"{page.as_uri()}#{code}"


@pytest.mark.parametrize(
    ("line", "name", "marked"),
    [
        ("    def test_a(self):  # test_a", "test_a", "test_a"),
        ("def test_ab(test_a): ...", "test_a", "test_a"),
        ("    x = load()  ", None, "x = load()"),
        ("def other(): ...", "test_a", "def other(): ..."),
        ("", None, ""),
    ],
)
def test_the_name_is_underlined_or_the_lines_code(line: str, name: str | None, marked: str) -> None:
    start, end = underlined(line, name)
    assert line[start:end] == marked


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("a[1].py::TestIt::test_a[x::y[z]]", "test_a"),
        ("a.py::test_a", "test_a"),
        ("a.py", ""),
    ],
)
def test_the_function_is_told_from_its_node_id(nodeid: str, name: str) -> None:
    assert function_of(nodeid) == name
