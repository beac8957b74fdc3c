"""Call stacks as a tree: callers that they have in common are told once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from memlens.commands.screen import Line, Piece
from memlens.sizes import format_size
from memlens.store import FrameRecord, StackRecord

#: What stands before the callees of a fork and below them: the last one's, and the others'.
_FORKS = (("└─ ", "   "), ("├─ ", "│  "))
_ASCII_FORKS = (("`- ", "   "), ("|- ", "|  "))


class Node:
    """A call, and what was allocated by way of it."""

    def __init__(
        self, frame: FrameRecord | None = None, repeats: int = 1, *, itself: bool = False
    ) -> None:
        """*frame* is None where there is nothing but native code, for the root, and if *itself*."""
        self.frame = frame
        #: Whether this stands for what its caller allocated without calling anything.
        self.itself = itself
        #: How many calls of the same place in a row this stands for.
        self.repeats = repeats
        self.bytes = 0
        #: How many of these bytes no callee allocated.
        self.own_bytes = 0
        self._callees: dict[tuple[FrameRecord | None, int], Node] = {}

    def parts(self) -> list[Node]:
        """Return where its bytes went, the largest part first: what it calls, and itself."""
        parts = [*self._callees.values()]
        if parts and self.own_bytes:
            itself = Node(itself=True)
            itself.bytes = self.own_bytes
            parts.append(itself)
        return sorted(parts, key=lambda node: -node.bytes)

    def callee(self, frame: FrameRecord | None, repeats: int) -> Node:
        """Return that callee, a new one if it has none such."""
        return self._callees.setdefault((frame, repeats), Node(frame, repeats))


def tree(stacks: Sequence[StackRecord], *, native: bool = False) -> Node:
    """Return a root whose callees are the outermost calls of *stacks*, common ones merged.

    Native frames only if *native*.
    """
    root = Node()
    for stack in stacks:
        node = root
        for frame, repeats in _calls(stack, native=native):
            node = node.callee(frame, repeats)
            node.bytes += stack.bytes
        node.own_bytes += stack.bytes
    return root


def _calls(stack: StackRecord, *, native: bool) -> list[tuple[FrameRecord | None, int]]:
    """Return the frames from the outside in, each with how often it calls itself in a row."""
    calls: list[tuple[FrameRecord | None, int]] = []
    for frame in reversed(stack.frames):
        if frame.kind == "native" and not native:
            continue
        if calls and calls[-1][0] == frame:
            calls[-1] = (frame, calls[-1][1] + 1)
        else:
            calls.append((frame, 1))
    return calls or [(None, 1)]


def tree_lines(
    root: Node, shown: Callable[[FrameRecord], str], *, unicode: bool = True
) -> Iterator[Line]:
    """Yield what *root* calls as lines; *shown* says where a frame is.

    A callee that has all its caller's bytes stands below that, without a size; where they part the
    tree branches. So deep stacks stay on the screen, and what branches off sums up.
    """
    last, others = _FORKS if unicode else _ASCII_FORKS
    # Not by recursion: a stack may be as deep as Python allows. What is left to write: a node, and
    # what stands before it and before what it calls.
    left = [(node, "", "") for node in reversed(root.parts())]
    while left:
        node, before, below = left.pop()
        size = format_size(node.bytes)
        while True:
            yield [Piece(f"{size:>10}", "bold"), f"  {before}", *_call(node, shown)]
            parts = node.parts()
            if len(parts) != 1:
                break
            size, node, before = "", parts[0], below
        for part in reversed(parts):
            fork = last if part is parts[-1] else others
            left.append((part, below + fork[0], below + fork[1]))


def _call(node: Node, shown: Callable[[FrameRecord], str]) -> Line:
    if node.itself:
        return [Piece("(itself)", "dim")]
    if node.frame is None:
        return [Piece("outside of Python code", "dim")]
    repeats = f" ({node.repeats:,} times)" if node.repeats > 1 else ""
    place = f"{repeats}  {shown(node.frame)}"
    if node.frame.kind == "project":
        return [Piece(node.frame.function, "bold cyan"), place]
    return [Piece(f"{node.frame.function}{place}", "dim")]
