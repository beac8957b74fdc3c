"""Measuring tests: which, in what capture, in which phases.

Lives in the process that runs the tests. What it finds travels inside pytest's test reports.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.outcomes import Failed  # public as pytest.fail.Exception, which mypy cannot follow

from memlens import settings as options
from memlens.limits import limits_of, warmups
from memlens.pending import Pending, our_fault
from memlens.settings import Settings

if TYPE_CHECKING:
    from memlens.attempts import Attempt, Phase
    from memlens.markers import Limit
    from memlens.recording import Capture


class LimitExceeded(Failed):
    """A test did what it should, but not within its limits."""

    def __init__(self, message: str, line: int) -> None:
        """*message* is all that people get to see. *line* names the test in its file."""
        super().__init__(message, pytrace=False)
        self.line = line


@dataclass(eq=False, repr=False)
class _Plan:
    """How one test is measured."""

    limits: tuple[Limit, ...]
    #: Its body is measured in a capture of its own.
    is_alone: bool = False
    #: It made very many allocations when these were last counted.
    is_heavy: bool = False
    #: None until its first phase begins.
    attempt: Attempt | None = None
    #: The body was called, measured.
    was_called: bool = False


@dataclass(eq=False, repr=False)
class Measurer:
    """Measures the tests of one process."""

    settings: Settings
    pending: Pending
    #: Tests that made very many allocations when these were last counted, by path and name.
    heavy: Collection[tuple[str, str]] = ()
    #: The process is a worker of pytest-xdist's.
    is_worker: bool = False

    #: Where a test keeps its plan.
    _PLAN = pytest.StashKey[_Plan]()

    def prepare(self, item: pytest.Item) -> None:
        """Read the test's markers and plan its measurement.

        Raises:
            MarkerError: a marker cannot work as written, or not on this test.
        """
        limits = limits_of(item, self.settings.default_limit)
        earlier = item.stash.get(self._PLAN, None)
        if earlier is not None and earlier.attempt is not None:
            earlier.attempt.is_superseded = True
        if options.MEMRAY_RUNS_HERE and (limits or self.settings.measures_unmarked):
            is_heavy = bool(self.heavy) and self._is_heavy(item)
            is_alone = self.pending.captures.must_be_own(limits, is_heavy=is_heavy)
            item.stash[self._PLAN] = _Plan(limits, is_alone, is_heavy)

    def is_awaited(self, item: pytest.Item) -> bool:
        """Return whether a result of the test is there, or will be."""
        plan = item.stash.get(self._PLAN, None)
        return plan is not None and plan.was_called

    def has_measured(self, item: pytest.Item) -> bool:
        """Return whether the test is, or was, being measured."""
        plan = item.stash.get(self._PLAN, None)
        return plan is not None and plan.attempt is not None

    # ---- phases

    @contextmanager
    def phase(self, item: pytest.Item, phase: Phase) -> Iterator[None]:
        """Measure the set-up or the teardown of a test, if it is cheap to do so."""
        plan = item.stash.get(self._PLAN, None)
        if plan is None:
            yield
            return
        # For a test that is measured by itself another tracker would cost as much again.
        may_start = self.settings.measures_unmarked and not plan.is_alone
        if phase == "teardown":
            # memray would take a fixture's profiler away.
            may_start &= sys.getprofile() is None and threading.getprofile() is None
        capture = self.pending.shared_capture() if may_start or self.pending.is_sharing else None
        if capture is None:
            yield
        else:
            window = capture.begin(anew=phase == "setup")
            try:
                yield
            finally:
                if phase == "setup" and _has_lasting_fixtures(item):
                    capture.followers = capture.followers.now()
                capture.end(window)
                self._note(item, plan, phase, capture, window)
        if phase == "teardown" and plan.attempt is not None:
            self.pending.end(plan.attempt)

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
        body = getattr(item, attribute)
        if plan.attempt is not None:
            plan.attempt.start_again()  # a plugin may call a body again without set-up
        setattr(item, attribute, self._measured(item, plan, body))
        try:
            yield
        finally:
            setattr(item, attribute, body)
            if plan.attempt is not None:
                self.pending.conclude(plan.attempt, is_worker=self.is_worker)
                self._set_properties(item, plan.attempt)
        if plan.attempt is not None and plan.attempt.is_exceeded:
            from memlens.reports.failures import Detail, failure_text

            detail = Detail.from_settings(self.settings)
            record = plan.attempt.record(whole=True)
            raise LimitExceeded(failure_text(record, detail), record.line)

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
            for _ in range(warmups(plan.limits)):
                body(*args, **kwargs)
            with self._capturing(item, plan) as capture:
                if capture is None:
                    return body(*args, **kwargs)
                return capture.call(body, *args, **kwargs)

        return measured

    @contextmanager
    def _capturing(self, item: pytest.Item, plan: _Plan) -> Iterator[Capture | None]:
        attempt = self._attempt(item, plan)
        if attempt is None:
            yield None
            return
        capture = (
            self.pending.own_capture(attempt, is_heavy=plan.is_heavy)
            if plan.is_alone
            else self.pending.shared_capture()
        )
        if capture is None:
            attempt.spots.pop("call", None)
            yield None
            return
        plan.was_called = True
        attempt.body_raised = True
        try:
            yield capture
            attempt.body_raised = False
        finally:
            if plan.is_alone:
                capture.stop()
            self._note(item, plan, "call", capture, capture.called)

    def _note(
        self, item: pytest.Item, plan: _Plan, phase: Phase, capture: Capture, window: int | None
    ) -> None:
        attempt = self._attempt(item, plan)
        if attempt is not None:
            from memlens.attempts import Spot

            attempt.spots[phase] = Spot(capture, window)

    def _attempt(self, item: pytest.Item, plan: _Plan) -> Attempt | None:
        try:
            return self._new_attempt(item, plan)
        except Exception as error:  # noqa: BLE001 - a fault of ours is no failure of the test's
            self.pending.lose(item.nodeid, our_fault(error))
            return None

    def _new_attempt(self, item: pytest.Item, plan: _Plan) -> Attempt:
        if plan.attempt is None:
            # Only now: a run in which nothing is measured never imports the store, and so SQLite.
            from memlens.attempts import Attempt

            plan.attempt = Attempt(
                item.nodeid, self.pending.places.path(item.path), _line(item), plan.limits
            )
            self.pending.open(plan.attempt)
        return plan.attempt

    def _set_properties(self, item: pytest.Item, attempt: Attempt) -> None:
        """Give pytest's JUnit XML the numbers, if they are known already."""
        if "call" in attempt.phases:
            from memlens.reports.junit import set_properties

            set_properties(item, attempt.record())

    def _is_heavy(self, item: pytest.Item) -> bool:
        name = item.nodeid.partition("::")[2]
        return (self.pending.places.path(item.path), name) in self.heavy


def _has_lasting_fixtures(item: pytest.Item) -> bool:
    """Return whether the test uses a fixture that others use after it.

    Only looked at if somebody follows calls, whom pytest does not tell of.
    """
    if sys.getprofile() is None and threading.getprofile() is None:
        return False
    known = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return any(fixture.scope != "function" for fixtures in known.values() for fixture in fixtures)


def _line(item: pytest.Item) -> int:
    from memlens.places import line_of_test

    if isinstance(item, pytest.Function):
        return line_of_test(item.path, item.obj, item.originalname, item.cls)
    return (item.reportinfo()[1] or 0) + 1  # a doctest: where its example begins
