"""Moving a file aside that is no results database, or a damaged one. Nothing is ever deleted."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from memlens.store.database import DamagedError, ResultsError, naming, open_for_writing

#: What SQLite has beside a database. Before the database itself: should the process die in between,
#: a new database must not find what belongs to the old one.
_BESIDE = ("-wal", "-shm", "-journal", "")


class Opened(NamedTuple):
    """A database to write to."""

    connection: sqlite3.Connection
    #: What was moved aside, in plain words.
    notices: tuple[str, ...]
    #: Which file it is, whatever its name becomes.
    identity: tuple[int, int] | None


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return which file *path* is at present, None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def open_moving_aside(path: Path) -> Opened:
    """Open or create the database at *path*; what is there and cannot be used is moved aside.

    Raises:
        ResultsError: it cannot be written, or was written by a newer memlens.
    """
    before = identity_of(path)
    try:
        return Opened(open_for_writing(path), (), identity_of(path))
    except DamagedError as error:
        return open_instead(path, before, error)


def open_instead(path: Path, damaged: tuple[int, int] | None, error: ResultsError) -> Opened:
    """Move the file *damaged* away from *path*, if it is still there, and open a new one.

    *error* is what is wrong with it.

    Raises:
        ResultsError: as `open_moving_aside`.
    """
    with naming(path, "move"):
        moved = move_aside(path, damaged)
    notice = f"{error}; what was there is now {moved}" if moved is not None else None
    try:
        connection = open_for_writing(path)
    except ResultsError as second:
        raise type(second)(f"{second} ({notice})" if notice else str(second)) from second
    return Opened(connection, (notice,) if notice else (), identity_of(path))


def move_aside(path: Path, identity: tuple[int, int] | None) -> Path | None:
    """Rename the file at *path*; return its new name, or None if it is another file by now.

    Raises:
        OSError: it cannot be renamed.
    """
    with one_at_a_time(path):
        if identity is None or identity_of(path) != identity:
            return None  # another run has been faster
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
        base = path.with_name(f"{path.name}.damaged-{stamp}")
        new, number = base, 1
        while any(os.path.lexists(f"{new}{suffix}") for suffix in _BESIDE):
            number += 1
            new = base.with_name(f"{base.name}-{number}")
        for suffix in _BESIDE:
            with suppress(FileNotFoundError):
                Path(f"{path}{suffix}").rename(f"{new}{suffix}")
        return new


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Keep others out of *path*'s folder that do the same, where the file system has locks."""
    try:
        import fcntl

        folder = os.open(path.parent, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
