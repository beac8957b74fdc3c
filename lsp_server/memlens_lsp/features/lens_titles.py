"""What code lenses say of measured tests, in words."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from memlens.sizes import format_size
from memlens.store import CheckRecord, SiteRecord, TestRecord
from memlens_lsp.features.markup import printable
from memlens_lsp.positions import split_lines
from memlens_lsp.remembering import remembered
from memlens_lsp.results import FileResults
from memlens_lsp.tests_in_source import definitions, id_in_file

#: Changes of a peak by less than this share are no news.
_NEWS = 0.01
#: A parameter's name longer than this is cut.
_LONGEST_NAME = 40
#: Comparing code as Python sees it takes time; a longer test than this, in characters, has no other
#: change than one that counts.
_LONGEST_COMPARED = 40_000


class _Peak(NamedTuple):
    """The peak of a test's call, in bytes, and the test."""

    bytes: int
    test: TestRecord


def test_title(cases: Sequence[TestRecord], results: FileResults, text: str) -> str:
    """Return what the *cases* of one test took; "" if none was measured.

    With "edited since" if the test is another in *text* than in what was measured.
    """
    peaks = _peaks(cases)
    if not peaks:
        return ""
    heaviest = max(peaks, key=lambda peak: peak.bytes)
    words = [_one(heaviest, results.peaks_before)]
    if len(peaks) > 1:
        words = [f"{len(peaks)} cases", f"heaviest {_sized(heaviest, _parameters(heaviest.test))}"]
        over = sum(is_over_limit(test) for test in cases)
        words += [f"{over} over limit"] if over else []
    words += _leaks(cases, results.leaked)
    edited = any(is_edited(test, results, text) for test in cases)
    return ", ".join(words) + (" · edited since" if edited else "")


def group_title(cases: Sequence[TestRecord], results: FileResults, text: str) -> str:
    """Return what the tests of a class or of a file took together; "" if none was measured.

    With "edited since" if that is true of the one that is named.
    """
    peaks = _peaks(cases)
    if not peaks:
        return ""
    heaviest = max(peaks, key=lambda peak: peak.bytes)
    by_test: dict[str, list[TestRecord]] = {}
    for case in cases:
        by_test.setdefault(id_in_file(case.nodeid), []).append(case)
    name = _name_among(id_in_file(heaviest.test.nodeid), by_test)
    tests = "1 test" if len(by_test) == 1 else f"{len(by_test)} tests"
    words = [tests, f"heaviest {_sized(heaviest, name + _parameters(heaviest.test))}"]
    over = sum(any(map(is_over_limit, same)) for same in by_test.values())
    words += [f"{over} over limit"] if over else []
    leaking = sum(bool(_leaks(same, results.leaked)) for same in by_test.values())
    words += [f"{leaking} leaking"] if leaking else []
    edited = is_edited(heaviest.test, results, text)
    return ", ".join(words) + (" · edited since" if edited else "")


def site_title(sites: Iterable[SiteRecord]) -> str:
    """Return who allocates on a line: what *sites* of that line held, and leaked."""
    words = []
    for kind, verb in (("peak", ""), ("leak", "leaks ")):
        by_test: dict[tuple[str, str], int] = {}
        for site in sites:
            if site.kind == kind:
                # A folder may be called "[old]": only what follows the file has parameters.
                test = (site.nodeid.partition("::")[0], id_in_file(site.nodeid))
                by_test[test] = max(site.bytes, by_test.get(test, 0))
        if by_test:
            size = format_size(max(by_test.values()))
            _, first = next(iter(by_test))
            name = _short(first.rpartition("::")[2])
            who = name if len(by_test) == 1 else f"{len(by_test)} tests"
            words.append(f"{verb}{'' if len(by_test) == 1 else 'up to '}{size} in {who}")
    return ", ".join(words)


def heaviest(cases: Sequence[TestRecord]) -> TestRecord | None:
    """Return the one of *cases* with the largest peak, or None if none was measured."""
    peaks = _peaks(cases)
    return max(peaks, key=lambda peak: peak.bytes).test if peaks else None


def is_over_limit(test: TestRecord) -> bool:
    """Return whether *test* took more at its peak than it may."""
    return any(
        check.verdict == "exceeded"
        for marker in ("limit_memory", "fail_on_increase")
        for check in _checks(test, marker)
    )


