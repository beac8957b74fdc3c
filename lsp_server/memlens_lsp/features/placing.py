"""Where a measured test is in the text now."""

from __future__ import annotations

from memlens_lsp.positions import line_map, split_lines
from memlens_lsp.tests_in_source import definitions, id_in_file


def line_of_test(nodeid: str, line: int, measured: str | None, text: str) -> int | None:
    """Return the line (from 1) of the ``def`` of *nodeid* in *text*, or None if it is gone.

    *line* is where it was in the *measured* text, None if that was not kept.
    """
    test = id_in_file(nodeid)
    moved = line_map(measured, text).line(line) if measured is not None else None
    # Two classes may have the same "def test_total(self):". The name tells them apart.
    named = [found.line for found in definitions(text).get(test, ())]
    if moved in named or not named:
        # Not found by name: imported, generated, or inherited from another file.
        return moved
    # Its own line was edited. Of tests with the same name Python keeps the last.
    return min(named[-1], len(split_lines(text)))
