"""Opening a capture with memray's reader, in less time than it takes by itself."""

from __future__ import annotations

import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from memray import FileReader

#: Bytes that are looked at at once when the end of a file is looked for.
_AT_ONCE = 64 * 1024
#: Headers are shorter, in bytes. They hold the command line and the module search path.
_LONGEST_HEADER = 64 * 1024
#: How many bytes after the command line may be numbers, which differ from capture to capture.
_NUMBERS = 32
#: How often a header's end is tried for.
_MOST_TRIALS = 500
#: What memray writes after the last record.
_TRAILER = b"\x01"
_SUFFIX = ".header"


class _Header(NamedTuple):
    """How the captures of this process begin."""

    #: The command line, and where it stands.
    command_line: bytes
    start: int
    #: What else is text.
    rest: bytes
    #: Bytes, all that is before the first record.
    size: int

    def is_of(self, data: bytes) -> bool:
        """Return whether a file that begins with *data* has such a header."""
        rest = self.size - len(self.rest)
        return (
            data.startswith(self.command_line, self.start) and data[rest : self.size] == self.rest
        )


#: None until one has been learnt; the next captures will hardly differ.
_header: _Header | None = None
#: memray's headers are not what they were: nothing can be learnt.
_is_unknown = False


def open_capture(path: Path) -> FileReader:
    """Open the capture *path*, which has been stopped, to go through its records.

    The reader knows nothing of the whole: neither the peak nor the statistics of its metadata.

    memray's reader goes through all records as soon as it is made, to find the peak of the whole
    file, which nobody here asks for. It reads the file anew for each other way through it
    (`FileReader.get_allocation_records`). So it is made while the end of all records stands where
    the first will be.

    Raises:
        Exception: whatever memray makes of a damaged file.
    """
    global _is_unknown  # noqa: PLW0603 - see there
    with path.open("r+b", buffering=0) as file:
        _trim(file)
        file.seek(0)
        data = file.read(_LONGEST_HEADER)
        if _header is None or not _header.is_of(data):
            _learn(data, path.with_suffix(_SUFFIX))
        if _header is None or not _header.is_of(data):
            reader = FileReader(path)
            _is_unknown = True  # it can be read, so this is no damaged file
            return reader
        size = _header.size
        try:
            os.pwrite(file.fileno(), _TRAILER, size)
            return FileReader(path)
        finally:
            os.pwrite(file.fileno(), data[size : size + len(_TRAILER)], size)


def open_aggregated(path: Path) -> FileReader:
    """Open the capture *path*, in which memray has added up, and which has been stopped.

    Raises:
        Exception: whatever memray makes of a damaged file.
    """
    with path.open("r+b", buffering=0) as file:
        _trim(file)
    return FileReader(path)


def _trim(file: FileIO) -> None:
    """Cut the zeros off the end of the file, up to which memray has reserved space.

    memray's reader looks for the last byte that is not zero too, but one by one, with two system
    calls for each, whenever it opens the file: for most captures that takes longer than all the
    rest.
    """
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _AT_ONCE)
        file.seek(start)
        data = file.read(end - start).rstrip(b"\0")
        end = start + len(data)
        if data:
            break
    file.truncate(end)


def _learn(data: bytes, trial: Path) -> None:
    """Find out how long the header is that *data* begins with, by trying: memray does not tell.

    *trial* is a file that nobody needs.
    """
    global _header  # noqa: PLW0603 - the same for all captures of the process
    if _is_unknown:
        return
    end = 0
    try:
        # The last in a header is a list of texts, each of which ends in a zero.
        for _ in range(_MOST_TRIALS):
            end = data.find(b"\0", end) + 1
            if not end:
                break
            trial.write_bytes(data[:end] + _TRAILER)
            with suppress(OSError), FileReader(trial) as reader:  # so says memray of no header
                text = reader.metadata.command_line.encode("utf-8", "surrogateescape") + b"\0"
                start = data.find(text)
                if start >= 0:
                    rest = data[start + len(text) + _NUMBERS : end]
                    _header = _Header(text, start, rest, end)
                    return
    finally:
        trial.unlink(missing_ok=True)
