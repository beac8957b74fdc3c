"""Standard output and error as commands need them: no name and no reader spoils the verdict."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from memlens.commands.screen import printable

if TYPE_CHECKING:
    from typing_extensions import Buffer


class OutputError(Exception):
    """Standard output takes nothing, as on a full disk. The message is the system's reason."""


class _Output(io.FileIO):
    """Standard output that may end before the command does.

    Who pipes a command into `head` has seen enough, yet still wants its exit status: what nobody
    reads is thrown away. After any other failure the same happens, so that Python's own flush at
    its end has nothing to complain of.
    """

    # typeshed's FileIO has the same, and is right: None is what cannot be written yet.
    def write(self, data: Buffer, /) -> int | None:  # type: ignore[override]
        """Write *data*, and return how many bytes that were.

        Raises:
            OutputError: it cannot be written, and that is not because its reader has left.
        """
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                return memoryview(data).nbytes
            raise OutputError(error.strerror or str(error)) from None


def prepare() -> None:
    """Have standard output as above, and both write what their encoding lacks as escapes.

    Leaves alone what is not the process's own, such as what a test has put there.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    stream = sys.stdout
    if stream is sys.__stdout__ and isinstance(stream, io.TextIOWrapper):
        stream.flush()
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Output(stream.fileno(), "w", closefd=False)),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )


def complain(message: str) -> None:
    """Say on standard error what is wrong. Nothing in *message* can control the terminal."""
    if sys.stderr is None:  # closed; `print` would take standard output
        return
    with suppress(OSError):  # then nobody can be told
        print("\n".join(printable(line) for line in message.split("\n")), file=sys.stderr)
