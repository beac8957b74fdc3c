"""Hovers: on a test what it took, on a marker what it means, on a hot line who allocates there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.findings import underlined
from memlens.markers import SIGNATURES
from memlens.sizes import format_size
from memlens.store import CheckRecord, FrameRecord, PastResult, StackRecord, TestRecord
from memlens_lsp.features.hints import tell_of_line
from memlens_lsp.features.hot_lines import HotLine, hot_lines
from memlens_lsp.features.lens_titles import heaviest, is_edited, is_over_limit
from memlens_lsp.features.lenses import Overview, Subject
from memlens_lsp.features.markup import Page, Place
from memlens_lsp.features.measured_limits import measured as measured_for
from memlens_lsp.features.measured_limits import written_size
from memlens_lsp.features.spans_of_time import ago
from memlens_lsp.markers_in_source import Marker, find_markers
from memlens_lsp.offsets import Offsets
from memlens_lsp.positions import line_at, line_map, range_on_line
from memlens_lsp.results import TestDetails
from memlens_lsp.settings import Settings

#: How many call stacks of a kind are shown, and how many calls of each.
_MOST_STACKS = 3
_MOST_CALLS = 5
#: How many cases or tests are shown beside the heaviest.
_MOST_OTHERS = 4

_PHASES = (("setup", "set-up"), ("call", "call"), ("teardown", "teardown"))
_BARS = "▁▂▃▄▅▆▇█"
#: Peaks that differ by less than this share of the largest look the same.
_SAME = 0.1

#: What each of our markers means, and what each of its arguments does.
_MEANINGS = {
    "limit_memory": (
        "fails the test if its peak is at or above the limit: the most that was alive at once of"
        " what the test's body allocated."
    ),
    "limit_leaks": (
        "fails the test if any one call stack leaves as much as the limit or more behind when the"
        " test returns."
    ),
    "limit_leaked_objects": (
        "fails the test if Python objects that it made outlive it. Needs CPython 3.13.3 or newer."
    ),
}
_ARGUMENTS = {
    "memory_limit": "a number and one of B, KB, MB, GB, TB, PB, in steps of 1024",
    "location_limit": "a number and one of B, KB, MB, GB, TB, PB, in steps of 1024",
    "current_thread_only": "count only what the thread that runs the test allocates",
    "warmups": "how often the test runs unmeasured first",
}
_FILTERS = {
    "limit_leaks": "gets a memlens.Stack; one for which it returns a false value is ignored",
    "limit_leaked_objects": "gets an object; one for which it returns a false value is ignored",
}


_DEFAULTS = {"filter_fn": "None", "current_thread_only": "False", "warmups": "0"}


class Files(Protocol):
    """The files of a project, by the names that its results use."""

    def uri(self, name: str) -> str | None:
        """Return the URI of a file, or None if the name is not a file's."""

    def now(self, name: str) -> str | None:
        """Return the text of a file as it is now, or None if it is gone."""


class Reader(Protocol):
    """Reads more of the results."""

    def __call__(self, result: int, nodeid: str) -> TestDetails | None:
        """Return what is known of the test with that result, or None if that is gone."""


class Client(NamedTuple):
    """What the client makes of hovers."""

    codec: PositionCodec
    #: Whether it shows Markdown.
    markdown: bool


class Asked(NamedTuple):
    """All that a hover is made of."""

    known: Overview
    settings: Settings
    client: Client
    read: Reader
    files: Files
    now: datetime


def hover(asked: Asked, position: types.Position) -> types.Hover | None:
    """Return what there is to say of what is at *position*, or None."""
    text = asked.known.file.text
    offsets = Offsets(text, asked.client.codec)
    offset = offsets.offset(position)
    for marker in find_markers(text):
        if marker.span.start <= offset < marker.span.end and marker.name in SIGNATURES:
            return types.Hover(_of_marker(asked, marker), offsets.range(*marker.span))
    line = position.line + 1
    content = line_at(text, line)
    if content is None:
        return None
    column = offset - offsets.offset(types.Position(position.line, 0))
    for subject in asked.known.subjects:
        if subject.line != line or subject.kind == "file" or not subject.cases:
            continue
        name = underlined(content, subject.id.rpartition("::")[2])
        if name[0] <= column < name[1]:
            tell = _of_test if _is_one(subject) else _of_several_tests
            return types.Hover(
                tell(asked, subject), range_on_line(text, line, name, asked.client.codec)
            )
    code = underlined(content, None)
    if code[0] <= column < code[1]:
        for hot in hot_lines(asked.known.file.results, text, asked.settings, (line,)):
            place = range_on_line(text, line, code, asked.client.codec)
            return types.Hover(_of_line(asked, hot), place)
    return None


def _is_one(subject: Subject) -> bool:
    ids = {case.name.partition("[")[0] for case in subject.cases}
    return subject.kind == "test" and len(ids) == 1


# A test, or several


