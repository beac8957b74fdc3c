"""Times the results database, as JSON. Runs in the contenders' environment.

python store_figures.py ROOTDIR SCRATCH ROUNDS

Takes the results that a run has left under ROOTDIR and writes them again as that run did, into
databases under SCRATCH. Then fills one with TESTS tests in RUNS runs, copies of these, and reads
it.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from memlens.store import ResultsReader, ResultsWriter, RunRecord, TestRecord, database_path
from memlens.store.trimming import trim

#: What is in the large database.
TESTS, RUNS = 10_000, 50
#: Of what is read.
_TIMES = 9


def write(path: Path, run: RunRecord, tests: Sequence[TestRecord]) -> list[float]:
    """Write *tests* as a run does; return the seconds for each, and last for all together."""
    seconds = []
    began = time.perf_counter()
    writer = ResultsWriter(path, run._replace(status="running", finished=None))
    for test in tests:
        started = time.perf_counter()
        writer.add_test(test)
        seconds.append(time.perf_counter() - started)
    writer.finish(0)
    writer.trim(runs=RUNS, size=None)
    writer.close()
    return [*seconds, time.perf_counter() - began]


def fill(path: Path) -> None:
    """Make of the one run in *path* as many tests and runs as it shall have."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN")
        (tests,) = connection.execute("SELECT count(*) FROM test").fetchone()
        for number in range(1, TESTS // tests):
            # Other tests: those of another file.
            _copy(connection, of_run=1, to_run=1, ids=number * tests, most=tests, part=number)
        for run in range(2, RUNS + 1):
            connection.execute(
                "INSERT INTO run SELECT ?, uuid || ?, started, finished, status, exit_status,"
                " command_line, rootdir, versions, git_commit, git_dirty, collected"
                " FROM run WHERE id = 1",
                (run, f"-{run}"),
            )
            connection.execute(
                "INSERT INTO run_source SELECT ?, path, source FROM run_source WHERE run = 1",
                (run,),
            )
            _copy(connection, of_run=1, to_run=run, ids=(run - 1) * TESTS, most=TESTS)
        connection.execute("COMMIT")


def _copy(
    connection: sqlite3.Connection, *, of_run: int, to_run: int, ids: int, most: int, part: int = 0
) -> None:
    values = {"of": of_run, "to": to_run, "ids": ids, "most": most, "part": f"{part}_" * bool(part)}
    for statement in (
        "INSERT INTO test SELECT id + :ids, :to, :part || nodeid, :part || path, name, line,"
        " outcome, duration, worker FROM test WHERE run = :of AND id <= :most",
        "INSERT INTO phase SELECT test + :ids, name, peak_bytes, allocated_bytes, allocations,"
        " alive_bytes, histogram FROM phase WHERE test <= :most",
        "INSERT INTO stack SELECT NULL, test + :ids, kind, bytes, allocations, frames, site"
        " FROM stack WHERE test <= :most",
    ):
        connection.execute(statement, values)


def timed(work: Callable[[], object], times: int = _TIMES) -> float:
    """Return the median of the seconds that *work* takes."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def read(path: Path) -> dict[str, float]:
    """Return the seconds that what readers ask takes, by what it is."""

    def opened() -> None:
        ResultsReader(path).close()

    with ResultsReader(path) as reader:
        (run,) = reader.runs()
        one = reader.latest_tests("test_light.py", stacks=False)[0]
        questions: dict[str, Callable[[], object]] = {
            "open": opened,
            "latest_tests()": reader.latest_tests,
            "latest_tests(stacks=False)": lambda: reader.latest_tests(stacks=False),
            "latest_tests(path)": lambda: reader.latest_tests(one.path),
            "latest_test(path, name)": lambda: reader.latest_test(one.path, one.name),
            "latest_exceeded()": reader.latest_exceeded,
            "nodeids()": reader.nodeids,
            "history(path, name)": lambda: reader.history(one.path, one.name),
            "last_passing_peaks()": reader.last_passing_peaks,
            "heavy_tests()": reader.heavy_tests,
            "outcomes(run)": lambda: reader.outcomes(run.id or 0),
        }
        return {name: timed(work) for name, work in questions.items()}


def main(rootdir: Path, scratch: Path, rounds: int) -> dict[str, Any]:
    """Return all figures, in seconds and bytes."""
    with ResultsReader(database_path(rootdir)) as reader:
        (run,) = reader.runs()
        tests = reader.latest_tests()
    each, together = [], []
    for number in range(rounds):
        small = scratch / f"small-{number}" / "results.db"
        *single, all_of_them = write(small, run, tests)
        each.append(statistics.quantiles(single, n=20)[-1])
        together.append(all_of_them / len(tests))
    size = small.stat().st_size
    large = scratch / "large" / "results.db"
    large.parent.mkdir()
    shutil.copyfile(small, large)
    fill(large)
    reading = read(large)
    large_size = large.stat().st_size
    started = time.perf_counter()
    trim(large, runs=RUNS // 2, size=None)
    return {
        "tests": len(tests),
        "seconds_per_test": together,
        "p95_seconds": each,
        "bytes_per_test": size / len(tests),
        "stored": {"tests": TESTS, "runs": RUNS, "bytes": large_size},
        "reading": reading,
        "trimming": time.perf_counter() - started,
    }


if __name__ == "__main__":
    json.dump(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])), sys.stdout, indent=1)
