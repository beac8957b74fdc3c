"""Turning results of an older schema version into the newest, step by step.

The step from every released version is kept for good, and `tests/store/files` has a file of each.
Writers turn the file itself. Readers turn a copy that only they see: a language server may well be
newer than the pytest plugin of a project, which would refuse the file from then on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from memlens.store import database
from memlens.store.database import DamagedError, ResultsError, naming, statements, version_of

#: SQL, or a function for what SQL cannot say. Neither begins or ends a transaction. Foreign keys
#: are not enforced meanwhile, so that tables can be made anew
#: (https://www.sqlite.org/lang_altertable.html#otheralter).
Step: TypeAlias = str | Callable[[sqlite3.Connection], None]

#: By version, what turns it into the next. A migrated file has the schema of a new one.
STEPS: dict[int, Step] = {}

#: Seconds to wait for another process that is doing the same: a large file takes some.
_PATIENCE = 120


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Turn the database *path* into the newest version in one transaction.

    Of several processes that try, one does it and the others find it done.

    Raises:
        ResultsError: that failed. Everything is as it was.
        DamagedError: it proves to be damaged.
    """
    (timeout,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {_PATIENCE * 1000}")
    connection.execute("PRAGMA foreign_keys = OFF")
    with naming(path, "migrate"):
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = version_of(connection, path)
            while version is not None and version < database.SCHEMA_VERSION:
                _take(STEPS[version], connection, path, version)
                # Also says in the end if a table is missing.
                version = version_of(connection, path)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.execute(f"PRAGMA busy_timeout = {timeout}")


def migrated_copy(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Return a copy of the database *path* in the newest version.

    It is in a file without a name that goes when it is closed
    (https://www.sqlite.org/inmemorydb.html#temp_db).

    Raises:
        ResultsError: as `migrate`.
    """
    copy = sqlite3.connect("", isolation_level=None)
    try:
        with naming(path, "read"):
            connection.backup(copy)
        migrate(copy, path)
    except BaseException:
        copy.close()
        raise
    return copy


def _take(step: Step, connection: sqlite3.Connection, path: Path, old: int) -> None:
    try:
        if callable(step):
            step(connection)
        else:
            for statement in statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {old + 1}")
    except Exception as error:
        # What SQLite says of a damaged file has no class of its own.
        kind = DamagedError if type(error) is sqlite3.DatabaseError else ResultsError
        raise kind(
            f"cannot turn the results in {path} from schema version {old} into {old + 1}:"
            f" {error}; they are as they were"
        ) from error