def _of_test(asked: Asked, subject: Subject) -> types.MarkupContent:
    page = Page(markdown=asked.client.markdown)
    heavy = heaviest(subject.cases) or subject.cases[0]
    details = _details(asked, heavy)
    page.paragraph(page.strong(page.code(heavy.name)) + _of_several(subject.cases, "cases"))
    page.table(("", "peak", "limit", "allocations", "allocated"), list(_phases(heavy)))
    page.bullets([words for check in heavy.checks if (words := _judged(page, check))])
    if details is not None:
        page.paragraph(_past(details.history))
        _tell_of_stacks(page, asked, details, details.test.stacks_of("peak"), "At the peak:")
        _tell_of_stacks(page, asked, details, details.test.stacks_of("leak"), "Leaked:")
    _tell_of_others(page, subject.cases, heavy)
    page.paragraph(_age(asked, heavy, details))
    return page.content


def _of_several_tests(asked: Asked, subject: Subject) -> types.MarkupContent:
    page = Page(markdown=asked.client.markdown)
    heavy = heaviest(subject.cases) or subject.cases[0]
    page.paragraph(page.strong(page.code(heavy.name)) + _of_several(subject.cases, "tests"))
    page.bullets([_peak(heavy)])
    _tell_of_others(page, subject.cases, heavy)
    page.paragraph(_age(asked, heavy, _details(asked, heavy)))
    return page.content


def _details(asked: Asked, test: TestRecord) -> TestDetails | None:
    return asked.read(test.id, test.nodeid) if test.id is not None else None


def _of_several(cases: Sequence[TestRecord], what: str) -> str:
    if len(cases) < 2:
        return ""
    over = sum(map(is_over_limit, cases))
    words = f", the heaviest of {len(cases):,} {what}"
    return words + (f", {over:,} over the limit" if over else "")


def _phases(test: TestRecord) -> Iterator[Sequence[str]]:
    limit = next((check for check in test.checks if check.marker == "limit_memory"), None)
    for name, words in _PHASES:
        phase = test.phase(name)
        if phase is None:
            continue
        # Tests that make very many allocations, or are looked through for leaks, are not counted.
        uncounted = "not counted"
        yield (
            words,
            format_size(phase.peak_bytes),
            format_size(limit.limit_bytes) if limit and name == "call" else "",
            uncounted if phase.allocations is None else f"{phase.allocations:,}",
            uncounted if phase.allocated_bytes is None else format_size(phase.allocated_bytes),
        )


def _judged(page: Page, check: CheckRecord) -> str:
    """Return how the test did against a limit, in words."""
    marker = page.code(check.marker)
    size, limit = format_size(check.measured_bytes), format_size(check.limit_bytes)
    if check.verdict == "not_judged":
        return f"{marker}: {page.code(check.message)}"
    exceeded = check.verdict == "exceeded"
    if check.marker == "limit_leaked_objects":
        return f"{marker}: {f'objects of {size} outlived it' if exceeded else 'none outlived it'}"
    over = page.strong(f"over {limit}") if exceeded else f"within {limit}"
    what = "the largest leak" if check.marker == "limit_leaks" else "the peak"
    return f"{marker}: {what}, {size}, is {over}"


def _past(history: Sequence[PastResult]) -> str:
    """Return what the last runs measured; "" if there was only one."""
    if len(history) < 2:
        return ""
    peaks = [past.peak_bytes for past in reversed(history)]
    words = f"Last {len(peaks)} runs: {sparkline(peaks)} {format_size(peaks[0])}"
    words += f" → {format_size(peaks[-1])}"
    limit = history[0].limit_bytes
    return words + (f", limit {format_size(limit)}" if limit is not None else "")


def sparkline(values: Sequence[int]) -> str:
    """Return a bar for each of *values*, from the smallest to the largest."""
    lowest, highest = min(values), max(values)
    # Or the noise of a test that takes the same each time would look like news.
    spread = max(highest - lowest, highest * _SAME)
    top = len(_BARS) - 1
    if not spread:
        return _BARS[0] * len(values)
    return "".join(_BARS[round((value - lowest) / spread * top)] for value in values)


def _tell_of_others(page: Page, cases: Sequence[TestRecord], heavy: TestRecord) -> None:
    others = sorted(
        (case for case in cases if case is not heavy and case.phase("call")),
        key=_peak_bytes,
        reverse=True,
    )
    items = [f"{page.code(case.name)}: {_peak(case)}" for case in others[:_MOST_OTHERS]]
    left_out = len(others) - len(items)
    if items:
        page.paragraph("The others:" if len(others) > 1 else "The other:")
        page.bullets([*items, f"and {left_out:,} more"] if left_out else items)


def _peak_bytes(test: TestRecord) -> int:
    call = test.phase("call")
    return call.peak_bytes if call else 0


def _peak(test: TestRecord) -> str:
    words = f"peak {format_size(_peak_bytes(test))}"
    limit = next((check for check in test.checks if check.marker == "limit_memory"), None)
    return words + (f" of {format_size(limit.limit_bytes)}" if limit else "")


def _age(asked: Asked, test: TestRecord, details: TestDetails | None) -> str:
    """Return when the test was measured, and whether it is another now."""
    file = asked.known.file
    edited = ", edited since" if is_edited(test, file.results, file.text) else ""
    if details is None or not details.history:
        return edited.removeprefix(", ").capitalize()
    return f"Measured {ago(details.history[0].started, asked.now)}{edited}"


