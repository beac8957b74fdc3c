"""The marker `limit_leaked_objects`: on Pythons that can tell survivors, and on older ones."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from memlens.store import ResultsReader, TestRecord, database_path

SUPPORTED = sys.version_info >= (3, 13, 3)
needs_support = pytest.mark.skipif(not SUPPORTED, reason="CPython 3.13.3 and newer")
needs_lack_of_support = pytest.mark.skipif(SUPPORTED, reason="CPython older than 3.13.3")


def result_of(folder: Path, name: str) -> TestRecord:
    with ResultsReader(database_path(folder)) as reader:
        return next(test for test in reader.latest_tests() if test.nodeid.endswith(f"::{name}"))


@needs_support
def test_objects_that_outlive_the_test_fail_it_and_are_counted_by_type(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        class Foo:
            pass

        kept = []

        @pytest.mark.limit_leaked_objects
        def test_leaks():
            kept.extend([[1], [2], [3], Foo()])

        def test_not_limited():
            kept.append(Foo())
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["Left 4 objects alive: 3 list, 1 Foo*", "MEMORY PROBLEMS *"])
    checks = result_of(pytester.path, "test_leaks").checks
    assert [(check.marker, check.verdict) for check in checks] == [
        ("limit_leaked_objects", "exceeded")
    ]


@needs_support
def test_one_object_that_outlives_the_test_is_enough(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        kept = []

        @pytest.mark.limit_leaked_objects()
        def test_leaks():
            kept.append({})
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Left 1 object* alive: 1 dict*"])


@needs_support
def test_objects_that_are_freed_or_were_there_before_do_not_count(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        class Foo:
            pass

        kept = [Foo()]

        @pytest.fixture
        def resource():
            return [Foo(), {}]

        @pytest.mark.limit_leaked_objects
        def test_frees_what_it_makes():
            made = [Foo() for _ in range(100)]

        @pytest.mark.limit_leaked_objects
        def test_cycles_are_collected():
            one, other = Foo(), Foo()
            one.other, other.other = other, one

        @pytest.mark.limit_leaked_objects
        def test_fixtures_are_not_the_body(resource):
            kept.append(resource)

        @pytest.mark.limit_leaked_objects
        def test_moves_what_was_there():
            kept.append(kept[0])
        """
    )
    pytester.runpytest().assert_outcomes(passed=4)
    checks = result_of(pytester.path, "test_cycles_are_collected").checks
    assert [check.verdict for check in checks] == ["passed"]


@needs_support
def test_filter_fn_says_which_objects_count(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        class Cached:
            pass

        class Session:
            pass

        kept = []

        def is_session(obj):
            return isinstance(obj, Session)

        @pytest.mark.limit_leaked_objects(filter_fn=is_session)
        def test_ignored():
            kept.append([Cached(), {}])

        @pytest.mark.limit_leaked_objects(filter_fn=is_session)
        def test_kept():
            kept.append([Cached(), Session(), Session()])

        @pytest.mark.limit_leaked_objects(filter_fn=lambda obj: False)
        def test_nothing_counts():
            kept.append(Session())
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["Left 2 objects alive: 2 Session", "MEMORY PROBLEMS *::test_kept*"]
    )


@needs_support
def test_a_filter_fn_that_raises_fails_its_own_test_with_its_traceback(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import pytest

        kept = []

        def is_open(obj):
            return obj.is_open

        @pytest.mark.limit_leaked_objects(filter_fn=is_open)
        def test_broken_filter():
            kept.append([])

        @pytest.mark.limit_leaked_objects(filter_fn=is_open)
        def test_nothing_to_filter():
            pass

        def test_other():
            pass
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [">*return obj.is_open", "E*AttributeError: 'list' object has no attribute 'is_open'"]
    )


