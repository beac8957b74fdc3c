"""The captures that --memray-bin-path keeps, for the memray command to read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

#: What file systems allow a name to have, in bytes.
_LONGEST_NAME = 255
_CAPTURE, _METADATA = ".bin", ".metadata"


def capture_path(folder: Path, prefix: str, nodeid: str) -> Path:
    """Return where the capture of the test *nodeid* goes.

    A name that would be too long is cut and ends with a digest of all of it.
    """
    readable = re.sub(r"::|[/\\\0]", "-", nodeid)
    name = f"{prefix}-{readable}"
    longest = _LONGEST_NAME - len(_METADATA)
    if len(os.fsencode(name)) > longest:
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        cut = os.fsencode(name)[: longest - len(digest) - 1]
        name = f"{cut.decode('utf-8', 'ignore')}-{digest}"
    return folder / f"{name}{_CAPTURE}"


def write_metadata(capture: Path, nodeid: str, peak: int) -> None:
    """Write what *capture* is of, and its peak in bytes, as JSON into the folder ``metadata``.

    A reader sees all of it or nothing.

    Raises:
        OSError: it cannot be written.
    """
    folder = capture.parent / "metadata"
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"test_id": nodeid, "peak_memory": peak, "result_file": str(capture)})
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(folder / f"{capture.stem}{_METADATA}")
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