# Call stacks


def _tell_of_stacks(
    page: Page, asked: Asked, details: TestDetails, stacks: Sequence[StackRecord], title: str
) -> None:
    items = [
        f"{page.strong(format_size(stack.bytes))}{_times(stack)}:"
        f" {_calls(page, asked, details, stack)}"
        for stack in stacks[:_MOST_STACKS]
    ]
    left_out = len(stacks) - len(items)
    if items:
        page.paragraph(title)
        page.bullets([*items, f"and {left_out:,} more call stacks"] if left_out else items)


def _times(stack: StackRecord) -> str:
    return f" in {stack.allocations:,} allocations" if stack.allocations > 1 else ""


def _calls(page: Page, asked: Asked, details: TestDetails, stack: StackRecord) -> str:
    frames = list(stack.frames)
    shown = frames[:_MOST_CALLS]
    calls = [_frame(page, asked, details, frame) for frame in shown]
    site = stack.innermost_project_frame()
    if site is not None and site not in shown:
        # What one can change may lie under much that is a library's.
        calls += ["…", _frame(page, asked, details, site)]
        shown = frames[: frames.index(site) + 1]
    if len(shown) < len(frames):
        calls.append(f"… {len(frames) - len(shown):,} more")
    return " ← ".join(calls)


def _frame(page: Page, asked: Asked, details: TestDetails, frame: FrameRecord) -> str:
    if frame.kind == "native":
        # Its file is what the symbols say, which is seldom here.
        return f"{page.code(frame.function)} (native)"
    uri = asked.files.uri(frame.path)
    if uri is None:
        return page.code(frame.function)
    line = max(frame.line, 1)
    measured = details.sources.get(frame.path)
    text = asked.files.now(frame.path) if measured is not None else None
    if measured is not None and text is not None:
        # An edited step leads to where it was.
        line = line_map(measured, text).nearest(line)
    return page.link(frame.function, Place(uri, frame.path, line))


# A hot line


def _of_line(asked: Asked, hot: HotLine) -> types.MarkupContent:
    page = Page(markdown=asked.client.markdown)
    tell_of_line(page, hot)
    site = hot.heaviest or hot.leaks[0]
    details = asked.read(site.result, site.nodeid)
    if details is None:
        return page.content
    results = asked.known.file.results
    stacks = [
        stack
        for stack in details.test.stacks_of(site.kind)
        if (frame := stack.innermost_project_frame()) is not None
        and (frame.path, frame.line) == (results.name, site.line)
    ]
    name = page.code(details.test.name)
    _tell_of_stacks(page, asked, details, stacks, f"Of {name}, the most recent call first:")
    edited = results.sources.get(site.run) != asked.known.file.text
    words = f"Measured {ago(details.history[0].started, asked.now)}" if details.history else ""
    page.paragraph(words + (", the file was edited since" if words and edited else ""))
    return page.content


# A marker


def _of_marker(asked: Asked, marker: Marker) -> types.MarkupContent:
    page = Page(markdown=asked.client.markdown)
    page.paragraph(f"{page.strong(page.code(marker.name))} {_MEANINGS[marker.name]}")
    page.bullets(
        [_argument(page, asked, marker, name) for name in SIGNATURES[marker.name].keywords]
    )
    if marker.owner is None:
        return page.content
    file = asked.known.file
    subject = asked.known.by_id.get(marker.owner.id)
    cases = subject.cases if subject else ()
    if marker.name == "limit_leaked_objects":
        page.paragraph(_leaked_objects(cases))
    else:
        measured = measured_for(file.text, file.results, marker.name, marker.owner)
        if measured is not None:
            page.paragraph(_against(measured.words, measured.size, written_size(marker)))
    heavy = heaviest(cases)
    if heavy is not None:
        page.paragraph(_age(asked, heavy, _details(asked, heavy)))
    return page.content


def _argument(page: Page, asked: Asked, marker: Marker, name: str) -> str:
    meaning = _ARGUMENTS.get(name) or _FILTERS[marker.name]
    given = marker.argument(name)
    written = "" if given is None else asked.known.file.text[slice(*given.value_span)]
    words = page.code(name)
    if written:
        words += f" = {page.code(written)}"
    elif name in _DEFAULTS:
        words += f" (default {_DEFAULTS[name]})"
    return f"{words}: {meaning}"


def _against(words: str, size: int, limit: int | None) -> str:
    """Return how what was measured, in *words*, compares with the limit as it is written now."""
    words = words[:1].upper() + words[1:]
    if limit is None:
        return words
    if size >= limit:
        return f"{words}, over this limit of {format_size(limit)}"
    return f"{words}, {100 * size / limit:.0f} % of this limit"


def _leaked_objects(cases: Sequence[TestRecord]) -> str:
    checks = [
        check
        for case in cases
        for check in case.checks
        if check.marker == "limit_leaked_objects" and check.verdict != "not_judged"
    ]
    if not checks:
        return ""
    largest = max(check.measured_bytes for check in checks)
    return f"Objects of {format_size(largest)} outlived it" if largest else "None outlived it"
