"""Finding tests in source text, as pytest would collect them, without running anything.

Also in text that does not parse, so that tests stay known while someone types. Tests that only
exist once code has run (imported, generated, assigned) are not found: results tell of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import PurePath
from typing import Literal, NamedTuple

from memlens_lsp.logical_lines import LogicalLine, logical_lines
from memlens_lsp.remembering import remembered


class CollectionRules(NamedTuple):
    """pytest's settings that say what a test is. The defaults are pytest's.

    https://docs.pytest.org/en/stable/reference/reference.html#confval-python_files
    """

    python_files: tuple[str, ...] = ("test_*.py", "*_test.py")
    python_classes: tuple[str, ...] = ("Test",)
    python_functions: tuple[str, ...] = ("test",)


_DEFAULT_RULES = CollectionRules()


class TestInSource(NamedTuple):
    """A test function or method. Lines count from 1."""

    #: The part of its node id after the file, without parameters: ``TestCart::test_total``.
    id: str
    #: Of its ``def``.
    line: int
    #: Of its first decorator, else of its ``def``.
    first_line: int
    #: Of its body.
    last_line: int

    @property
    def name(self) -> str:
        """The function's name."""
        return self.id.rpartition("::")[2]


#: pytest takes what is called Test… for a test class; this is none.
TestInSource.__test__ = False  # type: ignore[attr-defined]


class ClassInSource(NamedTuple):
    """A class that pytest collects tests from. As `TestInSource`."""

    id: str
    line: int
    first_line: int
    last_line: int

    @property
    def name(self) -> str:
        """The class's name."""
        return self.id.rpartition("::")[2]


class Found(NamedTuple):
    """What pytest would collect from a text, in order of lines."""

    tests: Sequence[TestInSource]
    classes: Sequence[ClassInSource]


def is_test_file(path: PurePath, rules: CollectionRules = _DEFAULT_RULES) -> bool:
    """Return whether pytest looks for tests in the file *path* without being told to."""
    if path.suffix != ".py":
        return False
    # A pattern with a folder is about the end of the whole path.
    return any(
        fnmatchcase(str(path), pattern if pattern.startswith("/") else f"*/{pattern}")
        if "/" in pattern
        else fnmatchcase(path.name, pattern)
        for pattern in rules.python_files
    )


def id_in_file(nodeid: str) -> str:
    """Return the part of *nodeid* after the file, without parameters.

    >>> id_in_file("tests/test_shop.py::TestCart::test_total[a::b]")
    'TestCart::test_total'
    """
    return nodeid.partition("::")[2].partition("[")[0]


def find_tests(text: str, rules: CollectionRules = _DEFAULT_RULES) -> Sequence[TestInSource]:
    """Return the tests in *text*, in order of their lines. See `find`."""
    return find(text, rules).tests


@remembered
def find(text: str, rules: CollectionRules = _DEFAULT_RULES) -> Found:
    """Return the tests in *text*, and the classes that they are in. Never raises.

    A test that several classes of the text inherit is there for each of them, at its ``def``. So is
    one that is defined again under other conditions (``if``, ``try``), at each ``def``.
    """
    collector = _Collector(_module(text), rules)
    tests = sorted(set(islice(collector.tests(), _MOST_TESTS)), key=lambda test: (test.line, test))
    classes = sorted(collector.classes(), key=lambda found: found.line)
    return Found(tests, classes)


@remembered
def definitions(text: str) -> Mapping[str, Sequence[TestInSource]]:
    """Return all functions, methods and classes in *text*, whatever they are called, by id.

    With the tests that a class inherits from others of *text*. Of definitions with the same id
    Python keeps the last.
    """
    found: dict[str, list[TestInSource]] = {}

    def add(inside: Sequence[_Definition], around: tuple[str, ...]) -> None:
        for definition in inside:
            if definition.kind != "gone":
                path = (*around, definition.name)
                place = _test(definition, path)
                found.setdefault(place.id, []).append(place)
                if len(path) < _DEEPEST:
                    add(definition.body, path)

    add(_module(text).body, ())
    for test in find_tests(text):
        found.setdefault(test.id, [test])
    return found


