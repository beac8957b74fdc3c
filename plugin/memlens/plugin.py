"""pytest's hooks: wiring only. See `measuring` and `recorder` for what they do."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Generator
from contextlib import suppress
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
from memlens import settings as options
from memlens.markers import DESCRIPTIONS, MarkerError
from memlens.measuring import LimitExceeded, Measurer
from memlens.settings import Settings

if TYPE_CHECKING:
    from memlens.recorder import Recorder
    from memlens.store.records import TestRecord

#: Attributes of a test report: its measurement as `TestRecord.to_dict` makes it, and whether that
#: is why the test failed. pytest-xdist carries them from a worker to the controller.
REPORT_ATTRIBUTE = "memlens"
EXCEEDED_ATTRIBUTE = "memlens_exceeded"
#: Keys of pytest-xdist's `workerinput` and `workeroutput`, by which a worker gets what it has to
#: know and sends what went wrong.
_WORKER_INPUT = "memlens"
_WORKER_FAULTS = "memlens_faults"
_NOTHING_MEASURED = (
    "memlens: nothing is measured and no limit enforced, since memray does not run on Windows"
)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare our flags and ini keys."""
    coexistence.take_over(parser, pluginmanager)
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declare our markers and hook in."""
    for description in DESCRIPTIONS.values():
        config.addinivalue_line("markers", description)
    settings = Settings.from_config(config)
    given: dict[str, Any] | None = getattr(config, "workerinput", {}).get(_WORKER_INPUT)
    if given is None:
        given = _input(config, settings)
    measurer = Measurer(
        settings,
        config.rootpath,
        bin_prefix=given["bin_prefix"],
        last_peaks={(path, name): peak for path, name, peak in given["last_peaks"]},
    )
    config.pluginmanager.register(TestHooks(measurer), "memlens-tests")
    if not hasattr(config, "workerinput"):
        hooks = ResultHooks(config, settings, measurer, given)
        config.pluginmanager.register(hooks, "memlens-results")


def _input(config: pytest.Config, settings: Settings) -> dict[str, Any]:
    """Return what all processes of the run have to agree on, as plain values."""
    last_peaks: list[list[object]] = []
    if settings.fail_on_increase:
        from memlens.store import ResultsError, ResultsReader, database_path

        # Without results there is nothing yet to compare with.
        with suppress(ResultsError), ResultsReader(database_path(config.rootpath)) as reader:
            last_peaks = [[*test, peak] for test, peak in reader.last_passing_peaks().items()]
    return {"bin_prefix": settings.bin_prefix or uuid4().hex, "last_peaks": last_peaks}


class TestHooks:
    """What happens in the process that runs the tests."""

    __test__ = False

    def __init__(self, measurer: Measurer) -> None:
        self._measurer = measurer

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Refuse a wrong marker as this test's own error, before anything is set up for it."""
        try:
            self._measurer.prepare(item)
        except MarkerError as error:
            place = f"{item.location[0]}:{(item.location[1] or 0) + 1}"
            pytest.fail(f"{place}: {error}", pytrace=False)

    # trylast: the last wrapper is the nearest to the test.
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
        """Put the measurement into the report, and our own words in place of a traceback."""
        report = yield
        if call.when != "call":
            return report
        record = self._measurer.record(item)
        if record is not None:
            setattr(report, REPORT_ATTRIBUTE, record.to_dict())
            clash = call.excinfo and coexistence.explain_clash(call.excinfo.value)
            if clash:
                report.sections.append(("memlens", clash))
        if (
            call.excinfo is not None
            and isinstance(call.excinfo.value, LimitExceeded)
            and report.failed
        ):
            report.longrepr = _representation(item, record, call.excinfo.value.msg or "")
            setattr(report, EXCEEDED_ATTRIBUTE, True)
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Delete captures; from a worker, send what went wrong."""
        self._measurer.close()
        output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_WORKER_FAULTS] = self._measurer.faults


class ResultHooks:
    """What happens in the process that reports and writes."""

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        measurer: Measurer,
        worker_input: dict[str, Any],
    ) -> None:
        self._config = config
        self._settings = settings
        self._worker_input = worker_input
        #: Ours and, under pytest-xdist, the workers'.
        self._faults = measurer.faults
        self._collected: int | None = None
        #: The latest reports of tests under way, by node id, until something was measured.
        self._set_up: dict[str, pytest.TestReport] = {}
        #: None until the first measurement arrives.
        self._recorder: Recorder | None = None

    def pytest_report_header(self) -> list[str]:
        """Say that tests are being measured and where results go, and who measures."""
        lines = list(coexistence.header_lines(self._config.pluginmanager))
        if self._settings.measures_unmarked and not options.MEMRAY_RUNS_HERE:
            lines.append(_NOTHING_MEASURED)
        elif self._settings.measure_all:
            lines.append(
                f"memlens: measuring every test with memray, results in {self._results_name()}"
            )
        return lines

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> str | None:
        """Say that limits are not enforced where memray does not run."""
        if options.MEMRAY_RUNS_HERE or self._settings.measures_unmarked:  # the header has said it
            return None
        marked = any(item.get_closest_marker(name) for item in items for name in DESCRIPTIONS)
        return _NOTHING_MEASURED if marked else None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note how many tests will run."""
        self._collected = len(session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a pytest-xdist worker what it has to know."""
        node.workerinput[_WORKER_INPUT] = self._worker_input

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note how many tests will run; every worker collects the same."""
        self._collected = len(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the results of a test once all its phases are reported."""
        measured: dict[str, Any] | None = getattr(report, REPORT_ATTRIBUTE, None)
        if self._recorder is None:
            if measured is None:
                # The first measured test's set-up is reported before anything was measured.
                self._set_up[report.nodeid] = report
                if report.when == "teardown":
                    del self._set_up[report.nodeid]
                return
            # Only now: a run in which nothing is measured never imports SQLite.
            from memlens.recorder import Recorder

            arguments = [str(arg) for arg in self._config.invocation_params.args]
            self._recorder = Recorder(self._config.rootpath, arguments, self._collected)
            for earlier in self._set_up.values():
                self._recorder.take(earlier, None)
        self._recorder.take(report, measured)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what went wrong in a pytest-xdist worker."""
        for fault in getattr(node, "workeroutput", {}).get(_WORKER_FAULTS, ()):
            if fault not in self._faults:
                self._faults.append(fault)

    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show a test that is over its limits as M, apart from tests that fail."""
        if getattr(report, EXCEEDED_ATTRIBUTE, False) and report.failed:
            return "failed", "M", ("MEMORY PROBLEMS", {"red": True})
        return None

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Note the run's end in the results."""
        if self._recorder is not None:
            self._recorder.finish(int(exitstatus))
        if not self._config.pluginmanager.has_plugin("terminalreporter"):
            for warning in self._warnings():
                print(warning, file=sys.stderr)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the heaviest tests, and what went wrong in measuring or writing."""
        recorder = self._recorder
        settings = self._settings
        if recorder is not None and settings.measures_unmarked and settings.show_summary:
            from memlens.reports.summary import Shown, write_summary

            functions = {-1: 0, 0: 3}.get(max(min(settings.verbosity, 1), -1), 5)
            shown = Shown(settings.most_allocations, functions, unicode=_has_bars(terminalreporter))
            write_summary(terminalreporter, recorder.tests, shown)
            terminalreporter.write_line(f"Results: {self._results_name()}")
        if recorder is not None and settings.bin_path is not None:
            terminalreporter.write_line(
                f"Captures: {settings.bin_path}, {len(recorder.tests)} with the prefix"
                f" {self._worker_input['bin_prefix']}"
            )
        for warning in self._warnings():
            terminalreporter.write_line(warning, yellow=True)

    def _warnings(self) -> list[str]:
        faults = (*self._faults, *(self._recorder.faults if self._recorder is not None else ()))
        return [f"memlens warning: {fault}" for fault in faults]

    def _results_name(self) -> str:
        """Return the results file as a person in the current folder would name it."""
        from memlens.store import database_path

        path = database_path(self._config.rootpath)
        here = self._config.invocation_params.dir
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _representation(item: pytest.Item, record: TestRecord | None, text: str) -> ExceptionChainRepr:
    """Return *text* as pytest takes a failure's: printed as it is, with its first line the message.

    A plain string would do, but for pytest 8, whose short summary knows no message of a string.
    pytest-xdist can carry this too.
    """
    place = ReprFileLocation(str(item.path), record.line if record else 1, text.partition("\n")[0])
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
