"""Which test is running is told in a file that the environment names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

TESTS = """\
import os
import pytest


@pytest.mark.parametrize("case", ["ä", "a\\nb"])
def test_a(case):
    assert "MEMLENS_NOW" not in os.environ


def test_b():
    pass
"""
IDS = [r"test_it.py::test_a[\xe4]", r"test_it.py::test_a[a\nb]", "test_it.py::test_b"]


@pytest.fixture
def now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> Path:
    pytester.makepyfile(test_it=TESTS)
    monkeypatch.setenv("MEMLENS_NOW", str(tmp_path / "now"))
    return tmp_path / "now"


def told(path: Path) -> list[str]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_test_is_told_when_it_begins(pytester: pytest.Pytester, now: Path) -> None:
    now.touch()
    result = pytester.runpytest_subprocess("--memray")
    result.assert_outcomes(passed=3)
    assert told(now) == IDS


def test_the_controller_tells_of_its_workers(pytester: pytest.Pytester, now: Path) -> None:
    now.touch()
    result = pytester.runpytest_subprocess("--memray", "-n2")
    result.assert_outcomes(passed=3)
    assert sorted(told(now)) == IDS


def test_a_file_that_is_not_there_is_nobodys_wish(pytester: pytest.Pytester, now: Path) -> None:
    result = pytester.runpytest_subprocess("--memray")
    result.assert_outcomes(passed=3)
    assert not now.exists()
