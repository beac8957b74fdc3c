"""Opening the results database, and turning SQLite's errors into ours."""

from __future__ import annotations

import re
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
    ("run", "test", "phase", "limit_check", "stack", "frame", "source", "run_source", "setting")
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
            if version_of(connection, path) is None:
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
                # Each time the WAL's pages are moved into the file the disk is waited for, longer
                # than a hundred tests take to be written. In 16 MiB rather than 4 many pages of
                # the WAL are the same.
                connection.execute("PRAGMA wal_autocheckpoint = 4000")
            _bring_up_to_date(connection, path)
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
    return connection


def open_for_reading(path: Path, patience: float = _BUSY_TIMEOUT) -> sqlite3.Connection:
    """Open the database at *path* without being able to change it.

    *patience* is for how many seconds each attempt waits for another process's lock. Of an older
    schema version, what is opened is a copy of what the file holds now, in the newest.

    Raises:
        ResultsError: there is none, or it cannot be read.
    """
    if not path.is_file():
        raise _no_results(path)
    with naming(path, "read"):
        try:
            return _open_for_reading(path, "mode=ro", patience)
        except sqlite3.OperationalError:
            if path.with_name(f"{path.name}-journal").exists():
                # A run was killed in the middle of a commit, where there is no WAL. SQLite has to
                # undo that before it reads, and may not if it must not write.
                _open_for_reading(path, "mode=rw", patience).close()
                return _open_for_reading(path, "mode=ro", patience)
            # Even to read, SQLite makes the WAL's index, which a read-only folder does not allow.
            # Where there is no WAL nobody is writing, and what is in the file is all there is.
            if path.with_name(f"{path.name}-wal").exists():
                raise
            return _open_for_reading(path, "mode=ro&immutable=1", patience)


def _open_for_reading(path: Path, how: str, patience: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}", uri=True, timeout=patience, isolation_level=None
    )
    try:
        version = version_of(connection, path)
        if version is None:  # a run is just making it
            raise _no_results(path)
        if version == SCHEMA_VERSION:
            return connection
        from memlens.store.migrating import migrated_copy

        copy = migrated_copy(connection, path)
    except BaseException:
        connection.close()
        raise
    connection.close()
    return copy


def _no_results(path: Path) -> ResultsError:
    return ResultsError(f"there are no results in {path} yet: run 'pytest --memray' to make some")


def version_of(connection: sqlite3.Connection, path: Path) -> int | None:
    """Return the version of the database's schema, None if it is empty.

    Raises:
        NewerSchemaError: it is ours, but this memlens cannot understand it.
        DamagedError: it is neither ours nor empty.
    """
    version, application, tables = _identity(connection)
    if not tables and version <= SCHEMA_VERSION:
        return None
    if version > SCHEMA_VERSION and (application == APPLICATION_ID or not tables):
        raise NewerSchemaError(
            f"{path} has schema version {version}; this memlens reads up to {SCHEMA_VERSION}:"
            " upgrade pytest-memlens, or delete the file to start afresh"
        )
    is_whole = version < SCHEMA_VERSION or tables >= _TABLES
    if application != APPLICATION_ID or version < 1 or not is_whole:
        raise DamagedError(f"{path} is not a memlens results database")
    return version


def _identity(connection: sqlite3.Connection) -> tuple[int, int, set[str]]:
    """Return the version, the application and the tables, all of one moment."""
    # Else another process may make the tables after the version was read.
    own = not connection.in_transaction
    if own:
        connection.execute("BEGIN")
    try:
        # First: this is what takes the snapshot. SQLite before 3.33 has no sqlite_schema.
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    finally:
        if own and connection.in_transaction:
            connection.execute("ROLLBACK")
    return version, application, {row[0] for row in rows}


def _bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    version = version_of(connection, path)
    if version is None:
        _create_schema(connection, path)
    elif version < SCHEMA_VERSION:
        from memlens.store.migrating import migrate

        migrate(connection, path)


def _create_schema(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another run may have created it while this one waited for the lock.
        if version_of(connection, path) is None:
            schema = files("memlens.store").joinpath("schema.sql").read_text(encoding="utf-8")
            for statement in statements(schema):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def statements(script: str) -> Iterator[str]:
    """Split SQL: `executescript` would commit what was begun before it."""
    statement = ""
    for part in re.split("(;)", script):
        statement += part
        # A semicolon may also be in a text or a comment.
        if part == ";" and sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
