"""Small texts for people, as Markdown or plain: whatever comes from users' files stays text.

Test ids, functions and paths may hold brackets, pipes, backticks, line ends and HTML. In Markdown
they only ever stand in code spans, which nothing in them can end: escapes by backslash would be
seen in editors that show Markdown as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from lsprotocol import types

#: More characters than this of one name are cut: parameters may be whole documents.
_LONGEST: Final = 100


class Place(NamedTuple):
    """A line that can be gone to."""

    uri: str
    #: The file as people know it.
    name: str
    #: From 1.
    line: int


class Page:
    """A text that is being put together."""

    def __init__(self, *, markdown: bool) -> None:
        """Begin an empty page."""
        self.markdown = markdown
        self._parts: list[str] = []

    @property
    def content(self) -> types.MarkupContent:
        """The page as the protocol has it."""
        kind = types.MarkupKind.Markdown if self.markdown else types.MarkupKind.PlainText
        return types.MarkupContent(kind, str(self))

    def __str__(self) -> str:
        return "\n\n".join(self._parts)

    # Parts of a line

    def code(self, text: str) -> str:
        """Return *text*, which may be anything, on one line. Not for tables: bars end cells."""
        text = printable(text)
        if not self.markdown:
            return text
        longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
        fence = "`" * (longest + 1)
        # Space inside is taken away again where both ends have it.
        padding = " " if text[:1] in ("`", " ", "") or text[-1:] in ("`", " ") else ""
        return f"{fence}{padding}{text}{padding}{fence}"

    def strong(self, words: str) -> str:
        """Return *words* so that they are seen first."""
        return f"**{words}**" if self.markdown else words

    def link(self, text: str, place: Place) -> str:
        """Return *text* as a link to *place*."""
        if not self.markdown:
            return f"{printable(text)} ({printable(place.name)}:{place.line})"
        uri = place.uri
        for character in "()<>\\ \"'|`":
            uri = uri.replace(character, f"%{ord(character):02X}")
        # A bracket in the code would end the link for renderers that look for brackets first.
        return (
            f"[{self.code(text.translate(_NO_BRACKETS))}]({printable(uri, len(uri))}#L{place.line})"
        )

    # What stands by itself

    def paragraph(self, words: str) -> None:
        """Add *words*, made of our own and of `code` and such."""
        if words:
            self._parts.append(words)

    def bullets(self, items: Sequence[str]) -> None:
        """Add a list."""
        if items:
            self._parts.append("\n".join(f"- {item}" for item in items))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table whose columns but the first are numbers."""
        if self.markdown:
            rule = ["---", *("---:" for _ in head[1:])]
            lines = [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]
        else:
            widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
            lines = [
                "  ".join(
                    cell.rjust(width) if index else cell.ljust(width)
                    for index, (cell, width) in enumerate(zip(row, widths, strict=True))
                ).rstrip()
                for row in (head, *rows)
            ]
        self._parts.append("\n".join(lines))


_NO_BRACKETS = str.maketrans("[]", "()")


def printable(text: str, longest: int = _LONGEST) -> str:
    """Return *text* on one line, what cannot be printed written as in Python, cut if it is long."""
    if len(text) > longest:
        text = f"{text[: longest - 1]}…"
    if text.isprintable():  # nearly always
        return text
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )


def shows_markdown(client: types.ClientCapabilities) -> bool:
    """Return whether the client shows Markdown in hovers, and so, one hopes, in tooltips."""
    hover = client.text_document.hover if client.text_document else None
    formats = (hover.content_format if hover else None) or ()
    return types.MarkupKind.Markdown in formats
