"""A `limit_memory` is judged by another process while the capture goes on, if that is cheaper."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memlens.store import ResultsReader, TestRecord, database_path

from .arenas import ARENA

SUITE = """
import threading
import pytest

def in_thread(size):
    thread = threading.Thread(target=lambda: bytearray(size))
    thread.start()
    thread.join()

@pytest.mark.limit_memory("2 MB")
@pytest.mark.parametrize("number", range(40))
def test_it(number):
    kept = bytearray(3_000_000 if number in (20, 30) else 100_000 + number)

@pytest.mark.limit_memory("2 MB", current_thread_only=True)
def test_own_thread():
    in_thread(3_000_000)

@pytest.mark.limit_memory("2 MB")
def test_threads():
    in_thread(3_000_000)
"""
#: The other process is waited for, and how often captures were closed is counted.
WAITING = """
from memlens import pending
from memlens.recording import Capture, asking

pending.LONGEST_WAIT = 3600.0
asking._CLOSED_FIRST = 1

def waits(self):
    self._closing = 3600.0  # asking is always cheaper
    if self._answerer is None:
        self._answerer = self._answer(60.0)
    return self._answerer is not None

asking.Asking._is_ready = waits
stop = Capture.stop
stopped = []

def counted(self):
    if self.is_running:
        stopped.append(self)
    stop(self)

Capture.stop = counted

def pytest_sessionfinish():
    print("closed before the end:", len(stopped))
"""


@pytest.fixture(autouse=True)
def _few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", "memlens.plugin", "-s", *arguments)


def results(folder: Path) -> dict[str, TestRecord]:
    with ResultsReader(database_path(folder)) as reader:
        return {test.name: test for test in reader.latest_tests()}


def about(size: int) -> Any:
    """Return what equals sizes near *size*."""
    return pytest.approx(size, abs=20_000)


def assert_all_right(folder: Path) -> None:
    """Assert that the suite's results are what they are whoever judges."""
    tests = results(folder)
    assert len(tests) == 42
    for name, test in tests.items():
        is_over = name in ("test_it[20]", "test_it[30]", "test_threads")
        (check,) = test.checks
        assert (name, test.outcome) == (name, "failed" if is_over else "passed")
        assert (name, check.verdict) == (name, "exceeded" if is_over else "passed")
        call = test.phase("call")
        assert call is not None
        assert call.allocations
        if name != "test_own_thread":
            assert check.measured_bytes == call.peak_bytes
        if name.startswith("test_it"):
            size = 3_000_000 if is_over else 100_000 + int(name[8:-1])
            assert call.peak_bytes in (about(size), about(size + ARENA))
            assert "test_it" in {frame.function for frame in test.stacks_of("peak")[0].frames}
    (check,) = tests["test_own_thread"].checks
    assert check.measured_bytes < 1.5 * ARENA  # the other thread takes 3 MB


