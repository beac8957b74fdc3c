"""What is wrong with markers as typed: the plugin's own complaints, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.markers import SIGNATURES, MarkerError, marker_errors
from memlens_lsp.features.diagnostics import SOURCE
from memlens_lsp.markers_in_source import Given, Marker, Span, find_markers
from memlens_lsp.offsets import Offsets

CODE = "invalid-marker"


class Fault(NamedTuple):
    """One thing that is wrong with a marker."""

    marker: Marker
    message: str
    #: What to underline.
    span: Span
    #: The argument that is wrong; None if it is the marker as a whole.
    argument: Given | None
    #: Whether it is a name that is wrong: the marker's or the argument's.
    is_name: bool
    #: What a misspelt name was probably meant to be.
    meant: str | None


def marker_diagnostics(text: str, codec: PositionCodec) -> list[types.Diagnostic]:
    """Return what is wrong with the markers in *text*, in its order."""
    faults = marker_faults(text)
    if not faults:
        return []
    offsets = Offsets(text, codec)
    return [
        types.Diagnostic(
            range=offsets.range(*fault.span),
            message=fault.message,
            severity=types.DiagnosticSeverity.Error,
            code=CODE,
            source=SOURCE,
        )
        for fault in faults
    ]


# Diagnostics and code actions ask for those of the same text.
@lru_cache(maxsize=4)
def marker_faults(text: str) -> Sequence[Fault]:
    """Return what is wrong with the markers in *text*, in its order."""
    return [fault for marker in find_markers(text) for fault in _faults(marker)]


def _faults(marker: Marker) -> Iterator[Fault]:
    if marker.name not in SIGNATURES:
        message = f"{marker.name}: unknown marker: did you mean {marker.meant}?"
        yield Fault(marker, message, marker.name_span, None, True, marker.meant)
        return
    args = marker.args
    if marker.closed is None and marker.arguments and _may_become_keyword(marker):
        args.pop()
    for error in marker_errors(marker.name, args, marker.kwargs, complete=marker.complete):
        argument = _argument(marker, error)
        span = marker.span if argument is None else _wrong_part(argument, error)
        yield Fault(marker, str(error), span, argument, error.is_name, error.meant)


def _may_become_keyword(marker: Marker) -> bool:
    """Return whether the last argument of a half-typed call may be a keyword without its value."""
    last = marker.arguments[-1]
    return last.keyword is None and last.is_name


def _argument(marker: Marker, error: MarkerError) -> Given | None:
    if error.argument is None:
        return None
    if isinstance(error.argument, int):
        return marker.positional[error.argument]
    return next(given for given in marker.arguments if given.keyword == error.argument)


def _wrong_part(argument: Given, error: MarkerError) -> Span:
    if argument.keyword_span is None:
        return argument.span
    return argument.keyword_span if error.is_name else argument.value_span
