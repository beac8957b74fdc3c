"""`memlens check`: what is over its limit, near it or leaks, a line each for problem matchers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from memlens.commands.common import (
    FINE,
    FOUND,
    add_command,
    results_path,
    rootdir_of,
    shown_path,
)
from memlens.commands.output import complain
from memlens.commands.screen import printable
from memlens.findings import Finding, find, underlined
from memlens.store import ResultsReader

#: As compilers say it: VS Code's problem matchers take an "information" for an error.
_SEVERITIES = {"information": "info"}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "check",
        summary="list what is over its limit, near it or leaks, one line each",
        description=(
            "List what is over its limit, near it or leaks, as an editor would mark it:\n"
            "path:line:col: severity code message\n"
            "The severity is error, warning or info."
        ),
        examples="pytest --memray; memlens check",
        exit_status="0 nothing of severity error, 1 something, 2 no results could be read",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List the findings; return 1 if one of them is an error."""
    with ResultsReader(results_path(arguments)) as reader:
        rootdir = rootdir_of(reader)
        findings = find([*reader.latest_exceeded(), *reader.latest_near_limit()])
        gone = _gone(reader, findings, rootdir)
        findings = [finding for finding in findings if finding.path not in gone]
        for _, line in sorted(_lines(reader, findings, rootdir)):
            print(printable(line))
    if gone:
        complain(f"memlens: left out what was found in files that are gone: {', '.join(gone)}")
    return FOUND if any(finding.severity == "error" for finding in findings) else FINE


def _gone(reader: ResultsReader, findings: Sequence[Finding], rootdir: Path) -> list[str]:
    """Return the files of *findings* that were deleted since: what was found there is not true.

    Where no file of any test is, the project is elsewhere (downloaded or combined results), and
    nothing is known to be gone.
    """
    missing = sorted(
        {finding.path for finding in findings if not (rootdir / finding.path).exists()}
    )
    if not missing:
        return []
    files = {path for path, _, _ in reader.nodeids()}
    return missing if any((rootdir / path).exists() for path in files) else []


def _lines(
    reader: ResultsReader, findings: Sequence[Finding], rootdir: Path
) -> Iterator[tuple[tuple[str, int, int], str]]:
    """Yield what to sort by, and the line."""
    for finding in findings:
        source = reader.source(finding.run, finding.path)
        text = source.text.split("\n") if source is not None else []
        code = text[finding.line - 1] if finding.line <= len(text) else ""
        column = underlined(code, finding.name)[0] + 1
        shown = shown_path(rootdir / finding.path)
        severity = _SEVERITIES.get(finding.severity, finding.severity)
        yield (
            (shown, finding.line, column),
            f"{shown}:{finding.line}:{column}: {severity} {finding.code}"
            f" {finding.message_with_test}",
        )
