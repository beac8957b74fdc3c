"""Finding our markers in source text as it is typed, with the place of each argument.

Reads tokens, not a syntax tree: a call that is half typed, or an error elsewhere in the file, hides
nothing. Places are offsets in the text, in characters.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any, Literal, NamedTuple

from memlens.markers import SIGNATURES, UNKNOWN, meant_marker
from memlens_lsp.logical_lines import LogicalLine, logical_lines

#: Where a marker stands: over a function or class, in ``pytestmark``, or anywhere else.
Place = Literal["decorator", "pytestmark", "elsewhere"]

#: A value longer than this is no size and no number that anybody would write.
_LONGEST_LITERAL = 1000


class Span(NamedTuple):
    """A part of the text, from `start` up to but without `end`."""

    start: int
    end: int


class Owner(NamedTuple):
    """What a marker is about."""

    #: As in node ids after the file: ``TestCart::test_total``, ``TestCart``, "" for the module.
    id: str
    is_class: bool
    #: Of its ``def`` or ``class``, counted from 1; 0 for the module.
    line: int

    @property
    def name(self) -> str:
        """Of the function or class."""
        return self.id.rpartition("::")[2]


class Given(NamedTuple):
    """An argument as it is written."""

    #: None for one by position.
    keyword: str | None
    keyword_span: Span | None
    #: All of it, with its keyword, but without the comma and space around it.
    span: Span
    #: Its value only. Empty if that is still to be typed.
    value_span: Span
    #: What a literal stands for; `UNKNOWN` for everything else.
    value: Any
    #: It is ``*args`` or ``**kwargs``.
    starred: bool
    #: Its value is a name.
    is_name: bool


@dataclass(frozen=True)
class Marker:
    """One use of a marker of ours, or of one that is meant to be ours."""

    #: As written.
    name: str
    name_span: Span
    #: From ``pytest.mark`` to the end of the call, if it is called.
    span: Span
    place: Place
    #: None if that is not known, or still to be typed.
    owner: Owner | None
    #: The offset where the module's own statement begins that it is part of.
    top: int
    #: The offset after the opening bracket; None if it is not called.
    opened: int | None = None
    #: The offset of the closing bracket; None if there is none yet.
    closed: int | None = None
    arguments: Sequence[Given] = ()
    #: Whether there can be no more arguments than these.
    complete: bool = False

    @property
    def meant(self) -> str:
        """The name of the marker of ours that it is or is meant to be."""
        return _meant(self.name) or self.name

    @property
    def positional(self) -> list[Given]:
        """The arguments by position."""
        return [given for given in self.arguments if given.keyword is None and not given.starred]

    def argument(self, keyword: str) -> Given | None:
        """Return the argument called *keyword*, also if it is given by position, or None."""
        required = SIGNATURES[self.meant].required
        if required is not None and keyword == required.name and self.positional:
            return self.positional[0]
        return next((given for given in self.arguments if given.keyword == keyword), None)

    @property
    def limit(self) -> Given | None:
        """The argument that is its limit."""
        required = SIGNATURES[self.meant].required
        return None if required is None else self.argument(required.name)

    @property
    def args(self) -> list[Any]:
        """The values of the arguments by position."""
        return [given.value for given in self.positional]

    @property
    def kwargs(self) -> Mapping[str, Any]:
        """The values of the arguments by keyword."""
        return {given.keyword: given.value for given in self.arguments if given.keyword is not None}


# A file has the same few names, such as "parametrize", again and again.
_meant = lru_cache(maxsize=512)(meant_marker)


@lru_cache(maxsize=8)
def find_markers(text: str) -> tuple[Marker, ...]:
    """Return the uses of our markers in *text*, in its order.

    Those of ``pytest.mark``, whatever pytest and mark are imported as, outside strings and
    comments. Names that are ours but for a slip of the finger count as ours.
    """
    names = _mark_names(text)
    return tuple(_markers(text, names)) if names else ()


# "pytest as pt", "from pytest import mark as m".
_IMPORT = re.compile(
    r"pytest[ \t]+(?:as[ \t]+(?P<module>\w+)|import[ \t]+(?P<names>\([^)]*|[^\r\n]*))"
)
_IMPORTED_MARK = re.compile(r"\bmark\b(?:\s+as\s+(\w+))?")


def mark_expressions(text: str) -> str:
    """Return a regular expression for what `pytest.mark` is called in *text*."""
    modules = {"pytest"}
    marks = set()
    for found in _IMPORT.finditer(text):
        if found["module"]:
            modules.add(found["module"])
        elif name := _IMPORTED_MARK.search(found["names"]):
            marks.add(name[1] or "mark")
    attributes = (rf"{module}[ \t]*\.[ \t]*mark" for module in sorted(modules))
    return "|".join((*attributes, *sorted(marks)))


class _Name(NamedTuple):
    start: int
    name: Span


def _mark_names(text: str) -> list[_Name]:
    """Return where names of our markers are, be it in strings."""
    if "limit" not in text and "mark" not in text:
        return []
    found = []
    for use in re.finditer(rf"(?:{mark_expressions(text)})[ \t]*\.[ \t]*(\w+)", text):
        before = text[use.start() - 1 : use.start()]
        if before.isalnum() or before in ("_", "."):  # `my.pytest.mark`, `bookmark`
            continue
        if use[1] in SIGNATURES or _meant(use[1]) is not None:
            found.append(_Name(use.start(), Span(*use.span(1))))
    return found


# Python's rules (https://docs.python.org/3/reference/lexical_analysis.html), but what a string
# lacks at its end is still to come: one in single quotes then ends with its line.
_STRING = r"""
    \"\"\"(?:[^\\"]+|\\.|\"(?!\"\"))*(?P<end1>\"\"\")?
  | '''(?:[^\\']+|\\.|'(?!''))*(?P<end2>''')?
  | \"(?:[^"\\\r\n]+|\\(?:\r\n|.))*(?P<end3>\")?
  | '(?:[^'\\\r\n]+|\\(?:\r\n|.))*(?P<end4>')?
"""
_STRING_ENDS = ("end1", "end2", "end3", "end4")
_HEAD = re.compile(
    r"(?P<decorator>@)"
    r"|(?P<pytestmark>pytestmark)[ \t]*(?::[^=\r\n]*)?\+?=(?!=)"
    r"|(?P<kind>class|(?:async[ \t]+)?def)[ \t]+(?P<name>\w+)"
    # What goes on with the statement before it.
    r"|(?P<branch>(?:elif|else|except|finally)\b)"
)


class Definition(NamedTuple):
    """A function or class."""

    owner: Owner
    #: Where its first decorator is, or itself without one.
    start: int
    #: Where its ``def`` or ``class`` is, and the end of its head.
    head: int
    end: int
    #: The offset where the module's own statement begins that it is part of.
    top: int


class Statements(NamedTuple):
    """What a text consists of, as far as markers have to do with it."""

    #: In the order of the text.
    lines: Sequence[LogicalLine]
    #: For each line what a marker in it is about: None if nobody knows.
    owners: Sequence[Owner | None]
    #: For each line the offset where the module's own statement begins that it is part of.
    tops: Sequence[int]
    definitions: Sequence[Definition]
    #: By the line of their ``def`` or ``class``, counted from 1.
    by_line: Mapping[int, Definition]


@lru_cache(maxsize=4)
def statements(text: str) -> Statements:
    """Return the statements of *text*."""
    lines = _without_mark(text, logical_lines(text))
    owners: list[Owner | None] = []
    tops: list[int] = []
    definitions: list[Definition] = []
    #: Definitions around the present line, the outermost first, with their indentation.
    around: list[tuple[int, Owner]] = []
    #: Decorators whose definition is still to come.
    waiting: list[int] = []
    for index, line in enumerate(lines):
        head = _HEAD.match(text, line.start)
        kind = head.lastgroup if head else None
        while around and around[-1][0] >= line.indent:
            around.pop()
        goes_on = line.indent or kind == "branch" or waiting
        tops.append(tops[-1] if goes_on and tops else line.start)
        owners.append(None)
        if kind == "decorator":
            waiting.append(index)
            continue
        if head is not None and kind == "name":
            inside = around[-1][1].id if around else ""
            name = f"{inside}::{head['name']}" if inside else head["name"]
            owner = Owner(name, head["kind"] == "class", line.first)
            around.append((line.indent, owner))
            for decorator in waiting:
                owners[decorator] = owner
            start = lines[waiting[0]].start if waiting else line.start
            definitions.append(Definition(owner, start, line.start, line.end, tops[-1]))
        elif waiting and line.indent > lines[waiting[0]].indent:
            continue  # arguments of a decorator whose brackets are not closed yet
        elif kind == "pytestmark":
            owners[index] = around[-1][1] if around else Owner("", is_class=False, line=0)
        waiting.clear()
    by_line = {definition.owner.line: definition for definition in definitions}
    return Statements(lines, owners, tops, definitions, by_line)


def _without_mark(text: str, lines: Sequence[LogicalLine]) -> Sequence[LogicalLine]:
    """Return *lines* without a byte order mark."""
    if lines and text.startswith("\ufeff", lines[0].start):
        return [lines[0]._replace(start=lines[0].start + 1), *lines[1:]]
    return lines


def _markers(text: str, names: Sequence[_Name]) -> Iterator[Marker]:
    known = statements(text)
    starts = [line.start for line in known.lines]
    for index, in_line in groupby(names, lambda name: bisect_right(starts, name.start) - 1):
        if index < 0:
            continue
        line = known.lines[index]
        owner = known.owners[index]
        head = _HEAD.match(text, line.start)
        kind = head.lastgroup if head else None
        for name, depth in _in_code(text, line, in_line):
            place: Place = "elsewhere"
            if kind == "decorator" and not depth:
                place = "decorator"
            elif kind == "pytestmark" and owner and (owner.is_class or not owner.line):
                place = "pytestmark"
            about = None if place == "elsewhere" else owner
            yield _read(text, name, place, about, known.tops[index])


_NESTING = re.compile(
    rf"""[^#"'()\[\]{{}}\\]*
    (?:(?P<hidden>\#[^\r\n]*|{_STRING})|(?P<open>[(\[{{])|(?P<close>[)\]}}])|\\.?|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)


def _in_code(text: str, line: LogicalLine, names: Iterable[_Name]) -> Iterator[tuple[_Name, int]]:
    """Yield those of *names* in *line* that are in no string or comment.

    With how many brackets are open there.
    """
    coming = iter(names)
    name = next(coming, None)
    depth = 0
    for token in _NESTING.finditer(text, line.start):
        code_end = token.start("hidden") if token["hidden"] else token.end()
        while name is not None and name.start < code_end:
            if name.start < line.end:
                yield name, depth
            name = next(coming, None)
        while name is not None and name.start < token.end():
            name = next(coming, None)
        if name is None:
            return
        depth += bool(token["open"])
        depth -= bool(token["close"] and depth)


def is_code(text: str, offset: int) -> bool:
    """Return whether *offset* in *text* is in no string and no comment."""
    lines = statements(text).lines
    index = bisect_right(lines, offset - 1, key=lambda line: line.start) - 1
    if index < 0 or offset > lines[index].end:
        return False
    here = _Name(offset - 1, Span(offset - 1, offset))
    return any(True for _ in _in_code(text, lines[index], [here]))


# No expression has these words, or begins so: the call before it is not yet typed.
_RESTART = re.compile(r"[ \t\f]*(?:@[\w.]|(?:async[ \t]+)?def[ \t]+\w|class[ \t]+\w)")
_SPACE = re.compile(r"[ \t\f]*")


def _read(text: str, name: _Name, place: Place, owner: Owner | None, top: int) -> Marker:
    marker = Marker(
        name=text[slice(*name.name)],
        name_span=name.name,
        span=Span(name.start, name.name.end),
        place=place,
        owner=owner,
        top=top,
    )
    after = _after_space(text, name.name.end)
    if text[after : after + 1] != "(":
        # A marker may be called later, elsewhere, if it is given a name.
        bare = place != "elsewhere" and text[after : after + 1] != "."
        return replace(marker, complete=bare)
    call = _Call(text, after)
    end = call.end if call.closed is None else call.closed + 1
    again = _after_space(text, end)
    return replace(
        marker,
        span=Span(name.start, end),
        opened=after + 1,
        closed=call.closed,
        arguments=call.arguments,
        complete=call.closed is not None
        and text[again : again + 1] not in ("(", ".")
        and not any(given.starred for given in call.arguments)
        and not (place == "elsewhere" and _has_name(text, name.start)),
    )


def _has_name(text: str, start: int) -> bool:
    """Return whether what starts at *start* is all that is assigned to a variable."""
    before = text[max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1 : start]
    return before.rstrip().endswith("=") and "(" not in before


def _after_space(text: str, start: int) -> int:
    space = _SPACE.match(text, start)
    return space.end() if space else start


_ARGUMENT_TOKEN = re.compile(
    rf"""
    (?P<space>[ \t\f]+)
  | (?P<newline>\r\n|\n|\r)
  | (?P<comment>\#[^\r\n]*)
  | (?P<string>{_STRING})
  | (?P<open>[(\[{{])
  | (?P<close>[)\]}}])
  | (?P<comma>,)
  | (?P<colon>:)
  | (?P<word>\w+)
  | (?P<other>\\(?:\r\n|.)?|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_KEYWORD = re.compile(r"(\w+)\s*=(?!=)\s*")


class _Call:
    """The arguments of a call, as far as it is typed."""

    def __init__(self, text: str, bracket: int) -> None:
        """Read from the opening *bracket*."""
        self._text = text
        self.arguments: list[Given] = []
        #: The offset of the closing bracket, None if there is none.
        self.closed: int | None = None
        #: Where reading ended.
        self.end = bracket + 1
        #: Where the present argument starts and ends, without space and comments around it.
        self._start: int | None = None
        self._stop = self.end
        #: Whether it has a string without an end.
        self._torn = False
        self._read()

    def _read(self) -> None:
        text = self._text
        margin = _margin(text, self.end)
        depth = lambdas = 0
        for token in _ARGUMENT_TOKEN.finditer(text, self.end):
            kind = token.lastgroup
            self.end = token.end()
            if kind in ("space", "comment"):
                continue
            if kind == "newline":
                if self._is_torn_off(token.end(), margin, depth):
                    break
                continue
            if kind == "close" and not depth:
                self.closed = token.start()
                break
            if kind == "comma" and not depth and not lambdas:
                self._take()
                continue
            if kind in ("open", "close"):
                depth += 1 if kind == "open" else -1
            elif kind == "word" and token[0] == "lambda" and not depth:
                lambdas += 1  # its parameters have commas of their own
            elif kind == "colon" and not depth:
                lambdas = max(lambdas - 1, 0)
            elif kind == "string":
                self._torn |= not any(token[end] for end in _STRING_ENDS)
            if self._start is None:
                self._start = token.start()
            self._stop = token.end()
        self._take()
        if self.closed is None:
            self.end = self._stop

    def _is_torn_off(self, start: int, margin: int, depth: int) -> bool:
        """Return whether what begins at the line that starts at *start* is no longer the call."""
        if _RESTART.match(self._text, start):
            return True
        line = _SPACE.match(self._text, start)
        indent = line.end() if line else start
        following = self._text[indent : indent + 1]
        # Code as far left as the statement: legal inside brackets, and never written.
        return (
            not depth
            and (following.isalpha() or following == "_")
            and len(self._text[start:indent].expandtabs()) <= margin
        )

    def _take(self) -> None:
        """Take the argument that has been read, if there is any."""
        if self._start is not None:
            self.arguments.append(_given(self._text, Span(self._start, self._stop), self._torn))
        self._start = None
        self._torn = False


def _margin(text: str, offset: int) -> int:
    """Return the indentation of the line that *offset* is on."""
    start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    line = _SPACE.match(text, start)
    return len(line[0].expandtabs()) if line else 0


def _given(text: str, span: Span, torn: bool) -> Given:
    keyword = _KEYWORD.match(text, span.start, span.end)
    value_span = Span(keyword.end() if keyword else span.start, span.end)
    written = text[slice(*value_span)]
    return Given(
        keyword=keyword[1] if keyword else None,
        keyword_span=Span(*keyword.span(1)) if keyword else None,
        span=span,
        value_span=value_span,
        value=UNKNOWN if torn else _literal(written),
        starred=keyword is None and written.startswith("*"),
        is_name=written.isidentifier(),
    )


# The same few limits stand in a file again and again.
@lru_cache(maxsize=512)
def _literal(written: str) -> Any:
    """Return what the literal *written* stands for; `UNKNOWN` if it is none."""
    if not written or len(written) > _LONGEST_LITERAL:
        return UNKNOWN
    try:
        return ast.literal_eval(f"({written}\n)")
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return UNKNOWN
