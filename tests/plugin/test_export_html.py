"""The HTML report as text; `tests/web` looks at it in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from memlens.exports.document import document
from memlens.exports.html import html
from memlens.exports.results import read_results
from memlens.store import ResultsReader, database_path

RUN = {
    "uuid": "run-2",
    "started": "2026-11-23T04:19:48.000000+00:00",
    "finished": "2026-11-23T04:20:00.000000+00:00",
    "status": "finished",
    "exit_status": 0,
    "command_line": ["--memray"],
    "rootdir": "/home/kim/shop",
    "versions": {"python": "3.12.4"},
    "git_commit": "8c98ca7a39b0b2f3f3c1a5c0e6a3c1f0a7d1e2b3",
    "git_dirty": False,
    "collected": 1,
}
FRAME = {"function": "load", "path": "shop/a.py", "line": 3, "native": False, "project": True}
TEST = {
    "run": "run-2",
    "nodeid": "test_a.py::test_a",
    "path": "test_a.py",
    "line": 1,
    "outcome": "passed",
    "duration_s": 0.5,
    "worker": None,
    "peak_bytes": 1024,
    "allocated_bytes": None,
    "allocations": None,
    "leaked_bytes": None,
    "phases": [],
    "limits": [],
    "stacks": [],
    "history": [],
}


def report(*tests: dict[str, Any], runs: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "schema": 1,
        "runs": [RUN] if runs is None else runs,
        "tests": [TEST | test for test in tests],
    }


class Page(HTMLParser):
    """The elements of a page, and the text in each script, style and title."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style", "title"):
            self.texts.append((self._inside, data))

    def text(self, tag: str, at: int = 0) -> str:
        return [text for of, text in self.texts if of == tag][at]

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.text("script"))
        return data

    @property
    def policy(self) -> str:
        return next(
            attributes["content"] or ""
            for tag, attributes in self.elements
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        )


def test_the_policy_lets_only_the_pages_own_script_and_style_run() -> None:
    page = Page(html(report({})))

    def hash_of(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    rules = [rule.split() for rule in page.policy.split("; ")]
    assert ["default-src", "'none'"] in rules
    assert ["script-src", hash_of(page.text("script", at=1))] in rules
    assert ["style-src", hash_of(page.text("style"))] in rules
    assert "unsafe" not in page.policy


def test_the_page_names_nothing_that_a_browser_would_fetch() -> None:
    page = Page(html(report({})))
    for tag, attributes in page.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        assert not {"src", "href", "style"} & attributes.keys()
    assert not re.search(r"url\(|@import", page.text("style"))


@pytest.mark.parametrize(
    "hostile",
    [
        "</script><script>alert(1)</script>",
        "<!--<script>",
        "--></title></style>",
        "'\"`&amp;",
        "\u2028\u2029\u202e",
        "half a pair: \ud800",
        "\x00\x1b[31m",
        "日本語",
    ],
)
def test_whatever_names_say_the_page_is_the_same_ascii_markup(hostile: str) -> None:
    frame = FRAME | {"function": hostile, "path": hostile}
    stack = {"kind": "peak", "bytes": 1, "allocations": 1, "frames": [frame]}
    run = RUN | {"rootdir": hostile, "versions": {hostile: hostile}, "git_commit": hostile}
    text = html(report({"nodeid": hostile, "path": hostile, "stacks": [stack]}, runs=[run]))
    assert text.isascii()
    page = Page(text)
    assert page.elements == Page(html(report({}))).elements
    assert page.data["tests"][0]["nodeid"] == hostile
    assert page.data["frames"] == [[hostile, hostile, 3, 1]]


def test_the_title_says_when_and_of_which_commit_and_nothing_without_runs() -> None:
    assert (
        Page(html(report({}))).text("title")
        == "Memory of tests · 2026-11-23 04:19 UTC · 8c98ca7a39"
    )
    without_git = RUN | {"git_commit": None}
    page = Page(html(report({}, runs=[without_git])))
    assert page.text("title") == "Memory of tests · 2026-11-23 04:19 UTC"
    assert Page(html(report(runs=[]))).text("title") == "Memory of tests"


def test_a_frame_of_many_stacks_is_in_the_page_once() -> None:
    native = FRAME | {"native": True, "project": False, "line": None}
    library = FRAME | {"project": False}
    stacks = [
        {"kind": "peak", "bytes": 2, "allocations": 1, "frames": [native, FRAME]},
        {"kind": "leak", "bytes": 1, "allocations": 1, "frames": [library, FRAME]},
    ]
    data = Page(html(report({"stacks": stacks}, {"nodeid": "b", "stacks": stacks}))).data
    assert data["frames"] == [
        ["load", "shop/a.py", None, 2],
        ["load", "shop/a.py", 3, 1],
        ["load", "shop/a.py", 3, 0],
    ]
    for test in data["tests"]:
        assert [stack["frames"] for stack in test["stacks"]] == [[0, 1], [2, 1]]


def test_history_is_the_earlier_results_and_then_the_tests_own() -> None:
    runs = [RUN, RUN | {"uuid": "run-1", "started": "2026-11-22T00:00:00.000000+00:00"}]
    past = [
        {"run": "gone", "outcome": "passed", "peak_bytes": 7},
        {"run": "run-1", "outcome": "failed", "peak_bytes": 9},
    ]
    data = Page(html(report({"history": past}, runs=runs))).data
    assert [run["started"][:10] for run in data["runs"]] == ["2026-11-22", "2026-11-23"]
    (test,) = data["tests"]
    assert test["run"] == 1
    assert test["history"] == [[-1, 7, "passed"], [0, 9, "failed"], [1, 1024, "passed"]]


def test_a_real_run_has_a_page(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.limit_memory("1 MB")
        def test_big():
            assert bytearray(3 * 1024 * 1024)
        """
    )
    for _ in range(2):
        pytester.runpytest_subprocess("--memray")
    with ResultsReader(database_path(pytester.path)) as reader:
        results = read_results(reader, reader.latest_tests(), history=True)
    data = Page(html(document(results))).data
    (test,) = data["tests"]
    assert test["nodeid"].endswith("::test_big")
    assert test["peak_bytes"] > 3 * 1024 * 1024
    assert test["limits"][0]["verdict"] == "exceeded"
    assert len(test["history"]) == len(data["runs"]) == 2
    names = {data["frames"][at][0] for stack in test["stacks"] for at in stack["frames"]}
    assert "test_big" in names


def test_the_licences_of_what_is_bundled_are_in_the_page() -> None:
    script = Page(html(report({}))).text("script", at=1)
    assert "d3-flame-graph 5.0.0\n\n" in script
    assert "Apache License" in script
    assert "Mike Bostock" in script  # d3's own
