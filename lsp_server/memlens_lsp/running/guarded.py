"""A process that is ended with all that it starts: this side of `guard`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from memlens_lsp.running.guard import HEAD, TAIL
from memlens_lsp.running.processes import kill_marked

#: How this package is found by an interpreter that looks for nothing.
_LIBRARIES = str(Path(__file__).parents[2])
_START = (
    "import sys; sys.path.append(sys.argv[1]); from memlens_lsp.running.guard import main; main()"
)
#: Isolated, without site-packages, and without a file left behind.
_GUARD = (sys.executable, "-I", "-S", "-B", "-c", _START, _LIBRARIES)
#: The longest line that a guard sends, in bytes: all that it keeps, each byte as \\u0000.
_MOST_LINE = 6 * (HEAD + TAIL) + 64 * 1024


class Task(NamedTuple):
    """What to start."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    #: A folder of files that is deleted when it has ended, also if this process is gone by then.
    notes: Path | None = None


class Exit(NamedTuple):
    """How a process ended."""

    #: Negative for the signal that killed it.
    code: int
    #: What it wrote: the beginning and the end if it is long.
    output: str
    #: Processes that could not be ended, when that was asked for.
    left: Sequence[int]


class StartError(Exception):
    """A process cannot be started. The message is the system's reason."""


class GuardLostError(Exception):
    """What guarded a process was killed itself, so the process was killed too."""


class Guarded:
    """A process under guard. To be used from the event loop only."""

    def __init__(self, guard: asyncio.subprocess.Process, mark: str) -> None:
        self._guard = guard
        self._mark = mark

    @classmethod
    async def start(cls, task: Task) -> Guarded:
        """Begin to start *task*; `wait` tells whether that worked.

        Raises:
            StartError: not even a guard can be started.
        """
        mark = str(uuid.uuid4())
        try:
            message = {
                "mark": mark,
                "command": [_text(argument) for argument in task.command],
                "folder": _text(task.folder),
                "environment": {
                    _text(name): _text(value) for name, value in task.environment.items()
                },
                "notes": _text(task.notes) if task.notes else None,
            }
        except UnicodeEncodeError as error:
            raise StartError(f"{error.object!r} has what is no character") from error
        try:
            guard = await asyncio.create_subprocess_exec(
                *_GUARD,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_MOST_LINE,
                # Whoever ends this process's group leaves the guard to end what it guards.
                start_new_session=True,
            )
        except OSError as error:
            raise StartError(error.strerror or str(error)) from error
        guarded = cls(guard, mark)
        _living.add(guarded)
        guarded._say(message)
        return guarded

    def cancel(self) -> None:
        """Begin to end it as Ctrl+C would, and then less and less politely."""
        self._say("cancel")

    def close(self) -> None:
        """Begin to end it at once."""
        self._say("close")

    async def wait(self) -> Exit:
        """Wait until it has ended.

        Raises:
            StartError: it could not be started.
            GuardLostError: its guard was killed; what is left of the processes has been killed.
        """
        assert self._guard.stdout is not None
        line = await self._guard.stdout.readline()
        await self._guard.wait()
        _living.discard(self)
        if not line.endswith(b"\n"):
            await asyncio.to_thread(kill_marked, self._mark)
            raise GuardLostError
        message: dict[str, Any] = json.loads(line)
        if "failed" in message:
            raise StartError(message["failed"])
        ended = message["ended"]
        output = ended["output"].encode("latin-1").decode("utf-8", "replace")
        return Exit(ended["code"], output, ended["left"])

    def _say(self, message: object) -> None:
        assert self._guard.stdin is not None
        with suppress(OSError):  # it is ending
            self._guard.stdin.write(json.dumps(message).encode() + b"\n")


#: Kept when the server ends before them: forgotten, asyncio would kill a guard, which then could
#: not end what it guards.
_living: set[Guarded] = set()


def _text(value: str | Path) -> str:
    return os.fsencode(value).decode("latin-1")
