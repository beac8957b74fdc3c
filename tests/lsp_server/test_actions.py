"""Code actions: what is offered, and that what they write is right."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.workspace import PositionCodec

from memlens.sizes import parse_size
from memlens.store import ResultsReader, TestRecord, database_path
from memlens_lsp.features.actions import (
    Asked,
    Document,
    Proposal,
    limit_from_peak,
    proposal,
    proposals,
)
from memlens_lsp.features.edits import changed
from memlens_lsp.features.head_room import limit_above
from memlens_lsp.features.marker_checks import marker_diagnostics
from memlens_lsp.results import FileResults

from .conftest import OpenEditor
from .helpers import MIB, Editor, Project, frame, full_capabilities, inserted, result

CODEC = PositionCodec()
PEAK = int(31.2 * MIB)


@dataclass
class Known:
    """A project in memory."""

    text: str = ""
    leaking: Sequence[TestRecord] = field(default_factory=list)

    def leaking_test(self, nodeid: str) -> TestRecord | None:
        return next((test for test in self.leaking if test.nodeid == nodeid), None)

    def test_module(self, nodeid: str) -> Document | None:
        return Document("file:///test_a.py", 1, self.text)


def line(number: int) -> types.Range:
    place = types.Position(number - 1, 0)
    return types.Range(place, place)


EVERYWHERE = types.Range(types.Position(0, 0), types.Position(10_000, 0))


def offered(
    text: str, at: int | None, *tests: TestRecord, marks: Sequence[types.Diagnostic] = ()
) -> dict[str, Proposal]:
    """The actions at a line (from 1; None: everywhere), by title."""
    results = FileResults(name="test_a.py", tests=tests, sources={0: text})
    found = proposals(
        Document("file:///test_a.py", 1, text),
        results,
        Asked(EVERYWHERE if at is None else line(at), marks),
        CODEC,
        Known(text, tests),
    )
    assert len({each.key for each in found}) == len(found)
    return {each.title: each for each in found}


def done(action: Proposal) -> str:
    """The text after an action, which must be Python."""
    after = changed(action.document.text, action.changes())
    ast.parse(after)
    return after


def mark(code: str, at: int) -> types.Diagnostic:
    return types.Diagnostic(line(at), "…", code=code, source="memlens")


# Limits

MEASURED = result("test_a.py::test_a", 5, PEAK, 24 * MIB)
LIMITED = 'import pytest\n\n\n@pytest.mark.limit_memory("24 MB")\ndef test_a(): ...\n'
RAISE = "Raise the limit to 35 MB: the peak was 31.2 MiB"


@pytest.mark.parametrize(
    ("written", "after"),
    [
        ('"24 MB"', '"35 MB"'),
        ("'24MiB'", "'35MiB'"),
        ('memory_limit="0.02 gb"', 'memory_limit="0.034 gb"'),
        ('r"24576 KB"', 'r"36000 KB"'),
        ('"24" " MB"', '"35 MB"'),
        ('"24 MB", current_thread_only=True', '"35 MB", current_thread_only=True'),
    ],
)
def test_a_limit_is_raised_in_the_unit_that_it_has(written: str, after: str) -> None:
    (action,) = offered(LIMITED.replace('"24 MB"', written), 4, MEASURED).values()
    assert action.title.startswith("Raise the limit to ")
    assert done(action) == LIMITED.replace('"24 MB"', after)


def test_a_limit_is_lowered_to_what_is_needed() -> None:
    (action,) = offered(LIMITED.replace("24 MB", "1 GB"), 5, MEASURED).values()
    assert action.title == "Lower the limit to 0.034 GB: the peak was 31.2 MiB"
    assert action.kind is types.CodeActionKind.RefactorRewrite


@pytest.mark.parametrize("limit", ["35 MB", "36 MB", "43 MB"])
def test_a_limit_that_is_right_is_left_alone(limit: str) -> None:
    assert offered(LIMITED.replace("24 MB", limit), 5, MEASURED) == {}


@pytest.mark.parametrize("written", ["SIZE", '"24 " + UNIT', 'f"{SIZE} MB"', "*SIZES"])
def test_a_limit_that_is_not_written_there_is_not_set_there(written: str) -> None:
    assert offered(LIMITED.replace('"24 MB"', written), 5, MEASURED) == {}


@pytest.mark.parametrize("call", ["", "()", "(current_thread_only=False)", "(  # none\n)"])
def test_a_missing_limit_is_set_from_the_peak(call: str) -> None:
    text = LIMITED.replace('("24 MB")', call)
    action = offered(text, 4, MEASURED)["Set the limit to 35 MB: the peak was 31.2 MiB"]
    assert '@pytest.mark.limit_memory("35 MB"' in done(action)
    assert marker_diagnostics(done(action), CODEC) == []


@given(st.integers(0, 2**50), st.sampled_from([None, "1 B", "3KB", "24 MB", "1.5 GiB", "nonsense"]))
def test_head_room_is_a_tenth_to_a_fifth_and_two_digits(peak: int, like: str | None) -> None:
    size = limit_above(peak, like)
    limit = parse_size(size)
    assert limit > peak
    digits = size.rstrip("KMGTPiB ").replace(".", "").strip("0")
    assert len(digits) <= 2
    if peak > 4096:
        assert 1.09 < limit / peak < 1.22


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("indent", ["    ", "\t", "  "])
def test_a_limit_is_added_above_the_other_decorators(line_end: str, indent: str) -> None:
    text = (
        f"import pytest\n\n\nclass TestA:\n{indent}@other(\n{indent}{indent}1,\n{indent})\n"
        f"{indent}async def test_a(self):\n{indent}{indent}pass\n"
    ).replace("\n", line_end)
    action = offered(text, 8, result("test_a.py::TestA::test_a", 8, PEAK))[
        "Add a limit of 35 MB: the peak was 31.2 MiB"
    ]
    new = f'{indent}@pytest.mark.limit_memory("35 MB"){line_end}'
    assert done(action) == text.replace(f"{indent}@other", f"{new}{indent}@other")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "import pytest\n\n\n"),
        ("# coding: utf-8\n", "# coding: utf-8\nimport pytest\n\n\n"),
        ('"""Doc."""\n\n', '"""Doc."""\n\nimport pytest\n\n'),
        (
            "from __future__ import annotations\n\n",
            "from __future__ import annotations\n\nimport pytest\n\n",
        ),
        ("import os\n\n\n", "import os\n\nimport pytest\n\n\n"),
        ("import os\n\nimport zoo\n\n\n", "import os\n\nimport pytest\nimport zoo\n\n\n"),
        (
            "from . import helpers\n\n\n",
            "import pytest\n\nfrom . import helpers\n\n\n",
        ),
        (
            "import os\nfrom attrs import (\n    define,\n)\n\n\n",
            "import os\nimport pytest\nfrom attrs import (\n    define,\n)\n\n\n",
        ),
        (
            "if TYPE_CHECKING:\n    import pytest\n\n",
            "import pytest\n\n\nif TYPE_CHECKING:\n    import pytest\n\n",
        ),
        (
            "def f():\n    import pytest\n\n\n",
            "import pytest\n\n\ndef f():\n    import pytest\n\n\n",
        ),
        ("\ufeff", "\ufeffimport pytest\n\n\n"),
    ],
)
def test_pytest_is_imported_where_it_is_missing(before: str, after: str) -> None:
    text = f"{before}def test_a(): ...\n"
    (action,) = offered(text, text.count("\n"), result("test_a.py::test_a", 1, PEAK)).values()
    decorated = '@pytest.mark.limit_memory("35 MB")\ndef test_a(): ...\n'
    assert changed(text, action.changes()) == f"{after}{decorated}"
    ast.parse(f"{after}{decorated}".removeprefix("\ufeff"))


@pytest.mark.parametrize(
    ("imported", "mark"),
    [
        ("import pytest", "pytest.mark"),
        ("import os, pytest as pt", "pt.mark"),
        ("from pytest import fixture, mark", "mark"),
        ("from pytest import (\n    mark as m,\n)", "m"),
    ],
)
def test_what_is_imported_is_used(imported: str, mark: str) -> None:
    text = f"{imported}\n\n\ndef test_a(): ...\n"
    (action,) = offered(text, text.count("\n"), result("test_a.py::test_a", 4, PEAK)).values()
    assert f'@{mark}.limit_memory("35 MB")\ndef test_a' in done(action)
    assert imported in done(action)


ALIAS = """\
import pytest

