"""Measurements, limits and verdicts."""

from __future__ import annotations

from memlens.markers import LimitLeaks, LimitMemory
from memlens.stacks import Frame, MeasuredStack, Stack, StackFrame
from memlens.verdicts import Evidence, judge

MB = 1024**2


def stack(size: int, name: str) -> MeasuredStack:
    return MeasuredStack(size, 1, (Frame(name, f"/shop/{name}.py", 7, native=False),))


def evidence(
    peak: int = 0, alive: tuple[MeasuredStack, ...] = (), *, body_raised: bool = False
) -> Evidence:
    return Evidence(peak, (stack(peak, "peak"),), alive, body_raised)


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
    assert judgement.stacks == (stack(31 * MB, "peak"),)


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
