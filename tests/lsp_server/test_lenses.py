"""Code lenses, as pure functions and over the real protocol."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.store import CheckRecord, SiteRecord, StackRecord, TestRecord
from memlens_lsp.features.lenses import (
    FileNow,
    LensClient,
    Overviews,
    lenses,
    overview,
    resolved,
)
from memlens_lsp.results import FileResults
from memlens_lsp.settings import Settings, read_settings
from memlens_lsp.tests_in_source import CollectionRules, find_tests

from .conftest import OpenEditor
from .helpers import MIB, Project, frame, full_capabilities, inserted, result
from .random_modules import modules

RUN = "Run with memory limits"
RUN_ALL = "Run all with memory limits"
GRAPH = "Flame graph"

TWO = "def test_a():\n    one()\n\n\ndef test_b():\n    two()\n"
OVER = result("a.py::test_b", 5, 3 * MIB, 2 * MIB)

#: One that has all commands at once, as clients do that say that they do not resolve.
CLIENT = LensClient(PositionCodec(), resolves=False, shows_flame_graphs=False)
LAZY = CLIENT._replace(resolves=True)


def file(
    text: str,
    results: FileResults | None = None,
    name: str = "test_a.py",
    rules: CollectionRules | None = None,
) -> FileNow:
    return FileNow(
        f"file:///p/{name}",
        Path("/p", name),
        text,
        results or FileResults(),
        rules or CollectionRules(),
    )


def made(
    now: FileNow, client: LensClient = CLIENT, settings: Settings | None = None
) -> list[types.CodeLens]:
    return lenses(overview(now), settings or Settings(), client)


def titles(now: FileNow, client: LensClient = CLIENT) -> list[tuple[int, str]]:
    """The lenses of tests and classes, as (line from 1, title)."""
    return [
        (lens.range.start.line + 1, lens.command.title)
        for lens in made(now, client)
        if lens.command
    ]


def results_of(text: str, *tests: TestRecord, **more: Any) -> FileResults:
    """The results of run 1, that saw *text*. The tests have the ids 1, 2, …"""
    stored = [test._replace(id=number, run=1) for number, test in enumerate(tests, 1)]
    return FileResults(Path("/p"), "test_a.py", stored, sources={1: text}, **more)


def took(text: str, *tests: TestRecord, now: str | None = None, **more: Any) -> str:
    """What the lens over the last test says that was measured in *text*."""
    known = overview(file(text if now is None else now, results_of(text, *tests, **more)))
    (*_, lens) = [lens for lens in lenses(known, Settings(), LAZY) if lens.data]
    seen = resolved(lens, known).command
    assert seen is not None
    return seen.title


def command(title: str, name: str, argument: object) -> types.Command:
    return types.Command(title, name, arguments=[argument])


# What can be run


def test_tests_classes_and_the_file_can_be_run_before_anything_ran() -> None:
    text = "import x\n\nclass TestA:\n    def test_b(self): pass\n"
    found = made(file(text))
    assert [(lens.range.start.line + 1, lens.command) for lens in found] == [
        (1, command(RUN_ALL, "memlens.run", {"uri": "file:///p/test_a.py"})),
        (3, command(RUN, "memlens.run", {"uri": "file:///p/test_a.py", "test": "TestA"})),
        (4, command(RUN, "memlens.run", {"uri": "file:///p/test_a.py", "test": "TestA::test_b"})),
    ]
    assert [(one.range.start.character, one.range.end.character) for one in found] == [
        (0, 8),
        (6, 11),
        (8, 14),
    ]


def test_over_the_first_line_the_test_comes_before_the_file() -> None:
    assert titles(file(TWO)) == [(1, RUN), (1, RUN_ALL), (5, RUN)]


def test_other_files_have_lenses_once_their_tests_were_measured() -> None:
    assert titles(file(TWO, name="a.py")) == []
    assert titles(file(TWO, FileResults(tests=[OVER]), "a.py")) == [
        (1, RUN),
        (1, RUN_ALL),
        (1, "1 test, heaviest 3.0 MiB test_b, 1 over limit"),
        (5, RUN),
        (5, "peak 3.0 MiB of 2.0 MiB"),
    ]


def test_the_projects_own_names_count() -> None:
    rules = CollectionRules(("check_*.py",), ("Check",), ("it_*",))
    text = "class CheckA:\n    def it_works(self): pass\n\ndef test_a(): pass\n"
    assert titles(file(text, name="check_a.py", rules=rules)) == [
        (1, RUN),
        (1, RUN_ALL),
        (2, RUN),
    ]
    assert titles(file(text, name="test_a.py", rules=rules)) == []


def test_an_inherited_test_is_shown_where_it_is_defined_and_run_where_it_is_inherited() -> None:
    text = "class Base:\n    def test_b(self): pass\n"
    inherited = result("test_c.py::TestC::test_b", 2, MIB, path="a.py")
    results = FileResults(Path("/p"), "a.py", [inherited], sources={0: text})
    run, peak = made(file(text, results, "a.py"))
    assert run.command is not None
    assert run.command.arguments == [{"uri": "file:///p/test_c.py", "test": "TestC::test_b"}]
    assert (peak.range.start.line, peak.command and peak.command.title) == (1, "peak 1.0 MiB")


def test_a_test_that_another_file_inherits_too_is_run_where_it_is() -> None:
    text = "class TestB:\n    def test_b(self): pass\n"
    cases = [
        result("test_c.py::TestC::test_b", 2, 2 * MIB, path="test_a.py"),
        result("test_a.py::TestB::test_b", 2, MIB),
    ]
    *_, run, took = made(file(text, results_of(text, *cases)))
    assert run.command == command(
        RUN, "memlens.run", {"uri": "file:///p/test_a.py", "test": "TestB::test_b"}
    )
    assert took.command is not None
    assert took.command.title == "2 tests, heaviest 2.0 MiB TestC::test_b"


def test_a_test_that_only_others_inherit_is_run_in_each_of_them() -> None:
    base = "class Base:\n    def test_b(self): pass\n"
    text = f"{base}class TestC(Base): pass\nclass TestD(Base): pass\n"
    run = next(lens.command for lens in made(file(text)) if lens.range.start.line == 1)
    assert run is not None
    assert run.arguments == [
        {"uri": "file:///p/test_a.py", "tests": ["TestC::test_b", "TestD::test_b"]}
    ]
    cases = [
        result(f"test_a.py::Test{name}::test_b[{size}]", 2, size * MIB)
        for name, size in (("C", 4), ("D", 5))
    ]
    shown = titles(file(text, results_of(text, *cases)))
    assert (2, "2 tests, heaviest 5.0 MiB TestD::test_b[5]") in shown
    assert (1, "2 tests, heaviest 5.0 MiB TestD::test_b[5]") in shown


def test_tests_inherited_from_another_file_are_shown_and_run_together_at_their_class() -> None:
    text = "from b import Base\n\n\nclass TestC(Base):\n    pass\n"
    inherited = [result(f"test_a.py::TestC::test_{size}", 4, size * MIB) for size in (1, 2)]
    _, _, run, peak = made(file(text, results_of(text, *inherited)))
    assert run.command is not None
    assert run.command.arguments == [{"uri": "file:///p/test_a.py", "test": "TestC"}]
    assert run.range.start.character == 6
    assert peak.command is not None
    assert peak.command.title == "2 tests, heaviest 2.0 MiB test_2"


def test_of_two_definitions_the_one_that_was_measured_has_the_peak() -> None:
    text = "if X:\n    def test_a(): pass\nelse:\n    def test_a(): pass\n"
    for line in (2, 4):
        known = overview(file(text, results_of(text, result("test_a.py::test_a", line, MIB))))
        shown = lenses(known, Settings(), LAZY)
        lazy = [lens for lens in shown if lens.data and lens.data["test"]]
        assert [lens.range.start.line + 1 for lens in lazy] == [line]
        seen = resolved(lazy[0], known).command
        assert seen is not None
        assert seen.title == "peak 1.0 MiB"


# What it took


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (None, "peak 31.2 MiB of 24.0 MiB"),
        (27.9, "peak 31.2 MiB of 24.0 MiB ▲ 12 %"),
        (34.7, "peak 31.2 MiB of 24.0 MiB ▼ 10 %"),
        (31.0, "peak 31.2 MiB of 24.0 MiB"),
        (31.4, "peak 31.2 MiB of 24.0 MiB"),
        (1.04, "peak 31.2 MiB of 24.0 MiB ▲ 30×"),  # noqa: RUF001
        (0, "peak 31.2 MiB of 24.0 MiB"),
    ],
)
def test_a_test_tells_its_peak_its_limit_and_the_change(before: float | None, words: str) -> None:
    peaks_before = {} if before is None else {1: int(before * MIB)}
    measured = result("test_a.py::test_b", 5, int(31.2 * MIB), 24 * MIB)
    assert took(TWO, measured, peaks_before=peaks_before) == words


def test_a_test_tells_what_leaked() -> None:
    leaking = result("test_a.py::test_b", 5, 5 * MIB, 8 * MIB, leak=4 * MIB)
    assert took(TWO, leaking) == "peak 5.0 MiB of 8.0 MiB, leaks 4.0 MiB"
    objects = CheckRecord("limit_leaked_objects", 0, MIB, "exceeded", "")
    leaking = leaking._replace(checks=(objects,))
    assert took(TWO, leaking) == "peak 5.0 MiB, leaks objects of 1.0 MiB"


def test_of_several_call_stacks_that_leak_the_sum_is_told() -> None:
    leaking = result("test_a.py::test_b", 5, 5 * MIB, leak=2 * MIB)
    assert took(TWO, leaking, leaked={1: 3 * MIB}) == "peak 5.0 MiB, leaks 3.0 MiB"
    both = [leaking._replace(nodeid=f"{leaking.nodeid}[{size}]") for size in (1, 2)]
    words = took(TWO, *both, leaked={1: 3 * MIB, 2: 4 * MIB})
    assert words == "2 cases, heaviest 5.0 MiB [1], leaks 4.0 MiB"


def test_leaks_within_their_limit_are_not_told() -> None:
    within = CheckRecord("limit_leaks", MIB, 1000, "passed", "")
    measured = result("test_a.py::test_b", 5, 5 * MIB)._replace(checks=(within,))
    assert took(TWO, measured) == "peak 5.0 MiB"


def test_a_test_that_grew_too_much_tells_what_it_may_have() -> None:
    grown = CheckRecord("fail_on_increase", 4 * MIB, 5 * MIB, "exceeded", "")
    measured = result("test_a.py::test_b", 5, 5 * MIB)._replace(checks=(grown,))
    assert took(TWO, measured) == "peak 5.0 MiB of 4.0 MiB"


def test_a_parametrized_test_has_one_lens_for_all_its_cases() -> None:
    cases = [result(f"test_a.py::test_b[{size}]", 5, size * MIB, 9 * MIB) for size in range(1, 12)]
    big = result("test_a.py::test_b[big]", 5, int(31.2 * MIB), 9 * MIB)
    words = "12 cases, heaviest 31.2 MiB [big], 4 over limit"
    assert took(TWO, *cases, big) == words
    shown = titles(file(TWO, results_of(TWO, *cases, big)))
    assert [title for line, title in shown if line == 5] == [RUN, words]
    assert took(TWO, big) == "peak 31.2 MiB of 9.0 MiB [big]"


def test_an_odd_parameter_fits_into_a_line() -> None:
    cases = [result(f"test_a.py::test_b[{name}]", 5, MIB) for name in ("a\n[b]::c", "x" * 100)]
    assert took(TWO, cases[0]) == "peak 1.0 MiB [a\\n[b]::c]"
    assert took(TWO, cases[1]) == f"peak 1.0 MiB [{'x' * 39}…]"


def test_a_parameter_makes_no_icon_and_breaks_no_line() -> None:
    # VS Code shows "$(zap)" in a lens as an icon.
    names = ("$(zap)", "\x1b[31m", "a\u2028b", "$$(x)")
    for name, words in zip(names, ("$ (zap)", "\\x1b[31m", "a\\u2028b", "$$ (x)"), strict=True):
        assert took(TWO, result(f"test_a.py::test_b[{name}]", 5, MIB)) == f"peak 1.0 MiB [{words}]"


def test_classes_and_the_file_are_summed_up() -> None:
    text = (
        "import x\nclass TestA:\n    def test_a(self, n): pass\n    def test_b(self): pass\n"
        "def test_c(): pass\n"
    )
    results = results_of(
        text,
        result("test_a.py::TestA::test_a[1]", 3, 3 * MIB, 2 * MIB),
        result("test_a.py::TestA::test_a[2]", 3, 5 * MIB, 2 * MIB),
        result("test_a.py::TestA::test_b", 4, 4 * MIB, 8 * MIB, leak=MIB),
        result("test_a.py::test_c", 5, 9 * MIB, 8 * MIB),
    )
    assert titles(file(text, results)) == [
        (1, RUN_ALL),
        (1, "3 tests, heaviest 9.0 MiB test_c, 2 over limit, 1 leaking"),
        (2, RUN),
        (2, "2 tests, heaviest 5.0 MiB test_a[2], 1 over limit, 1 leaking"),
        (3, RUN),
        (3, "2 cases, heaviest 5.0 MiB [2], 2 over limit"),
        (4, RUN),
        (4, "peak 4.0 MiB of 8.0 MiB, leaks 1.0 MiB"),
        (5, RUN),
        (5, "peak 9.0 MiB of 8.0 MiB"),
    ]


def test_tests_are_found_again_when_the_text_has_moved_and_half_parses() -> None:
    results = results_of(TWO, result("a.py::test_a", 1, 9 * MIB), OVER)
    now = file(f"import x\n{TWO.replace('test_a', 'test_other')}x = (\n", results)
    assert titles(now) == [
        (1, RUN_ALL),
        (1, "1 test, heaviest 3.0 MiB test_b, 1 over limit"),
        (2, RUN),
        (6, RUN),
        (6, "peak 3.0 MiB of 2.0 MiB"),
    ]


# Edited since

BODY = '''\
@pytest.mark.limit_memory("2 MB")
def test_b(tmp_path):
    """Loads."""
    for row in load(tmp_path):
        row.total()
    assert row
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("row.total()", "row.total(1)"),
        ("    assert row", "        assert row"),
        ("2 MB", "4 MB"),
        ("tmp_path", "tmpdir"),
        ("    assert row\n", ""),
        ("    assert row\n", "    assert (\n"),
    ],
)
def test_a_test_that_was_edited_says_so(old: str, new: str) -> None:
    measured = result("test_a.py::test_b", 2, 3 * MIB)
    now = BODY.replace(old, new)
    assert took(BODY, measured, now=now) == "peak 3.0 MiB · edited since"
    both = [result(f"test_a.py::test_b[{name}]", 2, 3 * MIB) for name in "ab"]
    assert took(BODY, *both, now=now).endswith(", heaviest 3.0 MiB [a] · edited since")
    shown = titles(file(f"x\n{now}", results_of(BODY, measured)))
    assert (1, "1 test, heaviest 3.0 MiB test_b · edited since") in shown


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('    """Loads."""\n', ""),
        ('"2 MB"', "'2 MB'"),
        ("    assert row", "\n    # Not empty.\n    assert row  # it is\n"),
        ("load(tmp_path)", "load(\n        tmp_path,\n    )"),
        ("def test_b", "\n\n\ndef test_other(): pass\n\ndef test_b"),
        ("\n", "\r\n"),
    ],
)
def test_what_python_does_not_see_is_no_edit(old: str, new: str) -> None:
    if "test_other" in new:
        new = f"def test_other(): pass\n{BODY}"
        now = new
    else:
        now = BODY.replace(old, new)
    assert took(BODY, result("test_a.py::test_b", 2, 3 * MIB), now=now) == "peak 3.0 MiB"


def test_a_test_that_was_moved_into_a_block_is_not_edited() -> None:
    now = "if X:\n" + "".join(f"    {line}\n" for line in BODY.splitlines())
    assert took(BODY, result("test_a.py::test_b", 2, 3 * MIB), now=now) == "peak 3.0 MiB"


def test_each_case_is_compared_with_what_its_own_run_saw() -> None:
    older = BODY.replace("load", "read")
    cases = [
        result(f"test_a.py::test_b[{run}]", 2, MIB)._replace(id=run, run=run) for run in (1, 2)
    ]
    results = FileResults(Path("/p"), "test_a.py", cases[1:], sources={1: older, 2: BODY})
    assert "edited since" not in str(titles(file(BODY, results)))
    assert "edited since" in str(titles(file(BODY, replace(results, tests=cases))))


# Flame graphs

GRAPHS = CLIENT._replace(shows_flame_graphs=True)


def test_a_flame_graph_is_offered_of_what_was_measured_to_clients_that_can_show_it() -> None:
    cases = [result(f"test_a.py::test_b[{size}]", 5, size * MIB) for size in (1, 3, 2)]
    now = file(TWO, results_of(TWO, *cases))
    assert GRAPH not in str(titles(now))
    offered = [
        (lens.range.start.line + 1, lens.command)
        for lens in made(now, GRAPHS)
        if lens.command and lens.command.title == GRAPH
    ]
    argument = {"uri": "file:///p/test_a.py", "test": "test_b[3]"}
    assert offered == [(5, command(GRAPH, "memlens.showFlameGraph", argument))]


# Resolving


def test_what_tests_took_is_worked_out_when_it_is_seen() -> None:
    now = file(TWO, results_of(TWO, OVER))
    known = overview(now)
    lazy = lenses(known, Settings(), LAZY)
    assert [lens.command.title if lens.command else None for lens in lazy] == [
        RUN,
        RUN_ALL,
        None,
        RUN,
        None,
    ]
    assert [resolved(lens, known) if lens.data else lens for lens in lazy if not lens.data] == [
        lens for lens in made(now) if lens.command and lens.command.command
    ]
    seen = [resolved(lens, known).command for lens in lazy if lens.data]
    assert seen == [lens.command for lens in made(now) if lens.command and not lens.command.command]


def test_a_lens_of_a_test_that_is_gone_says_nothing() -> None:
    known = overview(file(TWO, results_of(TWO, OVER)))
    (*_, lens) = lenses(known, Settings(), LAZY)
    without = overview(file("x = 1\n", results_of(TWO, OVER)))
    assert resolved(lens, without).command == types.Command("", "")
    assert resolved(lens, None).command == types.Command("", "")
    nonsense: list[Any] = [None, 3, [], {"test": 7}, {"uri": 1, "test": "no"}]
    for data in nonsense:
        assert resolved(types.CodeLens(lens.range, data=data), known).command is not None


def test_an_overview_is_made_again_only_when_something_changed() -> None:
    overviews = Overviews()
    now = file(TWO, results_of(TWO, OVER))
    first = overviews.get(now)
    assert overviews.get(now._replace()) is first
    assert overviews.get(now._replace(text=f"{TWO}\n")) is not first
    assert overviews.get(now._replace(results=replace(now.results))) is not first


# Lines

SHOP = "def load():\n    return bytearray(9)\n\n\ndef keep():\n    return bytearray(7)\n"


def site(line: int, size: float, test: str = "test_a", **more: Any) -> SiteRecord:
    size = int(size * MIB)
    values: dict[str, Any] = {"kind": "peak", "allocations": 1, "run": 1, "peak_bytes": size}
    values |= {"nodeid": f"test_shop.py::{test}", **more}
    return SiteRecord(line=line, bytes=size, **values)


def on_lines(
    *sites: SiteRecord, text: str = SHOP, now: str | None = None, settings: Any = None
) -> list[tuple[int, str]]:
    results = FileResults(Path("/p"), "shop.py", sites=sites, sources={1: text})
    chosen = read_settings(settings)[0]
    return [
        (lens.range.start.line + 1, lens.command.title)
        for lens in made(file(text if now is None else now, results, "shop.py"), settings=chosen)
        if lens.command
    ]


def test_a_hot_line_tells_who_allocates_there() -> None:
    assert on_lines(site(2, 18.0)) == [(2, "18.0 MiB in test_a")]
    three = [site(2, size, f"test_{size}") for size in (18, 3, 2)]
    assert on_lines(*three) == [(2, "up to 18.0 MiB in 3 tests")]
    cases = [site(2, size, f"test_a[{size}]") for size in (18, 3, 2)]
    assert on_lines(*cases) == [(2, "18.0 MiB in test_a")]


def test_tests_in_a_folder_with_brackets_are_told_apart_on_a_line() -> None:
    two = [
        site(2, size, nodeid=f"[old]/test_{size}.py::test_a[{size}]", peak_bytes=20 * MIB)
        for size in (18, 3)
    ]
    assert on_lines(two[0]) == [(2, "18.0 MiB in test_a")]
    assert on_lines(*two) == [(2, "up to 18.0 MiB in 2 tests")]


def test_a_leaking_line_tells_what_leaks() -> None:
    leak = site(2, 2.0, "test_x", kind="leak")
    assert on_lines(leak) == [(2, "leaks 2.0 MiB in test_x")]
    assert on_lines(site(2, 18), leak) == [(2, "18.0 MiB in test_a, leaks 2.0 MiB in test_x")]
    small = site(2, 0.1, "test_y", kind="leak")
    assert on_lines(leak, small) == [(2, "leaks up to 2.0 MiB in 2 tests")]


def test_what_counts_as_hot_can_be_set() -> None:
    sites = [site(2, 0.9), site(6, 5, peak_bytes=100 * MIB)]
    assert on_lines(*sites) == []
    assert on_lines(*sites, settings={"hotLines.minimumSize": "500 KB"}) == [
        (2, "921.6 KiB in test_a")
    ]
    assert on_lines(*sites, settings={"hotLines.minimumShare": 5}) == [(6, "5.0 MiB in test_a")]


def test_what_a_line_says_moves_and_goes_with_it() -> None:
    assert on_lines(site(6, 5), now=f"# first\n{SHOP}") == [(7, "5.0 MiB in test_a")]
    assert on_lines(site(6, 5), now=SHOP.replace("7", "8")) == []


def test_only_the_heaviest_lines_say_something() -> None:
    text = "".join(f"x{line} = bytearray({line})\n" for line in range(1, 101))
    told = on_lines(*(site(line, line) for line in range(1, 101)), text=text)
    assert [line for line, _ in told] == list(range(81, 101))


def test_a_line_in_the_only_test_that_allocates_there_leaves_it_to_that_tests_lens() -> None:
    text = "def test_a():\n    x = bytearray(9)\n"
    results = FileResults(Path("/p"), "test_shop.py", sites=[site(2, 5)], sources={1: text})
    assert titles(file(text, results, "test_shop.py")) == [(1, RUN), (1, RUN_ALL)]
    both = replace(results, sites=[site(2, 5), site(2, 3, "test_b")])
    assert (2, "up to 5.0 MiB in 2 tests") in titles(file(text, both, "test_shop.py"))


# Random edits


@given(modules(), st.data())
@settings(max_examples=60, deadline=None)
def test_lenses_stay_in_a_text_that_is_edited_at_random(text: str, data: st.DataObject) -> None:
    measured = [
        result(f"test_a.py::{test.id}{case}", test.line, MIB)
        for test in find_tests(text)
        for case in data.draw(st.sampled_from([[""], ["[1]", "[2]"], []]))
    ]
    line_count = text.count("\n") + 1
    sites = [
        site(data.draw(st.integers(1, line_count)), 2 + number, test.name)
        for number, test in enumerate(measured)
    ]
    results = results_of(text, *measured, sites=sites)
    start, end = sorted(data.draw(st.integers(0, len(text))) for _ in range(2))
    typed = data.draw(st.sampled_from(["", "x", "\n", '"""', "(", "def test_new", "😀\r\n"]))
    now = text[:start] + typed + text[end:]
    for edited in (text, now):
        known = overview(file(edited, results))
        lines = re.split(r"\r\n|\n|\r", edited)
        for lens in lenses(known, Settings(), GRAPHS._replace(resolves=True)):
            assert 0 <= lens.range.start.line < len(lines)
            width = CLIENT.codec.client_num_units(lines[lens.range.start.line])
            assert lens.range.start.character <= lens.range.end.character <= width
            seen = lens if lens.command else resolved(lens, known)
            assert seen.command is not None
            assert seen.command.title
            # Nothing is said to be edited where nothing was.
            assert edited != text or "edited" not in seen.command.title


