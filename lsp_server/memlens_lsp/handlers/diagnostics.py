"""`textDocument/diagnostic` and `workspace/diagnostic`, for clients that pull."""

from __future__ import annotations

from collections.abc import Callable

from lsprotocol import types

from memlens_lsp.publishing import WorkspaceReport
from memlens_lsp.server import MemlensServer, pulls_diagnostics


def register(server: MemlensServer, client: types.ClientCapabilities) -> None:
    """Register the handlers."""
    if not pulls_diagnostics(client):
        return
    options = types.DiagnosticOptions(
        # A call stack leads through many files: editing one moves what is told in another.
        inter_file_dependencies=True,
        workspace_diagnostics=True,
        identifier="memlens",
    )
    server.feature(types.TEXT_DOCUMENT_DIAGNOSTIC, options)(_document_diagnostic)
    server.feature(types.WORKSPACE_DIAGNOSTIC)(_workspace_diagnostic)


async def _document_diagnostic(
    ls: MemlensServer, params: types.DocumentDiagnosticParams
) -> types.DocumentDiagnosticReport:
    await ls.results_known()
    report = await ls.publisher.pull(params.text_document.uri)
    if report is None:
        return types.RelatedFullDocumentDiagnosticReport(items=[])
    if report.id == params.previous_result_id:
        return types.RelatedUnchangedDocumentDiagnosticReport(result_id=report.id)
    return types.RelatedFullDocumentDiagnosticReport(items=report.diagnostics, result_id=report.id)


async def _workspace_diagnostic(
    ls: MemlensServer, params: types.WorkspaceDiagnosticParams
) -> types.WorkspaceDiagnosticReport:
    ls.publisher.workspace_is_pulled()
    await ls.results_known()
    token = params.partial_result_token
    send = None if token is None else _sender(ls, token)
    return types.WorkspaceDiagnosticReport(
        await ls.publisher.pull_workspace(params.previous_result_ids, send)
    )


def _sender(
    ls: MemlensServer, token: types.ProgressToken
) -> Callable[[list[WorkspaceReport]], None]:
    def send(reports: list[WorkspaceReport]) -> None:
        value = types.WorkspaceDiagnosticReport(reports)
        ls.protocol.notify(types.PROGRESS, types.ProgressParams(token=token, value=value))

    return send
