"""Finding tests in source text."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path, PurePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memlens_lsp.pytest_configuration import PytestConfigurations
from memlens_lsp.tests_in_source import (
    ClassInSource,
    CollectionRules,
    TestInSource,
    definitions,
    find,
    find_tests,
    id_in_file,
    is_test_file,
)

from .random_modules import modules

SOURCES = Path(__file__).parent / "sources"

SOURCE = """\
import unittest, pytest
from django.test import TestCase as Case, TransactionTestCase


def test_a(): pass
async def test_b(): pass
def helper():
    def test_inner(): pass
@pytest.mark.slow
@pytest.mark.parametrize("x", [
    1,
])
def test_c(x): pass
@pytest.fixture
def test_data(): pass
@pytest.fixture(scope="module")
def test_more_data(): pass


class TestCart:
    def test_total(self): pass
    def total(self): pass
    class TestNested:
        async def test_deep(self): pass
    class Helper:
        def test_no(self): pass
class TestWithInit:
    def __init__(self): pass
    def test_no(self): pass
class Other:
    def test_no(self): pass
class Cases(unittest.TestCase):
    def __init__(self, name): super().__init__(name)
    def testCamel(self): pass
    class TestInside:
        def test_no(self): pass
class Transactions(TransactionTestCase):
    def test_it(self): pass
if True:
    def test_conditional(): pass
else:
    class TestElse:
        def test_it(self): pass
try:
    pass
except ImportError:
    def test_fallback(): pass
"""
IDS = [
    "test_a",
    "test_b",
    "test_c",
    "TestCart::test_total",
    "TestCart::TestNested::test_deep",
    "Cases::testCamel",
    "Transactions::test_it",
    "test_conditional",
    "TestElse::test_it",
    "test_fallback",
]


def ids(text: str) -> list[str]:
    return [test.id for test in find_tests(text)]


def test_tests_are_found_as_pytest_collects_them() -> None:
    assert ids(SOURCE) == IDS


def collected(folder: Path, *arguments: str) -> dict[str, set[str]]:
    """What pytest collects in *folder*: ids without parameters, by the name of the file."""
    # Only pytest itself, whatever plugins are installed and however this run was started.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    found: dict[str, set[str]] = {}
    for nodeid in re.findall(r"^\S+?\.py::.+$", done.stdout, re.MULTILINE):
        found.setdefault(nodeid.partition("::")[0], set()).add(id_in_file(nodeid))
    return found


def test_real_pytest_collects_the_same(tmp_path: Path) -> None:
    expected = {}
    for source in SOURCES.glob("*.txt"):
        text = source.read_text(encoding="utf-8")
        (tmp_path / f"test_{source.stem}.py").write_text(text, encoding="utf-8")
        expected[f"test_{source.stem}.py"] = set(ids(text))
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    assert collected(tmp_path) == expected


def test_real_pytest_collects_the_same_by_the_projects_own_rules(tmp_path: Path) -> None:
    text = (
        "import unittest\n"
        "class CheckA:\n    def it_works(self): pass\n    def test_no(self): pass\n"
        "class CartSuite:\n    def check_this(self): pass\n    def its_no(self): pass\n"
        "class TestNo:\n    def it_does_not(self): pass\n"
        "class Cases(unittest.TestCase):\n    def test_it(self): pass\n    def it_no(self): pass\n"
        "def it_works(): pass\ndef check_that(): pass\ndef checkout(): pass\ndef test_no(): pass\n"
    )
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\n"
        'python_files = ["check_*.py", "deep/*_suite.py"]\n'
        'python_classes = "Check *Suite"\n'
        "python_functions = ['it_', 'check_t*']\n",
        encoding="utf-8",
    )
    names = ["check_a.py", "a_suite.py", "deep/a_suite.py", "deep/b.py", "test_a.py"]
    (tmp_path / "deep").mkdir()
    for name in names:
        (tmp_path / name).write_text(text, encoding="utf-8")
    configurations = PytestConfigurations()
    expected = {}
    for name in names:
        rules = configurations.rules_for(tmp_path / name)
        if is_test_file(tmp_path / name, rules):
            expected[name] = {test.id for test in find_tests(text, rules)}
    assert expected.keys() == {"check_a.py", "deep/a_suite.py"}
    assert collected(tmp_path, "--import-mode=importlib") == expected


@pytest.mark.parametrize("name", ["functions", "classes"])
def test_lines_are_those_of_the_syntax_tree(name: str) -> None:
    text = (SOURCES / f"{name}.txt").read_text(encoding="utf-8")
    places = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            places[node.lineno] = (first, node.end_lineno)
    found = find(text)
    assert len(found.tests) > 10
    every: list[TestInSource | ClassInSource] = [*found.tests, *found.classes]
    for one in every:
        assert (one.first_line, one.last_line) == places[one.line], one


def test_classes_are_found_with_their_tests() -> None:
    found = find(SOURCE).classes
    assert [(one.id, one.line, one.last_line) for one in found] == [
        ("TestCart", 20, 26),
        ("TestCart::TestNested", 23, 24),
        ("Cases", 32, 36),
        ("Transactions", 37, 38),
        ("TestElse", 42, 43),
    ]


def test_a_class_that_inherits_from_elsewhere_may_have_tests() -> None:
    text = (
        "from a import BaseTests, Model\nclass TestA(BaseTests): pass\nclass TestB(Model): pass\n"
    )
    assert [one.id for one in find(text).classes] == ["TestA"]


def test_the_line_is_that_of_the_def_not_of_its_decorators() -> None:
    (test,) = [test for test in find_tests(SOURCE) if test.id == "test_c"]
    assert SOURCE.splitlines()[test.line - 1] == "def test_c(x): pass"
    assert test == TestInSource("test_c", 13, 9, 13)


def test_definitions_are_found_whatever_they_are_called() -> None:
    text = "class Check:\n    def it_works(self): pass\n\ndef check(): pass\ndef check(): pass\n"
    assert {name: [one.line for one in found] for name, found in definitions(text).items()} == {
        "Check": [1],
        "Check::it_works": [2],
        "check": [4, 5],
    }


# While someone types


@pytest.mark.parametrize("typed", ["def test_new(\n", "x = (\n", "class \n", "'''\n", "\0\n"])
def test_tests_stay_known_while_the_text_does_not_parse(typed: str) -> None:
    assert [test for test in ids(SOURCE + typed) if test != "test_new"] == IDS


def test_a_text_that_does_not_parse_gives_the_same_lines() -> None:
    assert find_tests(f"{SOURCE}x = (\n") == find_tests(SOURCE)


DOCUMENTED = '''\
"""What a shop's tests don't do. See issue #12."""
import pytest

