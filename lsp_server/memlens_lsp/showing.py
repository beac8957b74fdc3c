"""Showing a test to users of clients that have no views of their own, and clearing results.

A test is shown by the HTML report, which the memlens of the project's own interpreter makes: this
server runs where only a part of memlens may be installed.
"""

from __future__ import annotations

import asyncio
import shlex
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from memlens.store import (
    FOLDER_NAME,
    ResultsError,
    ResultsReader,
    database_path,
    delete_results,
)
from memlens_lsp.projects import has_results, nearest_root
from memlens_lsp.results import read_database
from memlens_lsp.running.guarded import Guarded, GuardLostError, StartError, Task
from memlens_lsp.running.planning import python_in
from memlens_lsp.uris import uri_of
from memlens_lsp.viewing import Asked, Found, locate

if TYPE_CHECKING:
    from memlens_lsp.server import MemlensServer

#: In the project's results folder, where every browser may read it: some may not read `/tmp`. There
#: is one, which the next replaces.
_REPORT = "report-of-a-test.html"
#: Seconds after which a report that is not made counts as failed.
_PATIENCE = 60.0
#: How much of what went wrong is shown; the log has it all.
_MOST_WORDS = 300
_DELETE = "Delete"


class Shower:
    """Carries out `memlens.showFlameGraph`, `memlens.showHistory` and `memlens.clearResults`."""

    def __init__(self) -> None:
        #: Where reports of projects go in whose folder nothing may be written.
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def show(self, server: MemlensServer, asked: Asked) -> None:
        """Show a test's flame graphs and its history in a browser."""
        found = await asyncio.to_thread(locate, list(server.results.findings), asked)
        if found is None:
            server.show(
                f"{asked.test} has not been measured yet: run it with memory limits first",
                types.MessageType.Info,
            )
            return
        report = await self._report(server, found)
        if isinstance(report, str):
            server.show(report, types.MessageType.Error)
        else:
            await _open(server, report, found)

    async def _report(self, server: MemlensServer, found: Found) -> Path | str:
        """Return the report of a test, or what the user should know and do."""
        await server.settings_known()
        settings = server.settings_for(found.root)
        base = nearest_root(found.root / "_", server.folders) or found.root
        python = python_in(settings, base)
        wanted = database_path(found.root).with_name(_REPORT)
        environment = {**environ, **settings.environment}
        made = await _make(python, found, wanted, environment)
        if made.code and "Permission denied" in made.output:
            self._folder = self._folder or tempfile.TemporaryDirectory(prefix="memlens-")
            wanted = Path(self._folder.name, _REPORT)
            made = await _make(python, found, wanted, environment)
        if made.code == 0:
            return wanted
        if "No module named memlens" in made.output:
            return (
                f"{python} has no pytest-memlens, which makes the report: install it with"
                f" '{shlex.quote(python)} -m pip install pytest-memlens', or choose another"
                " interpreter (the setting memlens.interpreter)"
            )
        server.log(made.output, types.MessageType.Error)
        words = made.output.strip()[-_MOST_WORDS:] or f"{python} ended with code {made.code}"
        return f"the report of {found.measured.nodeid} could not be made: {words}"

    async def clear(self, server: MemlensServer, path: Path | None) -> None:
        """Delete the results of the project around *path*, or of all, if the user agrees."""
        roots = await asyncio.to_thread(_roots, list(server.results.findings), path)
        if not roots:
            server.show("there are no results to delete", types.MessageType.Info)
            return
        contents = await asyncio.to_thread(_contents, roots)
        question = types.ShowMessageRequestParams(
            type=types.MessageType.Warning,
            message=f"memlens: Delete {contents}? They cannot be brought back.",
            actions=[types.MessageActionItem(_DELETE), types.MessageActionItem("Cancel")],
        )
        answer: object = None
        with suppress(JsonRpcException):
            answer = await server.window_show_message_request_async(question)
        # Clients answer all sorts of things.
        if not isinstance(answer, types.MessageActionItem) or answer.title != _DELETE:
            return
        for root in roots:
            try:
                await asyncio.to_thread(delete_results, database_path(root))
            except OSError as error:
                server.show(
                    f"cannot delete {database_path(root)}: {error.strerror}",
                    types.MessageType.Error,
                )
        server.watcher.look_now()


async def _open(server: MemlensServer, report: Path, found: Found) -> None:
    window = server.client_capabilities.window
    if window and window.show_document and window.show_document.support:
        # As the page's own links to a test, for browsers that are told of them.
        uri = f"{uri_of(report)}#test={quote(found.measured.nodeid, safe='')}"
        params = types.ShowDocumentParams(uri=uri, external=True)
        result: object = None
        with suppress(JsonRpcException):
            result = await server.window_show_document_async(params)
        if isinstance(result, types.ShowDocumentResult) and result.success:
            return
    server.show(
        f"the report of {found.measured.nodeid} is {report}: open it in a browser",
        types.MessageType.Info,
    )


class _Made(NamedTuple):
    code: int
    output: str


async def _make(python: str, found: Found, report: Path, environment: dict[str, str]) -> _Made:
    results = str(database_path(found.root))
    export = ("export", "--format", "html", "--results", results, "-o", str(report))
    command = (python, "-m", "memlens", *export, "--", found.measured.nodeid)
    try:
        process = await Guarded.start(Task(command, found.root, environment))
    except StartError as error:
        return _Made(1, f"{python} cannot be started: {error}")
    waiting = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait((waiting,), timeout=_PATIENCE)
    finally:
        if not waiting.done():
            process.close()
    try:
        ended = await waiting
    except (StartError, GuardLostError) as error:
        return _Made(1, f"{python} cannot be started: {error}")
    return _Made(ended.code, ended.output)


def _roots(roots: Sequence[Path], path: Path | None) -> list[Path]:
    if path is None:
        return [root for root in roots if has_results(root)]
    return [folder for folder in (path, *path.parents) if has_results(folder)][:1]


def _contents(roots: Sequence[Path]) -> str:
    """Return what the results of the projects at *roots* are, in words."""
    words = []
    for root in roots:
        try:
            counts = read_database(root, _count)
        except ResultsError:
            counts = None  # what cannot be read may be deleted
        words.append(f"the results of {root.name} ({counts or f'all of {FOLDER_NAME}'})")
    return " and ".join(words)


def _count(reader: ResultsReader) -> str:
    runs = reader.runs(limit=None)
    going_on = ", one still running" if any(run.status == "running" for run in runs) else ""
    return f"{len(runs)} run{'' if len(runs) == 1 else 's'}{going_on}"
