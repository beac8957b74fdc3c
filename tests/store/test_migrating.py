"""Results of older schema versions are read and written by newer memlens."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from memlens.store import DamagedError, ResultsError, ResultsReader, ResultsWriter, database_path
from memlens.store.combining import combine
from memlens.store.database import SCHEMA_VERSION
from memlens.store.migrating import STEPS, Step
from memlens.store.trimming import trim

from .keep_file import FILES, dump
from .stored import RUN, a_test, begin, latest, measure, rows, statuses

KEPT = sorted(FILES.glob("schema-*.sql"))


def restored(file: Path, project: Path) -> Path:
    """Make the database whose SQL is in *file*."""
    path = database_path(project)
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(file.read_text(encoding="utf-8"))
    return path


def schema(path: Path) -> dict[tuple[str, str], Any]:
    """Return what there is in a database, but for comments and the spaces between words."""
    kinds = rows(path, "SELECT type, name, sql FROM sqlite_master")
    return {(kind, name): re.sub(r"--.*|\W+", " ", sql or "").split() for kind, name, sql in kinds}


# ---- files of the versions that there were


def test_of_every_version_there_is_a_file_and_the_step_to_the_next() -> None:
    assert {file.name for file in KEPT} == {
        f"schema-{version}.sql" for version in range(1, SCHEMA_VERSION + 1)
    }
    assert set(STEPS) == set(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_a_file_of_an_older_version_is_read(file: Path, tmp_path: Path) -> None:
    path = restored(file, tmp_path)
    before = path.read_bytes()
    with ResultsReader(path) as reader:
        second, first = reader.runs(limit=None)
        tests = {test.name: test for test in reader.latest_tests()}
        assert len(reader.tests_of(first.id or 0)) == len(tests)
        assert len(reader.tests_of(second.id or 0)) == 3
        assert (first.status, first.exit_status, first.rootdir) == ("finished", 1, "/home/me/shop")
        assert first.versions["memlens"]
        assert tests.keys() == {
            *("test_within", "test_exceeds", "test_leaks", "test_skips"),
            *("test_plain[one]", "test_plain[tw\\xf6]"),
        }
        over = tests["test_exceeds"]
        (check,) = over.checks
        assert (check.marker, check.limit_bytes, check.verdict) == (
            "limit_memory",
            1024**2,
            "exceeded",
        )
        assert (over.outcome, over.line) == ("failed", 13)
        call, setup = over.phase("call"), tests["test_within"].phase("setup")
        assert call is not None
        assert call.peak_bytes == check.measured_bytes > 2_000_000
        assert setup is not None
        assert setup.peak_bytes > 50_000
        assert [(frame.function, frame.kind) for frame in over.stacks[0].frames] == [
            ("load", "project"),
            ("test_exceeds", "project"),
        ]
        (leak,) = tests["test_leaks"].stacks_of("leak")
        assert leak.bytes >= 300_000
        assert {frame.kind for frame in leak.frames} == {"native", "project"}
        assert [test.name for test in reader.latest_exceeded()] == ["test_exceeds", "test_leaks"]
        assert len(reader.history("test_shop.py", "test_within")) == 2
        assert reader.last_passing_peaks()["test_shop.py", "test_within"] > 100_000
        source = reader.source(first.id or 0, "shop.py")
        assert source is not None
        assert source.text.startswith("KEPT = []")
    assert path.read_bytes() == before


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_a_run_is_added_to_a_file_of_an_older_version(file: Path, tmp_path: Path) -> None:
    path = restored(file, tmp_path)
    before = latest(path)
    measure(tmp_path, "new", ["test_new"])
    assert latest(path) == [*before, a_test("test_new")]
    assert len(statuses(path)) == 3
    trim(path, runs=50, size=None)
    assert latest(path) == [*before, a_test("test_new")]
    assert rows(path, "PRAGMA integrity_check") == ["ok"]
    assert rows(path, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_a_migrated_file_has_the_schema_of_a_new_one(file: Path, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    path = restored(file, tmp_path / "old")
    begin(tmp_path / "old", "new").close()
    assert schema(path) == schema(measure(tmp_path / "new", "new", []))


# ---- the mechanism, with two versions that do not exist


def rename_outcomes(connection: sqlite3.Connection) -> None:
    for row_id, outcome in connection.execute("SELECT id, outcome FROM test").fetchall():
        connection.execute("UPDATE test SET outcome = ? WHERE id = ?", (outcome.upper(), row_id))


#: Makes a table anew that others refer to: with foreign keys their rows would go with it.
ANEW = """
CREATE TABLE new_run AS SELECT * FROM run;
-- A semicolon; in a comment.
CREATE TABLE whole_run (id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, started TEXT NOT NULL,
    finished TEXT, status TEXT NOT NULL, exit_status INTEGER, command_line TEXT NOT NULL,
    rootdir TEXT NOT NULL, versions TEXT NOT NULL, git_commit TEXT, git_dirty INTEGER,
    collected INTEGER, branch TEXT NOT NULL DEFAULT 'unknown');
