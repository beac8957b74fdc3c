"""Which runs are alive: each holds the lock of a file of its own, beside the database.

A run that is killed cannot say so. The system frees its lock, though, however it ended. A process
id would not do: in another container it means nothing or somebody else, and it is used again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import weakref
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":  # where nothing is measured
    import fcntl


class RunLock:
    """Held as long as this process lives, or until it is released.

    Without a place for it or a file system that has locks there is none, and no error: the run then
    looks interrupted until it has finished.
    """

    def __init__(self, database: Path, uuid: str) -> None:
        """Take the lock of the run *uuid*, whose results go into *database*."""
        self._path = _path(database, uuid)
        self._file: int | None = None
        with suppress(OSError):
            # Locked before it gets its name: nobody must find it without its lock.
            unnamed = self._path.with_suffix(".new")
            self._file = _create(unnamed)
            if sys.platform != "win32":
                with suppress(OSError):
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unnamed.rename(self._path)
        _held.add(self)

    def release(self) -> None:
        """Let the run be known to have ended."""
        _held.discard(self)
        if self._file is not None:
            with suppress(OSError):
                self._path.unlink()
                self._path.parent.rmdir()  # if there is no other
            self.forget()

    def forget(self) -> None:
        """Close the file, for the process that this one was forked from to hold the lock alone."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def is_running(database: Path, uuid: str) -> bool:
    """Return whether the run *uuid* is alive, or that cannot be told."""
    return _is_locked(_path(database, uuid))


def is_written_to(database: Path) -> bool:
    """Return whether any run that writes to *database* is alive, or that cannot be told.

    Asks nothing of the database itself, which may be unreadable.
    """
    with suppress(OSError):
        return any(_is_locked(path) for path in _folder(database).iterdir())
    return False


def mark_interrupted(connection: sqlite3.Connection, database: Path, *, but: str = "") -> None:
    """Mark runs as interrupted that say they are running and are not. The run *but* is.

    In the caller's transaction.
    """
    with suppress(OSError):
        for path in _folder(database).iterdir():
            if not path.suffix and not _is_locked(path):
                path.unlink()
        _folder(database).rmdir()
    for (uuid,) in connection.execute("SELECT uuid FROM run WHERE status = 'running'").fetchall():
        if uuid != but and not is_running(database, uuid):
            connection.execute("UPDATE run SET status = 'interrupted' WHERE uuid = ?", (uuid,))


def _create(path: Path) -> int:
    for _ in range(3):
        path.parent.mkdir(exist_ok=True)
        # Another run may just have deleted the folder, which was empty.
        with suppress(FileNotFoundError):
            return os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    raise FileNotFoundError(path)


def _folder(database: Path) -> Path:
    return database.with_name(f"{database.name}.locks")


def _path(database: Path, uuid: str) -> Path:
    # What a database says is data: no part of a path.
    return _folder(database) / hashlib.sha256(uuid.encode("utf-8", "replace")).hexdigest()[:32]


def _is_locked(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        if sys.platform == "win32":
            return True
        # Shared is enough to ask, and over NFS all that a file that is only read can have.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


#: A child process that outlives a killed run would keep its lock.
_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _forget_all() -> None:
    for lock in list(_held):
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