# Over the protocol

TESTS = """\
import pytest
from shop import load


@pytest.mark.limit_memory("24 MiB")
def test_load():
    load(31 << 20)
"""
STACK = (frame("load", "shop.py", 2), frame("test_load", "test_shop.py", 7))
LOADED = result("test_shop.py::test_load", 6, 31 * MIB, 24 * MIB, stack=STACK)


async def ask(editor: Any, uri: str) -> Sequence[types.CodeLens]:
    document = types.TextDocumentIdentifier(uri)
    return await editor.text_document_code_lens_async(types.CodeLensParams(document)) or ()


@pytest.mark.asyncio
async def test_a_lens_is_resolved_though_the_document_was_edited_or_closed_meanwhile(
    project: Project, open_editor: OpenEditor
) -> None:
    project.write("test_shop.py", TESTS)
    project.run(LOADED)
    editor = await open_editor()
    uri = project.uri("test_shop.py")
    editor.open(uri, TESTS)
    lens = next(lens for lens in await ask(editor, uri) if lens.data and lens.data["test"])
    assert lens.command is None
    editor.change(uri, 2, inserted(7, "    load(1)\n"))
    seen = await editor.code_lens_resolve_async(lens)
    assert seen.command == types.Command("peak 31.0 MiB of 24.0 MiB · edited since", "")
    editor.text_document_did_close(
        types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
    )
    assert (await editor.code_lens_resolve_async(lens)).command == types.Command("", "")


