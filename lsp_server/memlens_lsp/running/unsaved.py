"""Open documents that a run does not see as they are: pytest reads files from disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from memlens_lsp.positions import split_lines
from memlens_lsp.projects import real
from memlens_lsp.texts import DiskTexts, OpenText


def unsaved(documents: Iterable[OpenText], places: Iterable[Path]) -> list[Path]:
    """Return the open files in or at *places* that are other on disk, as the editor names them.

    Not those that are not on disk yet: of these pytest says itself that it does not find them.
    Reads files: call it off the event loop.
    """
    places = [real(place) for place in places]
    disk = DiskTexts()
    found: dict[Path, Path] = {}
    for document in documents:
        if any(document.file.is_relative_to(place) for place in places):
            saved = disk.read(document.file)
            if saved is not None and _lines(saved) != _lines(document.text):
                found[document.file] = document.path
    return list(found.values())


def warning(files: Iterable[Path]) -> str:
    """Return what to say of a run whose *files*, at least one, are not saved."""
    first, *others = sorted(path.name for path in files)
    if not others:
        return f"{first} has changes that are not saved: the tests run without them"
    more = others[0] if len(others) == 1 else f"{len(others)} other files"
    return f"{first} and {more} have changes that are not saved: the tests run without them"


def _lines(text: str) -> list[str]:
    """Return the lines of *text*. Editors differ in line ends, and in whether the last has one."""
    return split_lines(text.rstrip("\r\n"))
