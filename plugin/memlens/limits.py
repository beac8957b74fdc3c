"""Which limits hold for a test, by its markers and the settings."""

from __future__ import annotations

import doctest
import inspect
import sys
from collections.abc import Mapping, Sequence

import pytest
from _pytest.doctest import DoctestItem
from _pytest.mark.structures import get_unpacked_marks
from _pytest.unittest import TestCaseFunction

from memlens.descriptions import DESCRIPTIONS
from memlens.markers import (
    Limit,
    LimitLeakedObjects,
    LimitLeaks,
    LimitMemory,
    MarkerError,
    parse_marker,
)

#: CPython tells which objects outlive a test from this version on.
_KNOWS_SURVIVORS = (3, 13, 3)


def limits_of(item: pytest.Item, default_limit: int | None) -> tuple[Limit, ...]:
    """Return what the test's markers demand; of several of a kind the nearest counts.

    *default_limit* is the `limit_memory`, in bytes, of a test that has none.

    Raises:
        MarkerError: a marker cannot work as written, or not on this test.
    """
    limits: list[Limit] = []
    for name in DESCRIPTIONS:
        marker = closest_marker(item, name)
        if marker is not None:
            limit = parse_marker(name, marker.args, marker.kwargs)
            _refuse_where_it_cannot_work(item, limit)
            limits.append(limit)
        elif name == LimitMemory.marker and default_limit is not None:
            limits.append(LimitMemory(default_limit))
    return tuple(limits)


def has_limit(limits: Sequence[Limit], kind: type[Limit]) -> bool:
    """Return whether there is a limit of this kind."""
    return any(isinstance(limit, kind) for limit in limits)


def needs_own_capture(limits: Sequence[Limit]) -> bool:
    """Return whether a limit is measured in a way that would slow other tests down."""
    return has_limit(limits, LimitLeaks) or has_limit(limits, LimitLeakedObjects)


def warmups(limits: Sequence[Limit]) -> int:
    """Return how often the body runs unmeasured first."""
    return max((limit.warmups for limit in limits if isinstance(limit, LimitLeaks)), default=0)


def closest_marker(item: pytest.Item, name: str) -> pytest.Mark | None:
    """Return the marker called *name* that is nearest to the test, or None."""
    if isinstance(item, DoctestItem):
        # pytest looks for a doctest's markers on its module only.
        for owner in _owners(item.dtest):
            for marker in get_unpacked_marks(owner):
                if marker.name == name:
                    return marker
    return item.get_closest_marker(name)


def _owners(test: doctest.DocTest) -> list[object]:
    """Return the function or class whose doctest this is, and the classes around it outwards."""
    names = test.name.removeprefix(f"{test.globs.get('__name__')}.").split(".")
    owners: list[object] = []
    known: Mapping[str, object] = test.globs
    for name in names:
        if name not in known:  # the module's own doctest, or a text file's
            break
        owners.insert(0, known[name])
        known = getattr(owners[0], "__dict__", {})
    return owners


def _refuse_where_it_cannot_work(item: pytest.Item, limit: Limit) -> None:
    if isinstance(limit, LimitLeakedObjects) and sys.version_info < _KNOWS_SURVIVORS:
        needed, present = (".".join(map(str, v)) for v in (_KNOWS_SURVIVORS, sys.version_info[:3]))
        raise MarkerError(
            f"limit_leaked_objects needs CPython {needed} or newer; this is {present}"
        )
    if isinstance(limit, LimitLeaks) and limit.warmups:
        function = inspect.unwrap(getattr(item, "obj", None))  # type: ignore[arg-type]
        if isinstance(item, TestCaseFunction) or inspect.iscoroutinefunction(function):
            raise MarkerError(
                "limit_leaks: warmups would run this test several times in one set-up, which"
                " coroutine and unittest tests do not expect: leave it out"
            )
