"""The `json` report: everything that was measured, as `docs/schema/results-1.json` says.

Other programs are promised these names. What a version 1 has stays; it may get more.
"""

from __future__ import annotations

import json
from typing import Any

from memlens.exports.results import Results
from memlens.store.reading import PastResult
from memlens.store.records import PhaseRecord, RunRecord, StackRecord, TestRecord

#: The version of the schema.
SCHEMA = 1


def document(results: Results) -> dict[str, Any]:
    """Return *results* as plain dicts, lists, strings and numbers. Sizes are bytes."""
    return {
        "schema": SCHEMA,
        "runs": [_run(run) for run in results.runs],
        "tests": [_test(results, test) for test in results.tests],
    }


def to_json(results: Results) -> str:
    """Return the report's text: ASCII, a line for each run and each test."""
    whole = document(results)
    runs, tests = (_lines(whole[name]) for name in ("runs", "tests"))
    return f'{{"schema": {SCHEMA},\n"runs": {runs},\n"tests": {tests}}}\n'


def _lines(values: list[Any]) -> str:
    return f"[{''.join(',' * (at > 0) + chr(10) + json.dumps(v) for at, v in enumerate(values))}]"


def _run(run: RunRecord) -> dict[str, Any]:
    fields = run._asdict()
    del fields["id"]  # the database's own
    return fields | {"command_line": list(run.command_line), "versions": dict(run.versions)}


def _test(results: Results, test: TestRecord) -> dict[str, Any]:
    run = results.run_of(test)
    call = test.phase("call")
    return {
        "run": run.uuid if run is not None else None,
        "nodeid": test.nodeid,
        "path": test.path,
        "line": test.line,
        "outcome": test.outcome,
        "duration_s": test.duration,
        "worker": test.worker,
        "peak_bytes": call.peak_bytes if call is not None else None,
        "allocated_bytes": call.allocated_bytes if call is not None else None,
        "allocations": call.allocations if call is not None else None,
        "leaked_bytes": leaked_bytes(test),
        "phases": [_phase(phase) for phase in test.phases],
        "limits": [check._asdict() for check in test.checks],
        "stacks": [_stack(stack) for stack in test.stacks],
        "history": [_past(point) for point in results.past.get(test.id or 0, ())],
    }


def leaked_bytes(test: TestRecord) -> int | None:
    """Return what *test* leaked by its own limits, in bytes; None if nobody looked for leaks."""
    judged = {c.marker: c for c in test.checks if c.verdict != "not_judged"}
    if "limit_leaks" in judged:
        return sum(stack.bytes for stack in test.stacks_of("leak"))
    if "limit_leaked_objects" in judged:
        return judged["limit_leaked_objects"].measured_bytes
    return None


def _phase(phase: PhaseRecord) -> dict[str, Any]:
    counted = phase.allocations is not None
    return phase._asdict() | {"histogram": list(phase.histogram) if counted else None}


def _stack(stack: StackRecord) -> dict[str, Any]:
    return {
        "kind": stack.kind,
        "bytes": stack.bytes,
        "allocations": stack.allocations,
        "frames": [
            {
                "function": frame.function,
                "path": frame.path,
                "line": frame.line or None,
                "native": frame.kind == "native",
                "project": frame.kind == "project",
            }
            for frame in stack.frames
        ],
    }


def _past(point: PastResult) -> dict[str, Any]:
    return {"run": point.uuid, "outcome": point.outcome, "peak_bytes": point.peak_bytes}
