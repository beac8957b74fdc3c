"""Measuring tests: which, in what capture, when captures are read, what the limits say.

Lives in the process that runs the tests. What it finds travels inside pytest's test reports.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic  # so, since tests replace time.monotonic
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.outcomes import Failed  # public as pytest.fail.Exception, which mypy cannot follow

from memlens import settings as options
from memlens.capturing import Captures, NothingMeasuredError
from memlens.limits import has_limit, limits_of, warmups
from memlens.markers import LimitMemory
from memlens.settings import Settings

if TYPE_CHECKING:
    from memlens.attempts import Attempt, Phase
    from memlens.markers import Limit
    from memlens.places import Places
    from memlens.recording import Capture, Followers, Measurement
    from memlens.recording.asking import Asking
    from memlens.recovery import Journal
    from memlens.store.records import TestRecord

#: The shared capture is read at the end of the first test, and then at the first end of a test at
#: which the results of another have been waiting for this long, in seconds, or the file has got
#: this large, in bytes. The first is what people in an editor wait; what the second bounds is
#: disk, and the time and memory of the reading.
LONGEST_WAIT = 1.5
LARGEST_CAPTURE = 2 * 1024 * 1024


_TOO_LARGE = "it made so many allocations that recording them was given up"
_UNMARKED = "there was no address space left to tell it from other tests"
_CUT_SHORT = "memray stopped before the test ended; is the disk full?"


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
    rootdir: Path
    captures: Captures
    #: Tests that made very many allocations when these were last counted, by path and name.
    heavy: Collection[tuple[str, str]] = ()
    #: The peaks of last passing runs, in bytes, by path and name; None where nobody asked.
    last_peaks: Mapping[tuple[str, str], int] | None = None
    #: The process is a worker of pytest-xdist's.
    is_worker: bool = False
    #: What went wrong in measuring, in plain words. Never a test's failure.
    faults: list[str] = field(default_factory=list)
    #: The tests that were not measured, by the reason.
    _lost: dict[str, list[str]] = field(default_factory=dict)
    #: The capture that tests share; None where there is none now.
    _shared: Capture | None = None
    #: What is known of its tests, for the case that this process dies.
    _journal: Journal | None = None
    #: When the first result began to wait for it to be read, on the monotonic clock.
    _waiting_since: float | None = None
    _has_read: bool = False
    #: The tests that are recorded in a capture that has not been read, or that are being run.
    _open: list[Attempt] = field(default_factory=list)
    #: What fixtures have set to follow calls, from one capture to the next.
    _followers: Followers | None = None
    #: None until the first verdict in a capture that others share.
    _asking: Asking | None = None
    #: The complete ones that nobody has asked for yet.
    _finished: list[Attempt] = field(default_factory=list)

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
            is_heavy = bool(self.heavy) and self._name(item) in self.heavy
            is_alone = self.captures.must_be_own(limits, is_heavy=is_heavy)
            item.stash[self._PLAN] = _Plan(limits, is_alone, is_heavy)

    def is_awaited(self, item: pytest.Item) -> bool:
        """Return whether a result of the test is there, or will be."""
        plan = item.stash.get(self._PLAN, None)
        return plan is not None and plan.was_called

    @property
    def folder(self) -> Path | None:
        """Where captures are that have not been read, if there may be any."""
        return self.captures.folder if self._open else None

    def note_outcome(self, nodeid: str, outcome: str, duration: float) -> None:
        """Note how a test went, *duration* in seconds, whose result is not complete yet."""
        if self._journal is not None:
            self._journal.outcome(nodeid, outcome, duration)

    def has_measured(self, item: pytest.Item) -> bool:
        """Return whether the test is, or was, being measured."""
        plan = item.stash.get(self._PLAN, None)
        return plan is not None and plan.attempt is not None

    def finished(self) -> list[TestRecord]:
        """Return the results that have become complete since the last call, without outcomes."""
        finished, self._finished = self._finished, []
        return [attempt.record() for attempt in finished if not attempt.is_superseded]

    def close(self) -> None:
        """Read what has not been read, and delete the captures."""
        for attempt in self._open:
            attempt.is_over = True
        self._read_shared()
        self._sort_out()
        if self._asking is not None:
            self._asking.close()
        self.captures.close()

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
        capture = self._shared_capture() if may_start or self._is_sharing() else None
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
            plan.attempt.is_over = True
            if not plan.attempt.spots:
                self._sort_out()
            elif self._journal is not None:
                self._journal.attempt(plan.attempt)
            self._read_if_time()

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
            self._conclude(item, plan)
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
        capture = self._own_capture(plan, attempt) if plan.is_alone else self._shared_capture()
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
            self._lose(item.nodeid, _our_fault(error))
            return None

    def _new_attempt(self, item: pytest.Item, plan: _Plan) -> Attempt:
        if plan.attempt is None:
            # Only now: a run in which nothing is measured never imports the store, and so SQLite.
            from memlens.attempts import Attempt

            plan.attempt = Attempt(
                item.nodeid, self._places.path(item.path), _line(item), plan.limits
            )
            self._open.append(plan.attempt)
        return plan.attempt

    @functools.cached_property
    def _places(self) -> Places:
        from memlens.places import Places

        return Places(self.rootdir)

    # ---- captures

    def _is_sharing(self) -> bool:
        return self._shared is not None and self._shared.is_running

    def _shared_capture(self) -> Capture | None:
        """Return the capture that tests share, which is running; None if there can be none."""
        if not self._is_sharing():
            self._read_shared()  # it may have been given up
            self._shared = self._started(
                functools.partial(self.captures.start_shared, self._followers)
            )
            if self._shared is not None:
                from memlens.recovery import Journal

                self._journal = Journal(self._shared.path)
        return self._shared

    def _own_capture(self, plan: _Plan, attempt: Attempt) -> Capture | None:
        """Return a capture for one body; None if there can be none."""
        self._read_shared()
        start = functools.partial(self.captures.start_own, attempt, is_heavy=plan.is_heavy)
        return self._started(start, attempt)

    def _started(
        self, start: Callable[[], Capture], alone: Attempt | None = None
    ) -> Capture | None:
        """Return what *start* does, or None if it cannot. *alone* is the test that is to use it."""
        try:
            return start()
        except NothingMeasuredError as error:
            self._fault(str(error))
        except Exception as error:
            from memlens.recording import CaptureError

            if not isinstance(error, CaptureError):
                raise
            if alone is not None:
                self._lose(alone.nodeid, str(error))
            else:
                self._fault(f"tests were not measured: {error}")
        return None

    # ---- reading

    def _conclude(self, item: pytest.Item, plan: _Plan) -> None:
        """Read the capture of a body at once if somebody waits for a verdict."""
        attempt = plan.attempt
        spot = attempt.spots.get("call") if attempt is not None else None
        if attempt is None or spot is None:
            return
        if spot.capture is not self._shared:
            self._read(spot.capture)
        elif attempt.limits and not self._is_within_limits(attempt):
            self._read_shared()
        elif self._journal is not None and self.is_worker:
            self._journal.attempt(attempt)  # its controller will know how the test went
        if "call" in attempt.phases:
            from memlens.reports.junit import set_properties

            set_properties(item, attempt.record())

    def _is_within_limits(self, attempt: Attempt) -> bool:
        """Return whether that is known already, while the capture goes on. Notes what is."""
        from memlens.recording.asking import Asking
        from memlens.verdicts import judge_peaks

        if self._asking is None:
            self._asking = Asking()
        peaks = self._asking.peaks(self._shared) if self._shared is not None else None
        if peaks is None:
            return False
        attempt.checks = judge_peaks(attempt.limits, *peaks)
        self._compare_with_last(attempt, peaks.all_threads)
        return not attempt.is_exceeded

    def _read_if_time(self) -> None:
        """At the end of a test, read the shared capture if it is time."""
        capture = self._shared
        if capture is None:
            return
        now = monotonic()
        if self._waiting_since is None:
            # Who waits for a run sees at once that it works.
            self._waiting_since = now if self._has_read else now - LONGEST_WAIT
        if (
            now - self._waiting_since >= LONGEST_WAIT
            or capture.is_full
            or capture.size >= LARGEST_CAPTURE
        ):
            self._read_shared()

    def _read_shared(self) -> None:
        capture, self._shared = self._shared, None
        self._waiting_since = None
        if capture is not None:
            self._has_read = True
            self._followers = capture.followers
            capture.stop()
            if self._asking is not None:
                self._asking.note_closed(capture)
            self._read(capture)
        if self._journal is not None:
            self._journal.delete()
            self._journal = None

    def _read(self, capture: Capture) -> None:
        """Read a capture that has been stopped.

        A filter_fn that raises fails its test, with its own traceback.
        """
        from memlens.recording import CaptureError

        recorded = [
            (attempt, phase, spot.window)
            for attempt in self._open
            for phase, spot in attempt.spots.items()
            if spot.capture is capture
        ]
        raised: BaseException | None = None
        try:
            with capture.reading() as measurements:
                for attempt, phase, window in recorded:
                    del attempt.spots[phase]
                    if attempt.is_superseded:
                        continue
                    measurement = measurements.get(window) if window is not None else None
                    if measurement is None:
                        if phase == "call":
                            self._lose(attempt.nodeid, _why_lost(capture, window))
                        continue
                    try:
                        self._take(attempt, phase, measurement, capture.survivors)
                    except BaseException as error:  # noqa: BLE001 - the others' results stand
                        raised = error
        except CaptureError as error:
            for attempt, phase, _ in recorded:
                attempt.spots.pop(phase, None)
                if phase == "call":
                    self._lose(attempt.nodeid, str(error))
        self._sort_out()
        if raised is not None:
            raise raised

    def _sort_out(self) -> None:
        """Move the tests of which nothing more is to come out of the way."""
        self._finished += (attempt for attempt in self._open if attempt.is_complete)
        self._open = [a for a in self._open if a.spots or not a.is_over]

    def _take(
        self, attempt: Attempt, phase: Phase, measurement: Measurement, survivors: Sequence[object]
    ) -> None:
        if phase != "call":
            attempt.read(phase, measurement)
            return
        from memlens.verdicts import Evidence, judge

        if attempt.kept is not None:
            self._describe(attempt.kept, attempt.nodeid, measurement.peak)
        evidence = Evidence(
            peak_stacks=measurement.peak_stacks,
            alive_stacks=measurement.alive_stacks,
            body_raised=attempt.body_raised,
            survivors=survivors,
        )
        judgements = [judge(limit, evidence) for limit in attempt.limits]
        try:
            attempt.read(phase, measurement)
            attempt.judge(judgements, measurement, self._places)
            self._compare_with_last(attempt, measurement.peak)
        except Exception as error:  # noqa: BLE001 - a fault of ours is no failure of the test's
            attempt.start_again()
            self._lose(attempt.nodeid, _our_fault(error))

    def _name(self, item: pytest.Item) -> tuple[str, str]:
        """Return the test's path and name, as results have them."""
        return self._places.path(item.path), item.nodeid.partition("::")[2]

    def _compare_with_last(self, attempt: Attempt, peak: int) -> None:
        name = attempt.nodeid.partition("::")[2]
        last = (self.last_peaks or {}).get((attempt.path, name))
        if last is not None and has_limit(attempt.limits, LimitMemory):
            from memlens.verdicts import judge_increase

            increase = judge_increase(peak, last, self.settings.increase_tolerance)
            attempt.checks = (*attempt.checks, increase.check)

    def _describe(self, capture: Path, nodeid: str, peak: int) -> None:
        from memlens.captures import write_metadata

        try:
            write_metadata(capture, nodeid, peak)
        except OSError as error:
            self._fault(f"captures have no metadata: {error}")

    def _lose(self, nodeid: str, reason: str) -> None:
        """Note that a test was not measured: one line for each reason, however many tests."""
        lost = self._lost.setdefault(reason, [])
        if nodeid in lost:
            return
        if lost:
            self.faults.remove(_loss(lost, reason))
        lost.append(nodeid)
        self._fault(_loss(lost, reason))

    def _fault(self, message: str) -> None:
        if message not in self.faults:
            self.faults.append(message)


def _has_lasting_fixtures(item: pytest.Item) -> bool:
    """Return whether the test uses a fixture that others use after it.

    Only looked at if somebody follows calls, whom pytest does not tell of.
    """
    if sys.getprofile() is None and threading.getprofile() is None:
        return False
    known = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return any(fixture.scope != "function" for fixtures in known.values() for fixture in fixtures)


def _why_lost(capture: Capture, window: int | None) -> str:
    if capture.is_too_large:
        return _TOO_LARGE
    return _UNMARKED if window is None else _CUT_SHORT


def _our_fault(error: Exception) -> str:
    return f"this is a fault of memlens: {type(error).__name__}: {error}"


def _line(item: pytest.Item) -> int:
    from memlens.places import line_of_test

    if isinstance(item, pytest.Function):
        return line_of_test(item.path, item.obj, item.originalname, item.cls)
    return (item.reportinfo()[1] or 0) + 1  # a doctest: where its example begins


def _loss(tests: Sequence[str], reason: str) -> str:
    if len(tests) == 1:
        return f"{tests[0]} was not measured: {reason}"
    return f"{tests[0]} and {len(tests) - 1} more were not measured: {reason}"
