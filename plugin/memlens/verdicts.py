"""A measurement and its limits make a verdict. Pure."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from memlens.markers import Limit, LimitLeakedObjects, LimitLeaks, LimitMemory
from memlens.sizes import format_size
from memlens.stacks import MeasuredStack, Stacks
from memlens.store.records import CheckRecord, Verdict

#: How many types of leaked objects a message names.
_NAMED_TYPES = 5
#: What CPython 3.11 calls, once for each code object, when a function is entered while a profile
#: function is set, as memray's is: a table of lines that lives as long as the code.
_MADE_FOR_TRACING = "_PyCode_CreateLineArray"


class Evidence(NamedTuple):
    """What verdicts are reached from. Sizes are bytes."""

    #: What was alive at the peak and after the body, by call stack and thread.
    peak_stacks: Stacks
    alive_stacks: Stacks
    #: The body raised: its traceback keeps its frames alive, so nothing can be said of leaks.
    body_raised: bool
    #: The Python objects that the body made and that outlived it, if they were looked for.
    survivors: Sequence[object] = ()


class Judgement(NamedTuple):
    """One limit's verdict and the stacks that explain it."""

    check: CheckRecord
    #: Those that leak, the largest first.
    stacks: tuple[MeasuredStack, ...] = ()


def judge(limit: Limit, evidence: Evidence) -> Judgement:
    """Return the verdict on *limit*. Whatever a `filter_fn` raises is raised."""
    if isinstance(limit, LimitMemory):
        return _judge_memory(limit, evidence)
    if evidence.body_raised:
        message = "Leaks were not judged because the test failed: its traceback keeps memory alive"
        allowed = limit.limit if isinstance(limit, LimitLeaks) else 0
        return Judgement(CheckRecord(limit.marker, allowed, 0, "not_judged", message))
    if isinstance(limit, LimitLeaks):
        return _judge_leaks(limit, evidence)
    return _judge_leaked_objects(limit, evidence)


def judge_peaks(
    limits: Sequence[Limit], all_threads: int, own_thread: int
) -> tuple[CheckRecord, ...]:
    """Return the verdicts on those of *limits* that are for the peak, which is in bytes."""
    return tuple(
        _judge_peak(limit, own_thread if limit.current_thread_only else all_threads)
        for limit in limits
        if isinstance(limit, LimitMemory)
    )


def judge_increase(peak: int, last: int, tolerance: float) -> Judgement:
    """Return whether *peak* is an increase over the *last* passing run's, both in bytes.

    *tolerance* is the share of the last peak that it may grow by: 0.05 for 5 %.
    """
    allowed = int(last * (1 + tolerance))
    grown = peak > allowed
    message = (
        f"Peak memory of {format_size(peak)} is {peak - last:,} B"
        f"{f' ({peak / last - 1:.1%})' if last else ''} more than in the last passing run"
        if peak > last
        else f"Peak memory of {format_size(peak)} is no more than in the last passing run"
    )
    verdict: Verdict = "exceeded" if grown else "passed"
    return Judgement(CheckRecord("fail_on_increase", allowed, peak, verdict, message))


def _judge_memory(limit: LimitMemory, evidence: Evidence) -> Judgement:
    peak = evidence.peak_stacks.size(current_thread_only=limit.current_thread_only)
    return Judgement(_judge_peak(limit, peak))


def _judge_peak(limit: LimitMemory, peak: int) -> CheckRecord:
    verdict: Verdict = "exceeded" if peak >= limit.limit else "passed"
    whose = "Peak memory of this thread" if limit.current_thread_only else "Peak memory"
    message = (
        f"{whose} of {format_size(peak)} is {_relation(peak, limit.limit)} the limit of"
        f" {format_size(limit.limit)}{_difference(peak, limit.limit)}"
    )
    return CheckRecord(limit.marker, limit.limit, peak, verdict, message)


def _judge_leaks(limit: LimitLeaks, evidence: Evidence) -> Judgement:
    alive = evidence.alive_stacks
    own = limit.current_thread_only
    leaking = tuple(
        stack
        for stack in alive.largest(least=limit.limit, current_thread_only=own)
        if not _is_of_measuring(stack)
        and (limit.filter_fn is None or limit.filter_fn(stack.as_public()))
    )
    allowed = f"the limit of {format_size(limit.limit)} for each"
    if not leaking:
        # What was ignored does not count.
        measured = alive.largest_size(below=limit.limit, current_thread_only=own)
        message = (
            f"At most {format_size(measured)} leaked from a call stack, below"
            f" {allowed}{_difference(measured, limit.limit)}"
        )
        return Judgement(CheckRecord(limit.marker, limit.limit, measured, "passed", message))
    total = format_size(sum(stack.size for stack in leaking))
    where = "1 call stack" if len(leaking) == 1 else f"{len(leaking)} call stacks"
    relation = _relation(leaking[-1].size, limit.limit)
    difference = _difference(leaking[0].size, limit.limit) if len(leaking) == 1 else ""
    message = f"Leaked {total} from {where}, {relation} {allowed}{difference}"
    check = CheckRecord(limit.marker, limit.limit, leaking[0].size, "exceeded", message)
    return Judgement(check, leaking)


def _is_of_measuring(stack: MeasuredStack) -> bool:
    """Return whether these allocations would not have been made without memray."""
    # In a debug build its allocator's frames come first.
    return any(frame.function == _MADE_FOR_TRACING for frame in stack.frames[:3])


def _judge_leaked_objects(limit: LimitLeakedObjects, evidence: Evidence) -> Judgement:
    leaked = [
        survivor
        for survivor in evidence.survivors
        if limit.filter_fn is None or limit.filter_fn(survivor)
    ]
    size = sum(_size_of(survivor) for survivor in leaked)
    if not leaked:
        return Judgement(CheckRecord(limit.marker, 0, 0, "passed", "Left no objects alive"))
    kinds = Counter(type(survivor).__qualname__ for survivor in leaked)
    named = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(_NAMED_TYPES))
    more = f", {len(kinds) - _NAMED_TYPES} more types" if len(kinds) > _NAMED_TYPES else ""
    objects = "1 object" if len(leaked) == 1 else f"{len(leaked)} objects"
    message = f"Left {objects} alive: {named}{more}"
    return Judgement(CheckRecord(limit.marker, 0, size, "exceeded", message))


def _size_of(survivor: object) -> int:
    try:
        return sys.getsizeof(survivor)
    except Exception:  # noqa: BLE001 - a user's __sizeof__ may do anything
        return 0


def _relation(measured: int, limit: int) -> str:
    if measured == limit:
        return "at"
    return "over" if measured > limit else "below"


def _difference(measured: int, limit: int) -> str:
    """Return by how much they differ if their sizes, which are rounded, do not tell."""
    if measured == limit or format_size(measured) != format_size(limit):
        return ""
    return f" by {format_size(abs(measured - limit))}"
