"""A run's results in a temporary database, for its reports, where the project cannot keep them.

In a file and not in memory: a large suite has many call stacks.
"""

from __future__ import annotations

from pathlib import Path

from memlens.capture_folder import CaptureFolder
from memlens.store import DATABASE_NAME, ResultsError, ResultsReader, ResultsWriter, RunRecord


class SpareResults:
    """A database that is deleted when it is closed; if the process is killed, by a later run."""

    def __init__(self, run: RunRecord, begun: Path | None = None) -> None:
        """Begin *run* in a new file, with what the database *begun* has of it already.

        Raises:
            ResultsError: that cannot be read, or no temporary file be written.
        """
        self._folder = CaptureFolder()
        try:
            #: Where it is.
            self.path = self._folder.path_of(DATABASE_NAME)
            #: To be closed before `close`.
            self.writer = ResultsWriter(self.path, run)
            if begun is not None:
                self._take_over(begun, run.uuid)
        except BaseException as error:
            self._folder.close()
            if isinstance(error, OSError):
                reason = error.__cause__ or error
                raise ResultsError(f"no temporary file can be written: {reason}") from error
            raise

    def _take_over(self, begun: Path, uuid: str) -> None:
        try:
            with ResultsReader(begun) as reader:
                ids = [run.id for run in reader.runs(None) if run.uuid == uuid]
                for test in reader.tests_of(*(each for each in ids if each is not None)):
                    self.writer.add_test(test)
        except BaseException:
            self.writer.close()
            raise

    def close(self) -> None:
        """Delete the file."""
        self._folder.close()
