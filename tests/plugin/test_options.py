"""Flags and ini keys: both really work, and the flag beats the ini file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from memlens.captures import capture_path
from memlens.store import ResultsReader, database_path

MB = 1024**2

SIZES = """
import os
import pytest

@pytest.mark.limit_memory("100 MB")
def test_sized():
    kept = bytearray(int(os.environ.get("SIZE", "4")) * 1024 * 1024)
"""


@pytest.fixture
def grown(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project whose test took 4 MiB in its last passing run and takes 5 MiB now."""
    pytester.makepyfile(test_it=SIZES)
    pytester.runpytest("--memray").assert_outcomes(passed=1)
    monkeypatch.setenv("SIZE", "5")
    return pytester


def test_the_summary_can_be_hidden_by_flag_and_by_ini_key(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_a(): pass")
    for arguments in (["--hide-memray-summary"], ["-o", "hide_memray_summary=true"]):
        result = pytester.runpytest("--memray", *arguments)
        result.stdout.no_fnmatch_line("*heaviest tests*")
        assert database_path(pytester.path).exists()


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ((), 5),
        (("--most-allocations=2",), 2),
        (("--most-allocations=0",), 7),
        (("-o", "most_allocations=3"), 3),
        (("-o", "most_allocations=3", "--most-allocations=1"), 1),
    ],
)
def test_most_allocations_says_how_many_tests_are_shown(
    pytester: pytest.Pytester, arguments: tuple[str, ...], count: int
) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.parametrize("number", range(7))
        def test_a(number): pass
        """
    )
    result = pytester.runpytest("--memray", *arguments)
    rows = [line for line in result.outlines if line.lstrip().startswith("0 B  test_it.py::")]
    assert len(rows) == count


@pytest.mark.parametrize(
    ("arguments", "frames"),
    [
        ((), 8),
        (("--stacks=1",), 1),
        (("-o", "stacks=2"), 2),
        (("-o", "stacks=2", "--stacks=3"), 3),
        (("-v",), 13),
        (("-q",), 0),
        (("-o", "verbosity_memray=-1"), 0),
        (("-q", "-o", "verbosity_memray=2"), 13),
    ],
)
def test_stacks_and_verbosity_say_how_much_of_a_stack_is_shown(
    pytester: pytest.Pytester, arguments: tuple[str, ...], frames: int
) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        def deeper(levels):
            return deeper(levels - 1) if levels else bytearray(4 * 1024 * 1024)

        @pytest.mark.limit_memory("1 MB")
        def test_deep():
            kept = deeper(11)
        """
    )
    result = pytester.runpytest(*arguments)
    result.assert_outcomes(failed=1)
    # Some Pythons have a second, small stack: room for deep recursion.
    _, _, stack = str(result.stdout).partition("  4.0 MiB in 1 allocation\n")
    shown = [line.startswith("    test_it.py:") for line in stack.splitlines()]
    assert [*shown, False].index(False) == frames


def test_native_frames_are_recorded_when_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.limit_memory("1 MB")
        def test_it():
            kept = bytearray(4 * 1024 * 1024)
        """
    )

    def kinds() -> set[str]:
        with ResultsReader(database_path(pytester.path)) as reader:
            (test,) = reader.latest_tests()
        return {frame.kind for stack in test.stacks for frame in stack.frames}

    pytester.runpytest()
    assert kinds() == {"project"}
    for arguments in (["--native"], ["-o", "native=true"]):
        pytester.runpytest(*arguments)
        assert kinds() == {"project", "native"}


def test_python_allocators_are_traced_when_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        def test_it():
            kept = [str(number) * 2 for number in range(5000)]
        """
    )

    def allocations() -> int:
        with ResultsReader(database_path(pytester.path)) as reader:
            (test,) = reader.latest_tests()
        return sum(stack.allocations for stack in test.stacks_of("peak"))

    pytester.runpytest("--memray")
    few = allocations()
    for arguments in (["--trace-python-allocators"], ["-o", "trace_python_allocators=true"]):
        pytester.runpytest("--memray", *arguments)
        assert allocations() > few + 4000