#: Classes inherit and nest: a few lines could have more tests than there is memory.
_MOST_TESTS = 20_000
#: Classes in classes. Python itself stops at 100 indented blocks.
_DEEPEST = 100


# What is in the text


@dataclass
class _Definition:
    """A ``def``, a ``class`` or a name that is taken away: what pytest looks at to tell tests."""

    name: str
    kind: Literal["def", "class", "gone"]
    line: int
    first_line: int
    last_line: int
    #: The columns before it.
    indent: int
    #: The last names of a class's bases and metaclass: ``TestCase`` for ``unittest.TestCase``.
    bases: tuple[str, ...] = ()
    #: The last names of what decorates it.
    decorators: tuple[str, ...] = ()
    #: It may be that it is not run: it is in the block of an ``if``, a ``try``, …
    conditional: bool = False
    #: Of a module and of classes only: no test is in a function.
    body: list[_Definition] = field(default_factory=list)
    #: The columns before its body; None before it begins.
    body_indent: int | None = None
    #: What ``__test__`` is set to.
    flag: bool | None = None
    #: Of a module: what names that it imports are really called.
    aliases: dict[str, str] = field(default_factory=dict)


_SPACE = r"(?:[ \t\f]|\\(?:\r\n|\n|\r))"
_HEAD = re.compile(
    r"(?P<decorator>@)"
    rf"|(?:async{_SPACE}+)?def{_SPACE}+(?P<function>\w+)"
    rf"|class{_SPACE}+(?P<class>\w+)"
    r"|(?P<import>(?:from|import)\b)"
    # Blocks that pytest does not run.
    rf"|(?P<skipped>if{_SPACE}+(?:__name__{_SPACE}*==|(?:\w+\.)*TYPE_CHECKING{_SPACE}*:))"
    rf"|(?:(?P<flagged>\w+){_SPACE}*\.{_SPACE}*)?__test__{_SPACE}*(?::[^=]*)?={_SPACE}*"
    r"(?P<flag>True|False)\b"
    rf"|(?P<gone>\w+){_SPACE}*={_SPACE}*None{_SPACE}*(?:;|\r|\n|\#|\Z)"
    rf"|del{_SPACE}+(?P<deleted>\w+)"
)
_DEFINITION = re.compile(r"@|(?:async[ \t]+)?def\b|class\b")
_ALIAS = re.compile(rf"(\w+){_SPACE}+as{_SPACE}+(\w+)")
_DECORATOR = re.compile(rf"@{_SPACE}*\(*{_SPACE}*(?:\w+{_SPACE}*\.{_SPACE}*)*(?P<name>\w+)")


@remembered
def _module(text: str) -> _Definition:
    return _Reader(text).module


