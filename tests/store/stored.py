"""Results to store, for the tests of the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from memlens.store import (
    CheckRecord,
    FrameRecord,
    PhaseRecord,
    ResultsReader,
    ResultsWriter,
    RunRecord,
    StackRecord,
    TestRecord,
    database_path,
)

RUN = RunRecord(
    uuid="run-1",
    started="2026-01-02T03:04:05.000006+00:00",
    finished=None,
    status="running",
    exit_status=None,
    command_line=("--memray", "tests/a [1].py"),
    rootdir="/project",
    versions={"memlens": "0.1.0", "python": "3.12.1"},
    git_commit=None,
    git_dirty=None,
    collected=2,
)


def a_test(name: str = "test_a", path: str = "test_it.py", *, peak: int = 31) -> TestRecord:
    return TestRecord(
        nodeid=f"{path}::{name}",
        path=path,
        line=1,
        outcome="failed",
        duration=0.25,
        worker=None,
        phases=(PhaseRecord("call", peak, 40, 5, 7, (1, 2)), PhaseRecord("setup", 1, 1, 1, 1)),
        checks=(CheckRecord("limit_memory", 24, peak, "exceeded", "too much"),),
        stacks=(
            StackRecord("peak", peak, 2, (FrameRecord("use", "lib.py", 3, "project"),)),
            StackRecord("leak", 7, 1, (FrameRecord(name, path, 1, "project"),)),
        ),
    )


def begin(root: Path, uuid: str = RUN.uuid, started: str = RUN.started) -> ResultsWriter:
    run = RUN._replace(rootdir=str(root), uuid=uuid, started=started)
    return ResultsWriter(database_path(root), run)


def measure(
    root: Path,
    uuid: str,
    tests: Iterable[TestRecord | str],
    started: str = RUN.started,
    *,
    git_commit: str | None = None,
    git_dirty: bool | None = None,
) -> Path:
    """Store a finished run of these tests; return the database."""
    writer = begin(root, uuid, started)
    for test in tests:
        writer.add_test(a_test(test) if isinstance(test, str) else test)
    writer.finish(0, git_commit=git_commit, git_dirty=git_dirty)
    writer.close()
    return writer.path


def rows(path: Path, sql: str) -> list[Any]:
    """Return what the database answers; of a single column only the values."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(sql).fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def without_ids(test: TestRecord) -> TestRecord:
    return test._replace(id=None, run=None)


def latest(path: Path) -> list[TestRecord]:
    with ResultsReader(path) as reader:
        return [without_ids(test) for test in reader.latest_tests()]


def statuses(path: Path) -> dict[str, str]:
    with ResultsReader(path) as reader:
        return {run.uuid: run.status for run in reader.runs(1000)}
