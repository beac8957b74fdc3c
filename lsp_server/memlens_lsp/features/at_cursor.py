"""Which test a cursor is in."""

from __future__ import annotations

from typing import Any, TypedDict

from memlens_lsp.features.lenses import Overview, Subject, run_argument
from memlens_lsp.tests_in_source import definitions


class AtCursor(TypedDict):
    """A test, a class or a file, and how to run it."""

    uri: str
    #: "" for the file.
    test: str
    kind: str
    #: The argument that makes `memlens.run` run it.
    run: dict[str, Any]


def at_cursor(known: Overview, line: int) -> AtCursor | None:
    """Return the innermost test or class around *line*, counted from 1; else the file.

    None if nothing there could be run.
    """
    extents = {
        place.line: (place.first_line, place.last_line)
        for places in definitions(known.file.text).values()
        for place in places
    }
    around = []
    for subject in known.subjects:
        first, last = extents.get(subject.line, (0, 0))
        if subject.kind != "file" and first <= line <= last:
            around.append((last - first, subject))
    if around:
        return _told(min(around, key=lambda one: one[0])[1])
    return next((_told(subject) for subject in known.subjects if subject.kind == "file"), None)


def _told(subject: Subject) -> AtCursor:
    return {
        "uri": subject.uri,
        "test": subject.id,
        "kind": subject.kind,
        "run": run_argument(subject),
    }
