"""Runs that are killed, and runs side by side: real processes, real signals."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from memlens.store import ResultsError, ResultsReader, database_path
from memlens.store.running import RunLock, is_running

from .stored import a_test, begin, measure, rows, statuses

#: Each result is written at the end of its test.
AT_ONCE = "from memlens import pending; pending.LONGEST_WAIT = 0.0"
TESTS = """
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_{name}(number):
    kept = bytearray(1024 * (number + 1))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project whose captures are nobody else's."""
    project = tmp_path / "project"
    project.mkdir()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    (project / "pytest.ini").write_text("[pytest]\n")
    (project / "conftest.py").write_text(AT_ONCE)
    return project


@contextmanager
def running(project: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start pytest there; it is dead at the end, if it is not before."""
    command = [sys.executable, "-m", "pytest", "--memray", "-p", "no:cacheprovider", *arguments]
    process = subprocess.Popen(
        command,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def visible(project: Path) -> dict[str, list[tuple[str, int | None]]]:
    """Return what a reader sees: of each run the tests, and the peaks of their calls."""
    try:
        reader = ResultsReader(database_path(project))
    except ResultsError as error:
        assert "there are no results" in str(error)  # noqa: PT017 - the run has not come so far
        return {}
    with reader:
        uuids = {run.id: run.uuid for run in reader.runs(1000)}
    found: dict[str, list[tuple[str, int | None]]] = {uuid: [] for uuid in uuids.values()}
    for uuid, name, peak in rows(
        database_path(project),
        "SELECT uuid, test.name, peak_bytes FROM test JOIN run ON run.id = test.run"
        " LEFT JOIN phase ON phase.test = test.id AND phase.name = 'call' ORDER BY test.id",
    ):
        found.setdefault(uuid, []).append((name, peak))
    return found


def wait_for_results(
    process: subprocess.Popen[str], project: Path, earlier: Collection[str], count: int
) -> None:
    """Wait until a reader sees that many results of a new run, or fail."""
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        found = visible(project)
        if any(len(found[uuid]) >= count for uuid in found.keys() - set(earlier)):
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
    pytest.fail(f"{count} results were never seen")


def test_nothing_committed_is_lost_when_a_run_is_killed_at_any_moment(project: Path) -> None:
    never_ends = "\nimport signal\ndef test_that_never_ends(): signal.pause()\n"
    (project / "test_it.py").write_text(TESTS.format(name="one", count=60) + never_ends)
    chance = random.Random(20260102)
    killed: set[str] = set()
    for number in range(15):
        earlier = visible(project).keys()
        with running(project, "-q") as process:
            if number % 3 == 0:  # at any moment of its start
                with suppress(subprocess.TimeoutExpired):
                    process.wait(chance.uniform(0.05, 1.0))
            else:  # at any moment between two commits, or in one
                wait_for_results(process, project, earlier, chance.randrange(60))
                with suppress(subprocess.TimeoutExpired):
                    process.wait(chance.uniform(0, 0.03))
            before = visible(project)
            assert process.poll() is None
            process.kill()
            process.wait()
        after = visible(project)
        for uuid, tests in before.items():
            assert after[uuid][: len(tests)] == tests
        if database_path(project).exists():
            assert rows(database_path(project), "PRAGMA integrity_check") == ["ok"]
        # No test without what was measured of it.
        assert all(peak is not None for tests in after.values() for _, peak in tests)
        killed |= after.keys() - earlier
    assert len(killed) >= 10
    kept = visible(project)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--memray", "-q", "-p", "no:cacheprovider", "-k", "[7]"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert "memlens warning" not in run.stdout
    status = statuses(database_path(project))
    (last,) = status.keys() - kept.keys()
    assert status.pop(last) == "finished"
    assert {status[uuid] for uuid in killed} == {"interrupted"}
    assert rows(database_path(project), "SELECT 1 FROM run WHERE status = 'running'") == []
    for uuid, tests in kept.items():
        assert visible(project)[uuid][: len(tests)] == tests
    assert not (project / ".memlens" / "results.db.locks").exists()


def test_two_runs_at_once_both_keep_their_results(project: Path) -> None:
    for name in ("one", "two"):
        (project / f"test_{name}.py").write_text(TESTS.format(name=name, count=40))
    with running(project, "test_one.py") as one, running(project, "test_two.py") as two:
        outputs = [process.communicate(timeout=60)[0] for process in (one, two)]
        assert [one.returncode, two.returncode] == [0, 0], outputs
    assert not any("memlens warning" in output for output in outputs)
    path = database_path(project)
    assert list(statuses(path).values()) == ["finished"] * 2
    assert sorted(
        sorted({name[:8] for name, _ in tests}) for tests in visible(project).values()
    ) == [
        ["test_one"],
        ["test_two"],
    ]
    assert [len(tests) for tests in visible(project).values()] == [40, 40]


# ---- which runs are alive


def test_a_run_that_was_killed_is_known_as_interrupted_when_the_next_begins(
    tmp_path: Path,
) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from stored import a_test, begin\n"
        "writer = begin(Path(sys.argv[1]), 'killed')\n"
        "writer.add_test(a_test())\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        path = measure(tmp_path, "beside", ["test_b"])
        assert statuses(path) == {"beside": "finished", "killed": "running"}
        assert is_running(path, "killed")
        process.kill()
    assert not is_running(path, "killed")
    assert statuses(path)["killed"] == "interrupted"  # for readers at once
    assert rows(path, "SELECT status FROM run WHERE uuid = 'killed'") == ["running"]
    next_one = begin(tmp_path, "next")
    assert rows(path, "SELECT status FROM run WHERE uuid = 'killed'") == ["interrupted"]
    assert statuses(path) == {"next": "running", "beside": "finished", "killed": "interrupted"}
    next_one.close()


def test_a_run_that_could_not_write_its_end_is_known_as_interrupted(tmp_path: Path) -> None:
    writer = begin(tmp_path, "unfinished")
    writer.add_test(a_test())
    writer.close()
    measure(tmp_path, "next", [])
    assert statuses(writer.path) == {"next": "finished", "unfinished": "interrupted"}


def test_a_run_that_is_taken_up_again_ends_as_it_says(tmp_path: Path) -> None:
    begin(tmp_path, "killed").close()
    measure(tmp_path, "next", [])
    again = begin(tmp_path, "killed")
    again.add_test(a_test())
    assert statuses(again.path)["killed"] == "running"
    again.finish(None, interrupted=True)
    again.close()
    assert statuses(again.path)["killed"] == "interrupted"


def test_a_child_that_outlives_the_run_does_not_keep_it_alive(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    lock = RunLock(path, "run")
    reading, writing = os.pipe()
    is_there, says_so = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.write(says_so, b".")
        os.read(reading, 1)  # until the test ends
        os._exit(0)
    try:
        os.read(is_there, 1)
        assert is_running(path, "run")
        lock.forget()  # as when the process dies
        assert not is_running(path, "run")
    finally:
        os.close(writing)
        os.waitpid(child, 0)
        for file in (reading, is_there, says_so):
            os.close(file)


def test_a_child_does_not_end_the_run(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    lock = RunLock(path, "run")
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert is_running(path, "run")
    lock.release()
    assert not is_running(path, "run")
    assert list(tmp_path.iterdir()) == []


def test_what_a_database_calls_a_run_is_no_path(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "results.db"
    path.parent.mkdir()
    lock = RunLock(path, "../../outside")
    assert [file.parent.name for file in tmp_path.rglob("*") if file.is_file()] == [
        "results.db.locks"
    ]
    lock.release()


def test_a_run_without_a_place_for_its_lock_is_written_all_the_same(tmp_path: Path) -> None:
    (tmp_path / ".memlens").mkdir()
    (tmp_path / ".memlens" / "results.db.locks").write_text("in the way")
    path = measure(tmp_path, "run-1", ["test_a"])
    assert statuses(path) == {"run-1": "finished"}
