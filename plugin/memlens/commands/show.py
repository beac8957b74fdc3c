"""`memlens show`: all that is known of one test."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from memlens.commands.common import (
    FINE,
    NOISE,
    CommandError,
    add_command,
    commit_name,
    counted,
    listed,
    local_time,
    named,
    none_like,
    results_path,
    rootdir_of,
    run_name,
    share_of_limit,
    shown_path,
    signed_size,
)
from memlens.commands.screen import Column, Line, Piece, Screen, table
from memlens.commands.stack_tree import tree, tree_lines
from memlens.sizes import format_size
from memlens.store import FrameRecord, ResultsReader, RunRecord, StackKind, StackRecord, TestRecord
from memlens.store.reading import PastResult

_PHASES = ("setup", "call", "teardown")
_STACKS: tuple[tuple[StackKind, str], ...] = (
    ("peak", "Call stacks at the peak, from the test inwards"),
    ("leak", "Not freed by the end of the test, from the test inwards"),
    ("setup", "Call stacks at the peak of set-up, from the fixture inwards"),
    ("teardown", "Call stacks at the peak of teardown, from the fixture inwards"),
)
#: How many points the sparkline has, and how many results below it have their own line.
_SPARKLINE = 50
_LISTED = 10
#: What stands before the part of a library's path that says which library it is.
_INSTALLED = re.compile(r".*/(?:site-packages|dist-packages|lib/python[\d.]+)/(?=.)")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "show",
        summary="show one test: phases, limits, call stacks, leaks, history",
        description=(
            "Show the newest result of one test: what its phases took, its limits, the call\n"
            "stacks that held memory at its peak as a tree, what leaked, what a heavy set-up or\n"
            "teardown held, and its earlier peaks."
        ),
        examples="memlens show tests/test_shop.py::test_checkout\nmemlens show test_checkout",
        exit_status="0 shown, 2 no results could be read or NODEID does not name one test",
    )
    parser.add_argument(
        "nodeid",
        metavar="NODEID",
        help="the test, as pytest takes it; its name alone will do if there is only one such",
    )
    parser.add_argument("--native", action="store_true", help="show native frames too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write all that is known of the test."""
    screen = Screen()
    with ResultsReader(results_path(arguments)) as reader:
        rootdir = rootdir_of(reader)
        test = _the_test(reader, arguments.nodeid, rootdir)
        runs = {run.id: run for run in reader.measured_runs()}
        history = reader.history(test.path, test.name, _SPARKLINE)

    def place(frame: FrameRecord) -> str:
        return _place(frame, rootdir)

    screen.write([Piece(test.nodeid, "bold")])
    screen.write_all(_heading(test, runs.get(test.run), rootdir))
    screen.write_all(_phases(test, screen))
    screen.write_all(_limits(test))
    for kind, title in _STACKS:
        stacks = test.stacks_of(kind)
        if stacks:
            screen.write()
            screen.write([Piece(title, "bold")])
            root = tree(stacks, native=arguments.native)
            screen.write_all(tree_lines(root, place, unicode=screen.unicode))
            screen.write_all(_rest(test, kind, stacks))
    screen.write_all(_history(history, screen))
    return FINE


def _the_test(reader: ResultsReader, wanted: str, rootdir: Path) -> TestRecord:
    """Return the newest result of the one test that *wanted* names."""
    known = {nodeid: (path, name) for path, name, nodeid in reader.nodeids()}
    found = [wanted] if wanted in known else named([*known], wanted, rootdir)
    if not found:
        none_like(wanted, [*known])
    if len(found) > 1:
        raise CommandError(
            f"{wanted!r} is {counted(len(found), 'test')}; say which\n{listed(found)}"
        )
    test = reader.latest_test(*known[found[0]])
    assert test is not None
    return test


def _heading(test: TestRecord, run: RunRecord | None, rootdir: Path) -> Iterator[Line]:
    style = {"passed": "green", "failed": "bold red"}.get(test.outcome, "yellow")
    worker = f" by {test.worker}" if test.worker else ""
    line: list[Piece | str] = [Piece(test.outcome, style), f" in {test.duration:.2f} s{worker}"]
    if run is not None:
        line.append(f", {run_name(run)}")
    yield line
    yield [f"{shown_path(rootdir / test.path)}:{test.line}"]


