"""Keeping results: from pytest's reports to the database, one commit a test.

Lives in the one process that writes: under pytest-xdist that is the controller, which gets
measurements inside test reports. Imports the store, and so SQLite, only to write something.
"""

from __future__ import annotations

import functools
import platform
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from os import getpid  # so, since tests replace os.getpid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from memlens.revision import RevisionQuestion
    from memlens.spare import SpareResults
    from memlens.store import ResultsWriter, RunRecord, TestRecord

#: Added to why the project could not keep results.
_IN_REPORTS = "; only this run's reports have them"


@dataclass(eq=False, repr=False)
class _Outcome:
    """How a test went, as far as it has been reported."""

    outcome: str = "passed"
    #: Seconds.
    duration: float = 0.0
    #: The test will run again (pytest-rerunfailures): this attempt does not stand.
    again: bool = False
    #: Its call was reported (flaky keeps quiet about those it repeats), or the end of its worker.
    was_run: bool = False
    #: Nothing more will be reported.
    is_final: bool = False
    #: What was measured, if that is known before the outcome.
    record: TestRecord | None = None


@dataclass(eq=False, repr=False)
class Recorder:
    """Joins outcomes and measurements, and writes the results of one run."""

    rootdir: Path
    command_line: Sequence[str]
    #: Number of tests selected to run; None when that is not known.
    collected: int | None = None
    #: How many results of each test are kept, and how many bytes of all (None: any number).
    history: int = 50
    history_size: int | None = 500 * 1024**2
    #: Whether reports are made of the run. They need its results even if the project cannot keep
    #: them.
    has_reports: bool = False
    #: Of the tests measured so far, of their stacks only who allocated.
    tests: list[TestRecord] = field(default_factory=list)
    #: What went wrong in writing, in plain words.
    faults: list[str] = field(default_factory=list)
    #: Whether the project's database has at least one of them.
    has_stored: bool = False
    #: Whether nothing is written any more.
    _has_failed: bool = False
    #: What is written to, for reports, after the project's database has failed; None before.
    _spare: SpareResults | None = None
    #: Of tests that are being run or whose measurement is awaited, by node id and worker.
    _outcomes: dict[tuple[str, str | None], _Outcome] = field(default_factory=dict)
    #: None until the first measured test, and after writing failed.
    _writer: ResultsWriter | None = None
    _revision: RevisionQuestion | None = None
    #: SQLite's connections do not survive a fork.
    _pid: int = field(default_factory=getpid)

    @property
    def has_results(self) -> bool:
        """Whether anything was measured."""
        return bool(self.tests)

    def take(self, report: pytest.TestReport, *, awaited: bool) -> tuple[str, float] | None:
        """Take one phase's report. *awaited* says at a test's end that `add` will follow.

        Return outcome and seconds if nothing but that is awaited now.
        """
        key = (report.nodeid, worker_of(report))
        if report.when == "setup":
            # A rerun starts afresh: the last attempt stands.
            self._outcomes[key] = _Outcome()
        outcome = self._outcomes.setdefault(key, _Outcome())
        if _is_subtest(report):
            # Its time is in its test's. Its failure is too in pytest 9, but not in pytest-subtests.
            if report.failed:
                outcome.outcome = "failed"
            return None
        outcome.duration += report.duration
        outcome.outcome = _outcome(outcome.outcome, report)
        outcome.was_run |= report.when not in ("setup", "teardown")
        outcome.again |= report.outcome == "rerun"  # type: ignore[comparison-overlap]
        # A worker that crashed reports no phase, and nothing after it.
        outcome.is_final = report.when not in ("setup", "call")
        if report.when == "teardown" and (outcome.again or not outcome.was_run or not awaited):
            del self._outcomes[key]  # an attempt that does not stand, or was not measured
        elif outcome.is_final and outcome.record is not None:
            self._write(key)
        elif outcome.is_final:
            return outcome.outcome, outcome.duration
        return None

    def add(self, record: TestRecord, worker: str | None) -> None:
        """Take what was measured of a test, in whatever order with `take`."""
        key = (record.nodeid, worker)
        outcome = self._outcomes.get(key)
        if outcome is None:
            return  # an attempt that does not stand
        outcome.record = record
        if outcome.is_final:
            self._write(key)

    def _write(self, key: tuple[str, str | None]) -> None:
        """Write the result of a test, in one commit."""
        outcome = self._outcomes.pop(key)
        if outcome.again or outcome.record is None or getpid() != self._pid:
            return  # a test forked and came back in the child too: it must not write
        test = outcome.record._replace(
            outcome=outcome.outcome, duration=outcome.duration, worker=key[1]
        )
        self.tests.append(_outline(test))
        self._keep(test)

    def _keep(self, test: TestRecord) -> None:
        """Write to the project's database, or once that has failed, for reports, to a spare one."""
        if self._has_failed:
            return
        from memlens.store import ResultsWriter, database_path

        try:
            if self._writer is None:
                from memlens.revision import RevisionQuestion

                self._revision = RevisionQuestion(self.rootdir)
                self._writer = ResultsWriter(database_path(self.rootdir), self.run)
            self._writer.add_test(test)
            self.has_stored |= self._spare is None
        except Exception as error:  # noqa: BLE001 - no fault of ours is a failure of the run's
            self._fault(error)
            if self.has_reports and self._spare is None:
                self._begin_spare()
                self._keep(test)

    def _begin_spare(self) -> None:
        """Go on in a spare database, with what the run has written to the project's."""
        from memlens.spare import SpareResults
        from memlens.store import database_path

        stored_in = database_path(self.rootdir) if self.has_stored else None
        try:
            self._spare = SpareResults(self.run, stored_in)
        except Exception as error:  # noqa: BLE001 - as above
            self.faults.append(f"reports lack results: {_words(error)}")
            return
        self._writer = self._spare.writer
        self._has_failed = False
        if stored_in is None and len(self.tests) > 1:
            self.faults.append("reports lack what was measured before that")
        else:
            self.faults[-1] += _IN_REPORTS

    @property
    def database(self) -> Path | None:
        """Where the results of this run are until `close`, None if they are nowhere."""
        from memlens.store import database_path

        if self._spare is not None:
            return self._spare.path
        return database_path(self.rootdir) if self.has_stored else None

    def finish(self, exit_status: int) -> None:
        """Note the run's end and close the file."""
        for key, outcome in list(self._outcomes.items()):
            if outcome.was_run:  # else it was interrupted
                self._write(key)
        if getpid() != self._pid:
            return
        # Asked even if nobody will know the answer: git must not be left behind.
        revision = self._revision.answer() if self._revision is not None else None
        if self._writer is None:
            return
        try:
            self._writer.finish(
                exit_status,
                interrupted=exit_status == pytest.ExitCode.INTERRUPTED,
                git_commit=revision.commit if revision else None,
                git_dirty=revision.dirty if revision else None,
            )
            # Not if it is wanted to end.
            if exit_status != pytest.ExitCode.INTERRUPTED and self._spare is None:
                self._trim(self._writer)
            self._writer.close()
            self.faults += self._writer.notices
        except Exception as error:  # noqa: BLE001 - as above
            self._fault(error)
        self._writer = None

    def close(self) -> None:
        """Forget what the project could not keep: the reports are made. After `finish`."""
        if self._spare is not None:
            self._spare.close()
            self._spare = None

    def _trim(self, writer: ResultsWriter) -> None:
        try:
            writer.trim(runs=self.history, size=self.history_size)
        except Exception as error:  # noqa: BLE001 - as above
            self.faults.append(f"old results were not dropped: {_words(error)}")

    @functools.cached_property
    def run(self) -> RunRecord:
        """The run, as it begins."""
        from memlens.store.records import RunRecord
        from memlens.store.writing import utc_now

        return RunRecord(
            uuid=str(uuid.uuid4()),
            started=utc_now(),
            finished=None,
            status="running",
            exit_status=None,
            command_line=tuple(self.command_line),
            rootdir=str(self.rootdir),
            versions={
                "memlens": metadata.version("pytest-memlens"),
                "memray": metadata.version("memray"),
                "pytest": metadata.version("pytest"),
                "python": platform.python_version(),
                "platform": sys.platform,
            },
            git_commit=None,
            git_dirty=None,
            collected=self.collected,
        )

    def _fault(self, error: Exception) -> None:
        from memlens.store import ResultsError, database_path

        self._has_failed = True
        # Somebody may have deleted it.
        self.has_stored &= database_path(self.rootdir).is_file()
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self.faults += writer.notices
            with suppress(ResultsError):  # one message about this file is enough
                writer.close()
        if self._spare is None:
            self.faults.append(f"results were not kept: {_words(error)}")
        else:
            self.faults = [fault.removesuffix(_IN_REPORTS) for fault in self.faults]
            self.faults.append(f"reports lack results: {_words(error)}")


def _words(error: Exception) -> str:
    from memlens.store import ResultsError

    # Only of what we know is the message enough.
    return str(error) if isinstance(error, ResultsError) else f"{type(error).__name__}: {error}"


def worker_of(report: pytest.TestReport) -> str | None:
    """Return the id of the pytest-xdist worker that sent *report*, or crashed."""
    worker: str | None = getattr(report, "worker_id", None)
    if worker is None and hasattr(report, "node"):
        worker = report.node.gateway.id
    return worker


def _is_subtest(report: pytest.TestReport) -> bool:
    # pytest's SubtestReport is private, and pytest-subtests has one of its own.
    return type(report) is not pytest.TestReport and hasattr(report, "context")


def _outline(test: TestRecord) -> TestRecord:
    """Return *test* with so little of its stacks that those of a large suite fit into memory."""
    return test._replace(
        stacks=tuple(
            stack._replace(frames=tuple(f for f in stack.frames if f.kind != "native")[:1])
            for stack in test.stacks_of("peak")
        ),
    )


def _outcome(before: str, report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    if report.failed:
        return "failed"
    if report.skipped:
        return "skipped"
    return before
