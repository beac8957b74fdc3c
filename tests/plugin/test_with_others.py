"""memlens beside the plugins and libraries that its users have, all of them the real ones."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from memlens.store import ResultsReader, database_path

MB = 1024**2


class Result(NamedTuple):
    name: str
    outcome: str
    duration: float
    worker: str | None
    peak: int


def results(folder: Path) -> list[Result]:
    """Return every result of every run, the oldest first: an attempt too many would show."""
    with closing(sqlite3.connect(database_path(folder))) as database:
        rows = database.execute(
            "SELECT test.name, outcome, duration, worker, peak_bytes FROM test"
            " JOIN phase ON phase.test = test.id AND phase.name = 'call' ORDER BY test.id"
        )
        return [Result(*row) for row in rows]


def names(folder: Path) -> list[str]:
    return sorted(result.name for result in results(folder))


def outcomes(folder: Path) -> dict[str, str]:
    return {result.name: result.outcome for result in results(folder)}


def peak(folder: Path, name: str) -> int:
    (found,) = (result.peak for result in results(folder) if result.name == name)
    return found


# ---- pytest-xdist


# loadscope and loadfile are loadgroup with other groups.
@pytest.mark.parametrize("dist", ["load", "loadgroup", "worksteal"])
def test_xdist_measures_each_test_once_however_it_distributes(
    pytester: pytest.Pytester, dist: str
) -> None:
    pytester.makepyfile(
        test_one="""
        import pytest

        class TestIt:
            def test_method(self):
                pass

        @pytest.mark.xdist_group("heavy")
        @pytest.mark.limit_memory("2 MB")
        def test_over():
            kept = bytearray(4 * 1024 * 1024)
        """,
        test_two="def test_a(): pass\ndef test_b(): pass",
    )
    run = pytester.runpytest_subprocess("--memray", "-n", "2", "--dist", dist)
    run.assert_outcomes(passed=3, failed=1)
    run.stdout.fnmatch_lines(["4 tests measured, *", "MEMORY PROBLEMS *::test_over* - *"])
    # loadgroup puts the group's name into the node id.
    measured = [name.partition("@")[0] for name in names(pytester.path)]
    assert measured == ["TestIt::test_method", "test_a", "test_b", "test_over"]


def test_xdist_each_keeps_what_every_worker_measured(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_a(): pass\ndef test_b(): pass")
    run = pytester.runpytest_subprocess("--memray", "--dist", "each", "--tx", "2*popen")
    run.assert_outcomes(passed=4)
    measured = {(test.name, test.worker) for test in results(pytester.path)}
    assert measured == {
        (name, worker) for name in ("test_a", "test_b") for worker in ("gw0", "gw1")
    }


def test_a_crashing_xdist_worker_takes_only_its_own_test_along(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import os
        import pytest

        @pytest.fixture
        def crash():
            yield
            os._exit(3)

        def test_before():
            pass

        def test_crashes():
            os._exit(3)

        def test_crashes_after(crash):
            pass

        @pytest.mark.parametrize("number", range(4))
        def test_others(number):
            pass
        """
    )
    run = pytester.runpytest_subprocess("--memray", "-n", "2")
    run.assert_outcomes(passed=6, failed=2)
    measured = outcomes(pytester.path)
    assert measured == {
        "test_before": "passed",
        "test_crashes_after": "failed",  # measured, and it crashed all the same
        **{f"test_others[{number}]": "passed" for number in range(4)},
    }


