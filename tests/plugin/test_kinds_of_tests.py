"""Every kind of test that pytest runs obeys a marker, wherever that stands."""

from __future__ import annotations

import re
import textwrap

import pytest

from memlens.store import ResultsReader, database_path

#: Each is a module with one test that holds 4 MiB. `MODULE`, `CLASS` and `TEST` stand where the
#: marker may be; a kind that has no class leaves `CLASS` out.
KINDS = {
    "function": """
        MODULE

        TEST
        def test_it():
            kept = bytearray(4 * 1024 * 1024)
        """,
    "method": """
        MODULE

        CLASS
        class TestIt:
            TEST
            def test_it(self):
                kept = bytearray(4 * 1024 * 1024)
        """,
    "parametrized": """
        MODULE

        TEST
        @pytest.mark.parametrize("size", [4 * 1024 * 1024])
        def test_it(size):
            kept = bytearray(size)
        """,
    "inherited": """
        MODULE

        class Common:
            TEST
            def test_it(self):
                kept = bytearray(4 * 1024 * 1024)

        CLASS
        class TestIt(Common):
            pass
        """,
    "generator fixture": """
        MODULE

        @pytest.fixture
        def size():
            yield 4 * 1024 * 1024

        CLASS
        class TestIt:
            TEST
            def test_it(self, size):
                kept = bytearray(size)
        """,
    "unittest": """
        import unittest
        MODULE

        CLASS
        class TestIt(unittest.TestCase):
            TEST
            def test_it(self):
                kept = bytearray(4 * 1024 * 1024)
        """,
    "unittest, asynchronous": """
        import unittest
        MODULE

        CLASS
        class TestIt(unittest.IsolatedAsyncioTestCase):
            TEST
            async def test_it(self):
                kept = bytearray(4 * 1024 * 1024)
        """,
    "asyncio": """
        import asyncio
        MODULE

        CLASS
        class TestIt:
            @pytest.mark.asyncio
            TEST
            async def test_it(self):
                await asyncio.sleep(0)
                kept = bytearray(4 * 1024 * 1024)
        """,
    "anyio": """
        import anyio
        MODULE

        @pytest.fixture
        def anyio_backend():
            return "trio"

        CLASS
        class TestIt:
            @pytest.mark.anyio
            TEST
            async def test_it(self):
                await anyio.sleep(0)
                kept = bytearray(4 * 1024 * 1024)
        """,
    "Hypothesis": """
        from hypothesis import given, settings, strategies as st
        MODULE

        CLASS
        class TestIt:
            TEST
            @settings(max_examples=3, database=None, derandomize=True)
            @given(st.booleans())
            def test_it(self, flag):
                kept = bytearray(4 * 1024 * 1024)
        """,
    "subtests": """
        MODULE

        CLASS
        class TestIt:
            TEST
            def test_it(self, subtests):
                with subtests.test("one"):
                    kept = bytearray(4 * 1024 * 1024)
        """,
    "doctest": """
        MODULE

        CLASS
        class It:
            TEST
            def method(self):
                '''Hold memory.

                >>> kept = bytearray(4 * 1024 * 1024)
                '''
        """,
}
PLACES = ("TEST", "CLASS", "MODULE")


def module(text: str, marks: dict[str, str]) -> str:
    """Return the module *text* with these marks at these places."""
    written = {
        "MODULE": f"import pytest\npytestmark = [{marks.get('MODULE', '')}]",
        "CLASS": f"@{marks['CLASS']}" if "CLASS" in marks else "",
        "TEST": f"@{marks['TEST']}" if "TEST" in marks else "",
    }
    lines = []
    for line in textwrap.dedent(text).splitlines():
        name = line.strip()
        indent = line[: len(line) - len(line.lstrip())]
        lines += (
            [f"{indent}{part}" for part in written[name].splitlines()]
            if name in written
            else [line]
        )
    return "\n".join(lines)


def run(
    pytester: pytest.Pytester, place: str, marks: dict[str, str], *arguments: str
) -> dict[str, str]:
    """Run each kind of test that can have a marker at *place*; return the outcomes by kind."""
    kinds = {
        re.sub(r"\W+", "_", kind): text
        for kind, text in KINDS.items()
        if place in text and (kind != "subtests" or pytest.version_tuple >= (9,))
    }
    pytester.makepyfile(**{f"test_{kind}": module(text, marks) for kind, text in kinds.items()})
    plugins = [f"-p{name}" for name in ("anyio", "asyncio", "hypothesispytest")]
    plugins += ["-o", "asyncio_default_fixture_loop_scope=function"]
    pytester.runpytest("--doctest-modules", "--memray", *plugins, *arguments)
    with ResultsReader(database_path(pytester.path)) as reader:
        outcomes = {test.path[5:-3]: test.outcome for test in reader.latest_tests()}
    assert sorted(outcomes) == sorted(kinds)
    return outcomes


@pytest.mark.parametrize("place", PLACES)
def test_a_marker_reaches_every_kind_of_test(pytester: pytest.Pytester, place: str) -> None:
    outcomes = run(pytester, place, {place: "pytest.mark.limit_memory('2 MB')"})
    assert set(outcomes.items()) == {(kind, "failed") for kind in outcomes}


@pytest.mark.parametrize("place", PLACES)
def test_the_nearest_marker_can_allow_every_kind_more(
    pytester: pytest.Pytester, place: str
) -> None:
    outer = PLACES[PLACES.index(place) + 1 :]
    marks = {
        **dict.fromkeys(outer, "pytest.mark.limit_memory('2 MB')"),
        place: "pytest.mark.limit_memory('40 MB')",
    }
    outcomes = run(pytester, place, marks, "--memray-default-limit=1 MB")
    assert set(outcomes.items()) == {(kind, "passed") for kind in outcomes}
