"""What the terminal shows, from finished results."""

from __future__ import annotations

import pytest

from memlens.reports.failures import Detail, failure_text
from memlens.reports.summary import Shown, histogram, write_summary
from memlens.store import (
    CheckRecord,
    FrameRecord,
    PhaseRecord,
    StackRecord,
    TestRecord,
    Verdict,
)

MB = 1024**2
NATIVE = FrameRecord("PyList_New", "Objects/listobject.c", 5, "native")


class Terminal:
    """Collects what is written."""

    def __init__(self) -> None:
        self.text = ""
        self.coloured: dict[str, set[str]] = {}

    def write(self, content: str, **markup: bool) -> None:
        self.text += content
        self.coloured[content.strip()] = {name for name, on in markup.items() if on}

    def write_line(self, line: str, **markup: bool) -> None:
        self.write(f"{line}\n", **markup)

    def write_sep(self, sep: str, title: str, **markup: bool) -> None:
        self.write_line(f"{sep} {title}", **markup)


def frames(count: int) -> tuple[FrameRecord, ...]:
    return tuple(FrameRecord(f"f{i}", "shop/a.py", i, "project") for i in range(1, count + 1))


def result(
    name: str, peak: int, limit: int = 0, verdict: Verdict = "passed", stacks: int = 1
) -> TestRecord:
    checks = (CheckRecord("limit_memory", limit, peak, verdict, f"{name} is too heavy"),)
    return TestRecord(
        nodeid=f"test_a.py::{name}",
        path="test_a.py",
        line=1,
        outcome="passed",
        duration=0.1,
        worker=None,
        phases=(PhaseRecord("call", peak, peak, 2, 0, (0, 0, 1, 0, 1)),),
        checks=checks if limit else (),
        stacks=tuple(StackRecord("peak", peak // stacks, 1, frames(30)) for _ in range(stacks)),
    )


def shown(tests: list[TestRecord], shown: Shown | None = None) -> Terminal:
    terminal = Terminal()
    write_summary(terminal, tests, shown or Shown())
    return terminal


def test_as_many_tests_are_shown_as_asked_for() -> None:
    tests = [result(f"test_{i}", i * MB) for i in range(1, 9)]
    assert shown(tests, Shown(tests=2)).text.count("test_a.py::test_") == 3  # one in the totals
    assert shown(tests, Shown(tests=0)).text.count("test_a.py::test_") == 9


def test_tests_near_their_limits_come_in_order_and_failed_ones_do_not() -> None:
    tests = [
        result("test_far", MB, 10 * MB),
        result("test_near", 6 * MB, 10 * MB),
        result("test_nearest", 95 * MB, 100 * MB),
        result("test_over", 11 * MB, 10 * MB, "exceeded"),
    ]
    near = shown(tests).text.partition("Nearest to their limits:\n")[2].partition("\n\n")[0]
    assert near.splitlines() == [
        "   95% of 100.0 MiB  test_a.py::test_nearest",
        "   60% of 10.0 MiB  test_a.py::test_near",
    ]


def test_without_limits_nothing_is_said_of_them() -> None:
    assert "limit" not in shown([result("test_a", MB)]).text


def test_problems_are_counted_by_kind() -> None:
    tests = [result("test_a", MB, 10, "exceeded"), result("test_b", MB, 10, "exceeded")]
    terminal = shown(tests)
    assert "Memory problems: 2 over the memory limit\n" in terminal.text
    assert terminal.coloured["test_a.py::test_a"] == {"red", "bold"}
    assert "Memory problems" not in shown([result("test_c", MB)]).text


def test_nothing_measured_shows_nothing() -> None:
    assert shown([]).text == ""


@pytest.mark.parametrize(
    ("counts", "row"),
    [
        ((), ""),
        ((4,), " |█| 0 B to 2 B"),
        ((0, 0, 8, 0, 1), " |█ ▁| 4 B to 32 B"),
        ((0,) * 10 + (1, 1000), " |▁█| 1.0 KiB to 4.0 KiB"),
    ],
)
def test_a_histogram_shows_whatever_is_there(counts: tuple[int, ...], row: str) -> None:
    assert histogram(counts, Shown()) == row


def test_a_terminal_without_blocks_gets_ascii() -> None:
    text = shown([result("test_a", MB)], Shown(unicode=False)).text
    assert text.isascii()
    assert "|@ @|" in text


def test_a_failure_begins_with_a_sentence_and_is_cut_where_it_gets_long() -> None:
    lines = failure_text(result("test_a", 9 * MB, MB, "exceeded", stacks=9)).splitlines()
    assert lines[0] == "test_a is too heavy"
    assert sum("in 1 allocation" in line for line in lines) == 5
    assert lines[-1] == "  and 4 more call stacks (-vv shows all)"
    assert lines.count("    and 22 more callers") == 5


class Asked:
    """What a user may have asked for."""

    def __init__(self, verbosity: int, stacks: int | None = None, native: bool = False) -> None:
        self.verbosity = verbosity
        self.stacks = stacks
        self.native = native


@pytest.mark.parametrize(
    ("asked", "stacks", "callers"),
    [
        (Asked(-1), 0, 0),
        (Asked(0), 5, 8),
        (Asked(1), 9, 20),
        (Asked(2), 9, 30),
        (Asked(0, stacks=3), 5, 3),
    ],
)
def test_verbosity_and_stacks_choose_how_much_a_failure_tells(
    asked: Asked, stacks: int, callers: int
) -> None:
    test = result("test_a", 9 * MB, MB, "exceeded", stacks=9)
    text = failure_text(test, Detail.from_settings(asked))
    assert text.count(" in 1 allocation\n") == stacks
    assert text.count("shop/a.py:") == stacks * callers


def test_native_frames_are_shown_when_asked_for_or_when_there_are_no_others() -> None:
    mixed = StackRecord("leak", MB, 1, (NATIVE, *frames(1)))
    pure = StackRecord("leak", MB, 1, (NATIVE,))
    none = StackRecord("leak", MB, 1, ())
    test = TestRecord(
        **{
            **result("test_a", MB)._asdict(),
            "checks": (CheckRecord("limit_leaks", 1, MB, "exceeded", "leaks"),),
            "stacks": (mixed, pure, none),
        }
    )
    assert failure_text(test).count("PyList_New") == 1
    assert failure_text(test, Detail(native=True)).count("PyList_New") == 2
    assert failure_text(test).endswith("outside of Python code")