def test_captures_are_kept_where_memray_can_read_them(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_a(): kept = bytearray(4 * 1024 * 1024)")
    result = pytester.runpytest("--memray", "--memray-bin-path=bins", "--memray-bin-prefix=mine")
    result.stdout.fnmatch_lines(["Captures: */bins, 1 with the prefix mine"])
    capture = pytester.path / "bins" / "mine-test_it.py-test_a.bin"
    metadata = json.loads(
        (pytester.path / "bins/metadata/mine-test_it.py-test_a.metadata").read_text()
    )
    assert metadata["test_id"] == "test_it.py::test_a"
    assert metadata["result_file"] == str(capture)
    assert metadata["peak_memory"] == pytest.approx(4 * MB, abs=32 * 1024)
    command = [sys.executable, "-m", "memray", "stats", "--json", "-o", "stats.json", str(capture)]
    subprocess.run(command, cwd=pytester.path, check=True, capture_output=True)
    assert "bytearray" in capture.parent.parent.joinpath("test_it.py").read_text()
    assert (
        json.loads((pytester.path / "stats.json").read_text())["metadata"]["peak_memory"] > 4 * MB
    )


def test_captures_of_all_workers_have_one_prefix(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_a(): pass\ndef test_b(): pass")
    pytester.runpytest_subprocess("--memray", "--memray-bin-path=bins", "-n2")
    names = [path.name for path in (pytester.path / "bins").glob("*.bin")]
    assert len(names) == 2
    assert len({name.partition("-")[0] for name in names}) == 1


def test_a_captures_name_is_cut_with_a_digest() -> None:
    long = capture_path(Path("/d"), "p", f"test_a.py::test[{'é' * 300}1]").name
    other = capture_path(Path("/d"), "p", f"test_a.py::test[{'é' * 300}2]").name
    assert long != other
    assert len(long.encode()) <= 255
    assert len(long.encode()) + len(".metadata") - len(".bin") <= 255
    assert capture_path(Path("/d"), "p", "a/b.py::T::t[x/y]") == Path("/d/p-a-b.py-T-t[x-y].bin")


def test_an_increase_fails_when_asked_for(grown: pytest.Pytester) -> None:
    grown.runpytest("--memray").assert_outcomes(passed=1)
    # The last run passed at 5 MiB. A chunk of the interpreter's own stack, 16 KiB, may begin now.
    tolerance = ("-o", "memray_increase_tolerance=1%")
    grown.runpytest("--fail-on-increase", *tolerance).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "arguments",
    [["--fail-on-increase"], ["-o", "fail-on-increase=true"], ["--fail-on-increase", "-n1"]],
)
def test_an_increase_is_measured_against_the_last_passing_run(
    grown: pytest.Pytester, arguments: list[str]
) -> None:
    for _ in range(2):  # a failed run is not what the next is measured against
        result = grown.runpytest_subprocess(*arguments, "-p", "no:cacheprovider")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            # A chunk of the interpreter's own stack, 16 KiB, may begin in one run's test.
            ["Peak memory of 5.0 MiB is 1,0* B (25.?%) more than in the last passing run"]
        )


def test_an_increase_within_the_tolerance_passes(grown: pytest.Pytester) -> None:
    arguments = ["--fail-on-increase", "-o"]
    grown.runpytest(*arguments, "memray_increase_tolerance=24%").assert_outcomes(failed=1)
    grown.runpytest(*arguments, "memray_increase_tolerance=26 %").assert_outcomes(passed=1)


