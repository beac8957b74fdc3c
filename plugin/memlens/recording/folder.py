"""The private folder that captures are written to, and what killed runs have left of theirs."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

_PREFIX = "memlens-"
_LOCK = "lock"


class CaptureFolder:
    """A temporary folder of this process, made when it is first asked for.

    Its name has the process's id for people to see. A lock file in it is what counts: held as long
    as the process lives, however that ends.
    """

    def __init__(self) -> None:
        """Make nothing yet."""
        #: None until the first capture.
        self._path: Path | None = None
        self._lock: int | None = None
        self._pid = os.getpid()

    def path_of(self, name: str) -> Path:
        """Return the path of the file *name* in the folder, which exists.

        Raises:
            OSError: there is no place for temporary files that can be written.
        """
        if self._path is None:
            _delete_leftovers(Path(tempfile.gettempdir()))
        # A test may have tidied up too much, or this process been forked from one of ours.
        if self._path is None or not self._path.is_dir() or self._pid != os.getpid():
            try:
                self._make()
            except OSError as error:
                # The system's message names a folder that is another one at each try.
                raise OSError(
                    f"captures cannot be written in {tempfile.gettempdir()}: {error.strerror}"
                ) from error
        assert self._path is not None
        return self._path / name

    def close(self) -> None:
        """Delete the folder, unless it is that of the process this one was forked from."""
        if self._path is None or self._pid != os.getpid():
            return
        shutil.rmtree(self._path, ignore_errors=True)
        self._path = None
        self._unlock()

    def _make(self) -> None:
        self._unlock()
        self._pid = os.getpid()
        self._path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{self._pid}-"))
        # Locked before it gets its name: another run must never find it without its lock.
        unnamed = self._path / f"{_LOCK}.new"
        self._lock = os.open(unnamed, os.O_CREAT | os.O_RDWR, 0o600)
        with suppress(OSError):  # a file system without locks: then nobody can take it either
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unnamed.rename(self._path / _LOCK)

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _delete_leftovers(folder: Path) -> None:
    """Delete the capture folders in *folder* whose processes have died."""
    try:
        candidates = [entry for entry in os.scandir(folder) if entry.name.startswith(_PREFIX)]
    except OSError:
        return
    for entry in candidates:
        with suppress(OSError):  # in use, or being deleted by another run
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
                _delete_if_dead(Path(entry.path))


def _delete_if_dead(folder: Path) -> None:
    """Delete *folder* if its lock can be had.

    Raises:
        OSError: it cannot, or there is none.
    """
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
