"""Code lenses over tests: run it, and what it took."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.findings import underlined
from memlens.sizes import format_size
from memlens.store import CheckRecord, TestRecord
from memlens_lsp.features.placing import line_of_test
from memlens_lsp.positions import line_at, range_on_line
from memlens_lsp.results import FileResults
from memlens_lsp.tests_in_source import find_tests, id_in_file, is_test_file

RUN_COMMAND = "memlens.run"
RUN_TITLE = "Run with memory limits"


def lenses(
    uri: str, path: PurePath, text: str, results: FileResults, codec: PositionCodec
) -> list[types.CodeLens]:
    """Return the lenses of the document *uri*, in order of their lines.

    Tests that were measured have them wherever they are, others in files that pytest would look at.
    """
    measured = _by_line(text, results)
    tests = {line: _common_id(cases) for line, cases in measured.items()}
    if results.tests or is_test_file(path):
        tests.update((found.line, found.id) for found in find_tests(text))
    made = []
    for line, test in sorted(tests.items()):
        name = test.rpartition("::")[2] or None
        place = range_on_line(text, line, underlined(line_at(text, line) or "", name), codec)
        made.append(types.CodeLens(place, command=_run(uri, test)))
        title = took(measured.get(line, ()))
        if title:
            # An empty command makes a lens that is text.
            made.append(types.CodeLens(place, command=types.Command(title, command="")))
    return made


def took(cases: Sequence[TestRecord]) -> str:
    """Return what the *cases* of one test took, in words; "" if none was measured."""
    peaks = [(phase.peak_bytes, case) for case in cases if (phase := case.phase("call"))]
    if not peaks:
        return ""
    peak, heaviest = max(peaks, key=lambda measured: measured[0])
    words = f"peak {format_size(peak)}"
    limit = next(iter(_checks(heaviest, "limit_memory")), None)
    if limit is not None:
        words += f" of {format_size(limit.limit_bytes)}"
    if len(peaks) > 1:
        words += f", heaviest of {len(peaks)}"
    leaks = [
        check.measured_bytes
        for case in cases
        for check in _checks(case, "limit_leaks")
        if check.verdict == "exceeded"
    ]
    if leaks:
        words += f", leaks {format_size(max(leaks))}"
    return words


def _checks(case: TestRecord, marker: str) -> list[CheckRecord]:
    return [check for check in case.checks if check.marker == marker]


def _by_line(text: str, results: FileResults) -> dict[int, list[TestRecord]]:
    cases: dict[int, list[TestRecord]] = {}
    for test in results.tests:
        measured = results.sources.get(test.run or 0)
        line = line_of_test(test.nodeid, test.line, measured, text)
        if line is not None:
            cases.setdefault(line, []).append(test)
    return cases


def _common_id(cases: Sequence[TestRecord]) -> str:
    """Return the id in the file of the test, or of the class, that all *cases* belong to."""
    # Tests that a class inherits from another file are all measured at its own line.
    ids = [id_in_file(case.nodeid).split("::") for case in cases]
    common = ids[0]
    for parts in ids[1:]:
        same = [left == right for left, right in zip(common, parts, strict=False)]
        common = common[: [*same, False].index(False)]
    return "::".join(common)


def _run(uri: str, test: str) -> types.Command:
    return types.Command(RUN_TITLE, RUN_COMMAND, arguments=[{"uri": uri, "test": test}])
