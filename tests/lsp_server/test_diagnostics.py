"""Diagnostics as pure functions of findings and text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.findings import Finding, find
from memlens.store import CheckRecord, FrameRecord, StackRecord, TestRecord
from memlens_lsp.features.diagnostics import Client, as_wanted, diagnostics

from .helpers import MIB, frame, result

CODEC = PositionCodec()
CLIENT = Client(CODEC, related_information=True)


@dataclass
class Files:
    """Files in memory."""

    texts: Mapping[str, str]
    texts_measured: Mapping[str, str] = field(default_factory=dict)
    locations: dict[tuple[int, FrameRecord], types.Location] = field(default_factory=dict)
    tests: Sequence[TestRecord] = ()

    def uri(self, name: str) -> str | None:
        return None if name.startswith("<") else f"file:///{name}"

    def now(self, name: str) -> str | None:
        return self.texts.get(name)

    def measured(self, run: int, name: str) -> str | None:
        return self.texts_measured.get(name)

    def test(self, finding: Finding) -> TestRecord | None:
        return next((test for test in self.tests if test.nodeid == finding.nodeid), None)


def marks(files: Files, *tests: TestRecord) -> list[tuple[int, str]]:
    """The diagnostics in a.py as (line from 1, message)."""
    findings = [finding for finding in find(tests) if finding.path == "a.py"]
    return [
        (mark.range.start.line + 1, mark.message)
        for mark in diagnostics("a.py", findings, files, CLIENT)
    ]


TWO = "def test_a():\n    one()\n\n\ndef test_b():\n    two()\n"
OVER = result("a.py::test_b", 5, 3 * MIB, 2 * MIB)


def test_a_mark_follows_a_test_whose_own_line_was_edited() -> None:
    now = TWO.replace("def test_b():", "async def test_b(fixture):")
    assert marks(Files({"a.py": now}, {"a.py": TWO}), OVER) == [(5, "Peak of 3145728 with 2097152")]


def test_a_mark_goes_with_its_test() -> None:
    now = TWO.partition("def test_b")[0]
    assert marks(Files({"a.py": now}, {"a.py": TWO}), OVER) == []


def test_tests_of_the_same_name_are_told_apart_by_their_class() -> None:
    body = "    def test_b(self):\n        pass\n"
    measured = f"class TestX:\n{body}\n\nclass TestY:\n{body}"
    now = f"class TestY:\n{body}"
    over_in_x = result("a.py::TestX::test_b", 2, 3 * MIB, 2 * MIB)
    over_in_y = result("a.py::TestY::test_b", 7, 3 * MIB, 2 * MIB)
    files = Files({"a.py": now}, {"a.py": measured})
    assert [line for line, _ in marks(files, over_in_y)] == [2]
    unchanged = Files({"a.py": measured}, {"a.py": measured})
    assert [line for line, _ in marks(unchanged, over_in_x)] == [2]


def test_a_test_found_by_other_rules_than_pytests_is_marked_where_it_was() -> None:
    text = "def check_it():\n    pass\n"
    files = Files({"a.py": f"\n{text}"}, {"a.py": text})
    assert marks(files, result("a.py::check_it", 1, 3, 2))[0][0] == 2


def test_without_the_measured_text_a_test_is_found_by_name_and_a_site_not_at_all() -> None:
    leak = result("a.py::test_b", 1, 5, leak=4, leak_stack=[frame("two", "a.py", 6)])
    assert [line for line, _ in marks(Files({"a.py": TWO}), leak)] == [5]


def test_cases_of_a_parametrized_test_say_which_they_are() -> None:
    case = result("a.py::test_b[x::y]", 5, 3, 2)
    files = Files({"a.py": TWO}, {"a.py": TWO})
    assert marks(files, case) == [(5, "test_b[x::y]: Peak of 3 with 2")]


LIMITED = """\
import pytest


@pytest.mark.limit_memory("2 MiB")
@pytest.mark.limit_leaks("1 MiB")
def test_b():
    two()
