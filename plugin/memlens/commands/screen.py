"""What commands write: lines of coloured pieces on a terminal, plain ones everywhere else.

rich does the colours. It comes with memray, so where that has no build all is plain.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TextIO

from memlens.reports.summary import Shown
from memlens.reports.summary import histogram as _histogram

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.:-=+*#"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
#: A sparkline shows differences of this share of the highest value as high as it is, not higher:
#: a few bytes of noise should look flat.
_LEAST_SPAN = 0.05


class Piece(NamedTuple):
    """A part of a line, and how it looks on a terminal."""

    text: str
    #: As rich names styles: ``"bold red"``.
    style: str = ""


Line = Sequence["Piece | str"]


class Screen:
    """Writes lines to standard output, and knows what it can show."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to *stream*, by default standard output."""
        self._stream = stream or sys.stdout
        #: Columns of the terminal; None where lines may be as long as they like.
        self.width = (
            shutil.get_terminal_size((80, 24)).columns if _is_terminal(self._stream) else None
        )
        #: Whether more than ASCII can be written.
        self.unicode = _can_write(self._stream, _BARS + "→")
        self._console = _console(self._stream) if _wants_colours(self._stream) else None

    def write(self, line: Line = ()) -> None:
        """Write *line* and end it. Nothing in it can control the terminal."""
        pieces = [piece if isinstance(piece, Piece) else Piece(piece) for piece in line]
        pieces = [Piece(printable(text), style) for text, style in pieces]
        if self._console is None:
            self._stream.write("".join(piece.text for piece in pieces).rstrip() + "\n")
            return
        from rich.text import Text

        text = Text.assemble(*((piece.text, piece.style) for piece in pieces))
        text.rstrip()
        # The terminal wraps what is too long, so that it can be copied in one piece.
        self._console.print(text, soft_wrap=True)

    def write_all(self, lines: Sequence[Line] | Iterator[Line]) -> None:
        """Write *lines*."""
        for line in lines:
            self.write(line)

    def arrow(self) -> str:
        """Return what stands between what was and what is."""
        return "→" if self.unicode else "->"

    def bar(self, share: float, width: int) -> str:
        """Return a bar for *share* (1 is the whole *width*), never longer than *width*."""
        share = min(max(share, 0.0), 1.0)
        if not self.unicode:
            return ("#" * round(share * width)).ljust(width)
        eighths = round(share * width * 8)
        row = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
        return row.ljust(width)

    def sparkline(self, values: Sequence[int]) -> str:
        """Return *values* as a row of bars between the lowest and the highest."""
        bars = _BARS if self.unicode else _ASCII_BARS
        if not values:
            return ""
        lowest, highest = min(values), max(values)
        span = max(highest - lowest, highest * _LEAST_SPAN, 1)
        return "".join(bars[int((value - lowest) / span * (len(bars) - 1))] for value in values)

    def histogram(self, counts: Sequence[int]) -> str:
        """Return the sizes of allocations as bars, as the summary of a run shows them."""
        return _histogram(counts, Shown(unicode=self.unicode))


class Column(NamedTuple):
    """A column of a table."""

    heading: str
    #: Numbers stand on the right.
    right: bool = True
    #: Whether it gives way to node ids.
    optional: bool = False


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Piece]], width: int | None
) -> Iterator[Line]:
    """Yield *rows* under their headings. The last cell of a row is its node id, which has none.

    Columns in which nothing stands are left out, and optional ones if the node ids fit into *width*
    only without them. If they do not fit at all, each gets a line of its own: it is never broken,
    so that it can be copied.
    """
    used = [n for n in range(len(columns)) if any(row[n].text for row in rows)]
    widths = {
        n: max(len(columns[n].heading), *(len(printable(row[n].text)) for row in rows))
        for n in used
    }

    def _padded(text: str, n: int) -> str:
        return f"{text:>{widths[n]}}" if columns[n].right else f"{text:<{widths[n]}}"

    longest = max((len(printable(row[-1].text)) for row in rows), default=0)

    def _fits(shown: Sequence[int], text: int) -> bool:
        return width is None or sum(widths[n] + 2 for n in shown) + text <= width

    needed = [n for n in used if not columns[n].optional]
    if not _fits(used, longest) and (_fits(needed, longest) or not _fits(used, 0)):
        used = needed
    beside = _fits(used, longest)
    if any(columns[n].heading for n in used):
        yield [Piece("  ".join(_padded(columns[n].heading, n) for n in used), "dim")]
    for row in rows:
        cells: list[Piece | str] = []
        for n in used:
            text, style = row[n]
            # Only the text is styled: a colour may be a background.
            padding = " " * (widths[n] - len(printable(text)))
            cells += (
                [padding, Piece(text, style), "  "]
                if columns[n].right
                else [Piece(text, style), padding, "  "]
            )
        if beside:
            yield [*cells, row[-1]]
        else:
            yield cells
            yield ["    ", row[-1]]


def printable(text: str) -> str:
    """Return *text* with control characters escaped: test ids and paths are data."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


@contextmanager
def progress(doing: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what is called with how much is done and how much there is to do.

    Shown on standard error while it lasts, if that is a terminal.
    """
    bar: Any = None
    if _is_terminal(sys.stderr):
        with suppress(ImportError):
            from rich.console import Console
            from rich.progress import Progress

            bar = Progress(console=Console(stderr=True), transient=True)
    if bar is None:
        yield lambda _done, _total: None
        return
    with bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _can_write(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def _wants_colours(stream: TextIO) -> bool:
    """Return whether to colour (https://no-color.org, https://force-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return _is_terminal(stream) and os.environ.get("TERM") != "dumb"


def _console(stream: TextIO) -> Any:
    with suppress(ImportError):
        from rich.console import Console

        return Console(file=stream, force_terminal=True, highlight=False)
    return None