INSERT INTO whole_run SELECT *, 'main' FROM new_run;
DROP TABLE new_run;
DROP TABLE run;
ALTER TABLE whole_run RENAME TO run;
"""


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes memlens one whose schema versions go on with these steps."""

    def patch(*steps: Step) -> None:
        known = {SCHEMA_VERSION + number: step for number, step in enumerate(steps)}
        monkeypatch.setattr("memlens.store.migrating.STEPS", known)
        monkeypatch.setattr("memlens.store.database.SCHEMA_VERSION", SCHEMA_VERSION + len(steps))

    return patch


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return measure(tmp_path, "old", ["test_a", "test_b"])


def test_who_writes_takes_every_step_and_keeps_all_that_was_there(
    old: Path, newer: Callable[..., None]
) -> None:
    newer(ANEW, rename_outcomes)
    measure(old.parent.parent, "new", ["test_c"])
    assert rows(old, "PRAGMA user_version") == [SCHEMA_VERSION + 2]
    assert [(test.name, test.outcome) for test in latest(old)] == [
        ("test_a", "FAILED"),
        ("test_b", "FAILED"),
        ("test_c", "failed"),  # not migrated once more when it was read
    ]
    assert all(test.stacks and test.checks and test.phases for test in latest(old))
    assert rows(old, "SELECT uuid, branch FROM run") == [("old", "main"), ("new", "unknown")]
    assert rows(old, "PRAGMA foreign_key_check") == []


