"""docs/protocol.md: each example in it is asked of a server, and answered as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pygls.exceptions import JsonRpcInvalidParams

from memlens.store import ResultsWriter, RunRecord, database_path
from memlens_lsp.handlers import running, views
from memlens_lsp.uris import uri_of

from .conftest import OpenEditor
from .helpers import MIB, Project, frame, result, with_fixture
from .test_views import ask, command, plain

pytestmark = pytest.mark.asyncio

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
#: Where the project is in the examples.
DOCUMENTED = "file:///home/me/shop"

COMMIT = "8c98ca7f5e2d4f5a9b7c3d1e0f2a4b6c8d0e1f23"
SHOP = """\
import pytest


@pytest.mark.limit_memory("24 MB")
def test_checkout():
    fill_cart()


@pytest.mark.parametrize("size", [1, 1000])
def test_search(size):
    ...


def fill_cart():
    return bytearray(30 << 20)
"""
FILL_CART = (
    frame("fill_cart", "tests/test_shop.py", 15),
    frame("test_checkout", "tests/test_shop.py", 6),
)


def examples() -> Iterator[tuple[str, Any, Any]]:
    """Each request on the page with its parameters and its answer."""
    for block, following in pairwise(blocks()):
        if "method" in block and "result" in following:
            yield block["method"], block["params"], following["result"]


def blocks() -> list[Any]:
    """The JSON on the page."""
    text = PAGE.read_text(encoding="utf-8")
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def fill(project: Project) -> None:
    """Measure what the examples show."""
    project.write("tests/test_shop.py", SHOP)
    for number, peak in ((1, 25 * MIB), (2, 30 * MIB)):
        run = RunRecord(
            uuid=f"5c0c3ff2-7d1e-4c43-9d5c-00000000000{number}",
            started=f"2026-03-0{number}T09:00:00.000000+00:00",
            finished=None,
            status="running",
            exit_status=None,
            command_line=("--memray",),
            rootdir=str(project.root),
            versions={},
            git_commit=None,
            git_dirty=None,
            collected=2,
        )
        writer = ResultsWriter(database_path(project.root), run)
        writer.add_test(
            with_fixture(
                result("tests/test_shop.py::test_checkout", 5, peak, 24 * 10**6, stack=FILL_CART),
                8 * MIB,
                frame("stock", "tests/conftest.py", 6),
            )
        )
        writer.add_test(result("tests/test_shop.py::test_search[1000]", 10, MIB))
        writer.finish(1, git_commit=COMMIT, git_dirty=number == 2)
        writer.close()


async def test_each_request_is_answered_as_the_page_says(
    tmp_path: Path, open_editor: OpenEditor
) -> None:
    project = Project(tmp_path / "shop")
    fill(project)
    editor = await open_editor(
        folder=project.root, configuration={"interpreter": "/usr/bin/python3"}
    )
    shop = project.uri("tests/test_shop.py")
    await editor.until(lambda: editor.marks(shop))
    editor.open(shop, SHOP)
    root = uri_of(project.root)
    shown = set()
    for method, params, answer in examples():
        shown.add(method)
        asked = json.loads(json.dumps(params).replace(DOCUMENTED, root))
        told = await ask(editor, method, asked)
        assert json.loads(json.dumps(told).replace(root, DOCUMENTED)) == answer, method
    assert shown == {*views.REQUESTS, *running.REQUESTS}


async def test_the_notification_is_as_the_page_says(
    tmp_path: Path, open_editor: OpenEditor
) -> None:
    project = Project(tmp_path / "shop")
    project.root.mkdir()
    (options,) = (block for block in blocks() if "notifications" in block)
    (example,) = (block for block in blocks() if block.get("method") == "memlens/resultsChanged")
    editor = await open_editor(folder=project.root, options=options)
    told: list[Any] = []
    editor.feature("memlens/resultsChanged")(lambda params: told.append(plain(params)))
    fill(project)
    await editor.until(lambda: told)
    there = json.loads(json.dumps(told[0]).replace(uri_of(project.root), DOCUMENTED))
    assert there == example["params"]
    # The options of the example have the client show tests itself.
    for name in options["commands"]:
        with pytest.raises(JsonRpcInvalidParams, match="not defined"):
            await command(editor, name)


async def test_what_the_server_offers_is_advertised_as_the_page_says(
    project: Project, open_editor: OpenEditor
) -> None:
    (example,) = (block for block in blocks() if "experimental" in block)
    editor = await open_editor()
    assert editor.server_capabilities.experimental is not None
    assert plain(editor.server_capabilities.experimental) == example["experimental"]