class _Reader:
    """Reads a text, line by line, into definitions."""

    def __init__(self, text: str) -> None:
        self._text = text = text.removeprefix("\ufeff")
        self.module = _Definition("", "class", 0, 0, 0, indent=-1)
        #: Around the present line, the outermost first.
        self._around = [self.module]
        #: Those that ended since the last one began, the outermost first.
        self._ended: list[_Definition] = []
        self._decorators: list[LogicalLine] = []
        #: What stands between them and what they decorate.
        self._stray: LogicalLine | None = None
        #: Lines further in than this many columns are not run.
        self._skipped: int | None = None
        previous: LogicalLine | None = None
        for line in logical_lines(text):
            self._enter_or_leave(line, previous)
            self._read(line)
            previous = line
        if previous:
            self._leave(-1, previous)

    def _enter_or_leave(self, line: LogicalLine, previous: LogicalLine | None) -> None:
        """Find out which definitions *line* is in."""
        if previous is None:
            return
        if line.indent <= previous.indent:
            self._leave(line.indent, previous)
        elif self._text[previous.end - 1] != ":" and _DEFINITION.match(self._text, line.start):
            # Nothing opened a block: the line before is still being typed, and ended none.
            self._around += [ended for ended in self._ended if ended.indent < line.indent]
            self._ended.clear()

    def _leave(self, indent: int, previous: LogicalLine) -> None:
        left = []
        while self._around[-1].indent >= max(indent, 0):
            definition = self._around.pop()
            definition.last_line = previous.last
            left.append(definition)
        self._ended[:0] = reversed(left)

    def _read(self, line: LogicalLine) -> None:
        owner = self._around[-1]
        if owner.body_indent is None:
            owner.body_indent = line.indent
        if owner.kind != "class":
            return
        if self._skipped is not None:
            if line.indent > self._skipped:
                return
            self._skipped = None
        head = _HEAD.match(self._text, line.start, line.end)
        kind = head.lastgroup if head else None
        if self._decorators and kind not in ("decorator", "function", "class"):
            self._part_from_decorators(line)
        if head is None or kind is None:
            return
        if kind == "decorator":
            self._decorators.append(line)
        elif kind in ("function", "class"):
            self._define(owner, line, head)
        elif kind == "import":
            imported = self._text[line.start : line.end]
            self.module.aliases.update((new, old) for old, new in _ALIAS.findall(imported))
        elif kind == "skipped":
            self._skipped = line.indent
        elif kind == "flag":
            self._flag(owner, head)
        else:
            gone = _Definition(head[kind], "gone", line.first, line.first, line.last, 0)
            gone.conditional = line.indent != owner.body_indent
            owner.body.append(gone)

    def _define(self, owner: _Definition, line: LogicalLine, head: re.Match[str]) -> None:
        name = head["class"] or head["function"]
        decorators = self._take_decorators(line)
        definition = _Definition(
            # As Python does (https://docs.python.org/3/reference/lexical_analysis.html#identifiers).
            name if name.isascii() else unicodedata.normalize("NFKC", name),
            "class" if head["class"] else "def",
            line.first,
            decorators[0].first if decorators else line.first,
            line.last,
            line.indent,
            bases=_bases(self._text[head.end() : line.end]) if head["class"] else (),
            decorators=tuple(
                found["name"]
                for decorator in decorators
                if (found := _DECORATOR.match(self._text, decorator.start))
            ),
            conditional=line.indent != owner.body_indent,
        )
        owner.body.append(definition)
        self._around.append(definition)
        self._ended.clear()

    def _take_decorators(self, line: LogicalLine) -> Sequence[LogicalLine]:
        """Return the decorators over *line*, and forget them."""
        decorators = [one for one in self._decorators if one.indent == line.indent]
        stray = self._stray
        self._decorators.clear()
        self._stray = None
        # A line that is being typed in between does not part them.
        if (
            decorators
            and stray
            and (decorators[-1].last, line.first)
            != (
                stray.first - 1,
                stray.last + 1,
            )
        ):
            return ()
        return decorators

    def _part_from_decorators(self, line: LogicalLine) -> None:
        # Lines further in may be arguments of a decorator whose brackets are not closed.
        if line.indent > self._decorators[-1].indent or self._text[line.start] in ")]}":
            return
        if self._stray:
            self._decorators.clear()
        self._stray = None if self._stray else line

    @staticmethod
    def _flag(owner: _Definition, head: re.Match[str]) -> None:
        value = head["flag"] == "True"
        if head["flagged"] is None:
            owner.flag = value
        for definition in owner.body:
            if definition.name == head["flagged"]:
                definition.flag = value


_TOKEN = re.compile(
    r"""(?P<name>\w+)|(?P<string>"[^"]*"|'[^']*'|\#[^\r\n]*)|(?P<mark>[()\[\]{},=])"""
)


