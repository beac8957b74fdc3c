"""The `speedscope` report: one test's call stacks, for https://www.speedscope.app.

The file format is https://www.speedscope.app/file-format-schema.json; its sampled profiles take
bytes for weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from memlens.exports.results import Results
from memlens.store.records import FrameRecord, StackRecord, TestRecord

#: What stands for the peak's share of stacks that were too small to be kept.
REST = "(smaller call stacks)"


def speedscope(results: Results, test: TestRecord) -> str:
    """Return what *test* held at its peak and, if it leaks, what it leaked."""
    frames: dict[FrameRecord, int] = {}
    profiles = [_profile("peak", test.stacks_of("peak"), frames, rest_of_peak(test))]
    leaks = test.stacks_of("leak")
    if leaks:
        profiles.append(_profile("leaked", leaks, frames, 0))
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


def rest_of_peak(test: TestRecord) -> int:
    """Return how many bytes of the peak no stack of *test* tells of."""
    call = test.phase("call")
    told = sum(stack.bytes for stack in test.stacks_of("peak"))
    return max(call.peak_bytes - told, 0) if call is not None else 0


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
