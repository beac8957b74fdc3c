"""The results of the projects of a workspace: read when needed, kept until they change."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path

from memlens.store import ResultsError
from memlens_lsp.projects import has_results, names_in
from memlens_lsp.results import FileResults, Findings, is_busy, read_file, read_findings

logger = logging.getLogger(__name__)

#: How many files' results are kept. Editors ask for the same few again and again.
_MOST_FILES = 64


class KnownResults:
    """What is known of all projects. To be used from the event loop only."""

    def __init__(self) -> None:
        #: The findings of each project with results, by its root.
        self.findings: dict[Path, Findings] = {}
        #: The last complaint about each project's results.
        self._complaints: dict[Path, str] = {}
        #: What is known of a file, or the reading of it that is under way.
        self._files: OrderedDict[Path, asyncio.Task[FileResults]] = OrderedDict()

    async def read(self, root: Path) -> str | None:
        """Read the results of the project at *root* again.

        Returns:
            What is wrong with them, if it has not been said yet.
        """
        self._files.clear()
        complaint = None
        try:
            findings = await asyncio.to_thread(read_findings, root)
        except ResultsError as error:
            if is_busy(error):
                return None
            findings = Findings()
            if self._complaints.get(root) != str(error):
                complaint = self._complaints[root] = str(error)
        else:
            self._complaints.pop(root, None)
        # What was asked for meanwhile may have been read before.
        self._files.clear()
        if has_results(root):
            self.findings[root] = findings
        else:
            self.findings.pop(root, None)
        return complaint

    def keep_only(self, roots: Collection[Path]) -> None:
        """Forget all projects but those at *roots*."""
        self.findings = {root: self.findings[root] for root in self.findings.keys() & set(roots)}
        self._files.clear()

    async def of_file(self, path: Path) -> FileResults:
        """Return what is known of the file *path*, and by which project.

        By the nearest folder around it that has results of the file; for a file outside all
        projects, such as an installed library's test, by any project that ran it.
        """
        reading = self._files.get(path)
        if reading is None:
            reading = asyncio.ensure_future(asyncio.to_thread(_read_file, path, [*self.findings]))
            self._files[path] = reading
            while len(self._files) > _MOST_FILES:
                self._files.popitem(last=False)
        else:
            self._files.move_to_end(path)
        # Several requests wait for it; that one of them is cancelled must not end it.
        return await asyncio.shield(reading)


def _read_file(path: Path, roots: Collection[Path]) -> FileResults:
    around = [folder for folder in path.parents if has_results(folder)]
    for root in dict.fromkeys((*around, *roots)):
        try:
            results = read_file(root, names_in(root, path))
        except ResultsError as error:
            logger.info("%s", error)  # `KnownResults.read` has the user told
            continue
        if results is not None:
            return results
    return FileResults()
