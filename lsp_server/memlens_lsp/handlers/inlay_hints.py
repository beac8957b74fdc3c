"""`textDocument/inlayHint` and `inlayHint/resolve`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from lsprotocol import types

from memlens_lsp.features.hints import Client, hints, tooltip
from memlens_lsp.features.markup import shows_markdown
from memlens_lsp.server import MemlensServer


def register(server: MemlensServer, client: types.ClientCapabilities) -> None:
    """Register the handlers."""
    if not (client.text_document and client.text_document.inlay_hint):
        return
    server.feature(types.TEXT_DOCUMENT_INLAY_HINT)(_inlay_hint)
    if _resolves_tooltips(client):
        server.feature(types.INLAY_HINT_RESOLVE)(_resolve)


def _resolves_tooltips(client: types.ClientCapabilities) -> bool:
    document = client.text_document
    resolving = document.inlay_hint.resolve_support if document and document.inlay_hint else None
    return bool(resolving and "tooltip" in resolving.properties)


async def _inlay_hint(ls: MemlensServer, params: types.InlayHintParams) -> list[types.InlayHint]:
    opened = await ls.open_text(params.text_document.uri)
    if opened is None:
        return []
    settings = ls.settings_for(opened.path)
    if not settings.inlay_hints:
        return []
    results = await ls.results.of_file(opened.path)
    client = _client(ls)
    made = await asyncio.to_thread(hints, opened.text, results, settings, params.range, client)
    if client.asks_for_tooltips:
        for hint in made:
            # A hint of a text that has changed since is not resolved: its line may be another.
            hint.data = {"uri": opened.uri, "version": opened.version}
    return made


async def _resolve(ls: MemlensServer, hint: types.InlayHint) -> types.InlayHint:
    data = hint.data if isinstance(hint.data, Mapping) else {}
    uri = data.get("uri")
    opened = await ls.open_text(uri) if isinstance(uri, str) else None
    if opened is None or data.get("version") != opened.version:
        return hint
    hint.tooltip = await asyncio.to_thread(
        tooltip,
        hint.position.line + 1,
        opened.text,
        await ls.results.of_file(opened.path),
        ls.settings_for(opened.path),
        _client(ls),
    )
    return hint


def _client(ls: MemlensServer) -> Client:
    return Client(
        codec=ls.workspace.position_codec,
        markdown=shows_markdown(ls.client_capabilities),
        asks_for_tooltips=_resolves_tooltips(ls.client_capabilities),
    )
