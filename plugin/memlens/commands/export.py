"""`memlens export`: results as other tools read them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from memlens.commands.common import (
    FINE,
    CommandError,
    add_command,
    counted,
    results_path,
    rootdir_of,
    selected,
)
from memlens.commands.states import is_file, read_state
from memlens.exports import KINDS, render, render_test
from memlens.exports.results import Results, read_results
from memlens.exports.session import append_summary, write_text
from memlens.store import ResultsReader, TestRecord

_STDOUT = "-"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    width = max(map(len, KINDS))
    kinds = "\n".join(f"  {name:<{width}}  {kind.what}" for name, kind in KINDS.items())
    parser = add_command(
        commands,
        "export",
        summary="write results for other tools",
        description=(
            "Write the newest result of each test, or of those that are named, for other tools.\n\n"
            f"formats:\n{kinds}\n\n"
            "'pytest --memray-report=FORMAT' writes the same at the end of a run."
        ),
        examples=(
            "memlens export --format html -o memory.html\n"
            "memlens export --format sarif --run last -o memlens.sarif\n"
            "memlens export --format speedscope tests/test_a.py::test_b -o b.speedscope.json"
        ),
        exit_status="0 written, 2 not",
    )
    parser.add_argument(
        "nodeids",
        nargs="*",
        metavar="NODEID",
        help="a test, class, file or folder; heapprofile and speedscope need one test",
    )
    parser.add_argument(
        "--format",
        required=True,
        choices=tuple(KINDS),
        metavar="FORMAT",
        help="one of the formats above",
    )
    parser.add_argument(
        "-o",
        "--output",
        default=_STDOUT,
        metavar="FILE",
        help="where to write it (default: standard output). Of github that is the step summary,"
        " which is appended to FILE (default: the one that GITHUB_STEP_SUMMARY names)",
    )
    parser.add_argument(
        "--run",
        dest="measured_by",
        metavar="RUN",
        help="only what this run measured ('last', 'last~1', the beginning of its number), or what"
        " was measured of this git commit",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the report."""
    kind = KINDS[arguments.format]
    with ResultsReader(results_path(arguments)) as reader:
        tests = _tests(reader, arguments)
        if not tests:
            raise CommandError(
                f"{reader.path} has no result of a test: 'pytest --memray' measures all"
            )
        if kind.suffix is not None and len(tests) > 1:
            raise CommandError(
                f"a {arguments.format} is of one test, and {counted(len(tests), 'test')} were"
                " chosen: give the NODEID of one"
            )
        results = read_results(reader, tests, history=kind.has_history)
    if kind.suffix is not None:
        text = render_test(arguments.format, results, *tests)
    else:
        text = render(arguments.format, results)
    _write(arguments.output, results, text, github=arguments.format == "github")
    return FINE


def _tests(reader: ResultsReader, arguments: argparse.Namespace) -> list[TestRecord]:
    wanted = arguments.measured_by
    if wanted is None:
        tests = reader.latest_tests()
    elif is_file(wanted):
        raise CommandError(f"--run {wanted}: is a file, and no run. Say --results {wanted}")
    else:
        chosen = read_state(wanted, reader.path).tests
        ids = {test.id for test in chosen}
        runs = {test.run for test in chosen if test.run is not None}
        tests = [test for test in reader.tests_of(*runs) if test.id in ids]
    return selected(tests, arguments.nodeids, rootdir_of(reader))


def _write(output: str, results: Results, text: str, *, github: bool) -> None:
    path = None if output == _STDOUT else Path(output)
    if github or path is None:  # GitHub Actions reads annotations from what a step prints
        sys.stdout.write(text)
    try:
        if github:
            append_summary(results, path)
        elif path is not None:
            write_text(path, text)
    except OSError as error:
        raise CommandError(f"not written: {error}") from None
