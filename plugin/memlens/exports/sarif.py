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
from memlens.findings import Code, Finding, Related, find, test_function, underlined
from memlens.store.records import FrameRecord, RunRecord

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
#: What relative paths are relative to, as other tools and GitHub call it.
_ROOT = "%SRCROOT%"
_MEMORY = "https://bloomberg.github.io/memray/memory.html"
_LEAKS = "https://bloomberg.github.io/memray/python_allocators.html"
_OBJECTS = "https://docs.python.org/3/library/gc.html"

#: Code, name, level, what it is, what to do, and a page that tells more.
_RULES: tuple[tuple[Code, str, str, str, str, str], ...] = (
    (
        "memory-limit-exceeded",
        "MemoryLimitExceeded",
        "error",
        "A test's peak memory is over its limit",
        "The code flows are the call stacks that held most at the peak. Make them hold less at"
        " once, or raise the test's limit_memory.",
        _MEMORY,
    ),
    (
        "memory-leak",
        "MemoryLeak",
        "error",
        "A test leaves more memory behind than its limit_leaks allows",
        "The code flows are the call stacks whose memory was not freed by the end of the test."
        " Release what they keep, or ignore a cache that is meant to stay with filter_fn.",
        _LEAKS,
    ),
    (
        "leak-site",
        "LeakSite",
        "warning",
        "Memory that is allocated here is not freed by the end of a test",
        "This is the line of the project that is nearest to the allocation. Look for who keeps"
        " what it makes.",
        _LEAKS,
    ),
    (
        "leaked-objects",
        "LeakedObjects",
        "error",
        "Python objects that a test made outlive it",
        "The message names their types. Look for a global, a cache or a closure that keeps them.",
        _OBJECTS,
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
                "help": {"text": f"{title}. {advice}"},
                "helpUri": page,
                "defaultConfiguration": {"level": level},
                "properties": {"tags": ["memory", "test"]},
            }
            for code, name, level, title, advice, page in _RULES
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
        step.frame.function
        for step in finding.related
        if (step.frame.path, step.frame.line) == place
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
        "message": {"text": finding.message},
        "locations": [location],
    }
    stacks = _stacks(finding.related)
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


def _stacks(related: Sequence[Related]) -> list[list[Related]]:
    """Return the steps of each stack, the most recent call first."""
    stacks: list[list[Related]] = []
    for step in related:
        # A finding has its stacks one after the other; their callers say so.
        if stacks and step.message.startswith("called by "):
            stacks[-1].append(step)
        else:
            stacks.append([step])
    return stacks


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
