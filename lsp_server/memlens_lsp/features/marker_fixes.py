"""What puts a wrong marker right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from memlens.markers import SIGNATURES, UNKNOWN, marker_errors
from memlens_lsp.features.edits import Change
from memlens_lsp.features.limit_changes import setting
from memlens_lsp.features.marker_checks import Fault
from memlens_lsp.markers_in_source import Given, Marker

_STEP = 1024
_UNITS = "BKMGTP"
_ALMOST_SIZE = re.compile(r"\s*(?P<number>\d+(?:[.,]\d+)?)\s*(?P<unit>[A-Za-z]?)[A-Za-z]*\s*")
#: From here on a number without a unit is more likely one of bytes than one of megabytes.
_BYTES = 4 * _STEP


class Fix(NamedTuple):
    """One way to put a fault right."""

    title: str
    changes: tuple[Change, ...]
    #: It is what was meant, in all likelihood.
    is_certain: bool = False


def fixes(text: str, fault: Fault) -> Iterator[Fix]:
    """Yield what puts *fault*, which is in *text*, right."""
    marker, argument = fault.marker, fault.argument
    if argument is None:
        if fault.meant is not None:
            title = f"Change {marker.name} to {fault.meant}"
            yield Fix(title, (Change(*marker.name_span, fault.meant),), is_certain=True)
        return
    if fault.meant is not None and marker.argument(fault.meant) is None:
        assert argument.keyword_span is not None
        title = f"Change {argument.keyword} to {fault.meant}"
        yield Fix(title, (Change(*argument.keyword_span, fault.meant),), is_certain=True)
    if argument == marker.limit and not fault.is_name:
        size = _meant_size(argument.value)
        if size is not None:
            (change,) = setting(text, marker, size)
            title = f'Change {text[slice(*argument.value_span)]} to "{size}"'
            yield Fix(title, (change,))
        return
    if _is_the_missing_limit(fault):
        return
    removed = _removing(text, marker, argument)
    if removed is not None:
        yield removed


def _is_the_missing_limit(fault: Fault) -> bool:
    """Return whether the wrong argument of *fault* is the limit under another name."""
    required = SIGNATURES[fault.marker.meant].required
    return required is not None and fault.meant == required.name and fault.marker.limit is None


def _removing(text: str, marker: Marker, argument: Given) -> Fix | None:
    arguments = list(marker.arguments)
    first = last = arguments.index(argument)
    if argument.keyword is None:
        # One that is too many, and all that follow it.
        if any(given.starred for given in arguments):
            return None
        last = len(marker.positional) - 1
    left = [*arguments[:first], *arguments[last + 1 :]]
    if len(_errors(marker, left)) >= len(_errors(marker, arguments)):
        return None  # without it the limit is missing
    title = (
        f"Remove {text[slice(*argument.span)]}"
        if first == last
        else f"Remove the {last - first + 1} arguments from {text[slice(*argument.span)]} on"
    )
    if last + 1 < len(arguments):
        change = Change(arguments[first].span.start, arguments[last + 1].span.start, "")
    elif first:
        change = Change(arguments[first - 1].span.end, arguments[last].span.end, "")
    elif marker.opened is not None and marker.closed is not None:
        change = Change(marker.opened, marker.closed, "")
    else:
        return None
    return Fix(title, (change,))


def _errors(marker: Marker, arguments: Sequence[Given]) -> list[str]:
    """Return what would be wrong with *marker* if these were its arguments."""
    instead = replace(marker, arguments=arguments)
    complete = marker.complete
    return [
        str(error)
        for error in marker_errors(marker.name, instead.args, instead.kwargs, complete=complete)
    ]


def _meant_size(value: object) -> str | None:
    """Return the size that somebody who wrote *value* probably meant."""
    if isinstance(value, bool) or value is UNKNOWN:
        return None
    written = _ALMOST_SIZE.fullmatch(str(value)) if isinstance(value, int | float | str) else None
    if written is None:
        return None
    amount = Decimal(written["number"].replace(",", "."))
    number = format(amount, "f")  # in ASCII, whatever digits were written
    unit = written["unit"].upper()
    if unit in _UNITS and unit:
        return f"{number} {unit.removesuffix('B')}B"
    if unit:
        return None
    if amount < _BYTES:
        return f"{number} MB"
    return _bytes(int(amount))


def _bytes(size: int) -> str:
    """Return *size* in the largest unit that tells it without a fraction."""
    exponent = 0
    while size % _STEP == 0 and exponent < len(_UNITS) - 1:
        size //= _STEP
        exponent += 1
    return f"{size} {_UNITS[exponent].removesuffix('B')}B"
