"""The language server: handlers that connect the client to the modules beside this one."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import unquote

from lsprotocol import types
from pygls.exceptions import FeatureRequestError, JsonRpcException, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.workspace import TextDocument

import memlens
from memlens.store import ResultsError, database_path
from memlens_lsp.features.diagnostics import Client
from memlens_lsp.features.lenses import RUN_COMMAND, lenses
from memlens_lsp.progress import RunDisplay
from memlens_lsp.projects import (
    ancestors,
    find_roots,
    has_results,
    names_in,
    real,
    root_for_running,
)
from memlens_lsp.publishing import Publisher
from memlens_lsp.results import Findings, TestResults, is_busy, read_findings, read_tests
from memlens_lsp.runs import Run, RunRefusedError, Runs, plan_run, read_target
from memlens_lsp.settings import SECTION, Settings, read_settings
from memlens_lsp.texts import Document, OpenText, open_texts
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
        #: Unset while the client is being asked for them.
        self._settings_known = asyncio.Event()
        self._settings_known.set()
        self.runs = Runs()
        self.shutdown_requested = False
        self.watcher = Watcher(self.files_changed)
        self.publisher = Publisher(self)
        #: The findings of each project with results, by its root.
        self.findings: dict[Path, Findings] = {}
        #: Projects that have or had results.
        self._found_roots: set[Path] = set()
        #: Folders that are watched for results: those, and where results may come.
        self._roots: set[Path] = set()
        #: The last complaint about each project's results, so that it is made once.
        self._complaints: dict[Path, str] = {}
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

    def open_texts(self) -> list[OpenText]:
        """Return the open documents that are files."""
        return open_texts(self.workspace.text_documents.values())

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
        self.findings = {root: self.findings[root] for root in self.findings.keys() & self._roots}
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
        try:
            findings = await asyncio.to_thread(read_findings, root)
        except ResultsError as error:
            if is_busy(error):
                return
            findings = Findings()
            if self._complaints.get(root) != str(error):
                self._complaints[root] = str(error)
                self.log(f"{error}", types.MessageType.Warning)
        else:
            self._complaints.pop(root, None)
        if has_results(root):
            self._found_roots.add(root)
            self.findings[root] = findings
        else:
            self.findings.pop(root, None)

    async def results_of(self, path: Path) -> tuple[Path | None, TestResults]:
        """Return the project that knows the tests in the file *path*, and their results.

        From the nearest folder around it that has results of the file; for a file outside all
        projects, such as an installed library's test, from any project that ran it.
        """
        around = [folder for folder in path.parents if has_results(folder)]
        for root in dict.fromkeys((*around, *self.findings)):
            try:
                results = await asyncio.to_thread(read_tests, root, names_in(root, path))
            except ResultsError as error:
                logger.info("%s", error)  # `_read` tells the user
                continue
            if results.tests:
                return root, results
        return None, TestResults()

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
        plan = plan_run(target, await self._root_for_running(target.path), self.settings)
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
            root, _ = await self.results_of(path)
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


def _initialize(ls: MemlensServer, params: types.InitializeParams) -> None:
    options = params.initialization_options
    if isinstance(options, Mapping):
        ls.use_settings(options.get("settings"))


async def _initialized(ls: MemlensServer, _: types.InitializedParams) -> None:
    ls.watch()
    ls.spawn(ls.watcher.run())
    ls.spawn(ls.find_projects())
    ls.spawn(_register(ls))
    await ls.settings_changed(None)


async def _register(ls: MemlensServer) -> None:
    """Ask to be told of new results and settings, where the client offers it."""
    workspace = ls.client_capabilities.workspace
    if workspace is None:
        return
    registrations = []
    watching = workspace.did_change_watched_files
    if watching and watching.dynamic_registration:
        watchers = [types.FileSystemWatcher(glob_pattern="**/.memlens/results.db*")]
        registrations.append(
            types.Registration(
                id="memlens-results",
                method=types.WORKSPACE_DID_CHANGE_WATCHED_FILES,
                register_options=types.DidChangeWatchedFilesRegistrationOptions(watchers),
            )
        )
    configuration = workspace.did_change_configuration
    if configuration and configuration.dynamic_registration:
        registrations.append(
            types.Registration(
                id="memlens-settings",
                method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
                register_options=types.DidChangeConfigurationRegistrationOptions(section=SECTION),
            )
        )
    if registrations:
        await ls.client_register_capability_async(types.RegistrationParams(registrations))


async def _shutdown(ls: MemlensServer, _: None) -> None:
    ls.shutdown_requested = True
    await ls.runs.close()


def _did_open(ls: MemlensServer, params: types.DidOpenTextDocumentParams) -> None:
    ls.opened(params.text_document)


def _did_change(ls: MemlensServer, params: types.DidChangeTextDocumentParams) -> None:
    ls.text_changed(params.text_document.uri)


def _did_close(ls: MemlensServer, params: types.DidCloseTextDocumentParams) -> None:
    ls.text_changed(params.text_document.uri, delay=0)
    ls.watch()


async def _did_change_configuration(
    ls: MemlensServer, params: types.DidChangeConfigurationParams
) -> None:
    await ls.settings_changed(params.settings)


def _did_change_watched_files(ls: MemlensServer, params: types.DidChangeWatchedFilesParams) -> None:
    for change in params.changes:
        ls.results_appeared(change.uri)


async def _did_change_workspace_folders(
    ls: MemlensServer, _: types.DidChangeWorkspaceFoldersParams
) -> None:
    await ls.folders_changed()


async def _code_lens(ls: MemlensServer, params: types.CodeLensParams) -> list[types.CodeLens]:
    uri = params.text_document.uri
    path = path_of(uri)
    document: TextDocument | None = ls.workspace.text_documents.get(unquote(uri))
    if path is None or document is None:
        return []
    _, results = await ls.results_of(path)
    return await asyncio.to_thread(
        lenses, uri, path, document.source, results, ls.workspace.position_codec
    )


def _cancel_progress(ls: MemlensServer, params: types.WorkDoneProgressCancelParams) -> None:
    ls.cancel_run(params.token)


async def _run_command(ls: MemlensServer, *arguments: Any) -> None:
    await ls.run_tests(arguments)


_HANDLERS: dict[str, Callable[..., Any]] = {
    types.INITIALIZE: _initialize,
    types.INITIALIZED: _initialized,
    types.SHUTDOWN: _shutdown,
    types.TEXT_DOCUMENT_DID_OPEN: _did_open,
    types.TEXT_DOCUMENT_DID_CHANGE: _did_change,
    types.TEXT_DOCUMENT_DID_CLOSE: _did_close,
    types.TEXT_DOCUMENT_CODE_LENS: _code_lens,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: _did_change_configuration,
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: _did_change_watched_files,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: _did_change_workspace_folders,
    types.WINDOW_WORK_DONE_PROGRESS_CANCEL: _cancel_progress,
}


def make_server() -> MemlensServer:
    """Return a server that is ready to be started."""
    server = MemlensServer()
    for method, handler in _HANDLERS.items():
        server.feature(method)(handler)
    server.command(RUN_COMMAND)(_run_command)
    return server


def main(argv: Sequence[str] | None = None) -> int:
    """Serve one client on standard input and output.

    Returns:
        The exit code: 0 if the client said goodbye, 1 if it vanished (LSP 3.17, "Exit").
    """
    parser = argparse.ArgumentParser(
        prog="memlens-lsp",
        description="The language server of memlens. An editor starts it and speaks LSP with it"
        " over standard input and output; it shows what 'pytest --memray' has measured.",
    )
    parser.add_argument("--version", action="version", version=f"memlens-lsp {memlens.__version__}")
    # There is no other way, but many clients say so.
    parser.add_argument("--stdio", action="store_true", help="accepted for clients that pass it")
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="warning",
        help="what is written to standard error (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    if sys.stdin.isatty():
        parser.error("this is for editors to start, not for people: see --help")
    _log_to_stderr(arguments.log_level.upper())
    # Parsing a user's source may warn of what is written there; that is for its author's tools.
    warnings.simplefilter("ignore")
    server = make_server()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ender(server))
    output = sys.stdout.buffer
    with contextlib.redirect_stdout(sys.stderr):  # nothing else may write between messages
        server.start_io(sys.stdin.buffer, output)
    return 0 if server.shutdown_requested else 1


def _log_to_stderr(level: str) -> None:
    handler = logging.StreamHandler()
    handler.addFilter(_is_news)
    logging.basicConfig(
        level=level, handlers=[handler], format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )

    # pygls tells of every message at INFO, and at WARNING of what is no fault, such as an answer
    # that arrives after the goodbye.
    quieter = {"INFO": "WARNING", "WARNING": "ERROR"}
    logging.getLogger("pygls").setLevel(quieter.get(level, level))


def _is_news(record: logging.LogRecord) -> bool:
    # pygls logs an error that is the answer to a wrong request like a fault of the server.
    return not (record.exc_info and isinstance(record.exc_info[1], JsonRpcInvalidParams))


def _ender(server: MemlensServer) -> Callable[[int, FrameType | None], None]:
    def end(number: int, _: FrameType | None) -> None:
        server.runs.kill()
        # Not sys.exit: the thread that waits for the client's next message cannot be joined.
        os._exit(128 + number)

    return end


if __name__ == "__main__":
    sys.exit(main())
