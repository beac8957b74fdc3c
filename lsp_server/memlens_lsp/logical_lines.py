"""The logical lines of Python source text, also of text that does not parse.

A logical line is a statement, or the head of a compound one, whatever lines of text it takes
(https://docs.python.org/3/reference/lexical_analysis.html#logical-lines). `ast.parse` knows them
only in text without a mistake, and nothing else happens in the process meanwhile: most of a second
for 20,000 lines. This takes steps so small that other threads have their turn.
"""

from __future__ import annotations

import keyword
import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple


class LogicalLine(NamedTuple):
    """A statement, or the head of a compound one, without the space and comments around it."""

    #: In the text, in characters.
    start: int
    end: int
    #: Lines of the text, counted from 1, both included.
    first: int
    last: int
    #: The columns before it. Tab stops are every 8, as Python has them.
    indent: int


class _String(NamedTuple):
    """A string in triple quotes. Places are in the text, in characters."""

    start: int
    end: int
    #: Of the logical line that it is in.
    indent: int
    is_closed: bool


class _Reading(NamedTuple):
    """What is where in a text."""

    lines: list[LogicalLine]
    strings: list[_String]


# Tests and markers are found in the same text.
@lru_cache(maxsize=4)
def logical_lines(text: str) -> Sequence[LogicalLine]:
    """Return the logical lines of *text*, blank lines left out. Never raises.

    In a text with mistakes, a bracket that is not closed ends before the next definition, a string
    with its line; and of triple quotes it is found out which make strings of code.
    """
    reading = _read(text)
    if any(_is_suspect(text, string) for string in reading.strings):
        reading = _mended(text, reading)
    return reading.lines


_NEWLINE = r"(?:\r\n|\n|\r)"
_NEWLINES = re.compile(_NEWLINE)
_INDENT = re.compile(r"[ \t\f]*")
_PLAIN = r"""[^"'#()\[\]{}\\\r\n]*"""
#: A string without anything special. Not the first two of three quotes.
_SIMPLE = r"""(?:"[^"\\\r\n]*"(?!")|'[^'\\\r\n]*'(?!'))"""
#: Brackets without brackets inside, on one line.
_FLAT = rf"[(\[{{]{_PLAIN}(?:{_SIMPLE}{_PLAIN})*[)\]}}]"
#: Up to the next character that has to be looked at, and what that begins. After it every pattern
#: finds one, so that there is nothing to go back for and try again.
_STEP = re.compile(
    rf"""{_PLAIN}(?:(?:{_SIMPLE}|{_FLAT}){_PLAIN})*(?:"""
    r"""(?P<triple>\"{3}|'{3})"""
    rf"""|(?P<string>"[^"\\\r\n]*(?:\\(?:{_NEWLINE}|.)[^"\\\r\n]*)*"?"""
    rf"""|'[^'\\\r\n]*(?:\\(?:{_NEWLINE}|.)[^'\\\r\n]*)*'?)"""
    r"""|(?P<comment>\#[^\r\n]*)"""
    r"""|(?P<open>[(\[{])"""
    r"""|(?P<close>[)\]}])"""
    rf"""|(?P<joined>\\{_NEWLINE})"""
    rf"""|(?P<newline>{_NEWLINE})"""
    r"""|(?P<other>\\)"""
    r"""|\Z)"""
)
_CODE = frozenset(("open", "close", "string", "other"))
_STRING_END = {
    '"""': re.compile(r'[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""', re.DOTALL),
    "'''": re.compile(r"[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''", re.DOTALL),
}
_LINE_REST = re.compile(r"[^\r\n]*")
#: No expression has these words, so a line that begins with them is inside no bracket.
_DEFINITION = re.compile(r"[ \t\f]*(?:async[ \t]+def|def|class)\b")


def _read(text: str, ignored: int = -1) -> _Reading:
    """Return what is where in *text*, if the line ended before the triple quotes at *ignored*."""
    reader = _Reader(text, ignored)
    lines = []
    starts = [0, *(newline.end() for newline in _NEWLINES.finditer(text))]
    while reader.position < len(text):
        before = reader.position
        start, end = reader.statement()
        if end > start:
            first, last = bisect_right(starts, start), bisect_right(starts, end - 1)
            lines.append(LogicalLine(start, end, first, last, _columns(text[before:start])))
    return _Reading(lines, reader.strings)


