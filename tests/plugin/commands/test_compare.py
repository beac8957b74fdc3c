"""`memlens compare`."""

from __future__ import annotations

import html
import json
import subprocess
from pathlib import Path

import pytest

from .helpers import KIB, MIB, measured, memlens, on_a_terminal, write_run

GREW, SHRANK, SAME = (f"tests/test_a.py::test_{name}" for name in ("grew", "shrank", "same"))
GONE, NEW = "tests/test_a.py::test_gone", "tests/test_a.py::test_new"
FIRST, SECOND = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_run(
        tmp_path,
        "11111111-a",
        measured(GREW, 10 * MIB),
        measured(SHRANK, 10 * MIB),
        measured(SAME, 10 * MIB),
        measured(GONE, 1 * MIB),
        commit=FIRST,
    )
    write_run(
        tmp_path,
        "22222222-b",
        measured(GREW, 12 * MIB),
        measured(SHRANK, 5 * MIB),
        measured(SAME, 10 * MIB + 16 * KIB),
        measured(NEW, 2 * MIB),
        commit=SECOND,
    )
    return tmp_path


def changes(project: Path, *arguments: str) -> dict[str, str]:
    result = memlens(project, "compare", *arguments, "--format", "json")
    assert result.returncode in (0, 1), result.stderr
    return {test["nodeid"]: test["change"] for test in json.loads(result.stdout)["tests"]}


EXPECTED = {GREW: "grew", SHRANK: "shrank", SAME: "same", GONE: "vanished", NEW: "appeared"}
REVERSED = {GREW: "shrank", SHRANK: "grew", SAME: "same", GONE: "appeared", NEW: "vanished"}


def test_text_tells_each_kind_with_figures(project: Path) -> None:
    result = memlens(project, "compare", "last~1")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "base  run 11111111 of 2026-01-02 03:04, commit 01234567, 4 tests",
        "head  run 22222222 of 2026-01-02 03:04, commit fedcba98, 4 tests",
        "",
        "grew",
        f"  +2.0 MiB  +20%  10.0 MiB → 12.0 MiB  {GREW}",
        "",
        "shrank",
        f"  -5.0 MiB  -50%  10.0 MiB → 5.0 MiB  {SHRANK}",
        "",
        "appeared",
        f"  2.0 MiB  {NEW}",
        "",
        "vanished",
        f"  1.0 MiB  {GONE}",
        "",
        "1 grew, 1 shrank, 1 appeared, 1 vanished, 1 within 64.0 KiB",
    ]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["last~1"], EXPECTED),
        (["last~1", "last"], EXPECTED),
        (["last", "last~1"], REVERSED),
        (["11111111", "22222222-b"], EXPECTED),
        (["1111"], EXPECTED),
        (["0123456"], EXPECTED),
        (["FEDC", "0123"], REVERSED),
    ],
)
def test_runs_and_commits_are_named_by_their_beginnings(
    project: Path, states: list[str], expected: dict[str, str]
) -> None:
    assert changes(project, *states) == expected


