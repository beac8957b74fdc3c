"""Findings as diagnostics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.findings import Finding, Related, underlined
from memlens_lsp.features.placing import line_of_test
from memlens_lsp.positions import line_at, line_map, range_on_line
from memlens_lsp.tests_in_source import id_in_file

SOURCE = "memlens"

_SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "information": types.DiagnosticSeverity.Information,
}
#: How many calls a message itself tells of where the client shows no related information.
_CALLS_IN_MESSAGE = 5
#: How many calls of deep recursion are worth sending.
_MOST_RELATED = 200


class Files(Protocol):
    """The files of a project, by the names that its results use."""

    def uri(self, name: str) -> str | None:
        """Return the URI of a file, or None if the name is not a file's."""

    def now(self, name: str) -> str | None:
        """Return the text of a file as it is now, or None if it is gone."""

    def measured(self, run: int, name: str) -> str | None:
        """Return the text of a file as a run saw it, or None if that was not kept."""


@dataclass(frozen=True)
class Client:
    """What the client makes of diagnostics."""

    codec: PositionCodec
    #: Whether it shows `Diagnostic.relatedInformation`.
    related_information: bool


def diagnostics(
    name: str, findings: Iterable[Finding], files: Files, client: Client
) -> list[types.Diagnostic]:
    """Return *findings*, all in the file *name*, as diagnostics of its text now.

    What was found on a line that is gone is left out.
    """
    text = files.now(name)
    if text is None:
        return []
    made = [_diagnostic(finding, text, files, client) for finding in findings]
    return sorted(
        (diagnostic for diagnostic in made if diagnostic),
        key=lambda diagnostic: (diagnostic.range.start.line, diagnostic.message),
    )


def _diagnostic(
    finding: Finding, text: str, files: Files, client: Client
) -> types.Diagnostic | None:
    line = _line_now(finding, text, files)
    content = None if line is None else line_at(text, line)
    if line is None or content is None:
        return None
    message = _message(finding)
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


def _related(
    finding: Finding, files: Files, codec: PositionCodec
) -> list[types.DiagnosticRelatedInformation]:
    calls = [call for call in finding.related if files.uri(call.frame.path) is not None]
    related = [
        types.DiagnosticRelatedInformation(
            location=types.Location(
                uri=files.uri(call.frame.path) or "",
                range=_range_of_call(finding, call, files, codec),
            ),
            message=call.message,
        )
        for call in calls[:_MOST_RELATED]
    ]
    left_out = len(calls) - len(related)
    if left_out:
        related[-1].message += f" (and {left_out} more calls)"
    return related


def _range_of_call(
    finding: Finding, call: Related, files: Files, codec: PositionCodec
) -> types.Range:
    frame = call.frame
    line = max(frame.line, 1)
    measured = files.measured(finding.run, frame.path)
    text = files.now(frame.path) if measured is not None else None
    if measured is None or text is None:
        # Code that does not change between runs, such as a library's.
        start = types.Position(line=line - 1, character=0)
        return types.Range(start=start, end=start)
    # A call stack with a step left out would lie: an edited step leads to where it was.
    line = line_map(measured, text).nearest(line)
    return range_on_line(text, line, underlined(line_at(text, line) or "", None), codec)


def _calls(finding: Finding) -> Sequence[str]:
    lines = []
    for call in finding.related[:_CALLS_IN_MESSAGE]:
        lines.append(f"  {call.frame.path}:{call.frame.line}: {call.message}")
    left_out = len(finding.related) - len(lines)
    return [*lines, f"  and {left_out} more calls"] if left_out else lines
