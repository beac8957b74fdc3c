"""The commands that change results: `memlens combine`, `gc`, `clear`."""

from __future__ import annotations

from pathlib import Path

import pytest

from memlens.sizes import format_size
from memlens.store import ResultsReader, ResultsWriter, RunRecord, database_path

from .helpers import MIB, measured, memlens, on_a_terminal, write_run

A, B = "tests/test_a.py::test_a", "tests/test_a.py::test_b"
pytestmark = pytest.mark.skipif("sys.platform == 'win32'")


def peaks(path: Path) -> dict[str, int]:
    with ResultsReader(path) as reader:
        return {test.nodeid: test.phases[0].peak_bytes for test in reader.latest_tests()}


def count(path: Path) -> tuple[int, int]:
    """Return how many runs there are, and results of test A."""
    with ResultsReader(path) as reader:
        return len(reader.runs(limit=None)), len(reader.history("tests/test_a.py", "test_a"))


# combine


def test_shards_are_merged_into_one_file(tmp_path: Path) -> None:
    one = write_run(tmp_path, "run-1", measured(A, 1), database=tmp_path / "1.db")
    two = write_run(tmp_path, "run-2", measured(B, 2), database=tmp_path / "2.db")
    result = memlens(tmp_path, "combine", str(one), str(two), "-o", "out/all.db")
    assert result.returncode == 0, result.stderr
    assert result.stdout == (
        "Combined 2 files into out/all.db: 2 new runs, 2 new results; 2 runs, 2 results in all.\n"
    )
    assert peaks(tmp_path / "out" / "all.db") == {A: 1, B: 2}
    again = memlens(tmp_path, "combine", str(two), str(one), "-o", "out/all.db")
    assert "0 new runs, 0 new results" in again.stdout
    assert (
        "tests/test_a.py::test_b"
        in memlens(tmp_path, "report", "--all", "--results", "out/all.db").stdout
    )


def test_without_output_they_go_to_the_results_here(tmp_path: Path) -> None:
    one = write_run(tmp_path, "run-1", measured(A, 1), database=tmp_path / "1.db")
    assert memlens(tmp_path, "combine", str(one)).returncode == 0
    assert peaks(database_path(tmp_path)) == {A: 1}


def test_a_folder_stands_for_the_results_in_it(tmp_path: Path) -> None:
    write_run(tmp_path / "shard-1", "run-1", measured(A, 1))
    write_run(tmp_path, "run-2", measured(B, 2), database=tmp_path / "shard-2" / "results.db")
    result = memlens(tmp_path, "combine", "shard-1", "shard-2", "-o", "all.db")
    assert result.returncode == 0, result.stderr
    assert peaks(tmp_path / "all.db") == {A: 1, B: 2}


