"""Changes of a text that stay correct Python: what code actions are made of.

Offsets are in characters. Works on logical lines, so an error elsewhere in the file does no harm.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens_lsp.logical_lines import LogicalLine
from memlens_lsp.markers_in_source import statements
from memlens_lsp.offsets import Lines, Offsets


class Change(NamedTuple):
    """The text from the offset `start` up to `end` is replaced."""

    start: int
    end: int
    text: str


def changed(text: str, changes: Iterable[Change]) -> str:
    """Return *text* after *changes*, whose offsets are all in *text* and do not overlap."""
    parts = []
    end = 0
    for change in sorted(changes, key=lambda change: (change.start, change.end)):
        parts += [text[end : change.start], change.text]
        end = change.end
    return "".join((*parts, text[end:]))


def text_edits(text: str, changes: Sequence[Change], codec: PositionCodec) -> list[types.TextEdit]:
    """Return *changes* of *text* as the client applies them."""
    offsets = Offsets(text, codec)
    return [types.TextEdit(offsets.range(c.start, c.end), c.text) for c in changes]


def line_end(text: str) -> str:
    """Return what ends the lines of *text*."""
    found = re.search(r"\r\n|\n|\r", text)
    return found[0] if found else "\n"


def indentation(text: str) -> str:
    """Return what *text* indents by: a tab or some spaces, four if it does not tell."""
    for line, inner in pairwise(statements(text).lines):
        opens_block = text[line.end - 1] == ":"
        if opens_block and not line.indent and inner.first > line.last:
            return text[_line_start(text, inner.start) : inner.start]
    return "\t" if re.search(r"[\r\n]\t", text) else " " * 4


def _line_start(text: str, offset: int) -> int:
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


class Importing(NamedTuple):
    """How a name can be had in a text."""

    #: What it is called there.
    expression: str
    #: What makes that so: nothing if it is imported already.
    changes: tuple[Change, ...] = ()


class _Import(NamedTuple):
    node: ast.Import | ast.ImportFrom
    line: LogicalLine


def importing_mark(text: str, before: int) -> Importing:
    """Return how to have `pytest.mark` in the statement of *text* that begins at *before*."""
    for statement, name in _imported(text, before):
        bound = name.asname or name.name
        if isinstance(statement, ast.Import) and name.name == "pytest":
            return Importing(f"{bound}.mark")
        if _is_from(statement, "pytest") and name.name == "mark":
            return Importing(bound)
    return Importing("pytest.mark", (_add_import(text, before, "import pytest"),))


def importing_stack(text: str, before: int) -> Importing:
    """Return how to have `memlens.Stack` in the statement of *text* that begins at *before*."""
    for statement, name in _imported(text, before):
        bound = name.asname or name.name
        if isinstance(statement, ast.Import) and name.name == "memlens":
            return Importing(f"{bound}.Stack")
        if _is_from(statement, "memlens") and name.name == "Stack":
            return Importing(bound)
    if re.search(r"\bStack\b", text):  # a class of the project's own, perhaps
        return Importing("memlens.Stack", (_add_import(text, before, "import memlens"),))
    return Importing("Stack", (_add_import(text, before, "from memlens import Stack"),))


def _imports(text: str, before: int) -> list[_Import]:
    """Return the imports of the module itself before the offset *before*."""
    found = []
    for line in statements(text).lines:
        if line.start >= before:
            break
        if not line.indent and text.startswith(("import", "from"), line.start):
            try:
                body = ast.parse(text[line.start : line.end]).body
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            found += [
                _Import(node, line)
                for node in body
                if isinstance(node, ast.Import | ast.ImportFrom)
            ]
    return found


def _imported(text: str, before: int) -> Iterator[tuple[ast.Import | ast.ImportFrom, ast.alias]]:
    for found in _imports(text, before):
        for name in found.node.names:
            yield found.node, name


def _is_from(statement: ast.Import | ast.ImportFrom, module: str) -> bool:
    return (
        isinstance(statement, ast.ImportFrom) and statement.module == module and not statement.level
    )


def _add_import(text: str, before: int, new: str) -> Change:
    """Return the change that adds the statement *new* where isort would, with its defaults."""
    lines = Lines(text)
    end = line_end(text)
    node = ast.parse(new).body[0]
    assert isinstance(node, ast.Import | ast.ImportFrom)
    order = _order(node)
    imports = _imports(text, before)
    present = [found for found in imports if not _is_from(found.node, "__future__")]
    earlier = [found for found in present if _order(found.node) <= order]
    # Groups are: of Python itself, installed, relative. An empty line is between them.
    group = [found for found in present if _order(found.node)[0] == order[0]]
    if earlier and (not group or earlier[-1] in group):
        place = lines.end(earlier[-1].line.last)
        return Change(place, place, f"{end if group else end * 2}{new}")
    if present:
        place = (group or present)[0].line.start
        return Change(place, place, f"{new}{end if group else end * 2}")
    if imports:
        place = lines.end(imports[-1].line.last)
        return Change(place, place, f"{end * 2}{new}")
    first = statements(text).lines[0]
    if first.start < before and text[first.start] in "\"'rR":  # the module's docstring
        place = lines.end(first.last)
        return Change(place, place, f"{end * 2}{new}")
    return Change(first.start, first.start, f"{new}{end * 3}")


def _order(statement: ast.Import | ast.ImportFrom) -> tuple[int, bool, str]:
    if isinstance(statement, ast.Import):
        module, level = statement.names[0].name, 0
    else:
        module, level = statement.module or "", statement.level
    top = module.partition(".")[0]
    group = 2 if level else int(top not in sys.stdlib_module_names)
    return group, isinstance(statement, ast.ImportFrom), module.lower()
