"""Dropping old results: so many for each test, so many bytes for all, and nobody for ever.

A test that was renamed or deleted ages out. Both need care, since most runs are of a part of the
tests and files come and go with branches:

- Of a file that is measured, a test goes when its name is no longer in the file's text (or tells
  nothing: it has parameters, it is inherited) and the last `runs` finished runs of that file have
  not had it; a run counts if it had more than half as many of the file's tests as the largest run
  that did have it.
- A file that does not exist any more goes with all its tests when `runs` finished runs have not
  measured it.

Every transaction is short, so that runs can write in between, and leaves the file whole: trimming
can be interrupted at any time. What a run that is alive has written stays.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from memlens.store.database import naming, open_for_writing
from memlens.store.folder import FOLDER_NAME
from memlens.store.parsing import json_lists
from memlens.store.running import mark_interrupted

#: Results that are deleted in one transaction. Each one's place in the index by name is on a page
#: of its own, more or less: few at a time would mean to write all of the index each time.
_CHUNK = 10_000
#: Pages that are given back in one transaction.
_PAGES = 2000
#: Space is given back when there is this much unused, in bytes, and it is this share of the file:
#: the next run takes most of it again.
_MUCH = 4 * 1024**2
_MUCH_OF_IT = 0.25


class Trimmed(NamedTuple):
    """What was dropped."""

    runs: int
    #: Results, each of one test in one run.
    tests: int
    #: The file's size.
    bytes_before: int
    bytes_after: int


def trim(path: Path, *, runs: int, size: int | None) -> Trimmed:
    """Keep each test's newest *runs* results, and of all no more than *size* bytes (None: any).

    Oldest runs go first for the size; the newest one stays. Runs that have no tests left go, and
    whatever else is then of no use to anybody.

    Raises:
        ResultsError: the file cannot be written or is not a results database.
    """
    rootdir = path.absolute().parent.parent if path.parent.name == FOLDER_NAME else None
    connection = open_for_writing(path)
    with naming(path, "trim"), closing(connection):
        # All of the file is read, most of it several times: 64 MiB of it may stay in memory.
        connection.execute("PRAGMA cache_size = -65536")
        with _commit(connection):
            mark_interrupted(connection, path)
        trimming = _Trimming(connection, rootdir)
        surplus = [row[0] for row in connection.execute(_SURPLUS_OF_ALL, {"runs": runs})]
        trimming.delete_tests(surplus)
        paths = [row[0] for row in connection.execute("SELECT DISTINCT path FROM test")]
        trimming.age(paths, runs)
        trimming.delete_empty_runs()
        trimming.sweep()
        trimming.shrink_to(size)
        return trimming.end()


def trim_after(
    connection: sqlite3.Connection,
    rootdir: Path,
    run: int,
    *,
    runs: int,
    size: int | None,
) -> Trimmed:
    """Do what `trim` does, as far as the run with the id *run*, just ended, made it necessary.

    Takes no time if that is nothing. Frames and texts that nobody uses are looked for once in as
    many results as there are in the file, since all of it has to be read for that.

    Raises:
        sqlite3.Error: the file cannot be written.
    """
    trimming = _Trimming(connection, rootdir)
    (count,) = connection.execute("SELECT count(*) FROM run").fetchone()
    if count > runs:
        surplus = [
            row[0] for row in connection.execute(_SURPLUS_OF_RUN, {"runs": runs, "run": run})
        ]
        trimming.delete_tests(surplus)
        trimming.age(trimming.files_with_more(run), runs)
        trimming.delete_empty_runs()
        if trimming.is_time_to_sweep(run):
            trimming.sweep()
    trimming.shrink_to(size)
    return trimming.end()


#: Results that have :runs newer ones. Those of runs that are alive are left out when deleting.
_SURPLUS_OF_ALL = (
    "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY path, name ORDER BY id DESC)"
    " AS place FROM test) WHERE place > :runs"
)
_SURPLUS_OF_RUN = (
    "SELECT old.id FROM (SELECT DISTINCT path, name FROM test WHERE run = :run) AS mine"
    " JOIN test AS old ON old.path = mine.path AND old.name = mine.name AND old.id <="
    " (SELECT id FROM test AS newer WHERE newer.path = mine.path AND newer.name = mine.name"
    " ORDER BY id DESC LIMIT 1 OFFSET :runs)"
)
#: DISTINCT would read every row of the index; this jumps from one value to the next. UNION, not
#: UNION ALL: in a damaged index that might never end.
_ALL_PATHS = (
    "WITH RECURSIVE each (path) AS (SELECT min(path) FROM test UNION"
    " SELECT (SELECT min(path) FROM test WHERE path > each.path) FROM each"
    " WHERE each.path IS NOT NULL) SELECT path FROM each WHERE path IS NOT NULL"
)
_NAMES_OF_PATH = (
    "WITH RECURSIVE each (name) AS (SELECT min(name) FROM test WHERE path = :path UNION"
    " SELECT (SELECT min(name) FROM test WHERE path = :path AND name > each.name) FROM each"
    " WHERE each.name IS NOT NULL) SELECT count(name) FROM each"
)


#: Of the results with the ids in a JSON list, those of runs that are not alive.
_OLD = (
    "SELECT id FROM test WHERE id IN (SELECT value FROM json_each(?))"
    " AND run NOT IN (SELECT id FROM run WHERE status = 'running')"
)


class _Trimming:
    """One pass over a database."""

    def __init__(self, connection: sqlite3.Connection, rootdir: Path | None) -> None:
        self._connection = connection
        self._rootdir = rootdir
        self._runs = 0
        self._tests = 0
        self._bytes_before = self._bytes()

    def end(self) -> Trimmed:
        """Give unused space back if it is much, and say what was done."""
        unused = self._pragma("freelist_count")
        if unused * self._pragma("page_size") > _MUCH and (
            unused > _MUCH_OF_IT * self._pragma("page_count")
        ):
            self._give_back(unused)
        return Trimmed(self._runs, self._tests, self._bytes_before, self._bytes())

    def delete_tests(self, ids: Sequence[int]) -> None:
        """Delete the results *ids*, except for those of runs that are alive."""
        # What was written together lies together.
        ids = sorted(ids)
        for start in range(0, len(ids), _CHUNK):
            chunk = json.dumps(ids[start : start + _CHUNK])
            with _commit(self._connection):
                # Foreign keys would do it too, test by test, which takes twice as long.
                for table in ("phase", "stack", "limit_check"):
                    self._connection.execute(
                        f"DELETE FROM {table} WHERE test IN ({_OLD})", (chunk,)
                    )
                cursor = self._connection.execute(
                    f"DELETE FROM test WHERE id IN ({_OLD})", (chunk,)
                )
                self._tests += cursor.rowcount

    def files_with_more(self, run: int) -> list[str]:
        """Return the files of which *run* has measured some tests, but not all that are known."""
        measured = self._connection.execute(
            "SELECT path, count(DISTINCT name) FROM test WHERE run = ? GROUP BY path", (run,)
        ).fetchall()
        return [
            path
            for path, count in measured
            if self._connection.execute(_NAMES_OF_PATH, {"path": path}).fetchone()[0] > count
        ]

    def age(self, paths: Iterable[str], runs: int) -> None:
        """Delete what is gone: tests of the files *paths*, and all of files that are not there."""
        finished = {
            row[0]
            for row in self._connection.execute("SELECT id FROM run WHERE status = 'finished'")
        }
        for path in paths:
            self.delete_tests(self._gone_from(path, runs, finished))
        if self._rootdir is None:
            return
        newest_first = sorted(finished, reverse=True)
        if len(newest_first) < runs:
            return
        for (path,) in self._connection.execute(_ALL_PATHS).fetchall():
            if not (self._rootdir / path).exists():
                rows = self._connection.execute(
                    "SELECT id, run FROM test WHERE path = ?", (path,)
                ).fetchall()
                if max(row[1] for row in rows) < newest_first[runs - 1]:
                    self.delete_tests([row[0] for row in rows])

    def _gone_from(self, path: str, runs: int, finished: set[int]) -> list[int]:
        """Return the ids of the results of tests that are no longer in the file *path*."""
        ids: dict[str, list[int]] = {}
        runs_of: dict[str, set[int]] = {}
        names_in: dict[int, set[str]] = {}
        for row_id, name, run in self._connection.execute(
            "SELECT id, name, run FROM test WHERE path = ?", (path,)
        ):
            ids.setdefault(name, []).append(row_id)
            runs_of.setdefault(name, set()).add(run)
            names_in.setdefault(run, set()).add(name)
        text: str | None = None
        gone: list[int] = []
        for name, its_runs in runs_of.items():
            newest = max(its_runs)
            largest = max(len(names_in[run]) for run in its_runs)
            without = [
                run
                for run, names in names_in.items()
                if run > newest and run in finished and 2 * len(names) > largest
            ]
            if len(without) < runs:
                continue
            if text is None:
                text = self._newest_text(path)
            if "[" in name or not re.search(rf"\b{re.escape(_function(name))}\b", text):
                gone += ids[name]
        return gone

    def _newest_text(self, path: str) -> str:
        row = self._connection.execute(
            "SELECT text FROM run_source JOIN source ON source.id = run_source.source"
            " WHERE run_source.path = ? ORDER BY run DESC LIMIT 1",
            (path,),
        ).fetchone()
        return str(row[0]) if row else ""

    def delete_empty_runs(self) -> None:
        """Delete runs that have no tests, but for the newest and those that are alive."""
        with _commit(self._connection):
            cursor = self._connection.execute(
                "DELETE FROM run WHERE status != 'running' AND id < (SELECT max(id) FROM run)"
                " AND NOT EXISTS (SELECT 1 FROM test WHERE test.run = run.id)"
            )
            self._runs += cursor.rowcount

    def is_time_to_sweep(self, run: int) -> bool:
        """Return whether as many results have been written since the last time as there are.

        Ids count what was ever written, near enough.
        """
        first, last = self._connection.execute(
            "SELECT min(id), max(id) FROM test WHERE run = ?", (run,)
        ).fetchone()
        (count,) = self._connection.execute("SELECT count(*) FROM test").fetchone()
        return first is not None and (first - 1) // count != last // count

    def sweep(self) -> None:
        """Delete frames that are in no stack, and texts that no test or frame of a run names.

        In one transaction: a run must not begin to use what is about to be deleted.
        """
        with _commit(self._connection):
            project = dict(
                self._connection.execute("SELECT id, path FROM frame WHERE kind = 'project'")
            )
            parsed: dict[str, frozenset[int]] = {}
            used: set[int] = set()
            unused_sources: list[tuple[int, str]] = []
            for run, status in self._connection.execute("SELECT id, status FROM run").fetchall():
                paths = {
                    row[0]
                    for row in self._connection.execute(
                        "SELECT path FROM test WHERE run = ?", (run,)
                    )
                }
                for (text,) in self._connection.execute(
                    "SELECT frames FROM test JOIN stack ON stack.test = test.id WHERE run = ?",
                    (run,),
                ):
                    frames = parsed.get(text)
                    if frames is None:
                        frames = parsed[text] = frozenset(json_lists([text])[0])
                        used |= frames
                    paths.update(project[frame] for frame in frames if frame in project)
                if status != "running":
                    unused_sources += [
                        (run, row[0])
                        for row in self._connection.execute(
                            "SELECT path FROM run_source WHERE run = ?", (run,)
                        )
                        if row[0] not in paths
                    ]
            self._connection.executemany(
                "DELETE FROM run_source WHERE run = ? AND path = ?", unused_sources
            )
            self._connection.execute(
                "DELETE FROM source WHERE id NOT IN (SELECT source FROM run_source)"
            )
            unused = [
                row
                for row in self._connection.execute("SELECT id FROM frame")
                if row[0] not in used
            ]
            self._connection.executemany("DELETE FROM frame WHERE id = ?", unused)

    def shrink_to(self, size: int | None) -> None:
        """Delete the oldest runs until the file could have *size* bytes, and give space back."""
        if size is None or self._bytes() <= size:
            return
        page = self._pragma("page_size")
        before = self._runs
        if self._used() > size:
            oldest = self._connection.execute(
                "SELECT id FROM run WHERE status != 'running'"
                " AND id < (SELECT max(id) FROM run) ORDER BY id"
            ).fetchall()
            for (run,) in oldest:
                if self._used() <= size:
                    break
                self.delete_tests(
                    [
                        row[0]
                        for row in self._connection.execute(
                            "SELECT id FROM test WHERE run = ?", (run,)
                        )
                    ]
                )
                with _commit(self._connection):
                    self._connection.execute("DELETE FROM run WHERE id = ?", (run,))
                    # Texts are most of what an old run has to itself.
                    self._connection.execute(
                        "DELETE FROM source WHERE id NOT IN (SELECT source FROM run_source)"
                    )
                self._runs += 1
        if self._runs > before:
            self.sweep()
        self._give_back(-(-(self._bytes() - size) // page))

    def _give_back(self, pages: int) -> None:
        """Make the file smaller by so many of its unused pages."""
        while pages > 0 and self._pragma("freelist_count") > 0:
            # execute() would stop at its first row, which is empty: after one page.
            self._connection.executescript(f"PRAGMA incremental_vacuum({min(pages, _PAGES)})")
            pages -= _PAGES

    def _used(self) -> int:
        pages = self._pragma("page_count") - self._pragma("freelist_count")
        return pages * self._pragma("page_size")

    def _bytes(self) -> int:
        return self._pragma("page_count") * self._pragma("page_size")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])


def _function(name: str) -> str:
    """Return the last name in it: ``test_b`` of ``TestA::test_b`` and of ``module.test_b``."""
    return re.split(r"::|\.", name)[-1]


@contextmanager
def _commit(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
