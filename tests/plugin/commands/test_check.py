"""`memlens check`: what it is green for, and which test a line is about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memlens.store import CheckRecord, FrameRecord, StackRecord, TestRecord

from .helpers import MIB, measured, memlens, write_run

OVER, OTHER = "tests/test_a.py::test_over", "tests/test_b.py::test_fine"
SITE = FrameRecord("load", "shop/load.py", 3, "project")


def touch(project: Path, *paths: str) -> None:
    for path in paths:
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text("")


def over(nodeid: str = OVER) -> TestRecord:
    test = measured(nodeid, 3 * MIB, limit=2 * MIB, outcome="failed")
    return test._replace(stacks=(StackRecord("peak", 3 * MIB, 1, (SITE,)),))


def test_it_fails_where_the_sources_are_not(tmp_path: Path) -> None:
    one = write_run(tmp_path / "elsewhere", "run-1", over(), database=tmp_path / "1.db")
    two = write_run(tmp_path / "gone", "run-2", measured(OTHER, 1), database=tmp_path / "2.db")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert memlens(empty, "combine", str(one), str(two)).returncode == 0
    for arguments in ([], ["--results", str(one)]):
        result = memlens(empty, "check", *arguments)
        assert result.returncode == 1
        assert " error memory-limit-exceeded " in result.stdout
        assert result.stderr == ""


def test_what_was_found_in_a_file_that_is_gone_is_left_out_and_said(tmp_path: Path) -> None:
    write_run(tmp_path, "run-1", over(), measured(OTHER, 1))
    touch(tmp_path, "tests/test_a.py", "tests/test_b.py", "shop/load.py")
    assert memlens(tmp_path, "check").returncode == 1
    (tmp_path / "tests/test_a.py").unlink()
    result = memlens(tmp_path, "check")
    assert result.returncode == 0
    assert "memory-limit-exceeded" not in result.stdout
    assert (
        result.stderr
        == "memlens: left out what was found in files that are gone: tests/test_a.py\n"
    )


@pytest.mark.parametrize("name", ["test_over[a]", "TestIt::test_over[b::c]", "test_over[\x1b]"])
def test_a_line_says_which_case_of_a_test_it_is_about(tmp_path: Path, name: str) -> None:
    leak = CheckRecord("limit_leaks", MIB, 4 * MIB, "exceeded", "Leaks")
    test = over(f"tests/test_a.py::{name}")
    leaking = test._replace(
        checks=(*test.checks, leak),
        stacks=(*test.stacks, StackRecord("leak", 4 * MIB, 1, (SITE,))),
    )
    write_run(tmp_path, "run-1", leaking)
    lines = memlens(tmp_path, "check").stdout.splitlines()
    shown = name.replace("\x1b", r"\x1b")
    assert [re.sub(r"^.*?: ", "", line) for line in lines] == [
        f"info memory-hotspot 3.0 MiB allocated here was alive at the peak of {shown}, 100 % of it",
        f"warning leak-site 4.0 MiB allocated here was not freed by the end of {shown}",
        f"error memory-leak {shown}: Leaks",
        f"error memory-limit-exceeded {shown}: What it says",
    ]
