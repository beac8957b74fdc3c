"""The private folder that captures are written to, and what killed runs have left of theirs."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from os import getpid  # so, since tests replace os.getpid
from pathlib import Path

_PREFIX = "memlens-"
_LOCK = "lock"
#: A file system in memory, and how much of it has to be free, in bytes, for captures to go there. A
#: capture is read and deleted at a few MiB, unless one test fills it.
_USUAL = "/tmp"  # noqa: S108 - as below
_MEMORY = "/dev/shm"  # noqa: S108 - the folder made there is private
_ENOUGH_MEMORY = 1024**3


class CaptureFolder:
    """A temporary folder of this process, made when it is first asked for.

    Its name has the process's id for people to see. A lock file in it is what counts: held as long
    as the process lives, however that ends.
    """

    def __init__(self, on_made: Callable[[Path], None] = lambda _: None) -> None:
        """Make nothing yet. *on_made* is called with the folder whenever it is made."""
        self._on_made = on_made
        #: None until the first capture.
        self._path: Path | None = None
        self._lock: int | None = None
        self._pid = getpid()

    @property
    def path(self) -> Path | None:
        """Where it is; None before it is made and after it is deleted."""
        return self._path

    def path_of(self, name: str) -> Path:
        """Return the path of the file *name* in the folder, which exists.

        Raises:
            OSError: there is no place for temporary files that can be written.
        """
        # A test may have tidied up too much, or this process been forked from one of ours.
        if self._path is None or not self._path.is_dir() or self._pid != getpid():
            try:
                self._make()
            except OSError as error:
                # The system's message names a folder that is another one at each try.
                raise OSError(
                    f"captures cannot be written in {_place()}: {error.strerror}"
                ) from error
        assert self._path is not None
        return self._path / name

    def close(self) -> None:
        """Delete the folder, unless it is that of the process this one was forked from."""
        if self._path is None or self._pid != getpid():
            return
        shutil.rmtree(self._path, ignore_errors=True)
        self._path = None
        self._unlock()

    def _make(self) -> None:
        self._unlock()
        self._pid = getpid()
        self._path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{self._pid}-", dir=_place()))
        # Locked before it gets its name: another run must never find it without its lock.
        unnamed = self._path / f"{_LOCK}.new"
        self._lock = os.open(unnamed, os.O_CREAT | os.O_RDWR, 0o600)
        with suppress(OSError):  # a file system without locks: then nobody can take it either
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._on_made(self._path)
        unnamed.rename(self._path / _LOCK)

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def leftovers(is_wanted: Callable[[Path], bool] = lambda _: True) -> Iterator[Path]:
    """Yield the capture folders whose processes have died, and delete each afterwards.

    Those that *is_wanted* returns a false value for stay as they are.
    """
    for place in {Path(tempfile.gettempdir()), _place()}:
        try:
            candidates = [entry for entry in os.scandir(place) if entry.name.startswith(_PREFIX)]
        except OSError:
            continue
        for entry in candidates:
            with suppress(OSError):  # in use, or being deleted by another run
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
                    yield from _if_dead(Path(entry.path), is_wanted)


def _if_dead(folder: Path, is_wanted: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield *folder* if its lock can be had, and it is wanted.

    Raises:
        OSError: it cannot, or there is none.
    """
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_wanted(folder):
            yield folder
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _place() -> Path:
    """Return where captures go: into memory if there is plenty, else where temporary files go."""
    place = tempfile.gettempdir()
    if place == _USUAL and not any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")):
        with suppress(OSError):
            free = shutil.disk_usage(_MEMORY).free
            if os.access(_MEMORY, os.W_OK | os.X_OK) and free >= _ENOUGH_MEMORY:
                return Path(_MEMORY)
    return Path(place)
