"""Results of tests whose process died before it read its capture.

While results wait in a capture, a journal beside it has all else that is known of them. Whoever
finds both after the process has died makes results of them: pytest-xdist's controller at once, else
the next run or `memlens check` of the same user.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from os import getpid  # so, since tests replace os.getpid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from memlens.attempts import Attempt
    from memlens.store.records import RunRecord, TestRecord

_SUFFIX = ".journal"
#: In the folder of the captures: the run they are of.
_RUN = "run.json"
#: Seconds after which nobody comes back for the captures of a pytest-xdist worker.
_GRACE = 600.0
#: Seconds for which captures are kept whose results cannot be written to the database of their run.
_PATIENCE = 7 * 24 * 3600.0


class Journal:
    """What is known of the tests in one capture, a line each time that more is known."""

    def __init__(self, capture: Path) -> None:
        """Write beside the file *capture*, from the first line on."""
        self._path = capture.with_suffix(_SUFFIX)
        self._file: int | None = None
        self._pid = getpid()

    def attempt(self, attempt: Attempt) -> None:
        """Note a test, with what has been read of it and where the rest is."""
        windows = {phase: spot.window for phase, spot in attempt.spots.items()}
        self._write({"test": attempt.to_dict(), "windows": windows})

    def outcome(self, nodeid: str, outcome: str, duration: float) -> None:
        """Note how a test went, and how many seconds it took."""
        self._write({"nodeid": nodeid, "outcome": outcome, "duration": duration})

    def delete(self) -> None:
        """Forget everything: the results are safe."""
        if getpid() != self._pid:
            return
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._path.unlink(missing_ok=True)

    def _write(self, line: Mapping[str, object]) -> None:
        if getpid() != self._pid:
            return
        with suppress(OSError):  # then there will be less to recover
            if self._file is None:
                self._file = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            os.write(self._file, json.dumps(line).encode() + b"\n")


class Recovered(NamedTuple):
    """A result that was not written."""

    record: TestRecord
    #: None if the process died before the test's end, or did not know.
    outcome: str | None
    #: Seconds.
    duration: float


def describe_run(folder: Path, run: RunRecord, database: Path) -> None:
    """Note in *folder* which run its captures are of, and where its results go."""
    text = json.dumps({"run": run._asdict(), "database": str(database)})
    with suppress(OSError):
        (folder / _RUN).write_text(text, encoding="utf-8")


def recover(folder: Path, rootdir: Path) -> Iterator[Recovered]:
    """Yield what can be made of the captures and journals that a dead process left in *folder*."""
    from memlens.places import Places

    places = Places(rootdir)
    for journal in sorted(folder.glob(f"*{_SUFFIX}")):
        yield from _recover_capture(journal, places)


def recover_leftovers() -> list[str]:
    """Write the results that dead processes of this user have left.

    Each goes to the database of its own run, as that is: to migrate it or move it aside is for who
    runs memlens there, which may be another version than this one. Until it takes the results, they
    stay for a week. Then, or if they are unreadable themselves, they are deleted. Returns what was
    given up, for people to be told.
    """
    from memlens.capture_folder import leftovers

    notices: list[str] = []
    for _ in leftovers(lambda folder: _is_nobodys(folder) and _is_done_with(folder, notices)):
        pass
    return notices


def _is_done_with(folder: Path, notices: list[str]) -> bool:
    """Write what is in *folder* to where it belongs; return whether the folder may go."""
    from memlens.store import ResultsError

    try:
        _write_results(folder)
    except ResultsError as error:
        if time.time() - folder.stat().st_mtime < _PATIENCE:
            return False
        notices.append(f"results of a run that was killed a week ago were given up: {error}")
    except Exception:  # noqa: BLE001, S110 - the remains of another run must not disturb this one
        pass
    return True


def _is_nobodys(folder: Path) -> bool:
    """Return whether *folder* is left over from a whole run, not from a worker of one that goes on.

    That one's controller is about to read it. If it has died too, time tells.
    """
    with suppress(OSError):
        return (folder / _RUN).exists() or time.time() - folder.stat().st_mtime > _GRACE
    return False


def _write_results(folder: Path) -> None:
    from memlens.store import ResultsWriter, RunRecord
    from memlens.store.database import open_for_writing

    data = json.loads((folder / _RUN).read_text(encoding="utf-8"))
    run = RunRecord(**{**data["run"], "command_line": tuple(data["run"]["command_line"])})
    database = Path(data["database"])
    if not database.parent.parent.is_dir():
        return  # the project is gone
    if database.exists():
        # Before captures are read, which takes time, only to find that nobody wants them.
        open_for_writing(database, migrating=False).close()
    found = [
        each.record._replace(outcome=each.outcome, duration=each.duration)
        for each in recover(folder, Path(run.rootdir))
        if each.outcome is not None
    ]
    if not found:
        return
    writer = ResultsWriter(database, run, as_it_is=True)
    try:
        for test in found:
            writer.add_test(test)
        writer.finish(None, interrupted=True)
    finally:
        writer.close()


def _recover_capture(journal: Path, places: Any) -> Iterator[Recovered]:
    from memlens.attempts import Attempt
    from memlens.recording import Capture, CaptureError

    tests: dict[str, dict[str, Any]] = {}
    outcomes: dict[str, tuple[str, float]] = {}
    for line in _lines(journal):
        if "test" in line:
            tests[line["test"]["nodeid"]] = line  # of several attempts the last one stands
        else:
            outcomes[line["nodeid"]] = (line["outcome"], line["duration"])
    capture = Capture(journal.with_suffix(".bin"), keep=True)
    with suppress(CaptureError), capture.reading() as measurements:
        for nodeid, line in tests.items():
            attempt = Attempt.from_dict(line["test"])
            for phase, window in line["windows"].items():
                measurement = measurements.get(window)
                if measurement is not None:
                    attempt.read(phase, measurement, places)
                    if phase == "call":
                        # Only a test within its limits can have gone on, and that was noted.
                        checks = attempt.checks
                        attempt.judge((), measurement, places)
                        attempt.checks = checks
            if "call" in attempt.phases:
                outcome, duration = outcomes.get(nodeid, (None, 0.0))
                yield Recovered(attempt.record(), outcome, duration)


def _lines(journal: Path) -> Sequence[dict[str, Any]]:
    lines = []
    with suppress(OSError):
        for line in journal.read_bytes().splitlines():
            with suppress(ValueError):  # the process died while it wrote
                lines.append(json.loads(line))
    return lines