"""
STACK = (frame("test_b", "a.py", 7),)
LIMITED_OVER = result("a.py::test_b", 6, 3 * MIB, 2 * MIB, stack=STACK)
LEAKING = result("a.py::test_b", 6, MIB, leak=2 * MIB, leak_stack=STACK)


def since(now: str, *tests: TestRecord, measured: str = LIMITED) -> list[str]:
    """The messages in the text *now* of what was found in the *measured* one."""
    files = Files({"a.py": now}, {"a.py": measured}, tests=tests)
    return [message for _, message in marks(files, *tests)]


def test_a_limit_raised_since_takes_the_marks_away_that_it_would_not_have_had() -> None:
    assert len(since(LIMITED, LIMITED_OVER)) == 2
    assert since(LIMITED.replace('"2 MiB"', '"4 MiB"'), LIMITED_OVER) == []
    assert len(since(LIMITED, LEAKING)) == 2
    assert since(LIMITED.replace('"1 MiB"', '"3 MiB"'), LEAKING) == []
    of_module = 'import pytest\n\npytestmark = pytest.mark.limit_memory("2 MiB")\n\n\n' + TWO
    over = result("a.py::test_b", 10, 3 * MIB, 2 * MIB)
    assert since(of_module, over, measured=of_module) == ["Peak of 3145728 with 2097152"]
    assert since(of_module.replace("2 MiB", "4 MiB"), over, measured=of_module) == []


def test_a_limit_that_would_be_broken_all_the_same_or_is_not_what_broke_leaves_the_marks() -> None:
    # What is as large as the limit is over it.
    for limit in ("2.5 MiB", "3 MiB", "a lot"):
        assert len(since(LIMITED.replace("2 MiB", limit), LIMITED_OVER)) == 2
    # The limit that counted was not that of the text, but of another decorator.
    default = result("a.py::test_b", 6, 3 * MIB, MIB, stack=STACK)
    assert len(since(LIMITED.replace("2 MiB", "4 MiB"), default)) == 2
    # It grew since the last run that passed.
    increase = CheckRecord("fail_on_increase", MIB, 3 * MIB, "exceeded", "3 MiB is more")
    grown = LIMITED_OVER._replace(checks=(*LIMITED_OVER.checks, increase))
    messages = since(LIMITED.replace("2 MiB", "4 MiB"), grown)
    assert messages[0] == "3 MiB is more (edited since this run)"
    assert len(messages) == 2
    # A test of this thread's memory says nothing of all threads'.
    narrow = LIMITED.replace('"2 MiB"', '"2 MiB", current_thread_only=True')
    assert since(LIMITED.replace("2 MiB", "4 MiB"), LIMITED_OVER, measured=narrow)


def test_marks_of_a_test_that_was_edited_since_say_so() -> None:
    edited = LIMITED.replace("    two()\n", "    two()\n    three()\n")
    assert since(edited, LIMITED_OVER) == [
        "Peak of 3145728 with 2097152 (edited since this run)",
        "3.0 MiB allocated here was alive at the peak of test_b, 100 % of it (edited since this"
        " run)",
    ]
    # It is the same test wherever it stands, and with another comment.
    moved = "# first\n" + LIMITED.replace("    two()\n", "    two()  # here\n\n")
    assert since(moved, LIMITED_OVER)[0] == "Peak of 3145728 with 2097152"


def related(stack: Sequence[FrameRecord], files: Files | None = None) -> list[tuple[str, int, str]]:
    """Where the call stack of a test over its limit leads: file, line and message."""
    over, *_ = find([result("a.py::test_b", 5, 3, 2, stack=stack)])
    files = files or Files({"a.py": TWO}, {"a.py": TWO})
    (mark,) = diagnostics("a.py", [over], files, CLIENT)
    return [
        (step.location.uri, step.location.range.start.line + 1, step.message)
        for step in mark.related_information or ()
    ]


HERE = frame("test_b", "a.py", 6)


def test_the_projects_own_line_comes_first_and_then_the_whole_stack_in_order() -> None:
    native = FrameRecord("malloc", "libc.so.6", 0, "native")
    library = frame("zeros", "/lib/numpy.py", 9)
    assert related([native, library, native, HERE]) == [
        ("file:///a.py", 6, "3 B alive, 1 allocation, asked for by test_b"),
        ("file:////lib/numpy.py", 9, "allocated in malloc [native]"),
        ("file:////lib/numpy.py", 9, "called by zeros"),
        ("file:///a.py", 6, "called by malloc [native]"),
        ("file:///a.py", 6, "called by test_b"),
    ]


def test_native_code_whose_source_is_here_leads_there() -> None:
    native = FrameRecord("grow", "/ext/buffer.c", 2, "native")
    sources = {"a.py": TWO, "/ext/buffer.c": "int\ngrow() {}\n"}
    assert related([native, HERE], Files(sources, {"a.py": TWO}))[1] == (
        "file:////ext/buffer.c",
        2,
        "allocated in grow [native]",
    )


def test_code_without_a_file_leads_to_the_call_that_led_there() -> None:
    nowhere = FrameRecord("f", "<string>", 1, "library")
    assert related([nowhere, HERE])[1:] == [
        ("file:///a.py", 6, "allocated in f"),
        ("file:///a.py", 6, "called by test_b"),
    ]
    assert related([nowhere]) == []


def test_deep_recursion_is_told_in_part_and_said_so() -> None:
    told = related([frame(f"f{depth}", "a.py", 2) for depth in range(1000)])
    assert len(told) == 200
    assert told[-1][2] == "called by f199 (and 800 more calls)"


def test_very_many_call_stacks_are_told_in_part_and_said_so() -> None:
    leak = result("a.py::test_b", 5, 3, leak=4, leak_stack=[HERE])
    stack = StackRecord("leak", 4, 1, tuple(frame(f"f{depth}", "a.py", 2) for depth in range(100)))
    leaking = leak._replace(stacks=(stack,) * 12)
    whole, *_ = find([leaking])
    (mark,) = diagnostics("a.py", [whole], Files({"a.py": TWO}, {"a.py": TWO}), CLIENT)
    told = mark.related_information or ()
    assert len(told) == 1000
    assert told[-1].message == "called by f99 (and 2 more call stacks)"


def test_a_line_is_told_once_with_the_largest_of_the_tests_that_it_is_about() -> None:
    stack = [frame("one", "a.py", 2)]
    tests = [
        result(f"b.py::test_{size}", 5, size, 2, stack=stack, leak=size, leak_stack=stack)
        for size in (300, 500, 400)
    ]
    assert marks(Files({"a.py": TWO}, {"a.py": TWO}), *tests) == [
        (
            2,
            "500 B allocated here was not freed by the end of test_500; likewise in 2 more tests",
        ),
        (
            2,
            "500 B allocated here was alive at the peak of test_500, 100 % of it; likewise in 2"
            " more tests",
        ),
    ]


def test_the_message_tells_of_the_stack_where_related_information_is_not_shown() -> None:
    stack = [frame(f"f{depth}", "a.py", 2) for depth in range(7)]
    over, *_ = find([result("a.py::test_b", 5, 3, 2, stack=stack)])
    client = Client(CODEC, related_information=False)
    (mark,) = diagnostics("a.py", [over], Files({"a.py": TWO}, {"a.py": TWO}), client)
    assert mark.related_information is None
    assert mark.message.splitlines() == [
        "Peak of 3 with 2",
        "  a.py:2: 3 B alive, 1 allocation, in f0",
        *[f"  a.py:2: called by f{depth}" for depth in range(1, 5)],
        "  and 2 more calls",
    ]


def wanted(severities: Mapping[str, str], client: Client = CLIENT) -> list[types.Diagnostic]:
    marker = types.Diagnostic(
        types.Range(types.Position(0, 0), types.Position(0, 1)), "", code="invalid-marker"
    )
    found = find([OVER])
    made = diagnostics("a.py", found, Files({"a.py": TWO}, {"a.py": TWO}), client)
    return as_wanted([*made, marker], severities, client)


def test_a_code_can_be_turned_off_or_shown_as_something_else() -> None:
    assert [mark.code for mark in wanted({"invalid-marker": "off"})] == ["memory-limit-exceeded"]
    assert [mark.severity for mark in wanted({"memory-limit-exceeded": "hint"})] == [
        types.DiagnosticSeverity.Hint,
        None,
    ]


def test_each_code_leads_to_its_own_place_in_the_documentation() -> None:
    client = Client(CODEC, related_information=True, code_description=True)
    hrefs = [mark.code_description.href for mark in wanted({}, client) if mark.code_description]
    assert [href.rpartition("/")[2] for href in hrefs] == [
        "diagnostics.md#memory-limit-exceeded",
        "diagnostics.md#invalid-marker",
    ]
    assert not any(mark.code_description for mark in wanted({}))