def is_edited(test: TestRecord, results: FileResults, text: str) -> bool:
    """Return whether *test* is another in *text* than when it was measured.

    With its decorators, but not what Python does not see, such as comments and line breaks, nor its
    docstring. False if that is not known.
    """
    measured = results.sources.get(test.run or 0)
    if measured is None or measured == text:
        return False
    name = id_in_file(test.nodeid)
    before = definitions(measured).get(name, ())
    now = definitions(text).get(name, ())
    if not before or not now:
        return False
    codes = []
    for source, places in ((measured, before), (text, now)):
        # Of definitions with the same name Python keeps the last.
        place = next((same for same in places if same.line == test.line), places[-1])
        codes.append("\n".join(_lines(source)[place.first_line - 1 : place.last_line]))
    return not _same_code(*codes)


# Many tests of the same text are looked at.
@remembered
def _lines(text: str) -> Sequence[str]:
    return split_lines(text)


@lru_cache(maxsize=512)
def _same_code(one: str, other: str) -> bool:
    if one == other:
        return True
    one, other = (textwrap.dedent(code) for code in (one, other))
    if one == other:
        return True
    if max(len(one), len(other)) > _LONGEST_COMPARED:
        return False
    try:
        return _as_python_sees(one) == _as_python_sees(other)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _as_python_sees(code: str) -> str:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if ast.get_docstring(node, clean=False) is not None:
                    del node.body[0]
    return ast.dump(tree)


def _peaks(cases: Iterable[TestRecord]) -> list[_Peak]:
    return [_Peak(call.peak_bytes, case) for case in cases if (call := case.phase("call"))]


def _one(peak: _Peak, peaks_before: Mapping[int, int]) -> str:
    words = f"peak {format_size(peak.bytes)}"
    limit = _limit(peak.test)
    if limit is not None:
        words += f" of {format_size(limit)}"
    before = peaks_before.get(peak.test.id or 0)
    return words + (_change(before, peak.bytes) if before else "") + _in(_parameters(peak.test))


def _in(parameters: str) -> str:
    return f" {parameters}" if parameters else ""


def _change(before: int, now: int) -> str:
    change = (now - before) / before
    if abs(change) < _NEWS:
        return ""
    sign = "▲" if change > 0 else "▼"
    if change >= 10:
        return f" {sign} {now / before:.0f}×"  # noqa: RUF001 - it is one
    return f" {sign} {abs(change):.0%}".replace("%", " %")


def _limit(test: TestRecord) -> int | None:
    checks = [
        *_checks(test, "limit_memory"),
        *(check for check in _checks(test, "fail_on_increase") if check.verdict == "exceeded"),
    ]
    return checks[0].limit_bytes if checks else None


def _leaks(cases: Iterable[TestRecord], leaked: Mapping[int, int]) -> list[str]:
    words = []
    for marker, verb in (("limit_leaks", "leaks"), ("limit_leaked_objects", "leaks objects of")):
        # Of limit_leaks the largest call stack was compared with the limit; all of them leak.
        together = leaked if marker == "limit_leaks" else {}
        leaks = [
            together.get(case.id or 0, check.measured_bytes)
            for case in cases
            for check in _checks(case, marker)
            if check.verdict == "exceeded"
        ]
        words += [f"{verb} {format_size(max(leaks))}"] if leaks else []
    return words


def _checks(test: TestRecord, marker: str) -> list[CheckRecord]:
    return [check for check in test.checks if check.marker == marker]


def _sized(peak: _Peak, name: str) -> str:
    return f"{format_size(peak.bytes)} {name}".rstrip()


def _parameters(test: TestRecord) -> str:
    """Return the parameters as in the node id: ``[big]``, or "" if it has none."""
    _, bracket, parameters = test.name.partition("[")
    return bracket + _short(parameters.removesuffix("]")) + "]" if bracket else ""


def _name_among(test: str, others: Iterable[str]) -> str:
    """Return the name of *test*, with as many of its classes as tell it from the *others*.

    All of them ids in a file. Classes that inherit a test share its name.
    """
    parts = test.split("::")
    names = [other.split("::") for other in others if other != test]
    length = 1
    while length < len(parts) and any(name[-length:] == parts[-length:] for name in names):
        length += 1
    return "::".join(_short(part) for part in parts[-length:])


def _short(name: str) -> str:
    # A lens is one line. VS Code would make an icon of "$(zap)".
    return printable(name, _LONGEST_NAME).replace("$(", "$ (")
