"""What views show of tests, as docs/protocol.md says: their peaks, flame graphs and history.

Records to plain dicts and lists, which become JSON as they are. Sizes are bytes, lines count from
0, as everywhere in the LSP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Literal, TypedDict, get_args

from memlens.store import (
    FrameKind,
    FrameRecord,
    PastResult,
    RunRecord,
    StackKind,
    StackRecord,
    SummaryRecord,
    TestRecord,
)

#: How many calls of a deep recursion are shown, half of them at either end. What reads a tree
#: written in JSON goes down as deep itself.
_MOST_CALLS = 200


class Test(TypedDict):
    """A test's newest result."""

    uri: str
    #: The part of its node id after the file: with the URI it names the test.
    test: str
    id: str
    line: int
    outcome: str
    peakBytes: int
    previousPeakBytes: int | None
    limitBytes: int | None
    verdict: str | None
    exceeded: list[str]
    leakedBytes: int | None


class Run(TypedDict):
    """A run of pytest."""

    run: str
    started: str
    commit: str | None
    dirty: bool | None


class Past(Run):
    """What a run measured of a test."""

    outcome: str
    peakBytes: int
    limitBytes: int | None


class Frame(TypedDict):
    """A call, and what was allocated in it and in what it called."""

    name: str
    path: str
    uri: str | None
    line: int | None
    kind: FrameKind | Literal["omitted"]
    value: int
    valueBefore: int | None
    children: list[Frame]


class FlameGraph(TypedDict):
    """A test's call stacks of one kind as a tree."""

    uri: str
    test: str
    id: str
    kind: StackKind
    #: Those that there is something to see of.
    kinds: list[StackKind]
    run: Run
    comparedWith: Run | None
    #: Of the test's call.
    peakBytes: int
    peakBytesBefore: int | None
    #: What the stacks that were kept are a part of; None if that was not measured.
    totalBytes: int | None
    totalBytesBefore: int | None
    value: int
    valueBefore: int | None
    frames: list[Frame]


class History(TypedDict):
    """What the last runs measured of a test, the newest first."""

    uri: str
    test: str
    id: str
    results: list[Past]


#: The URI of a file by its name in the results, None of what is no file.
UriOf = Callable[[str], str | None]
#: Where a line (from 1) of the file with this name is now.
LineNow = Callable[[str, int], int]


def test(summary: SummaryRecord, uri: str) -> Test:
    """Return a test of the file *uri*, at the line where it was measured."""
    return {
        "uri": uri,
        "test": summary.name,
        "id": summary.nodeid,
        "line": max(summary.line, 1) - 1,
        "outcome": summary.outcome,
        "peakBytes": summary.peak_bytes,
        "previousPeakBytes": summary.peak_before,
        "limitBytes": summary.limit_bytes,
        "verdict": summary.verdict,
        "exceeded": list(summary.exceeded),
        "leakedBytes": summary.leaked_bytes,
    }


def run(record: RunRecord) -> Run:
    """Return a run."""
    return {
        "run": record.uuid,
        "started": record.started,
        "commit": record.git_commit,
        "dirty": record.git_dirty,
    }


def history(measured: TestRecord, uri: str, past: Iterable[PastResult]) -> History:
    """Return the history of the test *measured*."""
    return {
        "uri": uri,
        "test": measured.name,
        "id": measured.nodeid,
        "results": [
            {
                "run": point.uuid,
                "started": point.started,
                "commit": point.git_commit,
                "dirty": point.git_dirty,
                "outcome": point.outcome,
                "peakBytes": point.peak_bytes,
                "limitBytes": point.limit_bytes,
            }
            for point in past
        ],
    }


def peak_of(measured: TestRecord) -> int:
    """Return the peak of the test's call, in bytes."""
    call = measured.phase("call")
    return call.peak_bytes if call is not None else 0


def total_of(measured: TestRecord, kind: StackKind) -> int | None:
    """Return what stacks of *kind* held together, small ones too, in bytes.

    None if that was not measured.
    """
    if kind == "leak":
        return held(measured.stacks_of("leak"))
    phase = measured.phase("call" if kind == "peak" else kind)
    return phase.peak_bytes if phase is not None else None


