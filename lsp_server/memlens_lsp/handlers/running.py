"""Tests are run, runs are cancelled, and clients are told how to run tests themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from memlens_lsp.editor_process import end_with
from memlens_lsp.features.at_cursor import AtCursor, at_cursor
from memlens_lsp.features.lenses import RUN_COMMAND
from memlens_lsp.handlers.code_lenses import overview_of
from memlens_lsp.protocol import work_done_token
from memlens_lsp.server import MemlensServer

CANCEL_COMMAND = "memlens.cancel"
#: See docs/protocol.md.
COMMAND_LINE = "memlens/commandLine"
TEST_AT = "memlens/testAt"
REQUESTS = (TEST_AT, COMMAND_LINE)


def register(server: MemlensServer, _: types.ClientCapabilities) -> None:
    """Register the handlers, and let no run outlive the client."""
    server.feature(types.WINDOW_WORK_DONE_PROGRESS_CANCEL)(_cancel_progress)
    server.command(RUN_COMMAND)(_run)
    server.command(CANCEL_COMMAND)(_cancel)
    server.feature(COMMAND_LINE)(_command_line)
    server.feature(TEST_AT)(_test_at)
    server.feature(types.TEXT_DOCUMENT_DID_SAVE)(_did_save)
    if server.process_id is not None:
        end_with(server.process_id)


def _cancel_progress(ls: MemlensServer, params: types.WorkDoneProgressCancelParams) -> None:
    ls.runner.cancel_shown(params.token)


async def _run(ls: MemlensServer, *arguments: Any) -> list[dict[str, Any]] | None:
    protocol = ls.protocol
    return await ls.runner.run(arguments, work_done_token.get(), lambda: protocol.is_cancelled)


async def _cancel(ls: MemlensServer, *arguments: Any) -> None:
    await ls.runner.cancel(arguments)


async def _command_line(ls: MemlensServer, params: object) -> list[dict[str, Any]]:
    return await ls.runner.command_lines(COMMAND_LINE, params)


async def _test_at(ls: MemlensServer, params: object) -> AtCursor | None:
    uri, line = _place(params)
    opened = await ls.open_text(uri)
    if opened is None:
        return None
    known = await overview_of(ls, opened)
    return await asyncio.to_thread(at_cursor, known, line + 1)


def _place(params: object) -> tuple[str, int]:
    asked = params if isinstance(params, Mapping) else {}
    uri, line = asked.get("uri"), asked.get("line")
    if not isinstance(uri, str) or not isinstance(line, int) or isinstance(line, bool) or line < 0:
        raise JsonRpcInvalidParams(
            f"{TEST_AT}: expected an object such as"
            ' {"uri": "file:///…/test_shop.py", "line": 4}, with lines counted from 0'
        )
    return uri, line


async def _did_save(ls: MemlensServer, params: types.DidSaveTextDocumentParams) -> None:
    await ls.settings_known()
    opened = await ls.open_text(params.text_document.uri)
    if opened is None or not ls.settings_for(opened.path).run_on_save:
        return
    known = await overview_of(ls, opened)
    if any(subject.kind == "file" for subject in known.subjects):
        await ls.runner.run([{"uri": opened.uri}], None)
