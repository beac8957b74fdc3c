"""Keeping the client's diagnostics true, for all files that have some: pushed or pulled.

A client shows what it is pushed beside what it has pulled, so each document goes one way only. With
a client that pulls (LSP 3.17, "Pull Diagnostics") that is pulling for what is open. The rest is
pushed until the client pulls the workspace, which few do, and pulled from then on.

What the client has been told is known by ids, so that it is asked to pull only what it does not
know.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol
from weakref import WeakValueDictionary

from lsprotocol import types

from memlens_lsp.features.diagnostics import Client
from memlens_lsp.findings import Findings
from memlens_lsp.marks import FileNames, Marks, Moment
from memlens_lsp.projects import nearest_root, real
from memlens_lsp.settings import Settings
from memlens_lsp.texts import DiskTexts, OpenText, Texts
from memlens_lsp.uris import path_of
from memlens_lsp.watching import Look

#: How many files of one project are worked on at a time.
_AT_A_TIME = 4
#: A report on one document of a workspace.
WorkspaceReport = (
    types.WorkspaceFullDocumentDiagnosticReport | types.WorkspaceUnchangedDocumentDiagnosticReport
)


class Host(Protocol):
    """What publishing needs to know, as it is at each moment, and what it does."""

    @property
    def diagnostics_client(self) -> Client:
        """What the client makes of diagnostics."""

    @property
    def pulls_diagnostics(self) -> bool:
        """Whether the client pulls diagnostics of the documents that it has open."""

    @property
    def findings(self) -> Mapping[Path, Findings]:
        """The findings of each project, by its root."""

    def settings_for(self, path: Path) -> Settings:
        """Return the settings for a file. Called from other threads too."""

    def open_texts(self) -> list[OpenText]:
        """Return the open documents."""

    async def open_text(self, uri: str) -> OpenText | None:
        """Return the open document *uri*, or None if it is not open or no file."""

    def publish(
        self, uri: str, version: int | None, diagnostics: Sequence[types.Diagnostic]
    ) -> None:
        """Send diagnostics to the client."""

    def refresh(self) -> None:
        """Have the client ask again for lenses and hints."""

    def refresh_diagnostics(self) -> None:
        """Ask the client to pull diagnostics again."""


class Report(NamedTuple):
    """What is to be told of one document."""

    #: Names these diagnostics of this version of the document: LSP's "result id".
    id: str
    uri: str
    version: int | None
    diagnostics: Sequence[types.Diagnostic]


class Publisher:
    """Tells the client of diagnostics when they change, and when it asks.

    To be used from the event loop only.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._disk = DiskTexts()
        self._names = FileNames()
        #: What is true now, by file (symlinks followed) and URI: of open documents, and of files
        #: that have diagnostics.
        self._reports: dict[Path, dict[str, Report]] = {}
        #: The findings that this was made of, and the files that these name.
        self._made_of: Mapping[Path, Findings] = {}
        self._named: frozenset[Path] = frozenset()
        #: Ids of another server, whose client still knows them, are not ours.
        self._session = secrets.token_hex(4)
        self._ids = 0
        #: URIs that the client shows pushed diagnostics for.
        self._pushed: set[str] = set()
        #: For each open document the last report that the client has pulled.
        self._pulled: dict[str, Report] = {}
        self._workspace_is_pulled = False
        #: How many requests for the diagnostics of the workspace wait for news.
        self._waiting = 0
        #: Set, and replaced, when something changes.
        self._news = asyncio.Event()
        #: The news after which such a request was last answered.
        self._answered_after: asyncio.Event | None = None
        #: Who works on the text of a file, or on several (None). Others do not wait for one file:
        #: their disk may be faster, or their text shorter.
        self._turns: WeakValueDictionary[Path | None, asyncio.Lock] = WeakValueDictionary()
        #: … and in which project: the threads are for all.
        self._room: WeakValueDictionary[Path | None, asyncio.Semaphore] = WeakValueDictionary()
        #: How often work was begun; the last such number of each file that has been done, of all
        #: files, and of `_named`. Slower, older work must not overwrite newer one's.
        self._begun = 0
        self._done: dict[Path, int] = {}
        self._all_done = 0
        self._named_done = 0

    def marked_files(self) -> dict[Path, Look | None]:
        """Return the files that may have marks, and what they looked like when last read.

        Also those that show none now: a file or a line that is gone may come back.
        """
        return {file: self._disk.look_of(file) for file in self._named}

    def file_then(self, path: Path) -> Path | None:
        """Return the file that *path* was when it was measured, None if it was not renamed."""
        if not self._names.moved:
            return None
        known = (opened.file for opened in self._host.open_texts() if opened.path == path)
        file = next(known, path)  # those that were renamed are or were open
        moved = self._names.moved.items()
        return next((self._names.file_then(*key) for key, now in moved if now == file), None)

    # What has changed

    async def publish_all(self) -> None:
        """Bring all files up to date."""
        self._names.forget()
        await self._bring_up_to_date(
            lambda moment: moment.all_files(), for_results=True, forget_others=True
        )

    async def publish_results(self) -> None:
        """Bring up to date the files whose findings have changed."""
        before = self._made_of
        if before.keys() != self._host.findings.keys():
            await self.publish_all()  # one project may be inside another
            return

        def changed(moment: Moment) -> set[Path]:
            return {
                file
                for root, findings in moment.findings.items()
                if findings is not before.get(root)
                for file in moment.files_named(root, _changed_files(before.get(root), findings))
            }

        if any(findings is not before[root] for root, findings in self._host.findings.items()):
            await self._bring_up_to_date(changed, for_results=True)

    async def publish_text_changes(self, files: Collection[Path]) -> None:
        """Bring up to date what the texts of *files*, symlinks followed, have to do with."""
        async with self._turn(files):
            await self._bring_up_to_date(lambda moment: moment.concerned(files))

    @contextlib.asynccontextmanager
    async def _turn(self, files: Collection[Path]) -> AsyncIterator[None]:
        """Wait until nobody else works on the text of one file, or on those of several."""
        file = next(iter(files)) if len(files) == 1 else None
        project = nearest_root(file, self._host.findings.keys()) or file.parent if file else None
        turn = self._turns.setdefault(file, asyncio.Lock())
        room = self._room.setdefault(project, asyncio.Semaphore(_AT_A_TIME))
        async with turn, room:
            yield

    async def _bring_up_to_date(
        self,
        choose: Callable[[Moment], Collection[Path]],
        *,
        for_results: bool = False,
        forget_others: bool = False,
        told: str | None = None,
    ) -> None:
        """Make the diagnostics of the files that *choose* names; the URI *told* is told apart.

        With *for_results* these are all whose findings have changed; with *forget_others* there are
        no others.
        """

        def make(moment: Moment) -> tuple[dict[Path, list[Marks]], frozenset[Path], set[Path]]:
            made = moment.marks(choose(moment))
            # Only now it is known which files are gone.
            moved = moment.look_for_moved(for_results=for_results)
            if moved:
                made |= moment.marks(moment.concerned(moved))
            return made, moment.named_files(), moved

        self._begun += 1
        number = self._begun
        moment = Moment(
            dict(self._host.findings),
            Texts(self._host.open_texts(), self._disk),
            self._host.diagnostics_client,
            self._host.settings_for,
            self._names,
        )
        if for_results:
            # Already, so that what changes meanwhile is compared with these.
            self._made_of = moment.findings
        try:
            made, named, moved = await asyncio.to_thread(make, moment)
        except BaseException:
            if for_results:
                self._made_of = {}
            raise
        if moved:
            self._host.refresh()
        if number > self._named_done:
            self._named, self._named_done = named, number
        if forget_others:
            made |= {file: [] for file in self._reports.keys() - made.keys()}
        made = {file: marks for file, marks in made.items() if self._is_newest(file, number)}
        if forget_others:
            self._all_done = max(number, self._all_done)
        changed = [uri for file, marks in made.items() for uri in self._keep(file, marks)]
        if changed:
            self._tell(changed, told)

    def _is_newest(self, file: Path, number: int) -> bool:
        """Return whether the work *number* is the newest that was done on *file*, and note it."""
        if number < max(self._done.get(file, 0), self._all_done):
            return False
        self._done[file] = number
        return True

    def _keep(self, file: Path, made: Iterable[Marks]) -> list[str]:
        """Note what is true of *file* now; return the URIs of which something else was."""
        before = self._reports.pop(file, {})
        after: dict[str, Report] = {}
        for marks in made:
            old = before.get(marks.uri)
            same = old is not None and list(old.diagnostics) == list(marks.diagnostics)
            # The client moves marks by itself as it edits, not always to where they belong. After
            # an edit they are told again though they look the same.
            if old is not None and same and (old.version == marks.version or not old.diagnostics):
                after[marks.uri] = old._replace(version=marks.version)
            elif marks.diagnostics or marks.version is not None:
                after[marks.uri] = Report(self._next_id(), *marks)
        if after:
            self._reports[file] = after
        return [
            uri
            for uri in before.keys() | after.keys()
            if _told_of(before.get(uri)) != _told_of(after.get(uri))
        ]

    def _next_id(self) -> str:
        self._ids += 1
        return f"{self._session}-{self._ids}"

    # Telling the client

    def _tell(self, changed: Iterable[str], told: str | None) -> None:
        reports = {
            uri: report for of_file in self._reports.values() for uri, report in of_file.items()
        }
        pulls = self._host.pulls_diagnostics
        ask = False
        for uri in changed:
            report = reports.get(uri)
            if pulls and report is not None and report.version is not None:
                self._push(uri, None)
                ask = ask or (uri != told and self._is_to_be_pulled(report))
                continue
            self._pulled.pop(uri, None)
            if self._workspace_is_pulled:
                ask = ask or not self._waiting
            else:
                self._push(uri, report)
        news, self._news = self._news, asyncio.Event()
        news.set()
        if ask:
            self._host.refresh_diagnostics()

    def _push(self, uri: str, report: Report | None) -> None:
        diagnostics = report.diagnostics if report else ()
        if diagnostics:
            self._pushed.add(uri)
        elif uri in self._pushed:
            self._pushed.remove(uri)
        else:
            return
        self._host.publish(uri, report.version if report else None, diagnostics)

    def _is_to_be_pulled(self, report: Report) -> bool:
        """Return whether the client shows something else than *report*, which has changed."""
        pulled = self._pulled.get(report.uri)
        if pulled is None:
            return bool(report.diagnostics)
        return pulled.id != report.id and bool(pulled.diagnostics or report.diagnostics)

    # What the client asks

    async def pull(self, uri: str) -> Report | None:
        """Return what is true of the document *uri*; None if nothing is to be told of it."""
        opened = await self._host.open_text(uri)
        if opened is None:
            return await self._of_closed(uri)
        report = self._reports.get(opened.file, {}).get(opened.uri)
        if report is None or report.version != opened.version:
            async with self._turn({opened.file}):
                await self._bring_up_to_date(lambda _: {opened.file}, told=opened.uri)
            report = self._reports.get(opened.file, {}).get(opened.uri)
        if report is not None:
            self._pulled[opened.uri] = report
        return report

    async def _of_closed(self, uri: str) -> Report | None:
        path = path_of(uri)
        reports = self._reports.get(await asyncio.to_thread(real, path), {}) if path else {}
        return next(iter(reports.values()), None)

    def workspace_is_pulled(self) -> None:
        """Push nothing any more: the client pulls what is not open too."""
        self._workspace_is_pulled = True
        for uri in list(self._pushed):
            self._push(uri, None)

    async def pull_workspace(
        self,
        previous: Iterable[types.PreviousResultId],
        send: Callable[[list[WorkspaceReport]], None] | None,
    ) -> list[WorkspaceReport]:
        """Return what has changed since the client got *previous*, as soon as there is something.

        With *send*, for a client that takes partial results, send that and go on until cancelled.
        """
        self.workspace_is_pulled()
        known = {_key(item.uri): item for item in previous}
        self._waiting += 1
        try:
            while True:
                news = self._news
                changed, unchanged = self._since(known)
                if send is not None:
                    if changed:
                        send([*unchanged, *changed])
                elif changed or self._answered_after is not news:
                    self._answered_after = news
                    return [*unchanged, *changed]
                await news.wait()
        finally:
            self._waiting -= 1

    def _since(
        self, known: dict[str, types.PreviousResultId]
    ) -> tuple[list[WorkspaceReport], list[WorkspaceReport]]:
        """Return reports on what differs from *known*, which is updated, and on the rest."""
        changed: list[WorkspaceReport] = []
        unchanged: list[WorkspaceReport] = []
        gone = dict(known)
        for of_file in self._reports.values():
            for report in of_file.values():
                if not report.diagnostics:
                    continue
                key = _key(report.uri)
                before = gone.pop(key, None)
                if before is not None and before.value == report.id:
                    unchanged.append(
                        types.WorkspaceUnchangedDocumentDiagnosticReport(
                            uri=before.uri, result_id=report.id, version=report.version
                        )
                    )
                    continue
                known[key] = types.PreviousResultId(report.uri, report.id)
                pulled = self._pulled.get(report.uri)
                if pulled is not None and pulled.id == report.id:
                    continue  # the client has it, of the document itself
                changed.append(
                    types.WorkspaceFullDocumentDiagnosticReport(
                        uri=report.uri,
                        items=report.diagnostics,
                        result_id=report.id,
                        version=report.version,
                    )
                )
        for key, before in gone.items():
            del known[key]
            changed.append(
                types.WorkspaceFullDocumentDiagnosticReport(
                    uri=before.uri, items=[], version=self._version(before.uri)
                )
            )
        return changed, unchanged

    def _version(self, uri: str) -> int | None:
        versions = (opened.version for opened in self._host.open_texts() if opened.uri == uri)
        return next(versions, None)


def _told_of(report: Report | None) -> str | None:
    return report.id if report is not None and report.diagnostics else None


def _changed_files(before: Findings | None, after: Findings) -> set[str]:
    """Return the names of the files whose findings differ."""
    known: Mapping[str, object] = before.by_file if before is not None else {}
    return {
        name
        for name in known.keys() | after.by_file.keys()
        if known.get(name) is not after.by_file.get(name)
    }


def _key(uri: str) -> str:
    """Return what is the same however *uri* is written: clients quote more or less than we do."""
    path = path_of(uri)
    return uri if path is None else str(path)
