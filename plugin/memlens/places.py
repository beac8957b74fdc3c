"""Where code is: paths as results name them, whose code it is, and the line of a test."""

from __future__ import annotations

import inspect
import os
import re
import sys
from functools import lru_cache
from pathlib import Path, PurePath

from memlens.stacks import Frame, MeasuredStack
from memlens.store.records import FrameKind, FrameRecord, StackKind, StackRecord

_DEFINITION = re.compile(r"\s*(?:async\s+)?def\s+(\w+)")
_INSTALLED = frozenset(("site-packages", "dist-packages"))


class Places:
    """Names files relative to a project's root."""

    def __init__(self, rootdir: Path) -> None:
        """Paths are named relative to *rootdir*."""
        self._root = os.path.realpath(rootdir)
        # A virtual environment inside the project is not the project.
        prefix = os.path.realpath(sys.prefix)
        self._environment = prefix if _is_inside(prefix, self._root) else None
        self._known: dict[str, tuple[str, FrameKind]] = {}
        self._frames: dict[Frame, FrameRecord] = {}

    def path(self, filename: str | Path) -> str:
        """Return *filename* with "/", relative to the root when inside it, absolute otherwise."""
        return self._look(os.fspath(filename))[0]

    def stack(self, kind: StackKind, stack: MeasuredStack) -> StackRecord:
        """Return *stack* as the results store it."""
        frames = tuple(self._frame(frame) for frame in stack.frames)
        return StackRecord(kind, stack.size, stack.allocations, frames)

    def _frame(self, frame: Frame) -> FrameRecord:
        known = self._frames.get(frame)
        if known is None:
            known = self._frames[frame] = self._new_frame(frame)
        return known

    def _new_frame(self, frame: Frame) -> FrameRecord:
        if frame.native:
            return FrameRecord(frame.function, frame.filename, frame.line, "native")
        path, kind = self._look(frame.filename)
        return FrameRecord(frame.function, path, frame.line, kind)

    def _look(self, filename: str) -> tuple[str, FrameKind]:
        known = self._known.get(filename)
        if known is None:
            known = self._known[filename] = self._classify(filename)
        return known

    def _classify(self, filename: str) -> tuple[str, FrameKind]:
        if filename.startswith("<"):  # "<string>", "<frozen importlib._bootstrap>"
            return filename, "library"
        real = os.path.realpath(filename)
        if not _is_inside(real, self._root):
            return PurePath(real).as_posix(), "library"
        relative = PurePath(os.path.relpath(real, self._root))
        installed = not _INSTALLED.isdisjoint(relative.parts) or (
            self._environment is not None and _is_inside(real, self._environment)
        )
        return relative.as_posix(), "library" if installed else "project"


def _is_inside(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def line_of_test(path: Path, function: object, name: str, owner: type | None) -> int:
    """Return the line (from 1) of the file *path* that names a test.

    That is the ``def`` called *name* of *function*, not its first decorator, where Python says that
    it begins. A test that is defined elsewhere (inherited, imported) is at its class *owner*, and
    what has no line there at all is at the first.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)  # type: ignore[arg-type]
    if code is not None and _is_file(code.co_filename, path):
        return _definition_line(code.co_filename, code.co_firstlineno, name)
    return _class_line(path, owner) if owner is not None else 1


def _definition_line(filename: str, first: int, name: str) -> int:
    lines = _lines(filename)
    for number in range(first, len(lines) + 1):
        definition = _DEFINITION.match(lines[number - 1])
        if definition is not None:
            # If it is another function's, this one's name was given to it later.
            return number if definition[1] == name else first
    return first


@lru_cache(maxsize=64)
def _class_line(path: Path, owner: type) -> int:
    try:
        if not _is_file(inspect.getsourcefile(owner) or "", path):
            return 1
        definition = re.compile(rf"\s*class\s+{re.escape(owner.__name__)}\b")
        lines = [
            number for number, line in enumerate(_lines(str(path)), 1) if definition.match(line)
        ]
        # inspect parses the whole file.
        return lines[0] if len(lines) == 1 else max(inspect.getsourcelines(owner)[1], 1)
    except (OSError, TypeError):  # made at run time, or edited since
        return 1


def _is_file(filename: str, path: Path) -> bool:
    return _real(filename) == _real(str(path))


@lru_cache(maxsize=1024)
def _real(filename: str) -> str:
    return os.path.realpath(filename)


@lru_cache(maxsize=64)
def _lines(filename: str) -> tuple[str, ...]:
    try:
        with Path(filename).open(encoding="utf-8", errors="replace") as file:
            return tuple(file)
    except OSError:
        return ()
