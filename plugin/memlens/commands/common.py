"""What commands share: which results, which tests of them, and how runs, times and paths read."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NoReturn

from memlens.commands.screen import printable
from memlens.sizes import format_size, parse_size
from memlens.store import (
    DATABASE_NAME,
    FOLDER_NAME,
    CheckRecord,
    ResultsReader,
    RunRecord,
    TestRecord,
    database_path,
)

#: Exit statuses: all is well, something was found, the command could not do it.
FINE, FOUND, FAILED = 0, 1, 2

#: How much of a run's or commit's name is shown, and how many names are suggested.
_SHORT = 8
_SUGGESTED = 5


#: Bytes by which a peak may differ without being news: CPython takes its memory in such steps (a
#: 16 KiB chunk of its stack, a 32 KiB buffer), and whether it has to may depend on what ran before.
NOISE = 64 * 1024


class CommandError(Exception):
    """The command cannot do what it was asked. The message says why and what to do."""


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    *,
    summary: str,
    description: str,
    examples: str,
    exit_status: str,
) -> argparse.ArgumentParser:
    """Declare the command *name* with its help, and `--results`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"examples:\n{_indented(examples)}\n\nexit status: {exit_status}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="PATH",
        help="the results to read, a file or the folder that it is in (default: the nearest"
        f" {FOLDER_NAME}/{DATABASE_NAME}, from here upwards)",
    )
    return parser


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def whole_number(*, least: int) -> Callable[[str], int]:
    """Return what argparse reads a whole number from *least* on with."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
        return int(text)

    return parse


def size_argument(text: str) -> int:
    """Return the bytes that an argument such as ``20 MB`` names. For argparse."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def results_path(arguments: argparse.Namespace, *, to_read: bool = True) -> Path:
    """Return the results that `--results` names, else the nearest from here upwards.

    Raises:
        CommandError: they are named, *to_read*, and not there.
    """
    given: Path | None = arguments.results
    if given is None:
        return nearest_results(Path.cwd())
    path = results_in(given)
    if to_read:
        demand_results(path, given)
    return path


def results_in(path: Path) -> Path:
    """Return the results file that *path* is or, of a folder, that is in it or would be."""
    if not path.is_dir() and path.name != FOLDER_NAME:
        return path
    inside = database_path(path)
    return inside if inside.is_file() else path / DATABASE_NAME


def demand_results(path: Path, given: Path) -> None:
    """Have *path*, which was found for what the user has *given*, be there.

    Raises:
        CommandError: it is not.
    """
    if path.exists():
        return
    if given.is_dir():
        raise CommandError(f"there are no results in the folder {given}: no {path.name} is in it")
    raise CommandError(f"there is no file {given}")


def nearest_results(folder: Path) -> Path:
    """Return the results of *folder* or the nearest parent that has some."""
    candidates = [database_path(parent) for parent in (folder, *folder.parents)]
    return next((path for path in candidates if path.is_file()), candidates[0])


def rootdir_of(reader: ResultsReader) -> Path:
    """Return the folder that the paths in the results are relative to.

    Results that lie elsewhere than in their project (downloaded, combined) know where they were
    measured. On another machine they are taken to be of the project here.
    """
    results = reader.path.absolute()
    if results.parent.name == FOLDER_NAME:
        return results.parent.parent
    runs = reader.runs()
    rootdir = Path(runs[0].rootdir) if runs else Path.cwd()
    return rootdir if rootdir.is_dir() else Path.cwd()


def shown_path(path: Path) -> str:
    """Return *path* as one would type it here."""
    path = path.resolve()
    here = Path.cwd().resolve()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def selected(
    tests: Sequence[TestRecord], prefixes: Sequence[str], rootdir: Path
) -> list[TestRecord]:
    """Return those of *tests* that one of *prefixes* names, all without any; see `named`.

    Raises:
        CommandError: a prefix names none of them.
    """
    nodeids = [test.nodeid for test in tests]
    chosen: set[str] = set()
    for prefix in prefixes:
        found = named(nodeids, prefix, rootdir)
        if not found:
            none_like(prefix, nodeids)
        chosen.update(found)
    return [test for test in tests if test.nodeid in chosen or not prefixes]


def named(nodeids: Sequence[str], wanted: str, rootdir: Path) -> list[str]:
    """Return those of *nodeids* that *wanted* names: a folder, file, class or test.

    It is a node id or the beginning of one, as pytest takes it, relative to the rootdir or to the
    folder one is in, or as it is printed. If that is none, it is the name of a test or class alone.
    """
    spellings = _spellings(wanted, rootdir)
    printed = {nodeid: printable(nodeid) for nodeid in nodeids}
    return [
        nodeid
        for nodeid in nodeids
        if "." in spellings  # the rootdir itself
        or any(_begins(nodeid, each) or _begins(printed[nodeid], each) for each in spellings)
    ] or [
        nodeid
        for nodeid in nodeids
        if _is_called(nodeid, wanted) or _is_called(printed[nodeid], wanted)
    ]


