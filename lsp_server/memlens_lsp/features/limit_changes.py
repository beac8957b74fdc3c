"""Writing a limit into a text: into a marker that is there, or as a new one."""

from __future__ import annotations

import re

from memlens_lsp.features.edits import Change, importing_mark, line_end
from memlens_lsp.markers_in_source import Definition, Marker
from memlens_lsp.offsets import Lines

_PLAIN_STRING = re.compile(r"""(?P<before>[rRuU]?(?P<quote>['"]))[^'"\\]*(?P=quote)""")


def setting(text: str, marker: Marker, size: str) -> list[Change]:
    """Return the changes of *text* that make *size* the limit of *marker*."""
    given = marker.limit
    if given is not None:
        written = _PLAIN_STRING.fullmatch(text[slice(*given.value_span)])
        new = f"{written['before']}{size}{written['quote']}" if written else f'"{size}"'
        return [Change(*given.value_span, new)]
    if marker.opened is None:
        return [Change(marker.span.end, marker.span.end, f'("{size}")')]
    more = ", " if marker.arguments else ""
    return [Change(marker.opened, marker.opened, f'"{size}"{more}')]


def adding(
    text: str, definition: Definition, marker: str, size: str, *, nearest: bool = False
) -> list[Change]:
    """Return the changes of *text* that decorate *definition* with a *marker* of *size*.

    Above its other decorators: what these make of the function may have no markers any more. Or
    *nearest* to it, where it counts more than any marker that the other decorators bring.
    """
    place = definition.head if nearest else definition.start
    mark = importing_mark(text, definition.top)
    lines = Lines(text)
    margin = text[lines.start(lines.at(place)) : place].lstrip("\ufeff")
    new = f'@{mark.expression}.{marker}("{size}"){line_end(text)}{margin}'
    return [*mark.changes, Change(place, place, new)]
