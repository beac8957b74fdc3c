"""Writing results: one writer a run, one commit a test."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tokenize
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memlens.store.aside import Opened, identity_of, open_instead, open_moving_aside
from memlens.store.database import DamagedError, ResultsError, naming, open_for_writing
from memlens.store.folder import make_folder
from memlens.store.parsing import UnreadableError
from memlens.store.records import FrameRecord, RunRecord, StackRecord, TestRecord
from memlens.store.running import RunLock, mark_interrupted

if TYPE_CHECKING:
    from memlens.store.trimming import Trimmed

#: Larger files (generated code, data) are not kept: nobody reads marks in them.
_LARGEST_SOURCE = 1024 * 1024

_Execute = Callable[[str, Sequence[object]], sqlite3.Cursor]


def utc_now() -> str:
    """Return the time now as the database writes it."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


class ResultsWriter:
    """Writes the results of one run.

    Everything raises `ResultsError` when the file cannot be written; what was committed stays. A
    damaged file, or one that is no results database, is moved aside and a new one is begun. So it
    is when somebody deletes the file meanwhile.
    """

    def __init__(self, path: Path, run: RunRecord, *, as_it_is: bool = False) -> None:
        """Open or create the database at *path* and begin *run* in it, or continue it.

        Runs that were killed are marked as interrupted. With *as_it_is* a file of an older schema
        version or one that is damaged is neither migrated nor moved aside: it is an error.
        """
        self.path = path
        self.run_id = 0
        #: What was moved aside or lost, in plain words.
        self.notices: list[str] = []
        self._as_it_is = as_it_is
        #: How many results of the run are in the file.
        self._stored = 0
        self._run = run
        self._rootdir = Path(run.rootdir)
        # Ids of frames and paths of sources this run has already stored.
        self._frames: dict[FrameRecord, int] = {}
        self._sources: set[str] = set()
        with naming(path, "write"):
            make_folder(path.parent)
        self._lock = RunLock(path, run.uuid)
        try:
            self._use(self._open())
            self._write(self._begin)
        except BaseException:
            self._lock.release()
            raise

    def add_test(self, test: TestRecord) -> None:
        """Store *test* with all that belongs to it, in one commit."""
        if self._is_gone():
            self._begin_again()
        try:
            self._write(lambda execute: self._add_test(execute, test))
        except UnicodeEncodeError:  # a file's name need not be UTF-8
            spelled = TestRecord.from_dict(_spelled_out(test.to_dict()))
            self._write(lambda execute: self._add_test(execute, spelled))
        self._stored += 1

    def finish(
        self,
        exit_status: int | None,
        *,
        interrupted: bool = False,
        git_commit: str | None = None,
        git_dirty: bool | None = None,
    ) -> None:
        """Note the run's end. Close the writer afterwards.

        *exit_status* is None if pytest did not come to its end.
        """
        if self._is_gone():  # to begin again would be to undo what somebody wanted
            raise ResultsError(f"somebody has deleted {self.path} before the run ended")
        status = "interrupted" if interrupted else "finished"
        values = (utc_now(), status, exit_status, git_commit, git_dirty)
        self._write(
            lambda execute: execute(
                "UPDATE run SET finished = ?, status = ?, exit_status = ?, git_commit = ?,"
                " git_dirty = ? WHERE id = ?",
                (*values, self.run_id),
            )
        )

    def trim(self, *, runs: int, size: int | None) -> Trimmed:
        """Drop what is too old, as `trimming.trim`, but look only at what this run has changed.

        After `finish`. What is kept is noted, for `memlens gc` to keep as much.
        """
        from memlens.store.trimming import trim_after

        self._note({"memray_history": runs, "memray_history_size": size})
        with naming(self.path, "trim"):
            return trim_after(self._connection, self._rootdir, self.run_id, runs=runs, size=size)

    def close(self) -> None:
        """Close the file. A run that was not finished is then known to be interrupted."""
        try:
            with naming(self.path, "close"):
                self._connection.close()
        finally:
            self._lock.release()

    def _note(self, settings: Mapping[str, int | None]) -> None:
        with naming(self.path, "read"):
            known = dict(self._connection.execute("SELECT name, value FROM setting"))
        new = {name: value for name, value in settings.items() if value is not None}
        if new != known:  # else the disk is left alone

            def replace(execute: _Execute) -> None:
                execute("DELETE FROM setting", ())
                for row in new.items():
                    execute("INSERT INTO setting (name, value) VALUES (?, ?)", row)

            self._write(replace)

    def _open(self) -> Opened:
        if not self._as_it_is:
            return open_moving_aside(self.path)
        connection = open_for_writing(self.path, migrating=False)
        return Opened(connection, (), identity_of(self.path))

    def _use(self, opened: Opened) -> None:
        self._connection = opened.connection
        self._identity = opened.identity
        self.notices += opened.notices

    def _write(self, work: Callable[[_Execute], object]) -> None:
        """Do *work* in one commit; if the file proves to be damaged, in a new one."""
        try:
            with self._commit() as execute:
                work(execute)
        except DamagedError as error:
            if self._as_it_is:
                raise
            with suppress(sqlite3.Error):
                self._connection.close()
            self._stored = 0
            self._use(open_instead(self.path, self._identity, error))
            with self._commit() as execute:
                self._begin(execute)
                work(execute)

    def _is_gone(self) -> bool:
        """Return whether another file has the database's name by now, or none.

        SQLite would go on writing to a file that nobody can open any more.
        """
        try:
            status = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return (status.st_dev, status.st_ino) != self._identity

    def _begin_again(self) -> None:
        """Go on in the file that has the database's name by now, or in a new one."""
        # SQLite sees that the file is not where it was, and leaves alone what is there instead.
        with suppress(sqlite3.Error):
            self._connection.close()
        self._frames.clear()
        self._sources.clear()
        self._lock.release()
        with naming(self.path, "write"):
            make_folder(self.path.parent)
        self._lock = RunLock(self.path, self._run.uuid)
        self._use(self._open())
        self._write(self._begin)
        with naming(self.path, "read"):
            (there,) = self._connection.execute(
                "SELECT count(*) FROM test WHERE run = ?", (self.run_id,)
            ).fetchone()
        lost = self._stored - there
        if lost > 0:
            self.notices.append(
                f"somebody has deleted {self.path} during the run, and with it the results of"
                f" {lost:,} {'test' if lost == 1 else 'tests'}"
            )
        self._stored = there

    def _begin(self, execute: _Execute) -> None:
        run = self._run
        execute(
            "INSERT INTO run (uuid, started, status, command_line, rootdir, versions,"
            " git_commit, git_dirty, collected) VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (uuid) DO UPDATE SET status = 'running'",
            (
                run.uuid,
                run.started,
                json.dumps(run.command_line),
                _spelled_out(run.rootdir),
                json.dumps(dict(run.versions), sort_keys=True),
                run.git_commit,
                run.git_dirty,
                run.collected,
            ),
        )
        (self.run_id,) = execute("SELECT id FROM run WHERE uuid = ?", (run.uuid,)).fetchone()
        mark_interrupted(self._connection, self.path, but=run.uuid)

    def _add_test(self, execute: _Execute, test: TestRecord) -> None:
        test_id = _rowid(
            execute(
                "INSERT INTO test (run, nodeid, path, name, line, outcome, duration, worker)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self.run_id,
                    test.nodeid,
                    test.path,
                    test.name,
                    test.line,
                    test.outcome,
                    test.duration,
                    test.worker,
                ),
            )
        )
        self._connection.executemany(
            "INSERT INTO phase (test, name, peak_bytes, allocated_bytes, allocations,"
            " alive_bytes, histogram) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    test_id,
                    phase.name,
                    phase.peak_bytes,
                    phase.allocated_bytes,
                    phase.allocations,
                    phase.alive_bytes,
                    f"[{','.join(map(str, phase.histogram))}]",
                )
                for phase in test.phases
            ],
        )
        for check in test.checks:
            execute(
                "INSERT INTO limit_check (test, marker, limit_bytes, measured_bytes, verdict,"
                " message) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    test_id,
                    check.marker,
                    check.limit_bytes,
                    check.measured_bytes,
                    check.verdict,
                    check.message,
                ),
            )
        for stack in test.stacks:
            self._add_stack(execute, test_id, stack)
        self._add_source(execute, test.path)

    @contextmanager
    def _commit(self) -> Iterator[_Execute]:
        with naming(self.path, "write"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException as error:
                # A failed statement may have rolled back by itself (a full disk does).
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                # Ids given out in this transaction are gone with it.
                self._frames.clear()
                self._sources.clear()
                flaw = self._flaw() if isinstance(error, sqlite3.IntegrityError) else None
                if flaw is not None:
                    raise UnreadableError(flaw) from error
                raise

    def _flaw(self) -> str | None:
        """Return in what the file contradicts itself, None if it does not.

        All of it is read for that.
        """
        (answer,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        if answer != "ok":
            return str(answer)
        row = self._connection.execute("PRAGMA foreign_key_check").fetchone()
        return f"a row of {row[0]} names one of {row[2]} that is gone" if row is not None else None

    def _add_stack(
        self,
        execute: _Execute,
        test_id: int,
        stack: StackRecord,
    ) -> None:
        ids = []
        site = None
        for frame in stack.frames:
            ids.append(self._frame_id(execute, frame))
            if frame.kind == "project":
                self._add_source(execute, frame.path)
                if site is None:
                    site = ids[-1]
        execute(
            "INSERT INTO stack (test, kind, bytes, allocations, frames, site)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                test_id,
                stack.kind,
                stack.bytes,
                stack.allocations,
                json.dumps(ids, separators=(",", ":")),
                site,
            ),
        )

    def _frame_id(self, execute: _Execute, frame: FrameRecord) -> int:
        known = self._frames.get(frame)
        if known is not None:
            return known
        values = (frame.path, frame.line, frame.function, frame.kind)
        row = execute(
            "SELECT id FROM frame WHERE path = ? AND line = ? AND function = ? AND kind = ?", values
        ).fetchone()
        frame_id = (
            int(row[0])
            if row
            else _rowid(
                execute(
                    "INSERT INTO frame (path, line, function, kind) VALUES (?, ?, ?, ?)", values
                )
            )
        )
        self._frames[frame] = frame_id
        return frame_id

    def _add_source(self, execute: _Execute, path: str) -> None:
        if path in self._sources:
            return
        self._sources.add(path)
        text = _source_text(self._rootdir / path)
        if text is None:
            return
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        row = execute(
            "SELECT id FROM source WHERE path = ? AND digest = ?", (path, digest)
        ).fetchone()
        source = (
            int(row[0])
            if row
            else _rowid(
                execute(
                    "INSERT INTO source (path, digest, text) VALUES (?, ?, ?)", (path, digest, text)
                )
            )
        )
        execute(
            "INSERT OR REPLACE INTO run_source (run, path, source) VALUES (?, ?, ?)",
            (self.run_id, path, source),
        )


def _source_text(path: Path) -> str | None:
    """Return the text of a source file, or None for what has none (built-in, deleted, binary)."""
    try:
        if path.stat().st_size > _LARGEST_SOURCE:
            return None
        # Obeys a coding cookie and byte order mark, as the interpreter does.
        with tokenize.open(path) as file:
            return file.read()
    except (OSError, SyntaxError, UnicodeError, ValueError):
        return None


def _spelled_out(value: Any) -> Any:
    r"""Return *value* with what is no UTF-8 in its texts as an escape: ``test_\udcff.py``."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, (list, tuple)):
        return [_spelled_out(each) for each in value]
    if isinstance(value, dict):
        return {key: _spelled_out(each) for key, each in value.items()}
    return value


def _rowid(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid
