"""`textDocument/codeLens`."""

from __future__ import annotations

import asyncio

from lsprotocol import types

from memlens_lsp.features.lenses import lenses
from memlens_lsp.server import MemlensServer


def register(server: MemlensServer, client: types.ClientCapabilities) -> None:
    """Register the handlers."""
    if client.text_document and client.text_document.code_lens:
        server.feature(types.TEXT_DOCUMENT_CODE_LENS)(_code_lens)


async def _code_lens(ls: MemlensServer, params: types.CodeLensParams) -> list[types.CodeLens]:
    opened = ls.open_text(params.text_document.uri)
    if opened is None:
        return []
    results = await ls.results.of_file(opened.path)
    codec = ls.workspace.position_codec
    return await asyncio.to_thread(lenses, opened.uri, opened.path, opened.text, results, codec)
