"""Language servers that find everything imported, as copies of one process that has done so.

To import what a server needs takes longer than most tests do, and hundreds of them start one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess

from memlens_lsp.main import main

#: Makes the copies. Its process starts when the first is wanted and ends with this one.
_COPYING = get_context("forkserver")
_COPYING.set_forkserver_preload([main.__module__])


class ForkedServer:
    """A server's process, as far as clients use `asyncio.subprocess.Process`."""

    def __init__(
        self,
        process: ForkServerProcess,
        stdin: asyncio.StreamWriter,
        stdout: asyncio.StreamReader,
        stderr: asyncio.StreamReader,
    ) -> None:
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self._process = process
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(process.sentinel, self._end)

    @classmethod
    async def start(cls) -> ForkedServer:
        """Start a server with the environment that this process has now."""
        ours, theirs = zip(*(socket.socketpair() for _ in range(3)), strict=True)
        process = _COPYING.Process(target=_serve, args=(theirs, dict(os.environ)), daemon=True)
        process.start()
        for end in theirs:
            end.close()
        _, stdin = await asyncio.open_connection(sock=ours[0])
        stdout, stderr = [await _reader(end) for end in ours[1:]]
        return cls(process, stdin, stdout, stderr)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._process.join()
        self.stdin.close()
        self._ended.set()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode if self._ended.is_set() else None

    async def wait(self) -> int | None:
        await self._ended.wait()
        return self.returncode

    def terminate(self) -> None:
        if not self._ended.is_set():
            os.kill(self.pid, signal.SIGTERM)


async def _reader(end: socket.socket) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), end)
    return reader


def _serve(streams: tuple[socket.socket, ...], environment: Mapping[str, str]) -> None:
    """Be a server with *streams* as standard input, output and error."""
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
        for number, mode in enumerate("rww")
    )
    os.environ.clear()
    os.environ.update(environment)
    sys.exit(main([]))
