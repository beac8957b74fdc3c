"""The diagnostics of files as they should be at one moment.

Reads files: call it off the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from lsprotocol import types

from memlens.findings import Finding
from memlens.store import FrameRecord, TestRecord
from memlens_lsp.features.diagnostics import Client, as_wanted, diagnostics
from memlens_lsp.features.marker_checks import marker_diagnostics
from memlens_lsp.findings import Findings
from memlens_lsp.moved_files import has_own_results, moved_file
from memlens_lsp.projects import file_named, nearest_root, real
from memlens_lsp.settings import Settings
from memlens_lsp.texts import Texts
from memlens_lsp.uris import uri_of


class Marks(NamedTuple):
    """What one document should show."""

    uri: str
    #: That of the open document; None for a file that is not open.
    version: int | None
    diagnostics: Sequence[types.Diagnostic]


class FileNames:
    """Which files the names in results are, symlinks followed. Remembers, since there are many."""

    def __init__(self) -> None:
        self._files: dict[tuple[Path, str], Path] = {}
        #: Those that were renamed since they were measured, and what they are now.
        self.moved: Mapping[tuple[Path, str], Path] = {}
        #: Held by who looks for such files.
        self.looking = Lock()
        #: Which files were gone when an open one, by its path, was last compared with them.
        self.compared: Mapping[Path, frozenset[tuple[Path, str]]] = {}

    def file(self, root: Path, name: str) -> Path:
        """Return the file that the results of the project at *root* call *name*, renamed or not."""
        return self.moved.get((root, name)) or self.file_then(root, name)

    def path(self, root: Path, name: str) -> Path:
        """Return the same, with its symlinks."""
        return self.moved.get((root, name)) or file_named(root, name)

    def file_then(self, root: Path, name: str) -> Path:
        """Return the file that had that name when it was measured."""
        known = self._files.get((root, name))
        if known is None:
            known = self._files[root, name] = real(file_named(root, name))
        return known

    def forget(self) -> None:
        """Look again from now on."""
        self._files.clear()


@dataclass(frozen=True)
class Moment:
    """All that diagnostics are made of, at one moment."""

    #: By root.
    findings: Mapping[Path, Findings]
    texts: Texts
    client: Client
    settings_for: Callable[[Path], Settings]
    names: FileNames

    def all_files(self) -> set[Path]:
        """Return the files, symlinks followed, that may have diagnostics."""
        return {*self._by_file(), *self.texts.open_files()}

    def named_files(self) -> frozenset[Path]:
        """Return the files, symlinks followed, that findings are in."""
        then = {self.names.file_then(*key) for key in self.names.moved}
        return frozenset({*self._by_file(), *then})

    def files_named(self, root: Path, names: Iterable[str]) -> set[Path]:
        """Return the files that the results of the project at *root* call *names*."""
        return {self.names.file(root, name) for name in names}

    def look_for_moved(self, *, for_results: bool) -> set[Path]:
        """Find files that were renamed; return those of which something else is true now.

        With *for_results* there may be results under the new name.
        """
        with self.names.looking:
            return self._look_for_moved(for_results=for_results)

    def _look_for_moved(self, *, for_results: bool) -> set[Path]:
        before = self.names.moved
        moved = {
            (root, name): file
            for (root, name), file in before.items()
            if root in self.findings
            and name in self.findings[root].by_file
            and self.texts.now(self.names.file_then(root, name)) is None
            and not (for_results and has_own_results(root, file))
        }
        gone = frozenset(
            (root, name)
            for root, of_project in self.findings.items()
            for name in of_project.by_file
            if (root, name) not in moved and self.texts.is_gone(self.names.file_then(root, name))
        )
        compared: dict[Path, frozenset[tuple[Path, str]]] = {}
        known = {*self._by_file(), *moved.values()} if gone else set()
        for opened in self.texts.open_texts() if gone else ():
            # Not at each edit.
            is_news = not gone <= self.names.compared.get(opened.file, frozenset())
            compared[opened.file] = gone
            if is_news and opened.file not in known:
                found = moved_file(opened, gone - moved.keys(), self.findings)
                if found is not None:
                    moved[found] = opened.file
                    known.add(opened.file)
        self.names.compared = compared
        self.names.moved = moved
        return {
            file
            for key, other in before.items() ^ moved.items()
            for file in (self.names.file_then(*key), other)
        }

    def concerned(self, changed: Collection[Path]) -> set[Path]:
        """Return the files whose diagnostics the texts of the files *changed* have to do with."""
        return {
            *changed,
            *(
                self.names.file(root, name)
                for root, of_project in self.findings.items()
                for name, others in of_project.concerned.items()
                if any(self.names.file(root, other) in changed for other in others)
            ),
        }

    def marks(self, files: Collection[Path]) -> dict[Path, list[Marks]]:
        """Return what the documents of each of *files* should show."""
        by_file = self._by_file()
        projects = {
            root: _ProjectFiles(root, self.texts, self.names, findings=of_project)
            for root, of_project in self.findings.items()
        }
        return {file: self._marks(file, by_file.get(file, ()), projects) for file in files}

    def _by_file(self) -> dict[Path, list[tuple[Path, str]]]:
        """Return, by file, the projects that have findings there, and what they call it."""
        by_file: dict[Path, list[tuple[Path, str]]] = {}
        for root, of_project in self.findings.items():
            for name in of_project.by_file:
                by_file.setdefault(self.names.file(root, name), []).append((root, name))
        return by_file

    def _marks(
        self,
        file: Path,
        named: Iterable[tuple[Path, str]],
        projects: Mapping[Path, _ProjectFiles],
    ) -> list[Marks]:
        found: dict[str, list[types.Diagnostic]] = {}
        opened = self.texts.opened(file)
        for root, name in named:
            path = self.names.path(root, name)
            # Inside a nested project with results of its own, those are the ones that count.
            if nearest_root(path, self.findings.keys()) not in (root, None):
                continue
            made = diagnostics(name, self.findings[root].by_file[name], projects[root], self.client)
            for uri in [document.uri for document in opened] or [uri_of(path)]:
                found.setdefault(uri, []).extend(made)
        for document in opened:
            if document.path.suffix == ".py":
                typed = marker_diagnostics(document.text, self.client.codec)
                found.setdefault(document.uri, []).extend(typed)
        versions = {document.uri: document.version for document in opened}
        return [
            Marks(uri, versions.get(uri), self._wanted(file, found.get(uri, ())))
            for uri in dict.fromkeys((*versions, *found))
        ]

    def _wanted(self, file: Path, made: Iterable[types.Diagnostic]) -> list[types.Diagnostic]:
        settings = self.settings_for(file)
        return as_wanted(made, settings.severities, self.client) if settings.diagnostics else []


@dataclass(frozen=True)
class FilesNow:
    """The files of one project at one moment. Implements `features.hovers.Files`."""

    root: Path
    texts: Texts
    names: FileNames
    #: Call stacks name the same few files again and again.
    uris: dict[str, str | None] = field(default_factory=dict)
    now_known: dict[str, str | None] = field(default_factory=dict)

    def uri(self, name: str) -> str | None:
        """Return the URI of the file, as the client knows it where it is open."""
        if name not in self.uris:
            self.uris[name] = self._uri(name)
        return self.uris[name]

    def _uri(self, name: str) -> str | None:
        if not name or name.startswith("<"):
            return None  # "<string>", "<frozen importlib._bootstrap>"
        path = self.names.path(self.root, name)
        opened = self.texts.opened(path)
        return opened[0].uri if opened else uri_of(path)

    def now(self, name: str) -> str | None:
        """Return the file's text now."""
        if name not in self.now_known:
            self.now_known[name] = self.texts.now(self.names.path(self.root, name))
        return self.now_known[name]


@dataclass(frozen=True)
class _ProjectFiles(FilesNow):
    """Those, and what is known of them. Implements `features.diagnostics.Files`."""

    findings: Findings = field(kw_only=True)
    locations: dict[tuple[int, FrameRecord], types.Location] = field(default_factory=dict)

    def measured(self, run: int, name: str) -> str | None:
        """Return the file's text as *run* saw it."""
        source = self.findings.sources.get((run, name))
        return None if source is None else source.text

    def test(self, finding: Finding) -> TestRecord | None:
        """Return the test whose result *finding* comes from, if that is known."""
        return self.findings.tests.get((finding.nodeid, finding.run))
