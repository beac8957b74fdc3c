"""`memlens combine`: merges results of several machines or parts of a suite."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from memlens.commands.common import (
    FINE,
    CommandError,
    add_command,
    counted,
    demand_results,
    results_in,
    results_path,
    shown_path,
)
from memlens.commands.screen import printable, progress
from memlens.store import DATABASE_NAME
from memlens.store.combining import combine


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "combine",
        summary="merge results of several machines",
        description=(
            "Merge results, such as those of the parts that a suite was split into in CI. What is\n"
            "in OUT already stays. In whatever order and however often: the outcome is the same."
        ),
        examples=(
            "memlens combine shard-*/results.db -o .memlens/results.db\n"
            "memlens combine ci.db --map /home/runner/work/app/app=. -o combined.db"
        ),
        exit_status="0 merged, 2 it could not be done, and OUT is as it was",
    )
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="results to merge; a folder stands for the results in it",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=_output,
        metavar="OUT",
        help="where to merge them, a file or a folder for it (default: as --results)",
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        type=_mapping,
        metavar="FROM=TO",
        dest="maps",
        help="what the folder FROM of another machine is here; may be given several times."
        " A relative TO is seen from OUT's project, which is '.'",
    )
    parser.set_defaults(run=run)


def _output(text: str) -> Path:
    path = Path(text)
    if text.endswith(("/", os.sep)) and not path.exists():  # a folder that is yet to be made
        return path / DATABASE_NAME
    return results_in(path)


def _mapping(text: str) -> tuple[str, str]:
    there, separator, here = text.partition("=")
    if not (there and separator and here):
        raise argparse.ArgumentTypeError(f"{text!r} is not FROM=TO, such as /home/runner/app=.")
    return there, here


def run(arguments: argparse.Namespace) -> int:
    """Merge the files."""
    sources = [results_in(path) for path in arguments.files]
    for source, given in zip(sources, arguments.files, strict=True):
        demand_results(source, given)
    target: Path | None = arguments.output
    if target is None:
        target = results_path(arguments, to_read=False)
    try:
        with progress("Combining") as tell:
            combined = combine(sources, target, maps=dict(arguments.maps), progress=tell)
    except ValueError as error:
        raise CommandError(f"--map: {error}") from None
    print(
        f"Combined {counted(len(sources), 'file')} into {printable(shown_path(target))}:"
        f" {counted(combined.new_runs, 'new run')}, {counted(combined.new_tests, 'new result')};"
        f" {counted(combined.runs, 'run')}, {counted(combined.tests, 'result')} in all."
    )
    return FINE
