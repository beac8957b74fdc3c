"""What the samples say: medians, overheads and ratios, as a table and as JSON."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from contenders import CONTENDERS, MEMLENS, NONE, PYTEST_MEMRAY, Sample
from exactness import BUDGET, LISTED, Comparison, Exactness
from scenarios import Scenario
from storing import Storing

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Result:
    """All samples of one scenario."""

    scenario: Scenario
    #: How many tests it has.
    tests: int
    samples: Mapping[str, Sequence[Sample]]

    def median(self, contender: str) -> Sample:
        """Return the median of each quantity. No one run need have had all three."""
        samples = self.samples[contender]
        return Sample(
            statistics.median(sample.wall_seconds for sample in samples),
            statistics.median(sample.cpu_seconds for sample in samples),
            round(statistics.median(sample.peak_rss_bytes for sample in samples)),
        )

    def overhead(self, contender: str) -> Sample:
        """Return by how much *contender*'s medians are over those of plain pytest."""
        mine, plain = self.median(contender), self.median(NONE)
        return Sample(
            mine.wall_seconds - plain.wall_seconds,
            mine.cpu_seconds - plain.cpu_seconds,
            mine.peak_rss_bytes - plain.peak_rss_bytes,
        )

    @property
    def wall_ratio(self) -> float | None:
        """How large memlens' overhead is beside pytest-memray's; None where that has none."""
        theirs = self.overhead(PYTEST_MEMRAY).wall_seconds
        return self.overhead(MEMLENS).wall_seconds / theirs if theirs > 0 else None

    @property
    def cpu_ratio(self) -> float | None:
        """Likewise, of CPU time."""
        theirs = self.overhead(PYTEST_MEMRAY).cpu_seconds
        return self.overhead(MEMLENS).cpu_seconds / theirs if theirs > 0 else None

    @property
    def met(self) -> bool | None:
        """Whether memlens keeps within its budget; None where that cannot be said."""
        budget = self.scenario.budget
        if budget is None:
            return None
        if budget.kind == "seconds":
            return self.overhead(MEMLENS).wall_seconds <= budget.limit
        return None if self.wall_ratio is None else self.wall_ratio <= budget.limit

    def to_dict(self) -> dict[str, object]:
        """Return what goes into the JSON file."""
        budget = self.scenario.budget
        return {
            "summary": self.scenario.summary,
            "tests": self.tests,
            "contenders": {
                contender: {
                    "samples": [asdict(sample) for sample in self.samples[contender]],
                    "median": asdict(self.median(contender)),
                    "overhead": asdict(self.overhead(contender)),
                }
                for contender in CONTENDERS
            },
            "overhead_ratio": {"wall": self.wall_ratio, "cpu": self.cpu_ratio},
            "budget": None if budget is None else asdict(budget),
            "met": self.met,
        }


def show(results: Sequence[Result], exactness: Exactness | None, storing: Storing | None) -> None:
    """Print the tables."""
    # Only now that nothing is started any more: see `Sample.peak_rss_bytes`.
    from rich import box
    from rich.console import Console
    from rich.table import Table

    # The tables need that much; a file or a pipe would get 80 columns.
    console = Console(highlight=False, width=max(shutil.get_terminal_size().columns, 125))
    if results:
        medians = Table(
            box=box.SIMPLE_HEAD,
            title="Medians, and how far over plain pytest's",
            caption="CPU: of all processes, user and system. RSS: the most that one of them had.",
        )
        for heading in ("scenario", "tests", "runs", "contender"):
            medians.add_column(
                heading, justify="right" if heading in ("tests", "runs") else "left", no_wrap=True
            )
        for heading in ("wall s", "+", "CPU s", "+", "RSS MiB", "+"):
            medians.add_column(heading, justify="right")
        ratios = Table(box=box.SIMPLE_HEAD, title="memlens' overhead ÷ pytest-memray's")
        for heading in ("scenario", "wall", "CPU", "memlens' wall", "budget", "met"):
            ratios.add_column(heading, justify="left" if heading == "scenario" else "right")
        for result in results:
            for index, contender in enumerate(CONTENDERS):
                medians.add_row(
                    *((_heading(result)) if index == 0 else ("", "", "")),
                    contender,
                    *_quantities(result, contender),
                    end_section=index == len(CONTENDERS) - 1,
                )
            ratios.add_row(
                result.scenario.name,
                _ratio(result.wall_ratio),
                _ratio(result.cpu_ratio),
                f"{result.overhead(MEMLENS).wall_seconds * 1000:+,.1f} ms",
                str(result.scenario.budget or "none"),
                verdict(result.met),
            )
        console.print(medians)
        console.print(ratios)
    if exactness is not None:
        console.print(f"Peaks equal to the byte: budget ≥ {BUDGET:.0%}, {verdict(exactness.met)}")
        for who, comparison in (
            ("memlens with pytest-memray", exactness.ours),
            ("pytest-memray with itself", exactness.repeated),
        ):
            console.print("\n".join(_comparison(who, comparison)), markup=False)
    if storing is not None:
        console.print(f"Results of {storing.tests:,} light tests: {verdict(storing.met)}")
        console.print("\n".join(storing.lines()), markup=False)


def verdict(met: bool | None) -> str:
    """Return how the table says whether a budget is met."""
    return {True: "yes", False: "NO", None: "-"}[met]


def _heading(result: Result) -> tuple[str, str, str]:
    return (result.scenario.name, f"{result.tests:,}", str(len(result.samples[NONE])))


def _quantities(result: Result, contender: str) -> list[str]:
    median, over = result.median(contender), result.overhead(contender)
    cells = []
    for value, more, places in (
        (median.wall_seconds, over.wall_seconds, 3),
        (median.cpu_seconds, over.cpu_seconds, 3),
        (median.peak_rss_bytes / _MEBIBYTE, over.peak_rss_bytes / _MEBIBYTE, 1),
    ):
        cells += [f"{value:.{places}f}", "" if contender == NONE else f"{more:+.{places}f}"]
    return cells


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _comparison(who: str, comparison: Comparison) -> list[str]:
    lines = [
        f"  {who}: {comparison.equal:,} of {comparison.tests:,} ({comparison.share:.2%}),"
        f" largest difference {comparison.largest:,} bytes"
    ]
    for difference in comparison.differences[:LISTED]:
        expected, found = (
            "nothing" if peak is None else f"{peak:,}"
            for peak in (difference.expected, difference.found)
        )
        lines.append(f"    {difference.test}: {found} instead of {expected}")
    if len(comparison.differences) > LISTED:
        lines.append(f"    and {len(comparison.differences) - LISTED} more")
    return lines
