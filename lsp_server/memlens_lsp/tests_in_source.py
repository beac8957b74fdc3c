"""Finding tests in source text, as pytest would collect them, without running anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import PurePath

#: pytest's default `python_files`
#: (https://docs.pytest.org/en/stable/reference/reference.html#confval-python_files).
_FILE_PATTERNS = ("test_*.py", "*_test.py")


@dataclass(frozen=True)
class TestInSource:
    """A test function or method."""

    __test__ = False  # pytest, when it sees this class imported into a test module

    #: The part of its node id after the file, without parameters: ``TestCart::test_total``.
    id: str
    #: The line of its ``def``, counted from 1.
    line: int

    @property
    def name(self) -> str:
        """The function's name."""
        return self.id.rpartition("::")[2]


def is_test_file(path: PurePath) -> bool:
    """Return whether pytest looks for tests in a file of this name unless configured otherwise."""
    return any(fnmatchcase(path.name, pattern) for pattern in _FILE_PATTERNS)


def id_in_file(nodeid: str) -> str:
    """Return the part of *nodeid* after the file, without parameters.

    >>> id_in_file("tests/test_shop.py::TestCart::test_total[a::b]")
    'TestCart::test_total'
    """
    return nodeid.partition("::")[2].partition("[")[0]


@lru_cache(maxsize=64)
def find_tests(text: str) -> tuple[TestInSource, ...]:
    """Return the tests in *text*, in order of their lines.

    A text that does not parse is read by its indentation instead, so that tests stay known while
    someone types.
    """
    try:
        # Python counts lines as the LSP does; see `positions`.
        definitions = list(_parsed(ast.parse(text.removeprefix("\ufeff")).body))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        definitions = _scanned(text)
    return tuple(sorted(_tests(definitions, (), _MODULE), key=lambda test: test.line))


@dataclass
class _Definition:
    """A ``def``, or a ``class`` with its body. What pytest looks at to tell tests."""

    name: str
    line: int
    is_class: bool
    #: The last names of a class's bases: ``TestCase`` for ``unittest.TestCase``.
    bases: tuple[str, ...]
    #: The last names of what decorates a function.
    decorators: tuple[str, ...]
    body: list[_Definition]

    @property
    def is_unittest(self) -> bool:
        return any(base.endswith("TestCase") for base in self.bases)


_MODULE = _Definition("", 0, is_class=False, bases=(), decorators=(), body=[])


def _tests(
    definitions: Sequence[_Definition], classes: tuple[str, ...], parent: _Definition
) -> Iterator[TestInSource]:
    for definition in definitions:
        if definition.is_class:
            if _collects(definition, parent):
                yield from _tests(definition.body, (*classes, definition.name), definition)
        elif definition.name.startswith("test") and "fixture" not in definition.decorators:
            yield TestInSource("::".join((*classes, definition.name)), definition.line)


def _collects(definition: _Definition, parent: _Definition) -> bool:
    if parent.is_unittest:
        return False  # pytest looks for no classes inside a unittest.TestCase
    if definition.is_unittest:
        return True
    return definition.name.startswith("Test") and not any(
        method.name in ("__init__", "__new__") for method in definition.body
    )


def _parsed(statements: Sequence[ast.stmt]) -> Iterator[_Definition]:
    for statement in statements:
        if isinstance(statement, ast.ClassDef):
            yield _Definition(
                statement.name,
                statement.lineno,
                is_class=True,
                bases=_last_names(statement.bases),
                decorators=(),
                body=list(_parsed(statement.body)),
            )
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _Definition(
                statement.name,
                statement.lineno,
                is_class=False,
                bases=(),
                decorators=_last_names(statement.decorator_list),
                body=[],
            )
        else:
            # Tests may be defined conditionally: in the bodies of if, try, with, match…
            for block in ("body", "orelse", "finalbody"):
                yield from _parsed(getattr(statement, block, ()))
            for branch in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
                yield from _parsed(branch.body)


def _last_names(expressions: Sequence[ast.expr]) -> tuple[str, ...]:
    names = []
    for expression in expressions:
        node = expression
        while isinstance(node, ast.Call | ast.Subscript):
            node = node.func if isinstance(node, ast.Call) else node.value
        if isinstance(node, ast.Attribute):
            names.append(node.attr)
        elif isinstance(node, ast.Name):
            names.append(node.id)
    return tuple(names)


_HEAD = re.compile(
    r"(?P<indent>[ \t]*)(?:(?P<class>class)|(?:async[ \t]+)?def)[ \t]+(?P<name>\w+)(?P<rest>.*)"
)
_DECORATOR = re.compile(r"[ \t]*@[\w.]*?(?P<name>\w+)[ \t]*(?:\(|#|$)")
_BASE = re.compile(r"\w+(?=[ \t]*[,)\[])")


def _scanned(text: str) -> list[_Definition]:
    """Return the definitions by indentation. Strings that look like code mislead it."""
    found: list[_Definition] = []
    #: Definitions around the present line, the outermost first, with their indentation.
    around: list[tuple[int, _Definition]] = []
    decorators: list[str] = []
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        decorator = _DECORATOR.match(line)
        if decorator:
            decorators.append(decorator["name"])
            continue
        head = _HEAD.match(line)
        if head is None:
            if re.match(r"\S", line) and line[0] not in "#)]}\"'":
                # A statement at the margin ends every definition.
                around.clear()
                decorators.clear()
            continue
        indent = len(head["indent"].expandtabs())
        definition = _Definition(
            head["name"],
            number,
            is_class=bool(head["class"]),
            bases=tuple(_BASE.findall(head["rest"])) if head["class"] else (),
            decorators=tuple(decorators),
            body=[],
        )
        decorators.clear()
        while around and around[-1][0] >= indent:
            around.pop()
        # What a function defines inside itself lands in its body, where no one looks.
        (around[-1][1].body if around else found).append(definition)
        around.append((indent, definition))
    return found
