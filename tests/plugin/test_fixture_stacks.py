"""What set-up and teardown held at their peaks, if it was much: stacks that begin with fixtures."""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path
from typing import Any

import pytest

from memlens.attempts import Attempt
from memlens.fixture_stacks import without_pytest
from memlens.places import Places
from memlens.recording.measurement import FrameReader, Measurement
from memlens.recording.replay import Held, Window
from memlens.recovery import recover_leftovers
from memlens.stacks import Frame
from memlens.store import ResultsReader, StackKind, StackRecord, TestRecord, database_path

from .arenas import ROOM

MB = 1024**2

#: Frames as they are around a fixture, the most recent call first.
FIXTURE = Frame("stock", "/shop/conftest.py", 9, native=False)
EXECUTE = Frame("execute", "/venv/site-packages/_pytest/fixtures.py", 1301, native=False)
MULTICALL = Frame("_multicall", "/venv/site-packages/pluggy/_execution.py", 147, native=False)
HOOK = Frame("pytest_runtest_setup", "/venv/site-packages/_pytest/runner.py", 170, native=False)
RERUNNER = Frame("<lambda>", "/venv/site-packages/flaky/plugin.py", 146, native=False)
MAIN = Frame("<module>", "/venv/site-packages/pytest/__main__.py", 9, native=False)
NATIVE = Frame("_PyEval_Vector", "Python/ceval.c", 6434, native=True)
THREAD = Frame("_bootstrap", "/usr/lib/python3/threading.py", 1002, native=False)


# ---- where stacks begin


def test_a_stack_begins_with_the_first_call_that_is_not_pytests_own() -> None:
    outside = (EXECUTE, MULTICALL, HOOK, MULTICALL, RERUNNER, MULTICALL, MAIN)
    assert without_pytest("setup", (FIXTURE, *outside)) == (FIXTURE,)
    # What a fixture asks pytest for while it runs stays between the two.
    between = (FIXTURE, EXECUTE, MULTICALL, FIXTURE)
    assert without_pytest("setup", (*between, *outside)) == between


def test_a_hook_of_the_projects_own_is_the_beginning() -> None:
    own = HOOK._replace(filename="/shop/conftest.py")
    assert without_pytest("setup", (FIXTURE, own, MULTICALL, RERUNNER, MAIN)) == (FIXTURE, own)


def test_what_pytest_itself_holds_begins_with_the_hook() -> None:
    stack = (EXECUTE, MULTICALL, HOOK, MULTICALL, RERUNNER, MAIN)
    assert without_pytest("setup", stack) == (EXECUTE, MULTICALL, HOOK)


def test_native_frames_stay_only_inside() -> None:
    stack = (NATIVE, FIXTURE, NATIVE, EXECUTE, NATIVE, HOOK, MULTICALL, MAIN, NATIVE)
    assert without_pytest("setup", stack) == (NATIVE, FIXTURE)
    # memray may have read them only up to here.
    assert without_pytest("setup", stack[:5]) == (NATIVE, FIXTURE)


@pytest.mark.parametrize(
    "stack",
    [
        (FIXTURE, NATIVE, THREAD, NATIVE),
        (FIXTURE, FIXTURE, FIXTURE, NATIVE),
        (NATIVE, NATIVE),
        (EXECUTE, MULTICALL),
        (),
    ],
)
def test_a_stack_that_begins_elsewhere_stays_as_it_is(stack: tuple[Frame, ...]) -> None:
    assert without_pytest("setup", stack) == stack
    assert without_pytest("teardown", stack) == stack


# ---- what an attempt keeps


class Record:
    """What memray knows of an allocation, as far as frames are read."""

    def __init__(self, name: str) -> None:
        self.tid, self.stack_id, self.native_stack_id = 1, hash(name), 0
        self.name = name

    def stack_trace(self, max_stacks: int) -> list[tuple[str, str, int]]:
        assert self.name, "this stack is not to be read"
        return [(self.name, "/shop/conftest.py", 1)]


def measured(*held: tuple[str, int], arenas: int = 0) -> Measurement:
    """Return a window in which functions of these names held that many bytes at the peak.

    Among them are so many arenas for small objects.
    """
    records: list[Any] = [Held(size, 1, Record(name)) for name, size in held]  # type: ignore[arg-type]
    window = Window(
        sum(size for _, size in held), sizes={MB: arenas} if arenas else {}, at_peak=records
    )
    return Measurement(window, FrameReader(1, False, False, "/memlens/capture.py"))


def kept(test: TestRecord, kind: StackKind) -> list[tuple[str, int]]:
    return [(stack.frames[0].function, stack.bytes) for stack in test.stacks_of(kind)]


@pytest.fixture
def attempt() -> Attempt:
    return Attempt("test_it.py::test_a", "test_it.py", 1)


@pytest.fixture
def places() -> Places:
    return Places(Path("/shop"))


