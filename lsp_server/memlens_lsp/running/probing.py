"""Finding out what an interpreter is, when that has become a question."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path

from memlens_lsp.running.guarded import Guarded, GuardLostError, StartError, Task
from memlens_lsp.running.problems import Interpreter

#: For any Python there ever was, so that old ones can tell how old they are.
_QUESTION = """\
import json, sys
def version(name):
    try:
        from importlib.metadata import version
        return version(name)
    except Exception:
        return None
print(json.dumps([
    getattr(getattr(sys, "implementation", None), "name", "cpython"), list(sys.version_info[:2]),
    version("pytest"), version("pytest-memlens"),
]))
"""
#: Seconds after which it counts as no interpreter.
_PATIENCE = 20.0
#: Folders that virtual environments are usually in, inside a project.
_USUAL = (".venv", "venv", "env", ".env")


async def ask(python: str, folder: Path, environment: Mapping[str, str]) -> Interpreter | None:
    """Return what the interpreter *python* says of itself, None if it does not answer as one."""
    try:
        asked = await Guarded.start(Task((python, "-c", _QUESTION), folder, environment))
    except StartError:
        return None
    waiting = asyncio.ensure_future(asked.wait())
    try:
        # Not wait_for, which would not wait for the process to be ended.
        await asyncio.wait((waiting,), timeout=_PATIENCE)
    finally:
        if not waiting.done():
            asked.close()
    try:
        said = await waiting
        implementation, version, pytest, memlens = json.loads(said.output.strip().split("\n")[-1])
        return Interpreter(str(implementation), (version[0], version[1]), pytest, memlens)
    except (StartError, GuardLostError, ValueError, TypeError, IndexError):
        return None


def environments_in(*folders: Path) -> list[Path]:
    """Return the interpreters of virtual environments where *folders* usually have theirs.

    Reads folders: call it off the event loop.
    """
    candidates = (
        folder / name / "bin" / "python" for folder in dict.fromkeys(folders) for name in _USUAL
    )
    return [
        path
        for path in candidates
        if os.access(path, os.X_OK) and (path.parents[1] / "pyvenv.cfg").is_file()
    ]