def test_maxfail_keeps_what_was_finished_before(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        def test_before():
            pass

        @pytest.mark.limit_memory("2 MB")
        def test_over():
            kept = bytearray(4 * 1024 * 1024)

        @pytest.mark.parametrize("number", range(50))
        def test_light(number):
            pass
        """
    )
    run = pytester.runpytest_subprocess("--memray", "-n", "2", "--maxfail=1")
    assert run.parseoutcomes()["failed"] == 1
    measured = results(pytester.path)
    assert {"test_over", "test_before"} <= {test.name for test in measured}
    assert len(measured) < 52
    run.stdout.fnmatch_lines(["*stopping after 1 failures*"])
    run.stdout.no_fnmatch_line("*memlens warning*")


# ---- plugins that run a test again

FLAKY = """
    import pytest

    attempts = []
    kept = []

    @FLAKY
    @pytest.mark.limit_memory("2 MB")
    def test_too_big_at_first():
        attempts.append(1)
        data = bytearray((4 if len(attempts) == 1 else 1) * 1024 * 1024)

    @FLAKY
    @pytest.mark.limit_leaks("1 MB")
    def test_leaks_at_first():
        if not kept:
            kept.append(bytearray(3 * 1024 * 1024))

    @FLAKY
    @pytest.mark.limit_leaks("1 MB")
    def test_fails_at_first(failures=[]):
        if not failures:
            failures.append(bytearray(3 * 1024 * 1024))
            assert False

    @FLAKY
    @pytest.mark.limit_memory("2 MB")
    def test_always_too_big():
        data = bytearray(4 * 1024 * 1024)
"""


@pytest.mark.parametrize(
    ("plugin", "marker"),
    [
        ("rerunfailures", "pytest.mark.flaky(reruns=2)"),
        ("flaky", "pytest.mark.flaky(max_runs=3)"),
    ],
)
def test_each_attempt_is_measured_afresh_and_the_last_one_stands(
    pytester: pytest.Pytester, plugin: str, marker: str
) -> None:
    pytester.makepyfile(test_it=FLAKY.replace("FLAKY", marker))
    run = pytester.runpytest_subprocess("--memray", "-p", plugin)
    counts = run.parseoutcomes()
    assert (counts["passed"], counts["failed"]) == (3, 1)
    run.stdout.fnmatch_lines(["4 tests measured, *", "MEMORY PROBLEMS *::test_always_too_big - *"])
    run.stdout.no_fnmatch_line("*memlens warning*")
    folder = pytester.path
    assert outcomes(folder) == {
        "test_too_big_at_first": "passed",
        "test_leaks_at_first": "passed",
        "test_fails_at_first": "passed",
        "test_always_too_big": "failed",
    }
    assert peak(folder, "test_too_big_at_first") == pytest.approx(MB, abs=16 * 1024)
    with ResultsReader(database_path(folder)) as reader:
        assert [test.name for test in reader.latest_exceeded()] == ["test_always_too_big"]
        assert not any(test.stacks_of("leak") for test in reader.latest_tests())


def test_reruns_work_under_xdist(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=FLAKY.replace("FLAKY", "pytest.mark.flaky(reruns=2)"))
    run = pytester.runpytest_subprocess("--memray", "-p", "rerunfailures", "-n", "2")
    counts = run.parseoutcomes()
    assert (counts["passed"], counts["failed"]) == (3, 1)
    assert len(results(pytester.path)) == 4


# ---- plugins that watch or order tests


def test_coverage_is_the_same_while_measuring(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop="""
        import threading

        def price(cheap):
            if cheap:
                return 1
            return [total(n) for n in range(3)]

        def total(n):
            return n

        def never():
            return None

        def in_a_thread():
            thread = threading.Thread(target=total, args=(1,))
            thread.start()
            thread.join()
        """,
        test_it="""
        import pytest
        import shop

        @pytest.mark.limit_leaks("1 MB")
        def test_cheap():
            shop.price(True)

        def test_thread():
            shop.in_a_thread()

        @pytest.mark.limit_memory("2 MB")
        def test_over():
            shop.price(False)
            kept = bytearray(4 * 1024 * 1024)
        """,
    )

    def covered(*arguments: str) -> object:
        run = pytester.runpytest_subprocess(
            "--cov=shop", "--cov-branch", "--cov-report=json", *arguments
        )
        run.assert_outcomes(passed=2, failed=1)
        report = json.loads((pytester.path / "coverage.json").read_text(encoding="utf-8"))
        return report["files"]["shop.py"]

    plain = covered()
    assert covered("--memray") == plain
    assert names(pytester.path)[-3:] == ["test_over", "test_over", "test_thread"]


def test_a_shuffled_run_measures_the_same(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import random
        import pytest

        @pytest.mark.parametrize("size", range(8))
        def test_size(size):
            kept = bytearray(size * 1024 * 1024)
            drawn = random.random()
        """
    )
    for seed in ("1", "2"):
        run = pytester.runpytest_subprocess("--memray", "-p", "randomly", f"--randomly-seed={seed}")
        run.assert_outcomes(passed=8)
    measured = results(pytester.path)
    assert [test.name for test in measured[:8]] != [test.name for test in measured[8:]]
    for test in measured:
        size = int(test.name[-2])
        assert test.peak == pytest.approx(size * MB, abs=64 * 1024)


