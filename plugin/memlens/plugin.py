"""pytest's hooks: wiring only. See `measuring` and `recorder` for what they do."""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.unittest import TestCaseFunction

from memlens import settings as options
from memlens.markers import DESCRIPTIONS, MarkerError
from memlens.measuring import LimitExceeded, Measurer
from memlens.settings import Settings

if TYPE_CHECKING:
    from memlens.recorder import Recorder

#: Attributes of a test report: its measurement as `TestRecord.to_dict` makes it, and whether that
#: is why the test failed. pytest-xdist carries them from a worker to the controller.
REPORT_ATTRIBUTE = "memlens"
EXCEEDED_ATTRIBUTE = "memlens_exceeded"
#: A key of `config.workeroutput`, by which a pytest-xdist worker sends its faults.
_WORKER_FAULTS = "memlens_faults"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare our flags and ini keys."""
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declare our markers and hook in."""
    for description in DESCRIPTIONS.values():
        config.addinivalue_line("markers", description)
    settings = Settings.from_config(config)
    measurer = Measurer(settings, config.rootpath)
    config.pluginmanager.register(TestHooks(measurer), "memlens-tests")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(ResultHooks(config, settings, measurer), "memlens-results")


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
        """Measure a method of a `unittest.TestCase`, which pytest_pyfunc_call never sees."""
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
        if (
            call.excinfo is not None
            and isinstance(call.excinfo.value, LimitExceeded)
            and report.failed
        ):
            report.longrepr = call.excinfo.value.msg
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

    def __init__(self, config: pytest.Config, settings: Settings, measurer: Measurer) -> None:
        self._config = config
        self._settings = settings
        #: Ours and, under pytest-xdist, the workers'.
        self._faults = measurer.faults
        self._collected: int | None = None
        #: None until the first measurement arrives.
        self._recorder: Recorder | None = None

    def pytest_report_header(self) -> str | None:
        """Say that tests are being measured and where results go."""
        if not self._settings.measure_all:
            return None
        return f"memlens: measuring every test with memray, results in {self._results_name()}"

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note how many tests will run."""
        self._collected = len(session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note how many tests will run; every worker collects the same."""
        self._collected = len(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the results of a test once all its phases are reported."""
        measured: dict[str, Any] | None = getattr(report, REPORT_ATTRIBUTE, None)
        if self._recorder is None:
            if measured is None:
                return
            # Only now: a run in which nothing is measured never imports SQLite.
            from memlens.recorder import Recorder

            arguments = [str(arg) for arg in self._config.invocation_params.args]
            self._recorder = Recorder(self._config.rootpath, arguments, self._collected)
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

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the heaviest tests, and what went wrong in measuring or writing."""
        recorder = self._recorder
        if recorder is not None and self._settings.measure_all:
            from memlens.reports.terminal import write_summary

            write_summary(terminalreporter, recorder.tests, self._results_name())
        for fault in (*self._faults, *(recorder.faults if recorder is not None else ())):
            terminalreporter.write_line(f"memlens warning: {fault}", yellow=True)

    def _results_name(self) -> str:
        """Return the results file as a person in the current folder would name it."""
        from memlens.store import database_path

        path = database_path(self._config.rootpath)
        here = self._config.invocation_params.dir
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
