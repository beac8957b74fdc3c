"""Code lenses: over tests, test classes and files what they took; over lines, who allocates there.

Each that runs something is there before anything ran. What the others say of tests takes some work,
so they come without it, and it is asked for when one is seen (LSP 3.17, "Code Lens Resolve").
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Literal, NamedTuple

from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.findings import underlined
from memlens.store import SiteRecord, TestRecord
from memlens_lsp.features.hot_lines import is_hot
from memlens_lsp.features.lens_titles import group_title, heaviest, site_title, test_title
from memlens_lsp.features.placing import line_of_test
from memlens_lsp.positions import line_at, line_map, range_on_line
from memlens_lsp.results import FileResults
from memlens_lsp.settings import Settings
from memlens_lsp.tests_in_source import (
    CollectionRules,
    Found,
    TestInSource,
    definitions,
    find,
    id_in_file,
    is_test_file,
)
from memlens_lsp.uris import uri_of

RUN_COMMAND = "memlens.run"
#: Shows the flame graph of a test, in the client or in a browser (see docs/protocol.md).
FLAME_GRAPH_COMMAND = "memlens.showFlameGraph"
RUN_TITLE = "Run with memory limits"
RUN_FILE_TITLE = "Run all with memory limits"
FLAME_GRAPH_TITLE = "Flame graph"

_WORD = re.compile(r"\w+")
#: Lines of a file that say who allocates there, the heaviest ones: with more, no line stands out.
_MOST_SITES = 20


class LensClient(NamedTuple):
    """What the client makes of lenses."""

    codec: PositionCodec
    #: It asks for a lens's command when it is seen.
    resolves: bool
    #: It can show a flame graph, itself or in a browser.
    shows_flame_graphs: bool


class FileNow(NamedTuple):
    """A document, and what is known of it."""

    uri: str
    path: Path
    text: str
    results: FileResults
    rules: CollectionRules


class Subject(NamedTuple):
    """What lenses are about: a test, a class or the file."""

    kind: Literal["test", "class", "file"]
    #: Counted from 1.
    line: int
    #: In the file: ``TestCart::test_total``. More than one where classes inherit a test.
    ids: tuple[str, ...]
    #: What was measured of it.
    cases: Sequence[TestRecord]
    #: Of the file that it is run in: tests may be collected from another than they are defined in.
    uri: str

    @property
    def id(self) -> str:
        """What tells it from the others of the file; "" for the file itself."""
        return self.ids[0] if self.ids else ""


@dataclass(frozen=True)
class Overview:
    """The subjects of a file, in order of their lines."""

    file: FileNow
    subjects: Sequence[Subject]
    by_id: Mapping[str, Subject] = field(init=False)

    def __post_init__(self) -> None:
        # A test that is defined twice, under different conditions, was measured once.
        subjects = sorted(self.subjects, key=lambda one: bool(one.cases))
        object.__setattr__(self, "by_id", {subject.id: subject for subject in subjects})


class Overviews:
    """The overviews that were asked for last. For several threads at once."""

    _MOST = 64

    def __init__(self) -> None:
        self._known: OrderedDict[str, Overview] = OrderedDict()
        self._lock = Lock()

    def get(self, file: FileNow) -> Overview:
        """Return the overview of *file*, made anew if anything about it has changed."""
        with self._lock:
            known = self._known.get(file.uri)
        if known is None or known.file.results is not file.results or known.file != file:
            known = overview(file)
        with self._lock:
            self._known[file.uri] = known
            self._known.move_to_end(file.uri)
            if len(self._known) > self._MOST:
                self._known.popitem(last=False)
        return known

    def forget(self, uri: str) -> None:
        """Keep nothing of the document *uri* any more."""
        with self._lock:
            self._known.pop(uri, None)


def overview(file: FileNow) -> Overview:
    """Return what there is in *file* that lenses are about.

    Tests that were measured have them wherever they are, others in files that pytest would look at.
    """
    is_looked_at = bool(file.results.tests) or is_test_file(file.path, file.rules)
    found = find(file.text, file.rules) if is_looked_at else Found((), ())
    by_line = _measured_by_line(file, found)
    measured: dict[str, list[TestRecord]] = {}
    for cases in by_line.values():
        for case in cases:
            for around in _with_those_around(id_in_file(case.nodeid)):
                measured.setdefault(around, []).append(case)
    subjects = [
        Subject("class", one.line, (one.id,), measured.get(one.id, ()), file.uri)
        for one in found.classes
    ]
    classes = {subject.line for subject in subjects}
    tests: dict[int, list[TestInSource]] = {}
    for test in found.tests:
        tests.setdefault(test.line, []).append(test)
    for line in {*tests, *by_line} - classes:
        subjects.append(_at(line, tests.get(line, ()), by_line.get(line, ()), file))
    if found.tests or any(_file_of(case, file) == file.uri for case in measured.get("", ())):
        subjects.append(Subject("file", 1, (), measured.get("", ()), file.uri))
    # What is over the whole file comes after what is over its first line only.
    return Overview(file, sorted(subjects, key=lambda one: (one.line, one.kind == "file")))


def _measured_by_line(file: FileNow, found: Found) -> dict[int, list[TestRecord]]:
    by_id: dict[str, list[TestRecord]] = {}
    for test in file.results.tests:
        by_id.setdefault(id_in_file(test.nodeid), []).append(test)
    places: dict[str, list[int]] = {}
    for in_source in found.tests:
        places.setdefault(in_source.id, []).append(in_source.line)
    by_line: dict[int, list[TestRecord]] = {}
    for test_id, cases in by_id.items():
        # The run that knows the text best.
        newest = max(cases, key=lambda case: case.run or 0)
        lines = places.get(test_id, ())
        measured = file.results.sources.get(newest.run or 0)
        line = (
            lines[0]
            if len(lines) == 1
            else line_of_test(newest.nodeid, newest.line, measured, file.text)
        )
        if line is not None:
            by_line.setdefault(line, []).extend(cases)
    return by_line


def _with_those_around(test: str) -> list[str]:
    """Return the id *test*, those of the classes around it, and "" for the file."""
    parts = test.split("::") if test else []
    return ["::".join(parts[:length]) for length in range(len(parts) + 1)]


def _at(
    line: int, tests: Sequence[TestInSource], cases: Sequence[TestRecord], file: FileNow
) -> Subject:
    """Return the subject of a line that names no class that pytest would collect."""
    ids = tuple(dict.fromkeys(test.id for test in tests))
    # Where it is defined, it is run; where classes only inherit it, in each of them.
    own = tuple(
        test for test in ids if any(same.line == line for same in _textual(file.text, test))
    )
    measured = tuple(dict.fromkeys(id_in_file(case.nodeid) for case in cases))
    if ids:
        return Subject("test", line, own[:1] or ids, cases, file.uri)
    uri = _file_of(cases[0], file)
    if len(measured) > 1 and (common := _common_id(measured)):
        # Tests that a class inherits from another file are all measured at its own line.
        return Subject("class", line, (common,), cases, uri)
    return Subject("test", line, measured, cases, uri)


def _textual(text: str, test: str) -> Iterable[TestInSource]:
    # An inherited test has no class of its own around its lines.
    around = test.rpartition("::")[0]
    places = definitions(text).get(test, ())
    if not around:
        return places
    owners = definitions(text).get(around, ())
    return [
        place
        for place in places
        if any(owner.line <= place.line <= owner.last_line for owner in owners)
    ]


def _common_id(ids: Sequence[str]) -> str:
    common = ids[0].split("::")
    for other in ids[1:]:
        same = [one == two for one, two in zip(common, other.split("::"), strict=False)]
        common = common[: [*same, False].index(False)]
    return "::".join(common)


def lenses(known: Overview, settings: Settings, client: LensClient) -> list[types.CodeLens]:
    """Return the lenses of a document, in order of their lines."""
    file = known.file
    made = []
    for subject in known.subjects:
        place = _place(file, subject.line, subject.id.rpartition("::")[2] or None, client.codec)
        made.append(types.CodeLens(place, command=_run(subject)))
        heavy = heaviest(subject.cases)
        if heavy is None:
            continue
        if client.resolves:
            data = {"uri": file.uri, "test": subject.id}
            made.append(types.CodeLens(place, data=data))
        else:
            made.append(types.CodeLens(place, command=_text(title(known, subject))))
        if client.shows_flame_graphs and subject.kind == "test":
            made.append(types.CodeLens(place, command=_flame_graph(file.uri, heavy.name)))
    for line, words in _site_titles(known, settings):
        place = _place(file, line, None, client.codec)
        made.append(types.CodeLens(place, command=_text(words)))
    return sorted(made, key=lambda lens: lens.range.start.line)


def resolved(lens: types.CodeLens, known: Overview | None) -> types.CodeLens:
    """Return *lens* with what it says now; with nothing if that is gone."""
    subject = known.by_id.get(test_of(lens)) if known else None
    lens.command = _text(title(known, subject) if known and subject else "")
    return lens


def uri_of_lens(lens: types.CodeLens) -> str | None:
    """Return the URI of the document that *lens* is of, or None if it is none of ours."""
    uri = lens.data.get("uri") if isinstance(lens.data, Mapping) else None
    return uri if isinstance(uri, str) else None


def test_of(lens: types.CodeLens) -> Any:
    """Return the id of what *lens* is about."""
    test = lens.data.get("test") if isinstance(lens.data, Mapping) else None
    return test if isinstance(test, str) else None


def title(known: Overview, subject: Subject) -> str:
    """Return what *subject* took, in words; "" if it was not measured."""
    same = len({id_in_file(case.nodeid) for case in subject.cases}) <= 1
    words = test_title if subject.kind == "test" and same else group_title
    return words(subject.cases, known.file.results, known.file.text)


def _site_titles(known: Overview, settings: Settings) -> list[tuple[int, str]]:
    file = known.file
    by_line: dict[int, list[Sequence[SiteRecord]]] = {}
    most: dict[int, int] = {}
    # Many tests may have allocated on one line: it is mapped once for all of them.
    for measured, sites in file.results.sites_by_line.items():
        largest = next((site for site in sites if _tells(site, settings)), None)
        source = file.results.sources.get(measured.run) if largest else None
        line = None if source is None else line_map(source, file.text).line(measured.line)
        if largest is not None and line is not None:
            by_line.setdefault(line, []).append(sites)
            most[line] = max(largest.bytes, most.get(line, 0))
    titles: list[tuple[int, str]] = []
    for line in sorted(by_line, key=lambda line: (-most[line], line)):
        told = [site for sites in by_line[line] for site in sites if _tells(site, settings)]
        if not _only_in_itself(line, told, file):
            titles.append((line, site_title(told)))
        if len(titles) == _MOST_SITES:
            break
    return titles


def _tells(site: SiteRecord, settings: Settings) -> bool:
    return site.kind == "leak" or is_hot(site, settings)


def _only_in_itself(line: int, sites: Sequence[SiteRecord], file: FileNow) -> bool:
    """Return whether *line* is in a test, and nobody else allocates there: its own lens says it."""
    test = id_in_file(sites[0].nodeid)
    if any(id_in_file(site.nodeid) != test for site in sites):
        return False
    places = definitions(file.text).get(test, ())
    return any(place.first_line <= line <= place.last_line for place in places)


def _place(file: FileNow, line: int, name: str | None, codec: PositionCodec) -> types.Range:
    code = line_at(file.text, line) or ""
    words = (word.span() for word in _WORD.finditer(code) if word[0] == name)
    return range_on_line(file.text, line, next(words, None) or underlined(code, None), codec)


def run_argument(subject: Subject) -> dict[str, Any]:
    """Return the argument with which `memlens.run` runs *subject*."""
    if subject.kind == "file":
        return {"uri": subject.uri}
    if len(subject.ids) > 1:
        return {"uri": subject.uri, "tests": list(subject.ids)}
    return {"uri": subject.uri, "test": subject.id}


def _run(subject: Subject) -> types.Command:
    title = RUN_FILE_TITLE if subject.kind == "file" else RUN_TITLE
    return types.Command(title, RUN_COMMAND, arguments=[run_argument(subject)])


def _file_of(case: TestRecord, file: FileNow) -> str:
    """Return the URI of the file that pytest collects *case* from: a class there may inherit it."""
    name = case.nodeid.partition("::")[0]
    root = file.results.root
    # A file may have been renamed since.
    if root is None or Path(name).name in (file.path.name, Path(file.results.name).name):
        return file.uri
    return uri_of(Path(os.path.normpath(root / name)))


def _flame_graph(uri: str, test: str) -> types.Command:
    argument = {"uri": uri, "test": test}
    return types.Command(FLAME_GRAPH_TITLE, FLAME_GRAPH_COMMAND, arguments=[argument])


def _text(words: str) -> types.Command:
    # An empty command makes a lens that is text.
    return types.Command(words, command="")
