"""Call stacks of set-up and teardown: cut where pytest has called what the project runs there.

Between the runner's hook and a fixture are a dozen calls of pytest's and pluggy's own, the same for
every test, and outside of the hook as many again. No frame of ours is among them to cut at, as
there is around a test's body: hook wrappers are generators, which are no callers.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePath

from memlens.stacks import Frame

#: By phase, pytest's hook that does it. A plugin or conftest.py may have its own beside pytest's.
_HOOKS = {"setup": "pytest_runtest_setup", "teardown": "pytest_runtest_teardown"}
#: The packages that call hooks and fixtures.
_CALLERS = frozenset(("_pytest", "pluggy"))


def without_pytest(phase: str, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Return *frames*, the most recent call first, without pytest's at their outer end.

    A stack in which all calls are pytest's own begins with the hook. One that begins elsewhere (in
    a thread of its own, in a recursion so deep that only its inner part was read) stays as it is.
    """
    python = [index for index, frame in enumerate(frames) if not frame.native]
    hooks = [index for index in python if frames[index].function == _HOOKS[phase]]
    # memray reads so few native frames that the outer part of a stack with them may be missing.
    inside = python[: python.index(hooks[-1]) + 1] if hooks else python
    first = next((i for i in reversed(inside) if not _is_pytests(frames[i].filename)), None)
    if first is None:
        return frames[: hooks[-1] + 1] if hooks else frames
    return frames if first == python[-1] else frames[: first + 1]


@lru_cache(maxsize=256)
def _is_pytests(filename: str) -> bool:
    return not _CALLERS.isdisjoint(PurePath(filename).parts)
