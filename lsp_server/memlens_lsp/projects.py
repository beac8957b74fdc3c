"""Which project a document belongs to, and what its results call it."""

from __future__ import annotations

import os
import sys
import time
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from memlens.store import database_path

#: File systems count time in steps of up to some milliseconds. In nanoseconds.
_UNSETTLED = 50_000_000
#: Whether file systems usually take "A" and "a" for one name.
_FOLDS_CASE = sys.platform == "darwin"

#: How far below a workspace folder results are looked for at the start, and in how many folders.
#: Deeper ones are found when one of their files is opened or when they change.
_SCAN_DEPTH = 3
_SCAN_FOLDERS = 2000
_NEVER_SCANNED = frozenset(("node_modules", "site-packages", "__pycache__"))

#: Files that make a folder pytest's rootdir
#: (https://docs.pytest.org/en/stable/reference/customize.html#finding-the-rootdir).
_ALWAYS_ROOT = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")
_MAYBE_ROOT = (
    ("pyproject.toml", "[tool.pytest"),
    ("tox.ini", "[pytest]"),
    ("setup.cfg", "[tool:pytest]"),
)


def real(path: Path) -> Path:
    """Return *path* without symlinks. Never raises: what cannot be followed stays as it is.

    Where "A" and "a" are one file, as on most disks of a Mac, it is spelled as on disk.
    """
    try:
        followed = Path(os.path.realpath(path))
    except (OSError, ValueError):  # of what no file can be called
        return path
    return spelled(followed, _entries) if _FOLDS_CASE else followed


#: The names in a folder.
Entries = Callable[[str], Collection[str]]


def spelled(path: Path, entries: Entries) -> Path:
    """Return the absolute *path* as the *entries* of its folders spell it.

    Another spelling of a name that is there has other cases of letters, or composes its accents
    differently. What is not there, or could be several, stays as it is.
    """
    folder = path.anchor
    for name in path.parts[1:]:
        known = entries(folder)
        if name not in known:
            same = [each for each in known if _folded(each) == _folded(name)]
            folder = os.path.join(folder, same[0] if len(same) == 1 else name)  # noqa: PTH118
        else:
            folder = os.path.join(folder, name)  # noqa: PTH118
    return Path(folder)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _entries(folder: str) -> Collection[str]:
    try:
        modified = os.stat(folder).st_mtime_ns  # noqa: PTH116 - the path is a string
        # What was changed just now may be changed again without a new time.
        is_settled = not 0 <= time.time_ns() - modified < _UNSETTLED
        return (_listed if is_settled else _listed.__wrapped__)(folder, modified)
    except OSError:
        return ()


# A folder changes when a name in it does.
@lru_cache(maxsize=256)
def _listed(folder: str, _modified: int) -> frozenset[str]:
    return frozenset(os.listdir(folder))  # noqa: PTH208 - the names only


def ancestors(path: Path, top: Collection[Path] = ()) -> Iterator[Path]:
    """Yield the folders around *path*, the nearest first, up to the first that is in *top*."""
    for folder in path.parents:
        yield folder
        if folder in top:
            return


def has_results(root: Path) -> bool:
    """Return whether the project at *root* has a results database."""
    return _exists(database_path(root))


def _exists(path: Path) -> bool:
    # Unlike `Path.exists`, also where a folder on the way may not be entered.
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def nearest_root(path: Path, roots: Collection[Path]) -> Path | None:
    """Return the innermost of the folders *roots* that *path* is in, or None."""
    return next((folder for folder in path.parents if folder in roots), None)


def root_for_running(path: Path, folders: Collection[Path]) -> Path | None:
    """Return the folder of the project that *path* belongs to, or None if it is in none.

    The nearest one that has results or is configured as pytest's rootdir, first within the
    workspace *folders* and then above them, where pytest would find it too; else the workspace
    folder.
    """
    within = list(ancestors(path, folders))
    above = [folder for folder in path.parents if folder not in within]
    for folder in (*within, *above):
        if has_results(folder) or _is_configured(folder):
            return folder
    return nearest_root(path, folders)


def _is_configured(folder: Path) -> bool:
    if any(_exists(folder / name) for name in _ALWAYS_ROOT):
        return True
    for name, section in _MAYBE_ROOT:
        file = folder / name
        try:
            if file.is_file() and section in file.read_text(encoding="utf-8", errors="replace"):
                return True
        except (OSError, ValueError):
            continue
    return False


def names_in(root: Path, path: Path) -> tuple[str, ...]:
    """Return what the results of the project at *root* may call the file *path*.

    The plugin follows symlinks; a database that another tool wrote may not have.
    """
    names = [
        os.path.relpath(file, folder) if file.is_relative_to(folder) else str(file)
        for file, folder in ((real(path), real(root)), (path, root))
    ]
    slashed = dict.fromkeys(name.replace(os.sep, "/") for name in names)
    return tuple(name for name in slashed if is_text(name))


def is_text(name: str) -> bool:
    """Return whether a database can hold *name*, which may be a file's that is no UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def file_named(root: Path, name: str) -> Path:
    """Return the file that the results of the project at *root* call *name*."""
    return root / name  # an absolute name stands for itself


def find_roots(folders: Iterable[Path]) -> list[Path]:
    """Return the projects with results in or just below *folders*, and the nearest one above each.

    Reads folders: call it off the event loop.
    """
    found: list[Path] = []
    for folder in folders:
        found += [above for above in folder.parents if has_results(above)][:1]
        found += [below for below in _folders_below(folder) if has_results(below)]
    return list(dict.fromkeys(found))


def _folders_below(folder: Path) -> Iterator[Path]:
    level: Sequence[Path] = [folder]
    seen = 0
    for depth in range(_SCAN_DEPTH + 1):
        deeper: list[Path] = []
        for present in level:
            yield present
            seen += 1
            if seen >= _SCAN_FOLDERS:
                return
            if depth < _SCAN_DEPTH:
                deeper += _subfolders(present)
        level = deeper


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                Path(entry.path)
                for entry in entries
                if not entry.name.startswith(".")
                and entry.name not in _NEVER_SCANNED
                and entry.is_dir(follow_symlinks=False)
                and not _exists(Path(entry.path, "pyvenv.cfg"))
            )
    except OSError:
        return []
