"""Keeping the client's diagnostics true, for all files that have some."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lsprotocol import types

from memlens_lsp.features.diagnostics import Client, diagnostics
from memlens_lsp.projects import file_named, nearest_root
from memlens_lsp.results import Findings
from memlens_lsp.texts import DiskTexts, OpenText, Texts
from memlens_lsp.uris import uri_of


class Host(Protocol):
    """What publishing needs to know, as it is at each moment, and what it does."""

    @property
    def diagnostics_client(self) -> Client:
        """What the client makes of diagnostics."""

    @property
    def findings(self) -> Mapping[Path, Findings]:
        """The findings of each project, by its root."""

    def open_texts(self) -> list[OpenText]:
        """Return the open documents."""

    def publish(
        self, uri: str, version: int | None, diagnostics: Sequence[types.Diagnostic]
    ) -> None:
        """Send diagnostics to the client."""


@dataclass(frozen=True)
class ProjectFiles:
    """The files of one project at one moment. Implements `features.diagnostics.Files`."""

    root: Path
    sources: Mapping[tuple[int, str], str]
    texts: Texts

    def uri(self, name: str) -> str | None:
        """Return the URI of the file, as the client knows it where it is open."""
        if name.startswith("<"):
            return None  # "<string>", "<frozen importlib._bootstrap>"
        path = file_named(self.root, name)
        opened = self.texts.opened(path)
        return opened[0].uri if opened else uri_of(path)

    def now(self, name: str) -> str | None:
        """Return the file's text now."""
        return self.texts.now(file_named(self.root, name))

    def measured(self, run: int, name: str) -> str | None:
        """Return the file's text as *run* saw it."""
        return self.sources.get((run, name))


@dataclass(frozen=True)
class _Published:
    uri: str
    version: int | None
    diagnostics: Sequence[types.Diagnostic]


class Publisher:
    """Sends diagnostics when they change, and takes them back. For the event loop only."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._disk = DiskTexts()
        #: What the client shows, by file (symlinks followed) and URI.
        self._shown: dict[Path, dict[str, _Published]] = {}
        # A slower, older computation must not overwrite a newer one's.
        self._one_at_a_time = asyncio.Lock()

    def marked_files(self) -> set[Path]:
        """Return the files that have diagnostics."""
        return {
            file
            for file, shown in self._shown.items()
            if any(published.diagnostics for published in shown.values())
        }

    async def publish_all(self) -> None:
        """Bring all files up to date."""
        await self._publish(None)

    async def publish_text_change(self, file: Path) -> None:
        """Bring up to date what the text of *file*, symlinks followed, has to do with."""
        await self._publish(file)

    async def _publish(self, changed: Path | None) -> None:
        async with self._one_at_a_time:
            host = self._host
            opened = host.open_texts()
            made = await asyncio.to_thread(
                _diagnostics_of_files,
                dict(host.findings),
                Texts(opened, self._disk),
                host.diagnostics_client,
                changed,
            )
            stale = self._shown.keys() - made.keys() if changed is None else {changed}
            for file in [*made, *(stale - made.keys())]:
                self._show(file, made.get(file, ()), again=file == changed)

    def _show(self, file: Path, new: Iterable[_Published], *, again: bool) -> None:
        before = self._shown.pop(file, {})
        after = {published.uri: published for published in new}
        for uri in before.keys() - after.keys():
            if before[uri].diagnostics:
                self._host.publish(uri, None, ())
        for uri, published in after.items():
            old = before.get(uri)
            shown = old.diagnostics if old else ()
            # The client moves marks by itself as it edits, not always to where they belong. After
            # an edit they are sent though they look the same.
            if shown != published.diagnostics or (again and shown):
                self._host.publish(uri, published.version, published.diagnostics)
        if any(published.diagnostics for published in after.values()):
            self._shown[file] = after


def _diagnostics_of_files(
    findings: Mapping[Path, Findings], texts: Texts, client: Client, changed: Path | None
) -> dict[Path, list[_Published]]:
    """Return what to show for each file with findings; only those that *changed* is part of."""
    made: dict[Path, list[_Published]] = {}
    for root, of_project in findings.items():
        files = ProjectFiles(root, of_project.sources, texts)
        for name, in_file in of_project.by_file.items():
            path = file_named(root, name)
            # Inside a nested project with results of its own, those are the ones that count.
            if nearest_root(path, findings.keys()) not in (root, None):
                continue
            if changed is not None and not _names(of_project, name, files, changed):
                continue
            marks = diagnostics(name, in_file, files, client)
            shown = made.setdefault(texts.file(path), [])
            opened = texts.opened(path)
            if opened:
                shown += [_Published(text.uri, text.version, marks) for text in opened]
            else:
                shown.append(_Published(uri_of(path), None, marks))
    return {file: _merged(shown) for file, shown in made.items()}


def _names(findings: Findings, name: str, files: ProjectFiles, changed: Path) -> bool:
    """Return whether the findings in the file *name* have to do with the file *changed*."""
    names = {
        name,
        *(
            call.frame.path
            for finding in findings.by_file[name]
            for call in finding.related
            if call.frame.kind == "project"
        ),
    }
    return any(files.texts.file(file_named(files.root, other)) == changed for other in names)


def _merged(shown: Collection[_Published]) -> list[_Published]:
    """Return one entry a URI: two projects may have findings in a file of neither."""
    by_uri: dict[str, _Published] = {}
    for published in shown:
        known = by_uri.get(published.uri)
        marks = [*known.diagnostics, *published.diagnostics] if known else published.diagnostics
        by_uri[published.uri] = _Published(published.uri, published.version, marks)
    return list(by_uri.values())
