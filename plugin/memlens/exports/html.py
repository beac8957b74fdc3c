"""The HTML report: one page that needs nothing else and asks nothing of any network.

The page's script and style are built from ``web/`` into ``page/`` beside this module. A policy in
the page lets that very script and that very style run, known by their hashes, and nothing else. All
of a report's text reaches the page as JSON, which the script shows as text.
"""

from __future__ import annotations

import base64
import hashlib
import html as markup
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="memlens">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header id="report-header"><h1>{title}</h1></header>
<main id="report-content"><noscript>This report needs JavaScript.</noscript></main>
<script type="application/json" id="report-data">{data}</script>
<script>{script}</script>
</body>
</html>
"""
#: Characters that mean something to an HTML parser, as JSON strings may spell them.
_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def html(document: Mapping[str, Any]) -> str:
    """Return the page that shows *document*, a JSON report. It is ASCII, whatever the report says.

    The report is what `memlens.exports.document.document` makes; docs/schema/results-1.json
    describes it.
    """
    data = page_data(document)
    style, script = _asset("page.css"), _asset("page.js")
    return _PAGE.format(
        policy=_policy(style, script),
        title=_title(data["runs"]),
        style=style,
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).translate(_ESCAPED),
        script=script,
    )


def page_data(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page's script reads (``web/src/report.ts``), made from a JSON report.

    Runs are in order, the oldest first, and named by their index. Stacks name their frames by
    index too: most tests of a project pass the same ones.
    """
    runs = sorted(document["runs"], key=lambda run: str(run["started"]))
    index_of_run = {run["uuid"]: index for index, run in enumerate(runs)}
    frames = _Frames()
    tests = [_test(test, index_of_run, frames) for test in document["tests"]]
    return {"runs": [_only(run, _RUN) for run in runs], "tests": tests, "frames": frames.all}


#: What the page shows of a run, a test, a phase, a limit and a stack.
_RUN = ("started", "status", "rootdir", "versions", "git_commit", "git_dirty", "collected")
_TEST = (
    "nodeid",
    "path",
    "line",
    "outcome",
    "duration_s",
    "peak_bytes",
    "allocated_bytes",
    "allocations",
    "leaked_bytes",
)
_PHASE = ("name", "peak_bytes", "allocated_bytes", "allocations")
_LIMIT = ("marker", "limit_bytes", "measured_bytes", "verdict", "message")
_STACK = ("kind", "bytes", "allocations")

#: Function, path, line, and whose code it is: 0 a library's, 1 the project's, 2 native.
_Frame = tuple[str, str, "int | None", int]


class _Frames:
    """The frames of all stacks, each once."""

    def __init__(self) -> None:
        self.all: list[_Frame] = []
        self._indices: dict[_Frame, int] = {}

    def indices(self, frames: Iterable[Mapping[str, Any]]) -> list[int]:
        """Return the index of each of *frames*."""
        return [self._index(frame) for frame in frames]

    def _index(self, frame: Mapping[str, Any]) -> int:
        origin = 2 if frame["native"] else int(frame["project"])
        key = (frame["function"], frame["path"], frame["line"], origin)
        index = self._indices.setdefault(key, len(self.all))
        if index == len(self.all):
            self.all.append(key)
        return index


def _test(
    test: Mapping[str, Any], index_of_run: Mapping[str, int], frames: _Frames
) -> dict[str, Any]:
    run = index_of_run.get(test["run"], -1)
    past = [
        [index_of_run.get(point["run"], -1), point["peak_bytes"], point["outcome"]]
        for point in test["history"]
    ]
    if test["peak_bytes"] is not None:
        past.append([run, test["peak_bytes"], test["outcome"]])
    return _only(test, _TEST) | {
        "phases": [_only(phase, _PHASE) for phase in test["phases"]],
        "limits": [_only(limit, _LIMIT) for limit in test["limits"]],
        "stacks": [
            _only(stack, _STACK) | {"frames": frames.indices(stack["frames"])}
            for stack in test["stacks"]
        ],
        "run": run,
        "history": past,
    }


def _only(values: Mapping[str, Any], shown: Iterable[str]) -> dict[str, Any]:
    return {key: values[key] for key in shown}


def _title(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the page's title as markup: when the newest run was, and of which commit."""
    said = ["Memory of tests"]
    if runs:
        started = str(runs[-1].get("started", ""))
        said.append(f"{started[:16].replace('T', ' ')} UTC")
        said.append(str(runs[-1].get("git_commit") or "")[:10])
    text = " · ".join(part for part in said if part)
    return markup.escape(text).encode("ascii", "xmlcharrefreplace").decode("ascii")


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            "base-uri 'none'",
            "form-action 'none'",
            # No text can become markup or script, even by a mistake of the page's own script.
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("ascii")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _asset(name: str) -> str:
    return (resources.files("memlens.exports") / "page" / name).read_text(encoding="ascii")
