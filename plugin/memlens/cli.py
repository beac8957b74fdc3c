"""The `memlens` command: results without an editor."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from memlens import __version__
from memlens.commands import check, clear, combine, compare, export, gc, report, show
from memlens.commands.common import FAILED, CommandError
from memlens.commands.output import OutputError, complain, prepare
from memlens.commands.screen import printable
from memlens.store import ResultsError

#: What a shell says of a program that Ctrl-C ended.
_CANCELLED = 130
_EXAMPLES = """\
examples:
  pytest --memray                        measure every test
  memlens report                         the last run as a table
  memlens show test_checkout             one test, with the call stacks at its peak
  memlens compare main --fail-on 5%      what grew since then; exit with 1 if by too much
  memlens export --format html -o memory.html

'memlens COMMAND --help' tells more."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (None: the process's) and return its exit status."""
    if sys.stdout is None:
        complain("memlens: standard output is closed: nowhere to write to")
        return FAILED
    prepare()
    try:
        status = _run(argv)
        sys.stdout.flush()
    except (ResultsError, CommandError, OSError) as error:
        complain(f"memlens: {error}")
        return FAILED
    except OutputError as error:
        complain(f"memlens: cannot write to standard output: {error}")
        return FAILED
    except KeyboardInterrupt:
        return _CANCELLED
    return status


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as ended:  # of --help and of arguments that are wrong
        return int(ended.code or 0)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return FAILED
    with suppress(ImportError):  # Windows, where nothing is measured and nothing left over
        from memlens.recovery import recover_leftovers

        for notice in recover_leftovers():
            complain(f"memlens warning: {notice}")
    status: int = arguments.run(arguments)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="memlens",
        description="Show what 'pytest --memray' has measured.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"memlens {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for command in (report, show, check, compare, combine, export, gc, clear):
        command.add(commands)
    return parser
