"""pytest's hooks of a run in which something is measured: wiring only.

See `measuring` and `recorder` for what they do.
"""

from __future__ import annotations

import inspect
import os
import shutil
import sys
from collections.abc import Generator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from _pytest._code.code import (
    ExceptionChainRepr,
    ReprEntryNative,
    ReprFileLocation,
    ReprTraceback,
)
from _pytest.doctest import DoctestItem
from _pytest.unittest import TestCaseFunction

from memlens import coexistence
from memlens.capturing import Captures
from memlens.markers import MarkerError
from memlens.measuring import LimitExceeded, Measurer
from memlens.pending import Pending
from memlens.recorder import Recorder, worker_of
from memlens.reports.junit import JUnitProperties
from memlens.settings import MEMRAY_RUNS_HERE, Settings, results_name

if TYPE_CHECKING:
    from memlens.exports.session import Written
    from memlens.store.records import TestRecord

#: Attributes of a test report, which pytest-xdist carries from a worker to the controller: results
#: that have become complete (this test's or earlier ones'), as `TestRecord.to_dict` makes them;
#: whether this test's result is among them or will come later; whether it is over a limit.
RESULTS_ATTRIBUTE = "memlens_results"
AWAITED_ATTRIBUTE = "memlens_awaited"
EXCEEDED_ATTRIBUTE = "memlens_exceeded"
#: And where the worker has what it has not read yet.
FOLDER_ATTRIBUTE = "memlens_folder"
#: Keys of pytest-xdist's `workerinput` and `workeroutput`, by which a worker gets what it has to
#: know and sends what went wrong.
WORKER_INPUT = "memlens"
_WORKER_FAULTS = "memlens_faults"


def install(config: pytest.Config, settings: Settings, collected: int | None) -> dict[str, Any]:
    """Hook in, once; return what pytest-xdist's workers have to know.

    *collected* is the number of tests that will run, None if that is not known yet.
    """
    installed = config.pluginmanager.get_plugin("memlens-results")
    if isinstance(installed, ResultHooks):
        return installed.worker_input
    given: dict[str, Any] | None = getattr(config, "workerinput", {}).get(WORKER_INPUT)
    is_worker = given is not None
    faults: list[str] = []
    if given is None:
        given = _input(config, settings, faults)
    measurer = Measurer(
        settings,
        Pending(
            settings,
            config.rootpath,
            Captures(settings, given["bin_prefix"]),
            {(path, name): peak for path, name, peak in given["last_peaks"]},
        ),
        heavy={(path, name) for path, name in given["heavy"]},
        is_worker=is_worker,
    )
    config.pluginmanager.register(TestHooks(measurer), "memlens-tests")
    measurer.pending.faults += faults
    if not is_worker:
        # Not in workers: what one of them has left is for their controller to keep.
        if MEMRAY_RUNS_HERE:
            from memlens.recovery import recover_leftovers

            measurer.pending.faults += recover_leftovers()
        hooks = ResultHooks(config, settings, measurer, given, collected)
        config.pluginmanager.register(hooks, "memlens-results")
    if "MEMLENS_NOW" in os.environ:  # a run of the language server's
        from memlens.now import pytest_configure

        pytest_configure(config)
    return given


def _input(config: pytest.Config, settings: Settings, faults: list[str]) -> dict[str, Any]:
    """Return what all processes of the run have to agree on, as plain values.

    What goes wrong is put into *faults*.
    """
    from memlens.store import ResultsError, ResultsReader, database_path

    heavy: list[list[str]] = []
    last_peaks: list[list[object]] = []
    try:
        # Without results there is nothing yet to go by. What cannot be read is said when the run
        # comes to write there.
        with suppress(ResultsError), ResultsReader(database_path(config.rootpath)) as reader:
            heavy = [list(test) for test in reader.heavy_tests()]
            if settings.fail_on_increase:
                last_peaks = [[*test, peak] for test, peak in reader.last_passing_peaks().items()]
    except Exception as error:  # noqa: BLE001 - a fault of ours is no failure of the run's
        faults.append(f"earlier results were not used: {type(error).__name__}: {error}")
    return {
        "bin_prefix": settings.bin_prefix or uuid4().hex,
        "heavy": heavy,
        "last_peaks": last_peaks,
    }