def test_of_a_light_phase_no_stack_is_read(attempt: Attempt, places: Places) -> None:
    attempt.read("setup", measured(("", MB - 1)), places)
    attempt.read("teardown", measured(), places)
    assert attempt.record().stacks == ()
    assert [phase.peak_bytes for phase in attempt.record().phases] == [MB - 1, 0]


def test_an_arena_for_small_objects_makes_no_phase_heavy(attempt: Attempt, places: Places) -> None:
    attempt.read("setup", measured(("", MB + 3072), ("", MB - 3073), arenas=1), places)
    assert attempt.record().stacks == ()
    # More than one is what this very phase needed.
    attempt.read("teardown", measured(("small", 2 * MB), arenas=2), places)
    assert kept(attempt.record(), "teardown") == [("small", 2 * MB)]


def test_of_a_heavy_phase_the_largest_stacks_are_kept(attempt: Attempt, places: Places) -> None:
    small = [("", 100)] * 9
    attempt.read("setup", measured(*small, ("less", MB // 50), ("most", MB)), places)
    assert kept(attempt.record(), "setup") == [("most", MB), ("less", MB // 50)]
    many = [(f"each_{number}", MB) for number in range(60)]
    attempt.read("teardown", measured(*many), places)
    assert len(kept(attempt.record(), "teardown")) == 50
    assert len(kept(attempt.record(), "setup")) == 2


def test_a_call_that_is_made_again_forgets_what_was_of_the_call_only(
    attempt: Attempt, places: Places
) -> None:
    attempt.read("setup", measured(("stock", 2 * MB)), places)
    for size in (3 * MB, 4 * MB):
        attempt.start_again()
        assert [stack.kind for stack in attempt.stacks] == ["setup"]
        call = measured(("test_a", size))
        attempt.read("call", call, places)
        attempt.judge((), call, places)
    assert kept(attempt.record(), "setup") == [("stock", 2 * MB)]
    assert kept(attempt.record(), "peak") == [("test_a", 4 * MB)]
    # And as one process tells another.
    again = Attempt.from_dict(attempt.to_dict())
    assert again.record().stacks == attempt.record().stacks


# ---- real runs

SHOP = f"""
import pytest

MB = 1024 * 1024
{ROOM}
def make(size):
    return bytearray(size)

@pytest.fixture(scope="session")
def stock():
    yield make(8 * MB)
    make(4 * MB)

@pytest.fixture
def light():
    return make(MB // 2)

# Who waits for a run sees its first result at once: what comes after this shares another capture.
def test_first():
    pass
"""


@pytest.fixture(autouse=True)
def _few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the runs that tests start load no more than they need."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def write_tests(pytester: pytest.Pytester, source: str) -> None:
    pytester.makeconftest("from memlens import pending; pending.LONGEST_WAIT = 3600.0")
    text = SHOP + textwrap.dedent(source)
    (pytester.path / "test_it.py").write_text(text, encoding="utf-8")


def measure(pytester: pytest.Pytester, *arguments: str, **outcomes: int) -> dict[str, TestRecord]:
    """Run the tests and return their results by name."""
    run = pytester.runpytest_subprocess("-p", "memlens.plugin", "--memray", *arguments)
    run.assert_outcomes(**outcomes)
    assert [line for line in run.stdout.lines if line.startswith("memlens warning: ")] == []
    return results(pytester)


def results(pytester: pytest.Pytester) -> dict[str, TestRecord]:
    with ResultsReader(database_path(pytester.path)) as reader:
        return {test.name: test for test in reader.latest_tests()}


def told(stacks: tuple[StackRecord, ...]) -> list[tuple[object, ...]]:
    """Return what stacks held, in whole MiB, by which functions: the outermost first."""
    return [
        (round(stack.bytes / MB), *(frame.function for frame in reversed(stack.frames)))
        for stack in stacks
    ]


def test_the_first_test_that_uses_a_fixture_has_the_stacks_of_making_it(
    pytester: pytest.Pytester,
) -> None:
    write_tests(
        pytester,
        """
        def test_asks_first(stock):
            kept = make(2 * MB)

        def test_asks_later(stock, light):
            pass
        """,
    )
    tests = measure(pytester, passed=3)
    first, later = tests["test_asks_first"], tests["test_asks_later"]
    assert told(first.stacks_of("setup")) == [(8, "stock", "make")]
    assert told(first.stacks_of("teardown")) == []
    assert told(first.stacks_of("peak")) == [(2, "test_asks_first", "make")]
    assert told(later.stacks_of("setup")) == []
    # pytest takes it down with the last test that could have used it.
    assert told(later.stacks_of("teardown")) == [(4, "stock", "make")]
    assert tests["test_first"].stacks == ()
    (stack,) = first.stacks_of("setup")
    assert [(frame.path, frame.kind) for frame in stack.frames] == [("test_it.py", "project")] * 2


def test_fixtures_made_in_other_ways_have_their_stacks_too(pytester: pytest.Pytester) -> None:
    write_tests(
        pytester,
        """
        import threading
        import unittest

        @pytest.fixture
        def asking(request):
            return request.getfixturevalue("asked")

        @pytest.fixture
        def asked():
            return make(3 * MB)

        def test_asks_at_run_time(asking):
            pass

        kept = []

        @pytest.fixture
        def in_thread():
            thread = threading.Thread(target=lambda: kept.append(make(5 * MB)))
            thread.start()
            thread.join()

        def test_thread(in_thread):
            pass

        class TestMethods:
            def setup_method(self):
                self.kept = make(6 * MB)

            def test_method(self):
                pass

        class TestCase(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.kept = make(7 * MB)

            def test_case(self):
                pass
        """,
    )
    with (pytester.path / "conftest.py").open("a", encoding="utf-8") as file:
        file.write(
            textwrap.dedent(
                """
                kept = []
                def pytest_runtest_setup(item):
                    if item.name == "test_hook":
                        kept.append(bytearray(9_000_000))
                """
            )
        )
    with (pytester.path / "test_it.py").open("a", encoding="utf-8") as file:
        file.write("\ndef test_hook(): pass\n")
    tests = measure(pytester, passed=6)
    (asked,) = tests["test_asks_at_run_time"].stacks_of("setup")
    project = [frame.function for frame in asked.frames if frame.kind == "project"]
    assert project == ["make", "asked", "asking"]
    assert asked.frames[-1].function == "asking"
    (thread,) = told(tests["test_thread"].stacks_of("setup"))
    assert thread[0] == 5
    assert thread[-2:] == ("<lambda>", "make")
    method = tests["TestMethods::test_method"]
    assert told(method.stacks_of("setup")) == [(6, "setup_method", "make")]
    case = tests["TestCase::test_case"]
    assert told(case.stacks_of("setup")) == [(7, "setUpClass", "make")]
    assert told(tests["test_hook"].stacks_of("setup")) == [(9, "pytest_runtest_setup")]


def test_native_stacks_begin_with_the_fixture_too(pytester: pytest.Pytester) -> None:
    write_tests(pytester, "def test_asks(stock): pass\n")
    (stack,) = measure(pytester, "--native", passed=2)["test_asks"].stacks_of("setup")
    python = [frame.function for frame in stack.frames if frame.kind != "native"]
    assert python == ["make", "stock"]
    assert len(stack.frames) > 2
    assert stack.frames[-1].function == "stock"


def test_a_test_with_a_capture_of_its_own_keeps_what_its_set_up_held(
    pytester: pytest.Pytester,
) -> None:
    write_tests(
        pytester,
        """
        kept = []

        # A set-up is measured in the capture that others share, if one is running.
        def test_before():
            pass

        @pytest.mark.limit_leaks("1 KB")
        def test_leaks(stock):
            kept.append(make(2 * MB))
        """,
    )
    test = measure(pytester, passed=2, failed=1)["test_leaks"]
    assert told(test.stacks_of("setup")) == [(8, "stock", "make")]
    # With native frames, which leaks have always.
    assert [stack[:2] for stack in told(test.stacks_of("leak"))] == [(2, "test_leaks")]


def test_a_body_that_is_called_again_keeps_the_stacks_of_its_set_up(
    pytester: pytest.Pytester,
) -> None:
    write_tests(
        pytester,
        """
        tries = []

        @pytest.mark.flaky(max_runs=3)
        def test_again(stock):
            tries.append(make(len(tries) * 2 * MB))
            assert len(tries) == 2
        """,
    )
    test = measure(pytester, "-p", "flaky.flaky_pytest_plugin", passed=2)["test_again"]
    assert told(test.stacks_of("setup")) == [(8, "stock", "make")]
    assert told(test.stacks_of("peak")) == [(2, "test_again", "make")]


def test_stacks_travel_from_workers(pytester: pytest.Pytester) -> None:
    write_tests(pytester, "def test_asks(stock): pass\n")
    tests = measure(pytester, "-p", "xdist.plugin", "-n", "1", passed=2)
    assert told(tests["test_asks"].stacks_of("setup")) == [(8, "stock", "make")]
    assert told(tests["test_asks"].stacks_of("teardown")) == [(4, "stock", "make")]


def test_what_a_dead_run_left_has_the_stacks_of_its_fixtures(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pytester.path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    write_tests(
        pytester,
        """
        import os

        def test_asks(stock):
            pass

        def test_dies():
            os._exit(3)
        """,
    )
    pytester.runpytest_subprocess("-p", "memlens.plugin", "--memray", "-p", "no:tmpdir")
    assert "test_asks" not in results(pytester)
    assert recover_leftovers() == []
    assert told(results(pytester)["test_asks"].stacks_of("setup")) == [(8, "stock", "make")]
    assert list(folder.iterdir()) == []
