"""Measuring tests: which, with what capture, and what their limits say of it.

Lives in the process that runs the tests. What it finds travels inside pytest's test report.
"""

from __future__ import annotations

import doctest
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.doctest import DoctestItem
from _pytest.mark.structures import get_unpacked_marks
from _pytest.outcomes import Failed  # public as pytest.fail.Exception, which mypy cannot follow
from _pytest.unittest import TestCaseFunction

from memlens import settings as options
from memlens.markers import (
    DESCRIPTIONS,
    Limit,
    LimitLeakedObjects,
    LimitLeaks,
    LimitMemory,
    MarkerError,
    parse_marker,
)
from memlens.settings import Settings

if TYPE_CHECKING:
    from memlens.places import Places
    from memlens.recording import DedicatedCapture, Measurement
    from memlens.recording.folder import CaptureFolder
    from memlens.store.records import TestRecord
    from memlens.verdicts import Judgement

#: How many stacks at the peak are kept, and the least share of the peak that is worth keeping.
_KEPT_PEAK_STACKS = 5
_KEPT_PEAK_SHARE = 0.01
#: How many leaking stacks are kept.
_KEPT_LEAK_STACKS = 100
#: CPython tells which objects outlive a test from this version on.
_KNOWS_SURVIVORS = (3, 13, 3)
#: What our properties of a test are called in JUnit XML.
_PROPERTY = "memlens_"


class LimitExceeded(Failed):
    """A test did what it should, but not within its limits."""

    def __init__(self, message: str) -> None:
        """*message* is all that people get to see: there is no line of code to point at."""
        super().__init__(message, pytrace=False)


@dataclass
class _Plan:
    """How one test is measured, and what came of it."""

    limits: tuple[Limit, ...]
    #: None until the body runs.
    capture: DedicatedCapture | None = None
    #: Where the capture is kept for the user; None where it is not.
    kept: Path | None = None
    body_raised: bool = False
    #: None until the body has run, and if it could not be measured.
    record: TestRecord | None = None

    @property
    def warmups(self) -> int:
        """How often the body runs unmeasured first."""
        return max(
            (limit.warmups for limit in self.limits if isinstance(limit, LimitLeaks)), default=0
        )

    def has(self, kind: type[Limit]) -> bool:
        """Return whether there is a limit of this kind."""
        return any(isinstance(limit, kind) for limit in self.limits)


