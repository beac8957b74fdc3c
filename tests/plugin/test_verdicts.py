"""Measurements, limits and verdicts."""

from __future__ import annotations

import pytest

from memlens.markers import LimitLeakedObjects, LimitLeaks, LimitMemory
from memlens.stacks import Frame, MeasuredStack, Stack, StackFrame, Stacks
from memlens.verdicts import Evidence, judge, judge_increase

MB = 1024**2


def stack(size: int, name: str, *, own: bool = True) -> MeasuredStack:
    return MeasuredStack(size, 1, (Frame(name, f"/shop/{name}.py", 7, native=False),), own)


def evidence(
    peak: int = 0, alive: tuple[MeasuredStack, ...] = (), *, body_raised: bool = False
) -> Evidence:
    return Evidence(Stacks.of([stack(peak, "peak")]), Stacks.of(alive), body_raised)


def test_a_peak_below_the_limit_passes() -> None:
    check = judge(LimitMemory(24 * MB), evidence(24 * MB - 1)).check
    assert (check.verdict, check.measured_bytes) == ("passed", 24 * MB - 1)


def test_a_peak_at_the_limit_exceeds_it() -> None:
    check = judge(LimitMemory(24 * MB), evidence(24 * MB)).check
    assert check.verdict == "exceeded"
    assert check.message == "Peak memory of 24.0 MiB is at the limit of 24.0 MiB"


def test_a_peak_over_the_limit_says_both() -> None:
    judgement = judge(LimitMemory(24 * MB), evidence(31 * MB))
    assert judgement.check.message == "Peak memory of 31.0 MiB is over the limit of 24.0 MiB"


@pytest.mark.parametrize(
    ("peak", "message"),
    [
        (2 * MB + 40, "Peak memory of 2.0 MiB is over the limit of 2.0 MiB by 40 B"),
        (2 * MB - 5000, "Peak memory of 2.0 MiB is below the limit of 2.0 MiB by 4.9 KiB"),
        (2 * MB, "Peak memory of 2.0 MiB is at the limit of 2.0 MiB"),
        (3 * MB, "Peak memory of 3.0 MiB is over the limit of 2.0 MiB"),
    ],
)
def test_a_difference_that_rounding_hides_is_told(peak: int, message: str) -> None:
    assert judge(LimitMemory(2 * MB), evidence(peak)).check.message == message


def test_a_leak_that_is_hardly_too_large_is_told_by_how_much() -> None:
    messages = [
        judge(LimitLeaks(2 * MB), evidence(alive=(stack(size, "a"),))).check.message
        for size in (2 * MB + 40, 2 * MB - 40)
    ]
    assert messages == [
        "Leaked 2.0 MiB from 1 call stack, over the limit of 2.0 MiB for each by 40 B",
        "At most 2.0 MiB leaked from a call stack, below the limit of 2.0 MiB for each by 40 B",
    ]


def test_each_call_stack_is_held_against_the_leak_limit_by_itself() -> None:
    small = (stack(MB - 1, "a"), stack(MB - 1, "b"))
    assert judge(LimitLeaks(MB), evidence(alive=small)).check.verdict == "passed"


def test_only_stacks_at_or_over_the_limit_are_told_of() -> None:
    alive = (stack(3 * MB, "a"), stack(MB, "b"), stack(MB - 1, "c"))
    judgement = judge(LimitLeaks(MB), evidence(alive=alive))
    assert judgement.stacks == alive[:2]
    assert judgement.check.measured_bytes == 3 * MB
    assert judgement.check.message.startswith("Leaked 4.0 MiB from 2 call stacks")


def test_filter_fn_decides_which_stacks_count() -> None:
    alive = (stack(3 * MB, "cache"), stack(2 * MB, "leak"), stack(1, "small"))
    asked: list[Stack] = []

    def not_the_cache(candidate: Stack) -> bool:
        asked.append(candidate)
        return candidate.frames[0].function != "cache"

    judgement = judge(LimitLeaks(MB, not_the_cache), evidence(alive=alive))
    assert judgement.stacks == (alive[1],)
    assert asked == [
        Stack((StackFrame("cache", "/shop/cache.py", 7),)),
        Stack((StackFrame("leak", "/shop/leak.py", 7),)),
    ]


def test_what_filter_fn_ignored_is_not_what_was_measured() -> None:
    alive = (stack(3 * MB, "cache"), stack(5, "small"))
    check = judge(LimitLeaks(MB, lambda _: False), evidence(alive=alive)).check
    assert (check.verdict, check.measured_bytes) == ("passed", 5)


def test_leaks_of_a_failed_body_are_not_judged() -> None:
    alive = (stack(3 * MB, "traceback"),)
    judgement = judge(LimitLeaks(MB), evidence(alive=alive, body_raised=True))
    assert judgement.check.verdict == "not_judged"
    assert judgement.stacks == ()


def test_threads_are_told_apart_only_when_asked() -> None:
    peak = Stacks.of([stack(3 * MB, "a"), stack(2 * MB, "a", own=False)])
    seen = Evidence(peak, Stacks.of([]), body_raised=False)
    together = judge(LimitMemory(4 * MB), seen)
    assert together.check.measured_bytes == 5 * MB
    assert peak.largest() == (MeasuredStack(5 * MB, 2, stack(0, "a").frames),)
    alone = judge(LimitMemory(4 * MB, current_thread_only=True), seen).check
    assert (alone.verdict, alone.measured_bytes) == ("passed", 3 * MB)


def test_leaks_of_other_threads_count_unless_told_otherwise() -> None:
    seen = Evidence(Stacks.of([]), Stacks.of([stack(2 * MB, "a", own=False)]), False)
    assert judge(LimitLeaks(MB), seen).check.verdict == "exceeded"
    own_only = LimitLeaks(MB, current_thread_only=True)
    assert judge(own_only, seen).check.verdict == "passed"


def test_leaked_objects_are_counted_by_type() -> None:
    seen = Evidence(Stacks.of([]), Stacks.of([]), body_raised=False, survivors=([], [1], {}, "x"))
    check = judge(LimitLeakedObjects(), seen).check
    assert check.verdict == "exceeded"
    assert check.message == "Left 4 objects alive: 2 list, 1 dict, 1 str"
    assert check.measured_bytes > 0
    only_dicts = LimitLeakedObjects(lambda survivor: isinstance(survivor, dict))
    assert judge(only_dicts, seen).check.message == "Left 1 object alive: 1 dict"
    assert judge(LimitLeakedObjects(lambda _: False), seen).check.verdict == "passed"


@pytest.mark.parametrize(
    ("peak", "tolerance", "verdict"),
    [
        (1000, 0.0, "passed"),
        (1001, 0.0, "exceeded"),
        (1050, 0.05, "passed"),
        (1051, 0.05, "exceeded"),
    ],
)
def test_an_increase_over_the_last_run_may_be_tolerated(
    peak: int, tolerance: float, verdict: str
) -> None:
    assert judge_increase(peak, 1000, tolerance).check.verdict == verdict


def test_an_increase_over_nothing_says_so() -> None:
    message = judge_increase(5, 0, 0.05).check.message
    assert message == "Peak memory of 5 B is 5 B more than in the last passing run"
