"""Prints the peak of each test as JSON, in bytes by node id. Runs in the contenders' environment.

python peaks.py captures FOLDER   what memray says of the captures that pytest-memray kept there
python peaks.py results ROOTDIR   what memlens kept under that rootdir
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from memray import FileReader

from memlens.store import ResultsReader, database_path


def peaks_of_captures(folder: Path) -> dict[str, int]:
    """Return the peaks that follow from the captures in *folder*."""
    peaks = {}
    for path in (folder / "metadata").iterdir():
        described = json.loads(path.read_text(encoding="utf-8"))
        with FileReader(described["result_file"]) as reader:
            records = reader.get_high_watermark_allocation_records(merge_threads=True)
            peaks[described["test_id"]] = sum(record.size for record in records)
    return peaks


def peaks_of_results(rootdir: Path) -> dict[str, int]:
    """Return the peaks of the tests' bodies in the results of *rootdir*."""
    with ResultsReader(database_path(rootdir)) as results:
        return {
            test.nodeid: phase.peak_bytes
            for test in results.latest_tests()
            if (phase := test.phase("call")) is not None
        }


if __name__ == "__main__":
    of = {"captures": peaks_of_captures, "results": peaks_of_results}[sys.argv[1]]
    json.dump(of(Path(sys.argv[2])), sys.stdout)
