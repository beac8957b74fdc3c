"""Running tests with pytest: what to start, how it ended, and ending it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shlex
import signal
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from memlens.store.writing import utc_now
from memlens_lsp.projects import real
from memlens_lsp.results import RunResults, read_run
from memlens_lsp.settings import Settings
from memlens_lsp.uris import path_of

logger = logging.getLogger(__name__)

#: How a run is asked to end, and for how many seconds each is given time to work. pytest reports
#: and keeps its results after an interrupt, as after Ctrl+C.
_CANCEL = ((signal.SIGINT, 5.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, None))
#: The same when the server itself has to go.
_CLOSE = ((signal.SIGTERM, 1.0), (signal.SIGKILL, None))
#: How much of a run's output the log gets, in bytes.
_MOST_OUTPUT = 1024 * 1024


class RunRefusedError(Exception):
    """A run cannot be started now. The message says why."""


@dataclass(frozen=True)
class Target:
    """What to run."""

    path: Path
    #: The part of the node id after the file; "" for the whole file.
    test: str


@dataclass(frozen=True)
class Plan:
    """A run that could be started."""

    #: The folder to run in; there is one run at a time in each.
    root: Path
    python: str
    #: pytest's.
    arguments: tuple[str, ...]
    #: The test as people name it.
    title: str
    #: Where the results may be written, the likeliest first.
    result_roots: tuple[Path, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """The command line."""
        return (self.python, "-m", "pytest", *self.arguments)


def read_target(arguments: Sequence[object]) -> Target:
    """Return what the *arguments* of `memlens.run` ask for.

    Raises:
        ValueError: they do not. The message says what was expected.
    """
    expected = 'expected one argument such as {"uri": "file:///…/test_shop.py", "test": "test_a"}'
    if len(arguments) != 1:
        raise ValueError(f"memlens.run got {len(arguments)} arguments: {expected}")
    target = arguments[0]
    if not isinstance(target, Mapping):
        raise ValueError(f"memlens.run got {target!r}: {expected}")
    uri, test = target.get("uri"), target.get("test") or ""
    if not isinstance(uri, str) or not isinstance(test, str) or "\0" in test:
        raise ValueError(f"memlens.run got {dict(target)!r}: {expected}")
    path = path_of(uri)
    if path is None:
        raise ValueError(f"memlens.run cannot run {uri}: it is not a file on this machine")
    return Target(path, test)


def plan_run(target: Target, root: Path, settings: Settings) -> Plan:
    """Return how to run *target* from the folder *root*."""
    path = target.path
    # For a file elsewhere, such as an installed library's test, pytest would put the results there.
    rootdir = () if path.is_relative_to(root) else (f"--rootdir={root}",)
    name = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    if name.startswith(("-", "@")):
        name = str(path)  # pytest would read an option or a file of arguments
    nodeid = f"{name}::{target.test}" if target.test else name
    return Plan(
        root=root,
        python=settings.python,
        arguments=("--memray", *settings.pytest_args, *rootdir, nodeid),
        title=target.test or name,
        result_roots=tuple(dict.fromkeys((root, *path.parents, *real(path).parents))),
    )


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    #: The process's; negative for the signal that killed it.
    exit_code: int
    output: str
    wrote_results: bool


def problem_with(plan: Plan, ended: Ended) -> str | None:
    """Return what the user should know and do about a run, or None if it ran its tests."""
    code, output = ended.exit_code, ended.output
    install = (
        f"install it with '{shlex.quote(plan.python)} -m pip install pytest-memlens', or choose"
        " another interpreter (the setting memlens.interpreter)"
    )
    if code == 1 and re.search(r": No module named '?pytest'?\s*\Z", output):
        return f"pytest is not installed for {plan.python}: {install}"
    if code in (0, 1):
        if ended.wrote_results or not re.search(r"\b\d+ (passed|failed)\b", output):
            return None
        return (
            "The tests ran, but no memory results were written. If"
            f" pytest-memlens is not installed for {plan.python}, {install}"
        )
    if code == 4 and re.search(r"unrecognized arguments:.* --memray\b", output):
        return f"pytest-memlens is not installed for {plan.python}: {install}"
    raised = re.findall(r"^E {2,}(\S.*)$", output, re.MULTILINE)
    refused = re.findall(r"^(?:\S.*: error|ERROR): (.+)$", output, re.MULTILINE)
    if raised and re.search(r"ERROR collecting|while loading conftest", output):
        why, details = "The tests cannot be imported", raised[-1:]
    elif code == 4 and re.search(r"^\(no match in any of|^ERROR: file or", output, re.MULTILINE):
        why, details = "pytest does not find the test: save the file if it is new", []
    elif code < 0:
        why, details = f"pytest was killed by {_signal_name(-code)}", []
    else:
        why, details = _EXIT_CODES.get(code, f"pytest ended with exit code {code}"), refused[:1]
    return f"{': '.join([why, *details])}. What pytest said is in the log of memlens"


#: https://docs.pytest.org/en/stable/reference/exit-codes.html
_EXIT_CODES = {
    2: "pytest was interrupted",
    3: "pytest had an internal error",
    4: "pytest did not accept its arguments",
    5: "pytest found no tests",
}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def counts(results: RunResults | None) -> str:
    """Return a run's tests in words, such as "1 failed, 2 passed"; "" if nothing is known."""
    if results is None:
        return ""
    order = ("failed", "passed", "skipped", "xfailed", "xpassed")
    return ", ".join(f"{results.outcomes[o]} {o}" for o in order if results.outcomes.get(o))


