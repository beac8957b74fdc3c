"""A file that cannot be used is moved aside, never deleted, and the run goes on with a new one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from memlens.store import DamagedError, NewerSchemaError, ResultsError, ResultsReader, database_path
from memlens.store.aside import identity_of, move_aside

from .stored import a_test, begin, latest, measure, statuses

Damage = Callable[[Path], None]


def text(path: Path) -> None:
    path.write_text("not a database, but somebody's")


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (a)")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()


def newer_foreign(path: Path) -> None:
    foreign(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 70")


def without_a_table(path: Path) -> None:
    measure(path.parent.parent, "old", ["test_old"])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE phase")


def bad_header(path: Path) -> None:
    measure(path.parent.parent, "old", ["test_old"])
    path.write_bytes(b"x" * 100 + path.read_bytes()[100:])


def cut_short(path: Path) -> None:
    measure(path.parent.parent, "old", ["test_old"])
    path.write_bytes(path.read_bytes()[:5000])


def bad_pages(path: Path) -> None:
    """The head and the schema are whole, the rest is noise."""
    measure(path.parent.parent, "old", [a_test(f"test_{number}") for number in range(300)])
    data = path.read_bytes()
    path.write_bytes(data[: 4096 * 2] + b"\x7f" * (len(data) - 4096 * 2))


DAMAGES = [text, foreign, newer_foreign, without_a_table, bad_header, cut_short, bad_pages]


@pytest.fixture(params=DAMAGES, ids=lambda damage: damage.__name__)
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = database_path(tmp_path)
    path.parent.mkdir()
    request.param(path)
    return path


def kept(path: Path) -> list[Path]:
    return sorted(path.parent.glob("results.db.damaged-*"))


def test_a_file_that_cannot_be_used_is_moved_aside_and_the_run_goes_on(damaged: Path) -> None:
    before = damaged.read_bytes()
    writer = begin(damaged.parent.parent, "new")
    writer.add_test(a_test())
    writer.finish(0)
    writer.close()
    (moved,) = kept(damaged)
    assert moved.read_bytes() == before
    (notice,) = writer.notices
    assert str(moved) in notice
    assert str(damaged) in notice
    assert latest(damaged) == [a_test()]
    assert statuses(damaged) == {"new": "finished"}


def test_readers_refuse_it_by_name_and_move_nothing(damaged: Path) -> None:
    before = damaged.read_bytes()
    with pytest.raises(ResultsError, match=r"results\.db"), ResultsReader(damaged) as reader:
        reader.latest_tests()
    assert damaged.read_bytes() == before
    assert kept(damaged) == []


def test_a_file_that_is_damaged_while_a_run_writes_costs_what_it_held(tmp_path: Path) -> None:
    path = measure(tmp_path, "old", [a_test(f"test_{number}") for number in range(300)])
    writer = begin(tmp_path, "new")
    writer.add_test(a_test("test_before"))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x7f" * (size - 4096))
    log = path.with_name("results.db-wal")
    log.write_bytes(b"\x7f" * log.stat().st_size)
    names = [f"test_after_{number}" for number in range(300)]
    for name in names:
        writer.add_test(a_test(name))
    writer.finish(0)
    writer.close()
    (moved,) = (file for file in kept(path) if not file.name.endswith(("-wal", "-shm")))
    assert [str(moved) in notice for notice in writer.notices] == [True]
    stored = [test.name for test in latest(path)]
    assert stored
    assert stored == names[-len(stored) :]
    assert statuses(path) == {"new": "finished"}


def test_nothing_that_was_moved_before_is_overwritten(tmp_path: Path) -> None:
    path = database_path(tmp_path)
    path.parent.mkdir()
    for number in range(20):  # several in a second
        path.write_text(f"damaged {number}")
        begin(tmp_path, "new").close()
    assert sorted(file.read_text() for file in kept(path)) == sorted(
        f"damaged {number}" for number in range(20)
    )


def test_what_sqlite_has_beside_the_file_goes_with_it(tmp_path: Path) -> None:
    path = database_path(tmp_path)
    path.parent.mkdir()
    path.write_text("damaged")
    beside = [path.with_name(f"results.db{suffix}") for suffix in ("-wal", "-shm", "-journal")]
    for file in beside:
        file.write_text(file.name)
    moved = move_aside(path, identity_of(path))
    assert moved is not None
    assert {file.name.removeprefix(moved.name): file.read_text() for file in kept(path)} == {
        "": "damaged",
        "-wal": "results.db-wal",
        "-shm": "results.db-shm",
        "-journal": "results.db-journal",
    }
    assert not path.exists()
    assert not any(file.exists() for file in beside)


def test_a_file_that_another_run_has_put_there_by_now_stays(tmp_path: Path) -> None:
    path = database_path(tmp_path)
    path.parent.mkdir()
    path.write_text("damaged")
    damaged = identity_of(path)
    first = move_aside(path, damaged)
    measure(tmp_path, "new", ["test_a"])
    assert move_aside(path, damaged) is None
    assert kept(path) == [first]
    assert latest(path) == [a_test()]


@pytest.mark.parametrize("has_tables", [False, True])
def test_a_newer_schema_is_left_alone(tmp_path: Path, has_tables: bool) -> None:
    path = database_path(tmp_path)
    if has_tables:
        measure(tmp_path, "old", ["test_old"])
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(NewerSchemaError, match="schema version 99; this memlens reads up to 1"):
        begin(tmp_path, "new")
    assert path.read_bytes() == before
    assert kept(path) == []
    assert not list(path.parent.glob("results.db.locks/*"))


def test_what_sqlite_says_of_a_damaged_file_is_told_from_other_errors(tmp_path: Path) -> None:
    path = database_path(tmp_path)
    path.mkdir(parents=True)  # a folder in the way is no damage
    with pytest.raises(ResultsError) as caught:
        begin(tmp_path, "new")
    assert not isinstance(caught.value, DamagedError)
    assert path.is_dir()


def test_the_run_says_at_its_end_what_was_moved_aside(pytester: pytest.Pytester) -> None:
    path = database_path(pytester.path)
    path.parent.mkdir()
    path.write_text("not a database")
    pytester.makepyfile(test_it="def test_a(): pass\ndef test_b(): assert False")
    run = pytester.runpytest("--memray")
    run.assert_outcomes(passed=1, failed=1)
    (moved,) = kept(path)
    assert moved.read_text() == "not a database"
    warnings = [line for line in run.stdout.lines if line.startswith("memlens warning: ")]
    assert len(warnings) == 1
    assert warnings[0].endswith(f"what was there is now {moved}")
    assert [test.name for test in latest(path)] == ["test_a", "test_b"]
    again = pytester.runpytest("--memray")
    again.stdout.no_fnmatch_line("memlens warning: *")
