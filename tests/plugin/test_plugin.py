"""`pytest --memray` and the markers, as users meet them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from memlens.store import ResultsReader, RunRecord, TestRecord, database_path

MB = 1024**2


def results(folder: Path) -> dict[str, TestRecord]:
    with ResultsReader(database_path(folder)) as reader:
        return {test.nodeid: test for test in reader.latest_tests()}


def last_run(folder: Path) -> RunRecord:
    with ResultsReader(database_path(folder)) as reader:
        return reader.runs()[0]


def checks(test: TestRecord) -> list[tuple[str, str]]:
    return [(check.marker, check.verdict) for check in test.checks]


def test_a_test_over_its_memory_limit_fails_and_says_where(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        def hoard():
            return bytearray(4 * 1024 * 1024)

        @pytest.mark.limit_memory("2 MB")
        def test_over():
            kept = hoard()

        @pytest.mark.limit_memory("20 MB")
        def test_within():
            kept = hoard()
        """
    )
    result = pytester.runpytest("--memray")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*Peak memory of 4.0 MiB is over the limit of 2.0 MiB",
            "*4.0 MiB in 1 allocation",
            "    test_it.py:4 in hoard",
            "    test_it.py:8 in test_over",
            "MEMORY PROBLEMS *::test_over - *",
        ]
    )
    # Nothing of ours or pytest's stands among the callers.
    result.stdout.no_fnmatch_line("* in measured")
    result.stdout.no_fnmatch_line("*pluggy/*")


