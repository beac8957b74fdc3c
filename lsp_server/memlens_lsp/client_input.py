"""Standard input, made fit for pygls' reader: what is no message does no harm there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO

#: A header's line, or the end of what should have been a message: then the next one is found.
#: No message has a GB.
_LENGTH = re.compile(rb"content-length:[ \t]*([0-9]{1,9})[ \t]*\r?\n\Z", re.IGNORECASE)
#: How much is read at once, in bytes.
_PIECE = 1024 * 1024


class ClientInput:
    """Reads *stream* in pieces of bounded size. *on_end* is called, once, when it has ended."""

    def __init__(self, stream: BinaryIO, on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._on_end = on_end
        self._ended = False

    def readline(self) -> bytes:
        """Return a header's line in the one form that pygls knows, b"" at the end."""
        line = self._stream.readline(_PIECE)
        if not line:
            self._end()
            return line
        length = _LENGTH.search(line)
        if length is not None:
            return b"Content-Length: %d\r\n" % int(length[1])
        # Also a length that no message has must not reach pygls, which would wait for as much.
        return b"?\r\n" if line.strip() else b"\r\n"

    def read(self, size: int) -> bytes:
        """Return *size* bytes, or fewer at the end.

        However large *size* is, memory is taken only for what arrives.
        """
        pieces = []
        while size > 0 and (piece := self._stream.read(min(size, _PIECE))):
            pieces.append(piece)
            size -= len(piece)
        if size > 0:
            self._end()
        return b"".join(pieces)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._on_end()
