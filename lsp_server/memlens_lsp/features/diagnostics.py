"""Findings as diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import attrs
from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.findings import Code, Finding, Related, help_page, related_to, underlined
from memlens.store import FrameRecord, TestRecord
from memlens_lsp.features.placing import line_of_test
from memlens_lsp.features.since_measured import is_admitted, was_edited
from memlens_lsp.positions import line_at, line_map, range_on_line
from memlens_lsp.tests_in_source import id_in_file

SOURCE = "memlens"

_SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "information": types.DiagnosticSeverity.Information,
    "hint": types.DiagnosticSeverity.Hint,
}
#: Codes that are told once a line, however many tests they are true of.
_ONCE_A_LINE = frozenset(("leak-site", "memory-hotspot"))
#: How many calls a message itself tells of where the client shows no related information.
_CALLS_IN_MESSAGE = 5
#: How many calls of deep recursion are worth sending, and of all call stacks together.
_MOST_OF_STACK = 200
_MOST_RELATED = 1000


class Files(Protocol):
    """The files of a project at one moment, by the names that its results use."""

    @property
    def locations(self) -> dict[tuple[int, FrameRecord], types.Location]:
        """Where the frames of runs are now, as far as it has been asked: stacks share many."""

    def uri(self, name: str) -> str | None:
        """Return the URI of a file, or None if the name is not a file's."""

    def now(self, name: str) -> str | None:
        """Return the text of a file as it is now, or None if it is gone."""

    def measured(self, run: int, name: str) -> str | None:
        """Return the text of a file as a run saw it, or None if that was not kept."""

    def test(self, finding: Finding) -> TestRecord | None:
        """Return the test whose result *finding* comes from, if that is known."""


@dataclass(frozen=True)
class Client:
    """What the client makes of diagnostics."""

    codec: PositionCodec
    #: Whether it shows `Diagnostic.relatedInformation`.
    related_information: bool
    #: Whether it shows `Diagnostic.codeDescription`.
    code_description: bool = False


def diagnostics(
    name: str, findings: Iterable[Finding], files: Files, client: Client
) -> list[types.Diagnostic]:
    """Return *findings*, all in the file *name*, as diagnostics of its text now.

    What was found on a line that is gone is left out, and so is what a limit allows that was edited
    since. What is told of a test that was edited since says so.
    """
    text = files.now(name)
    if text is None:
        return []
    placed = [
        (line, finding)
        for finding in findings
        if (line := _line_now(finding, text, files)) is not None
        and line_at(text, line) is not None
        and not _of_texts(finding, files, partial(is_admitted, finding))
    ]
    made = [_diagnostic(told, text, files, client) for told in _told(placed, files)]
    return sorted(made, key=lambda mark: (mark.range.start.line, mark.severity or 0, mark.message))


def as_wanted(
    diagnostics: Iterable[types.Diagnostic], severities: Mapping[str, str], client: Client
) -> list[types.Diagnostic]:
    """Return *diagnostics* as the user wants them, each with the page that explains it.

    *severities* are by code what the user wants to see them as; what is "off" is left out.
    """
    wanted = []
    for diagnostic in diagnostics:
        severity = severities.get(str(diagnostic.code))
        if severity == "off":
            continue
        wanted.append(
            attrs.evolve(
                diagnostic,
                severity=_SEVERITIES[severity] if severity else diagnostic.severity,
                code_description=types.CodeDescription(help_page(str(diagnostic.code)))
                if client.code_description
                else None,
            )
        )
    return wanted


class _Told(NamedTuple):
    """What is to be told on a line, counted from 1."""

    line: int
    finding: Finding
    message: str


def _told(placed: Iterable[tuple[int, Finding]], files: Files) -> Iterator[_Told]:
    on_lines: dict[tuple[int, Code], list[Finding]] = {}
    for line, finding in placed:
        if finding.code in _ONCE_A_LINE:
            on_lines.setdefault((line, finding.code), []).append(finding)
        else:
            yield _Told(line, finding, _message(finding) + _age(finding, files))
    for (line, _), alike in on_lines.items():
        largest = max(alike, key=lambda finding: finding.size)
        others = len({finding.nodeid for finding in alike}) - 1
        message = largest.message + _age(largest, files)
        if others:
            message += f"; likewise in {others} more {'test' if others == 1 else 'tests'}"
        yield _Told(line, largest, message)