@pytest.mark.parametrize(
    ("output", "where"),
    [
        ("out/", "out/results.db"),
        ("there", "there/results.db"),
        (".memlens", ".memlens/results.db"),
        ("project", "project/.memlens/results.db"),
    ],
)
def test_a_folder_may_be_named_to_merge_into(tmp_path: Path, output: str, where: str) -> None:
    one = write_run(tmp_path, "run-1", measured(A, 1), database=tmp_path / "1.db")
    (tmp_path / "there").mkdir()
    write_run(tmp_path / "project", "run-2", measured(B, 2))
    result = memlens(tmp_path, "combine", str(one), "-o", output)
    assert result.returncode == 0, result.stderr
    assert f" into {where}: " in result.stdout
    assert peaks(tmp_path / where)[A] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["combine", "no.db"], "there is no file no.db"),
        (["combine", "empty"], "there are no results in the folder empty: no results.db is in it"),
        (["report", "--results", "no.db"], "there is no file no.db"),
        (["check", "--results", "empty"], "there are no results in the folder empty"),
        (["compare", "last", "--results", "no/such.db"], "there is no file no/such.db"),
    ],
)
def test_what_is_not_there_is_said_to_be_not_there(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    result = memlens(tmp_path, *arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert "pytest --memray" not in result.stderr


def test_folders_of_another_machine_are_mapped(tmp_path: Path) -> None:
    there = measured("/there/app/tests/test_a.py::test_a", 1)
    one = write_run(tmp_path, "run-1", there, database=tmp_path / "1.db")
    result = memlens(tmp_path, "combine", str(one), "-o", "all.db", "--map", "/there/app=.")
    assert result.returncode == 0, result.stderr
    with ResultsReader(tmp_path / "all.db") as reader:
        assert [test.path for test in reader.latest_tests()] == ["tests/test_a.py"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["1.db", "-o", "out.db", "--map", "/there"], "'/there' is not FROM=TO"),
        (["1.db", "-o", "out.db", "--map", "there=."], "--map: 'there' is not an absolute path"),
        (["no.db", "-o", "out.db"], "no.db"),
        (["text.db", "-o", "out.db"], "text.db"),
        ([], "FILE"),
    ],
)
def test_what_cannot_be_merged_is_an_error_and_nothing_is_made(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    write_run(tmp_path, "run-1", measured(A, 1), database=tmp_path / "1.db")
    (tmp_path / "text.db").write_text("not results")
    result = memlens(tmp_path, "combine", *arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out.db").exists()


def test_on_a_terminal_progress_leaves_nothing_but_the_outcome(tmp_path: Path) -> None:
    write_run(tmp_path, "run-1", measured(A, 1), database=tmp_path / "1.db")
    status, output = on_a_terminal(tmp_path, "combine", "1.db", "-o", "all.db")
    assert status == 0
    assert "Combining" in output
    assert "Combined 1 file into all.db: 1 new run" in output


# gc


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for number in range(4):
        write_run(tmp_path, f"run-{number}", measured(A, MIB))
    return tmp_path


def test_gc_keeps_the_last_results_of_each_test(project: Path) -> None:
    result = memlens(project, "gc", "--runs", "3", "--yes")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Dropped 1 result and 1 run from .memlens/results.db (")
    assert count(database_path(project)) == (3, 3)


def test_gc_keeps_fifty_unless_told_otherwise(project: Path) -> None:
    result = memlens(project, "gc", "--yes")
    assert "Dropped 0 results and 0 runs" in result.stdout
    assert count(database_path(project)) == (4, 4)


@pytest.mark.parametrize(
    ("options", "kept"),
    [([], 2), (["--runs", "3"], 3), (["--size", "1 KB"], 1)],
    ids=["as pytest", "more", "less"],
)
def test_gc_keeps_as_much_as_pytest_unless_told_otherwise(
    pytester: pytest.Pytester, options: list[str], kept: int
) -> None:
    pytester.makepyfile("def test_a(): pass")
    for history in (2, 4, 4, 4, 2):
        ini = f"[pytest]\nmemray_history = {history}\nmemray_history_size = 300 MB\n"
        pytester.makeini(ini)
        assert pytester.runpytest("--memray").ret == 0
    path = database_path(pytester.path)
    with ResultsReader(path) as reader:
        assert reader.settings() == {
            "memray_history": 2,
            "memray_history_size": 300 * MIB,
        }
    # Other results than pytest's own runs would have left.
    name = "test_gc_keeps_as_much_as_pytest_unless_told_otherwise.py::test_a"
    for number in range(4):
        write_run(pytester.path, f"run-{number}", measured(name, MIB))
    result = memlens(pytester.path, "gc", "--yes", *options)
    assert result.returncode == 0, result.stderr
    with ResultsReader(path) as reader:
        assert len(reader.runs(limit=None)) == kept


def test_gc_says_what_pytest_keeps_before_it_drops_anything(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_a(): pass")
    pytester.makeini("[pytest]\nmemray_history = 7\nmemray_history_size = 300 MB\n")
    pytester.runpytest("--memray")
    said = memlens(pytester.path, "gc").stderr
    assert "Drop all but the last 7 results of each test" in said
    assert "the oldest runs until 300.0 MiB are left" in said


def test_gc_drops_the_oldest_runs_for_the_size(project: Path) -> None:
    result = memlens(project, "gc", "--size", "1 KB", "--yes")
    assert result.returncode == 0, result.stderr
    assert count(database_path(project)) == (1, 1)


@pytest.mark.parametrize(("typed", "kept", "status"), [("y\n", 3, 0), ("\n", 4, 1), ("no\n", 4, 1)])
def test_gc_asks_on_a_terminal(project: Path, typed: str, kept: int, status: int) -> None:
    got, output = on_a_terminal(project, "gc", "--runs", "3", typed=typed)
    assert got == status
    assert "Drop all but the last 3 results of each test from .memlens/results.db? [y/N]" in output
    assert count(database_path(project)) == (kept, kept)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--runs", "0"], "'0' is not a whole number from 1"),
        (["--size", "much"], "'much' is not a memory size"),
        ([], "say --yes if you mean it"),
    ],
)
def test_gc_says_what_is_wrong(project: Path, options: list[str], said: str) -> None:
    result = memlens(project, "gc", *options, stdin="y\n")
    assert result.returncode == 2
    assert said in result.stderr
    assert count(database_path(project)) == (4, 4)


# clear


def test_clear_deletes_the_results(project: Path) -> None:
    result = memlens(project, "clear", "--yes")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Deleted 4 runs of 1 test (")
    assert not database_path(project).exists()
    assert "there are no results" in memlens(project, "report").stderr
    write_run(project, "run-9", measured(A, 7))
    assert peaks(database_path(project)) == {A: 7}


@pytest.mark.parametrize(("typed", "status"), [("y\n", 0), ("YES\n", 0), ("n\n", 1), ("\x04", 1)])
def test_clear_asks_on_a_terminal(project: Path, typed: str, status: int) -> None:
    got, output = on_a_terminal(project, "clear", typed=typed)
    assert got == status
    assert "Delete 4 runs of 1 test (" in output
    assert database_path(project).exists() == (status == 1)


def test_clear_does_not_take_a_pipe_for_an_answer(project: Path) -> None:
    result = memlens(project, "clear", stdin="y\n")
    assert result.returncode == 2
    assert "say --yes if you mean it" in result.stderr
    assert database_path(project).exists()


def test_clear_waits_for_no_run_but_refuses(project: Path) -> None:
    with ResultsReader(database_path(project)) as reader:
        (last,) = reader.runs()
    going_on: RunRecord = last._replace(uuid="run-now", status="running")
    writer = ResultsWriter(database_path(project), going_on)
    result = memlens(project, "clear", "--yes")
    assert result.returncode == 2
    assert result.stderr == (
        "memlens: a pytest run is writing to .memlens/results.db: clear when it has ended\n"
    )
    writer.finish(0)
    writer.close()
    assert memlens(project, "clear", "--yes").stdout.startswith("Deleted 5 runs of 1 test (")


def test_clear_says_how_large_the_results_are_with_their_log(project: Path) -> None:
    path = database_path(project)
    with ResultsReader(path) as reader:
        (last,) = reader.runs()
    # A writer that a killed run might be: it has the log, and no lock.
    writer = ResultsWriter(path, last._replace(uuid="run-now", status="running"))
    for number in range(40):
        writer.add_test(measured(f"tests/test_it.py::test_{number}", MIB))
    writer._lock.release()
    log = path.with_name("results.db-wal").stat().st_size
    index = path.with_name("results.db-shm").stat().st_size
    assert log > 40 * 1024
    size = format_size(path.stat().st_size + log + index)
    assert f"Delete 5 runs of 41 tests ({size}) in" in memlens(project, "clear").stderr
    writer.close()


def test_clear_deletes_results_that_cannot_be_read(tmp_path: Path) -> None:
    path = database_path(tmp_path)
    path.parent.mkdir()
    path.write_text("damaged")
    result = memlens(tmp_path, "clear", "--yes")
    assert result.returncode == 0, result.stderr
    assert not path.exists()


def test_clear_leaves_alone_what_may_be_something_else(tmp_path: Path) -> None:
    path = tmp_path / "diary.txt"
    path.write_text("dear diary")
    result = memlens(tmp_path, "clear", "--yes", "--results", str(path))
    assert result.returncode == 2
    assert path.read_text() == "dear diary"
