"""What can be compared: a results file, a run, a git commit, as the user names them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from memlens.commands.common import (
    CommandError,
    commit_name,
    counted,
    listed,
    results_in,
    rootdir_of,
    run_name,
    short,
    shown_path,
)
from memlens.store import ResultsError, ResultsReader, RunRecord, TestRecord

#: How a state was named.
Kind = Literal["file", "run", "commit"]

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
    #: What it was named by: so what it can be compared with.
    kind: Kind
    #: Of one run of a commit: how many tests only other runs of that commit have measured.
    left_out: int = 0


def read_state(wanted: str | None, results: Path, *, beside: State | None = None) -> State:
    """Return what *wanted* names in the file *results*, or the results file that it is.

    Without *wanted* that is what can stand *beside* another state: beside a file the newest result
    of every test, beside a commit all runs of the last run's commit, else the last run.

    Raises:
        CommandError: it names nothing, or several things.
        ResultsError: the results cannot be read.
    """
    if wanted is not None and is_file(wanted):
        return _whole(results_in(Path(wanted)))
    kind = beside.kind if beside is not None and wanted is None else "run"
    if kind == "file":
        return _whole(results)
    with ResultsReader(results) as reader:
        runs = reader.measured_runs()
        if not runs:
            raise ResultsError(
                f"no run in {results} has measured a test: 'pytest --memray' measures all"
            )
        if kind == "commit":
            named = _as_things_are(runs)
        else:
            named = _named(wanted or "last", runs, rootdir_of(reader))
        tests = reader.tests_of(*(run.id or 0 for run in named.runs), stacks=False)
        left_out = 0
        if named.kind == "run":
            others = _rest_of_commit(named.runs[0], runs)
            of_others = reader.tests_of(*(run.id or 0 for run in others), stacks=False)
            left_out = len(_keys(of_others) - _keys(tests))
        return State(named.name, tests, named.kind, left_out)


def is_file(wanted: str) -> bool:
    """Return whether *wanted* names a file, or a folder with results in it, and no run."""
    return not _LAST.fullmatch(wanted) and results_in(Path(wanted)).is_file()


def _whole(path: Path) -> State:
    with ResultsReader(path) as reader:
        tests = reader.latest_tests(stacks=False)
        return State(f"newest results of every test in {shown_path(path)}", tests, "file")


def _keys(tests: Sequence[TestRecord]) -> set[tuple[str, str]]:
    return {(test.path, test.name) for test in tests}


class _Named(NamedTuple):
    """Runs, the newest first, and what they are called."""

    name: str
    runs: list[RunRecord]
    kind: Kind


def _as_things_are(runs: Sequence[RunRecord]) -> _Named:
    """Return all runs that measured what the last one did, in parts or again."""
    last = runs[0]
    if last.git_commit is None:
        return _Named(run_name(last), [last], "run")
    # With changes, what was measured of the commit before them still stands where nothing newer is.
    chosen = [
        run
        for run in runs
        if run.git_commit == last.git_commit and (last.git_dirty or not run.git_dirty)
    ]
    if len(chosen) == 1:
        return _Named(run_name(last), chosen, "run")
    return _Named(_commit_and_runs(last, chosen), chosen, "commit")


def _of_commit(commit: str, runs: Sequence[RunRecord]) -> list[RunRecord]:
    of_commit = [run for run in runs if run.git_commit == commit]
    # What was measured with other changes is not quite that commit.
    return [run for run in of_commit if not run.git_dirty] or of_commit


def _rest_of_commit(run: RunRecord, runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Return the others of the runs that the commit of *run* stands for, if *run* is of them."""
    if run.git_commit is None:
        return []
    chosen = _of_commit(run.git_commit, runs)
    return [other for other in chosen if other.id != run.id] if run in chosen else []


def _commit_and_runs(newest: RunRecord, chosen: Sequence[RunRecord]) -> str:
    name = commit_name(newest.git_commit, newest.git_dirty)
    return f"commit {name}, {counted(len(chosen), 'run')}"


def _named(wanted: str, runs: Sequence[RunRecord], rootdir: Path) -> _Named:
    """Return the runs that *wanted* names."""
    last = _LAST.fullmatch(wanted)
    if last:
        back = int(last[1] or 0)
        if back >= len(runs):
            raise CommandError(f"{wanted!r}: there are results of {counted(len(runs), 'run')} only")
        return _Named(run_name(runs[back]), [runs[back]], "run")
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
        return _Named(found[0], by_uuid, "run")
    chosen = _of_commit(by_commit[0], runs)
    return _Named(_commit_and_runs(chosen[0], chosen), chosen, "commit")


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
