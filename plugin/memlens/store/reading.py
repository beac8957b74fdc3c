"""Reading results. Never blocks the writer, and never sees half a test."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from memlens.store.database import naming, open_for_reading
from memlens.store.parsing import (
    UnreadableError,
    check_kinds,
    json_list_of_texts,
    json_lists,
    json_texts_by_name,
)
from memlens.store.records import (
    CheckRecord,
    FrameRecord,
    PhaseRecord,
    RunRecord,
    SourceRecord,
    StackKind,
    StackRecord,
    TestRecord,
    Verdict,
)
from memlens.store.running import is_running

if TYPE_CHECKING:
    from typing_extensions import Self

#: The newest row of each test.
_LATEST = (
    "id = (SELECT max(newest.id) FROM test AS newest"
    " WHERE newest.path = test.path AND newest.name = test.name)"
)
#: The same for all tests at once, and for those of one file. GROUP BY would read the whole index;
#: this jumps from one test's newest row to that of the test before it
#: (https://www.sqlite.org/lang_with.html, "loose index scan" elsewhere). UNION, since in a damaged
#: index the jumps may go round in circles.
_NEWEST = (
    "WITH RECURSIVE newest (id, path, name) AS ("
    "SELECT * FROM (SELECT id, path, name FROM test ORDER BY path DESC, name DESC, id DESC LIMIT 1)"
    " UNION SELECT test.id, test.path, test.name FROM newest CROSS JOIN test"
    " ON test.id = coalesce("
    "(SELECT id FROM test AS next WHERE next.path = newest.path AND next.name < newest.name"
    " ORDER BY next.name DESC, next.id DESC LIMIT 1),"
    " (SELECT id FROM test AS next WHERE next.path < newest.path"
    " ORDER BY next.path DESC, next.name DESC, next.id DESC LIMIT 1)))"
)
_LATEST_OF_ALL = f"id IN ({_NEWEST} SELECT id FROM newest)"
_LATEST_OF_PATH = (
    "id IN (WITH RECURSIVE newest (id, name) AS ("
    "SELECT * FROM (SELECT id, name FROM test WHERE path = :path"
    " ORDER BY name DESC, id DESC LIMIT 1)"
    " UNION SELECT test.id, test.name FROM newest CROSS JOIN test ON test.id = ("
    "SELECT id FROM test AS next WHERE next.path = :path AND next.name < newest.name"
    " ORDER BY next.name DESC, next.id DESC LIMIT 1)) SELECT id FROM newest)"
)
#: Up to :limit tests that come after :path and :name, in order, by such jumps; and of those that
#: have results since :since, which are few: SQLite would rather read the whole index.
_ALL_TESTS = (
    "WITH RECURSIVE each (path, name) AS ("
    "SELECT * FROM (SELECT path, name FROM test WHERE (path, name) > (:path, :name)"
    " ORDER BY path, name LIMIT 1)"
    " UNION ALL SELECT test.path, test.name FROM each CROSS JOIN test ON test.id = coalesce("
    "(SELECT id FROM test AS next WHERE next.path = each.path AND next.name > each.name"
    " ORDER BY next.name, next.id LIMIT 1),"
    " (SELECT id FROM test AS next WHERE next.path > each.path"
    " ORDER BY next.path, next.name, next.id LIMIT 1)) LIMIT :limit)"
)
_CHANGED_TESTS = (
    "WITH each (path, name) AS (SELECT DISTINCT path, name FROM test NOT INDEXED WHERE id > :since"
    " AND (path, name) > (:path, :name) ORDER BY path, name LIMIT :limit)"
)
#: The stacks of the newest results that a file's lines asked for, as in `SiteRecord`: of these
#: lines those that are of newest results, or of the newest results those that are of these lines.
#: The latter is quicker where more stacks lead to the file than there are tests, with years of
#: history many times as many. Stacks of set-up and teardown are left out: what a fixture holds says
#: nothing of the one test that happened to be the first to ask for it.
_SITE = (
    "SELECT frame.line, stack.kind, sum(stack.bytes) AS size, sum(stack.allocations),"
    " test.nodeid, test.run, phase.peak_bytes, test.id FROM"
)
_SITE_ORDER = "GROUP BY frame.line, stack.kind, test.id ORDER BY frame.line, size DESC, test.id"
_SITES_BY_LINE = (
    f"{_SITE} frame CROSS JOIN stack ON stack.site = frame.id AND stack.bytes >= :least"
    " AND stack.kind IN ('peak', 'leak')"
    " CROSS JOIN test ON test.id = stack.test"
    " CROSS JOIN phase ON phase.test = test.id AND phase.name = 'call'"
    " WHERE frame.path = :path AND frame.kind = 'project' AND NOT EXISTS ("
    "SELECT 1 FROM test AS newer WHERE newer.path = test.path AND newer.name = test.name"
    f" AND newer.id > test.id) {_SITE_ORDER}"
)
_SITES_BY_TEST = (
    f"{_NEWEST} {_SITE} newest"
    " CROSS JOIN stack ON stack.test = newest.id AND stack.kind IN ('peak', 'leak')"
    " AND stack.bytes >= :least"
    " CROSS JOIN frame ON frame.id = stack.site AND frame.path = :path AND frame.kind = 'project'"
    " CROSS JOIN test ON test.id = newest.id"
    " CROSS JOIN phase ON phase.test = test.id AND phase.name = 'call'"
    f" {_SITE_ORDER}"
)
#: How many tests there are takes as long to find out as to go through them. What the largest run
#: collected is near enough; a run that was killed early has not said.
_HAS_MANY_STACKS = (
    "WITH largest (tests) AS (SELECT coalesce(max(collected), 0) FROM run)"
    " SELECT count(*) > 2 * (SELECT tests FROM largest) FROM ("
    "SELECT 1 FROM frame CROSS JOIN stack ON stack.site = frame.id AND stack.bytes >= :least"
    " WHERE frame.path = :path AND frame.kind = 'project'"
    " LIMIT 2 * (SELECT tests FROM largest) + 1)"
)
#: As in `SummaryRecord`.
_SUMMARY = (
    "test.id, test.run, test.nodeid, test.path, test.name, test.line, test.outcome,"
    " phase.peak_bytes,"
    " (SELECT before.peak_bytes FROM phase AS before WHERE before.name = 'call' AND before.test = ("
    "SELECT earlier.id FROM test AS earlier WHERE earlier.path = test.path"
    " AND earlier.name = test.name AND earlier.id < test.id AND earlier.run <> test.run"
    " ORDER BY earlier.id DESC LIMIT 1)),"
    " (SELECT limit_bytes FROM limit_check WHERE limit_check.test = test.id"
    " AND marker = 'limit_memory' ORDER BY id LIMIT 1),"
    " (SELECT verdict FROM limit_check WHERE limit_check.test = test.id ORDER BY CASE verdict"
    " WHEN 'exceeded' THEN 0 WHEN 'passed' THEN 1 ELSE 2 END LIMIT 1),"
    " (SELECT CASE marker WHEN 'limit_leaks' THEN coalesce((SELECT sum(stack.bytes) FROM stack"
    " WHERE stack.test = test.id AND stack.kind = 'leak'), 0) ELSE measured_bytes END"
    " FROM limit_check WHERE limit_check.test = test.id AND verdict <> 'not_judged'"
    " AND marker IN ('limit_leaks', 'limit_leaked_objects') ORDER BY marker DESC LIMIT 1),"
    " (SELECT group_concat(DISTINCT marker) FROM limit_check WHERE limit_check.test = test.id"
    " AND verdict = 'exceeded')"
    " FROM each CROSS JOIN test ON test.id = (SELECT newest.id FROM test AS newest"
    " WHERE newest.path = each.path AND newest.name = each.name ORDER BY newest.id DESC LIMIT 1)"
    " CROSS JOIN phase ON phase.test = test.id AND phase.name = 'call'"
    " ORDER BY test.path, test.name"
)
_RUN = (
    "SELECT id, uuid, started, finished, status, exit_status, command_line, rootdir, versions,"
    " git_commit, git_dirty, collected FROM run"
)
_TEST = "SELECT id, run, nodeid, path, line, outcome, duration, worker FROM test"
#: SQLite's limit of bound values was 999 for long.
_CHUNK = 900
_Values: TypeAlias = Sequence[object] | Mapping[str, object]


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
    #: That of `limit_memory`, None without one.
    limit_bytes: int | None = None


class SummaryRecord(NamedTuple):
    """The newest result of one test, in short."""

    #: As in `TestRecord`.
    id: int
    run: int
    nodeid: str
    path: str
    name: str
    line: int
    outcome: str
    #: Of the call, in bytes, and in the run before; None if it was not measured in one.
    peak_bytes: int
    peak_before: int | None
    #: That of `limit_memory`, None without one.
    limit_bytes: int | None
    #: Of all limits together: exceeded if one is, else passed if one is. None without any.
    verdict: Verdict | None
    #: All that leaked, in bytes; None if nobody looked for leaks.
    leaked_bytes: int | None
    #: The markers of the limits that it is over, as in `CheckRecord`.
    exceeded: tuple[str, ...] = ()


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
    #: The database's id of that result.
    result: int = 0


class ResultsReader:
    """Reads one results database. Use as a context manager, or `close` it.

    Every method raises `ResultsError` when the file cannot be read. Not for use by several threads
    at once. Of a file of an older schema version it reads what was there when it was opened.
    """

    def __init__(self, path: Path, patience: float = 10.0) -> None:
        """Open the database at *path*.

        *patience* is for how many seconds a lock of another process is waited for.
        """
        self.path = path
        self._connection = open_for_reading(path, patience)

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
        rows = self._rows("issSsIsssSII", f"{_RUN} {rest}", values)
        with naming(self.path, "read"):
            return [
                RunRecord(
                    id=row[0],
                    uuid=row[1],
                    started=row[2],
                    finished=row[3],
                    status=self._status(row[1], row[4]),
                    exit_status=row[5],
                    command_line=json_list_of_texts(row[6]),
                    rootdir=row[7],
                    versions=json_texts_by_name(row[8]),
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
        return self._tests(_LATEST_OF_PATH, {"path": path}, stacks=stacks)

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

    def result(self, result: int) -> TestRecord | None:
        """Return the result with the id *result*, or None if there is none."""
        tests = self._tests("id = ?", (result,))
        return tests[0] if tests else None

    def nodeids(self) -> list[tuple[str, str, str]]:
        """Return path, name and newest node id of each test that has a result."""
        rows = self._rows(
            "sss", f"SELECT path, name, nodeid FROM test WHERE {_LATEST_OF_ALL} ORDER BY id"
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def peaks_before(self, tests: Iterable[TestRecord]) -> dict[int, int]:
        """Return, by id, what the peak of each of *tests* was in the run before it, in bytes.

        That is the last of the earlier runs in which the test was measured. A test without one is
        left out.
        """
        rows = self._in_chunks(
            "ii",
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

    def leaked(self, tests: Iterable[TestRecord]) -> dict[int, int]:
        """Return, by id, what the call stacks that leak in each of *tests* hold together, in bytes.

        A test without any is left out.
        """
        rows = self._in_chunks(
            "iI",
            "SELECT id, (SELECT sum(bytes) FROM stack WHERE stack.test = test.id"
            " AND stack.kind = 'leak') FROM test",
            [test.id for test in tests if test.id is not None],
            column="id",
        )
        return {row[0]: row[1] for row in rows if row[1] is not None}

    def history(self, path: str, name: str, limit: int | None = None) -> list[PastResult]:
        """Return what the last *limit* runs (None: all) measured of a test, the newest first."""
        rows = self._rows(
            "ssSIsiI",
            "SELECT uuid, started, git_commit, git_dirty, outcome, peak_bytes,"
            " (SELECT limit_bytes FROM limit_check WHERE limit_check.test = test.id"
            " AND marker = 'limit_memory' ORDER BY id LIMIT 1)"
            " FROM test JOIN run ON run.id = test.run"
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
                limit_bytes=row[6],
            )
            for row in rows
        ]

    def result_in(self, run: str, path: str, name: str) -> TestRecord | None:
        """Return what the run with the uuid *run* measured of a test, or None if it did not."""
        tests = self._tests(
            "id = (SELECT max(again.id) FROM test AS again WHERE again.path = ? AND again.name = ?"
            " AND again.run = (SELECT id FROM run WHERE uuid = ?))",
            (path, name, run),
        )
        return tests[0] if tests else None

    def summaries(
        self, limit: int, after: tuple[str, str] = ("", ""), *, since: int = 0
    ) -> list[SummaryRecord]:
        """Return the newest results of *limit* tests, in order of path and name.

        Of those that come *after* a path and name, and only results whose id is larger than
        *since*.
        """
        newest = _CHANGED_TESTS if since else _ALL_TESTS
        rows = self._rows(
            "iisssisiIISIS",
            f"{newest} SELECT {_SUMMARY}",
            {"limit": limit, "path": after[0], "name": after[1], "since": since},
        )
        return [
            SummaryRecord._make((*row[:-1], tuple(sorted(row[-1].split(","))) if row[-1] else ()))
            for row in rows
        ]

    def latest_exceeded(self, *, after: int = 0) -> list[TestRecord]:
        """Return the newest result of each test that is over one of its limits there.

        Only of the results whose id is larger than *after*.
        """
        return self._tests(
            "id IN (SELECT test FROM limit_check WHERE verdict = 'exceeded' AND test > ?)"
            f" AND {_LATEST}",
            (after,),
        )

    def failing(self) -> list[tuple[str, str]]:
        """Return path and name of each test whose newest result failed or is over a limit."""
        rows = self._rows(
            "ss",
            "SELECT path, name FROM test WHERE (outcome = 'failed' OR id IN"
            f" (SELECT test FROM limit_check WHERE verdict = 'exceeded')) AND {_LATEST}"
            " ORDER BY id",
        )
        return [(row[0], row[1]) for row in rows]

    def latest_near_limit(self, share_left: float = 10.0, *, after: int = 0) -> list[TestRecord]:
        """Return the newest result of each test that kept its `limit_memory` with little left.

        That is at most *share_left* percent of the limit. Those that are over another limit are
        left out, and so are call stacks. Only of the results whose id is larger than *after*.
        """
        return self._tests(
            "id IN (SELECT test FROM limit_check AS near WHERE marker = 'limit_memory'"
            " AND verdict = 'passed' AND measured_bytes * 100 >= limit_bytes * (100 - ?)"
            " AND test > ? AND NOT EXISTS (SELECT 1 FROM limit_check"
            f" WHERE limit_check.test = near.test AND verdict = 'exceeded')) AND {_LATEST}",
            (share_left, after),
            stacks=False,
        )

    def newest_result(self) -> int:
        """Return the id of the result that was stored last, 0 if there is none."""
        rows = self._rows("I", "SELECT max(id) FROM test")
        return rows[0][0] or 0

    def names_after(self, result: int) -> set[tuple[str, str]]:
        """Return path and name of each test that has a result with an id larger than *result*."""
        # Not DISTINCT, for which SQLite would walk along the index of all names.
        rows = self._rows("ss", "SELECT path, name FROM test WHERE id > ?", (result,))
        return {(row[0], row[1]) for row in rows}

    def runs_of(self, results: Iterable[int]) -> dict[int, str]:
        """Return the uuid of the run that each of *results*, which are ids, is of.

        Without those that are not there, or no longer.
        """
        rows = self._in_chunks(
            "is",
            "SELECT test.id, run.uuid FROM test JOIN run ON run.id = test.run",
            list(results),
            column="test.id",
        )
        return {row[0]: row[1] for row in rows}

    def sites_in(self, path: str, least: int = 0) -> list[SiteRecord]:
        """Return what the lines of the project's file *path* hold at the peaks of tests, and leak.

        Of the tests' own calls, not of set-up and teardown. Only of the newest result of each
        test, and of call stacks of at least *least* bytes. In order of lines; for each line the
        largest first.
        """
        wanted = {"least": least, "path": path}
        ((many,),) = self._rows("i", _HAS_MANY_STACKS, wanted)
        rows = self._rows("isiisiii", _SITES_BY_TEST if many else _SITES_BY_LINE, wanted)
        return [SiteRecord(*row) for row in rows]

    def last_passing_peaks(self) -> dict[tuple[str, str], int]:
        """Return the peak, in bytes, of each test's newest passing run, by its path and name."""
        rows = self._rows(
            "ssi",
            f"{_NEWEST} SELECT newest.path, newest.name, peak_bytes FROM newest"
            " JOIN phase ON phase.name = 'call' AND phase.test = ("
            "SELECT id FROM test WHERE test.path = newest.path AND test.name = newest.name"
            " AND outcome = 'passed' ORDER BY id DESC LIMIT 1)",
        )
        return {(row[0], row[1]): row[2] for row in rows}

    def heavy_tests(self) -> list[tuple[str, str]]:
        """Return path and name of each test that made very many allocations when last counted.

        Very many are 100,000 and more in the call. A count that is older than the test's last 20
        results says nothing any more.
        """
        rows = self._rows(
            "ss",
            "SELECT DISTINCT test.path, test.name FROM phase JOIN test ON test.id = phase.test"
            # As in the index phase_heavy, or SQLite would not use it.
            " WHERE phase.name = 'call' AND phase.allocations >= 100000 AND ("
            "SELECT count(*) + 20 * count(counted.allocations) FROM test AS later"
            " LEFT JOIN phase AS counted ON counted.test = later.id AND counted.name = 'call'"
            " WHERE later.path = test.path AND later.name = test.name AND later.id > test.id"
            ") < 20",
        )
        return [(row[0], row[1]) for row in rows]

    def outcomes(self, run: int) -> dict[str, int]:
        """Return how many tests of *run* have ended up to now, by outcome."""
        rows = self._rows(
            "si", "SELECT outcome, count(*) FROM test WHERE run = ? GROUP BY outcome", (run,)
        )
        return {row[0]: row[1] for row in rows}

    def newest_test(self, run: int) -> str | None:
        """Return the id of the test of *run* whose result came last, None before the first."""
        rows = self._rows(
            "s", "SELECT nodeid FROM test WHERE run = ? ORDER BY id DESC LIMIT 1", (run,)
        )
        return rows[0][0] if rows else None

    def settings(self) -> dict[str, int]:
        """Return how much pytest kept when a run last ended here, by the names of its ini keys.

        ``memray_history`` is a number of results, ``memray_history_size`` one of bytes. What was
        never said, or has no bound, is left out.
        """
        # The first files of version 1 had no such table.
        if not self._rows("i", "SELECT 1 FROM sqlite_master WHERE name = 'setting'"):
            return {}
        return {row[0]: row[1] for row in self._rows("si", "SELECT name, value FROM setting")}

    def source(self, run: int, path: str) -> SourceRecord | None:
        """Return the text of *path* as *run* saw it, or None if it was not kept."""
        rows = self._rows(
            "sss",
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

    def _rows(self, kinds: str, sql: str, values: _Values = ()) -> list[sqlite3.Row]:
        """Return the rows of a query, whose columns must be of these *kinds*."""
        with naming(self.path, "read"):
            rows = self._connection.execute(sql, values).fetchall()
            check_kinds(rows, kinds)
        return rows

    def _tests(self, where: str, values: _Values = (), *, stacks: bool = True) -> list[TestRecord]:
        with naming(self.path, "read"):
            # One snapshot for all the statements, whatever is being written.
            self._connection.execute("BEGIN")
        try:
            with naming(self.path, "read"):
                return self._tests_in_snapshot(where, values, with_stacks=stacks)
        finally:
            with naming(self.path, "read"):
                self._connection.execute("ROLLBACK")

    def _tests_in_snapshot(
        self, where: str, values: _Values, *, with_stacks: bool
    ) -> list[TestRecord]:
        rows = self._rows("iissisfS", f"{_TEST} WHERE {where} ORDER BY id", values)
        ids = [row[0] for row in rows]
        phases: dict[int, list[PhaseRecord]] = {}
        phase_rows = self._in_chunks(
            "sisiIIi",
            "SELECT histogram, test, name, peak_bytes, allocated_bytes, allocations, alive_bytes"
            " FROM phase",
            ids,
        )
        histograms = json_lists([row[0] for row in phase_rows])
        for row, histogram in zip(phase_rows, histograms, strict=True):
            phases.setdefault(row[1], []).append(PhaseRecord._make((*row[2:], tuple(histogram))))
        checks: dict[int, list[CheckRecord]] = {}
        for row in self._in_chunks(
            "isiiss",
            "SELECT test, marker, limit_bytes, measured_bytes, verdict, message FROM limit_check",
            ids,
            order="id",
        ):
            checks.setdefault(row[0], []).append(CheckRecord(*row[1:]))
        stack_rows = self._in_chunks(
            "sisii",
            "SELECT frames, test, kind, bytes, allocations FROM stack",
            ids if with_stacks else (),
            order="bytes DESC, id",
        )
        frame_ids = json_lists([row[0] for row in stack_rows])
        stacks: dict[int, list[StackRecord]] = {}
        try:
            frames = self._frames({frame for each in frame_ids for frame in each})
            for row, each in zip(stack_rows, frame_ids, strict=True):
                stacks.setdefault(row[1], []).append(
                    StackRecord._make((*row[2:], tuple(frames[frame] for frame in each)))
                )
        except KeyError as error:
            raise UnreadableError("a call stack names a frame that is not there") from error
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
                "issis",
                "SELECT id, function, path, line, kind FROM frame",
                sorted(ids),
                column="id",
            )
        }

    def _in_chunks(
        self,
        kinds: str,
        select: str,
        ids: Sequence[int],
        *,
        column: str = "test",
        order: str | None = None,
    ) -> list[sqlite3.Row]:
        rows: list[sqlite3.Row] = []
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            sql = f"{select} WHERE {column} IN ({marks})" + (f" ORDER BY {order}" if order else "")
            rows += self._rows(kinds, sql, chunk)
        return rows
