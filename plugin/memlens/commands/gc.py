"""`memlens gc`: drops old results."""

from __future__ import annotations

import argparse
import sys

from memlens.commands.common import (
    FINE,
    FOUND,
    add_command,
    confirm,
    counted,
    results_path,
    shown_path,
    size_argument,
    whole_number,
)
from memlens.commands.screen import printable
from memlens.sizes import format_size
from memlens.store import ResultsReader
from memlens.store.trimming import trim

#: Results of each test that are kept where pytest has not said how many.
_RUNS = 50


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "gc",
        summary="drop old results",
        description=(
            "Drop old results, after asking: all but the last few of each test, those of tests\n"
            "that are long gone, and, to keep within a size, the oldest runs. The newest run stays."
        ),
        examples="memlens gc\nmemlens gc --runs 10 --size '20 MB' --yes",
        exit_status="0 done, 1 you said no, 2 it could not be done",
    )
    parser.add_argument(
        "--runs",
        type=whole_number(least=1),
        metavar="N",
        help="keep the last N results of each test (default: as many as pytest kept here at the"
        f" end of its last run, which memray_history in its ini file says, else {_RUNS})",
    )
    parser.add_argument(
        "--size",
        type=size_argument,
        metavar="SIZE",
        help="drop the oldest runs until the file is no larger than this (default: likewise, by"
        " memray_history_size, else any size)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Drop what is old if the user agrees."""
    path = results_path(arguments)
    with ResultsReader(path) as reader:
        kept = reader.settings()
    runs: int = arguments.runs or kept.get("memray_history", _RUNS)
    size: int | None = arguments.size
    if size is None:
        size = kept.get("memray_history_size")
    what = "all but the newest result" if runs == 1 else f"all but the last {runs:,} results"
    if size is not None:
        what += f" of each test, and the oldest runs until {format_size(size)} are left,"
    else:
        what += " of each test"
    if not confirm(f"Drop {what} from {shown_path(path)}?", yes=arguments.yes):
        print("memlens: nothing was dropped", file=sys.stderr)
        return FOUND
    trimmed = trim(path, runs=runs, size=size)
    before, after = format_size(trimmed.bytes_before), format_size(trimmed.bytes_after)
    sizes = before if before == after else f"{before}, now {after}"
    print(
        f"Dropped {counted(trimmed.tests, 'result')} and {counted(trimmed.runs, 'run')}"
        f" from {printable(shown_path(path))} ({sizes})."
    )
    return FINE
