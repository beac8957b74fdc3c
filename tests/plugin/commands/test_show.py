"""`memlens show`, and stacks as a tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from memlens.commands.stack_tree import tree, tree_lines
from memlens.store import (
    CheckRecord,
    FrameRecord,
    PhaseRecord,
    StackRecord,
    TestRecord,
)

from .helpers import KIB, MIB, measured, memlens, on_a_terminal, write_run

NODEID = "tests/test_a.py::TestA::test_a[x]"
TEST = FrameRecord("test_a", "tests/test_a.py", 9, "project")
LOAD = FrameRecord("load", "shop/load.py", 3, "project")
PARSE = FrameRecord("parse", "shop/load.py", 7, "project")
LIBRARY = FrameRecord("loads", "/venv/lib/python3.12/site-packages/lib/it.py", 5, "library")
NATIVE = FrameRecord("malloc", "malloc.c", 0, "native")
PEAK = (
    StackRecord("peak", 4 * MIB, 2, (NATIVE, LIBRARY, PARSE, LOAD, TEST)),
    StackRecord("peak", 3 * MIB, 1, (LOAD, TEST)),
    StackRecord("peak", 1 * MIB, 1, (PARSE, LOAD, TEST)),
)
LEAK = StackRecord("leak", 2 * MIB, 3, (LOAD, TEST))
WHOLE = TestRecord(
    nodeid=NODEID,
    path="tests/test_a.py",
    line=8,
    outcome="failed",
    duration=1.25,
    worker="gw1",
    phases=(
        PhaseRecord("setup", 3 * KIB, None, None, 512),
        PhaseRecord("call", 9 * MIB, 12 * MIB, 1234, 100, (0, 1, 2)),
    ),
    checks=(
        CheckRecord("limit_memory", 8 * MIB, 9 * MIB, "exceeded", "Too much"),
        CheckRecord("limit_leaks", 4 * MIB, 2 * MIB, "passed", "Few leaks"),
        CheckRecord("limit_leaked_objects", 0, 0, "not_judged", "Who knows"),
    ),
    stacks=(*PEAK, LEAK),
)


def drawn(*stacks: StackRecord, native: bool = False, unicode: bool = True) -> list[str]:
    root = tree(stacks, native=native)
    lines = tree_lines(root, lambda frame: f"{frame.path}:{frame.line}", unicode=unicode)
    return [
        "".join(piece if isinstance(piece, str) else piece.text for piece in line) for line in lines
    ]


def test_common_callers_are_told_once_and_sizes_part_into_what_sums_up() -> None:
    assert drawn(*PEAK) == [
        "   8.0 MiB  test_a  tests/test_a.py:9",
        "            load  shop/load.py:3",
        "   5.0 MiB  ├─ parse  shop/load.py:7",
        "   4.0 MiB  │  ├─ loads  /venv/lib/python3.12/site-packages/lib/it.py:5",
        "   1.0 MiB  │  └─ (itself)",
        "   3.0 MiB  └─ (itself)",
    ]


def test_what_is_allocated_in_a_call_itself_stands_by_its_size_among_what_it_calls() -> None:
    small = StackRecord("peak", MIB, 1, (PARSE, TEST))
    itself = StackRecord("peak", 2 * MIB, 1, (TEST,))
    assert drawn(small, itself) == [
        "   3.0 MiB  test_a  tests/test_a.py:9",
        "   2.0 MiB  ├─ (itself)",
        "   1.0 MiB  └─ parse  shop/load.py:7",
    ]


def test_a_fork_shows_the_larger_callee_first() -> None:
    small = StackRecord("peak", MIB, 1, (LIBRARY, PARSE, TEST))
    large = StackRecord("peak", 2 * MIB, 1, (LIBRARY, LOAD, TEST))
    library = "/venv/lib/python3.12/site-packages/lib/it.py:5"
    assert drawn(small, large) == [
        "   3.0 MiB  test_a  tests/test_a.py:9",
        "   2.0 MiB  ├─ load  shop/load.py:3",
        f"            │  loads  {library}",
        "   1.0 MiB  └─ parse  shop/load.py:7",
        f"               loads  {library}",
    ]
    assert drawn(small, large, unicode=False)[1:] == [
        "   2.0 MiB  |- load  shop/load.py:3",
        f"            |  loads  {library}",
        "   1.0 MiB  `- parse  shop/load.py:7",
        f"               loads  {library}",
    ]


def test_native_frames_are_shown_when_asked_for() -> None:
    assert drawn(PEAK[0], native=True)[-1] == "            malloc  malloc.c:0"
    only_native = StackRecord("peak", 5, 1, (NATIVE,))
    assert drawn(only_native) == ["       5 B  outside of Python code"]


def test_recursion_is_folded_and_any_depth_is_drawn() -> None:
    assert drawn(StackRecord("peak", 5, 1, (*[PARSE] * 3000, TEST)))[1:] == [
        "            parse (3,000 times)  shop/load.py:7"
    ]
    deep = StackRecord("peak", 5, 1, (*[PARSE, LOAD] * 3000, TEST))
    assert len(drawn(deep)) == 6001


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for number, (commit, peak) in enumerate((("aaaaaaaaaa", 3), ("bbbbbbbbbb", 6))):
        write_run(
            tmp_path,
            f"run-{number}",
            measured(NODEID, peak * MIB),
            commit=commit,
            started=f"2026-01-0{number + 1}T10:00:00.000000+00:00",
        )
    write_run(
        tmp_path,
        "run-2",
        WHOLE,
        measured("tests/test_a.py::TestA::test_a[y]", 1),
        measured("tests/test_b.py::test_b", 1),
        commit="cccccccccc",
        dirty=True,
        started="2026-01-03T10:00:00.000000+00:00",
    )
    return tmp_path


def test_everything_that_is_known_is_shown(project: Path) -> None:
    result = memlens(project, "show", NODEID)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        NODEID,
        "failed in 1.25 s by gw1, run run-2 of 2026-01-03 10:00, commit cccccccc with changes",
        "tests/test_a.py:8",
        "",
        "Phases",
        "                    peak  left alive  allocations    in all",
        "  set-up         3.0 KiB       512 B  not counted",
        "  test           9.0 MiB       100 B        1,234  12.0 MiB",
        "  teardown  not measured",
        "  sizes of the test's allocations |▄█| 2 B to 8 B",
        "",
        "Limits",
        "  limit_memory             8.0 MiB    112%  exceeded",
        "    Too much",
        "  limit_leaks              4.0 MiB     50%  kept",
        "    Few leaks",
        "  limit_leaked_objects                      not judged",
        "    Who knows",
        "",
        "Call stacks at the peak, from the test inwards",
        "   8.0 MiB  test_a  tests/test_a.py:9",
        "            load  shop/load.py:3",
        "   5.0 MiB  ├─ parse  shop/load.py:7",
        "   4.0 MiB  │  ├─ loads  lib/it.py:5",
        "   1.0 MiB  │  └─ (itself)",
        "   3.0 MiB  └─ (itself)",
        "   1.0 MiB  in smaller call stacks",
        "",
        "Not freed by the end of the test, from the test inwards",
        "   2.0 MiB  test_a  tests/test_a.py:9",
        "            load  shop/load.py:3",
        "",
        "History, 3 runs",
        "  ▁▄█  3.0 MiB to 9.0 MiB",
        "  2026-01-03 10:00  9.0 MiB  +3.0 MiB  failed  cccccccc with changes",
        "  2026-01-02 10:00  6.0 MiB  +3.0 MiB  passed  bbbbbbbb",
        "  2026-01-01 10:00  3.0 MiB            passed  aaaaaaaa",
    ]


def test_what_a_heavy_set_up_or_teardown_held_is_shown_after_what_the_test_held(
    tmp_path: Path,
) -> None:
    phases = (
        PhaseRecord("setup", 6 * MIB, None, None, 0),
        PhaseRecord("call", 9 * MIB, None, None, 0),
        PhaseRecord("teardown", 2 * MIB, None, None, 0),
    )
    stacks = (
        StackRecord("setup", 5 * MIB, 1, (PARSE, LOAD)),
        StackRecord("teardown", 2 * MIB, 1, (LOAD,)),
        *PEAK,
    )
    write_run(tmp_path, "run-0", WHOLE._replace(phases=phases, checks=(), stacks=stacks))
    lines = memlens(tmp_path, "show", NODEID).stdout.splitlines()
    assert lines[lines.index("   1.0 MiB  in smaller call stacks") + 1 :] == [
        "",
        "Call stacks at the peak of set-up, from the fixture inwards",
        "   5.0 MiB  load  shop/load.py:3",
        "            parse  shop/load.py:7",
        "   1.0 MiB  in smaller call stacks",
        "",
        "Call stacks at the peak of teardown, from the fixture inwards",
        "   2.0 MiB  load  shop/load.py:3",
    ]


def test_native_frames_are_an_option(project: Path) -> None:
    assert "malloc  malloc.c\n" in memlens(project, "show", "--native", NODEID).stdout


@pytest.mark.parametrize(
    "name",
    ["tests/test_b.py::test_b", "./tests/test_b.py::test_b", "tests/test_b.py", "test_b"],
)
def test_a_test_is_found_by_any_name_that_is_only_its_own(project: Path, name: str) -> None:
    assert memlens(project, "show", name).stdout.startswith("tests/test_b.py::test_b\n")


@pytest.mark.parametrize("name", ["TestA::test_a[x]", "test_a[x]"])
def test_the_name_alone_may_have_parameters_and_a_class(project: Path, name: str) -> None:
    assert memlens(project, "show", name).stdout.startswith(f"{NODEID}\n")


@pytest.mark.parametrize("name", ["test_a", "TestA::test_a", "TestA", "tests/test_a.py"])
def test_what_names_several_tests_lists_them(project: Path, name: str) -> None:
    result = memlens(project, "show", name)
    assert result.returncode == 2
    assert f"{name!r} is 2 tests; say which" in result.stderr
    assert f"  {NODEID}\n" in result.stderr


def test_what_names_none_gets_what_is_near(project: Path) -> None:
    result = memlens(project, "show", "tests/test_b.py::tst_b")
    assert result.returncode == 2
    assert "did you mean\n  tests/test_b.py::test_b" in result.stderr
    far = memlens(project, "show", "zzz")
    assert far.stderr == "memlens: no result is of 'zzz'\n"


def test_only_the_last_results_of_a_long_history_have_their_lines(tmp_path: Path) -> None:
    for number in range(14):
        write_run(tmp_path, f"run-{number}", measured(NODEID, MIB + number))
    lines = memlens(tmp_path, "show", NODEID).stdout.splitlines()
    assert "History, 14 runs" in lines
    # A few bytes are no trend.
    assert f"  {'▁' * 14}  1.0 MiB to 1.0 MiB" in lines
    assert lines[-1] == "  and 4 earlier"


def test_a_first_result_has_no_history(tmp_path: Path) -> None:
    write_run(tmp_path, "run-0", measured(NODEID, MIB))
    assert "History" not in memlens(tmp_path, "show", NODEID).stdout


@pytest.mark.skipif("sys.platform == 'win32'")
def test_the_projects_own_frames_stand_out_on_a_terminal(project: Path) -> None:
    _, output = on_a_terminal(project, "show", NODEID)
    assert "\x1b[1;36mload\x1b[0m  shop/load.py:3" in output
    assert "\x1b[2mloads  lib/it.py:5\x1b[0m" in output


def test_a_real_run_is_shown(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        def hoard():
            return bytearray(4 * 1024 * 1024)

        def test_it():
            kept = hoard()
        """
    )
    pytester.runpytest_subprocess("--memray").assert_outcomes(passed=1)
    output = memlens(pytester.path, "show", "test_it").stdout
    assert "test_it  test_it.py:5\n            hoard  test_it.py:2\n" in output
    assert "  test" in output
    assert "4.0 MiB" in output
