"""Which lines of the project allocate for which tests, and which tests are nearly over a limit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

from memlens.store import (
    CheckRecord,
    FrameRecord,
    ResultsReader,
    SiteRecord,
    StackRecord,
    database_path,
)
from memlens.store.combining import combine

from .stored import a_test, measure

LIBRARY = FrameRecord("array", "/lib/numpy/core.py", 9, "library")
LOAD = FrameRecord("load", "shop/catalog.py", 12, "project")
CALLER = FrameRecord("orders", "shop/orders.py", 40, "project")


def peak(size: int, *frames: FrameRecord) -> StackRecord:
    return StackRecord("peak", size, 2, frames)


def sites(path: Path, name: str = "shop/catalog.py", least: int = 0) -> list[tuple[object, ...]]:
    with ResultsReader(path) as reader:
        return [
            (site.line, site.kind, site.bytes, site.nodeid.partition("::")[2])
            for site in reader.sites_in(name, least)
        ]


def test_a_line_counts_what_it_asked_libraries_for_but_not_what_it_called_of_the_project(
    tmp_path: Path,
) -> None:
    test = a_test()._replace(stacks=(peak(70, LIBRARY, LOAD, CALLER), peak(30, CALLER)))
    path = measure(tmp_path, "run-1", [test])
    assert sites(path) == [(12, "peak", 70, "test_a")]
    assert sites(path, "shop/orders.py") == [(40, "peak", 30, "test_a")]
    assert sites(path, "/lib/numpy/core.py") == []


def test_stacks_of_one_line_and_test_are_one_and_the_heaviest_test_is_first(tmp_path: Path) -> None:
    first = a_test("test_a", peak=100)._replace(
        stacks=(
            peak(10, LOAD),
            peak(20, LIBRARY, LOAD),
            StackRecord("leak", 5, 1, (LOAD,)),
        )
    )
    second = a_test("test_b", peak=400)._replace(stacks=(peak(200, LOAD),))
    path = measure(tmp_path, "run-1", [first, second])
    with ResultsReader(path) as reader:
        run = reader.runs()[0].id
        assert run is not None
        a, b = (test.id or 0 for test in reader.tests_of(run))
        assert reader.sites_in("shop/catalog.py") == [
            SiteRecord(12, "peak", 200, 2, "test_it.py::test_b", run, 400, b),
            SiteRecord(12, "peak", 30, 4, "test_it.py::test_a", run, 100, a),
            SiteRecord(12, "leak", 5, 1, "test_it.py::test_a", run, 100, a),
        ]
        found = reader.result(b)
        assert found is not None
        assert (found.name, found.stacks) == ("test_b", second.stacks)
        assert reader.result(99) is None


def test_what_set_up_and_teardown_held_is_no_tests_own(tmp_path: Path) -> None:
    of_fixtures = tuple(StackRecord(kind, 900, 1, (LOAD,)) for kind in ("setup", "teardown"))
    test = a_test()._replace(stacks=(*of_fixtures, peak(70, LOAD)))
    path = measure(tmp_path, "run-1", [test])
    assert sites(path) == [(12, "peak", 70, "test_a")]
    # So many stacks that they are looked for in another way.
    many = tuple(of_fixtures[0]._replace(bytes=900 + more) for more in range(100))
    path = measure(tmp_path, "run-2", [test._replace(stacks=(*many, *test.stacks))])
    assert sites(path) == [(12, "peak", 70, "test_a")]


def test_only_the_newest_result_of_a_test_counts(tmp_path: Path) -> None:
    measure(tmp_path, "run-1", [a_test()._replace(stacks=(peak(70, LOAD),))])
    path = measure(tmp_path, "run-2", [a_test()._replace(stacks=(peak(60, LOAD),))])
    assert sites(path) == [(12, "peak", 60, "test_a")]
    measure(tmp_path, "run-3", [a_test()._replace(stacks=())])
    assert sites(path) == []


def long_history(root: Path, runs: int) -> Path:
    """As many runs of twenty tests that all allocate on two lines."""
    tests = [
        a_test(f"test_{number}")._replace(stacks=(peak(50 + number, LOAD), peak(40, CALLER, LOAD)))
        for number in range(20)
    ]
    for run in range(runs):
        measure(root, f"run-{run}", tests)
    path = database_path(root)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE run SET collected = 20")
    return path


def test_many_runs_of_many_tests_leave_what_the_newest_say(tmp_path: Path) -> None:
    path = long_history(tmp_path, 5)
    newest = [(12, "peak", 50 + number, f"test_{number}") for number in reversed(range(20))]
    assert sites(path) == newest
    assert sites(path, "shop/orders.py") == [
        (40, "peak", 40, f"test_{number}") for number in range(20)
    ]
    measure(tmp_path, "run-after", [a_test("test_3")._replace(stacks=(peak(60, LOAD),))])
    changed = [site for site in newest if site[3] != "test_3"]
    changed.insert(10, (12, "peak", 60, "test_3"))
    assert sites(path) == changed
    assert sites(path, least=60) == changed[:11]


def test_a_long_history_makes_it_no_slower(tmp_path: Path) -> None:
    steps = []
    for runs in (5, 20):
        with ResultsReader(long_history(tmp_path / str(runs), runs)) as reader:
            taken = count()
            reader._connection.set_progress_handler(partial(_take_step, taken), 100)
            assert len(reader.sites_in("shop/catalog.py")) == 20
            steps.append(next(taken))
    assert steps[1] < 1.5 * steps[0]


def _take_step(taken: Iterator[int]) -> None:
    next(taken)  # what is returned would interrupt SQLite


def test_small_stacks_can_be_left_out(tmp_path: Path) -> None:
    path = measure(tmp_path, "run-1", [a_test()._replace(stacks=(peak(70, LOAD),))])
    assert sites(path, least=70)
    assert not sites(path, least=71)


def test_combined_results_know_their_lines(tmp_path: Path) -> None:
    one = measure(tmp_path / "one", "run-1", [a_test()._replace(stacks=(peak(1, CALLER),))])
    other = measure(
        tmp_path / "other",
        "run-2",
        [a_test("test_b")._replace(stacks=(peak(7, LIBRARY, LOAD), peak(3, LIBRARY)))],
    )
    out = tmp_path / "out.db"
    combine([one, other], out)
    assert sites(out) == [(12, "peak", 7, "test_b")]
    assert sites(out, "shop/orders.py") == [(40, "peak", 1, "test_a")]


def check(measured: int, verdict: str = "passed", marker: str = "limit_memory") -> CheckRecord:
    return CheckRecord(marker, 100, measured, verdict, "")  # type: ignore[arg-type]


def test_tests_with_less_than_a_tenth_of_their_limit_left_are_near_it(tmp_path: Path) -> None:
    checks = {
        "test_far": [check(89)],
        "test_near": [check(90)],
        "test_at": [check(100)],
        "test_over": [check(101, "exceeded")],
        "test_near_and_leaking": [check(95), check(200, "exceeded", "limit_leaks")],
        "test_leaks_a_little": [check(95, marker="limit_leaks")],
        "test_not_judged": [check(95, "not_judged")],
    }
    tests = [a_test(name)._replace(checks=tuple(made)) for name, made in checks.items()]
    path = measure(tmp_path, "run-1", tests)
    with ResultsReader(path) as reader:
        assert [test.name for test in reader.latest_near_limit()] == ["test_near", "test_at"]
    path = measure(tmp_path, "run-2", [a_test("test_near")._replace(checks=(check(10),))])
    with ResultsReader(path) as reader:
        assert [test.name for test in reader.latest_near_limit()] == ["test_at"]
