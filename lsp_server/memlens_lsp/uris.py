"""`file:` URIs and paths.

Unlike pygls' functions these keep file names that are not UTF-8, and what looks like a query.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit


def path_of(uri: str) -> Path | None:
    """Return the absolute path that *uri* names, or None if it names no file of this machine."""
    try:
        parts = urlsplit(uri)
        name = os.fsdecode(unquote_to_bytes(parts.path))
    except ValueError:  # also of half a surrogate pair
        return None
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    if not name.startswith("/") or "\0" in name:
        return None
    # "a/../b" is not b where a is a symlink, so nothing but doubled slashes is tidied.
    return Path(name)


def uri_of(path: Path) -> str:
    """Return the `file:` URI of the absolute *path*."""
    return path.as_uri()
