"""Opening captures without going through them: the same records, the same file afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

#: Opens captures that differ in what their headers say, and prints what was found, as JSON.
SCRIPT = """
import json
import sys
from pathlib import Path

from memray import FileDestination, FileReader, Tracker

from memlens.recording import opening

kept = []


def take(number):
    kept.append([bytes(1000 + number + n) for n in range(200)])


def capture(name):
    path = Path(name)
    with Tracker(destination=FileDestination(path, overwrite=True, compress_on_exit=False)):
        take(10 * len(name))
    return path


def said(records):
    return [
        (r.address, r.size, r.allocator, r.stack_trace()[0][0] if r.size else None) for r in records
    ]


def looked_at(path):
    before = path.read_bytes().rstrip(b"\\0")
    with FileReader(path) as reader:
        theirs = said(reader.get_allocation_records())
    with opening.open_capture(path) as reader:
        ours = said(reader.get_allocation_records())
        peak = reader.metadata.peak_memory
    return {
        "is the same": ours == theirs and len(ours) > 200,
        "is left alone": path.read_bytes() == before,
        "is quick": peak == 0,
    }


answers = [looked_at(capture("a.bin")), looked_at(capture("b.bin"))]
sys.path.append("/somewhere/else")
answers += [looked_at(capture("c.bin")), looked_at(capture("d.bin"))]
sys.path.pop()
sys.path.pop()
answers += [looked_at(capture("e.bin")), looked_at(capture("f.bin"))]
sys.argv.append("and more of it")
answers += [looked_at(capture("g.bin")), looked_at(capture("h.bin"))]
answers += [looked_at(Path("h.bin"))]
print(json.dumps([answers, sorted(path.name for path in Path().iterdir())]))
"""


@pytest.fixture
def said(tmp_path: Path) -> list[Any]:
    # In a process of its own: memray has one tracker a process, and this one may be measured.
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT, "one argument", "é"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    found: list[Any] = json.loads(answer.stdout)
    return found


def test_captures_are_opened_without_going_through_them(
    said: list[Any],
) -> None:
    answers, files = said
    assert [answer["is the same"] for answer in answers] == [True] * 9
    assert [answer["is left alone"] for answer in answers] == [True] * 9
    assert [answer["is quick"] for answer in answers] == [True] * 9
    assert files == [f"{letter}.bin" for letter in "abcdefgh"]