def test_files_are_compared_with_each_other_and_with_the_results_here(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    old = write_run(elsewhere, "r1", measured(GREW, 5 * MIB), database=elsewhere / "old.db")
    write_run(elsewhere, "r2", measured(SAME, 10 * MIB), database=old)
    new = write_run(elsewhere, "r3", measured(GREW, 6 * MIB), database=elsewhere / "new.db")
    assert changes(project, str(old), str(new)) == {GREW: "grew", SAME: "vanished"}
    # Not the last run only: neither side is one.
    assert changes(project, str(old)) == {
        GREW: "grew",
        SAME: "same",
        SHRANK: "appeared",
        GONE: "appeared",
        NEW: "appeared",
    }
    assert changes(elsewhere, "last~1", "--results", str(old)) == {
        GREW: "vanished",
        SAME: "appeared",
    }


def test_a_commit_is_all_its_runs_and_those_without_changes_if_there_are_any(
    tmp_path: Path,
) -> None:
    write_run(tmp_path, "aaaa-1", measured(GREW, 1 * MIB), commit=FIRST)
    write_run(tmp_path, "aaaa-2", measured(SAME, 1 * MIB), commit=FIRST)
    write_run(tmp_path, "aaaa-3", measured(GREW, 9 * MIB), commit=FIRST, dirty=True)
    write_run(
        tmp_path, "aaaa-4", measured(GREW, 2 * MIB), measured(SAME, MIB), commit=SECOND, dirty=True
    )
    result = memlens(tmp_path, "compare", FIRST, SECOND)
    assert "base  commit 01234567, 2 runs, 2 tests" in result.stdout
    assert "head  commit fedcba98 with changes, 1 run, 2 tests" in result.stdout
    assert f"1.0 MiB → 2.0 MiB  {GREW}" in result.stdout


def test_a_commit_is_compared_with_all_runs_of_the_last_ones_commit(tmp_path: Path) -> None:
    write_run(tmp_path, "aaaa-1", measured(GREW, MIB), measured(SAME, MIB), commit=FIRST)
    write_run(tmp_path, "bbbb-1", measured(GREW, 9 * MIB), commit=SECOND)
    write_run(tmp_path, "bbbb-2", measured(SAME, MIB), commit=SECOND)
    result = memlens(tmp_path, "compare", FIRST, "--fail-on", "5%")
    assert result.returncode == 1
    assert "head  commit fedcba98, 2 runs, 2 tests\n" in result.stdout
    assert changes(tmp_path, FIRST) == {GREW: "grew", SAME: "same"}
    # What is changed since is compared with what it was: the newest result of each test.
    write_run(tmp_path, "bbbb-3", measured(SAME, 2 * MIB), commit=SECOND, dirty=True)
    changed = memlens(tmp_path, "compare", SECOND)
    assert "base  commit fedcba98, 2 runs, 2 tests\n" in changed.stdout
    assert "head  commit fedcba98 with changes, 3 runs, 2 tests\n" in changed.stdout
    assert changes(tmp_path, SECOND) == {GREW: "same", SAME: "grew"}
    # With the changes gone they do not count.
    write_run(tmp_path, "bbbb-4", measured(GREW, MIB), commit=SECOND)
    assert changes(tmp_path, FIRST) == {GREW: "same", SAME: "same"}


def test_outside_of_git_a_commit_is_compared_with_the_last_run(tmp_path: Path) -> None:
    write_run(tmp_path, "aaaa-1", measured(GREW, MIB), commit=FIRST)
    write_run(tmp_path, "bbbb-1", measured(SAME, MIB))
    write_run(tmp_path, "bbbb-2", measured(GREW, 2 * MIB))
    assert changes(tmp_path, FIRST) == {GREW: "grew"}


def test_a_run_that_is_a_part_of_what_was_measured_of_its_commit_says_so(tmp_path: Path) -> None:
    """As after `memlens combine`, where each shard is a run."""
    write_run(tmp_path, "aaaa-1", measured(GREW, MIB), measured(SAME, MIB), commit=FIRST)
    write_run(tmp_path, "aaaa-2", measured(NEW, MIB), measured(SAME, MIB), commit=FIRST)
    result = memlens(tmp_path, "compare", "last~1")
    lines = result.stdout.splitlines()
    hint = "      1 more test in other runs of this commit: give the commit for all"
    assert [lines[1], lines[3]] == [hint, hint]
    assert lines[2].startswith("head  run aaaa-2 of ")
    comment = memlens(tmp_path, "compare", "last~1", "--format", "markdown").stdout
    assert comment.count("1 more test in other runs of this commit") == 2
    assert "in other runs" not in memlens(tmp_path, "compare", FIRST).stdout


def test_that_nothing_could_be_compared_is_said(tmp_path: Path) -> None:
    write_run(tmp_path, "aaaa-1", measured(GONE, MIB))
    write_run(tmp_path, "aaaa-2", measured(NEW, MIB))
    result = memlens(tmp_path, "compare", "last~1", "--fail-on", "5%")
    assert result.stdout.splitlines()[-1] == "No test is in both: none could be compared"


def test_a_folder_with_results_in_it_is_as_good_as_the_file(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    old = tmp_path_factory.mktemp("old")
    write_run(old, "r1", measured(GREW, 5 * MIB))
    for spelling in (old, old / ".memlens", old / ".memlens" / "results.db"):
        assert changes(project, str(spelling), "last") == {
            GREW: "grew",
            SHRANK: "appeared",
            SAME: "appeared",
            NEW: "appeared",
        }
    assert changes(project, "last~1", "last", "--results", ".memlens") == EXPECTED
    # A branch may be called as a folder is.
    git(project, "init", "-q", "-b", "docs")
    git(project, "commit", "-q", "--allow-empty", "-m", "one")
    (project / "docs").mkdir()
    result = memlens(project, "compare", "docs")
    assert "of which there are no results" in result.stderr


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_commit_may_be_named_as_git_knows_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    first = git(tmp_path, "rev-parse", "HEAD")
    git(tmp_path, "checkout", "-q", "-b", "work")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "two")
    second = git(tmp_path, "rev-parse", "HEAD")
    write_run(tmp_path, "aaaa-1", measured(GREW, 1 * MIB), commit=first)
    write_run(tmp_path, "aaaa-2", measured(GREW, 2 * MIB), commit=second)
    assert changes(tmp_path, "trunk", "work") == {GREW: "grew"}
    assert changes(tmp_path, "HEAD", "HEAD~1") == {GREW: "shrank"}
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "three")
    result = memlens(tmp_path, "compare", "HEAD")
    assert result.returncode == 2
    assert "of which there are no results" in result.stderr
    assert second[:8] in result.stderr


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("last~2", "there are results of 2 runs only"),
        ("no.db", "is no results file, run or git commit here"),
        ("9999", "is no results file, run or git commit here"),
        ("--format=x", "invalid choice"),
    ],
)
def test_what_names_nothing_is_an_error(project: Path, state: str, said: str) -> None:
    result = memlens(project, "compare", state)
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_what_may_be_several_things_is_an_error_that_lists_them(project: Path) -> None:
    write_run(project, "11112222-c", measured(GREW, MIB))
    result = memlens(project, "compare", "1111")
    assert result.returncode == 2
    assert "may be each of these" in result.stderr
    assert "run 11112222 of" in result.stderr
    assert "run 11111111 of" in result.stderr


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ([], 0),
        (["--fail-on", "5%"], 1),
        (["--fail-on", "19.9%"], 1),
        (["--fail-on", "20%"], 0),
        (["--fail-on", "19.9"], 1),
        (["--fail-on", "20"], 0),
        (["--fail-on", "0%", "--at-least", "3 MB"], 0),
        (["--fail-on", "0%", "--at-least", "2 MB"], 1),
    ],
)
def test_it_fails_on_growth_over_the_share_and_the_floor(
    project: Path, options: list[str], status: int
) -> None:
    assert memlens(project, "compare", "last~1", *options).returncode == status


