"""What the results database of a project says, read in one go.

Everything here reads a file: call it off the event loop.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from memlens.findings import Finding, find
from memlens.store import (
    NewerSchemaError,
    ResultsError,
    ResultsReader,
    RunRecord,
    SiteRecord,
    TestRecord,
    database_path,
)
from memlens_lsp.projects import has_results

_T = TypeVar("_T")

#: Call stacks that held less than this many bytes say nothing worth showing about their line.
LEAST_SITE = 64 * 1024
#: Seconds before a database that cannot be read is looked at once more.
_SECOND_LOOK = 0.3


@dataclass(frozen=True)
class Findings:
    """What is wrong in a project, and the texts in which it is true."""

    #: By file, as the database names it.
    by_file: Mapping[str, Sequence[Finding]] = field(default_factory=dict)
    #: The text of a file as a run saw it, by run and file.
    sources: Mapping[tuple[int, str], str] = field(default_factory=dict)


@dataclass(frozen=True)
class FileResults:
    """What is known of one file: of the tests in it, and of what its lines allocate."""

    #: The project that knows it, None if none does.
    root: Path | None = None
    #: What that project's results call it.
    name: str = ""
    #: The newest result of each test in it, without call stacks.
    tests: Sequence[TestRecord] = ()
    #: What the peaks of those tests were in the run before, in bytes, by id.
    peaks_before: Mapping[int, int] = field(default_factory=dict)
    #: What its lines held at the peaks of tests, here and elsewhere, and what they leaked.
    sites: Sequence[SiteRecord] = ()
    #: The text of the file as a run saw it, by run.
    sources: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunResults:
    """What a run has done up to now."""

    run: RunRecord
    #: Number of tests by outcome: passed, failed, skipped, xfailed, xpassed.
    outcomes: Mapping[str, int]


def read_findings(root: Path) -> Findings:
    """Return the findings of the project at *root*; none if it has no results.

    Raises:
        ResultsError: its database cannot be read.
    """
    return _read(root, _findings) or Findings()


def read_file(root: Path, names: Iterable[str]) -> FileResults | None:
    """Return what the project at *root* knows of the file called one of *names*, if anything.

    The first name that it knows counts.

    Raises:
        ResultsError: the database cannot be read.
    """

    def read(reader: ResultsReader) -> FileResults | None:
        for name in names:
            tests = reader.latest_tests(name, stacks=False)
            sites = reader.sites_in(name, LEAST_SITE)
            if not tests and not sites:
                continue
            runs = {*(test.run or 0 for test in tests), *(site.run for site in sites)}
            sources = {run: source.text for run in runs if (source := reader.source(run, name))}
            return FileResults(root, name, tests, reader.peaks_before(tests), sites, sources)
        return None

    return _read(root, read)


def read_run(roots: Iterable[Path], arguments: Sequence[str], started: str) -> RunResults | None:
    """Return the newest run with pytest's *arguments* that began at *started* or later, if any.

    *started* is a time as the database has it. Databases that cannot be read have no runs.
    """

    def read(reader: ResultsReader) -> RunResults | None:
        for run in reader.runs(limit=5):
            if run.id is not None and run.started >= started and run.command_line == arguments:
                return RunResults(run, reader.outcomes(run.id))
        return None

    arguments = tuple(arguments)
    for root in roots:
        try:
            results = _read(root, read)
        except ResultsError:
            continue
        if results is not None:
            return results
    return None


def _read(root: Path, read: Callable[[ResultsReader], _T]) -> _T | None:
    if not has_results(root):
        return None
    try:
        with ResultsReader(database_path(root)) as reader:
            return read(reader)
    except NewerSchemaError:
        raise
    except ResultsError:
        # It may just be being made, replaced or deleted.
        time.sleep(_SECOND_LOOK)
        if not has_results(root):
            return None
        with ResultsReader(database_path(root)) as reader:
            return read(reader)


def _findings(reader: ResultsReader) -> Findings:
    by_file: dict[str, list[Finding]] = {}
    sources: dict[tuple[int, str], str] = {}
    looked_for: set[tuple[int, str]] = set()
    for finding in find(reader.latest_exceeded()):
        by_file.setdefault(finding.path, []).append(finding)
        frames = (related.frame for related in finding.related)
        names = {finding.path, *(frame.path for frame in frames if frame.kind == "project")}
        for key in ((finding.run, name) for name in names):
            if key in looked_for:
                continue
            looked_for.add(key)
            source = reader.source(*key)
            if source is not None:
                sources[key] = source.text
    return Findings(by_file, sources)


def is_busy(error: ResultsError) -> bool:
    """Return whether *error* only says that another process holds the database just now."""
    cause = error.__cause__
    return isinstance(cause, sqlite3.OperationalError) and "locked" in str(cause)
