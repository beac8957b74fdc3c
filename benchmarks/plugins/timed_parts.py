"""A pytest plugin that notes how long the parts of memlens take, in the file MEMLENS_PARTS.

Names internals of memlens, so it goes with the commit that it is measured with.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

#: Seconds by part, without what other parts in it took, and the parts that are being timed.
seconds: dict[str, float] = defaultdict(float)
_running: list[float] = []


def timed(owner: Any, name: str, part: str) -> None:
    """Have each call of *owner*'s *name* count as *part*."""
    function: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(function)
    def timing(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        _running.append(0.0)
        try:
            return function(*args, **kwargs)
        finally:
            took = time.perf_counter() - started
            within = _running.pop()
            seconds[part] += took - within
            if _running:
                _running[-1] += took

    setattr(owner, name, timing)


def _all(windows: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: list(windows(*args, **kwargs))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish() -> None:
    """Time everything from here on: before, nothing of memlens is loaded."""
    started = time.perf_counter()
    from memlens import pending, recorder
    from memlens.recording import asking, capture, measurement

    seconds["imports"] = time.perf_counter() - started
    timed(capture.Capture, "_start", "starting memray")
    timed(capture.Capture, "stop", "stopping memray")
    module: Any = measurement
    module.replay = _all(module.replay)
    timed(module, "replay", "replay, with memray's reader")
    timed(pending.Pending, "_take", "verdicts and stacks")
    timed(pending.Pending, "_read", "reading, the rest")
    timed(asking.Asking, "peaks", "asking the other process")
    timed(recorder.Recorder, "_write", "writing results")


def pytest_unconfigure() -> None:
    """Write what was noted."""
    Path(os.environ["MEMLENS_PARTS"]).write_text(json.dumps(seconds), encoding="utf-8")
