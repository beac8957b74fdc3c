"""How far a run is, in words and numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path

from memlens_lsp.results import RunResults


def counts(results: RunResults | None) -> str:
    """Return a run's tests in words, such as "1 failed, 2 passed"; "" if nothing is known."""
    if results is None:
        return ""
    order = ("failed", "passed", "skipped", "xfailed", "xpassed")
    return ", ".join(f"{results.outcomes[o]} {o}" for o in order if results.outcomes.get(o))


def progress(results: RunResults | None, now: str, title: str = "") -> tuple[str, int | None]:
    """Return how far a run is: in words, and in percent if that is known.

    The test that runs *now* is left out where the run's *title* is its name.
    """
    words, percentage = "", None
    if results is not None:
        done, of = sum(results.outcomes.values()), results.run.collected
        words = f"{done} of {of}" if of else str(done)
        if done:
            words += f" ({counts(results)})"
        if of:
            percentage = min(100, 100 * done // of)
        if not now and results.newest:  # a plugin that does not tell
            words += f", last {_in_file(results.newest)}"
    if now and _in_file(now) != title:
        words = f"{words}, now {_in_file(now)}" if words else f"now {_in_file(now)}"
    return words, percentage


def last_line(path: Path) -> str:
    """Return the id of the test that was begun last, "" if that is not known."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 4096))
            lines = file.read().split(b"\n")
        return str(json.loads(lines[-2]))
    except (OSError, IndexError, ValueError):
        return ""


def _in_file(nodeid: str) -> str:
    return nodeid.partition("::")[2] or nodeid
