"""Runs shown as work-done progress, in clients that offer it (LSP 3.17, "Work Done Progress")."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from memlens.store import database_path
from memlens_lsp.uris import uri_of

if TYPE_CHECKING:
    from memlens_lsp.server import MemlensServer

TITLE = "memlens"
#: A client that has this command learns from a run's answer what is missing, and offers it.
INSTALL_COMMAND = "memlens.install"


class Progress:
    """One progress of the client, for one run or for several that were asked for together.

    It is of the client's own making if it has given a *token* with its request; else it is made
    where the client shows such.
    """

    def __init__(self, server: MemlensServer, token: types.ProgressToken | None = None) -> None:
        self._server = server
        self.token = str(uuid.uuid4()) if token is None else token
        #: Whether the client shows it; it may take its time to say so.
        self._is_shown = False
        self.is_of_client = token is not None
        self._has_ended = False
        self._is_begun = False
        #: What each of its runs said last, and how far it is in percent.
        self._said: dict[RunDisplay, tuple[str, int | None]] = {}
        self._going: set[RunDisplay] = set()

    def begin(self, display: RunDisplay) -> None:
        """Show one more run."""
        self._said[display] = (display.title, None)
        self._going.add(display)
        if self._is_begun:
            self._report()
            return
        self._is_begun = True
        if self.is_of_client:
            self._show()
        elif self._server.offers_progress:
            self._server.spawn(self._create())

    def report(self, display: RunDisplay, message: str, percentage: int | None) -> None:
        """Show how far a run is."""
        self._said[display] = (f"{display.title}: {message}", percentage)
        self._report()

    def end(self, display: RunDisplay, message: str) -> None:
        """Show that a run has ended, and the progress with the last one."""
        self._said[display] = (f"{display.title}: {message}" if message else display.title, 100)
        self._going.discard(display)
        if self._going:
            self._report()
            return
        # Not cancelled if the client has yet to say whether it shows progress: pygls fails on an
        # answer that no one waits for.
        self._has_ended = True
        if self._is_shown:
            self._is_shown = False
            self._server.work_done_progress.end(
                self.token, types.WorkDoneProgressEnd(message=self._message())
            )
        self._server.work_done_progress.tokens.pop(self.token, None)

    def abandon(self) -> None:
        """Show nothing any more: the client's token is no longer valid."""
        self._is_shown = False

    async def _create(self) -> None:
        try:
            await self._server.work_done_progress.create_async(self.token)
        except JsonRpcException as error:
            # The runs matter more than their display.
            self._server.protocol.complain(f"the client does not show progress: {error}")
            return
        if self._has_ended:
            self._server.work_done_progress.tokens.pop(self.token, None)
        else:
            self._show()

    def _show(self) -> None:
        self._is_shown = True
        self._server.work_done_progress.begin(
            self.token,
            types.WorkDoneProgressBegin(
                title=TITLE,
                cancellable=True,
                message=self._message(),
                # Clients may ignore later percentages of a progress that has none now.
                percentage=self._percentage() or 0,
            ),
        )

    def _report(self) -> None:
        if self._is_shown:
            self._server.work_done_progress.report(
                self.token,
                types.WorkDoneProgressReport(
                    message=self._message(), cancellable=True, percentage=self._percentage()
                ),
            )

    def _message(self) -> str:
        return "; ".join(message for message, _ in self._said.values())

    def _percentage(self) -> int | None:
        known = [percentage for _, percentage in self._said.values()]
        if all(percentage is None for percentage in known):
            return None
        return sum(percentage or 0 for percentage in known) // len(known)


class RunDisplay:
    """Shows one run to the client. Implements `running.runs.Display`."""

    def __init__(self, server: MemlensServer, title: str, progress: Progress) -> None:
        self._server = server
        self.title = title
        self._progress = progress
        #: By which the client cancels.
        self.token = progress.token
        progress.begin(self)

    def report(self, message: str, percentage: int | None = None) -> None:
        """Show how far the run is."""
        self._progress.report(self, message, percentage)

    def end(self, message: str) -> None:
        """Show that the run has ended."""
        self._progress.end(self, message)

    def log(self, message: str) -> None:
        """Put *message* into the client's log."""
        self._server.log(message)

    def problem(self, message: str, missing: str | None = None) -> None:
        """Show *message* to the user, unless the client offers to install what is *missing*.

        It can only where it is told: a run after a save has no answer that anybody waits for.
        """
        is_told = self._progress.is_of_client
        if missing is not None and is_told and INSTALL_COMMAND in self._server.client_commands:
            self._server.log(message, types.MessageType.Error)
        else:
            self._server.show(message, types.MessageType.Error)

    def results_written(self, root: Path | None) -> None:
        """Look for new results at once."""
        if root is not None:
            self._server.results_appeared(uri_of(database_path(root)))
        self._server.watcher.look_now()