HTML = """
<p>def test_in_html(): pass</p>
"""


@pytest.fixture
def test_shop():
    """A shop, with nothing sold yet."""
    return Shop()


class TestCart:
    """A cart: it isn't empty."""

    def test_total(self, test_shop):
        """Adds prices up (see issue #3)."""
        assert test_shop.total("a") == 0

    @pytest.mark.parametrize("name", ["a",
                                      "b"])
    def test_names(self, name):
        assert name


def test_other(pytester):
    \'\'\'Runs pytest in pytest.\'\'\'
    pytester.makepyfile("""
        def test_in_test(): pass
    """)


def test_last():
    """The last one."""
'''
DOCUMENTED_IDS = ["TestCart::test_total", "TestCart::test_names", "test_other", "test_last"]


@pytest.mark.parametrize(
    "typed", ['"""', 'x = """', "'''", "x = (", "foo([{", "'", "@", "\\", "if"]
)
def test_what_is_being_typed_on_a_line_hides_no_test(typed: str) -> None:
    assert ids(DOCUMENTED) == DOCUMENTED_IDS
    lines = DOCUMENTED.split("\n")
    before = [number for number, line in enumerate(lines) if line.strip().startswith(("def", "@"))]
    for number in [*before, len(lines) - 1]:
        indent = re.match(" *", lines[number])
        assert indent is not None
        for space in {"", indent[0], "    "}:
            text = "\n".join([*lines[:number], space + typed, *lines[number:]])
            assert ids(text) == DOCUMENTED_IDS, text


def test_quotes_that_were_deleted_hide_no_test() -> None:
    for quotes in re.finditer(r'"""', DOCUMENTED):
        text = DOCUMENTED[: quotes.start()] + DOCUMENTED[quotes.end() :]
        found = ids(text)
        assert [test for test in found if not test.startswith("test_in_")] == DOCUMENTED_IDS, text


def test_a_line_at_the_margin_does_not_end_the_class_that_it_is_typed_in() -> None:
    for typed in ("x", "self.", "foo(", "return [1,"):
        text = DOCUMENTED.replace("    @pytest", f"{typed}\n    @pytest")
        assert ids(text) == DOCUMENTED_IDS


def test_strings_inside_strings_of_newer_pythons_hide_no_test() -> None:
    texts = ['f"{x["a"]}"', 'f"{x["("]}"', "f'{'#'}'", 'f"{f"{f"{1}"}"}"', 't"{x["a"]}"']
    for string in texts:
        text = f"def test_a():\n    x = {string}\n\ndef test_b():\n    assert {string}\n"
        assert ids(text) == ["test_a", "test_b"]


def test_a_block_that_is_not_run_has_no_tests() -> None:
    text = "if __name__ == '__main__':\n    def test_a(): pass\nelse:\n    def test_b(): pass\n"
    assert ids(text) == ["test_b"]


@pytest.mark.parametrize("end", ["\r\n", "\r"])
@pytest.mark.parametrize("tail", ["", "("])
def test_any_line_end_counts(end: str, tail: str) -> None:
    text = f"\ufeffx = '\x0c\u2028'\ndef test_a(): pass\n{tail}".replace("\n", end)
    assert [test.line for test in find_tests(text)] == [2]


@pytest.mark.parametrize(
    "text",
    [
        "class A(A): pass\n",
        "".join(f"class Test{n}(Test{n - 1}):\n    def test_{n}(self): pass\n" for n in range(300)),
        "".join("  " * n + f"class Test{n}:\n" for n in range(300)),
        "class Test0:\n    def test_a(self): pass\n"
        + "".join(
            f"class Test{n}:\n"
            f"    class TestX(Test{n - 1}): pass\n    class TestY(Test{n - 1}): pass\n"
            for n in range(1, 40)
        ),
        "(" * 10_000,
        "(\n" * 10_000 + "def test_a(): pass\n",
        "def test_a(): pass\n(" * 2_000,
        '"""\ndef test_a(): pass\nsome prose\n' * 501,
        "\\\n" * 10_000,
        "'\\\n" * 10_000,
        "@a\n" * 10_000,
    ],
    ids=range(11),
)
def test_texts_made_to_take_for_ever_do_not(text: str) -> None:
    find(text)
    definitions(text)


def test_other_threads_have_their_turns_while_a_long_text_is_read() -> None:
    body = "    value = load('picture.png', size=(1, 2))\n    assert value.rows\n"
    text = "".join(f"@mark.slow(1)\ndef test_{n}(x):\n{body}\n" for n in range(4000))
    turns = 0
    reading = threading.Thread(target=find, args=(text,))
    reading.start()
    while reading.is_alive():
        turns += 1
        time.sleep(0)  # to let go of the interpreter
    # `ast.parse` would keep it for all of the time.
    assert turns >= 5
    assert len(find_tests(text)) == 4000


# Random modules


def oracle(text: str) -> list[TestInSource]:
    """The tests in *text*, all of whose names differ, by its syntax tree."""
    found = []

    def visit(nodes: Sequence[ast.stmt], around: tuple[str, ...], *, in_unittest: bool) -> None:
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                is_unittest = any("TestCase" in ast.dump(base) for base in node.bases)
                if not in_unittest and (is_unittest or node.name.startswith("Test")):
                    visit(node.body, (*around, node.name), in_unittest=is_unittest)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                is_fixture = any("fixture" in ast.dump(one) for one in node.decorator_list)
                if node.name.startswith("test") and not is_fixture:
                    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                    name = "::".join((*around, node.name))
                    found.append(TestInSource(name, node.lineno, first, node.end_lineno or 0))
            else:
                inside = [*getattr(node, "body", ()), *getattr(node, "finalbody", ())]
                visit(inside, around, in_unittest=in_unittest)

    visit(ast.parse(text).body, (), in_unittest=False)
    return sorted(found, key=lambda test: test.line)


@given(modules())
@settings(max_examples=100, deadline=None)
def test_random_modules_have_the_tests_of_their_syntax_trees(text: str) -> None:
    assert list(find_tests(text)) == oracle(text)


@given(modules(), st.integers(0), st.sampled_from(["", "(", "def test_", '"""', "'", "\\"]))
@settings(max_examples=100, deadline=None)
def test_a_cut_text_keeps_the_tests_before_the_cut(text: str, cut: int, typed: str) -> None:
    cut %= len(text) + 1
    # The last line may be half a line.
    whole = text[:cut].count("\n")
    before = {(test.id, test.line) for test in oracle(text) if test.last_line <= whole}
    found = {(test.id, test.line) for test in find_tests(text[:cut] + typed)}
    assert before <= found


@given(st.text("def clastTe_():@\"'\\#\n\r\t \f[]{},.=;\0\ufeffé😀", max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_text_at_all_can_be_read(text: str) -> None:
    lines = re.split(r"\r\n|\n|\r", text)
    for test in find_tests(text):
        assert 1 <= test.first_line <= test.line <= test.last_line <= len(lines)


# Which files, which ids


@pytest.mark.parametrize(
    ("name", "is_test"),
    [("test_a.py", True), ("a_test.py", True), ("tests.py", False), ("test_a.pyi", False)],
)
def test_files_are_chosen_by_pytests_default_names(name: str, is_test: bool) -> None:
    assert is_test_file(PurePath("tests", name)) is is_test


def test_files_are_chosen_by_the_projects_names() -> None:
    rules = CollectionRules(python_files=("check_*", "unit/*/*.py"))
    for name, is_test in (
        ("check_a.py", True),
        ("check_a.txt", False),
        ("test_a.py", False),
        ("unit/deep/a.py", True),
        ("unit/a.py", False),
    ):
        assert is_test_file(PurePath("/project", name), rules) is is_test


def test_the_id_in_a_file_has_no_parameters() -> None:
    assert id_in_file("a[b]/test_a.py::TestA::test_b[c::d[e]]") == "TestA::test_b"