def test_a_first_run_cannot_have_increased(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=SIZES)
    pytester.runpytest("--fail-on-increase").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("ini", "kept"),
    [("memray_history=2", [3, 4]), ("memray_history=9", [1, 2, 3, 4]), ("memray_history=1", [4])],
)
def test_history_is_as_long_as_the_ini_file_says(
    pytester: pytest.Pytester, ini: str, kept: list[int]
) -> None:
    for megabytes in range(1, 5):
        pytester.makepyfile(test_it=f"def test_it(): kept = bytearray({megabytes} * 1024**2)")
        pytester.runpytest("--memray", "-o", ini).assert_outcomes(passed=1)
    with ResultsReader(database_path(pytester.path)) as reader:
        found = [test for run in reader.runs(10) for test in reader.tests_of(run.id or 0)]
    peaks = sorted(phase.peak_bytes for test in found if (phase := test.phase("call")))
    assert [round(peak / MB) for peak in peaks] == kept


@pytest.mark.parametrize("ini", ["memray_history=0", "memray_history_size=much"])
def test_a_wrong_length_of_history_is_refused(pytester: pytest.Pytester, ini: str) -> None:
    result = pytester.runpytest("-o", ini)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{ini.partition('=')[0]}: *"])


def test_a_default_limit_holds_for_tests_that_have_none(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        def test_unmarked():
            kept = bytearray(4 * 1024 * 1024)

        @pytest.mark.limit_memory("10 MB")
        def test_raised():
            kept = bytearray(4 * 1024 * 1024)

        @pytest.mark.limit_memory("1 KB")
        def test_lowered():
            kept = bytearray(1024 * 1024)

        @pytest.mark.limit_leaks("10 MB")
        def test_another_limit():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    for arguments in (
        ["--memray-default-limit=2 MB"],
        ["-o", "memray_default_limit=2 MB"],
        ["-o", "memray_default_limit=90 MB", "--memray-default-limit=2 MB"],
    ):
        result = pytester.runpytest(*arguments)
        result.assert_outcomes(passed=1, failed=3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--memray-default-limit=2 XB"], "*memray_default_limit: '2 XB' is not a memory size*"),
        (["--most-allocations=many"], "*most_allocations: 'many' is not a whole number from 0"),
        (["--stacks=0"], "*stacks: '0' is not a whole number from 1"),
        (["-o", "memray_increase_tolerance=5"], "*'5' is not a percentage such as '5%'"),
        (["-o", "verbosity_memray=loud"], "*verbosity_memray: 'loud' is not a whole number*"),
    ],
)
def test_a_wrong_option_is_refused_with_what_was_expected(
    pytester: pytest.Pytester, arguments: list[str], said: str
) -> None:
    result = pytester.runpytest(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])


def test_warmups_fill_caches_before_leaks_are_looked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        cache, grows = [], []

        @pytest.mark.limit_leaks("1 MB", warmups=2)
        def test_cached():
            if not cache:
                cache.append(bytearray(4 * 1024 * 1024))

        @pytest.mark.limit_leaks("1 MB", warmups=2)
        def test_grows():
            grows.append(bytearray(4 * 1024 * 1024))

        def test_how_often():
            assert len(grows) == 3
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["Leaked 4.0 MiB from 1 call stack*", "MEMORY PROBLEMS *test_grows*"]
    )


