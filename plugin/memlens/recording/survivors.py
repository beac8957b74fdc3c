"""Objects that outlive a test, and which of them are not the test's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memray import FileReader

#: What the threads that only carry messages between pytest-xdist's processes run.
_RUNNERS_MODULE = "execnet"


def without_the_runners(survivors: Sequence[object], capture: Path) -> Sequence[object]:
    """Return *survivors* without those that pytest-xdist's own threads made during the test.

    *capture* is the finished file of the tracker that watched objects (CPython 3.13.3 and newer).

    Raises:
        OSError: memray cannot read the file.
    """
    of_the_runner = set()
    with FileReader(capture) as reader:
        made: Any = reader.get_object_lifetime_events
        own = reader.metadata.main_thread_id
        for event in made(included_objects=list(survivors)):
            if not event.is_created:
                continue
            # An address may have had other objects before: the last one stands.
            of_the_runner.discard(event.address)
            if event.tid != own and _is_the_runners(event.stack_trace()):
                of_the_runner.add(event.address)
    return [survivor for survivor in survivors if id(survivor) not in of_the_runner]


def _is_the_runners(stack: Sequence[tuple[str, str, int]]) -> bool:
    # A thread that a test has started begins elsewhere.
    return bool(stack) and _RUNNERS_MODULE in Path(stack[-1][1]).parts
