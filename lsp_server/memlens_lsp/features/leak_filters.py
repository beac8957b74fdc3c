"""Writing a `filter_fn` that ignores a leak, into the test module."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from memlens.store import FrameRecord, StackRecord, TestRecord
from memlens_lsp.features.edits import Change, importing_stack, indentation, line_end
from memlens_lsp.markers_in_source import Marker
from memlens_lsp.offsets import Lines

#: How long a line of written code may be: what most formatters leave alone.
_LINE_LENGTH = 88
#: Of how many ways to a leak, and of how many calls of each, a function is written that people
#: would still read. Beyond it ignores what begins like them.
_MOST_WAYS = 5
_MOST_CALLS = 12
_FUNCTION = re.compile(r"[^\W\d]\w*(?:\.\w+)*")
_KEYWORDS = ("None", "True", "False", "lambda")


class Leak(NamedTuple):
    """What one place in the code left behind, on whatever ways it was called."""

    #: The innermost call of the project's own code; of any Python code, if none of it is.
    site: FrameRecord
    stacks: tuple[StackRecord, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(stack.bytes for stack in self.stacks)

    @property
    def calls(self) -> tuple[tuple[FrameRecord, ...], ...]:
        """The calls that tell its stacks from others, the most recent first. No two are equal."""
        kinds = ("project",) if self.site.kind == "project" else ("project", "library")
        return tuple(
            dict.fromkeys(
                tuple(frame for frame in stack.frames if frame.kind in kinds)
                for stack in self.stacks
            )
        )


def leaks_of(test: TestRecord) -> list[Leak]:
    """Return what *test* left behind, by place, the largest first."""
    by_site: dict[FrameRecord, list[StackRecord]] = {}
    for stack in test.stacks_of("leak"):
        python = (frame for frame in stack.frames if frame.kind != "native")
        site = stack.innermost_project_frame() or next(python, None)
        if site is not None:
            by_site.setdefault(site, []).append(stack)
    leaks = [Leak(site, tuple(stacks)) for site, stacks in by_site.items()]
    return sorted(leaks, key=lambda leak: leak.size, reverse=True)


def can_filter(text: str, marker: Marker) -> bool:
    """Return whether `ignoring` can change *marker*, a `limit_leaks` in *text*."""
    if marker.name != "limit_leaks" or marker.closed is None or not marker.arguments:
        return False
    given = marker.argument("filter_fn")
    if given is None:
        return not any(given.span.start == given.span.end for given in marker.arguments)
    written = text[slice(*given.value_span)]
    return written == "None" or (_FUNCTION.fullmatch(written) and written not in _KEYWORDS) or False


def ignoring(text: str, marker: Marker, leak: Leak) -> list[Change]:
    """Return the changes of *text* that make *marker*, a `limit_leaks` in it, ignore *leak*.

    A `filter_fn` that it has already is asked too.
    """
    given = marker.argument("filter_fn")
    before = text[slice(*given.value_span)] if given is not None else "None"
    name = _new_name(
        text, f"ignore_{re.sub(r'[^0-9a-zA-Z_]+', '_', leak.site.function).strip('_')}"
    )
    stack = importing_stack(text, marker.top)
    end = line_end(text)
    body = _function(name, stack.expression, leak, None if before == "None" else before)
    place = _before_comments(text, marker.top)
    code = end.join(_indented(line, indentation(text)) for line in body)
    return [
        *stack.changes,
        Change(place, place, f"{end * _missing_lines(text, place)}{code}{end * 3}"),
        *_use(text, marker, name),
    ]


def _new_name(text: str, wanted: str) -> str:
    name = wanted.rstrip("_")
    number = 1
    while re.search(rf"\b{name}\b", text):
        number += 1
        name = f"{wanted.rstrip('_')}_{number}"
    return name


def _function(name: str, stack: str, leak: Leak, before: str | None) -> list[str]:
    """Return the lines of the function, indented by four spaces."""
    frames = [frame for calls in leak.calls for frame in calls]
    files = tuple(dict.fromkeys(_end_of(frame.path) for frame in frames))
    ways = [tuple(frame.function for frame in calls) for calls in leak.calls]
    deepest = max(len(way) for way in ways)
    shown = 1 if len(set(ways)) > _MOST_WAYS else min(deepest, _MOST_CALLS)
    ways = list(dict.fromkeys(way[:shown] for way in ways))
    calls = "calls" if shown == deepest else f"calls[:{shown}]"
    asked = f"{before}(stack) and " if before else ""
    if len(ways) == 1:
        returned = _list(f"    return {asked}{calls} != ", ways[0], "[]")
    else:
        returned = [
            f"    return {asked}{calls} not in [",
            *(line for way in ways for line in _list("        ", way, "[]", ",")),
            "    ]",
        ]
    what = name.removeprefix("ignore_")
    return [
        f"def {name}(stack: {stack}) -> bool:",
        f'    """Ignore what {what} leaves behind when it is called like this."""',
        *_list("    files = ", files, "()"),
        "    frames = [frame for frame in stack.frames if frame.filename.endswith(files)]",
        "    calls = [frame.function for frame in frames]  # the most recent first",
        *returned,
    ]


def _indented(line: str, unit: str) -> str:
    code = line.lstrip()
    return unit * ((len(line) - len(code)) // 4) + code


def _end_of(path: str) -> str:
    """Return what tells the file *path* wherever the project is."""
    parts = path.split("/")
    return "/" + "/".join(part for part in (parts[-2:] if path.startswith("/") else parts) if part)


def _list(before: str, items: Sequence[str], brackets: str, after: str = "") -> list[str]:
    """Return the lines of a list or tuple of texts, as formatters would break them."""
    quoted = [_quoted(item) for item in items]
    single = "," if brackets == "()" and len(quoted) == 1 else ""
    line = f"{before}{brackets[0]}{', '.join(quoted)}{single}{brackets[1]}{after}"
    if len(line) <= _LINE_LENGTH:
        return [line]
    margin = " " * (len(before) - len(before.lstrip()))
    return [
        f"{before}{brackets[0]}",
        *(f"{margin}    {item}," for item in quoted),
        f"{margin}{brackets[1]}{after}",
    ]


def _quoted(text: str) -> str:
    written = repr(text)
    return f'"{written[1:-1]}"' if written[0] == "'" and '"' not in text else written


def _use(text: str, marker: Marker, name: str) -> list[Change]:
    """Return the changes that make *marker* use the function *name*."""
    given = marker.argument("filter_fn")
    if given is not None:
        return [Change(*given.value_span, name)]
    last = marker.arguments[-1].span
    start = max(text.rfind("\n", 0, last.start), text.rfind("\r", 0, last.start)) + 1
    margin = text[start : last.start]
    if not margin.isspace():
        return [Change(last.end, last.end, f", filter_fn={name}")]
    # Arguments that have a line each stay so, and keep their comments.
    rest = re.compile(r"(?P<comma>[ \t]*,)?(?:[ \t]*\#[^\r\n]*)?").match(text, last.end)
    assert rest is not None  # it matches nothing, too
    new = Change(rest.end(), rest.end(), f"{line_end(text)}{margin}filter_fn={name},")
    return [new] if rest["comma"] else [Change(last.end, last.end, ","), new]


def _missing_lines(text: str, place: int) -> int:
    """Return how many line ends are missing to two empty lines before *place*."""
    before = text[:place].rstrip().removeprefix("\ufeff")
    present = len(re.findall(r"\r\n|\n|\r", text[len(text[:place].rstrip()) : place]))
    return max(3 - present, 0) if before else 0


def _before_comments(text: str, start: int) -> int:
    """Return where the comments begin that are right above the statement at *start*."""
    lines = Lines(text)
    first = line = lines.at(start)
    while line > 1 and text.startswith("#", lines.start(line - 1)):
        line -= 1
    # A file's first comments may tell its encoding.
    return lines.start(line) if 1 < line < first else start
