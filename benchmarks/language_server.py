"""Measures the language server beside a bare pygls server and jedi-language-server.

All three are installed into one virtual environment in build/benchmarks-lsp (that needs downloads)
and driven over standard input and output, each in its turn, on one project: 10,000 tests in 100
files, each with 50 runs stored.

    python benchmarks/language_server.py [--rounds N] [--requests N] [--json PATH]

Exit status 0: everything was measured, whether the budgets are met or not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from environments import REPOSITORY, BenchmarkError
from memlens.store import database_path
from projects import FILES, RUNS, TESTS, begin_run, make_project, over_limit, test_file

HOME = REPOSITORY / "build" / "benchmarks-lsp"
BARE = Path(__file__).with_name("bare_server.py")
#: Budgets: (what, unit, most).
START_UP, MEMORY, REQUEST_MS, COMMIT_MS = 1.3, 2.0, 20.0, 300.0


def prepare() -> dict[str, list[str]]:
    """Return the command line of each contender, installed anew where it has to be.

    Raises:
        BenchmarkError: they cannot be installed.
    """
    python = HOME / "venv" / "bin" / "python"
    if not python.exists():
        _run(
            *(str(REPOSITORY / "scripts" / "make-venv.sh"), sys.executable, str(HOME / "venv")),
            *("hatchling>=1.27", "jedi-language-server"),
        )
    _run(str(python), "-m", "pip", "install", "-qq", "--no-build-isolation", f"{REPOSITORY}[lsp]")
    # Installed files only: the second install of the same version would change nothing.
    _run(
        *(str(python), "-m", "pip", "install", "-qq", "--no-build-isolation", "--no-deps"),
        *("--force-reinstall", str(REPOSITORY)),
    )
    return {
        "bare": [str(python), str(BARE)],
        "jedi": [str(python.parent / "jedi-language-server")],
        "memlens": [str(python.parent / "memlens-lsp")],
    }


def _run(*command: str) -> None:
    finished = subprocess.run(command, cwd=REPOSITORY, stdout=sys.stderr, check=False)
    if finished.returncode:
        raise BenchmarkError(f"exit status {finished.returncode} from {' '.join(command)}")


class Session:
    """A client with one server."""

    def __init__(self, client: LanguageClient, process: asyncio.subprocess.Process) -> None:
        self.client = client
        self.process = process
        #: What the server has published, by URI.
        self.published: dict[str, Sequence[types.Diagnostic]] = {}
        self.news = asyncio.Event()

    def open(self, path: Path) -> str:
        """Open a document, and return its URI."""
        text = path.read_text(encoding="utf-8")
        self.client.text_document_did_open(
            types.DidOpenTextDocumentParams(
                types.TextDocumentItem(path.as_uri(), "python", 1, text)
            )
        )
        return path.as_uri()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what was published fulfils *condition*.

        Raises:
            BenchmarkError: it does not, for a minute.
        """
        try:
            while not condition():
                self.news.clear()
                await asyncio.wait_for(self.news.wait(), 60)
        except asyncio.TimeoutError:
            raise BenchmarkError("the server did not publish what it should") from None

    def kibibytes(self) -> int:
        """Return what memory the server holds for itself alone (proportional set size)."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))

    def cpu_seconds(self) -> float:
        """Return the processor time that the server has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def session(
    command: Sequence[str], folder: Path, *, pull: bool = False
) -> AsyncIterator[tuple[Session, float]]:
    """Start a server on *folder*; give the session, and the seconds until it was ready."""
    client = LanguageClient("memlens-benchmark", "1")
    started = time.perf_counter()
    await client.start_io(*command)
    process = client._server  # noqa: SLF001
    if process is None:
        raise BenchmarkError(f"{command[0]} did not start")
    made = Session(client, process)

    def published(params: types.PublishDiagnosticsParams) -> None:
        made.published[params.uri] = params.diagnostics
        made.news.set()

    client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(published)
    for method in (
        types.WINDOW_LOG_MESSAGE,
        types.WORKSPACE_CODE_LENS_REFRESH,
        types.WORKSPACE_INLAY_HINT_REFRESH,
        types.WORKSPACE_DIAGNOSTIC_REFRESH,
        types.CLIENT_REGISTER_CAPABILITY,
    ):
        client.feature(method)(_ignore)
    await client.initialize_async(
        types.InitializeParams(
            process_id=os.getpid(),
            capabilities=_capabilities(pull=pull),
            workspace_folders=[types.WorkspaceFolder(folder.as_uri(), folder.name)],
        )
    )
    ready = time.perf_counter() - started
    client.initialized(types.InitializedParams())
    try:
        yield made, ready
    finally:
        await client.shutdown_async(None)
        client.exit(None)
        await client.stop()  # type: ignore[no-untyped-call]


