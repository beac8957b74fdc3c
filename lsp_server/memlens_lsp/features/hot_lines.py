"""Which lines of a file allocate much of some test's peak, or leak."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from memlens.store import SiteRecord, StackKind
from memlens_lsp.positions import line_map
from memlens_lsp.results import FileResults, MeasuredLine
from memlens_lsp.settings import Settings


class HotLine(NamedTuple):
    """A line of the text now, and what tests had from it."""

    #: From 1.
    line: int
    #: What was alive at tests' peaks, if that is much of one of them, and what leaked: one a test,
    #: the largest first.
    peaks: Sequence[SiteRecord]
    leaks: Sequence[SiteRecord]
    #: That of the largest of `peaks` that makes the line hot; None if it only leaks.
    heaviest: SiteRecord | None


def hot_lines(
    results: FileResults, text: str, settings: Settings, lines: Collection[int] | None = None
) -> list[HotLine]:
    """Return the hot lines of *text*, in its order; only those among *lines*, if given.

    What was allocated on a line that is gone is left out.
    """
    peaks = _by_line(results, text, lines, "peak")
    leaks = _by_line(results, text, lines, "leak")
    made = []
    for line in sorted(peaks.keys() | leaks.keys()):
        alive, leaked = peaks.get(line, ()), leaks.get(line, ())
        heaviest = next((site for site in alive if is_hot(site, settings)), None)
        if heaviest is not None or leaked:
            made.append(HotLine(line, alive if heaviest else (), leaked, heaviest))
    return made


def _by_line(
    results: FileResults, text: str, lines: Collection[int] | None, kind: StackKind
) -> dict[int, Sequence[SiteRecord]]:
    by_place: dict[int, list[MeasuredLine]] = {}
    # Many tests may have allocated on one line: it is mapped once for all of them.
    for measured in results.sites_by_line:
        source = results.sources.get(measured.run) if measured.kind == kind else None
        place = None if source is None else line_map(source, text).line(measured.line)
        if place is not None and (lines is None or place in lines):
            by_place.setdefault(place, []).append(measured)
    return {place: _together(results, measured) for place, measured in by_place.items()}


def _together(results: FileResults, measured: Sequence[MeasuredLine]) -> Sequence[SiteRecord]:
    """Return what was measured on lines that are one now, one for each test, the largest first."""
    if len(measured) == 1:
        return results.sites_by_line[measured[0]]
    sites = [site for line in measured for site in results.sites_by_line[line]]
    # A test has one newest run. In that, what is one line now may have been two.
    if len({line.run for line in measured}) < len(measured):
        sites = _one_a_test(sites)
    return sorted(sites, key=lambda site: site.bytes, reverse=True)


def _one_a_test(sites: Iterable[SiteRecord]) -> list[SiteRecord]:
    of_test: dict[str, SiteRecord] = {}
    for site in sites:
        other = of_test.get(site.nodeid)
        of_test[site.nodeid] = (
            site
            if other is None
            else site._replace(
                bytes=site.bytes + other.bytes, allocations=site.allocations + other.allocations
            )
        )
    return list(of_test.values())


def is_hot(site: SiteRecord, settings: Settings) -> bool:
    """Return whether *site* makes its line hot, as the *settings* have it."""
    return site.bytes >= settings.hot_size and share(site) >= settings.hot_share


def share(site: SiteRecord) -> float:
    """Return how much of its test's peak *site* was, in percent."""
    return min(100 * site.bytes / site.peak_bytes, 100.0) if site.peak_bytes else 100.0