def test_a_test_that_times_out_fails_and_the_next_is_measured(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.timeout(0.5, method="signal")
        @pytest.mark.limit_memory("2 MB")
        def test_hangs():
            while True:
                pass

        @pytest.mark.timeout(30, method="signal")
        @pytest.mark.limit_memory("2 MB")
        def test_next():
            kept = bytearray(1024 * 1024)
        """
    )
    run = pytester.runpytest_subprocess("--memray")
    run.assert_outcomes(passed=1, failed=1)
    run.stdout.fnmatch_lines(["E *Timeout*0.5s*"])
    run.stdout.no_fnmatch_line("*memlens warning*")
    assert outcomes(pytester.path)["test_hangs"] == "failed"
    # When Python takes another arena for small objects varies with when the time was up.
    after = peak(pytester.path, "test_next")
    assert after in (pytest.approx(MB, abs=16 * 1024), pytest.approx(2 * MB, abs=16 * 1024))


def test_a_timeout_that_ends_the_process_keeps_what_was_finished(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        def test_before():
            pass

        @pytest.mark.timeout(0.5, method="thread")
        def test_hangs():
            while True:
                pass
        """
    )
    run = pytester.runpytest_subprocess("--memray", timeout=120)
    assert run.ret == 1
    assert pytester.run(sys.executable, "-m", "memlens", "check").ret == 0
    assert names(pytester.path) == ["test_before"]


# ---- ways to write tests


needs_subtests = pytest.mark.skipif(
    pytest.version_tuple < (9,), reason="pytest 9 is the first with subtests"
)


@needs_subtests
def test_subtests_are_measured_as_their_one_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import time
        import pytest

        def test_sizes(subtests):
            for size in (1, 3, 2):
                with subtests.test(size=size):
                    kept = bytearray(size * 1024 * 1024)
                    assert size != 3

        def test_skips_one(subtests):
            with subtests.test("first"):
                pytest.skip("not today")

        @pytest.mark.limit_memory("2 MB")
        def test_over(subtests):
            with subtests.test():
                kept = bytearray(4 * 1024 * 1024)
        """
    )
    run = pytester.runpytest("--memray")
    run.stdout.fnmatch_lines(["*SUBFAIL*test_sizes*"])
    run.stdout.fnmatch_lines(["*MEMORY PROBLEMS *::test_over*"])
    folder = pytester.path
    assert outcomes(folder) == {
        "test_sizes": "failed",
        "test_skips_one": "passed",
        "test_over": "failed",
    }
    assert 3 * MB <= peak(folder, "test_sizes") < 6 * MB


@needs_subtests
def test_a_subtests_time_is_counted_once(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            report.duration = 100.0 if call.when == "call" else 1.0
            return report
        """
    )
    pytester.makepyfile(
        test_it="""
        def test_before():
            pass

        def test_it(subtests):
            for number in range(5):
                with subtests.test(number=number):
                    pass
        """
    )
    pytester.runpytest("--memray")
    assert results(pytester.path)[-1].duration == 102.0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_anyio_tests_obey_limits(pytester: pytest.Pytester, backend: str) -> None:
    pytester.makepyfile(
        test_it=f"""
        import anyio
        import pytest

        pytestmark = pytest.mark.anyio

        @pytest.fixture
        def anyio_backend():
            return {backend!r}

        @pytest.fixture
        async def connection():
            before = bytearray(8 * 1024 * 1024)
            yield "connected"

        @pytest.mark.limit_memory("2 MB")
        async def test_over(connection):
            await anyio.sleep(0)
            kept = bytearray(4 * 1024 * 1024)

        @pytest.mark.limit_memory("2 MB")
        async def test_within(connection):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 0)
            assert connection == "connected"
        """
    )
    run = pytester.runpytest_subprocess("--memray", "-p", "anyio")
    run.assert_outcomes(passed=1, failed=1)
    run.stdout.fnmatch_lines(["*test_it.py:* in test_over"])
    assert peak(pytester.path, "test_over") == pytest.approx(4 * MB, abs=MB)
    assert peak(pytester.path, "test_within") < 2 * MB


