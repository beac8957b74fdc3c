"""The results of the projects of a workspace: read when needed, kept until they change."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from memlens.findings import DEFAULT_THRESHOLDS, Thresholds
from memlens.store import ResultsError, database_path
from memlens_lsp.findings import Findings, read_findings
from memlens_lsp.projects import has_results, names_in, nearest_root
from memlens_lsp.results import FileResults, is_busy, read_file
from memlens_lsp.watching import Look, has_settled, look_at

logger = logging.getLogger(__name__)

#: How many files' results are kept. Editors ask for the same few again and again.
_MOST_FILES = 64
#: How many readings of one project's files are under way at a time. Its disk may be slow, and the
#: threads are for all.
_AT_A_TIME = 4


class _Reading(NamedTuple):
    """What was read of a file."""

    results: FileResults
    #: Where it would be read from, and what that looked like, by the folder of the project. None if
    #: that does not tell whether the results are still what they were.
    looks: Mapping[Path, Look] | None = None


@dataclass
class _File:
    """What is known of a file."""

    #: The reading of it, which may be under way.
    reading: asyncio.Task[_Reading]
    #: When it began: how often results had changed.
    changes: int
    #: What was known before, for as long as it cannot be read.
    before: _Reading
    #: What the file was called when it was measured, if it was renamed since.
    then: Path | None


class KnownResults:
    """What is known of all projects. To be used from the event loop only."""

    def __init__(self, file_then: Callable[[Path], Path | None] = lambda _: None) -> None:
        """*file_then* returns what a file was called that was renamed since it was measured."""
        self._file_then = file_then
        #: The findings of each project with results, by its root.
        self.findings: dict[Path, Findings] = {}
        #: Projects whose results another program holds, so that they could not be read.
        self.busy: set[Path] = set()
        #: The last complaint about each project's results.
        self._complaints: dict[Path, str] = {}
        self._files: OrderedDict[Path, _File] = OrderedDict()
        #: How often results have changed.
        self._changes = 0
        #: Who reads a project, by its root.
        self._turns: dict[Path, asyncio.Semaphore] = {}

    async def read(self, root: Path, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> str | None:
        """Read the results of the project at *root* again.

        What another program holds stays as it was, and is then in `busy`.

        Returns:
            What is wrong with them, if it has not been said yet.
        """
        self._changes += 1
        findings: Findings | None = None
        complaint = None
        self.busy.discard(root)
        try:
            findings = await asyncio.to_thread(
                _read_findings, root, self.findings.get(root), thresholds
            )
        except ResultsError as error:
            complaint = str(error)
            if is_busy(error):
                self.busy.add(root)
                findings = self.findings.get(root)
            elif await asyncio.to_thread(has_results, root):
                findings = Findings(thresholds=thresholds)
        # What was asked for meanwhile may have been read before.
        self._changes += 1
        if findings is not None:
            self.findings[root] = findings
        else:
            self.findings.pop(root, None)
        return self._unsaid(root, complaint)

    def _unsaid(self, root: Path, complaint: str | None) -> str | None:
        if complaint is None:
            self._complaints.pop(root, None)
            return None
        if self._complaints.get(root) == complaint:
            return None
        self._complaints[root] = complaint
        return complaint

    def keep_only(self, roots: Collection[Path]) -> None:
        """Forget all projects but those at *roots*."""
        self.findings = {root: self.findings[root] for root in self.findings.keys() & set(roots)}
        self._files.clear()
        self._turns.clear()

    async def of_file(self, path: Path) -> FileResults:
        """Return what is known of the file *path*, and by which project.

        By the nearest folder around it that has results of the file; for a file outside all
        projects, such as an installed library's test, by any project that ran it.
        """
        known = self._files.get(path)
        then = self._file_then(path)
        if known is None or known.changes != self._changes or known.then != then:
            known = self._files[path] = self._begin(path, _last_of(known, then), then)
            while len(self._files) > _MOST_FILES:
                self._files.popitem(last=False)
        self._files.move_to_end(path)
        # Several requests wait for it; that one of them is cancelled must not end it.
        return (await asyncio.shield(known.reading)).results

    def forget_file(self, path: Path) -> None:
        """Keep nothing of the file *path* any more."""
        self._files.pop(path, None)

    def _begin(self, path: Path, before: _Reading, then: Path | None) -> _File:
        reading = asyncio.ensure_future(self._read_file(path, before, then))
        return _File(reading, self._changes, before, then)

    async def _read_file(self, path: Path, before: _Reading, then: Path | None) -> _Reading:
        roots = tuple(self.findings)
        project = nearest_root(path, roots)
        others = () if project else roots
        turn = self._turns.setdefault(project or path.parent, asyncio.Semaphore(_AT_A_TIME))
        try:
            async with turn:
                return await asyncio.to_thread(_read_file, then or path, others, before)
        except ResultsError:
            # Another program holds them: to be read again when they are next asked for.
            known = self._files.get(path)
            if known is not None:
                known.changes = -1
            return _Reading(before.results)


def _last_of(known: _File | None, then: Path | None) -> _Reading:
    if known is None:
        return _Reading(FileResults())
    reading = known.reading
    is_there = reading.done() and not reading.cancelled() and reading.exception() is None
    last = reading.result() if is_there else known.before
    return last if known.then == then else _Reading(last.results)


def _read_findings(root: Path, before: Findings | None, thresholds: Thresholds) -> Findings | None:
    findings = read_findings(root, before, thresholds)
    return findings if has_results(root) else None


def _read_file(path: Path, roots: Collection[Path], before: _Reading) -> _Reading:
    # Looked at first: what is written meanwhile makes them look otherwise.
    looks = {folder: look_at(database_path(folder)) for folder in (*path.parents, *roots)}
    if looks == before.looks:
        return before  # what has changed is another project's
    told = looks if all(map(has_settled, looks.values())) else None
    around = [folder for folder in path.parents if looks[folder][0] is not None]
    for root in dict.fromkeys((*around, *roots)):
        try:
            results = read_file(root, names_in(root, path))
        except ResultsError as error:
            if is_busy(error) and root in around:
                raise
            logger.info("%s", error)  # `KnownResults.read` has the user told
            told = None
            continue
        if results is not None:
            return _Reading(results, told)
    return _Reading(FileResults(), told)
