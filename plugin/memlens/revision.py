"""Which git commit was measured, asked for without waiting."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
from typing import NamedTuple

#: Seconds that the end of a run may wait for git.
_PATIENCE = 5.0


class Revision(NamedTuple):
    """The state of a git work tree. Both None where there is none."""

    commit: str | None = None
    #: Tracked files differ from the commit.
    dirty: bool | None = None


#: git is no child of ours: a test that waits for all its children would find it among them. What
#: comes after its answer says that the answer is whole.
_END = "# memlens.end"
_ASK = f"(git status --porcelain=v2 --branch --untracked-files=no && echo '{_END}') &"


class RevisionQuestion:
    """Asks git in the background: `git status` takes its time in a large work tree."""

    def __init__(self, folder: Path) -> None:
        """Start to ask about the work tree that *folder* is in."""
        self._process: Popen[str] | None = None
        with suppress(OSError):
            self._process = Popen(
                ["/bin/sh", "-c", _ASK],
                cwd=folder,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=DEVNULL,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            self._process.wait()  # the shell only starts git

    def answer(self) -> Revision:
        """Return what git says, waiting a few seconds at most. May be called once."""
        if self._process is None:
            return Revision()
        with self._process as process:
            try:
                output, _ = process.communicate(timeout=_PATIENCE)
            except TimeoutExpired:
                return Revision()
        answer, end, _ = output.partition(f"{_END}\n")
        return parse_status(answer) if end else Revision()


def parse_status(output: str) -> Revision:
    """Return what ``git status --porcelain=v2 --branch`` says (see git-status(1))."""
    lines = output.splitlines()
    prefix = "# branch.oid "
    commits = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
    # Before the first commit git says "(initial)".
    commit = commits[0] if commits and not commits[0].startswith("(") else None
    return Revision(commit, any(line and not line.startswith("#") for line in lines))
