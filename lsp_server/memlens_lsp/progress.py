"""A run shown as work-done progress, in clients that offer it (LSP 3.17, "Work Done Progress")."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING

from lsprotocol import types

if TYPE_CHECKING:
    from memlens_lsp.server import MemlensServer

logger = logging.getLogger(__name__)

TITLE = "memlens"


class RunDisplay:
    """Shows one run to the client. Implements `runs.Display`."""

    def __init__(self, server: MemlensServer, title: str) -> None:
        self._server = server
        #: By which the client cancels.
        self.token = str(uuid.uuid4())
        self._title = title
        #: Whether the client shows our progress; it may take its time to say so.
        self._shown = False
        self._ended = False
        if server.offers_progress:
            server.spawn(self._open())

    async def _open(self) -> None:
        progress = self._server.work_done_progress
        try:
            await progress.create_async(self.token)
        except Exception:
            # The run matters more than its display.
            logger.warning("the client refused to show progress", exc_info=True)
            return
        if self._ended:
            return
        progress.begin(
            self.token,
            types.WorkDoneProgressBegin(title=TITLE, cancellable=True, message=self._title),
        )
        self._shown = True

    def report(self, message: str) -> None:
        """Show how far the run is."""
        if self._shown:
            words = f"{self._title}: {message}"
            self._server.work_done_progress.report(
                self.token, types.WorkDoneProgressReport(message=words, cancellable=True)
            )

    def end(self, message: str) -> None:
        """Show that the run has ended."""
        # Not cancelled if the client has yet to say whether it shows progress: pygls fails on an
        # answer that no one waits for.
        self._ended = True
        if self._shown:
            self._shown = False
            self._server.work_done_progress.end(
                self.token, types.WorkDoneProgressEnd(message=f"{self._title}: {message}")
            )
        self._server.run_ended(self.token)

    def log(self, message: str) -> None:
        """Put *message* into the client's log."""
        self._server.log(message)

    def problem(self, message: str) -> None:
        """Show *message* to the user."""
        self._server.show(message, types.MessageType.Error)

    def results_written(self) -> None:
        """Look for new results at once."""
        self._server.watcher.look_now()
