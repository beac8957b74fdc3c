"""Verdicts while a capture goes on: a second process reads what is there and tells the peak.

Reading in the process that is being recorded would be recorded too, record by record. Closing the
capture and opening the next walks all relocations of all libraries, twice: ten milliseconds, beside
a scientific stack forty and more. The other process reads from the start each time, so that gets
dearer as the capture grows: once the answers have taken as long as closing would, it is closed.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress

# So, since tests replace os.getpid and the like.
from mmap import PAGESIZE, mmap
from os import getpid, kill, read
from pathlib import Path
from select import POLLIN, poll
from signal import SIGKILL
from subprocess import DEVNULL, PIPE, Popen
from time import monotonic
from typing import NamedTuple

from memlens.recording.capture import Capture

#: After so many captures that were closed for a verdict, the process is started: that takes as much
#: processor time as closing ten of them, and is not waited for.
_CLOSED_FIRST = 5
#: Bytes. A capture that is larger takes longer to read than to close, and would be read twice.
_LARGEST = 1024 * 1024
#: Seconds for an answer. Then closing is the better way.
_PATIENCE = 5.0
#: Seconds for the process to end by itself.
_LAST_PATIENCE = 0.5
#: It is no child of ours: a test that waits for all its children would wait for it too.
_START = """
import os, sys
if os.fork():
    os._exit(0)
sys.path[:] = {path!r}
from memlens.recording.answering import main
main()
"""


class Peaks(NamedTuple):
    """The peak of a window, in bytes: of all threads, and what the test's own held of that."""

    all_threads: int
    own_thread: int


class Asking:
    """Asks for peaks in captures that go on, when that is cheaper than closing them."""

    def __init__(self) -> None:
        """Ask nobody yet."""
        #: What started the other process, and has the ends of its pipes.
        self._process: Popen[bytes] | None = None
        #: The other's process id, once it has begun to answer.
        self._answerer: int | None = None
        #: It failed, or has been ended: nobody is asked any more.
        self._is_over = False
        self._has_ended = False
        self._buffer = b""
        self._pid = getpid()
        self._closed = 0
        #: Seconds: what closing took last time, and all answers about this capture.
        self._closing = 0.0
        self._asked = 0.0

    def note_closed(self, capture: Capture) -> None:
        """Note that *capture* was closed, whyever."""
        self._closing = capture.seconds
        self._asked = 0.0

    def peaks(self, capture: Capture) -> Peaks | None:
        """Return the peak of the latest call in *capture*; None if closing is the better way."""
        if self._is_over or getpid() != self._pid:
            return None
        if not capture.is_running or capture.called is None:
            return None
        if self._process is None:
            self._closed += 1
            if self._closed == _CLOSED_FIRST:
                self._start()
            return None
        if self._asked >= self._closing or capture.size >= _LARGEST or not self._is_ready():
            if self._has_ended:
                self.close()
            return None
        started = monotonic()
        # The end of what is written may not be seen: let that not be the end of the window.
        with suppress(OSError):
            mmap(-1, PAGESIZE).close()
        answer = self._ask({"capture": str(capture.path), "window": capture.called})
        self._asked += monotonic() - started
        return Peaks(*answer) if isinstance(answer, list) else None

    def close(self) -> None:
        """End the process, if there is one."""
        process = self._process
        if process is None or self._is_over or getpid() != self._pid:
            return
        self._is_over = True
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):
            process.stdin.close()  # nobody asks any more
        with suppress(OSError, ValueError):
            while self._answer(_LAST_PATIENCE) is not None:
                pass  # an answer that came too late
        if not self._has_ended and self._answerer is not None:
            with suppress(OSError):
                kill(self._answerer, SIGKILL)
        process.stdout.close()

    def _start(self) -> None:
        path = [str(Path(__file__).resolve().parents[2]), *(p for p in sys.path if p)]
        with suppress(OSError, ValueError, TypeError):  # who embeds Python may not say where it is
            self._process = Popen(
                [sys.executable, "-S", "-c", _START.format(path=path)],
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                bufsize=0,
            )
            self._process.wait()  # it only starts the other one

    def _is_ready(self) -> bool:
        """Return whether the process has begun to answer. Does not wait for it."""
        if self._answerer is None:
            first = self._answer(0.0)
            self._answerer = first if isinstance(first, int) else None
        return self._answerer is not None

    def _ask(self, question: object) -> object:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            answer = self._answer(_PATIENCE)
        except OSError:
            answer = None
        except BaseException:  # a timeout's or Ctrl-C: the answer may come when another is expected
            self.close()
            raise
        if answer is None:
            self.close()
        return answer

    def _answer(self, seconds: float) -> object:
        """Return what the process says within so many *seconds*; None if nothing."""
        assert self._process is not None
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        waiting = poll()
        waiting.register(descriptor, POLLIN)
        deadline = monotonic() + seconds
        while b"\n" not in self._buffer:
            if not waiting.poll(max(0.0, deadline - monotonic()) * 1000):
                return None
            data = read(descriptor, 4096)
            if not data:
                self._has_ended = True
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: object = json.loads(line)
        return answer
