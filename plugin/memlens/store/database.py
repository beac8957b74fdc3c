"""Opening the results database, and turning SQLite's errors into ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from memlens.store.filesystems import is_shared

SCHEMA_VERSION = 1
#: "MLEN". By this a database of a newer memlens is told from somebody else's.
APPLICATION_ID = 0x4D4C454E
_TABLES = frozenset(
    ("run", "test", "phase", "limit_check", "stack", "frame", "source", "run_source")
)

#: Seconds a connection waits for another process's write to end.
_BUSY_TIMEOUT = 10.0


class ResultsError(Exception):
    """The results cannot be read or written. The message names the file and what to do."""


class NewerSchemaError(ResultsError):
    """The database was written by a newer memlens."""


class DamagedError(ResultsError):
    """The file is damaged, or no results database at all."""


@contextmanager
def naming(path: Path, doing: str) -> Iterator[None]:
    """Turn SQLite's and the system's errors into a `ResultsError` that names *path*."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        # What SQLite says of a file that is damaged or no database has no class of its own.
        kind = DamagedError if type(error) is sqlite3.DatabaseError else ResultsError
        raise kind(f"cannot {doing} the results in {path}: {error}") from error


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open or create the database at *path*.

    Raises:
        ResultsError: it cannot be written.
        NewerSchemaError: it was written by a newer memlens.
        DamagedError: it is damaged or not a results database.
    """
    with naming(path, "write"):
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None)
        try:
            # Before anything is changed: it may not be ours.
            if not _has_schema(connection, path):
                # SQLite obeys this only while the file is empty. Then space can be given back to
                # the file system without writing the whole file anew.
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            if is_shared(path.parent):
                connection.execute("PRAGMA journal_mode = TRUNCATE")
            else:
                # WAL lets the editor read while a test's results are being committed. Where the
                # file system cannot do it, SQLite keeps its rollback journal.
                connection.execute("PRAGMA journal_mode = WAL")
                # With WAL this risks the last commits on a power cut, never the file.
                connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            _create_schema(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the database at *path* without being able to change it.

    Raises:
        ResultsError: there is none, or it cannot be read.
    """
    if not path.is_file():
        raise _no_results(path)
    with naming(path, "read"):
        try:
            return _open_for_reading(path, "mode=ro")
        except sqlite3.OperationalError:
            if path.with_name(f"{path.name}-journal").exists():
                # A run was killed in the middle of a commit, where there is no WAL. SQLite has to
                # undo that before it reads, and may not if it must not write.
                _open_for_reading(path, "mode=rw").close()
                return _open_for_reading(path, "mode=ro")
            # Even to read, SQLite makes the WAL's index, which a read-only folder does not allow.
            # Where there is no WAL nobody is writing, and what is in the file is all there is.
            if path.with_name(f"{path.name}-wal").exists():
                raise
            return _open_for_reading(path, "mode=ro&immutable=1")


def _open_for_reading(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}", uri=True, timeout=_BUSY_TIMEOUT, isolation_level=None
    )
    try:
        if not _has_schema(connection, path):  # a run is just making it
            raise _no_results(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _no_results(path: Path) -> ResultsError:
    return ResultsError(f"there are no results in {path} yet: run 'pytest --memray' to make some")


def _has_schema(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether the database is ours, or else empty.

    Raises:
        NewerSchemaError: it is ours, but this memlens cannot understand it.
        DamagedError: it is neither ours nor empty.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    # sqlite_master: SQLite before 3.33 has no sqlite_schema.
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = {row[0] for row in rows}
    if not tables and version <= SCHEMA_VERSION:
        return False
    if version > SCHEMA_VERSION and (application == APPLICATION_ID or not tables):
        raise NewerSchemaError(
            f"{path} has schema version {version}; this memlens reads up to {SCHEMA_VERSION}:"
            " upgrade pytest-memlens, or delete the file to start afresh"
        )
    if application != APPLICATION_ID or version != SCHEMA_VERSION or not tables >= _TABLES:
        raise DamagedError(f"{path} is not a memlens results database")
    return True


def _create_schema(connection: sqlite3.Connection, path: Path) -> None:
    if _has_schema(connection, path):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another run may have created it while this one waited for the lock.
        if not _has_schema(connection, path):
            schema = files("memlens.store").joinpath("schema.sql").read_text(encoding="utf-8")
            # Not executescript(), which would commit the lock away first.
            for statement in _statements(schema):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