@needs_support
def test_a_test_that_fails_by_itself_keeps_its_own_failure(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        kept = []

        @pytest.mark.limit_leaked_objects
        def test_wrong():
            kept.append([])
            assert kept == "something else"
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*assert *== 'something else'*", "FAILED *::test_wrong*"])
    result.stdout.no_fnmatch_line("Left * alive*")


@needs_support
def test_what_a_failure_shows_is_not_kept_alive_by_us(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import gc
        import weakref

        import pytest

        class Foo:
            pass

        kept = []
        seen = []

        @pytest.mark.limit_leaked_objects
        def test_leaks():
            kept.append(Foo())
            seen.append(weakref.ref(kept[0]))

        def test_it_can_be_freed_afterwards():
            kept.clear()
            gc.collect()
            assert seen[0]() is None
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=1, failed=1)
    # The list of weak references grows, but the reference itself is an object that was made.
    result.stdout.fnmatch_lines(["Left 2 objects alive: *1 Foo*"])


@needs_support
def test_other_limits_on_the_same_test_hold_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        kept = []

        @pytest.mark.limit_memory("1 MB")
        @pytest.mark.limit_leaked_objects
        def test_both():
            kept.append(bytearray(4 * 1024 * 1024))
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines_random(
        ["*Peak memory of 4.0 MiB*", "*Left 1 object* alive: 1 bytearray*"]
    )
    checks = result_of(pytester.path, "test_both").checks
    assert {(check.marker, check.verdict) for check in checks} == {
        ("limit_memory", "exceeded"),
        ("limit_leaked_objects", "exceeded"),
    }


@needs_support
def test_methods_unittest_tests_and_coroutines_are_limited(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import unittest

        import pytest

        kept = []

        class Foo:
            pass

        @pytest.mark.limit_leaked_objects
        class TestMethods:
            def test_leaks(self):
                kept.append(Foo())

            def test_frees(self):
                Foo()

        class TestUnittest(unittest.TestCase):
            @pytest.mark.limit_leaked_objects
            def test_leaks(self):
                kept.append(Foo())

            @pytest.mark.limit_leaked_objects
            def test_frees(self):
                Foo()

        class TestCoroutines(unittest.IsolatedAsyncioTestCase):
            @pytest.mark.limit_leaked_objects(filter_fn=lambda obj: isinstance(obj, Foo))
            async def test_leaks(self):
                kept.append(Foo())

            @pytest.mark.limit_leaked_objects(filter_fn=lambda obj: isinstance(obj, Foo))
            async def test_frees(self):
                Foo()
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(["Left 1 object* alive: 1 Foo*"] * 3)


@needs_support
def test_it_works_in_an_xdist_worker(pytester: pytest.Pytester) -> None:
    """What execnet's threads make while a test runs is not the test's."""
    pytester.makepyfile(
        """
        import threading
        import time
        import pytest

        kept = []

        @pytest.mark.limit_leaked_objects
        def test_leaks():
            kept.append([])

        @pytest.mark.limit_leaked_objects
        def test_leaks_in_a_thread():
            thread = threading.Thread(target=lambda: kept.append([]))
            thread.start()
            thread.join()

        @pytest.mark.limit_leaked_objects
        @pytest.mark.parametrize("number", range(20))
        def test_frees(number):
            made = []
            time.sleep(0.01)  # the messages about the test before arrive
        """
    )
    result = pytester.runpytest_subprocess("-n", "2")
    result.assert_outcomes(passed=20, failed=2)
    result.stdout.fnmatch_lines(["Left 1 object* alive: 1 list*"])
    assert result_of(pytester.path, "test_leaks").worker in ("gw0", "gw1")


@needs_lack_of_support
@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_an_older_python_is_that_tests_error_and_the_others_run_on(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.limit_leaked_objects
        def test_limited():
            raise SystemExit("this must not run")

        def test_other():
            pass

        @pytest.mark.limit_memory("20 MB")
        def test_with_another_limit():
            pass
        """
    )
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*test_it.py:*limit_leaked_objects needs CPython 3.13.3 or newer;"
            f" this is {platform.python_version()}"
        ]
    )
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@needs_lack_of_support
def test_an_older_python_does_not_hide_a_wrong_marker(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.limit_leaked_objects(filter="?")
        def test_limited():
            pass
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*limit_leaked_objects: unknown argument 'filter'*filter_fn*"])
