"""What writing results takes, and reading them once there are many."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contenders import MEMLENS, Runner
from environments import BenchmarkError
from scenarios import Scenario, light_tests

NAME = "store"
SUMMARY = "writing the results of 2,000 light tests as a run does; reading 10,000 tests of 50 runs"
#: At most, for a test: seconds, from opening the file to closing it, and bytes of the file.
SECONDS, BYTES = 0.0003, 2048
ROUNDS = 5

_SUITE = Scenario(NAME, "2,000 light tests", light_tests(2000))


@dataclass(frozen=True)
class Storing:
    """What came of it."""

    #: How many tests were written.
    tests: int
    #: Of each round, for a test.
    seconds_per_test: Sequence[float]
    #: Of each round: what one of twenty commits takes longer than.
    p95_seconds: Sequence[float]
    #: Of the file when a first run has ended.
    bytes_per_test: float
    #: What was read from: tests, runs and bytes.
    stored: Mapping[str, int]
    #: Seconds, by what was asked.
    reading: Mapping[str, float]
    #: Seconds that dropping half of it took.
    trimming: float

    @property
    def seconds(self) -> float:
        """The median of the rounds, for a test."""
        return statistics.median(self.seconds_per_test)

    @property
    def met(self) -> bool:
        """Whether memlens keeps within both budgets."""
        return self.seconds <= SECONDS and self.bytes_per_test <= BYTES

    def to_dict(self) -> dict[str, object]:
        """Return what goes into the JSON file."""
        return {
            "summary": SUMMARY,
            "tests": self.tests,
            "seconds_per_test": {"samples": self.seconds_per_test, "median": self.seconds},
            "p95_commit_seconds": self.p95_seconds,
            "bytes_per_test": self.bytes_per_test,
            "stored": self.stored,
            "reading_seconds": self.reading,
            "trimming_seconds": self.trimming,
            "budget": {"seconds_per_test": SECONDS, "bytes_per_test": BYTES},
            "met": self.met,
        }

    def lines(self) -> list[str]:
        """Return what is printed, without the verdict."""
        stored = self.stored
        return [
            f"  written: {self.seconds * 1000:.2f} ms a test (budget ≤ {SECONDS * 1000:.1f} ms;"
            f" 95 % of commits within {statistics.median(self.p95_seconds) * 1000:.2f} ms),"
            f" {self.bytes_per_test:,.0f} bytes a test (budget ≤ {BYTES:,})",
            f"  with {stored['tests']:,} tests in {stored['runs']} runs,"
            f" {stored['bytes'] / 1024**2:,.0f} MiB:",
            *(f"    {seconds * 1000:9.2f} ms  {name}" for name, seconds in self.reading.items()),
            f"    {self.trimming * 1000:9.0f} ms  trim() to half of the runs",
        ]


def measure(runner: Runner, progress: Callable[[str], None]) -> Storing:
    """Run the suite with memlens, then write and read what it measured.

    Raises:
        BenchmarkError: the run failed, or its results cannot be read.
    """
    progress(f"{NAME}: a run whose results are written again")
    scratch = runner.scratch / "databases"
    # In another process: what starts pytest has to stay small (see `Sample.peak_rss_bytes`).
    script = Path(__file__).with_name("store_figures.py")
    with runner.run(_SUITE, MEMLENS) as finished:
        scratch.mkdir()
        try:
            progress(f"{NAME}: writing and reading")
            answer = subprocess.run(
                [runner.environment.python, script, finished.folder, scratch, str(ROUNDS)],
                env=runner.environment.variables(runner.scratch, runner.environment.memlens),
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    if answer.returncode:
        raise BenchmarkError(f"{NAME}: the results could not be written or read; see above")
    figures: dict[str, Any] = json.loads(answer.stdout)
    return Storing(**figures)
