"""What the database holds, as values: read from it, written to it, sent between processes.

Sizes are bytes, lines count from 1, paths are as in `schema.sql` (see `FrameRecord.path`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

FrameKind = Literal["project", "library", "native"]
#: Of the call: what was alive at its peak, and what it leaked. Of the phases around it: what was
#: alive at theirs.
StackKind = Literal["peak", "leak", "setup", "teardown"]
Verdict = Literal["passed", "exceeded", "not_judged"]


class FrameRecord(NamedTuple):
    """A place in code that a stack passed."""

    function: str
    #: With "/"; relative to the run's rootdir when inside it, absolute otherwise. What the symbols
    #: say for native code.
    path: str
    #: 0 where a native frame has none.
    line: int
    kind: FrameKind


class StackRecord(NamedTuple):
    """One call stack and what it held, at a peak or after the test."""

    kind: StackKind
    bytes: int
    allocations: int
    #: The most recent call first.
    frames: tuple[FrameRecord, ...]

    def innermost_project_frame(self) -> FrameRecord | None:
        """Return the frame nearest to the allocation that is the project's own code."""
        return next((frame for frame in self.frames if frame.kind == "project"), None)


class PhaseRecord(NamedTuple):
    """What one phase of a test took."""

    name: Literal["setup", "call", "teardown"]
    peak_bytes: int
    #: Sum of all allocations and their number; None if they were not counted.
    allocated_bytes: int | None
    allocations: int | None
    #: Allocated in the phase and still alive at its end.
    alive_bytes: int
    #: Number of allocations by size: of 0 B and 1 B, of 2 to 3 B, of 4 to 7 B, and so on.
    #: Empty if they were not counted.
    histogram: tuple[int, ...] = ()


class CheckRecord(NamedTuple):
    """One declared limit and how the test did against it."""

    marker: str
    limit_bytes: int
    measured_bytes: int
    verdict: Verdict
    message: str


class TestRecord(NamedTuple):
    """One measured test."""

    nodeid: str
    path: str
    #: The line that names the test.
    line: int
    #: passed, failed, skipped, xfailed or xpassed.
    outcome: str
    #: Seconds, all phases together.
    duration: float
    #: pytest-xdist's worker id, None without it.
    worker: str | None
    phases: tuple[PhaseRecord, ...]
    checks: tuple[CheckRecord, ...]
    stacks: tuple[StackRecord, ...]
    #: The database's ids; None before it is stored.
    id: int | None = None
    run: int | None = None

    @property
    def name(self) -> str:
        """The node id after the file: ``TestCart::test_total[2]``."""
        return self.nodeid.partition("::")[2]

    def phase(self, name: str) -> PhaseRecord | None:
        """Return the phase called *name*, or None if it was not measured."""
        return next((phase for phase in self.phases if phase.name == name), None)

    def stacks_of(self, kind: StackKind) -> tuple[StackRecord, ...]:
        """Return the stacks of *kind*, the largest first."""
        return tuple(stack for stack in self.stacks if stack.kind == kind)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers that `from_dict` understands."""
        return {
            **self._asdict(),
            "phases": [
                phase._asdict() | {"histogram": list(phase.histogram)} for phase in self.phases
            ],
            "checks": [check._asdict() for check in self.checks],
            "stacks": [
                stack._asdict() | {"frames": [list(frame) for frame in stack.frames]}
                for stack in self.stacks
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TestRecord:
        """Return the record that `to_dict` made *data* from, in whatever process that was."""
        return cls(
            **{
                **data,
                "phases": tuple(
                    PhaseRecord(**{**phase, "histogram": tuple(phase["histogram"])})
                    for phase in data["phases"]
                ),
                "checks": tuple(CheckRecord(**check) for check in data["checks"]),
                "stacks": tuple(
                    StackRecord(
                        **{
                            **stack,
                            "frames": tuple(FrameRecord(*frame) for frame in stack["frames"]),
                        }
                    )
                    for stack in data["stacks"]
                ),
            }
        )


#: pytest takes what is called Test… for a test class; this is none.
TestRecord.__test__ = False  # type: ignore[attr-defined]


class RunRecord(NamedTuple):
    """One pytest run."""

    uuid: str
    #: UTC, ISO 8601 with microseconds.
    started: str
    finished: str | None
    #: running, finished or interrupted.
    status: str
    #: pytest's, once the run has finished.
    exit_status: int | None
    command_line: tuple[str, ...]
    #: Absolute, on the machine that ran it.
    rootdir: str
    #: Versions of memlens, memray, pytest and python, and the platform.
    versions: Mapping[str, str]
    git_commit: str | None
    git_dirty: bool | None
    #: Number of tests selected to run.
    collected: int | None
    id: int | None = None


class SourceRecord(NamedTuple):
    """The text of a file as a run saw it."""

    path: str
    #: SHA-256 of the text as UTF-8, hexadecimal.
    digest: str
    text: str
