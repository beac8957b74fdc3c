"""Code actions that set, raise, lower and add limits."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from memlens.sizes import parse_size
from memlens.store import ResultsReader, database_path
from memlens_lsp.features.edits import changed
from memlens_lsp.features.head_room import limit_above
from memlens_lsp.features.marker_checks import marker_diagnostics

from .helpers import MIB, Project, result
from .offered_actions import CODEC, LIMITED, MEASURED, PEAK, done, mark, offered, outcomes


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