limit = pytest.mark.limit_memory("10 KB")


def limited(function):
    return limit(function)


class TestA:
    @DECORATOR
    @pytest.mark.parametrize("size", [100_000])
    # The size.
    def test_a(self, size):
        bytes(size)
"""


@pytest.mark.parametrize("decorator", ["limit", "limited"])
def test_a_limit_counts_more_than_one_that_another_decorator_brings(
    decorator: str, project: Project
) -> None:
    text = ALIAS.replace("DECORATOR", decorator)
    file = project.write("test_a.py", text)
    assert outcomes(project) == "1 failed"
    with ResultsReader(database_path(project.root)) as reader:
        (test,) = reader.latest_tests()
    (action,) = (a for t, a in offered(text, 14, test).items() if t.startswith("Add a limit of "))
    file.write_text(done(action))
    assert outcomes(project) == "1 passed"


def test_a_limit_beside_one_of_the_class_is_added_above_the_other_decorators() -> None:
    text = CLASSES.replace("    def test_a", "    @other\n    def test_a")
    test = result("test_a.py::TestA::test_a", 9, 5 * MIB, 2 * MIB)
    found = offered(text, 9, test, marks=[mark("memory-limit-exceeded", 9)])
    after = done(found["Add a limit of 5.5 MB: the peak was 5.0 MiB"])
    assert '    @pytest.mark.limit_memory("5.5 MB")\n    @other\n    def test_a' in after


def test_a_class_gets_a_limit_for_its_heaviest_test() -> None:
    text = "import pytest\n\n\nclass TestA:\n    def test_a(self): ...\n    def test_b(self): ...\n"
    tests = [
        result(f"test_a.py::TestA::test_{n}", 5, size) for n, size in (("a", MIB), ("b", PEAK))
    ]
    title = "Add a limit of 35 MB to all tests of TestA: the largest peak was 31.2 MiB"
    assert list(offered(text, 4, *tests)) == [title]


def test_the_heaviest_case_of_a_parametrized_test_counts() -> None:
    tests = [result(f"test_a.py::test_a[{n}]", 5, n * MIB, 24 * MIB) for n in (1, 40, 3)]
    assert list(offered(LIMITED, 5, *tests)) == [
        "Raise the limit to 44 MB: the largest peak was 40.0 MiB"
    ]


CLASSES = """\
import pytest

pytestmark = pytest.mark.limit_memory("1 MB")


@pytest.mark.limit_memory("2 MB")
class TestA:
    def test_a(self): ...

    @pytest.mark.limit_memory("3 MB")
    def test_b(self): ...


