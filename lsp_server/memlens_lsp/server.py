"""One client's server: its state, and what changes it. `handlers` say what the client may ask."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lsprotocol import types
from pygls.exceptions import FeatureRequestError, JsonRpcException, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

import memlens
from memlens.store import database_path
from memlens_lsp.features.diagnostics import Client
from memlens_lsp.known_results import KnownResults
from memlens_lsp.progress import RunDisplay
from memlens_lsp.projects import ancestors, find_roots, nearest_root, real, root_for_running
from memlens_lsp.publishing import Publisher
from memlens_lsp.results import Findings
from memlens_lsp.runs import Run, RunRefusedError, Runs, plan_run, read_target
from memlens_lsp.settings import SECTION, Settings, read_settings
from memlens_lsp.texts import Document, OpenText, open_text, open_texts
from memlens_lsp.uris import path_of
from memlens_lsp.watching import Watcher

logger = logging.getLogger(__name__)

#: Seconds without typing before marks are moved.
_DEBOUNCE = 0.15
#: Seconds that a run waits for the client to tell its settings.
_SETTINGS_PATIENCE = 2.0


class MemlensServer(LanguageServer):
    """One client's server: its settings, the results of its projects, what it has been shown."""

    def __init__(self) -> None:
        super().__init__(
            "memlens-lsp",
            memlens.__version__,
            text_document_sync_kind=types.TextDocumentSyncKind.Incremental,
        )
        self.settings = Settings()
        #: Those of workspace folders that have their own.
        self._folder_settings: dict[Path | None, Settings] = {}
        #: Unset while the client is being asked for them.
        self._settings_known = asyncio.Event()
        self._settings_known.set()
        self.runs = Runs()
        self.shutdown_requested = False
        self.watcher = Watcher(self.files_changed)
        self.publisher = Publisher(self)
        self.results = KnownResults()
        #: Projects that have or had results.
        self._found_roots: set[Path] = set()
        #: Folders that are watched for results: those, and where results may come.
        self._roots: set[Path] = set()
        #: What was last wrong with the settings, so that it is said once.
        self._wrong_settings: frozenset[str] = frozenset()
        self._running: dict[types.ProgressToken, Run] = {}
        self._edits: dict[Path, asyncio.TimerHandle] = {}
        # The event loop keeps only weak references to tasks.
        self._tasks: set[asyncio.Task[Any]] = set()
        self._refreshing_lenses = False
        self._lenses_are_stale = False

    # What the client can do

    @property
    def offers_progress(self) -> bool:
        """Whether the client shows progress that the server begins."""
        window = self.client_capabilities.window
        return bool(window and window.work_done_progress)

    @property
    def diagnostics_client(self) -> Client:
        """What the client makes of diagnostics."""
        document = self.client_capabilities.text_document
        publish = document.publish_diagnostics if document else None
        return Client(
            codec=self.workspace.position_codec,
            related_information=bool(publish and publish.related_information),
        )

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
        logger.error("%s: %s", getattr(source, "__name__", source), error)

    def spawn(self, work: Any) -> None:
        """Run the coroutine *work* beside the message loop."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a background task failed", exc_info=error)

    # Settings

    def use_settings(self, raw: object) -> None:
        """Use the client's settings *raw*; complain of what is wrong with them."""
        self.settings, problems = read_settings(raw)
        # The same settings may come more than once: pushed, pulled, for each folder.
        for problem in problems:
            if problem not in self._wrong_settings:
                self.log(f"{problem}. The default is used.", types.MessageType.Warning)
        self._wrong_settings = frozenset(problems)

    def settings_for(self, path: Path | None) -> Settings:
        """Return the settings for the file or folder *path*, those of the window without one."""
        folder = nearest_root(path / "_", self.folders) if path else None
        return self._folder_settings.get(folder, self.settings)

    @property
    def pulls_settings(self) -> bool:
        """Whether the client can be asked for settings."""
        workspace = self.client_capabilities.workspace
        return bool(workspace and workspace.configuration)

    async def settings_changed(self, pushed: object) -> None:
        """Take new settings: asked for where the client can answer, else as *pushed*."""
        if self.pulls_settings:
            self._settings_known.clear()
            try:
                item = types.ConfigurationItem(section=SECTION)
                answer = await self.workspace_configuration_async(types.ConfigurationParams([item]))
            except JsonRpcException as error:
                logger.warning("the client does not tell its settings: %s", error)
            else:
                if answer and answer[0] is not None:
                    self.use_settings(answer[0])
            finally:
                self._settings_known.set()
        elif isinstance(pushed, Mapping):
            self.use_settings(pushed.get(SECTION, pushed))

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
        """Return the open documents that are files."""
        return open_texts(self.workspace.text_documents.values())

    def open_text(self, uri: str) -> OpenText | None:
        """Return the open document *uri*, or None if it is not open or no file."""
        document = self.workspace.text_documents.get(unquote(uri))
        return None if document is None else open_text(document)

    @property
    def folders(self) -> list[Path]:
        """The workspace folders."""
        uris = list(self.workspace.folders) or [self.workspace.root_uri or ""]
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

    def text_changed(self, uri: str, delay: float = _DEBOUNCE) -> None:
        """Move the marks that the text of *uri* has to do with, after *delay* seconds."""
        path = path_of(uri)
        if path is None:
            return
        file = real(path)
        waiting = self._edits.pop(file, None)
        if waiting is not None:
            waiting.cancel()
        self._edits[file] = asyncio.get_running_loop().call_later(delay, self._move_marks, file)

    def _move_marks(self, file: Path) -> None:
        self._edits.pop(file, None)
        self.spawn(self._bring_up_to_date(file))

    async def _bring_up_to_date(self, file: Path | None) -> None:
        if file is None:
            await self.publisher.publish_all()
        else:
            await self.publisher.publish_text_change(file)
        self.watch()

    async def find_projects(self) -> None:
        """Look for results in the workspace folders."""
        self._found_roots.update(await asyncio.to_thread(find_roots, self.folders))
        self.watch()
        self.watcher.look_now()

    async def folders_changed(self) -> None:
        """Show the results of the workspace folders that there are now."""
        self._found_roots.clear()
        await self.find_projects()
        self.results.keep_only(self._roots)
        await self._bring_up_to_date(None)

    def watch(self) -> None:
        """Watch all places where results are or may come, and files whose marks may move."""
        folders = self.folders
        roots = {*folders, *self._found_roots}
        opened = set()
        for document in self.open_texts():
            opened.add(document.file)
            path = path_of(document.uri)
            if path is not None:
                roots.update(ancestors(path, folders))
        marked = self.publisher.marked_files() - opened
        self._roots = roots
        self.watcher.watch([*map(database_path, roots), *marked])

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
        roots = {path.parent.parent for path in changed if path == database_path(path.parents[1])}
        for root in roots:
            await self._read(root)
        if roots:
            self.runs.results_changed()
            self.refresh_lenses()
            await self._bring_up_to_date(None)
        for file in changed - {database_path(root) for root in roots}:
            await self._bring_up_to_date(file)

    async def _read(self, root: Path) -> None:
        complaint = await self.results.read(root)
        if complaint is not None:
            self.log(complaint, types.MessageType.Warning)
        if root in self.results.findings:
            self._found_roots.add(root)

    def refresh_lenses(self) -> None:
        """Have the client ask for lenses again. One such request is under way at a time."""
        workspace = self.client_capabilities.workspace
        if not (workspace and workspace.code_lens and workspace.code_lens.refresh_support):
            return
        self._lenses_are_stale = True
        if not self._refreshing_lenses:
            self._refreshing_lenses = True
            self.spawn(self._refresh_lenses())

    async def _refresh_lenses(self) -> None:
        try:
            while self._lenses_are_stale:
                self._lenses_are_stale = False
                await self.workspace_code_lens_refresh_async(None)
        finally:
            self._refreshing_lenses = False

    # Running

    async def run_tests(self, arguments: Sequence[object]) -> None:
        """Start what the arguments of `memlens.run` ask for.

        Raises:
            JsonRpcInvalidParams: they are wrong.
        """
        try:
            target = read_target(arguments)
        except ValueError as error:
            raise JsonRpcInvalidParams(str(error)) from None
        await self.settings_known()
        plan = plan_run(
            target, await self._root_for_running(target.path), self.settings_for(target.path)
        )
        display = RunDisplay(self, plan.title)
        try:
            self._running[display.token] = self.runs.start(plan, display)
        except RunRefusedError as error:
            display.end("")
            self.show(str(error), types.MessageType.Warning)
            return
        self._found_roots.add(plan.root)
        self.watch()

    async def _root_for_running(self, path: Path) -> Path:
        root = await asyncio.to_thread(root_for_running, path, self.folders)
        if root is None:
            root = (await self.results.of_file(path)).root
        return root or next(iter(self.folders), path.parent)

    def cancel_run(self, token: types.ProgressToken) -> None:
        """Cancel the run whose progress has *token*."""
        run = self._running.get(token)
        if run is not None:
            run.cancel()

    def run_ended(self, token: types.ProgressToken) -> None:
        """Forget the run whose progress had *token*."""
        self._running.pop(token, None)
        self.work_done_progress.tokens.pop(token, None)
