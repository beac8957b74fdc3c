"""What is said of a run that did not run its tests: pure."""

from __future__ import annotations

from pathlib import Path

import pytest

from memlens_lsp.running.planning import Plan, Selection, plan_run
from memlens_lsp.running.problems import (
    Ended,
    Interpreter,
    cannot_start,
    needs_interpreter,
    problem_with,
)
from memlens_lsp.settings import Settings

PYTHON = Interpreter("cpython", (3, 12), "9.0.1", "1.0")
NO_PYTEST = Ended(1, "/py: No module named pytest\n", wrote_results=False)
NO_PLUGIN = Ended(
    4, "ERROR: usage: x\nx: error: unrecognized arguments: --memray\n", wrote_results=False
)
NO_RESULTS = Ended(0, "=== 1 passed in 0.01s ===\n", wrote_results=False)


@pytest.fixture
def plan() -> Plan:
    selection = Selection(((Path("/project/test_a.py"), ""),), "test_a.py")
    return plan_run(selection, Path("/project"), Settings(interpreter="/my py"))


@pytest.mark.parametrize(
    "ended",
    [
        Ended(0, "= 1 passed in 0.01s =", wrote_results=True),
        Ended(1, "= 1 failed in 0.01s =", wrote_results=True),
        Ended(0, "= 1 skipped in 0.01s =", wrote_results=False),
        Ended(0, "test_a.py::test_b\n1 test collected", wrote_results=False),
        Ended(0, "s                  [100%]\n", wrote_results=False),
        Ended(0, "\x1b[1m=== test session starts ===\x1b[0m", wrote_results=False),
    ],
)
def test_nothing_is_said_of_tests_that_ran(plan: Plan, ended: Ended) -> None:
    assert not needs_interpreter(ended)
    assert problem_with(plan, ended) is None


@pytest.mark.parametrize(
    ("ended", "interpreter", "said"),
    [
        (NO_PYTEST, PYTHON, "install it with ''/my py' -m pip install pytest-memlens'"),
        (NO_PYTEST, None, "pytest is not installed for /my py"),
        (NO_PYTEST, Interpreter("cpython", (3, 8), None, None), "needs 3.10 or newer"),
        (NO_PLUGIN, Interpreter("cpython", (2, 7), "4.6", None), "/my py is Python 2.7"),
        (NO_PLUGIN, PYTHON._replace(implementation="pypy"), "/my py is pypy"),
        (NO_PLUGIN, PYTHON._replace(memlens=None), "pytest-memlens is not installed for /my py"),
        (NO_PLUGIN, PYTHON, "pytest does not load pytest-memlens, though it is installed"),
        (NO_RESULTS, PYTHON, "no memory results were written. What pytest said"),
        (NO_RESULTS, PYTHON._replace(memlens=None), "If pytest-memlens is not installed"),
        (
            NO_RESULTS._replace(output="1 passed\nmemlens warning: /x is read-only\n1 passed"),
            PYTHON,
            "no memory results were written: /x is read-only",
        ),
        (Ended(0, "", wrote_results=False), None, "/my py ended without running pytest"),
        (
            Ended(2, "ls: unrecognized option '--memray'\nTry 'ls --help'.\n", wrote_results=False),
            None,
            "/my py ended with exit code 2 without running pytest"
            " (ls: unrecognized option '--memray'): choose another interpreter",
        ),
        (Ended(0, "-m pytest\n", wrote_results=False), None, "without running pytest (-m pytest):"),
        (Ended(127, "sh: python: not found\n", wrote_results=False), None, "exit code 127 without"),
        (Ended(5, "", wrote_results=False), PYTHON, "pytest found no tests."),
        (Ended(2, "stopped", wrote_results=False), PYTHON, "pytest was interrupted"),
        (
            Ended(1, "Traceback x\n y\nImportError: z\n", wrote_results=False),
            PYTHON,
            "pytest ended with exit code 1: ImportError: z. What pytest said",
        ),
        (
            Ended(99, "Traceback\nOops: 1\n", wrote_results=False),
            PYTHON,
            "pytest ended with exit code 99: Oops: 1.",
        ),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(
    plan: Plan, ended: Ended, interpreter: Interpreter | None, said: str
) -> None:
    assert needs_interpreter(ended)
    assert said in str(problem_with(plan, ended, interpreter))


@pytest.mark.parametrize(
    ("code", "output", "said"),
    [
        (-9, "", "killed by SIGKILL, perhaps because there was no memory left"),
        (-11, "", "killed by SIGSEGV"),
        (-99, "", "killed by signal 99"),
        (3, "INTERNALERROR> File x\nINTERNALERROR> KeyError: 1\n", "internal error: KeyError: 1"),
        (5, "no tests ran", "pytest found no tests. What pytest said is in the log"),
        (4, "ERROR: Missing required plugins: x\n\n", "arguments: Missing required plugins: x."),
        (4, "ERROR: /a/pytest.ini:2: unexpected\n", "arguments: /a/pytest.ini:2: unexpected."),
        (2, "! Interrupted: 1 error during collection !\nERROR a.py - NameError: x", "NameError"),
        (99, "=== test session starts ===\n", "pytest ended with exit code 99"),
    ],
)
def test_how_a_run_ended_is_explained(plan: Plan, code: int, output: str, said: str) -> None:
    assert said in str(problem_with(plan, Ended(code, output, wrote_results=False)))


def test_an_interpreter_of_the_project_is_offered(plan: Plan) -> None:
    others = [Path("/project/.venv/bin/python")]
    for said in (
        problem_with(plan, NO_PLUGIN, None, others),
        problem_with(plan, NO_PYTEST, None, others),
    ):
        assert str(said).endswith(", such as /project/.venv/bin/python")


def test_what_cannot_be_started_is_the_folder_or_the_interpreter(
    plan: Plan, tmp_path: Path
) -> None:
    assert "there is no such folder" in cannot_start(plan, "No such file or directory")
    said = cannot_start(plan._replace(folder=tmp_path), "Permission denied")
    assert said.startswith("The interpreter /my py cannot be started (Permission denied): choose")
    elsewhere = plan._replace(folder=tmp_path / "x")
    assert "the setting memlens.workingFolder" in cannot_start(elsewhere, "")


@pytest.mark.parametrize(
    ("version", "knows"),
    [("8.2.0", True), ("10.0", True), ("8.1.9", False), ("7.4", False), (None, False)],
)
def test_files_of_arguments_are_for_the_pytests_that_know_them(
    version: str | None, knows: bool
) -> None:
    assert PYTHON._replace(pytest=version).knows_argument_files is knows