def kinds_of(*results: TestRecord | None) -> list[StackKind]:
    """Return of which kinds there are stacks in one of *results* at least."""
    known = {stack.kind for result in results if result is not None for stack in result.stacks}
    return [kind for kind in get_args(StackKind) if kind in known]


def frames(
    stacks: Sequence[StackRecord],
    before: Sequence[StackRecord] | None,
    uri_of: UriOf,
    line_now: LineNow,
) -> list[Frame]:
    """Return *stacks* as a tree of calls, the outermost first, the largest first.

    With *before*, stacks of another run, each frame also has what it held there: 0 where it was
    not called, and frames that are called no more have 0 now. Its lines are those of the text that
    *stacks* are of, as far as that is known.
    """
    root = _Node()
    root.add(stacks, "now")
    root.add(before or (), "before")
    return root.frames(uri_of, line_now, compares=before is not None)


def held(stacks: Iterable[StackRecord]) -> int:
    """Return what all *stacks* held together, in bytes."""
    return sum(stack.bytes for stack in stacks)


#: What makes two calls the same, in whatever run: the line moves with the code above it.
_Call = tuple[str, str, str]


class _Node:
    """One call in the tree; the root stands for none."""

    def __init__(self) -> None:
        self.now = 0
        self.before = 0
        #: As the run that counts saw it.
        self.frame: FrameRecord | None = None
        self.omitted = 0
        #: By the call, its line, and how many calls it stands for.
        self.children: dict[tuple[_Call, int, int], _Node] = {}

    def add(self, stacks: Iterable[StackRecord], side: Literal["now", "before"]) -> None:
        for stack in stacks:
            node = self
            calls = list(_outermost_first(stack.frames))
            callees = [_call_of(frame) for frame, _ in calls[1:]]
            for (frame, omitted), callee in zip_longest(calls, callees):
                # In one run, calls from different lines are different calls.
                line = frame.line if side == "now" else node.line_of(frame, callee)
                node = node.children.setdefault((_call_of(frame), line, omitted), _Node())
                if node.frame is None:
                    node.frame, node.omitted = frame, omitted
                setattr(node, side, getattr(node, side) + stack.bytes)

    def line_of(self, frame: FrameRecord, callee: _Call | None) -> int:
        """Return the line at which the run that counts has *frame*, or the frame's own.

        The line itself may have been edited. What it calls tells it from others of its function.
        """
        call = _call_of(frame)
        nodes = {line: node for (known, line, _), node in self.children.items() if known == call}

        def likeness(line: int) -> tuple[bool, bool]:
            calls_it = any(known == callee for known, _, _ in nodes[line].children)
            return calls_it, line == frame.line

        return max(nodes, key=likeness, default=frame.line)

    def frames(self, uri_of: UriOf, line_now: LineNow, *, compares: bool) -> list[Frame]:
        nodes = sorted(self.children.values(), key=lambda node: (-node.now, -node.before))
        return [node.as_frame(uri_of, line_now, compares=compares) for node in nodes]

    def as_frame(self, uri_of: UriOf, line_now: LineNow, *, compares: bool) -> Frame:
        assert self.frame is not None
        frame, line = self.frame, self.frame.line
        if line and frame.kind == "project":
            line = line_now(frame.path, line)
        return {
            "name": f"{self.omitted} more calls" if self.omitted else frame.function,
            "path": frame.path,
            # What symbols say of native code is no path of this machine.
            "uri": uri_of(frame.path) if frame.kind != "native" else None,
            "line": line - 1 if line else None,
            "kind": "omitted" if self.omitted else frame.kind,
            "value": self.now,
            "valueBefore": self.before if compares else None,
            "children": self.frames(uri_of, line_now, compares=compares),
        }


def _call_of(frame: FrameRecord) -> _Call:
    return frame.function, frame.path, frame.kind


def _outermost_first(frames: Sequence[FrameRecord]) -> Iterable[tuple[FrameRecord, int]]:
    """Yield the calls of a stack, and how many are left out at each: none, or those after it."""
    calls = frames[::-1]
    left_out = len(calls) - _MOST_CALLS
    if left_out <= 0:
        yield from ((frame, 0) for frame in calls)
        return
    half = _MOST_CALLS // 2
    yield from ((frame, 0) for frame in calls[:half])
    yield calls[half], left_out
    yield from ((frame, 0) for frame in calls[half + left_out :])