def test_c(): ...
"""


def test_a_marker_is_set_for_the_tests_that_have_no_nearer_one() -> None:
    tests = [
        result("test_a.py::TestA::test_a", 8, 5 * MIB, 2 * MIB),
        result("test_a.py::TestA::test_b", 11, 50 * MIB, 3 * MIB),
        result("test_a.py::test_c", 14, 9 * MIB, 1 * MIB),
    ]
    assert list(offered(CLASSES, 3, *tests)) == [
        "Raise the limit of the module to 9.9 MB: the peak was 9.0 MiB"
    ]
    assert list(offered(CLASSES, 7, *tests)) == [
        "Raise the limit of TestA to 5.5 MB: the peak was 5.0 MiB"
    ]
    assert list(offered(CLASSES, 11, *tests)) == ["Raise the limit to 55 MB: the peak was 50.0 MiB"]
    # It has a limit from its class: another is only offered where that is exceeded.
    assert offered(CLASSES, 8, *tests) == {}
    exceeded = [mark("memory-limit-exceeded", 8)]
    assert list(offered(CLASSES, 8, *tests, marks=exceeded)) == [
        "Raise the limit of TestA to 5.5 MB: the peak was 5.0 MiB",
        "Add a limit of 5.5 MB: the peak was 5.0 MiB",
    ]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (
            '@pytest.mark.limit_memory("1 MB")\n@pytest.mark.limit_memory("2 MB")\n'
            "class TestA:\n    def test_a(self): ...\n",
            "2 MB",
        ),
        (
            '@pytest.mark.limit_memory("1 MB")\nclass TestA:\n    pytestmark = [\n'
            '        pytest.mark.limit_memory("2 MB"),\n        pytest.mark.limit_memory("3 MB"),\n'
            "    ]\n    def test_a(self): ...\n",
            "2 MB",
        ),
    ],
)
def test_of_several_markers_the_one_that_counts_is_set(text: str, counts: str) -> None:
    test = result("test_a.py::TestA::test_a", 4, PEAK, MIB)
    (action,) = offered(text, None, test).values()
    assert done(action) == text.replace(counts, "35 MB")


def test_only_the_definition_that_python_keeps_is_set() -> None:
    text = f"{LIMITED}\n\n{LIMITED}"
    assert offered(text, 5, MEASURED) == {}
    (action,) = offered(text, 12, MEASURED).values()
    assert done(action) == f"{LIMITED}\n\n{LIMITED.replace('24', '35')}"


def test_a_misspelt_marker_is_put_right_before_it_is_set() -> None:
    text = LIMITED.replace("limit_memory", "limit_memroy")
    assert list(offered(text, 4, MEASURED)) == ["Change limit_memroy to limit_memory"]


@pytest.mark.parametrize("code", ["memory-limit-exceeded", "memory-near-limit"])
def test_raising_a_limit_answers_the_diagnostic_about_it(code: str) -> None:
    peak = PEAK if code == "memory-limit-exceeded" else 23 * MIB
    marks = [mark(code, 5), mark("leak-site", 5), mark(code, 1)]
    test = result("test_a.py::test_a", 5, peak, 24 * MIB)
    (action,) = offered(LIMITED, 5, test, marks=marks).values()
    assert action.diagnostics == (marks[0],)
    assert action.kind is types.CodeActionKind.QuickFix


def test_a_limit_is_not_raised_against_an_increase() -> None:
    test = result("test_a.py::test_a", 5, 20 * MIB, 24 * MIB)
    marks = [mark("memory-limit-exceeded", 5)]  # of --fail-on-increase
    assert offered(LIMITED, 5, test, marks=marks) == {}
    nearly = LIMITED.replace("24", "21.5")
    (action,) = offered(nearly, 5, test, marks=marks).values()
    assert (action.title[:5], action.diagnostics) == ("Raise", ())


def test_a_test_that_failed_by_itself_tells_nothing_of_its_limit() -> None:
    failed = result("test_a.py::test_a", 5, MIB, 24 * MIB)._replace(outcome="failed")
    assert offered(LIMITED, 5, failed) == {}


def test_what_was_not_measured_gets_nothing() -> None:
    assert offered(LIMITED, 5) == {}
    assert offered(LIMITED, 1, MEASURED) == {}


def test_the_largest_leak_sets_a_leak_limit() -> None:
    text = LIMITED.replace("limit_memory", "limit_leaks").replace("24 MB", "1 MB")
    leak = result("test_a.py::test_a", 5, PEAK, leak=2 * MIB)
    titles = list(offered(text, 5, leak, marks=[mark("memory-leak", 5)]))
    assert "Raise the leak limit to 2.2 MB: the largest leak was 2.0 MiB" in titles


# Leaks

SHOP = frame("fill_cache", "shop.py", 3)
BODY = frame("test_a", "tests/test_a.py", 7)
LEAKS = """\
import pytest


@pytest.mark.limit_leaks("1 MB")
def test_a():
    shop.fill_cache()
