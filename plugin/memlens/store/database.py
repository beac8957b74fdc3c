"""Opening the results database, and turning SQLite's errors into ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

SCHEMA_VERSION = 1

#: Seconds a connection waits for another process's write to end.
_BUSY_TIMEOUT = 10.0


class ResultsError(Exception):
    """The results cannot be read or written. The message names the file and what to do."""


class NewerSchemaError(ResultsError):
    """The database was written by a newer memlens."""


@contextmanager
def naming(path: Path, doing: str) -> Iterator[None]:
    """Turn SQLite's and the system's errors into a `ResultsError` that names *path*."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise ResultsError(f"cannot {doing} the results in {path}: {error}") from error


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open or create the database at *path*.

    Raises:
        ResultsError: it cannot be written or is not a results database.
    """
    with naming(path, "write"):
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None)
        try:
            # WAL lets the editor read while a test's results are being committed. Where the file
            # system cannot do it, SQLite keeps its rollback journal, which is correct too.
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
        version = _version(connection, path)
        if version != SCHEMA_VERSION:
            if _is_empty(connection):  # a run is just making it
                raise _no_results(path)
            raise ResultsError(f"{path} is not a memlens results database")
    except BaseException:
        connection.close()
        raise
    return connection


def _no_results(path: Path) -> ResultsError:
    return ResultsError(f"there are no results in {path} yet: run 'pytest --memray' to make some")


def _is_empty(connection: sqlite3.Connection) -> bool:
    # sqlite_master: SQLite before 3.33 has no sqlite_schema.
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"{path} has schema version {version}; this memlens reads up to {SCHEMA_VERSION}:"
            " upgrade pytest-memlens, or delete the file to start afresh"
        )
    return version


def _create_schema(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection, path) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another run may have created it while this one waited for the lock.
        if _version(connection, path) != SCHEMA_VERSION:
            if not _is_empty(connection):
                raise ResultsError(f"{path} is not a memlens results database: move it away")
            schema = files("memlens.store").joinpath("schema.sql").read_text(encoding="utf-8")
            # Not executescript(), which would commit the lock away first.
            for statement in _statements(schema):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
