"""History: what is kept, what goes, and when."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from memlens.recorder import Recorder
from memlens.settings import Settings
from memlens.store import FrameRecord, ResultsReader, StackRecord, TestRecord, database_path
from memlens.store.trimming import trim

from .stored import a_test, begin, latest, measure, rows, statuses


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(tmp_path, "test_it.py", "test_a", "test_b", "test_c", "test_d")
    (tmp_path / "lib.py").write_text("def use(): ...\n")
    return tmp_path


def write(project: Path, path: str, *names: str) -> None:
    (project / path).write_text("".join(f"def {name}(): ...\n" for name in names))


def results(path: Path) -> list[tuple[str, str]]:
    """Return run and test of each result, in the order in which they were made."""
    return rows(path, "SELECT uuid, name FROM test JOIN run ON run.id = test.run ORDER BY test.id")


def measure_and_trim(
    project: Path, uuid: str, names: list[str], runs: int = 3, size: int | None = None
) -> Path:
    """Do what a run does."""
    writer = begin(project, uuid)
    for name in names:
        writer.add_test(a_test(name))
    writer.finish(0)
    writer.trim(runs=runs, size=size)
    writer.close()
    return writer.path


def test_each_test_keeps_its_newest_results(project: Path) -> None:
    for number in range(4):
        path = measure(project, f"run-{number}", ["test_a", "test_b"])
    measure(project, "run-4", ["test_a"])
    trimmed = trim(path, runs=2, size=None)
    assert results(path) == [
        ("run-2", "test_b"),
        ("run-3", "test_a"),
        ("run-3", "test_b"),
        ("run-4", "test_a"),
    ]
    assert trimmed.tests == 5
    assert trimmed.runs == 2
    assert list(statuses(path)) == ["run-4", "run-3", "run-2"]


def test_a_run_does_the_same_at_its_end(project: Path) -> None:
    for number in range(6):
        path = measure_and_trim(project, f"run-{number}", ["test_a", "test_b"])
    measure_and_trim(project, "run-6", ["test_a"])
    assert results(path) == [
        ("run-3", "test_b"),
        ("run-4", "test_a"),
        ("run-4", "test_b"),
        ("run-5", "test_a"),
        ("run-5", "test_b"),
        ("run-6", "test_a"),
    ]
    trimmed = trim(path, runs=3, size=None)
    assert (trimmed.runs, trimmed.tests) == (0, 0)


def test_nothing_of_a_dropped_result_is_left(project: Path) -> None:
    measure(project, "run-1", [a_test("test_a", peak=1)])
    (project / "lib.py").write_text("def used(): ...\n")
    moved = a_test("test_a", peak=2)
    frame = FrameRecord("used", "lib.py", 9, "project")
    path = measure(
        project, "run-2", [moved._replace(stacks=(StackRecord("peak", 2, 1, (frame,)),))]
    )
    trim(path, runs=1, size=None)
    assert rows(path, "SELECT DISTINCT peak_bytes FROM phase WHERE name = 'call'") == [2]
    assert rows(path, "SELECT measured_bytes FROM limit_check") == [2]
    assert rows(path, "SELECT bytes FROM stack") == [2]
    assert rows(path, "SELECT function FROM frame") == ["used"]
    assert rows(path, "SELECT text FROM source WHERE path = 'lib.py'") == ["def used(): ...\n"]
    assert rows(path, "SELECT count(*) FROM run_source") == [2]
    assert rows(path, "PRAGMA foreign_key_check") == []


def test_a_text_goes_when_no_result_of_its_run_names_the_file_any_more(project: Path) -> None:
    elsewhere = a_test("test_far", "test_far.py")._replace(stacks=())
    write(project, "test_far.py", "test_far")
    measure(project, "run-1", ["test_a", elsewhere])
    path = measure(project, "run-2", ["test_a"])
    assert len(rows(path, "SELECT 1 FROM run_source")) == 5
    trim(path, runs=1, size=None)
    assert rows(
        path, "SELECT uuid, path FROM run_source JOIN run ON run.id = run ORDER BY 1, 2"
    ) == [
        ("run-1", "test_far.py"),
        ("run-2", "lib.py"),
        ("run-2", "test_it.py"),
    ]


def test_the_newest_run_and_those_that_go_on_stay_without_tests(project: Path) -> None:
    measure(project, "empty", [])
    going_on = begin(project, "going-on")
    path = measure(project, "newest", [])
    trim(path, runs=1, size=None)
    assert statuses(path) == {"newest": "finished", "going-on": "running"}
    going_on.close()


def test_results_of_a_run_that_goes_on_stay(project: Path) -> None:
    going_on = begin(project, "going-on")
    going_on.add_test(a_test())
    path = measure(project, "run-1", ["test_a"])
    assert trim(path, runs=1, size=1).tests == 0
    going_on.add_test(a_test("test_b"))  # with frames that it knows to be stored
    going_on.finish(0)
    going_on.close()
    assert [test.name for test in latest(path)] == ["test_a", "test_b"]
    assert trim(path, runs=1, size=None).tests == 1


def test_a_run_that_was_killed_is_known_to_be_and_trimmed(project: Path) -> None:
    begin(project, "killed").close()
    path = measure(project, "run-1", ["test_a"])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE run SET status = 'running' WHERE uuid = 'killed'")
        connection.commit()
    assert trim(path, runs=1, size=None).runs == 1
    assert statuses(path) == {"run-1": "finished"}


# ---- tests that are no more


def test_a_renamed_test_ages_out(project: Path) -> None:
    measure_and_trim(project, "before", ["test_a", "test_b", "test_c"])
    write(project, "test_it.py", "test_a", "test_b", "test_new")
    for number in range(3):
        path = measure_and_trim(project, f"run-{number}", ["test_a", "test_b", "test_new"])
        assert ("before", "test_c") in results(path) or number == 2
    assert {name for _, name in results(path)} == {"test_a", "test_b", "test_new"}
    assert "before" not in statuses(path)


def test_a_vanished_parameter_ages_out(project: Path) -> None:
    measure_and_trim(project, "before", ["test_a[1]", "test_a[2]", "test_b"])
    for number in range(3):
        path = measure_and_trim(project, f"run-{number}", ["test_a[1]", "test_b"])
    assert {name for _, name in results(path)} == {"test_a[1]", "test_b"}


def test_running_some_tests_again_and_again_costs_the_others_nothing(project: Path) -> None:
    measure_and_trim(project, "all", ["test_a[1]", "test_a[2]", "test_b"])
    for number in range(10):
        path = measure_and_trim(project, f"run-{number}", ["test_b"])
    assert {name for _, name in results(path)} == {"test_a[1]", "test_a[2]", "test_b"}
    trim(path, runs=3, size=None)
    assert {name for _, name in results(path)} == {"test_a[1]", "test_a[2]", "test_b"}


def test_a_test_that_is_deselected_for_long_stays_while_it_is_in_its_file(project: Path) -> None:
    measure_and_trim(project, "nightly", ["test_a", "test_b", "test_c"])
    for number in range(10):
        path = measure_and_trim(project, f"run-{number}", ["test_a", "test_b"])
    assert ("nightly", "test_c") in results(path)


def test_interrupted_runs_prove_nothing(project: Path) -> None:
    measure_and_trim(project, "all", ["test_a[1]", "test_a[2]", "test_b"])
    for number in range(4):
        writer = begin(project, f"run-{number}")
        writer.add_test(a_test("test_a[1]"))
        writer.add_test(a_test("test_b"))
        writer.finish(2, interrupted=True)
        writer.trim(runs=2, size=None)
        writer.close()
    assert ("all", "test_a[2]") in results(writer.path)


def test_tests_of_a_deleted_file_age_out(project: Path) -> None:
    write(project, "test_gone.py", "test_gone")
    measure_and_trim(project, "before", ["test_a"])
    path = measure(project, "gone", [a_test("test_gone", "test_gone.py")])
    (project / "test_gone.py").unlink()
    for number in range(3):
        assert ("gone", "test_gone") in results(path)
        measure_and_trim(project, f"run-{number}", ["test_a"])
    assert {name for _, name in results(path)} == {"test_a"}


def test_tests_of_a_file_that_is_there_stay_however_long_it_is_not_run(project: Path) -> None:
    write(project, "test_slow.py", "test_slow")
    measure(project, "once", [a_test("test_slow", "test_slow.py")])
    for number in range(10):
        path = measure_and_trim(project, f"run-{number}", ["test_a"])
    assert ("once", "test_slow") in results(path)


# ---- size


def big(name: str, number: int) -> TestRecord:
    """Return a test of some 100 KB."""
    test = a_test(name)
    check = test.checks[0]._replace(message=f"{number} " * 50_000)
    return test._replace(checks=(check,))


def test_the_oldest_runs_go_when_the_file_is_too_large(project: Path) -> None:
    for number in range(20):
        path = measure(project, f"run-{number}", [big("test_a", number), big("test_b", number)])
    size = path.stat().st_size // 2
    trimmed = trim(path, runs=50, size=size)
    assert path.stat().st_size <= size
    assert trimmed.bytes_after == path.stat().st_size
    assert trimmed.bytes_before > trimmed.bytes_after
    assert trimmed.tests == 2 * trimmed.runs
    left = list(statuses(path))
    assert left == [f"run-{number}" for number in range(19, 19 - len(left), -1)]
    assert len(left) == 20 - trimmed.runs
    assert len(left) > 5


def test_a_run_keeps_the_file_within_its_size(project: Path) -> None:
    for number in range(20):
        writer = begin(project, f"run-{number}")
        writer.add_test(big("test_a", number))
        writer.finish(0)
        writer.trim(runs=50, size=1024 * 1024)
        writer.close()
    assert writer.path.stat().st_size <= 1024 * 1024
    assert 3 < len(statuses(writer.path)) < 12


def test_the_newest_run_stays_however_large_it_is(project: Path) -> None:
    measure(project, "old", [big("test_a", 1)])
    path = measure(project, "new", [big("test_a", 2)])
    trim(path, runs=50, size=0)
    assert results(path) == [("new", "test_a")]


def test_much_unused_space_is_given_back_and_little_is_kept_for_the_next_run(
    project: Path,
) -> None:
    for number in range(30):
        path = measure(project, f"run-{number}", [big("test_a", n) for n in range(3)])
    full = path.stat().st_size
    trim(path, runs=85, size=None)  # five of ninety
    assert path.stat().st_size == full
    trim(path, runs=6, size=None)
    assert path.stat().st_size < full / 5
    assert rows(path, "PRAGMA integrity_check") == ["ok"]


# ---- cost and interruption


def test_in_a_small_history_a_run_changes_nothing_at_its_end(project: Path) -> None:
    for number in range(3):
        writer = begin(project, f"run-{number}")
        writer.add_test(a_test())
        writer.finish(0)
        before = writer._connection.total_changes
        statements: list[str] = []
        writer._connection.set_trace_callback(statements.append)
        writer.trim(runs=50, size=1024**3)
        writer._connection.set_trace_callback(None)
        writer.close()
        changes = [text for text in statements if text.startswith(("BEGIN", "DELETE"))]
        # The first notes what is kept.
        assert bool(changes) == (number == 0)
    assert before > 0


def test_a_run_notes_how_much_it_kept(project: Path) -> None:
    for number, (runs, size) in enumerate([(50, 500), (50, None), (7, 600), (7, 600)]):
        path = measure_and_trim(project, f"run-{number}", ["test_a"], runs, size)
        bounds = {"memray_history": runs, "memray_history_size": size}
        with ResultsReader(path) as reader:
            assert reader.settings() == {
                name: bound for name, bound in bounds.items() if bound is not None
            }


def test_unused_frames_are_looked_for_once_in_as_many_results_as_there_are(
    project: Path,
) -> None:
    for number in range(30):
        test = a_test()
        frame = FrameRecord("use", "lib.py", number + 1, "project")
        writer = begin(project, f"run-{number}")
        writer.add_test(test._replace(stacks=(StackRecord("peak", 1, 1, (frame,)),)))
        writer.finish(0)
        writer.trim(runs=5, size=None)
        writer.close()
        assert len(rows(writer.path, "SELECT id FROM frame")) <= 10
        assert [test.stacks[0].frames for test in latest(writer.path)] == [(frame,)]


def test_trimming_can_be_interrupted_at_any_time(project: Path) -> None:
    for number in range(4):
        path = measure(project, f"run-{number}", ["test_a", "test_b"])
    for statements in range(1, 10_000, 37):
        interrupted = interrupt_after(path, statements)
        assert rows(path, "PRAGMA integrity_check") == ["ok"]
        assert rows(path, "PRAGMA foreign_key_check") == []
        assert {test.name for test in latest(path)} == {"test_a", "test_b"}
        if not interrupted:
            break
    else:
        pytest.fail("never came to its end")
    assert len(results(path)) == 2


def interrupt_after(path: Path, steps: int) -> bool:
    """Trim until SQLite has done some hundred times so many steps; return whether it came to."""
    from memlens.store import database

    done = 0

    def stop() -> int:
        nonlocal done
        done += 1
        return int(done > steps)

    open_for_writing = database.open_for_writing

    def stopping(path: Path) -> sqlite3.Connection:
        connection = open_for_writing(path)
        connection.set_progress_handler(stop, 10)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memlens.store.trimming.open_for_writing", stopping)
        try:
            trim(path, runs=1, size=None)
        except database.ResultsError as error:
            assert "interrupted" in str(error)  # noqa: PT017 - or there is none
            return True
    return False


# ---- what the user says


def test_a_run_keeps_fifty_results_of_a_test_by_default(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, [])
    assert (recorder.history, recorder.history_size) == (50, 500 * 1024**2)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", (50, 500 * 1024**2)),
        ("memray_history = 7", (7, 500 * 1024**2)),
        ("memray_history_size = 1.5 GB", (50, 1536 * 1024**2)),
    ],
)
def test_ini_keys_say_how_much_is_kept(
    pytester: pytest.Pytester, lines: str, expected: tuple[int, int]
) -> None:
    pytester.makeini(f"[pytest]\n{lines}")
    settings = Settings.from_config(pytester.parseconfigure())
    assert (settings.history, settings.history_size) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("memray_history = 0", "memray_history: '0' is not a whole number from 1"),
        ("memray_history = all", "memray_history: 'all' is not a whole number from 1"),
        ("memray_history_size = 500", "memray_history_size: '500' is not a memory size"),
    ],
)
def test_wrong_values_are_refused_by_name(
    pytester: pytest.Pytester, line: str, message: str
) -> None:
    pytester.makeini(f"[pytest]\n{line}")
    pytester.makepyfile("def test_a(): pass")
    run = pytester.runpytest("--memray")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines([f"*{message}*"])
    assert not database_path(pytester.path).exists()