"""


def ignored(text: str, *stacks: Sequence[object], at: int = 5) -> str:
    test = result("test_a.py::test_a", 5, PEAK, leak=2 * MIB, leak_stack=[SHOP, BODY])
    (action,) = (
        each
        for title, each in offered(text, at, test).items()
        if title == "Ignore in test_a what fill_cache leaves behind there (2.0 MiB)"
    )
    return done(action)


def test_a_leak_is_ignored_by_a_function_in_the_test_module() -> None:
    assert (
        ignored(LEAKS)
        == '''\
import pytest
from memlens import Stack


def ignore_fill_cache(stack: Stack) -> bool:
    """Ignore what fill_cache leaves behind when it is called like this."""
    files = ("/shop.py", "/tests/test_a.py")
    frames = [frame for frame in stack.frames if frame.filename.endswith(files)]
    calls = [frame.function for frame in frames]  # the most recent first
    return calls != ["fill_cache", "test_a"]


@pytest.mark.limit_leaks("1 MB", filter_fn=ignore_fill_cache)
def test_a():
    shop.fill_cache()
'''
    )


def test_a_second_leak_is_ignored_beside_the_first() -> None:
    after = ignored(ignored(LEAKS), at=14)
    assert "filter_fn=ignore_fill_cache_2)" in after
    assert 'return ignore_fill_cache(stack) and calls != ["fill_cache", "test_a"]' in after
    assert after.count("import Stack") == 1


@pytest.mark.parametrize(
    ("marker", "after"),
    [
        ('("1 MB", filter_fn=None)', '("1 MB", filter_fn=ignore_fill_cache)'),
        ('("1 MB",)', '("1 MB", filter_fn=ignore_fill_cache,)'),
        (
            '(\n    "1 MB",\n    warmups=1,\n)',
            '(\n    "1 MB",\n    warmups=1,\n    filter_fn=ignore_fill_cache,\n)',
        ),
        (
            '(\n    "1 MB",\n    warmups=1  # twice\n)',
            '(\n    "1 MB",\n    warmups=1,  # twice\n    filter_fn=ignore_fill_cache,\n)',
        ),
        ('(\n    "1 MB")', '(\n    "1 MB",\n    filter_fn=ignore_fill_cache,)'),
        ("(location_limit=SIZE)", "(location_limit=SIZE, filter_fn=ignore_fill_cache)"),
    ],
)
def test_the_marker_uses_the_function_however_it_is_written(marker: str, after: str) -> None:
    assert f"@pytest.mark.limit_leaks{after}\ndef" in ignored(LEAKS.replace('("1 MB")', marker))


@pytest.mark.parametrize("marker", ['("1 MB", filter_fn=lambda stack: True)', "()", ""])
def test_a_marker_that_cannot_take_a_function_is_left_alone(marker: str) -> None:
    test = result("test_a.py::test_a", 5, PEAK, leak=2 * MIB, leak_stack=[SHOP, BODY])
    titles = offered(LEAKS.replace('("1 MB")', marker), 5, test)
    assert not any(title.startswith("Ignore") for title in titles)


def test_a_class_called_stack_is_not_taken_for_ours() -> None:
    after = ignored(
        LEAKS.replace("import pytest\n", "import pytest\nfrom shop import Stack\n", 1), at=6
    )
    assert "import memlens\n" in after
    assert "def ignore_fill_cache(stack: memlens.Stack) -> bool:" in after


def test_line_ends_tabs_and_comments_are_kept() -> None:
    text = (
        "import pytest\n\n\nclass TestA:\n\tpass\n\n# About it.\n"
        '@pytest.mark.limit_leaks("1 MB")\ndef test_a(): ...\n'
    ).replace("\n", "\r\n")
    after = ignored(text, at=9)
    assert "\n" not in after.replace("\r\n", "")
    assert "\r\n\tframes = [" in after
    assert "\r\n    " not in after
    assert "]\r\n\r\n\r\n# About it.\r\n@pytest" in after
    assert "\tpass\r\n\r\n\r\ndef ignore" in after


def test_a_leak_through_names_that_are_no_names_is_ignored_too() -> None:
    stack = [frame('<lambda>"""\n', 'a "b".py', 3), frame("<listcomp>", "test_a.py", 4)]
    test = result("test_a.py::test_a", 5, PEAK, leak=2 * MIB, leak_stack=stack)
    (action,) = (a for t, a in offered(LEAKS, 5, test).items() if t.startswith("Ignore"))
    tree = ast.parse(done(action))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert names == ["ignore_lambda", "test_a"]


def test_deep_recursion_is_ignored_by_its_end() -> None:
    stack = [*[frame("recurse", "shop.py", 3)] * 500, BODY]
    test = result("test_a.py::test_a", 5, PEAK, leak=2 * MIB, leak_stack=stack)
    (action,) = (a for t, a in offered(LEAKS, 5, test).items() if t.startswith("Ignore"))
    after = done(action)
    assert "return calls[:12] != [" in after
    assert max(map(len, after.split("\n"))) <= 88


# Wrong markers


def fixed(marker: str) -> list[tuple[str, str]]:
    """What fixes of a decorator are called, and what they leave of it."""
    text = f"@pytest.mark.{marker}\ndef test_a(): ...\n"
    (end,) = {len(text) - len("\ndef test_a(): ...\n")}
    found = []
    for title, action in offered(text, None).items():
        assert action.kind is types.CodeActionKind.QuickFix
        after = done(action)
        assert len(marker_diagnostics(after, CODEC)) < len(marker_diagnostics(text, CODEC))
        found.append((title, after[len("@pytest.mark.") : end + len(after) - len(text)]))
    return found


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        (
            'limit_memroy("24 MB")',
            [("Change limit_memroy to limit_memory", 'limit_memory("24 MB")')],
        ),
        (
            'limit_memory("24 MB", curent_thread_only=True)',
            [
                (
                    "Change curent_thread_only to current_thread_only",
                    'limit_memory("24 MB", current_thread_only=True)',
                ),
                ("Remove curent_thread_only=True", 'limit_memory("24 MB")'),
            ],
        ),
        (
            'limit_leaks("1 MB", filter=f, filter_fn=g)',
            [("Remove filter=f", 'limit_leaks("1 MB", filter_fn=g)')],
        ),
        (
            'limit_leaks("1 MB", xyz=(1, [2]), warmups=1)',
            [("Remove xyz=(1, [2])", 'limit_leaks("1 MB", warmups=1)')],
        ),
        (
            'limit_leaks("1 MB", warmups=-1,)',
            [("Remove warmups=-1", 'limit_leaks("1 MB",)')],
        ),
        (
            'limit_memory("1 MB", memory_limit="2 MB")',
            [('Remove memory_limit="2 MB"', 'limit_memory("1 MB")')],
        ),
        (
            'limit_memory("1 MB", 2, 3, current_thread_only=True)',
            [
                (
                    "Remove the 2 arguments from 2 on",
                    'limit_memory("1 MB", current_thread_only=True)',
                )
            ],
        ),
        ("limit_leaked_objects(3,)", [("Remove 3", "limit_leaked_objects()")]),
        (
            "limit_leaked_objects(3, filter_fn=f)",
            [("Remove 3", "limit_leaked_objects(filter_fn=f)")],
        ),
        ('limit_memory("24 M")', [('Change "24 M" to "24 MB"', 'limit_memory("24 MB")')]),
        (
            "limit_memory('1,5 gigs')",
            [("Change '1,5 gigs' to \"1.5 GB\"", "limit_memory('1.5 GB')")],
        ),
        ("limit_memory(24)", [('Change 24 to "24 MB"', 'limit_memory("24 MB")')]),
        ("limit_memory(25165824)", [('Change 25165824 to "24 MB"', 'limit_memory("24 MB")')]),
        ("limit_memory(5000)", [('Change 5000 to "5000 B"', 'limit_memory("5000 B")')]),
        ("limit_memory('٣ MB')", [("Change '٣ MB' to \"3 MB\"", "limit_memory('3 MB')")]),
        (
            f"limit_memory({2**1300})",
            [(f'Change {2**1300} to "{2**1250} PB"', f'limit_memory("{2**1250} PB")')],
        ),
        (
            'limit_memory(limit="24 MB")',
            [("Change limit to memory_limit", 'limit_memory(memory_limit="24 MB")')],
        ),
        (
            "limit_leaks(limit=SIZE, warmups=1)",
            [("Change limit to location_limit", "limit_leaks(location_limit=SIZE, warmups=1)")],
        ),
        (
            'limit_memory(memory_limt="24 MB", current_thread_only=True)',
            [
                (
                    "Change memory_limt to memory_limit",
                    'limit_memory(memory_limit="24 MB", current_thread_only=True)',
                )
            ],
        ),
        ("limit_memory(xyz=1)", []),
        ("limit_memory(*sizes, xyz=1)", [("Remove xyz=1", "limit_memory(*sizes)")]),
        ('limit_memory("much")', []),
        ("limit_memory(None)", []),
        (
            'limit_leaks("1 MB",  # a limit\n    wamups=1,  # why\n    filter_fn=f)',
            [
                (
                    "Change wamups to warmups",
                    'limit_leaks("1 MB",  # a limit\n    warmups=1,  # why\n    filter_fn=f)',
                ),
                ("Remove wamups=1", 'limit_leaks("1 MB",  # a limit\n    filter_fn=f)'),
            ],
        ),
    ],
)
def test_a_wrong_marker_is_put_right(marker: str, expected: list[tuple[str, str]]) -> None:
    assert fixed(marker) == expected


