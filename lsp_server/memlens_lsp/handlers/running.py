"""Tests are run and runs are cancelled."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from memlens_lsp.editor_process import end_with
from memlens_lsp.features.lenses import RUN_COMMAND
from memlens_lsp.protocol import work_done_token
from memlens_lsp.server import MemlensServer

CANCEL_COMMAND = "memlens.cancel"


def register(server: MemlensServer, _: types.ClientCapabilities) -> None:
    """Register the handlers, and let no run outlive the client."""
    server.feature(types.WINDOW_WORK_DONE_PROGRESS_CANCEL)(_cancel_progress)
    server.command(RUN_COMMAND)(_run)
    server.command(CANCEL_COMMAND)(_cancel)
    if server.process_id is not None:
        end_with(server.process_id)


def _cancel_progress(ls: MemlensServer, params: types.WorkDoneProgressCancelParams) -> None:
    ls.runner.cancel_shown(params.token)


async def _run(ls: MemlensServer, *arguments: Any) -> list[dict[str, Any]] | None:
    return await ls.runner.run(arguments, work_done_token.get())


def _cancel(ls: MemlensServer, *arguments: Any) -> None:
    ls.runner.cancel(arguments)
