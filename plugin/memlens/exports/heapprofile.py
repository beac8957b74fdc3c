"""The `heapprofile` report: one test's peak as a V8 sampling heap profile, which VS Code opens.

The format is the Chrome DevTools Protocol's HeapProfiler.SamplingHeapProfile
(https://chromedevtools.github.io/devtools-protocol/tot/HeapProfiler/). Its lines count from 0.
"""

from __future__ import annotations

import json
import posixpath
from typing import Any

from memlens.exports.results import Results
from memlens.exports.speedscope import REST, rest_of_peak
from memlens.exports.text import folder_uri, is_absolute, uri
from memlens.store.records import FrameRecord, TestRecord


def heapprofile(results: Results, test: TestRecord) -> str:
    """Return what *test* held at its peak, as a tree of calls."""
    run = results.run_of(test)
    root = folder_uri(run.rootdir) if run is not None else ""
    tree = _Tree(root)
    for stack in test.stacks_of("peak"):
        node = tree.head
        for frame in reversed(stack.frames):
            node = tree.child(node, frame)
        tree.add(node, stack.bytes)
    rest = rest_of_peak(test)
    if rest:
        tree.add(tree.child(tree.head, FrameRecord(REST, "", 0, "native")), rest)
    return json.dumps({"head": tree.head, "samples": tree.samples}) + "\n"


class _Tree:
    """A profile's nodes, as they grow."""

    def __init__(self, root: str) -> None:
        """Files are named from *root*, a URI."""
        self._root = root
        self._ids = 0
        self._children: dict[tuple[int, FrameRecord], dict[str, Any]] = {}
        #: One for each stack.
        self.samples: list[dict[str, int]] = []
        self.head = self._node("(root)", "", -1)

    def child(self, parent: dict[str, Any], frame: FrameRecord) -> dict[str, Any]:
        """Return the node of *frame* called by *parent*."""
        key = (parent["id"], frame)
        node = self._children.get(key)
        if node is None:
            node = self._node(frame.function, self._url(frame.path), frame.line - 1)
            self._children[key] = node
            parent["children"].append(node)
        return node

    def add(self, node: dict[str, Any], size: int) -> None:
        """Add *size* bytes to what *node* itself allocated."""
        node["selfSize"] += size
        self.samples.append({"size": size, "nodeId": node["id"], "ordinal": len(self.samples) + 1})

    def _node(self, function: str, url: str, line: int) -> dict[str, Any]:
        self._ids += 1
        return {
            "callFrame": {
                "functionName": function,
                "scriptId": "0",
                "url": url,
                "lineNumber": line,
                "columnNumber": -1 if line < 0 else 0,
            },
            "selfSize": 0,
            "id": self._ids,
            "children": [],
        }

    def _url(self, path: str) -> str:
        reference = uri(path)
        if reference is None:
            return path
        return reference if is_absolute(reference) else posixpath.join(self._root, reference)
