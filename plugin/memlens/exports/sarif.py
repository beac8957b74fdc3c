"""The `sarif` report: findings for code scanning and SARIF viewers.

SARIF 2.1.0 (OASIS), https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; sections are
named below.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from memlens.exports.results import Results
from memlens.exports.text import folder_uri, is_absolute, uri
from memlens.findings import (
    Code,
    Finding,
    Related,
    find,
    help_text,
    steps,
    test_function,
    underlined,
)
from memlens.store.records import FrameRecord, RunRecord

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
#: What relative paths are relative to, as other tools and GitHub call it.
_ROOT = "%SRCROOT%"

#: Code, name, level, what it is, and what to do.
_RULES: tuple[tuple[Code, str, str, str, str], ...] = (
    (
        "memory-limit-exceeded",
        "MemoryLimitExceeded",
        "error",
        "A test's peak memory is over its limit",
        "The code flows are the call stacks that held most at the peak. Make them hold less at"
        " once, or raise the test's limit_memory.",
    ),
    (
        "memory-leak",
        "MemoryLeak",
        "error",
        "A test leaves more memory behind than its limit_leaks allows",
        "The code flows are the call stacks whose memory was not freed by the end of the test."
        " Release what they keep, or ignore a cache that is meant to stay with filter_fn.",
    ),
    (
        "leak-site",
        "LeakSite",
        "warning",
        "Memory that is allocated here is not freed by the end of a test",
        "This is the line of the project that is nearest to the allocation. Look for who keeps"
        " what it makes.",
    ),
    (
        "leaked-objects",
        "LeakedObjects",
        "error",
        "Python objects that a test made outlive it",
        "The message names their types. Look for a global, a cache or a closure that keeps them.",
    ),
    (
        "memory-near-limit",
        "MemoryNearLimit",
        "note",
        "A test's peak memory is close to its limit",
        "It passes, but a little more would fail it. Give it more room, or make it hold less.",
    ),
    (
        "memory-hotspot",
        "MemoryHotspot",
        "note",
        "Much of the peak of a test that is over its limit was allocated here",
        "This is the line of the project that is nearest to the allocation: where to begin.",
    ),
)
_INDEX = {rule[0]: index for index, rule in enumerate(_RULES)}


def sarif(results: Results) -> str:
    """Return the report's text."""
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(results.runs)},
                "invocations": [_invocation(run) for run in results.runs],
                "originalUriBaseIds": {_ROOT: _root(results.runs)},
                "columnKind": "unicodeCodePoints",
                "results": _results(results),
            }
        ],
    }
    return json.dumps(log, indent=1) + "\n"


def _help(code: str, text: str) -> dict[str, str]:
    # SARIF 2.1.0, 3.49.13: viewers that render Markdown show that instead.
    markdown = help_text(code)
    return {"text": text, "markdown": markdown} if markdown else {"text": text}


def _driver(runs: Sequence[RunRecord]) -> dict[str, Any]:
    driver: dict[str, Any] = {
        "name": "memlens",
        "fullName": "memlens: memory limits for tests",
        "rules": [
            {
                "id": code,
                "name": name,
                "shortDescription": {"text": title},
                "fullDescription": {"text": f"{title}."},
                "help": _help(code, f"{title}. {advice}"),
                "defaultConfiguration": {"level": level},
                "properties": {"tags": ["memory", "test"]},
            }
            for code, name, level, title, advice in _RULES
        ],
    }
    version = runs[-1].versions.get("memlens") if runs else None
    if version:
        driver["version"] = version
    return driver


def _invocation(run: RunRecord) -> dict[str, Any]:
    invocation: dict[str, Any] = {
        # Of the measuring, whatever the tests' outcomes (3.20.14).
        "executionSuccessful": run.status == "finished",
        "arguments": list(run.command_line),
        "startTimeUtc": _time(run.started),
        "workingDirectory": {"uri": folder_uri(run.rootdir)},
    }
    if run.finished is not None:
        invocation["endTimeUtc"] = _time(run.finished)
    if run.exit_status is not None:
        invocation["exitCode"] = run.exit_status
    return invocation