def _phases(test: TestRecord, screen: Screen) -> Iterator[Line]:
    columns = (
        Column("", right=False),
        Column("peak"),
        Column("left alive"),
        Column("allocations"),
        Column("in all"),
    )
    rows = []
    for name in _PHASES:
        phase = test.phase(name)
        if phase is None:
            figures = ["not measured", "", "", ""]
        else:
            figures = [format_size(phase.peak_bytes), format_size(phase.alive_bytes)]
            figures += (
                ["not counted", ""]
                if phase.allocations is None
                else [f"{phase.allocations:,}", format_size(phase.allocated_bytes or 0)]
            )
        style = "bold" if name == "call" else ""
        title = {"setup": "set-up", "call": "test"}.get(name, name)
        rows.append([Piece(f"  {title}", style), *(Piece(f, style) for f in figures), Piece("")])
    yield []
    yield [Piece("Phases", "bold")]
    yield from table(columns, rows, None)
    call = test.phase("call")
    bars = screen.histogram(call.histogram) if call is not None else ""
    if bars:
        yield [f"  sizes of the test's allocations{bars}"]


def _limits(test: TestRecord) -> Iterator[Line]:
    if not test.checks:
        return
    yield []
    yield [Piece("Limits", "bold")]
    width = max(len(check.marker) for check in test.checks)
    for check in test.checks:
        share = share_of_limit(check)
        style = {"exceeded": "bold red", "passed": "green"}.get(check.verdict, "yellow")
        verdict = {"exceeded": "exceeded", "passed": "kept"}.get(check.verdict, "not judged")
        limit = format_size(check.limit_bytes) if check.limit_bytes else ""
        yield [
            f"  {check.marker:<{width}}  {limit:>10}  ",
            f"{'' if share is None else f'{share:.0%}':>6}  ",
            Piece(verdict, style),
        ]
        yield [Piece(f"    {check.message}", style if check.verdict == "exceeded" else "dim")]


def _rest(test: TestRecord, kind: StackKind, stacks: Sequence[StackRecord]) -> Iterator[Line]:
    """Yield what a peak has beside *stacks*: of a test within its limits few are kept."""
    phase = test.phase("call" if kind == "peak" else kind)
    rest = 0 if phase is None else phase.peak_bytes - sum(stack.bytes for stack in stacks)
    if rest > 0:
        yield [Piece(f"{format_size(rest):>10}  in smaller call stacks", "dim")]


def _history(history: Sequence[PastResult], screen: Screen) -> Iterator[Line]:
    if len(history) < 2:
        return
    peaks = [past.peak_bytes for past in reversed(history)]
    yield []
    yield [Piece(f"History, {counted(len(history), 'run')}", "bold")]
    yield [
        "  ",
        Piece(screen.sparkline(peaks), "cyan"),
        f"  {format_size(min(peaks))} to {format_size(max(peaks))}",
    ]
    columns = (Column("", right=False), Column(""), Column(""), Column("", right=False))
    rows = []
    for past, before in zip(history[:_LISTED], [*history[1:], None], strict=False):
        change = None if before is None else past.peak_bytes - before.peak_bytes
        style = "dim" if change is None or abs(change) < NOISE else "red" if change > 0 else "green"
        rows.append(
            [
                Piece(f"  {local_time(past.started)}"),
                Piece(format_size(past.peak_bytes), "bold"),
                Piece("" if change is None else signed_size(change), style),
                Piece(past.outcome, "red" if past.outcome == "failed" else ""),
                Piece(commit_name(past.git_commit, past.git_dirty), "dim"),
            ]
        )
    yield from table(columns, rows, None)
    if len(history) > _LISTED:
        yield [f"  and {len(history) - _LISTED} earlier"]


def _place(frame: FrameRecord, rootdir: Path) -> str:
    """Return where *frame* is: the project's as one types it here, a library's from its name on."""
    if frame.kind == "project":
        path = shown_path(rootdir / frame.path)
    elif frame.kind == "library":
        path = _INSTALLED.sub("", frame.path)
    else:
        path = frame.path
    return f"{path}:{frame.line}" if frame.line else path
