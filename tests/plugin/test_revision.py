"""Which commit was measured."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from memlens.revision import Revision, RevisionQuestion, parse_status


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b.example"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_clean_and_a_changed_work_tree_are_told_apart(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    file = tmp_path / "a.txt"
    file.write_text("one")
    git(tmp_path, "add", "a.txt")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert RevisionQuestion(tmp_path).answer() == Revision(commit, dirty=False)

    file.write_text("two")
    assert RevisionQuestion(tmp_path).answer() == Revision(commit, dirty=True)


def test_outside_a_work_tree_there_is_no_commit(tmp_path: Path) -> None:
    assert RevisionQuestion(tmp_path).answer() == Revision()


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert RevisionQuestion(tmp_path).answer() == Revision()


def test_before_the_first_commit_there_is_none() -> None:
    assert parse_status("# branch.oid (initial)\n# branch.head main\n") == Revision(None, False)