def _bases(head: str) -> tuple[str, ...]:
    """Return the last name of each base, and of the metaclass, in *head*: what follows a name."""
    found = []
    #: Of open brackets. The bases are inside the first round ones.
    depth = 0
    inside = False
    keyword = last = ""
    for token in _TOKEN.finditer(head):
        if token["name"]:
            last = token["name"] if depth == 1 and inside else last
        elif token["mark"]:
            mark = token["mark"]
            if mark == "=" and depth == 1:
                keyword, last = last, ""
            if depth == 1 and mark in ",)" and inside and last:
                if keyword in ("", "metaclass"):
                    found.append(last)
                keyword = last = ""
            if mark in "([{":
                inside = inside or (mark == "(" and depth == 0)
                depth += 1
            elif mark in ")]}":
                depth -= 1
                if depth == 0 and inside:
                    break
    return tuple(found)


# What pytest makes of it

#: Decorators after which a function is none, or is a fixture.
_NO_FUNCTION = frozenset(
    ("fixture", "yield_fixture", "property", "cached_property", "setter", "deleter")
)
#: Decorators that give a class an ``__init__``: pytest collects no such class.
_WITH_INIT = frozenset(("dataclass", "define", "frozen", "mutable", "attrs", "attributes"))
#: Bases that have an ``__init__`` or ``__new__`` of their own.
_BASES_WITH_INIT = re.compile(
    r"(?:.*(?:Error|Exception|Warning|Enum|Flag))|NamedTuple|TypedDict|Protocol|BaseModel|Thread"
    r"|dict|list|set|frozenset|tuple|str|bytes|int|float|complex"
)


class _Traits(NamedTuple):
    """What a class is, with what it inherits from classes of the same text."""

    is_unittest: bool
    has_init: bool
    flag: bool | None
    #: It inherits from something elsewhere that may well have tests.
    inherits_unknown_tests: bool
    members: Mapping[str, Sequence[_Definition]]
    has_abc: bool

    @property
    def is_abstract(self) -> bool:
        """Whether there can be no objects of it (see `inspect.isabstract`)."""
        return self.has_abc and any(
            "abstractmethod" in definition.decorators
            for definitions in self.members.values()
            for definition in definitions
        )