def test_a_wrong_limit_is_set_from_the_peak_as_a_quick_fix() -> None:
    text = LIMITED.replace('"24 MB"', '"24 XB", wrong=1').replace(
        "@pytest", "@pytest.mark.limit_leaks()\n@pytest", 1
    )
    marks = marker_diagnostics(text, CODEC)
    action = offered(text, 6, MEASURED, marks=marks)[
        "Set the limit to 35 MB: the peak was 31.2 MiB"
    ]
    assert [mark.message[:35] for mark in action.diagnostics] == [
        "limit_memory: '24 XB' is not a memo"
    ]
    assert action.kind is types.CodeActionKind.QuickFix


def test_a_fix_answers_its_own_diagnostic_only() -> None:
    text = '@pytest.mark.limit_leaks("24 M", warmups=-1)\ndef test_a(): ...\n'
    marks = marker_diagnostics(text, CODEC)
    for title, action in offered(text, 1, marks=marks).items():
        (answered,) = action.diagnostics
        assert answered is marks["warmups" in title]


# Any file

HEADS = ("", "# coding: utf-8\n", '"""Doc."""\n', "from __future__ import annotations\n", "x = 1\n")
IMPORTS = ("", "import os\n", "import pytest\n", "import shop, pytest\n", "from . import x\n")
MARKERS = (
    "",
    '@pytest.mark.limit_memory("24 MB")\n',
    "@pytest.mark.limit_memory(24)\n",
    "@pytest.mark.limit_memroy\n",
    '@pytest.mark.limit_leaks(\n    "1 MB",\n    warmups=-1,  # why\n)\n',
    '@pytest.mark.limit_leaks("1 MB", filter_fn=None, wrong=f(1, x=2))\n',
    "@pytest.mark.limit_leaked_objects(1, 2,)\n",
    "# A comment.\n@other(\n    1\n)\n",
)


FILES = st.tuples(
    st.sampled_from(HEADS),
    st.lists(st.sampled_from(IMPORTS), max_size=3).map("".join),
    st.lists(st.sampled_from(MARKERS), max_size=3).map("".join),
    st.sampled_from(["", "class TestA:\n    x = 1\n\n", "if True:\n    pass\nelse:\n"]),
)


@given(
    FILES,
    st.sampled_from(["    ", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "\ufeff"]),
)
def test_whatever_is_done_to_whatever_file_it_stays_python(
    file: tuple[str, str, str, str], indent: str, line_end: str, byte_order_mark: str
) -> None:
    head, imports, markers, around = file
    margin = "    " if around else ""
    test = "".join(f"{margin}{line}\n" for line in f"{markers}def test_a(): ...".split("\n"))
    text = f"{head}{imports}\n{around}{test}"
    text = byte_order_mark + text.replace("    ", indent).replace("\n", line_end)
    ast.parse(text.removeprefix("\ufeff"))
    name = "TestA::test_a" if "class" in around else "test_a"
    at = len(re.findall("\r\n|\n|\r", text))
    measured = result(
        f"test_a.py::{name}", at, PEAK, MIB, leak=2 * MIB, leak_stack=[SHOP, BODY], path="test_a.py"
    )
    before = len(marker_diagnostics(text, CODEC))
    for title, action in offered(text, None, measured).items():
        after = changed(text, action.changes())
        tree = ast.parse(after.removeprefix("\ufeff"))
        ends = set(re.findall("\r\n|\n|\r", after))
        assert ends == {line_end}
        assert after.startswith("\ufeff") == bool(byte_order_mark)
        assert not ("\t" in text and "    " in after)
        if title.startswith(("Change", "Remove")):
            assert len(marker_diagnostics(after, CODEC)) <= before
        else:
            names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
            assert (
                "pytest" not in names
                or "pytest"
                in {
                    alias.asname or alias.name
                    for node in tree.body
                    if isinstance(node, ast.Import)
                    for alias in node.names
                }
                or not title.startswith("Add")
            )


