"""`memlens check`: what is over its limit or leaks, one line each, for problem matchers."""

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
from memlens.commands.screen import printable
from memlens.findings import Finding, find, underlined
from memlens.store import ResultsReader


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "check",
        summary="list what is over its limit or leaks, one line each",
        description=(
            "List what is over its limit or leaks, as an editor would mark it:\n"
            "path:line:col: severity code message"
        ),
        examples="pytest --memray; memlens check",
        exit_status="0 nothing of severity error, 1 something, 2 no results could be read",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List the findings; return 1 if one of them is an error."""
    with ResultsReader(results_path(arguments)) as reader:
        rootdir = rootdir_of(reader)
        # What was found in a file that is gone is no longer true.
        findings = [
            finding
            for finding in find(reader.latest_exceeded())
            if (rootdir / finding.path).exists()
        ]
        for _, line in sorted(_lines(reader, findings, rootdir)):
            print(printable(line))
    return FOUND if any(finding.severity == "error" for finding in findings) else FINE


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
        yield (
            (shown, finding.line, column),
            f"{shown}:{finding.line}:{column}: {finding.severity} {finding.code} {finding.message}",
        )
