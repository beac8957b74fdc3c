"""Code actions that have a leak ignored."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import pytest

from .helpers import MIB, frame, result
from .offered_actions import BODY, PEAK, SHOP, done, offered

LEAKS = """\
import pytest


@pytest.mark.limit_leaks("1 MB")
def test_a():
    shop.fill_cache()
"""


def ignored(text: str, *stacks: Sequence[object], at: int = 5) -> str:
    test = result("test_a.py::test_a", 5, PEAK, leak=2 * MIB, leak_stack=[SHOP, BODY])
    (action,) = (
        each
        for title, each in offered(text, at, test).items()
        if title == "Ignore in test_a what fill_cache leaves behind there (2.0 MiB)"
    )
    return done(action)


def test_a_leak_is_ignored_by_a_function_in_the_test_module() -> None:
    assert (
        ignored(LEAKS)
        == '''\
import pytest
from memlens import Stack


def ignore_fill_cache(stack: Stack) -> bool:
    """Ignore what fill_cache leaves behind when it is called like this."""
    files = ("/shop.py", "/tests/test_a.py")
    frames = [frame for frame in stack.frames if frame.filename.endswith(files)]
    calls = [frame.function for frame in frames]  # the most recent first
    return calls != ["fill_cache", "test_a"]


@pytest.mark.limit_leaks("1 MB", filter_fn=ignore_fill_cache)
def test_a():
    shop.fill_cache()
'''
    )


def test_a_second_leak_is_ignored_beside_the_first() -> None:
    after = ignored(ignored(LEAKS), at=14)
    assert "filter_fn=ignore_fill_cache_2)" in after
    assert 'return ignore_fill_cache(stack) and calls != ["fill_cache", "test_a"]' in after
    assert after.count("import Stack") == 1


@pytest.mark.parametrize(
    ("marker", "after"),
    [
        ('("1 MB", filter_fn=None)', '("1 MB", filter_fn=ignore_fill_cache)'),
        ('("1 MB",)', '("1 MB", filter_fn=ignore_fill_cache,)'),
        (
            '(\n    "1 MB",\n    warmups=1,\n)',
            '(\n    "1 MB",\n    warmups=1,\n    filter_fn=ignore_fill_cache,\n)',
        ),
        (
            '(\n    "1 MB",\n    warmups=1  # twice\n)',
            '(\n    "1 MB",\n    warmups=1,  # twice\n    filter_fn=ignore_fill_cache,\n)',
        ),
        ('(\n    "1 MB")', '(\n    "1 MB",\n    filter_fn=ignore_fill_cache,)'),
        ("(location_limit=SIZE)", "(location_limit=SIZE, filter_fn=ignore_fill_cache)"),
    ],
)
def test_the_marker_uses_the_function_however_it_is_written(marker: str, after: str) -> None:
    assert f"@pytest.mark.limit_leaks{after}\ndef" in ignored(LEAKS.replace('("1 MB")', marker))


@pytest.mark.parametrize("marker", ['("1 MB", filter_fn=lambda stack: True)', "()", ""])
def test_a_marker_that_cannot_take_a_function_is_left_alone(marker: str) -> None:
    test = result("test_a.py::test_a", 5, PEAK, leak=2 * MIB, leak_stack=[SHOP, BODY])
    titles = offered(LEAKS.replace('("1 MB")', marker), 5, test)
    assert not any(title.startswith("Ignore") for title in titles)


def test_a_class_called_stack_is_not_taken_for_ours() -> None:
    after = ignored(
        LEAKS.replace("import pytest\n", "import pytest\nfrom shop import Stack\n", 1), at=6
    )
    assert "import memlens\n" in after
    assert "def ignore_fill_cache(stack: memlens.Stack) -> bool:" in after


def test_line_ends_tabs_and_comments_are_kept() -> None:
    text = (
        "import pytest\n\n\nclass TestA:\n\tpass\n\n# About it.\n"
        '@pytest.mark.limit_leaks("1 MB")\ndef test_a(): ...\n'
    ).replace("\n", "\r\n")
    after = ignored(text, at=9)
    assert "\n" not in after.replace("\r\n", "")
    assert "\r\n\tframes = [" in after
    assert "\r\n    " not in after
    assert "]\r\n\r\n\r\n# About it.\r\n@pytest" in after
    assert "\tpass\r\n\r\n\r\ndef ignore" in after


def test_a_leak_through_names_that_are_no_names_is_ignored_too() -> None:
    stack = [frame('<lambda>"""\n', 'a "b".py', 3), frame("<listcomp>", "test_a.py", 4)]
    test = result("test_a.py::test_a", 5, PEAK, leak=2 * MIB, leak_stack=stack)
    (action,) = (a for t, a in offered(LEAKS, 5, test).items() if t.startswith("Ignore"))
    tree = ast.parse(done(action))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert names == ["ignore_lambda", "test_a"]


def test_deep_recursion_is_ignored_by_its_end() -> None:
    stack = [*[frame("recurse", "shop.py", 3)] * 500, BODY]
    test = result("test_a.py::test_a", 5, PEAK, leak=2 * MIB, leak_stack=stack)
    (action,) = (a for t, a in offered(LEAKS, 5, test).items() if t.startswith("Ignore"))
    after = done(action)
    assert "return calls[:12] != [" in after
    assert max(map(len, after.split("\n"))) <= 88
