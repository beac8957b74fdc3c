"""What readers ask of the results: runs, the tests of one, what was before, history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memlens.store import PhaseRecord, ResultsReader, StackRecord, TestRecord, database_path

from .stored import a_test, begin, measure


def result(name: str, peak: int, outcome: str = "passed") -> TestRecord:
    """Return a test within its limits, whose allocations were not counted."""
    test = a_test(name, "tests/test_a.py", peak=peak)
    phases = (PhaseRecord("setup", 1, 1, 1, 0), PhaseRecord("call", peak, None, None, 0))
    return test._replace(outcome=outcome, phases=phases, checks=(), stacks=test.stacks_of("peak"))


def write(project: Path, uuid: str, *tests: TestRecord) -> None:
    measure(
        project,
        uuid,
        tests,
        f"2026-01-02T03:04:05.{uuid[-1]}00000+00:00",
        git_commit=f"commit-of-{uuid}",
        git_dirty=uuid == "run-2",
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(tmp_path, "run-1", result("test_a", 10), result("test_b", 20))
    write(tmp_path, "run-2", result("test_b", 21, "failed"), result("test_b", 22))
    write(tmp_path, "run-3")
    write(tmp_path, "run-4", result("test_a", 14), result("test_b", 24), result("test_c", 34))
    return tmp_path


@pytest.fixture
def reader(project: Path) -> Iterator[ResultsReader]:
    with ResultsReader(database_path(project)) as reader:
        yield reader


def peaks(tests: list[TestRecord]) -> dict[str, int]:
    return {test.name: phase.peak_bytes for test in tests if (phase := test.phase("call"))}


def run_id(reader: ResultsReader, uuid: str) -> int:
    (found,) = (run.id for run in reader.runs(limit=None) if run.uuid == uuid)
    assert found is not None
    return found


def test_runs_are_read_newest_first_all_or_so_many(reader: ResultsReader) -> None:
    uuids = [run.uuid for run in reader.runs(limit=None)]
    assert uuids == ["run-4", "run-3", "run-2", "run-1"]
    assert [run.uuid for run in reader.runs(limit=2)] == uuids[:2]
    assert [run.uuid for run in reader.runs()] == uuids[:1]


def test_runs_that_measured_nothing_can_be_left_out(reader: ResultsReader) -> None:
    assert [run.uuid for run in reader.measured_runs()] == ["run-4", "run-2", "run-1"]


def test_a_run_that_is_alive_is_running_and_one_that_is_not_was_interrupted(tmp_path: Path) -> None:
    writer = begin(tmp_path, "run-1")
    with ResultsReader(writer.path) as reader:
        assert reader.runs()[0].status == "running"
        writer.close()  # as a killed run would leave it
        assert reader.runs()[0].status == "interrupted"


def test_the_tests_of_a_run_are_its_last_word_on_each(reader: ResultsReader) -> None:
    assert peaks(reader.tests_of(run_id(reader, "run-2"))) == {"test_b": 22}
    assert peaks(reader.tests_of(run_id(reader, "run-3"))) == {}
    assert peaks(reader.tests_of()) == {}


def test_of_several_runs_the_newest_result_of_each_test_counts(reader: ResultsReader) -> None:
    both = reader.tests_of(run_id(reader, "run-2"), run_id(reader, "run-1"))
    assert peaks(both) == {"test_a": 10, "test_b": 22}


def test_stacks_can_be_left_out(reader: ResultsReader) -> None:
    run = run_id(reader, "run-4")
    whole, light = reader.tests_of(run), reader.tests_of(run, stacks=False)
    assert all(test.stacks for test in whole)
    assert light == [test._replace(stacks=()) for test in whole]
    assert reader.latest_tests(stacks=False) == light
    assert reader.latest_tests("tests/test_a.py", stacks=False) == light
    assert reader.latest_tests() == whole


def test_one_test_is_read_by_path_and_name(reader: ResultsReader) -> None:
    found = reader.latest_test("tests/test_a.py", "test_b")
    assert found is not None
    assert peaks([found]) == {"test_b": 24}
    assert found.stacks
    assert reader.latest_test("tests/test_a.py", "test_z") is None
    assert reader.latest_test("tests/test_z.py", "test_b") is None


def test_node_ids_are_those_of_the_newest_results(project: Path) -> None:
    moved = result("test_b", 1)._replace(nodeid="../tests/test_a.py::test_b")
    write(project, "run-5", moved)
    with ResultsReader(database_path(project)) as reader:
        assert reader.nodeids() == [
            ("tests/test_a.py", "test_a", "tests/test_a.py::test_a"),
            ("tests/test_a.py", "test_c", "tests/test_a.py::test_c"),
            ("tests/test_a.py", "test_b", "../tests/test_a.py::test_b"),
        ]


def test_the_peak_before_is_of_the_last_run_that_had_the_test(reader: ResultsReader) -> None:
    tests = reader.tests_of(run_id(reader, "run-4"))
    before = reader.peaks_before(tests)
    assert {test.name: before.get(test.id or 0) for test in tests} == {
        "test_a": 10,
        "test_b": 22,
        "test_c": None,
    }


def test_a_rerun_is_not_compared_with_its_own_first_attempt(reader: ResultsReader) -> None:
    (test,) = reader.tests_of(run_id(reader, "run-2"))
    assert reader.peaks_before([test]) == {test.id: 20}


def test_the_last_passing_peak_is_of_the_newest_run_that_passed(project: Path) -> None:
    write(project, "run-5", result("test_b", 50, "failed"), result("test_new", 1, "failed"))
    write(project, "run-6", a_test("test_c", "tests/test_b.py")._replace(outcome="passed"))
    with ResultsReader(database_path(project)) as reader:
        assert reader.last_passing_peaks() == {
            ("tests/test_a.py", "test_a"): 14,
            ("tests/test_a.py", "test_b"): 24,
            ("tests/test_a.py", "test_c"): 34,
            ("tests/test_b.py", "test_c"): 31,
        }


def test_peaks_before_are_read_of_any_number_of_tests(tmp_path: Path) -> None:
    tests = [result(f"test_{number}", number) for number in range(2000)]
    write(tmp_path, "run-1", *tests)
    write(tmp_path, "run-2", *tests)
    with ResultsReader(database_path(tmp_path)) as reader:
        run = run_id(reader, "run-2")
        before = reader.peaks_before(reader.tests_of(run, stacks=False))
    assert sorted(before.values()) == list(range(2000))


def test_all_that_the_call_stacks_of_a_test_leak_is_added_up(tmp_path: Path) -> None:
    stacks = (
        StackRecord("peak", 9, 1, ()),
        StackRecord("leak", 5, 1, ()),
        StackRecord("leak", 3, 1, ()),
    )
    leaking = result("test_a", 9)._replace(stacks=stacks)
    write(tmp_path, "run-1", leaking, result("test_b", 9)._replace(stacks=()))
    with ResultsReader(database_path(tmp_path)) as reader:
        tests = reader.latest_tests(stacks=False)
        assert {test.name: reader.leaked(tests).get(test.id or 0) for test in tests} == {
            "test_a": 8,
            "test_b": None,
        }
        assert reader.leaked(tests[1:]) == {}


def test_history_is_one_point_a_run_newest_first(reader: ResultsReader) -> None:
    history = reader.history("tests/test_a.py", "test_b")
    assert [(past.uuid, past.peak_bytes, past.outcome) for past in history] == [
        ("run-4", 24, "passed"),
        ("run-2", 22, "passed"),
        ("run-1", 20, "passed"),
    ]
    assert [(past.git_commit, past.git_dirty) for past in history[:2]] == [
        ("commit-of-run-4", False),
        ("commit-of-run-2", True),
    ]
    assert history[0].started.startswith("2026-01-02T03:04:05.4")
    assert reader.history("tests/test_a.py", "test_b", limit=2) == history[:2]
    assert reader.history("tests/test_a.py", "test_z") == []
