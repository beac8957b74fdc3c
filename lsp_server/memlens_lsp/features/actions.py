"""Code actions: limits set from what was measured, leaks ignored, wrong markers put right.

An action is first proposed; its changes are worked out when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.findings import test_function
from memlens.markers import SIGNATURES, UNKNOWN
from memlens.sizes import format_size, parse_size
from memlens.store import FrameRecord, TestRecord
from memlens_lsp.features.diagnostics import SOURCE
from memlens_lsp.features.edits import Change
from memlens_lsp.features.leak_filters import can_filter, ignoring, leaks_of
from memlens_lsp.features.limit_changes import adding, setting
from memlens_lsp.features.marker_checks import CODE, Fault, marker_faults
from memlens_lsp.features.marker_fixes import fixes
from memlens_lsp.features.measured_limits import (
    MEASURED_MARKERS,
    Measured,
    lines_of,
    marker_on,
    measured,
    nearest_marker,
    written_size,
)
from memlens_lsp.markers_in_source import (
    Owner,
    Span,
    find_markers,
    statements,
)
from memlens_lsp.offsets import Lines, Offsets
from memlens_lsp.positions import line_map
from memlens_lsp.results import FileResults
from memlens_lsp.tests_in_source import id_in_file

#: What diagnostics a change of each marker's limit answers.
_ANSWERED = {
    "limit_memory": ("memory-limit-exceeded", "memory-near-limit"),
    "limit_leaks": ("memory-leak",),
}
#: What each marker's limit is called.
_KINDS = {"limit_memory": "limit", "limit_leaks": "leak limit"}
#: A limit that would be less than this share lower is low enough.
_SLACK = 0.2
_EXCEEDED = ("memory-limit-exceeded", "memory-leak")
#: How many tests that leak through one line actions are offered for.
_MOST_TESTS = 3
#: How many leaks of one test.
_MOST_LEAKS = 5


class Document(NamedTuple):
    """A file as it is now."""

    uri: str
    #: None if it is not open.
    version: int | None
    text: str


class Project(Protocol):
    """What else there is to know. Reads files."""

    def leaking_test(self, nodeid: str) -> TestRecord | None:
        """Return the newest result of the test *nodeid*, with its call stacks."""

    def test_module(self, nodeid: str) -> Document | None:
        """Return the file that the test *nodeid* is in."""


class Proposal(NamedTuple):
    """An action that may be taken."""

    #: Tells the same action again, later. What JSON can hold.
    key: tuple[str | int, ...]
    title: str
    #: The file that it changes.
    document: Document
    changes: Callable[[], Sequence[Change]]
    #: The client's diagnostics that it answers. Without one it is a refactoring.
    diagnostics: tuple[types.Diagnostic, ...] = ()
    is_preferred: bool = False

    @property
    def kind(self) -> types.CodeActionKind:
        """What it is to the client."""
        if self.key[0] == "fix" or self.diagnostics:
            return types.CodeActionKind.QuickFix
        return types.CodeActionKind.RefactorRewrite


@dataclass(frozen=True)
class Asked:
    """What actions are asked for: a range, and what the client shows there."""

    range: types.Range
    diagnostics: Sequence[types.Diagnostic] = ()

    def marks(self, *codes: str, within: types.Range | None = None) -> Iterator[types.Diagnostic]:
        """Yield the diagnostics of ours with one of *codes* that begin *within* a range."""
        for mark in self.diagnostics:
            if mark.source == SOURCE and mark.code in codes:
                start = (mark.range.start.line, mark.range.start.character)
                if within is None or (
                    (within.start.line, within.start.character)
                    <= start
                    <= (within.end.line, within.end.character)
                ):
                    yield mark


def proposals(
    document: Document,
    results: FileResults,
    asked: Asked,
    codec: PositionCodec,
    project: Project,
) -> list[Proposal]:
    """Return the actions for what is asked of *document*."""
    text = document.text
    offsets = Offsets(text, codec)
    place = Span(offsets.offset(asked.range.start), offsets.offset(asked.range.end))
    found = list(_fixes_at(document, asked, place, offsets))
    for owner, span in _owners_at(text, place):
        within = offsets.range(*span)
        for marker in MEASURED_MARKERS:
            marks = tuple(asked.marks(*_ANSWERED[marker], CODE, within=within))
            found += _limits(document, results, marker, owner, marks)
        marks = tuple(asked.marks("memory-leak", within=within))
        found += _ignoring_leaks_of(text, results, owner, marks, project)
    for mark in asked.marks("leak-site"):
        found += _ignoring_leaks_at(text, results, mark, project)
    by_key: dict[object, Proposal] = {}
    for each in found:
        by_key.setdefault(each.key, each)
    return list(by_key.values())


def proposal(
    document: Document, results: FileResults, key: object, project: Project
) -> Proposal | None:
    """Return the action that *key* tells again, None if there is no such action now."""
    match key:
        case ["limit", str(marker), str(owner_id)] if marker in MEASURED_MARKERS:
            owner = _owner(document.text, owner_id)
            return _limit(document, results, marker, owner) if owner else None
        case ["ignore", str(nodeid), str(function), str(path), int(line)]:
            leak = (function, path, line)
            return next(_ignoring(nodeid, project, lambda site: site[:3] == leak), None)
        case ["fix", int(), str()]:
            found = (
                fix
                for index, fault in enumerate(marker_faults(document.text))
                for fix in _fixes(document, index, fault)
            )
            return next((fix for fix in found if list(fix.key) == key), None)
    return None


def limit_from_peak(document: Document, results: FileResults, test: str) -> Proposal | str:
    """Return what sets the `limit_memory` of *test*, an id in the file, or why nothing does."""
    text = document.text
    owner = _owner(text, test)
    own = marker_on(text, "limit_memory", test)
    if owner is None or (not test and own is None):
        return f"there is no {test or 'limit for all tests'} in the file any more"
    if measured(text, results, "limit_memory", owner) is None:
        return f"{test or 'the file'} has not been measured: run it with memory limits first"
    found = _limit(document, results, "limit_memory", owner)
    if found is not None:
        return found
    if own is not None and own.limit is not None and written_size(own) is not None:
        written = text[slice(*own.limit.value_span)]
        if own.name in SIGNATURES:
            return f"the limit of {test or 'the file'}, {written}, is right for its peak already"
        return f"there is no marker {own.name}: correct its name first"
    return (
        f"the limit of {test or 'the file'} is not written there as a size: change it where it is"
    )


# Limits


def _limits(
    document: Document,
    results: FileResults,
    marker: str,
    owner: Owner,
    marks: tuple[types.Diagnostic, ...],
) -> Iterator[Proposal]:
    """Yield what sets the limit of *owner*, or the one that it has from what is around it."""
    text = document.text
    own = marker_on(text, marker, owner.id)
    if own is not None:
        about_limit = {
            fault.message
            for fault in marker_faults(text)
            if fault.marker == own and fault.argument in (None, own.limit)
        }
        marks = tuple(m for m in marks if m.code != CODE or m.message in about_limit)
        found = [_limit(document, results, marker, owner, marks)]
    else:
        marks = tuple(mark for mark in marks if mark.code != CODE)
        around = nearest_marker(text, marker, owner.id)
        found = []
        if around is not None and around.owner is not None and marks:
            found.append(_limit(document, results, marker, around.owner, marks))
        if marks or (around is None and marker == "limit_memory"):
            found.append(_limit(document, results, marker, owner, marks))
    yield from (each for each in found if each is not None)


def _limit(
    document: Document,
    results: FileResults,
    marker: str,
    owner: Owner,
    marks: tuple[types.Diagnostic, ...] = (),
) -> Proposal | None:
    """Return what sets or adds the limit of *owner*, if it was measured and would change."""
    text = document.text
    known = measured(text, results, marker, owner)
    if known is None:
        return None
    if not known.exceeded:  # it is another limit that was
        marks = tuple(mark for mark in marks if mark.code not in _EXCEEDED)
    own = marker_on(text, marker, owner.id)
    if own is None:
        return _addition(document, marker, owner, known, marks)
    if own.name != marker:
        return None  # first its name is to be put right
    of_text = own.limit is not None and own.limit.value is not UNKNOWN
    if not of_text and (own.limit is not None or any(each.starred for each in own.arguments)):
        return None  # the limit is written elsewhere
    before = written_size(own)
    size = known.limit(own.limit.value if own.limit is not None else None)
    after = parse_size(size)
    if before is not None and before * (1 - _SLACK) < after <= before:
        return None
    verb = "Set" if before is None else "Raise" if after > before else "Lower"
    whose = f" of {owner.name}" if owner.is_class else "" if owner.line else " of the module"
    return Proposal(
        ("limit", marker, owner.id),
        f"{verb} the {_KINDS[marker]}{whose} to {size}: {known.words}",
        document,
        partial(setting, text, own, size),
        () if verb == "Lower" else marks,  # lowering puts nothing right
    )


def _addition(
    document: Document,
    marker: str,
    owner: Owner,
    known: Measured,
    marks: tuple[types.Diagnostic, ...],
) -> Proposal | None:
    definition = statements(document.text).by_line.get(owner.line)
    if definition is None:
        return None
    size = known.limit()
    to = f" to all tests of {owner.name}" if owner.is_class else ""
    around = nearest_marker(document.text, marker, owner.id)
    explained = written_size(around) if around is not None else None
    # One of its decorators may bring a limit, under another name.
    hidden = any(limit != explained for limit in known.limits)
    return Proposal(
        ("limit", marker, owner.id),
        f"Add a {_KINDS[marker]} of {size}{to}: {known.words}",
        document,
        partial(adding, document.text, definition, marker, size, nearest=hidden),
        marks,
    )


def _owner(text: str, owner_id: str) -> Owner | None:
    if not owner_id:
        return Owner("", is_class=False, line=0)
    # Of definitions with the same name Python keeps the last.
    owners = (d.owner for d in reversed(statements(text).definitions) if d.owner.id == owner_id)
    return next(owners, None)


def _owners_at(text: str, place: Span) -> list[tuple[Owner, Span]]:
    """Return what markers at *place* are about, each with the lines of its head."""
    lines = Lines(text)
    found = [
        (definition.owner, _whole_lines(lines, Span(definition.start, definition.end)))
        for definition in statements(text).definitions
    ]
    found += [
        (marker.owner, _whole_lines(lines, marker.span))
        for marker in find_markers(text)
        if marker.place == "pytestmark" and marker.owner is not None
    ]
    here = [(owner, span) for owner, span in found if _touch(span, place)][:_MOST_TESTS]
    return [(owner, span) for owner, span in here if _owner(text, owner.id) == owner]


def _whole_lines(lines: Lines, span: Span) -> Span:
    return Span(lines.start(lines.at(span.start)), lines.end(lines.at(span.end)))


def _touch(one: Span, other: Span) -> bool:
    return one.start <= other.end and other.start <= one.end


# Leaks


def _ignoring_leaks_of(
    text: str,
    results: FileResults,
    owner: Owner,
    marks: tuple[types.Diagnostic, ...],
    project: Project,
) -> Iterator[Proposal]:
    """Yield what ignores the leaks of the test *owner*."""
    leaking = [
        test.nodeid
        for test in results.tests
        if any(
            check.marker == "limit_leaks" and check.verdict == "exceeded" for check in test.checks
        )
        and owner.line in lines_of(text, id_in_file(test.nodeid))
    ]
    for nodeid in leaking[:_MOST_TESTS]:
        yield from _ignoring(nodeid, project, lambda _: True, marks)


def _ignoring_leaks_at(
    text: str, results: FileResults, mark: types.Diagnostic, project: Project
) -> Iterator[Proposal]:
    """Yield what ignores the leaks that *mark* is about, a `leak-site` in *text*."""
    sites = [
        site
        for site in results.sites
        if site.kind == "leak"
        and (measured := results.sources.get(site.run)) is not None
        and line_map(measured, text).line(site.line) == mark.range.start.line + 1
    ]
    for site in sites[:_MOST_TESTS]:
        place = (results.name, site.line)
        yield from _ignoring(site.nodeid, project, partial(_is_at, place), (mark,))


def _is_at(place: tuple[str, int], site: FrameRecord) -> bool:
    return (site.path, site.line) == place


def _ignoring(
    nodeid: str,
    project: Project,
    wanted: Callable[[FrameRecord], bool],
    marks: tuple[types.Diagnostic, ...] = (),
) -> Iterator[Proposal]:
    """Yield what makes the test *nodeid* ignore those of its leaks whose place is *wanted*."""
    test = project.leaking_test(nodeid)
    module = project.test_module(nodeid) if test is not None else None
    marker = nearest_marker(module.text, "limit_leaks", id_in_file(nodeid)) if module else None
    if test is None or module is None or marker is None or not can_filter(module.text, marker):
        return
    for leak in [leak for leak in leaks_of(test) if wanted(leak.site)][:_MOST_LEAKS]:
        site = leak.site
        yield Proposal(
            ("ignore", nodeid, site.function, site.path, site.line),
            f"Ignore in {test_function(nodeid)} what {site.function} leaves behind there"
            f" ({format_size(leak.size)})",
            module,
            partial(ignoring, module.text, marker, leak),
            marks,
        )


# Wrong markers


def _fixes_at(
    document: Document, asked: Asked, place: Span, offsets: Offsets
) -> Iterator[Proposal]:
    lines = Lines(document.text)
    for index, fault in enumerate(marker_faults(document.text)):
        shown = offsets.range(*fault.span)
        marks = tuple(mark for mark in asked.marks(CODE) if mark.range == shown)
        if marks or _touch(_whole_lines(lines, fault.span), place):
            for fix in _fixes(document, index, fault):
                yield fix._replace(diagnostics=marks)


def _fixes(document: Document, index: int, fault: Fault) -> Iterator[Proposal]:
    for fix in fixes(document.text, fault):
        yield Proposal(
            ("fix", index, fix.title),
            fix.title,
            document,
            partial(list, fix.changes),
            is_preferred=fix.is_certain,
        )
