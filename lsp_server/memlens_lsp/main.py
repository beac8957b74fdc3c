"""The command `memlens-lsp`: its arguments, its log, and how it ends."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from functools import partial
from types import FrameType
from typing import BinaryIO, cast

from pygls.exceptions import JsonRpcException, JsonRpcInternalError

import memlens
from memlens_lsp.client_input import ClientInput
from memlens_lsp.handlers import register_handlers
from memlens_lsp.server import MemlensServer

#: Seconds that the server has to end after its client.
_LEAVE_TIME = 5.0


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
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    output = sys.stdout.buffer
    stdin = ClientInput(sys.stdin.buffer, on_end=partial(_leave_soon, server))
    with contextlib.redirect_stdout(sys.stderr):  # nothing else may write between messages
        # pygls reads lines and bytes, nothing else.
        server.start_io(cast("BinaryIO", stdin), output)
    logging.shutdown()
    # Without what Python does at its end: asyncio would kill the guards of runs that are still on,
    # and they are what ends these (`asyncio.base_subprocess`, `__del__`).
    os._exit(_exit_code(server))


def _exit_code(server: MemlensServer) -> int:
    return 0 if server.shutdown_requested else 1


def _leave_soon(server: MemlensServer) -> None:
    """End the process, in order if that can be done in time.

    Python waits for its threads, and one may wait for a file system that does not answer.
    """

    def leave() -> None:
        os._exit(_exit_code(server))

    timer = threading.Timer(_LEAVE_TIME, leave)
    timer.daemon = True
    timer.start()


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
    error = record.exc_info[1] if record.exc_info else None
    if not record.name.startswith("pygls") or error is None:
        return True
    # pygls logs what is wrong with a request, which its answer says, and with a message, which
    # `Protocol` does, like faults of the server.
    if isinstance(error, JsonRpcException):
        return isinstance(error, JsonRpcInternalError)
    return record.msg != "Unable to handle message"


def _end(number: int, _: FrameType | None) -> None:
    # Not sys.exit: the thread that waits for the client's next message cannot be joined. Runs end
    # by themselves: see `running.guard`.
    os._exit(128 + number)