@dataclass
class Measurer:
    """Measures the tests of one process."""

    settings: Settings
    rootdir: Path
    #: What the names of kept captures begin with: the same in all processes of a run.
    bin_prefix: str
    #: The peaks of last passing runs, in bytes, by path and name; None where nobody asked.
    last_peaks: Mapping[tuple[str, str], int] | None = None
    #: What went wrong in measuring, in plain words. Never a test's failure.
    faults: list[str] = field(default_factory=list)
    #: The tests that were not measured, by the reason.
    _lost: dict[str, list[str]] = field(default_factory=dict)
    #: Holds the captures; None until the first.
    _folder: CaptureFolder | None = None

    #: Where a test keeps its plan.
    _PLAN = pytest.StashKey[_Plan]()

    def prepare(self, item: pytest.Item) -> None:
        """Read the test's markers and plan its measurement.

        Raises:
            MarkerError: a marker cannot work as written, or not on this test.
        """
        limits = _limits(item, self.settings)
        if not options.MEMRAY_RUNS_HERE:
            return
        if limits or self.settings.measures_unmarked:
            item.stash[self._PLAN] = _Plan(limits)

    @functools.cached_property
    def _places(self) -> Places:
        # Only now: a run in which nothing is measured never imports the store, and so SQLite.
        from memlens.places import Places

        return Places(self.rootdir)

    @contextmanager
    def measuring(self, item: pytest.Item, attribute: str = "obj") -> Iterator[None]:
        """Measure the test's body, which is the item's *attribute*, when it is called in here.

        Raises:
            LimitExceeded: at the end, when the body passed but is over a limit.
        """
        plan = item.stash.get(self._PLAN, None)
        if plan is None:
            yield
            return
        plan.record = None  # a plugin that reruns tests may run this one again without set-up
        body = getattr(item, attribute)
        setattr(item, attribute, self._measured(item, plan, body))
        try:
            yield
        finally:
            setattr(item, attribute, body)
            if plan.capture is not None:
                self._conclude(item, plan, body)
        self._raise_if_exceeded(plan.record)

    def _raise_if_exceeded(self, record: TestRecord | None) -> None:
        if record is not None and any(check.verdict == "exceeded" for check in record.checks):
            from memlens.reports.failures import Detail, failure_text

            raise LimitExceeded(failure_text(record, Detail.from_settings(self.settings)))

    def record(self, item: pytest.Item) -> TestRecord | None:
        """Return what was measured of *item*, without outcome; None if nothing was."""
        plan = item.stash.get(self._PLAN, None)
        if plan is None or plan.record is None:
            return None
        peaks = [stack for stack in plan.record.stacks if stack.kind == "peak"]
        worth_keeping = sum(phase.peak_bytes for phase in plan.record.phases) * _KEPT_PEAK_SHARE
        kept = [stack for stack in peaks[:_KEPT_PEAK_STACKS] if stack.bytes >= worth_keeping]
        leaks = [stack for stack in plan.record.stacks if stack.kind == "leak"]
        return replace(plan.record, stacks=(*kept, *leaks[:_KEPT_LEAK_STACKS]))

    def close(self) -> None:
        """Delete the captures."""
        if self._folder is not None:
            self._folder.close()

    def _measured(
        self, item: pytest.Item, plan: _Plan, body: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Return a stand-in for *body* that measures each call; the last one counts."""
        if inspect.iscoroutinefunction(body):

            @functools.wraps(body)
            async def measured_async(*args: Any, **kwargs: Any) -> Any:
                with self._capturing(item, plan) as capture:
                    if capture is None:
                        return await body(*args, **kwargs)
                    return await capture.call_async(body, *args, **kwargs)

            return measured_async

        @functools.wraps(body)
        def measured(*args: Any, **kwargs: Any) -> Any:
            for _ in range(plan.warmups):
                body(*args, **kwargs)
            with self._capturing(item, plan) as capture:
                if capture is None:
                    return body(*args, **kwargs)
                return capture.call(body, *args, **kwargs)

        return measured

    @contextmanager
    def _capturing(self, item: pytest.Item, plan: _Plan) -> Iterator[DedicatedCapture | None]:
        plan.capture = self._new_capture(item, plan)
        plan.body_raised = True
        yield plan.capture
        plan.body_raised = False

    def _new_capture(self, item: pytest.Item, plan: _Plan) -> DedicatedCapture | None:
        settings = self.settings
        leaks = plan.has(LimitLeaks)
        try:
            # Only now: a run in which nothing is measured never imports memray.
            from memlens.recording import DedicatedCapture

            path = self._capture_path(item, plan)
        except (ImportError, OSError) as error:
            self._fault(f"tests were not measured: {error}")
            return None
        return DedicatedCapture(
            path,
            native=leaks or settings.native,
            python_allocators=leaks or settings.trace_python_allocators,
            objects=plan.has(LimitLeakedObjects),
            keep=plan.kept is not None,
        )

    def _capture_path(self, item: pytest.Item, plan: _Plan) -> Path:
        if self.settings.bin_path is not None:
            from memlens.captures import capture_path

            self.settings.bin_path.mkdir(parents=True, exist_ok=True)
            plan.kept = capture_path(self.settings.bin_path, self.bin_prefix, item.nodeid)
            return plan.kept
        if self._folder is None:
            from memlens.recording.folder import CaptureFolder

            self._folder = CaptureFolder()
        return self._folder.path_of("capture.bin")

    def _conclude(self, item: pytest.Item, plan: _Plan, body: Callable[..., Any]) -> None:
        """Read the capture and judge the limits."""
        from memlens.recording import CaptureError
        from memlens.verdicts import Evidence, judge

        capture, plan.capture = plan.capture, None
        assert capture is not None
        try:
            measurement = capture.measurement()
        except CaptureError as error:
            self._lose(item.nodeid, str(error))
            return
        if plan.kept is not None:
            self._describe(plan.kept, item.nodeid, measurement.peak)
        evidence = Evidence(
            peak_stacks=measurement.peak_stacks,
            alive_stacks=measurement.alive_stacks,
            body_raised=plan.body_raised,
            survivors=capture.survivors,
        )
        # A filter_fn that raises fails its test, with its own traceback.
        judgements = [judge(limit, evidence) for limit in plan.limits]
        try:
            plan.record = self._record(item, plan, body, measurement, judgements)
            _set_properties(item, plan.record)
        except Exception as error:  # noqa: BLE001 - a fault of ours is no failure of the test's
            plan.record = None
            self._lose(item.nodeid, f"this is a fault of memlens: {type(error).__name__}: {error}")

    def _describe(self, capture: Path, nodeid: str, peak: int) -> None:
        from memlens.captures import write_metadata

        try:
            write_metadata(capture, nodeid, peak)
        except OSError as error:
            self._fault(f"captures have no metadata: {error}")

    def _record(
        self,
        item: pytest.Item,
        plan: _Plan,
        body: Callable[..., Any],
        measurement: Measurement,
        judgements: Sequence[Judgement],
    ) -> TestRecord:
        from memlens.stacks import merged
        from memlens.store.records import PhaseRecord, TestRecord
        from memlens.verdicts import judge_increase

        record = TestRecord(
            nodeid=item.nodeid,
            path=self._places.path(item.path),
            line=_line(item, body),
            outcome="",
            duration=0.0,
            worker=None,
            phases=(
                PhaseRecord(
                    "call",
                    peak_bytes=measurement.peak,
                    allocated_bytes=measurement.allocated,
                    allocations=measurement.allocations,
                    alive_bytes=measurement.alive,
                    histogram=measurement.histogram,
                ),
            ),
            checks=tuple(judgement.check for judgement in judgements),
            stacks=(
                *(self._places.stack("peak", stack) for stack in merged(measurement.peak_stacks)),
                *(
                    self._places.stack("leak", stack)
                    for judgement in judgements
                    if judgement.check.marker == LimitLeaks.marker
                    for stack in judgement.stacks
                ),
            ),
        )
        last = (self.last_peaks or {}).get((record.path, record.name))
        if last is None or not plan.has(LimitMemory):
            return record
        increase = judge_increase(measurement.peak, last, self.settings.increase_tolerance)
        return replace(record, checks=(*record.checks, increase.check))

    def _lose(self, nodeid: str, reason: str) -> None:
        """Note that a test was not measured: one line for each reason, however many tests."""
        lost = self._lost.setdefault(reason, [])
        if lost:
            self.faults.remove(_loss(lost, reason))
        lost.append(nodeid)
        self._fault(_loss(lost, reason))

    def _fault(self, message: str) -> None:
        if message not in self.faults:
            self.faults.append(message)


def _limits(item: pytest.Item, settings: Settings) -> tuple[Limit, ...]:
    """Return what the test's markers demand; of several of a kind the nearest counts."""
    limits: list[Limit] = []
    for name in DESCRIPTIONS:
        marker = _closest_marker(item, name)
        if marker is not None:
            limit = parse_marker(name, marker.args, marker.kwargs)
            _refuse_where_it_cannot_work(item, limit)
            limits.append(limit)
        elif name == LimitMemory.marker and settings.default_limit is not None:
            limits.append(LimitMemory(settings.default_limit))
    return tuple(limits)


def _closest_marker(item: pytest.Item, name: str) -> pytest.Mark | None:
    if isinstance(item, DoctestItem):
        # pytest looks for a doctest's markers on its module only.
        for owner in _owners(item.dtest):
            for marker in get_unpacked_marks(owner):
                if marker.name == name:
                    return marker
    return item.get_closest_marker(name)


def _owners(test: doctest.DocTest) -> list[object]:
    """Return the function or class whose doctest this is, and the classes around it outwards."""
    names = test.name.removeprefix(f"{test.globs.get('__name__')}.").split(".")
    owners: list[object] = []
    known: Mapping[str, object] = test.globs
    for name in names:
        if name not in known:  # the module's own doctest, or a text file's
            break
        owners.insert(0, known[name])
        known = getattr(owners[0], "__dict__", {})
    return owners


def _refuse_where_it_cannot_work(item: pytest.Item, limit: Limit) -> None:
    if isinstance(limit, LimitLeakedObjects) and sys.version_info < _KNOWS_SURVIVORS:
        needed, present = (".".join(map(str, v)) for v in (_KNOWS_SURVIVORS, sys.version_info[:3]))
        raise MarkerError(
            f"limit_leaked_objects needs CPython {needed} or newer; this is {present}"
        )
    if isinstance(limit, LimitLeaks) and limit.warmups:
        function = inspect.unwrap(getattr(item, "obj", None))  # type: ignore[arg-type]
        if isinstance(item, TestCaseFunction) or inspect.iscoroutinefunction(function):
            raise MarkerError(
                "limit_leaks: warmups would run this test several times in one set-up, which"
                " coroutine and unittest tests do not expect: leave it out"
            )


def _loss(tests: Sequence[str], reason: str) -> str:
    if len(tests) == 1:
        return f"{tests[0]} was not measured: {reason}"
    return f"{tests[0]} and {len(tests) - 1} more were not measured: {reason}"


def _line(item: pytest.Item, body: Callable[..., Any]) -> int:
    from memlens.places import line_of_test

    if isinstance(item, pytest.Function):
        return line_of_test(item.path, body, item.originalname, item.cls)
    return (item.reportinfo()[1] or 0) + 1  # a doctest: where its example begins


def _set_properties(item: pytest.Item, record: TestRecord) -> None:
    """Give the test its properties for JUnit XML, in place of those of an earlier attempt."""
    properties: list[tuple[str, object]] = []
    for phase in record.phases:
        properties += [("peak_bytes", phase.peak_bytes), ("allocated_bytes", phase.allocated_bytes)]
    for check in record.checks:
        properties += [
            (f"{check.marker}_limit_bytes", check.limit_bytes),
            (f"{check.marker}_measured_bytes", check.measured_bytes),
            (f"{check.marker}_verdict", check.verdict),
        ]
    item.user_properties[:] = [
        *(known for known in item.user_properties if not known[0].startswith(_PROPERTY)),
        *((f"{_PROPERTY}{name}", value) for name, value in properties),
    ]
