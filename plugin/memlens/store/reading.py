"""Reading results. Never blocks the writer, and never sees half a test."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from memlens.store.database import naming, open_for_reading
from memlens.store.records import (
    CheckRecord,
    FrameRecord,
    PhaseRecord,
    RunRecord,
    SourceRecord,
    StackKind,
    StackRecord,
    TestRecord,
)
from memlens.store.running import is_running

if TYPE_CHECKING:
    from typing_extensions import Self

#: The newest row of each test.
_LATEST = (
    "id = (SELECT max(newest.id) FROM test AS newest"
    " WHERE newest.path = test.path AND newest.name = test.name)"
)
#: The same for all tests at once: one walk along an index.
_LATEST_OF_ALL = "id IN (SELECT max(id) FROM test GROUP BY path, name)"
_RUN = (
    "SELECT id, uuid, started, finished, status, exit_status, command_line, rootdir, versions,"
    " git_commit, git_dirty, collected FROM run"
)
_TEST = "SELECT id, run, nodeid, path, line, outcome, duration, worker FROM test"
#: SQLite's limit of bound values was 999 for long.
_CHUNK = 900


class PastResult(NamedTuple):
    """What one run measured of a test: a point of its history."""

    #: The run's, as in `RunRecord`.
    uuid: str
    started: str
    git_commit: str | None
    git_dirty: bool | None
    #: The test's, as in `TestRecord`.
    outcome: str
    #: Of the call.
    peak_bytes: int


class SiteRecord(NamedTuple):
    """What one test held, or leaked, that one line of the project's code had asked for.

    That line is the first of the project's own in the call stacks, the most recent call first.
    """

    #: In the text that the run saw.
    line: int
    kind: StackKind
    #: Of all such stacks together.
    bytes: int
    allocations: int
    #: The test, and the run that measured it.
    nodeid: str
    run: int
    #: Of the test's call, in bytes.
    peak_bytes: int


class ResultsReader:
    """Reads one results database. Use as a context manager, or `close` it.

    Every method raises `ResultsError` when the file cannot be read. Not for use by several threads
    at once.
    """

    def __init__(self, path: Path) -> None:
        """Open the database at *path*."""
        self.path = path
        self._connection = open_for_reading(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def data_version(self) -> int:
        """Return a number that changes when another connection has committed.

        A cheap look: SQLite answers it from the file's header or the WAL's index
        (https://www.sqlite.org/pragma.html#pragma_data_version).
        """
        with naming(self.path, "read"):
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def runs(self, limit: int | None = 1) -> list[RunRecord]:
        """Return the last *limit* runs (None: all), the newest first."""
        # To SQLite a negative limit is none (https://www.sqlite.org/lang_select.html#limitoffset).
        return self._runs("ORDER BY id DESC LIMIT ?", (-1 if limit is None else limit,))

    def measured_runs(self) -> list[RunRecord]:
        """Return the runs that have measured at least one test, the newest first."""
        return self._runs(
            "WHERE EXISTS (SELECT 1 FROM test WHERE test.run = run.id) ORDER BY id DESC"
        )

    def _runs(self, rest: str, values: Sequence[object] = ()) -> list[RunRecord]:
        rows = self._rows(f"{_RUN} {rest}", values)
        return [
            RunRecord(
                id=row[0],
                uuid=row[1],
                started=row[2],
                finished=row[3],
                status=self._status(row[1], row[4]),
                exit_status=row[5],
                command_line=tuple(json.loads(row[6])),
                rootdir=row[7],
                versions=json.loads(row[8]),
                git_commit=row[9],
                git_dirty=None if row[10] is None else bool(row[10]),
                collected=row[11],
            )
            for row in rows
        ]

    def latest_tests(self, path: str | None = None, *, stacks: bool = True) -> list[TestRecord]:
        """Return the newest result of each test, or only of the tests in the file *path*.

        *path* is as the database has it. In the order in which the tests ran. Without *stacks*
        the records have none, which is quicker.
        """
        if path is None:
            return self._tests(_LATEST_OF_ALL, stacks=stacks)
        return self._tests(f"path = ? AND {_LATEST}", (path,), stacks=stacks)

    def tests_of(self, *runs: int, stacks: bool = True) -> list[TestRecord]:
        """Return the newest result of each test among those of these *runs*, which are ids.

        In the order in which the tests ran. Without *stacks* the records have none.
        """
        marks = ",".join("?" * len(runs))
        return self._tests(
            f"id IN (SELECT max(id) FROM test WHERE run IN ({marks}) GROUP BY path, name)",
            runs,
            stacks=stacks,
        )

    def latest_test(self, path: str, name: str) -> TestRecord | None:
        """Return the newest result of one test, or None if it has never been measured."""
        tests = self._tests(f"path = ? AND name = ? AND {_LATEST}", (path, name))
        return tests[0] if tests else None

    def nodeids(self) -> list[tuple[str, str, str]]:
        """Return path, name and newest node id of each test that has a result."""
        rows = self._rows(f"SELECT path, name, nodeid FROM test WHERE {_LATEST_OF_ALL} ORDER BY id")
        return [(row[0], row[1], row[2]) for row in rows]

    def peaks_before(self, tests: Iterable[TestRecord]) -> dict[int, int]:
        """Return, by id, what the peak of each of *tests* was in the run before it, in bytes.

        That is the last of the earlier runs in which the test was measured. A test without one is
        left out.
        """
        rows = self._in_chunks(
            "SELECT later.id, phase.peak_bytes FROM test AS later"
            " JOIN phase ON phase.name = 'call' AND phase.test = ("
            "SELECT earlier.id FROM test AS earlier"
            " WHERE earlier.path = later.path AND earlier.name = later.name"
            " AND earlier.id < later.id AND earlier.run <> later.run"
            " ORDER BY earlier.id DESC LIMIT 1)",
            [test.id for test in tests if test.id is not None],
            column="later.id",
        )
        return {row[0]: row[1] for row in rows}

    def history(self, path: str, name: str, limit: int | None = None) -> list[PastResult]:
        """Return what the last *limit* runs (None: all) measured of a test, the newest first."""
        rows = self._rows(
            "SELECT uuid, started, git_commit, git_dirty, outcome, peak_bytes FROM test"
            " JOIN run ON run.id = test.run"
            " JOIN phase ON phase.test = test.id AND phase.name = 'call'"
            # Of a test that ran several times in one run the last time counts.
            " WHERE test.path = ? AND test.name = ? AND NOT EXISTS ("
            "SELECT 1 FROM test AS again WHERE again.path = test.path AND again.name = test.name"
            " AND again.id > test.id AND again.run = test.run)"
            " ORDER BY test.id DESC LIMIT ?",
            (path, name, -1 if limit is None else limit),
        )
        return [
            PastResult(
                uuid=row[0],
                started=row[1],
                git_commit=row[2],
                git_dirty=None if row[3] is None else bool(row[3]),
                outcome=row[4],
                peak_bytes=row[5],
            )
            for row in rows
        ]

    def latest_exceeded(self) -> list[TestRecord]:
        """Return the newest result of each test that is over one of its limits there."""
        return self._tests(
            f"id IN (SELECT test FROM limit_check WHERE verdict = 'exceeded') AND {_LATEST}"
        )

    def latest_near_limit(self) -> list[TestRecord]:
        """Return the newest result of each test that kept its `limit_memory` with under 10 % left.

        Those that are over another limit are left out, and so are call stacks.
        """
        return self._tests(
            "id IN (SELECT test FROM limit_check AS near WHERE marker = 'limit_memory'"
            " AND verdict = 'passed' AND measured_bytes * 10 >= limit_bytes * 9"
            " AND NOT EXISTS (SELECT 1 FROM limit_check WHERE limit_check.test = near.test"
            f" AND verdict = 'exceeded')) AND {_LATEST}",
            stacks=False,
        )

    def sites_in(self, path: str, least: int = 0) -> list[SiteRecord]:
        """Return what the lines of the project's file *path* hold at the peaks of tests, and leak.

        Only of the newest result of each test, and of call stacks of at least *least* bytes. In
        order of lines; for each line the largest first.
        """
        rows = self._rows(
            "SELECT frame.line, stack.kind, sum(stack.bytes) AS size, sum(stack.allocations),"
            " test.nodeid, test.run, phase.peak_bytes"
            " FROM frame JOIN stack ON stack.site = frame.id AND stack.bytes >= ?"
            " JOIN test ON test.id = stack.test"
            " JOIN phase ON phase.test = test.id AND phase.name = 'call'"
            " WHERE frame.path = ? AND frame.kind = 'project' AND NOT EXISTS ("
            "SELECT 1 FROM test AS newer WHERE newer.path = test.path AND newer.name = test.name"
            " AND newer.id > test.id)"
            " GROUP BY frame.line, stack.kind, test.id ORDER BY frame.line, size DESC, test.id",
            (least, path),
        )
        return [SiteRecord(*row) for row in rows]

    def last_passing_peaks(self) -> dict[tuple[str, str], int]:
        """Return the peak, in bytes, of each test's newest passing run, by its path and name."""
        rows = self._rows(
            "SELECT path, test.name, peak_bytes, max(test.id) FROM test"
            " JOIN phase ON phase.test = test.id AND phase.name = 'call'"
            " WHERE outcome = 'passed' GROUP BY path, test.name"
        )
        return {(row[0], row[1]): row[2] for row in rows}

    def heavy_tests(self) -> list[tuple[str, str]]:
        """Return path and name of each test that made very many allocations when last counted.

        Very many are 100,000 and more in the call. A count that is older than the test's last 20
        results says nothing any more.
        """
        rows = self._rows(
            "SELECT DISTINCT test.path, test.name FROM phase JOIN test ON test.id = phase.test"
            # As in the index phase_heavy, or SQLite would not use it.
            " WHERE phase.name = 'call' AND phase.allocations >= 100000 AND ("
            "SELECT count(*) + 20 * count(counted.allocations) FROM test AS later"
            " LEFT JOIN phase AS counted ON counted.test = later.id AND counted.name = 'call'"
            " WHERE later.path = test.path AND later.name = test.name AND later.id > test.id"
            ") < 20"
        )
        return [(row[0], row[1]) for row in rows]

    def outcomes(self, run: int) -> dict[str, int]:
        """Return how many tests of *run* have ended up to now, by outcome."""
        rows = self._rows(
            "SELECT outcome, count(*) FROM test WHERE run = ? GROUP BY outcome", (run,)
        )
        return {row[0]: row[1] for row in rows}

    def source(self, run: int, path: str) -> SourceRecord | None:
        """Return the text of *path* as *run* saw it, or None if it was not kept."""
        rows = self._rows(
            "SELECT source.path, digest, text FROM run_source"
            " JOIN source ON source.id = run_source.source"
            " WHERE run_source.run = ? AND run_source.path = ?",
            (run, path),
        )
        return SourceRecord(*rows[0]) if rows else None

    def _status(self, uuid: str, status: str) -> str:
        """Return what is true now: a run that was killed could not say that it was interrupted."""
        if status == "running" and not is_running(self.path, uuid):
            return "interrupted"
        return status

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with naming(self.path, "read"):
            return self._connection.execute(sql, values).fetchall()

    def _tests(
        self, where: str, values: Sequence[object] = (), *, stacks: bool = True
    ) -> list[TestRecord]:
        with naming(self.path, "read"):
            # One snapshot for all the statements, whatever is being written.
            self._connection.execute("BEGIN")
        try:
            return self._tests_in_snapshot(where, values, with_stacks=stacks)
        finally:
            with naming(self.path, "read"):
                self._connection.execute("ROLLBACK")

    def _tests_in_snapshot(
        self, where: str, values: Sequence[object], *, with_stacks: bool
    ) -> list[TestRecord]:
        rows = self._rows(f"{_TEST} WHERE {where} ORDER BY id", values)
        ids = [row[0] for row in rows]
        phases: dict[int, list[PhaseRecord]] = {}
        for row in self._in_chunks(
            "SELECT test, name, peak_bytes, allocated_bytes, allocations, alive_bytes, histogram"
            " FROM phase",
            ids,
        ):
            test, name, peak, allocated, allocations, alive, histogram = row
            phases.setdefault(test, []).append(
                PhaseRecord(name, peak, allocated, allocations, alive, tuple(json.loads(histogram)))
            )
        checks: dict[int, list[CheckRecord]] = {}
        for row in self._in_chunks(
            "SELECT test, marker, limit_bytes, measured_bytes, verdict, message FROM limit_check",
            ids,
            order="id",
        ):
            checks.setdefault(row[0], []).append(CheckRecord(*row[1:]))
        stack_rows = [
            (*row[:4], json.loads(row[4]))
            for row in self._in_chunks(
                "SELECT test, kind, bytes, allocations, frames FROM stack",
                ids if with_stacks else (),
                order="bytes DESC, id",
            )
        ]
        frames = self._frames({frame for row in stack_rows for frame in row[4]})
        stacks: dict[int, list[StackRecord]] = {}
        for test, kind, size, allocations, frame_ids in stack_rows:
            stacks.setdefault(test, []).append(
                StackRecord(kind, size, allocations, tuple(frames[frame] for frame in frame_ids))
            )
        return [
            TestRecord(
                id=row[0],
                run=row[1],
                nodeid=row[2],
                path=row[3],
                line=row[4],
                outcome=row[5],
                duration=row[6],
                worker=row[7],
                phases=tuple(phases.get(row[0], ())),
                checks=tuple(checks.get(row[0], ())),
                stacks=tuple(stacks.get(row[0], ())),
            )
            for row in rows
        ]

    def _frames(self, ids: Iterable[int]) -> dict[int, FrameRecord]:
        return {
            row[0]: FrameRecord(*row[1:])
            for row in self._in_chunks(
                "SELECT id, function, path, line, kind FROM frame", sorted(ids), column="id"
            )
        }

    def _in_chunks(
        self, select: str, ids: Sequence[int], *, column: str = "test", order: str | None = None
    ) -> list[sqlite3.Row]:
        rows: list[sqlite3.Row] = []
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            sql = f"{select} WHERE {column} IN ({marks})" + (f" ORDER BY {order}" if order else "")
            rows += self._rows(sql, chunk)
        return rows
