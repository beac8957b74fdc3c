"""What has become of a measured test since: whether its code or its limit is another now."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from memlens.findings import Code, Finding
from memlens.store import CheckRecord, TestRecord
from memlens_lsp.features.lens_titles import is_edited
from memlens_lsp.features.measured_limits import MEASURED_MARKERS, nearest_marker, written_size
from memlens_lsp.markers_in_source import Marker, find_markers
from memlens_lsp.results import FileResults
from memlens_lsp.tests_in_source import id_in_file

_OVER_PEAK = frozenset(("limit_memory", "fail_on_increase"))
_LEAKING = frozenset(("limit_leaks",))
#: The limits that are broken where there is a finding of a code.
_LIMITS: dict[Code, frozenset[str]] = {
    "memory-limit-exceeded": _OVER_PEAK,
    "memory-hotspot": _OVER_PEAK,
    "memory-leak": _LEAKING,
    "leak-site": _LEAKING,
}


def was_edited(test: TestRecord, measured: str, text: str) -> bool:
    """Return whether *test* is another in *text* than in the *measured* text of its file."""
    return is_edited(test, FileResults(sources={test.run or 0: measured}), text)


def is_admitted(finding: Finding, test: TestRecord, measured: str, text: str) -> bool:
    """Return whether the limits that *test* has in *text* allow what *finding* complains of.

    *measured* is its file's text as the run saw it. False if it is not known whether the limit
    that was broken is one of that text: it may be pytest's default, or given by other code.
    """
    if measured == text:
        return False
    limits = _LIMITS.get(finding.code, frozenset())
    broken = [
        check for check in test.checks if check.verdict == "exceeded" and check.marker in limits
    ]
    # A test may be over its limit and also over its last peak.
    own = [check for check in broken if check.message == finding.message] or broken
    return bool(own) and all(_admits_now(check, test, measured, text) for check in own)


def _admits_now(check: CheckRecord, test: TestRecord, measured: str, text: str) -> bool:
    name = id_in_file(test.nodeid)
    if check.marker not in MEASURED_MARKERS or not _may_have_changed(name, measured, text):
        return False
    before = nearest_marker(measured, check.marker, name)
    now = nearest_marker(text, check.marker, name)
    if before is None or now is None or now.name != check.marker:
        return False
    allowed = written_size(now)
    return (
        written_size(before) == check.limit_bytes
        and allowed is not None
        and check.measured_bytes < allowed
        and _whose(before) == _whose(now)
    )


def _whose(marker: Marker) -> Any:
    """Return which threads' memory *marker* limits: only what was measured can be compared."""
    return marker.kwargs.get("current_thread_only", False)


def _may_have_changed(test: str, measured: str, text: str) -> bool:
    """Return whether a limit was edited that *test* may have: cheaper than to find its own."""
    names = _with_other_limits(measured, text)
    return None in names or test.rpartition("::")[2] in names


@lru_cache(maxsize=8)
def _with_other_limits(measured: str, text: str) -> frozenset[str | None]:
    """Return the names of the functions whose markers differ; None for classes and the module."""
    before, now = _by_owner(measured), _by_owner(text)
    return frozenset(
        owner for owner in before.keys() | now.keys() if before.get(owner) != now.get(owner)
    )


def _by_owner(text: str) -> dict[str | None, list[tuple[str, str]]]:
    by_owner: dict[str | None, list[tuple[str, str]]] = {}
    for marker in find_markers(text):
        owner = marker.owner
        if owner is not None:
            name = None if owner.is_class or not owner.line else owner.name
            written = text[slice(*marker.span)]
            by_owner.setdefault(name, []).append((owner.id, written))
    return by_owner