class _Collector:
    """Chooses what pytest would collect, by its rules.

    https://docs.pytest.org/en/stable/explanation/goodpractices.html#conventions-for-python-test-discovery
    """

    def __init__(self, module: _Definition, rules: CollectionRules) -> None:
        self._module = module
        self._rules = rules
        self._names = _live(module.body)
        self._known: dict[int, _Traits] = {}
        # In this order what a class inherits is known, however long the line of its ancestors is.
        for definition in module.body:
            self._traits(definition)

    def tests(self) -> Iterator[TestInSource]:
        """Yield the tests, in no order."""
        if self._module.flag is False:
            return
        for name, definitions in self._names.items():
            for definition in definitions:
                if definition.kind == "class":
                    yield from self._tests_in(definition, (name,))
                elif self._is_test(definition):
                    yield _test(definition, (name,))

    def classes(self) -> Iterator[ClassInSource]:
        """Yield the classes that have tests, or seem to inherit some, in no order."""
        if self._module.flag is not False:
            yield from self._classes(self._names, ())

    def _classes(
        self, names: Mapping[str, Sequence[_Definition]], around: tuple[str, ...]
    ) -> Iterator[ClassInSource]:
        for name, definitions in names.items():
            path = (*around, name)
            for definition in definitions:
                if definition.kind != "class" or not self._collects(definition):
                    continue
                traits = self._traits(definition)
                if traits.inherits_unknown_tests or any(self._tests_in(definition, path)):
                    yield ClassInSource(
                        "::".join(path),
                        definition.line,
                        definition.first_line,
                        definition.last_line,
                    )
                # pytest looks for no classes inside a unittest.TestCase.
                if not traits.is_unittest and len(path) < _DEEPEST:
                    yield from self._classes(_live(definition.body), path)

    def _tests_in(self, owner: _Definition, path: tuple[str, ...]) -> Iterator[TestInSource]:
        if not self._collects(owner) or len(path) > _DEEPEST:
            return
        traits = self._traits(owner)
        found = False
        for name, definitions in traits.members.items():
            for definition in definitions:
                if definition.kind == "class":
                    if not traits.is_unittest:
                        yield from self._tests_in(definition, (*path, name))
                elif self._is_test(definition, in_unittest=traits.is_unittest):
                    found = True
                    yield _test(definition, (*path, name))
        if traits.is_unittest and not found:
            # unittest's own name for the only test
            # (https://docs.python.org/3/library/unittest.html#unittest.TestCase.runTest).
            for definition in traits.members.get("runTest", ()):
                yield _test(definition, (*path, "runTest"))

    def _collects(self, definition: _Definition) -> bool:
        traits = self._traits(definition)
        if traits.is_abstract or traits.flag is False:
            return False
        if traits.is_unittest:
            return True
        named = _matches(definition.name, self._rules.python_classes)
        return (named or traits.flag is True) and not traits.has_init

    def _is_test(self, definition: _Definition, *, in_unittest: bool = False) -> bool:
        names = {self._real(name) for name in definition.decorators}
        if definition.kind != "def" or definition.flag is False or names & _NO_FUNCTION:
            return False
        if in_unittest:
            return definition.name.startswith("test")
        return _matches(definition.name, self._rules.python_functions) or definition.flag is True

    def _real(self, name: str) -> str:
        return self._module.aliases.get(name, name)

    def _traits(self, definition: _Definition) -> _Traits:
        known = self._known.get(id(definition))
        if known is None:
            known = self._known[id(definition)] = self._new_traits(definition)
        return known

    def _new_traits(self, definition: _Definition) -> _Traits:
        own = _live(definition.body)
        decorators = {self._real(name) for name in definition.decorators}
        is_unittest = inherits_unknown_tests = has_abc = False
        has_init = bool(own.keys() & {"__init__", "__new__"} or decorators & _WITH_INIT)
        flag: bool | None = None
        members: dict[str, Sequence[_Definition]] = {}
        for base in reversed(definition.bases):
            inherited = self._class_before(definition, base)
            if inherited is None:
                name = self._real(base)
                is_unittest |= name.endswith("TestCase")
                has_init |= _BASES_WITH_INIT.fullmatch(name) is not None
                has_abc |= name in ("ABC", "ABCMeta")
                inherits_unknown_tests |= "test" in name.lower() and not name.endswith("TestCase")
                continue
            traits = self._traits(inherited)
            is_unittest |= traits.is_unittest
            has_init |= traits.has_init
            has_abc |= traits.has_abc
            inherits_unknown_tests |= traits.inherits_unknown_tests
            flag = flag if traits.flag is None else traits.flag
            members.update(traits.members)
        # In the order of pytest: what is inherited first.
        members.update(own)
        flag = flag if definition.flag is None else definition.flag
        return _Traits(is_unittest, has_init, flag, inherits_unknown_tests, members, has_abc)

    def _class_before(self, definition: _Definition, name: str) -> _Definition | None:
        """Return the class *name* of the module that is complete when *definition* begins."""
        return next(
            (
                known
                for known in reversed(self._names.get(name, ()))
                if known.kind == "class" and known.last_line < definition.line
            ),
            None,
        )


def _live(definitions: Sequence[_Definition]) -> dict[str, Sequence[_Definition]]:
    """Return the definitions that may be there when all code has run, by name."""
    live: dict[str, list[_Definition]] = {}
    for definition in definitions:
        same = live.setdefault(definition.name, [])
        if not definition.conditional:
            same.clear()
        if definition.kind != "gone":
            same.append(definition)
    return {**live}


def _matches(name: str, patterns: Sequence[str]) -> bool:
    # As prefixes, and as globs where they look like one.
    return any(
        name.startswith(pattern)
        or (not {"*", "?", "["}.isdisjoint(pattern) and fnmatchcase(name, pattern))
        for pattern in patterns
    )


def _test(definition: _Definition, path: tuple[str, ...]) -> TestInSource:
    return TestInSource(
        "::".join(path), definition.line, definition.first_line, definition.last_line
    )