def test_who_reads_sees_the_newest_version_and_leaves_the_file_to_older_memlens(
    old: Path, newer: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, folder = old.read_bytes(), set(old.parent.iterdir())
    newer(ANEW, rename_outcomes)
    assert {test.outcome for test in latest(old)} == {"FAILED"}
    assert old.read_bytes() == before
    # SQLite's own may be there however it is read.
    beside = {old.with_name(f"{old.name}{suffix}") for suffix in ("-wal", "-shm")}
    assert set(old.parent.iterdir()) - beside == folder
    monkeypatch.undo()
    assert {test.outcome for test in latest(old)} == {"failed"}


def test_older_and_newer_files_are_combined(
    old: Path, tmp_path: Path, newer: Callable[..., None]
) -> None:
    before = old.read_bytes()
    newer(rename_outcomes)
    new = measure(tmp_path / "other", "new", ["test_c"], "2027-01-01T00:00:00.000000+00:00")
    combine([old, new], tmp_path / "all.db")
    assert [(test.name, test.outcome) for test in latest(tmp_path / "all.db")] == [
        ("test_a", "FAILED"),
        ("test_b", "FAILED"),
        ("test_c", "failed"),
    ]
    assert old.read_bytes() == before


def stumble(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM test")
    raise ValueError("what is this?")


FAILING = pytest.mark.parametrize(
    ("step", "says"),
    [("DELETE FROM test; DELETE FROM nowhere;", "no such table: nowhere"), (stumble, "what is")],
    ids=["sql", "python"],
)


@FAILING
def test_a_step_that_fails_leaves_everything_as_it_was(
    old: Path, newer: Callable[..., None], step: Step, says: str
) -> None:
    before = dump(old)
    newer(rename_outcomes, step)
    for attempt in (lambda: begin(old.parent.parent, "new"), lambda: ResultsReader(old)):
        with pytest.raises(ResultsError, match=says) as caught:
            attempt()
        assert not isinstance(caught.value, DamagedError)
        versions = f"from schema version {SCHEMA_VERSION + 1} into {SCHEMA_VERSION + 2}"
        assert f"cannot turn the results in {old} {versions}: " in str(caught.value)
        assert str(caught.value).endswith("; they are as they were")
    assert dump(old) == before
    assert not list(old.parent.glob("results.db.*"))  # neither moved aside nor with a lock


@FAILING
def test_a_run_that_cannot_migrate_goes_on_and_says_so_once(
    pytester: pytest.Pytester, newer: Callable[..., None], step: Step, says: str
) -> None:
    path = measure(pytester.path, "old", ["test_old"])
    before = dump(path)
    newer(step)
    pytester.makepyfile(test_it="def test_a(): pass\ndef test_b(): assert False")
    run = pytester.runpytest("--memray")
    run.assert_outcomes(passed=1, failed=1)
    (warning,) = (line for line in run.stdout.lines if line.startswith("memlens warning: "))
    assert "results were not kept: cannot turn the results in" in warning
    assert says in warning
    assert dump(path) == before


def test_an_older_file_that_lacks_a_table_is_moved_aside(
    old: Path, newer: Callable[..., None]
) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("DROP TABLE limit_check")
    before = old.read_bytes()
    newer(rename_outcomes)
    writer = begin(old.parent.parent, "new")
    writer.close()
    (moved,) = old.parent.glob("results.db.damaged-*")
    assert moved.read_bytes() == before
    assert [str(moved) in notice for notice in writer.notices] == [True]


#: Opens results with a newer memlens, whose step waits to be told to go on.
_OPENS = f"""
import sys
from pathlib import Path
from memlens.store import ResultsWriter, RunRecord, database, migrating

def step(connection):
    print("migrating", flush=True)
    sys.stdin.readline()
    connection.execute("UPDATE test SET duration = duration + 1")

database.SCHEMA_VERSION += 1
migrating.STEPS[{SCHEMA_VERSION}] = step
run = RunRecord(**{{**{RUN._asdict()!r}, "uuid": sys.argv[2], "rootdir": "/project"}})
print("opening", flush=True)
ResultsWriter(Path(sys.argv[1]), run).close()
"""


@pytest.fixture
def opening(old: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(uuid: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", _OPENS, str(old), uuid],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_of_two_runs_that_begin_at_once_one_migrates_and_both_are_kept(
    old: Path, opening: Callable[[str], subprocess.Popen[str]]
) -> None:
    first = opening("first")
    assert first.stdout is not None
    assert [first.stdout.readline() for _ in range(2)] == ["opening\n", "migrating\n"]
    second = opening("second")
    assert second.stdout is not None
    assert second.stdout.readline() == "opening\n"
    # Meanwhile a reader is not kept waiting.
    assert [test.duration for test in latest(old)] == [0.25, 0.25]
    assert first.communicate("\n", timeout=60) == ("", "")
    assert second.communicate("\n", timeout=60) == ("", "")  # not "migrating"
    assert (first.returncode, second.returncode) == (0, 0)
    assert rows(old, "SELECT uuid FROM run ORDER BY 1") == ["first", "old", "second"]
    assert rows(old, "SELECT duration FROM test") == [1.25, 1.25]


def test_a_run_that_dies_while_it_migrates_leaves_it_to_the_next(
    old: Path, opening: Callable[[str], subprocess.Popen[str]], newer: Callable[..., None]
) -> None:
    dying = opening("dying")
    assert dying.stdout is not None
    assert [dying.stdout.readline() for _ in range(2)] == ["opening\n", "migrating\n"]
    dying.kill()
    dying.wait()
    newer(rename_outcomes)
    ResultsWriter(old, RUN._replace(uuid="next")).close()
    assert rows(old, "SELECT duration, outcome FROM test") == [(0.25, "FAILED")] * 2
