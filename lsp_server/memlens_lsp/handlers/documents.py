"""Documents are opened, edited and closed."""

from __future__ import annotations

from lsprotocol import types

from memlens_lsp.server import MemlensServer


def register(server: MemlensServer, _: types.ClientCapabilities) -> None:
    """Register the handlers."""
    server.feature(types.TEXT_DOCUMENT_DID_OPEN)(_did_open)
    server.feature(types.TEXT_DOCUMENT_DID_CHANGE)(_did_change)
    server.feature(types.TEXT_DOCUMENT_DID_CLOSE)(_did_close)


def _did_open(ls: MemlensServer, params: types.DidOpenTextDocumentParams) -> None:
    ls.opened(params.text_document)


def _did_change(ls: MemlensServer, params: types.DidChangeTextDocumentParams) -> None:
    ls.text_changed(params.text_document.uri)


def _did_close(ls: MemlensServer, params: types.DidCloseTextDocumentParams) -> None:
    ls.closed(params.text_document.uri)