def _time(text: str) -> str:
    # 3.9: a time in UTC ends with Z.
    return text.replace("+00:00", "Z")


def _root(runs: Sequence[RunRecord]) -> dict[str, Any]:
    roots = {run.rootdir for run in runs}
    root: dict[str, Any] = {"description": {"text": "pytest's rootdir"}}
    if len(roots) == 1:  # those of other machines mean nothing here
        root["uri"] = folder_uri(roots.pop())
    return root


def _results(results: Results) -> list[dict[str, Any]]:
    expected = {
        (test.run, test.nodeid): test.outcome == "xfailed"
        for test in results.tests
        if test.run is not None
    }
    seen: Counter[str] = Counter()
    told = []
    for finding in find(results.tests):
        identity = _identity(finding)
        result = _result(finding, results.sources.get((finding.run, finding.path)))
        # Two alike of one test are told apart by their order.
        result["partialFingerprints"] = {"memlensFinding/v1": f"{identity}:{seen[identity]}"}
        seen[identity] += 1
        if expected.get((finding.run, finding.nodeid)):
            reason = "the test is marked xfail"
            result["suppressions"] = [{"kind": "inSource", "justification": reason}]
        told.append(result)
    return told


def _identity(finding: Finding) -> str:
    """Return what stays the same while lines move: rule, test, file and function."""
    place = (finding.path, finding.line)
    functions = (
        frame.function
        for stack in finding.stacks
        for frame in stack.frames
        if (frame.path, frame.line) == place
    )
    parts = (finding.code, finding.nodeid, finding.path, next(functions, finding.name or ""))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _result(finding: Finding, source: str | None) -> dict[str, Any]:
    location = _location(finding.path, finding.line) or {}
    if source is not None and "physicalLocation" in location:
        lines = source.split("\n")
        code = lines[finding.line - 1] if 0 < finding.line <= len(lines) else ""
        start, end = underlined(code, finding.name)
        if end > start:
            region = location["physicalLocation"]["region"]
            region |= {"startColumn": start + 1, "endColumn": end + 1}
    location["logicalLocations"] = [
        {
            "name": test_function(finding.nodeid) or finding.nodeid,
            "fullyQualifiedName": finding.nodeid,
            "kind": "function",
        }
    ]
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": _INDEX[finding.code],
        "level": {"information": "note"}.get(finding.severity, finding.severity),
        "message": {"text": finding.message_with_test},
        "locations": [location],
    }
    # Without native frames: code scanning wants a file for each step.
    stacks = [told for stack in finding.stacks if (told := steps(stack, native=False))]
    if stacks:
        result["codeFlows"] = [
            # As it happened: the first call first.
            {"threadFlows": [{"locations": [{"location": _step(s)} for s in reversed(stack)]}]}
            for stack in stacks
        ]
        result["relatedLocations"] = [
            _step(stack[0]) | {"id": number} for number, stack in enumerate(stacks, 1)
        ]
    return result


def _step(step: Related) -> dict[str, Any]:
    return _frame_location(step.frame) | {"message": {"text": step.message}}


def _frame_location(frame: FrameRecord) -> dict[str, Any]:
    return (_location(frame.path, frame.line) or {}) | {
        "logicalLocations": [{"name": frame.function, "kind": "function"}]
    }


def _location(path: str, line: int) -> dict[str, Any] | None:
    reference = uri(path)
    if reference is None:
        return None
    artifact = {"uri": reference}
    if not is_absolute(reference):
        artifact["uriBaseId"] = _ROOT
    physical: dict[str, Any] = {"artifactLocation": artifact}
    if line > 0:
        physical["region"] = {"startLine": line}
    return {"physicalLocation": physical}
