"""`textDocument/codeLens` and `codeLens/resolve`."""

from __future__ import annotations

import asyncio

from lsprotocol import types

from memlens_lsp.features.lenses import (
    FLAME_GRAPH_COMMAND,
    FileNow,
    LensClient,
    Overview,
    lenses,
    resolved,
    uri_of_lens,
)
from memlens_lsp.server import MemlensServer
from memlens_lsp.texts import OpenText


def register(server: MemlensServer, _: types.ClientCapabilities) -> None:
    """Register the handlers."""
    # Neovim 0.7 has lenses and does not say so.
    server.feature(types.TEXT_DOCUMENT_CODE_LENS)(_code_lens)
    server.feature(types.CODE_LENS_RESOLVE)(_resolve)


async def _code_lens(ls: MemlensServer, params: types.CodeLensParams) -> list[types.CodeLens]:
    opened = await ls.open_text(params.text_document.uri)
    if opened is None:
        return []
    settings = ls.settings_for(opened.path)
    if not settings.code_lenses:
        return []
    known = await overview_of(ls, opened)
    return await asyncio.to_thread(lenses, known, settings, _client(ls))


async def _resolve(ls: MemlensServer, lens: types.CodeLens) -> types.CodeLens:
    uri = uri_of_lens(lens)
    # The document may have been edited since, or closed.
    opened = await ls.open_text(uri) if uri is not None else None
    known = await overview_of(ls, opened) if opened is not None else None
    return await asyncio.to_thread(resolved, lens, known)


async def overview_of(ls: MemlensServer, opened: OpenText) -> Overview:
    """Return what there is in a document that lenses are about."""
    results = await ls.results.of_file(opened.path)

    def make() -> Overview:
        rules = ls.pytest_configurations.rules_for(opened.path)
        return ls.overviews.get(FileNow(opened.uri, opened.path, opened.text, results, rules))

    return await asyncio.to_thread(make)


def _client(ls: MemlensServer) -> LensClient:
    document = ls.client_capabilities.text_document
    capability = document.code_lens if document else None
    # Since LSP 3.18 a client says whether it resolves. Until then all that had lenses did.
    support = capability.resolve_support if capability else None
    window = ls.client_capabilities.window
    # What this server does instead is to have the client open a page in a browser.
    opens_pages = bool(window and window.show_document and window.show_document.support)
    return LensClient(
        codec=ls.workspace.position_codec,
        resolves=support is None or "command" in support.properties,
        shows_flame_graphs=opens_pages or FLAME_GRAPH_COMMAND in ls.client_commands,
    )
