"""Call stacks as measured, and as a ``filter_fn`` gets them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, NamedTuple


class StackFrame(NamedTuple):
    """One frame of a call stack, as a ``filter_fn`` sees it."""

    #: The function's name; for native frames the C or C++ symbol.
    function: str
    #: The file as memray names it: the path of the Python file, or of the native source or library.
    filename: str
    #: The line, counted from 1; 0 where a native frame has none.
    lineno: int


class Stack(NamedTuple):
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


class StackSum(NamedTuple):
    """What one call stack of one or several threads held, before anybody looks at its frames."""

    #: Bytes, and the number of allocations that make them up.
    size: int
    allocations: int
    #: Equal for equal stacks.
    key: Hashable
    #: Whether the thread that ran the test made the allocations.
    current_thread: bool
    #: Reads the frames, which takes longer than all the rest.
    frames: Callable[[], tuple[Frame, ...]]


class Stacks:
    """What several call stacks held."""

    def __init__(self, sums: Iterable[StackSum]) -> None:
        """Take what each stack and thread held."""
        self._sums = tuple(sums)

    @classmethod
    def of(cls, stacks: Iterable[MeasuredStack]) -> Stacks:
        """Return *stacks*, whose frames are known."""
        return cls(
            StackSum(
                stack.size,
                stack.allocations,
                stack.frames,
                stack.current_thread,
                lambda frames=stack.frames: frames,  # type: ignore[misc]
            )
            for stack in stacks
        )

    def size(self, *, current_thread_only: bool = False) -> int:
        """Return the sum of their bytes."""
        return sum(each.size for each in self._counted(current_thread_only))

    def largest(
        self, most: int | None = None, *, least: int = 0, current_thread_only: bool = False
    ) -> tuple[MeasuredStack, ...]:
        """Return the *most* largest (None: all) of those that held at least *least* bytes.

        A stack that several threads ran counts once. Reads no more frames than are returned.
        """
        large = sorted(
            (each for each in self._merged(current_thread_only) if each.size >= least),
            key=lambda each: each.size,
            reverse=True,
        )
        return tuple(
            MeasuredStack(each.size, each.allocations, each.frames(), each.current_thread)
            for each in large[:most]
        )

    def largest_size(self, *, below: int, current_thread_only: bool = False) -> int:
        """Return the bytes of the largest that held less than *below*; 0 if there is none."""
        sizes = (each.size for each in self._merged(current_thread_only))
        return max((size for size in sizes if size < below), default=0)

    def _merged(self, current_thread_only: bool) -> Iterable[StackSum]:
        merged: dict[Hashable, StackSum] = {}
        for each in self._counted(current_thread_only):
            known = merged.get(each.key)
            merged[each.key] = (
                each
                if known is None
                else known._replace(
                    size=known.size + each.size,
                    allocations=known.allocations + each.allocations,
                    current_thread=known.current_thread or each.current_thread,
                )
            )
        return merged.values()

    def _counted(self, current_thread_only: bool) -> Iterator[StackSum]:
        return (each for each in self._sums if each.current_thread or not current_thread_only)
