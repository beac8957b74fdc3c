"""One attempt at one test: what was measured of it, phase by phase, until it is a result."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from memlens.fixture_stacks import without_pytest
from memlens.markers import Limit
from memlens.store.records import CheckRecord, PhaseRecord, StackKind, StackRecord, TestRecord

if TYPE_CHECKING:
    from memlens.places import Places
    from memlens.recording import Capture, Measurement
    from memlens.stacks import MeasuredStack
    from memlens.verdicts import Judgement

Phase = Literal["setup", "call", "teardown"]
PHASES: tuple[Phase, ...] = ("setup", "call", "teardown")

#: How many stacks at the peak are kept, and the least share of the peak that is worth keeping. A
#: peak of some size is worth a flame graph. Of many light tests little is to be stored, of their
#: set-up and teardown nothing.
_KEPT_PEAK_STACKS = 50
_KEPT_LIGHT_STACKS = 5
_LIGHT = 1024 * 1024
_KEPT_PEAK_SHARE = 0.01
#: How many leaking stacks are kept.
_KEPT_LEAK_STACKS = 100
#: The kinds of stacks that say something of the test's body.
_OF_THE_CALL: tuple[StackKind, ...] = ("peak", "leak")


class Spot(NamedTuple):
    """Where a phase was recorded."""

    capture: Capture
    #: The window's number; None if it could not be marked.
    window: int | None


@dataclass(eq=False, repr=False)
class Attempt:
    """A test that is being run, or was, and is not a result yet."""

    nodeid: str
    #: As results name it, and the line that names the test.
    path: str
    line: int
    limits: tuple[Limit, ...] = ()
    #: Where the capture is kept for the user; None where it is not.
    kept: Path | None = None
    #: Where its phases were recorded that have not been read yet.
    spots: dict[Phase, Spot] = field(default_factory=dict)
    phases: dict[Phase, PhaseRecord] = field(default_factory=dict)
    checks: tuple[CheckRecord, ...] = ()
    stacks: tuple[StackRecord, ...] = ()
    body_raised: bool = False
    #: No phase follows.
    is_over: bool = False
    #: The test is being run again, and this attempt counts for nothing.
    is_superseded: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return what is known already, in a form that `from_dict` understands."""
        return self.record().to_dict()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Attempt:
        """Return the attempt of which `to_dict` made *data*."""
        record = TestRecord.from_dict(data)
        return cls(
            record.nodeid,
            record.path,
            record.line,
            phases={phase.name: phase for phase in record.phases},
            checks=record.checks,
            stacks=record.stacks,
        )

    @property
    def is_exceeded(self) -> bool:
        """Whether it is over a limit."""
        return any(check.verdict == "exceeded" for check in self.checks)

    @property
    def is_complete(self) -> bool:
        """Whether all that there was to measure has been read, and there was something."""
        return self.is_over and not self.spots and "call" in self.phases

    def start_again(self) -> None:
        """Forget what was measured of the call: the body is being called again."""
        self.spots.pop("call", None)
        self.phases.pop("call", None)
        self.checks = ()
        self._keep_stacks(_OF_THE_CALL, ())
        self.body_raised = False

    def read(self, phase: Phase, measurement: Measurement, places: Places) -> None:
        """Take what was measured in a phase; of set-up and teardown also what their peak is of.

        The call's stacks are for `judge`, which knows how many are needed.
        """
        self.phases[phase] = PhaseRecord(
            phase,
            peak_bytes=measurement.peak,
            allocated_bytes=measurement.allocated,
            allocations=measurement.allocations,
            alive_bytes=measurement.alive,
            histogram=measurement.histogram,
        )
        if phase != "call" and measurement.peak_but_an_arena >= _LIGHT:
            stacks = (
                places.stack(phase, stack._replace(frames=without_pytest(phase, stack.frames)))
                for stack in _largest(measurement)
            )
            self._keep_stacks((phase,), stacks)

    def judge(
        self, judgements: Sequence[Judgement], measurement: Measurement, places: Places
    ) -> None:
        """Take the verdicts on the call, and the stacks that explain them.

        Of the peak that is all stacks if it is over a limit, else the largest.
        """
        self.checks = tuple(judgement.check for judgement in judgements)
        peak = measurement.peak_stacks.largest() if self.is_exceeded else _largest(measurement)
        self._keep_stacks(
            _OF_THE_CALL,
            (
                *(places.stack("peak", stack) for stack in peak),
                *(places.stack("leak", stack) for each in judgements for stack in each.stacks),
            ),
        )

    def _keep_stacks(self, kinds: Collection[StackKind], stacks: Iterable[StackRecord]) -> None:
        """Keep *stacks*, which are of these *kinds*, in place of what there was of them."""
        others = (stack for stack in self.stacks if stack.kind not in kinds)
        self.stacks = (*others, *stacks)

    def record(self, *, whole: bool = False) -> TestRecord:
        """Return the result so far, without outcome; with all stacks that were read if *whole*."""
        return TestRecord(
            nodeid=self.nodeid,
            path=self.path,
            line=self.line,
            outcome="",
            duration=0.0,
            worker=None,
            phases=tuple(self.phases[phase] for phase in PHASES if phase in self.phases),
            checks=self.checks,
            stacks=self.stacks if whole else self._kept_stacks(),
        )

    def _kept_stacks(self) -> tuple[StackRecord, ...]:
        call = self.phases.get("call")
        peak = call.peak_bytes if call is not None else 0
        least = peak * _KEPT_PEAK_SHARE
        peaks = [stack for stack in self.stacks if stack.kind == "peak"][: _most_stacks(peak)]
        leaks = [stack for stack in self.stacks if stack.kind == "leak"][:_KEPT_LEAK_STACKS]
        others = [stack for stack in self.stacks if stack.kind not in _OF_THE_CALL]
        return (*(stack for stack in peaks if stack.bytes >= least), *leaks, *others)


def _largest(measurement: Measurement) -> tuple[MeasuredStack, ...]:
    """Return those stacks at the peak of a phase that are worth keeping."""
    peak = measurement.peak
    return measurement.peak_stacks.largest(_most_stacks(peak), least=int(peak * _KEPT_PEAK_SHARE))


def _most_stacks(peak: int) -> int:
    """Return how many stacks are kept of a *peak* in bytes."""
    return _KEPT_LIGHT_STACKS if peak < _LIGHT else _KEPT_PEAK_STACKS
