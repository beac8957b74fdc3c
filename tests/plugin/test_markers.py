"""The markers' grammar."""

from __future__ import annotations

from typing import Any

import pytest

from memlens.markers import LimitLeakedObjects, LimitLeaks, LimitMemory, MarkerError, parse_marker


def keep_all(stack: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "meaning"),
    [
        ("limit_memory", ("24 MB",), {}, LimitMemory(24 * 1024**2)),
        ("limit_memory", (), {"memory_limit": "1 KB"}, LimitMemory(1024)),
        ("limit_leaks", ("1 MB",), {}, LimitLeaks(1024**2)),
        ("limit_leaks", (), {"location_limit": "1 MB"}, LimitLeaks(1024**2)),
        ("limit_leaks", ("1 MB",), {"filter_fn": keep_all}, LimitLeaks(1024**2, keep_all)),
        (
            "limit_memory",
            ("1 KB",),
            {"current_thread_only": True},
            LimitMemory(1024, current_thread_only=True),
        ),
        (
            "limit_leaks",
            ("1 KB",),
            {"current_thread_only": True, "warmups": 2},
            LimitLeaks(1024, None, current_thread_only=True, warmups=2),
        ),
        ("limit_leaked_objects", (), {}, LimitLeakedObjects()),
        ("limit_leaked_objects", (), {"filter_fn": keep_all}, LimitLeakedObjects(keep_all)),
    ],
)
def test_a_right_marker_is_understood(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], meaning: object
) -> None:
    assert parse_marker(name, args, kwargs) == meaning


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "message"),
    [
        ("limit_memory", (), {}, "memory_limit is missing: expected a memory size such as"),
        ("limit_memory", ("1 MB", "2 MB"), {}, "takes one positional argument, memory_limit"),
        ("limit_memory", ("1 MB",), {"memory_limit": "1 MB"}, "memory_limit is given twice"),
        ("limit_memory", ("24 XB",), {}, "'24 XB' is not a memory size"),
        ("limit_memory", (24,), {}, "24 is not a memory size"),
        ("limit_memory", (), {"memory_limt": "1 MB"}, "did you mean memory_limit?"),
        ("limit_leaks", ("1 MB",), {"fliter_fn": keep_all}, "did you mean filter_fn?"),
        ("limit_leaks", ("1 MB",), {"xyz": 1}, "expected location_limit, filter_fn, current"),
        (
            "limit_memory",
            ("1 MB",),
            {"current_threads_only": True},
            "did you mean current_thread_only?",
        ),
        ("limit_memory", ("1 MB",), {"current_thread_only": 1}, "is 1: expected True or False"),
        ("limit_leaks", ("1 MB",), {"warmups": -1}, "a whole number from 0"),
        ("limit_leaks", ("1 MB",), {"warmups": True}, "a whole number from 0"),
        ("limit_leaked_objects", ("1 MB",), {}, "takes no positional arguments, but 1 were given"),
        ("limit_leaked_objects", (), {"filter": 1}, "did you mean filter_fn?"),
        ("limit_leaked_objects", (), {"filter_fn": 3}, "expected a function that takes an object"),
        ("limit_leaks", ("1 MB",), {"filter_fn": "all"}, "filter_fn is 'all': expected a function"),
    ],
)
def test_a_wrong_marker_is_refused_with_what_was_expected(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(MarkerError) as caught:
        parse_marker(name, args, kwargs)
    assert str(caught.value).startswith(f"{name}: ")
    assert message in str(caught.value)
