"""The `memlens` command: results without an editor."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from memlens import __version__
from memlens.findings import Finding, find, underlined
from memlens.store import DATABASE_NAME, FOLDER_NAME, ResultsError, ResultsReader, database_path

#: Exit statuses.
_FINE, _FOUND, _FAILED = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (None: the process's) and return its exit status."""
    arguments = _parser().parse_args(argv)
    with suppress(ImportError):  # Windows, where nothing is measured and nothing left over
        from memlens.recovery import recover_leftovers

        recover_leftovers()
    try:
        return _check(arguments.results or _nearest_results(Path.cwd()))
    except ResultsError as error:
        print(f"memlens: {error}", file=sys.stderr)
        return _FAILED
    except BrokenPipeError:
        # Whoever read us has seen enough. Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FINE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memlens", description="Show what 'pytest --memray' has measured."
    )
    parser.add_argument("--version", action="version", version=f"memlens {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    check = commands.add_parser(
        "check",
        help="list what is over its limit or leaks, one line each",
        description=(
            "List what is over its limit or leaks, as an editor would mark it:\n"
            "path:line:col: severity code message"
        ),
        epilog="example:\n  pytest --memray; memlens check\n\n"
        "exit status: 0 nothing of severity error, 1 something, 2 no results could be read",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument(
        "--results",
        type=Path,
        metavar="PATH",
        help=f"the results to read (default: the nearest {FOLDER_NAME}/{DATABASE_NAME}, from here"
        " upwards)",
    )
    return parser


def _nearest_results(folder: Path) -> Path:
    candidates = [database_path(parent) for parent in (folder, *folder.parents)]
    return next((path for path in candidates if path.is_file()), candidates[0])


def _check(results: Path) -> int:
    with ResultsReader(results) as reader:
        rootdir = results.absolute().parent.parent
        # What was found in a file that is gone is no longer true.
        findings = [
            finding
            for finding in find(reader.latest_exceeded())
            if (rootdir / finding.path).exists()
        ]
        for _, line in sorted(_lines(reader, findings, rootdir)):
            print(line)
    return _FOUND if any(finding.severity == "error" for finding in findings) else _FINE


def _lines(
    reader: ResultsReader, findings: Sequence[Finding], rootdir: Path
) -> Iterator[tuple[tuple[str, int, int], str]]:
    """Yield what to sort by, and the line."""
    for finding in findings:
        source = reader.source(finding.run, finding.path)
        text = source.text.split("\n") if source is not None else []
        code = text[finding.line - 1] if finding.line <= len(text) else ""
        column = underlined(code, finding.name)[0] + 1
        shown = _shown(rootdir / finding.path)
        yield (
            (shown, finding.line, column),
            f"{shown}:{finding.line}:{column}: {finding.severity} {finding.code} {finding.message}",
        )


def _shown(path: Path) -> str:
    """Return *path* as one would type it here."""
    path = path.resolve()
    here = Path.cwd().resolve()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
