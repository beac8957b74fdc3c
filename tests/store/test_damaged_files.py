"""A file that cannot be used is moved aside, never deleted, and the run goes on with a new one."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from memlens.store import (
    CheckRecord,
    DamagedError,
    NewerSchemaError,
    ResultsError,
    ResultsReader,
    database_path,
)
from memlens.store.aside import identity_of, move_aside
from memlens.store.combining import combine

from .stored import a_test, begin, latest, measure, rows, statuses

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


def schema_without_words(path: Path) -> None:
    """What SQLite says of it quotes it, and is no text either."""
    measure(path.parent.parent, "old", ["test_old"])
    data = path.read_bytes()
    for whole, damaged in (
        (b"tablephasephase", b"tableph\xd0sephase"),
        (b"CREATE TABLE phase", b"CREATE TABLX phase"),
    ):
        assert data.count(whole) == 1
        data = data.replace(whole, damaged)
    path.write_bytes(data)


DAMAGES = [
    *(text, foreign, newer_foreign, without_a_table),
    *(bad_header, cut_short, bad_pages, schema_without_words),
]


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


def test_whatever_bytes_are_wrong_it_is_told_as_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "lib.py").write_text("def use(): ...\n" * 9)
    path = measure(tmp_path, "old", [a_test(f"test_{number}") for number in range(12)])
    whole = path.read_bytes()
    chance = random.Random(20260102)
    written = [place for place, byte in enumerate(whole) if byte]
    told = 0
    for _ in range(60):
        data = bytearray(whole)
        for place in chance.sample(written, chance.choice([1, 3, 20])):
            data[place] = chance.randrange(256)
        for file in path.parent.glob("results.db*"):
            file.unlink()
        path.write_bytes(data)
        for use in (read_all, combine_again, run_again):
            try:
                use(path)
            except ResultsError:
                told += 1
    assert told > 60


def combine_again(path: Path) -> None:
    combine([path], path.with_name("combined.db"))
    path.with_name("combined.db").unlink()


def run_again(path: Path) -> None:
    writer = begin(path.parent.parent, "new")
    try:
        for number in (1, 11, 99):
            writer.add_test(a_test(f"test_{number}"))
        writer.finish(0)
        writer.trim(runs=1, size=None)
    finally:
        writer.close()


#: What no check of SQLite's finds.
UNREADABLE = {
    "frame that is gone": "DELETE FROM frame WHERE id = 1",
    "no versions": "UPDATE run SET versions = 'x'",
    "versions that are a number": "UPDATE run SET versions = '1'",
    "no command line": "UPDATE run SET command_line = '['",
    "half a histogram": "UPDATE phase SET histogram = '[1,'",
    "histogram without end": "UPDATE phase SET histogram = replace(hex(zeroblob(50000)), '0', '[')",
    "two histograms in one": "UPDATE phase SET histogram = '[1],[2]'",
    "frames that are a number": "UPDATE stack SET frames = '1'",
    "frames in lists": "UPDATE stack SET frames = '[[1]]'",
    "bytes for frames": "UPDATE stack SET frames = x'00'",
    "name that is no text": "UPDATE test SET nodeid = CAST(x'd0' AS TEXT)",
    "peak that is no number": "UPDATE phase SET peak_bytes = 'much'",
    "text that is bytes": "UPDATE test SET nodeid = x'74'",
    "limit that is no number": "UPDATE limit_check SET limit_bytes = 'much'",
    "stack that is no number": "UPDATE stack SET bytes = 'much'",
    "line that is no number": "UPDATE frame SET line = 'first'",
    "source that is bytes": "UPDATE source SET text = x'00'",
}


@pytest.fixture(params=UNREADABLE.values(), ids=list(UNREADABLE))
def unreadable(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "lib.py").write_text("def use(): ...\n")
    path = measure(tmp_path, "old", [a_test("test_old"), a_test("test_too")])
    spoil(path, request.param)
    return path


def spoil(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def read_all(path: Path) -> None:
    with ResultsReader(path) as reader:
        reader.runs(limit=None)
        reader.measured_runs()
        reader.latest_tests()
        reader.tests_of(1)
        reader.summaries(10)
        reader.history("test_it.py", "test_old")
        reader.latest_exceeded()
        reader.latest_near_limit()
        reader.sites_in("lib.py")
        reader.last_passing_peaks()
        reader.source(1, "lib.py")


def test_damage_that_only_shows_in_reading_is_said_with_what_to_do(unreadable: Path) -> None:
    with pytest.raises(DamagedError) as caught:
        read_all(unreadable)
    said = str(caught.value)
    assert said.startswith(f"the results in {unreadable} are damaged: ")
    assert said.endswith("; move the file away to start afresh")


def test_a_run_adds_to_results_of_which_some_cannot_be_read(unreadable: Path) -> None:
    writer = begin(unreadable.parent.parent, "new")
    writer.add_test(a_test("test_new"))
    writer.finish(0)
    with suppress(ResultsError):
        writer.trim(runs=1, size=10)
    writer.close()
    assert rows(unreadable, "SELECT name FROM test ORDER BY id DESC LIMIT 1") == ["test_new"]


def lose_a_frame(path: Path) -> None:
    """Give the table's last row another id than the index of the table says."""
    (page,) = rows(path, "SELECT rootpage FROM sqlite_master WHERE name = 'frame'")
    (size,) = rows(path, "PRAGMA page_size")
    data = bytearray(path.read_bytes())
    start = (page - 1) * size
    assert data[start] == 13  # a leaf: https://www.sqlite.org/fileformat2.html#b_tree_pages
    last = start + 8 + 2 * (int.from_bytes(data[start + 3 : start + 5], "big") - 1)
    row = start + int.from_bytes(data[last : last + 2], "big")
    assert data[row + 1] == 2
    data[row + 1] = 100
    path.write_bytes(data)


def test_a_file_that_contradicts_itself_is_moved_aside_once_that_shows(tmp_path: Path) -> None:
    path = measure(tmp_path, "old", ["test_old"])
    lose_a_frame(path)
    writer = begin(tmp_path, "new")
    writer.add_test(a_test("test_old"))
    writer.finish(0)
    writer.close()
    (moved,) = kept(path)
    assert [str(moved) in notice for notice in writer.notices] == [True]
    assert "missing from index" in writer.notices[0]
    assert latest(path) == [a_test("test_old")]


def test_a_result_that_cannot_be_stored_is_no_reason_to_move_the_file(tmp_path: Path) -> None:
    path = measure(tmp_path, "old", ["test_old"])
    writer = begin(tmp_path, "new")
    wrong = a_test()._replace(checks=(CheckRecord("m", 1, 2, "nonsense", "?"),))  # type: ignore[arg-type]
    with pytest.raises(ResultsError, match="CHECK constraint") as caught:
        writer.add_test(wrong)
    assert not isinstance(caught.value, DamagedError)
    writer.close()
    assert kept(path) == []
    assert writer.notices == []


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
