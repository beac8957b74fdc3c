"""One capture for many tests, which are told apart in it whatever they do to each other."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from memlens.store import ResultsReader, StackRecord, TestRecord, database_path

from .arenas import ROOM

MB = 1024**2

#: What the tests that are measured have in common.
PRELUDE = f"""
import pytest

MB = 1024 * 1024
{ROOM}
def take(size):
    return bytearray(size)

# Who waits for a run sees its first result at once: what comes after this shares another capture.
def test_first():
    pass
"""
#: Nothing else is read before the end of the run, unless something else than time demands it.
PATIENT = "from memlens import pending; pending.LONGEST_WAIT = 3600.0"


@pytest.fixture(autouse=True)
def _few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the runs that tests start load no more than they need: there are many of them."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def write_tests(pytester: pytest.Pytester, source: str, *, conftest: str = PATIENT) -> None:
    """Write a module of tests, with the prelude before it."""
    pytester.makeconftest(conftest)
    path = pytester.path / "test_it.py"
    path.write_text(PRELUDE + textwrap.dedent(source), encoding="utf-8")


def results(folder: Path) -> dict[str, TestRecord]:
    """Return the newest results by name, but for that of the prelude's test."""
    with ResultsReader(database_path(folder)) as reader:
        tests = reader.latest_tests()
    return {test.name: test for test in tests if test.name != "test_first"}


