"""Offsets in one text, in characters, as lines and as the client's positions."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache

from lsprotocol import types
from pygls.workspace import PositionCodec

# As in `positions`, where it says why.
_LINE_END = re.compile(r"\r\n|\n|\r")


# The same text is looked at for each of a client's requests.
@lru_cache(maxsize=4)
def _starts(text: str) -> Sequence[int]:
    return [0, *(end.end() for end in _LINE_END.finditer(text))]


class Lines:
    """Where the lines of a text are. They count from 1."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = _starts(text)

    def __len__(self) -> int:
        return len(self._starts)

    def at(self, offset: int) -> int:
        """Return the line that *offset* is on."""
        return bisect_right(self._starts, offset)

    def start(self, line: int) -> int:
        """Return the offset at which *line* begins."""
        return self._starts[line - 1]

    def end(self, line: int) -> int:
        """Return the offset at which *line* ends, without its line end."""
        if line >= len(self._starts):
            return len(self._text)
        following = self._starts[line]
        return following - (2 if self._text.endswith("\r\n", 0, following) else 1)


class Offsets:
    """The client's positions in a text."""

    def __init__(self, text: str, codec: PositionCodec) -> None:
        self._text = text
        self._codec = codec
        self._lines = Lines(text)

    def position(self, offset: int) -> types.Position:
        """Return where *offset* is."""
        line = self._lines.at(offset)
        before = self._text[self._lines.start(line) : offset]
        return types.Position(line=line - 1, character=self._codec.client_num_units(before))

    def range(self, start: int, end: int) -> types.Range:
        """Return the range from *start* up to *end*."""
        return types.Range(start=self.position(start), end=self.position(end))

    def offset(self, position: types.Position) -> int:
        """Return where *position* is; past the end of a line is its end (LSP 3.17, "Position")."""
        if position.line >= len(self._lines):
            return len(self._text)
        start, end = self._lines.start(position.line + 1), self._lines.end(position.line + 1)
        line = self._text[start:end]
        if line.isascii():
            return start + min(position.character, len(line))
        units = 0
        for index, character in enumerate(line):
            if units >= position.character:
                return start + index
            units += self._codec.client_num_units(character)
        return end
