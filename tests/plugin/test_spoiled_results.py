"""Results that are damaged or deleted: the run goes on, and every command says what is wrong."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from memlens.store import ResultsReader, database_path


@pytest.fixture
def database(pytester: pytest.Pytester) -> Path:
    """Return the results of a run of two tests, one of which is over its limit."""
    pytester.makepyfile(
        test_it="""
        import pytest

        def test_passes():
            pass

        @pytest.mark.limit_memory("1 MB")
        def test_over():
            kept = bytearray(2 * 1024 * 1024)
        """
    )
    measure(pytester).assert_outcomes(passed=1, failed=1)
    return database_path(pytester.path)


def measure(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("--memray", "-p", "no:cacheprovider", *arguments)


def memlens(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.run(sys.executable, "-m", "memlens", *arguments)


def warnings(run: pytest.RunResult) -> list[str]:
    return [line for line in run.stdout.lines if line.startswith("memlens warning: ")]


def names(path: Path) -> set[str]:
    with ResultsReader(path) as reader:
        return {test.name for test in reader.latest_tests()}


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)


def make_schema_no_text(path: Path) -> None:
    """Have SQLite quote, in what it says of the damage, what is no UTF-8."""
    data = path.read_bytes()
    data = data.replace(b"tablephasephase", b"tableph\xd0sephase", 1)
    path.write_bytes(data.replace(b"CREATE TABLE phase", b"CREATE TABLX phase", 1))


def test_damage_that_sqlite_cannot_even_name_costs_only_what_was_there(
    pytester: pytest.Pytester, database: Path
) -> None:
    make_schema_no_text(database)
    damaged = database.read_bytes()
    for command in ("report", "check", "gc"):
        got = memlens(pytester, command, *(["--yes"] if command == "gc" else []))
        assert got.ret == 2
        (line,) = got.stderr.lines
        assert line.startswith(f"memlens: the results in {database} are damaged: ")
    run = measure(pytester, "-k", "passes")
    run.assert_outcomes(passed=1, deselected=1)
    (moved,) = database.parent.glob("*.damaged-*")
    assert moved.read_bytes() == damaged
    (warning,) = warnings(run)
    assert warning.endswith(f"; what was there is now {moved}")
    assert names(database) == {"test_passes"}


def test_clear_deletes_what_sqlite_cannot_even_name(
    pytester: pytest.Pytester, database: Path
) -> None:
    make_schema_no_text(database)
    assert memlens(pytester, "clear", "--yes").ret == 0
    assert not database.exists()


@pytest.mark.parametrize(
    ("sql", "commands"),
    [
        ("DELETE FROM frame", ("check", "show test_over", "export --format json")),
        ("UPDATE run SET versions = 'x'", ("report", "export --format json")),
        ("UPDATE phase SET histogram = '[1,'", ("report", "check", "show test_over")),
        ("UPDATE phase SET peak_bytes = 'much'", ("report", "show test_over")),
        ("UPDATE source SET text = x'00'", ("check",)),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line_and_what_to_do(
    pytester: pytest.Pytester, database: Path, sql: str, commands: tuple[str, ...]
) -> None:
    change(database, sql)
    for command in commands:
        got = memlens(pytester, *command.split())
        assert got.ret == 2, command
        (line,) = got.stderr.lines
        assert line.startswith(f"memlens: the results in {database} are damaged: ")
        assert line.endswith("; move the file away to start afresh")
    measure(pytester).assert_outcomes(passed=1, failed=1)


def test_a_fault_in_reading_earlier_results_is_a_warning(
    pytester: pytest.Pytester, database: Path
) -> None:
    pytester.makeconftest(
        """
        from memlens.store import ResultsReader

        def stumble(self):
            raise KeyError("no such thing")

        ResultsReader.heavy_tests = stumble
        """
    )
    run = measure(pytester)
    run.assert_outcomes(passed=1, failed=1)
    assert warnings(run) == [
        "memlens warning: earlier results were not used: KeyError: 'no such thing'"
    ]


@pytest.mark.parametrize("method", ["add_test", "finish"])
def test_a_fault_in_writing_is_a_warning(
    pytester: pytest.Pytester, database: Path, method: str
) -> None:
    pytester.makeconftest(
        f"""
        from memlens.store import ResultsWriter

        def stumble(self, *args, **more):
            raise KeyError("no such thing")

        ResultsWriter.{method} = stumble
        """
    )
    run = measure(pytester)
    run.assert_outcomes(passed=1, failed=1)
    (warning,) = warnings(run)
    assert warning.startswith("memlens warning: ")
    assert "KeyError: 'no such thing'" in warning


# ---- deleted while the run goes on

_DELETES = """
import shutil
import subprocess
import sys

def test_first():
    pass

def test_deletes(request):
    {deletes}

def test_last():
    pass
"""


@pytest.fixture
def at_once(pytester: pytest.Pytester) -> None:
    """Have the inner run write each result at the end of its test."""
    pytester.makeconftest("from memlens import pending; pending.LONGEST_WAIT = 0.0")


def test_results_that_are_deleted_during_a_run_cost_only_what_was_there(
    pytester: pytest.Pytester, at_once: None
) -> None:
    path = database_path(pytester.path)
    pytester.makepyfile(
        _DELETES.format(deletes="shutil.rmtree(request.config.rootpath / '.memlens')")
    )
    run = measure(pytester)
    run.assert_outcomes(passed=3)
    assert warnings(run) == [
        f"memlens warning: somebody has deleted {path} during the run, and with it the results of"
        " 1 test"
    ]
    run.stdout.fnmatch_lines(["Results: .memlens/results.db"])
    assert names(path) == {"test_deletes", "test_last"}


def test_results_that_are_deleted_at_the_end_are_not_said_to_be_there(
    pytester: pytest.Pytester, at_once: None
) -> None:
    pytester.makepyfile("def test_first(): pass\ndef test_last(): pass")
    pytester.makeconftest(
        """
        import shutil
        import pytest
        from memlens import pending

        pending.LONGEST_WAIT = 0.0

        @pytest.hookimpl(wrapper=True)
        def pytest_runtestloop(session):
            try:
                return (yield)
            finally:
                shutil.rmtree(session.config.rootpath / ".memlens")
        """
    )
    run = measure(pytester)
    run.assert_outcomes(passed=2)
    (warning,) = warnings(run)
    assert "results were not kept: somebody has deleted " in warning
    run.stdout.no_fnmatch_line("Results: *")
    assert not database_path(pytester.path).parent.exists()


def test_clear_refuses_while_a_run_writes(pytester: pytest.Pytester, at_once: None) -> None:
    pytester.makepyfile(
        _DELETES.format(
            deletes="""
    command = [sys.executable, "-m", "memlens", "clear", "--yes"]
    clear = subprocess.run(command, capture_output=True, text=True)
    assert clear.returncode == 2
    assert "a pytest run is writing to .memlens/results.db: clear when it has" in clear.stderr
"""
        )
    )
    run = measure(pytester)
    run.assert_outcomes(passed=3)
    assert warnings(run) == []
    assert names(database_path(pytester.path)) == {"test_first", "test_deletes", "test_last"}
    assert memlens(pytester, "clear", "--yes").ret == 0
    assert not database_path(pytester.path).exists()
