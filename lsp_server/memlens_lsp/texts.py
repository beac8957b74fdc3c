"""The text of files as it is now: in the editor where it is open there, else on disk."""

from __future__ import annotations

import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lsprotocol import types
from pygls.workspace import TextDocument

from memlens_lsp.positions import apply_change
from memlens_lsp.projects import real
from memlens_lsp.uris import path_of
from memlens_lsp.watching import Look, look_at


class Document(TextDocument):
    """An open document that counts lines as the LSP does.

    pygls' own splits lines with `str.splitlines`, so that a form feed in the text misplaces every
    later edit.
    """

    #: Its file, symlinks followed; None until that has been looked up, which takes a disk.
    file: Path | None = None

    def apply_change(self, change: types.TextDocumentContentChangeEvent) -> None:
        """Apply a change of the text."""
        self._source = apply_change(self.source, change, self.position_codec)


@dataclass(frozen=True)
class OpenText:
    """An open document at one moment."""

    uri: str
    #: Its file as the client names it.
    path: Path
    version: int | None
    text: str
    #: Its file, symlinks followed.
    file: Path


def open_texts(documents: Iterable[TextDocument]) -> list[OpenText]:
    """Return what *documents* hold now, without those that are no files or not yet known to be."""
    return [opened for document in documents if (opened := open_text(document)) is not None]


def open_text(document: TextDocument) -> OpenText | None:
    """Return what *document* holds now, or None if it is no file or not yet known to be one."""
    path = path_of(document.uri)
    file = document.file if isinstance(document, Document) else None
    if path is None or file is None:
        return None
    return OpenText(document.uri, path, document.version, document.source, file)


class DiskTexts:
    """Reads files, again only when they have changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Look, str | None]] = {}

    def read(self, path: Path) -> str | None:
        """Return the text of the source file *path*, or None if it has none.

        Obeys a coding cookie and a byte order mark, as the interpreter does.
        """
        look = look_at(path)
        known = self._known.get(path)
        if known is None or known[0] != look:
            known = self._known[path] = (look, _text_of(path))
        return known[1]

    def look_of(self, path: Path) -> Look | None:
        """Return what *path* looked like when it was last read, None if it never was."""
        known = self._known.get(path)
        return None if known is None else known[0]


def _text_of(path: Path) -> str | None:
    try:
        if not path.is_file():  # a named pipe would be waited for
            return None
        with tokenize.open(path) as file:
            return file.read()
    except (OSError, SyntaxError, UnicodeError, ValueError):
        return None


class Texts:
    """The texts of all files at one moment, for work off the event loop."""

    def __init__(self, opened: Iterable[OpenText], disk: DiskTexts) -> None:
        self._disk = disk
        self._open: dict[Path, list[OpenText]] = {}
        for document in opened:
            self._open.setdefault(document.file, []).append(document)
        self._real: dict[Path, Path] = {}

    def file(self, path: Path) -> Path:
        """Return *path*, symlinks followed."""
        # The frames of call stacks name the same few files thousands of times.
        known = self._real.get(path)
        if known is None:
            known = self._real[path] = real(path)
        return known

    def opened(self, path: Path) -> list[OpenText]:
        """Return the documents that show the file *path*, under whatever names."""
        return self._open.get(self.file(path), [])

    def open_files(self) -> list[Path]:
        """Return the files that are open, symlinks followed."""
        return [*self._open]

    def open_texts(self) -> list[OpenText]:
        """Return the open documents."""
        return [document for documents in self._open.values() for document in documents]

    def is_gone(self, file: Path) -> bool:
        """Return whether *file*, symlinks followed, was not there when it was last read."""
        return file not in self._open and self._disk.look_of(file) == (None,)

    def now(self, path: Path) -> str | None:
        """Return the text of the file *path*, or None if it has none."""
        opened = self.opened(path)
        return opened[0].text if opened else self._disk.read(self.file(path))