def test_small_growth_is_no_failure_however_large_its_share(tmp_path: Path) -> None:
    write_run(tmp_path, "run-1", measured(GREW, 100), measured(SAME, 0))
    write_run(tmp_path, "run-2", measured(GREW, 100 + 16 * KIB), measured(SAME, 32 * KIB))
    result = memlens(tmp_path, "compare", "last~1", "--fail-on", "5%")
    assert result.returncode == 0
    assert "2 within 64.0 KiB\nNo test grew by more than 5 %\n" in result.stdout
    exact = memlens(tmp_path, "compare", "last~1", "--fail-on", "5%", "--at-least", "1B")
    assert exact.returncode == 1
    assert f"  +16.0 KiB  x165  100 B → 16.1 KiB  !  {GREW}" in exact.stdout


def test_tests_that_only_appeared_are_no_failure(project: Path) -> None:
    write_run(project, "run-3", measured("tests/test_a.py::test_huge", 900 * MIB))
    assert memlens(project, "compare", "last~1", "--fail-on", "0%").returncode == 0


def test_what_failed_stands_first_and_is_marked(tmp_path: Path) -> None:
    write_run(tmp_path, "run-1", measured(GREW, 100 * MIB), measured(SAME, MIB))
    write_run(tmp_path, "run-2", measured(GREW, 104 * MIB), measured(SAME, 2 * MIB))
    result = memlens(tmp_path, "compare", "last~1", "--fail-on", "5%", "--top", "1")
    lines = result.stdout.splitlines()
    assert lines[4].split() == ["+1.0", "MiB", "+100%", "1.0", "MiB", "→", "2.0", "MiB", "!", SAME]
    assert lines[5] == "  and 1 more (--top 0 shows all)"
    assert lines[-1] == "1 test grew by more than 5 %"
    everything = memlens(tmp_path, "compare", "last~1", "--top", "0")
    assert GREW in everything.stdout
    assert SAME in everything.stdout


