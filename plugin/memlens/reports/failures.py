"""Why a test failed: the limits it is over, with the call stacks that explain it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from memlens.sizes import format_size
from memlens.store.records import FrameRecord, StackRecord, TestRecord


class Verbosity(Protocol):
    """What the user has said about how much to tell."""

    @property
    def verbosity(self) -> int:
        """As a number of -v."""

    @property
    def stacks(self) -> int | None:
        """Frames of a stack; None for what the verbosity says."""

    @property
    def native(self) -> bool:
        """Whether native frames are shown."""


class Detail(NamedTuple):
    """How much to tell. None stands for all."""

    stacks: int | None = 5
    frames: int | None = 8
    native: bool = False

    @classmethod
    def from_settings(cls, settings: Verbosity) -> Detail:
        """Return what suits pytest's -q, -v and -vv, and --stacks and --native."""
        if settings.verbosity < 0:
            chosen = cls(stacks=0)
        elif settings.verbosity == 0:
            chosen = cls()
        elif settings.verbosity == 1:
            chosen = cls(stacks=10, frames=20)
        else:
            chosen = cls(stacks=None, frames=None)
        return cls(
            chosen.stacks,
            chosen.frames if settings.stacks is None else settings.stacks,
            native=settings.native or settings.verbosity > 1,
        )


def failure_text(test: TestRecord, detail: Detail | None = None) -> str:
    """Return why *test* failed: the limits it is over and the stacks that explain it.

    The first lines are whole sentences, the very first fit for pytest's short summary.
    """
    detail = detail or Detail()
    exceeded = [check for check in test.checks if check.verdict == "exceeded"]
    lines = [check.message for check in exceeded]
    markers = {check.marker for check in exceeded}
    if detail.stacks != 0:
        if markers & {"limit_memory", "fail_on_increase"}:
            lines += ["", "Largest call stacks at the peak:"]
            lines += stack_lines(test.stacks_of("peak"), detail)
        if "limit_leaks" in markers:
            lines += ["", "Not freed by the end of the test:"]
            lines += stack_lines(test.stacks_of("leak"), detail)
    return "\n".join(lines)


def stack_lines(stacks: Sequence[StackRecord], detail: Detail) -> Iterator[str]:
    """Yield *stacks* as people read them, the largest first."""
    for stack in stacks[: detail.stacks]:
        times = f"{stack.allocations:,} allocation{'' if stack.allocations == 1 else 's'}"
        yield f"  {format_size(stack.bytes)} in {times}"
        yield from _frame_lines(stack.frames, detail)
    if detail.stacks is not None and len(stacks) > detail.stacks:
        yield f"  and {len(stacks) - detail.stacks} more call stacks (-vv shows all)"


def _frame_lines(frames: Sequence[FrameRecord], detail: Detail) -> Iterator[str]:
    # CPython's own frames are noise, unless there are no others.
    python = [frame for frame in frames if frame.kind != "native"]
    shown = list(frames) if detail.native or not python else python
    if not shown:
        yield "    outside of Python code"
    for frame in shown[: detail.frames]:
        place = f"{frame.path}:{frame.line}" if frame.line else frame.path
        yield f"    {place} in {frame.function}"
    if detail.frames is not None and len(shown) > detail.frames:
        yield f"    and {len(shown) - detail.frames} more callers"
