"""Lines and characters: those of a measured text, of a text now, and of the client.

Pure: text in, numbers out. Lines count from 1 as in the results, until they become LSP types.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from lsprotocol import types
from pygls.workspace import PositionCodec

# `str.splitlines` would also split at form feeds, U+0085, U+2028 and more, which the LSP does not
# (LSP 3.17, "Text Documents"), and neither does Python's own tokenizer.
_LINE_END = re.compile(r"\r\n|\n|\r")


def split_lines(text: str) -> list[str]:
    """Return the lines of *text* as the LSP counts them, without their ends. Never empty."""
    return _LINE_END.split(text)


def line_at(text: str, line: int) -> str | None:
    """Return the line *line* (from 1) of *text* without its end, or None if there is none."""
    lines = split_lines(text)
    return lines[line - 1] if 0 < line <= len(lines) else None


def range_on_line(text: str, line: int, span: tuple[int, int], codec: PositionCodec) -> types.Range:
    """Return the characters *span* of the line *line* (from 1), in the client's encoding."""
    content = line_at(text, line) or ""
    start, end = (codec.client_num_units(content[:offset]) for offset in span)
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


@dataclass(frozen=True)
class _Block:
    """Lines that follow each other in both texts. Lines count from 1."""

    measured: int
    current: int
    length: int


class LineMap:
    """Where the lines of a measured text are in the current text."""

    def __init__(self, measured: str, current: str) -> None:
        self._blocks = _matching_blocks(_comparable(measured), _comparable(current))
        self._starts = [block.measured for block in self._blocks]

    def line(self, measured: int) -> int | None:
        """Return where the measured line *measured* is now, or None if it was edited away."""
        block = self._block_before(measured)
        if block is None or measured >= block.measured + block.length:
            return None
        return measured - block.measured + block.current

    def nearest(self, measured: int) -> int:
        """Return where *measured* is, or where the nearest line before it that is left is."""
        block = self._block_before(measured)
        if block is None:
            return 1
        return min(measured - block.measured, block.length - 1) + block.current

    def _block_before(self, measured: int) -> _Block | None:
        index = bisect_right(self._starts, measured) - 1
        return self._blocks[index] if index >= 0 else None


# A text that is being edited is mapped again and again for each of its findings.
@lru_cache(maxsize=256)
def line_map(measured: str, current: str) -> LineMap:
    """Return the `LineMap` from *measured* to *current*."""
    return LineMap(measured, current)


def _comparable(text: str) -> list[str]:
    # A byte order mark is stripped by Python and by some editors, not by all.
    return split_lines(text.removeprefix("\ufeff"))


def _matching_blocks(measured: list[str], current: list[str]) -> list[_Block]:
    # Most edits touch few lines: what is the same before and after them needs no diff, which costs
    # the product of both lengths at worst.
    shorter = min(len(measured), len(current))
    head = 0
    while head < shorter and measured[head] == current[head]:
        head += 1
    tail = 0
    while tail < shorter - head and measured[-1 - tail] == current[-1 - tail]:
        tail += 1
    # Blank lines match everywhere: as junk they only extend a match of real lines.
    matcher = SequenceMatcher(
        lambda line: not line.strip(),
        measured[head : len(measured) - tail],
        current[head : len(current) - tail],
        autojunk=False,
    )
    middle = [
        _Block(match.a + head + 1, match.b + head + 1, match.size)
        for match in matcher.get_matching_blocks()
    ]
    ends = [
        _Block(1, 1, head),
        _Block(len(measured) - tail + 1, len(current) - tail + 1, tail),
    ]
    return [block for block in (ends[0], *middle, ends[1]) if block.length]