def _diagnostic(told: _Told, text: str, files: Files, client: Client) -> types.Diagnostic:
    line, finding, message = told
    content = line_at(text, line) or ""
    related: list[types.DiagnosticRelatedInformation] | None = None
    if client.related_information:
        related = _related(finding, files, client.codec)
    else:
        message = "\n".join((message, *_calls(finding)))
    return types.Diagnostic(
        range=range_on_line(text, line, underlined(content, finding.name), client.codec),
        message=message,
        severity=_SEVERITIES[finding.severity],
        code=finding.code,
        source=SOURCE,
        related_information=related,
    )


def _of_texts(
    finding: Finding, files: Files, holds: Callable[[TestRecord, str, str], bool]
) -> bool:
    """Return whether something *holds* of a finding's test, its file as measured and as it is now.

    False if one of these is not known.
    """
    test = files.test(finding)
    if test is None:
        return False
    measured = files.measured(finding.run, test.path)
    text = files.now(test.path)
    return measured is not None and text is not None and holds(test, measured, text)


def _line_now(finding: Finding, text: str, files: Files) -> int | None:
    measured = files.measured(finding.run, finding.path)
    if finding.name is not None:  # on the name of a test
        return line_of_test(finding.nodeid, finding.line, measured, text)
    return line_map(measured, text).line(finding.line) if measured is not None else None


def _message(finding: Finding) -> str:
    # All cases of a parametrized test are marked on one line.
    _, bracket, parameters = finding.nodeid.partition("::")[2].partition("[")
    if finding.name is None or not bracket:
        return finding.message
    test = id_in_file(finding.nodeid).rpartition("::")[2]
    return f"{test}[{parameters}: {finding.message}"


def _age(finding: Finding, files: Files) -> str:
    edited = _of_texts(finding, files, was_edited)
    return " (edited since this run)" if edited else ""


def _related(
    finding: Finding, files: Files, codec: PositionCodec
) -> list[types.DiagnosticRelatedInformation]:
    related: list[types.DiagnosticRelatedInformation] = []
    left_out = 0
    for stack in finding.stacks:
        places = _places(related_to(stack), files)
        told = places[: min(_MOST_OF_STACK, _MOST_RELATED - len(related))]
        related += [
            types.DiagnosticRelatedInformation(
                _location(finding.run, place, files, codec), call.message
            )
            for call, place in told
        ]
        cut = len(places) - len(told)
        if told and cut:
            related[-1].message += f" (and {cut} more calls)"
        elif cut:
            left_out += 1
    if left_out:
        related[-1].message += f" (and {left_out} more call stacks)"
    return related


def _places(calls: Sequence[Related], files: Files) -> list[tuple[Related, FrameRecord]]:
    """Return *calls*, each with the frame to go to.

    That is its own, where it has a file. Most native code has none, nor has what was run from a
    string: these lead to the call that led there.
    """
    placed = []
    place: FrameRecord | None = None
    for call in reversed(calls):
        if _has_file(call.frame, files):
            place = call.frame
        if place is not None:
            placed.append((call, place))
    return placed[::-1]


def _has_file(frame: FrameRecord, files: Files) -> bool:
    if frame.kind == "native":
        # What the symbols say is a file of the machine that built it, and rarely of this one.
        return frame.path.startswith("/") and frame.line > 0 and files.now(frame.path) is not None
    return files.uri(frame.path) is not None


def _location(run: int, frame: FrameRecord, files: Files, codec: PositionCodec) -> types.Location:
    known = files.locations.get((run, frame))
    if known is None:
        known = types.Location(
            uri=files.uri(frame.path) or "", range=_range_of_call(run, frame, files, codec)
        )
        files.locations[run, frame] = known
    return known


def _range_of_call(run: int, frame: FrameRecord, files: Files, codec: PositionCodec) -> types.Range:
    line = max(frame.line, 1)
    measured = files.measured(run, frame.path)
    text = files.now(frame.path) if measured is not None else None
    if measured is None or text is None:
        # Code that does not change between runs, such as a library's.
        start = types.Position(line=line - 1, character=0)
        return types.Range(start=start, end=start)
    # A call stack with a step left out would lie: an edited step leads to where it was.
    line = line_map(measured, text).nearest(line)
    return range_on_line(text, line, underlined(line_at(text, line) or "", None), codec)


def _calls(finding: Finding) -> Sequence[str]:
    calls = finding.related(native=False)
    lines = [
        f"  {call.frame.path}:{call.frame.line}: {call.message}"
        for call in calls[:_CALLS_IN_MESSAGE]
    ]
    left_out = len(calls) - len(lines)
    return [*lines, f"  and {left_out} more calls"] if left_out else lines
