"""Within a schema version, tables and indexes may be added: files that lack them are no others."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from memlens.store import DamagedError, ResultsReader
from memlens.store.combining import combine
from memlens.store.database import REQUIRED_TABLES, SCHEMA_VERSION, open_for_writing
from memlens.store.trimming import trim

from .keep_file import dump
from .stored import a_test, begin, latest, measure, rows

#: What version 1 had when it was first used.
FIRST = {"run", "test", "phase", "limit_check", "stack", "frame", "source", "run_source"}
ADDED = ("setting",)
INDEXES = ("stack_by_site", "phase_heavy")


def without(path: Path, tables: Sequence[str] = ADDED, indexes: Sequence[str] = INDEXES) -> Path:
    """Make *path* what a memlens wrote that did not know these tables and indexes."""
    with closing(sqlite3.connect(path)) as connection:
        for table in tables:
            connection.execute(f"DROP TABLE {table}")
        for index in indexes:
            connection.execute(f"DROP INDEX {index}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def early(tmp_path: Path) -> Path:
    return without(measure(tmp_path, "old", ["test_old"]))


def test_only_what_a_version_began_with_is_demanded() -> None:
    assert SCHEMA_VERSION == 1
    assert REQUIRED_TABLES == FIRST


def test_a_file_without_an_added_table_is_read_as_it_is(early: Path) -> None:
    before = early.read_bytes()
    assert latest(early) == [a_test("test_old")]
    with ResultsReader(early) as reader:
        assert reader.settings() == {}
        assert reader.heavy_tests() == []
    assert early.read_bytes() == before


def test_a_run_adds_what_is_missing_and_keeps_what_is_there(early: Path, tmp_path: Path) -> None:
    writer = begin(tmp_path, "new")
    writer.add_test(a_test("test_new"))
    writer.finish(0)
    writer.trim(runs=7, size=None)
    writer.close()
    assert writer.notices == []
    assert latest(early) == [a_test("test_old"), a_test("test_new")]
    with ResultsReader(early) as reader:
        assert reader.settings() == {"memray_history": 7}
    whole = measure(tmp_path / "other", "whole", [])
    assert objects(early) == objects(whole)
    assert list(early.parent.glob("*.damaged-*")) == []


def test_whatever_writes_adds_what_is_missing(early: Path, tmp_path: Path) -> None:
    trim(early, runs=5, size=None)
    assert rows(early, "SELECT count(*) FROM setting") == [0]
    without(early)
    combine([measure(tmp_path / "other", "run-2", ["test_b"])], early)
    assert rows(early, "SELECT count(*) FROM setting") == [0]
    assert {test.name for test in latest(early)} == {"test_old", "test_b"}


def test_a_file_without_an_added_table_can_be_combined(early: Path, tmp_path: Path) -> None:
    combine([early], tmp_path / "all.db")
    assert latest(tmp_path / "all.db") == [a_test("test_old")]


def test_a_file_to_which_nothing_has_to_be_added_stays_as_it_is(tmp_path: Path) -> None:
    path = measure(tmp_path, "old", ["test_old"])
    before = dump(path)
    open_for_writing(path).close()
    assert dump(path) == before


def test_what_a_later_memlens_added_to_the_version_stays(tmp_path: Path) -> None:
    path = measure(tmp_path, "old", ["test_old"])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE later (id INTEGER PRIMARY KEY, test INTEGER)")
        connection.execute("ALTER TABLE test ADD COLUMN weather TEXT")
        connection.execute("INSERT INTO later VALUES (1, 1)")
        connection.commit()
    measure(tmp_path, "new", ["test_new"])
    assert latest(path) == [a_test("test_old"), a_test("test_new")]
    assert rows(path, "SELECT * FROM later") == [(1, 1)]


@pytest.mark.parametrize("table", sorted(FIRST))
def test_a_file_without_a_table_of_the_first_is_damaged(tmp_path: Path, table: str) -> None:
    path = without(measure(tmp_path, "old", ["test_old"]), [table], [])
    with pytest.raises(DamagedError, match="is not a memlens results database"):
        ResultsReader(path)


def objects(path: Path) -> dict[tuple[str, str], list[str]]:
    """Return what there is in a database, but for comments and the spaces between words."""
    kinds = rows(path, "SELECT type, name, sql FROM sqlite_master")
    return {(kind, name): re.sub(r"--.*|\W+", " ", sql or "").split() for kind, name, sql in kinds}
