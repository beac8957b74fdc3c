"""Completion inside our markers: their names, their arguments, and sizes from what was measured.

Everywhere else there is nothing to say, and that is found out quickly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.descriptions import DESCRIPTIONS
from memlens.markers import SIGNATURES
from memlens_lsp.features.head_room import common_limits
from memlens_lsp.features.measured_limits import MEASURED_MARKERS, measured
from memlens_lsp.markers_in_source import (
    Given,
    Marker,
    Span,
    find_markers,
    is_code,
    mark_expressions,
)
from memlens_lsp.offsets import Offsets
from memlens_lsp.results import FileResults

#: What is typed before something of ours may follow.
TRIGGERS = ('"', "'", "(", ",", ".", "=")

#: How far back the name of the marker that is being typed may be, in characters.
_FARTHEST = 4000
_ARGUMENTS = {
    "memory_limit": "The test fails when its peak is at or above this size, such as '24 MB'.",
    "location_limit": (
        "The test fails when any one call stack leaves this much or more behind, such as '1 MB'."
    ),
    "filter_fn": "Takes what was left behind, and returns whether it counts.",
    "current_thread_only": "Count only what the thread that runs the test allocated.",
    "warmups": "How often the test runs unmeasured first.",
}


class _Choice(NamedTuple):
    label: str
    #: What is written.
    text: str
    kind: types.CompletionItemKind
    detail: str | None = None
    documentation: str | None = None
    preselect: bool = False


def completions(
    text: str, position: types.Position, results: FileResults, codec: PositionCodec
) -> list[types.CompletionItem]:
    """Return what may be typed at *position* of *text*."""
    offsets = Offsets(text, codec)
    offset = offsets.offset(position)
    if text.rfind("mark", max(offset - _FARTHEST, 0), offset) < 0:
        return []
    for span, choices in (_names(text, offset), _inside(text, offset, results)):
        if choices:
            return [_item(offsets, span, choice, n) for n, choice in enumerate(choices)]
    return []


def _item(offsets: Offsets, span: Span, choice: _Choice, order: int) -> types.CompletionItem:
    return types.CompletionItem(
        label=choice.label,
        kind=choice.kind,
        detail=choice.detail,
        documentation=choice.documentation,
        preselect=choice.preselect or None,
        # In our order, and before what others have to offer.
        sort_text=f" {order:02}",
        filter_text=choice.text,
        text_edit=types.TextEdit(offsets.range(*span), choice.text),
    )


def _names(text: str, offset: int) -> tuple[Span, list[_Choice]]:
    """Return our markers' names after ``pytest.mark.``."""
    line = _line_before(text, offset)
    typed = re.search(r"\.[ \t]*(\w*)$", line)
    nothing: tuple[Span, list[_Choice]] = (Span(offset, offset), [])
    if typed is None:
        return nothing
    mark = rf"(?<![\w.])(?:{mark_expressions(text)})[ \t]*$"
    names = [name for name in SIGNATURES if name.startswith(typed[1])]
    if not names or not re.search(mark, line[: typed.start()]) or not is_code(text, offset):
        return nothing
    after = re.match(r"\w*", text[offset : offset + 100])
    end = offset + (after.end() if after else 0)
    choices = [
        _Choice(
            name,
            name,
            types.CompletionItemKind.Function,
            DESCRIPTIONS[name].partition(":")[0].removeprefix(name),
            DESCRIPTIONS[name].partition(": ")[2],
        )
        for name in names
    ]
    return Span(offset - len(typed[1]), end), choices


def _line_before(text: str, offset: int) -> str:
    start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    return text[start:offset]


def _inside(text: str, offset: int, results: FileResults) -> tuple[Span, list[_Choice]]:
    """Return what may stand in the brackets of the marker at *offset*."""
    here = Span(offset, offset)
    marker = _marker_at(text, offset)
    if marker is None:
        return here, []
    for given in marker.arguments:
        if given.span.start <= offset <= given.span.end:
            return _instead_of(text, marker, given, offset, results)
    if not _is_after_comma(text, marker, offset):
        return here, []
    sizes = []
    if marker.limit is None and all(given.span.start > offset for given in marker.arguments):
        sizes = _sizes(text, marker, results, quote='"')
    return here, [*sizes, *_keywords(marker, None)]


