"""`memlens report`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from memlens.store import CheckRecord, database_path

from .helpers import KIB, MIB, measured, memlens, on_a_terminal, write_run

A, B, C = "tests/test_a.py::test_a", "tests/test_a.py::TestB::test_b[1]", "tests/test_b.py::test_c"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    write_run(
        tmp_path,
        "11111111-a",
        measured(A, 2 * MIB),
        measured(B, 8 * MIB),
        measured("tests/test_b.py::test_gone", 1 * MIB),
    )
    write_run(
        tmp_path,
        "22222222-b",
        measured(A, 3 * MIB, limit=2 * MIB, outcome="failed", duration=1),
        measured(B, 6 * MIB, limit=24 * MIB, duration=3),
        measured(C, 512, duration=2),
        commit="abcdef0123456789",
        dirty=True,
    )
    return tmp_path


def nodeids(output: str) -> list[str]:
    return [line.split()[-1] for line in output.splitlines() if "::" in line]


def test_the_last_run_is_shown_the_largest_first(project: Path) -> None:
    result = memlens(project, "report")
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert "Run 22222222 of" in result.stdout
    assert "commit abcdef01 with changes" in result.stdout
    assert lines[2] == ["peak", "limit", "share", "change"]
    assert lines[3:6] == [
        ["6.0", "MiB", "24.0", "MiB", "25%", "-2.0", "MiB", B],
        ["3.0", "MiB", "2.0", "MiB", "150%", "+1.0", "MiB", A],
        ["512", "B", "new", C],
    ]
    assert result.stdout.splitlines()[-2:] == [
        "3 tests, highest peak 6.0 MiB, 1 grown and 1 shrunk by 64.0 KiB or more, 1 over a limit",
        "1 more test in other runs: --all shows them",
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--sort", "peak"], [B, A, C]),
        (["--sort", "change"], [A, B, C]),
        (["--sort", "share"], [A, B, C]),
        (["--sort", "name"], [B, A, C]),
        (["--sort", "duration"], [B, C, A]),
        (["--over-limit"], [A]),
        (["--top", "1"], [B]),
        (["--all"], [B, A, "tests/test_b.py::test_gone", C]),
        (["tests/test_a.py"], [B, A]),
        (["tests/test_a.py::TestB"], [B]),
        (["tests/test_a.py::TestB::test_b"], [B]),
        (["tests/test_a.py::TestB::test_b[1]", "tests/test_b.py"], [B, C]),
        (["tests"], [B, A, C]),
        (["./tests/"], [B, A, C]),
        (["."], [B, A, C]),
        (["test_a"], [A]),
        (["test_b"], [B]),
        (["TestB"], [B]),
        (["TestB::test_b[1]", "test_c"], [B, C]),
    ],
)
def test_it_is_sorted_and_filtered(project: Path, options: list[str], expected: list[str]) -> None:
    assert nodeids(memlens(project, "report", *options).stdout) == expected


def test_tests_are_named_from_the_folder_one_is_in(project: Path) -> None:
    assert nodeids(memlens(project / "tests", "report", "test_b.py").stdout) == [C]
    assert nodeids(memlens(project / "tests", "report", "../tests/test_b.py::test_c").stdout) == [C]


def test_what_was_cut_off_is_told(project: Path) -> None:
    assert "\nand 2 more\n" in memlens(project, "report", "--top", "1").stdout


def test_in_a_first_run_nothing_is_called_new(tmp_path: Path) -> None:
    write_run(tmp_path, "run-1", measured(A, MIB))
    result = memlens(tmp_path, "report")
    assert "change" not in result.stdout
    assert "new" not in result.stdout


def test_durations_are_shown_when_sorted_by(project: Path) -> None:
    assert "3.00 s" in memlens(project, "report", "--sort", "duration").stdout
    assert " s " not in memlens(project, "report").stdout


def test_the_worst_limit_stands_for_the_test(tmp_path: Path) -> None:
    leak = CheckRecord("limit_leaks", MIB, 4 * MIB, "exceeded", "leaks")
    near = measured(A, 9 * MIB, limit=10 * MIB)
    objects = CheckRecord("limit_leaked_objects", 0, 90, "exceeded", "objects")
    write_run(
        tmp_path,
        "run-1",
        near._replace(checks=(*near.checks, leak)),
        measured(B, 1)._replace(checks=(objects,)),
        measured(C, 2)._replace(checks=(leak._replace(verdict="not_judged", measured_bytes=0),)),
    )
    lines = memlens(tmp_path, "report", "--sort", "name").stdout.splitlines()
    assert [" ".join(line.split()[2:-1]) for line in lines if "::" in line] == [
        "no objects over",
        "leak 1.0 MiB 400%",
        "leak 1.0 MiB ?",
    ]


def test_a_change_is_since_the_last_run_that_had_the_test(project: Path) -> None:
    write_run(project, "33333333-c", measured(B, 6 * MIB))
    write_run(project, "44444444-d", measured(A, 3 * MIB + 100), measured(B, 7 * MIB))
    result = memlens(project, "report", "--sort", "name")
    assert [line.split()[2:-1] for line in result.stdout.splitlines() if "::" in line] == [
        ["+1.0", "MiB"],
        ["+100", "B"],
    ]


def test_a_prefix_that_names_none_is_an_error_with_what_is_near(project: Path) -> None:
    result = memlens(project, "report", "tests/test_a.py::test_")
    assert result.returncode == 2
    assert result.stdout == ""
    assert f"did you mean\n  {A}" in result.stderr
    gone = memlens(project, "report", "tests/test_b.py::test_gone")
    assert gone.returncode == 2
    assert "--all looks in every run" in gone.stderr


def test_without_results_it_says_how_to_make_some(tmp_path: Path) -> None:
    for command in (["report"], ["show", "x"], ["compare", "last~1"], ["gc"], ["clear"]):
        result = memlens(tmp_path, *command)
        assert result.returncode == 2
        assert "run 'pytest --memray' to make some" in result.stderr
        assert not (tmp_path / ".memlens").exists()


def test_a_run_that_measured_nothing_does_not_hide_the_one_before(project: Path) -> None:
    write_run(project, "33333333-c")
    assert "Run 22222222 of" in memlens(project, "report").stdout


def test_only_empty_runs_are_told_of(tmp_path: Path) -> None:
    write_run(tmp_path, "run-1")
    result = memlens(tmp_path, "report")
    assert result.returncode == 2
    assert "no run in" in result.stderr
    assert "has measured a test" in result.stderr


def test_piped_it_is_plain_and_one_line_a_test_however_long(tmp_path: Path) -> None:
    long = f"tests/test_a.py::test_{'long_' * 60}end"
    write_run(tmp_path, "run-1", measured(long, MIB))
    result = memlens(tmp_path, "report")
    assert f"  {long}\n" in result.stdout
    assert "\x1b" not in result.stdout


def test_that_other_runs_have_more_tests_is_said(tmp_path: Path) -> None:
    """As after `memlens combine`, where each shard is a run."""
    write_run(tmp_path, "run-1", measured(A, MIB), measured(B, MIB), commit="abcd")
    write_run(tmp_path, "run-2", measured(C, MIB), commit="abcd")
    said = "{} in other runs: --all shows them"
    last = memlens(tmp_path, "report").stdout.splitlines()[-1]
    assert last == said.format("2 more tests")
    some = memlens(tmp_path, "report", "tests/test_b.py", "tests").stdout.splitlines()[-1]
    assert some == said.format("2 more tests")
    assert "in other runs" not in memlens(tmp_path, "report", "tests/test_b.py").stdout
    assert "in other runs" not in memlens(tmp_path, "report", "--all").stdout


LONG = f"tests/test_a.py::test_{'long_' * 10}end"


@pytest.mark.skipif("sys.platform == 'win32'")
def test_where_one_node_id_has_no_room_each_has_its_own_line(tmp_path: Path) -> None:
    write_run(tmp_path, "run-1", measured(LONG, 3 * MIB, limit=24 * MIB), measured(A, MIB))
    status, output = on_a_terminal(tmp_path, "report", env={"NO_COLOR": "1"})
    assert status == 0
    assert [line for line in output.splitlines() if "::" in line] == [f"    {LONG}", f"    {A}"]
    assert max(map(len, output.splitlines())) <= 80
    assert "█▎" in output


@pytest.mark.skipif("sys.platform == 'win32'")
@pytest.mark.parametrize(
    ("columns", "bars", "beside"), [(120, True, True), (110, False, True), (60, True, False)]
)
def test_bars_give_way_to_node_ids(tmp_path: Path, columns: int, bars: bool, beside: bool) -> None:
    write_run(tmp_path, "run-1", measured(LONG, 20 * MIB, limit=24 * MIB), measured(A, MIB))
    _, output = on_a_terminal(tmp_path, "report", columns=columns, env={"NO_COLOR": "1"})
    assert ("████" in output) == bars
    assert {line.startswith("    ") for line in output.splitlines() if "::" in line} == {not beside}


@pytest.mark.skipif("sys.platform == 'win32'")
def test_a_wide_terminal_shows_bars_and_colours_unless_told_not_to(project: Path) -> None:
    status, output = on_a_terminal(project, "report", columns=120)
    assert status == 0
    assert "██▌" in output
    assert "\x1b[" in output
    _, plain = on_a_terminal(project, "report", columns=120, env={"NO_COLOR": "1"})
    assert "██▌" in plain
    assert "\x1b" not in plain
    _, plain = on_a_terminal(project, "report", columns=120, env={"TERM": "dumb"})
    assert "\x1b" not in plain
    ascii_only = {"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}
    _, plain = on_a_terminal(project, "report", columns=120, env=ascii_only)
    assert "  ##  " in plain
    assert "\\u" not in plain


def test_a_test_id_cannot_control_the_terminal(tmp_path: Path) -> None:
    write_run(tmp_path, "run-1", measured("tests/test_a.py::test_a[\x1b[2J\ré]", MIB))
    result = memlens(tmp_path, "report")
    assert "tests/test_a.py::test_a[\\x1b[2J\\ré]\n" in result.stdout


def test_what_the_output_cannot_encode_is_escaped(tmp_path: Path) -> None:
    write_run(tmp_path, "run-1", measured("tests/test_a.py::test_a[é]", MIB))
    result = memlens(tmp_path, "report", env={"PYTHONIOENCODING": "ascii"})
    assert "tests/test_a.py::test_a[\\xe9]\n" in result.stdout


@pytest.mark.skipif("sys.platform == 'win32'")
def test_whoever_reads_may_stop_reading(tmp_path: Path) -> None:
    tests = [measured(f"tests/test_a.py::test_{'x' * 90}{n}", KIB + n) for n in range(2000)]
    path = write_run(tmp_path, "run-1")
    write_run(tmp_path, "run-2", *tests)
    with subprocess.Popen(
        [sys.executable, "-m", "memlens", "report", "--results", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_file_that_is_no_database_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = database_path(tmp_path)
    path.parent.mkdir()
    path.write_text("something else")
    result = memlens(tmp_path, "report")
    assert result.returncode == 2
    assert str(path) in result.stderr
    assert "Traceback" not in result.stderr
