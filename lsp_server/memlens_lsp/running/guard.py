"""The process between the server and a run: it starts pytest, and ends what pytest started.

It does so when it is told to, and when the server is gone, however that ended: their pipe breaks.
It keeps the beginning and the end of what pytest says. Started with nothing but the standard
library, in some 50 ms; see `guarded` for the other side.

What it reads is JSON, a line each: a `Task` as an object, then "cancel" or "close" at any time.
What it writes is one line: how the run ended, or why it could not start. Texts of the system, such
as arguments, travel as bytes in the form of Latin-1.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from typing import Any, NamedTuple

from memlens_lsp.running.processes import MARK, adopt_orphans, members, send

#: How much of the output is kept, in bytes: its beginning and its end.
HEAD = 128 * 1024
TAIL = 896 * 1024
#: Seconds between one look at what is still alive and the next.
_BREATH = 0.05
_INPUT, _OUTPUT = 0, 1


class Step(NamedTuple):
    """How processes are asked to end, and for how many seconds that is given time to work."""

    signal: signal.Signals
    seconds: float


#: pytest reports and keeps its results after an interrupt, as after Ctrl+C.
CANCEL = (Step(signal.SIGINT, 5.0), Step(signal.SIGTERM, 2.0), Step(signal.SIGKILL, 5.0))
#: When the server itself has to go, or is gone.
CLOSE = (Step(signal.SIGTERM, 1.0), Step(signal.SIGKILL, 5.0))


def main() -> None:
    """Run one task."""
    reader = _Orders()
    line = reader.next_line()
    if line is None:
        return
    task = json.loads(line)
    adopt_orphans()
    try:
        guard = _Guard(task, reader)
    except OSError as error:
        _tell({"failed": error.strerror or str(error)})
        return
    guard.run()
    if task["notes"] is not None:
        _delete(_raw(task["notes"]))
    _tell(
        {
            "ended": {
                "code": guard.code,
                "output": guard.output.text().decode("latin-1"),
                "left": guard.left,
            }
        }
    )


def _tell(message: dict[str, Any]) -> None:
    line = memoryview(json.dumps(message).encode() + b"\n")
    with suppress(OSError):  # the server may be gone
        while line:
            line = line[os.write(_OUTPUT, line) :]


class _Orders:
    """What the server says, line by line."""

    def __init__(self) -> None:
        self._read = b""
        self.has_ended = False

    def next_line(self) -> bytes | None:
        """Wait for a line and return it, None at the end."""
        while b"\n" not in self._read and not self.has_ended:
            self.take()
        return self.line()

    def take(self) -> None:
        """Read what there is."""
        piece = os.read(_INPUT, 1 << 16)
        self._read += piece
        self.has_ended = not piece

    def line(self) -> bytes | None:
        """Return the next whole line that has been read, None if there is none."""
        line, newline, rest = self._read.partition(b"\n")
        if not newline:
            return None
        self._read = rest
        return line


class Kept:
    """The beginning and the end of an output, however long that is."""

    def __init__(self, head: int = HEAD, tail: int = TAIL) -> None:
        self._most_head, self._most_tail = head, tail
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, piece: bytes) -> None:
        """Take the next *piece*."""
        room = self._most_head - len(self._head)
        self._head += piece[:room]
        self._tail += piece[room:]
        # Not at each piece, which would move all of it each time.
        if len(self._tail) > 2 * self._most_tail:
            self._drop()

    def _drop(self) -> None:
        many = max(0, len(self._tail) - self._most_tail)
        del self._tail[:many]
        self._dropped += many

    def text(self) -> bytes:
        """Return what is kept, with a line that says how much is missing."""
        self._drop()
        gap = b"\n... (%d bytes left out) ...\n" % self._dropped if self._dropped else b""
        return bytes(self._head) + gap + bytes(self._tail)


class _Guard:
    """One run, from its start to its end."""

    def __init__(self, task: dict[str, Any], orders: _Orders) -> None:
        """Start pytest.

        Raises:
            OSError: that is not possible.
        """
        self._orders = orders
        self._mark = str(task["mark"])
        #: How pytest ended: its exit code, negative for the signal that killed it.
        self.code: int | None = None
        #: Processes that could not be ended.
        self.left: list[int] = []
        self.output = Kept()
        #: What is still to be tried, the present step first; None as long as the run may go on.
        self._steps: list[Step] | None = None
        self._step_ends = 0.0
        #: Whether a signal has asked this process to end.
        self._is_told_to_end = False
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        # Handlers, not SIG_IGN: what is ignored here, pytest would ignore.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._told_to_end)
        self._output, output = os.pipe()
        os.set_blocking(self._output, False)
        self._readable = [_INPUT, self._wake, self._output]
        environment = {_raw(name): _raw(value) for name, value in task["environment"].items()}
        try:
            # Kept, since it would take its exit code with it, and that is to come from `_reap`.
            self._process = subprocess.Popen(
                [_raw(argument) for argument in task["command"]],
                cwd=_raw(task["folder"]),
                env={**environment, os.fsencode(MARK): os.fsencode(self._mark)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A process group of its own, which can be interrupted as from a terminal.
                start_new_session=True,
            )
        finally:
            os.close(output)
        self._leader = self._process.pid

    def _told_to_end(self, *_: object) -> None:
        self._is_told_to_end = True

    def run(self) -> None:
        """Go on until pytest has ended by itself, or everything has been ended."""
        while not self._is_over():
            wait = _BREATH if self._steps is not None else None
            for ready in select.select(self._readable, (), (), wait)[0]:
                if ready == _INPUT:
                    self._take_orders()
                elif ready == self._output:
                    self._take_output()
                else:
                    os.read(self._wake, 512)
            if self._is_told_to_end:
                self._end(CLOSE)
            self._reap()
        self._reap()
        if self.code is None:
            self.code = -signal.SIGKILL
        # What is in the pipe, and no more: a process that was left behind may hold it open.
        for _ in range(64):
            if self._output not in self._readable or not self._take_output():
                break

    def _take_orders(self) -> None:
        self._orders.take()
        while (line := self._orders.line()) is not None:
            self._end(CANCEL if line == b'"cancel"' else CLOSE)
        if self._orders.has_ended:
            self._readable.remove(_INPUT)
            self._end(CLOSE)

    def _take_output(self) -> bool:
        try:
            piece = os.read(self._output, 1 << 16)
        except BlockingIOError:
            return False
        if not piece:
            self._readable.remove(self._output)
        self.output.add(piece)
        return bool(piece)

    def _reap(self) -> None:
        with suppress(ChildProcessError):  # no more children
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if pid == self._leader:
                    self.code = os.waitstatus_to_exitcode(status)

    def _end(self, steps: tuple[Step, ...]) -> None:
        """Begin to end the run by *steps*; never go back to a politer one."""
        if self._steps is None or len(steps) < len(self._steps):
            self._steps = list(steps)
            self._begin_step()

    def _begin_step(self) -> None:
        assert self._steps is not None
        step = self._steps[0]
        self._step_ends = time.monotonic() + step.seconds
        if step.signal == signal.SIGINT:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._leader, step.signal)
        else:
            send(step.signal, members(self._mark, os.getpid()))

    def _is_over(self) -> bool:
        if self._steps is None:
            return self.code is not None
        interrupting = self._steps[0].signal == signal.SIGINT
        if interrupting and self.code is None and time.monotonic() < self._step_ends:
            return False
        self.left = members(self._mark, os.getpid())
        if not self.left:
            return True
        if interrupting or time.monotonic() >= self._step_ends:
            self._steps.pop(0)
            if not self._steps:
                return True
            self._begin_step()
        elif self._steps[0].signal == signal.SIGKILL:
            # Those too that were started since.
            send(signal.SIGKILL, self.left)
        return False


def _delete(folder: bytes) -> None:
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - see `processes`
            os.unlink(os.path.join(folder, name))  # noqa: PTH108, PTH118
        os.rmdir(folder)  # noqa: PTH106


def _raw(text: str) -> bytes:
    return text.encode("latin-1")