def run_tests(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run tests, all of them if *arguments* name none, in a process of their own."""
    plugins = ["-p", "memlens.plugin", *(("-p", "xdist.plugin") if "-n" in arguments else ())]
    return pytester.runpytest_subprocess(*plugins, "--memray", *arguments)


def measure(pytester: pytest.Pytester, *arguments: str, **outcomes: int) -> dict[str, TestRecord]:
    """Run tests and return the results by name. *outcomes* are but for the prelude's test."""
    run = run_tests(pytester, *arguments)
    if not any("::" in argument for argument in arguments):
        outcomes["passed"] += 1
    run.assert_outcomes(**outcomes)
    assert [line for line in run.stdout.lines if line.startswith("memlens warning: ")] == []
    return results(pytester.path)


def peak(test: TestRecord, phase: str = "call") -> int:
    found = test.phase(phase)
    assert found is not None, f"{test.name} has no {phase}"
    return found.peak_bytes


def peaks(tests: Mapping[str, TestRecord]) -> dict[str, int]:
    return {name: peak(test) for name, test in tests.items()}


def about(size: float) -> object:
    """Return what equals *size*, or a little more or less: what Python itself takes."""
    return pytest.approx(size, abs=64 * 1024)


def frames(stack: StackRecord, most: int | None = None) -> list[tuple[str, int]]:
    return [(frame.function, frame.line) for frame in stack.frames][:most]


def line_of(pytester: pytest.Pytester, code: str) -> int:
    """Return the number of the only line of the tests that has *code*."""
    lines = (pytester.path / "test_it.py").read_text(encoding="utf-8").splitlines()
    (found,) = (number for number, line in enumerate(lines, 1) if code in line)
    return found


# ---- phases


def test_what_fixtures_take_is_in_setup_and_teardown_and_not_in_the_call(
    pytester: pytest.Pytester,
) -> None:
    write_tests(
        pytester,
        """
        @pytest.fixture(scope="module")
        def of_all():
            kept = take(8 * MB)
            yield kept
            take(16 * MB)

        @pytest.fixture
        def held():
            kept = take(3 * MB)
            yield kept
            take(5 * MB)

        def test_plain():
            take(MB)

        def test_fixture(held):
            take(2 * MB)

        def test_frees_what_the_fixture_took(held):
            held.clear()
            take(2 * MB)

        class TestClass:
            def setup_method(self):
                self.kept = take(4 * MB)

            def test_method(self):
                take(MB)

            def teardown_method(self):
                take(6 * MB)

        def test_of_all(of_all):
            take(MB)

        def test_of_all_again(of_all):
            take(MB)
        """,
    )
    tests = measure(pytester, passed=6)
    phases = {
        name: tuple(peak(test, phase) for phase in ("setup", "call", "teardown"))
        for name, test in tests.items()
    }
    assert phases == {
        "test_plain": (about(0), about(MB), about(0)),
        "test_fixture": (about(3 * MB), about(2 * MB), about(5 * MB)),
        "test_frees_what_the_fixture_took": (about(3 * MB), about(2 * MB), about(5 * MB)),
        "TestClass::test_method": (about(4 * MB), about(MB), about(6 * MB)),
        "test_of_all": (about(8 * MB), about(MB), about(0)),
        "test_of_all_again": (about(0), about(MB), about(16 * MB)),
    }
    setup = tests["test_fixture"].phase("setup")
    assert setup is not None
    assert setup.alive_bytes == about(3 * MB)
    # Stacks are of the call only.
    (stack,) = tests["test_fixture"].stacks_of("peak")
    assert [name for name, _ in frames(stack)] == ["take", "test_fixture"]


def test_a_test_that_never_gets_to_its_call_spoils_nothing(pytester: pytest.Pytester) -> None:
    write_tests(
        pytester,
        """
        @pytest.fixture
        def broken():
            take(3 * MB)
            raise RuntimeError

        def test_before():
            take(MB)

        def test_error(broken):
            pass

        @pytest.mark.skip
        def test_skipped():
            pass

        def test_fails():
            take(4 * MB)
            assert False

        def test_after():
            take(2 * MB)
        """,
    )
    tests = measure(pytester, passed=2, failed=1, errors=1, skipped=1)
    assert peaks(tests) == {
        "test_before": about(MB),
        "test_fails": about(4 * MB),
        "test_after": about(2 * MB),
    }


# ---- memray's way to follow calls

#: What tests do to Python's ways to follow calls, all of which they may leave as they like.
FOLLOWING = {
    "a profiler, on and off": "sys.setprofile(follow); sys.setprofile(None)",
    "a profiler, left on": "sys.setprofile(follow)",
    "cProfile": "profile = cProfile.Profile(); profile.enable(); profile.disable()",
    "a profiler of threads, left on": "threading.setprofile(follow)",
    "a profiler of threads, off": "threading.setprofile(None)",
    "a tracer, left on": "sys.settrace(follow)",
    "sys.monitoring": "monitor()",
}


@pytest.mark.parametrize("what", FOLLOWING)
def test_stacks_are_right_after_a_test_that_follows_calls_itself(
    pytester: pytest.Pytester, what: str
) -> None:
    if what == "sys.monitoring" and sys.version_info < (3, 12):
        pytest.skip("CPython 3.12 and newer")
    write_tests(
        pytester,
        f"""
        import cProfile
        import sys
        import threading

        def follow(frame, event, argument):
            return None

        def monitor():
            tool = sys.monitoring.PROFILER_ID
            events = sys.monitoring.events
            sys.monitoring.use_tool_id(tool, "a test")
            sys.monitoring.register_callback(tool, events.PY_START, lambda *given: None)
            sys.monitoring.set_events(tool, events.PY_START | events.PY_RETURN | events.CALL)
            take(10)
            sys.monitoring.set_events(tool, 0)
            sys.monitoring.free_tool_id(tool)

        def outer(size):
            return take(size)

        def in_thread(kept):
            kept.append(outer(3 * MB))

        def test_follows():
            {FOLLOWING[what]}
            take(MB)

        def test_next():
            kept = [outer(5 * MB)]
            other = threading.Thread(target=in_thread, args=(kept,))
            other.start()
            other.join()
            kept.append(take(2 * MB))
        """,
    )
    tests = measure(pytester, passed=2)
    assert peaks(tests) == {"test_follows": about(MB), "test_next": about(10 * MB)}
    took = ("take", line_of(pytester, "return bytearray(size)"))
    through = ("outer", line_of(pytester, "return take(size)"))
    own, other, last = tests["test_next"].stacks_of("peak")[:3]
    assert frames(own) == [took, through, ("test_next", line_of(pytester, "outer(5 * MB)"))]
    in_thread = ("in_thread", line_of(pytester, "outer(3 * MB)"))
    assert frames(other, 4) == [took, through, in_thread, ("run", other.frames[3].line)]
    assert frames(last) == [took, ("test_next", line_of(pytester, "take(2 * MB)"))]


def test_stacks_are_right_where_a_fixture_took_memrays_way_to_follow_calls(
    pytester: pytest.Pytester,
) -> None:
    write_tests(
        pytester,
        """
        import sys

        @pytest.fixture
        def profiled():
            sys.setprofile(lambda frame, event, argument: None)
            sys.setprofile(None)

        def test_it(profiled):
            take(2 * MB)
        """,
    )
    (stack,) = measure(pytester, passed=1)["test_it"].stacks_of("peak")
    assert [name for name, _ in frames(stack)] == ["take", "test_it"]


def test_a_profiler_of_a_fixtures_is_left_alone_during_the_call(pytester: pytest.Pytester) -> None:
    write_tests(
        pytester,
        """
        import sys

        calls = []

        def follow(frame, event, argument):
            if event == "call":
                calls.append(frame.f_code.co_name)

        @pytest.fixture
        def profiled():
            sys.setprofile(follow)
            yield
            sys.setprofile(None)

        def test_it(profiled):
            assert sys.getprofile() is follow
            take(2 * MB)
            assert "take" in calls

        def test_next():
            take(MB)
        """,
    )
    tests = measure(pytester, passed=2)
    assert peaks(tests) == {"test_it": about(2 * MB), "test_next": about(MB)}
    (stack,) = tests["test_next"].stacks_of("peak")
    assert [name for name, _ in frames(stack)] == ["take", "test_next"]


@pytest.mark.parametrize("module", ["sys", "threading"])
def test_a_profiler_of_a_fixtures_is_there_until_the_fixture_takes_it_away(
    pytester: pytest.Pytester, module: str
) -> None:
    write_tests(
        pytester,
        f"""
        import sys
        import threading

        def follow(frame, event, argument):
            return None

        @pytest.fixture
        def profiled():
            before = {module}.getprofile()
            {module}.setprofile(follow)
            yield
            assert {module}.getprofile() is follow
            {module}.setprofile(before)

        def test_it(profiled):
            take(2 * MB)

        @pytest.mark.limit_memory("20 MB")
        def test_limited(profiled):
            take(3 * MB)

        def test_next():
            take(MB)
        """,
    )
    tests = measure(pytester, passed=3)
    assert peaks(tests) == {
        "test_it": about(2 * MB),
        "test_limited": about(3 * MB),
        "test_next": about(MB),
    }
    (stack,) = tests["test_next"].stacks_of("peak")
    assert [name for name, _ in frames(stack)] == ["take", "test_next"]


@pytest.mark.parametrize("module", ["sys", "threading"])
@pytest.mark.parametrize("scope", ["module", "session"])
def test_a_profiler_of_a_lasting_fixtures_stays_for_all_tests_that_use_it(
    pytester: pytest.Pytester, scope: str, module: str
) -> None:
    write_tests(
        pytester,
        f"""
        import sys
        import threading

        def follow(frame, event, argument):
            return None

        @pytest.fixture(scope="{scope}")
        def profiled():
            before = {module}.getprofile()
            {module}.setprofile(follow)
            yield
            {module}.setprofile(before)

        def test_one(profiled):
            assert {module}.getprofile() is follow

        def test_two(profiled):
            assert {module}.getprofile() is follow
            take(2 * MB)

        @pytest.mark.limit_memory("20 MB")
        def test_limited(profiled):
            assert {module}.getprofile() is follow
            take(3 * MB)

        @pytest.mark.limit_memory("20 MB")
        def test_in_another_capture(profiled):
            assert {module}.getprofile() is follow
        """,
    )
    tests = measure(pytester, passed=4)
    assert peaks(tests)["test_two"] == about(2 * MB)
    assert peaks(tests)["test_limited"] == about(3 * MB)


def test_a_profiler_that_a_fixture_forgets_does_not_spoil_later_stacks(
    pytester: pytest.Pytester,
) -> None:
    write_tests(
        pytester,
        """
        import sys

        @pytest.fixture
        def forgets():
            sys.setprofile(lambda frame, event, argument: None)

        def test_it(forgets):
            pass

        def test_next():
            take(MB)
        """,
    )
    (stack,) = measure(pytester, passed=2)["test_next"].stacks_of("peak")
    assert [name for name, _ in frames(stack)] == ["take", "test_next"]


# ---- what tests replace

#: What measuring uses too, as modules and names.
REPLACED = ("os.getpid", "time.monotonic", "mmap.mmap", "gc.collect", "inspect.currentframe")


@pytest.mark.parametrize("what", REPLACED)
def test_what_tests_replace_is_nothing_that_measuring_needs(
    pytester: pytest.Pytester, what: str
) -> None:
    module, name = what.split(".")
    write_tests(
        pytester,
        f"""
        import {module}

        def replace(patch):
            patch.setattr({module}, "{name}", lambda *given, **named: None)

        @pytest.fixture(scope="module")
        def replaced():
            with pytest.MonkeyPatch.context() as patch:
                replace(patch)
                yield

        def test_before():
            take(MB)

        def test_replaces(monkeypatch):
            replace(monkeypatch)
            take(2 * MB)

        @pytest.mark.limit_leaks("1 MB")
        def test_replaces_in_a_capture_of_its_own(monkeypatch):
            replace(monkeypatch)
            take(3 * MB)

        def test_beside(replaced):
            take(4 * MB)

        @pytest.mark.limit_memory("20 MB")
        def test_limited(replaced):
            take(5 * MB)

        @pytest.mark.limit_leaks("1 MB")
        def test_by_itself(replaced):
            take(6 * MB)

        def test_last():
            take(7 * MB)
        """,
    )
    assert peaks(measure(pytester, passed=7)) == {
        "test_before": about(MB),
        "test_replaces": about(2 * MB),
        "test_replaces_in_a_capture_of_its_own": about(3 * MB),
        "test_beside": about(4 * MB),
        "test_limited": about(5 * MB),
        "test_by_itself": about(6 * MB),
        "test_last": about(7 * MB),
    }


@pytest.mark.parametrize("where", ["another thread", "the test's own"])
def test_a_large_mapping_that_memray_knows_no_frames_of_is_the_tests(
    pytester: pytest.Pytester, where: str
) -> None:
    """Allocators of compiled libraries take memory so, in threads of their own."""
    sizes = [4, 4.5, 4.996, 5]
    write_tests(
        pytester,
        f"""
        import _thread
        import mmap
        import sys

        kept = []

        def work(size, done):
            kept.append(mmap.mmap(-1, size))
            done.release()

        def test_before():
            take(MB)

        @pytest.mark.parametrize("megabytes", {sizes}, scope="class")  # one size after the other
        class TestMapping:
            def test_maps(self, megabytes):
                size = int(megabytes * MB)
                done = _thread.allocate_lock()
                done.acquire()
                if {where == "another thread"}:
                    _thread.start_new_thread(work, (size, done))
                else:
                    sys.setprofile(None)
                    work(size, done)
                done.acquire()
                take(MB)

            def test_next(self, megabytes):
                kept.pop().close()
                assert kept == []
                take(2 * MB)
        """,
    )
    assert peaks(measure(pytester, passed=1 + 2 * len(sizes))) == {
        "test_before": about(MB),
        **{f"TestMapping::test_maps[{size}]": about((size + 1) * MB) for size in sizes},
        **{f"TestMapping::test_next[{size}]": about(2 * MB) for size in sizes},
    }


# ---- processes, threads, garbage


def test_what_children_do_is_not_measured_and_does_not_end_the_measuring(
    pytester: pytest.Pytester,
) -> None:
    write_tests(
        pytester,
        """
        import multiprocessing
        import os
        import subprocess
        import sys

        def fork(child):
            pid = os.fork()
            if pid == 0:
                try:
                    child()
                finally:
                    os._exit(0)
            assert os.waitpid(pid, 0) == (pid, 0)

        def use_memory():
            kept = [take(MB) for _ in range(30)]
            many = [str(number) * 100 for number in range(1000)]

        def test_child_exits():
            before = take(2 * MB)
            fork(lambda: None)
            after = take(MB)

        def test_child_uses_memory():
            before = take(2 * MB)
            fork(use_memory)
            after = take(2 * MB)

        @pytest.fixture
        def forked():
            fork(use_memory)
            kept = take(6 * MB)
            yield
            fork(use_memory)
            take(7 * MB)

        def test_fixture_forks(forked):
            kept = take(5 * MB)

        def test_spawns():
            before = take(MB)
            program = "kept = bytearray(50 * 1024 * 1024)"
            subprocess.run([sys.executable, "-c", program], check=True)
            after = take(2 * MB)

        def test_forks_a_process_of_multiprocessing():
            child = multiprocessing.get_context("fork").Process(target=use_memory)
            child.start()
            child.join()
            assert child.exitcode == 0
            kept = take(4 * MB)

        def test_next():
            kept = take(MB)
        """,
    )
    tests = measure(pytester, passed=6)
    spawning = pytest.approx(3 * MB, abs=256 * 1024)  # subprocess copies the environment
    forking = pytest.approx(4 * MB, abs=512 * 1024)  # multiprocessing imports its modules
    assert peaks(tests) == {
        "test_child_exits": about(3 * MB),
        "test_child_uses_memory": about(4 * MB),
        "test_fixture_forks": about(5 * MB),
        "test_spawns": spawning,
        "test_forks_a_process_of_multiprocessing": forking,
        "test_next": about(MB),
    }
    forked = tests["test_fixture_forks"]
    assert (peak(forked, "setup"), peak(forked, "teardown")) == (about(6 * MB), about(7 * MB))
    before, after = tests["test_child_uses_memory"].stacks_of("peak")
    assert {frames(before)[1][1], frames(after)[1][1]} < {
        number
        for number, line in enumerate((pytester.path / "test_it.py").read_text().splitlines(), 1)
        if "take(2 * MB)" in line
    }


#: Tests of which the first starts a thread that goes on in the others, a step for each.
LASTING_THREAD = """
import threading

go = threading.Semaphore(0)
done = threading.Semaphore(0)
kept = []

def churn(size):
    kept.append(take(size))
    del kept[:-2]

def work():
    while go.acquire() and len(kept) < 10:
        churn(4 * MB)
        done.release()

def step():
    go.release()
    done.acquire()

thread = threading.Thread(target=work)

def test_starts_it():
    thread.start()
    step()

@pytest.mark.parametrize("number", range(3))
def test_beside_it(number):
    own = take(MB)
    step()

def test_nothing_of_its_own():
    step()

def test_while_it_rests():
    own = take(2 * MB)

def test_ends_it():
    kept.extend(range(10))
    go.release()
    thread.join()
    kept.clear()

def test_last():
    own = take(3 * MB)
"""


@pytest.mark.parametrize("captures", ["one capture", "a capture for each test"])
def test_a_thread_that_outlives_its_test_counts_for_the_tests_it_works_in(
    pytester: pytest.Pytester, captures: str
) -> None:
    conftest = PATIENT
    if captures != "one capture":
        conftest += "; pending.LARGEST_CAPTURE = 1"
    write_tests(pytester, LASTING_THREAD, conftest=conftest)
    tests = measure(pytester, passed=8)
    # What an earlier test's thread frees of an earlier test is no less than nothing.
    assert peaks(tests) == {
        "test_starts_it": about(4 * MB),
        "test_beside_it[0]": about(5 * MB),
        "test_beside_it[1]": about(5 * MB),
        "test_beside_it[2]": about(5 * MB),
        "test_nothing_of_its_own": about(4 * MB),
        "test_while_it_rests": about(2 * MB),
        "test_ends_it": about(0),
        "test_last": about(3 * MB),
    }
    for test in tests.values():
        assert all(phase.alive_bytes <= phase.peak_bytes for phase in test.phases)
    for number in range(3):
        others, own = tests[f"test_beside_it[{number}]"].stacks_of("peak")
        assert [name for name, _ in frames(others, 4)] == ["take", "churn", "work", "run"]
        assert [name for name, _ in frames(own)] == ["take", "test_beside_it"]


def test_garbage_of_an_earlier_test_is_not_the_later_ones(pytester: pytest.Pytester) -> None:
    write_tests(
        pytester,
        """
        import gc
        import weakref

        class Node:
            pass

        nodes = []
        gc.disable()

        def test_leaves_cycles():
            for _ in range(3):
                node = Node()
                node.itself = node
                node.kept = take(10 * MB)
                nodes.append(weakref.ref(node))

        def test_collects():
            before = take(MB)
            assert all(node() is not None for node in nodes)
            gc.collect()
            assert all(node() is None for node in nodes)
            after = take(2 * MB)

        def test_collects_its_own():
            for _ in range(2):
                node = Node()
                node.itself = node
                node.kept = take(4 * MB)
                del node
                gc.collect()
        """,
    )
    tests = measure(pytester, passed=3)
    assert peaks(tests) == {
        "test_leaves_cycles": about(30 * MB),
        "test_collects": about(3 * MB),
        "test_collects_its_own": about(4 * MB),
    }
    alive = {
        name: phase.alive_bytes
        for name, test in tests.items()
        for phase in test.phases
        if phase.name == "call"
    }
    assert alive == {
        "test_leaves_cycles": about(30 * MB),
        "test_collects": about(0),
        "test_collects_its_own": about(0),
    }


def test_greenlets_have_their_own_stacks(pytester: pytest.Pytester) -> None:
    write_tests(
        pytester,
        """
        import greenlet

        def in_one(size):
            kept = take(size)
            other.switch(3 * MB)
            more = take(size)

        def in_other(size):
            kept = take(size)
            one.switch()

        one = other = None

        @pytest.mark.parametrize("number", range(2))
        def test_it(number):
            global one, other
            one, other = greenlet.greenlet(in_one), greenlet.greenlet(in_other)
            before = take(5 * MB)
            one.switch(2 * MB)
            del before
            one = other = None

        def test_next():
            kept = take(MB)
        """,
    )
    tests = measure(pytester, passed=3)
    assert peaks(tests) == {
        "test_it[0]": about(12 * MB),
        "test_it[1]": about(12 * MB),
        "test_next": about(MB),
    }
    for number in range(2):
        places: Counter[str] = Counter()
        for stack in tests[f"test_it[{number}]"].stacks_of("peak"):
            places[frames(stack)[1][0]] += stack.bytes
        assert places == {
            "test_it": about(5 * MB),
            "in_one": about(4 * MB),
            "in_other": about(3 * MB),
        }


# ---- the same to the byte

#: Whose peaks are the same each time.
STEADY = """
import mmap
import threading

@pytest.fixture(scope="module", autouse=True)
def warm():
    # Python looks up the lines of a function once, when memray follows it.
    other = threading.Thread(target=take, args=(1,))
    other.start()
    other.join()

@pytest.fixture
def table():
    return take(777_777)

def test_nothing():
    pass

@pytest.mark.parametrize("size", [123_457, 5 * MB + 1])
def test_block(size):
    kept = take(size)

def test_ups_and_downs(table):
    kept = [take(size) for size in range(10_000, 200_000, 10_000)]
    del kept[::2]
    table.extend(bytes(100_000))
    more = bytes(1_234_567)
    kept.extend(take(99_999) for _ in range(5))

def test_mappings_and_a_thread():
    kept = []
    with mmap.mmap(-1, 64 * mmap.PAGESIZE):
        other = threading.Thread(target=lambda: kept.append(take(345_678)))
        other.start()
        other.join()
    kept.append(mmap.mmap(-1, 32 * mmap.PAGESIZE))
"""
STEADY_NAMES = (
    "test_nothing",
    "test_block[123457]",
    "test_block[5242881]",
    "test_ups_and_downs",
    "test_mappings_and_a_thread",
)


def told(test: TestRecord) -> object:
    """Return what is said of the call, but for what a thread may or may not have freed at its end.

    All stacks, and what they held.
    """
    call = test.phase("call")
    assert call is not None
    return call.peak_bytes, call.allocated_bytes, call.allocations, test.stacks_of("peak")


def test_a_test_among_others_takes_the_same_to_the_byte_as_alone(
    pytester: pytest.Pytester,
) -> None:
    write_tests(pytester, STEADY)
    together = measure(pytester, passed=5)
    assert set(together) == set(STEADY_NAMES)
    assert peak(together["test_block[123457]"]) == 123_457 + 1  # bytearray ends with a zero
    for name in STEADY_NAMES:
        alone = measure(pytester, f"test_it.py::{name}", passed=1)[name]
        assert told(alone) == told(together[name]), name


def test_native_frames_do_not_change_what_is_measured(pytester: pytest.Pytester) -> None:
    write_tests(pytester, STEADY)
    plain = measure(pytester, passed=5)
    native = measure(pytester, "--native", passed=5)
    assert peaks(native) == peaks(plain)
    for name in STEADY_NAMES[1:3]:
        (expected,) = plain[name].stacks_of("peak")
        (found,) = native[name].stacks_of("peak")
        kinds = [frame.kind for frame in found.frames]
        assert kinds[0] == "native"
        assert kinds.count("native") > 1
        assert [each for each in found.frames if each.kind != "native"] == list(expected.frames)
        assert found.bytes == expected.bytes


def test_under_xdist_each_test_takes_the_same(pytester: pytest.Pytester) -> None:
    write_tests(pytester, STEADY)
    plain = measure(pytester, passed=5)
    spread = measure(pytester, "-n", "2", passed=5)
    assert {test.worker for test in spread.values()} == {"gw0", "gw1"}
    for name in STEADY_NAMES:
        # A worker has a thread to talk with, which takes a few bytes now and then.
        assert peak(spread[name]) == pytest.approx(peak(plain[name]), abs=2000), name
        assert stacks_with_frames(spread[name]) == stacks_with_frames(plain[name]), name


def stacks_with_frames(test: TestRecord) -> list[StackRecord]:
    return [stack for stack in test.stacks_of("peak") if stack.frames]


# ---- when captures are read


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('limit_memory("2 MB")', "Peak memory of 3.0 MiB is over the limit of 2.0 MiB"),
        ('limit_leaks("2 MB")', "Leaked 3.0 MiB *, over the limit of 2.0 MiB *"),
    ],
)
def test_a_limit_is_judged_at_once_and_costs_the_others_nothing(
    pytester: pytest.Pytester, marker: str, message: str
) -> None:
    write_tests(
        pytester,
        f"""
        from memlens.store import ResultsReader, ResultsError, database_path

        kept = []

        def stored(request):
            try:
                with ResultsReader(database_path(request.config.rootpath)) as reader:
                    return {{test.name for test in reader.latest_tests()}}
            except ResultsError:
                return set()

        @pytest.fixture
        def table():
            return take(6 * MB)

        def test_second(table):
            take(MB)

        def test_that_it_waits(request):
            assert stored(request) == {{"test_first"}}

        @pytest.mark.{marker}
        def test_over(table):
            kept.append(take(3 * MB))

        def test_third(table):
            take(4 * MB)

        def test_that_it_waits_no_longer(request):
            assert stored(request) >= {{"test_first", "test_second", "test_that_it_waits"}}

        @pytest.mark.{marker}
        def test_within():
            take(MB)

        def test_last(table):
            take(5 * MB)
        """,
        conftest=f"""
        {PATIENT}

        def pytest_runtest_logreport(report):
            if report.failed:
                print("judged:", report.when, report.nodeid)
        """,
    )
    run = run_tests(pytester, "-s")
    run.assert_outcomes(passed=1 + 6, failed=1)
    run.stdout.fnmatch_lines(["*judged: call test_it.py::test_over*", f"*{message}"])
    tests = results(pytester.path)
    for name in ("test_that_it_waits", "test_that_it_waits_no_longer"):
        assert tests.pop(name).outcome == "passed"
    assert {name: (test.outcome, peak(test)) for name, test in tests.items()} == {
        "test_second": ("passed", about(MB)),
        "test_over": ("failed", about(3 * MB)),
        "test_third": ("passed", about(4 * MB)),
        "test_within": ("passed", about(MB)),
        "test_last": ("passed", about(5 * MB)),
    }
    for name in ("test_second", "test_third", "test_last"):
        assert peak(tests[name], "setup") == about(6 * MB)
        assert {phase.name for phase in tests[name].phases} == {"setup", "call", "teardown"}
    verdicts = {name: [check.verdict for check in test.checks] for name, test in tests.items()}
    assert verdicts["test_over"] == ["exceeded"]
    assert verdicts["test_within"] == ["passed"]
    assert verdicts["test_third"] == []


