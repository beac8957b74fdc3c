"""What was measured of that which a marker is about, and the limit that follows from it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from memlens.sizes import format_size, parse_size
from memlens.store import TestRecord
from memlens_lsp.features.head_room import limit_above
from memlens_lsp.markers_in_source import Marker, Owner, find_markers, statements
from memlens_lsp.results import FileResults
from memlens_lsp.tests_in_source import definitions, id_in_file

#: Markers whose argument is a size that is measured.
MEASURED_MARKERS = ("limit_memory", "limit_leaks")


class Measured(NamedTuple):
    """The most that was measured of the tests that a marker is about."""

    #: Bytes.
    size: int
    #: Whether it was too much for the limit that there was.
    exceeded: bool
    #: ``the peak was 31.2 MiB``.
    words: str
    #: The limits that the tests had, in bytes.
    limits: frozenset[int] = frozenset()

    def limit(self, like: str | None = None) -> str:
        """Return the limit for it, with head-room, in the unit of *like*."""
        return limit_above(self.size, like)


def measured(text: str, results: FileResults, marker: str, owner: Owner) -> Measured | None:
    """Return what was last measured of the tests of *owner* in *text*, None if nothing was.

    Only of those for which no nearer *marker* counts, and not of those that failed by themselves:
    they did not do all of their work.
    """
    nearer = {
        found.owner.id
        for found in find_markers(text)
        if found.name == marker and found.owner is not None and found.owner != owner
    }
    by_id: dict[str, list[TestRecord]] = {}
    for test in results.tests:
        by_id.setdefault(id_in_file(test.nodeid), []).append(test)
    sizes = [
        size
        for test, cases in by_id.items()
        if (owner.is_class or not owner.line or owner.name == test.rpartition("::")[2])
        and _is_about(text, test, owner, nearer)
        for case in cases
        if (size := _size(case, marker)) is not None
    ]
    if not sizes:
        return None
    largest, exceeded, _ = max(sizes, key=lambda size: size[:2])
    what = "peak" if marker == "limit_memory" else "leak"
    of_several = len(sizes) > 1 or what == "leak"
    words = f"the {'largest ' if of_several else ''}{what} was {format_size(largest)}"
    limits = frozenset(limit for _, _, limit in sizes if limit is not None)
    return Measured(largest, exceeded, words, limits)


def written_size(marker: Marker) -> int | None:
    """Return the limit that *marker* has, in bytes; None if it has none that is known."""
    if marker.limit is None:
        return None
    try:
        return parse_size(marker.limit.value)
    except ValueError:
        return None


def marker_on(text: str, name: str, owner: str) -> Marker | None:
    """Return the marker called *name* that counts of those on *owner*, an id in the file *text*.

    Of decorators the one nearest to the ``def``, of a ``pytestmark`` the first, and that before the
    decorators of its class: the order of pytest's `iter_markers`. A misspelt marker is one too.
    """
    found = [
        marker
        for marker in find_markers(text)
        if marker.meant == name and marker.owner is not None and marker.owner.id == owner
    ]
    assigned = [marker for marker in found if marker.place == "pytestmark"]
    return next(iter((*assigned, *reversed(found))), None)


def nearest_marker(text: str, name: str, test: str) -> Marker | None:
    """Return the marker called *name* that counts for *test*, an id in the file *text*, or None."""
    markers = (marker_on(text, name, owner) for owner in _owners(text, test))
    return next((marker for marker in markers if marker is not None), None)


def lines_of(text: str, test: str) -> list[int]:
    """Return the lines of the ``def`` of *test*, an id in the file *text*; the last one counts."""
    return [found.line for found in definitions(text).get(test, ())]


def _is_about(text: str, test: str, owner: Owner, nearer: Collection[str]) -> bool:
    for around in _owners(text, test):
        if around == owner.id:
            return True
        if around in nearer:
            return False
    return False


def _owners(text: str, test: str) -> Iterator[str]:
    """Yield what a marker for *test* may be on, the nearest first, the module ("") last.

    Itself and its classes; if it is inherited, also those that it is written in.
    """
    lines = lines_of(text, test)
    written = statements(text).by_line.get(lines[-1]) if lines else None
    around: list[str] = []
    for name in (written.owner.id if written else test, test):
        parts = name.split("::")
        around += ["::".join(parts[:length]) for length in range(len(parts), 0, -1)]
    yield from dict.fromkeys((*around, ""))


def _size(test: TestRecord, marker: str) -> tuple[int, bool, int | None] | None:
    """Return what was measured of *test* that *marker* limits, if it was too much, and the limit.

    In bytes. The limit is None if there was none.
    """
    if test.outcome == "failed" and not any(check.verdict == "exceeded" for check in test.checks):
        return None
    for check in test.checks:
        if check.marker == marker and check.verdict != "not_judged":
            return check.measured_bytes, check.verdict == "exceeded", check.limit_bytes
    phase = test.phase("call")
    if phase is None or marker != "limit_memory":
        return None
    return phase.peak_bytes, False, None