def test_warmups_are_refused_where_a_second_call_is_not_right(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import unittest
        import pytest

        class TestOld(unittest.TestCase):
            @pytest.mark.limit_leaks("1 MB", warmups=1)
            def test_method(self):
                pass

        @pytest.mark.limit_leaks("1 MB", warmups=1)
        async def test_coroutine():
            pass
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(errors=2)
    for line in (5, 9):
        result.stdout.fnmatch_lines([f"test_it.py:{line}: limit_leaks: warmups would run this*"])


def test_the_current_thread_can_be_measured_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import threading
        import pytest

        kept = []

        def in_a_thread():
            thread = threading.Thread(target=lambda: kept.append(bytearray(4 * 1024 * 1024)))
            thread.start()
            thread.join()

        @pytest.mark.limit_memory("2 MB")
        def test_all_threads():
            in_a_thread()

        @pytest.mark.limit_memory("2 MB", current_thread_only=True)
        def test_this_thread():
            in_a_thread()

        @pytest.mark.limit_leaks("2 MB")
        def test_leaks_of_all_threads():
            in_a_thread()

        @pytest.mark.limit_leaks("2 MB", current_thread_only=True)
        def test_leaks_of_this_thread():
            in_a_thread()
        """
    )
    result = pytester.runpytest("-v")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*test_this_thread PASSED*", "*test_leaks_of_this_thread PASSED*"])


def test_different_markers_on_one_test_are_all_enforced(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        kept = []

        @pytest.mark.limit_memory("2 MB")
        @pytest.mark.limit_leaks("1 MB")
        def test_both():
            kept.append(bytearray(4 * 1024 * 1024))
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "Peak memory of 4.0 MiB is over the limit of 2.0 MiB",
            "Leaked 4.0 MiB from 1 call stack, over the limit of 1.0 MiB for each",
            "Largest call stacks at the peak:",
            "Not freed by the end of the test:",
        ]
    )


def test_doctests_are_measured(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop='''
        def load(size):
            """Load.

            >>> kept = load(4)
            >>> len(kept)
            4194304
            """
            return bytearray(size * 1024 * 1024)
        '''
    )
    pytester.runpytest("--memray", "--doctest-modules", "shop.py").assert_outcomes(passed=1)
    with ResultsReader(database_path(pytester.path)) as reader:
        (test,) = reader.latest_tests()
    assert (test.path, test.line, test.name) == ("shop.py", 2, "shop.load")
    assert test.phases[0].peak_bytes > 4 * MB
    result = pytester.runpytest("--memray-default-limit=1 MB", "--doctest-modules", "shop.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Peak memory of 4.* MiB is over the limit of 1.0 MiB"])


def test_junit_xml_has_the_message_and_the_numbers(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.limit_memory("2 MB")
        def test_over():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    pytester.runpytest("--memray", "--junitxml=junit.xml")
    case = ET.parse(pytester.path / "junit.xml").find(".//testcase")
    assert case is not None
    failure = case.find("failure")
    assert failure is not None
    assert "Peak memory of 4.0 MiB is over the limit of 2.0 MiB" in (failure.text or "")
    properties = {p.get("name"): p.get("value") or "" for p in case.iter("property")}
    assert int(properties.pop("memlens_peak_bytes")) == pytest.approx(4 * MB, abs=4096)
    assert int(properties.pop("memlens_allocated_bytes")) == pytest.approx(4 * MB, abs=4096)
    assert int(properties.pop("memlens_limit_memory_measured_bytes")) > 4 * MB
    assert properties == {
        "memlens_limit_memory_limit_bytes": str(2 * MB),
        "memlens_limit_memory_verdict": "exceeded",
    }


@pytest.mark.parametrize("arguments", [["-p", "no:terminal"], ["--tb=no"], ["-s"], ["-qq"]])
def test_other_ways_to_report_work(pytester: pytest.Pytester, arguments: list[str]) -> None:
    pytester.makepyfile(test_it=SIZES)
    result = pytester.runpytest_subprocess("--memray", "--memray-default-limit=1 MB", *arguments)
    assert result.ret == 0
    assert "Traceback" not in str(result.stdout) + str(result.stderr)


def test_a_terminal_that_knows_no_blocks_is_not_broken_by_them(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("LC_ALL", "C")
    pytester.makepyfile(test_it="def test_a(): kept = bytearray(4 * 1024 * 1024)")
    result = pytester.runpytest_subprocess("--memray")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*1 allocation |@| 4.0 MiB to 8.0 MiB"])


def test_nothing_is_measured_where_the_environment_says_so(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(test_it=SIZES.replace("100 MB", "1 MB"))
    monkeypatch.setenv("MEMLENS_DISABLE", "1")
    result = pytester.runpytest("--memray", "--strict-markers", "--memray-report=json:report.json")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["memlens: nothing is measured*MEMLENS_DISABLE*"])
    assert not database_path(pytester.path).exists()
    for value in ("0", ""):
        monkeypatch.setenv("MEMLENS_DISABLE", value)
        pytester.runpytest().assert_outcomes(failed=1)
