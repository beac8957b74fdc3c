"""A large project with a long history, made in seconds: one run, and copies of it."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from memlens.store import (
    CheckRecord,
    FrameRecord,
    PhaseRecord,
    ResultsWriter,
    RunRecord,
    StackRecord,
    TestRecord,
    database_path,
)
from memlens.store.writing import utc_now

TESTS, FILES, RUNS = 10_000, 100, 50
_PER_FILE = TESTS // FILES
_MIB = 1024 * 1024
#: Lines of the module whose functions all tests call.
_FUNCTIONS = 200
#: One test in so many is over its limit.
_FAILING = 500


def test_file(number: int) -> str:
    """Return the name of a test file."""
    return f"tests/test_part_{number:03}.py"


test_file.__test__ = False  # type: ignore[attr-defined]


def make_project(root: Path) -> None:
    """Write the project's files, and the results of `RUNS` runs of its `TESTS` tests."""
    (root / "tests").mkdir()
    (root / "shop").mkdir()
    (root / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (root / "shop" / "heavy.py").write_text(
        "".join(
            f"def load_{number}():\n    return bytearray(1)\n\n" for number in range(_FUNCTIONS)
        ),
        encoding="utf-8",
    )
    for file in range(FILES):
        lines = ["import pytest", "from shop import heavy", ""]
        for number in range(_PER_FILE):
            lines += [
                '@pytest.mark.limit_memory("24 MB")',
                f"def test_{number}():",
                f"    assert heavy.load_{(file * _PER_FILE + number) % _FUNCTIONS}()",
                "",
            ]
        lines.append(f"# Part {file}: no file is another's copy, whose text is known already.")
        (root / test_file(file)).write_text("\n".join(lines), encoding="utf-8")
    writer = ResultsWriter(database_path(root), _run(root, ("--memray",)))
    for file in range(FILES):
        for number in range(_PER_FILE):
            writer.add_test(_test(file, number, over=(file * _PER_FILE + number) % _FAILING == 0))
    writer.finish(0)
    writer.close()
    _copy_runs(database_path(root))


def over_limit(number: int) -> TestRecord:
    """Return a result of a test of the first file that is over its limit as none was before."""
    test = _test(0, number % _PER_FILE, over=True)
    check = test.checks[0]._replace(message=f"Over the limit for the {number + 1}th time")
    return test._replace(checks=(check,))


def begin_run(root: Path) -> ResultsWriter:
    """Begin a further run."""
    return ResultsWriter(database_path(root), _run(root, ("--memray", "again")))


def _run(root: Path, arguments: tuple[str, ...]) -> RunRecord:
    return RunRecord(
        uuid=str(uuid.uuid4()),
        started=utc_now(),
        finished=None,
        status="running",
        exit_status=None,
        command_line=arguments,
        rootdir=str(root),
        versions={},
        git_commit=None,
        git_dirty=None,
        collected=TESTS,
    )


def _test(file: int, number: int, *, over: bool) -> TestRecord:
    path = test_file(file)
    line = 5 + 4 * number
    heavy = (file * _PER_FILE + number) % _FUNCTIONS
    peak = (30 if over else 1 + heavy % 20) * _MIB
    verdict = "exceeded" if over else "passed"
    library = [
        FrameRecord(f"inner_{depth}", f"/lib/deep_{depth}.py", 7, "library") for depth in range(8)
    ]
    calls = (
        FrameRecord(f"load_{heavy}", "shop/heavy.py", 2 + 3 * heavy, "project"),
        FrameRecord(f"test_{number}", path, line + 1, "project"),
        *library,
    )
    return TestRecord(
        nodeid=f"{path}::test_{number}",
        path=path,
        line=line,
        outcome="failed" if over else "passed",
        duration=0.01,
        worker=None,
        phases=(
            PhaseRecord("setup", 1000, 2000, 20, 0, (1, 2, 3)),
            PhaseRecord("call", peak, 2 * peak, 100, 0, (1, 2, 3, 4, 5)),
            PhaseRecord("teardown", 1000, 2000, 20, 0, (1, 2, 3)),
        ),
        checks=(
            CheckRecord("limit_memory", 24 * _MIB, peak, verdict, "Over the limit"),  # type: ignore[arg-type]
        ),
        stacks=(
            StackRecord("peak", peak * 3 // 4, 1, calls),
            StackRecord("peak", peak // 8, 4, calls[1:]),
            StackRecord("peak", 5000, 9, tuple(library)),
        ),
    )


def _copy_runs(path: Path) -> None:
    """Make of the one run in *path* as many as there shall be, the first of which is the newest."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN")
        for run in range(2, RUNS + 1):
            values = {"run": run, "ids": (run - 1) * TESTS, "most": TESTS}
            for statement in (
                "INSERT INTO run SELECT :run, uuid || '-' || :run, started, finished, status,"
                " exit_status, command_line, rootdir, versions, git_commit, git_dirty, collected"
                " FROM run WHERE id = 1",
                "INSERT INTO run_source SELECT :run, path, source FROM run_source WHERE run = 1",
                "INSERT INTO test SELECT id + :ids, :run, nodeid, path, name, line, outcome,"
                " duration, worker FROM test WHERE id <= :most",
                "INSERT INTO phase SELECT test + :ids, name, peak_bytes, allocated_bytes,"
                " allocations, alive_bytes, histogram FROM phase WHERE test <= :most",
                "INSERT INTO limit_check SELECT NULL, test + :ids, marker, limit_bytes,"
                " measured_bytes, verdict, message FROM limit_check WHERE test <= :most",
                "INSERT INTO stack SELECT NULL, test + :ids, kind, bytes, allocations, frames, site"
                " FROM stack WHERE test <= :most",
            ):
                used = {name: value for name, value in values.items() if f":{name}" in statement}
                connection.execute(statement, used)
        connection.execute("COMMIT")
