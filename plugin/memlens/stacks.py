"""Call stacks as measured, and as a ``filter_fn`` gets them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class StackFrame:
    """One frame of a call stack, as a ``filter_fn`` sees it."""

    #: The function's name; for native frames the C or C++ symbol.
    function: str
    #: The file as memray names it: the path of the Python file, or of the native source or library.
    filename: str
    #: The line, counted from 1; 0 where a native frame has none.
    lineno: int


@dataclass(frozen=True)
class Stack:
    """A call stack, the most recent frame first."""

    frames: tuple[StackFrame, ...]


#: Decides which leaking stacks count: true keeps the stack, false ignores it.
LeaksFilterFunction = Callable[[Stack], bool]
#: Decides which surviving objects count: true keeps the object, false ignores it.
LeakedObjectsFilterFunction = Callable[[Any], bool]


class Frame(NamedTuple):
    """One measured frame."""

    function: str
    #: Absolute path for Python code; whatever the symbols say for native code.
    filename: str
    #: The line, counted from 1; 0 where it is not known.
    line: int
    native: bool


class MeasuredStack(NamedTuple):
    """What one call stack held: at the peak, or still after the test."""

    #: Bytes.
    size: int
    #: Number of allocations that make up `size`.
    allocations: int
    #: The most recent call first. Ends at the test's own body.
    frames: tuple[Frame, ...]
    #: Whether the thread that ran the test made the allocations.
    current_thread: bool = True

    def as_public(self) -> Stack:
        """Return the stack as a `filter_fn` gets it."""
        return Stack(tuple(StackFrame(f.function, f.filename, f.line) for f in self.frames))


def merged(stacks: Iterable[MeasuredStack]) -> tuple[MeasuredStack, ...]:
    """Return *stacks* with those of the same frames in one, whatever thread; the largest first."""
    sums: dict[tuple[Frame, ...], MeasuredStack] = {}
    for stack in stacks:
        known = sums.get(stack.frames)
        sums[stack.frames] = (
            stack
            if known is None
            else MeasuredStack(
                known.size + stack.size,
                known.allocations + stack.allocations,
                stack.frames,
                known.current_thread or stack.current_thread,
            )
        )
    return tuple(sorted(sums.values(), key=lambda stack: stack.size, reverse=True))
