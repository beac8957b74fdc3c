"""The results folder `.memlens/` in pytest's rootdir."""

from __future__ import annotations

from pathlib import Path

FOLDER_NAME = ".memlens"
DATABASE_NAME = "results.db"

_CACHEDIR_TAG = """\
Signature: 8a477f597d28d172789f06886806bc55
# This file marks the folder as a cache, see https://bford.info/cachedir/spec.html
# It holds the memory results of pytest runs, made by memlens.
"""


def database_path(rootdir: Path) -> Path:
    """Return where the results of the project at *rootdir* are, whether or not there are any."""
    return rootdir / FOLDER_NAME / DATABASE_NAME


def make_folder(folder: Path) -> None:
    """Create *folder* so that git and backup programs leave it out.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((".gitignore", "*\n"), ("CACHEDIR.TAG", _CACHEDIR_TAG)):
        path = folder / name
        if not path.exists():
            path.write_text(text, encoding="utf-8")
