"""`memlens report`: the last run as a table."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from memlens.commands.common import (
    FINE,
    NOISE,
    CommandError,
    add_command,
    counted,
    is_over_limit,
    named,
    peak_of,
    results_path,
    rootdir_of,
    run_name,
    selected,
    share_of_limit,
    signed_size,
    whole_number,
)
from memlens.commands.screen import Column, Line, Piece, Screen, table
from memlens.sizes import format_size
from memlens.store import CheckRecord, ResultsError, ResultsReader, TestRecord

#: From this share of its limit on a test is coloured as near it.
_ALARMING = 0.9
_BAR = 10


class Row(NamedTuple):
    """A test of the report."""

    test: TestRecord
    #: The limit that the test is nearest to or furthest over.
    check: CheckRecord | None
    #: Bytes since the run before; None if there was none.
    change: int | None

    @property
    def share(self) -> float | None:
        """Which share of the limit was measured."""
        return None if self.check is None else share_of_limit(self.check)


#: What `--sort` sorts by, the most telling first.
_ORDERS = {
    "peak": lambda row: (-peak_of(row.test), row.test.nodeid),
    "change": lambda row: (row.change is None, -(row.change or 0), row.test.nodeid),
    "share": lambda row: (-_urgency(row.check), -peak_of(row.test), row.test.nodeid),
    "name": lambda row: row.test.nodeid,
    "duration": lambda row: (-row.test.duration, row.test.nodeid),
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "report",
        summary="show the last run as a table",
        description=(
            "Show the tests of the last run: peak, limit, share of the limit, and change since\n"
            "the run before in which the test was measured."
        ),
        examples=(
            "memlens report\n"
            "memlens report tests/test_shop.py --sort change --top 5\n"
            "memlens report --all --over-limit"
        ),
        exit_status="0 shown, 2 no results could be read or NODEID names none",
    )
    parser.add_argument(
        "nodeids",
        nargs="*",
        metavar="NODEID",
        help="show only these: a folder, file, class or test, as pytest takes them",
    )
    parser.add_argument(
        "--sort",
        choices=tuple(_ORDERS),
        default="peak",
        help="what to sort by, the largest first (default: %(default)s)",
    )
    parser.add_argument(
        "--over-limit", action="store_true", help="show only tests that are over a limit"
    )
    parser.add_argument(
        "--top", type=whole_number(least=1), metavar="N", help="show only the first N"
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="show the newest result of every test, not only those of the last run",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the table."""
    screen = Screen()
    with ResultsReader(results_path(arguments)) as reader:
        runs = reader.measured_runs()
        if not runs:
            raise ResultsError(
                f"no run in {reader.path} has measured a test: 'pytest --memray' measures all"
            )
        if arguments.all:
            tests = reader.latest_tests(stacks=False)
            title = f"newest results of {counted(len(runs), 'run')}"
        else:
            tests = reader.tests_of(runs[0].id or 0, stacks=False)
            title = run_name(runs[0])
        rootdir = rootdir_of(reader)
        others = _others(reader, tests, arguments.nodeids, rootdir)
        try:
            tests = selected(tests, arguments.nodeids, rootdir)
        except CommandError as error:
            if arguments.all:
                raise
            raise CommandError(f"in the last run, {error}\n(--all looks in every run)") from None
        before = reader.peaks_before(tests)
    rows = [_row(test, before) for test in tests]
    rows.sort(key=_ORDERS[arguments.sort])
    shown = [row for row in rows if is_over_limit(row.test)] if arguments.over_limit else rows
    screen.write([Piece(title[0].upper() + title[1:], "bold")])
    screen.write()
    if shown:
        listed = shown[: arguments.top]
        screen.write_all(_table(listed, screen, durations=arguments.sort == "duration"))
        if len(listed) < len(shown):
            screen.write([f"and {len(shown) - len(listed):,} more"])
        screen.write()
    screen.write(_totals(rows))
    if others:
        screen.write(
            [Piece(f"{counted(others, 'more test')} in other runs: --all shows them", "dim")]
        )
    return FINE


