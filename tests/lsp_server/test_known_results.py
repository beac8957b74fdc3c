"""Results are read when they are needed, or sooner, and again when they have changed."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.protocol import default_converter

from memlens.store import database_path
from memlens_lsp.handlers import register_handlers
from memlens_lsp.known_results import KnownResults
from memlens_lsp.server import MemlensServer

from .helpers import MIB, Project, full_capabilities, locked, result

pytestmark = pytest.mark.asyncio

TEST = "def test_a(): pass\n"
NAME = "test_a.py"


@pytest.fixture(autouse=True)
def measured(project: Project) -> None:
    project.write(NAME, TEST)
    project.run(result(f"{NAME}::test_a", 1, 3 * MIB))


class Talk:
    """A server in this process, and what it answers."""

    def __init__(self) -> None:
        self.server = MemlensServer()
        self.answers: dict[int, asyncio.Future[Any]] = {}
        self._converter = default_converter()  # type: ignore[no-untyped-call]
        register_handlers(self.server)
        self.server.protocol.set_writer(self)

    def write(self, data: bytes) -> None:
        said = json.loads(data.partition(b"\r\n\r\n")[2])
        if "id" in said and "method" not in said:
            self.answers[said["id"]].set_result(said["result"])

    def close(self) -> None:
        pass

    def tell(self, method: str, params: Any) -> None:
        self._send({"method": method}, params)

    async def ask(self, method: str, params: Any) -> Any:
        number = len(self.answers)
        self.answers[number] = asyncio.get_running_loop().create_future()
        self._send({"id": number, "method": method}, params)
        return await self.answers[number]

    def _send(self, message: Mapping[str, Any], params: Any) -> None:
        plain = self._converter.unstructure(params)
        self.server.protocol.handle_message({"jsonrpc": "2.0", **message, "params": plain})

    async def begin(self) -> None:
        await self.ask(types.INITIALIZE, types.InitializeParams(capabilities=full_capabilities()))

    async def open(self, uri: str) -> None:
        """Open a document, and wait until the server has done all that it does then."""
        item = types.TextDocumentItem(uri, "python", 1, TEST)
        self.tell(types.TEXT_DOCUMENT_DID_OPEN, types.DidOpenTextDocumentParams(item))
        await rest()

    async def close_document(self, uri: str) -> None:
        document = types.TextDocumentIdentifier(uri)
        self.tell(types.TEXT_DOCUMENT_DID_CLOSE, types.DidCloseTextDocumentParams(document))
        await rest()

    async def lenses(self, uri: str) -> list[Any]:
        params = types.CodeLensParams(types.TextDocumentIdentifier(uri))
        answer = await self.ask(types.TEXT_DOCUMENT_CODE_LENS, params)
        assert isinstance(answer, list)
        return answer


async def rest() -> None:
    """Wait until nothing is under way any more."""
    while True:
        await asyncio.sleep(0)  # what is to be done at once begins
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        if not under_way:
            return
        await asyncio.gather(*under_way)


def settle(project: Project) -> None:
    """Have the results look as if they had been written a while ago."""
    for path in database_path(project.root).parent.iterdir():
        os.utime(path, (0, 0))


def tells_of_a_peak(lenses: list[Any]) -> bool:
    """Whether there is more than what is there before anything ran."""
    return any("data" in lens for lens in lenses)


async def test_the_first_request_of_a_document_finds_its_results_read(project: Project) -> None:
    talk = Talk()
    await talk.begin()
    await talk.open(project.uri(NAME))
    with locked(project):
        assert tells_of_a_peak(await talk.lenses(project.uri(NAME)))
        # One that is not open is read when it is asked for.
        assert not (await talk.server.results.of_file(project.root / "test_b.py")).tests


async def test_a_request_waits_for_the_reading_that_opening_began(project: Project) -> None:
    talk = Talk()
    await talk.begin()
    item = types.TextDocumentItem(project.uri(NAME), "python", 1, TEST)
    talk.tell(types.TEXT_DOCUMENT_DID_OPEN, types.DidOpenTextDocumentParams(item))
    assert tells_of_a_peak(await talk.lenses(project.uri(NAME)))
    first = await talk.server.results.of_file(project.root / NAME)
    await rest()
    assert await talk.server.results.of_file(project.root / NAME) is first


async def test_nothing_is_kept_of_a_document_that_is_closed(project: Project) -> None:
    talk = Talk()
    await talk.begin()
    await talk.open(project.uri(NAME))
    assert tells_of_a_peak(await talk.lenses(project.uri(NAME)))
    kept = weakref.ref(await talk.server.results.of_file(project.root / NAME))
    assert kept() is not None
    await talk.close_document(project.uri(NAME))
    gc.collect()
    assert kept() is None


async def test_only_the_project_whose_results_have_changed_is_read_again(
    project: Project, tmp_path: Path
) -> None:
    other = Project(tmp_path / "other")
    other.root.mkdir()
    other.run(result(f"{NAME}::test_a", 1, MIB))
    path = project.root / NAME
    known = KnownResults()
    await known.read(project.root)
    await known.read(other.root)
    settle(project)
    first = await known.of_file(path)
    (peak,) = (test.phases[0].peak_bytes for test in first.tests)
    assert peak == 3 * MIB

    other.run(result(f"{NAME}::test_a", 1, 2 * MIB))
    await known.read(other.root)
    assert await known.of_file(path) is first

    project.run(result(f"{NAME}::test_a", 1, 4 * MIB))
    await known.read(project.root)
    (peak,) = (test.phases[0].peak_bytes for test in (await known.of_file(path)).tests)
    assert peak == 4 * MIB
