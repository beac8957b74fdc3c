"""What views ask of results: pages of tests, one test's call stacks, its history.

Reads files: to be called off the event loop.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict

from memlens.store import (
    FrameRecord,
    PastResult,
    ResultsError,
    ResultsReader,
    StackKind,
    StackRecord,
    TestRecord,
)
from memlens_lsp.features import views
from memlens_lsp.features.placing import line_of_test
from memlens_lsp.positions import line_map
from memlens_lsp.projects import file_named, has_results, is_text, names_in, real
from memlens_lsp.results import FileResults, read_database
from memlens_lsp.texts import OpenText, Texts
from memlens_lsp.uris import path_of, uri_of


class Place(NamedTuple):
    """Where a page of tests begins, and what it is a part of. Written as text for the client."""

    #: For each project, the id of the newest result that the client knows and the uuid of its run:
    #: only newer ones are of interest.
    known: Mapping[str, tuple[int, str]]
    #: The same at the first page, for the next time.
    state: Mapping[str, tuple[int, str]]
    #: The project that the last page ended in, and its last test.
    project: str = ""
    after: tuple[str, str] = ("", "")

    def write(self) -> str:
        """Return the text that `read_place` understands."""
        return json.dumps(self, separators=(",", ":"))


def read_place(text: str) -> Place:
    """Return the place that *text* says.

    Raises:
        ValueError: it is no such text.
    """
    try:
        known, state, project, (path, name) = json.loads(text)
        if not all(isinstance(word, str) and is_text(word) for word in (project, path, name)):
            raise ValueError
        return Place(_read_state(known), _read_state(state), project, (path, name))
    except (TypeError, ValueError, RecursionError):
        raise ValueError("not what an answer had as its 'next'") from None


def write_state(state: Mapping[str, tuple[int, str]]) -> str:
    """Return the text that `read_state` understands."""
    return json.dumps(state, separators=(",", ":"))


def read_state(text: str) -> dict[str, tuple[int, str]]:
    """Return what the client knows.

    Raises:
        ValueError: *text* does not say it.
    """
    try:
        return _read_state(json.loads(text))
    except (TypeError, ValueError, RecursionError):
        raise ValueError("not what an answer had as its 'state'") from None


def _read_state(state: object) -> dict[str, tuple[int, str]]:
    if not isinstance(state, dict):
        raise TypeError
    read = {}
    for project, (newest, run) in state.items():
        # SQLite's integers end there.
        if not isinstance(newest, int) or not 0 <= newest < 1 << 63 or not isinstance(run, str):
            raise TypeError
        read[project] = (newest, run)
    return read


class ProjectTests(TypedDict):
    """Tests of one project."""

    uri: str
    name: str
    #: Whether what the client knows of the project counts no more.
    replaces: bool
    tests: list[views.Test]
    #: Why its results cannot be read.
    problem: str | None


class Page(TypedDict):
    """Tests of all projects, or a part of them."""

    projects: list[ProjectTests]
    state: str
    next: str | None


def read_page(roots: Iterable[Path], place: Place, most: int) -> Page:
    """Return the next *most* tests of the projects at *roots* that come after *place*."""
    state = dict(place.state)
    projects: list[ProjectTests] = []
    left = most
    following: Place | None = None
    for uri, root in sorted((uri_of(root), root) for root in roots):
        if uri < place.project:
            continue
        is_first = uri != place.project
        after = ("", "") if is_first else place.after
        made: ProjectTests = {
            "uri": uri, "name": root.name, "replaces": False, "tests": [], "problem": None,
        }  # fmt: skip
        try:
            last = read_database(root, _Part(root, place, made, state, left, after).read)
        except ResultsError as error:
            made["problem"] = str(error)
            last = None
        projects.append(made)
        left -= len(made["tests"])
        if left <= 0 and last is not None:
            following = Place(place.known, state, uri, last)
            break
    return {
        "projects": projects,
        "state": write_state(state),
        "next": following.write() if following is not None else None,
    }


def tests_in(page: Page, files: Collection[Path]) -> dict[Path, list[views.Test]]:
    """Return those tests of *page* that are in one of *files*, symlinks followed, by file."""
    found: dict[Path, list[views.Test]] = {}
    known: dict[str, Path | None] = {}
    for project in page["projects"]:
        for test in project["tests"]:
            uri = test["uri"]
            if uri not in known:
                path = path_of(uri)
                file = real(path) if path is not None else None
                known[uri] = file if file in files else None
            file = known[uri]
            if file is not None:
                found.setdefault(file, []).append(test)
    return found


def move(tests: Iterable[views.Test], results: FileResults, opened: OpenText) -> None:
    """Put *tests* where they are in the document that is open."""
    records = {record.nodeid: record for record in results.tests}
    for test in tests:
        test["uri"] = opened.uri
        record = records.get(test["id"])
        if record is not None:
            measured = results.sources.get(record.run or 0)
            line = line_of_test(record.nodeid, record.line, measured, opened.text)
            if line is not None:
                test["line"] = line - 1


class _Part(NamedTuple):
    """One project's part of a page."""

    root: Path
    place: Place
    made: ProjectTests
    state: dict[str, tuple[int, str]]
    most: int
    after: tuple[str, str]

    def read(self, reader: ResultsReader) -> tuple[str, str] | None:
        """Fill in what was made of the project; return the path and name of the last test."""
        uri = self.made["uri"]
        known = self.place.known.get(uri)
        since = known[0] if known is not None and _holds(reader, known) else 0
        if self.after == ("", ""):
            # Before reading, so that what is stored meanwhile is told next time.
            newest = reader.newest_result()
            self.state[uri] = (newest, reader.runs_of([newest]).get(newest, ""))
            self.made["replaces"] = not since
        summaries = reader.summaries(self.most, self.after, since=since)
        uris: dict[str, str] = {}
        for summary in summaries:
            path = summary.path
            if path not in uris:
                uris[path] = uri_of(file_named(self.root, path))
            self.made["tests"].append(views.test(summary, uris[path]))
        return (summaries[-1].path, summaries[-1].name) if summaries else None


