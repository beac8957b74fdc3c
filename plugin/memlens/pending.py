"""Tests that have been recorded and not been read: when captures are read, what the limits say.

Lives in the process that runs the tests.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic  # so, since tests replace time.monotonic
from typing import TYPE_CHECKING

from memlens.capturing import Captures, NothingMeasuredError
from memlens.limits import has_limit
from memlens.markers import LimitMemory
from memlens.settings import Settings

if TYPE_CHECKING:
    from memlens.attempts import Attempt, Phase
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


class Pending:
    """The tests of one process of which not everything is known yet, and their captures."""

    def __init__(
        self,
        settings: Settings,
        rootdir: Path,
        captures: Captures,
        last_peaks: Mapping[tuple[str, str], int],
    ) -> None:
        """*last_peaks* are those of last passing runs, in bytes, by path and name."""
        self.captures = captures
        self._settings = settings
        self._rootdir = rootdir
        self._last_peaks = last_peaks
        #: What went wrong in measuring, in plain words. Never a test's failure.
        self.faults: list[str] = []
        #: The tests that were not measured, by the reason.
        self._lost: dict[str, list[str]] = {}
        #: The capture that tests share; None where there is none now.
        self._shared: Capture | None = None
        #: What is known of its tests, for the case that this process dies.
        self._journal: Journal | None = None
        #: When the first result began to wait for it to be read, on the monotonic clock.
        self._waiting_since: float | None = None
        self._has_read = False
        #: The tests that are recorded in a capture that has not been read, or that are being run.
        self._open: list[Attempt] = []
        #: What fixtures have set to follow calls, from one capture to the next.
        self._followers: Followers | None = None
        #: None until the first verdict in a capture that others share.
        self._asking: Asking | None = None
        #: The complete ones that nobody has asked for yet.
        self._finished: list[Attempt] = []

    @functools.cached_property
    def places(self) -> Places:
        """Names paths as results do."""
        from memlens.places import Places

        return Places(self._rootdir)

    @property
    def folder(self) -> Path | None:
        """Where captures are that have not been read, if there may be any."""
        return self.captures.folder if self._open else None

    def open(self, attempt: Attempt) -> None:
        """Take a test that is about to be recorded for the first time."""
        self._open.append(attempt)

    def finished(self) -> list[TestRecord]:
        """Return the results that have become complete since the last call, without outcomes."""
        finished, self._finished = self._finished, []
        return [attempt.record() for attempt in finished if not attempt.is_superseded]

    def note_outcome(self, nodeid: str, outcome: str, duration: float) -> None:
        """Note how a test went, *duration* in seconds, whose result is not complete yet."""
        if self._journal is not None:
            self._journal.outcome(nodeid, outcome, duration)

    def note(self, attempt: Attempt) -> None:
        """Note what is known of a test, for the case that this process dies."""
        if self._journal is not None:
            self._journal.attempt(attempt)

    def close(self) -> None:
        """Read what has not been read, and delete the captures."""
        for attempt in self._open:
            attempt.is_over = True
        self._read_shared()
        self._sort_out()
        if self._asking is not None:
            self._asking.close()
        self.captures.close()

    # ---- captures

    @property
    def is_sharing(self) -> bool:
        """Whether there is a capture that tests share."""
        return self._shared is not None and self._shared.is_running

    def shared_capture(self) -> Capture | None:
        """Return the capture that tests share, which is running; None if there can be none."""
        if not self.is_sharing:
            self._read_shared()  # it may have been given up
            self._shared = self._started(
                functools.partial(self.captures.start_shared, self._followers)
            )
            if self._shared is not None:
                from memlens.recovery import Journal

                self._journal = Journal(self._shared.path)
        return self._shared

    def own_capture(self, attempt: Attempt, *, is_heavy: bool) -> Capture | None:
        """Return a capture for one body; None if there can be none."""
        self._read_shared()
        start = functools.partial(self.captures.start_own, attempt, is_heavy=is_heavy)
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
                self.lose(alone.nodeid, str(error))
            else:
                self._fault(f"tests were not measured: {error}")
        return None

    # ---- reading

    def conclude(self, attempt: Attempt, *, is_worker: bool) -> None:
        """Read the capture of a body that has been called, if somebody waits for a verdict."""
        spot = attempt.spots.get("call")
        if spot is None:
            return
        if spot.capture is not self._shared:
            self._read(spot.capture)
        elif attempt.limits and not self._is_within_limits(attempt):
            self._read_shared()
        elif is_worker:
            self.note(attempt)  # its controller will know how the test went

    def end(self, attempt: Attempt) -> None:
        """Note that no phase of the test follows, and read the shared capture if it is time."""
        attempt.is_over = True
        if attempt.spots:
            self.note(attempt)
        else:
            self._sort_out()
        self._read_if_time()

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
                            self.lose(attempt.nodeid, _why_lost(capture, window))
                        continue
                    try:
                        self._take(attempt, phase, measurement, capture.survivors)
                    except BaseException as error:  # noqa: BLE001 - the others' results stand
                        raised = error
        except CaptureError as error:
            for attempt, phase, _ in recorded:
                attempt.spots.pop(phase, None)
                if phase == "call":
                    self.lose(attempt.nodeid, str(error))
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
            try:
                attempt.read(phase, measurement, self.places)
            except Exception as error:  # noqa: BLE001 - a fault of ours is no failure of the test's
                self._fault(f"call stacks of fixtures were lost: {our_fault(error)}")
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
            attempt.read(phase, measurement, self.places)
            attempt.judge(judgements, measurement, self.places)
            self._compare_with_last(attempt, measurement.peak)
        except Exception as error:  # noqa: BLE001 - likewise
            attempt.start_again()
            self.lose(attempt.nodeid, our_fault(error))

    def _compare_with_last(self, attempt: Attempt, peak: int) -> None:
        name = attempt.nodeid.partition("::")[2]
        last = self._last_peaks.get((attempt.path, name))
        if last is not None and has_limit(attempt.limits, LimitMemory):
            from memlens.verdicts import judge_increase

            increase = judge_increase(peak, last, self._settings.increase_tolerance)
            attempt.checks = (*attempt.checks, increase.check)

    def _describe(self, capture: Path, nodeid: str, peak: int) -> None:
        from memlens.captures import write_metadata

        try:
            write_metadata(capture, nodeid, peak)
        except OSError as error:
            self._fault(f"captures have no metadata: {error}")

    def lose(self, nodeid: str, reason: str) -> None:
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


def our_fault(error: Exception) -> str:
    """Return why a test was not measured that *error*, of our own making, came of."""
    return f"this is a fault of memlens: {type(error).__name__}: {error}"


def _why_lost(capture: Capture, window: int | None) -> str:
    if capture.is_too_large:
        return _TOO_LARGE
    return _UNMARKED if window is None else _CUT_SHORT


def _loss(tests: Sequence[str], reason: str) -> str:
    if len(tests) == 1:
        return f"{tests[0]} was not measured: {reason}"
    return f"{tests[0]} and {len(tests) - 1} more were not measured: {reason}"