def _others(
    reader: ResultsReader, tests: Sequence[TestRecord], prefixes: Sequence[str], rootdir: Path
) -> int:
    """Return how many tests that *prefixes* name, all without any, have results but not in *tests*.

    They are those of other shards, if results of several machines are combined here.
    """
    here = {(test.path, test.name) for test in tests}
    others = [nodeid for path, name, nodeid in reader.nodeids() if (path, name) not in here]
    if not prefixes:
        return len(others)
    return len({nodeid for prefix in prefixes for nodeid in named(others, prefix, rootdir)})


def _row(test: TestRecord, before: Mapping[int, int]) -> Row:
    earlier = before.get(test.id or 0)
    check = max(test.checks, key=_urgency, default=None)
    return Row(test, check, None if earlier is None else peak_of(test) - earlier)


def _urgency(check: CheckRecord | None) -> float:
    """Return how pressing a limit is: those that are exceeded first, then by share."""
    if check is None:
        return -1.0
    share = share_of_limit(check) or 0.0
    return share + (1e9 if check.verdict == "exceeded" else 0)


def _table(rows: Sequence[Row], screen: Screen, *, durations: bool) -> Iterator[Line]:
    columns = (
        Column("peak"),
        Column("limit"),
        Column("share"),
        Column("", right=False, optional=True),
        Column("change"),
        Column("duration"),
    )
    bars = screen.width is not None
    new = "new" if any(row.change is not None for row in rows) else ""
    cells = []
    for row in rows:
        style = _style(row)
        change = new if row.change is None else signed_size(row.change)
        bar = screen.bar(row.share, _BAR) if bars and row.share is not None else ""
        cells.append(
            (
                Piece(format_size(peak_of(row.test)), "bold"),
                Piece(_limit(row.check)),
                Piece(_share(row), style),
                Piece(bar, style or "green"),
                Piece(change, _style_of_change(row.change)),
                Piece(f"{row.test.duration:.2f} s" if durations else ""),
                Piece(row.test.nodeid, style),
            )
        )
    return table(columns, cells, screen.width)


def _limit(check: CheckRecord | None) -> str:
    if check is None:
        return ""
    size = format_size(check.limit_bytes)
    return {
        "limit_leaks": f"leak {size}",
        "limit_leaked_objects": "no objects",
        "fail_on_increase": f"was {size}",
    }.get(check.marker, size)


def _share(row: Row) -> str:
    if row.check is None:
        return ""
    if row.check.verdict == "not_judged":
        return "?"
    if row.share is None:
        return "over" if row.check.verdict == "exceeded" else "ok"
    return f"{row.share:.0%}"


def _style(row: Row) -> str:
    if is_over_limit(row.test):
        return "bold red"
    return "yellow" if row.share is not None and row.share >= _ALARMING else ""


def _style_of_change(change: int | None) -> str:
    if change is None or abs(change) < NOISE:
        return "dim"
    return "red" if change > 0 else "green"


def _totals(rows: Sequence[Row]) -> Line:
    line: list[Piece | str] = [counted(len(rows), "test")]
    if rows:
        line.append(f", highest peak {format_size(max(peak_of(row.test) for row in rows))}")
    grown = sum(1 for row in rows if (row.change or 0) >= NOISE)
    shrunk = sum(1 for row in rows if (row.change or 0) <= -NOISE)
    changes = [f"{grown:,} grown"] * bool(grown) + [f"{shrunk:,} shrunk"] * bool(shrunk)
    if changes:
        line.append(f", {' and '.join(changes)} by {format_size(NOISE)} or more")
    over = sum(1 for row in rows if is_over_limit(row.test))
    limited = sum(1 for row in rows if row.test.checks)
    if over:
        line += [", ", Piece(f"{over:,} over a limit", "bold red")]
    elif limited:
        line += [", ", Piece("all within their limits", "green")]
    return line