@pytest.mark.parametrize("arguments", [("--memray",), ()])
def test_captures_go_on_while_limits_are_kept(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    pytester.makeconftest(WAITING)
    pytester.makepyfile(test_it=SUITE)
    ran = run(pytester, *arguments)
    ran.assert_outcomes(passed=39, failed=3)
    # Those that are over their limits, and the first, at whose verdict nobody was there to ask;
    # at its end the first result is read at once.
    closed = next(line for line in ran.outlines if "closed before the end" in line)
    assert int(closed.rpartition(" ")[2]) in (4, 5)
    ran.stdout.fnmatch_lines(
        ["Peak memory of 2.9 MiB is over the limit of 2.0 MiB", "*test_it.py:12 in test_it"]
    )
    assert_all_right(pytester.path)


@pytest.mark.parametrize(
    "fault",
    [
        "os.kill(self._answerer, 9)",
        "self._process.stdin.write(b'nonsense')",
        pytest.param("asking._PATIENCE = 0.0", marks=pytest.mark.any_python),
        pytest.param("question['capture'] = '/nowhere'", marks=pytest.mark.any_python),
        pytest.param("question['window'] = 888", marks=pytest.mark.any_python),
    ],
)
def test_limits_are_kept_whatever_becomes_of_the_other_process(
    pytester: pytest.Pytester, fault: str
) -> None:
    pytester.makeconftest(
        WAITING
        + f"""
import os
ask = asking.Asking._ask
questions = []

def spoilt(self, question):
    questions.append(question)
    if len(questions) > 10:
        {fault}
    return ask(self, question)

asking.Asking._ask = spoilt
"""
    )
    pytester.makepyfile(test_it=SUITE)
    run(pytester, "--memray").assert_outcomes(passed=39, failed=3)
    assert_all_right(pytester.path)


def test_asking_ends_when_the_answers_take_longer_than_closing(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(WAITING.replace("= 3600.0  # asking is always cheaper", "= 0.0"))
    pytester.makepyfile(test_it=SUITE)
    ran = run(pytester, "--memray")
    ran.assert_outcomes(passed=39, failed=3)
    closed = next(line for line in ran.outlines if "closed before the end" in line)
    assert int(closed.rpartition(" ")[2]) > 15
    assert_all_right(pytester.path)


def test_the_other_process_is_nobodys_child_and_ends_with_the_run(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(
        WAITING
        + """
import os
close = asking.Asking.close

def closed(self):
    close(self)
    print("it closed its end:", self._has_ended)

asking.Asking.close = closed

def pytest_runtest_teardown(item):
    try:
        print("children:", os.waitpid(-1, os.WNOHANG))
    except ChildProcessError:
        print("no children")
"""
    )
    pytester.makepyfile(test_it=SUITE)
    ran = run(pytester, "--memray", "-k", "test_it")
    assert "children:" not in ran.stdout.str()
    ran.stdout.fnmatch_lines(["*no children*", "it closed its end: True"])


def test_a_run_that_is_killed_shows_what_had_been_judged(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else whatever runs beside this may recover the results, and not be done when we look.
    monkeypatch.setenv("TMPDIR", str(pytester.mkdir("temporary")))
    pytester.makeconftest(WAITING)
    pytester.makepyfile(
        test_it=f"{SUITE}\n\ndef test_killer():\n    import os\n    os.kill(os.getpid(), 9)\n"
    )
    assert run(pytester, "--memray", "-k", "test_own or test_killer or 3").ret != 0
    pytester.run(sys.executable, "-m", "memlens", "check")
    tests = results(pytester.path)
    for number in (3, 13, 23, 31, 39):
        (check,) = tests[f"test_it[{number}]"].checks
        assert (check.marker, check.verdict) == ("limit_memory", "passed")
        assert check.measured_bytes in (about(100_000), about(100_000 + ARENA))


#: Asks for the peaks of many bodies in one capture and prints them beside those read afterwards.
GROWING = """
import json
import random
import threading
from pathlib import Path

from memlens.recording import Capture
from memlens.recording.answering import peaks

rest = random.Random(7)
kept = []


def body(sizes):
    blocks = []
    for size in sizes:
        if size % 3 == 0 and blocks:
            blocks.pop()
        else:
            blocks.append(bytearray(size))
    if len(sizes) % 4 == 0:
        other = threading.Thread(target=lambda: kept.append(bytearray(50_000 + len(sizes))))
        other.start()
        other.join()
    if kept and len(sizes) % 5 == 0:
        kept.clear()


capture = Capture(Path("growing.bin"))
capture.start()
asked = []
for _ in range(60):
    sizes = [rest.randrange(600, 60_000) for _ in range(rest.randrange(40))]
    capture.call(body, sizes)
    bytearray(10_000)  # something else follows
    # In this process, so that it is recorded as well.
    asked.append((capture.called, peaks(capture.path, capture.called)))
    if capture.size > 3_000_000:
        break
capture.stop()
with capture.reading() as measurements:
    read = [
        (number, (each.peak, each.peak_stacks.size(current_thread_only=True)))
        for number, each in measurements.items()
    ]
print(json.dumps([asked, read]))
"""


def test_what_is_asked_of_a_growing_capture_is_what_is_read_of_it_afterwards(
    tmp_path: Path,
) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", GROWING],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    asked, read = json.loads(answer.stdout)
    assert asked == read
    assert len(asked) > 5
    assert [path.name for path in tmp_path.iterdir()] == []


def test_who_asks_gets_an_answer_to_each_question(tmp_path: Path) -> None:
    questions: list[dict[str, Any]] = [{"capture": str(tmp_path / "none.bin"), "window": 1}] * 3
    answer = subprocess.run(
        [sys.executable, "-m", "memlens.recording.answering"],
        input="".join(json.dumps(question) + "\n" for question in questions),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    who, *answers = answer.stdout.splitlines()
    assert int(who) > 0
    assert answers == ["false"] * 3
