"""What reports are made of: the tests of a run, or the newest result of each, read once."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import dropwhile, islice
from typing import NamedTuple

from memlens.findings import Finding, find
from memlens.store.reading import PastResult, ResultsReader
from memlens.store.records import CheckRecord, RunRecord, TestRecord

#: How many earlier results of a test a report shows.
_SHOWN_PAST = 20


class Results(NamedTuple):
    """What a report tells of."""

    #: In the order in which they ran.
    tests: tuple[TestRecord, ...] = ()
    #: Those that `tests` and `past` are of, the oldest first.
    runs: tuple[RunRecord, ...] = ()
    #: What earlier runs measured, by the test's id, the oldest first. Empty if nobody asked.
    past: dict[int, tuple[PastResult, ...]] = {}  # noqa: RUF012 - nobody changes a default
    #: The text of each file that a finding is in, as measured, by the run's id and the path.
    sources: dict[tuple[int, str], str] = {}  # noqa: RUF012

    def run_of(self, test: TestRecord) -> RunRecord | None:
        """Return the run that measured *test*."""
        return next((run for run in self.runs if run.id == test.run), None)


def read_results(
    reader: ResultsReader, tests: Iterable[TestRecord], *, history: bool = False
) -> Results:
    """Return *tests*, which *reader* has read, with what else a report needs to know of them.

    Raises:
        ResultsError: the file cannot be read.
    """
    tests = tuple(tests)
    runs = {run.id: run for run in reversed(reader.runs(None))}
    past = (
        {
            test.id: _past(reader, test, owner)
            for test in tests
            if test.id is not None and (owner := runs.get(test.run)) is not None
        }
        if history
        else {}
    )
    told = {runs[test.run].uuid for test in tests if test.run in runs}
    told |= {point.uuid for points in past.values() for point in points}
    return Results(
        tests,
        tuple(run for run in runs.values() if run.uuid in told),
        past,
        {
            place: source.text
            for place in {(finding.run, finding.path) for finding in find(tests)}
            if (source := reader.source(*place)) is not None
        },
    )


def _past(reader: ResultsReader, test: TestRecord, run: RunRecord) -> tuple[PastResult, ...]:
    # What was measured later is no past.
    own_on = dropwhile(lambda point: point.uuid != run.uuid, reader.history(test.path, test.name))
    return tuple(islice(own_on, 1, _SHOWN_PAST + 1))[::-1]


def problems(results: Results) -> list[tuple[TestRecord, CheckRecord]]:
    """Return each failed test and the limit that it is over, not those expected to fail."""
    return [
        (test, check)
        for test in results.tests
        if is_told(test)
        for check in test.checks
        if check.verdict == "exceeded"
    ]


def told_findings(results: Results) -> list[Finding]:
    """Return what is wrong in tests that were not expected to fail, the errors first."""
    findings = find(test for test in results.tests if is_told(test))
    # That a test came close to its limit is no news of a run: it passed.
    told = [finding for finding in findings if finding.code != "memory-near-limit"]
    return sorted(told, key=lambda finding: finding.severity != "error")


def is_told(test: TestRecord) -> bool:
    """Return whether a limit that *test* is over is news: not if it was expected to fail."""
    return test.outcome != "xfailed"
