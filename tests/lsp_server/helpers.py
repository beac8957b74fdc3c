"""A project with results, and an editor that has it open."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from lsprotocol import types
from pygls.io_ import run_async
from pygls.lsp.client import LanguageClient as PlainClient
from pygls.protocol import default_converter
from pytest_lsp import LanguageClient
from pytest_lsp.client import register_lsp_features
from pytest_lsp.protocol import LanguageClientProtocol

from memlens.store import (
    CheckRecord,
    FrameRecord,
    PhaseRecord,
    ResultsWriter,
    RunRecord,
    StackRecord,
    TestRecord,
    database_path,
)
from memlens.store.writing import utc_now
from memlens_lsp.uris import uri_of

from .forked_servers import ForkedServer

_T = TypeVar("_T")

MIB = 1024 * 1024
SERVER = (sys.executable, "-m", "memlens_lsp")
#: Seconds after which something that should happen counts as not happening.
PATIENCE = 30.0
#: All editors' converter: it makes the code for a type when it first meets it.
_converter = cache(default_converter)


@dataclass
class Project:
    """A folder with code and, once something ran, results."""

    root: Path

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def uri(self, name: str) -> str:
        return uri_of(self.root / name)

    def run(self, *tests: TestRecord, arguments: Sequence[str] = ("--memray",)) -> None:
        """Write the results of a run, as the plugin would."""
        run = RunRecord(
            uuid=str(uuid.uuid4()),
            started=utc_now(),
            finished=None,
            status="running",
            exit_status=None,
            command_line=tuple(arguments),
            rootdir=str(self.root),
            versions={},
            git_commit=None,
            git_dirty=None,
            collected=len(tests),
        )
        writer = ResultsWriter(database_path(self.root), run)
        for test in tests:
            writer.add_test(test)
        writer.finish(1)
        writer.close()


@contextmanager
def locked(project: Project) -> Iterator[None]:
    """Have another program hold the results so that nobody can read them."""
    path = database_path(project.root)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        mode = "wal"
        while mode != "delete":  # nobody may have it open
            with contextlib.suppress(sqlite3.OperationalError):
                (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


def frame(function: str, path: str, line: int) -> FrameRecord:
    return FrameRecord(function, path, line, "library" if path.startswith("/") else "project")


def result(
    nodeid: str,
    line: int,
    peak: int,
    limit: int | None = None,
    *,
    stack: Sequence[FrameRecord] = (),
    leak: int | None = None,
    leak_stack: Sequence[FrameRecord] = (),
    path: str | None = None,
) -> TestRecord:
    """A test that peaked at *peak* bytes and, where given, leaked *leak*, which was too much."""
    checks = []
    if limit is not None:
        verdict = "exceeded" if peak >= limit else "passed"
        checks.append(
            CheckRecord("limit_memory", limit, peak, verdict, f"Peak of {peak} with {limit}")  # type: ignore[arg-type]
        )
    stacks = [StackRecord("peak", peak, 1, tuple(stack))] if stack else []
    if leak is not None:
        checks.append(CheckRecord("limit_leaks", leak // 2, leak, "exceeded", f"Leaked {leak}"))
        stacks.append(StackRecord("leak", leak, 2, tuple(leak_stack)))
    return TestRecord(
        nodeid=nodeid,
        path=nodeid.partition("::")[0] if path is None else path,
        line=line,
        outcome="failed" if any(check.verdict == "exceeded" for check in checks) else "passed",
        duration=0.1,
        worker=None,
        phases=(PhaseRecord("call", peak, peak, 1, 0),),
        checks=tuple(checks),
        stacks=tuple(stacks),
    )


def with_fixture(
    test: TestRecord, held: int, *stack: FrameRecord, kind: Literal["setup", "teardown"] = "setup"
) -> TestRecord:
    """*test* with a set-up or teardown that held *held* bytes, where so much is worth a stack."""
    return test._replace(
        phases=(*test.phases, PhaseRecord(kind, held, held, 1, 0)),
        stacks=(*test.stacks, StackRecord(kind, held, 1, stack)) if stack else test.stacks,
    )


class _Protocol(LanguageClientProtocol):
    _server: Editor

    def handle_message(self, message: Any) -> None:
        super().handle_message(message)
        self._server.something_arrived.set()


class Editor(LanguageClient):
    """pytest-lsp's client, that can wait for what it shows and keeps the server's stderr."""

    def __init__(self) -> None:
        self.something_arrived = asyncio.Event()
        #: What the server can do.
        self.server_capabilities = types.ServerCapabilities()
        self.registrations: list[types.Registration] = []
        #: How often the server had lenses, hints and pulled diagnostics asked for again, by method.
        self.refreshes: Counter[str] = Counter()
        self.published: list[types.PublishDiagnosticsParams] = []
        self.stderr = ""
        #: Whether the server is given a reason to complain there.
        self.gives_reasons = False
        super().__init__(converter_factory=_converter, protocol_cls=_Protocol)
        register_lsp_features(self)
        self.protocol.fm.features.pop(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)

        def publish(params: types.PublishDiagnosticsParams) -> None:
            self.published.append(params)
            self.diagnostics[params.uri] = params.diagnostics

        def register(params: types.RegistrationParams) -> None:
            self.registrations += params.registrations

        def refresh(method: str, _: None) -> None:
            self.refreshes[method] += 1

        feature = self.protocol.fm.feature
        feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(publish)
        feature(types.CLIENT_REGISTER_CAPABILITY)(register)
        for method in (
            types.WORKSPACE_CODE_LENS_REFRESH,
            types.WORKSPACE_INLAY_HINT_REFRESH,
            types.WORKSPACE_DIAGNOSTIC_REFRESH,
        ):
            self.protocol.fm.features.pop(method, None)
            feature(method)(partial(refresh, method))

    async def stop(self) -> None:
        await super().stop()  # type: ignore[no-untyped-call]

    async def start_io(self, cmd: str, *args: Any, **kwargs: Any) -> None:
        await PlainClient.start_io(self, cmd, *args, **kwargs)
        self._stderr_forwarder = asyncio.create_task(self._keep_stderr())

    async def start_copy(self) -> None:
        """Start a server as a copy of one that has everything imported."""
        server = await ForkedServer.start()
        self._server = cast("asyncio.subprocess.Process", server)
        self.protocol.set_writer(server.stdin)
        reading = run_async(self._stop_event, server.stdout, self.protocol)
        ending = self._server_exit()  # type: ignore[no-untyped-call]
        self._async_tasks += map(asyncio.create_task, (reading, ending))
        self._stderr_forwarder = asyncio.create_task(self._keep_stderr())

    async def _keep_stderr(self) -> None:
        assert self._server is not None
        assert self._server.stderr is not None
        while line := await self._server.stderr.readline():
            self.stderr += line.decode()

    @property
    def lens_refreshes(self) -> int:
        return self.refreshes[types.WORKSPACE_CODE_LENS_REFRESH]

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._server is not None
        return self._server

    async def until(self, condition: Callable[[], _T]) -> _T:
        """Wait until *condition* is true of what the server has sent, and return what it gave."""

        async def wait() -> _T:
            while not (value := condition()):
                self.something_arrived.clear()
                await self.something_arrived.wait()
            return value

        try:
            return await asyncio.wait_for(wait(), PATIENCE)
        except asyncio.TimeoutError:
            raise AssertionError(
                f"waited in vain; diagnostics: {self.diagnostics}, messages: {self.messages},"
                f" log: {self.log_messages}, stderr: {self.stderr}"
            ) from None

    def open(self, uri: str, text: str, version: int = 1) -> None:
        self.text_document_did_open(
            types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "python", version, text))
        )

    def configure(self, configuration: Mapping[str, Any]) -> None:
        """Change the settings of memlens."""
        self.set_configuration({"memlens": configuration})
        self.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))

    def change(
        self, uri: str, version: int, *changes: types.TextDocumentContentChangeEvent
    ) -> None:
        self.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(version, uri), list(changes)
            )
        )

    async def lenses(self, uri: str) -> list[tuple[int, str]]:
        """The lenses as (line from 1, title), each seen, and so resolved."""
        lenses = await self.text_document_code_lens_async(
            types.CodeLensParams(types.TextDocumentIdentifier(uri))
        )
        shown = []
        for lens in lenses or ():
            seen = lens if lens.command else await self.code_lens_resolve_async(lens)
            assert seen.command is not None
            shown.append((seen.range.start.line + 1, seen.command.title))
        return shown

    async def run_test(self, uri: str, test: str) -> None:
        await self.workspace_execute_command_async(
            types.ExecuteCommandParams("memlens.run", [{"uri": uri, "test": test}])
        )

    def marks(self, uri: str) -> list[tuple[int, str]]:
        """The diagnostics as (line from 1, code)."""
        return [
            (mark.range.start.line + 1, str(mark.code)) for mark in self.diagnostics.get(uri, ())
        ]


def full_capabilities() -> types.ClientCapabilities:
    """What an editor with everything offers."""
    return types.ClientCapabilities(
        text_document=types.TextDocumentClientCapabilities(
            publish_diagnostics=types.PublishDiagnosticsClientCapabilities(
                related_information=True, version_support=True
            ),
            code_lens=types.CodeLensClientCapabilities(),
            code_action=types.CodeActionClientCapabilities(
                code_action_literal_support=types.ClientCodeActionLiteralOptions(
                    types.ClientCodeActionKindOptions(["", "quickfix", "refactor"])
                ),
                resolve_support=types.ClientCodeActionResolveOptions(["edit"]),
                data_support=True,
                is_preferred_support=True,
            ),
            completion=types.CompletionClientCapabilities(
                completion_item=types.ClientCompletionItemOptions(
                    documentation_format=[types.MarkupKind.Markdown, types.MarkupKind.PlainText]
                )
            ),
            hover=types.HoverClientCapabilities(
                content_format=[types.MarkupKind.Markdown, types.MarkupKind.PlainText]
            ),
            inlay_hint=types.InlayHintClientCapabilities(
                resolve_support=types.ClientInlayHintResolveOptions(["tooltip"])
            ),
        ),
        window=types.WindowClientCapabilities(work_done_progress=True),
        workspace=types.WorkspaceClientCapabilities(
            configuration=True,
            apply_edit=True,
            workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True),
            code_lens=types.CodeLensWorkspaceClientCapabilities(refresh_support=True),
            inlay_hint=types.InlayHintWorkspaceClientCapabilities(refresh_support=True),
            did_change_watched_files=types.DidChangeWatchedFilesClientCapabilities(
                dynamic_registration=True
            ),
            did_change_configuration=types.DidChangeConfigurationClientCapabilities(
                dynamic_registration=True
            ),
        ),
    )


def inserted(line: int, text: str) -> types.TextDocumentContentChangePartial:
    """An insertion before the line *line* (from 1)."""
    place = types.Position(line=line - 1, character=0)
    return types.TextDocumentContentChangePartial(types.Range(place, place), text)


def initialize_params(
    root: Path | None,
    capabilities: types.ClientCapabilities,
    options: Mapping[str, Any] | None,
    process_id: int | None = None,
) -> types.InitializeParams:
    folders = [types.WorkspaceFolder(uri_of(root), root.name)] if root else None
    return types.InitializeParams(
        capabilities=capabilities,
        workspace_folders=folders,
        initialization_options=options,
        process_id=process_id,
    )