def _holds(reader: ResultsReader, known: tuple[int, str]) -> bool:
    newest, run = known
    return reader.runs_of([newest]).get(newest) == run


class Asked(NamedTuple):
    """A test that a view asks for."""

    path: Path
    #: As in `views.Test`: without parameters it is the heaviest case.
    test: str


class Found(NamedTuple):
    """A measured test, and where."""

    root: Path
    measured: TestRecord


def find_test(reader: ResultsReader, root: Path, asked: Asked) -> TestRecord | None:
    """Return the newest result of the test, with its call stacks."""
    for path in names_in(root, asked.path):
        measured = reader.latest_test(path, asked.test)
        if measured is not None:
            return measured
        cases = [
            case
            for case in reader.latest_tests(path, stacks=False)
            if case.name.startswith(f"{asked.test}[")
        ]
        if cases:
            return reader.latest_test(path, max(cases, key=views.peak_of).name)
    return None


def _of_test(
    roots: Sequence[Path], asked: Asked, read: Callable[[ResultsReader, Path, TestRecord], None]
) -> Found | None:
    """Call *read* with the results that know the test: those nearest to its file, else any."""
    around = [folder for folder in asked.path.parents if has_results(folder)]
    for root in dict.fromkeys((*around, *roots)):

        def look(reader: ResultsReader, root: Path = root) -> TestRecord | None:
            measured = find_test(reader, root, asked)
            if measured is not None:
                read(reader, root, measured)
            return measured

        try:
            measured = read_database(root, look)
        except ResultsError:
            continue
        if measured is not None:
            return Found(root, measured)
    return None


def locate(roots: Sequence[Path], asked: Asked) -> Found | None:
    """Return the test, or None if no project knows it."""
    return _of_test(roots, asked, lambda *_: None)


def read_history(roots: Sequence[Path], asked: Asked, most: int) -> views.History | None:
    """Return the last *most* results of a test, or None if it is not known."""
    past: list[PastResult] = []

    def read(reader: ResultsReader, _: Path, measured: TestRecord) -> None:
        past[:] = reader.history(measured.path, measured.name, most)

    found = _of_test(roots, asked, read)
    if found is None:
        return None
    uri = uri_of(file_named(found.root, found.measured.path))
    return views.history(found.measured, uri, past)


class UnknownRunError(Exception):
    """A run did not measure the test. The message says so."""

    def __init__(self, parameter: Literal["run", "compareWith"], message: str) -> None:
        super().__init__(message)
        #: Which of the two that are asked for it is.
        self.parameter = parameter


