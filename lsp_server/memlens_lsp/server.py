"""One client's server: its state, and what changes it. `handlers` say what the client may ask."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lsprotocol import types
from pygls.exceptions import FeatureRequestError, JsonRpcException
from pygls.lsp.server import LanguageServer

import memlens
from memlens.store import database_path
from memlens_lsp.features.diagnostics import Client
from memlens_lsp.features.lenses import Overviews
from memlens_lsp.findings import Findings
from memlens_lsp.known_results import KnownResults
from memlens_lsp.projects import find_roots, nearest_root, real
from memlens_lsp.protocol import Protocol
from memlens_lsp.publishing import Publisher
from memlens_lsp.pytest_configuration import PytestConfigurations
from memlens_lsp.refreshing import Refresher, refreshes
from memlens_lsp.running.runner import Runner
from memlens_lsp.settings import SECTION, Settings, read_settings
from memlens_lsp.texts import Document, OpenText, open_text, open_texts
from memlens_lsp.uris import path_of, uri_of
from memlens_lsp.watching import Watcher

logger = logging.getLogger(__name__)

#: Seconds without typing before marks are moved.
_DEBOUNCE = 0.15
#: Seconds that a run waits for the client to tell its settings.
_SETTINGS_PATIENCE = 2.0
#: Seconds that a client which pulls diagnostics waits for results to be read at the start.
_RESULTS_PATIENCE = 2.0
#: How many files of one project are looked up at a time.
_LOOKUPS = 4
#: See docs/protocol.md.
RESULTS_CHANGED = "memlens/resultsChanged"


class MemlensServer(LanguageServer):
    """One client's server: its settings, the results of its projects, what it has been shown."""

    protocol: Protocol

    def __init__(self) -> None:
        super().__init__(
            "memlens-lsp",
            memlens.__version__,
            text_document_sync_kind=types.TextDocumentSyncKind.Incremental,
            protocol_cls=Protocol,
        )
        self.settings = Settings()
        #: What the client has given as settings at the start.
        self._initial_settings: object = None
        #: Those of the workspace folders, where the client knows them.
        self._folder_settings: dict[Path, Settings] = {}
        #: Unset while the client is being asked for them.
        self._settings_known = asyncio.Event()
        self._settings_known.set()
        self.runner = Runner(self)
        self.runs = self.runner.runs
        self.shutdown_requested = False
        self.watcher = Watcher(self.files_changed)
        #: Commands that the client carries out itself, such as "memlens.showFlameGraph".
        self.client_commands: frozenset[str] = frozenset()
        #: Notifications beside the protocol that the client has asked for.
        self.client_notifications: frozenset[str] = frozenset()
        #: Whether the client has said that it is ready.
        self.is_watching = False
        self.publisher = Publisher(self)
        self.results = KnownResults(self.publisher.file_then)
        self.pytest_configurations = PytestConfigurations()
        self.overviews = Overviews()
        #: Held while the results of a document are read before they are asked for.
        self._reading_ahead = asyncio.Lock()
        #: Projects that have or had results.
        self._found_roots: set[Path] = set()
        #: By what name each project is known, by its root, symlinks followed.
        self._names: dict[Path, Path] = {}
        #: Projects whose results have changed, and those that are being read.
        self._unread: set[Path] = set()
        self._reading: set[Path] = set()
        #: Set when the results that were there at the start have been read.
        self._results_known = asyncio.Event()
        #: Folders that are watched for results: those, and where results may come.
        self._roots: set[Path] = set()
        #: What was last wrong with the settings, so that it is said once.
        self._wrong_settings: frozenset[str] = frozenset()
        self._edits: dict[Path, asyncio.TimerHandle] = {}
        #: Who looks up the files that documents are of, by project.
        self._lookups: dict[Path, asyncio.Semaphore] = {}
        # The event loop keeps only weak references to tasks.
        self._tasks: set[asyncio.Task[Any]] = set()
        self._refresher = Refresher(self.spawn)

    # What the client can do

    @property
    def offers_progress(self) -> bool:
        """Whether the client shows progress that the server begins."""
        window = self.client_capabilities.window
        return bool(window and window.work_done_progress)

    @property
    def diagnostics_client(self) -> Client:
        """What the client makes of diagnostics."""
        document = self.client_capabilities.text_document or types.TextDocumentClientCapabilities()
        said = [said for said in (document.publish_diagnostics, document.diagnostic) if said]
        return Client(
            codec=self.workspace.position_codec,
            related_information=any(each.related_information for each in said),
            code_description=any(each.code_description_support for each in said),
        )

    @property
    def pulls_diagnostics(self) -> bool:
        """Whether the client pulls diagnostics of the documents that it has open."""
        return pulls_diagnostics(self.client_capabilities)

    # Talking to the client

    def log(self, message: str, kind: types.MessageType = types.MessageType.Info) -> None:
        """Put *message* into the client's log."""
        self.window_log_message(types.LogMessageParams(type=kind, message=message))

    def show(self, message: str, kind: types.MessageType) -> None:
        """Show *message* to the user."""
        self.window_show_message(types.ShowMessageParams(type=kind, message=f"memlens: {message}"))

    def publish(
        self, uri: str, version: int | None, diagnostics: Sequence[types.Diagnostic]
    ) -> None:
        """Send all diagnostics of a document."""
        self.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(uri=uri, version=version, diagnostics=diagnostics)
        )

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log what went wrong; pygls would pop it up in front of the user."""
        if source is FeatureRequestError:
            return  # the answer to the request says it
        if source is JsonRpcException:  # of what the message loop read
            self.protocol.cannot_read(error)
            return
        logger.error("%s: %s", getattr(source, "__name__", source), error)

    def spawn(self, work: Any) -> None:
        """Run the coroutine *work* beside the message loop."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, JsonRpcException):
            self.protocol.complain(f"the client cannot do what it was asked: {error}")
        elif error is not None:
            logger.error("a background task failed", exc_info=error)

    # Settings

    def use_initial_settings(self, raw: object) -> None:
        """Use the client's settings *raw* wherever and as long as it has no others."""
        self._initial_settings = raw
        self._use_settings({None: raw})

    def _use_settings(self, raw: Mapping[Path | None, object]) -> None:
        """Use settings by workspace folder; those of the window have None.

        Complain of what is wrong with them.
        """
        wrong: set[str] = set()
        for folder, of_folder in raw.items():
            settings, problems = read_settings(of_folder)
            wrong.update(problems)
            if folder is None:
                self.settings = settings
            else:
                self._folder_settings[folder] = settings
        # The same settings come more than once: pushed, pulled, for each folder.
        for problem in sorted(wrong - self._wrong_settings):
            self.log(f"{problem}. The default is used.", types.MessageType.Warning)
        self._wrong_settings = frozenset(wrong)

    def settings_for(self, path: Path | None) -> Settings:
        """Return the settings for the file or folder *path*, those of the window without one."""
        if path is None or not self._folder_settings:
            return self.settings
        folder = nearest_root(path / "_", self._folder_settings)
        if folder is None:
            folder = nearest_root(self._file_at(path) / "_", self._folder_settings)
        return self.settings if folder is None else self._folder_settings[folder]

    @property
    def pulls_settings(self) -> bool:
        """Whether the client can be asked for settings."""
        workspace = self.client_capabilities.workspace
        return bool(workspace and workspace.configuration)

    async def settings_changed(self, pushed: object) -> None:
        """Take new settings: asked for where the client can answer, else as *pushed*."""
        before = (self.settings, dict(self._folder_settings))
        if self.pulls_settings:
            self._settings_known.clear()
            try:
                await self._pull_settings()
            except JsonRpcException as error:
                self.protocol.complain(f"the client does not tell its settings: {error}")
            finally:
                self._settings_known.set()
        elif isinstance(pushed, Mapping):
            of_ours = pushed.get(SECTION, pushed)
            # Some clients push an empty object when there is nothing to tell.
            nothing = of_ours is None or of_ours == {}
            self._use_settings({None: self._initial_settings if nothing else of_ours})
        elif pushed is not None:
            self.protocol.complain(f"the client's settings are {pushed!r}: expected an object")
        if (self.settings, self._folder_settings) != before:
            self.refresh()
            for root, findings in self.results.findings.items():
                if findings.thresholds != self.settings_for(root).thresholds:
                    self._read_soon(root)
            await self._bring_up_to_date(None)

    async def _pull_settings(self) -> None:
        """Ask for the window's settings and those of each folder (LSP 3.17, "Configuration")."""
        uris = [folder.uri for folder in self.workspace.folders.values()]
        folders: list[Path | None] = [None, *map(path_of, uris)]
        items = [types.ConfigurationItem(section=SECTION)]
        items += [types.ConfigurationItem(scope_uri=uri, section=SECTION) for uri in uris]
        answers = await self.workspace_configuration_async(types.ConfigurationParams(items))
        known: dict[Path | None, object] = {None: self._initial_settings}
        known |= {
            folder: answer
            for place, (folder, answer) in enumerate(zip(folders, answers or (), strict=False))
            # A client without settings of ours says nothing; one folder is not a file's.
            if answer is not None and (folder is not None or place == 0)
        }
        self._folder_settings.clear()
        self._use_settings(known)

    async def settings_known(self) -> None:
        """Wait for settings that the client has been asked for, but not for ever."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._settings_known.wait(), _SETTINGS_PATIENCE)

    # Documents and projects

    @property
    def findings(self) -> Mapping[Path, Findings]:
        """The findings of each project, by its root."""
        return self.results.findings

    def open_texts(self) -> list[OpenText]:
        """Return the open documents that are known to be files."""
        return open_texts(self.workspace.text_documents.copy().values())

    async def open_text(self, uri: str) -> OpenText | None:
        """Return the open document *uri*, or None if it is not open or no file."""
        document = self.workspace.text_documents.get(unquote(uri))
        path = None if document is None else path_of(document.uri)
        if not isinstance(document, Document) or path is None:
            return None
        if document.file is None:
            await self._look_up(path)
        return open_text(document)

    async def _look_up(self, path: Path) -> Path:
        """Return the file at *path*, symlinks followed, and note it for the documents there.

        A disk may be slow, and the threads are for all.
        """
        folder = nearest_root(path, self.results.findings) or path.parent
        async with self._lookups.setdefault(folder, asyncio.Semaphore(_LOOKUPS)):
            file = await asyncio.to_thread(real, path)
        for document in self.workspace.text_documents.values():
            if isinstance(document, Document) and path_of(document.uri) == path:
                document.file = file
        return file

    def _file_at(self, path: Path) -> Path:
        """Return the file at *path*, symlinks followed; no look at the disk if it is open."""
        known = (opened.file for opened in self.open_texts() if opened.path == path)
        return next(known, None) or real(path)

    @property
    def folders(self) -> list[Path]:
        """The workspace folders."""
        # Not pygls' keys of them: those have been decoded, and a "%" may be part of the name.
        uris = [folder.uri for folder in self.workspace.folders.values()]
        uris = uris or [self.workspace.root_uri or ""]
        return [path for uri in uris if (path := path_of(uri)) is not None]

    def opened(self, item: types.TextDocumentItem) -> None:
        """Keep an opened document as one that counts lines right, and look for its results."""
        self.workspace.text_documents[unquote(item.uri)] = Document(
            item.uri,
            source=item.text,
            version=item.version,
            language_id=item.language_id,
            position_codec=self.workspace.position_codec,
        )
        self.watch()
        self.text_changed(item.uri, delay=0)
        self.spawn(self._read_ahead(item.uri))

    async def _read_ahead(self, uri: str) -> None:
        """Read the results of the document *uri* before they are asked for."""
        path = path_of(uri)
        # An editor may open many at once: one after the other, so that one that is asked for
        # meanwhile is read at once.
        async with self._reading_ahead:
            if path is not None and self._is_open(path) and not self.shutdown_requested:
                await self.results.of_file(path)

    def closed(self, uri: str) -> None:
        """Forget what is only of use for an open document."""
        path = path_of(uri)
        if path is not None and not self._is_open(path):
            self.results.forget_file(path)
        self.overviews.forget(uri)
        self.text_changed(uri, delay=0)
        self.watch()

    def _is_open(self, path: Path) -> bool:
        return any(path_of(each.uri) == path for each in self.workspace.text_documents.values())

    def text_changed(self, uri: str, delay: float = _DEBOUNCE) -> None:
        """Move the marks that the text of *uri* has to do with, after *delay* seconds."""
        path = path_of(uri)
        if path is None:
            return
        waiting = self._edits.pop(path, None)
        if waiting is not None:
            waiting.cancel()
        self._edits[path] = asyncio.get_running_loop().call_later(delay, self._move_marks, path)

    def _move_marks(self, path: Path) -> None:
        self._edits.pop(path, None)
        # After that the event loop has no threads any more.
        if not self.shutdown_requested:
            self.spawn(self._text_has_changed(path))

    async def _text_has_changed(self, path: Path) -> None:
        # Again each time: a symlink may lead elsewhere by now.
        await self._bring_up_to_date({await self._look_up(path)})

    async def _bring_up_to_date(self, files: Collection[Path] | None) -> None:
        if files is None:
            await self.publisher.publish_all()
        else:
            await self.publisher.publish_text_changes(files)
        self.watch()

    async def find_projects(self) -> None:
        """Look for results in the workspace folders."""
        found = await asyncio.to_thread(find_roots, self.folders)
        self._found_roots.update(found)
        self.watch()
        for root in found:
            # What is read now may be gone before the first look.
            self.watcher.look_again(database_path(root))
            self._read_soon(root)
        if not self._reading:
            self._results_known.set()

    async def folders_changed(self) -> None:
        """Show the results of the workspace folders that there are now."""
        # Not those that are left: some lie too deep to be found again.
        self._found_roots = set(filter(self._is_of_workspace, self._found_roots))
        if self.pulls_settings:
            await self.settings_changed(None)
        await self.find_projects()
        self.results.keep_only(self._roots)
        await self._bring_up_to_date(None)

    def watch(self) -> None:
        """Watch all places where results are or may come, and files whose marks may move."""
        folders = self.folders
        roots = {*folders, *self._found_roots}
        opened = {document.file for document in self.open_texts()}
        for document in self.workspace.text_documents.values():
            path = path_of(document.uri)
            # Also above the workspace: pytest finds its rootdir there, and writes there.
            roots.update(path.parents if path is not None else ())
        marked = self.publisher.marked_files()
        self._roots = roots
        databases = dict.fromkeys(map(database_path, roots))
        files = {file: look for file, look in marked.items() if file not in opened}
        self.watcher.watch({**databases, **files})

    def results_appeared(self, uri: str) -> None:
        """The client has seen a change at *uri*."""
        path = path_of(uri)
        if path is not None:
            self._found_roots.add(path.parent.parent)
            self.watch()
            self.watcher.look_now()

    # Results

    async def files_changed(self, changed: set[Path]) -> None:
        """Read the changed databases again and bring what the client shows up to date."""
        databases = {path for path in changed if path == database_path(path.parent.parent)}
        for path in databases:
            self._read_soon(path.parent.parent)
        if files := changed - databases:
            self.spawn(self._bring_up_to_date(files))  # their disk may be slow

    def _read_soon(self, root: Path) -> None:
        """Read the results of the project at *root*, beside those of others: its disk may be slow.

        Once at a time, however often they change meanwhile.
        """
        self._unread.add(root)
        if root not in self._reading:
            self._reading.add(root)
            self.spawn(self._read_until_true(root))

    async def _read_until_true(self, root: Path) -> None:
        try:
            while root in self._unread:
                self._unread.discard(root)
                await self._read(root)
        finally:
            self._reading.discard(root)
            if not self._reading:
                self._results_known.set()

    async def results_known(self) -> None:
        """Wait until the results of before have been read, but not for ever."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._results_known.wait(), _RESULTS_PATIENCE)

    def _is_of_workspace(self, root: Path) -> bool:
        return any(root.is_relative_to(each) or each.is_relative_to(root) for each in self.folders)

    async def _read(self, root: Path) -> None:
        # What symlinks give several names is one project, by the name that the workspace has.
        project = await asyncio.to_thread(real, root)
        other = self._names.get(project, root)
        if other != root and other in self._roots:
            if self._is_of_workspace(other) or not self._is_of_workspace(root):
                return
            self.results.findings.pop(other, None)
        self._names[project] = root
        before = self.results.findings.get(root)
        complaint = await self.results.read(root, self.settings_for(root).thresholds)
        if complaint is not None:
            self.log(complaint, types.MessageType.Warning)
        if self._names[project] != root:  # it is known by another name meanwhile
            self.results.findings.pop(root, None)
        elif root not in self._roots:  # its folder was removed meanwhile
            self.results.keep_only(self._roots)
        elif root in self.results.findings:
            self._found_roots.add(root)
        if root in self.results.busy:
            self.watcher.look_again(database_path(root))
            return
        self.runs.results_changed()
        if self.results.findings.get(root) is not before:  # else a file was only touched
            self.refresh()
            self.tell_of_results([root])
        await self.publisher.publish_results()
        self.watch()

    def tell_of_results(self, roots: Iterable[Path]) -> None:
        """Tell a client that has views of its own that the results of projects have changed."""
        if RESULTS_CHANGED in self.client_notifications:
            projects = [{"uri": uri_of(root)} for root in roots]
            self.protocol.notify(RESULTS_CHANGED, {"projects": projects})

    def refresh(self) -> None:
        """Have the client ask again for all that depends on results and settings.

        For lenses and hints, where it can be told to. The publisher does it for diagnostics.
        """
        self._refresh("code_lens", self.workspace_code_lens_refresh_async)
        self._refresh("inlay_hint", self.workspace_inlay_hint_refresh_async)

    def refresh_diagnostics(self) -> None:
        """Ask the client to pull diagnostics again."""
        self._refresh("diagnostics", self.workspace_diagnostic_refresh_async)

    def _refresh(self, kind: str, ask: Callable[[None], Awaitable[Any]]) -> None:
        if refreshes(self.client_capabilities, kind):
            self._refresher.refresh(kind, partial(ask, None))

    # Running

    def expect_results(self, root: Path) -> None:
        """Watch for results of the project at *root*, whose tests are about to run."""
        self._found_roots.add(root)
        self.watch()


def pulls_diagnostics(client: types.ClientCapabilities) -> bool:
    """Return whether *client* pulls diagnostics, so that they are always true.

    One that pulls only when it opens or edits a document, as Neovim 0.10 does, would not see what
    a run has found: it is pushed to, if it can be.
    """
    document = client.text_document
    if document is None or document.diagnostic is None:
        return False
    return refreshes(client, "diagnostics") or document.publish_diagnostics is None
