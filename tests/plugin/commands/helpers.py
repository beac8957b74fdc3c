"""Results for tests of the commands: written as runs write them, read as a user does."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from memlens.store import (
    CheckRecord,
    PhaseRecord,
    ResultsWriter,
    RunRecord,
    TestRecord,
    Verdict,
    database_path,
)

KIB, MIB = 1024, 1024**2


def measured(
    nodeid: str,
    peak: int,
    *,
    limit: int | None = None,
    outcome: str = "passed",
    duration: float = 0.5,
) -> TestRecord:
    """Return a test that took *peak* bytes, with a limit_memory of *limit*."""
    checks: tuple[CheckRecord, ...] = ()
    if limit is not None:
        verdict: Verdict = "exceeded" if peak >= limit else "passed"
        checks = (CheckRecord("limit_memory", limit, peak, verdict, "What it says"),)
    return TestRecord(
        nodeid=nodeid,
        path=nodeid.partition("::")[0],
        line=3,
        outcome=outcome,
        duration=duration,
        worker=None,
        phases=(PhaseRecord("call", peak, peak, 2, 0),),
        checks=checks,
        stacks=(),
    )


def write_run(
    project: Path,
    uuid: str,
    *tests: TestRecord,
    commit: str | None = None,
    dirty: bool = False,
    started: str = "2026-01-02T03:04:05.000006+00:00",
    database: Path | None = None,
) -> Path:
    """Write a run into the results of *project*, or into *database*, whose path is returned."""
    run = RunRecord(
        uuid=uuid,
        started=started,
        finished=None,
        status="running",
        exit_status=None,
        command_line=("--memray",),
        rootdir=str(project),
        versions={},
        git_commit=None,
        git_dirty=None,
        collected=len(tests),
    )
    writer = ResultsWriter(database or database_path(project), run)
    for test in tests:
        writer.add_test(test)
    writer.finish(0, git_commit=commit, git_dirty=dirty if commit else None)
    writer.close()
    return writer.path


def memlens(
    folder: Path, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in *folder*, its output piped."""
    return subprocess.run(
        [sys.executable, "-m", "memlens", *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        env=_environment(env),
        check=False,
    )


def on_a_terminal(
    folder: Path,
    *arguments: str,
    columns: int = 80,
    typed: str = "",
    env: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run the command on a terminal; return its exit status and what the terminal got."""
    import fcntl  # not on Windows
    import pty
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "memlens", *arguments],
        cwd=folder,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=_environment({"TERM": "xterm-256color", **(env or {})}),
    ) as process:
        os.close(follower)
        os.write(leader, typed.encode())
        output = b""
        while True:
            try:
                chunk = os.read(leader, 65536)
            except OSError:  # what Linux says when the last other end is closed
                break
            if not chunk:
                break
            output += chunk
    os.close(leader)
    return process.returncode, output.decode().replace("\r\n", "\n")


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    """Return this process's, without what says how a terminal is, and *more*."""
    telling = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE")
    environment = {key: value for key, value in os.environ.items() if key not in telling}
    return {**environment, "PYTHONIOENCODING": "utf-8", "TZ": "UTC", **(more or {})}
