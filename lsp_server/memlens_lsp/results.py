"""What the results database of a project says, read in one go.

Everything here reads a file: call it off the event loop.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

from memlens.store import (
    NewerSchemaError,
    PastResult,
    ResultsError,
    ResultsReader,
    RunRecord,
    SiteRecord,
    StackKind,
    TestRecord,
    database_path,
)
from memlens_lsp.projects import has_results

_T = TypeVar("_T")

#: Call stacks that held less than this many bytes say nothing worth showing about their line.
LEAST_SITE = 64 * 1024
#: How many runs of a test are told of.
_MOST_RUNS = 20
#: Seconds before a database that cannot be read is looked at once more.
_SECOND_LOOK = 0.3
#: Seconds that an answer waits for another program's lock on a database.
_PATIENCE = 1.0


class MeasuredLine(NamedTuple):
    """A line as a run saw it, and what was measured there."""

    run: int
    line: int
    kind: StackKind


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
    #: What all call stacks of a test leaked that leaked too much, in bytes, by the test's id.
    leaked: Mapping[int, int] = field(default_factory=dict)

    @cached_property
    def sites_by_line(self) -> Mapping[MeasuredLine, Sequence[SiteRecord]]:
        """The `sites` of each line, the largest first."""
        by_line: dict[MeasuredLine, list[SiteRecord]] = {}
        for site in self.sites:
            by_line.setdefault(MeasuredLine(site.run, site.line, site.kind), []).append(site)
        return by_line


class TestDetails(NamedTuple):
    """All that is known of one test."""

    #: With its call stacks.
    test: TestRecord
    #: What the last runs measured, the newest first.
    history: Sequence[PastResult]
    #: The files that its call stacks name, as its run saw them.
    sources: Mapping[str, str]


#: pytest takes what is called Test… for a test class; this is none.
TestDetails.__test__ = False  # type: ignore[attr-defined]


@dataclass(frozen=True)
class RunResults:
    """What a run has done up to now."""

    run: RunRecord
    #: Number of tests by outcome: passed, failed, skipped, xfailed, xpassed.
    outcomes: Mapping[str, int]
    #: The id of the test whose result came last, None before the first.
    newest: str | None = None


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
            sources: dict[int, str] = {}
            # Many runs may have seen the same text. It is kept once.
            texts: dict[str, str] = {}
            for run in runs:
                source = reader.source(run, name)
                if source is not None:
                    sources[run] = texts.setdefault(source.digest, source.text)
            before, leaked = reader.peaks_before(tests), reader.leaked(_leaking(tests))
            return FileResults(root, name, tests, before, sites, sources, leaked)
        return None

    return read_database(root, read)


def _leaking(tests: Iterable[TestRecord]) -> list[TestRecord]:
    """Return those of *tests* that broke their limit for leaks, which are few."""
    return [
        test
        for test in tests
        if any(one.marker == "limit_leaks" and one.verdict == "exceeded" for one in test.checks)
    ]


def read_test(root: Path, result: int, nodeid: str) -> TestDetails | None:
    """Return what is known of the test that has the id *result*; None if it is not *nodeid*'s.

    Raises:
        ResultsError: the database cannot be read.
    """

    def read(reader: ResultsReader) -> TestDetails | None:
        test = reader.result(result)
        if test is None or test.nodeid != nodeid:
            return None  # another database has taken the place of the one that had it
        frames = (frame for stack in test.stacks for frame in stack.frames)
        names = {test.path, *(frame.path for frame in frames if frame.kind == "project")}
        run = test.run or 0
        sources = {name: source.text for name in names if (source := reader.source(run, name))}
        return TestDetails(test, reader.history(test.path, test.name, _MOST_RUNS), sources)

    return read_database(root, read)


def read_failing(root: Path) -> list[tuple[str, str]]:
    """Return path and name of each test that failed or was over a limit when it was last measured.

    Raises:
        ResultsError: the database cannot be read.
    """
    return read_database(root, ResultsReader.failing) or []


def read_run(roots: Iterable[Path], arguments: Sequence[str], started: str) -> RunResults | None:
    """Return the newest run with pytest's *arguments* that began at *started* or later, if any.

    *started* is a time as the database has it. Databases that cannot be read have no runs.
    """

    def read(reader: ResultsReader) -> RunResults | None:
        for run in reader.runs(limit=5):
            if run.id is not None and run.started >= started and run.command_line == arguments:
                return RunResults(run, reader.outcomes(run.id), reader.newest_test(run.id))
        return None

    arguments = tuple(arguments)
    for root in roots:
        try:
            results = read_database(root, read)
        except ResultsError:
            continue
        if results is not None:
            return results
    return None


def read_database(root: Path, read: Callable[[ResultsReader], _T]) -> _T | None:
    """Return what *read* makes of the results of the project at *root*; None if it has none.

    Raises:
        ResultsError: the database cannot be read.
    """
    if not has_results(root):
        return None
    try:
        return _read(root, read)
    except NewerSchemaError:
        raise
    except ResultsError as error:
        if is_busy(error):
            raise
        # It may just be being made, replaced or deleted.
        time.sleep(_SECOND_LOOK)
        return _read(root, read) if has_results(root) else None


def _read(root: Path, read: Callable[[ResultsReader], _T]) -> _T:
    with ResultsReader(database_path(root), patience=_PATIENCE) as reader:
        return read(reader)


def is_busy(error: ResultsError) -> bool:
    """Return whether *error* only says that another process holds the database just now."""
    cause = error.__cause__
    return isinstance(cause, sqlite3.OperationalError) and "locked" in str(cause)
