"""Tests that make very many allocations: counted once, then measured in a cheaper way."""

from __future__ import annotations

from pathlib import Path

import pytest

from memlens.sizes import parse_size
from memlens.store import PhaseRecord, ResultsReader, TestRecord, database_path

SUITE = """
import pytest

def work(times):
    kept = [b""] * 8
    for number in range(times):
        kept[number % 8] = bytes(1000)
    return kept

def test_before():
    kept = bytes(50_000)

class TestHeavy:
    @pytest.mark.parametrize("times", [150_000])
    def test_it(self, times):
        assert len(work(times)) == 8
        kept = bytes(3_000_000)

{marker}
def test_limited():
    assert len(work(150_000)) == 8

def test_after():
    kept = bytes(60_000)
"""


def results(folder: Path) -> dict[str, TestRecord]:
    with ResultsReader(database_path(folder)) as reader:
        return {test.name: test for test in reader.latest_tests()}


def call(test: TestRecord) -> PhaseRecord:
    phase = test.phase("call")
    assert phase is not None
    return phase


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        pytest.param(("-n", "1"), marks=pytest.mark.any_python),
        pytest.param(("-n", "2"), marks=pytest.mark.any_python),
    ],
)
def test_a_heavy_test_is_counted_once_and_measured_all_the_same(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    pytester.makepyfile(test_it=SUITE.format(marker=""))
    assert pytester.runpytest("--memray", *arguments).ret == 0
    first = results(pytester.path)
    again = pytester.runpytest("--memray", *arguments)
    assert again.ret == 0
    second = results(pytester.path)
    for name in ("TestHeavy::test_it[150000]", "test_limited"):
        assert (call(first[name]).allocations or 0) >= 150_000
        assert call(first[name]).histogram
        assert call(second[name]).allocations is None
        assert call(second[name]).allocated_bytes is None
        assert call(second[name]).histogram == ()
    for name in first:
        assert call(second[name]).peak_bytes == pytest.approx(
            call(first[name]).peak_bytes, abs=2000
        )
    for name in ("test_before", "test_after"):
        assert call(second[name]).allocations is not None
    (largest, *_) = second["TestHeavy::test_it[150000]"].stacks_of("peak")
    assert [frame.function for frame in largest.frames] == ["test_it"]
    assert largest.bytes == parse_size("3000033 B")
    again.stdout.fnmatch_lines(
        [
            "*2.9 MiB  test_it.py::TestHeavy::test_it*",
            "*2.9 MiB  test_it (test_it.py:16)",
            "4 tests measured, * allocation* in 2 of them, highest peak *",
        ]
    )


def test_a_heavy_test_is_held_to_its_limit(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=SUITE.format(marker='@pytest.mark.limit_memory("100 MB")'))
    assert pytester.runpytest("--memray").ret == 0
    pytester.makepyfile(test_it=SUITE.format(marker='@pytest.mark.limit_memory("8 KB")'))
    again = pytester.runpytest("--memray")
    again.assert_outcomes(passed=3, failed=1)
    limited = results(pytester.path)["test_limited"]
    assert call(limited).allocations is None
    assert [check.verdict for check in limited.checks] == ["exceeded"]
    again.stdout.fnmatch_lines(["*work*test_it.py:*"])


@pytest.mark.any_python
def test_what_has_become_light_is_counted_again_one_day(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=SUITE.format(marker=""))
    assert pytester.runpytest("--memray").ret == 0
    pytester.makepyfile(test_it="def test_limited(): kept = bytes(1000)")
    for _ in range(20):
        pytester.runpytest("--memray")
        assert call(results(pytester.path)["test_limited"]).allocations is None
    pytester.runpytest("--memray")
    assert call(results(pytester.path)["test_limited"]).allocations == 1