def test_a_test_that_leaks_fails_and_says_where(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        kept = []

        def leak(size):
            kept.append(bytearray(size))

        @pytest.mark.limit_leaks("1 MB")
        def test_leaks():
            leak(3 * 1024 * 1024)

        @pytest.mark.limit_leaks("1 MB")
        def test_frees():
            bytearray(3 * 1024 * 1024)

        @pytest.mark.limit_leaks("1 MB")
        def test_leaks_little():
            leak(1024)
        """
    )
    result = pytester.runpytest("--memray")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "Leaked 3.0 MiB from 1 call stack, over the limit of 1.0 MiB for each",
            "Not freed by the end of the test:",
            "  3.0 MiB in 1 allocation",
            "    *.py:6 in leak",
            "    *.py:10 in test_leaks",
        ]
    )


def test_what_python_keeps_because_it_is_measured_is_no_leak(pytester: pytest.Pytester) -> None:
    # CPython 3.11 makes a table of a function's lines when that is first entered under memray.
    pytester.makepyfile(
        test_it="""
        import pytest

        lines = "".join(f"    value = {number}\\n" for number in range(3000))
        made = {}
        exec(f"def long(kept=None):\\n    yield\\n{lines}", made)

        @pytest.mark.limit_leaks("1 KB")
        def test_enters_a_long_function_for_the_first_time():
            next(made["long"]())
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_filter_fn_ignores_stacks(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest
        from memlens import Stack

        kept = []

        def cache(size):
            kept.append(bytearray(size))

        def not_the_cache(stack: Stack) -> bool:
            assert all(isinstance(frame.lineno, int) for frame in stack.frames)
            return not any(frame.function == "cache" for frame in stack.frames)

        @pytest.mark.limit_leaks("1 MB", filter_fn=not_the_cache)
        def test_cached():
            cache(3 * 1024 * 1024)

        @pytest.mark.limit_leaks("1 MB", filter_fn=not_the_cache)
        def test_leaks():
            kept.append(bytearray(3 * 1024 * 1024))
        """
    )
    result = pytester.runpytest("--memray")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["MEMORY PROBLEMS *::test_leaks - *"])


def test_a_filter_fn_that_raises_fails_its_own_test_with_its_own_traceback(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        kept = []

        def broken(stack):
            raise KeyError("in my filter")

        @pytest.mark.limit_leaks("1 MB", filter_fn=broken)
        def test_leaks():
            kept.append(bytearray(3 * 1024 * 1024))

        def test_next():
            pass
        """
    )
    result = pytester.runpytest("--memray")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*raise KeyError*", "E *KeyError: 'in my filter'"])


def test_limits_hold_without_the_flag_and_nothing_else_is_measured(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.limit_memory("2 MB")
        def test_over():
            kept = bytearray(4 * 1024 * 1024)

        def test_unmarked():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*heaviest tests*")
    assert [name.partition("::")[2] for name in results(pytester.path)] == ["test_over"]


def test_a_run_that_measures_nothing_imports_no_memray_and_writes_nothing(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_it="""
        import sys

        def test_plain():
            assert "memray" not in sys.modules
            assert "sqlite3" not in sys.modules
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    assert not (pytester.path / ".memlens").exists()


@pytest.mark.parametrize(("arguments", "measured"), [([], True), (["-o", "memray=false"], False)])
def test_the_ini_key_measures_every_test(
    pytester: pytest.Pytester, arguments: list[str], measured: bool
) -> None:
    pytester.makeini("[pytest]\nmemray = true\n")
    pytester.makepyfile(test_it="def test_plain(): pass")
    pytester.runpytest(*arguments).assert_outcomes(passed=1)
    assert database_path(pytester.path).exists() == measured


def test_results_say_what_was_measured(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_shop="""
        import pytest

        class TestCart:
            @pytest.mark.limit_memory("2 MB")
            @pytest.mark.parametrize("size", [3])
            def test_total(self, size):
                first = bytearray(size * 1024 * 1024)
                del first
                second = bytearray(2 * 1024 * 1024)
        """
    )
    pytester.runpytest("--memray").assert_outcomes(failed=1)
    (test,) = results(pytester.path).values()
    assert test.nodeid == "test_shop.py::TestCart::test_total[3]"
    assert (test.path, test.line, test.outcome) == ("test_shop.py", 6, "failed")
    assert test.duration > 0
    phase = test.phase("call")
    assert phase is not None
    assert phase.peak_bytes == pytest.approx(3 * MB, abs=16 * 1024)
    assert phase.allocated_bytes == pytest.approx(5 * MB, abs=16 * 1024)
    assert phase.allocations is not None
    assert phase.allocations >= 2
    assert phase.alive_bytes < MB
    (check,) = test.checks
    assert (check.marker, check.limit_bytes, check.measured_bytes, check.verdict) == (
        "limit_memory",
        2 * MB,
        phase.peak_bytes,
        "exceeded",
    )
    frame = test.stacks_of("peak")[0].frames[0]
    assert (frame.function, frame.path, frame.line, frame.kind) == (
        "test_total",
        "test_shop.py",
        7,
        "project",
    )


def test_the_run_is_described(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_a(): pass\ndef test_b(): pass\ndef test_c(): assert 0")
    pytester.runpytest("--memray", "-k", "a or c")
    run = last_run(pytester.path)
    assert (run.status, run.exit_status, run.collected) == ("finished", 1, 2)
    assert run.command_line[:3] == ("--memray", "-k", "a or c") or "-k" in run.command_line
    assert run.rootdir == str(pytester.path)
    assert set(run.versions) == {"memlens", "memray", "pytest", "python", "platform"}


def test_results_arrive_while_the_run_goes_on(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest
        from memlens import pending

        # As if each test lasted longer than results may wait.
        pending.LONGEST_WAIT = 0.0
        """
    )
    pytester.makepyfile(
        test_it="""
        from pathlib import Path
        from memlens.store import ResultsReader, database_path

        def test_first():
            pass

        def test_second(request):
            with ResultsReader(database_path(request.config.rootpath)) as reader:
                (test,) = reader.latest_tests()
            assert test.nodeid.endswith("::test_first")
        """
    )
    pytester.runpytest_subprocess("--memray").assert_outcomes(passed=2)


def test_the_summary_shows_the_heaviest_tests_first(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.parametrize("size", [1, 5, 2, 6, 3, 4])
        def test_size(size):
            kept = bytearray(size * 1024 * 1024)
        """
    )
    result = pytester.runpytest("--memray")
    result.stdout.fnmatch_lines(
        [
            "memlens: measuring every test with memray, results in .memlens/results.db",
            "*memory, heaviest tests first*",
            "6.0 MiB  test_it.py::test_size[[]6]",
            "         1 allocation |?| 4.0 MiB to 8.0 MiB",
            "         6.0 MiB  test_size (test_it.py:5)",
            "5.0 MiB  test_it.py::test_size[[]5]",
            "4.0 MiB  test_it.py::test_size[[]4]",
            "3.0 MiB  test_it.py::test_size[[]3]",
            "2.0 MiB  test_it.py::test_size[[]2]",
            "and 1 more (--most-allocations=0 shows all)",
            "6 tests measured, 6 allocations, highest peak 6.0 MiB in test_it.py::test_size[[]6]",
            "Results: .memlens/results.db",
        ]
    )


def test_the_nearest_marker_of_a_kind_counts(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        pytestmark = pytest.mark.limit_memory("1 KB")

        @pytest.mark.limit_memory("2 KB")
        class TestRaised:
            @pytest.mark.limit_memory("20 MB")
            def test_by_function(self):
                kept = bytearray(4 * 1024 * 1024)

            def test_by_class(self):
                kept = bytearray(4 * 1024 * 1024)
        """
    )
    pytester.runpytest().assert_outcomes(passed=1, failed=1)
    limits = [test.checks[0].limit_bytes for test in results(pytester.path).values()]
    assert limits == [20 * MB, 2048]


def test_a_wrong_marker_is_that_tests_error_and_nobody_elses(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.limit_memory("24 XB")
        def test_wrong():
            pass

        @pytest.mark.limit_leaks("1 MB", fliter_fn=print)
        def test_misspelt():
            pass

        def test_right():
            pass
        """
    )
    result = pytester.runpytest("--memray")
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*.py:3: limit_memory: '24 XB' is not a memory size: expected a string such as *",
            "*.py:7: limit_leaks: unknown argument 'fliter_fn': did you mean filter_fn?",
        ]
    )


def test_a_test_that_fails_by_itself_keeps_its_own_failure(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.limit_memory("1 KB")
        @pytest.mark.limit_leaks("1 KB")
        def test_wrong():
            kept = bytearray(4 * 1024 * 1024)
            assert len(kept) == 0
        """
    )
    result = pytester.runpytest("--memray")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *assert 4194304 == 0"])
    result.stdout.no_fnmatch_line("*MEMORY PROBLEMS*")
    (test,) = results(pytester.path).values()
    assert checks(test) == [("limit_memory", "exceeded"), ("limit_leaks", "not_judged")]


def test_an_expected_failure_may_be_a_limit(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.xfail(strict=True)
        @pytest.mark.limit_memory("1 KB")
        def test_known():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    pytester.runpytest("--memray").assert_outcomes(xfailed=1)
    (test,) = results(pytester.path).values()
    assert test.outcome == "xfailed"


def test_methods_of_unittest_obey_limits(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import unittest
        import pytest

        @pytest.mark.limit_memory("2 MB")
        class TestOld(unittest.TestCase):
            def test_over(self):
                kept = bytearray(4 * 1024 * 1024)

            def test_within(self):
                self.assertTrue(True)

        class TestAsync(unittest.IsolatedAsyncioTestCase):
            @pytest.mark.limit_memory("2 MB")
            async def test_over(self):
                kept = bytearray(4 * 1024 * 1024)
        """
    )
    result = pytester.runpytest("--memray")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["3 tests measured, *", "Memory problems: 2 over the memory limit"])


def test_coroutine_tests_obey_limits(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(
        test_it="""
        import asyncio
        import pytest

        @pytest.mark.asyncio
        @pytest.mark.limit_memory("2 MB")
        async def test_over():
            await asyncio.sleep(0)
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    result = pytester.runpytest("--memray")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Peak memory of 4.0 MiB is over *", "*.py:8 in test_over"])


def test_with_xdist_one_process_writes_what_the_workers_measured(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_light(number):
            pass

        @pytest.mark.limit_memory("2 MB")
        def test_over():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    result = pytester.runpytest_subprocess("--memray", "-n", "2")
    result.assert_outcomes(passed=6, failed=1)
    result.stdout.fnmatch_lines(["Peak memory of 4.0 MiB*", "MEMORY PROBLEMS *::test_over - *"])
    tests = results(pytester.path)
    assert len(tests) == 7
    assert {test.worker for test in tests.values()} <= {"gw0", "gw1"}
    run = last_run(pytester.path)
    assert (run.collected, run.exit_status) == (7, 1)


def test_results_that_cannot_be_written_are_a_warning_and_no_failure(
    pytester: pytest.Pytester,
) -> None:
    pytester.path.joinpath(".memlens").write_text("a file where the folder should be")
    pytester.makepyfile(
        test_it="""
        import pytest

        def test_plain():
            pass

        @pytest.mark.limit_memory("2 MB")
        def test_over():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    result = pytester.runpytest("--memray")
    result.assert_outcomes(passed=1, failed=1)
    assert str(result.stdout).count("memlens warning: results were not kept: ") == 1
    result.stdout.fnmatch_lines(["*heaviest tests*", "*test_over"])


def test_a_fixture_that_starts_a_tracker_learns_why_it_cannot(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import memray
        import pytest

        @pytest.fixture
        def tracker(tmp_path):
            with memray.Tracker(tmp_path / "own.bin"):
                yield

        def test_own(tracker):
            pass

        def test_next():
            pass
        """
    )
    result = pytester.runpytest("--memray")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "E *RuntimeError: *Tracker*",
            "This test starts a memray.Tracker of its own while memlens measures it, *",
        ]
    )
    assert [name.partition("::")[2] for name in results(pytester.path)] == ["test_next"]


def test_captures_are_deleted(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pytester.path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    pytester.makepyfile(test_it="def test_plain(): pass")
    pytester.runpytest("--memray", "-p", "no:tmpdir").assert_outcomes(passed=1)
    assert [path.name for path in folder.iterdir() if path.name.startswith("memlens-")] == []


def test_without_the_plugin_nothing_is_left_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_plain(): pass")
    result = pytester.runpytest("-p", "no:memlens", "--help")
    result.stdout.no_fnmatch_line("*--memray*")
    pytester.runpytest("-p", "no:memlens").assert_outcomes(passed=1)
    assert not (pytester.path / ".memlens").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="memray has no Windows build")
def test_a_signal_to_stop_keeps_what_was_finished(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        def test_finished():
            pass

        def test_interrupted():
            raise KeyboardInterrupt
        """
    )
    pytester.runpytest_subprocess("--memray")
    assert [name.partition("::")[2] for name in results(pytester.path)] == ["test_finished"]
    run = last_run(pytester.path)
    assert (run.status, run.exit_status) == ("interrupted", 2)


def test_an_inherited_test_is_at_the_class_that_inherits_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        base="""
        class Base:
            x = 1

            def test_inherited(self):
                pass
        """,
        test_it="""
        from base import Base

        class TestIt(Base):
            pass
        """,
    )
    pytester.runpytest("--memray").assert_outcomes(passed=1)
    (test,) = results(pytester.path).values()
    assert (test.path, test.line) == ("test_it.py", 3)


def test_the_first_tests_duration_has_its_set_up_too(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            report.duration = {"setup": 100, "call": 10, "teardown": 1}[report.when]
            return report
        """
    )
    pytester.makepyfile(test_it="def test_a(): pass\ndef test_b(): pass")
    pytester.runpytest("--memray").assert_outcomes(passed=2)
    assert [test.duration for test in results(pytester.path).values()] == [111, 111]


def test_a_fault_of_ours_is_no_failure_of_the_tests(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import memlens.places

        def broken(*arguments):
            raise KeyError("ours")

        memlens.places.line_of_test = broken
        """
    )
    pytester.makepyfile(test_it="def test_a(): pass\ndef test_b(): assert 0")
    result = pytester.runpytest_subprocess("--memray")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "memlens warning: test_it.py::test_a and 1 more were not measured: this is a fault of"
            " memlens: KeyError: 'ours'"
        ]
    )


@pytest.mark.parametrize("asked", ["--memray", "marker", "nothing"])
def test_where_memray_does_not_run_the_plugin_says_so_and_does_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setattr("memlens.settings.MEMRAY_RUNS_HERE", False)
    pytester.makepyfile(
        f"""
        import pytest

        {"@pytest.mark.limit_memory('1 MB')" if asked == "marker" else ""}
        def test_it():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    result = pytester.runpytest(*["--memray"] if asked == "--memray" else [])
    result.assert_outcomes(passed=1)
    said = [line for line in result.stdout.lines if line.startswith("memlens: nothing is measured")]
    assert len(said) == (0 if asked == "nothing" else 1)
    result.stdout.no_fnmatch_line("*memlens warning*")
    assert not (pytester.path / ".memlens").exists()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_summary_keeps_node_ids_whole_at_any_width(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    name = "test_" + "long_" * 20
    pytester.makepyfile(
        test_it=f"""
        import pytest

        @pytest.mark.limit_memory("5 MB")
        def {name}():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    result = pytester.runpytest("--memray")
    nodeid = f"test_it.py::{name}"
    result.stdout.fnmatch_lines(
        [
            "=*= memory, heaviest tests first =*=",
            f"4.0 MiB  {nodeid}",
            f"   80% of 5.0 MiB  {nodeid}",
            f"1 test measured, *, highest peak 4.0 MiB in {nodeid}",
        ]
    )
    separators = [line for line in result.stdout.lines if " memory, heaviest tests first " in line]
    assert [len(line) for line in separators] == [width]


@pytest.mark.parametrize("colour", ["yes", "no"])
def test_colours_are_the_terminals(pytester: pytest.Pytester, colour: str) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.limit_memory("2 MB")
        def test_over():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    result = pytester.runpytest("--memray", f"--color={colour}")
    assert ("\x1b[" in result.stdout.str()) == (colour == "yes")
    if colour == "yes":
        result.stdout.fnmatch_lines(["*\x1b*4.0 MiB*\x1b[[]31m*test_it.py::test_over*"])
    else:
        result.stdout.fnmatch_lines(["4.0 MiB  test_it.py::test_over"])


def test_a_heavy_tests_peak_keeps_the_stacks_for_a_flame_graph(pytester: pytest.Pytester) -> None:
    branches = "\n".join(f"def f{n}(size): return bytearray(size)" for n in range(20))
    pytester.makepyfile(
        test_it=f"""{branches}
BRANCHES = [globals()[f"f{{n}}"] for n in range(20)]

def test_heavy():
    kept = [f(100_000) for f in BRANCHES]

def test_light():
    kept = [f(1_000) for f in BRANCHES]
"""
    )
    pytester.runpytest("--memray").assert_outcomes(passed=2)
    with ResultsReader(database_path(pytester.path)) as reader:
        kept = {test.name: len(test.stacks) for test in reader.latest_tests()}
    assert kept["test_heavy"] >= 20
    assert kept["test_light"] <= 5
