"""What views ask beside the LSP, and the commands that show a test: see docs/protocol.md."""

from __future__ import annotations

import asyncio
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from memlens.store import StackKind
from memlens_lsp import viewing
from memlens_lsp.features.views import FlameGraph, History, Test
from memlens_lsp.projects import is_text
from memlens_lsp.server import MemlensServer
from memlens_lsp.showing import Shower
from memlens_lsp.texts import DiskTexts, Texts
from memlens_lsp.uris import path_of

TESTS = "memlens/tests"
FLAME_GRAPH = "memlens/flameGraph"
HISTORY = "memlens/history"
REQUESTS = (TESTS, FLAME_GRAPH, HISTORY)

SHOW_FLAME_GRAPH = "memlens.showFlameGraph"
SHOW_HISTORY = "memlens.showHistory"
CLEAR_RESULTS = "memlens.clearResults"

#: How many tests a page has unless the client says, and how many it may have.
_PAGE, _MOST = 250, 5000
#: How many results of a test a history has unless the client says, and how many it may have.
_HISTORY, _MOST_HISTORY = 50, 1000


def register(server: MemlensServer, _: types.ClientCapabilities) -> None:
    """Register the handlers; the commands unless the client has them itself."""
    server.feature(TESTS)(_tests)
    server.feature(FLAME_GRAPH)(_flame_graph)
    server.feature(HISTORY)(_history)
    shower = Shower()

    # pygls looks at the first parameter of what it calls: by this name it is the server, and by any
    # other it must, in Python 3.10, be of a class, which Any is not.
    async def show_flame_graph(ls: MemlensServer, *arguments: Any) -> None:
        await shower.show(ls, _asked_by_command(SHOW_FLAME_GRAPH, arguments))

    async def show_history(ls: MemlensServer, *arguments: Any) -> None:
        await shower.show(ls, _asked_by_command(SHOW_HISTORY, arguments))

    async def clear_results(ls: MemlensServer, *arguments: Any) -> None:
        await shower.clear(ls, _project_by_command(arguments))

    for name, command in (
        (SHOW_FLAME_GRAPH, show_flame_graph),
        (SHOW_HISTORY, show_history),
        (CLEAR_RESULTS, clear_results),
    ):
        if name not in server.client_commands:
            server.command(name)(command)


async def _tests(ls: MemlensServer, params: object) -> viewing.Page:
    asked = _Params(TESTS, params)
    following = asked.text("next", "")
    state = asked.text("since", "")
    most = asked.number("limit", _PAGE, _MOST)
    try:
        if following:
            place = viewing.read_place(following)
        else:
            place = viewing.Place(viewing.read_state(state) if state else {}, {})
    except ValueError as error:
        raise asked.wrong("next" if following else "since", str(error)) from None
    opened = {text.file: text for text in ls.open_texts()}

    def read() -> tuple[viewing.Page, dict[Path, list[Test]]]:
        page = viewing.read_page(roots, place, most)
        return page, viewing.tests_in(page, opened.keys()) if opened else {}

    roots = list(ls.results.findings)
    page, in_open = await asyncio.to_thread(read)
    for file, tests in in_open.items():
        results = await ls.results.of_file(opened[file].path)
        await asyncio.to_thread(viewing.move, tests, results, opened[file])
    return page


async def _flame_graph(ls: MemlensServer, params: object) -> FlameGraph | None:
    asked = _Params(FLAME_GRAPH, params)
    kind = next((each for each in get_args(StackKind) if each == asked.text("kind", "peak")), None)
    if kind is None:
        raise asked.wrong("kind", f"expected one of {', '.join(get_args(StackKind))}")
    graph = viewing.AskedGraph(
        asked.test(),
        kind,
        run=asked.text("run", "") or None,
        compare_with=asked.text("compareWith", "") or None,
    )
    roots, texts = list(ls.results.findings), Texts(ls.open_texts(), DiskTexts())
    try:
        return await asyncio.to_thread(viewing.read_flame_graph, roots, graph, texts)
    except viewing.UnknownRunError as error:
        raise asked.wrong(error.parameter, str(error)) from None


async def _history(ls: MemlensServer, params: object) -> History | None:
    asked = _Params(HISTORY, params)
    most = asked.number("limit", _HISTORY, _MOST_HISTORY)
    roots = list(ls.results.findings)
    return await asyncio.to_thread(viewing.read_history, roots, asked.test(), most)


def _asked_by_command(command: str, arguments: Sequence[object]) -> viewing.Asked:
    return _Params(command, _only(command, arguments)).test()


def _project_by_command(arguments: Sequence[object]) -> Path | None:
    if not arguments:
        return None
    return _Params(CLEAR_RESULTS, _only(CLEAR_RESULTS, arguments)).path("uri")


def _only(command: str, arguments: Sequence[object]) -> object:
    if len(arguments) != 1:
        raise JsonRpcInvalidParams(f"{command} got {len(arguments)} arguments: expected one")
    return arguments[0]


class _Params:
    """The parameters of one request, an object. All methods raise `JsonRpcInvalidParams`."""

    def __init__(self, method: str, params: object) -> None:
        if params is None:
            params = {}
        if not isinstance(params, Mapping):
            raise JsonRpcInvalidParams(
                f"{method}: the parameters are {reprlib.repr(params)}: expected an object"
            )
        self._method = method
        self._params = params

    def wrong(self, name: str, expected: str) -> JsonRpcInvalidParams:
        """Return the error that says what is wrong with a parameter."""
        value = reprlib.repr(self._params.get(name))
        return JsonRpcInvalidParams(f"{self._method}: {name} is {value}: {expected}")

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string."""
        value = self._params.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or "\0" in value or not is_text(value):
            raise self.wrong(name, "expected a string")
        return value

    def number(self, name: str, default: int, most: int) -> int:
        """Return a whole number from 1 to *most*."""
        value = self._params.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise self.wrong(name, f"expected a whole number from 1 to {most}")
        return value

    def path(self, name: str) -> Path:
        """Return the path that a URI names."""
        path = path_of(self.text(name))
        if path is None:
            raise self.wrong(name, "expected the URI of a file on this machine")
        return path

    def test(self) -> viewing.Asked:
        """Return the test that "uri" and "test" name."""
        return viewing.Asked(self.path("uri"), self.text("test"))
