"""Finding tests in source text."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from memlens_lsp.tests_in_source import find_tests, id_in_file, is_test_file

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


def test_tests_are_found_as_pytest_collects_them() -> None:
    assert [test.id for test in find_tests(SOURCE)] == IDS


def test_the_line_is_that_of_the_def_not_of_its_decorators() -> None:
    (test,) = [test for test in find_tests(SOURCE) if test.id == "test_c"]
    assert SOURCE.splitlines()[test.line - 1] == "def test_c(x): pass"


@pytest.mark.parametrize("typed", ["def test_new(\n", "x = (\n", "class \n", "'''\n", "\0\n"])
def test_tests_stay_known_while_the_text_does_not_parse(typed: str) -> None:
    found = [test.id for test in find_tests(SOURCE + typed)]
    assert [test for test in found if test != "test_new"] == IDS


def test_the_tolerant_scan_gives_the_same_lines() -> None:
    broken = find_tests(f"{SOURCE}x = (\n")
    assert broken == find_tests(SOURCE)


@pytest.mark.parametrize("end", ["\r\n", "\r"])
@pytest.mark.parametrize("tail", ["", "("])
def test_any_line_end_counts(end: str, tail: str) -> None:
    text = f"\ufeffx = '\x0c\u2028'\ndef test_a(): pass\n{tail}".replace("\n", end)
    assert [test.line for test in find_tests(text)] == [2]


@pytest.mark.parametrize(
    ("name", "is_test"),
    [("test_a.py", True), ("a_test.py", True), ("tests.py", False), ("test_a.pyi", False)],
)
def test_files_are_chosen_by_pytests_default_names(name: str, is_test: bool) -> None:
    assert is_test_file(PurePath("tests", name)) is is_test


def test_the_id_in_a_file_has_no_parameters() -> None:
    assert id_in_file("a[b]/test_a.py::TestA::test_b[c::d[e]]") == "TestA::test_b"
