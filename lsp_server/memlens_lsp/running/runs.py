"""One run of pytest, from its start to what is said of it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from memlens.store.writing import utc_now
from memlens_lsp.projects import real
from memlens_lsp.results import RunResults, read_run
from memlens_lsp.running import probing
from memlens_lsp.running.counting import counts, last_line, progress
from memlens_lsp.running.guarded import Exit, Guarded, GuardLostError, StartError, Task
from memlens_lsp.running.planning import Plan, are_many, arrange, shown_command
from memlens_lsp.running.problems import (
    Ended,
    cannot_start,
    missing_package,
    needs_interpreter,
    problem_with,
)

logger = logging.getLogger(__name__)

#: The environment variable that names the file for the test that is running; see `memlens.now`.
NOW = "MEMLENS_NOW"
#: Seconds between one look at that file and the next.
_LOOK = 1.0


class Display(Protocol):
    """Where a run is shown."""

    def report(self, message: str, percentage: int | None = None) -> None:
        """Show how far it is."""

    def end(self, message: str) -> None:
        """Show that it has ended."""

    def log(self, message: str) -> None:
        """Keep *message* where it can be looked up."""

    def problem(self, message: str, missing: str | None = None) -> None:
        """Tell the user that something has to be done; the *missing* package installed, perhaps."""

    def results_written(self, root: Path | None) -> None:
        """There may be new results, in the project at *root* if that is known."""


class Outcome(NamedTuple):
    """What became of a run."""

    #: pytest's, negative for the signal that killed it; None if it was not started.
    exit_code: int | None = None
    #: Number of tests by outcome: passed, failed, skipped, xfailed, xpassed.
    outcomes: Mapping[str, int] = {}
    cancelled: bool = False
    #: What the user was told.
    problem: str | None = None
    #: The package without which the tests cannot be run.
    missing: str | None = None


class _Attempt(NamedTuple):
    """pytest was started and has ended."""

    exit: Exit
    arguments: tuple[str, ...]
    results: RunResults | None
    #: The project that the results are in, None for that of the plan.
    root: Path | None


class Run:
    """One run of pytest. To be used from the event loop only."""

    def __init__(self, plan: Plan, display: Display) -> None:
        self.plan = plan
        self._display = display
        self._cancel = asyncio.Event()
        self._news = asyncio.Event()
        self._started = utc_now()

    def cancel(self) -> None:
        """Begin to end the run with all its processes."""
        self._cancel.set()

    def results_changed(self) -> None:
        """Some results are new: look whether they are ours."""
        self._news.set()

    async def wait_for(self, other: asyncio.Task[Outcome], title: str) -> None:
        """Wait until *other* has ended or this run is cancelled."""
        self._display.report(f"waits until {title} has ended")
        cancelled = asyncio.ensure_future(self._cancel.wait())
        try:
            await asyncio.wait((other, cancelled), return_when=asyncio.FIRST_COMPLETED)
        finally:
            cancelled.cancel()

    @property
    def is_cancelled(self) -> bool:
        """Whether it has been cancelled."""
        return self._cancel.is_set()

    async def run(self) -> Outcome:
        """Run the tests until they end. When cancelled, so are the tests."""
        try:
            outcome = await self._run()
        except Exception:
            logger.exception("a run ended with a fault of memlens")
            outcome = Outcome()
            self._display.end("ended with a fault of memlens")
        if outcome.problem is not None:
            self._display.problem(outcome.problem, outcome.missing)
        return outcome

    async def _run(self) -> Outcome:
        if self._cancel.is_set():
            self._display.end("cancelled")
            return Outcome(cancelled=True)
        try:
            tests: Sequence[str] = self.plan.tests
            attempt = await self._attempt(tests)
            # pytest runs none if one of them is not there.
            while not self.is_cancelled and attempt.exit.code == 4:
                found = _without_missing(tests, self.plan.folder, attempt.exit.output)
                if not found or found == list(tests):
                    break
                self._display.log(
                    f"pytest does not find all of {len(tests)} tests any more: once more with"
                    f" {len(found)}, without those or with all cases of theirs."
                )
                tests = found
                attempt = await self._attempt(tests)
        except StartError as error:
            self._display.end("could not be started")
            others = await self._other_interpreters()
            return Outcome(problem=cannot_start(self.plan, str(error), others))
        except GuardLostError:
            self._display.end("killed")
            self._display.results_written(None)
            title = self.plan.title
            return Outcome(
                problem=f"The process that guards {title} was killed, so its tests were ended:"
                " run them again"
            )
        return await self._conclude(attempt)

    async def _conclude(self, attempt: _Attempt) -> Outcome:
        code, results = attempt.exit.code, attempt.results
        outcomes = results.outcomes if results is not None else {}
        self._display.results_written(attempt.root)
        if attempt.exit.left:
            ids = ", ".join(map(str, attempt.exit.left))
            self._display.log(f"These processes of the run could not be ended: {ids}")
        if self.is_cancelled:
            said = counts(results)
            self._display.end(f"cancelled ({said})" if said else "cancelled")
            return Outcome(code, outcomes, cancelled=True)
        ended = Ended(code, attempt.exit.output, wrote_results=results is not None)
        interpreter, others = None, []
        if needs_interpreter(ended):
            interpreter = await probing.ask(
                self.plan.python, self.plan.folder, self.plan.environment
            )
            others = await self._other_interpreters()
        self._display.end(counts(results) or "ended")
        problem = problem_with(self.plan, ended, interpreter, others)
        missing = missing_package(ended, interpreter) if problem is not None else None
        return Outcome(code, outcomes, problem=problem, missing=missing)

    async def _other_interpreters(self) -> list[Path]:
        return await asyncio.to_thread(probing.environments_in, self.plan.folder, self.plan.root)

    async def _attempt(self, tests: Sequence[str]) -> _Attempt:
        """Run pytest once.

        Raises:
            StartError: it cannot be started.
            GuardLostError: it was killed with what guards it.
        """
        plan = self.plan
        knows_files = True
        if are_many(tests):
            interpreter = await probing.ask(plan.python, plan.folder, plan.environment)
            knows_files = interpreter is not None and interpreter.knows_argument_files
        arranged = arrange(tests, knows_files=knows_files)
        if arranged.is_more:
            self._display.log(
                "There are too many tests to be named to this pytest one by one (8.2 could):"
                " their files are run whole."
            )
        notes = await asyncio.to_thread(_make_notes, arranged.lines)
        try:
            listed = (f"@{notes / _TESTS}",) if arranged.lines else ()
            arguments = (*plan.options, *listed, *arranged.plain)
            command = (plan.python, "-m", "pytest", *arguments)
            ended = await self._execute(command, arguments, notes)
        finally:
            await asyncio.to_thread(shutil.rmtree, notes, ignore_errors=True)
        self._display.log(f"$ {shown_command(command)}\n{ended.output}\nExit code {ended.code}")
        for root in (None, _rootdir(ended.output)):
            results = await self._read(arguments, plan.result_roots if root is None else (root,))
            if results is not None:
                place = Path(results.run.rootdir)
                own = await asyncio.to_thread(real, place) == plan.lane
                return _Attempt(ended, arguments, results, None if own else place)
        return _Attempt(ended, arguments, None, None)

    async def _execute(
        self, command: Sequence[str], arguments: tuple[str, ...], notes: Path
    ) -> Exit:
        environment = {**self.plan.environment, NOW: str(notes / _NOW)}
        guarded = await Guarded.start(Task(command, self.plan.folder, environment, notes))
        ended = asyncio.ensure_future(guarded.wait())
        cancelled = asyncio.ensure_future(self._cancel.wait())
        counting = asyncio.ensure_future(self._count(arguments, notes / _NOW))
        try:
            await asyncio.wait((ended, cancelled), return_when=asyncio.FIRST_COMPLETED)
            counting.cancel()
            if not ended.done():
                self._display.report("cancelling")
                guarded.cancel()
                # Not awaited itself: that would end with this task.
                await asyncio.wait((ended,))
            return ended.result()
        finally:
            counting.cancel()
            cancelled.cancel()
            if not ended.done():
                guarded.close()
                await asyncio.wait((ended,))

    async def _count(self, arguments: tuple[str, ...], now: Path) -> None:
        """Show how many tests have ended, and which one is running."""
        results: RunResults | None = None
        shown = ""
        while True:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news.wait(), _LOOK)
            if self._news.is_set():
                self._news.clear()
                results = await self._read(arguments, self.plan.result_roots) or results
            running = await asyncio.to_thread(last_line, now)
            words, percentage = progress(results, running, self.plan.title)
            if words and words != shown:
                shown = words
                self._display.report(words, percentage)

    async def _read(self, arguments: tuple[str, ...], roots: Iterable[Path]) -> RunResults | None:
        return await asyncio.to_thread(read_run, roots, arguments, self._started)


def _without_missing(tests: Sequence[str], folder: Path, output: str) -> list[str]:
    """Return *tests* without those that pytest says it does not find.

    Of a missing case pytest 9 names the test only, which may have other cases: then that test.
    """

    def is_missing(test: str) -> bool:
        name, _, rest = test.partition("::")
        # What pytest shows begins with its working folder, without symlinks.
        paths = (os.path.join(place, name) for place in (folder, real(folder)))  # noqa: PTH118
        return any(f"not found: {path}::{rest}\n" in output for path in paths)

    found: dict[str, None] = {}
    for test in tests:
        whole = test.partition("[")[0]
        if not is_missing(test):
            found[whole if whole != test and is_missing(whole) else test] = None
    return list(found)


def _rootdir(output: str) -> Path | None:
    """Return the rootdir that pytest tells of itself."""
    found = re.search(r"^rootdir: (/.*?)(?:, configfile: .*)?$", output, re.MULTILINE)
    return Path(found[1]) if found else None


#: The files that a run makes for pytest, in a folder of its own: the names of tests, a line each,
#: and what pytest writes of the tests it begins.
_TESTS, _NOW = "tests", "now"


def _make_notes(tests: Sequence[str]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="memlens_run-"))
    (folder / _NOW).touch()
    if tests:
        (folder / _TESTS).write_text("\n".join(tests), encoding="ascii")
    return folder
