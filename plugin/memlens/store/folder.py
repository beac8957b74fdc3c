"""The results folder `.memlens/` in pytest's rootdir."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path

from memlens.store.running import is_written_to

FOLDER_NAME = ".memlens"
DATABASE_NAME = "results.db"
#: What SQLite keeps beside a database (https://www.sqlite.org/tempfiles.html).
_BESIDE = ("-wal", "-shm", "-journal")

_CACHEDIR_TAG = """\
Signature: 8a477f597d28d172789f06886806bc55
# This file marks the folder as a cache, see https://bford.info/cachedir/spec.html
# It holds the memory results of pytest runs, made by memlens.
"""


def database_path(rootdir: Path) -> Path:
    """Return where the results of the project at *rootdir* are, whether or not there are any."""
    return rootdir / FOLDER_NAME / DATABASE_NAME


def size_of_results(path: Path) -> int:
    """Return how many bytes the database at *path* takes, with what SQLite keeps beside it."""
    size = 0
    for file in (path, *files_beside(path)):
        with suppress(OSError):
            size += file.stat().st_size
    return size


def delete_results(path: Path) -> None:
    """Delete the database at *path* and what SQLite keeps beside it.

    Raises:
        OSError: that is not allowed, or a run is writing to it (`errno.EBUSY`).
    """
    if is_written_to(path):
        raise OSError(
            errno.EBUSY, "a pytest run is writing to it: try again when that has ended", str(path)
        )
    # The database last: a log without its database would be taken for that of a new one.
    for file in (*files_beside(path), path):
        file.unlink(missing_ok=True)


def files_beside(path: Path) -> list[Path]:
    """Return the files that SQLite may have beside the database at *path*."""
    return [path.with_name(f"{path.name}{end}") for end in _BESIDE]


def make_folder(folder: Path) -> None:
    """Create *folder* so that git and backup programs leave it out.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((".gitignore", "*\n"), ("CACHEDIR.TAG", _CACHEDIR_TAG)):
        path = folder / name
        if not path.exists():
            try:
                path.write_text(text, encoding="utf-8")
            except OSError:
                # Empty, as a full disk leaves it, it would be taken for written by the next run.
                path.unlink(missing_ok=True)
                raise
