"""Diagnostics and lenses as pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from pygls.workspace import PositionCodec

from memlens.findings import find
from memlens.store import TestRecord
from memlens_lsp.features.diagnostics import Client, diagnostics
from memlens_lsp.features.lenses import lenses, took
from memlens_lsp.results import FileResults

from .helpers import MIB, frame, result

CODEC = PositionCodec()
CLIENT = Client(CODEC, related_information=True)


@dataclass
class Files:
    """Files in memory."""

    texts: Mapping[str, str]
    texts_measured: Mapping[str, str] = field(default_factory=dict)

    def uri(self, name: str) -> str | None:
        return None if name.startswith("<") else f"file:///{name}"

    def now(self, name: str) -> str | None:
        return self.texts.get(name)

    def measured(self, run: int, name: str) -> str | None:
        return self.texts_measured.get(name)


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


def test_deep_recursion_is_told_in_part_and_said_so() -> None:
    stack = [frame(f"f{depth}", "a.py", 2) for depth in range(1000)]
    (finding,) = find([result("a.py::test_b", 5, 3, 2, stack=[*stack])])
    (mark,) = diagnostics("a.py", [finding], Files({"a.py": TWO}, {"a.py": TWO}), CLIENT)
    related = mark.related_information or ()
    assert len(related) == 200
    assert related[-1].message == "called by f199 (and 800 more calls)"


def test_code_without_a_file_is_no_place_to_go_to() -> None:
    stack = [frame("f", "<string>", 1), frame("test_b", "a.py", 6)]
    (finding,) = find([result("a.py::test_b", 5, 3, 2, stack=stack)])
    (mark,) = diagnostics("a.py", [finding], Files({"a.py": TWO}, {"a.py": TWO}), CLIENT)
    assert [step.location.uri for step in mark.related_information or ()] == ["file:///a.py"]


def titles(text: str, results: FileResults, name: str = "test_a.py") -> list[tuple[int, str]]:
    made = lenses("file:///a", PurePath(name), text, results, CODEC)
    return [(lens.range.start.line + 1, lens.command.title) for lens in made if lens.command]


RUN = "Run with memory limits"


def test_a_lens_runs_its_test_by_its_id_in_the_file() -> None:
    text = "class TestA:\n    def test_b(self): pass\n"
    (lens,) = lenses("file:///test_a.py", PurePath("test_a.py"), text, FileResults(), CODEC)
    assert lens.command is not None
    assert lens.command.command == "memlens.run"
    assert lens.command.arguments == [{"uri": "file:///test_a.py", "test": "TestA::test_b"}]
    assert (lens.range.start.character, lens.range.end.character) == (8, 14)


def test_other_files_have_lenses_once_their_tests_were_measured() -> None:
    assert titles(TWO, FileResults(), "a.py") == []
    assert titles(TWO, FileResults(tests=[OVER]), "a.py") == [
        (1, RUN),
        (5, RUN),
        (5, "peak 3.0 MiB of 2.0 MiB"),
    ]


def test_a_parametrized_test_shows_its_heaviest_case() -> None:
    cases = [result(f"a.py::test_b[{peak}]", 5, peak * MIB) for peak in (1, 7, 3)]
    assert titles(TWO, FileResults(tests=cases))[-1] == (5, "peak 7.0 MiB, heaviest of 3")


def test_an_inherited_test_is_shown_where_it_is_defined() -> None:
    text = "class Base:\n    def test_b(self): pass\n"
    inherited = result("test_c.py::TestC::test_b", 2, MIB, path="a.py")
    assert titles(text, FileResults(tests=[inherited], sources={0: text}), "a.py") == [
        (2, RUN),
        (2, "peak 1.0 MiB"),
    ]


def test_tests_inherited_from_another_file_are_shown_and_run_together_at_their_class() -> None:
    text = "from b import Base\n\n\nclass TestC(Base):\n    pass\n"
    inherited = [result(f"a.py::TestC::test_{size}", 4, size * MIB) for size in (1, 2)]
    made = lenses(
        "file:///a.py",
        PurePath("a.py"),
        text,
        FileResults(tests=inherited, sources={0: text}),
        CODEC,
    )
    run, peak = [lens.command for lens in made if lens.command]
    assert run.arguments == [{"uri": "file:///a.py", "test": "TestC"}]
    assert peak.title == "peak 2.0 MiB, heaviest of 2"
    assert made[0].range.start.character == 6


def test_a_lens_says_what_leaked() -> None:
    cases = [result("a.py::test_b", 1, 5 * MIB, 8 * MIB, leak=4 * MIB)]
    assert took(cases) == "peak 5.0 MiB of 8.0 MiB, leaks 4.0 MiB"


def test_a_test_that_was_not_measured_shows_nothing() -> None:
    assert took([]) == ""
