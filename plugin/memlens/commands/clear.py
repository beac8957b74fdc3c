"""`memlens clear`: deletes the results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from memlens.commands.common import (
    FINE,
    FOUND,
    CommandError,
    add_command,
    confirm,
    counted,
    results_path,
    shown_path,
)
from memlens.sizes import format_size
from memlens.store import (
    DATABASE_NAME,
    FOLDER_NAME,
    ResultsError,
    ResultsReader,
    delete_results,
    size_of_results,
)
from memlens.store.running import is_written_to


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "clear",
        summary="delete the results",
        description="Delete all results, after asking. Not while a run is writing to them.",
        examples="memlens clear\nmemlens clear --yes",
        exit_status="0 deleted, 1 you said no, 2 it could not be done",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Delete the results if the user agrees."""
    path = results_path(arguments)
    if is_written_to(path):
        raise CommandError(
            f"a pytest run is writing to {shown_path(path)}: clear when it has ended"
        )
    what = _contents(path)
    if not confirm(f"Delete {what} in {shown_path(path)}?", yes=arguments.yes):
        print("memlens: nothing was deleted", file=sys.stderr)
        return FOUND
    try:
        delete_results(path)
    except OSError as error:
        raise CommandError(f"cannot delete {path}: {error.strerror}") from error
    print(f"Deleted {what}.")
    return FINE


def _contents(path: Path) -> str:
    """Return what *path* holds, in words.

    Raises:
        ResultsError: there are no results there.
    """
    try:
        with ResultsReader(path) as reader:
            runs = reader.runs(limit=None)
            tests = len(reader.nodeids())
    except ResultsError:
        # What cannot be read may be deleted, but only where nothing but results can be.
        if not path.is_file() or (path.parent.name, path.name) != (FOLDER_NAME, DATABASE_NAME):
            raise
        return f"a file that this memlens cannot read ({format_size(size_of_results(path))})"
    size = format_size(size_of_results(path))
    return f"{counted(len(runs), 'run')} of {counted(tests, 'test')} ({size})"
