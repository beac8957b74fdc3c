"""The command `memlens-lsp`: its arguments, its log, and how it ends."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from types import FrameType

from pygls.exceptions import JsonRpcInvalidParams

import memlens
from memlens_lsp.handlers import register_handlers
from memlens_lsp.server import MemlensServer


def main(argv: Sequence[str] | None = None) -> int:
    """Serve one client on standard input and output.

    Returns:
        The exit code: 0 if the client said goodbye, 1 if it vanished (LSP 3.17, "Exit").
    """
    parser = argparse.ArgumentParser(
        prog="memlens-lsp",
        description="The language server of memlens. An editor starts it and speaks LSP with it"
        " over standard input and output; it shows what 'pytest --memray' has measured.",
    )
    parser.add_argument("--version", action="version", version=f"memlens-lsp {memlens.__version__}")
    # There is no other way, but many clients say so.
    parser.add_argument("--stdio", action="store_true", help="accepted for clients that pass it")
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="warning",
        help="what is written to standard error (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    if sys.stdin.isatty():
        parser.error("this is for editors to start, not for people: see --help")
    _log_to_stderr(arguments.log_level.upper())
    # Parsing a user's source may warn of what is written there; that is for its author's tools.
    warnings.simplefilter("ignore")
    server = MemlensServer()
    register_handlers(server)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ender(server))
    output = sys.stdout.buffer
    with contextlib.redirect_stdout(sys.stderr):  # nothing else may write between messages
        server.start_io(sys.stdin.buffer, output)
    return 0 if server.shutdown_requested else 1


def _log_to_stderr(level: str) -> None:
    handler = logging.StreamHandler()
    handler.addFilter(_is_news)
    logging.basicConfig(
        level=level, handlers=[handler], format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )

    # pygls tells of every message at INFO, and at WARNING of what is no fault, such as an answer
    # that arrives after the goodbye.
    quieter = {"INFO": "WARNING", "WARNING": "ERROR"}
    logging.getLogger("pygls").setLevel(quieter.get(level, level))


def _is_news(record: logging.LogRecord) -> bool:
    # pygls logs an error that is the answer to a wrong request like a fault of the server.
    return not (record.exc_info and isinstance(record.exc_info[1], JsonRpcInvalidParams))


def _ender(server: MemlensServer) -> Callable[[int, FrameType | None], None]:
    def end(number: int, _: FrameType | None) -> None:
        server.runs.kill()
        # Not sys.exit: the thread that waits for the client's next message cannot be joined.
        os._exit(128 + number)

    return end