def test_both_anyio_back_ends_of_a_test_are_measured_apart(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.anyio
        @pytest.mark.limit_memory("2 MB")
        async def test_it(anyio_backend_name):
            size = 4 if anyio_backend_name == "trio" else 1
            kept = bytearray(size * 1024 * 1024)
        """
    )
    run = pytester.runpytest_subprocess("--memray", "-p", "anyio")
    run.assert_outcomes(passed=1, failed=1)
    assert outcomes(pytester.path) == {
        "test_it[asyncio]": "passed",
        "test_it[trio]": "failed",
    }


def test_what_a_generator_fixture_holds_is_not_the_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.fixture
        def big():
            data = bytearray(8 * 1024 * 1024)
            yield data
            more = bytearray(16 * 1024 * 1024)

        @pytest.mark.limit_memory("3 MB")
        @pytest.mark.limit_leaks("1 MB")
        def test_uses_it(big):
            copied = bytes(big[:1024 * 1024])
        """
    )
    pytester.runpytest("--memray").assert_outcomes(passed=1)
    assert peak(pytester.path, "test_uses_it") == pytest.approx(2 * MB, rel=0.05)


def test_hypothesis_tests_are_measured_once_with_all_examples(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest
        from hypothesis import given, settings, strategies as st

        quick = settings(max_examples=20, database=None, derandomize=True)

        @pytest.mark.limit_memory("20 MB")
        @quick
        @given(st.integers(min_value=0, max_value=3))
        def test_within(size):
            kept = bytearray(size * 1024 * 1024)

        @pytest.mark.limit_memory("20 MB")
        @quick
        @given(size=st.integers(min_value=0, max_value=3))
        def test_over(size):
            kept = bytearray(30 * 1024 * 1024)

        class TestMethods:
            @quick
            @given(st.booleans())
            def test_method(self, flag):
                assert flag in (True, False)
        """
    )
    run = pytester.runpytest("--memray", "-p", "no:cacheprovider", "-p", "hypothesispytest")
    run.assert_outcomes(passed=2, failed=1)
    run.stdout.fnmatch_lines(["*test_it.py:* in test_over", "MEMORY PROBLEMS *::test_over - *"])
    assert names(pytester.path) == ["TestMethods::test_method", "test_over", "test_within"]
    assert 3 * MB <= peak(pytester.path, "test_within") < 20 * MB


def test_async_hypothesis_tests_are_measured(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest
        from hypothesis import given, settings, strategies as st

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        @pytest.mark.limit_memory("20 MB")
        @settings(max_examples=5, database=None, derandomize=True)
        @given(flag=st.booleans())
        async def test_over(flag):
            kept = bytearray(30 * 1024 * 1024)
        """
    )
    run = pytester.runpytest_subprocess("--memray", "-p", "anyio", "-p", "hypothesispytest")
    run.assert_outcomes(failed=1)
    assert peak(pytester.path, "test_over") >= 30 * MB


# ---- pytest-memray

BESIDE = "memlens: pytest-memray is installed too and was not loaded, *"