@pytest.mark.asyncio
async def test_lens_and_diagnostic_tell_the_same_leak(
    project: Project, open_editor: OpenEditor
) -> None:
    project.write("test_shop.py", TESTS)
    sizes = (900 * 1024, 300 * 1024)
    leaked = "Leaked 1.2 MiB from 2 call stacks, over the limit of 100.0 KiB for each"
    leaking = result("test_shop.py::test_load", 6, 2 * MIB)._replace(
        checks=(CheckRecord("limit_leaks", 100 * 1024, sizes[0], "exceeded", leaked),),
        stacks=tuple(
            StackRecord("leak", size, 1, (frame("test_load", "test_shop.py", line),))
            for size, line in zip(sizes, (6, 7), strict=True)
        ),
    )
    project.run(leaking, result("test_shop.py::test_other", 1, MIB))
    editor = await open_editor()
    uri = project.uri("test_shop.py")
    editor.open(uri, TESTS)
    await editor.until(lambda: leaked in {mark.message for mark in editor.diagnostics.get(uri, ())})
    assert (6, "peak 2.0 MiB, leaks 1.2 MiB") in await editor.lenses(uri)


@pytest.mark.asyncio
async def test_clients_that_cannot_resolve_commands_have_them_at_once(
    project: Project, open_editor: OpenEditor
) -> None:
    project.write("test_shop.py", TESTS)
    project.run(LOADED)
    capabilities = full_capabilities()
    assert capabilities.text_document is not None
    capabilities.text_document.code_lens = types.CodeLensClientCapabilities(
        resolve_support=types.ClientCodeLensResolveOptions([])
    )
    editor = await open_editor(capabilities=capabilities)
    uri = project.uri("test_shop.py")
    editor.open(uri, TESTS)
    shown = [lens.command and lens.command.title for lens in await ask(editor, uri)]
    assert "peak 31.0 MiB of 24.0 MiB" in shown


