"""How far a run is, and which of its tests pytest cannot find: pure."""

from __future__ import annotations

from pathlib import Path

import pytest

from memlens.store import RunRecord
from memlens_lsp.results import RunResults
from memlens_lsp.running.counting import progress
from memlens_lsp.running.runs import _rootdir, _without_missing


def results(
    outcomes: dict[str, int], collected: int | None, newest: str | None = None
) -> RunResults:
    run = RunRecord(
        uuid="1",
        started="",
        finished=None,
        status="running",
        exit_status=None,
        command_line=(),
        rootdir="/",
        versions={},
        git_commit=None,
        git_dirty=None,
        collected=collected,
    )
    return RunResults(run, outcomes, newest)


@pytest.mark.parametrize(
    ("known", "now", "words", "percentage"),
    [
        (None, "", "", None),
        (None, "a.py::TestA::test_b[1]", "now TestA::test_b[1]", None),
        (results({}, 4), "", "0 of 4", 0),
        (results({"passed": 2, "failed": 1}, 4), "", "3 of 4 (1 failed, 2 passed)", 75),
        (results({"passed": 1}, None), "a.py::test_b", "1 (1 passed), now test_b", None),
        (results({"passed": 1}, 3, "a.py::test_a"), "", "1 of 3 (1 passed), last test_a", 33),
        (results({"passed": 1}, 3, "a.py::x"), "a.py::y", "1 of 3 (1 passed), now y", 33),
        # Tests that were run again count each time.
        (results({"failed": 5}, 3), "", "5 of 3 (5 failed)", 100),
    ],
)
def test_what_is_known_is_shown(
    known: RunResults | None, now: str, words: str, percentage: int | None
) -> None:
    assert progress(known, now) == (words, percentage)


def test_the_only_test_is_not_named_twice() -> None:
    assert progress(None, "a.py::test_b", "test_b") == ("", None)
    assert progress(results({"passed": 1}, 2), "a.py::test_b[1]", "test_b")[0].endswith("test_b[1]")


def test_tests_that_are_not_found_are_left_out() -> None:
    tests = ["a.py::test_a", "a.py::test_b[1\n2]", "/b.py::TestC::test_c"]
    output = "ERROR: not found: /root/a.py::test_b[1\n2]\n(no match in any of [<Module a.py>])\n"
    output += "ERROR: not found: /b.py::TestC::test_c\n(no match in any of [<Module b.py>])\n"
    assert _without_missing(tests, Path("/root"), output) == ["a.py::test_a"]
    assert _without_missing(tests, Path("/elsewhere"), output) == tests[:2]


def test_a_case_that_is_not_found_stands_for_its_test() -> None:
    tests = ["a.py::test_a[1]", "a.py::test_b[2]", "a.py::test_a[3]"]
    output = "ERROR: not found: /root/a.py::test_a\n(no match in any of [<Module a.py>])\n"
    assert _without_missing(tests, Path("/root"), output) == ["a.py::test_a", "a.py::test_b[2]"]


def test_pytest_tells_its_rootdir() -> None:
    assert _rootdir("x\nrootdir: /a b/c\nconfigfile: pytest.ini\n") == Path("/a b/c")
    assert _rootdir("rootdir: /a, configfile: pytest.ini\n") == Path("/a")
    assert _rootdir("no such line") is None
