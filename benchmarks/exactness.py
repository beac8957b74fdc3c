"""Whether memlens says of each test what pytest-memray says, to the byte."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from contenders import MEMLENS, PYTEST_MEMRAY, Runner
from environments import BenchmarkError
from scenarios import NETWORKX

NAME = "exactness"
SUMMARY = f"which peaks of {NETWORKX.name}'s tests equal pytest-memray's to the byte"
#: The least share of tests whose peak is the same.
BUDGET = 0.99
#: Differing tests that are listed.
LISTED = 10


@dataclass(frozen=True)
class Difference:
    """A test of which two runs say different peaks, in bytes; None: one of them did not say."""

    test: str
    expected: int | None
    found: int | None

    @property
    def size(self) -> int:
        """How far apart they are, in bytes."""
        return abs((self.found or 0) - (self.expected or 0))


@dataclass(frozen=True)
class Comparison:
    """How two runs of the same tests compare."""

    tests: int
    #: The largest first.
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> int:
        """How many tests have the same peak."""
        return self.tests - len(self.differences)

    @property
    def share(self) -> float:
        """Which part of the tests have the same peak."""
        return self.equal / self.tests

    @property
    def largest(self) -> int:
        """The largest difference, in bytes."""
        return max((difference.size for difference in self.differences), default=0)

    def to_dict(self) -> dict[str, object]:
        """Return what goes into the JSON file."""
        return {
            "tests": self.tests,
            "equal": self.equal,
            "share": self.share,
            "largest_difference_bytes": self.largest,
            "differences": [asdict(difference) for difference in self.differences[:LISTED]],
        }


@dataclass(frozen=True)
class Exactness:
    """What came of it."""

    #: memlens with pytest-memray.
    ours: Comparison
    #: pytest-memray with a second run of itself: peaks that it does not repeat are nobody's fault.
    repeated: Comparison

    @property
    def met(self) -> bool:
        """Whether memlens keeps within its budget."""
        return self.ours.share >= BUDGET

    def to_dict(self) -> dict[str, object]:
        """Return what goes into the JSON file."""
        return {
            "summary": SUMMARY,
            "memlens": self.ours.to_dict(),
            "pytest-memray again": self.repeated.to_dict(),
            "budget_share": BUDGET,
            "met": self.met,
        }


def compare(expected: Mapping[str, int], found: Mapping[str, int]) -> Comparison:
    """Compare peaks by the name of the test."""
    names = expected.keys() | found.keys()
    differences = [
        Difference(name, expected.get(name), found.get(name))
        for name in names
        if expected.get(name) != found.get(name)
    ]
    differences.sort(key=lambda difference: (-difference.size, difference.test))
    return Comparison(len(names), tuple(differences))


def measure(runner: Runner, progress: Callable[[str], None]) -> Exactness:
    """Run the tests with both.

    Raises:
        BenchmarkError: a run failed, or its peaks cannot be read.
    """
    theirs = []
    for which in ("first", "second"):
        progress(f"{NAME}: pytest-memray, {which} run")
        with runner.run(NETWORKX, PYTEST_MEMRAY, "--memray-bin-path=captures") as finished:
            theirs.append(_peaks(runner, "captures", finished.folder / "captures"))
    progress(f"{NAME}: memlens")
    with runner.run(NETWORKX, MEMLENS) as finished:
        ours = _peaks(runner, "results", finished.folder)
    return Exactness(ours=compare(theirs[0], ours), repeated=compare(theirs[0], theirs[1]))


def _peaks(runner: Runner, kind: str, folder: Path) -> Mapping[str, int]:
    # In another process: what starts pytest has to stay small (see `Sample.peak_rss_bytes`).
    script = Path(__file__).with_name("peaks.py")
    answer = subprocess.run(
        [runner.environment.python, script, kind, folder],
        env=runner.environment.variables(runner.scratch, runner.environment.memlens),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise BenchmarkError(f"{NAME}: the {kind} in {folder} cannot be read; see above")
    peaks: dict[str, int] = json.loads(answer.stdout)
    return peaks
