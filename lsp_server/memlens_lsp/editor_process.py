"""Ending this process with the editor that started it (LSP 3.17, `processId` of "initialize").

Standard input ends with the editor too, unless another of its children holds the other end open.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

#: Seconds between looks, where the system cannot tell.
_INTERVAL = 1.0
#: What a process exits with whose client vanished (LSP 3.17, "Exit").
_EXIT_CODE = 1


def end_with(pid: int) -> None:
    """End this process when the process *pid* has ended. Runs end by themselves: see `guard`."""
    waiting = _opened(pid) or _polled(pid)
    if waiting is None:
        # In another container, such as the editor of a server that runs in one. Of an editor that
        # has just ended standard input tells.
        logger.info("the client's process %d cannot be seen from here", pid)
        return

    def wait() -> None:
        waiting()
        # Not in order: the event loop may be waiting for what never comes.
        os._exit(_EXIT_CODE)

    threading.Thread(target=wait, name="editor's end", daemon=True).start()


def _opened(pid: int) -> Callable[[], object] | None:
    """Return what waits for the end of a process and takes no time meanwhile (Linux)."""
    try:
        file = os.pidfd_open(pid)
    except (AttributeError, OSError, OverflowError, ValueError):
        return None
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return poll.poll


def _polled(pid: int) -> Callable[[], object] | None:
    """Return what waits for the end of a process by looking again and again."""
    if not _is_alive(pid):
        return None

    def wait() -> None:
        while _is_alive(pid):
            time.sleep(_INTERVAL)

    return wait


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False  # to the system that would be a group
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