@pytest.mark.asyncio
async def test_clients_that_can_show_flame_graphs_are_offered_them(
    project: Project, open_editor: OpenEditor
) -> None:
    project.write("test_shop.py", TESTS)
    project.run(LOADED)
    uri = project.uri("test_shop.py")
    for commands, offered in ((["memlens.showFlameGraph"], 1), ([7, {}], 0), ("nonsense", 0)):
        editor = await open_editor(options={"commands": commands})
        editor.open(uri, TESTS)
        shown = [title for _, title in await editor.lenses(uri)]
        assert shown.count(GRAPH) == offered
    capabilities = full_capabilities()
    assert capabilities.window is not None
    capabilities.window.show_document = types.ShowDocumentClientCapabilities(support=True)
    editor = await open_editor(capabilities=capabilities)
    editor.open(uri, TESTS)
    assert (6, GRAPH) in await editor.lenses(uri)


@pytest.mark.asyncio
async def test_lenses_can_be_turned_off_and_on_while_they_are_shown(
    project: Project, open_editor: OpenEditor
) -> None:
    editor = await open_editor(configuration={"codeLens": {"enabled": False}})
    uri = project.uri("test_shop.py")
    editor.open(uri, TESTS)
    await editor.until(lambda: editor.lens_refreshes)
    assert await editor.lenses(uri) == []
    before = editor.lens_refreshes
    editor.set_configuration({"memlens": {"codeLens": {"enabled": True}}})
    editor.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings=None))
    await editor.until(lambda: editor.lens_refreshes > before)
    assert await editor.lenses(uri) == [(1, RUN_ALL), (6, RUN)]


