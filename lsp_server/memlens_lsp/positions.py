"""Lines and characters: those of a measured text, of a text now, and of the client.

Pure: text in, numbers out. Lines count from 1 as in the results, until they become LSP types.
"""

from __future__ import annotations

import re
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, islice
from threading import Lock

from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens_lsp.alignment import GONE, places

# `str.splitlines` would also split at form feeds, U+0085, U+2028 and more, which the LSP does not
# (LSP 3.17, "Text Documents"), and neither does Python's own tokenizer.
_LINE_END = re.compile(r"\r\n|\n|\r")


def split_lines(text: str) -> list[str]:
    """Return the lines of *text* as the LSP counts them, without their ends. Never empty."""
    # Nearly always, and some times faster.
    return _LINE_END.split(text) if "\r" in text else text.split("\n")


# One line after the other is asked for of the same few texts.
@lru_cache(maxsize=4)
def _lines(text: str) -> Sequence[str]:
    return split_lines(text)


def line_at(text: str, line: int) -> str | None:
    """Return the line *line* (from 1) of *text* without its end, or None if there is none."""
    lines = _lines(text)
    return lines[line - 1] if 0 < line <= len(lines) else None


def range_on_line(text: str, line: int, span: tuple[int, int], codec: PositionCodec) -> types.Range:
    """Return the characters *span* of the line *line* (from 1), in the client's encoding."""
    content = line_at(text, line) or ""
    start, end = (min(offset, len(content)) for offset in span)
    if not content.isascii():  # else units are characters, whatever the encoding
        start, end = (codec.client_num_units(content[:offset]) for offset in (start, end))
    return types.Range(
        start=types.Position(line=line - 1, character=start),
        end=types.Position(line=line - 1, character=end),
    )


def apply_change(
    text: str, change: types.TextDocumentContentChangeEvent, codec: PositionCodec
) -> str:
    """Return *text* after *change*.

    A position past the end of its line means the end of that line, one past the last line the end
    of the text (LSP 3.17, "Position").
    """
    if isinstance(change, types.TextDocumentContentChangeWholeDocument):
        return change.text
    start = _offset(text, change.range.start, codec)
    end = _offset(text, change.range.end, codec)
    # The LSP wants start before end. Kept apart, a client's mistake would duplicate text.
    return text[: min(start, end)] + change.text + text[max(start, end) :]


def _offset(text: str, position: types.Position, codec: PositionCodec) -> int:
    start = 0
    ends = _LINE_END.finditer(text)
    for _ in range(position.line):
        end = next(ends, None)
        if end is None:
            return len(text)
        start = end.end()
    end = next(ends, None)
    line = text[start : end.start() if end else len(text)]
    # With UTF-32, and in lines of plain ASCII, units are characters.
    if line.isascii():
        return start + min(position.character, len(line))
    units = 0
    for offset, character in enumerate(line):
        if units >= position.character:
            return start + offset
        units += codec.client_num_units(character)
    return start + len(line)


class LineMap:
    """Where the lines of a measured text are in the current text. Lines count from 1."""

    def __init__(self, measured: str, current: str) -> None:
        # A byte order mark is stripped by Python and by some editors, not by all.
        self._places = places(
            split_lines(measured.removeprefix("\ufeff")),
            split_lines(current.removeprefix("\ufeff")),
        )

    def line(self, measured: int) -> int | None:
        """Return where the measured line *measured* is now, or None if it was edited away."""
        if not 0 < measured <= len(self._places):
            return None
        place = self._places[measured - 1]
        return None if place == GONE else place + 1

    def nearest(self, measured: int) -> int:
        """Return where *measured* is, or where the nearest line before it that is left is."""
        return self._nearest[max(min(measured, len(self._places)) - 1, 0)] + 1

    @cached_property
    def _nearest(self) -> Sequence[int]:
        # Call stacks lead to the same places again and again.
        before = accumulate(
            self._places, lambda known, place: known if place == GONE else place, initial=0
        )
        return array("i", islice(before, 1, None))


class _LineMaps:
    """The maps that were asked for last. For several threads at once."""

    #: How many measured texts have a map, and how many characters they and what they were compared
    #: with have together. A file has as many texts as there are runs that saw it change.
    _MOST = 64
    _MOST_CHARACTERS = 8_000_000

    def __init__(self) -> None:
        #: For each measured text the map to the text that it was last compared with: while someone
        #: types, the maps to what was there before are of no use.
        self._known: OrderedDict[str, tuple[str, LineMap]] = OrderedDict()
        self._lock = Lock()

    def get(self, measured: str, current: str) -> LineMap:
        with self._lock:
            known = self._known.get(measured)
            if known is not None and known[0] == current:
                self._known.move_to_end(measured)
                return known[1]
        # Two threads may both make it: that costs less than to wait for somebody else's long text.
        made = LineMap(measured, current)
        with self._lock:
            self._known[measured] = (current, made)
            self._known.move_to_end(measured)
            while len(self._known) > 1 and self._are_too_many():
                self._known.popitem(last=False)
        return made

    def _are_too_many(self) -> bool:
        characters = sum(
            len(measured) + len(current) for measured, (current, _) in self._known.items()
        )
        return len(self._known) > self._MOST or characters > self._MOST_CHARACTERS


_line_maps = _LineMaps()


def line_map(measured: str, current: str) -> LineMap:
    """Return the `LineMap` from *measured* to *current*. The last ones are kept."""
    return _line_maps.get(measured, current)