def _ignore(*_: object) -> None:
    """Take a message that is of no interest here."""


def _capabilities(*, pull: bool) -> types.ClientCapabilities:
    return types.ClientCapabilities(
        workspace=types.WorkspaceClientCapabilities(
            diagnostics=types.DiagnosticWorkspaceClientCapabilities(refresh_support=pull)
        ),
        text_document=types.TextDocumentClientCapabilities(
            publish_diagnostics=types.PublishDiagnosticsClientCapabilities(
                related_information=True
            ),
            diagnostic=types.DiagnosticClientCapabilities() if pull else None,
            code_lens=types.CodeLensClientCapabilities(),
            inlay_hint=types.InlayHintClientCapabilities(),
            hover=types.HoverClientCapabilities(content_format=[types.MarkupKind.Markdown]),
        ),
    )


def percentile(seconds: Sequence[float]) -> float:
    """Return the 95th percentile, in milliseconds."""
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1] * 1000


async def timed(ask: Callable[[], Awaitable[object]], times: int) -> list[float]:
    """Return how long each answer took, in seconds."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        await ask()
        seconds.append(time.perf_counter() - started)
    return seconds


async def start_up(
    commands: dict[str, list[str]], folder: Path, rounds: int
) -> dict[str, list[float]]:
    """Return the seconds until each contender answered `initialize`."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            async with session(command, folder) as (_, ready):
                if number:  # the first compiles what it imports
                    seconds[name].append(ready)
    return seconds


async def requests(
    command: Sequence[str], folder: Path, times: int, *, hover_only: bool = False
) -> dict[str, list[float]]:
    """Return how long each kind of request took, in seconds; files take turns."""
    async with session(command, folder, pull=not hover_only) as (made, _):
        client = made.client
        uris = [made.open(folder / test_file(number)) for number in range(8)]
        uris.append(made.open(folder / "shop" / "heavy.py"))
        asked = 0

        def document() -> types.TextDocumentIdentifier:
            nonlocal asked
            asked += 1
            return types.TextDocumentIdentifier(uris[asked % len(uris)])

        place = types.Position(4, 6)
        every = types.Range(types.Position(0, 0), types.Position(1000, 0))
        asks: dict[str, Callable[[], Awaitable[object]]] = {
            "hover": lambda: client.text_document_hover_async(types.HoverParams(document(), place)),
        }
        if not hover_only:
            asks |= {
                "code lenses": lambda: client.text_document_code_lens_async(
                    types.CodeLensParams(document())
                ),
                "inlay hints": lambda: client.text_document_inlay_hint_async(
                    types.InlayHintParams(document(), every)
                ),
                "diagnostics": lambda: client.text_document_diagnostic_async(
                    types.DocumentDiagnosticParams(document())
                ),
            }
        await asyncio.sleep(2)  # what is done once, after the start
        return {name: await timed(ask, times) for name, ask in asks.items()}


async def first_requests(command: Sequence[str], folder: Path, times: int) -> list[float]:
    """Return the seconds from opening a document until its lenses are there, for *times* of them.

    Each is another one, which the server has not seen before.
    """
    seconds = []
    async with session(command, folder, pull=True) as (made, _):
        await asyncio.sleep(2)  # what is done once, after the start
        for number in range(times):
            path = folder / test_file(number)
            started = time.perf_counter()
            document = types.TextDocumentIdentifier(made.open(path))
            await made.client.text_document_code_lens_async(types.CodeLensParams(document))
            seconds.append(time.perf_counter() - started)
    return seconds


async def commits(command: Sequence[str], folder: Path, times: int) -> list[float]:
    """Return the seconds from a result's commit until the client has its diagnostic."""
    seconds = []
    async with session(command, folder) as (made, _):
        uri = made.open(folder / test_file(0))
        await made.until(lambda: uri in made.published)
        writer = begin_run(folder)
        for number in range(times):
            test = over_limit(number)
            message = test.checks[0].message
            started = time.perf_counter()
            writer.add_test(test)
            await made.until(
                lambda message=message: any(  # type: ignore[misc]
                    mark.message.endswith(message) for mark in made.published.get(uri, ())
                )
            )
            seconds.append(time.perf_counter() - started)
        writer.finish(0)
        writer.close()
    return seconds