class _Reader:
    """Goes through a text, from one end of a logical line to the next."""

    def __init__(self, text: str, ignored: int) -> None:
        self._text = text
        self._ignored = ignored
        #: Up to here the text has been read.
        self.position = 0
        self.strings: list[_String] = []
        #: Up to here every line of text is one of its own: there is a bracket that nothing closes.
        self._broken_until = 0

    def statement(self) -> tuple[int, int]:
        """Read the logical line at `position`; return where it begins and where its code ends."""
        text, begin = self._text, self.position
        start = end = self.position = _after(_INDENT, text, begin)
        depth = 0
        #: What ended first inside brackets: the end of its code, and the start of the next line.
        inside: tuple[int, int] | None = None
        while True:
            here = self.position
            found = _STEP.match(text, here)
            assert found is not None
            self.position = found.end()
            kind = found.lastgroup
            if kind == "triple":
                end = self._string(found["triple"], begin, start) or end
            elif kind in _CODE:
                end = self.position
                if kind == "open":
                    depth += 1
                elif kind == "close" and depth:
                    depth -= 1
                    inside = inside if depth else None
            else:
                code = text[here : found.start(kind) if kind else self.position].rstrip()
                end = here + len(code) if code else end
                if kind == "newline":
                    if not depth or self.position <= self._broken_until:
                        return start, end
                    inside = inside or (end, self.position)
                if kind and not self._is_lost(kind, start, end):
                    continue
                # The text ends, or a definition begins where none can be.
                if inside:
                    self._broken_until = self.position
                    end, self.position = inside
                return start, end

    def _is_lost(self, kind: str, start: int, end: int) -> bool:
        """Return whether a logical line cannot go on after a *kind* of token, as it seems to."""
        if kind == "comment" or not _DEFINITION.match(self._text, self.position):
            # A backslash with nothing before it joins nothing.
            return kind == "joined" and start == end
        return self._text[start:end] != "async"

    def _string(self, quotes: str, begin: int, start: int) -> int:
        """Read a string to its end, in the logical line from *begin*; return where its code ends.

        That is 0 if its quotes are to be ignored.
        """
        opening = self.position - len(quotes)
        if opening == self._ignored:
            self.position = _after(_LINE_REST, self._text, self.position)
            return 0
        closed = _STRING_END[quotes].match(self._text, self.position)
        self.position = closed.end() if closed else len(self._text)
        indent = _columns(self._text[begin:start])
        self.strings.append(_String(opening, self.position, indent, closed is not None))
        return self.position


def _after(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def _columns(space: str) -> int:
    # A form feed begins a line anew
    # (https://docs.python.org/3/reference/lexical_analysis.html#indentation).
    return len(space.rpartition("\f")[2].expandtabs(8))


# Triple quotes where none should be

#: How many lines that are no Python are looked at for where the quotes were typed.
_MOST_SUSPECTS = 2
_DEFINITIONS = re.compile(r"^([ \t]*)(?:async[ \t]+def|def|class)[ \t]+\w", re.MULTILINE)
_WORDS = re.compile(r"\b([^\W\d]\w*)[ \t]+([^\W\d]\w*)\b")
_KEYWORDS = frozenset((*keyword.kwlist, *keyword.softkwlist))
#: Strings, whole or cut, and comments.
_NO_CODE = re.compile(
    r"""(?P<quotes>\"{3}|'{3})(?:[^\\]|\\.)*?(?:(?P=quotes)|\Z)"""
    r"""|"[^"\\\r\n]*(?:\\.[^"\\\r\n]*)*"?|'[^'\\\r\n]*(?:\\.[^'\\\r\n]*)*'?"""
    r"""|\#[^\r\n]*""",
    re.DOTALL,
)


def _mended(text: str, reading: _Reading) -> _Reading:
    """Return the likeliest reading of *text*, whose strings have definitions in them, or no end.

    Perhaps someone has typed triple quotes, or deleted some. From there on code and strings are the
    wrong way round, and what was prose looks like code: its words follow each other without
    anything between, as words in Python never do.
    """
    suspects = []
    prose = [line for line in reading.lines if _is_prose(text, line)][:_MOST_SUSPECTS]
    for line in prose:
        # The quotes before it were typed, or what opened this string was deleted.
        before = [string.start for string in reading.strings if string.start < line.start]
        after = [string.start for string in reading.strings if string.start >= line.start]
        suspects += [*before[-1:], *after[:1]]
    last = reading.strings[-1]
    if not last.is_closed and _hidden(text, last):
        suspects.append(last.start)
    # Of two that are as likely, what leaves more of the text as it was.
    for suspect in sorted(set(suspects), reverse=True):
        reading = min(reading, _read(text, suspect), key=lambda other: _oddity(text, other))
    return reading


def _oddity(text: str, reading: _Reading) -> int:
    strings = sum(_hidden(text, string) + (not string.is_closed) for string in reading.strings)
    return strings + sum(_is_prose(text, line) for line in reading.lines)


def _is_prose(text: str, line: LogicalLine) -> bool:
    code = _NO_CODE.sub('""', text[line.start : line.end])
    return any(_KEYWORDS.isdisjoint(words) for words in _WORDS.findall(code))


def _is_suspect(text: str, string: _String) -> bool:
    inside = text[string.start : string.end]
    return not string.is_closed or _DEFINITIONS.search(inside) is not None


def _hidden(text: str, string: _String) -> int:
    """Return how many definitions *string* hides. Code that is meant as text is further in."""
    inside = text[string.start : string.end]
    return sum(_columns(space) <= string.indent for space in _DEFINITIONS.findall(inside))
