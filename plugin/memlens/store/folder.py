"""The results folder `.memlens/` in pytest's rootdir."""

from __future__ import annotations

from pathlib import Path

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


def delete_results(path: Path) -> None:
    """Delete the database at *path* and what SQLite keeps beside it.

    Raises:
        OSError: that is not allowed.
    """
    # The database last: a log without its database would be taken for that of a new one.
    for name in (*(f"{path.name}{end}" for end in _BESIDE), path.name):
        path.with_name(name).unlink(missing_ok=True)


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
