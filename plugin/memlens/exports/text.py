"""Test ids and paths are data: made fit for the places where reports put them. Pure."""

from __future__ import annotations

import hashlib
import html
import re
from urllib.parse import quote, quote_from_bytes

_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
#: What Markdown, also that of a table, leaves as it is between two backticks.
_PLAIN = re.compile(r"[^`|\\]+")


def printable(text: str, most: int | None = None) -> str:
    r"""Return *text* in one line, with what cannot be printed as ``\n``, ``\x1b`` or ``\udc80``.

    Of more than *most* characters the middle is left out.

    >>> printable("a\nb")
    'a\\nb'
    """
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
    if most is not None and len(shown) > most:
        head = (most - 1) // 2
        shown = f"{shown[:head]}…{shown[len(shown) - (most - 1 - head) :]}"
    return shown


def markdown_code(text: str, most: int | None = None) -> str:
    """Return *text* as Markdown code, also inside a table."""
    shown = printable(text, most)
    return f"`{shown}`" if _PLAIN.fullmatch(shown) and shown.strip() == shown else html_code(shown)


def html_code(text: str) -> str:
    """Return *text* as code in HTML that stands in Markdown."""
    return f"<code>{markdown_text(text)}</code>"


def markdown_text(text: str, most: int | None = None) -> str:
    """Return *text* as words in Markdown that mean nothing but themselves.

    A character reference never begins or ends anything (CommonMark, "Entity and numeric character
    references").
    """
    shown = html.escape(printable(text, most), quote=False)
    return re.sub(r"[\\`*_{}\[\]|~#@!:]", lambda found: f"&#{ord(found[0])};", shown)


def uri(path: str) -> str | None:
    """Return the URI reference of a file as results name it, or None for what is no file.

    Relative to the root when the path is, else a `file:` URI (RFC 8089), also of Windows paths.
    """
    if not path or path.startswith("<"):
        return None
    if _DRIVE.match(path):
        return f"file:///{path[:2]}{_quoted(path[2:].replace(chr(92), '/'))}"
    if path.startswith((r"\\", "//")):
        return f"file://{_quoted(path[2:].replace(chr(92), '/'))}"
    if path.startswith("/"):
        return f"file://{_quoted(path)}"
    return _quoted(path)


def folder_uri(path: str) -> str:
    """Return the URI of the folder *path*, with the slash at its end."""
    return f"{(uri(path) or '').rstrip('/')}/"


def is_absolute(reference: str) -> bool:
    """Return whether what `uri` has returned is a URI of its own."""
    return reference.startswith("file:")


def _quoted(path: str) -> str:
    try:
        # The bytes that the file's name has.
        return quote_from_bytes(path.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return quote(path, errors="surrogatepass")


def file_name(nodeid: str) -> str:
    """Return a file name for a test: readable, safe on every file system, and its alone."""
    digest = hashlib.sha256(nodeid.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    readable = re.sub(r"[^A-Za-z0-9_.]+", "-", nodeid).strip("-.")[-80:].lstrip("-.")
    return f"{readable}-{digest}" if readable else digest


def count(number: int, noun: str) -> str:
    """Return how many there are: "1 test", "1,200 tests"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
