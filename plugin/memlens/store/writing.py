"""Writing results: one writer a run, one commit a test."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tokenize
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from memlens.store.database import naming, open_for_writing
from memlens.store.folder import make_folder
from memlens.store.records import FrameRecord, RunRecord, StackRecord, TestRecord

#: Larger files (generated code, data) are not kept: nobody reads marks in them.
_LARGEST_SOURCE = 1024 * 1024


def utc_now() -> str:
    """Return the time now as the database writes it."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


class ResultsWriter:
    """Writes the results of one run.

    Everything raises `ResultsError` when the file cannot be written; what was committed stays.
    """

    def __init__(self, path: Path, run: RunRecord) -> None:
        """Open or create the database at *path* and begin *run* in it, or continue it."""
        self.path = path
        self._rootdir = Path(run.rootdir)
        # Ids of frames and paths of sources this run has already stored.
        self._frames: dict[FrameRecord, int] = {}
        self._sources: set[str] = set()
        with naming(path, "write"):
            make_folder(path.parent)
        self._connection = open_for_writing(path)
        with self._commit() as execute:
            execute(
                "INSERT INTO run (uuid, started, status, command_line, rootdir, versions,"
                " git_commit, git_dirty, collected) VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (uuid) DO NOTHING",
                (
                    run.uuid,
                    run.started,
                    json.dumps(run.command_line),
                    run.rootdir,
                    json.dumps(dict(run.versions), sort_keys=True),
                    run.git_commit,
                    run.git_dirty,
                    run.collected,
                ),
            )
            (self.run_id,) = execute("SELECT id FROM run WHERE uuid = ?", (run.uuid,)).fetchone()

    def add_test(self, test: TestRecord) -> None:
        """Store *test* with all that belongs to it, in one commit."""
        with self._commit() as execute:
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
        with self._commit() as execute:
            execute(
                "UPDATE run SET finished = ?, status = ?, exit_status = ?, git_commit = ?,"
                " git_dirty = ? WHERE id = ?",
                (
                    utc_now(),
                    "interrupted" if interrupted else "finished",
                    exit_status,
                    git_commit,
                    git_dirty,
                    self.run_id,
                ),
            )

    def close(self) -> None:
        """Close the file."""
        with naming(self.path, "close"):
            self._connection.close()

    @contextmanager
    def _commit(self) -> Iterator[Callable[[str, Sequence[object]], sqlite3.Cursor]]:
        with naming(self.path, "write"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                # A failed statement may have rolled back by itself (a full disk does).
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                # Ids given out in this transaction are gone with it.
                self._frames.clear()
                self._sources.clear()
                raise

    def _add_stack(
        self,
        execute: Callable[[str, Sequence[object]], sqlite3.Cursor],
        test_id: int,
        stack: StackRecord,
    ) -> None:
        ids = []
        for frame in stack.frames:
            ids.append(self._frame_id(execute, frame))
            if frame.kind == "project":
                self._add_source(execute, frame.path)
        execute(
            "INSERT INTO stack (test, kind, bytes, allocations, frames) VALUES (?, ?, ?, ?, ?)",
            (
                test_id,
                stack.kind,
                stack.bytes,
                stack.allocations,
                json.dumps(ids, separators=(",", ":")),
            ),
        )

    def _frame_id(
        self, execute: Callable[[str, Sequence[object]], sqlite3.Cursor], frame: FrameRecord
    ) -> int:
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

    def _add_source(
        self, execute: Callable[[str, Sequence[object]], sqlite3.Cursor], path: str
    ) -> None:
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


def _rowid(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid
