"""Finding the processes of a run, whatever they did to get away.

Imports the standard library only, and little of it: see `guard`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

#: The environment variable that all processes of a run have, unless one hides it.
MARK = "MEMLENS_RUN"
#: From `linux/prctl.h`.
_PR_SET_CHILD_SUBREAPER = 36
#: Every process with its environment, where there is no /proc (`man ps` of macOS).
_PS = ("ps", "-A", "-E", "-ww", "-o", "pid=,ppid=,command=")
#: Seconds between one look at what is still alive and the next.
_BREATH = 0.05


class Process(NamedTuple):
    """A process that has not ended."""

    pid: int
    parent: int
    #: Whether it was started by the run that is looked for.
    is_marked: bool


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parents end, where the system can do that.

    Then no process that a test starts can leave the tree, by whatever forks and sessions: Linux.
    """
    if sys.platform == "linux":
        with suppress(ImportError, OSError, AttributeError):
            from ctypes import CDLL

            CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def members(mark: str, root: int | None = None) -> list[int]:
    """Return the processes of the run with *mark*: the marked ones and all descendants.

    And those of the process *root*, which is none of them, nor is this process.
    """
    processes = list(_from_proc(mark) if os.path.isdir("/proc/self") else _from_ps(mark))  # noqa: PTH112
    children: dict[int, list[int]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process.pid)
    found: dict[int, None] = {}
    waiting = [process.pid for process in processes if process.is_marked]
    waiting += children.get(root, ()) if root is not None else ()
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found[pid] = None
            waiting += children.get(pid, ())
    return [pid for pid in found if pid not in (root, os.getpid())]


def send(number: signal.Signals, pids: Iterable[int]) -> None:
    """Send a signal to each of *pids* that is there and may be signalled."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def kill_marked(mark: str, seconds: float = 5.0) -> list[int]:
    """Kill all processes of the run with *mark*; return those that are there *seconds* later."""
    end = time.monotonic() + seconds
    while (left := members(mark)) and time.monotonic() < end:
        send(signal.SIGKILL, left)
        time.sleep(_BREATH)
    return left


def _from_proc(mark: str) -> Iterator[Process]:
    """Read /proc (`man 5 proc`)."""
    wanted = os.fsencode(f"{MARK}={mark}")
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib takes longer to import than this
        if not name.isdigit():
            continue
        # After the command's name, which may hold anything.
        fields = _content(f"/proc/{name}/stat").rpartition(b")")[2].split()
        if len(fields) < 2 or fields[0] in (b"Z", b"X"):
            continue  # it has ended
        environment = _content(f"/proc/{name}/environ").split(b"\0")
        yield Process(int(name), int(fields[1]), wanted in environment)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError:  # it has just ended, or is another user's
        return b""


def _from_ps(mark: str, command: Iterable[str] = _PS) -> Iterator[Process]:
    try:
        listed = subprocess.run([*command], stdout=subprocess.PIPE, check=False).stdout
    except OSError:
        return
    wanted = os.fsencode(f"{MARK}={mark}")
    for line in listed.split(b"\n"):
        fields = line.split(None, 2)
        if len(fields) == 3 and fields[0].isdigit() and fields[1].isdigit():
            yield Process(int(fields[0]), int(fields[1]), wanted in fields[2])