class Display(Protocol):
    """Where a run is shown."""

    def report(self, message: str) -> None:
        """Show how far it is."""

    def end(self, message: str) -> None:
        """Show that it has ended."""

    def log(self, message: str) -> None:
        """Keep *message* where it can be looked up."""

    def problem(self, message: str) -> None:
        """Tell the user that something has to be done."""

    def results_written(self) -> None:
        """There may be new results."""


class Run:
    """One run of pytest. To be used from the event loop only."""

    def __init__(self, plan: Plan, display: Display) -> None:
        self.plan = plan
        self._display = display
        self._cancel = asyncio.Event()
        self._news = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._started = utc_now()

    def cancel(self) -> None:
        """Begin to end the run with all its processes."""
        self._cancel.set()

    def results_changed(self) -> None:
        """Some results are new: look whether they are ours."""
        self._news.set()

    def kill(self) -> None:
        """End all its processes at once. For a server that has no time left."""
        if self._process is not None and self._process.returncode is None:
            _signal_group(self._process.pid, signal.SIGKILL)

    async def run(self) -> None:
        """Run the tests until they end. When cancelled, so are the tests."""
        try:
            await self._run()
        except Exception:
            logger.exception("a run ended with a fault of memlens")
            self._display.end("ended with a fault of memlens")

    async def _run(self) -> None:
        with tempfile.TemporaryFile() as output:
            # A file, not a pipe: a process that a test left behind would hold a pipe open.
            try:
                code = await self._run_process(output)
            except OSError as error:
                self._display.end("could not be started")
                self._display.problem(self._cannot_start(error))
                return
            text = await asyncio.to_thread(_tail, output)
        results = await self._read()
        self._display.results_written()
        self._display.log(f"$ {shlex.join(self.plan.command)}\n{text}\nExit code {code}")
        if self._cancel.is_set():
            self._display.end("cancelled")
            return
        problem = problem_with(self.plan, Ended(code, text, wrote_results=results is not None))
        self._display.end(counts(results) or "ended")
        if problem is not None:
            self._display.problem(problem)

    async def _run_process(self, output: BinaryIO) -> int:
        process = await asyncio.create_subprocess_exec(
            *self.plan.command,
            cwd=self.plan.root,
            # The client's messages arrive on our own standard input.
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            # A process group of its own, which can be ended as a whole.
            start_new_session=True,
        )
        self._process = process
        ended = asyncio.ensure_future(process.wait())
        cancelled = asyncio.ensure_future(self._cancel.wait())
        counting = asyncio.ensure_future(self._count())
        try:
            await asyncio.wait((ended, cancelled), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                self._display.report("cancelling")
                await _end_group(process, _CANCEL)
            return await ended
        finally:
            for task in (counting, cancelled, ended):
                task.cancel()
            # Not `ended`: at the end of the event loop that is cancelled before us, or after.
            if process.returncode is None:
                await _end_group(process, _CLOSE)

    async def _count(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            results = await self._read()
            if results is not None and not self._cancel.is_set():
                done, of = sum(results.outcomes.values()), results.run.collected
                words = f"{done} of {of}" if of else str(done)
                self._display.report(f"{words} ({counts(results)})" if done else words)

    async def _read(self) -> RunResults | None:
        plan = self.plan
        return await asyncio.to_thread(read_run, plan.result_roots, plan.arguments, self._started)

    def _cannot_start(self, error: OSError) -> str:
        if not self.plan.root.is_dir():
            return f"Tests cannot be run in {self.plan.root}: {error.strerror or error}"
        return (
            f"The interpreter {self.plan.python} cannot be started"
            f" ({error.strerror or error}): choose another one (the setting memlens.interpreter)"
        )


async def _end_group(
    process: asyncio.subprocess.Process, steps: Sequence[tuple[signal.Signals, float | None]]
) -> None:
    """End *process* with all of its process group, which it leads."""
    for number, seconds in steps:
        _signal_group(process.pid, number)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
            break
    # Whatever pytest started and did not end itself.
    _signal_group(process.pid, signal.SIGKILL)


def _signal_group(group: int, number: signal.Signals) -> None:
    # Gone already, or (macOS) a zombie that may not be signalled.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _tail(output: BinaryIO) -> str:
    size = output.seek(0, os.SEEK_END)
    start = max(0, size - _MOST_OUTPUT)
    output.seek(start)
    text = output.read().decode("utf-8", "replace")
    return f"({start} bytes left out)\n{text}" if start else text


class Runs:
    """The runs that are on: one at a time in each project."""

    def __init__(self) -> None:
        self._running: dict[Path, tuple[Run, asyncio.Task[None]]] = {}

    def start(self, plan: Plan, display: Display) -> Run:
        """Start *plan* and return at once.

        Raises:
            RunRefusedError: one is on in the same project.
        """
        if plan.root in self._running:
            running = self._running[plan.root][0]
            raise RunRefusedError(
                f"{running.plan.title} is still running in {plan.root}:"
                " wait for it to end, or cancel it"
            )
        run = Run(plan, display)
        task = asyncio.ensure_future(run.run())
        self._running[plan.root] = (run, task)
        task.add_done_callback(lambda _: self._running.pop(plan.root))
        return run

    def results_changed(self) -> None:
        """Tell the runs that some results are new."""
        for run, _ in self._running.values():
            run.results_changed()

    async def close(self) -> None:
        """End every run, and wait for that."""
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def kill(self) -> None:
        """End every run's processes at once."""
        for run, _ in self._running.values():
            run.kill()
