"""A measurement and its limits make a verdict. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memlens.markers import Limit, LimitLeaks
from memlens.sizes import format_size
from memlens.stacks import MeasuredStack
from memlens.store.records import CheckRecord, Verdict


@dataclass(frozen=True)
class Evidence:
    """What verdicts are reached from. Sizes are bytes."""

    peak: int
    #: By call stack, the largest first.
    peak_stacks: Sequence[MeasuredStack]
    alive_stacks: Sequence[MeasuredStack]
    #: The body raised: its traceback keeps its frames alive, so nothing can be said of leaks.
    body_raised: bool


@dataclass(frozen=True)
class Judgement:
    """One limit's verdict and the stacks that explain it."""

    check: CheckRecord
    #: The stacks at the peak, or only those that leak; the largest first.
    stacks: tuple[MeasuredStack, ...]


def judge(limit: Limit, evidence: Evidence) -> Judgement:
    """Return the verdict on *limit*. Whatever a `filter_fn` raises is raised."""
    if isinstance(limit, LimitLeaks):
        return _judge_leaks(limit, evidence)
    verdict: Verdict = "exceeded" if evidence.peak >= limit.limit else "passed"
    message = (
        f"Peak memory of {format_size(evidence.peak)} is"
        f" {_relation(evidence.peak, limit.limit)} the limit of {format_size(limit.limit)}"
    )
    check = CheckRecord(limit.marker, limit.limit, evidence.peak, verdict, message)
    return Judgement(check, tuple(evidence.peak_stacks))


def _judge_leaks(limit: LimitLeaks, evidence: Evidence) -> Judgement:
    if evidence.body_raised:
        message = "Leaks were not judged because the test failed: its traceback keeps memory alive"
        return Judgement(CheckRecord(limit.marker, limit.limit, 0, "not_judged", message), ())
    leaking = tuple(
        stack
        for stack in evidence.alive_stacks
        if stack.size >= limit.limit
        and (limit.filter_fn is None or limit.filter_fn(stack.as_public()))
    )
    allowed = f"the limit of {format_size(limit.limit)} for each"
    if not leaking:
        # What filter_fn ignored does not count.
        measured = max((s.size for s in evidence.alive_stacks if s.size < limit.limit), default=0)
        message = f"At most {format_size(measured)} leaked from a call stack, below {allowed}"
        return Judgement(CheckRecord(limit.marker, limit.limit, measured, "passed", message), ())
    total = format_size(sum(stack.size for stack in leaking))
    where = "1 call stack" if len(leaking) == 1 else f"{len(leaking)} call stacks"
    relation = _relation(leaking[-1].size, limit.limit)
    return Judgement(
        CheckRecord(
            limit.marker,
            limit.limit,
            leaking[0].size,
            "exceeded",
            f"Leaked {total} from {where}, {relation} {allowed}",
        ),
        leaking,
    )


def _relation(measured: int, limit: int) -> str:
    if measured == limit:
        return "at"
    return "over" if measured > limit else "below"
