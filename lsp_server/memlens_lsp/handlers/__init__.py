"""What the client may ask and tell: one module for each matter, wiring only.

Each module's `register` gets the server and what the client can do, and registers its handlers: a
feature that the client cannot use is not advertised. pygls computes the server's capabilities from
what is registered when "initialize" has been handled.
"""

from __future__ import annotations

from lsprotocol import types

from memlens_lsp.handlers import (
    actions,
    code_lenses,
    completions,
    diagnostics,
    documents,
    hovers,
    inlay_hints,
    lifecycle,
    running,
    views,
    workspace,
)
from memlens_lsp.server import RESULTS_CHANGED, MemlensServer

_FEATURES = (
    documents,
    workspace,
    diagnostics,
    code_lenses,
    inlay_hints,
    hovers,
    running,
    views,
    actions,
    completions,
)


def register_handlers(server: MemlensServer) -> None:
    """Make *server* ready to be started."""

    def initialize(ls: MemlensServer, params: types.InitializeParams) -> None:
        lifecycle.initialize(ls, params)
        for module in _FEATURES:
            module.register(ls, params.capabilities)
        ls.protocol.experimental = {
            "memlens": {
                "requests": [*views.REQUESTS, *running.REQUESTS],
                "notifications": [RESULTS_CHANGED],
            }
        }

    server.feature(types.INITIALIZE)(initialize)
    lifecycle.register(server)
