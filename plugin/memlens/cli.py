"""The `memlens` command: results without an editor."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from memlens import __version__
from memlens.commands import check, clear, combine, compare, export, gc, report, show
from memlens.commands.common import FAILED, FINE, CommandError
from memlens.commands.screen import make_encodable
from memlens.store import ResultsError

#: What a shell says of a program that Ctrl-C ended.
_CANCELLED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (None: the process's) and return its exit status."""
    make_encodable()
    arguments = _parser().parse_args(argv)
    with suppress(ImportError):  # Windows, where nothing is measured and nothing left over
        from memlens.recovery import recover_leftovers

        for notice in recover_leftovers():
            print(f"memlens warning: {notice}", file=sys.stderr)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except (ResultsError, CommandError) as error:
        print(f"memlens: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        # Whoever read us has seen enough. Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except KeyboardInterrupt:
        return _CANCELLED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memlens", description="Show what 'pytest --memray' has measured."
    )
    parser.add_argument("--version", action="version", version=f"memlens {__version__}")
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True
    )
    for command in (report, show, check, compare, combine, export, gc, clear):
        command.add(commands)
    return parser