PIECES = (
    "import pytest",
    "from pytest import mark as m",
    "@m.",
    "@pytest.mark.",
    'limit_memory("24 MB")',
    "limit_leaks(",
    "limit_memory",
    '"1 XB"',
    "wrong=1",
    "filter_fn=f",
    ", ",
    "*a",
    ")",
    '"',
    '"""',
    "\\",
    "\n",
    "\n    ",
    "def test_a():",
    "class TestA:",
    "pytestmark = [",
    "# ",
    "🎈",
    "\x00",
    "\x0c",
)


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_text_that_is_no_python_is_borne(text: str) -> None:
    leaks = [
        result(f"test_a.py::{name}", 1, PEAK, MIB, leak=2 * MIB, leak_stack=[SHOP, BODY])
        for name in ("test_a", "TestA::test_a")
    ]
    for action in offered(text, None, *leaks).values():
        assert changed(text, action.changes()) != text


# Later


def test_an_action_is_found_again_by_its_key() -> None:
    test = result("test_a.py::test_a", 5, PEAK, 24 * MIB, leak=2 * MIB, leak_stack=[SHOP, BODY])
    text = LIMITED.replace("@pytest", '@pytest.mark.limit_leaks("1 MB", wrmups=1)\n@pytest', 1)
    results = FileResults(name="test_a.py", tests=[test], sources={0: text})
    document = Document("file:///test_a.py", 1, text)
    known = Known(text, [test])
    found = offered(text, None, test)
    assert len(found) == 5
    assert len({action.key[0] for action in found.values()}) == 3
    for title, action in found.items():
        again = proposal(document, results, list(action.key), known)
        assert again is not None
        assert (again.title, done(again)) == (title, done(action))


@pytest.mark.parametrize(
    "key",
    [
        None,
        3,
        [],
        ["limit"],
        ["limit", "limit_memory", 3],
        ["limit", "limit_leaked_objects", "test_a"],
        ["limit", "limit_memory", "test_gone"],
        ["ignore", "test_a.py::test_a", "f", "a.py", "3"],
        ["ignore", "test_b.py::test_a", "f", "a.py", 3],
        ["fix", 7, "Remove x"],
        ["other", 1, 2],
    ],
)
def test_a_key_of_nothing_finds_nothing(key: object) -> None:
    results = FileResults(name="test_a.py", tests=[MEASURED])
    assert proposal(Document("file:///a", 1, LIMITED), results, key, Known(LIMITED)) is None


@pytest.mark.parametrize(
    ("text", "test", "reason"),
    [
        (LIMITED, "test_b", "there is no test_b in the file any more"),
        (f"{LIMITED}def test_b(): ...\n", "test_b", "test_b has not been measured: run it"),
        (LIMITED.replace('"24 MB"', "SIZE"), "test_a", "the limit of test_a is not written there"),
        (LIMITED.replace('"24 MB"', "*SIZES"), "test_a", "limit of test_a is not written there"),
        (
            LIMITED.replace("_memory", "_memroy"),
            "test_a",
            "there is no marker limit_memroy: correct",
        ),
        (LIMITED, "", "there is no limit for all tests in the file"),
        (LIMITED.replace("24", "35"), "test_a", 'test_a, "35 MB", is right for its peak already'),
    ],
)
def test_the_command_says_why_it_does_nothing(text: str, test: str, reason: str) -> None:
    results = FileResults(name="test_a.py", tests=[MEASURED])
    answer = limit_from_peak(Document("file:///a", 1, text), results, test)
    assert isinstance(answer, str)
    assert reason in answer


# In an editor, and in a real run


class User:
    """Somebody who asks an editor for actions, and takes them."""

    def __init__(self, editor: Editor, uri: str) -> None:
        self.editor = editor
        self.uri = uri

    async def ask(
        self, at: int, *only: str, marks: Sequence[types.Diagnostic] | None = ()
    ) -> list[types.CodeAction]:
        context = types.CodeActionContext(diagnostics=list(marks or ()), only=list(only) or None)
        document = types.TextDocumentIdentifier(self.uri)
        answer = await self.editor.text_document_code_action_async(
            types.CodeActionParams(document, line(at), context)
        )
        actions = [each for each in answer or () if isinstance(each, types.CodeAction)]
        assert len(actions) == len(answer or ())
        return actions

    async def choose(self, title: str, at: int) -> types.CodeAction:
        (action,) = (each for each in await self.ask(at) if each.title.startswith(title))
        return await self.editor.code_action_resolve_async(action)


def applied(text: str, edits: Sequence[object]) -> str:
    """The text after an edit, as a client makes it: one with UTF-16."""
    lines = [0]
    for found in re.finditer(r"\r\n|\n|\r", text):
        lines.append(found.end())

    def offset(place: types.Position) -> int:
        rest = text[lines[place.line] :].encode("utf-16-le")[: 2 * place.character]
        return lines[place.line] + len(rest.decode("utf-16-le"))

    for edit in reversed(edits):
        assert isinstance(edit, types.TextEdit)
        start, end = offset(edit.range.start), offset(edit.range.end)
        text = text[:start] + edit.new_text + text[end:]
    return text


def edits_of(action: types.CodeAction, uri: str, version: int | None) -> list[types.TextEdit]:
    assert action.edit is not None
    (change,) = action.edit.document_changes or ()
    assert isinstance(change, types.TextDocumentEdit)
    assert (change.text_document.uri, change.text_document.version) == (uri, version)
    edits = [edit for edit in change.edits if isinstance(edit, types.TextEdit)]
    return sorted(edits, key=lambda edit: (edit.range.start.line, edit.range.start.character))


@pytest.fixture
def limited(project: Project) -> str:
    project.write("test_a.py", LIMITED)
    project.run(MEASURED)
    return project.uri("test_a.py")


