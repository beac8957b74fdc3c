"""Results that a dead run left behind go to where they belong, and do no harm there."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from memlens.recovery import recover_leftovers
from memlens.store import ResultsReader, database_path
from memlens.store.database import SCHEMA_VERSION


@pytest.fixture
def temporary(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only place where captures can be, of the inner run and of this process."""
    folder = pytester.path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def database(pytester: pytest.Pytester, temporary: Path) -> Path:
    """Return the results of a run that died; that of its second test is still in its capture."""
    pytester.makeconftest("from memlens import pending; pending.LONGEST_WAIT = 1000.0")
    pytester.makepyfile(
        test_it="""
        import os

        def test_first(): pass
        def test_second(): pass
        def test_dies(): os._exit(3)
        """
    )
    pytester.runpytest_subprocess("--memray", "-p", "no:tmpdir", "-p", "no:cacheprovider")
    path = database_path(pytester.path)
    assert len(capture_folders(temporary)) == 1
    assert names(path) == ["test_first"]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def names(path: Path) -> list[str]:
    with ResultsReader(path) as reader:
        return [test.name for test in reader.latest_tests()]


def capture_folders(temporary: Path) -> list[Path]:
    return sorted(temporary.glob("memlens-*"))


def damage(path: Path) -> None:
    path.write_bytes(b"x" * 100 + path.read_bytes()[100:])


def make_newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("spoil", [damage, make_newer])
def test_a_database_that_cannot_be_used_is_left_alone_and_so_is_what_belongs_there(
    database: Path, temporary: Path, spoil: object
) -> None:
    whole = database.read_bytes()
    spoil(database)  # type: ignore[operator]
    spoiled = database.read_bytes()
    assert recover_leftovers() == []
    assert database.read_bytes() == spoiled
    assert list(database.parent.glob("*.damaged-*")) == []
    assert len(capture_folders(temporary)) == 1
    database.write_bytes(whole)
    assert recover_leftovers() == []
    assert names(database) == ["test_first", "test_second"]
    assert capture_folders(temporary) == []


def test_a_database_of_an_older_memlens_is_not_migrated(
    database: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = database.read_bytes()
    with pytest.MonkeyPatch.context() as newer:
        newer.setattr("memlens.store.database.SCHEMA_VERSION", SCHEMA_VERSION + 1)
        newer.setattr("memlens.store.migrating.STEPS", {SCHEMA_VERSION: "DELETE FROM test"})
        assert recover_leftovers() == []
    assert database.read_bytes() == before
    assert len(capture_folders(temporary)) == 1
    assert recover_leftovers() == []  # as the project's own memlens does
    assert names(database) == ["test_first", "test_second"]


def test_what_nobody_takes_is_given_up_after_a_week(database: Path, temporary: Path) -> None:
    damage(database)
    (folder,) = capture_folders(temporary)
    eight_days_ago = folder.stat().st_mtime - 8 * 24 * 3600
    os.utime(folder, (eight_days_ago, eight_days_ago))
    (notice,) = recover_leftovers()
    assert notice.startswith("results of a run that was killed a week ago were given up: ")
    assert str(database) in notice
    assert capture_folders(temporary) == []


def test_what_belongs_to_a_project_that_is_gone_goes_too(
    database: Path, temporary: Path, pytester: pytest.Pytester
) -> None:
    project = pytester.path / "elsewhere"
    (folder,) = capture_folders(temporary)
    description = folder / "run.json"
    description.write_text(description.read_text().replace(str(pytester.path), str(project)))
    assert recover_leftovers() == []
    assert capture_folders(temporary) == []
    assert not project.exists()


def test_the_next_run_moves_a_damaged_file_aside_and_the_one_after_takes_what_is_left(
    database: Path, temporary: Path, pytester: pytest.Pytester
) -> None:
    damage(database)
    command = [sys.executable, "-m", "pytest", "--memray", "-p", "no:cacheprovider", "-k", "first"]
    run = pytester.run(*command)
    run.assert_outcomes(passed=1, deselected=2)
    (moved,) = database.parent.glob("*.damaged-*")
    run.stdout.fnmatch_lines([f"memlens warning: * what was there is now {moved}"])
    assert len(capture_folders(temporary)) == 1
    run = pytester.run(*command)
    run.stdout.no_fnmatch_line("memlens warning: *")
    assert set(names(database)) == {"test_first", "test_second"}
    assert capture_folders(temporary) == []
