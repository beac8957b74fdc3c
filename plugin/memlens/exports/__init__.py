"""Reports for CI and other tools: one module a kind, each a pure function from results to text.

`KINDS` is what `memlens export --format` and `pytest --memray-report` offer. `results` reads what
they are made of; `session` writes them at the end of a pytest run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from memlens.exports.results import Results
    from memlens.store.records import TestRecord


class Kind(NamedTuple):
    """One kind of report."""

    #: What it is, in a few words.
    what: str
    #: Where a pytest run writes it if no path is said, in the folder that pytest was started in;
    #: None for what has a place of its own.
    path: str | None
    #: The module and function that make it.
    module: str
    function: str
    #: What the files' names end with, if each test has one: then the path is a folder's.
    suffix: str | None = None
    #: Whether it shows what earlier runs measured.
    has_history: bool = False


KINDS: Mapping[str, Kind] = {
    "json": Kind(
        "everything, as docs/schema/results-1.json says",
        "memlens.json",
        "document",
        "to_json",
        has_history=True,
    ),
    "sarif": Kind(
        "findings and call stacks for code scanning (SARIF 2.1.0)",
        "memlens.sarif",
        "sarif",
        "sarif",
    ),
    "html": Kind("one page for people", "memlens.html", "html", "html", has_history=True),
    "markdown": Kind("a pull request's comment", "memlens.md", "markdown", "markdown"),
    "github": Kind(
        "annotations of a GitHub workflow and its step summary", None, "github", "workflow_commands"
    ),
    "github-benchmark": Kind(
        "peaks for github-action-benchmark (customSmallerIsBetter)",
        "memlens-benchmark.json",
        "benchmark",
        "benchmark",
    ),
    "heapprofile": Kind(
        "each test's peak as a V8 heap profile, which VS Code opens",
        "memlens-heapprofile",
        "heapprofile",
        "heapprofile",
        suffix=".heapprofile",
    ),
    "speedscope": Kind(
        "each test's peak for speedscope",
        "memlens-speedscope",
        "speedscope",
        "speedscope",
        suffix=".speedscope.json",
    ),
}


class Request(NamedTuple):
    """A report that is to be written."""

    kind: str
    #: Where to; None for what has a place of its own.
    path: Path | None


def parse_request(text: str, folder: Path) -> Request:
    """Return what ``KIND`` or ``KIND:PATH`` asks for; a path is relative to *folder*.

    Raises:
        ValueError: there is no such kind, or nothing can be written to such a path.
    """
    name, colon, given = text.strip().partition(":")
    kind = KINDS.get(name)
    if kind is None:
        raise ValueError(f"{name!r} is no kind of report: expected one of {', '.join(KINDS)}")
    if colon and not given:
        raise ValueError(f"{text!r} has no path after the colon")
    place = given or kind.path
    if place is None:
        return Request(name, None)
    path = folder / place
    if kind.suffix is None and path.is_dir():
        raise ValueError(f"{text!r}: {place} is a folder, and this report is one file")
    if kind.suffix is not None and path.exists() and not path.is_dir():
        raise ValueError(f"{text!r}: {place} is a file, and this report is a folder of files")
    above = next(parent for parent in path.parents if parent.exists())
    if not above.is_dir():
        raise ValueError(f"{text!r}: {above} is no folder")
    return Request(name, path)


def render(kind: str, results: Results) -> str:
    """Return the report on all of *results*. Not for a kind that has one a test."""
    from memlens.exports.document import document

    # Typed by hand: modules are imported when their kind is asked for.
    text: str = _function(kind)(document(results) if kind == "html" else results)
    return text


def render_test(kind: str, results: Results, test: TestRecord) -> str:
    """Return the report on *test*, one of *results*, of a kind that has one a test."""
    text: str = _function(kind)(results, test)
    return text


def _function(kind: str) -> Any:
    known = KINDS[kind]
    return getattr(import_module(f"memlens.exports.{known.module}"), known.function)