@pytest.mark.asyncio
async def test_an_action_gets_its_changes_when_it_is_chosen(editor: Editor, limited: str) -> None:
    assert editor.server_capabilities.code_action_provider == types.CodeActionOptions(
        code_action_kinds=("quickfix", "refactor.rewrite"), resolve_provider=True
    )
    text = LIMITED.replace("import pytest", 'x = "🎈"; import pytest')
    editor.open(limited, text, version=7)
    user = User(editor, limited)
    (action,) = await user.ask(5)
    assert (action.title, action.kind, action.edit) == (RAISE, "refactor.rewrite", None)
    chosen = await user.choose(RAISE, 5)
    assert applied(text, edits_of(chosen, limited, 7)) == text.replace("24 MB", "35 MB")


@pytest.mark.asyncio
async def test_a_diagnostic_brings_its_quick_fix(editor: Editor, limited: str) -> None:
    editor.open(limited, LIMITED)
    marks = await editor.until(lambda: editor.diagnostics.get(limited))
    user = User(editor, limited)
    (action,) = await user.ask(5, "quickfix", marks=marks)
    assert (action.title, action.kind) == (RAISE, "quickfix")
    assert action.diagnostics == marks
    assert await user.ask(5, "quickfix") == []
    assert await user.ask(5, "refactor.extract", "source", marks=marks) == []
    assert len(await user.ask(5, "refactor")) == 1


@pytest.mark.asyncio
async def test_a_wrong_marker_is_fixed_from_its_diagnostic(
    editor: Editor, project: Project
) -> None:
    text = '@pytest.mark.limit_memroy("24 MB")\ndef test_a(): ...\n'
    uri = project.uri("test_b.py")
    editor.open(uri, text)
    marks = await editor.until(lambda: editor.diagnostics.get(uri))
    user = User(editor, uri)
    (action,) = await user.ask(1, marks=marks)
    assert (action.title, action.is_preferred) == ("Change limit_memroy to limit_memory", True)
    assert action.diagnostics == marks
    edits = edits_of(await user.choose("Change", 1), uri, 1)
    assert applied(text, edits) == text.replace("memroy", "memory")


@pytest.mark.asyncio
async def test_an_action_of_an_older_text_is_worked_out_anew_or_does_nothing(
    editor: Editor, project: Project, limited: str
) -> None:
    text = LIMITED.replace('"24 MB"', '"24 MB", wrong=1')
    editor.open(limited, text)
    user = User(editor, limited)
    remove, limit = await user.ask(4)
    assert [remove.title, limit.title] == ["Remove wrong=1", RAISE]
    editor.change(limited, 2, inserted(1, "# new\n"))
    newer = await editor.code_action_resolve_async(limit)
    assert applied(f"# new\n{text}", edits_of(newer, limited, 2)) == (
        f"# new\n{text}".replace("24 MB", "35 MB")
    )
    assert (await editor.code_action_resolve_async(remove)).edit is None
    # By now it would be another limit than the one that was chosen.
    project.run(result("test_a.py::test_a", 5, 100 * MIB, 24 * MIB))
    await editor.until(
        lambda: any("104857600" in mark.message for mark in editor.diagnostics[limited])
    )
    assert (await editor.code_action_resolve_async(limit)).edit is None
    editor.text_document_did_close(
        types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(limited))
    )
    assert (await editor.code_action_resolve_async(limit)).edit is None


@pytest.mark.asyncio
@pytest.mark.parametrize("data", [None, 3, {}, {"uri": 3}, {"uri": "file:///x", "key": {}}])
async def test_an_action_that_is_not_ours_is_left_alone(
    editor: Editor, limited: str, data: object
) -> None:
    editor.open(limited, LIMITED)
    if isinstance(data, dict) and "key" in data:
        data["uri"] = limited
    action = types.CodeAction("Do it", data=data)
    assert await editor.code_action_resolve_async(action) == action


@pytest.mark.asyncio
async def test_a_client_that_resolves_nothing_gets_changes_at_once(
    open_editor: OpenEditor, limited: str
) -> None:
    capabilities = full_capabilities()
    assert capabilities.text_document is not None
    assert capabilities.text_document.code_action is not None
    assert capabilities.workspace is not None
    capabilities.text_document.code_action.resolve_support = None
    capabilities.workspace.workspace_edit = None
    editor = await open_editor(capabilities=capabilities)
    assert editor.server_capabilities.code_action_provider == types.CodeActionOptions(
        code_action_kinds=("quickfix", "refactor.rewrite")
    )
    editor.open(limited, LIMITED)
    (action,) = await User(editor, limited).ask(5)
    assert (action.data, action.edit is not None) == (None, True)
    assert action.edit is not None
    (edits,) = (action.edit.changes or {}).values()
    assert applied(LIMITED, edits) == LIMITED.replace("24 MB", "35 MB")


@pytest.mark.asyncio
async def test_an_old_client_gets_a_command_that_does_the_same(
    open_editor: OpenEditor, limited: str
) -> None:
    capabilities = full_capabilities()
    assert capabilities.text_document is not None
    capabilities.text_document.code_action = types.CodeActionClientCapabilities()
    editor = await open_editor(capabilities=capabilities)
    asked = answering_edits(editor)
    editor.open(limited, LIMITED)
    context = types.CodeActionContext(diagnostics=[])
    (command,) = (
        await editor.text_document_code_action_async(
            types.CodeActionParams(types.TextDocumentIdentifier(limited), line(5), context)
        )
        or ()
    )
    assert isinstance(command, types.Command)
    assert command.title == RAISE
    await editor.workspace_execute_command_async(
        types.ExecuteCommandParams(command.command, command.arguments)
    )
    (edit,) = asked
    assert edit.label == RAISE