def _is_called(nodeid: str, wanted: str) -> bool:
    """Return whether *wanted* is the name of the test or a class of it, or the names of both."""
    name = nodeid.partition("::")[2]
    while name:
        if _begins(name, wanted):
            return True
        # A "::" in parameters parts nothing.
        outer, parted, name = name.partition("::")
        if not parted or "[" in outer:
            return False
    return False


def _begins(nodeid: str, prefix: str) -> bool:
    rest = nodeid.removeprefix(prefix)
    # "test_a" does not name "test_ab", nor does "tests/a" name "tests/a.py".
    return rest == "" or (len(rest) < len(nodeid) and rest.startswith(("/", "::", "[")))


def _spellings(prefix: str, rootdir: Path) -> set[str]:
    path, separator, name = prefix.partition("::")
    if not path:  # of a test outside the rootdir
        return {prefix}
    spellings = {str(PurePosixPath(path)) + separator + name} - {"."}
    absolute, root = (Path.cwd() / path).resolve(), rootdir.resolve()
    if absolute.is_relative_to(root):
        spellings.add(absolute.relative_to(root).as_posix() + separator + name)
    return spellings


def none_like(wanted: str, nodeids: Sequence[str]) -> NoReturn:
    """Say that no test is called *wanted*, and which names are near it.

    Raises:
        CommandError: always.
    """
    inside = [nodeid for nodeid in nodeids if wanted.lower() in nodeid.lower()]
    near = inside or difflib.get_close_matches(wanted, nodeids, n=_SUGGESTED, cutoff=0.5)
    message = f"no result is of {wanted!r}"
    if near:
        message += "; did you mean\n" + listed(near)
    raise CommandError(message)


def listed(names: Sequence[str]) -> str:
    """Return the first few *names*, one a line, and how many more there are."""
    lines = [f"  {printable(name)}" for name in names[:_SUGGESTED]]
    if len(names) > _SUGGESTED:
        lines.append(f"  and {len(names) - _SUGGESTED:,} more")
    return "\n".join(lines)


def peak_of(test: TestRecord) -> int:
    """Return the peak of the test's body, in bytes."""
    phase = test.phase("call")
    return phase.peak_bytes if phase is not None else 0


def is_over_limit(test: TestRecord) -> bool:
    """Return whether *test* is over any of its limits."""
    return any(check.verdict == "exceeded" for check in test.checks)


def share_of_limit(check: CheckRecord) -> float | None:
    """Return which share of its limit was measured, None where there is none to speak of."""
    if check.verdict == "not_judged" or check.limit_bytes == 0:
        return None
    return check.measured_bytes / check.limit_bytes


def signed_size(size: int) -> str:
    """Return a change, in bytes, with its sign: ``"+2.0 MiB"``, ``"="`` for none."""
    if size == 0:
        return "="
    return f"+{format_size(size)}" if size > 0 else format_size(size)


def counted(number: int, noun: str) -> str:
    """Return ``"1 test"``, ``"1,200 tests"``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def local_time(moment: str) -> str:
    """Return a time of the database, which is in UTC, in this machine's zone."""
    try:
        return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):
        return moment


def short(name: str) -> str:
    """Return as much of a run's or commit's name as people use."""
    return name[:_SHORT]


def commit_name(commit: str | None, dirty: bool | None) -> str:
    """Return ``"8c98ca7f with changes"``; empty outside of git."""
    if commit is None:
        return ""
    return f"{short(commit)}{' with changes' if dirty else ''}"


def run_name(run: RunRecord) -> str:
    """Return what identifies *run* to people: its number, time and commit."""
    commit = commit_name(run.git_commit, run.git_dirty)
    ending = {"running": ", still running", "interrupted": ", interrupted"}.get(run.status, "")
    return (
        f"run {short(run.uuid)} of {local_time(run.started)}"
        f"{f', commit {commit}' if commit else ''}{ending}"
    )


def confirm(question: str, *, yes: bool) -> bool:
    """Return whether the user agrees. With *yes* they have already.

    Raises:
        CommandError: there is nobody to ask.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise CommandError(
            f"{question} Nobody can be asked, since standard input is no terminal:"
            " say --yes if you mean it"
        )
    print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):  # Ctrl-D
        print(file=sys.stderr)
    return answer.strip().lower() in ("y", "yes")
