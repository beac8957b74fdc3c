"""The process that answers for `asking`: reads captures while they grow. See there.

A line of JSON on standard input asks for a window of a capture, one on standard output answers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TextIO

from memlens.recording.opening import open_capture
from memlens.recording.replay import replay

#: Added to the name of a capture, for the copy that is read.
COPY = ".copy"


def main() -> None:
    """Answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asks
    answer_all(sys.stdin, sys.stdout)


def answer_all(questions: TextIO, answers: TextIO) -> None:
    """Say who we are, then answer each question: by a list of two numbers, or by false."""
    _say(answers, os.getpid())
    for line in questions:
        question = json.loads(line)
        try:
            answer = peaks(Path(question["capture"]), question["window"])
        except Exception:  # noqa: BLE001 - whoever asks finds out in another way
            answer = None
        _say(answers, answer or False)


def _say(answers: TextIO, what: object) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()


def peaks(capture: Path, window: int) -> tuple[int, int] | None:
    """Return the peak of a window in a capture that is being written, and its own thread's part.

    None if there is no such window, or no end of it. In bytes.
    """
    copy = capture.with_name(capture.name + COPY)
    # What is being written cannot be trimmed, and has no end.
    copy.write_bytes(capture.read_bytes())
    try:
        with open_capture(copy) as reader:
            own = reader.metadata.main_thread_id
            for _, found in replay(reader.get_allocation_records(), only=window):
                held = sum(each.size for each in found.at_peak if each.record.tid == own)
                return found.peak, held
    finally:
        copy.unlink(missing_ok=True)
    return None


if __name__ == "__main__":
    main()
