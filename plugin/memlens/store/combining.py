"""Merging databases: of a suite's parts that ran on several machines, of several checkouts.

A run is the same in every copy of it by its uuid. The result does not depend on the order in which
databases are named: runs are stored in the order in which they began, since the newest result of a
test is the one with the largest id.
"""

from __future__ import annotations

import json
import os
import posixpath
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from memlens.store.aside import one_at_a_time
from memlens.store.database import (
    DamagedError,
    ResultsError,
    naming,
    open_for_reading,
    open_for_writing,
)
from memlens.store.folder import FOLDER_NAME, files_beside, make_folder
from memlens.store.running import is_running

#: Called with how many results have been looked at, and of how many.
Progress = Callable[[int, int], None]

#: How often progress is told.
_STEP = 500
#: Of copies of one run, the one that knows most about how it ended.
_RANKS = {"running": 0, "interrupted": 1, "finished": 2}

_RUN = (
    "uuid, started, finished, status, exit_status, command_line, rootdir, versions, git_commit,"
    " git_dirty, collected"
)
_TEST = "nodeid, path, name, line, outcome, duration, worker"
_TABLES = ("run", "source", "frame", "test", "phase", "limit_check", "stack", "run_source")


class Combined(NamedTuple):
    """What a combination has come to."""

    #: In the target now.
    runs: int
    tests: int
    #: Of these, how many were not there before.
    new_runs: int
    new_tests: int


class _Copy(NamedTuple):
    """A run in one of the databases."""

    database: int
    id: int
    #: The columns of `_RUN`.
    values: tuple[object, ...]
    tests: int


