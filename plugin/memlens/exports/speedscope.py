"""The `speedscope` report: one test's call stacks, for https://www.speedscope.app.

The file format is https://www.speedscope.app/file-format-schema.json; its sampled profiles take
bytes for weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from memlens.exports.results import Results
from memlens.store.records import FrameRecord, StackKind, StackRecord, TestRecord

#: What stands for the peak's share of stacks that were too small to be kept.
REST = "(smaller call stacks)"
#: The profiles after that of the peak, where there are such stacks.
_OTHERS: tuple[tuple[StackKind, str], ...] = (
    ("leak", "leaked"),
    ("setup", "set-up"),
    ("teardown", "teardown"),
)


def speedscope(results: Results, test: TestRecord) -> str:
    """Return what *test* held at its peak, if it leaks, what it leaked, and what fixtures held."""
    frames: dict[FrameRecord, int] = {}
    profiles = [_profile("peak", test.stacks_of("peak"), frames, rest_of_peak(test))]
    for kind, name in _OTHERS:
        stacks = test.stacks_of(kind)
        if stacks:
            profiles.append(_profile(name, stacks, frames, rest_of_peak(test, kind)))
    run = results.run_of(test)
    version = run.versions.get("memlens") if run is not None else None
    return (
        json.dumps(
            {
                "$schema": "https://www.speedscope.app/file-format-schema.json",
                "exporter": f"memlens@{version}" if version else "memlens",
                "name": test.nodeid,
                "activeProfileIndex": 0,
                "shared": {"frames": [_frame(frame) for frame in frames]},
                "profiles": profiles,
            }
        )
        + "\n"
    )


def rest_of_peak(test: TestRecord, kind: StackKind = "peak") -> int:
    """Return how many bytes of a peak no stack of *test* tells of: that of the call, if not said.

    Nothing of what leaked, of which all stacks are kept that say how much it is.
    """
    phase = test.phase("call" if kind == "peak" else kind)
    told = sum(stack.bytes for stack in test.stacks_of(kind))
    return max(phase.peak_bytes - told, 0) if phase is not None else 0


def _profile(
    name: str, stacks: Sequence[StackRecord], frames: dict[FrameRecord, int], rest: int
) -> dict[str, Any]:
    samples = [
        # The outermost call first.
        [frames.setdefault(frame, len(frames)) for frame in reversed(stack.frames)]
        for stack in stacks
    ]
    weights = [stack.bytes for stack in stacks]
    if rest:
        samples.append([frames.setdefault(FrameRecord(REST, "", 0, "native"), len(frames))])
        weights.append(rest)
    return {
        "type": "sampled",
        "name": name,
        "unit": "bytes",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": samples,
        "weights": weights,
    }


def _frame(frame: FrameRecord) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": frame.function}
    if frame.path:
        shown["file"] = frame.path
    if frame.line:
        shown["line"] = frame.line
    return shown