class AskedGraph(NamedTuple):
    """What a view wants to see of a test's call stacks."""

    test: Asked
    kind: StackKind
    #: The uuid of the run that measured them; None for the test's newest result.
    run: str | None = None
    #: The uuid of another run, None for no comparison.
    compare_with: str | None = None


def read_flame_graph(
    roots: Sequence[Path], asked: AskedGraph, texts: Texts
) -> views.FlameGraph | None:
    """Return call stacks of a test, or None if the test is not known.

    The lines are those of *texts*.

    Raises:
        UnknownRunError: one of the runs did not measure the test.
    """
    graphs: list[views.FlameGraph] = []

    def read(reader: ResultsReader, root: Path, newest: TestRecord) -> None:
        shown = newest
        if asked.run is not None:
            shown = _result_in(reader, "run", asked.run, newest)
        before = None
        if asked.compare_with is not None:
            before = _result_in(reader, "compareWith", asked.compare_with, newest)
        files = _Files(reader, root, shown.run or 0, texts)
        graphs[:] = [_flame_graph(files, shown, before, asked.kind)]

    return graphs[0] if _of_test(roots, asked.test, read) is not None else None


def _result_in(
    reader: ResultsReader, parameter: Literal["run", "compareWith"], run: str, test: TestRecord
) -> TestRecord:
    measured = reader.result_in(run, test.path, test.name)
    if measured is None:
        raise UnknownRunError(parameter, f"no run {run!r} has measured {test.nodeid}")
    return measured


class _Files:
    """The files that one run saw, and where what it saw in them is now."""

    def __init__(self, reader: ResultsReader, root: Path, run: int, texts: Texts) -> None:
        self.runs = {run.id: views.run(run) for run in reader.runs(limit=None)}
        self._reader = reader
        self._root = root
        self._run = run
        self._texts = texts
        self._measured: dict[tuple[int, str], str | None] = {}

    def uri(self, name: str) -> str | None:
        if name.startswith("<") or not name:  # "<string>"
            return None
        path = file_named(self._root, name)
        opened = self._texts.opened(path)
        return opened[0].uri if opened else uri_of(path)

    def line_now(self, name: str, line: int) -> int:
        measured, now = self._source(self._run, name), self._texts.now(file_named(self._root, name))
        if measured is None or now is None:
            return line
        return line_map(measured, now).nearest(line)

    def as_this_run(self, stacks: Iterable[StackRecord], run: int) -> list[StackRecord]:
        """Return *stacks* of the run *run* with the lines that they have in this one's texts."""

        def moved(frame: FrameRecord) -> FrameRecord:
            then, here = self._source(run, frame.path), self._source(self._run, frame.path)
            if frame.kind != "project" or not frame.line or then is None or here is None:
                return frame
            return frame._replace(line=line_map(then, here).nearest(frame.line))

        return [stack._replace(frames=tuple(map(moved, stack.frames))) for stack in stacks]

    def _source(self, run: int, name: str) -> str | None:
        """Return the text that a run saw, None if it was not kept."""
        if (run, name) not in self._measured:
            source = self._reader.source(run, name)
            self._measured[run, name] = source.text if source is not None else None
        return self._measured[run, name]


def _flame_graph(
    files: _Files, measured: TestRecord, before: TestRecord | None, kind: StackKind
) -> views.FlameGraph:
    stacks = measured.stacks_of(kind)
    stacks_before = None
    if before is not None:
        stacks_before = files.as_this_run(before.stacks_of(kind), before.run or 0)
    return {
        "uri": files.uri(measured.path) or "",
        "test": measured.name,
        "id": measured.nodeid,
        "kind": kind,
        "kinds": views.kinds_of(measured, before),
        "run": files.runs[measured.run],
        "comparedWith": files.runs[before.run] if before is not None else None,
        "peakBytes": views.peak_of(measured),
        "peakBytesBefore": views.peak_of(before) if before is not None else None,
        "totalBytes": views.total_of(measured, kind),
        "totalBytesBefore": views.total_of(before, kind) if before is not None else None,
        "value": views.held(stacks),
        "valueBefore": views.held(stacks_before) if stacks_before is not None else None,
        "frames": views.frames(stacks, stacks_before, files.uri, files.line_now),
    }