class TestHooks:
    """What happens in the process that runs the tests."""

    __test__ = False

    def __init__(self, measurer: Measurer) -> None:
        self._measurer = measurer

    # trylast: the last wrapper is the nearest to the test.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Refuse a wrong marker as this test's own error, and measure the set-up."""
        try:
            self._measurer.prepare(item)
        except MarkerError as error:
            place = f"{item.location[0]}:{(item.location[1] or 0) + 1}"
            pytest.fail(f"{place}: {error}", pytrace=False)
        with self._measurer.phase(item, "setup"):
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure the teardown."""
        with self._measurer.phase(item, "teardown"):
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Measure a test function."""
        with self._measurer.measuring(pyfuncitem):
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure what pytest_pyfunc_call never sees: `unittest.TestCase` methods and doctests."""
        if isinstance(item, DoctestItem):
            with self._measurer.measuring(item, "runtest"):
                return (yield)
        if not isinstance(item, TestCaseFunction):
            return (yield)
        with self._measurer.measuring(item):
            if not inspect.iscoroutinefunction(item.obj):
                return (yield)
            # pytest hands a method to its test case, but leaves coroutines to be looked up there.
            setattr(item.instance, item.name, item.obj)
            try:
                return (yield)
            finally:
                delattr(item.instance, item.name)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put what was measured into the report, and our own words in place of a traceback."""
        report = yield
        if call.when == "teardown" and self._measurer.is_awaited(item):
            setattr(report, AWAITED_ATTRIBUTE, True)
        if self._measurer.is_worker:
            if self._measurer.pending.folder is not None:
                setattr(report, FOLDER_ATTRIBUTE, str(self._measurer.pending.folder))
            finished = [record.to_dict() for record in self._measurer.pending.finished()]
            if finished:
                setattr(report, RESULTS_ATTRIBUTE, finished)
        error = call.excinfo.value if call.excinfo is not None else None
        clash = coexistence.explain_clash(error) if error is not None else None
        if clash and self._measurer.has_measured(item):
            report.sections.append(("memlens", clash))
        if isinstance(error, LimitExceeded) and report.failed:
            report.longrepr = _representation(item, error)
            setattr(report, EXCEEDED_ATTRIBUTE, True)
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Read what is left in a worker, and send what came of it; else `ResultHooks` does that."""
        output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if output is not None:
            self._measurer.pending.close()
            output[RESULTS_ATTRIBUTE] = [
                record.to_dict() for record in self._measurer.pending.finished()
            ]
            output[_WORKER_FAULTS] = self._measurer.pending.faults


class ResultHooks:
    """What happens in the process that reports and writes."""

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        measurer: Measurer,
        worker_input: dict[str, Any],
        collected: int | None,
    ) -> None:
        self._config = config
        self._settings = settings
        self._measurer = measurer
        self.worker_input = worker_input
        #: Ours and, under pytest-xdist, the workers'.
        self._faults = measurer.pending.faults
        arguments = [str(arg) for arg in config.invocation_params.args]
        self._recorder = Recorder(
            config.rootpath,
            arguments,
            collected,
            settings.history,
            settings.history_size,
            has_reports=bool(settings.reports) or _is_annotated(settings),
        )
        self._junit = JUnitProperties(config)
        #: Where pytest-xdist's workers have what they have not read yet.
        self._folders: dict[str | None, str | None] = {}
        #: The reports that were asked for; None before the end of the run, and if there are none.
        self._written: Written | None = None
        self._pid = os.getpid()
        measurer.pending.captures.describe = self._describe

    def _describe(self, folder: Path) -> None:
        from memlens.recovery import describe_run
        from memlens.store import database_path

        describe_run(folder, self._recorder.run, database_path(self._config.rootpath))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note how many tests will run; every worker collects the same."""
        self._recorder.collected = len(ids)

    @pytest.hookimpl(tryfirst=True)  # before pytest's JUnit XML is done with the test
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the results of tests once they are complete."""
        awaited = getattr(report, AWAITED_ATTRIBUTE, False)
        if awaited:
            self._junit.expect(report)
        worker = worker_of(report)
        waiting = self._recorder.take(report, awaited=awaited)
        if waiting is not None and worker is None:
            self._measurer.pending.note_outcome(report.nodeid, *waiting)
        self._folders[worker] = getattr(report, FOLDER_ATTRIBUTE, None)
        self._keep(getattr(report, RESULTS_ATTRIBUTE, ()), worker)
        self._keep_own()

    def _keep_own(self) -> None:
        """Keep what this process itself has measured."""
        for record in self._measurer.pending.finished():
            self._add(record, None)

    def _keep(self, results: Iterable[dict[str, Any]], worker: str | None) -> None:
        """Keep what a pytest-xdist worker has measured."""
        if results:
            from memlens.store.records import TestRecord

            for data in results:
                self._add(TestRecord.from_dict(data), worker)

    def _add(self, record: TestRecord, worker: str | None) -> None:
        self._recorder.add(record, worker)
        self._junit.add(record, worker)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take over what a pytest-xdist worker has measured last, and what went wrong there."""
        folder = self._folders.pop(node.gateway.id, None)
        if error is not None and folder is not None and Path(folder).is_dir():
            self._recover(Path(folder), node.gateway.id)
        output: dict[str, Any] = getattr(node, "workeroutput", {})
        self._keep(output.get(RESULTS_ATTRIBUTE, ()), node.gateway.id)
        for fault in output.get(_WORKER_FAULTS, ()):
            if fault not in self._faults:
                self._faults.append(fault)

    def _recover(self, folder: Path, worker: str) -> None:
        """Keep what a pytest-xdist worker of this machine had not read when it crashed."""
        from memlens.recovery import recover

        try:
            for found in recover(folder, self._config.rootpath):
                self._add(found.record, worker)
        except Exception as error:  # noqa: BLE001 - a fault of ours is no failure of the run's
            self._faults.append(f"results of {worker} were lost: {type(error).__name__}: {error}")
        shutil.rmtree(folder, ignore_errors=True)

    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show a test that is over its limits as M, apart from tests that fail."""
        if getattr(report, EXCEEDED_ATTRIBUTE, False) and report.failed:
            return "failed", "M", ("MEMORY PROBLEMS", {"red": True})
        return None

    @pytest.hookimpl(tryfirst=True)  # before pytest writes its JUnit XML
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Keep the last results, and note the run's end."""
        self._measurer.pending.close()
        self._keep_own()
        self._recorder.finish(int(exitstatus))
        try:
            self._write_reports()
        finally:
            self._recorder.close()
        if not self._config.pluginmanager.has_plugin("terminalreporter"):
            for command in self._written.commands if self._written is not None else ():
                print(command)
            for warning in self._warnings():
                print(warning, file=sys.stderr)

    def _write_reports(self) -> None:
        """Write the reports that were asked for, and in GitHub Actions its own on failed limits."""
        if self._config.getoption("collectonly") or os.getpid() != self._pid:
            return  # no test ran, or one forked and came back in the child too
        if not self._recorder.has_reports:
            return
        from memlens.exports import session

        recorder, requests = self._recorder, self._settings.reports
        if _is_annotated(self._settings):
            requests = session.with_github(requests, recorder.tests)
        if not requests:
            return
        run = recorder.run.uuid if recorder.has_results else None
        here = self._config.invocation_params.dir
        self._written = session.write_reports(requests, recorder.database, run, here)
        if run is None:
            self._faults.append(f"no test was measured, so reports are empty{self._advice}")

    @property
    def _advice(self) -> str:
        forgotten = MEMRAY_RUNS_HERE and not self._settings.measures_unmarked
        return ": add --memray to measure every test" if forgotten else ""

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the heaviest tests, and what went wrong in measuring or writing."""
        recorder = self._recorder
        settings = self._settings
        if recorder.has_results and settings.measures_unmarked and settings.show_summary:
            from memlens.reports.summary import Shown, write_summary

            functions = {-1: 0, 0: 3}.get(max(min(settings.verbosity, 1), -1), 5)
            shown = Shown(settings.most_allocations, functions, unicode=_has_bars(terminalreporter))
            write_summary(terminalreporter, recorder.tests, shown)
            if recorder.has_stored:
                terminalreporter.write_line(f"Results: {results_name(self._config)}")
        if recorder.has_results and settings.bin_path is not None:
            terminalreporter.write_line(
                f"Captures: {settings.bin_path}, {len(recorder.tests)} with the prefix"
                f" {self.worker_input['bin_prefix']}"
            )
        if self._written is not None:
            for place in self._written.places:
                terminalreporter.write_line(f"Report: {place}")
            for command in self._written.commands:
                terminalreporter.write_line(command)
        for warning in self._warnings():
            terminalreporter.write_line(warning, yellow=True)

    def _warnings(self) -> list[str]:
        written = self._written.faults if self._written is not None else ()
        faults = (*self._faults, *self._recorder.faults, *written)
        return [f"memlens warning: {fault}" for fault in faults]


def _is_annotated(settings: Settings) -> bool:
    """Return whether failed limits are annotated without being asked for: in GitHub Actions."""
    return settings.github and bool(os.environ.get("GITHUB_ACTIONS"))


def _representation(item: pytest.Item, error: LimitExceeded) -> ExceptionChainRepr:
    """Return the error's text as pytest takes a failure's: printed as it is, summed up by line 1.

    A plain string would do, but for pytest 8, whose short summary knows no message of a string.
    pytest-xdist can carry this too.
    """
    text = error.msg or ""
    place = ReprFileLocation(str(item.path), error.line, text.partition("\n")[0])
    traceback = ReprTraceback([ReprEntryNative([f"{text}\n"])], None, "native")
    return ExceptionChainRepr([(traceback, place, None)])


def _has_bars(terminalreporter: pytest.TerminalReporter) -> bool:
    """Return whether the terminal's encoding has block characters."""
    # pytest has no public way to ask; without an answer plain ASCII is always right.
    file = getattr(getattr(terminalreporter, "_tw", None), "_file", None)
    try:
        "▁█".encode(getattr(file, "encoding", None) or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True
