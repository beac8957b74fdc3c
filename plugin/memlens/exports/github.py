"""The `github` report: annotations beside the code of a pull request.

They are workflow commands, lines of output that begin with ``::``
(https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands). The step
summary beside them is the `markdown` report.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePath

from memlens.exports.results import Results, told_findings
from memlens.exports.text import printable
from memlens.findings import Finding, underlined

#: Frames of a call stack that an annotation shows.
_FRAMES = 8
_LEVELS = {"error": "error", "warning": "warning", "information": "notice"}


def workflow_commands(results: Results, environment: Mapping[str, str] | None = None) -> str:
    """Return one line for each finding, the errors first: GitHub shows ten of a kind and step.

    *environment* is the process's if None; its GITHUB_WORKSPACE is what files are named from.
    """
    workspace = (os.environ if environment is None else environment).get("GITHUB_WORKSPACE")
    roots = {run.id: run.rootdir for run in results.runs}
    return "".join(
        _annotation(
            finding,
            _file(workspace, roots.get(finding.run), finding.path),
            results.sources.get((finding.run, finding.path)),
        )
        for finding in told_findings(results)
    )


def _annotation(finding: Finding, file: str, source: str | None) -> str:
    properties: dict[str, object] = {"file": file, "line": finding.line}
    lines = source.split("\n") if source is not None else []
    if 0 < finding.line <= len(lines):
        start, end = underlined(lines[finding.line - 1], finding.name)
        if end > start:
            properties |= {"col": start + 1, "endColumn": end}
    properties["title"] = f"{finding.code} in {printable(finding.nodeid, 160)}"
    calls = finding.related(native=False)
    text = [finding.message]
    text += [
        f"  {step.message} ({printable(step.frame.path)}:{step.frame.line})"
        for step in calls[:_FRAMES]
    ]
    if len(calls) > _FRAMES:
        text.append("  …")
    given = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    message = _data("\n".join(printable(line) for line in text))
    return f"::{_LEVELS[finding.severity]} {given}::{message}\n"


def _file(workspace: str | None, root: str | None, path: str) -> str:
    """Return *path* as GitHub needs it: relative to the repository's root, if it is in there."""
    if workspace and root:
        absolute = PurePath(root, path)
        if absolute.is_relative_to(workspace):
            return absolute.relative_to(workspace).as_posix()
    return path


# As GitHub's own toolkit does it (actions/toolkit, packages/core/src/command.ts).
def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    printed = _data(text.encode("utf-8", "replace").decode("utf-8"))
    return printed.replace(":", "%3A").replace(",", "%2C")
