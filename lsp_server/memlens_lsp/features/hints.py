"""Inlay hints: how much is alive at the end of a hot line, and who asked for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.sizes import format_size
from memlens.store import SiteRecord
from memlens_lsp.features.hot_lines import HotLine, hot_lines, share
from memlens_lsp.features.markup import Page
from memlens_lsp.positions import line_at, range_on_line
from memlens_lsp.results import FileResults
from memlens_lsp.settings import Settings

#: How many tests a tooltip names.
_MOST_TESTS = 8


class Client(NamedTuple):
    """What the client makes of hints."""

    codec: PositionCodec
    #: Whether it shows Markdown.
    markdown: bool
    #: Whether it asks for a tooltip when it shows it.
    asks_for_tooltips: bool


def hints(
    text: str, results: FileResults, settings: Settings, wanted: types.Range, client: Client
) -> list[types.InlayHint]:
    """Return the hints of the hot lines that *wanted* touches.

    Without tooltips if the client asks for these.
    """
    return [
        types.InlayHint(
            position=_end_of_line(text, hot.line, client.codec),
            label=label(hot),
            tooltip=None if client.asks_for_tooltips else _tooltip(hot, client),
            padding_left=True,
        )
        for hot in hot_lines(
            results, text, settings, range(wanted.start.line + 1, wanted.end.line + 2)
        )
    ]


def label(hot: HotLine) -> str:
    """Return what stands at the end of the line."""
    return ", ".join(_words(hot))


def _words(hot: HotLine) -> Iterator[str]:
    if hot.heaviest is not None:
        # Which test's is in the tooltip: a line's end has little room.
        yield f"{format_size(hot.heaviest.bytes)} · {percent(hot.heaviest)} of a peak"
    if hot.leaks:
        yield f"leaks {format_size(hot.leaks[0].bytes)}"


def percent(site: SiteRecord) -> str:
    """Return the share of its test's peak that *site* was."""
    return f"{share(site):.0f} %" if share(site) >= 1 else "under 1 %"


def tooltip(
    line: int, text: str, results: FileResults, settings: Settings, client: Client
) -> types.MarkupContent | None:
    """Return who allocates on the line *line* (from 1), or None if it is not hot."""
    found = hot_lines(results, text, settings, (line,))
    return _tooltip(found[0], client) if found else None


def _tooltip(hot: HotLine, client: Client) -> types.MarkupContent:
    page = Page(markdown=client.markdown)
    tell_of_line(page, hot)
    return page.content


def tell_of_line(page: Page, hot: HotLine) -> None:
    """Add to *page* which tests had how much from the line."""
    if hot.peaks:
        page.paragraph(f"Allocated here and alive at the peak of {_tests(hot.peaks)}:")
        page.bullets(_few(page, hot.peaks, with_share=True))
    if hot.leaks:
        page.paragraph(f"Allocated here and not freed by the end of {_tests(hot.leaks)}:")
        page.bullets(_few(page, hot.leaks, with_share=False))


def _tests(sites: Sequence[SiteRecord]) -> str:
    return "one test" if len(sites) == 1 else f"{len(sites):,} tests"


def _few(page: Page, sites: Sequence[SiteRecord], *, with_share: bool) -> list[str]:
    items = []
    for site in sites[:_MOST_TESTS]:
        times = "1 allocation" if site.allocations == 1 else f"{site.allocations:,} allocations"
        of_peak = f", {percent(site)} of its peak" if with_share else ""
        size = page.strong(format_size(site.bytes))
        items.append(f"{size}{of_peak}, {times}: {page.code(site.nodeid)}")
    left_out = len(sites) - len(items)
    return [*items, f"and {left_out:,} more"] if left_out else items


def _end_of_line(text: str, line: int, codec: PositionCodec) -> types.Position:
    content = line_at(text, line) or ""
    return range_on_line(text, line, (0, len(content)), codec).end