@pytest.fixture(scope="session")
def pytest_memray(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the real pytest-memray, apart from this environment."""
    folder = tmp_path_factory.mktemp("pytest-memray")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*install, "--no-deps", "--target", str(folder), "pytest-memray==1.11.0"], check=True
    )
    return folder


@pytest.fixture
def beside_pytest_memray(
    pytester: pytest.Pytester, pytest_memray: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ahead of the environment's packages: pytest finds its entry point before ours.
    monkeypatch.setenv("PYTHONPATH", str(pytest_memray), prepend=os.pathsep)
    pytester.makepyfile(
        test_it="""
        import sys
        import pytest

        @pytest.mark.limit_memory("2 MB")
        def test_over():
            kept = bytearray(4 * 1024 * 1024)

        def test_config(request):
            assert request.config.getoption("--memray") in (None, True)

        def test_who_was_first(request):
            theirs_was_first = "pytest_memray" in sys.modules
            assert theirs_was_first == (request.config.getini("who") == "theirs")
        """
    )
    pytester.makeconftest("def pytest_addoption(parser): parser.addini('who', '')")


@pytest.mark.parametrize(
    ("first", "arguments"),
    [
        ("theirs", ()),
        ("theirs", ("-p", "memray")),
        ("theirs", ("-p", "memray", "-p", "memlens")),
        ("ours", ("-p", "memlens")),
        ("ours", ("-p", "memlens", "-p", "memray")),
        ("ours", ("-p", "memlens", "-p", "pytest_memray.plugin")),
    ],
)
@pytest.mark.usefixtures("beside_pytest_memray")
def test_memlens_is_in_charge_whichever_is_loaded_first(
    pytester: pytest.Pytester, first: str, arguments: tuple[str, ...]
) -> None:
    run = pytester.runpytest_subprocess("--memray", *arguments, "-o", f"who={first}")
    run.assert_outcomes(passed=2, failed=1)
    run.stdout.fnmatch_lines(
        [BESIDE, "memlens: measuring every test *", "Peak memory of 4.0 MiB *", "3 tests measured*"]
    )
    run.stdout.no_fnmatch_line("*MEMRAY REPORT*")
    assert len(results(pytester.path)) == 3


@pytest.mark.usefixtures("beside_pytest_memray")
def test_our_ini_file_holds_beside_pytest_memray(pytester: pytest.Pytester) -> None:
    """A flag of pytest-memray's that was not given must not count as one of ours that was."""
    pytester.makeini("[pytest]\nmemray = true\nwho = theirs\n")
    run = pytester.runpytest_subprocess("-k", "test_who_was_first or test_over")
    run.assert_outcomes(passed=1, failed=1)
    run.stdout.fnmatch_lines([BESIDE, "memlens: measuring every test *", "2 tests measured*"])


@pytest.mark.usefixtures("beside_pytest_memray")
def test_a_conftest_that_asks_for_pytest_memray_gets_memlens(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        pytest_plugins = ["pytest_memray"]

        def pytest_addoption(parser):
            parser.addini("who", "")
        """
    )
    run = pytester.runpytest_subprocess("--memray", "-p", "memlens", "-o", "who=ours")
    run.assert_outcomes(passed=2, failed=1)
    assert len(results(pytester.path)) == 3


@pytest.mark.usefixtures("beside_pytest_memray")
def test_workers_agree_about_who_is_in_charge(pytester: pytest.Pytester) -> None:
    run = pytester.runpytest_subprocess("--memray", "-n", "2", "-o", "who=theirs")
    run.assert_outcomes(passed=2, failed=1)
    run.stdout.fnmatch_lines([BESIDE, "3 tests measured*"])


@pytest.mark.usefixtures("beside_pytest_memray")
def test_the_help_lists_each_flag_once(pytester: pytest.Pytester) -> None:
    run = pytester.runpytest_subprocess("--help")
    assert run.ret == 0
    flags = [line.split()[0] for line in run.stdout.lines if line.startswith("  --memray")]
    assert sorted(set(flags)) == sorted(flags)


@pytest.mark.usefixtures("beside_pytest_memray")
@pytest.mark.parametrize("blocked", ["memray", "memlens"])
def test_whoever_is_blocked_stays_out(pytester: pytest.Pytester, blocked: str) -> None:
    run = pytester.runpytest_subprocess("--memray", "-p", f"no:{blocked}", "-k", "test_over")
    run.assert_outcomes(failed=1)
    run.stdout.no_fnmatch_line(BESIDE)
    assert (pytester.path / ".memlens").exists() == (blocked == "memray")
