"""Keeping results: from pytest's reports to the database, one commit a test.

Lives in the one process that writes: under pytest-xdist that is the controller, which gets each
measurement inside its test's report.
"""

from __future__ import annotations

import os
import platform
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from memlens.revision import RevisionQuestion
from memlens.store import ResultsError, ResultsWriter, RunRecord, TestRecord, database_path
from memlens.store.writing import utc_now


@dataclass
class _Pending:
    """A test whose phases are still being reported."""

    record: TestRecord | None = None
    outcome: str = "passed"
    #: Seconds.
    duration: float = 0.0
    #: The test will run again (pytest-rerunfailures): this attempt does not stand.
    again: bool = False


@dataclass
class Recorder:
    """Writes the results of one run."""

    rootdir: Path
    command_line: Sequence[str]
    #: Number of tests selected to run; None when that is not known.
    collected: int | None = None
    #: Of the tests measured so far, of their stacks only who allocated.
    tests: list[TestRecord] = field(default_factory=list)
    #: What went wrong in writing, in plain words.
    faults: list[str] = field(default_factory=list)
    _pending: dict[tuple[str, str | None], _Pending] = field(default_factory=dict)
    #: None until the first measured test, and after writing failed.
    _writer: ResultsWriter | None = None
    _revision: RevisionQuestion | None = None
    #: SQLite's connections do not survive a fork.
    _pid: int = field(default_factory=os.getpid)

    @property
    def path(self) -> Path:
        """Return where the results go."""
        return database_path(self.rootdir)

    def take(self, report: pytest.TestReport, measured: Mapping[str, Any] | None) -> None:
        """Take one phase's report; the test is written when its teardown is reported.

        *measured* is what `TestRecord.to_dict` made of the phase's measurement, if it has one.
        """
        if os.getpid() != self._pid:
            return  # a test forked and came back in the child too: it must not write
        worker = _worker(report)
        key = (report.nodeid, worker)
        if report.when == "setup":
            # A rerun starts afresh: the last attempt stands.
            self._pending[key] = _Pending()
        pending = self._pending.setdefault(key, _Pending())
        if _is_subtest(report):
            # Its time is in its test's. Its failure is too in pytest 9, but not in pytest-subtests.
            if report.failed:
                pending.outcome = "failed"
            return
        pending.duration += report.duration
        pending.outcome = _outcome(pending.outcome, report)
        pending.again |= report.outcome == "rerun"  # type: ignore[comparison-overlap]
        if measured is not None:
            pending.record = TestRecord.from_dict(measured)
        # A worker that crashed reports no phase, and nothing after it.
        if report.when not in ("setup", "call"):
            self._write(self._pending.pop(key), worker)

    def finish(self, exit_status: int) -> None:
        """Note the run's end and close the file."""
        if os.getpid() != self._pid:
            return
        for (_, worker), pending in self._pending.items():
            self._write(pending, worker)
        self._pending.clear()
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
            self._writer.close()
        except ResultsError as error:
            self._fault(error)
        self._writer = None

    def _write(self, pending: _Pending, worker: str | None) -> None:
        if pending.record is None or pending.again:
            return
        test = replace(
            pending.record, outcome=pending.outcome, duration=pending.duration, worker=worker
        )
        self.tests.append(_outline(test))
        if self.faults:
            return
        try:
            if self._writer is None:
                self._writer = ResultsWriter(self.path, self._run())
            self._writer.add_test(test)
        except ResultsError as error:
            self._fault(error)

    def _run(self) -> RunRecord:
        self._revision = RevisionQuestion(self.rootdir)
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

    def _fault(self, error: ResultsError) -> None:
        self.faults.append(f"results were not kept: {error}")
        if self._writer is not None:
            writer, self._writer = self._writer, None
            with suppress(ResultsError):  # one message about this file is enough
                writer.close()


def _worker(report: pytest.TestReport) -> str | None:
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
    return replace(
        test,
        stacks=tuple(
            replace(stack, frames=tuple(f for f in stack.frames if f.kind != "native")[:1])
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
