"""Which lines of one text are which of another: inserted, deleted, moved, reformatted.

Pure: lines in, numbers out. Lines count from 0 here.

Lines are told by their text without white space, so that indenting a block changes nothing. First
those are found that kept their order, as in a patience diff: lines that both texts have once are
anchors, and the same is done again between each two of them. Then come lines that were joined or
split, as formatters do, and last the blocks that moved elsewhere. What is ambiguous gets no place:
a mark that is gone is better than one on the wrong line.

It takes about as long as there are lines. `difflib` alone would take the square of that at worst,
minutes for a long file.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Container, Hashable, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import compress, count
from operator import ne
from typing import NamedTuple

#: The place of a line that has none.
GONE = -1

#: How many lines may be looked at, for each line of both texts, before the rest is given up.
_EFFORT = 40
#: Most pairs of lines that are compared with each other where there are no anchors.
_MOST_PAIRS = 4_000
#: Neighbours that together make an anchor where no single line does.
_WINDOWS = (1, 2, 4, 8)
#: Fewest characters, without white space, by which a line can be told from others elsewhere.
_TELLING = 8
#: Texts that share less than one part in this many are different files: of 1,500 pairs of test
#: modules of pandas, trio, SciPy and others, two share as much.
_ANOTHER_FILE = 5
#: A line counts for that by its characters, up to this many.
_MOST_WEIGHT = 20
#: Most edited lines in a row in which joined and split ones are looked for.
_MOST_IN_GAP = 100
#: How many lines beside an edit are looked at again.
_AROUND = 50

_TRAILING_COMMA = re.compile(r",(?=[)\]}])")


def places(measured: Sequence[str], current: Sequence[str]) -> array[int]:
    """Return, for each line of *measured*, which line of *current* it is now, or `GONE`."""
    if measured == current:
        return array("i", range(len(measured)))
    head = _same_at_start(measured, current)
    rest = min(len(measured), len(current)) - head
    tail = min(_same_at_start(measured[::-1], current[::-1]), rest)
    # Most edits touch few lines: what is the same before and after them needs no more work. But
    # the last lines of a function that moved to the end are often those of the one that was there.
    head, tail = max(head - _AROUND, 0), max(tail - _AROUND, 0)
    old = measured[head : len(measured) - tail]
    new = current[head : len(current) - tail]
    found = array("i", range(head))
    outside = (*measured[:head], *measured[len(measured) - tail :])
    middle: Sequence[int] = [GONE] * len(old)
    if old and new:
        aligned = _Middle(old, new, outside)
        # Weighed only if few lines are the same anyway.
        if len(outside) * _ANOTHER_FILE >= min(len(measured), len(current)) or (
            (_total(outside) + aligned.weight_of_placed()) * _ANOTHER_FILE
            >= min(_total(measured), _total(current))
        ):
            middle = aligned.places
    found.extend(place if place == GONE else place + head for place in middle)
    found.extend(range(len(current) - tail, len(current)))
    return found


def _same_at_start(left: Sequence[str], right: Sequence[str]) -> int:
    shorter = min(len(left), len(right))
    return next(compress(count(), map(ne, left, right)), shorter)


def _bare(line: str) -> str:
    """Return *line* without what formatters change."""
    bare = "".join(line.split()).replace("'", '"')
    return _TRAILING_COMMA.sub("", bare) if "," in bare else bare


def _weight(line: str) -> int:
    """Return how much the line says: something that a bracket says less of than a call."""
    return min(len("".join(line.split())), _MOST_WEIGHT)


def _total(lines: Sequence[str]) -> int:
    return sum(map(_weight, lines))


class _Ranges(NamedTuple):
    """Lines of the one text that may be lines of the other."""

    old: int
    old_end: int
    new: int
    new_end: int


class _Middle:
    """Two texts, without what is the same at their start and end."""

    def __init__(
        self, measured: Sequence[str], current: Sequence[str], outside: Sequence[str]
    ) -> None:
        """*outside* are the lines that both have before and after these."""
        self._measured, self._current = measured, current
        self._old = [_bare(line) for line in measured]
        self._new = [_bare(line) for line in current]
        self.places = array("i", [GONE]) * len(measured)
        #: Which lines of the current text have been found to be measured ones.
        self._taken = bytearray(len(current))
        self._effort = _EFFORT * (len(measured) + len(current))
        self._align(_Ranges(0, len(measured), 0, len(current)))
        self._look_into_gaps()
        if self._moved(outside):
            # What moved may have been edited too.
            self._look_into_gaps()

    def weight_of_placed(self) -> int:
        """Return how much the lines that have a place say."""
        return sum(
            _weight(key) for place, key in zip(self.places, self._old, strict=True) if place != GONE
        )

    def _match(self, old: int, new: int) -> None:
        self.places[old] = new
        self._taken[new] = True

    # What kept its order

    def _align(self, ranges: _Ranges) -> None:
        """Match lines of *ranges* in their order."""
        waiting = [ranges]
        while waiting:
            ranges = waiting.pop()
            old, old_end, new, new_end = ranges
            if old == old_end or new == new_end:
                continue
            self._effort -= old_end - old + new_end - new
            if self._effort < 0:
                return
            anchors = self._anchors(ranges)
            if not anchors:
                left = self._trimmed(ranges, self._measured, self._current)
                if left == ranges:
                    self._align_without_anchors(ranges)
                elif left is not None:
                    waiting.append(left)
                continue
            for anchor in anchors:
                self._match(*anchor)
                waiting.append(_Ranges(old, anchor[0], new, anchor[1]))
                old, new = anchor[0] + 1, anchor[1] + 1
            waiting.append(_Ranges(old, old_end, new, new_end))

    def _trimmed(
        self, ranges: _Ranges, left: Sequence[str], right: Sequence[str]
    ) -> _Ranges | None:
        """Match what is the same at start and end of *ranges*; return what is left of both."""
        old, old_end, new, new_end = ranges
        while old < old_end and new < new_end and left[old] == right[new]:
            self._match(old, new)
            old, new = old + 1, new + 1
        while old < old_end and new < new_end and left[old_end - 1] == right[new_end - 1]:
            old_end, new_end = old_end - 1, new_end - 1
            self._match(old_end, new_end)
        return _Ranges(old, old_end, new, new_end) if old < old_end and new < new_end else None

    def _anchors(self, ranges: _Ranges) -> list[tuple[int, int]]:
        """Return lines, or starts of several, that both ranges have once, in their order."""
        old, old_end, new, new_end = ranges
        for width in _WINDOWS:
            if width > min(old_end - old, new_end - new):
                break
            there = _once(self._new, new, new_end, width)
            pairs = [
                (place, there[key])
                for key, place in _once(self._old, old, old_end, width).items()
                if key in there
            ]
            # "else:" may well be another one. It only counts where there is nothing better.
            telling = [pair for pair in pairs if len(self._old[pair[0]]) >= _TELLING]
            if pairs:
                return _in_order(telling or pairs)
        return []

    def _align_without_anchors(self, ranges: _Ranges) -> None:
        left = self._trimmed(ranges, self._old, self._new)
        if left is None:
            return
        old, old_end, new, new_end = left
        pairs = (old_end - old) * (new_end - new)
        if pairs > _MOST_PAIRS:
            return
        self._effort -= pairs
        # Blank lines match everywhere: as junk they only extend a match of real lines.
        matcher = SequenceMatcher(
            lambda key: not key, self._old[old:old_end], self._new[new:new_end], autojunk=False
        )
        for block in matcher.get_matching_blocks():
            for offset in range(block.size):
                self._match(old + block.a + offset, new + block.b + offset)

    # What a formatter has done

    def _look_into_gaps(self) -> None:
        for gap in list(self._gaps()):
            self._align(gap)
            self._reformatted(gap)

    def _gaps(self) -> Iterator[_Ranges]:
        """Yield ranges of a few lines without a place, between lines that have one."""
        old = new = 0
        for index, place in enumerate((*self.places, len(self._new))):
            if place == GONE:
                continue
            is_small = old < index and new < place <= new + _MOST_IN_GAP >= new + index - old
            if is_small and not any(self._taken[new:place]):
                yield _Ranges(old, index, new, place)
            old, new = index + 1, place + 1

    def _reformatted(self, ranges: _Ranges) -> None:
        """Match each line with the first of those that it was split into, or the one it is in."""
        old, old_end, new, new_end = ranges
        for index, first, _ in _inside(self._old[old:old_end], self._new[new:new_end]):
            if self._is_free(old + index, new + first):
                self._match(old + index, new + first)
        for index, first, end in _inside(self._new[new:new_end], self._old[old:old_end]):
            for part in range(old + first, old + end):
                if self.places[part] == GONE:
                    self._match(part, new + index)

    # What moved elsewhere

    def _moved(self, outside: Sequence[str]) -> bool:
        """Match lines that vanished at one place and appeared at another, and what goes with them.

        Only lines that each text has once tell where a block went.

        Returns:
            Whether there were any.
        """
        here = _once(self._old, 0, len(self._old), 1)
        there = _once(self._new, 0, len(self._new), 1)
        moved = {
            key: (old, there[key])
            for key, old in here.items()
            if len(self._old[old]) >= _TELLING and key in there and self._is_free(old, there[key])
        }
        if moved:
            for line in outside:
                moved.pop(_bare(line), None)
        if moved:
            self._release({old for key, old in here.items() if key in there})
        for old, new in moved.values():
            if self._is_free(old, new):
                self._match(old, new)
                self._extend(old, new)
        if moved:
            # What was released goes to its neighbours that did not move.
            for old, new in enumerate(self.places):
                if new != GONE:
                    self._extend(old, new)
        return bool(moved)

    def _release(self, unique: Container[int]) -> None:
        """Take their places from common lines that stand alone: they may be what moved.

        That is from lines that go on without one of the *unique* ones, which can be nowhere else.
        """
        run: list[int] = []
        for old in range(len(self._old) + 1):
            place = self.places[old] if old < len(self._old) else GONE
            if run and place != self.places[run[-1]] + 1:
                if not any(line in unique for line in run):
                    for line in run:
                        self._taken[self.places[line]] = False
                        self.places[line] = GONE
                run = []
            if place != GONE and self._old[old] == self._new[place]:
                run.append(old)

    def _is_free(self, old: int, new: int) -> bool:
        return (
            0 <= old < len(self._old)
            and 0 <= new < len(self._new)
            and self.places[old] == GONE
            and not self._taken[new]
        )

    def _extend(self, old: int, new: int) -> None:
        """Match the lines around this match for as long as they are the same."""
        for step in (-1, 1):
            one, other = old + step, new + step
            while self._is_free(one, other) and self._old[one] == self._new[other]:
                self._match(one, other)
                one, other = one + step, other + step


def _once(keys: Sequence[str], start: int, end: int, width: int) -> dict[Hashable, int]:
    """Return what *width* neighbours of ``keys[start:end]`` say, and where, if only there."""
    windows: Iterable[Hashable] = zip(
        *(keys[start + offset : end] for offset in range(width)), strict=False
    )
    if width == 1:
        windows = keys[start:end]
    found: dict[Hashable, int] = {}
    for place, window in enumerate(windows, start):
        found[window] = GONE if window in found else place
    # Blank lines tell nothing.
    found.pop("" if width == 1 else ("",) * width, None)
    return {window: place for window, place in found.items() if place != GONE}


def _in_order(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the most of *pairs*, which are in order on the left, that are so on the right too."""
    # Patience sorting: `tops[n]` ends the best sequence of n + 1 pairs.
    tops: list[int] = []
    piles: list[int] = []
    before: list[int] = []
    for index, (_, right) in enumerate(pairs):
        pile = bisect_left(tops, right)
        tops[pile : pile + 1] = [right]
        piles[pile : pile + 1] = [index]
        before.append(piles[pile - 1] if pile else GONE)
    chosen = []
    index = piles[-1] if piles else GONE
    while index != GONE:
        chosen.append(pairs[index])
        index = before[index]
    return chosen[::-1]


def _inside(wholes: Sequence[str], parts: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Yield which of *wholes* is what neighbouring *parts* are together, and their range."""
    text = ""
    #: Where in the text a part starts and ends, and which it is.
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for index, part in enumerate(parts):
        if not part:
            continue
        if text.endswith(",") and part[0] in ")]}":
            ends[len(text) - 1] = ends.pop(len(text))
            text = text[:-1]
        starts[len(text)] = index
        text += part
        ends[len(text)] = index + 1
    start = 0
    for index, whole in enumerate(wholes):
        found = text.find(whole, start) if len(whole) >= _TELLING else -1
        end = found + len(whole)
        if found in starts and end in ends:
            yield index, starts[found], ends[end]
            start = end
