"""Opening the results database, and turning SQLite's errors into ours."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from memlens.store.filesystems import is_shared
from memlens.store.parsing import UnreadableError

SCHEMA_VERSION = 1
#: "MLEN". By this a database of a newer memlens is told from somebody else's.
APPLICATION_ID = 0x4D4C454E
#: What every file of this version has. A table that was added to the version later is not among
#: them: readers do without it, and who writes makes it.
REQUIRED_TABLES = frozenset(
    ("run", "test", "phase", "limit_check", "stack", "frame", "source", "run_source")
)

#: What SQLite and Python say of damage in a class that does not tell. Which columns there are is
#: text in the file too.
_DAMAGE = re.compile(
    r"^Could not decode to UTF-8|^malformed database|^no such column|has no column named"
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
    except (sqlite3.Error, OSError, UnicodeDecodeError, UnreadableError) as error:
        # Trimming only deletes: what forbids that contradicts itself.
        contradicts = doing == "trim" and isinstance(error, sqlite3.IntegrityError)
        if not (contradicts or is_damage(error)):
            raise ResultsError(f"cannot {doing} the results in {path}: {error}") from error
        text = "a text in it is none" if isinstance(error, UnicodeDecodeError) else str(error)
        # Who writes moves the file aside by itself.
        advice = "; move the file away to start afresh" if doing in ("read", "trim") else ""
        raise DamagedError(f"the results in {path} are damaged: {text}{advice}") from error


def is_damage(error: Exception) -> bool:
    """Return whether that is what SQLite or Python says of a file that is damaged."""
    # Neither has a class of its own for it. What is no UTF-8 may be in a table, in the schema, or
    # in what SQLite quotes of that.
    return (
        type(error) is sqlite3.DatabaseError
        or isinstance(error, (UnicodeDecodeError, UnreadableError))
        or (isinstance(error, sqlite3.OperationalError) and _DAMAGE.search(str(error)) is not None)
    )


def open_for_writing(path: Path, *, migrating: bool = True) -> sqlite3.Connection:
    """Open or create the database at *path*.

    An older one becomes one of the newest version, unless *migrating* is false.

    Raises:
        ResultsError: it cannot be written, or is older and must not be migrated.
        NewerSchemaError: it was written by a newer memlens.
        DamagedError: it is damaged or not a results database.
    """
    with naming(path, "write"):
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None)
        try:
            # Before anything is changed: it may not be ours.
            version = version_of(connection, path)
            if version is not None and version < SCHEMA_VERSION and not migrating:
                raise ResultsError(
                    f"{path} has schema version {version}; this memlens writes {SCHEMA_VERSION}"
                )
            if version is None:
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
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise
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
    is_whole = version < SCHEMA_VERSION or tables >= REQUIRED_TABLES
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
    if version is not None and version < SCHEMA_VERSION:
        from memlens.store.migrating import migrate

        migrate(connection, path)
    schema = files("memlens.store").joinpath("schema.sql").read_text(encoding="utf-8")
    if version is None or _missing(connection, schema):
        _create(connection, path, schema)


def _missing(connection: sqlite3.Connection, schema: str) -> list[str]:
    """Return the statements of *schema* whose table or index is not there."""
    there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    found = []
    for statement in statements(schema):
        made = re.search(r"^CREATE (?:TABLE|INDEX) (\w+)", statement, re.MULTILINE)
        if made is not None and made[1] not in there:
            found.append(statement)
    return found


def _create(connection: sqlite3.Connection, path: Path, schema: str) -> None:
    """Make what of *schema* is missing: all of a new file."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another run may have created it while this one waited for the lock.
        version = version_of(connection, path)
        for statement in _missing(connection, schema):
            connection.execute(statement)
        if version is None:
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