@pytest.mark.asyncio
async def test_a_long_file_keeps_no_other_waiting(
    project: Project, open_editor: OpenEditor
) -> None:
    long, short = project.uri("test_long.py"), project.uri("test_shop.py")
    editor = await open_editor()
    editor.open(long, "".join(f"def test_{n}():\n    assert load(1)\n\n" for n in range(20_000)))
    editor.open(short, TESTS)
    of_long = asyncio.ensure_future(ask(editor, long))
    of_short = asyncio.ensure_future(ask(editor, short))
    first, _ = await asyncio.wait({of_long, of_short}, return_when=asyncio.FIRST_COMPLETED)
    assert first == {of_short}
    assert len(await of_long) == 20_001


@pytest.mark.asyncio
async def test_lines_of_any_file_and_the_projects_names_for_tests_are_seen(
    project: Project, open_editor: OpenEditor
) -> None:
    shop = "def load(count):\n    return bytearray(count)\n"
    project.write("shop.py", shop)
    project.write("test_shop.py", TESTS)
    project.run(LOADED)
    project.write("pytest.ini", "[pytest]\npython_files = check_*.py\n")
    editor = await open_editor()
    editor.open(project.uri("shop.py"), shop)
    assert await editor.lenses(project.uri("shop.py")) == [(2, "31.0 MiB in test_load")]
    for name, expected in (("check_a.py", [(1, RUN), (1, RUN_ALL)]), ("test_a.py", [])):
        editor.open(project.uri(name), "def test_a(): pass\n")
        assert await editor.lenses(project.uri(name)) == expected
