"""Code actions as they are offered for a text, without an editor."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.store import TestRecord
from memlens_lsp.features.actions import Asked, Document, Proposal, proposals
from memlens_lsp.features.edits import changed
from memlens_lsp.results import FileResults

from .helpers import MIB, Project, frame, result

CODEC = PositionCodec()
PEAK = int(31.2 * MIB)


@dataclass
class Known:
    """A project in memory."""

    text: str = ""
    leaking: Sequence[TestRecord] = field(default_factory=list)

    def leaking_test(self, nodeid: str) -> TestRecord | None:
        return next((test for test in self.leaking if test.nodeid == nodeid), None)

    def test_module(self, nodeid: str) -> Document | None:
        return Document("file:///test_a.py", 1, self.text)


def line(number: int) -> types.Range:
    place = types.Position(number - 1, 0)
    return types.Range(place, place)


EVERYWHERE = types.Range(types.Position(0, 0), types.Position(10_000, 0))


def offered(
    text: str, at: int | None, *tests: TestRecord, marks: Sequence[types.Diagnostic] = ()
) -> dict[str, Proposal]:
    """The actions at a line (from 1; None: everywhere), by title."""
    results = FileResults(name="test_a.py", tests=tests, sources={0: text})
    found = proposals(
        Document("file:///test_a.py", 1, text),
        results,
        Asked(EVERYWHERE if at is None else line(at), marks),
        CODEC,
        Known(text, tests),
    )
    assert len({each.key for each in found}) == len(found)
    return {each.title: each for each in found}


def done(action: Proposal) -> str:
    """The text after an action, which must be Python."""
    after = changed(action.document.text, action.changes())
    ast.parse(after)
    return after


def mark(code: str, at: int) -> types.Diagnostic:
    return types.Diagnostic(line(at), "…", code=code, source="memlens")


def outcomes(project: Project) -> str:
    """What a real run says at its end."""
    command = (sys.executable, "-m", "pytest", "--memray", "-q", "-p", "no:cacheprovider")
    run = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    return run.stdout.strip().rpartition("\n")[2].partition(" in ")[0]


#: A test that was measured, with a limit that is too low.
MEASURED = result("test_a.py::test_a", 5, PEAK, 24 * MIB)
LIMITED = 'import pytest\n\n\n@pytest.mark.limit_memory("24 MB")\ndef test_a(): ...\n'
RAISE = "Raise the limit to 35 MB: the peak was 31.2 MiB"
#: A leak: who asked for it, and who called that.
SHOP = frame("fill_cache", "shop.py", 3)
BODY = frame("test_a", "tests/test_a.py", 7)
