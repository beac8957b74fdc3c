"""What is read of results again when there are new ones."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from memlens.findings import Thresholds
from memlens.store import database_path
from memlens_lsp.findings import Findings, read_findings

from .helpers import Project, frame, result

TEXT = "def test_a():\n    pass\n"
A_OVER = result("test_a.py::test_a", 1, 9, 8, stack=[frame("load", "shop.py", 2)])
A_UNDER = result("test_a.py::test_a", 1, 3, 8)
B_OVER = result("test_b.py::test_b", 1, 9, 8)
B_NEAR = result("test_b.py::test_b", 1, 95, 100)


@pytest.fixture(autouse=True)
def files(project: Project) -> None:
    for name in ("test_a.py", "test_b.py", "shop.py"):
        project.write(name, TEXT)


def codes(findings: Findings) -> dict[str, list[str]]:
    return {name: [finding.code for finding in found] for name, found in findings.by_file.items()}


def test_nothing_new_is_nothing_else(project: Project) -> None:
    nothing = read_findings(project.root)
    assert nothing == Findings()
    project.run(A_OVER)
    known = read_findings(project.root, nothing)
    assert codes(known) == {"test_a.py": ["memory-limit-exceeded"], "shop.py": ["memory-hotspot"]}
    assert read_findings(project.root, known) is known


def test_what_was_not_measured_again_stays_the_same(project: Project) -> None:
    project.run(A_OVER, B_NEAR)
    before = read_findings(project.root)
    project.run(B_OVER)
    after = read_findings(project.root, before)
    assert codes(after)["test_b.py"] == ["memory-limit-exceeded"]
    for name in ("test_a.py", "shop.py"):
        assert after.by_file[name] is before.by_file[name]
    assert after.concerned["shop.py"] == {"test_a.py", "shop.py"}


def test_what_is_well_now_is_gone(project: Project) -> None:
    project.run(A_OVER, B_OVER)
    before = read_findings(project.root)
    project.run(A_UNDER)
    after = read_findings(project.root, before)
    assert codes(after) == {"test_b.py": ["memory-limit-exceeded"]}
    assert {name for _, name in after.sources} == {"test_b.py"}
    project.run(B_NEAR)
    assert codes(read_findings(project.root, after)) == {"test_b.py": ["memory-near-limit"]}


def test_a_text_that_many_runs_saw_is_kept_once(project: Project) -> None:
    project.run(A_OVER)
    before = read_findings(project.root)
    project.run(B_OVER, result("test_a.py::test_c", 1, 9, 8))
    after = read_findings(project.root, before)
    of_a = [source for (_, name), source in after.sources.items() if name == "test_a.py"]
    assert len(of_a) == 2
    assert of_a[0] is of_a[1]


def execute(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    "statement", ["DELETE FROM run WHERE id = 1", "DELETE FROM run WHERE id = 2"]
)
def test_results_that_were_deleted_tell_nothing_any_more(project: Project, statement: str) -> None:
    project.run(A_OVER)
    project.run(B_OVER)
    before = read_findings(project.root)
    execute(database_path(project.root), statement)
    after = read_findings(project.root, before)
    assert codes(after) == codes(read_findings(project.root))
    assert len(after.by_file) < len(before.by_file)


def test_another_database_in_the_place_of_the_first_is_read_afresh(
    project: Project, tmp_path: Path
) -> None:
    project.run(A_OVER)
    before = read_findings(project.root)
    other = Project(tmp_path / "other")
    other.write("test_b.py", TEXT)
    other.run(B_OVER)
    other.run(B_OVER)
    database_path(other.root).replace(database_path(project.root))
    after = read_findings(project.root, before)
    assert codes(after) == {"test_b.py": ["memory-limit-exceeded"]}


def test_other_thresholds_are_other_findings(project: Project) -> None:
    project.run(result("test_a.py::test_a", 1, 70, 100))
    before = read_findings(project.root)
    assert codes(before) == {}
    after = read_findings(project.root, before, Thresholds(near_limit=40))
    assert codes(after) == {"test_a.py": ["memory-near-limit"]}


def test_the_end_of_a_run_is_news_though_it_measured_nothing_more(project: Project) -> None:
    project.run(A_OVER)
    before = read_findings(project.root)
    execute(database_path(project.root), "UPDATE run SET status = 'interrupted'")
    after = read_findings(project.root, before)
    assert after is not before
    assert after.by_file is before.by_file
