"""Code actions of any kind: what they write is Python, and they are found again by their keys."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens_lsp.features.actions import (
    Document,
    limit_from_peak,
    proposal,
)
from memlens_lsp.features.edits import changed
from memlens_lsp.features.marker_checks import marker_diagnostics
from memlens_lsp.results import FileResults

from .helpers import MIB, result
from .offered_actions import BODY, CODEC, LIMITED, MEASURED, PEAK, SHOP, Known, done, offered

HEADS = ("", "# coding: utf-8\n", '"""Doc."""\n', "from __future__ import annotations\n", "x = 1\n")
IMPORTS = ("", "import os\n", "import pytest\n", "import shop, pytest\n", "from . import x\n")
MARKERS = (
    "",
    '@pytest.mark.limit_memory("24 MB")\n',
    "@pytest.mark.limit_memory(24)\n",
    "@pytest.mark.limit_memroy\n",
    '@pytest.mark.limit_leaks(\n    "1 MB",\n    warmups=-1,  # why\n)\n',
    '@pytest.mark.limit_leaks("1 MB", filter_fn=None, wrong=f(1, x=2))\n',
    "@pytest.mark.limit_leaked_objects(1, 2,)\n",
    "# A comment.\n@other(\n    1\n)\n",
)


FILES = st.tuples(
    st.sampled_from(HEADS),
    st.lists(st.sampled_from(IMPORTS), max_size=3).map("".join),
    st.lists(st.sampled_from(MARKERS), max_size=3).map("".join),
    st.sampled_from(["", "class TestA:\n    x = 1\n\n", "if True:\n    pass\nelse:\n"]),
)


@given(
    FILES,
    st.sampled_from(["    ", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "\ufeff"]),
)
def test_whatever_is_done_to_whatever_file_it_stays_python(
    file: tuple[str, str, str, str], indent: str, line_end: str, byte_order_mark: str
) -> None:
    head, imports, markers, around = file
    margin = "    " if around else ""
    test = "".join(f"{margin}{line}\n" for line in f"{markers}def test_a(): ...".split("\n"))
    text = f"{head}{imports}\n{around}{test}"
    text = byte_order_mark + text.replace("    ", indent).replace("\n", line_end)
    ast.parse(text.removeprefix("\ufeff"))
    name = "TestA::test_a" if "class" in around else "test_a"
    at = len(re.findall("\r\n|\n|\r", text))
    measured = result(
        f"test_a.py::{name}", at, PEAK, MIB, leak=2 * MIB, leak_stack=[SHOP, BODY], path="test_a.py"
    )
    before = len(marker_diagnostics(text, CODEC))
    for title, action in offered(text, None, measured).items():
        after = changed(text, action.changes())
        tree = ast.parse(after.removeprefix("\ufeff"))
        ends = set(re.findall("\r\n|\n|\r", after))
        assert ends == {line_end}
        assert after.startswith("\ufeff") == bool(byte_order_mark)
        assert not ("\t" in text and "    " in after)
        if title.startswith(("Change", "Remove")):
            assert len(marker_diagnostics(after, CODEC)) <= before
        else:
            names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
            assert (
                "pytest" not in names
                or "pytest"
                in {
                    alias.asname or alias.name
                    for node in tree.body
                    if isinstance(node, ast.Import)
                    for alias in node.names
                }
                or not title.startswith("Add")
            )


PIECES = (
    "import pytest",
    "from pytest import mark as m",
    "@m.",
    "@pytest.mark.",
    'limit_memory("24 MB")',
    "limit_leaks(",
    "limit_memory",
    '"1 XB"',
    "wrong=1",
    "filter_fn=f",
    ", ",
    "*a",
    ")",
    '"',
    '"""',
    "\\",
    "\n",
    "\n    ",
    "def test_a():",
    "class TestA:",
    "pytestmark = [",
    "# ",
    "🎈",
    "\x00",
    "\x0c",
)


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_text_that_is_no_python_is_borne(text: str) -> None:
    leaks = [
        result(f"test_a.py::{name}", 1, PEAK, MIB, leak=2 * MIB, leak_stack=[SHOP, BODY])
        for name in ("test_a", "TestA::test_a")
    ]
    for action in offered(text, None, *leaks).values():
        assert changed(text, action.changes()) != text


# Later


def test_an_action_is_found_again_by_its_key() -> None:
    test = result("test_a.py::test_a", 5, PEAK, 24 * MIB, leak=2 * MIB, leak_stack=[SHOP, BODY])
    text = LIMITED.replace("@pytest", '@pytest.mark.limit_leaks("1 MB", wrmups=1)\n@pytest', 1)
    results = FileResults(name="test_a.py", tests=[test], sources={0: text})
    document = Document("file:///test_a.py", 1, text)
    known = Known(text, [test])
    found = offered(text, None, test)
    assert len(found) == 5
    assert len({action.key[0] for action in found.values()}) == 3
    for title, action in found.items():
        again = proposal(document, results, list(action.key), known)
        assert again is not None
        assert (again.title, done(again)) == (title, done(action))


@pytest.mark.parametrize(
    "key",
    [
        None,
        3,
        [],
        ["limit"],
        ["limit", "limit_memory", 3],
        ["limit", "limit_leaked_objects", "test_a"],
        ["limit", "limit_memory", "test_gone"],
        ["ignore", "test_a.py::test_a", "f", "a.py", "3"],
        ["ignore", "test_b.py::test_a", "f", "a.py", 3],
        ["fix", 7, "Remove x"],
        ["other", 1, 2],
    ],
)
def test_a_key_of_nothing_finds_nothing(key: object) -> None:
    results = FileResults(name="test_a.py", tests=[MEASURED])
    assert proposal(Document("file:///a", 1, LIMITED), results, key, Known(LIMITED)) is None


@pytest.mark.parametrize(
    ("text", "test", "reason"),
    [
        (LIMITED, "test_b", "there is no test_b in the file any more"),
        (f"{LIMITED}def test_b(): ...\n", "test_b", "test_b has not been measured: run it"),
        (LIMITED.replace('"24 MB"', "SIZE"), "test_a", "the limit of test_a is not written there"),
        (LIMITED.replace('"24 MB"', "*SIZES"), "test_a", "limit of test_a is not written there"),
        (
            LIMITED.replace("_memory", "_memroy"),
            "test_a",
            "there is no marker limit_memroy: correct",
        ),
        (LIMITED, "", "there is no limit for all tests in the file"),
        (LIMITED.replace("24", "35"), "test_a", 'test_a, "35 MB", is right for its peak already'),
    ],
)
def test_the_command_says_why_it_does_nothing(text: str, test: str, reason: str) -> None:
    results = FileResults(name="test_a.py", tests=[MEASURED])
    answer = limit_from_peak(Document("file:///a", 1, text), results, test)
    assert isinstance(answer, str)
    assert reason in answer
