"""Results of several machines: workers elsewhere, and shards that are combined."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from memlens.store import ResultsReader, TestRecord, database_path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def project(folder: Path) -> Path:
    """Return a copy of the example project in *folder*."""
    copy = folder / "shop"
    shutil.copytree(EXAMPLES, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    return copy


def run(
    folder: Path, *command: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def measure(folder: Path, *arguments: str) -> None:
    """Run the example's tests; some are over their limits, as they should be."""
    finished = run(folder, "pytest", "-p", "memlens.plugin", "--memray", *arguments)
    assert finished.returncode in (0, 1), finished.stdout


def results(database: Path) -> dict[str, TestRecord]:
    with ResultsReader(database) as reader:
        return {test.nodeid: test for test in reader.latest_tests()}


def told(tests: Mapping[str, TestRecord]) -> dict[str, object]:
    """Return what does not depend on where and when a test was run."""
    return {
        nodeid: (
            test.path,
            test.line,
            test.outcome,
            [(check.marker, check.limit_bytes, check.verdict) for check in test.checks],
            {
                (frame.function, frame.path)
                for stack in test.stacks_of("leak")
                for frame in stack.frames
                if frame.kind == "project"
            },
        )
        for nodeid, test in tests.items()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TestRecord]:
    """The results of one run of everything on one machine."""
    folder = project(tmp_path_factory.mktemp("whole"))
    measure(folder)
    return results(database_path(folder))


def test_workers_with_other_folders_send_their_results(
    tmp_path: Path, whole: Mapping[str, TestRecord]
) -> None:
    """pytest-xdist copies the project to where each worker is."""
    folder = project(tmp_path)
    for name in ("one", "other", "temporary"):
        (tmp_path / name).mkdir()
    measure(
        folder,
        *("-p", "xdist", "--dist", "load", f"--rsyncdir={folder}"),
        *("--tx", f"popen//chdir={tmp_path / 'one'}//env:TMPDIR={tmp_path / 'temporary'}"),
        *("--tx", f"popen//chdir={tmp_path / 'other'}"),
        str(folder / "tests"),
    )
    found = results(database_path(folder))
    assert {test.worker for test in found.values()} == {"gw0", "gw1"}
    assert told(found) == told(whole)
    assert [path.name for path in (tmp_path / "temporary").iterdir()] == []


def test_shards_combined_say_what_one_run_says(
    tmp_path: Path, whole: Mapping[str, TestRecord]
) -> None:
    tests = sorted(whole)
    shards = []
    for number in range(3):
        folder = project(tmp_path / f"machine {number}")
        measure(
            folder,
            *(f"--deselect={test}" for index, test in enumerate(tests) if index % 3 != number),
        )
        shards.append(folder)
    here = project(tmp_path / "here")
    databases = [str(database_path(folder)) for folder in shards]
    maps = [f"--map={folder}=." for folder in shards]
    for order in (databases, databases[::-1]):  # twice the same
        combined = run(here, "memlens", "combine", *order, *maps)
        assert combined.returncode == 0, combined.stderr
    found = results(database_path(here))
    assert sorted(found) == tests
    assert told(found) == told(whole)
    with ResultsReader(database_path(here)) as reader:
        assert len(reader.runs(10)) == 3
        assert {run.rootdir for run in reader.runs(10)} == {str(here)}

    def findings(folder: Path) -> list[str]:
        """Return where something is wrong, and what: sizes may differ by an arena of Python's."""
        checked = run(folder, "memlens", "check")
        assert checked.returncode == 1
        return [" ".join(line.split(" ")[:3]) for line in checked.stdout.splitlines()]

    unsplit = project(tmp_path / "unsplit")
    measure(unsplit)
    assert findings(here) == findings(unsplit)
    assert len(findings(here)) == 6
    compared = run(here, "memlens", "compare", str(database_path(unsplit)), "--at-least=2 MB")
    assert compared.returncode == 0
    assert "0 appeared, 0 vanished, 10 within 2.0 MiB" in compared.stdout.splitlines()[-1]
