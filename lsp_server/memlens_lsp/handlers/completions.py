"""`textDocument/completion`."""

from __future__ import annotations

import asyncio

from lsprotocol import types

from memlens_lsp.features.completions import TRIGGERS, completions
from memlens_lsp.server import MemlensServer


def register(server: MemlensServer, client: types.ClientCapabilities) -> None:
    """Register the handlers."""
    if client.text_document and client.text_document.completion:
        options = types.CompletionOptions(trigger_characters=TRIGGERS)
        server.feature(types.TEXT_DOCUMENT_COMPLETION, options)(_completion)


async def _completion(
    ls: MemlensServer, params: types.CompletionParams
) -> list[types.CompletionItem]:
    opened = await ls.open_text(params.text_document.uri)
    # Nearly all that is typed has nothing to do with us.
    if opened is None or "mark" not in opened.text:
        return []
    results = await ls.results.of_file(opened.path)
    codec = ls.workspace.position_codec
    return await asyncio.to_thread(completions, opened.text, params.position, results, codec)
