"""`memlens compare`: which tests grew, shrank, appeared, vanished between two states."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from memlens.commands.common import (
    FINE,
    FOUND,
    NOISE,
    add_command,
    counted,
    results_path,
    signed_size,
    size_argument,
    whole_number,
)
from memlens.commands.comparison import Difference, Kind, compare
from memlens.commands.screen import Column, Line, Piece, Screen, printable, table
from memlens.commands.states import State, read_state
from memlens.sizes import format_size

_KINDS: tuple[Kind, ...] = ("grew", "shrank", "appeared", "vanished")
_STYLES = {"grew": "red", "shrank": "green", "appeared": "cyan", "vanished": "dim"}
_PERCENTAGE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%?\s*", re.ASCII)


class Comparison(NamedTuple):
    """What is shown."""

    base: State
    head: State
    differences: list[Difference]
    #: Bytes, and the share that a peak may grow by.
    at_least: int
    allowed: float | None
    #: How many tests of each kind are shown; 0 for all.
    top: int

    def of(self, kind: Kind) -> list[Difference]:
        """Return the differences of *kind*."""
        return [each for each in self.differences if each.kind == kind]

    @property
    def failed(self) -> int:
        """How many tests have grown by more than is allowed."""
        return sum(1 for each in self.differences if each.failed)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "compare",
        summary="show which tests grew, shrank, appeared, vanished",
        description=(
            "Compare the peaks of two states. Each is a results file, a run (the beginning of\n"
            "its number; 'last', or 'last~1' for the one before it) or a git commit that was\n"
            "measured (the beginning of its hash, or a name that git knows, such as 'main')."
        ),
        examples=(
            "memlens compare last~1\n"
            "memlens compare main --fail-on 5%\n"
            "memlens compare main.db pull-request.db --format markdown"
        ),
        exit_status="0 compared, 1 a test grew by more than --fail-on, 2 it could not be done",
    )
    parser.add_argument("base", metavar="BASE", help="what was")
    parser.add_argument(
        "head",
        metavar="HEAD",
        nargs="?",
        help="what is (default: the last run; if BASE is a commit, all runs of the last run's"
        " commit; if BASE is a file, the newest result of every test)",
    )
    parser.add_argument(
        "--fail-on",
        type=_percentage,
        metavar="PERCENT",
        help="exit with 1 if a test's peak grew by more than this, such as 5%%",
    )
    parser.add_argument(
        "--at-least",
        type=size_argument,
        default=NOISE,
        metavar="SIZE",
        help="take smaller changes for none, however large their share (default: "
        f"{format_size(NOISE)})",
    )
    parser.add_argument(
        "--format",
        choices=tuple(_FORMATS),
        default="text",
        help="how to write it (default: %(default)s)",
    )
    parser.add_argument(
        "--top",
        type=whole_number(least=0),
        default=50,
        metavar="N",
        help="show at most N tests of each kind, 0 for all (default: %(default)s; json has all)",
    )
    parser.set_defaults(run=run)


def _percentage(text: str) -> float:
    match = _PERCENTAGE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage such as 5%")
    return float(match[1]) / 100


def run(arguments: argparse.Namespace) -> int:
    """Write the comparison; return 1 if a test has grown by more than is allowed."""
    path = results_path(arguments)
    base = read_state(arguments.base, path)
    head = read_state(arguments.head, path, beside=base)
    comparison = Comparison(
        base,
        head,
        compare(base.tests, head.tests, at_least=arguments.at_least, allowed=arguments.fail_on),
        arguments.at_least,
        arguments.fail_on,
        arguments.top,
    )
    screen = Screen()
    screen.write_all(_FORMATS[arguments.format](comparison, screen))
    return FOUND if comparison.failed else FINE


def _text(comparison: Comparison, screen: Screen) -> Iterator[Line]:
    for role, state in (("base", comparison.base), ("head", comparison.head)):
        yield [Piece(f"{role}  ", "dim"), _state(state)]
        if state.left_out:
            yield [Piece(f"      {_left_out(state)}", "dim")]
    for kind in _KINDS:
        differences = comparison.of(kind)
        if not differences:
            continue
        yield []
        yield [Piece(kind, f"bold {_STYLES[kind]}")]
        shown = differences[: comparison.top or None]
        columns = [Column("", right=right) for right in (True, True, True, False, False)]
        yield from table(columns, [_row(each, screen) for each in shown], screen.width)
        if len(shown) < len(differences):
            yield [f"  and {len(differences) - len(shown):,} more (--top 0 shows all)"]
    yield []
    yield [_totals(comparison)]
    if comparison.allowed is not None:
        yield [Piece(_verdict(comparison), "bold red" if comparison.failed else "green")]


def _row(difference: Difference, screen: Screen) -> list[Piece]:
    style = _STYLES[difference.kind]
    if difference.base is None or difference.head is None:
        size = difference.head if difference.base is None else difference.base
        figures = [Piece(""), Piece(f"  {format_size(size or 0)}", style), Piece("")]
    else:
        figures = [
            Piece(f"  {signed_size(difference.change)}", style),
            Piece(_share(difference), style),
            Piece(
                f"{format_size(difference.base)} {screen.arrow()} {format_size(difference.head)}"
            ),
        ]
    return [
        *figures,
        Piece("!" if difference.failed else "", "bold red"),
        Piece(difference.outcomes, "dim"),
        Piece(difference.nodeid, "bold red" if difference.failed else ""),
    ]


def _share(difference: Difference) -> str:
    share = difference.share
    if share is None:
        return ""
    # A growth from a few bytes to megabytes is not read better in exact per cents.
    return f"{share:+.0%}" if share < 100 else f"x{share + 1:,.0f}"


def _state(state: State) -> str:
    return f"{state.name}, {counted(len(state.tests), 'test')}"


def _whole_state(state: State) -> str:
    return f"{_state(state)} ({_left_out(state)})" if state.left_out else _state(state)


def _left_out(state: State) -> str:
    more = counted(state.left_out, "more test")
    return f"{more} in other runs of this commit: give the commit for all"


def _totals(comparison: Comparison) -> str:
    counts = [f"{len(comparison.of(kind)):,} {kind}" for kind in _KINDS]
    same = len(comparison.of("same"))
    return f"{', '.join(counts)}, {same:,} within {format_size(comparison.at_least)}"


def _verdict(comparison: Comparison) -> str:
    allowed = f"{(comparison.allowed or 0) * 100:g} %"
    if all(each.base is None or each.head is None for each in comparison.differences):
        return "No test is in both: none could be compared"
    if not comparison.failed:
        return f"No test grew by more than {allowed}"
    return f"{counted(comparison.failed, 'test')} grew by more than {allowed}"


def _markdown(comparison: Comparison, screen: Screen) -> Iterator[Line]:
    title = "Memory of the tests"
    if comparison.allowed is not None:
        title = f"{':x:' if comparison.failed else ':white_check_mark:'} {_verdict(comparison)}"
    yield [f"### {title}"]
    yield []
    yield [f"{_totals(comparison)}."]
    for kind in _KINDS:
        differences = comparison.of(kind)
        if not differences:
            continue
        shown = differences[: comparison.top or None]
        # What has gone or come is seldom why one looks.
        folded = kind != "grew"
        yield []
        yield [
            f"<details{'' if folded else ' open'}><summary><b>{len(differences):,} {kind}</b>"
            "</summary>"
        ]
        yield []
        yield ["| | before | now | change | test |"]
        yield ["|---|--:|--:|--:|---|"]
        for each in shown:
            yield [_markdown_row(each)]
        yield []
        if len(shown) < len(differences):
            yield [f"and {len(differences) - len(shown):,} more"]
            yield []
        yield ["</details>"]
    yield []
    yield [
        f"<sub>{_escaped(_whole_state(comparison.base))} {screen.arrow()}"
        f" {_escaped(_whole_state(comparison.head))}."
        " Peak memory, measured by memlens.</sub>"
    ]


def _markdown_row(difference: Difference) -> str:
    base, head = (
        "" if size is None else format_size(size) for size in (difference.base, difference.head)
    )
    change = ""
    if difference.base is not None and difference.head is not None:
        change = f"{signed_size(difference.change)} {_share(difference)}".strip()
    outcomes = f" ({difference.outcomes})" if difference.outcomes else ""
    return (
        f"| {':x:' if difference.failed else ''} | {base} | {head} | {change} |"
        f" <code>{_escaped(difference.nodeid)}</code>{outcomes} |"
    )


def _escaped(text: str) -> str:
    """Return *text* so that Markdown and HTML see nothing in it but text."""
    return re.sub(r"[^\w\s./:,-]|_", lambda match: f"&#{ord(match[0])};", printable(text))


def _json(comparison: Comparison, _screen: Screen) -> Iterator[Line]:
    data = {
        "schema": 1,
        "base": {"name": comparison.base.name, "tests": len(comparison.base.tests)},
        "head": {"name": comparison.head.name, "tests": len(comparison.head.tests)},
        "at_least_bytes": comparison.at_least,
        "fail_on": comparison.allowed,
        "failed": comparison.failed > 0,
        "tests": [
            {
                "nodeid": each.nodeid,
                "change": each.kind,
                "base_bytes": each.base,
                "head_bytes": each.head,
                "failed": each.failed,
            }
            for each in comparison.differences
        ],
    }
    yield from ([line] for line in json.dumps(data, indent=2).splitlines())


#: What `--format` writes.
_FORMATS = {"text": _text, "markdown": _markdown, "json": _json}
