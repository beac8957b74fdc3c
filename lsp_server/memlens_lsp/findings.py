"""What is wrong in a project by its results, brought up to date as results come in.

Only results that are new are read: in a run of many tests there are some several times a second,
and years of history beside them. Everything here reads a file: call it off the event loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from memlens.findings import DEFAULT_THRESHOLDS, Finding, Thresholds, find
from memlens.store import ResultsReader, SourceRecord, TestRecord
from memlens_lsp.results import read_database


class _Result(NamedTuple):
    """A result that has findings."""

    id: int
    #: The uuid of the run that measured it: with the id it names one result of one database.
    run: str
    findings: tuple[Finding, ...]
    #: The project's files that these have to do with.
    names: frozenset[str]
    #: Without its call stacks.
    test: TestRecord


@dataclass(frozen=True)
class Findings:
    """What is wrong in a project, and the texts in which it is true."""

    #: By file, as the database names it. As long as nothing in a file changes these are the same
    #: objects.
    by_file: Mapping[str, Sequence[Finding]] = field(default_factory=dict)
    #: For each of these, the project's files that its findings have to do with.
    concerned: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: The text of a file as a run saw it, by run and file.
    sources: Mapping[tuple[int, str], SourceRecord] = field(default_factory=dict)
    thresholds: Thresholds = DEFAULT_THRESHOLDS
    #: The results that have findings, by path and name of their tests.
    results: Mapping[tuple[str, str], _Result] = field(default_factory=dict)
    #: The id of the newest result that has been looked at, and the uuid of its run.
    newest: tuple[int, str] = (0, "")
    #: The uuid and status of the newest run.
    last_run: tuple[str, str] | None = None

    @cached_property
    def tests(self) -> Mapping[tuple[str, int], TestRecord]:
        """The tests that have findings, by node id and run, without their call stacks."""
        tests = (result.test for result in self.results.values())
        return {(test.nodeid, test.run or 0): test for test in tests}


def read_findings(
    root: Path,
    before: Findings | None = None,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> Findings:
    """Return the findings of the project at *root*; none if it has no results.

    Of what was known *before* only that is read again which has changed.

    Raises:
        ResultsError: its database cannot be read.
    """

    def read(reader: ResultsReader) -> Findings:
        known = before
        if known is None or known.thresholds != thresholds or not _holds(reader, known):
            known = Findings(thresholds=thresholds)
        return _brought_up_to_date(reader, known)

    return read_database(root, read) or Findings(thresholds=thresholds)


def _holds(reader: ResultsReader, known: Findings) -> bool:
    """Return whether all results in *known* are still there, in the same database."""
    expected = {result.id: result.run for result in known.results.values()}
    newest, run = known.newest
    if newest:
        expected[newest] = run
    return reader.runs_of(expected) == expected


def _brought_up_to_date(reader: ResultsReader, known: Findings) -> Findings:
    # First, so that what is stored meanwhile is looked at next time.
    newest = reader.newest_result()
    after = known.newest[0]
    last_run = next(((run.uuid, run.status) for run in reader.runs()), None)
    if newest == after:
        return known if last_run == known.last_run else replace(known, last_run=last_run)
    results = dict(known.results)
    if results:
        # What was measured again may be well now.
        for measured in reader.names_after(after):
            results.pop(measured, None)
    near = reader.latest_near_limit(known.thresholds.near_limit, after=after)
    found = [*near, *reader.latest_exceeded(after=after)]
    runs = reader.runs_of([newest, *(test.id for test in found if test.id is not None)])
    for test in found:
        findings = tuple(find([test], known.thresholds))
        if findings and test.id in runs:
            names = frozenset(_names(findings))
            alone = test._replace(stacks=())
            results[test.path, test.name] = _Result(test.id, runs[test.id], findings, names, alone)
    by_file, concerned = _by_file(results.values(), known)
    return Findings(
        by_file,
        concerned,
        _sources(reader, results.values(), known),
        known.thresholds,
        results,
        (newest, runs[newest]) if newest in runs else (0, ""),
        last_run,
    )


def _names(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        yield finding.path
        for stack in finding.stacks:
            yield from (frame.path for frame in stack.frames if frame.kind == "project")


def _by_file(
    results: Iterable[_Result], known: Findings
) -> tuple[dict[str, Sequence[Finding]], dict[str, frozenset[str]]]:
    by_file: dict[str, list[Finding]] = {}
    concerned: dict[str, set[str]] = {}
    for result in sorted(results):
        for finding in result.findings:
            by_file.setdefault(finding.path, []).append(finding)
            concerned.setdefault(finding.path, set()).update(result.names)
    return (
        {name: _kept(known.by_file.get(name), findings) for name, findings in by_file.items()},
        {name: frozenset(names) for name, names in concerned.items()},
    )


def _kept(before: Sequence[Finding] | None, findings: Sequence[Finding]) -> Sequence[Finding]:
    """Return *before* if it is the same as *findings*."""
    if before is None or len(before) != len(findings):
        return findings
    same = all(one is other for one, other in zip(before, findings, strict=True))
    return before if same else findings


def _sources(
    reader: ResultsReader, results: Iterable[_Result], known: Findings
) -> dict[tuple[int, str], SourceRecord]:
    """Return the texts in which the findings are true, each content once."""
    contents = {(source.path, source.digest): source for source in known.sources.values()}
    sources: dict[tuple[int, str], SourceRecord] = {}
    keys = {(result.findings[0].run, name) for result in results for name in result.names}
    for key in keys:
        source = known.sources.get(key) or reader.source(*key)
        if source is not None:
            sources[key] = contents.setdefault((source.path, source.digest), source)
    return sources