#: Prints how often memray was started, and what was left to be read at each end of a test.
COUNTING = """
import pytest
from memlens import pending
from memlens.recording import Capture

pending.LONGEST_WAIT = 3600.0
start = Capture.start
started = []

def counted(self):
    start(self)
    started.append(self.path)
    # The file has some size from its start on.
    pending.LARGEST_CAPTURE = self.size + {room}

Capture.start = counted

@pytest.fixture
def captures():
    return started

def pytest_sessionfinish():
    print("captures:", len(started))
"""
MANY = """
@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("group", range(2))
def test_it(group, number, captures):
    kept = take((group + 1) * 100_000 + number)
    if number == 4:  # 200 kB in the file, at least
        for _ in range(100_000):
            bytes(1000)
    # Only the one that is being written is there.
    assert [path.exists() for path in captures] == [False] * (len(captures) - 1) + [True]
"""


@pytest.mark.any_python
@pytest.mark.parametrize(
    ("room", "captures"),
    [
        pytest.param(190_000, 3, id="one for the first and each that records much"),
        pytest.param(-1, 11, id="one for each"),
        pytest.param(10**12, 2, id="one for the first and one for all others"),
    ],
)
def test_a_capture_that_gets_large_is_read_and_another_begun(
    pytester: pytest.Pytester, room: int, captures: int
) -> None:
    write_tests(pytester, MANY, conftest=COUNTING.format(room=room))
    run = run_tests(pytester, "-s")
    run.assert_outcomes(passed=1 + 10)
    run.stdout.fnmatch_lines([f"*captures: {captures}"])
    assert peaks(results(pytester.path)) == {
        f"test_it[{group}-{number}]": pytest.approx((group + 1) * 100_000 + number, abs=2000)
        for group in range(2)
        for number in range(5)
    }


