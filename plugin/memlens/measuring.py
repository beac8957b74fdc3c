"""Measuring tests: which, with what capture, and what their limits say of it.

Lives in the process that runs the tests. What it finds travels inside pytest's test report.
"""

from __future__ import annotations

import functools
import inspect
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.outcomes import Failed  # public as pytest.fail.Exception, which mypy cannot follow

from memlens.markers import DESCRIPTIONS, Limit, LimitLeaks, parse_marker
from memlens.settings import Settings

if TYPE_CHECKING:
    from memlens.places import Places
    from memlens.recording import DedicatedCapture, Measurement
    from memlens.store.records import TestRecord
    from memlens.verdicts import Judgement

#: How many stacks at the peak are kept, and the least share of the peak that is worth keeping.
_KEPT_PEAK_STACKS = 5
_KEPT_PEAK_SHARE = 0.01


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
    body_raised: bool = False
    #: None until the body has run, and if it could not be measured.
    record: TestRecord | None = None


@dataclass
class Measurer:
    """Measures the tests of one process."""

    settings: Settings
    rootdir: Path
    #: What went wrong in measuring, in plain words. Never a test's failure.
    faults: list[str] = field(default_factory=list)
    #: Holds the captures; None until the first.
    _folder: Path | None = None

    #: Where a test keeps its plan.
    _PLAN = pytest.StashKey[_Plan]()

    def prepare(self, item: pytest.Item) -> None:
        """Read the test's markers and plan its measurement.

        Raises:
            MarkerError: a marker cannot work as written.
        """
        limits = _limits(item)
        if limits or self.settings.measure_all:
            item.stash[self._PLAN] = _Plan(limits)

    @functools.cached_property
    def _places(self) -> Places:
        # Only now: a run in which nothing is measured never imports the store, and so SQLite.
        from memlens.places import Places

        return Places(self.rootdir)

    @contextmanager
    def measuring(self, item: pytest.Function) -> Iterator[None]:
        """Measure the test's body whenever it is called within this context.

        Raises:
            LimitExceeded: at the end, when the body passed but is over a limit.
        """
        plan = item.stash.get(self._PLAN, None)
        body = item.obj
        if plan is None:
            yield
            return
        item.obj = self._measured(plan, body)
        try:
            yield
        finally:
            item.obj = body
            if plan.capture is not None:
                self._conclude(item, plan, body)
        if plan.record is not None and any(c.verdict == "exceeded" for c in plan.record.checks):
            from memlens.reports.terminal import failure_text

            raise LimitExceeded(failure_text(plan.record))

    def record(self, item: pytest.Item) -> TestRecord | None:
        """Return what was measured of *item*, without outcome; None if nothing was."""
        plan = item.stash.get(self._PLAN, None)
        return None if plan is None else plan.record

    def close(self) -> None:
        """Delete the captures."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _measured(self, plan: _Plan, body: Callable[..., Any]) -> Callable[..., Any]:
        """Return a stand-in for *body* that measures each call; the last one counts."""
        if inspect.iscoroutinefunction(body):

            @functools.wraps(body)
            async def measured_async(*args: Any, **kwargs: Any) -> Any:
                with self._capturing(plan) as capture:
                    if capture is None:
                        return await body(*args, **kwargs)
                    return await capture.call_async(body, *args, **kwargs)

            return measured_async

        @functools.wraps(body)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with self._capturing(plan) as capture:
                if capture is None:
                    return body(*args, **kwargs)
                return capture.call(body, *args, **kwargs)

        return measured

    @contextmanager
    def _capturing(self, plan: _Plan) -> Iterator[DedicatedCapture | None]:
        plan.capture = self._new_capture(plan)
        plan.body_raised = True
        yield plan.capture
        plan.body_raised = False

    def _new_capture(self, plan: _Plan) -> DedicatedCapture | None:
        leaks = any(isinstance(limit, LimitLeaks) for limit in plan.limits)
        try:
            # Only now: a run in which nothing is measured never imports memray.
            from memlens.recording import DedicatedCapture

            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="memlens-"))
        except (ImportError, OSError) as error:
            self._fault(f"tests were not measured: {error}")
            return None
        return DedicatedCapture(self._folder / "capture.bin", native=leaks, python_allocators=leaks)

    def _conclude(self, item: pytest.Function, plan: _Plan, body: Callable[..., Any]) -> None:
        """Read the capture and judge the limits."""
        from memlens.recording import CaptureError
        from memlens.verdicts import Evidence, judge

        assert plan.capture is not None
        try:
            measurement = plan.capture.measurement()
        except CaptureError as error:
            self._fault(f"{item.nodeid} was not measured: {error}")
            return
        evidence = Evidence(
            peak=measurement.peak,
            peak_stacks=measurement.peak_stacks,
            alive_stacks=measurement.alive_stacks,
            body_raised=plan.body_raised,
        )
        # A filter_fn that raises fails its test, with its own traceback.
        judgements = [judge(limit, evidence) for limit in plan.limits]
        plan.record = self._record(item, body, measurement, judgements)

    def _record(
        self,
        item: pytest.Function,
        body: Callable[..., Any],
        measurement: Measurement,
        judgements: Sequence[Judgement],
    ) -> TestRecord:
        from memlens.places import line_of_test
        from memlens.store.records import PhaseRecord, TestRecord

        worth_keeping = measurement.peak * _KEPT_PEAK_SHARE
        kept = [s for s in measurement.peak_stacks[:_KEPT_PEAK_STACKS] if s.size >= worth_keeping]
        leaking = [
            stack
            for judgement in judgements
            if judgement.check.marker == LimitLeaks.marker
            for stack in judgement.stacks
        ]
        return TestRecord(
            nodeid=item.nodeid,
            path=self._places.path(item.path),
            line=line_of_test(item.path, body, item.originalname, item.cls),
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
                ),
            ),
            checks=tuple(judgement.check for judgement in judgements),
            stacks=(
                *(self._places.stack("peak", stack) for stack in kept),
                *(self._places.stack("leak", stack) for stack in leaking),
            ),
        )

    def _fault(self, message: str) -> None:
        if message not in self.faults:
            self.faults.append(message)


def _limits(item: pytest.Item) -> tuple[Limit, ...]:
    """Return what the test's markers demand; of several of a kind the nearest counts."""
    limits = []
    for name in DESCRIPTIONS:
        marker = item.get_closest_marker(name)
        if marker is not None:
            limits.append(parse_marker(name, marker.args, marker.kwargs))
    return tuple(limits)
