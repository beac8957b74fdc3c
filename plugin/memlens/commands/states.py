"""What can be compared: a results file, a run, a git commit, as the user names them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from memlens.commands.common import (
    CommandError,
    commit_name,
    counted,
    listed,
    nearest_results,
    rootdir_of,
    run_name,
    short,
    shown_path,
)
from memlens.store import ResultsError, ResultsReader, RunRecord, TestRecord

_LAST = re.compile(r"last(?:~(\d+))?")
_HEXADECIMAL = re.compile(r"[0-9a-f-]{4,}", re.IGNORECASE)
#: Seconds that git may take to say which commit a branch is at.
_PATIENCE = 5.0


class State(NamedTuple):
    """A result of each test, all from one place."""

    #: What it is, in words.
    name: str
    #: Without stacks.
    tests: list[TestRecord]


def read_state(wanted: str | None, results: Path | None, *, like_a_file: bool = False) -> State:
    """Return what *wanted* names in *results* (None: the nearest from here), or the file it is.

    Without *wanted* that is the last run, or the newest result of every test if it is to be
    *like_a_file*.

    Raises:
        CommandError: it names nothing, or several things.
        ResultsError: the results cannot be read.
    """
    if wanted is not None and is_file(wanted):
        return _whole(Path(wanted))
    path = results if results is not None else nearest_results(Path.cwd())
    if wanted is None and like_a_file:
        return _whole(path)
    with ResultsReader(path) as reader:
        runs = reader.measured_runs()
        if not runs:
            raise ResultsError(
                f"no run in {path} has measured a test: 'pytest --memray' measures all"
            )
        name, chosen = _named(wanted or "last", runs, rootdir_of(reader))
        return State(name, reader.tests_of(*(run.id or 0 for run in chosen), stacks=False))


def is_file(wanted: str) -> bool:
    """Return whether *wanted* is a file's name, and no run's."""
    if _LAST.fullmatch(wanted):
        return False
    return Path(wanted).is_file()


def _whole(path: Path) -> State:
    with ResultsReader(path) as reader:
        return State(
            f"newest results of every test in {shown_path(path)}", reader.latest_tests(stacks=False)
        )


def _named(wanted: str, runs: Sequence[RunRecord], rootdir: Path) -> tuple[str, list[RunRecord]]:
    """Return the runs, newest first, that *wanted* names, and what they are called."""
    last = _LAST.fullmatch(wanted)
    if last:
        back = int(last[1] or 0)
        if back >= len(runs):
            raise CommandError(f"{wanted!r}: there are results of {counted(len(runs), 'run')} only")
        return run_name(runs[back]), [runs[back]]
    by_uuid = [run for run in runs if run.uuid.startswith(wanted.lower())]
    commits = sorted({run.git_commit for run in runs if run.git_commit})
    by_commit = [commit for commit in commits if commit.startswith(wanted.lower())]
    if not _HEXADECIMAL.fullmatch(wanted):
        by_uuid, by_commit = [], []
    if not by_uuid and not by_commit:
        commit = _ask_git(wanted, rootdir)
        by_commit = [commit] if commit in commits else []
        if commit is not None and not by_commit:
            raise CommandError(
                f"{wanted!r} is commit {short(commit)}, of which there are no results."
                f" There are of\n{_newest_names(runs)}"
            )
    found = [run_name(run) for run in by_uuid] + [f"commit {commit}" for commit in by_commit]
    if not found:
        raise CommandError(
            f"{wanted!r} is no results file, run or git commit here. There are\n"
            f"{_newest_names(runs)}"
        )
    if len(found) > 1:
        raise CommandError(f"{wanted!r} may be each of these; say more of it\n{listed(found)}")
    if by_uuid:
        return found[0], by_uuid
    of_commit = [run for run in runs if run.git_commit == by_commit[0]]
    # What was measured with other changes is not quite that commit.
    chosen = [run for run in of_commit if not run.git_dirty] or of_commit
    name = commit_name(by_commit[0], chosen[0].git_dirty)
    return f"commit {name}, {counted(len(chosen), 'run')}", chosen


def _newest_names(runs: Sequence[RunRecord]) -> str:
    return listed([run_name(run) for run in runs])


def _ask_git(name: str, folder: Path) -> str | None:
    """Return the commit that git knows by *name*, None if there is none or no git."""
    with suppress(OSError, subprocess.TimeoutExpired):
        answer = subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
        if answer.returncode == 0:
            return answer.stdout.strip()
    return None
