"""What results say is wrong, and where."""

from __future__ import annotations

import pytest

from memlens.findings import find, underlined
from memlens.findings import test_function as function_of
from memlens.store import CheckRecord, FrameRecord, StackRecord, TestRecord, Verdict

HERE = FrameRecord("test_a", "test_a.py", 5, "project")
SITE = FrameRecord("load", "shop/a.py", 3, "project")
LIBRARY = FrameRecord("zeros", "/lib/numpy.py", 9, "library")
NATIVE = FrameRecord("malloc", "libc.so", 0, "native")


def result(marker: str, verdict: Verdict, *stacks: StackRecord) -> TestRecord:
    return TestRecord(
        nodeid="test_a.py::TestIt::test_a[1]",
        path="test_a.py",
        line=4,
        outcome="failed",
        duration=0.1,
        worker=None,
        phases=(),
        checks=(CheckRecord(marker, 1024, 2048, verdict, "why"),),
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
def test_what_is_not_over_its_limit_is_nothing_to_tell(verdict: Verdict) -> None:
    assert find([result("limit_memory", verdict)]) == []


def test_a_leak_is_told_once_at_the_projects_line_that_allocates() -> None:
    stacks = [
        StackRecord("leak", 2048, 2, (NATIVE, LIBRARY, SITE, HERE)),
        StackRecord("leak", 1024, 1, (SITE, HERE)),
        StackRecord("leak", 1024, 1, (NATIVE, LIBRARY)),
    ]
    _, site = find([result("limit_leaks", "exceeded", *stacks)])
    assert (site.code, site.severity, site.path, site.line) == (
        "leak-site",
        "warning",
        "shop/a.py",
        3,
    )
    assert site.message == "3.0 KiB allocated here was not freed by the end of test_a"
    assert [(step.frame, step.message) for step in site.related] == [
        (LIBRARY, "2.0 KiB leaked, 2 allocations, in zeros"),
        (SITE, "called by load"),
        (HERE, "called by test_a"),
        (SITE, "1.0 KiB leaked, 1 allocation, in load"),
        (HERE, "called by test_a"),
    ]


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