def test_a_test_that_failed_is_said_to_have(tmp_path: Path) -> None:
    write_run(tmp_path, "run-1", measured(GREW, MIB, outcome="failed"), measured(SAME, MIB))
    write_run(tmp_path, "run-2", measured(GREW, 4 * MIB), measured(SAME, MIB, outcome="failed"))
    result = memlens(tmp_path, "compare", "last~1")
    assert f"  failed before  {GREW}" in result.stdout


def test_json_has_all_figures(project: Path) -> None:
    result = memlens(project, "compare", "last~1", "--format", "json", "--fail-on", "5%")
    assert result.returncode == 1
    data = json.loads(result.stdout)
    assert (data["schema"], data["failed"], data["fail_on"], data["at_least_bytes"]) == (
        1,
        True,
        0.05,
        64 * KIB,
    )
    assert data["base"] == {
        "name": "run 11111111 of 2026-01-02 03:04, commit 01234567",
        "tests": 4,
    }
    tests = {test.pop("nodeid"): test for test in data["tests"]}
    assert tests[GREW] == {
        "change": "grew",
        "base_bytes": 10 * MIB,
        "head_bytes": 12 * MIB,
        "failed": True,
    }
    assert tests[NEW] == {
        "change": "appeared",
        "base_bytes": None,
        "head_bytes": 2 * MIB,
        "failed": False,
    }


def test_markdown_is_a_comment_in_which_test_ids_are_only_text(tmp_path: Path) -> None:
    hostile = "tests/test_a.py::test_a[|<img src=x>`*@team*`]"
    write_run(tmp_path, "run-1", measured(hostile, MIB), measured(GONE, MIB))
    write_run(tmp_path, "run-2", measured(hostile, 2 * MIB))
    result = memlens(tmp_path, "compare", "last~1", "--format", "markdown", "--fail-on", "5%")
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "### :x: 1 test grew by more than 5 %"
    row = next(line for line in lines if line.startswith("| :x:"))
    assert row.count("|") == 6
    assert f"| 1.0 MiB | 2.0 MiB | +1.0 MiB +100% | <code>{hostile}</code> |" in html.unescape(row)
    inside = row.partition("<code>")[2].partition("</code>")[0]
    assert not set("|<>`*@_[") & set(inside)
    fine = memlens(tmp_path, "compare", "last", "--format", "markdown", "--fail-on", "5%")
    assert fine.stdout.startswith("### :white_check_mark: No test grew by more than 5 %\n")


@pytest.mark.parametrize("wrong", ["x%", "-5%", "5%%", ""])
def test_a_share_that_is_none_is_an_error(project: Path, wrong: str) -> None:
    result = memlens(project, "compare", "last~1", f"--fail-on={wrong}")
    assert result.returncode == 2
    assert "is not a percentage such as 5%" in result.stderr


@pytest.mark.skipif("sys.platform == 'win32'")
def test_a_terminal_gets_colours(project: Path) -> None:
    status, output = on_a_terminal(project, "compare", "last~1", "--fail-on", "5%")
    assert status == 1
    assert "\x1b[1;31m" in output
