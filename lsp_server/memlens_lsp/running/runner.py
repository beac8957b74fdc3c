"""What the client's commands do: find out what to run and where, begin it, and cancel it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from memlens.store import ResultsError
from memlens_lsp.progress import Progress, RunDisplay
from memlens_lsp.projects import file_named, nearest_root, real, root_for_running
from memlens_lsp.results import read_failing
from memlens_lsp.running.lanes import RunRefusedError, Runs
from memlens_lsp.running.planning import Plan, Selection, arrange, plan_run, title_of
from memlens_lsp.running.requests import Request, read_cancel_request, read_run_request
from memlens_lsp.running.runs import Outcome, Run
from memlens_lsp.running.unsaved import unsaved, warning
from memlens_lsp.settings import Settings
from memlens_lsp.uris import uri_of

if TYPE_CHECKING:
    from memlens_lsp.server import MemlensServer

#: Some tests, and the project that they are in.
_Choice = tuple[Path, Selection]


class Runner:
    """Runs tests for one client. To be used from the event loop only."""

    def __init__(self, server: MemlensServer) -> None:
        self._server = server
        self.runs = Runs()
        #: What was run last.
        self._last: Sequence[_Choice] = ()
        #: The runs of each progress that the client may cancel.
        self._shown: dict[types.ProgressToken, list[Run]] = {}

    async def run(
        self,
        arguments: Sequence[object],
        token: types.ProgressToken | None,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> list[dict[str, Any]] | None:
        """Start what the *arguments* of `memlens.run` ask for, and return.

        With a *token* of the client's, wait until it has ended: the token is valid no longer than
        the request (LSP 3.17, "Client Initiated Progress"). Return then what became of it.

        Start nothing if *is_cancelled* says by then that nobody wants it any more.

        Raises:
            JsonRpcInvalidParams: the arguments are wrong.
        """
        choices = await self._asked_for("memlens.run", arguments)
        if not choices:
            return None if token is None else []
        await self._tell_of_unsaved(choices)
        plans = [await asyncio.to_thread(self._plan, *choice) for choice in choices]
        if is_cancelled():
            return None
        self._last = choices
        together = Progress(self._server, token) if token is not None else None
        # All are shown before one can end, so that a common progress ends with the last.
        displays = [self._display(plan, together) for plan in plans]
        begun = [self._begin(*one) for one in zip(plans, displays, strict=True)]
        if together is None:
            return None
        self._server.protocol.when_cancelled(lambda: self._abandon(together))
        tasks = {task: plan for plan, task in begun if task is not None}
        if tasks:
            await asyncio.wait(tasks)
        return [_told(plan, task.result()) for task, plan in tasks.items() if not task.cancelled()]

    async def command_lines(self, name: str, asked: object) -> list[dict[str, Any]]:
        """Return how to run what *asked*, as an argument of `memlens.run`, in a terminal.

        *name* is what the client calls this request.

        Raises:
            JsonRpcInvalidParams: it asks for nothing that could be run.
        """
        choices = await self._asked_for(name, [asked])
        if choices:
            self._last = choices
        lines = []
        for choice in choices:
            plan = await asyncio.to_thread(self._plan, *choice)
            # In a terminal the user ends it, whenever: there is nobody to delete a file of names.
            tests = arrange(plan.tests, knows_files=False).plain
            lines.append(
                {
                    "root": uri_of(plan.root),
                    "folder": uri_of(plan.folder),
                    "title": plan.title,
                    "program": plan.python,
                    "arguments": ["-m", "pytest", *plan.options, *tests],
                    "environment": dict(self._settings_of(choice[1]).environment),
                }
            )
            self._server.expect_results(plan.root)
        return lines

    async def _asked_for(self, name: str, arguments: Sequence[object]) -> Sequence[_Choice]:
        """Return what the *arguments* ask for; nothing, which is said, if there is nothing to run.

        Raises:
            JsonRpcInvalidParams: they are wrong.
        """
        try:
            request = read_run_request(arguments, name)
        except ValueError as error:
            raise JsonRpcInvalidParams(str(error)) from None
        await self._server.settings_known()
        choices = await self._choose(request)
        if not choices:
            self._server.show(_nothing(request), types.MessageType.Info)
        return choices

    def _settings_of(self, tests: Selection) -> Settings:
        return self._server.settings_for(tests.chosen[0][0])

    async def _tell_of_unsaved(self, choices: Sequence[_Choice]) -> None:
        """Say once which open files the runs take from disk, where they are other."""
        places = {root for root, _ in choices}
        places |= {path for _, tests in choices for path, _ in tests.chosen}
        files = await asyncio.to_thread(unsaved, self._server.open_texts(), places)
        if files:
            self._server.show(warning(files), types.MessageType.Warning)

    def _abandon(self, progress: Progress) -> None:
        """Cancel the runs of a request that the client has cancelled, and with it its progress."""
        progress.abandon()
        self.cancel_shown(progress.token)

    async def cancel(self, arguments: Sequence[object]) -> None:
        """Cancel what the *arguments* of `memlens.cancel` name.

        Raises:
            JsonRpcInvalidParams: they are wrong.
        """
        try:
            path = read_cancel_request(arguments)
        except ValueError as error:
            raise JsonRpcInvalidParams(str(error)) from None
        place = None if path is None else await asyncio.to_thread(real, path)
        for run in self.runs.all:
            if place is None or _concerns(run.plan, place):
                run.cancel()

    def cancel_shown(self, token: types.ProgressToken) -> None:
        """Cancel the runs whose progress has *token*."""
        for run in self._shown.get(token, ()):
            run.cancel()

    def _plan(self, root: Path, tests: Selection) -> Plan:
        path = tests.chosen[0][0]
        base = nearest_root(path / "_", self._server.folders)
        return plan_run(tests, root, self._settings_of(tests), base)

    def _display(self, plan: Plan, together: Progress | None) -> RunDisplay:
        return RunDisplay(self._server, plan.title, together or Progress(self._server))

    def _begin(self, plan: Plan, display: RunDisplay) -> tuple[Plan, asyncio.Task[Outcome] | None]:
        token = display.token
        try:
            run, task = self.runs.start(plan, display)
        except RunRefusedError as error:
            display.end("not run")
            self._server.show(str(error), types.MessageType.Warning)
            return plan, None
        before = self.runs.waits(run)
        if before is not None:
            self._server.show(
                f"{plan.title} is queued: it runs when {before} has ended",
                types.MessageType.Info,
            )
        self._shown.setdefault(token, []).append(run)
        task.add_done_callback(lambda _: self._forget(token, run))
        self._server.expect_results(plan.root)
        return plan, task

    def _forget(self, token: types.ProgressToken, run: Run) -> None:
        runs = self._shown.get(token, [])
        if run in runs:
            runs.remove(run)
        if not runs:
            self._shown.pop(token, None)

    # What to run

    async def _choose(self, request: Request) -> Sequence[_Choice]:
        if request.what == "last":
            return self._last
        if request.what == "failed":
            return await self._failed(request.path)
        if request.what == "workspace":
            return [choice for each in self._server.folders for choice in await self._all_in(each)]
        assert request.path is not None
        is_folder = await asyncio.to_thread(request.path.is_dir)
        if is_folder and not request.tests:
            return await self._all_in(request.path)
        path = request.path / "_" if is_folder else request.path
        root = await self._root_of(path)
        if not is_folder:
            chosen = tuple((request.path, test) for test in request.tests or ("",))
        else:
            parts = (test.partition("::") for test in request.tests)
            chosen = tuple((request.path / file, rest) for file, _, rest in parts)
        return [(root, Selection(chosen, title_of(request.path, request.tests, root)))]

    async def _root_of(self, path: Path) -> Path:
        root = await asyncio.to_thread(root_for_running, path, self._server.folders)
        if root is None:
            root = (await self._server.results.of_file(path)).root
        return root or next(iter(self._server.folders), path.parent)

    async def _all_in(self, folder: Path) -> Sequence[_Choice]:
        """Choose all tests in *folder*: of its own project, or of those known below it."""
        folders = await asyncio.to_thread(self._projects_in, folder)
        return [
            (root, Selection(((place, ""),), title_of(place, (), root))) for root, place in folders
        ]

    def _projects_in(self, folder: Path) -> Iterable[tuple[Path, Path]]:
        around = root_for_running(folder / "_", ())
        if around is not None:
            return [(root_for_running(folder / "_", self._server.folders) or around, folder)]
        below = [root for root in [*self._server.results.findings] if root.is_relative_to(folder)]
        outermost = [root for root in below if not any(other in root.parents for other in below)]
        own = root_for_running(folder / "_", self._server.folders) or folder
        return [(root, root) for root in sorted(outermost)] or [(own, folder)]

    async def _failed(self, path: Path | None) -> Sequence[_Choice]:
        if path is None:
            roots = sorted(self._server.results.findings)
        else:
            is_folder = await asyncio.to_thread(path.is_dir)
            roots = [await self._root_of(path / "_" if is_folder else path)]
        choices = []
        for root in roots:
            chosen = await asyncio.to_thread(_failing, root)
            if chosen:
                number = len(chosen)
                title = f"{number} failed tests" if number > 1 else chosen[0][1]
                choices.append((root, Selection(chosen, title)))
        return choices


def _failing(root: Path) -> tuple[tuple[Path, str], ...]:
    try:
        failing = read_failing(root)
    except ResultsError:
        return ()  # said already, when they were read for their findings
    found = ((file_named(root, name), test) for name, test in failing)
    return tuple((path, test) for path, test in found if path.is_file())


def _nothing(request: Request) -> str:
    if request.what == "last":
        return "nothing has been run yet"
    if request.what == "failed":
        return "no test failed or was over a limit when it was last measured"
    return "no folder is open whose tests could be run"


def _concerns(plan: Plan, path: Path) -> bool:
    return path.is_relative_to(plan.lane) or plan.lane.is_relative_to(path)


def _told(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    return {
        "root": uri_of(plan.root),
        "title": plan.title,
        "exitCode": outcome.exit_code,
        "outcomes": dict(outcome.outcomes),
        "cancelled": outcome.cancelled,
        "problem": outcome.problem,
        "missing": outcome.missing,
        "python": plan.python,
    }
