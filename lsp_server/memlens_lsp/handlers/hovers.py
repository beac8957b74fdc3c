"""`textDocument/hover`."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone

from lsprotocol import types

from memlens.store import ResultsError
from memlens_lsp.features.hovers import Asked, Client, hover
from memlens_lsp.features.lenses import FileNow
from memlens_lsp.features.markup import shows_markdown
from memlens_lsp.marks import FileNames, FilesNow
from memlens_lsp.results import TestDetails, read_test
from memlens_lsp.server import MemlensServer
from memlens_lsp.texts import DiskTexts, Texts


def register(server: MemlensServer, client: types.ClientCapabilities) -> None:
    """Register the handlers."""
    if client.text_document and client.text_document.hover:
        server.feature(types.TEXT_DOCUMENT_HOVER)(_hover)


async def _hover(ls: MemlensServer, params: types.HoverParams) -> types.Hover | None:
    opened = await ls.open_text(params.text_document.uri)
    if opened is None:
        return None
    settings = ls.settings_for(opened.path)
    results = await ls.results.of_file(opened.path)
    client = Client(ls.workspace.position_codec, shows_markdown(ls.client_capabilities))
    texts = Texts(ls.open_texts(), DiskTexts())
    root = results.root

    def read(result: int, nodeid: str) -> TestDetails | None:
        try:
            return read_test(root, result, nodeid) if root is not None else None
        except ResultsError:
            return None  # what is known without it is shown

    def make() -> types.Hover | None:
        rules = ls.pytest_configurations.rules_for(opened.path)
        known = ls.overviews.get(FileNow(opened.uri, opened.path, opened.text, results, rules))
        files = FilesNow(root or opened.path.parent, texts, FileNames())
        asked = Asked(known, settings, client, read, files, datetime.now(timezone.utc))
        return hover(asked, params.position)

    return await asyncio.to_thread(make)
