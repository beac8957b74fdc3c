"""Results of several machines in one database."""

from __future__ import annotations

import errno
import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from memlens.store import (
    FrameRecord,
    NewerSchemaError,
    ResultsError,
    ResultsReader,
    ResultsWriter,
    StackRecord,
    TestRecord,
    database_path,
)
from memlens.store.combining import Combined, combine

from .stored import a_test, begin, latest, measure, rows, statuses

EARLY, LATER, LAST = (f"2026-01-02T0{hour}:00:00.000000+00:00" for hour in (1, 2, 3))


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """Three machines, each with a run of its own; one test was run by two of them."""
    paths = []
    for number, (started, tests) in enumerate(
        [
            (LATER, [a_test("test_a", peak=11), a_test("test_b", peak=12)]),
            (EARLY, [a_test("test_b", peak=13), a_test("test_c", "test_more.py", peak=14)]),
            (LAST, [a_test("test_d", peak=15)]),
        ]
    ):
        root = tmp_path / f"machine-{number}"
        root.mkdir()
        (root / "lib.py").write_text("def use(): ...\n")
        (root / "test_it.py").write_text(f"# of machine {number}\n")
        paths.append(measure(root, f"run-{number}", tests, started))
    return paths


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return database_path(tmp_path / "here")


def content(path: Path) -> list[object]:
    """Return all that is in the database, in the order in which it is there."""
    tables = ("run", "test", "phase", "limit_check", "stack", "frame", "source", "run_source")
    return [rows(path, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


def meaning(path: Path) -> list[object]:
    """Return what readers see, whatever the ids."""
    with ResultsReader(path) as reader:
        runs = [run._replace(id=None) for run in reader.runs(1000)]
        texts = [
            reader.source(run.id or 0, file)
            for run in reader.runs(1000)
            for file in ("lib.py", "test_it.py")
        ]
    return [runs, texts, latest(path)]


def test_all_runs_and_tests_are_in_the_combination(shards: list[Path], target: Path) -> None:
    assert combine(shards, target) == Combined(runs=3, tests=5, new_runs=3, new_tests=5)
    with ResultsReader(target) as reader:
        runs = reader.runs(10)
        assert [(run.uuid, run.started) for run in runs] == [
            ("run-2", LAST),
            ("run-0", LATER),
            ("run-1", EARLY),
        ]
        for run in runs:
            number = run.uuid[-1]
            with ResultsReader(shards[int(number)]) as shard:
                assert run._replace(id=None) == shard.runs()[0]._replace(id=None)
            source = reader.source(run.id or 0, "test_it.py")
            assert source is not None
            assert source.text == f"# of machine {number}\n"
    assert latest(target) == [
        a_test("test_c", "test_more.py", peak=14),
        a_test("test_a", peak=11),
        a_test("test_b", peak=12),  # the later one counts
        a_test("test_d", peak=15),
    ]


def test_what_is_the_same_is_stored_once(shards: list[Path], target: Path) -> None:
    combine(shards, target)
    assert rows(target, "SELECT count(*) FROM frame WHERE function = 'use'") == [1]
    assert rows(target, "SELECT count(*) FROM source WHERE path = 'lib.py'") == [1]
    assert rows(target, "SELECT count(*) FROM run_source WHERE path = 'lib.py'") == [3]
    assert rows(target, "PRAGMA foreign_key_check") == []
    assert rows(target, "PRAGMA integrity_check") == ["ok"]


def test_any_order_gives_the_same(shards: list[Path], tmp_path: Path) -> None:
    expected = None
    for number, order in enumerate(itertools.permutations(shards)):
        target = tmp_path / f"combined-{number}.db"
        combine(order, target)
        expected = expected or meaning(target)
        assert meaning(target) == expected


def test_one_after_the_other_gives_the_same_as_all_at_once(
    shards: list[Path], target: Path, tmp_path: Path
) -> None:
    for shard in shards:
        combine([shard], target)
    at_once = tmp_path / "at-once.db"
    combine(shards, at_once)
    assert meaning(target) == meaning(at_once)


def test_combining_again_adds_nothing(shards: list[Path], target: Path) -> None:
    combine(shards, target)
    before = content(target)
    for again in (shards, shards[:1], [*shards, *shards], [target], [target, shards[1]]):
        assert combine(again, target) == Combined(runs=3, tests=5, new_runs=0, new_tests=0)
        assert content(target) == before


def test_the_project_s_own_results_stay(shards: list[Path], target: Path) -> None:
    own = a_test("test_own", peak=19)
    measure(target.parent.parent, "own", [own], LATER.replace("02T02", "02T02:30"))
    assert combine(shards, target).new_runs == 3
    assert own in latest(target)
    assert len(statuses(target)) == 4


def test_an_older_run_that_is_added_late_does_not_count_as_newer(
    shards: list[Path], target: Path
) -> None:
    combine(shards[:1], target)
    combine(shards[1:2], target)
    assert a_test("test_b", peak=12) in latest(target)


def test_copies_of_one_run_add_up(tmp_path: Path, target: Path) -> None:
    """One was copied while the run went on; from the other, old results were dropped."""
    writer = begin(tmp_path / "machine", "run-1")
    writer.add_test(a_test("test_a"))
    writer.add_test(a_test("test_b"))
    early = tmp_path / "early.db"
    with closing(sqlite3.connect(writer.path)) as one, closing(sqlite3.connect(early)) as other:
        one.backup(other)
    writer.add_test(a_test("test_c"))
    writer.add_test(a_test("test_d"))
    writer.finish(0)
    writer.close()
    with closing(sqlite3.connect(writer.path)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM test WHERE name = 'test_a'")
        connection.commit()
    for number, order in enumerate([[early, writer.path], [writer.path, early]]):
        path = tmp_path / f"{number}.db"
        assert combine(order, path) == Combined(1, 4, 1, 4)
        assert {test.name for test in latest(path)} == {"test_a", "test_b", "test_c", "test_d"}
        assert statuses(path) == {"run-1": "finished"}
    assert meaning(tmp_path / "0.db") == meaning(tmp_path / "1.db")


# ---- paths


def framed(path: str, *frames: str) -> TestRecord:
    places = tuple(FrameRecord("f", frame, 1, "project") for frame in frames)
    return a_test("test_a", path)._replace(stacks=(StackRecord("peak", 1, 1, places),))


def combined_with(
    tmp_path: Path, maps: dict[str, str], path: str, *frames: str
) -> tuple[str, TestRecord]:
    """Combine a run at /home/runner/work/app with *maps*; return root folder and result."""
    source = measure(tmp_path / "source", "run-1", [framed(path, *frames)])
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("UPDATE run SET rootdir = '/home/runner/work/app'")
        connection.commit()
    target = database_path(tmp_path / "here")
    combine([source], target, maps=maps)
    (test,) = latest(target)
    (rootdir,) = rows(target, "SELECT rootdir FROM run")
    return rootdir, test


def test_folders_of_another_machine_become_those_of_this_one(tmp_path: Path) -> None:
    rootdir, test = combined_with(
        tmp_path,
        {"/home/runner/work/app": ".", "/opt/python": "/usr/lib/python"},
        "/home/runner/work/app/tests/test_it.py",
        "/home/runner/work/app/lib.py",
        "/home/runner/work/application/lib.py",
        "/opt/python/json.py",
        "/opt/pythons/json.py",
        "home/runner/work/app/lib.py",
        "lib.py",
    )
    assert rootdir == str(tmp_path / "here")
    assert test.path == "tests/test_it.py"
    assert [frame.path for frame in test.stacks[0].frames] == [
        "lib.py",
        "/home/runner/work/application/lib.py",
        "/usr/lib/python/json.py",
        "/opt/pythons/json.py",
        "home/runner/work/app/lib.py",
        "lib.py",
    ]


def test_the_nearest_folder_decides(tmp_path: Path) -> None:
    rootdir, test = combined_with(
        tmp_path,
        {"/home": "/mnt/home", "/home/runner/work/app/vendor": "/vendor", "/home/runner/": "../r"},
        "tests/test_it.py",
        "/home/x.py",
        "/home/runner/x.py",
        "/home/runner/work/app/vendor/x.py",
    )
    assert rootdir == str(tmp_path / "r/work/app")
    assert [frame.path for frame in test.stacks[0].frames] == [
        "/mnt/home/x.py",
        str(tmp_path / "r/x.py"),
        "/vendor/x.py",
    ]


def test_texts_are_found_under_their_new_paths(tmp_path: Path, target: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "lib.py").write_text("text\n")
    source = measure(tmp_path / "source", "run-1", [framed("t.py", str(outside / "lib.py"))])
    combine([source], target, maps={str(outside): "lib"})
    with ResultsReader(target) as reader:
        text = reader.source(1, "lib/lib.py")
    assert text is not None
    assert text.text == "text\n"


def test_without_a_folder_of_results_the_project_is_where_the_target_is(tmp_path: Path) -> None:
    source = measure(tmp_path / "source", "run-1", [framed("/there/test_it.py")])
    target = tmp_path / "out" / "combined.db"
    combine([source], target, maps={"/there": "."})
    assert [test.path for test in latest(target)] == ["test_it.py"]
    assert [file.name for file in target.parent.iterdir()] == ["combined.db"]


def test_a_map_of_a_relative_path_is_refused(shards: list[Path], target: Path) -> None:
    with pytest.raises(ValueError, match="'work/app' is not an absolute path"):
        combine(shards, target, maps={"work/app": "."})
    assert not target.exists()


# ---- when it goes wrong


def spoil(path: Path, how: str) -> None:
    if how == "no database":
        path.write_text("nothing")
    elif how == "no results":
        path.unlink()
    elif how == "noise":
        data = path.read_bytes()
        path.write_bytes(data[:8192] + b"\x7f" * (len(data) - 8192))
    elif how == "cut short":
        path.write_bytes(path.read_bytes()[:-4096])
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(how)
            connection.commit()


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(
    "how",
    [
        "no database",
        "no results",
        "noise",
        "cut short",
        "PRAGMA user_version = 99",
        "DELETE FROM frame",
        "UPDATE stack SET frames = 'nonsense'",
        "DROP TABLE phase",
    ],
)
def test_a_source_that_cannot_be_used_is_named_and_changes_nothing(
    shards: list[Path], target: Path, how: str, exists: bool
) -> None:
    if exists:
        measure(target.parent.parent, "own", ["test_own"])
    before = target.read_bytes() if exists else None
    spoil(shards[1], how)
    with pytest.raises(ResultsError, match="machine-1") as caught:
        combine(shards, target)
    assert isinstance(caught.value, NewerSchemaError) == ("version" in how)
    assert (target.read_bytes() if target.exists() else None) == before
    names = {file.name for file in target.parent.iterdir()}
    assert names == {".gitignore", "CACHEDIR.TAG"} | ({"results.db"} if exists else set())


def test_sources_are_only_read(shards: list[Path], target: Path) -> None:
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in shards]
    combine(shards, target, maps={"/x": "."})
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in shards] == before


def test_results_that_a_run_is_writing_can_be_a_source_but_no_target(
    shards: list[Path], target: Path
) -> None:
    writer = begin(target.parent.parent, "going-on")
    writer.add_test(a_test("test_own"))
    with pytest.raises(ResultsError, match="a pytest run is writing to"):
        combine(shards, target)
    assert len(statuses(target)) == 1
    other = target.with_name("other.db")
    assert combine([target, *shards], other).tests == 6
    writer.add_test(a_test("test_more"))
    writer.finish(0)
    writer.close()
    assert combine(shards, target).tests == 7


def test_a_target_that_is_no_results_database_is_refused_and_left_alone(
    shards: list[Path], target: Path
) -> None:
    target.parent.mkdir(parents=True)
    target.write_text("somebody's")
    with pytest.raises(ResultsError, match="here"):
        combine(shards, target)
    assert target.read_text() == "somebody's"


def test_readers_see_the_target_before_or_after(shards: list[Path], target: Path) -> None:
    combine(shards[:1], target)
    seen: list[int] = []
    with ResultsReader(target) as reader:
        version = reader.data_version()

        def look(done: int, total: int) -> None:
            seen.append(len(reader.latest_tests()))

        combine(shards, target, progress=look)
        assert set(seen) == {2}
        assert len(reader.latest_tests()) == 4
        assert reader.data_version() != version


@pytest.mark.parametrize("has_links", [True, False])
def test_of_two_that_make_one_target_at_once_none_is_lost(
    shards: list[Path], target: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    """The second begins and ends while the first is at work."""
    if not has_links:

        def refuse(*_: object) -> None:
            raise PermissionError(errno.EPERM, "no hard links here")

        monkeypatch.setattr("os.link", refuse)
    others: list[Combined] = []

    def other(done: int, total: int) -> None:
        if not others:
            others.append(combine(shards[1:], target))

    combined = combine(shards[:1], target, progress=other)
    assert others == [Combined(runs=2, tests=3, new_runs=2, new_tests=3)]
    assert combined == Combined(runs=3, tests=5, new_runs=1, new_tests=2)
    assert set(statuses(target)) == {"run-0", "run-1", "run-2"}
    assert rows(target, "PRAGMA integrity_check") == ["ok"]
    files = {file.name for file in target.parent.iterdir()}
    assert files == {".gitignore", "CACHEDIR.TAG", "results.db"}


def test_a_run_that_begins_meanwhile_keeps_its_results(shards: list[Path], target: Path) -> None:
    writers: list[ResultsWriter] = []

    def begin_run(done: int, total: int) -> None:
        if not writers:
            writers.append(begin(target.parent.parent, "own", LAST))
            writers[0].add_test(a_test("test_own"))

    with pytest.raises(ResultsError, match="a pytest run is writing to"):
        combine(shards, target, progress=begin_run)
    (writer,) = writers
    writer.add_test(a_test("test_more"))
    writer.finish(0)
    writer.close()
    assert writer.notices == []
    assert {test.name for test in latest(target)} == {"test_own", "test_more"}
    assert combine(shards, target).tests == 7


def test_a_log_that_an_earlier_file_left_does_not_get_into_the_new_one(
    shards: list[Path], target: Path
) -> None:
    writer = begin(target.parent.parent, "own")
    writer.add_test(a_test("test_own"))
    log = target.with_name("results.db-wal")
    kept = log.read_bytes()
    writer.finish(0)
    writer.close()
    target.unlink()
    log.write_bytes(kept)
    combine(shards, target)
    assert set(statuses(target)) == {"run-0", "run-1", "run-2"}
    assert rows(target, "PRAGMA integrity_check") == ["ok"]


def test_a_target_with_columns_of_a_later_memlens_is_added_to(
    shards: list[Path], target: Path
) -> None:
    combine(shards[:1], target)
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("ALTER TABLE test ADD COLUMN weather TEXT")
    assert combine(shards, target).tests == 5


def test_progress_is_told_until_all_is_done(tmp_path: Path, target: Path) -> None:
    path = measure(tmp_path / "many", "run-1", [a_test(f"test_{n}") for n in range(1200)])
    told: list[tuple[int, int]] = []
    combine([path], target, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 1200), (500, 1200), (1000, 1200), (1200, 1200)]
