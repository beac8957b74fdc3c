"""A full disk costs results, never the run: on a real file system, as small as it takes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from memlens.store import database_path

from .stored import latest, rows

#: Runs pytest twice, in a namespace whose mounts nobody else sees: with the folder `full` as it is
#: said, then with room there. What it says goes to standard output, as JSON.
_TWICE = """
import json, os, shutil, subprocess, sys
from pathlib import Path

full, size, filled, project, *pytest = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", full], check=True)
if Path(project).is_relative_to(full):
    Path(project).mkdir()
shutil.copy(Path(__file__).with_name("test_it.py"), project)
if filled == "filled":
    try:
        with open(f"{full}/fill", "wb", buffering=0) as file:
            while file.write(bytes(4096)): pass
    except OSError:
        pass
runs = []
for room in (False, True):
    if room:
        Path(f"{full}/fill").unlink(missing_ok=True)
        subprocess.run(["mount", "-o", "remount,size=64m", full], check=True)
    done = subprocess.run(pytest, cwd=project, capture_output=True, text=True)
    runs.append([done.returncode, done.stdout, os.listdir(full)])
shutil.copytree(project, Path(__file__).with_name("after"))
print(json.dumps(runs))
"""

_TESTS = """
import pytest

@pytest.mark.parametrize("number", range(40))
def test_light(number):
    assert [bytes(1000) for _ in range(50)]

def test_fails():
    assert False

def test_heavy():
    kept = [b""] * 64
    for number in range(50_000):
        kept[number % 64] = bytes(600 + number % 1000)
"""

_LIMITED = """
@pytest.mark.limit_memory("1 MB")
def test_over_its_limit():
    assert bytearray(2_000_000)
"""


class Run(NamedTuple):
    """What a run of pytest said."""

    status: int
    #: Like ``"PASSED test_it.py::test_a"``.
    outcomes: list[str]
    #: Lines that begin with ``memlens warning:``.
    warnings: list[str]
    #: What was in the folder that was full.
    files: list[str]


class Twice(NamedTuple):
    """Runs with a full disk and, after that, with room."""

    full: Run
    room: Run
    #: A copy of the project.
    project: Path


def run_twice(
    folder: Path, full: Path, size: str, project: Path, tests: str, *, filled: bool, env: Any = None
) -> Twice:
    """Run pytest in *project*, with the folder *full* on a file system of so many bytes."""
    full.mkdir()
    (folder / "test_it.py").write_text(tests)
    script = folder / "twice.py"
    script.write_text(_TWICE)
    command = [
        *("unshare", "--mount", "--map-root-user", sys.executable, str(script)),
        *(str(full), size, "filled" if filled else "", str(project)),
        *("env", "PYTHONDONTWRITEBYTECODE=1", *(env or ())),
        *(sys.executable, "-m", "pytest", "-rA", "--tb=no", "-p", "no:cacheprovider"),
        *("-W", "ignore", "--memray"),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    runs = []
    for status, output, files in json.loads(answer.stdout):
        lines = output.splitlines()
        outcomes = sorted(
            line.partition(" - ")[0]
            for line in lines
            if line.startswith(("PASSED", "FAILED", "ERROR", "MEMORY PROBLEMS"))
        )
        warnings = [line for line in lines if line.startswith("memlens warning:")]
        runs.append(Run(status, outcomes, warnings, files))
    return Twice(runs[0], runs[1], folder / "after")


@pytest.fixture(autouse=True)
def _needs_mounts(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, which is Linux's")
    probe = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "none", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode:
        pytest.skip(f"may not mount a file system: {probe.stderr.strip()}")


@pytest.mark.parametrize(
    ("size", "filled", "kept"),
    [
        pytest.param("256k", True, False, id="nothing fits"),
        pytest.param("100k", False, False, id="the schema does not fit"),
        pytest.param("600k", False, True, id="some results fit"),
    ],
)
def test_results_that_do_not_fit_cost_neither_tests_nor_what_was_kept(
    tmp_path: Path, size: str, filled: bool, kept: bool
) -> None:
    full = tmp_path / "full"
    twice = run_twice(tmp_path, full, size, full / "it", _TESTS + _LIMITED, filled=filled)
    assert twice.full.outcomes == twice.room.outcomes
    assert len(twice.full.outcomes) == 43
    assert twice.full.status == twice.room.status == pytest.ExitCode.TESTS_FAILED
    (warning,) = twice.full.warnings
    path = database_path(full / "it")
    assert warning.startswith("memlens warning: results were not kept: cannot ")
    assert str(path.parent) in warning
    assert twice.room.warnings == []
    after = database_path(twice.project)
    assert rows(after, "PRAGMA integrity_check") == ["ok"]
    assert len(latest(after)) == 43
    assert not list(after.parent.glob("*.damaged-*"))
    assert (after.parent / ".gitignore").read_text() == "*\n"
    runs = rows(after, "SELECT status, (SELECT count(*) FROM test WHERE run = run.id) FROM run")
    assert runs[-1] == ("finished", 43)
    if kept:
        ((status, tests),) = runs[:-1]
        assert status == "interrupted"
        assert 0 < tests < 43
    else:
        assert runs[:-1] in ([], [("interrupted", 0)])


def test_captures_that_do_not_fit_cost_measurements_and_no_test(tmp_path: Path) -> None:
    full, project = tmp_path / "full", tmp_path / "it"
    project.mkdir()
    twice = run_twice(tmp_path, full, "64k", project, _TESTS, filled=False, env=(f"TMPDIR={full}",))
    assert twice.full.outcomes == twice.room.outcomes
    assert len(twice.full.outcomes) == 42
    assert twice.full.status == twice.room.status == pytest.ExitCode.TESTS_FAILED
    # memray may meet the end of the disk before our thread that looks at the space, or after: in
    # one capture so, in the next the other way.
    reasons = ("is the disk full?", "so many allocations that recording them was given up")
    assert 1 <= len(twice.full.warnings) <= len(reasons)
    for warning in twice.full.warnings:
        assert "not measured: " in warning
        assert warning.endswith(reasons)
    assert twice.room.warnings == []
    assert twice.full.files == twice.room.files == []
    path = database_path(twice.project)
    first, second = rows(
        path, "SELECT status, (SELECT count(*) FROM test WHERE run = run.id) FROM run ORDER BY id"
    )
    assert first[0] == "finished"
    assert first[1] < 42
    assert second == ("finished", 42)


def test_a_temporary_folder_that_is_full_from_the_start_is_not_used(tmp_path: Path) -> None:
    full, project = tmp_path / "full", tmp_path / "it"
    project.mkdir()
    twice = run_twice(tmp_path, full, "64k", project, _TESTS, filled=True, env=(f"TMPDIR={full}",))
    assert twice.full.warnings == []
    assert twice.full.outcomes == twice.room.outcomes
    assert len(latest(database_path(twice.project))) == 42
