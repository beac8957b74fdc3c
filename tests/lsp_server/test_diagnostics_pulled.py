"""Diagnostics that the client pulls, over the real protocol (LSP 3.17, "Pull Diagnostics")."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pytest_lsp import client_capabilities

from .conftest import OpenEditor
from .helpers import MIB, Editor, Project, frame, full_capabilities, inserted, result

pytestmark = pytest.mark.asyncio

TEST = "from shop import load\n\n\ndef test_load():\n    load()\n"
SHOP = "def load():\n    return bytearray(31 << 20)\n"
STACK = (frame("load", "shop.py", 2), frame("test_load", "test_shop.py", 5))
OVER = result("test_shop.py::test_load", 4, 31 * MIB, 24 * MIB, stack=STACK)
UNDER = result("test_shop.py::test_load", 4, 3 * MIB, 24 * MIB)

Full = types.RelatedFullDocumentDiagnosticReport
FullInWorkspace = types.WorkspaceFullDocumentDiagnosticReport


@pytest.fixture(autouse=True)
def files(project: Project) -> None:
    project.write("shop.py", SHOP)
    project.write("test_shop.py", TEST)


def pulling() -> types.ClientCapabilities:
    """What an editor that pulls offers."""
    capabilities = full_capabilities()
    assert capabilities.text_document is not None
    assert capabilities.workspace is not None
    capabilities.text_document.diagnostic = types.DiagnosticClientCapabilities(
        related_information=True, code_description_support=True
    )
    capabilities.workspace.diagnostics = types.DiagnosticWorkspaceClientCapabilities(
        refresh_support=True
    )
    return capabilities


class Puller:
    """What an editor does that pulls."""

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        #: What came before the answer to a request, by token.
        self.partial: dict[types.ProgressToken, list[Any]] = {}
        features = editor.protocol.fm.features
        features.pop(types.PROGRESS)
        editor.protocol.fm.feature(types.PROGRESS)(
            lambda params: self.partial.setdefault(params.token, []).append(params.value)
        )

    @property
    def refreshes(self) -> int:
        return self.editor.refreshes[types.WORKSPACE_DIAGNOSTIC_REFRESH]

    async def pull(self, uri: str, previous: str | None = None) -> Any:
        return await self.editor.text_document_diagnostic_async(
            types.DocumentDiagnosticParams(
                types.TextDocumentIdentifier(uri), previous_result_id=previous
            )
        )

    async def marks(self, uri: str) -> list[tuple[int, str]]:
        """The pulled diagnostics as (line from 1, code)."""
        report = await self.pull(uri)
        assert isinstance(report, Full)
        return [(mark.range.start.line + 1, str(mark.code)) for mark in report.items]

    def workspace(
        self, previous: Mapping[str, str] | None = None, token: str | None = None
    ) -> asyncio.Future[types.WorkspaceDiagnosticReport]:
        ids = [types.PreviousResultId(uri, value) for uri, value in (previous or {}).items()]
        return asyncio.ensure_future(
            self.editor.workspace_diagnostic_async(
                types.WorkspaceDiagnosticParams(ids, partial_result_token=token)
            )
        )

    async def streamed(self, token: str, number: int) -> list[Any]:
        """Wait until *number* partial results have come; return their reports."""
        chunks = self.partial.setdefault(token, [])
        await self.editor.until(lambda: len(chunks) >= number)
        return [item for chunk in chunks for item in chunk["items"]]

    async def answers(self) -> None:
        """Wait until the server has dealt with all that was sent before."""
        await self.editor.lenses("file:///nothing")


@pytest.fixture
def over(project: Project) -> None:
    """Results from before the editor was started, with a test over its limit."""
    project.run(OVER)


@pytest_asyncio.fixture
async def puller(open_editor: OpenEditor) -> Puller:
    return Puller(await open_editor(capabilities=pulling()))


def codes(report: Any) -> list[str]:
    assert isinstance(report, FullInWorkspace)
    return [str(mark.code) for mark in report.items]


# What is offered


async def test_pulling_is_offered_to_a_client_that_can_be_asked_to_pull_again(
    open_editor: OpenEditor,
) -> None:
    editor = await open_editor(capabilities=pulling())
    provider = editor.server_capabilities.diagnostic_provider
    assert isinstance(provider, types.DiagnosticOptions)
    assert provider.inter_file_dependencies
    assert provider.workspace_diagnostics


async def test_a_client_that_cannot_pull_is_not_offered_it(editor: Editor) -> None:
    assert editor.server_capabilities.diagnostic_provider is None


async def test_neovim_which_pulls_only_as_one_types_is_pushed_to(
    project: Project, open_editor: OpenEditor
) -> None:
    neovim = client_capabilities("neovim@0.11.0")
    assert neovim.text_document is not None
    assert neovim.text_document.diagnostic is not None
    editor = await open_editor(capabilities=neovim)
    assert editor.server_capabilities.diagnostic_provider is None
    uri = project.uri("test_shop.py")
    editor.open(uri, TEST)
    project.run(OVER)
    await editor.until(lambda: editor.marks(uri) == [(4, "memory-limit-exceeded")])


async def test_a_client_that_can_only_pull_may(project: Project, open_editor: OpenEditor) -> None:
    project.run(OVER)
    capabilities = types.ClientCapabilities(
        text_document=types.TextDocumentClientCapabilities(
            diagnostic=types.DiagnosticClientCapabilities()
        )
    )
    puller = Puller(await open_editor(capabilities=capabilities))
    uri = project.uri("test_shop.py")
    puller.editor.open(uri, TEST)
    assert await puller.marks(uri) == [(4, "memory-limit-exceeded")]


# Documents


async def test_an_open_document_is_pulled_and_never_pushed(
    project: Project, puller: Puller
) -> None:
    uri = project.uri("test_shop.py")
    puller.editor.open(uri, TEST)
    assert await puller.marks(uri) == []
    project.run(OVER)
    await puller.editor.until(lambda: puller.refreshes)
    report = await puller.pull(uri)
    (mark,) = report.items
    assert mark.code == "memory-limit-exceeded"
    assert mark.code_description.href.endswith("docs/diagnostics.md#memory-limit-exceeded")
    assert [step.message for step in mark.related_information] == [
        "31.0 MiB alive, 1 allocation, in load",
        "called by test_load",
    ]
    # What is not open is pushed; this one was open from the start.
    shop = project.uri("shop.py")
    await puller.editor.until(lambda: puller.editor.marks(shop) == [(2, "memory-hotspot")])
    assert {params.uri for params in puller.editor.published} == {shop}


async def test_results_from_before_are_there_at_the_first_pull(
    project: Project, over: None, puller: Puller
) -> None:
    uri = project.uri("test_shop.py")
    puller.editor.open(uri, TEST)
    assert await puller.marks(uri) == [(4, "memory-limit-exceeded")]


async def test_what_the_client_knows_already_is_not_told_again(
    project: Project, over: None, puller: Puller
) -> None:
    uri = project.uri("test_shop.py")
    puller.editor.open(uri, TEST)
    first = await puller.pull(uri)
    again = await puller.pull(uri, first.result_id)
    assert isinstance(again, types.RelatedUnchangedDocumentDiagnosticReport)
    assert again.result_id == first.result_id
    assert isinstance(await puller.pull(uri, "of another server"), Full)
    # The client moves marks by itself as it edits, not always to where they belong.
    puller.editor.change(uri, 2, inserted(1, "# 😀\n"))
    edited = await puller.pull(uri, first.result_id)
    assert isinstance(edited, Full)
    assert edited.items[0].range.start.line == 4


async def test_the_client_is_asked_to_pull_what_it_did_not_pull_after_an_edit(
    project: Project, over: None, puller: Puller
) -> None:
    uri = project.uri("test_shop.py")
    puller.editor.open(uri, TEST)
    await puller.pull(uri)
    puller.editor.change(uri, 2, inserted(1, "\n"))
    await puller.editor.until(lambda: puller.refreshes == 1)
    assert await puller.marks(uri) == [(5, "memory-limit-exceeded")]
    # One that pulls as it edits is not asked; the second document is where one sees the end.
    shop = project.uri("shop.py")
    puller.editor.open(shop, SHOP)
    await puller.pull(shop)
    puller.editor.change(uri, 3, inserted(1, "\n"))
    assert await puller.marks(uri) == [(6, "memory-limit-exceeded")]
    asked = puller.refreshes
    puller.editor.change(shop, 2, inserted(1, "\n"))
    await puller.editor.until(lambda: puller.refreshes > asked)
    assert await puller.marks(shop) == [(3, "memory-hotspot")]
    report = await puller.pull(uri)
    assert report.items[0].related_information[0].location.range.start.line == 2


async def test_results_that_tell_nothing_of_an_open_document_ask_for_no_pull(
    project: Project, puller: Puller
) -> None:
    uri = project.uri("shop.py")
    puller.editor.open(uri, SHOP)
    await puller.pull(uri)
    lenses = puller.editor.lens_refreshes
    project.run(UNDER)
    await puller.editor.until(lambda: puller.editor.lens_refreshes > lenses)
    await puller.answers()
    assert puller.refreshes == 0


async def test_documents_that_are_unknown_or_no_files_have_none(puller: Puller) -> None:
    puller.editor.open("untitled:Untitled-1", "@pytest.mark.limit_memory(1, 2)\ndef test_a(): ...")
    for uri in ("untitled:Untitled-1", "file:///no/such/test_a.py", "nonsense", ""):
        assert await puller.marks(uri) == []


async def test_a_closed_document_is_pushed_and_an_opened_one_taken_back(
    project: Project, puller: Puller
) -> None:
    project.run(OVER)
    uri, shop = project.uri("test_shop.py"), project.uri("shop.py")
    editor = puller.editor
    await editor.until(lambda: editor.marks(uri) and editor.marks(shop))
    editor.open(uri, TEST)
    await editor.until(lambda: not editor.marks(uri))
    assert await puller.marks(uri) == [(4, "memory-limit-exceeded")]
    editor.text_document_did_close(
        types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
    )
    await editor.until(lambda: editor.marks(uri) == [(4, "memory-limit-exceeded")])


# The workspace


async def test_the_workspace_is_told_of_at_once_and_then_when_something_changes(
    project: Project, over: None, puller: Puller
) -> None:
    uri, shop = project.uri("test_shop.py"), project.uri("shop.py")
    first = await puller.workspace()
    assert {report.uri: codes(report) for report in first.items} == {
        uri: ["memory-limit-exceeded"],
        shop: ["memory-hotspot"],
    }
    assert [report.version for report in first.items] == [None, None]
    known = {report.uri: str(report.result_id) for report in first.items}
    waiting = puller.workspace(known)
    await puller.answers()
    assert not waiting.done()
    project.write("shop.py", f"# new\n{SHOP}")
    second = await waiting
    by_uri = {report.uri: report for report in second.items}
    assert codes(by_uri[shop]) == ["memory-hotspot"]
    # The call stack leads through the other file.
    known[shop] = str(by_uri[shop].result_id)
    unchanged = [
        report.uri
        for report in second.items
        if isinstance(report, types.WorkspaceUnchangedDocumentDiagnosticReport)
    ]
    if not unchanged:
        known[uri] = str(by_uri[uri].result_id)
    project.run(UNDER)
    reports: dict[str, Any] = {}
    while len(reports) < 2:
        for report in (await puller.workspace(known)).items:
            if isinstance(report, FullInWorkspace) and not report.items:
                reports[report.uri] = report
                del known[report.uri]
    assert reports.keys() == {uri, shop}


async def test_nothing_to_tell_is_told_once_and_then_waits(
    project: Project, puller: Puller
) -> None:
    assert not (await puller.workspace()).items
    waiting = puller.workspace()
    await puller.answers()
    assert not waiting.done()
    project.run(OVER)
    assert {report.uri for report in (await waiting).items} == {
        project.uri("test_shop.py"),
        project.uri("shop.py"),
    }


async def test_a_client_that_takes_partial_results_gets_them_as_they_come(
    project: Project, puller: Puller
) -> None:
    waiting = puller.workspace(token="news")
    project.run(OVER)
    reports = await puller.streamed("news", 1)
    uri, shop = project.uri("test_shop.py"), project.uri("shop.py")
    assert {report["uri"] for report in reports} == {uri, shop}
    assert {report["kind"] for report in reports} == {"full"}
    assert all(report["version"] is None for report in reports)
    project.run(UNDER)
    emptied = (await puller.streamed("news", 2))[2:]
    assert {(report["uri"], len(report["items"])) for report in emptied} == {(uri, 0), (shop, 0)}
    assert not waiting.done()
    assert len(puller.partial["news"]) == 2


async def test_what_was_pushed_is_taken_back_once_the_workspace_is_pulled(
    project: Project, puller: Puller
) -> None:
    project.run(OVER)
    editor = puller.editor
    uris = [project.uri("test_shop.py"), project.uri("shop.py")]
    await editor.until(lambda: all(map(editor.marks, uris)))
    await puller.workspace()
    await editor.until(lambda: not any(map(editor.marks, uris)))
    published = len(editor.published)
    waiting = puller.workspace(token="news")
    await puller.streamed("news", 1)
    project.run(UNDER)
    await puller.streamed("news", 2)
    assert len(editor.published) == published
    assert not waiting.done()


async def test_a_waiting_request_can_be_cancelled_and_ends_with_the_server(
    project: Project, puller: Puller
) -> None:
    protocol = puller.editor.protocol
    identifier = "workspace-1"
    params = types.WorkspaceDiagnosticParams([], partial_result_token="news")
    request = asyncio.ensure_future(
        protocol.send_request_async(  # type: ignore[no-untyped-call]
            types.WORKSPACE_DIAGNOSTIC, params, msg_id=identifier
        )
    )
    await puller.answers()
    puller.editor.cancel_request(types.CancelParams(identifier))
    with pytest.raises(JsonRpcException, match="cancel"):
        await request
    project.run(OVER)
    await puller.editor.until(lambda: puller.editor.published or puller.refreshes)
    assert not puller.partial.get("news")
    # This one waits until the end: the fixture sees whether the server leaves all the same.
    puller.workspace(token="more").add_done_callback(lambda ended: ended.exception())
    await puller.streamed("more", 1)


async def test_uris_that_the_client_quotes_in_another_way_are_known(
    project: Project, open_editor: OpenEditor, tmp_path: Path
) -> None:
    root = Project(tmp_path / "a+b (c)")
    root.write("test_shop.py", TEST)
    root.run(OVER)
    puller = Puller(await open_editor(folder=root.root, capabilities=pulling()))
    reports = (await puller.workspace()).items
    ours = next(report for report in reports if report.uri.endswith("test_shop.py"))
    theirs = ours.uri.replace("%2B", "+").replace("%28", "(")
    assert theirs != ours.uri
    known = {report.uri: str(report.result_id) for report in reports}
    known[theirs] = known.pop(ours.uri)
    waiting = puller.workspace(known)
    await puller.answers()
    assert not waiting.done()
    root.run(UNDER)
    assert [codes(report) for report in (await waiting).items] == [[]]