@pytest.mark.any_python
@pytest.mark.parametrize(
    ("wait", "names"),
    [
        pytest.param(0.0, ["test_first", "test_it[1]", "test_it[2]"], id="no wait"),
        pytest.param(3600.0, ["test_first"], id="a long wait"),
    ],
)
def test_results_arrive_as_soon_as_they_have_waited_long_enough(
    pytester: pytest.Pytester, wait: float, names: list[str]
) -> None:
    write_tests(
        pytester,
        f"""
        from memlens.store import ResultsReader, ResultsError, database_path

        @pytest.mark.parametrize("number", [1, 2])
        def test_it(number):
            take(number * MB)

        def test_looks(request):
            try:
                with ResultsReader(database_path(request.config.rootpath)) as reader:
                    tests = reader.latest_tests()
            except ResultsError:
                tests = []
            assert [test.name for test in tests] == {names}
            for number, test in enumerate(tests):
                assert test.outcome == "passed"
                assert {{phase.name for phase in test.phases}} == {{"setup", "call", "teardown"}}
                assert test.phase("call").peak_bytes // MB == number
        """,
        conftest=f"from memlens import pending; pending.LONGEST_WAIT = {wait}",
    )
    assert set(measure(pytester, passed=3)) == {"test_it[1]", "test_it[2]", "test_looks"}


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_no_capture_is_left(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    temporary = pytester.path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    write_tests(
        pytester,
        """
        import os
        from pathlib import Path

        def captures():
            return list(Path(os.environ["TMPDIR"]).glob("*/*.bin"))

        def test_plain():
            assert captures()

        @pytest.mark.limit_memory("1 MB")
        def test_over():
            take(2 * MB)

        @pytest.mark.limit_leaks("1 MB")
        def test_by_itself():
            assert captures()

        def test_fails():
            assert not captures()

        def test_forks():
            child = os.fork()
            if child == 0:
                os._exit(0)
            assert os.waitpid(child, 0) == (child, 0)

        def test_last():
            assert captures()
        """,
    )
    run = run_tests(pytester, *arguments)
    run.assert_outcomes(passed=1 + 4, failed=2)
    assert len(results(pytester.path)) == 6
    assert list(temporary.iterdir()) == []


# ---- reports that wait


@pytest.mark.any_python
@pytest.mark.parametrize("wait", [0.0, 3600.0], ids=["no wait", "a long wait"])
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_junit_xml_has_the_numbers_of_results_that_come_later(
    pytester: pytest.Pytester, arguments: tuple[str, ...], wait: float
) -> None:
    write_tests(
        pytester,
        """
        @pytest.mark.parametrize("size", [1, 2, 3, 4])
        def test_plain(size):
            take(size * MB)

        def test_fails(request):
            request.node.user_properties.append(("colour", "red"))
            take(5 * MB)
            assert False

        @pytest.mark.limit_memory("20 MB")
        def test_within():
            take(6 * MB)

        def test_last():
            take(7 * MB)

        @pytest.mark.skip
        def test_skipped():
            pass
        """,
        conftest=f"from memlens import pending; pending.LONGEST_WAIT = {wait}",
    )
    junit = pytester.path / "junit.xml"
    run = run_tests(pytester, f"--junitxml={junit}", *arguments)
    run.assert_outcomes(passed=1 + 6, failed=1, skipped=1)
    tests = results(pytester.path)
    properties = {
        case.attrib["name"]: [
            (each.attrib["name"], each.attrib["value"]) for each in case.iter("property")
        ]
        for case in ET.parse(junit).iter("testcase")
    }
    assert properties.pop("test_skipped") == []
    assert "memlens_peak_bytes" in dict(properties.pop("test_first"))
    assert set(properties) == set(tests)
    assert len(tests) == 7
    for name, found in properties.items():
        call = tests[name].phase("call")
        assert call is not None
        # Each once.
        assert len(found) == len(dict(found))
        assert (
            dict(found).items()
            >= {
                "memlens_peak_bytes": str(call.peak_bytes),
                "memlens_allocated_bytes": str(call.allocated_bytes),
            }.items()
        )
    assert dict(properties["test_fails"])["colour"] == "red"
    assert dict(properties["test_within"])["memlens_limit_memory_verdict"] == "passed"
    assert "memlens_limit_memory_verdict" not in dict(properties["test_last"])
    assert peak(tests["test_plain[4]"]) == about(4 * MB)