def _instead_of(
    text: str, marker: Marker, given: Given, offset: int, results: FileResults
) -> tuple[Span, list[_Choice]]:
    """Return what may stand where *given* is being typed, or in the string that it is."""
    string = _in_string(text, given, offset)
    if string is not None:
        is_size = given == marker.limit
        return string, _sizes(text, marker, results, quote="") if is_size else []
    if offset < given.value_span.start:
        return Span(offset, offset), []  # at a keyword that is there already
    if given.keyword is not None:
        return given.value_span, list(_values(text, marker, given, results))
    return given.value_span, list(_keywords(marker, given)) if given.is_name else []


def _marker_at(text: str, offset: int) -> Marker | None:
    if text.rfind("limit_", max(offset - _FARTHEST, 0), offset) < 0:
        return None
    for marker in find_markers(text):
        if marker.name not in SIGNATURES or marker.opened is None or offset < marker.opened:
            continue
        if marker.closed is not None:
            if offset <= marker.closed:
                return marker
        elif not text[marker.span.end : offset].strip(" \t\r\n\\,"):
            return marker  # its end is still to be typed
    return None


def _in_string(text: str, given: Given, offset: int) -> Span | None:
    """Return the inside of the string that *offset* is in, None if it is in none."""
    written = text[slice(*given.value_span)]
    string = re.fullmatch(r"""([rRuU]?(['"]))((?:(?!\2)[^\r\n\\])*)(\2?)""", written)
    if string is None:
        return None
    start = given.value_span.start + string.end(1)
    end = given.value_span.start + string.end(3)
    if not start <= offset <= end:
        return None
    # Without its end it reaches as far as the line: a bracket after the cursor is not part of it.
    return Span(start, end if string[4] else offset)


def _is_after_comma(text: str, marker: Marker, offset: int) -> bool:
    """Return whether an argument may begin at *offset*, which is in none."""
    before = [given for given in marker.arguments if given.span.end <= offset]
    if not before:
        return True
    between = re.sub(r"#[^\r\n]*", "", text[before[-1].span.end : offset])
    return "," in between


def _values(text: str, marker: Marker, given: Given, results: FileResults) -> Iterable[_Choice]:
    if given == marker.limit:
        return _sizes(text, marker, results, quote='"')
    if given.keyword == "current_thread_only":
        return [
            _Choice(value, value, types.CompletionItemKind.Keyword) for value in ("True", "False")
        ]
    if given.keyword == "warmups":
        return [_Choice(value, value, types.CompletionItemKind.Value) for value in ("1", "2", "3")]
    return []


def _keywords(marker: Marker, typed: Given | None) -> Iterator[_Choice]:
    """Yield the arguments that *marker* does not have yet."""
    has_limit = marker.limit is not None and marker.limit != typed
    present = {given.keyword for given in marker.arguments}
    required = SIGNATURES[marker.name].required
    for name in SIGNATURES[marker.name].keywords:
        if name in present or (has_limit and required is not None and name == required.name):
            continue
        yield _Choice(
            f"{name}=",
            f"{name}=",
            types.CompletionItemKind.Property,
            documentation=_ARGUMENTS[name],
        )


def _sizes(text: str, marker: Marker, results: FileResults, *, quote: str) -> list[_Choice]:
    """Return limits, first the one that follows from what was measured; none if it has no limit."""
    if SIGNATURES[marker.name].required is None:
        return []
    choices: list[tuple[str, str | None]] = []
    known = None
    if marker.owner is not None and marker.name in MEASURED_MARKERS:
        known = measured(text, results, marker.name, marker.owner)
    written = marker.limit.value if marker.limit is not None else None
    if known is not None:
        size = known.limit(written if isinstance(written, str) else None)
        choices.append((size, f"{known.words}, with head-room"))
    present = {size for size, _ in choices}
    choices += [(size, None) for size in common_limits() if size not in present]
    return [
        _Choice(
            size,
            f"{quote}{size}{quote}",
            types.CompletionItemKind.Value,
            why,
            preselect=why is not None,
        )
        for size, why in choices
    ]