def answering_edits(
    editor: Editor, *, applies: bool = True
) -> list[types.ApplyWorkspaceEditParams]:
    """Have the editor apply what the server asks for, or not; what it is asked is kept."""
    asked = []

    def apply(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
        asked.append(params)
        return types.ApplyWorkspaceEditResult(
            applied=applies, failure_reason=None if applies else "it is read-only"
        )

    editor.protocol.fm.features.pop(types.WORKSPACE_APPLY_EDIT, None)
    editor.protocol.fm.feature(types.WORKSPACE_APPLY_EDIT)(apply)
    return asked


async def set_limit(editor: Editor, uri: str, test: str) -> None:
    await editor.workspace_execute_command_async(
        types.ExecuteCommandParams("memlens.setLimitFromPeak", [{"uri": uri, "test": test}])
    )


@pytest.mark.asyncio
async def test_a_command_sets_the_limit_of_a_file_that_is_not_even_open(
    editor: Editor, limited: str
) -> None:
    asked = answering_edits(editor)
    await editor.until(lambda: editor.diagnostics.get(limited))
    await set_limit(editor, limited, "test_a[case]")
    (params,) = asked
    assert params.edit.document_changes is not None
    (change,) = params.edit.document_changes
    assert isinstance(change, types.TextDocumentEdit)
    assert (change.text_document.uri, change.text_document.version) == (limited, None)
    assert applied(LIMITED, change.edits) == LIMITED.replace("24 MB", "35 MB")


@pytest.mark.asyncio
async def test_a_command_that_can_do_nothing_says_so(editor: Editor, limited: str) -> None:
    asked = answering_edits(editor, applies=False)
    editor.open(limited, LIMITED)
    await editor.until(lambda: editor.diagnostics.get(limited))
    await set_limit(editor, limited, "test_b")
    await set_limit(editor, limited.replace("test_a", "test_gone"), "test_b")
    await set_limit(editor, limited, "test_a")
    await editor.until(lambda: len(editor.messages) == 3)
    said = [message.message for message in editor.messages]
    assert said[0] == "memlens: there is no test_b in the file any more"
    assert said[1].endswith("test_gone.py cannot be read")
    assert said[2] == f"memlens: {RAISE}: it is read-only"
    assert len(asked) == 1
    with pytest.raises(JsonRpcException, match="takes one argument"):
        await editor.workspace_execute_command_async(
            types.ExecuteCommandParams("memlens.setLimitFromPeak", ["test_a"])
        )


@pytest.mark.asyncio
async def test_documents_that_nobody_knows_have_no_actions(
    editor: Editor, project: Project
) -> None:
    assert await User(editor, project.uri("never_opened.py")).ask(1) == []
    editor.open("untitled:1", LIMITED)
    assert await User(editor, "untitled:1").ask(5) == []
    editor.open(project.uri("test_c.py"), LIMITED)
    assert await User(editor, project.uri("test_c.py")).ask(10_000) == []


LEAKING = """\
_cache = []


def fill(size):
    _cache.append(bytearray(size))


def load(size):
    fill(size)
"""
LEAKING_TEST = """\
from shop.cache import load


class TestSessions:
    @pytest.mark.limit_leaks("100 KB")
    def test_sessions_are_forgotten(self):
        load(3 * 1024 * 1024)
        load(2 * 1024 * 1024)

    @pytest.mark.limit_leaks("100 KB")
    def test_elsewhere(self):
        self.kept.append(bytearray(1024 * 1024))

    kept = []
"""


@pytest.mark.asyncio
async def test_what_an_action_writes_makes_a_leaking_test_pass(
    editor: Editor, project: Project
) -> None:
    project.write("pytest.ini", "[pytest]\npythonpath = .\n")
    project.write("shop/__init__.py", "")
    project.write("shop/cache.py", LEAKING)
    test = project.write("tests/test_sessions.py", f"import pytest\n\n{LEAKING_TEST}")
    assert outcomes(project) == "2 failed"
    site = project.uri("shop/cache.py")
    marks = await editor.until(lambda: editor.diagnostics.get(site))
    # The leak is in one file, what ignores it is written into another, which is not open.
    editor.open(site, LEAKING)
    (action,) = await User(editor, site).ask(5, marks=marks)
    assert action.title.startswith(
        "Ignore in test_sessions_are_forgotten what fill leaves behind there (5.0 MiB"
    )
    assert action.diagnostics == marks
    chosen = await editor.code_action_resolve_async(action)
    edits = edits_of(chosen, project.uri("tests/test_sessions.py"), None)
    after = applied(test.read_text(), edits)
    ast.parse(after)
    test.write_text(after)
    assert outcomes(project) == "1 failed, 1 passed"


@pytest.mark.asyncio
async def test_limits_that_actions_write_hold(editor: Editor, project: Project) -> None:
    text = (
        "def test_a():\n    kept = bytearray(30 * 1024 * 1024)\n\n\n"
        "class TestB:\n    def test_b(self):\n        kept = bytearray(5 * 1024 * 1024)\n"
    )
    file = project.write("test_a.py", text)
    assert outcomes(project) == "2 passed"
    uri = project.uri("test_a.py")
    editor.open(uri, text)
    user = User(editor, uri)
    for version, (title, at) in enumerate((("Add a limit of", 1), ("Add a limit of", 9)), start=2):
        chosen = await user.choose(title, at)
        text = applied(text, edits_of(chosen, uri, version - 1))
        editor.change(uri, version, types.TextDocumentContentChangeWholeDocument(text))
    assert text.count("@pytest.mark.limit_memory(") == 2
    file.write_text(text)
    assert outcomes(project) == "2 passed"
    with ResultsReader(database_path(project.root)) as reader:
        checks = [check for test in reader.latest_tests() for check in test.checks]
    assert [check.verdict for check in checks] == ["passed", "passed"]
    for check in checks:
        assert check.measured_bytes * 1.09 < check.limit_bytes < check.measured_bytes * 1.22


def outcomes(project: Project) -> str:
    """What a real run says at its end."""
    command = (sys.executable, "-m", "pytest", "--memray", "-q", "-p", "no:cacheprovider")
    run = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    return run.stdout.strip().rpartition("\n")[2].partition(" in ")[0]