async def at_rest(command: Sequence[str], folder: Path) -> dict[str, float]:
    """Return what a server holds with ten documents open, and what it does when nothing happens."""
    async with session(command, folder) as (made, _):
        for number in range(10):
            made.open(folder / test_file(number))
        await asyncio.sleep(5)
        before = made.cpu_seconds()
        await asyncio.sleep(10)
        return {
            "memory_mib": made.kibibytes() / 1024,
            "idle_cpu_percent": (made.cpu_seconds() - before) * 10,
        }


async def measure(folder: Path, rounds: int, times: int) -> dict[str, Any]:
    """Return all figures."""
    commands = prepare()
    database = database_path(folder)
    report("making the project")
    make_project(folder)
    facts = {"tests": TESTS, "files": FILES, "runs": RUNS, "bytes": database.stat().st_size}
    report(f"  {facts}")
    report("start-up")
    ready = await start_up(commands, folder, rounds)
    report("requests")
    asked = await requests(commands["memlens"], folder, times)
    first = await first_requests(commands["memlens"], folder, 40)
    jedi = await requests(commands["jedi"], folder, min(times, 50), hover_only=True)
    report("commits")
    committed = await commits(commands["memlens"], folder, 40)
    report("memory and processor at rest")
    rest = {name: await at_rest(command, folder) for name, command in commands.items()}
    return {
        "project": facts,
        "start_up_seconds": ready,
        "request_p95_ms": {name: percentile(seconds) for name, seconds in asked.items()},
        "first_lenses_p95_ms": percentile(first),
        "jedi_hover_p95_ms": percentile(jedi["hover"]),
        "commit_p95_ms": percentile(committed),
        "at_rest": rest,
    }


def report(text: str) -> None:
    """Tell whoever waits what is being done."""
    print(text, file=sys.stderr, flush=True)


def show(figures: dict[str, Any]) -> None:
    """Print the figures beside their budgets."""
    ready = {name: statistics.median(s) for name, s in figures["start_up_seconds"].items()}
    rest = figures["at_rest"]
    lines = [
        ("start-up ÷ bare pygls server", ready["memlens"] / ready["bare"], f"≤ {START_UP}"),
        ("  the same for jedi-language-server", ready["jedi"] / ready["bare"], ""),
        *(
            (f"{name}, 95th percentile, ms", value, f"≤ {REQUEST_MS:g}")
            for name, value in figures["request_p95_ms"].items()
        ),
        (
            "from opening to lenses, 95th percentile, ms",
            figures["first_lenses_p95_ms"],
            f"≤ {REQUEST_MS:g}",
        ),
        ("  hover of jedi-language-server, ms", figures["jedi_hover_p95_ms"], ""),
        (
            "commit to diagnostics, 95th percentile, ms",
            figures["commit_p95_ms"],
            f"≤ {COMMIT_MS:g}",
        ),
        (
            "memory ÷ bare pygls server",
            rest["memlens"]["memory_mib"] / rest["bare"]["memory_mib"],
            f"≤ {MEMORY}",
        ),
        (
            "  the same for jedi-language-server",
            rest["jedi"]["memory_mib"] / rest["bare"]["memory_mib"],
            "",
        ),
        ("processor when nothing changes, %", rest["memlens"]["idle_cpu_percent"], ""),
        ("  of the bare pygls server, %", rest["bare"]["idle_cpu_percent"], ""),
    ]
    for what, value, budget in lines:
        print(f"{what:45}{value:10.2f}  {budget}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="starts of each")
    parser.add_argument("--requests", type=int, default=200, metavar="N", help="of each kind")
    parser.add_argument("--json", type=Path, default=HOME / "language-server.json")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="memlens-benchmark-") as scratch:
        folder = Path(scratch).resolve() / "shop"
        folder.mkdir()
        try:
            figures = asyncio.run(measure(folder, options.rounds, options.requests))
        except BenchmarkError as error:
            report(f"{error}\nThe benchmark cannot go on.")
            return 1
    show(figures)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"Written to {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
