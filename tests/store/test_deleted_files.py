"""Somebody deletes the results while a run writes to them."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from memlens.store import ResultsError, database_path, delete_results
from memlens.store.folder import size_of_results
from memlens.store.running import is_running, is_written_to

from .stored import a_test, begin, latest, measure, rows, statuses


def test_what_comes_after_is_kept_and_what_is_lost_is_said(tmp_path: Path) -> None:
    measure(tmp_path, "old", ["test_old"])
    writer = begin(tmp_path, "new")
    writer.add_test(a_test("test_a"))
    writer.add_test(a_test("test_b"))
    shutil.rmtree(tmp_path / ".memlens")
    writer.add_test(a_test("test_c"))
    assert is_running(writer.path, "new")
    writer.add_test(a_test("test_d"))
    writer.finish(0)
    writer.close()
    assert latest(writer.path) == [a_test("test_c"), a_test("test_d")]
    assert statuses(writer.path) == {"new": "finished"}
    assert writer.notices == [
        f"somebody has deleted {writer.path} during the run, and with it the results of 2 tests"
    ]
    assert (tmp_path / ".memlens" / ".gitignore").exists()
    assert rows(writer.path, "PRAGMA integrity_check") == ["ok"]
    assert rows(writer.path, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("journal", ["WAL", "TRUNCATE"])
def test_a_new_file_of_another_run_is_joined_and_left_whole(tmp_path: Path, journal: str) -> None:
    writer = begin(tmp_path, "first")
    writer._connection.execute(f"PRAGMA journal_mode = {journal}")
    writer.add_test(a_test("test_a"))
    shutil.rmtree(tmp_path / ".memlens")
    other = begin(tmp_path, "second")
    other.add_test(a_test("test_b"))
    writer.add_test(a_test("test_c"))
    other.add_test(a_test("test_d"))
    for each in (writer, other):
        each.finish(0)
        each.close()
    assert [test.name for test in latest(other.path)] == ["test_b", "test_c", "test_d"]
    assert statuses(other.path) == {"second": "finished", "first": "finished"}
    assert rows(other.path, "PRAGMA integrity_check") == ["ok"]
    assert len(writer.notices) == 1
    assert other.notices == []


def test_a_copy_in_its_place_that_has_everything_is_no_loss(tmp_path: Path) -> None:
    writer = begin(tmp_path, "new")
    writer.add_test(a_test("test_a"))
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(writer.path)) as one, closing(sqlite3.connect(copy)) as other:
        one.backup(other)
    for suffix in ("-wal", "-shm"):
        writer.path.with_name(f"results.db{suffix}").unlink()
    copy.replace(writer.path)
    writer.add_test(a_test("test_b"))
    writer.finish(0)
    writer.close()
    assert [test.name for test in latest(writer.path)] == ["test_a", "test_b"]
    assert writer.notices == []


def test_a_run_whose_results_are_deleted_at_its_end_says_so_and_makes_no_new_file(
    tmp_path: Path,
) -> None:
    writer = begin(tmp_path, "new")
    writer.add_test(a_test("test_a"))
    shutil.rmtree(tmp_path / ".memlens")
    with pytest.raises(ResultsError, match=r"somebody has deleted .*results\.db before the run"):
        writer.finish(0)
    writer.close()
    assert not (tmp_path / ".memlens").exists()


def test_results_are_not_deleted_while_a_run_writes_to_them(tmp_path: Path) -> None:
    writer = begin(tmp_path, "new")
    writer.add_test(a_test("test_a"))
    with pytest.raises(OSError, match="a pytest run is writing to it") as caught:
        delete_results(writer.path)
    assert caught.value.errno == errno.EBUSY
    writer.finish(0)
    writer.close()
    assert latest(writer.path) == [a_test("test_a")]
    assert not is_written_to(writer.path)
    delete_results(writer.path)
    assert not writer.path.exists()


def test_what_killed_runs_have_left_keeps_nothing_from_being_deleted(tmp_path: Path) -> None:
    path = measure(tmp_path, "old", ["test_a"])
    left = path.with_name("results.db.locks")
    left.mkdir()
    (left / "0123456789abcdef").touch()
    delete_results(path)
    assert not path.exists()


def test_the_size_of_results_has_the_log_in_it(tmp_path: Path) -> None:
    assert size_of_results(database_path(tmp_path)) == 0
    writer = begin(tmp_path, "new")
    writer.add_test(a_test("test_a"))
    log = writer.path.with_name("results.db-wal")
    assert size_of_results(writer.path) >= writer.path.stat().st_size + log.stat().st_size
    assert log.stat().st_size > 0
    writer.close()
    assert size_of_results(writer.path) == writer.path.stat().st_size
