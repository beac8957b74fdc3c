"""Having the client ask again for what it shows: lenses, hints, diagnostics that it pulls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

logger = logging.getLogger(__name__)

#: Asks the client to ask again; done when it has answered.
Ask = Callable[[], Awaitable[Any]]

#: Seconds after which a client that does not answer may be asked once more.
_PATIENCE = 10.0


class Refresher:
    """Asks for each kind of thing once at a time, however often it changes meanwhile.

    To be used from the event loop only.
    """

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        """*spawn* runs a coroutine beside the message loop."""
        self._spawn = spawn
        #: Kinds that have changed since the client was last asked.
        self._stale: set[str] = set()
        #: Kinds that the client is being asked to refresh.
        self._asking: set[str] = set()

    def refresh(self, kind: str, ask: Ask) -> None:
        """Have *ask* called: what is called *kind* has changed."""
        self._stale.add(kind)
        if kind not in self._asking:
            self._asking.add(kind)
            self._spawn(self._ask(kind, ask))

    async def _ask(self, kind: str, ask: Ask) -> None:
        try:
            while kind in self._stale:
                self._stale.discard(kind)
                await asyncio.wait_for(ask(), _PATIENCE)
        except JsonRpcException as error:
            logger.info("the client does not refresh %s: %s", kind, error)
        except asyncio.TimeoutError:
            logger.info("the client does not answer when asked to refresh %s", kind)
        finally:
            self._asking.discard(kind)


def refreshes(client: types.ClientCapabilities, kind: str) -> bool:
    """Return whether the client can be asked to refresh *kind*, a name of a capability.

    That is ``code_lens``, ``inlay_hint`` or ``diagnostics`` (LSP 3.17, "Code Lens Refresh" and
    its like).
    """
    capability = getattr(client.workspace, kind, None)
    return bool(capability and capability.refresh_support)