def combine(
    sources: Sequence[Path],
    target: Path,
    *,
    maps: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Combined:
    """Add all that is in *sources* to *target*, which may exist already or be one of them.

    *maps* says what folders of other machines are here: a path that begins with the absolute path
    of a key begins with its value instead. Values are absolute, or relative to the project's folder
    (the one that *target*'s `.memlens` is in, else the one that *target* is in), which is ".".
    Paths in the project become relative, as a run in it would have written them.

    Sources are only read. When anything goes wrong, *target* is as it was.

    Raises:
        ResultsError: a file cannot be read or written, or is damaged, or a run is writing to
            *target*.
        ValueError: a key of *maps* is not an absolute path.
    """
    target = target.absolute()
    folder = target.parent.parent if target.parent.name == FOLDER_NAME else target.parent
    paths = _Paths(maps or {}, folder)
    with naming(target, "write"):
        if target.parent.name == FOLDER_NAME:
            make_folder(target.parent)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
    exists = target.exists()
    others = [path for path in _distinct(sources) if not (exists and _is_same(path, target))]
    with ExitStack() as stack:
        opened = [(path, stack.enter_context(_reading(path))) for path in others]
        # What SQLite had beside a file that is gone would be taken for the new one's. SQLite itself
        # tidies that up when it makes a file.
        if exists or any(map(os.path.lexists, files_beside(target))):
            return _update(target, opened, paths, progress)
        return _make(target, opened, paths, progress)


def _make(
    target: Path,
    sources: Sequence[tuple[Path, sqlite3.Connection]],
    paths: _Paths,
    progress: Progress | None,
) -> Combined:
    """Make *target* in a file beside it, and only then give it its name.

    Somebody may have been faster. Then everything is added to what is there.
    """
    with _temporary(target) as temporary:
        with closing(open_for_writing(temporary)) as connection:
            runs, tests = _merge(connection, sources, paths, progress)
            with naming(target, "write"):
                # No part of it must be in another file when it moves.
                connection.execute("PRAGMA journal_mode = DELETE")
        with naming(target, "write"):
            is_made = _give_name(temporary, target)
    if not is_made:
        return _update(target, sources, paths, progress)
    return Combined(runs, tests, runs, tests)


def _give_name(temporary: Path, target: Path) -> bool:
    """Let the file *temporary* be *target* too, or instead, unless there is one by now."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        with one_at_a_time(target):
            if target.exists():
                return False
            temporary.replace(target)
    return True


def _update(
    target: Path,
    sources: Sequence[tuple[Path, sqlite3.Connection]],
    paths: _Paths,
    progress: Progress | None,
) -> Combined:
    """Merge beside *target*, then put everything into it in one transaction.

    It is not replaced as a file, since readers have it open.
    """
    with _temporary(target) as temporary, closing(open_for_writing(target)) as connection:
        _check(target, connection)
        with closing(open_for_writing(temporary)) as merged, naming(target, "write"):
            # Taken before it is read: what a run wrote from here on would be lost.
            connection.execute("BEGIN IMMEDIATE")
            try:
                for (uuid,) in connection.execute("SELECT uuid FROM run WHERE status = 'running'"):
                    if is_running(target, uuid):
                        raise ResultsError(
                            f"a pytest run is writing to {target}: combine when it has ended"
                        )
                before = _counts(connection)
                runs, tests = _merge(merged, [(target, connection), *sources], paths, progress)
                if _content(merged) != _content(connection):
                    _copy_all(merged, connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
    return Combined(runs, tests, runs - before[0], tests - before[1])


def _merge(
    into: sqlite3.Connection,
    sources: Sequence[tuple[Path, sqlite3.Connection]],
    paths: _Paths,
    progress: Progress | None,
) -> tuple[int, int]:
    """Fill the empty database *into*; return how many runs and tests it has then."""
    copies: dict[str, list[_Copy]] = {}
    for number, (path, connection) in enumerate(sources):
        with naming(path, "read"):
            for run, tests, *values in connection.execute(
                f"SELECT id, (SELECT count(*) FROM test WHERE run = run.id), {_RUN} FROM run"
            ):
                values[6] = paths.rootdir(str(values[6]))
                copies.setdefault(str(values[0]), []).append(
                    _Copy(number, run, tuple(values), tests)
                )
    merger = _Merger(into, sources, paths, progress)
    merger.total = sum(copy.tests for each in copies.values() for copy in each)
    into.execute("BEGIN IMMEDIATE")
    try:
        for each in sorted(
            copies.values(), key=lambda each: (each[0].values[1], each[0].values[0])
        ):
            merger.add_run(each)
        into.execute("COMMIT")
    except BaseException:
        if into.in_transaction:
            into.execute("ROLLBACK")
        raise
    if progress is not None:
        progress(merger.total, merger.total)
    return _counts(into)


class _Merger:
    """Adds runs to a database that nobody else uses."""

    def __init__(
        self,
        into: sqlite3.Connection,
        sources: Sequence[tuple[Path, sqlite3.Connection]],
        paths: _Paths,
        progress: Progress | None,
    ) -> None:
        self.total = 0
        self._into = into
        self._sources = sources
        self._paths = paths
        self._progress = progress
        self._done = 0
        self._run = 0
        self._test = 0
        # Ids in `into`, by what is interned there and by database and id in it.
        self._frames: dict[tuple[object, ...], int] = {}
        self._frame_ids: list[dict[int, int]] = [{} for _ in sources]
        self._texts: dict[tuple[object, ...], int] = {}
        self._text_ids: list[dict[int, int]] = [{} for _ in sources]

    def add_run(self, copies: Sequence[_Copy]) -> None:
        """Add a run: how it ended from the copy that knows it, the tests of all."""
        best = max(copies, key=lambda copy: (_RANKS[str(copy.values[3])], repr(copy.values)))
        self._run += 1
        marks = ", ".join("?" * len(best.values))
        self._into.execute(
            f"INSERT INTO run (id, {_RUN}) VALUES (?, {marks})", (self._run, *best.values)
        )
        present: Counter[tuple[object, ...]] = Counter()
        # The fullest first. Equally full ones are put in an order by what is in them.
        for copy in sorted(copies, key=self._order, reverse=True):
            path, connection = self._sources[copy.database]
            with naming(path, "read"):
                self._add_sources(copy)
                self._add_tests(copy, connection, present)

    def _order(self, copy: _Copy) -> tuple[int, str]:
        path, connection = self._sources[copy.database]
        with naming(path, "read"):
            rows = connection.execute(
                f"SELECT {_TEST} FROM test WHERE run = ? ORDER BY id", (copy.id,)
            ).fetchall()
        return copy.tests, repr(rows)

    def _add_tests(
        self, copy: _Copy, connection: sqlite3.Connection, present: Counter[tuple[object, ...]]
    ) -> None:
        """Add the tests that *present*, those of other copies, has not; how often each is there."""
        seen: Counter[tuple[object, ...]] = Counter()
        ids: dict[int, int] = {}
        for old, *values in connection.execute(
            f"SELECT id, {_TEST} FROM test WHERE run = ? ORDER BY id", (copy.id,)
        ):
            self._tell()
            values[1] = self._paths.file(str(values[1]))
            key = (values[1], values[2], values[6])
            seen[key] += 1
            if seen[key] > present[key]:
                present[key] += 1
                self._test += 1
                ids[old] = self._test
                self._into.execute(
                    f"INSERT INTO test (id, run, {_TEST}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (self._test, self._run, *values),
                )
        for table, columns in (
            (
                "phase",
                "name, peak_bytes, allocated_bytes, allocations, alive_bytes, histogram",
            ),
            ("limit_check", "marker, limit_bytes, measured_bytes, verdict, message"),
        ):
            order = "id" if table == "limit_check" else "name"
            marks = ", ".join("?" * (columns.count(",") + 2))
            self._into.executemany(
                f"INSERT INTO {table} (test, {columns}) VALUES ({marks})",
                (
                    (ids[test], *values)
                    for test, *values in self._of_tests(connection, copy, table, columns, order)
                    if test in ids
                ),
            )
        self._into.executemany(
            "INSERT INTO stack (test, kind, bytes, allocations, frames, site)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (ids[test], *values, *self._frames_of(copy.database, frames, site))
                for test, *values, frames, site in self._of_tests(
                    connection, copy, "stack", "kind, bytes, allocations, frames, site", "id"
                )
                if test in ids
            ],
        )

    def _of_tests(
        self, connection: sqlite3.Connection, copy: _Copy, table: str, columns: str, order: str
    ) -> Iterator[tuple[int, ...]]:
        names = ", ".join(f"each.{column.strip()}" for column in columns.split(","))
        return connection.execute(
            f"SELECT each.test, {names} FROM test JOIN {table} AS each ON each.test = test.id"
            f" WHERE test.run = ? ORDER BY test.id, each.{order}",
            (copy.id,),
        )

    def _frames_of(self, database: int, text: object, site: int | None) -> tuple[str, int | None]:
        known = self._frame_ids[database]
        try:
            if not known:
                path, connection = self._sources[database]
                for row in connection.execute("SELECT id, function, path, line, kind FROM frame"):
                    known[row[0]] = self._intern_frame(row[1:])
            frames = [known[frame] for frame in json.loads(str(text))]
            return (
                json.dumps(frames, separators=(",", ":")),
                None if site is None else known[site],
            )
        except (KeyError, TypeError, ValueError) as error:
            path = self._sources[database][0]
            raise DamagedError(
                f"the results in {path} are damaged: a stack has no frames"
            ) from error

    def _intern_frame(self, row: Sequence[object]) -> int:
        function, path, line, kind = row
        values = (function, self._paths.file(str(path)), line, kind)
        found = self._frames.get(values)
        if found is None:
            found = self._frames[values] = len(self._frames) + 1
            self._into.execute(
                "INSERT INTO frame (id, function, path, line, kind) VALUES (?, ?, ?, ?, ?)",
                (found, *values),
            )
        return found

    def _add_sources(self, copy: _Copy) -> None:
        _, connection = self._sources[copy.database]
        known = self._text_ids[copy.database]
        for path, source in connection.execute(
            "SELECT path, source FROM run_source WHERE run = ? ORDER BY path", (copy.id,)
        ).fetchall():
            if source not in known:
                known[source] = self._intern_text(
                    connection.execute(
                        "SELECT path, digest, text FROM source WHERE id = ?", (source,)
                    ).fetchone()
                )
            self._into.execute(
                "INSERT OR IGNORE INTO run_source (run, path, source) VALUES (?, ?, ?)",
                (self._run, self._paths.file(path), known[source]),
            )

    def _intern_text(self, row: Sequence[object]) -> int:
        path, digest, text = row
        key = (self._paths.file(str(path)), digest)
        found = self._texts.get(key)
        if found is None:
            found = self._texts[key] = len(self._texts) + 1
            self._into.execute(
                "INSERT INTO source (id, path, digest, text) VALUES (?, ?, ?, ?)",
                (found, *key, text),
            )
        return found

    def _tell(self) -> None:
        if self._progress is not None and self._done % _STEP == 0:
            self._progress(self._done, self.total)
        self._done += 1


class _Paths:
    """Paths of other machines as they are here."""

    def __init__(self, maps: Mapping[str, str], folder: Path) -> None:
        self._folder = PurePosixPath(folder.as_posix())
        # The longest first: the nearest folder decides.
        self._maps = sorted(
            (
                (PurePosixPath(old), PurePosixPath(posixpath.normpath(self._folder / new)))
                for old, new in maps.items()
            ),
            key=lambda each: len(each[0].parts),
            reverse=True,
        )
        for old, _ in self._maps:
            if not old.is_absolute():
                raise ValueError(f"{str(old)!r} is not an absolute path: it names a folder there")
        self._known: dict[str, str] = {}

    def rootdir(self, path: str) -> str:
        """Return a run's root folder, absolute."""
        mapped = self._mapped(path)
        return path if mapped is None else str(mapped)

    def file(self, path: str) -> str:
        """Return the path of a test, frame or text: relative if it comes to be in the project."""
        if not self._maps or not path.startswith("/"):
            return path
        known = self._known.get(path)
        if known is None:
            mapped = self._mapped(path)
            if mapped is None:
                known = path
            elif mapped.is_relative_to(self._folder):
                known = str(mapped.relative_to(self._folder))
            else:
                known = str(mapped)
            self._known[path] = known
        return known

    def _mapped(self, path: str) -> PurePosixPath | None:
        there = PurePosixPath(path)
        for old, new in self._maps:
            if there.is_relative_to(old):
                return new / there.relative_to(old)
        return None


def _distinct(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not any(_is_same(path, other) for other in found):
            found.append(path)
    return found


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.absolute() == other.absolute()


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open *path*, look whether it is whole, and see it as it is now until the end."""
    with closing(open_for_reading(path)) as connection:
        _check(path, connection)
        with naming(path, "read"):
            connection.execute("BEGIN")
        yield connection


def _check(path: Path, connection: sqlite3.Connection) -> None:
    with naming(path, "read"):
        (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise DamagedError(f"the results in {path} are damaged: {answer}")


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """Yield a path beside *target* for a database that is gone afterwards."""
    with naming(target, "write"):
        folder = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        yield folder / target.name
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                Path(f"{folder / target.name}{suffix}").unlink()
        with suppress(OSError):
            folder.rmdir()


def _counts(connection: sqlite3.Connection) -> tuple[int, int]:
    runs, tests = connection.execute(
        "SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM test)"
    ).fetchone()
    return runs, tests


def _content(connection: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    """Return what tells whether two databases hold the same."""
    return [
        connection.execute(query).fetchall()
        for query in (
            f"SELECT {_RUN} FROM run ORDER BY id",
            "SELECT run.uuid, test.path, test.name, worker FROM test JOIN run ON run.id = run"
            " ORDER BY test.id",
            "SELECT function, path, line, kind FROM frame ORDER BY 1, 2, 3, 4",
            "SELECT run.uuid, run_source.path, digest FROM run_source JOIN run ON run.id = run"
            " JOIN source ON source.id = source ORDER BY 1, 2",
        )
    ]


def _copy_all(merged: sqlite3.Connection, into: sqlite3.Connection) -> None:
    for table in reversed(_TABLES):
        into.execute(f"DELETE FROM {table}")
    for table in _TABLES:
        rows = merged.execute(f"SELECT * FROM {table}")
        columns = [column[0] for column in rows.description]  # a later memlens may have added some
        marks = ", ".join("?" * len(columns))
        into.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
