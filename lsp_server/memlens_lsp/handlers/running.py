"""Tests are run and runs are cancelled."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from memlens_lsp.features.lenses import RUN_COMMAND
from memlens_lsp.server import MemlensServer


def register(server: MemlensServer, _: types.ClientCapabilities) -> None:
    """Register the handlers."""
    server.feature(types.WINDOW_WORK_DONE_PROGRESS_CANCEL)(_cancel_progress)
    server.command(RUN_COMMAND)(_run)


def _cancel_progress(ls: MemlensServer, params: types.WorkDoneProgressCancelParams) -> None:
    ls.cancel_run(params.token)


async def _run(ls: MemlensServer, *arguments: Any) -> None:
    await ls.run_tests(arguments)
